/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 with a schema of its own: what the view says of what was encoded. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite3_help.h"
#include "unit.h"

START_TEST(flow_v4)
{
	struct plug *p = db_plug("flows", "");

	plug_rec(p, AF_INET, CTF_DESTROY, T0 + 9);
	plug_ip(p, "orig.ip.saddr", "10.77.0.1");
	plug_ip(p, "orig.ip.daddr", "203.0.113.254");
	plug_ip(p, "reply.ip.saddr", "203.0.113.254");
	plug_ip(p, "reply.ip.daddr", "10.77.0.1");
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "orig.l4.sport", 65535);
	plug_num(p, "orig.l4.dport", 443);
	plug_num(p, "reply.l4.sport", 443);
	plug_num(p, "reply.l4.dport", 65535);
	plug_num(p, "orig.raw.pktcount", 5);
	plug_num(p, "orig.raw.pktlen", UINT64_C(5000000000));
	plug_num(p, "reply.raw.pktcount", 4);
	plug_num(p, "reply.raw.pktlen", 294);
	plug_num(p, "ct.mark", 0xfffffffe);
	plug_num(p, "ct.zone", 7);
	plug_num(p, "ct.nsid", 3);
	plug_num(p, "ct.id", 0x80000001);
	plug_num(p, "ct.status", 398);
	plug_num(p, "ct.tcp.state", 7);
	plug_num(p, "flow.end.reason", 3);
	plug_num(p, "flow.start.ns", T0 - 3000000000);
	plug_num(p, "flow.last.ns", T0 - 1000000000);
	plug_num(p, "flow.destroy.ns", T0);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query(
		"SELECT start_ns, end_ns, destroy_ns, start, end, family, proto, src, sport, "
		"dst,"
		" dport, nat_src, nat_sport, nat_dst, nat_dport, icmp_type, icmp_code,"
		" orig_packets, orig_bytes, reply_packets, reply_bytes, mark, zone, nsid, id,"
		" status, tcp_state, end_reason FROM flows",
		"1795238253698540123|1795238255698540123|1795238256698540123|"
		"2026-11-21T05:17:33.698540Z|2026-11-21T05:17:35.698540Z|4|6|10.77.0.1|65535|"
		"203.0.113.254|443|||||||5|5000000000|4|294|4294967294|7|3|2147483649|398|7|3");
	ck_query("SELECT name FROM pragma_table_info('flows') LIMIT 3",
		 "start_ns\nend_ns\ndestroy_ns");
	ck_query("PRAGMA application_id; PRAGMA journal_mode", "1668572780\nwal");
	plug_free(p);
}
END_TEST

/* SELECT * and CSV exports depend on it. */
START_TEST(columns_in_order)
{
	struct plug *p = db_plug("flows", "");

	deliver_ok(p);
	ck_query(
		"SELECT group_concat(name, ' ') FROM pragma_table_info('flows')",
		"start_ns end_ns destroy_ns start end family proto src sport dst dport nat_src "
		"nat_sport nat_dst nat_dport icmp_type icmp_code orig_packets orig_bytes "
		"reply_packets reply_bytes mark zone nsid id status tcp_state end_reason "
		"at_ns src_name dst_name");
	ck_query("SELECT group_concat(name, ' ') FROM pragma_table_info('gaps')",
		 "from_ns to_ns cause count count_is nsid instance output");
	plug_free(p);
}
END_TEST

START_TEST(unknown_is_null)
{
	struct plug *p = db_plug("flows", "");

	plug_rec(p, AF_INET, CTF_DESTROY, T0);
	plug_ip(p, "orig.ip.saddr", "1.2.3.4");
	plug_ip(p, "orig.ip.daddr", "255.255.255.255");
	plug_num(p, "orig.ip.protocol", 47);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT src, dst, proto, family, start_ns, end_ns, destroy_ns, start, end, "
		 "sport,"
		 " orig_packets, reply_bytes, mark, zone, nsid, id, status, tcp_state, "
		 "end_reason"
		 " FROM flows",
		 "1.2.3.4|255.255.255.255|47|4|||||||||0|0|||||");
	/* Its place in the table is the receive time. */
	ck_query("SELECT at_ns FROM flows", "1795238256698540123");
	plug_free(p);
}
END_TEST

