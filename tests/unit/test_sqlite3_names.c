/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 with NAMES in the stack: each row has the name of its time. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../../output/sqlite3_spare.h"
#include "sqlite3_help.h"
#include "unit.h"

#define BASE UINT64_C(1795238000) /* s; the times of the tests are behind it */
#define NS(s) ((BASE + (s)) * SEC)
#define ROWS \
	"SELECT group_concat((from_ns / 1000000000 - 1795238000) || name) FROM" \
	" (SELECT * FROM names ORDER BY addr, from_ns)"
#define NAMES \
	"SELECT group_concat(ifnull(src_name, '-')) FROM (SELECT * FROM flows ORDER BY " \
	"end_ns)"

/* A flow from 10.0.0.n whose last packet was then; since 0: NAMES knew nothing. */
static void
put(struct plug *p, unsigned n, uint64_t last, const char *name, uint64_t since)
{
	char addr[32];

	snprintf(addr, sizeof(addr), "10.0.0.%u", n);
	plug_rec(p, AF_INET, CTF_DESTROY, last + 60 * SEC);
	plug_ip(p, "orig.ip.saddr", addr);
	plug_ip(p, "orig.ip.daddr", "192.0.2.1");
	plug_num(p, "orig.ip.protocol", 17);
	plug_num(p, "flow.last.ns", last);
	plug_num(p, "flow.destroy.ns", last + 60 * SEC);
	if (name)
		plug_text(p, "orig.ip.saddr.name", name);
	if (since)
		plug_num(p, "orig.ip.saddr.name.ns", since);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

START_TEST(in_order)
{
	struct plug *p = db_plug("flows", "");

	put(p, 1, NS(150), "phone", NS(100));
	put(p, 1, NS(160), "phone", NS(100));
	deliver_ok(p);
	put(p, 1, NS(250), "tv", NS(200));
	put(p, 1, NS(180), "phone", NS(100)); /* forgotten by conntrack but now */
	put(p, 1, NS(350), NULL, NS(300));
	deliver_ok(p);
	put(p, 1, NS(450), "phone", NS(400));
	deliver_ok(p);
	ck_query(ROWS, "100phone,200tv,300,400phone");
	ck_query(NAMES, "phone,phone,phone,tv,-,phone");
	plug_free(p);
}
END_TEST

START_TEST(in_disorder)
{
	struct plug *p = db_plug("flows", "");

	put(p, 1, NS(450), "phone", NS(400));
	deliver_ok(p);
	put(p, 1, NS(250), "tv", NS(200));
	put(p, 1, NS(350), NULL, NS(300));
	deliver_ok(p);
	put(p, 1, NS(150), "phone", NS(100));
	deliver_ok(p);
	ck_query(ROWS, "100phone,200tv,300,400phone");
	ck_query(NAMES, "phone,tv,-,phone");
	/* The same name, but not without a break. */
	put(p, 2, NS(251), "tv", NS(201));
	deliver_ok(p);
	put(p, 2, NS(151), "phone", NS(101));
	deliver_ok(p);
	put(p, 2, NS(451), "phone", NS(401));
	deliver_ok(p);
	ck_query(ROWS, "100phone,200tv,300,400phone,101phone,201tv,401phone");
	plug_free(p);
}
END_TEST

/* What is only assumed for a time before fills a hole, and nothing else. */
START_TEST(assumed)
{
	struct plug *p = db_plug("flows", "");

	put(p, 1, NS(100), "host", NS(500));
	deliver_ok(p);
	ck_query(ROWS, "100host");
	put(p, 1, NS(50), "host", NS(500));
	put(p, 1, NS(600), "host", NS(500));
	deliver_ok(p);
	ck_query(ROWS, "50host");
	put(p, 1, NS(550), "other", NS(900));
	put(p, 1, NS(560), NULL, 0);
	put(p, 2, NS(570), NULL, 0);
	deliver_ok(p);
	ck_query(ROWS, "50host");
	ck_query(NAMES, "host,host,host,host,-,host");
	plug_free(p);
}
END_TEST

/* A run whose files do not have the name any more. */
START_TEST(another_run)
{
	struct plug *p = db_plug("flows", "");

	put(p, 1, NS(100), "host", NS(50));
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "");
	put(p, 1, NS(200), NULL, 0); /* of the time before it */
	deliver_ok(p);
	ck_query(ROWS, "50host");
	put(p, 1, ctf_now() + SEC, NULL, 0);
	deliver_ok(p);
	ck_query("SELECT name FROM names ORDER BY from_ns", "host\n");
	ck_query(NAMES, "host,host,-");
	plug_free(p);
}
END_TEST

