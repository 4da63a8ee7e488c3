/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pgsql_rows.c - PGSQL: a frame's transaction. */
#include "pgsql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MARK "ctflowd_rows" /* a savepoint, from which rows are sent again */

/* ---- the statement of a row ---------------------------------------------------- */

static void
put_name(struct buf *b, const char *name)
{
	buf_puts(b, "\"");
	for (; *name; name++)
		buf_put(b, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
	buf_puts(b, "\"");
}

static void
put_insert(struct pg *p, const char *text)
{
	const struct sqldb_conf *c = SQLDB_CONF(&p->db);
	unsigned n = 0;

	buf_puts(&p->sql, text[6] ? text : "INSERT INTO ");
	if (!text[6]) {
		put_name(&p->sql, c->schema);
		buf_puts(&p->sql, ".");
		put_name(&p->sql, c->table);
	}
	buf_puts(&p->sql, " (");
	for (unsigned i = 0; i < p->db.table.n; i++) {
		if (p->db.table.cols[i].field < 0)
			continue;
		buf_puts(&p->sql, n++ ? "," : "");
		put_name(&p->sql, p->db.table.cols[i].name);
	}
	buf_puts(&p->sql, ") VALUES (");
}

/* A procedure gets every column, NULL where there is no field for one. */
static int
statement(struct pg *p, struct ctf_err *err)
{
	const char *name;
	enum sqldb_call call = sqldb_call(SQLDB_CONF(&p->db)->procedure, &name);

	p->params = call == SQLDB_INSERT ? p->db.fields : p->db.table.n;
	p->sql.len = 0;
	if (call == SQLDB_INSERT) {
		put_insert(p, name);
	} else {
		buf_puts(&p->sql, call == SQLDB_CALL ? "CALL " : "SELECT ");
		buf_puts(&p->sql, name);
		buf_puts(&p->sql, "(");
	}
	for (unsigned i = 0; i < p->params; i++) {
		buf_puts(&p->sql, i ? ",$" : "$");
		buf_num(&p->sql, i + 1);
	}
	buf_puts(&p->sql, ")");
	return p->sql.failed ? ctf_fail(err, ENOMEM, "out of memory") : 0;
}

/* ---- values -------------------------------------------------------------------- */

static void
put_time(struct buf *b, uint64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	char text[64];
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&sec, &tm))
		n = strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%06u+00", (unsigned)(ns / 1000 % 1000000));
	buf_puts(b, text);
}

static void
put_value(struct buf *b, const struct sq_value *v)
{
	size_t at = b->len;

	switch (v->is) {
	case SQ_NUMBER:
		buf_num(b, v->u);
		break;
	case SQ_TIME:
		put_time(b, v->u);
		break;
	case SQ_TEXT:
		buf_put(b, v->p, v->len);
		if (!b->failed)
			sqldb_utf8(b->p + at, v->len);
		break;
	case SQ_BYTES:
		buf_puts(b, "\\x");
		buf_hex(b, v->p, v->len);
		break;
	case SQ_NULL:
		break;
	}
	buf_put(b, "", 1); /* its NUL stays: the next value is behind it */
}

#define NO_VALUE SIZE_MAX

static int
send_row(struct pg *p, const struct sqldb_row *row, struct ctf_err *err)
{
	const struct sqldb *s = &p->db;
	const char *values[SQ_FIELDS];
	struct sq_cell cells[SQ_FIELDS];
	size_t at[SQ_FIELDS];
	struct sq_value v;
	unsigned n = 0;

	sq_rec_get(&s->layout, &row->row, cells);
	p->text.len = 0;
	for (unsigned i = 0; i < s->table.n; i++) {
		if (s->table.cols[i].field < 0 && p->params < s->table.n)
			continue;
		sqldb_value(s, i, cells, &v);
		at[n++] = v.is == SQ_NULL ? NO_VALUE : p->text.len;
		put_value(&p->text, &v);
	}
	if (p->text.failed)
		return ctf_fail(err, ENOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++)
		values[i] = at[i] == NO_VALUE ? NULL : p->text.p + at[i];
	if (!PQsendQueryPrepared(p->conn, "", (int)n, values, NULL, NULL, 0))
		return ctf_fail(err, ECONNRESET, "%s: connection lost", p->db.where);
	return 0;
}

