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
#include "sqlite3_rollup.h"

#define SLACK_NS INT64_C(2000000000)
/* How much longer the kernel's answer may have lain in the socket, at most. */
#define DELAY_NS INT64_C(600000000000)

#define KEY "start_ns, id, nsid, proto, src, dst, sport, dport"
#define LOOK "mark, zone, status, tcp_state, nat_src, nat_sport, nat_dst, nat_dport"
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

/* profile=nat tells nothing of where it went. */
#define FULL_SHOWN ALL_IF("NOT delta") ", " ALL_IF("delta") ", " LOOK
#define NAT_SHOWN \
	"NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, zone, NULL, NULL, outer," \
	" outerport, NULL, NULL"

/* A record that two stacks bring to one table counts once. */
#define LIVES(shown) \
	"INSERT INTO \"%w\"(" KEY ", seen_ns, source, " COUNTERS ", " SUMS ", " LOOK ")" \
	" SELECT " shown \
	" FROM " SQ_ROWS " WHERE true" \
	" ON CONFLICT(" KEY ") DO UPDATE SET lost_ns = NULL, " TAKE("seen_ns") ", " \
	TAKE("source") ", " TAKE("orig_packets") ", " TAKE("orig_bytes") ", " \
	TAKE("reply_packets") ", " TAKE("reply_bytes") ", " ADD("sum_orig_packets") ", " \
	ADD("sum_orig_bytes") ", " ADD("sum_reply_packets") ", " ADD("sum_reply_bytes") ", " \
	TAKE("mark") ", " TAKE("zone") ", " TAKE("status") ", " TAKE("tcp_state") ", " \
	TAKE("nat_src") ", " TAKE("nat_sport") ", " TAKE("nat_dst") ", " TAKE("nat_dport") \
	" WHERE ctflow_seen(seen_ns <> excluded.seen_ns, " COUNTERS ")"
static const char lives_full_sql[] = LIVES(
	"start_ns, xid, nsid, ifnull(proto, -1), ifnull(src, ''), ifnull(dst, ''),"
	" ifnull(sport, 65536), ifnull(dport, 65536), seen_ns, source, " FULL_SHOWN);
static const char lives_nat_sql[] = LIVES(
	"start_ns, xid, nsid, ifnull(proto, -1), ifnull(inner, ''), '', ifnull(innerport, 65536),"
	" 65536, seen_ns, source, " NAT_SHOWN);

/* The row of a flow, made with this profile or another one. */
#define MATCH \
	" WHERE start_ns = ?1 AND id = ?2 AND nsid = ?3 AND proto = ?4 AND src IN (?5, ?6)" \
	" AND sport IN (?7, ?8) AND (dst = '' OR (dst = ?9 AND dport = ?10))"

/* The ends t of one base table, and their rows o. */
#define T_START \
	"CASE WHEN t.age_ns >= 0 THEN t.at_ns - t.age_ns WHEN t.age_ns < -1" \
	" THEN t.at_ns - t.age_ns - 1 ELSE 0 END"
#define T_WHO \
	T_START ", CASE WHEN t.ns & 2 THEN -1 ELSE t.id & 4294967295 END, (t.ns >> 2) - 1," \
	" ifnull(t.proto, -1), ifnull(t.src, ''), ifnull(t.sport, 65536)"
#define T_WHOM ", ifnull(t.dst, ''), ifnull(t.dport, 65536)"
#define O_WHO "start_ns, id, nsid, proto, src, sport"
#define SAME "(" O_WHO ", dst, dport) = (" T_WHO T_WHOM ")"
#define PLUS(c) \
	"CASE WHEN o.sum_" c " IS NULL THEN t." c " ELSE ifnull(t." c ", 0) + o.sum_" c " END"
#define SINCE "t.at_ns >= %lld AND " T_START " <= %lld"
#define SUM \
	"UPDATE \"%w\" AS t SET (" COUNTERS ") = (SELECT " PLUS("orig_packets") ", " \
	PLUS("orig_bytes") ", " PLUS("reply_packets") ", " PLUS("reply_bytes") \
	" FROM \"%w\" AS o WHERE " SAME ") WHERE " SINCE \
	" AND EXISTS(SELECT 1 FROM \"%w\" AS o WHERE " SAME \
	" AND coalesce(o.sum_orig_packets, o.sum_orig_bytes, o.sum_reply_packets," \
	" o.sum_reply_bytes) IS NOT NULL)"
#define OVERTAKEN \
	"SELECT o.seen_ns, t.src, t.proto, t.dport, o.orig_packets, o.orig_bytes," \
	" o.reply_packets, o.reply_bytes FROM \"%w\" AS t CROSS JOIN \"%w\" AS o WHERE " SINCE \
	" AND (o.start_ns, o.id, o.nsid, o.proto, o.src, o.sport, o.dst, o.dport) = (" T_WHO \
	T_WHOM ")"
#define DROP(cols, who) \
	"DELETE FROM \"%w\" WHERE (" cols ") IN (SELECT " who " FROM \"%w\" AS t WHERE " SINCE ")"
