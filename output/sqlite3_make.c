/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the native schema, made and brought up to date.
 *
 * A native table is a view over three base tables, named in `meta`: flows whose
 * stop conntrack told (key and destroy_ns are the same column, so that a range
 * of destroy_ns is a range of the key); flows known by their receive time only,
 * whose destroy_ns is NULL in the view; and those that live (sqlite3_open.c),
 * of which the view has the lost ones, and open_... the others.  gaps, coverage
 * and progress are shared by all outputs that use the file.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3_db.h"

#define APPLICATION_ID "0x6374666c" /* "ctfl" */

#define BASE \
	"CREATE TABLE \"%w\"(destroy_ns INTEGER NOT NULL, id INTEGER NOT NULL," \
	" start_ns INTEGER NOT NULL, nsid INTEGER NOT NULL, end_ns INTEGER, proto INTEGER," \
	" src, dst, sport INTEGER, dport INTEGER, orig_packets INTEGER, orig_bytes INTEGER," \
	" reply_packets INTEGER, reply_bytes INTEGER, mark INTEGER, zone INTEGER," \
	" status INTEGER, tcp_state INTEGER, end_reason INTEGER, nat_src, nat_sport INTEGER," \
	" nat_dst, nat_dport INTEGER, icmp_type INTEGER, icmp_code INTEGER," \
	" PRIMARY KEY(destroy_ns, id, start_ns, nsid)) WITHOUT ROWID;"

/* The key has no room for NULL: what is absent is -1, a start 0, an address ''. */
#define OPEN \
	"CREATE TABLE \"%w\"(start_ns INTEGER NOT NULL, id INTEGER NOT NULL," \
	" nsid INTEGER NOT NULL, proto INTEGER NOT NULL, src NOT NULL, dst NOT NULL," \
	" sport INTEGER NOT NULL, dport INTEGER NOT NULL, seen_ns INTEGER NOT NULL," \
	" lost_ns INTEGER, source TEXT NOT NULL, orig_packets INTEGER, orig_bytes INTEGER," \
	" reply_packets INTEGER, reply_bytes INTEGER, sum_orig_packets INTEGER," \
	" sum_orig_bytes INTEGER, sum_reply_packets INTEGER, sum_reply_bytes INTEGER," \
	" mark INTEGER, zone INTEGER, status INTEGER, tcp_state INTEGER, nat_src," \
	" nat_sport INTEGER, nat_dst, nat_dport INTEGER, icmp_type INTEGER," \
	" icmp_code INTEGER, PRIMARY KEY(start_ns, id, nsid, proto, src, dst, sport, dport))" \
	" WITHOUT ROWID;" \
	"CREATE INDEX \"%w_lost\" ON \"%w\"(lost_ns) WHERE lost_ns IS NOT NULL;"

/* In the base an absent start is 0, an absent id -1, the own namespace -1. */
#define ISO(x) \
	"strftime('%%Y-%%m-%%dT%%H:%%M:%%S', " x "/1000000000, 'unixepoch')" \
	"||printf('.%%06dZ', " x "/1000%%1000000)"
#define ADDR(x) \
	"CASE typeof(" x ") WHEN 'integer' THEN" \
	" (" x ">>24)||'.'||(" x ">>16&255)||'.'||(" x ">>8&255)||'.'||(" x "&255)" \
	" ELSE nullif(" x ", '') END"
#define INT(x) "CAST(" x " AS INTEGER)"
#define TOTAL(x) \
	INT("CASE WHEN sum_" x " IS NULL THEN " x " ELSE sum_" x " + ifnull(" x ", 0) END") \
	" AS " x

/* clang-format off */
#define ENDED \
	" id, start_ns, nsid, end_ns, proto, src, dst, sport, dport, orig_packets," \
	" orig_bytes, reply_packets, reply_bytes, mark, zone, status, tcp_state, end_reason," \
	" nat_src, nat_sport, nat_dst, nat_dport, icmp_type, icmp_code FROM \"%w\""
