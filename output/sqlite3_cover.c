/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: gaps, coverage and sweeps of a native table.
 *
 * Coverage is one row per stretch in which nothing relevant changed.  A stretch
 * that an earlier run left without an end ended at its last sign of life, and
 * what came after that is a gap, unless the daemon itself tells of one.
 */
#include "sqlite3_db.h"

/* Another gap may begin so much later than ours: a heartbeat, and its way. */
#define LATE_NS "15000000000"

/* ?1 from ?2 alive ?3 to ?4 instance ?5 nsid ?6 output ?7 exporter; ?8 clock error */
#define STREAM "instance = ?4 AND nsid IS ?5 AND output = ?6"
#define MINE STREAM " AND exporter = ?7"
#define RUNNING \
	"rowid = (SELECT rowid FROM coverage WHERE " MINE " AND to_ns IS NULL AND" \
	" from_ns >= ?1 ORDER BY from_ns DESC LIMIT 1)"
enum {
	P_BOOT = 9, /* from here on: what a stretch has in common */
	P_MASK,
	P_ACCT,
	P_TIMESTAMP,
	P_EVENTS,
	P_RELIABLE,
	P_SELECTION,
	P_NETNS,
	P_ABILITIES,
	P_SYNCHRONISED,
	P_OFFLOAD,
	P_GRO,
};

/* What was not known is learned, which changes nothing. */
/* clang-format off */
#define SAME(c, n) " AND (" c " IS " n " OR " c " IS NULL)"
static const char fresh_sql[] =
	"UPDATE coverage SET last_alive_ns = ?2, to_ns = ?3, clock_error_ns = ?8, acct = ?11,"
	" timestamp = ?12, events = ?13, abilities = ?17, clock_synchronised = ?18,"
	" offload = ?19, gro = ?20 WHERE boot_id IS ?9 AND event_mask IS ?10"
	" AND reliable IS ?14 AND selection IS ?15 AND netns IS ?16 AND abilities IN (?17, '')"
	SAME("acct", "?11") SAME("timestamp", "?12") SAME("events", "?13")
	SAME("clock_synchronised", "?18") SAME("offload", "?19") SAME("gro", "?20")
	" AND " RUNNING;
/* clang-format on */
/* It is another one from now on. */
static const char change_sql[] = "UPDATE coverage SET to_ns = ?2 WHERE " RUNNING;
static const char cover_sql[] =
	"INSERT INTO coverage(from_ns, last_alive_ns, to_ns, instance, nsid, output, exporter,"
	" clock_error_ns, boot_id, event_mask, acct, timestamp, events, reliable, selection,"
	" netns, abilities, clock_synchronised, offload, gro)"
	" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
	" ?18, ?19, ?20 WHERE ?3 IS NULL OR NOT EXISTS(SELECT 1 FROM coverage WHERE " MINE
	" AND to_ns = ?3)";

/* What the run before left behind, ?1 being when this one began, ?2 when it opened. */
#define LEFT MINE " AND to_ns IS NULL AND from_ns < ?1"
#define TOLD \
	"g.instance = ?4 AND g.nsid IS ?5 AND g.output = ?6 AND g.from_ns < ?1" \
	" AND g.to_ns > c.last_alive_ns"
/* Some other loss that lasted until now, as the guard may tell, begins here. */
#define KNOWN "(SELECT min(g.from_ns) FROM gaps AS g WHERE " TOLD " AND g.to_ns >= ?1)"
static const char down_sql[] =
	"INSERT INTO gaps(from_ns, to_ns, cause, count, count_is, nsid, instance, output)"
	" SELECT c.last_alive_ns, ifnull(" KNOWN ", ?1), 'restart', NULL, 'unknown', ?5, ?4, ?6"
	" FROM coverage AS c WHERE " LEFT " AND c.last_alive_ns < min(?1, ?2)"
	" AND NOT EXISTS(SELECT 1 FROM gaps AS g WHERE " TOLD " AND g.cause = 'restart')"
	" AND ifnull(" KNOWN " > c.last_alive_ns + " LATE_NS ", 1)";
static const char close_sql[] = "UPDATE coverage SET to_ns = last_alive_ns WHERE " LEFT;

static const char gap_sql[] =
	"INSERT INTO gaps(from_ns, to_ns, nsid, instance, output, cause, count, count_is)"
	" VALUES(?1, ?3, ?5, ?4, ?6, ?7, ?8, ?9)";
