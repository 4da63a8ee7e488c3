/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the flows that live.  The records of a sweep make or update rows of
 * the table of open flows; the transaction that stores an end deletes the row.
 * A flow's counters are what the kernel told last, and the sum of what sweeps
 * that set them to 0 took before; the sum goes into the row of the end.
 *
 * Events and sweeps are read from two sockets, so an end can come before the
 * sighting.  The note after a sweep therefore drops the flows that ended since
 * it began; and marks those lost that two complete ones have not seen.
 */
#include "sqlite3_db.h"

#define SLACK_NS INT64_C(2000000000)
/* How much longer the kernel's answer may have lain in the socket, at most. */
#define DELAY_NS INT64_C(600000000000)

#define KEY "start_ns, id, nsid, proto, src, dst, sport, dport"
#define KEY_VALUES(t) \
	t "start_ns, " t "id, " t "nsid, ifnull(" t "proto, -1), ifnull(" t "src, '')," \
	  " ifnull(" t "dst, ''), ifnull(" t "sport, -1), ifnull(" t "dport, -1)"
#define LOOK \
	"mark, zone, status, tcp_state, nat_src, nat_sport, nat_dst, nat_dport, icmp_type," \
	" icmp_code"
#define COUNTERS "orig_packets, orig_bytes, reply_packets, reply_bytes"
#define SUMS "sum_orig_packets, sum_orig_bytes, sum_reply_packets, sum_reply_bytes"

/* clang-format off */
#define IF(cond, c) "CASE WHEN " cond " THEN " c " END"
#define ALL_IF(cond) \
	IF(cond, "orig_packets") ", " IF(cond, "orig_bytes") ", " \
	IF(cond, "reply_packets") ", " IF(cond, "reply_bytes")
#define TAKE(c) c " = excluded." c
#define ADD(c) \
	c " = CASE WHEN excluded." c " IS NULL THEN " c \
	" ELSE ifnull(" c ", 0) + excluded." c " END"

/* A record that two stacks bring to one table counts once. */
static const char lives_sql[] =
	"INSERT INTO \"%w\"(" KEY ", seen_ns, source, " COUNTERS ", " SUMS ", " LOOK ")"
	" SELECT " KEY_VALUES("") ", seen_ns, source, " ALL_IF("NOT delta") ", " ALL_IF("delta")
	", " LOOK " FROM " SQ_ROWS " WHERE true"
	" ON CONFLICT(" KEY ") DO UPDATE SET lost_ns = NULL, " TAKE("seen_ns") ", "
	TAKE("source") ", " TAKE("orig_packets") ", " TAKE("orig_bytes") ", "
	TAKE("reply_packets") ", " TAKE("reply_bytes") ", " ADD("sum_orig_packets") ", "
	ADD("sum_orig_bytes") ", " ADD("sum_reply_packets") ", " ADD("sum_reply_bytes") ", "
	TAKE("mark") ", " TAKE("zone") ", " TAKE("status") ", " TAKE("tcp_state") ", "
	TAKE("nat_src") ", " TAKE("nat_sport") ", " TAKE("nat_dst") ", " TAKE("nat_dport")
	" WHERE seen_ns <> excluded.seen_ns";
/* clang-format on */

/* The ends t of one base table, and their rows o. */
#define SAME \
	"o.start_ns = t.start_ns AND o.id = t.id AND o.nsid = t.nsid" \
	" AND o.proto = ifnull(t.proto, -1) AND o.src = ifnull(t.src, '')" \
	" AND o.dst = ifnull(t.dst, '') AND o.sport = ifnull(t.sport, -1)" \
	" AND o.dport = ifnull(t.dport, -1)"
/* clang-format off */
#define PLUS(c) \
	"CASE WHEN o.sum_" c " IS NULL THEN t." c " ELSE ifnull(t." c ", 0) + o.sum_" c " END"
#define SUM \
	"UPDATE \"%w\" AS t SET (" COUNTERS ") = (SELECT " PLUS("orig_packets") ", " \
	PLUS("orig_bytes") ", " PLUS("reply_packets") ", " PLUS("reply_bytes") \
	" FROM \"%w\" AS o WHERE " SAME ") WHERE "