#define LIVES(end, reason) \
	" id, start_ns, nsid, " end ", " INT("nullif(proto, -1)") " AS proto, src, dst, " \
	INT("nullif(sport, -1)") " AS sport, " INT("nullif(dport, -1)") " AS dport, " \
	TOTAL("orig_packets") ", " TOTAL("orig_bytes") ", " TOTAL("reply_packets") ", " \
	TOTAL("reply_bytes") ", mark, zone, status, tcp_state, " reason "nat_src, nat_sport," \
	" nat_dst, nat_dport, icmp_type, icmp_code FROM \"%w\" WHERE lost_ns IS "

/* ctnetlink leaves a mark or zone out when it is 0, so that is what absent means. */
#define START "CASE WHEN start_ns THEN " ISO("start_ns") " END AS start,"
#define READABLE \
	" CASE typeof(src) WHEN 'integer' THEN 4 ELSE 6 END AS family, proto," \
	" " ADDR("src") " AS src, sport," \
	" " ADDR("dst") " AS dst, dport," \
	" " ADDR("nat_src") " AS nat_src, nat_sport," \
	" " ADDR("nat_dst") " AS nat_dst, nat_dport, icmp_type, icmp_code," \
	" orig_packets, orig_bytes, reply_packets, reply_bytes," \
	" coalesce(mark, 0) AS mark, coalesce(zone, 0) AS zone," \
	" nullif(nsid, -1) AS nsid, nullif(id, -1) AS id, status, tcp_state"

/*
 * The readable columns stand outside the UNION, so that a query which does not
 * show them does not compute them; the casts, which make the columns of all its
 * parts alike, let ORDER BY destroy_ns use the key.
 */
static const char view_sql[] =
	"CREATE VIEW \"%w\" AS SELECT nullif(start_ns, 0) AS start_ns, end_ns, destroy_ns,"
	" " START " " ISO("end_ns") " AS \"end\"," READABLE ", end_reason"
	" FROM (SELECT destroy_ns," ENDED
	" UNION ALL SELECT " INT("NULL") "," ENDED
	" UNION ALL SELECT " INT("NULL") "," LIVES(INT("NULL"), INT(SQ_REASON_LOST) ", ") "NOT NULL);";
static const char open_view_sql[] =
	"CREATE VIEW \"open_%w\" AS SELECT nullif(start_ns, 0) AS start_ns, seen_ns,"
	" " START " " ISO("seen_ns") " AS seen," READABLE
	" FROM (SELECT" LIVES("seen_ns", "") "NULL);";
/* clang-format on */

static const char shared_sql[] =
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO meta VALUES('format', 'ctflowd'), ('version', " SQ_SCHEMA ");"
	"UPDATE meta SET value = " SQ_SCHEMA " WHERE key = 'version' AND value < " SQ_SCHEMA ";"
	"CREATE TABLE IF NOT EXISTS gaps(from_ns INTEGER, to_ns INTEGER, cause TEXT,"
	" count INTEGER, count_is TEXT, nsid INTEGER, instance TEXT, output TEXT);"
	"CREATE TABLE IF NOT EXISTS coverage(from_ns INTEGER, last_alive_ns INTEGER,"
	" to_ns INTEGER, instance TEXT, nsid INTEGER, exporter TEXT, boot_id TEXT,"
	" event_mask INTEGER, acct INTEGER, timestamp INTEGER, events INTEGER,"
	" reliable INTEGER, selection TEXT, output TEXT, netns TEXT, abilities TEXT,"
	" clock_synchronised INTEGER, clock_error_ns INTEGER, offload INTEGER, gro INTEGER);";

static const char coverage_1_sql[] =
	"ALTER TABLE coverage ADD COLUMN netns TEXT;"
	"ALTER TABLE coverage ADD COLUMN abilities TEXT;"
	"ALTER TABLE coverage ADD COLUMN clock_synchronised INTEGER;"
	"ALTER TABLE coverage ADD COLUMN clock_error_ns INTEGER;"
	"ALTER TABLE coverage ADD COLUMN offload INTEGER;"
	"ALTER TABLE coverage ADD COLUMN gro INTEGER;";