START_TEST(again_and_again)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 1; n < 200; n++)
			put(p, n, NS(1000 + n), n % 2 ? "odd" : NULL, n % 2 ? NS(1) : 0);
		deliver_ok(p);
	}
	ck_query("SELECT count(*), count(DISTINCT addr) FROM names", "100|100");
	ck_query("SELECT count(*), count(src_name) FROM flows", "199|100");
	plug_free(p);
}
END_TEST

/* What a transaction had done is done again when it was rolled back. */
START_TEST(rolled_back)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;

	put(p, 1, NS(100), "host", NS(50));
	deliver_ok(p);
	db_exec("CREATE TRIGGER no BEFORE INSERT ON progress BEGIN SELECT RAISE(ABORT, 'no');"
		" END; CREATE TRIGGER no2 BEFORE UPDATE ON progress BEGIN"
		" SELECT RAISE(ABORT, 'no'); END");
	put(p, 1, NS(200), "other", NS(150));
	plug_seal(p);
	ck_assert_int_ne(plug_deliver(p, &err), CTF_SENT);
	ck_query(ROWS, "50host");
	db_exec("DROP TRIGGER no; DROP TRIGGER no2");
	deliver_ok(p);
	ck_query(ROWS, "50host,150other");
	plug_free(p);
}
END_TEST

START_TEST(both_ends)
{
	struct plug *p = db_plug("flows", "");

	plug_rec(p, AF_INET6, CTF_DESTROY, NS(300));
	plug_ip(p, "orig.ip.saddr", "2001:db8::1");
	plug_ip(p, "orig.ip.daddr", "2001:db8::2");
	plug_num(p, "orig.ip.protocol", 6);
	plug_text(p, "orig.ip.saddr.name", "one");
	plug_num(p, "orig.ip.saddr.name.ns", NS(100));
	plug_text(p, "orig.ip.daddr.name", "two \"'\xc3\xbc");
	plug_num(p, "orig.ip.daddr.name.ns", NS(100));
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	put(p, 200, NS(300), "high", NS(200)); /* a negative number there */
	deliver_ok(p);
	ck_query("SELECT src, src_name, dst_name FROM flows ORDER BY family",
		 "10.0.0.200|high|\n2001:db8::1|one|two \"'\xc3\xbc");
	ck_query("SELECT typeof(addr), count(*) FROM names GROUP BY 1", "blob|2\ninteger|1");
	plug_free(p);
}
END_TEST

START_TEST(living)
{
	struct plug *p = db_plug("flows", "");

	live_put(p, 1, CTF_COUNTERS, T0 + SEC, 5);
	sweep_put(p, 1, 0);
	deliver_ok(p);
	ck_query("SELECT src_name FROM open_flows", "");
	db_exec("INSERT INTO names VALUES(172818433, 1, 'early')"); /* 10.77.0.1 */
	ck_query("SELECT src_name, dst_name FROM open_flows", "early|");
	plug_free(p);
}
END_TEST

/* Who is not stored has no name there either. */
START_TEST(profile_nat)
{
	struct plug *p = db_plug("flows", "profile=nat\n");

	plug_rec(p, AF_INET, CTF_DESTROY, NS(300));
	plug_ip(p, "orig.ip.saddr", "198.51.100.7"); /* a client from outside */
	plug_ip(p, "orig.ip.daddr", "203.0.113.1");
	plug_ip(p, "reply.ip.saddr", "10.0.0.80");
	plug_ip(p, "reply.ip.daddr", "198.51.100.7");
	plug_num(p, "orig.ip.protocol", 6);
	plug_text(p, "orig.ip.saddr.name", "client");
	plug_num(p, "orig.ip.saddr.name.ns", NS(100));
	plug_text(p, "orig.ip.daddr.name", "public");
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	put(p, 1, NS(250), "phone", NS(200));
	deliver_ok(p);
	ck_query("SELECT group_concat(name) FROM names", "phone");
	ck_query("SELECT src, src_name FROM flows ORDER BY 1", "10.0.0.1|phone\n10.0.0.80|");
	plug_free(p);
}
END_TEST

