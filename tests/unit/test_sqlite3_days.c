/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: days, partitions, and the index runs made between deliveries. */
#include <stdio.h>
#include <sys/socket.h>

#include "sqlite3_help.h"
#include "unit.h"

#define DAY (86400 * SEC)

/* Flow n, translated, ended `at`; every eighth is IPv6, every ninth the other way. */
static void
nat_put(struct plug *p, unsigned n, uint64_t at)
{
	bool v6 = n % 8 == 7, dnat = n % 9 == 8;
	char host[40], peer[40], outer[40];

	snprintf(host, sizeof(host), v6 ? "fd00::%x" : "10.1.%u.1", n % 200);
	snprintf(peer, sizeof(peer), v6 ? "2001:db8::%x" : "198.51.%u.7", n % 50);
	snprintf(outer, sizeof(outer), v6 ? "2001:db8:1::%x" : "203.0.113.%u", n % 4);
	plug_rec(p, v6 ? AF_INET6 : AF_INET, CTF_DESTROY, at + 9);
	plug_ip(p, "orig.ip.saddr", host);
	plug_ip(p, "orig.ip.daddr", dnat ? outer : peer);
	plug_ip(p, "reply.ip.saddr", peer);
	plug_ip(p, "reply.ip.daddr", dnat ? host : outer);
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "orig.l4.sport", 1024 + n % 60000);
	plug_num(p, "reply.l4.dport", dnat ? 1024 + n % 60000 : 65535 - n % 60000);
	plug_num(p, "orig.l4.dport", 443);
	plug_num(p, "reply.l4.sport", dnat ? 8443 : 443);
	plug_num(p, "ct.id", n * 2654435761u);
	plug_num(p, "flow.start.ns", at - 3 * SEC);
	plug_num(p, "flow.last.ns", at - SEC - n % 2);
	plug_num(p, "flow.destroy.ns", at);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

static void
nats_put(struct plug *p, unsigned from, unsigned to, uint64_t at, uint64_t step)
{
	for (unsigned n = from; n < to; n++)
		nat_put(p, n, at + n * step);
}

static void
spare_all(struct plug *p)
{
	for (unsigned i = 0; plug_spare(p) == 0; i++)
		ck_assert_uint_lt(i, 10000);
}

/* Of every partition that has an index: rows without entry, entries without row. */
static void
index_check_one(const char *base, const char *index, const char *addr, const char *port)
{
	char *sql = sqlite3_mprintf(
		"SELECT (SELECT count(*) FROM partitions AS p JOIN \"%w\" AS b ON b.at_ns >="
		" p.from_ns AND b.at_ns < p.to_ns WHERE p.base = %Q AND p.state = 'indexed'"
		" AND b.%s IS NOT NULL AND NOT EXISTS(SELECT 1 FROM \"%w_%s\" AS x WHERE x.run "
		"="
		" p.run AND x.addr = b.%s AND x.at = (b.at_ns - p.from_ns) >> p.shift AND "
		"%s%s))",
		base, base, addr, base, index, addr, port ? "x.port = b." : "1",
		port ? port : "");

	ck_query(sql, "0");
	sqlite3_free(sql);
}

static void
index_check(const char *base, bool full)
{
	index_check_one(base, "nat", "nat_src", "nat_sport");
	if (!full)
		return;
	index_check_one(base, "nat", "nat_dst", "nat_dport");
	index_check_one(base, "src", "src", NULL);
	index_check_one(base, "dst", "dst", NULL);
}

#define STATES \
	"SELECT group_concat(state || ':' || rows, ' ') FROM" \
	" (SELECT * FROM partitions ORDER BY from_ns)"

START_TEST(two_days)
{
	struct plug *p = db_plug("flows", "");

	nats_put(p, 0, 1000, T0, SEC / 1000);
	nats_put(p, 1000, 1500, T0 + DAY, SEC / 1000);
	deliver_ok(p);
	ck_query("SELECT view, (to_ns - from_ns) / 86400000000000, base, profile FROM days",
		 "flows|1|flows_20261121|full\nflows|1|flows_20261122|full");
	ck_query("SELECT count(*), count(DISTINCT id) FROM flows", "1500|1500");
	ck_query("SELECT count(*) FROM flows_20261121 UNION ALL SELECT count(*) FROM"
		 " flows_20261122",
		 "1000\n500");
	ck_query(STATES, "open:1000 open:500");
	spare_all(p);
	ck_query("SELECT state, rows, last_ns - start_ns > 3000000000, nostart, end_ns - "
		 "start_ns"
		 " FROM partitions LIMIT 1",
		 "indexed|1000|1|0|2000000000");
	index_check("flows_20261121", true);
	ck_query("SELECT (SELECT count(*) FROM flows_20261121_src),"
		 " (SELECT count(*) FROM flows_20261121_nat)",
		 "1000|1000");
	plug_free(p);
}
END_TEST

/* Rows of a partition that is indexed, closed, or gets its run just now. */
START_TEST(late_rows)
{
	struct plug *p = db_plug("flows", "");
	unsigned n = 160000, late = 100000, calls = 0;

	nats_put(p, 0, n, T0, SEC / 1000);
	deliver_ok(p);
	nat_put(p, n, T0 + DAY);
	deliver_ok(p);
	while (plug_spare(p) == 0) {
		nats_put(p, late, late + 20, T0 - 3000 * SEC + SEC / 3 * calls, SEC);
		nats_put(p, late + 20, late + 40, T0 - 100000 * SEC - SEC / 3 * calls, SEC);
		late += 40;
		calls++;
		deliver_ok(p);
	}
	ck_assert_uint_gt(calls, 3);
	nats_put(p, late, late + 20, T0 - 99999 * SEC, SEC);
	deliver_ok(p);
	index_check("flows_20261121", true);
	ck_query("SELECT state, rows - (SELECT count(*) FROM flows_20261121) FROM partitions"
		 " WHERE base = 'flows_20261121'",
		 "indexed|0");
	plug_free(p);
}
END_TEST

/* The daemon dies while a run is being written. */
START_TEST(run_given_up)
{
	struct plug *p = db_plug("flows", "");

	nats_put(p, 0, 160000, T0, SEC / 1000);
	nat_put(p, 160000, T0 + DAY);
	deliver_ok(p);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(plug_spare(p), 0);
	plug_close(p);
	ck_query("SELECT state, run FROM partitions LIMIT 1", "closed|0");
	nats_put(p, 50000, 50100, T0 - 50000 * SEC, SEC);
	deliver_ok(p);
	spare_all(p);
	ck_query("SELECT state, run FROM partitions LIMIT 1", "indexed|0");
	index_check("flows_20261121", true);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 180);
	tcase_add_test(t, two_days);
	tcase_add_test(t, late_rows);
	tcase_add_test(t, run_given_up);
}

int
main(void)
{
	return unit_main("sqlite3_days", add_tests);
}