/* clang-format on */
#define SUM_IF \
	" AND EXISTS(SELECT 1 FROM \"%w\" AS o WHERE " SAME \
	" AND coalesce(o.sum_orig_packets, o.sum_orig_bytes, o.sum_reply_packets," \
	" o.sum_reply_bytes) IS NOT NULL)"
#define DROP \
	"DELETE FROM \"%w\" WHERE (" KEY \
	") IN (SELECT " KEY_VALUES("t.") " FROM \"%w\" AS t WHERE "
#define THIS "t.destroy_ns = ?1 AND t.id = ?2 AND t.start_ns = ?3 AND t.nsid = ?4"
#define SINCE "t.destroy_ns >= %lld AND t.start_ns <= %lld"

/* A time of a frame less some, whatever the frame says. */
static int64_t
before(uint64_t ns, int64_t some)
{
	return (ns > INT64_MAX ? INT64_MAX : (int64_t)ns) - some;
}

static int
prepare(struct sq_sink *s, int which, char *sql)
{
	int rc = sq_prepare(s, which, sql);

	sqlite3_free(sql);
	return rc;
}

static int
exec(struct sq_sink *s, char *sql)
{
	int rc = sql ? sqlite3_exec(s->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

/* ---- ends ------------------------------------------------------------------- */

static int
ended_prepare(struct sq_sink *s, bool stamped)
{
	const char *base = stamped ? s->table.stamped : s->table.received;
	int rc = prepare(s, stamped ? SQ_ST_SUM_A : SQ_ST_SUM_B,
			 sqlite3_mprintf(SUM THIS SUM_IF, base, s->table.open, s->table.open));

	return rc == SQLITE_OK ? prepare(s, stamped ? SQ_ST_DROP_A : SQ_ST_DROP_B,
					 sqlite3_mprintf(DROP THIS ")", s->table.open, base))
			       : rc;
}

static int
key_run(sqlite3_stmt *st, const struct sq_key *k)
{
	sqlite3_bind_int64(st, 1, k->destroy_ns);
	sqlite3_bind_int64(st, 2, k->id);
	sqlite3_bind_int64(st, 3, k->start_ns);
	sqlite3_bind_int64(st, 4, k->nsid);
	return sq_run(st);
}

int
sq_open_ended(struct sq_sink *s, bool stamped, unsigned from, unsigned to)
{
	struct sq_key key = { 0 };
	int rc = SQLITE_OK;

	for (unsigned i = from; i < to && rc == SQLITE_OK; i++) {
		if (!(s->refs[i].key & SQ_LATE))
			continue;
		rc = sq_native_key(s, &s->refs[i], &key);
		if (rc == SQLITE_OK)
			rc = key_run(s->st[stamped ? SQ_ST_SUM_A : SQ_ST_SUM_B], &key);
		if (rc == SQLITE_OK)
			rc = key_run(s->st[stamped ? SQ_ST_DROP_A : SQ_ST_DROP_B], &key);
	}
	return rc;
}

/* All that ended since then and is in the table all the same. */
static int
ended_since(struct sq_sink *s, const char *base, int64_t from)
{
	long long since = from, horizon = s->horizon;
	int rc = exec(s, sqlite3_mprintf(SUM SINCE SUM_IF, base, s->table.open, since, horizon,
					 s->table.open));

	return rc == SQLITE_OK ? exec(s, sqlite3_mprintf(DROP SINCE ")", s->table.open, base,
							 since, horizon))
			       : rc;
}

static int
ended_match(struct sq_sink *s, int64_t from)
{
	int rc = SQLITE_OK;

	if (s->horizon >= 0)
		rc = ended_since(s, s->table.stamped, from);
	if (s->horizon >= 0 && rc == SQLITE_OK)
		rc = ended_since(s, s->table.received, from);
	return rc;
}

/* ---- sweeps ----------------------------------------------------------------- */

/*
 * Should the note never come because the daemon dies, the next one finds here
 * since when there may be ends of which a sighting came later.
 */
static int
sweeping_set(struct sq_sink *s)
{
	int rc = exec(s, sqlite3_mprintf(
				 "INSERT OR IGNORE INTO meta VALUES('sweeping:%q', %lld)",
				 SQ_CONF(s)->table, (long long)before(s->seen_from, DELAY_NS)));

	if (rc == SQLITE_OK)
		s->sweeping = true;
	return rc;
}

static int
sweeping_clear(struct sq_sink *s)
{
	s->sweeping = false;
	return exec(s, sqlite3_mprintf("DELETE FROM meta WHERE key = 'sweeping:%q'",
				       SQ_CONF(s)->table));
}

int
sq_open_store(struct sq_sink *s)
{
	int rc;

	s->seen_from = 0;
	rc = sq_run(s->st[SQ_ST_LIVES]);
	return rc == SQLITE_OK && !s->sweeping ? sweeping_set(s) : rc;
}

/* A flow that should have been seen twice, and was not. */
static int
lost_mark(struct sq_sink *s, const struct sq_swept *w)
{
	sqlite3_stmt *st = s->st[SQ_ST_LOST];

	sqlite3_bind_int64(st, 1, (sqlite3_int64)w->at_ns);
	sqlite3_bind_text(st, 2, w->source.p, w->source.len, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 3, w->nsid);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)w->previous_ns);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)(w->previous_ns - w->min_age_ns));
	return sq_run(st);
}

