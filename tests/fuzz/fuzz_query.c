/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people type after ctflow: a time, a length, an address; and an
 * expression, which SQLite must take as SQL for every kind of table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../query/open.h"
#include "../../query/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tables[] =
	"CREATE TABLE t(at_ns INTEGER, id, age_ns, ns, idle, proto, src, dst, sport, dport,"
	" orig_packets, orig_bytes, reply_packets, reply_bytes, status, tcp_state, end_reason,"
	" nat_src, nat_sport, nat_dst, nat_dport, mark, zone, destroy_ns, start_ns, nsid, "
	"end_ns,"
	" icmp_type, icmp_code, seen_ns, lost_ns, sum_orig_packets, sum_orig_bytes,"
	" sum_reply_packets, sum_reply_bytes);"
	"INSERT INTO t(at_ns, id, age_ns, ns, proto, src, dst, sport, dport, seen_ns, "
	"destroy_ns,"
	" start_ns, nsid) VALUES(5, 1, 2, 0, 6, 167772161, -1, 80, -3, 5, 5, 0, -1);";

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void
small_things(const char *text)
{
	struct q q = { .now_ns = INT64_C(1774785605250000000), .utc = strlen(text) % 2 != 0 };
	struct q_addr addr;
	struct ctf_err err;
	char out[Q_TIME_TEXT];
	int64_t ns, again;
	int port = -2;

	if (q_when(&q, text, &ns, &err) == 0 && ns >= 0) {
		q_time_iso(ns, out);
		must(q_when(&q, out, &again, &err) == 0 && again == ns, "another time");
	}
	if (q_length(text, &ns, &err) == 0)
		must(ns >= 0, "a negative length");
	if (q_addr_parse(text, &addr, &port, &err) == 0)
		must(addr.family && port >= -1 && port <= UINT16_MAX, "an address");
}

/* Every row answers 0 or 1. */
static void
answer(sqlite3 *db, const struct ctf_expr *e, enum layout layout)
{
	struct sql sql = { .layout = layout, .s = sqlite3_str_new(db), .first = 1 };
	sqlite3_stmt *st = NULL;
	char *text;
	int rc;

	sqlite3_str_appendall(sql.s, "SELECT ");
	sql_expr(&sql, ctf_expr_root(e));
	sqlite3_str_appendall(sql.s, " FROM t");
	text = sqlite3_str_finish(sql.s);
	rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);
	must(rc == SQLITE_OK, sqlite3_errmsg(db));
	must(sql_bind(&sql, st) == SQLITE_OK, "binding");
	must(sqlite3_step(st) == SQLITE_ROW, sqlite3_errmsg(db));
	must(sqlite3_column_type(st, 0) == SQLITE_INTEGER &&
		     sqlite3_column_int64(st, 0) >> 1 == 0,
	     "neither true nor false");
	sqlite3_finalize(st);
	sqlite3_free(text);
	sql_free(&sql);
}

static void
expression(char *text)
{
	struct ctf_expr *e;
	struct ctf_err err = { .msg = "" };
	sqlite3 *db;

	if (q_expr(1, &text, &e, &err) < 0)
		return;
	must(sqlite3_open(":memory:", &db) == SQLITE_OK && q_db_functions(db) == SQLITE_OK &&
		     sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK,
	     "a database");
	for (unsigned l = 0; l < LAYOUTS; l++)
		answer(db, e, (enum layout)l);
	sqlite3_close(db);
	ctf_expr_free(e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	must(text != NULL, "memory");
	small_things(text);
	if (!strchr(text, '@')) /* files are not the matter here */
		expression(text);
	free(text);
	return 0;
}
