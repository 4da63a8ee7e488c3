/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 with somebody else's table: ulogd2's columns, by declared type. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite3_help.h"
#include "unit.h"

static const char ulog_ct[] =
	"CREATE TABLE ulog_ct(flow_start_sec INT UNSIGNED, flow_start_usec INT UNSIGNED,"
	" flow_end_sec INT UNSIGNED, flow_end_usec INT UNSIGNED, orig_ip_saddr INT UNSIGNED,"
	" orig_ip_daddr INT UNSIGNED, orig_l4_sport SMALLINT UNSIGNED,"
	" orig_l4_dport SMALLINT UNSIGNED, orig_ip_protocol TINYINT UNSIGNED,"
	" icmp_type TINYINT UNSIGNED, icmp_code TINYINT UNSIGNED, orig_raw_pktlen INT UNSIGNED,"
	" orig_raw_pktcount INT UNSIGNED, reply_raw_pktlen INT UNSIGNED,"
	" reply_raw_pktcount INT UNSIGNED, ct_mark INT UNSIGNED)";

static void
times_put(struct plug *p, uint64_t start_usec, uint64_t end_usec)
{
	plug_num(p, "flow.start.sec", 1795238256);
	plug_num(p, "flow.start.usec", start_usec);
	plug_num(p, "flow.end.sec", 1795238257);
	plug_num(p, "flow.end.usec", end_usec);
}

static void
tuple_put(struct plug *p, int family, int event, unsigned proto, const char *src,
	  const char *dst)
{
	plug_rec(p, family, event, T0);
	plug_ip(p, "orig.ip.saddr", src);
	plug_ip(p, "orig.ip.daddr", dst);
	plug_num(p, "orig.ip.protocol", proto);
}

static void
counters_put(struct plug *p, uint64_t bytes, uint64_t packets, uint64_t rbytes,
	     uint64_t rpackets)
{
	plug_num(p, "orig.raw.pktlen", bytes);
	plug_num(p, "orig.raw.pktcount", packets);
	plug_num(p, "reply.raw.pktlen", rbytes);
	plug_num(p, "reply.raw.pktcount", rpackets);
}

/* The numbers ulogd2 2.0.8 stored, but no address of an IPv6 flow. */
START_TEST(as_ulogd2)
{
	struct plug *p;

	db_exec(ulog_ct);
	p = db_plug("ulog_ct", "");
	tuple_put(p, AF_INET, CTF_DESTROY, 17, "10.77.0.1", "10.77.0.2");
	times_put(p, 698540, 696919);
	plug_num(p, "orig.l4.sport", 40001);
	plug_num(p, "orig.l4.dport", 5300);
	counters_put(p, 58, 1, 88, 1);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	tuple_put(p, AF_INET6, CTF_DESTROY, 58, "fd77::1", "fd77::2");
	times_put(p, 698360, 698354);
	counters_put(p, 104, 1, 104, 1);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	tuple_put(p, AF_INET, CTF_DESTROY, 1, "10.77.0.1", "10.77.0.2");
	times_put(p, 698179, 697818);
	plug_num(p, "icmp.type", 8);
	plug_num(p, "icmp.code", 0);
	counters_put(p, 84, 1, 84, 1);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT * FROM ulog_ct",
		 "1795238256|698540|1795238257|696919|16796938|33574154|40001|5300|17|||58|1|"
		 "88|1|0\n"
		 "1795238256|698360|1795238257|698354|||||58|||104|1|104|1|0\n"
		 "1795238256|698179|1795238257|697818|16796938|33574154|||1|8|0|84|1|84|1|0");
	/* The journal stays as it was, and beside the table there is progress only. */
	ck_query("PRAGMA journal_mode; PRAGMA application_id;"
		 " SELECT name FROM sqlite_master WHERE type = 'table'",
		 "delete\n0\nulog_ct\nprogress");
	plug_free(p);
}
END_TEST

START_TEST(never_negative)
{
	struct plug *p;

	db_exec("CREATE TABLE t(orig_ip_saddr INT, ct_mark INT, ct_id INT, orig_raw_pktlen "
		"INT)");
	p = db_plug("t", "");
	tuple_put(p, AF_INET, CTF_DESTROY, 6, "203.0.113.255", "1.1.1.1");
	plug_num(p, "ct.mark", 0xffffffff);
	plug_num(p, "ct.id", 0x80000000);
	plug_num(p, "orig.raw.pktlen", UINT64_MAX);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT * FROM t", "4285595851|4294967295|2147483648|9223372036854775807");
	plug_free(p);
}
END_TEST

