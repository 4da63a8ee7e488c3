/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: what the configured table is, and the native schema.
 *
 * A native table is a view over two base tables, named in `meta`: flows whose
 * stop conntrack told (key and destroy_ns are the same column, so that a range
 * of destroy_ns is a range of the key) and flows known by their receive time
 * only, whose destroy_ns is NULL in the view.  gaps, coverage and progress are
 * shared by all outputs that use the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "sqlite3_db.h"

#define APPLICATION_ID "0x6374666c" /* "ctfl" */
#define SCHEMA "1"

#define BASE \
	"CREATE TABLE \"%w\"(destroy_ns INTEGER NOT NULL, id INTEGER NOT NULL," \
	" start_ns INTEGER NOT NULL, nsid INTEGER NOT NULL, end_ns INTEGER, proto INTEGER," \
	" src, dst, sport INTEGER, dport INTEGER, orig_packets INTEGER, orig_bytes INTEGER," \
	" reply_packets INTEGER, reply_bytes INTEGER, mark INTEGER, zone INTEGER," \
	" status INTEGER, tcp_state INTEGER, end_reason INTEGER, nat_src, nat_sport INTEGER," \
	" nat_dst, nat_dport INTEGER, icmp_type INTEGER, icmp_code INTEGER," \
	" PRIMARY KEY(destroy_ns, id, start_ns, nsid)) WITHOUT ROWID;"

/* In the base an absent start is 0, an absent id -1, the own namespace -1. */
#define ISO(x) \
	"strftime('%%Y-%%m-%%dT%%H:%%M:%%S', " x "/1000000000, 'unixepoch')" \
	"||printf('.%%06dZ', " x "/1000%%1000000)"
#define ADDR(x) \
	"CASE typeof(" x ") WHEN 'integer' THEN" \
	" (" x ">>24)||'.'||(" x ">>16&255)||'.'||(" x ">>8&255)||'.'||(" x "&255)" \
	" ELSE " x " END"
#define RAW \
	" id, start_ns, nsid, end_ns, proto, src, dst, sport, dport, orig_packets," \
	" orig_bytes, reply_packets, reply_bytes, mark, zone, status, tcp_state, end_reason," \
	" nat_src, nat_sport, nat_dst, nat_dport, icmp_type, icmp_code FROM \"%w\""

/*
 * The readable columns stand outside the UNION, so that a query which does not
 * show them does not compute them; the cast lets ORDER BY destroy_ns use the key.
 * ctnetlink leaves a mark or zone out when it is 0, so that is what absent means.
 */
/* clang-format off */
static const char view_sql[] =
	"CREATE VIEW \"%w\" AS SELECT nullif(start_ns, 0) AS start_ns, end_ns, destroy_ns,"
	" CASE WHEN start_ns THEN " ISO("start_ns") " END AS start,"
	" " ISO("end_ns") " AS \"end\","
	" CASE typeof(src) WHEN 'integer' THEN 4 ELSE 6 END AS family, proto,"
	" " ADDR("src") " AS src, sport,"
	" " ADDR("dst") " AS dst, dport,"
	" " ADDR("nat_src") " AS nat_src, nat_sport,"
	" " ADDR("nat_dst") " AS nat_dst, nat_dport, icmp_type, icmp_code,"
	" orig_packets, orig_bytes, reply_packets, reply_bytes,"
	" coalesce(mark, 0) AS mark, coalesce(zone, 0) AS zone,"
	" nullif(nsid, -1) AS nsid, nullif(id, -1) AS id, status, tcp_state, end_reason"
	" FROM (SELECT destroy_ns," RAW
	" UNION ALL SELECT CAST(NULL AS INTEGER)," RAW ");";
/* clang-format on */

static const char shared_sql[] =
	"CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO meta VALUES('format', 'ctflowd'), ('version', " SCHEMA ");"
	"CREATE TABLE IF NOT EXISTS gaps(from_ns INTEGER, to_ns INTEGER, cause TEXT,"
	" count INTEGER, count_is TEXT, nsid INTEGER, instance TEXT, output TEXT);"
	"CREATE TABLE IF NOT EXISTS coverage(from_ns INTEGER, last_alive_ns INTEGER,"
	" to_ns INTEGER, instance TEXT, nsid INTEGER, exporter TEXT, boot_id TEXT,"
	" event_mask INTEGER, acct INTEGER, timestamp INTEGER, events INTEGER,"
	" reliable INTEGER, selection TEXT, output TEXT);";

