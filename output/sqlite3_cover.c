/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: gaps and coverage of a native table. */
#include "sqlite3_db.h"

/* Coverage that goes on is one row: only its end and last sign of life move. */
static const char fresh_sql[] =
	"UPDATE coverage SET last_alive_ns = ?2, to_ns = ?3 WHERE from_ns = ?1"
	" AND instance = ?4 AND nsid IS ?5 AND output = ?14";
static const char cover_sql[] =
	"INSERT INTO coverage(from_ns, last_alive_ns, to_ns, instance, nsid, exporter, boot_id,"
	" event_mask, acct, timestamp, events, reliable, selection, output)"
	" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
static const char gap_sql[] =
	"INSERT INTO gaps(from_ns, to_ns, cause, count, count_is, nsid, instance, output)"
	" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

int
sq_note_ready(struct sq_sink *s)
{
	int rc = sq_prepare(s, SQ_ST_GAP, gap_sql);

	if (rc == SQLITE_OK)
		rc = sq_prepare(s, SQ_ST_FRESH, fresh_sql);
	return rc == SQLITE_OK ? sq_prepare(s, SQ_ST_COVER, cover_sql) : rc;
}

static void
text(sqlite3_stmt *st, int i, const struct sq_text *t)
{
	sqlite3_bind_text(st, i, t->p, t->len, SQLITE_TRANSIENT);
}

/* NULL below 0: an unknown sysctl, the own namespace. */
static void
small(sqlite3_stmt *st, int i, int n)
{
	if (n < 0)
		sqlite3_bind_null(st, i);
	else
		sqlite3_bind_int(st, i, n);
}

static void
time_or_null(sqlite3_stmt *st, int i, uint64_t ns)
{
	if (ns)
		sqlite3_bind_int64(st, i, (sqlite3_int64)ns);
	else
		sqlite3_bind_null(st, i);
}

static int
gap_store(struct sq_sink *s, const struct sq_note *n)
{
	static const char *const is[] = { "exact", "at_most", "unknown" };
	sqlite3_stmt *st = s->st[SQ_ST_GAP];

	sqlite3_bind_int64(st, 1, (sqlite3_int64)n->from_ns);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n->to_ns);
	text(st, 3, &n->cause);
	if (n->count_is >= CTF_UNCOUNTED || n->count > INT64_MAX)
		sqlite3_bind_null(st, 4);
	else
		sqlite3_bind_int64(st, 4, (sqlite3_int64)n->count);
	sqlite3_bind_text(st, 5, is[n->count_is > CTF_UNCOUNTED ? CTF_UNCOUNTED : n->count_is],
			  -1, SQLITE_STATIC);
	small(st, 6, n->nsid);
	text(st, 7, &n->instance);
	sqlite3_bind_text(st, 8, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	return sq_run(st);
}

static void
fresh_bind(const struct sq_sink *s, sqlite3_stmt *st, const struct sq_note *n)
{
	sqlite3_bind_int64(st, 1, (sqlite3_int64)n->from_ns);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n->alive_ns);
	time_or_null(st, 3, n->to_ns);
	text(st, 4, &n->instance);
	small(st, 5, n->nsid);
	sqlite3_bind_text(st, 14, SQ_CONF(s)->table, -1, SQLITE_STATIC);
}

static int
cover_store(struct sq_sink *s, const struct sq_note *n)
{
	sqlite3_stmt *st = s->st[SQ_ST_FRESH];
	int rc;

	fresh_bind(s, st, n);
	rc = sq_run(st);
	if (rc != SQLITE_OK || sqlite3_changes(s->db) > 0)
		return rc;
	st = s->st[SQ_ST_COVER];
	fresh_bind(s, st, n);
	text(st, 6, &n->exporter);
	text(st, 7, &n->boot_id);
	sqlite3_bind_int64(st, 8, n->event_mask);
	small(st, 9, n->acct);
	small(st, 10, n->timestamp);
	small(st, 11, n->events);
	sqlite3_bind_int(st, 12, n->reliable);
	text(st, 13, &n->selection);
	return sq_run(st);
}

int
sq_note_store(struct sq_sink *s, const struct sq_row *row)
{
	struct sq_note n;

	if (sq_note_get(row, &n) < 0)
		return SQLITE_FORMAT;
	return row->kind == SQ_GAP ? gap_store(s, &n) : cover_store(s, &n);
}