/* Runs the formatted text unless sqlite_master has `name`. */
static int
make(sqlite3 *db, const char *name, char *sql)
{
	bool none = true;
	int rc = sql ? sq_text_is(db,
				  "SELECT count(*) FROM sqlite_master WHERE name = ?1 COLLATE "
				  "NOCASE"
				  " AND type IN ('table', 'view')",
				  name, "0", &none)
		     : SQLITE_NOMEM;

	if (rc == SQLITE_OK && none)
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return rc;
}

static int
names_make(const char *table, struct sq_table *t)
{
	if (!t->stamped && asprintf(&t->stamped, "%s_stamped_1", table) < 0)
		t->stamped = NULL;
	if (!t->received && asprintf(&t->received, "%s_received_1", table) < 0)
		t->received = NULL;
	if (!t->open && asprintf(&t->open, "%s_open_1", table) < 0)
		t->open = NULL;
	t->own = SQ_NATIVE;
	return t->stamped && t->received && t->open ? SQLITE_OK : SQLITE_NOMEM;
}

/* Runs the formatted text. */
static int
run(sqlite3 *db, char *sql)
{
	int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

static int
meta_write(sqlite3 *db, const char *table, const struct sq_table *t)
{
	return run(db, sqlite3_mprintf("INSERT OR IGNORE INTO meta VALUES('stamped:%q', %Q),"
				       " ('received:%q', %Q), ('open:%q', %Q)",
				       table, t->stamped, table, t->received, table, t->open));
}

static int
application_id_set(sqlite3 *db)
{
	bool none = false;
	int rc = sq_text_is(db, "PRAGMA application_id", NULL, "0", &none);

	if (rc == SQLITE_OK && none)
		rc = sqlite3_exec(db, "PRAGMA application_id = " APPLICATION_ID, NULL, NULL,
				  NULL);
	return rc;
}

static int
shared_make(sqlite3 *db)
{
	bool old = false;
	int rc = sqlite3_exec(db, shared_sql, NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sq_text_is(db,
				"SELECT count(*) FROM pragma_table_info('coverage')"
				" WHERE name = 'netns'",
				NULL, "0", &old);
	if (rc == SQLITE_OK && old)
		rc = sqlite3_exec(db, coverage_1_sql, NULL, NULL, NULL);
	return rc;
}

static int
bases_make(sqlite3 *db, const struct sq_table *t)
{
	int rc = make(db, t->stamped, sqlite3_mprintf(BASE, t->stamped));

	if (rc == SQLITE_OK)
		rc = make(db, t->received, sqlite3_mprintf(BASE, t->received));
	if (rc == SQLITE_OK)
		rc = make(db, t->open, sqlite3_mprintf(OPEN, t->open, t->open, t->open));
	return rc;
}

static int
views_make(sqlite3 *db, const char *table, const struct sq_table *t)
{
	char *name = sqlite3_mprintf("open_%s", table);
	int rc = make(db, table,
		      sqlite3_mprintf(view_sql, table, t->stamped, t->received, t->open));

	if (rc == SQLITE_OK)
		rc = name ? make(db, name, sqlite3_mprintf(open_view_sql, table, t->open))
			  : SQLITE_NOMEM;
	sqlite3_free(name);
	return rc;
}

/* Makes what is missing of it; within the caller's transaction. */
int
sq_native_create(sqlite3 *db, const char *table, struct sq_table *t)
{
	bool view_1 = t->own == SQ_NATIVE && !t->open;
	int rc = names_make(table, t);

	if (rc == SQLITE_OK)
		rc = shared_make(db);
	if (rc == SQLITE_OK)
		rc = bases_make(db, t);
	if (rc == SQLITE_OK && view_1)
		rc = run(db, sqlite3_mprintf("DROP VIEW IF EXISTS \"%w\"", table));
	if (rc == SQLITE_OK)
		rc = views_make(db, table, t);
	if (rc == SQLITE_OK)
		rc = meta_write(db, table, t);
	return rc == SQLITE_OK ? application_id_set(db) : rc;
}