/* nat_*: NULL without NAT, address and port together on the side translated. */
static void
nat_flow(struct plug *p, int family, const char *const ip[4], const unsigned port[4],
	 unsigned id)
{
	plug_rec(p, family, CTF_DESTROY, T0);
	plug_ip(p, "orig.ip.saddr", ip[0]);
	plug_ip(p, "orig.ip.daddr", ip[1]);
	plug_ip(p, "reply.ip.saddr", ip[2]);
	plug_ip(p, "reply.ip.daddr", ip[3]);
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "orig.l4.sport", port[0]);
	plug_num(p, "orig.l4.dport", port[1]);
	plug_num(p, "reply.l4.sport", port[2]);
	plug_num(p, "reply.l4.dport", port[3]);
	plug_num(p, "flow.destroy.ns", T0);
	plug_num(p, "ct.id", id);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

START_TEST(nat)
{
	static const struct {
		int family;
		const char *ip[4];
		unsigned port[4];
	} t[] = {
		{ AF_INET,
		  { "10.0.0.1", "8.8.8.8", "8.8.8.8", "192.0.2.1" },
		  { 1000, 53, 53, 1000 } },
		{ AF_INET,
		  { "10.0.0.1", "192.0.2.1", "10.0.0.2", "10.0.0.1" },
		  { 1, 80, 8080, 1 } },
		{ AF_INET,
		  { "10.0.0.1", "8.8.8.8", "8.8.8.8", "10.0.0.1" },
		  { 1000, 53, 53, 2000 } },
		{ AF_INET6,
		  { "fd00::1", "2001:db8::1", "fd00::9", "2001:db8::ff" },
		  { 5, 6, 7, 8 } },
		{ AF_INET6, { "fd00::1", "fd00::2", "fd00::2", "fd00::1" }, { 5, 6, 6, 5 } },
	};
	struct plug *p = db_plug("flows", "");

	for (unsigned i = 0; i < COUNT(t); i++)
		nat_flow(p, t[i].family, t[i].ip, t[i].port, i);
	deliver_ok(p);
	ck_query("SELECT family, src, dst, nat_src, nat_sport, nat_dst, nat_dport FROM flows"
		 " ORDER BY id",
		 "4|10.0.0.1|8.8.8.8|192.0.2.1|1000||\n"
		 "4|10.0.0.1|192.0.2.1|||10.0.0.2|8080\n"
		 "4|10.0.0.1|8.8.8.8|10.0.0.1|2000||\n"
		 "6|fd00::1|2001:db8::1|2001:db8::ff|8|fd00::9|7\n"
		 "6|fd00::1|fd00::2||||");
	plug_free(p);
}
END_TEST

START_TEST(icmp)
{
	struct plug *p = db_plug("flows", "");

	plug_rec(p, AF_INET, CTF_DESTROY, T0);
	plug_ip(p, "orig.ip.saddr", "10.0.0.1");
	plug_ip(p, "orig.ip.daddr", "10.0.0.2");
	plug_num(p, "orig.ip.protocol", 1);
	plug_num(p, "icmp.type", 8);
	plug_num(p, "icmp.code", 0);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	plug_rec(p, AF_INET6, CTF_DESTROY, T0 + 1);
	plug_ip(p, "orig.ip.saddr", "fd77::1");
	plug_ip(p, "orig.ip.daddr", "::ffff:1.2.3.4");
	plug_num(p, "orig.ip.protocol", 58);
	plug_num(p, "icmpv6.type", 128);
	plug_num(p, "icmpv6.code", 1);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT family, dst, proto, icmp_type, icmp_code, sport, dport FROM flows"
		 " ORDER BY family",
		 "4|10.0.0.2|1|8|0||\n6|::ffff:1.2.3.4|58|128|1||");
	plug_free(p);
}
END_TEST