/*
 * The daemon's own word replaces what was concluded from coverage, and begins
 * where a stretch of it was cut off.
 */
#define CONCLUDED \
	STREAM " AND cause = 'restart' AND count_is = 'unknown' AND from_ns < ?3" \
	       " AND to_ns > ?1 AND (?7 = 'restart' OR ?3 >= to_ns)" \
	       " AND from_ns IN (SELECT to_ns FROM coverage WHERE " STREAM ")"
static const char known_sql[] = "DELETE FROM gaps WHERE " CONCLUDED
				" AND (?7 = 'restart' OR from_ns + " LATE_NS " >= ?1)";
static const char trim_sql[] = "UPDATE gaps SET to_ns = ?1 WHERE " CONCLUDED;

int
sq_note_ready(struct sq_sink *s)
{
	static const struct {
		int which;
		const char *sql;
	} all[] = { { SQ_ST_GAP, gap_sql },       { SQ_ST_KNOWN, known_sql },
		    { SQ_ST_TRIM, trim_sql },     { SQ_ST_FRESH, fresh_sql },
		    { SQ_ST_CHANGE, change_sql }, { SQ_ST_COVER, cover_sql },
		    { SQ_ST_DOWN, down_sql },     { SQ_ST_CLOSE, close_sql } };
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && rc == SQLITE_OK; i++)
		rc = sq_prepare(s, all[i].which, all[i].sql);
	return rc;
}

static void
text(sqlite3_stmt *st, int i, const struct sq_text *t)
{
	sqlite3_bind_text(st, i, t->p, t->len, SQLITE_TRANSIENT);
}

/* NULL below 0: an unknown sysctl, the own namespace. */
static void
small(sqlite3_stmt *st, int i, int64_t n)
{
	if (n < 0)
		sqlite3_bind_null(st, i);
	else
		sqlite3_bind_int64(st, i, n);
}

static void
time_or_null(sqlite3_stmt *st, int i, uint64_t ns)
{
	if (ns)
		sqlite3_bind_int64(st, i, (sqlite3_int64)ns);
	else
		sqlite3_bind_null(st, i);
}

static void
stream_bind(const struct sq_sink *s, sqlite3_stmt *st, const struct sq_note *n)
{
	sqlite3_bind_int64(st, 1, (sqlite3_int64)n->from_ns);
	time_or_null(st, 3, n->to_ns);
	text(st, 4, &n->instance);
	small(st, 5, n->nsid);
	sqlite3_bind_text(st, 6, SQ_CONF(s)->table, -1, SQLITE_STATIC);
}

/* ---- gaps --------------------------------------------------------------------- */

static int
gap_run(struct sq_sink *s, int which, const struct sq_note *n)
{
	sqlite3_stmt *st = s->st[which];

	stream_bind(s, st, n);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)n->to_ns);
	text(st, 7, &n->cause);
	return sq_run(st);
}

static int
gap_store(struct sq_sink *s, const struct sq_note *n)
{
	static const char *const is[] = { "exact", "at_most", "unknown" };
	bool known = n->count_is < CTF_UNCOUNTED && n->count <= INT64_MAX;
	sqlite3_stmt *st = s->st[SQ_ST_GAP];
	int rc = gap_run(s, SQ_ST_KNOWN, n);

	if (rc == SQLITE_OK)
		rc = gap_run(s, SQ_ST_TRIM, n);
	if (rc != SQLITE_OK)
		return rc;
	small(st, 8, known ? (int64_t)n->count : -1);
	sqlite3_bind_text(st, 9, is[known ? n->count_is : CTF_UNCOUNTED], -1, SQLITE_STATIC);
	return gap_run(s, SQ_ST_GAP, n);
}

/* ---- coverage ----------------------------------------------------------------- */

/* Flows that only add to sums are left out, too. */
static void
selection_bind(const struct sq_sink *s, sqlite3_stmt *st, const struct sq_note *n)
{
	if (SQ_CONF(s)->profile != SQ_ROLLUP)
		text(st, P_SELECTION, &n->selection);
	else
		sqlite3_bind_text(st, P_SELECTION,
				  sqlite3_mprintf("%.*s%sprofile=rollup", (int)n->selection.len,
						  n->selection.p, n->selection.len ? "; " : ""),
				  -1, sqlite3_free);
}

