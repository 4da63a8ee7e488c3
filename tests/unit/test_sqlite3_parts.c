/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: partitions joined, days that get long, profiles, two for one table. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sqlite3_db.h"
#include "sqlite3_help.h"
#include "unit.h"

#define DAY (86400 * SEC)

static void
spare_all(struct plug *p)
{
	for (unsigned i = 0; plug_spare(p) == 0; i++)
		ck_assert_uint_lt(i, 10000);
}

/* A flow that pieces_make() did not make, in one of the n * rows / 1000 ms of its. */
static void
late_put(struct plug *p, unsigned n)
{
	end_put(p, 100000 + n, T0 + n * 777 % 20000 * 1000, 3);
}

/* n partitions of `rows` flows each, closed. */
static struct plug *
pieces_make(unsigned n, unsigned rows)
{
	struct plug *p = db_plug("flows", "");
	char sql[400];

	flows_put(p, 0, n * rows);
	deliver_ok(p);
	for (unsigned i = 1; i < n; i++) {
		unsigned long long cut = T0 + (unsigned long long)i * rows * 1000;

		snprintf(sql, sizeof(sql),
			 "INSERT INTO partitions SELECT view, %llu, to_ns, base, NULL, NULL,"
			 " 'closed', %u, start_ns, 0, end_ns, last_ns FROM partitions ORDER BY"
			 " from_ns DESC LIMIT 1; UPDATE partitions SET to_ns = %llu, rows = %u,"
			 " state = 'closed' WHERE from_ns < %llu AND to_ns > %llu",
			 cut, rows, cut, rows, cut, cut);
		db_exec(sql);
	}
	return p;
}

/* Late ones without an entry: they alone are translated. */
#define MISSED \
	"SELECT count(*) FROM partitions AS p JOIN flows_20261121 AS b ON b.at_ns >=" \
	" p.from_ns AND b.at_ns < p.to_ns WHERE nat_src IS NOT NULL AND NOT EXISTS(SELECT 1" \
	" FROM flows_20261121_nat AS x WHERE x.run = p.run AND x.addr = b.nat_src AND" \
	" x.port = b.nat_sport AND x.at = (b.at_ns - p.from_ns) >> p.shift)"

/* Rows that come meanwhile are in the new run, too. */
START_TEST(joined)
{
	struct plug *p = pieces_make(70, 300);
	unsigned late = 0;

	for (unsigned i = 0; plug_spare(p) == 0; i++) {
		ck_assert_uint_lt(i, 10000);
		flow_put(p, late); /* a repeat */
		late_put(p, late++);
		deliver_ok(p);
	}
	spare_all(p);
	ck_query("SELECT state, run, rows - (SELECT count(*) FROM flows_20261121) FROM "
		 "partitions"
		 " WHERE base = 'flows_20261121'",
		 "indexed|70|0");
	ck_query("SELECT count(DISTINCT run), count(*) - (SELECT count(DISTINCT (at_ns -"
		 " (SELECT from_ns FROM partitions)) >> (SELECT shift FROM partitions)) FROM"
		 " flows_20261121) FROM flows_20261121_src",
		 "1|0");
	ck_assert_uint_gt(late, 1);
	ck_query(MISSED, "0");
	plug_free(p);
}
END_TEST

/* Somebody adds a row that the one who joins does not know of. */
START_TEST(join_is_not_blind)
{
	struct plug *p = pieces_make(70, 300), *q;
	unsigned n = 0;

	do {
		ck_assert_int_eq(plug_spare(p), 0);
		db_query("SELECT count(*) FROM partitions WHERE state = 'closed'");
	} while (strcmp(db_query("SELECT count(*) FROM partitions WHERE state = 'closed'"),
			"0"));
	q = db_plug("flows", "");
	late_put(q, 0);
	deliver_ok(q);
	late_put(p, 1);
	deliver_ok(p);
	ck_assert_int_eq(plug_spare(p), -1); /* it is q's now */
	for (n = 2; plug_spare(q) == 0; n++) {
		if (n > 20)
			continue;
		late_put(p, n);
		deliver_ok(p);
	}
	spare_all(q);
	ck_query("SELECT sum(rows) - (SELECT count(*) FROM flows_20261121), min(state) FROM"
		 " partitions WHERE base = 'flows_20261121'",
		 "0|indexed");
	ck_query(MISSED, "0");
	plug_free(p);
	plug_free(q);
}
END_TEST