/* 0 is not unknown, and no number turns negative. */
START_TEST(edges)
{
	static const char *const zero[] = { "ct.mark",        "ct.zone",       "ct.nsid",
					    "ct.id",          "ct.status",     "ct.tcp.state",
					    "orig.l4.sport",  "orig.l4.dport", "icmpv6.type",
					    "orig.raw.pktlen" };
	struct plug *p = db_plug("flows", "");

	plug_rec(p, AF_INET6, CTF_DESTROY, T0);
	plug_ip(p, "orig.ip.saddr", "::");
	plug_ip(p, "orig.ip.daddr", "ff02::1");
	plug_ip(p, "reply.ip.saddr", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	plug_ip(p, "reply.ip.daddr", "::");
	plug_num(p, "orig.ip.protocol", 58);
	for (unsigned i = 0; i < COUNT(zero); i++)
		plug_num(p, zero[i], 0);
	plug_num(p, "orig.raw.pktcount", UINT64_MAX);
	plug_num(p, "reply.raw.pktlen", INT64_MAX);
	plug_num(p, "flow.start.ns", 1);
	plug_num(p, "flow.last.ns", UINT64_C(4102444800000001000)); /* in 2100 */
	plug_num(p, "flow.destroy.ns", INT64_MAX);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query(
		"SELECT start_ns, start, end, destroy_ns, src, dst, nat_src, nat_dst FROM "
		"flows",
		"1|1970-01-01T00:00:00.000000Z|2100-01-01T00:00:00.000001Z|9223372036854775806|"
		"::|ff02::1||ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	ck_query("SELECT mark, zone, nsid, id, status, tcp_state, sport, dport, icmp_type,"
		 " orig_bytes, orig_packets, reply_bytes, reply_packets FROM flows",
		 "0|0|0|0|0|0|||0|0|9223372036854775807|9223372036854775807|");
	plug_free(p);
}
END_TEST

START_TEST(finished_flows_only)
{
	struct plug *p = db_plug("flows", "");

	for (int event = CTF_NEW; event <= CTF_DESTROY; event *= 2) {
		plug_rec(p, AF_INET, event, T0);
		plug_ip(p, "orig.ip.saddr", "10.0.0.1");
		plug_ip(p, "orig.ip.daddr", "10.0.0.2");
		ck_assert_int_eq(plug_encode(p), event == CTF_DESTROY ? CTF_OK : CTF_SKIP);
	}
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows", "1");
	plug_free(p);
}
END_TEST

/* Conntrack's own repeats, in one group and across a restart. */
START_TEST(repeats_refused)
{
	struct plug *p = db_plug("flows", "");

	flows_put(p, 0, 10);
	flows_put(p, 5, 12);
	deliver_ok(p);
	flows_put(p, 0, 3);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "");
	flows_put(p, 10, 15);
	deliver_ok(p);
	ck_query("SELECT count(*), count(DISTINCT id) FROM flows", "15|15");
	plug_free(p);
}
END_TEST

START_TEST(out_of_order)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned i = 0; i < 5000; i++)
		flow_put(p, i * 2377 % 5000);
	deliver_ok(p);
	ck_query("SELECT count(*), min(id), max(id), sum(sport) FROM flows",
		 "5000|0|4999|212497500");
	plug_free(p);
}
END_TEST

START_TEST(known_again)
{
	struct plug *p = db_plug("flows", "");
	struct stat st;

	umask(022);
	flows_put(p, 0, 3);
	deliver_ok(p);
	ck_assert_int_eq(stat(db_path(), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	plug_free(p);
	for (int i = 0; i < 3; i++) {
		p = db_plug("flows", "");
		flows_put(p, 10 * (unsigned)i, 10 * (unsigned)i + 3);
		deliver_ok(p);
		plug_free(p);
	}
	ck_query("SELECT count(*) FROM flows", "9");
	/* Each run's own row, none mistaken for another. */
	ck_query("SELECT count(*), min(frame), max(frame) FROM progress", "4|1|1");
	ck_query("SELECT key, value FROM meta WHERE key NOT LIKE 'keeper%' AND key NOT LIKE "
		 "'rollups%'",
		 "format|ctflowd\nopen:flows|flows_open_3\nversion|3");
}
END_TEST

START_TEST(newer_version_refused)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;
	char options[256];

	deliver_ok(p);
	plug_free(p);
	db_exec("UPDATE meta SET value = 4 WHERE key = 'version'");
	snprintf(options, sizeof(options), "db=%s\ntable=flows\n", db_path());
	ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "newer version"));
	ck_assert_ptr_nonnull(strstr(err.msg, db_path()));
}
END_TEST

START_TEST(view_and_tables_come_back)
{
	struct plug *p = db_plug("flows", "");

	flows_put(p, 0, 3);
	deliver_ok(p);
	plug_free(p);
	db_exec("DROP VIEW flows; DROP TABLE gaps");
	p = db_plug("flows", "");
	flows_put(p, 3, 5);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows UNION ALL SELECT count(*) FROM gaps", "5\n0");
	plug_free(p);
}
END_TEST

