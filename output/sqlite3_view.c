/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the readable views.  That of a table has one arm for each day, and
 * two for what a version before 3 left; what can be read is made outside of the
 * UNION, so that a query which does not show it does not compute it, and a range
 * of at_ns, or ORDER BY at_ns, uses the keys.  The casts make the columns of all
 * arms alike, which that needs.
 */
#include "sqlite3_db.h"

/* clang-format off */
#define INT(x) "CAST(" x " AS INTEGER)"
#define NONE INT("NULL")

/* ---- the arms: rows as a base table has them ------------------------------ */

#define FULL \
	"SELECT at_ns, id, age_ns, ns, idle, proto, src, dst, sport, dport, orig_packets," \
	" orig_bytes, reply_packets, reply_bytes, status, tcp_state, end_reason, nat_src," \
	" nat_sport, nat_dst, nat_dport, mark, zone FROM \"%w\""
#define NAT \
	"SELECT at_ns, id, age_ns, ns, idle, proto, src, NULL, sport, " NONE ", " NONE \
	", " NONE ", " NONE ", " NONE ", " NONE ", " NONE ", " NONE ", nat_src," \
	" nat_sport, NULL, " NONE ", " NONE ", zone FROM \"%w\""
#define AGE(at) \
	INT("CASE WHEN start_ns = 0 THEN -1 WHEN " at " < start_ns THEN " at \
	" - start_ns - 1 ELSE " at " - start_ns END")
/* A version before 3: the text of IPv6, and numbers without sign. */
#define OLD(unstamped) \
	"SELECT destroy_ns, " INT("max(id, 0)") ", " AGE("destroy_ns") ", " \
	INT("(nsid + 1) * 4 + (id < 0) * 2 + " unstamped) ", " \
	INT("min(end_ns - destroy_ns, 0)") ", proto, src, dst, sport, " \
	INT("CASE WHEN icmp_type IS NULL THEN dport ELSE icmp_type << 8 | ifnull(icmp_code, 0)" \
	" END") ", orig_packets, orig_bytes, reply_packets, reply_bytes, status, tcp_state," \
	" end_reason, nat_src, nat_sport, nat_dst, nat_dport, mark, zone FROM \"%w\""
#define TOTAL(x) \
	INT("CASE WHEN sum_" x " IS NULL THEN " x " ELSE sum_" x " + ifnull(" x ", 0) END")
#define OPEN_PORT(x) INT("nullif(" x ", 65536)")
/* at, idle, reason, condition */
#define OPEN(at, idle, reason, cond) \
	"SELECT " at " AS at_ns, " INT("max(id, 0)") " AS id, " AGE(at) " AS age_ns, " \
	INT("(nsid + 1) * 4 + (id < 0) * 2 + 1") " AS ns, " idle " AS idle, " \
	INT("nullif(proto, -1)") " AS proto, src, dst, " OPEN_PORT("sport") " AS sport, " \
	OPEN_PORT("dport") " AS dport, " TOTAL("orig_packets") " AS orig_packets, " \
	TOTAL("orig_bytes") " AS orig_bytes, " TOTAL("reply_packets") " AS reply_packets, " \
	TOTAL("reply_bytes") " AS reply_bytes, status, tcp_state, " reason \
	" AS end_reason, nat_src, nat_sport, nat_dst, nat_dport, mark, zone FROM \"%w\"" \
	" WHERE lost_ns IS " cond

/* ---- what can be read ----------------------------------------------------- */

#define START \
	"CASE WHEN age_ns >= 0 THEN at_ns - age_ns WHEN age_ns < -1" \
	" THEN at_ns - age_ns - 1 END"
#define END "CASE WHEN idle >= 0 THEN at_ns - idle * 1000000 ELSE at_ns + idle END"
#define ISO(x) \
	"strftime('%%Y-%%m-%%dT%%H:%%M:%%S', (" x ")/1000000000, 'unixepoch')" \
	"||printf('.%%06dZ', (" x ")/1000%%1000000)"