static void
cover_bind(const struct sq_sink *s, sqlite3_stmt *st, const struct sq_note *n)
{
	stream_bind(s, st, n);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)n->alive_ns);
	text(st, 7, &n->exporter);
	small(st, 8, n->clock_error_ns);
	text(st, P_BOOT, &n->boot_id);
	sqlite3_bind_int64(st, P_MASK, n->event_mask);
	small(st, P_ACCT, n->acct);
	small(st, P_TIMESTAMP, n->timestamp);
	small(st, P_EVENTS, n->events);
	sqlite3_bind_int(st, P_RELIABLE, n->reliable);
	selection_bind(s, st, n);
	text(st, P_NETNS, &n->netns);
	text(st, P_ABILITIES, &n->abilities);
	small(st, P_SYNCHRONISED, n->clock_synchronised);
	small(st, P_OFFLOAD, n->offload);
	small(st, P_GRO, n->gro);
}

/* Parameters a statement has not are not bound. */
static int
cover_run(struct sq_sink *s, int which, const struct sq_note *n, int *ret_changes)
{
	int rc;

	cover_bind(s, s->st[which], n);
	if (which == SQ_ST_DOWN)
		sqlite3_bind_int64(s->st[which], 2, (sqlite3_int64)s->since);
	rc = sq_run(s->st[which]);
	*ret_changes = rc == SQLITE_OK ? sqlite3_changes(s->db) : 0;
	return rc;
}

/* The first word of this run, or of a stretch. */
static int
cover_begin(struct sq_sink *s, const struct sq_note *n)
{
	int done, rc = cover_run(s, SQ_ST_DOWN, n, &done);

	if (rc == SQLITE_OK)
		rc = cover_run(s, SQ_ST_CLOSE, n, &done);
	return rc == SQLITE_OK ? cover_run(s, SQ_ST_COVER, n, &done) : rc;
}

static int
cover_store(struct sq_sink *s, const struct sq_note *n)
{
	struct sq_note next = *n;
	int done = 0, rc = cover_run(s, SQ_ST_FRESH, n, &done);

	if (rc != SQLITE_OK || done)
		return rc;
	rc = cover_run(s, SQ_ST_CHANGE, n, &done);
	if (rc != SQLITE_OK || !done)
		return rc != SQLITE_OK ? rc : cover_begin(s, n);
	next.from_ns = n->alive_ns;
	return n->to_ns ? SQLITE_OK : cover_run(s, SQ_ST_COVER, &next, &done);
}

int
sq_note_store(struct sq_sink *s, const struct sq_row *row)
{
	struct sq_note n;

	if (row->kind == SQ_SWEEP)
		return sq_open_swept(s, row);
	if (sq_note_get(row, &n) < 0)
		return SQLITE_FORMAT;
	return row->kind == SQ_GAP ? gap_store(s, &n) : cover_store(s, &n);
}

/* ---- looks at the whole connection table ---------------------------------------- */

/*
 * A flow that lived at a time and lives now is in no table of ends; that there
 * was none, only a complete look can show.
 */
static const char sweeps_sql[] =
	"CREATE TABLE IF NOT EXISTS sweeps(output TEXT NOT NULL, instance TEXT NOT NULL,"
	" nsid INTEGER NOT NULL, at_ns INTEGER NOT NULL, previous_ns INTEGER,"
	" min_age_ns INTEGER NOT NULL, complete INTEGER NOT NULL,"
	" PRIMARY KEY(output, instance, nsid, at_ns)) WITHOUT ROWID";
static const char sweep_sql[] =
	"INSERT OR REPLACE INTO sweeps(output, instance, nsid, at_ns, previous_ns, min_age_ns,"
	" complete) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";

static int
sweep_add(struct sq_sink *s, const struct sq_swept *w)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sweep_sql, -1, &st, NULL);

	/* A table of that name that somebody else made is left to them. */
	if (rc == SQLITE_ERROR)
		return SQLITE_OK;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, w->source.p, w->source.len, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, w->nsid);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)w->at_ns);
	if (w->previous_ns)
		sqlite3_bind_int64(st, 5, (sqlite3_int64)w->previous_ns);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)w->min_age_ns);
	sqlite3_bind_int(st, 7, w->complete);
	sqlite3_step(st);
	return sqlite3_finalize(st);
}

/* One a quarter of an hour or so: not worth a statement that is kept. */
int
sq_sweep_store(struct sq_sink *s, const struct sq_swept *w)
{
	int rc = sqlite3_exec(s->db, sweeps_sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? sweep_add(s, w) : rc;
}