START_TEST(two_outputs_in_one_file)
{
	struct plug *p = db_plug("flows", ""), *q = db_plug("other one's", "");

	flows_put(p, 0, 3);
	flows_put(q, 0, 4);
	deliver_ok(p);
	deliver_ok(q);
	ck_query("SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM \"other one's\")",
		 "3|4");
	plug_free(p);
	plug_free(q);
	p = db_plug("other one's", "");
	flows_put(p, 2, 5);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM \"other one's\"", "5");
	plug_free(p);
}
END_TEST

START_TEST(reserved_names)
{
	static const char *const names[] = { "meta",     "Gaps",       "coverage",
					     "progress", "sqlite_x",   "ctflow_rows",
					     "days",     "Partitions", "names" };
	struct ctf_err err;
	char options[256];

	for (unsigned i = 0; i < COUNT(names); i++) {
		snprintf(options, sizeof(options), "db=%s\ntable=%s\n", db_path(), names[i]);
		ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
		ck_assert_ptr_nonnull(strstr(err.msg, names[i]));
	}
}
END_TEST

/* Names are the same to SQLite whatever their case. */
START_TEST(case_of_names)
{
	struct plug *p = db_plug("flows", "");

	flows_put(p, 0, 3);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("FLOWS", "");
	flows_put(p, 2, 5);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows", "5");
	plug_free(p);
}
END_TEST

/* What is not ours is left alone, and the table is refused. */
START_TEST(names_in_the_way)
{
	static const char *const make[] = {
		"CREATE TABLE meta(k TEXT PRIMARY KEY, v)",
		"CREATE TABLE Meta(key, value)",
		"CREATE TABLE gaps(a)",
		"CREATE TABLE days(a)",
		"CREATE VIEW Coverage AS SELECT 1",
		"CREATE TABLE ctflow_rows(a)",
		"CREATE TABLE t(a); CREATE INDEX Flows ON t(a)",
		"CREATE TABLE t(ct_id INT); CREATE VIEW flows AS SELECT * FROM t",
	};
	struct ctf_err err;
	char options[256];

	snprintf(options, sizeof(options), "db=%s\ntable=flows\n", db_path());
	for (unsigned i = 0; i < COUNT(make); i++) {
		unlink(db_path());
		db_exec(make[i]);
		ck_assert_msg(plug_try(&ctf_plugin_sqlite3, options, &err) < 0, "%s", make[i]);
		ck_assert_msg(strstr(err.msg, db_path()) && strstr(err.msg, "flows"), "%s",
			      err.msg);
	}
}
END_TEST

START_TEST(range_uses_the_key)
{
	struct plug *p = db_plug("flows", "");
	const char *plan;

	deliver_ok(p);
	flows_put(p, 0, 100);
	deliver_ok(p);
	plan = db_query("EXPLAIN QUERY PLAN SELECT src FROM flows WHERE at_ns"
			" BETWEEN 1 AND 2");
	ck_assert_ptr_nonnull(strstr(plan, "USING PRIMARY KEY (at_ns>? AND at_ns<?)"));
	plan = db_query("EXPLAIN QUERY PLAN SELECT * FROM flows ORDER BY at_ns LIMIT 5");
	ck_assert_ptr_nonnull(strstr(plan, "MERGE (UNION ALL)"));
	ck_query("SELECT count(*) FROM flows WHERE at_ns BETWEEN 1795238256698540123 AND"
		 " 1795238256698549123",
		 "10");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, flow_v4);
	tcase_add_test(t, columns_in_order);
	tcase_add_test(t, unknown_is_null);
	tcase_add_test(t, nat);
	tcase_add_test(t, icmp);
	tcase_add_test(t, edges);
	tcase_add_test(t, finished_flows_only);
	tcase_add_test(t, repeats_refused);
	tcase_add_test(t, out_of_order);
	tcase_add_test(t, known_again);
	tcase_add_test(t, newer_version_refused);
	tcase_add_test(t, view_and_tables_come_back);
	tcase_add_test(t, two_outputs_in_one_file);
	tcase_add_test(t, reserved_names);
	tcase_add_test(t, case_of_names);
	tcase_add_test(t, names_in_the_way);
	tcase_add_test(t, range_uses_the_key);
}

int
main(void)
{
	return unit_main("sqlite3", add_tests);
}