bool
sq_name_taken(const char *table)
{
	static const char *const taken[] = { "meta", "gaps", "coverage", "progress", SQ_ROWS };

	for (unsigned i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		if (strcasecmp(table, taken[i]) == 0)
			return true;
	return strncasecmp(table, "sqlite_", 7) == 0;
}

bool
sq_key_of(const char *column, char *ret_key, size_t size)
{
	size_t n = strlen(column);

	if (n >= size)
		return false;
	for (size_t i = 0; i <= n; i++)
		ret_key[i] = column[i] == '_' ? '.' : column[i];
	return true;
}

void
sq_table_free(struct sq_table *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->cols[i].name);
	free(t->cols);
	free(t->stamped);
	free(t->received);
	*t = (struct sq_table){ .own = SQ_UNKNOWN };
}

/* SQLite's own rules (datatype3.html, 3.1), but what is left is a number. */
static enum sq_as
as_of(const char *type)
{
	if (strcasestr(type, "INT"))
		return SQ_AS_INT;
	if (strcasestr(type, "CHAR") || strcasestr(type, "CLOB") || strcasestr(type, "TEXT"))
		return SQ_AS_TEXT;
	return strcasestr(type, "BLOB") ? SQ_AS_BLOB : SQ_AS_INT;
}

/* The first column of the first row: SQLITE_ROW with *ret_text, or a code. */
static int
text_query(sqlite3 *db, const char *sql, const char *arg, char **ret_text)
{
	sqlite3_stmt *st = NULL;
	const char *text;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK && arg)
		rc = sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 0);
		*ret_text = strdup(text ? text : "");
		if (!*ret_text)
			rc = SQLITE_NOMEM;
	}
	sqlite3_finalize(st);
	return rc;
}

/* Whether the first column of the first row is `want`. */
static int
text_is(sqlite3 *db, const char *sql, const char *arg, const char *want, bool *ret_same)
{
	char *text = NULL;
	int rc = text_query(db, sql, arg, &text);

	if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		*ret_same = rc == SQLITE_ROW && strcmp(text, want) == 0;
		rc = SQLITE_OK;
	}
	free(text);
	return rc;
}

static int
column_add(struct sq_table *t, const char *name, const char *type)
{
	struct sq_column *more = realloc(t->cols, (t->n + 1) * sizeof(*more));

	if (!more)
		return SQLITE_NOMEM;
	t->cols = more;
	more[t->n].as = as_of(type ? type : "");
	more[t->n].name = strdup(name ? name : "");
	if (!more[t->n].name)
		return SQLITE_NOMEM;
	t->n++;
	return SQLITE_OK;
}