/* A view with a trigger takes rows as a table does. */
START_TEST(view_with_trigger)
{
	struct plug *p;

	db_exec("CREATE TABLE t(id INT); CREATE VIEW v(ct_id) AS SELECT id FROM t;"
		" CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN"
		" INSERT INTO t VALUES(new.ct_id); END");
	p = db_plug("V", "");
	flows_put(p, 0, 3);
	deliver_ok(p);
	ck_query("SELECT * FROM t", "0\n1\n2");
	plug_free(p);
}
END_TEST

/* 0 only where ulogd2 prints it. */
START_TEST(absent)
{
	struct plug *p;

	db_exec("CREATE TABLE t(ct_mark INT, orig_raw_pktlen INT, reply_raw_pktcount INT,"
		" oob_protocol INT, flow_start_sec INT, orig_l4_sport INT, ct_zone INT)");
	p = db_plug("t", "");
	plug_rec(p, AF_INET, CTF_NEW, T0);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT * FROM t", "0|0|0|0|||");
	plug_free(p);
}
END_TEST

START_TEST(every_event)
{
	struct plug *p;

	db_exec("CREATE TABLE t(ct_event INT)");
	p = db_plug("t", "");
	for (int event = CTF_NEW; event <= CTF_DESTROY; event *= 2) {
		plug_rec(p, AF_INET, event, T0);
		plug_num(p, "ct.event", (uint64_t)event);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	deliver_ok(p);
	ck_query("SELECT * FROM t", "1\n2\n4");
	plug_free(p);
}
END_TEST

START_TEST(declared_types)
{
	static const uint8_t labels[16] = { 1, [15] = 0xfe };
	struct plug *p;

	db_exec("CREATE TABLE t(orig_ip_saddr TEXT, orig_ip_daddr BLOB, orig_l4_sport "
		"VARCHAR(5),"
		" reply_ip_saddr, ct_labels BLOB, flow_destroy_ns TEXT, flow_last_ns INTEGER,"
		" orig_ip_saddr_str TEXT, ct_helper TEXT)");
	p = db_plug("t", "");
	for (int i = 0; i < 2; i++) {
		tuple_put(p, i ? AF_INET6 : AF_INET, CTF_DESTROY, 6, i ? "fd77::1" : "10.0.0.1",
			  i ? "fd77::2" : "10.0.0.2");
		plug_ip(p, "reply.ip.saddr", i ? "fd77::2" : "0.0.0.128");
		plug_num(p, "orig.l4.sport", 80);
		plug_bytes(p, "ct.labels", labels, 16);
		plug_num(p, "flow.destroy.ns", T0);
		plug_num(p, "flow.last.ns", T0);
		plug_text(p, "orig.ip.saddr.str", "some 'text'");
		plug_text(p, "ct.helper", "");
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	deliver_ok(p);
	ck_query("SELECT orig_ip_saddr, hex(orig_ip_daddr), orig_l4_sport, "
		 "typeof(orig_l4_sport),"
		 " reply_ip_saddr, hex(ct_labels), flow_destroy_ns, flow_last_ns,"
		 " orig_ip_saddr_str, quote(ct_helper) FROM t",
		 "10.0.0.1|0A000002|80|text|2147483648|010000000000000000000000000000FE|"
		 "2026-11-21T05:17:36.698540Z|1795238256698540123|some 'text'|''\n"
		 "fd77::1|FD770000000000000000000000000002|80|text||"
		 "010000000000000000000000000000FE|"
		 "2026-11-21T05:17:36.698540Z|1795238256698540123|some 'text'|''");
	plug_free(p);
}
END_TEST

/* As IP2HBIN means it: a number in host order, which IPv6 is too long for. */
START_TEST(host_order)
{
	struct plug *p;

	db_exec("CREATE TABLE t(orig_ip_saddr INT, orig_ip_hsaddr INT, orig_ip_hdaddr, "
		"reply_ip_hsaddr TEXT)");
	p = db_plug("t", "");
	for (int i = 0; i < 2; i++) {
		const char *addr = i ? "fd77::1" : "203.0.113.1";

		tuple_put(p, i ? AF_INET6 : AF_INET, CTF_DESTROY, 6, addr, addr);
		plug_ip(p, "orig.ip.hsaddr", addr);
		plug_ip(p, "orig.ip.hdaddr", addr);
		plug_ip(p, "reply.ip.hsaddr", addr);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	deliver_ok(p);
	ck_query("SELECT * FROM t", "24182987|3405803777|3405803777|203.0.113.1\n|||fd77::1");
	plug_free(p);
}
END_TEST

START_TEST(unknown_columns_are_named)
{
	struct ctf_err err;
	char options[256];

	db_exec("CREATE TABLE t(id INTEGER PRIMARY KEY, ct_mark INT, when_seen TEXT)");
	snprintf(options, sizeof(options), "db=%s\ntable=t\n", db_path());
	ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "id"));
	ck_assert_ptr_nonnull(strstr(err.msg, "when_seen"));
	ck_assert_ptr_null(strstr(err.msg, "ct_mark"));
	ck_assert_ptr_nonnull(strstr(err.msg, db_path()));
}
END_TEST

/* What begins with '_' is not ours to fill, as in ulogd2's tables for PostgreSQL. */
START_TEST(own_columns)
{
	struct ctf_err err;
	struct plug *p;
	char options[256];

	db_exec("CREATE TABLE t(_ct_id INTEGER PRIMARY KEY, ct_id INT, _seen TEXT DEFAULT "
		"'no')");
	p = db_plug("t", "");
	flows_put(p, 8, 10);
	deliver_ok(p);
	ck_query("SELECT * FROM t", "1|8|no\n2|9|no");
	plug_free(p);
	db_exec("DROP TABLE t; CREATE TABLE t(_ct_id INTEGER PRIMARY KEY)");
	snprintf(options, sizeof(options), "db=%s\ntable=t\n", db_path());
	ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "\"t\" has no column to fill"));
}
END_TEST