#define MORE(c, p) c " = CASE WHEN " p " IS NULL THEN " c " ELSE ifnull(" c ", 0) + " p " END"
static const char add_sql[] =
	"UPDATE \"%w\" SET " MORE("orig_packets", "?5") ", " MORE("orig_bytes", "?6") ", "
	MORE("reply_packets", "?7") ", " MORE("reply_bytes", "?8")
	" WHERE at_ns = ?1 AND id = ?2 AND age_ns = ?3 AND ns = ?4";
/* clang-format on */

struct sq_lived { /* sums of the counters that sweeps set to 0 */
	bool has[4];
	int64_t sum[4];
};

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

/* ---- ends ------------------------------------------------------------------- */

static void
addr_bind(sqlite3_stmt *st, int i, const struct sq_flow *f, enum sq_col col)
{
	if (!sq_flow_has(f, col))
		sqlite3_bind_text(st, i, "", 0, SQLITE_STATIC);
	else if (f->ip6 >> col & 1)
		sqlite3_bind_blob(st, i, f->addr[f->v[col]], 16, SQLITE_TRANSIENT);
	else
		sqlite3_bind_int64(st, i, f->v[col]);
}

static void
match_bind(sqlite3_stmt *st, const struct sq_flow *f)
{
	static const uint8_t ports[][2] = { { 7, SQ_C_SPORT },
					    { 8, SQ_C_INPORT },
					    { 10, SQ_C_DPORT } };

	sqlite3_bind_int64(st, 1, f->start_ns);
	sqlite3_bind_int64(st, 2, f->v[SQ_C_XID]);
	sqlite3_bind_int64(st, 3, f->v[SQ_C_NSID]);
	sqlite3_bind_int64(st, 4, sq_flow_has(f, SQ_C_PROTO) ? f->v[SQ_C_PROTO] : -1);
	addr_bind(st, 5, f, SQ_C_SRC);
	addr_bind(st, 6, f, SQ_C_IN);
	addr_bind(st, 9, f, SQ_C_DST);
	for (unsigned i = 0; i < 3; i++)
		sqlite3_bind_int64(st, ports[i][0],
				   sq_flow_has(f, ports[i][1]) ? f->v[ports[i][1]]
							       : SQ_NO_PORT);
}

/* What it has counted, as the columns of the statement tell it. */
static void
lived_read(sqlite3_stmt *st, struct sq_flow *f, struct sq_lived *l)
{
	f->was_open = true;
	f->was_seen_ns = sqlite3_column_int64(st, 0);
	for (int i = 0; i < 4; i++) {
		l->has[i] = sqlite3_column_type(st, 5 + i) != SQLITE_NULL;
		l->sum[i] = sqlite3_column_int64(st, 5 + i);
		f->was[i] = sqlite3_column_int64(st, 1 + i) + l->sum[i];
	}
}

static int
lived_look(struct sq_sink *s, struct sq_flow *f, struct sq_lived *l)
{
	sqlite3_stmt *st = s->st[SQ_ST_LIVED];
	int rc;

	f->was_open = false;
	*l = (struct sq_lived){ 0 };
	match_bind(st, f);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		lived_read(st, f, l);
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The kernel told the end without what sweeps took. */
int
sq_open_lived(struct sq_sink *s, struct sq_flow *f)
{
	struct sq_lived l;
	int rc = lived_look(s, f, &l);

	for (int i = 0; i < 4; i++) {
		enum sq_col col = SQ_C_PACKETS + i;

		if (!l.has[i])
			continue;
		f->v[col] = l.sum[i] + (sq_flow_has(f, col) ? f->v[col] : 0);
		f->set |= UINT64_C(1) << col;
	}
	return rc;
}

/* Its row is an older one. */
static int
sums_add(struct sq_sink *s, const struct sq_flow *f, const struct sq_lived *l)
{
	int rc = s->st[SQ_ST_ADD]
			 ? SQLITE_OK
			 : prepare(s, SQ_ST_ADD, sqlite3_mprintf(add_sql, s->day.base));
	sqlite3_stmt *st = s->st[SQ_ST_ADD];

	if (rc != SQLITE_OK)
		return rc;
	for (int i = 0; i < 4; i++) {
		sqlite3_bind_int64(st, 1 + i, f->v[SQ_C_AT + i]);
		if (l->has[i])
			sqlite3_bind_int64(st, 5 + i, l->sum[i]);
		else
			sqlite3_bind_null(st, 5 + i);
	}
	return sq_run(st);
}

static int
end_take(struct sq_sink *s, const struct sq_ref *ref)
{
	struct sq_lived l;
	struct sq_flow f;
	struct sq_row row;
	int rc;

	if (sq_flow_get(&s->layout, s->map, ref->p, &row, &f) < 0)
		return SQLITE_FORMAT;
	rc = lived_look(s, &f, &l);
	if (rc != SQLITE_OK || !f.was_open)
		return rc;
	if (ref->flags & SQ_REF_REPEAT && !s->day.nat)
		rc = sums_add(s, &f, &l);
	if (ref->flags & SQ_REF_REPEAT && rc == SQLITE_OK)
		rc = sq_rollup_unsee(s, &f, l.sum);
	if (rc != SQLITE_OK)
		return rc;
	match_bind(s->st[SQ_ST_ENDED], &f);
	return sq_run(s->st[SQ_ST_ENDED]);
}

int
sq_open_ended(struct sq_sink *s)
{
	int rc = SQLITE_OK;

	for (unsigned i = s->from; i < s->to && rc == SQLITE_OK; i++)
		if (s->refs[i].flags & SQ_REF_LATE)
			rc = end_take(s, &s->refs[i]);
	return rc;
}

/* All that ended since then and is in the table all the same. */
static int
ended_since(struct sq_sink *s, const char *base, bool nat, int64_t from)
{
	long long since = from, horizon = s->horizon;
	const char *open = s->table.open;
	int rc;

	if (nat)
		return sq_exec(s->db,
			       sqlite3_mprintf(DROP(O_WHO, T_WHO), open, base, since, horizon));
	rc = sq_rollup_less(s, sqlite3_mprintf(OVERTAKEN, base, open, since, horizon));
	if (rc == SQLITE_OK)
		rc = sq_exec(s->db, sqlite3_mprintf(SUM, base, open, since, horizon, open));
	return rc == SQLITE_OK
		       ? sq_exec(s->db,
				 sqlite3_mprintf(DROP(O_WHO ", dst, dport", T_WHO T_WHOM), open,
						 base, since, horizon))
		       : rc;
}

static int
ended_match(struct sq_sink *s, int64_t from)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE;

	if (s->horizon >= 0)
		rc = sqlite3_prepare_v2(s->db,
					"SELECT base, profile = 'nat' FROM days WHERE view = ?1"
					" AND to_ns > ?2",
					-1, &st, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, from);
	}
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = ended_since(s, (const char *)sqlite3_column_text(st, 0),
				 sqlite3_column_int(st, 1), from);
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		rc = SQLITE_OK;
	return rc == SQLITE_OK && s->horizon >= 0 ? sq_sums_ended(s, ended_since, from) : rc;
}