/* An arm of the view for each: they get longer, so that there are not too many. */
START_TEST(many_days)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned d = 0; d < 2000; d++) {
		end_put(p, d, T0 + d * DAY, 3);
		if (d % 100 == 99)
			deliver_ok(p);
	}
	ck_query("SELECT count(*) < 200, min(to_ns - from_ns) / 86400000000000,"
		 " max(to_ns - from_ns) / 86400000000000 FROM days",
		 "1|1|32");
	ck_query("SELECT count(*), count(DISTINCT at_ns) FROM flows", "2000|2000");
	ck_query("SELECT count(*) FROM days AS a JOIN days AS b ON a.from_ns < b.to_ns AND"
		 " b.from_ns < a.to_ns AND a.from_ns <> b.from_ns",
		 "0");
	plug_free(p);
}
END_TEST

/* Times that make no sense do not make a table each for ever. */
START_TEST(wild_days)
{
	struct plug *p = db_plug("flows", "");
	uint64_t x = 1;

	for (unsigned d = 0; d < 900; d++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		plug_rec(p, AF_INET, CTF_DESTROY, T0);
		plug_ip(p, "orig.ip.saddr", "10.0.0.1");
		plug_ip(p, "orig.ip.daddr", "10.0.0.2");
		plug_num(p, "flow.destroy.ns", x >> 1);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
		if (d % 100 == 99)
			deliver_ok(p);
	}
	ck_query("SELECT count(*) <= 490 FROM days", "1");
	ck_query("SELECT count(*), count(DISTINCT at_ns) FROM flows", "900|900");
	plug_free(p);
}
END_TEST

/* What another profile has made stays as it is. */
START_TEST(profiles)
{
	struct plug *p = db_plug("flows", "");

	end_put(p, 1, T0, 5);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "profile=nat\n");
	deliver_ok(p);
	db_exec("UPDATE days SET to_ns = 1795238256698540124;"
		"UPDATE partitions SET to_ns = 1795238256698540124");
	end_put(p, 2, T0 + SEC, 6);
	end_put(p, 3, T0 - SEC, 7);
	live_put(p, 4, CTF_COUNTERS, T0 + 2 * SEC, 8);
	deliver_ok(p);
	ck_query("SELECT base, profile FROM days", "flows_20261121|full\nflows_20261121_2|nat");
	ck_query("SELECT id, src, sport, dst, dport, nat_src, nat_sport, orig_packets, start "
		 "FROM"
		 " flows ORDER BY at_ns",
		 "3|10.77.0.1|40003|10.77.0.2|443|203.0.113.9|1027||"
		 "2026-11-21T03:54:16.698540Z\n"
		 "1|10.77.0.1|40001|10.77.0.2|443|203.0.113.9|1025|5|"
		 "2026-11-21T03:54:16.698540Z\n"
		 "2|10.77.0.1|40002|||203.0.113.9|1026||2026-11-21T03:54:16.698540Z");
	ck_query("SELECT id, src, sport, dst, dport, nat_src, nat_sport, orig_bytes FROM"
		 " open_flows",
		 "4|10.77.0.1|40004|||203.0.113.9|1028|");
	end_put(p, 4, T0 + 3 * SEC, 9);
	deliver_ok(p);
	ck_query("SELECT (SELECT count(*) FROM open_flows), (SELECT count(*) FROM flows)",
		 "0|4");
	ck_query("SELECT count(*) FROM sqlite_master WHERE name LIKE 'flows_20261121_2%'", "2");
	plug_free(p);
}
END_TEST