#define PORT(x) x " & 65535 AS " x
#define ICMP "proto IN (1, 58)"
#define AT "coalesce(" END ", at_ns)"
#define NAMES(at) \
	SQ_NAME_OF("src", at) " AS src_name, " SQ_NAME_OF("dst", at) " AS dst_name"
/* clang-format on */

#define HEX(at) \
	"(instr('0123456789abcdef', substr(h, " at ", 1)) - 1) * 16 +" \
	" instr('0123456789abcdef', substr(h, " at " + 1, 1)) - 1"
#define V4 "(" HEX("25") ")||'.'||(" HEX("27") ")||'.'||(" HEX("29") ")||'.'||(" HEX("31") ")"
#define ZEROS "':0:0:0:0:0:0:0:0:'"
/* A subquery with an offset is not merged with the outer one: computed once. */
#define ONCE " LIMIT 1 OFFSET 0)"

/* The longest run of zeros, the first of them, gives way to "::" (RFC 5952). */
static const char ip6_sql[] =
	"(SELECT CASE WHEN n = 6 AND p = 1 THEN '::'||" V4
	" WHEN n = 5 AND p = 1 AND substr(h, 21, 4) = 'ffff' THEN '::ffff:'||" V4
	" WHEN n = 0 THEN trim(s, ':') ELSE substr(substr(s, 1, p - 1), 2)||'::'||"
	"rtrim(substr(s, p + 2 * n + 1), ':') END"
	" FROM (SELECT h, s, n, instr(s, substr(" ZEROS ", 1, 2 * n + 1)) AS p"
	" FROM (SELECT h, s, CASE WHEN NOT instr(s, ':0:0:') THEN 0"
	" WHEN instr(s, " ZEROS ") THEN 8 WHEN instr(s, ':0:0:0:0:0:0:0:') THEN 7"
	" WHEN instr(s, ':0:0:0:0:0:0:') THEN 6 WHEN instr(s, ':0:0:0:0:0:') THEN 5"
	" WHEN instr(s, ':0:0:0:0:') THEN 4 WHEN instr(s, ':0:0:0:') THEN 3 ELSE 2 END AS n"
	" FROM (SELECT h, replace(replace(replace("
	"':'||substr(h, 1, 4)||':'||substr(h, 5, 4)||':'||substr(h, 9, 4)||':'||"
	"substr(h, 13, 4)||':'||substr(h, 17, 4)||':'||substr(h, 21, 4)||':'||"
	"substr(h, 25, 4)||':'||substr(h, 29, 4), ':0', ':'), ':0', ':'), ':0', ':')||':' AS s"
	" FROM (SELECT lower(hex(%s)) AS h" ONCE ONCE ONCE ONCE ")";

void
sq_put_addr(sqlite3_str *sql, const char *x)
{
	sqlite3_str_appendf(sql,
			    "CASE typeof(%s) WHEN 'integer' THEN (%s>>24&255)||'.'||"
			    "(%s>>16&255)||'.'||(%s>>8&255)||'.'||(%s&255) WHEN 'blob' THEN ",
			    x, x, x, x, x);
	sqlite3_str_appendf(sql, ip6_sql, x);
	sqlite3_str_appendf(sql, " ELSE nullif(%s, '') END AS %s, ", x, x);
}

