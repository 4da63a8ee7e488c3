/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the native schema, made and brought up to date.
 *
 * A native table is a view over the tables of its days (sqlite3_days.c), and the
 * table of those flows that live (sqlite3_open.c), of which it has the lost ones,
 * and open_... the others.  gaps, coverage, progress and the catalog are shared
 * by all outputs that use the file.  A version before 3 had two tables for all
 * days; they stay where they are.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3_db.h"

#define APPLICATION_ID "0x6374666c" /* "ctfl" */
#define OPEN_NAME "_open_3"

/* The key has no room for NULL: what is absent is -1, a start 0, an address ''. */
#define OPEN \
	"CREATE TABLE \"%w\"(start_ns INTEGER NOT NULL, id INTEGER NOT NULL," \
	" nsid INTEGER NOT NULL, proto INTEGER NOT NULL, src NOT NULL, dst NOT NULL," \
	" sport INTEGER NOT NULL, dport INTEGER NOT NULL, seen_ns INTEGER NOT NULL," \
	" lost_ns INTEGER, source TEXT NOT NULL, orig_packets INTEGER, orig_bytes INTEGER," \
	" reply_packets INTEGER, reply_bytes INTEGER, sum_orig_packets INTEGER," \
	" sum_orig_bytes INTEGER, sum_reply_packets INTEGER, sum_reply_bytes INTEGER," \
	" mark INTEGER, zone INTEGER, status INTEGER, tcp_state INTEGER, nat_src," \
	" nat_sport INTEGER, nat_dst, nat_dport INTEGER," \
	" PRIMARY KEY(start_ns, id, nsid, proto, src, dst, sport, dport)) WITHOUT ROWID;" \
	"CREATE INDEX \"%w_lost\" ON \"%w\"(lost_ns) WHERE lost_ns IS NOT NULL;"

/* What lived when a version before 3 was stopped. */
#define OLD_PORT(x) "((" x " + 32768) & 65535) - 32768"
#define OLD_KEY(x) "CASE WHEN " x " < 0 THEN 65536 ELSE " OLD_PORT(x) " END"
#define OLD_ICMP \
	"CASE WHEN icmp_type IS NULL THEN " OLD_KEY("dport") " ELSE " OLD_PORT( \
		"(icmp_type << 8 | ifnull(icmp_code, 0))") " END"
#define OLD_OPEN \
	"INSERT OR IGNORE INTO \"%w\" SELECT start_ns, id, nsid, proto, ctflow_addr(src)," \
	" ctflow_addr(dst), " OLD_KEY( \
		"sport") ", " OLD_ICMP ", seen_ns, lost_ns, source," \
			 " orig_packets, orig_bytes, reply_packets, reply_bytes, " \
			 "sum_orig_packets," \
			 " sum_orig_bytes, sum_reply_packets, sum_reply_bytes, mark, zone, " \
			 "status, tcp_state," \
			 " ctflow_addr(nat_src), " OLD_PORT( \
				 "nat_sport") ", " \
					      "ctflow_addr(nat_" \
					      "dst), " OLD_PORT( \
						      "nat_dport") " FROM \"%w\"; DROP TABLE " \
								   "\"%w\";"

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
	" clock_synchronised INTEGER, clock_error_ns INTEGER, offload INTEGER, gro INTEGER);"
	"CREATE TABLE IF NOT EXISTS days(view TEXT NOT NULL COLLATE NOCASE,"
	" from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, base TEXT NOT NULL,"
	" profile TEXT NOT NULL, PRIMARY KEY(view, from_ns)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS partitions(view TEXT NOT NULL COLLATE NOCASE,"
	" from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, base TEXT NOT NULL, run INTEGER,"
	" shift INTEGER, state TEXT NOT NULL, rows INTEGER NOT NULL DEFAULT 0, start_ns "
	"INTEGER,"
	" nostart INTEGER NOT NULL DEFAULT 0, end_ns INTEGER, last_ns INTEGER,"
	" PRIMARY KEY(view, from_ns)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS partitions_state ON partitions(view, state, from_ns);"
	"DELETE FROM partitions WHERE base NOT IN (SELECT name FROM sqlite_master);"
	"DELETE FROM days WHERE base NOT IN (SELECT name FROM sqlite_master);" SQ_NAMES_SQL;

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

/* SQL function: an address as it is stored now. */
static void
addr_convert(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	const char *text;
	uint8_t ip[16];

	switch (sqlite3_value_type(argv[0])) {
	case SQLITE_INTEGER:
		sqlite3_result_int(ctx, (int32_t)(uint32_t)sqlite3_value_int64(argv[0]));
		return;
	case SQLITE_TEXT:
		text = (const char *)sqlite3_value_text(argv[0]);
		if (text && inet_pton(AF_INET6, text, ip) == 1) {
			sqlite3_result_blob(ctx, ip, sizeof(ip), SQLITE_TRANSIENT);
			return;
		}
	}
	sqlite3_result_value(ctx, argv[0]);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* The table of open flows, with what an older one has. */
static int
open_make(sqlite3 *db, const char *table, struct sq_table *t)
{
	char *old = t->open && !ends_with(t->open, OPEN_NAME) ? t->open : NULL, *name = t->open;
	int rc;

	if ((!name || old) && asprintf(&name, "%s" OPEN_NAME, table) < 0)
		return SQLITE_NOMEM;
	t->open = name;
	rc = make(db, name, sqlite3_mprintf(OPEN, name, name, name));
	if (rc == SQLITE_OK && old)
		rc = sqlite3_create_function(db, "ctflow_addr", 1,
					     SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
					     addr_convert, NULL, NULL);
	if (rc == SQLITE_OK && old)
		rc = sq_exec(db, sqlite3_mprintf(OLD_OPEN, name, old, old));
	free(old);
	if (rc == SQLITE_OK)
		rc = sq_exec(
			db, sqlite3_mprintf("INSERT OR REPLACE INTO meta VALUES('open:%q', %Q)",
					    table, name));
	return rc;
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

/* Makes what is missing of it; within the caller's transaction. */
int
sq_native_create(sqlite3 *db, const char *table, struct sq_table *t)
{
	int rc = shared_make(db);

	if (rc == SQLITE_OK)
		rc = open_make(db, table, t);
	if (rc == SQLITE_OK)
		rc = sq_views_make(db, table, t);
	t->own = SQ_NATIVE;
	return rc == SQLITE_OK ? application_id_set(db) : rc;
}
