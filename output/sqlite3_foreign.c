/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: rows of somebody else's table (sqcolumn.h).
 */
#include <stdio.h>

#include "sqlite3_db.h"

#define SAY_NS UINT64_C(10000000000) /* one line on refused rows in 10 s */

static void
bind_value(sqlite3_stmt *st, int i, const struct sq_value *v)
{
	switch (v->is) {
	case SQ_NUMBER:
	case SQ_TIME:
		sqlite3_bind_int64(st, i, v->u > INT64_MAX ? INT64_MAX : (sqlite3_int64)v->u);
		break;
	case SQ_TEXT:
		sqlite3_bind_text(st, i, v->p, (int)v->len, SQLITE_TRANSIENT);
		break;
	case SQ_BYTES:
		sqlite3_bind_blob(st, i, v->p, (int)v->len, SQLITE_TRANSIENT);
		break;
	case SQ_NULL:
		sqlite3_bind_null(st, i);
	}
}

static void
row_bind(const struct sq_sink *s, sqlite3_stmt *st, const struct sq_cell *cells)
{
	struct sq_value v;
	int i = 0;

	for (unsigned col = 0; col < s->table.n; col++) {
		if (s->table.cols[col].field < 0)
			continue;
		sq_column_value(&s->table.cols[col], &s->layout, cells, &v);
		bind_value(st, ++i, &v);
	}
}

/* ---- the statement ------------------------------------------------------------ */

/* Columns the frames have nothing for are left to their defaults. */
static void
columns_map(struct sq_sink *s)
{
	for (unsigned i = 0; i < s->table.n; i++) {
		struct sq_column *c = &s->table.cols[i];

		if (!sq_column_map(c, &s->layout))
			ctf_log(s->obj.ctx, CTF_WARNING,
				"%s: column \"%s\" of \"%s\" gets nothing until the next start",
				SQ_CONF(s)->db, c->name, SQ_CONF(s)->table);
	}
}

static char *
insert_sql(const struct sq_sink *s)
{
	sqlite3_str *sql = sqlite3_str_new(s->db);
	unsigned n = 0;

	sqlite3_str_appendf(sql, "INSERT %sINTO \"%w\"(", s->or_abort ? "OR ABORT " : "",
			    SQ_CONF(s)->table);
	for (unsigned i = 0; i < s->table.n; i++)
		if (s->table.cols[i].field >= 0)
			sqlite3_str_appendf(sql, "%s\"%w\"", n++ ? "," : "",
					    s->table.cols[i].name);
	sqlite3_str_appendall(sql, ") VALUES(");
	for (unsigned i = 0; i < n; i++)
		sqlite3_str_appendall(sql, i ? ",?" : "?");
	sqlite3_str_appendchar(sql, 1, ')');
	return sqlite3_str_finish(sql);
}

int
sq_foreign_map(struct sq_sink *s)
{
	char *sql;
	int rc;

	columns_map(s);
	sql = insert_sql(s);
	rc = sq_prepare(s, SQ_ST_FOREIGN, sql);
	sqlite3_free(sql);
	return rc;
}

/* ---- the rows ----------------------------------------------------------------- */

/* Errors that speak of one row, not of the table or the file. */
static bool
is_refusal(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_CONSTRAINT || rc == SQLITE_MISMATCH || rc == SQLITE_TOOBIG;
}

void
sq_foreign_say(struct sq_sink *s, bool last)
{
	uint64_t now = ctf_now();

	if (s->refusing) {
		ctf_count(s->refused, s->refusing);
		s->unsaid += s->refusing;
		s->refusing = 0;
	}
	if (!s->unsaid || (!last && now - s->said_ns < SAY_NS))
		return;
	ctf_log(s->obj.ctx, CTF_ERROR, "%s: table \"%s\" refused %llu flows, lastly: %s",
		SQ_CONF(s)->db, SQ_CONF(s)->table, (unsigned long long)s->unsaid, s->reason);
	s->said_ns = now;
	s->unsaid = 0;
}

static int
row_store(struct sq_sink *s, const uint8_t *p)
{
	struct sq_cell cells[SQ_FIELDS];
	struct sq_row row;
	int rc;

	if (sq_row_get(p, SIZE_MAX, &row) < 0 || sq_rec_get(&s->layout, &row, cells) < 0)
		return SQLITE_FORMAT;
	row_bind(s, s->st[SQ_ST_FOREIGN], cells);
	rc = sq_run(s->st[SQ_ST_FOREIGN]);
	if (!is_refusal(rc))
		return rc;
	if (sqlite3_get_autocommit(s->db)) /* ON CONFLICT ROLLBACK: all of it is gone */
		return rc;
	s->refusing++;
	snprintf(s->reason, sizeof(s->reason), "%s", sqlite3_errmsg(s->db));
	return SQLITE_OK;
}

int
sq_foreign_store(struct sq_sink *s)
{
	int rc = SQLITE_OK;

	s->refusing = 0;
	for (unsigned i = 0; i < s->n && rc == SQLITE_OK; i++)
		rc = row_store(s, s->refs[i].p);
	return rc;
}