/* ctnetlink leaves a mark or zone out when it is 0, so that is what absent means. */
static void
put_readable(sqlite3_str *sql)
{
	sqlite3_str_appendall(sql, "CASE typeof(src) WHEN 'integer' THEN 4 WHEN 'null' THEN"
				   " NULL ELSE 6 END AS family, proto, ");
	sq_put_addr(sql, "src");
	sqlite3_str_appendall(sql, PORT("sport") ", ");
	sq_put_addr(sql, "dst");
	sqlite3_str_appendall(sql,
			      "CASE WHEN " ICMP " THEN NULL ELSE dport & 65535 END AS dport, ");
	sq_put_addr(sql, "nat_src");
	sqlite3_str_appendall(sql, PORT("nat_sport") ", ");
	sq_put_addr(sql, "nat_dst");
	sqlite3_str_appendall(
		sql, PORT("nat_dport") ", CASE WHEN " ICMP " THEN dport >> 8 & 255 END"
				       " AS icmp_type, CASE WHEN " ICMP
				       " THEN dport & 255 END AS icmp_code,"
				       " orig_packets, orig_bytes, reply_packets, reply_bytes,"
				       " coalesce(mark, 0) AS mark, coalesce(zone, 0) AS zone,"
				       " nullif((ns >> 2) - 1, -1) AS nsid,"
				       " CASE WHEN NOT ns & 2 THEN id & 4294967295 END AS id,"
				       " status, tcp_state");
}

/* Runs what was put together, and frees it. */
static int
run(sqlite3 *db, sqlite3_str *sql)
{
	char *text = sqlite3_str_finish(sql);
	int rc = text ? sqlite3_exec(db, text, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(text);
	return rc;
}

/* One arm for each row of `days`. */
static int
put_days(sqlite3 *db, sqlite3_str *sql, const char *table)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(
		db,
		"SELECT base, profile FROM days WHERE view = ?1 COLLATE NOCASE"
		" ORDER BY from_ns",
		-1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *base = (const char *)sqlite3_column_text(st, 0);
		const char *profile = (const char *)sqlite3_column_text(st, 1);

		if (!base || !profile)
			rc = SQLITE_NOMEM;
		else if (strcmp(profile, "nat") == 0)
			sqlite3_str_appendf(sql, " UNION ALL " NAT, base);
		else
			sqlite3_str_appendf(sql, " UNION ALL " FULL, base);
		rc = rc == SQLITE_ROW ? SQLITE_OK : rc;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
flows_make(sqlite3 *db, const char *table, const struct sq_table *t)
{
	sqlite3_str *sql = sqlite3_str_new(db);
	int rc, run_rc;

	sqlite3_str_appendf(
		sql,
		"DROP VIEW IF EXISTS \"%w\"; CREATE VIEW \"%w\" AS SELECT " START
		" AS start_ns, " END " AS end_ns, CASE WHEN NOT ns & 1 THEN at_ns END"
		" AS destroy_ns, " ISO(START) " AS start, " ISO(END) " AS \"end\", ",
		table, table);
	put_readable(sql);
	/* The arm that is always there names the columns. */
	sqlite3_str_appendf(sql,
			    ", end_reason, at_ns, " NAMES(AT) " FROM (" OPEN(
				    "lost_ns", NONE, INT(SQ_REASON_LOST), "NOT NULL"),
			    t->open);
	if (t->stamped)
		sqlite3_str_appendf(sql, " UNION ALL " OLD("0"), t->stamped);
	if (t->received)
		sqlite3_str_appendf(sql, " UNION ALL " OLD("1"), t->received);
	rc = put_days(db, sql, table);
	sqlite3_str_appendchar(sql, 1, ')');
	run_rc = run(db, sql);
	return rc == SQLITE_OK ? run_rc : rc;
}

static int
open_make(sqlite3 *db, const char *table, const struct sq_table *t)
{
	sqlite3_str *sql = sqlite3_str_new(db);

	sqlite3_str_appendf(
		sql,
		"DROP VIEW IF EXISTS \"open_%w\"; CREATE VIEW \"open_%w\" AS SELECT " START
		" AS start_ns, at_ns AS seen_ns, " ISO(START) " AS start, " ISO(
			"at_ns") " AS seen, ",
		table, table);
	put_readable(sql);
	sqlite3_str_appendf(
		sql, ", " NAMES("at_ns") " FROM (" OPEN("seen_ns", NONE, NONE, "NULL") ")",
		t->open);
	return run(db, sql);
}

int
sq_views_make(sqlite3 *db, const char *table, const struct sq_table *t)
{
	int rc = flows_make(db, table, t);

	return rc == SQLITE_OK ? open_make(db, table, t) : rc;
}