/* At the start the day ends for the profile before. */
START_TEST(profile_changed_now)
{
	uint64_t now = ctf_now();
	struct plug *p;

	for (; (now + 60 * SEC) / DAY != (now - 2 * SEC) / DAY; now = ctf_now())
		sleep(1); /* one day, not two */
	p = db_plug("flows", "");
	end_put(p, 1, now - SEC, 5);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "profile=nat\n");
	end_put(p, 2, now + 20 * SEC, 5);
	deliver_ok(p);
	ck_query("SELECT group_concat(profile, ' ') FROM (SELECT * FROM days ORDER BY from_ns)",
		 "full nat");
	ck_query("SELECT id, dst FROM flows ORDER BY id", "1|10.77.0.2\n2|");
	ck_query("SELECT group_concat(state, ' ') FROM (SELECT * FROM partitions ORDER BY"
		 " from_ns)",
		 "closed open");
	plug_free(p);
}
END_TEST

/* The host behind a destination that alone was translated is that destination. */
START_TEST(nat_profile)
{
	struct plug *p = db_plug("flows", "profile=nat\n");

	plug_rec(p, AF_INET, CTF_DESTROY, T0);
	plug_ip(p, "orig.ip.saddr", "198.51.100.5");
	plug_ip(p, "orig.ip.daddr", "203.0.113.9");
	plug_ip(p, "reply.ip.saddr", "10.0.0.80");
	plug_ip(p, "reply.ip.daddr", "198.51.100.5");
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "orig.l4.sport", 50000);
	plug_num(p, "orig.l4.dport", 443);
	plug_num(p, "reply.l4.sport", 8443);
	plug_num(p, "reply.l4.dport", 50000);
	plug_num(p, "orig.raw.pktcount", 4);
	plug_num(p, "ct.zone", 3);
	plug_num(p, "flow.start.ns", T0 - SEC);
	plug_num(p, "flow.last.ns", T0 - SEC / 2 - 1);
	plug_num(p, "flow.destroy.ns", T0);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT src, sport, nat_src, nat_sport, dst, dport, orig_packets, zone,"
		 " at_ns - start_ns, at_ns - end_ns FROM flows",
		 "10.0.0.80|8443|203.0.113.9|443||||3|1000000000|500000001");
	ck_query("SELECT group_concat(name, ' ') FROM pragma_table_info('flows_20261121')",
		 "at_ns id age_ns ns idle proto src sport nat_src nat_sport zone");
	plug_free(p);
}
END_TEST

/* 100 flows more, and as if they were many, of two seconds; so long of them we were busy. */
static void
fill_more(struct plug *p, unsigned *n, uint64_t busy_ms)
{
	struct sq_sink *s = plug_sink(p);

	flows_put(p, *n, *n + 100);
	deliver_ok(p);
	*n += 100;
	s->part.span.rows = SQ_PART_MANY;
	s->part_ms = ctf_mono_ms() - 2000;
	s->busy_ms = busy_ms;
	spare_all(p);
}

/* Before it is full, and before its time, unless there is too much to do. */
START_TEST(many_are_closed_soon)
{
	struct plug *p = db_plug("flows", "");
	unsigned n = 100;

	flows_put(p, 0, n);
	deliver_ok(p);
	spare_all(p);
	fill_more(p, &n, 1500);
	ck_query("SELECT count(*), sum(state = 'open') FROM partitions", "1|1");
	fill_more(p, &n, 500);
	ck_query("SELECT count(*), sum(state = 'indexed') FROM partitions", "2|1");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, joined);
	tcase_add_test(t, join_is_not_blind);
	tcase_add_test(t, many_are_closed_soon);
	tcase_add_test(t, many_days);
	tcase_add_test(t, wild_days);
	tcase_add_test(t, profiles);
	tcase_add_test(t, profile_changed_now);
	tcase_add_test(t, nat_profile);
}

int
main(void)
{
	return unit_main("sqlite3_parts", add_tests);
}