/* ---- sweeps ----------------------------------------------------------------- */

/*
 * Should the note never come because the daemon dies, the next one finds here
 * since when there may be ends of which a sighting came later.
 */
static int
sweeping_set(struct sq_sink *s)
{
	int rc = sq_exec(
		s->db,
		sqlite3_mprintf("INSERT OR IGNORE INTO meta VALUES('sweeping:%q', %lld)",
				SQ_CONF(s)->table, (long long)before(s->seen_from, DELAY_NS)));

	if (rc == SQLITE_OK)
		s->sweeping = true;
	return rc;
}

static int
sweeping_clear(struct sq_sink *s)
{
	s->sweeping = false;
	return sq_exec(s->db, sqlite3_mprintf("DELETE FROM meta WHERE key = 'sweeping:%q'",
					      SQ_CONF(s)->table));
}

int
sq_open_store(struct sq_sink *s)
{
	int rc;

	s->seen_from = 0;
	s->storing = true;
	rc = sq_run(s->st[SQ_ST_LIVES]);
	s->storing = false;
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
	if (rc == SQLITE_OK)
		rc = sq_sums_swept(s, &w);
	if (rc == SQLITE_OK && w.complete && w.previous_ns)
		rc = lost_mark(s, &w);
	return rc == SQLITE_OK ? sq_sweep_store(s, &w) : rc;
}

/* ---- at open ------------------------------------------------------------------ */

/* What a sweep without its note left behind. */
static int
sweeping_end(struct sq_sink *s)
{
	int64_t from = -1;
	int rc = sq_number(s->db,
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
		rc = sq_rollup_store(s);
	if (rc == SQLITE_OK)
		return sq_run(s->st[SQ_ST_COMMIT]);
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
sq_open_ready(struct sq_sink *s)
{
	const char *open = s->table.open;
	bool nat = SQ_CONF(s)->profile == SQ_NAT;
	int rc = prepare(s, SQ_ST_LIVES,
			 sqlite3_mprintf(nat ? lives_nat_sql : lives_full_sql, open));

	if (rc == SQLITE_OK)
		rc = prepare(s, SQ_ST_LIVED,
			     sqlite3_mprintf("SELECT seen_ns, " COUNTERS ", " SUMS
					     " FROM \"%w\"" MATCH,
					     open));
	if (rc == SQLITE_OK)
		rc = prepare(s, SQ_ST_ENDED, sqlite3_mprintf("DELETE FROM \"%w\"" MATCH, open));
	if (rc == SQLITE_OK)
		rc = prepare(
			s, SQ_ST_LOST,
			sqlite3_mprintf("UPDATE \"%w\" SET lost_ns = ?1 WHERE source = ?2"
					" AND nsid = ?3 AND seen_ns < ?4 AND start_ns <= ?5"
					" AND lost_ns IS NULL",
					open));
	if (rc == SQLITE_OK)
		rc = sq_number(s->db, sqlite3_mprintf("SELECT max(start_ns) FROM \"%w\"", open),
			       -1, &s->horizon);
	return rc == SQLITE_OK ? sweeping_end(s) : rc;
}
