/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mysql_rows.c - MYSQL: a frame's transaction. */
#include "mysql.h"

#include <errno.h>
#include <mariadb/mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text --------------------------------------------------------------------- */

void
my_put_name(struct buf *b, const char *name)
{
	buf_puts(b, "`");
	for (; *name; name++)
		buf_put(b, *name == '`' ? "``" : name, *name == '`' ? 2 : 1);
	buf_puts(b, "`");
}

void
my_put_text(struct my *m, const char *text, size_t n)
{
	char *copy = malloc(n + 1), *quoted = malloc(2 * n + 1);

	if (!copy || !quoted) {
		m->sql.failed = true;
	} else {
		memcpy(copy, text, n);
		sqldb_utf8(copy, n);
		buf_puts(&m->sql, "'");
		buf_put(&m->sql, quoted,
			mysql_real_escape_string(m->conn, quoted, copy, (unsigned long)n));
		buf_puts(&m->sql, "'");
	}
	free(copy);
	free(quoted);
}

/* In whatever time zone the session is: the moment is the same. */
static void
put_time(struct buf *b, uint64_t ns)
{
	char micro[16];

	snprintf(micro, sizeof(micro), ".%06u)", (unsigned)(ns / 1000 % 1000000));
	buf_puts(b, "FROM_UNIXTIME(");
	buf_num(b, ns / 1000000000);
	buf_puts(b, micro);
}

static void
put_value(struct my *m, const struct sq_value *v)
{
	switch (v->is) {
	case SQ_NUMBER:
		buf_num(&m->sql, v->u);
		break;
	case SQ_TIME:
		put_time(&m->sql, v->u);
		break;
	case SQ_TEXT:
		my_put_text(m, v->p, v->len);
		break;
	case SQ_BYTES:
		buf_puts(&m->sql, "X'");
		buf_hex(&m->sql, v->p, v->len);
		buf_puts(&m->sql, "'");
		break;
	case SQ_NULL:
		buf_puts(&m->sql, "NULL");
	}
}

/* ---- the statement of a row ------------------------------------------------------ */

static void
put_insert(struct my *m, const char *text)
{
	unsigned n = 0;

	buf_puts(&m->head, text[6] ? text : "INSERT INTO ");
	if (!text[6])
		my_put_name(&m->head, SQLDB_CONF(&m->db)->table);
	buf_puts(&m->head, " (");
	for (unsigned i = 0; i < m->db.table.n; i++) {
		if (m->db.table.cols[i].field < 0)
			continue;
		buf_puts(&m->head, n++ ? "," : "");
		my_put_name(&m->head, m->db.table.cols[i].name);
	}
	buf_puts(&m->head, ") VALUES (");
}

static void
head_make(struct my *m)
{
	const char *name;

	m->call = sqldb_call(SQLDB_CONF(&m->db)->procedure, &name);
	m->head.len = 0;
	if (m->call == SQLDB_INSERT) {
		put_insert(m, name);
		return;
	}
	buf_puts(&m->head, m->call == SQLDB_CALL ? "CALL " : "SELECT ");
	buf_puts(&m->head, name);
	buf_puts(&m->head, "(");
}

/* A procedure gets every column, NULL where there is no field for one. */
static void
put_row(struct my *m, const struct sqldb_row *row)
{
	const struct sqldb *s = &m->db;
	struct sq_cell cells[SQ_FIELDS];
	struct sq_value v;
	unsigned n = 0;

	sq_rec_get(&s->layout, &row->row, cells);
	buf_put(&m->sql, m->head.p, m->head.len);
	for (unsigned i = 0; i < s->table.n; i++) {
		if (s->table.cols[i].field < 0 && m->call == SQLDB_INSERT)
			continue;
		buf_puts(&m->sql, n++ ? "," : "");
		sqldb_value(s, i, cells, &v);
		put_value(m, &v);
	}
	buf_puts(&m->sql, ");");
}

/* ---- the transaction -------------------------------------------------------------- */