/* What was over before goes; what held then stays. */
START_TEST(cut)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned n = 1; n < 1200; n++)
		put(p, n % 250 + 1, NS(10 * n), n % 3 ? "a" : "b", NS(10 * n));
	put(p, 251, NS(50), "old", NS(40));
	put(p, 252, NS(50), "one", NS(40));
	deliver_ok(p);
	put(p, 252, NS(500), "two", NS(400));
	put(p, 252, NS(5000), "three", NS(4000));
	deliver_ok(p);
	db_exec("CREATE TABLE was AS SELECT * FROM names");
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(sq_names_cut(plug_sink(p), (int64_t)NS(5000)), SQLITE_OK);
	ck_query("SELECT count(*) FROM names n WHERE EXISTS (SELECT 1 FROM names m WHERE"
		 " m.addr = n.addr AND m.from_ns > n.from_ns AND m.from_ns <="
		 " 1795243000000000000)",
		 "0");
	ck_query("SELECT count(*) FROM was WHERE (addr, from_ns) NOT IN (SELECT addr, from_ns"
		 " FROM names) AND NOT EXISTS (SELECT 1 FROM was m WHERE m.addr = was.addr AND"
		 " m.from_ns > was.from_ns AND m.from_ns <= 1795243000000000000)",
		 "0");
	ck_query("SELECT group_concat(name) FROM (SELECT * FROM names WHERE addr > 167772410"
		 " ORDER BY addr, from_ns)",
		 "old,three");
	plug_free(p);
}
END_TEST

/* ---- random histories against what was true -------------------------------------- */

#define HOSTS 5
#define TURNS 12
#define FLOWS 400

static struct {
	unsigned since[HOSTS][TURNS]; /* ascending; its number is the name, 3, 7..: none */
} truth;

static unsigned
turn_at(unsigned host, unsigned s)
{
	unsigned i = TURNS - 1;

	while (i && truth.since[host][i] > s)
		i--;
	return i;
}

/* Tells of a flow, and what must be known of it. */
static void
flow_random(struct plug *p, unsigned i, char **want)
{
	unsigned host = (unsigned)rand() % HOSTS, s = (unsigned)rand() % 5000;
	unsigned turn = turn_at(host, s);
	char name[16], *more;

	snprintf(name, sizeof(name), "n%u", turn);
	put(p, host + 1, NS(s) + i, turn % 4 == 3 ? NULL : name, NS(truth.since[host][turn]));
	ck_assert_int_gt(asprintf(&more, "%s(%llu, %s%s%s)%s", *want,
				  (unsigned long long)NS(s) + i, turn % 4 == 3 ? "NULL" : "'",
				  turn % 4 == 3 ? "" : name, turn % 4 == 3 ? "" : "'",
				  i + 1 < FLOWS ? "," : ""),
			 0);
	free(*want);
	*want = more;
}

START_TEST(random_histories)
{
	struct plug *p = db_plug("flows", "");
	char *want = strdup("CREATE TABLE want(end_ns, name); INSERT INTO want VALUES");

	srand((unsigned)_i + 1);
	for (unsigned h = 0; h < HOSTS; h++)
		for (unsigned t = 0, s = 500; t < TURNS; t++, s += 1 + (unsigned)rand() % 700)
			truth.since[h][t] = s;
	for (unsigned i = 0; i < FLOWS; i++) {
		flow_random(p, i, &want);
		if (rand() % 50 == 0)
			deliver_ok(p);
	}
	deliver_ok(p);
	db_exec(want);
	free(want);
	ck_query("SELECT count(*), count(src_name) > 200, sum(src_name IS NOT name)"
		 " FROM flows JOIN want USING(end_ns)",
		 "400|1|0");
	ck_query("SELECT count(*) <= 65 FROM names", "1");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, in_order);
	tcase_add_test(t, in_disorder);
	tcase_add_test(t, assumed);
	tcase_add_test(t, another_run);
	tcase_add_test(t, again_and_again);
	tcase_add_test(t, rolled_back);
	tcase_add_test(t, both_ends);
	tcase_add_test(t, living);
	tcase_add_test(t, profile_nat);
	tcase_add_test(t, cut);
	tcase_add_loop_test(t, random_histories, 0, 3);
}

int
main(void)
{
	return unit_main("sqlite3_names", add_tests);
}