/* ---- the transaction ------------------------------------------------------------ */

/* Errors that speak of one row, not of the table, the procedure or the server. */
static bool
is_refusal(const char *state)
{
	static const char *const classes[] = { "21", "22", "23", "27", "38", "39", "44", "P0" };

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (strncmp(state, classes[i], 2) == 0)
			return true;
	return false;
}

int
pg_begin(struct sqldb *s, uint64_t frame, bool *ret_fresh, struct ctf_err *err)
{
	struct pg *p = (struct pg *)s;
	char number[CTF_FMT_NUM + 1], sql[400];
	const char *values[2] = { s->spool, number };
	struct pg_answer a;
	unsigned n = 1;
	int r = pg_send(p, "BEGIN", 0, NULL, err);

	*ctf_fmt_num(number, frame) = '\0';
	if (r == 0 && s->immediate) {
		r = pg_send(p, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, err);
		n++;
	}
	if (r == 0 && s->progress) {
		snprintf(sql, sizeof(sql),
			 "UPDATE %s SET frame = $2, at = now() WHERE spool = $1 AND frame < $2",
			 p->own);
		r = pg_send(p, sql, 2, values, err);
		n++;
	}
	if (r == 0)
		r = pg_answers(p, n, false, &a, err);
	if (r == 0 && a.failed >= 0)
		r = pg_failed(p, &a, err);
	*ret_fresh = r == 0 && (!s->progress || a.rows == 1);
	if (r == -EAGAIN && pg_rollback(s, NULL) < 0)
		r = -ECONNRESET;
	return r;
}

int
pg_rollback(struct sqldb *s, struct ctf_err *err)
{
	struct pg_answer a;

	return pg_exec((struct pg *)s, "ROLLBACK", 0, NULL, NULL, &a, err);
}

/* What became of rows from.., whose first statement was the second sent. */
static int
judge(struct pg *p, const struct pg_answer *a, unsigned from, unsigned sent, unsigned *ret_bad,
      struct ctf_err *err)
{
	struct sqldb *s = &p->db;
	unsigned i = (unsigned)a->failed, bad = from;
	struct pg_answer undo;
	int r;

	if (i < 2 || !is_refusal(a->state)) {
		r = pg_failed(p, a, err);
		if (r == -EAGAIN && pg_rollback(s, NULL) < 0)
			r = -ECONNRESET;
		return r == -EAGAIN ? r : -EIO;
	}
	if (i >= 2 + sent) /* at COMMIT, which has rolled back */
		return SQLDB_UNWANTED;
	for (i -= 2; s->rows[bad].refused || i; bad++)
		i -= !s->rows[bad].refused;
	r = pg_exec(p, "ROLLBACK TO SAVEPOINT " MARK, 0, NULL, NULL, &undo, NULL);
	if (r < 0)
		return ctf_fail(err, ECONNRESET, "%s: connection lost", p->db.where);
	*ret_bad = bad;
	return SQLDB_REFUSED;
}

int
pg_rows(struct sqldb *s, unsigned from, unsigned to, bool commit, unsigned *ret_bad,
	struct ctf_err *err)
{
	struct pg *p = (struct pg *)s;
	struct pg_answer a;
	unsigned sent = 0;
	int r = statement(p, err);

	if (r == 0)
		r = pg_send(p, "SAVEPOINT " MARK, 0, NULL, err);
	if (r == 0 && !PQsendPrepare(p->conn, "", p->sql.p, 0, NULL))
		r = ctf_fail(err, ECONNRESET, "%s: connection lost", p->db.where);
	for (unsigned i = from; i < to && r == 0; i++) {
		if (s->rows[i].refused)
			continue;
		r = send_row(p, &s->rows[i], err);
		sent++;
	}
	if (r == 0)
		r = pg_send(p, commit ? "COMMIT" : "RELEASE SAVEPOINT " MARK, 0, NULL, err);
	if (r == 0)
		r = pg_answers(p, sent + 3, false, &a, err);
	if (r == 0 && a.failed >= 0)
		r = judge(p, &a, from, sent, ret_bad, err);
	return r;
}
