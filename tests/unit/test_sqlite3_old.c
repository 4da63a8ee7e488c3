/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: a database of version 2 goes on, and its rows move to their days. */
#include <stdlib.h>

#include "sqlite3_help.h"
#include "unit.h"

/* As version 2 made them. */
#define OLD_BASE(name) \
	"CREATE TABLE " name \
	"(destroy_ns INTEGER NOT NULL, id INTEGER NOT NULL, start_ns INTEGER" \
	" NOT NULL, nsid INTEGER NOT NULL, end_ns INTEGER, proto INTEGER, src, dst, sport" \
	" INTEGER, dport INTEGER, orig_packets INTEGER, orig_bytes INTEGER, reply_packets" \
	" INTEGER, reply_bytes INTEGER, mark INTEGER, zone INTEGER, status INTEGER, tcp_state" \
	" INTEGER, end_reason INTEGER, nat_src, nat_sport INTEGER, nat_dst, nat_dport" \
	" INTEGER, icmp_type INTEGER, icmp_code INTEGER, PRIMARY KEY(destroy_ns, id," \
	" start_ns, nsid)) WITHOUT ROWID;"
#define OLD_OPEN \
	"CREATE TABLE flows_open_1(start_ns INTEGER NOT NULL, id INTEGER NOT NULL, nsid" \
	" INTEGER NOT NULL, proto INTEGER NOT NULL, src NOT NULL, dst NOT NULL, sport INTEGER" \
	" NOT NULL, dport INTEGER NOT NULL, seen_ns INTEGER NOT NULL, lost_ns INTEGER, source" \
	" TEXT NOT NULL, orig_packets INTEGER, orig_bytes INTEGER, reply_packets INTEGER," \
	" reply_bytes INTEGER, sum_orig_packets INTEGER, sum_orig_bytes INTEGER," \
	" sum_reply_packets INTEGER, sum_reply_bytes INTEGER, mark INTEGER, zone INTEGER," \
	" status INTEGER, tcp_state INTEGER, nat_src, nat_sport INTEGER, nat_dst, nat_dport" \
	" INTEGER, icmp_type INTEGER, icmp_code INTEGER, PRIMARY KEY(start_ns, id, nsid," \
	" proto, src, dst, sport, dport)) WITHOUT ROWID;"
#define OLD_META \
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;" \
	"INSERT INTO meta VALUES('format', 'ctflowd'), ('version', 2), ('stamped:flows'," \
	" 'flows_stamped_1'), ('received:flows', 'flows_received_1'), ('open:flows'," \
	" 'flows_open_1');" \
	"CREATE VIEW flows AS SELECT destroy_ns FROM flows_stamped_1;" \
	"CREATE VIEW open_flows AS SELECT start_ns FROM flows_open_1;"

/* Two days; IPv4 and 6, either side translated or none, ICMP, and what is absent. */
#define OLD_ROWS \
	"INSERT INTO flows_stamped_1 VALUES" \
	"(1795238256698540123, 4294967295, 1795238250000000001, -1, 1795238251000000002, 6," \
	" 167772161, 3405803783, 40000, 443, 5, 500, 6, 60000, 7, 3, 396, 7, 3, 3232235521," \
	" 61000, NULL, NULL, NULL, NULL)," \
	"(1795238256698540124, 5, 1795238250000000001, 4, 1795238256698540124, 6, 3405803783," \
	" 3221225985, 40000, 80, NULL, NULL, NULL, NULL, NULL, NULL, 398, 3, 3, NULL, NULL," \
	" 167772162, 8080, NULL, NULL)," \
	"(1795238256698540125, 6, 0, -1, NULL, 17, 'fd00::1', '2001:db8::7', 53, 65535, 1, 2," \
	" 3, 4, NULL, NULL, 392, NULL, 1, '2001:db8:1::9', 53, NULL, NULL, NULL, NULL)," \
	"(1795324656698540126, 7, 1795324650000000000, -1, 1795324655698540126, 1, 167772161," \
	" 134744072, NULL, NULL, 1, 84, 1, 84, NULL, NULL, 8, NULL, 1, 3405803777, NULL, " \
	"NULL," \
	" NULL, 8, 0)," \
	"(1795324656698540127, 8, 1795324650000000000, -1, 1795324655698540126, 58, " \
	"'fd00::1'," \
	" 'fd00::2', NULL, NULL, 1, 84, 0, 0, NULL, NULL, 8, NULL, 1, NULL, NULL, NULL, NULL," \
	" 128, 0);" \
	"INSERT INTO flows_received_1 VALUES" \
	"(1795238256698540123, -1, 0, -1, NULL, 6, 167772163, 167772164, 1, 2, NULL, NULL," \
	" NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);" \
	"INSERT INTO flows_open_1(start_ns, id, nsid, proto, src, dst, sport, dport, seen_ns," \
	" source, orig_packets, orig_bytes) VALUES(1795238250000000009, 9, -1, 6, 3405803783," \
	" 'fd00::9', 40000, 22, 1795238256698540129, 'ct', 10, 1000);"