/* A table may refuse rows: they are skipped, the rest is stored. */
START_TEST(refused_rows)
{
	static const char *const how[] = {
		"CREATE TABLE t(ct_id INT NOT NULL, ct_mark INT CHECK(ct_mark < 10))",
		"CREATE TABLE t(ct_id INT NOT NULL, ct_mark INT,"
		" CHECK(ct_mark < 10) ON CONFLICT ROLLBACK)",
		"CREATE TABLE t(ct_id INT NOT NULL ON CONFLICT ROLLBACK, ct_mark INT"
		" CHECK(ct_mark < 10))",
	};
	struct ctf_err err;
	struct plug *p;

	for (unsigned i = 0; i < COUNT(how); i++) {
		db_exec("DROP TABLE IF EXISTS t");
		db_exec(how[i]);
		p = db_plug("t", "");
		for (unsigned k = 0; k < 20; k++) {
			plug_rec(p, AF_INET, CTF_DESTROY, T0);
			plug_num(p, "ct.mark", k);
			if (k != 3)
				plug_num(p, "ct.id", k);
			ck_assert_int_eq(plug_encode(p), CTF_OK);
		}
		plug_seal(p);
		if (plug_deliver(p, &err) == CTF_RETRY)
			plug_close(p); /* as the core does */
		deliver_ok(p);
		ck_query("SELECT count(*), sum(ct_mark) FROM t", "9|42");
		plug_free(p);
	}
}
END_TEST

/* A table can be replaced by another one while we run. */
START_TEST(table_replaced)
{
	struct ctf_err err;
	struct plug *p;

	db_exec("CREATE TABLE t(ct_id INT, ct_mark INT)");
	p = db_plug("t", "");
	flow_put(p, 1);
	deliver_ok(p);
	db_exec("DROP TABLE t");
	flow_put(p, 2);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "t"));
	plug_close(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "\"t\" is gone"));
	db_exec("CREATE TABLE t(ct_mark INT, ct_id TEXT)");
	deliver_ok(p);
	db_exec("ALTER TABLE t RENAME COLUMN ct_mark TO x");
	flow_put(p, 3);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	plug_close(p);
	deliver_ok(p);
	db_exec("DROP TABLE t; CREATE TABLE t(ct_id INT)");
	flow_put(p, 4);
	plug_seal(p);
	if (plug_deliver(p, &err) == CTF_RETRY)
		plug_close(p);
	deliver_ok(p);
	ck_query("SELECT * FROM t", "4");
	db_exec("ALTER TABLE t ADD COLUMN ct_mark INT");
	flow_put(p, 5);
	deliver_ok(p);
	flow_put(p, 6);
	deliver_ok(p);
	ck_query("SELECT ct_id, ct_mark FROM t", "4|\n5|\n6|0");
	plug_free(p);
}
END_TEST