/* Errors that speak of one row, not of the table, the procedure or the server. */
static bool
is_refusal(MYSQL *conn)
{
	static const char *const classes[] = { "21", "22", "23", "44", "45" };
	static const unsigned codes[] = { ER_NO_DEFAULT_FOR_FIELD,
					  ER_TRUNCATED_WRONG_VALUE_FOR_FIELD,
					  ER_NO_PARTITION_FOR_GIVEN_VALUE,
					  ER_VIEW_CHECK_FAILED,
					  WARN_DATA_TRUNCATED,
					  ER_CONSTRAINT_FAILED };
	unsigned code = mysql_errno(conn);

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (strncmp(mysql_sqlstate(conn), classes[i], 2) == 0)
			return true;
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (code == codes[i])
			return true;
	return false;
}

/* The rows of the answer at hand, which nobody wants, and whether it ends a statement. */
static int
answer_skip(struct my *m, bool *ret_ended, struct ctf_err *err)
{
	bool rows = mysql_field_count(m->conn) > 0;
	MYSQL_RES *res = NULL;
	int r = my_result(m, &res, err);

	mysql_free_result(res);
	*ret_ended = !rows || m->call != SQLDB_CALL; /* a CALL ends without */
	return r;
}

/* Sends what is in m->sql; *ret_done: so many statements have succeeded. */
static int
run(struct my *m, unsigned *ret_done, struct ctf_err *err)
{
	int r = my_query(m, m->sql.p, m->sql.len, err);
	bool ended;

	*ret_done = 0;
	while (r == 0) {
		r = answer_skip(m, &ended, err);
		if (r == 0) {
			sqldb_expect(&m->db, SQLDB_ANSWER_MS);
			*ret_done += ended;
			r = my_next(m, err);
			if (r == 0)
				return 0;
			r = r < 0 ? r : 0;
		}
	}
	return r;
}

int
my_begin(struct sqldb *s, uint64_t frame, bool *ret_fresh, struct ctf_err *err)
{
	struct my *m = (struct my *)s;
	int r = my_exec(m, "START TRANSACTION", NULL, err);

	head_make(m);
	*ret_fresh = true;
	if (r < 0 || !s->progress)
		return r;
	m->sql.len = 0;
	buf_puts(&m->sql, "UPDATE " SQLDB_PROGRESS " SET at = now(), frame = ");
	buf_num(&m->sql, frame);
	buf_puts(&m->sql, " WHERE spool = ");
	my_put_text(m, s->spool, strlen(s->spool));
	buf_puts(&m->sql, " AND frame < ");
	buf_num(&m->sql, frame);
	if (m->sql.failed)
		return ctf_fail(err, ENOMEM, "%s: out of memory", m->db.where);
	r = my_exec(m, m->sql.p, NULL, err);
	*ret_fresh = r == 0 && mysql_affected_rows(m->conn) == 1;
	if (r == -EAGAIN && my_rollback(s, NULL) < 0)
		return -ECONNRESET;
	return r;
}

int
my_rollback(struct sqldb *s, struct ctf_err *err)
{
	return my_exec((struct my *)s, "ROLLBACK", NULL, err);
}

/*
 * The statements before one that fails stay done, so nothing is sent again, and
 * tables that know no transactions are filled as well.
 */
int
my_rows(struct sqldb *s, unsigned from, unsigned to, bool commit, unsigned *ret_bad,
	struct ctf_err *err)
{
	struct my *m = (struct my *)s;
	unsigned done = 0;
	int r;

	m->sql.len = 0;
	for (unsigned i = from; i < to; i++)
		put_row(m, &s->rows[i]);
	buf_puts(&m->sql, commit ? "COMMIT" : "DO 0");
	if (m->sql.failed || m->head.failed)
		return ctf_fail(err, ENOMEM, "%s: out of memory", m->db.where);
	r = run(m, &done, err);
	if (r != -EPROTO)
		return r;
	if (done < to - from && is_refusal(m->conn)) {
		*ret_bad = from + done;
		return SQLDB_REFUSED;
	}
	r = my_failed(m, err);
	if (r != -EAGAIN)
		return -EIO;
	return my_rollback(s, NULL) < 0 ? -ECONNRESET : r;
}