int
sq_open_swept(struct sq_sink *s, const struct sq_row *row)
{
	struct sq_swept w;
	int rc;

	if (sq_sweep_get(row, &w) < 0)
		return SQLITE_FORMAT;
	rc = ended_match(s, before(w.at_ns, SLACK_NS));
	if (rc == SQLITE_OK)
		rc = sweeping_clear(s);
	if (rc == SQLITE_OK && w.complete && w.previous_ns)
		rc = lost_mark(s, &w);
	return rc;
}

/* ---- at open ------------------------------------------------------------------ */

/* One number, or `none`. */
static int
number_query(struct sq_sink *s, char *sql, int64_t none, int64_t *ret_n)
{
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		none = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_free(sql);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return rc;
	*ret_n = none;
	return SQLITE_OK;
}

/* What a sweep without its note left behind. */
static int
sweeping_end(struct sq_sink *s)
{
	int64_t from = -1;
	int rc =
		number_query(s,
			     sqlite3_mprintf("SELECT value FROM meta WHERE key = 'sweeping:%q'",
					     SQ_CONF(s)->table),
			     -1, &from);

	s->sweeping = false;
	if (rc != SQLITE_OK || from < 0)
		return rc;
	rc = sq_run(s->st[SQ_ST_BEGIN]);
	if (rc == SQLITE_OK)
		rc = ended_match(s, from);
	if (rc == SQLITE_OK)
		rc = sweeping_clear(s);
	if (rc == SQLITE_OK)
		return sq_run(s->st[SQ_ST_COMMIT]);
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
sq_open_ready(struct sq_sink *s)
{
	int rc = prepare(s, SQ_ST_LIVES, sqlite3_mprintf(lives_sql, s->table.open));

	if (rc == SQLITE_OK)
		rc = ended_prepare(s, true);
	if (rc == SQLITE_OK)
		rc = ended_prepare(s, false);
	if (rc == SQLITE_OK)
		rc = prepare(
			s, SQ_ST_LOST,
			sqlite3_mprintf("UPDATE \"%w\" SET lost_ns = ?1 WHERE source = ?2"
					" AND nsid = ?3 AND seen_ns < ?4 AND start_ns <= ?5"
					" AND lost_ns IS NULL",
					s->table.open));
	if (rc == SQLITE_OK)
		rc = number_query(
			s, sqlite3_mprintf("SELECT max(start_ns) FROM \"%w\"", s->table.open),
			-1, &s->horizon);
	return rc == SQLITE_OK ? sweeping_end(s) : rc;
}