#define ALL \
	"SELECT start_ns, end_ns, destroy_ns, start, \"end\", family, proto, src, sport, dst," \
	" dport, nat_src, nat_sport, nat_dst, nat_dport, icmp_type, icmp_code, orig_packets," \
	" orig_bytes, reply_packets, reply_bytes, mark, zone, nsid, id, status, tcp_state," \
	" end_reason, at_ns FROM flows ORDER BY at_ns, id"

static char *
old_open(struct plug **ret_plug)
{
	db_exec(OLD_META OLD_BASE("flows_stamped_1") OLD_BASE("flows_received_1")
			OLD_OPEN OLD_ROWS);
	*ret_plug = db_plug("flows", "");
	flow_put(*ret_plug, 1);
	deliver_ok(*ret_plug);
	return strdup(db_query(ALL));
}

START_TEST(moved)
{
	struct plug *p;
	char *before = old_open(&p);

	ck_assert_ptr_nonnull(strstr(before, "|2026-11-21T05:17:30.000000Z|"));
	ck_query("SELECT count(*) FROM flows_stamped_1", "5");
	for (unsigned i = 0; plug_spare(p) == 0; i++)
		ck_assert_uint_lt(i, 100);
	ck_assert_str_eq(db_query(ALL), before);
	ck_query("SELECT name FROM sqlite_master WHERE name LIKE 'flows_stamped%' OR name LIKE"
		 " 'flows_received%' OR name = 'flows_open_1'",
		 "");
	ck_query("SELECT key FROM meta WHERE key LIKE 'stamped:%' OR key LIKE 'received:%'",
		 "");
	ck_query("SELECT base, profile FROM days ORDER BY from_ns",
		 "flows_20261121|full\nflows_20261122|full");
	ck_query("SELECT sum(rows) FROM partitions", "7");
	ck_query("SELECT id, nat_src FROM flows_20261121 WHERE nat_sport = 61000 - 65536",
		 "-1|-1062731775");
	plug_free(p);
	free(before);
}
END_TEST

/* What is in both places, as after a copy by hand, is one row. */
START_TEST(repeated)
{
	struct plug *p;
	char *before = old_open(&p);

	while (plug_spare(p) == 0)
		;
	plug_free(p);
	db_exec(OLD_BASE("flows_stamped_1") "INSERT INTO meta VALUES('stamped:flows',"
					    " 'flows_stamped_1');");
	db_exec("INSERT INTO flows_stamped_1(destroy_ns, id, start_ns, nsid, proto) VALUES"
		"(1795238256698540123, 4294967295, 1795238250000000001, -1, 99)");
	p = db_plug("flows", "");
	while (plug_spare(p) == 0)
		;
	ck_assert_str_eq(db_query(ALL), before);
	plug_free(p);
	free(before);
}
END_TEST

/* They would lose something: they stay where they are. */
START_TEST(not_with_less)
{
	struct plug *p;

	db_exec(OLD_META OLD_BASE("flows_stamped_1") OLD_BASE("flows_received_1")
			OLD_OPEN OLD_ROWS);
	p = db_plug("flows", "profile=nat\n");
	flow_put(p, 1);
	deliver_ok(p);
	for (unsigned i = 0; plug_spare(p) == 0; i++)
		ck_assert_uint_lt(i, 100);
	ck_query("SELECT count(*), sum(orig_bytes) FROM flows", "7|670");
	ck_query("SELECT count(*) FROM flows_stamped_1", "5");
	plug_free(p);
}
END_TEST

/* Many, in more than one transaction, and a reader that finds all of them each time. */
START_TEST(many)
{
	struct plug *p;

	db_exec(OLD_META OLD_BASE("flows_stamped_1") OLD_BASE("flows_received_1") OLD_OPEN);
	db_exec("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)"
		" INSERT INTO flows_stamped_1(destroy_ns, id, start_ns, nsid, proto, src, dst,"
		" sport, dport, orig_bytes) SELECT 1795238256698540123 + i * 60000000000, i,"
		" 1795238256698540123, -1, 6, 167772161 + i, 167772161, i, 443, i FROM n");
	p = db_plug("flows", "");
	for (unsigned i = 0, was = 3000; was; i++) {
		plug_spare(p);
		ck_query("SELECT count(*), count(DISTINCT id), sum(orig_bytes) FROM flows",
			 "3000|3000|4498500");
		was = (unsigned)atoi(db_query("SELECT count(*) FROM meta WHERE key LIKE"
					      " 'stamped:%'"));
		ck_assert_uint_lt(i, 100);
	}
	ck_query("SELECT count(*), sum(rows) FROM (SELECT base, sum(rows) AS rows FROM "
		 "partitions"
		 " GROUP BY base)",
		 "3|3000");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, moved);
	tcase_add_test(t, repeated);
	tcase_add_test(t, not_with_less);
	tcase_add_test(t, many);
}

int
main(void)
{
	return unit_main("sqlite3_old", add_tests);
}