static int
columns_look(sqlite3 *db, const char *table, struct sq_table *t)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT name, type FROM pragma_table_info(?1)", -1, &st,
				    NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = column_add(t, (const char *)sqlite3_column_text(st, 0),
				(const char *)sqlite3_column_text(st, 1));
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* A missing table is not made where something else has a name it needs. */
static int
place_look(sqlite3 *db, const char *table, bool ours, struct sq_table *t)
{
	static const char used[] = "SELECT name FROM sqlite_master WHERE name COLLATE NOCASE"
				   " IN (?1, 'meta', 'gaps', 'coverage', '" SQ_ROWS "')";
	static const char index[] = "SELECT name FROM sqlite_master WHERE name = ?1"
				    " COLLATE NOCASE";
	char *name = NULL;
	int rc = text_query(db, ours ? index : used, table, &name);

	if (rc == SQLITE_ROW)
		snprintf(t->why, sizeof(t->why),
			 "table \"%.40s\" cannot be made: its \"%.40s\" is not of our making",
			 table, name);
	free(name);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Names the base tables if `meta` is ours and knows the view. */
static int
native_look(sqlite3 *db, const char *table, struct sq_table *t, bool *ret_ours)
{
	static const char base[] = "SELECT value FROM meta WHERE key = ?1 COLLATE NOCASE";
	char key[300];
	bool version = false;
	int rc = text_is(db, base, "format", "ctflowd", ret_ours);

	/* There is none, or somebody else's has other columns. */
	if (rc == SQLITE_ERROR || !*ret_ours)
		return rc == SQLITE_ERROR ? SQLITE_OK : rc;
	rc = text_is(db, base, "version", SCHEMA, &version);
	if (rc != SQLITE_OK || !version)
		return rc != SQLITE_OK ? rc : SQLITE_MISMATCH;
	snprintf(key, sizeof(key), "stamped:%.256s", table);
	rc = text_query(db, base, key, &t->stamped);
	snprintf(key, sizeof(key), "received:%.256s", table);
	if (rc == SQLITE_ROW)
		rc = text_query(db, base, key, &t->received);
	if (rc == SQLITE_ROW)
		t->own = SQ_NATIVE;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* A view takes rows by a trigger only. */
static void
view_look(sqlite3 *db, const char *table, struct sq_table *t)
{
	char *sql = sqlite3_mprintf("INSERT INTO \"%w\" DEFAULT VALUES", table);
	sqlite3_stmt *st = NULL;

	if (sql && sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_ERROR)
		snprintf(t->why, sizeof(t->why), "%s", sqlite3_errmsg(db));
	sqlite3_finalize(st);
	sqlite3_free(sql);
}

int
sq_table_look(sqlite3 *db, const char *table, struct sq_table *ret_table)
{
	struct sq_table t = { .own = SQ_MISSING };
	bool is_table = false, is_view = false, ours = false;
	const char *sql = "SELECT type FROM sqlite_master WHERE name = ?1 COLLATE NOCASE"
			  " AND type IN ('table', 'view')";
	int rc = text_is(db, sql, table, "table", &is_table);

	if (rc == SQLITE_OK)
		rc = text_is(db, sql, table, "view", &is_view);
	if (rc == SQLITE_OK && !is_table)
		rc = native_look(db, table, &t, &ours);
	if (rc == SQLITE_OK && t.own == SQ_MISSING && (is_table || is_view)) {
		t.own = SQ_FOREIGN;
		rc = columns_look(db, table, &t);
		if (rc == SQLITE_OK && is_view)
			view_look(db, table, &t);
	} else if (rc == SQLITE_OK && t.own == SQ_MISSING) {
		rc = place_look(db, table, ours, &t);
	}
	if (rc == SQLITE_OK)
		*ret_table = t;
	else
		sq_table_free(&t);
	return rc;
}

/* Runs the formatted text unless sqlite_master has `name`. */
static int
make(sqlite3 *db, const char *name, char *sql)
{
	bool none = true;
	int rc = sql ? text_is(db,
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
	if (t->own == SQ_NATIVE) /* as meta says */
		return SQLITE_OK;
	sq_table_free(t);
	if (asprintf(&t->stamped, "%s_stamped_1", table) < 0)
		t->stamped = NULL;
	if (asprintf(&t->received, "%s_received_1", table) < 0)
		t->received = NULL;
	t->own = SQ_NATIVE;
	return t->stamped && t->received ? SQLITE_OK : SQLITE_NOMEM;
}

static int
meta_write(sqlite3 *db, const char *table, const struct sq_table *t)
{
	char *sql = sqlite3_mprintf("INSERT OR IGNORE INTO meta VALUES('stamped:%q', %Q),"
				    " ('received:%q', %Q)",
				    table, t->stamped, table, t->received);
	int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

static int
application_id_set(sqlite3 *db)
{
	bool none = false;
	int rc = text_is(db, "PRAGMA application_id", NULL, "0", &none);

	if (rc == SQLITE_OK && none)
		rc = sqlite3_exec(db, "PRAGMA application_id = " APPLICATION_ID, NULL, NULL,
				  NULL);
	return rc;
}

/* Makes what is missing of it; within the caller's transaction. */
int
sq_native_create(sqlite3 *db, const char *table, struct sq_table *t)
{
	int rc = names_make(table, t);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, shared_sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = make(db, t->stamped, sqlite3_mprintf(BASE, t->stamped));
	if (rc == SQLITE_OK)
		rc = make(db, t->received, sqlite3_mprintf(BASE, t->received));
	if (rc == SQLITE_OK)
		rc = make(db, table, sqlite3_mprintf(view_sql, table, t->stamped, t->received));
	if (rc == SQLITE_OK)
		rc = meta_write(db, table, t);
	return rc == SQLITE_OK ? application_id_set(db) : rc;
}