/* What was committed is not stored again after a lost connection. */
START_TEST(exactly_once)
{
	struct plug *p;

	db_exec("CREATE TABLE t(ct_id INT)");
	p = db_plug("t", "");
	for (unsigned i = 0; i < 10; i++) {
		flows_put(p, 10 * i, 10 * i + 10);
		plug_seal(p);
	}
	deliver_ok(p);
	plug_close(p);
	plug_rewind(p, 4);
	flows_put(p, 100, 110);
	deliver_ok(p);
	plug_rewind(p, 0);
	deliver_ok(p);
	ck_query("SELECT count(*), count(DISTINCT ct_id) FROM t", "110|110");
	plug_free(p);
	/* A new run begins at frame 1 again: these are other frames. */
	p = db_plug("t", "");
	flow_put(p, 200);
	deliver_ok(p);
	ck_query("SELECT count(*), max(ct_id) FROM t", "111|200");
	plug_free(p);
}
END_TEST

START_TEST(gaps_stay_out)
{
	struct ctf_gap g = { T0, T0, 1, CTF_EXACT, "overrun", "ct1", -1 };
	struct ctf_coverage c = { .from_ns = 1, .instance = "ct1" };
	struct plug *p;

	db_exec(ulog_ct);
	p = db_plug("ulog_ct", "");
	ck_assert_int_eq(plug_gap(p, &g), CTF_SKIP);
	ck_assert_int_eq(plug_coverage(p, &c), CTF_SKIP);
	plug_free(p);
}
END_TEST

/* Looking at a table makes no file and changes none, WAL or not. */
START_TEST(probe_leaves_no_trace)
{
	char options[256];
	struct ctf_err err;

	snprintf(options, sizeof(options), "db=%s\ntable=ulog_ct\n", db_path());
	ck_assert_int_eq(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
	ck_assert_int_lt(access(db_path(), F_OK), 0);
	db_exec(ulog_ct);
	for (int wal = 0; wal < 2; wal++) {
		if (wal)
			db_exec("PRAGMA journal_mode=WAL; DELETE FROM ulog_ct");
		ck_assert_int_eq(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
		ck_assert_int_lt(access(db_beside("-wal"), F_OK), 0);
		ck_assert_int_lt(access(db_beside("-shm"), F_OK), 0);
		ck_assert_int_lt(access(db_beside("-journal"), F_OK), 0);
	}
}
END_TEST

/* The columns are known although another process is writing, whatever the name. */
START_TEST(probe_beside_a_writer)
{
	static const char *const suffix[] = { "", "?mode=rw#%41" };
	struct ctf_err err;
	char options[256];
	sqlite3 *writer;

	for (unsigned i = 0; i < 2; i++) {
		const char *path = db_beside(suffix[i]);

		ck_assert_int_eq(sqlite3_open(path, &writer), SQLITE_OK);
		ck_assert_int_eq(sqlite3_exec(writer,
					      "PRAGMA journal_mode=WAL;"
					      "CREATE TABLE t(ct_id INT, nonsense INT)",
					      NULL, NULL, NULL),
				 SQLITE_OK);
		snprintf(options, sizeof(options), "db=\"%s\"\ntable=t\n", path);
		ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
		ck_assert_msg(strstr(err.msg, "nonsense"), "%s", err.msg);
		sqlite3_close(writer);
		ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
		ck_assert_msg(strstr(err.msg, "nonsense"), "%s", err.msg);
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, as_ulogd2);
	tcase_add_test(t, never_negative);
	tcase_add_test(t, view_with_trigger);
	tcase_add_test(t, absent);
	tcase_add_test(t, every_event);
	tcase_add_test(t, declared_types);
	tcase_add_test(t, host_order);
	tcase_add_test(t, unknown_columns_are_named);
	tcase_add_test(t, own_columns);
	tcase_add_test(t, refused_rows);
	tcase_add_test(t, table_replaced);
	tcase_add_test(t, exactly_once);
	tcase_add_test(t, gaps_stay_out);
	tcase_add_test(t, probe_leaves_no_trace);
	tcase_add_test(t, probe_beside_a_writer);
}

int
main(void)
{
	return unit_main("sqlite3_foreign", add_tests);
}
