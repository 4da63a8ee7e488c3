/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: rows of somebody else's table.  A column takes the field of its
 * name, `_` standing for `.`, as its declared type wants it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#include "sqlite3_db.h"

#define SAY_NS UINT64_C(10000000000) /* one line on refused rows in 10 s */

static void
bind_number(sqlite3_stmt *st, int i, uint64_t u)
{
	sqlite3_bind_int64(st, i, u > INT64_MAX ? INT64_MAX : (sqlite3_int64)u);
}

static void
bind_addr(sqlite3_stmt *st, int i, enum sq_as as, const struct sq_cell *c)
{
	char text[INET6_ADDRSTRLEN];

	if (as == SQ_AS_BLOB) {
		sqlite3_bind_blob(st, i, c->p, (int)c->len, SQLITE_TRANSIENT);
	} else if (as == SQ_AS_TEXT) {
		inet_ntop(c->len == 4 ? AF_INET : AF_INET6, c->p, text, sizeof(text));
		sqlite3_bind_text(st, i, text, -1, SQLITE_TRANSIENT);
	} else if (c->len == 4 && as == SQ_AS_HOST) {
		sqlite3_bind_int64(st, i,
				   c->p[3] | c->p[2] << 8 | c->p[1] << 16 |
					   (sqlite3_int64)c->p[0] << 24);
	} else if (c->len == 4) {
		/* ulogd2's number: the bytes on the wire, read as little endian. */
		sqlite3_bind_int64(st, i,
				   c->p[0] | c->p[1] << 8 | c->p[2] << 16 |
					   (sqlite3_int64)c->p[3] << 24);
	} else {
		sqlite3_bind_null(st, i);
	}
}

static void
bind_time(sqlite3_stmt *st, int i, enum sq_as as, uint64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	char text[48];
	struct tm tm;
	size_t n;

	if (as != SQ_AS_TEXT || !gmtime_r(&sec, &tm)) {
		bind_number(st, i, ns);
		return;
	}
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%06uZ", (unsigned)(ns / 1000 % 1000000));
	sqlite3_bind_text(st, i, text, -1, SQLITE_TRANSIENT);
}

static void
bind_bytes(sqlite3_stmt *st, int i, enum sq_as as, const struct sq_cell *c)
{
	char hex[2 * 256 + 1] = "";

	if (as == SQ_AS_BLOB) {
		sqlite3_bind_blob(st, i, c->p, (int)c->len, SQLITE_TRANSIENT);
	} else if (as == SQ_AS_TEXT && c->len <= 256) {
		for (unsigned k = 0; k < c->len; k++)
			sprintf(hex + 2 * k, "%02x", c->p[k]);
		sqlite3_bind_text(st, i, hex, -1, SQLITE_TRANSIENT);
	} else {
		sqlite3_bind_null(st, i);
	}
}

static void
bind_cell(sqlite3_stmt *st, int i, enum sq_as as, unsigned type, const struct sq_cell *c)
{
	switch (type) {
	case CTF_IP:
		bind_addr(st, i, as, c);
		break;
	case CTF_TIME:
		bind_time(st, i, as, c->u);
		break;
	case CTF_TEXT:
		sqlite3_bind_text(st, i, (const char *)c->p, (int)c->len, SQLITE_TRANSIENT);
		break;
	case CTF_BYTES:
		bind_bytes(st, i, as, c);
		break;
	default:
		bind_number(st, i, c->u);
	}
}

static void
row_bind(const struct sq_sink *s, sqlite3_stmt *st, const struct sq_cell *cells)
{
	int i = 0;

	for (unsigned col = 0; col < s->table.n; col++) {
		int f = s->table.cols[col].field;

		if (f < 0)
			continue;
		i++;
		if (cells[f].has)
			bind_cell(st, i, s->table.cols[col].as, s->layout.type[f], &cells[f]);
		else if (s->layout.zero[f])
			sqlite3_bind_int(st, i, 0);
		else
			sqlite3_bind_null(st, i);
	}
}

/* ---- the statement ------------------------------------------------------------ */

/* Columns the frames have nothing for are left to their defaults. */
static void
columns_map(struct sq_sink *s)
{
	char key[256];

	for (unsigned i = 0; i < s->table.n; i++) {
		struct sq_column *c = &s->table.cols[i];

		c->field = -1;
		if (sq_key_of(c->name, key, sizeof(key)))
			c->field = sq_layout_find(&s->layout, key);
		if (c->field < 0)
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
