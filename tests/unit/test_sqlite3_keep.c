/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what is deleted by age and by size, and what never is. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sqlite3_help.h"
#include "sqlite3_keep.h"
#include "unit.h"

#define DAY (86400 * SEC)
#define MONTH (30 * DAY)

/* ---- the clocks of the plugin ------------------------------------------------ */

static struct sq_clock the_clock;

void
sq_clock_look(struct sq_clock *ret_clock)
{
	*ret_clock = the_clock;
}

int64_t
sq_boot_ns(void)
{
	return the_clock.boot_ns;
}

static void
clock_begin(uint64_t wall)
{
	the_clock = (struct sq_clock){
		.wall_ns = (int64_t)wall, .boot_ns = SEC, .sure = true, .boot = "a"
	};
}

static void
pass(uint64_t ns)
{
	the_clock.wall_ns += (int64_t)ns;
	the_clock.boot_ns += (int64_t)ns;
}

/* One call; true: it wants to be called again. */
static bool
step(struct plug *p)
{
	return ctf_plugin_sqlite3.spare(plug_sink(p)) == 0;
}

static void
upkeep(struct plug *p)
{
	pass(61 * SEC);
	for (int i = 0; step(p); i++)
		ck_assert_msg(i < 5000, "there is no end to it");
}

/* ---- the time that retention goes by ------------------------------------------- */

static struct sq_sure
sure_after(struct sq_sure k, int64_t wall, int64_t boot, const char *id, bool sure)
{
	struct sq_clock c = { .wall_ns = wall, .boot_ns = boot, .sure = sure };

	snprintf(c.boot, sizeof(c.boot), "%s", id);
	return sq_sure_next(&k, &c);
}

START_TEST(time_passes)
{
	struct sq_sure k = { .now_ns = -1 };

	k = sure_after(k, 1000, 10, "a", false);
	ck_assert_int_eq(k.now_ns, -1); /* nothing known */
	k = sure_after(k, 1000, 10, "a", true);
	ck_assert_int_eq(k.now_ns, 1000);
	k = sure_after(k, 1090, 100, "a", true);
	ck_assert_int_eq(k.now_ns, 1090);
	k = sure_after(k, 9999, 110, "a", true); /* set forward */
	ck_assert_int_eq(k.now_ns, 1090 + 20);
	k = sure_after(k, 9999, 120, "a", true);
	ck_assert_int_eq(k.now_ns, 1110 + 20);
	k = sure_after(k, 1120, 130, "a", true); /* and back */
	ck_assert_int_eq(k.now_ns, 1120);
	k = sure_after(k, 5000, 1130, "a", false); /* not synchronised */
	ck_assert_int_eq(k.now_ns, 1120);
	k = sure_after(k, 900000, 2130, "a", true); /* as it was all the while */
	ck_assert_int_eq(k.now_ns, 1120 + 2 * 2000);
	k = sure_after(k, 900000, 50, "b", true); /* after a restart of the machine */
	ck_assert_int_eq(k.now_ns, 5120 + 2 * 50);
	k = sure_after(k, 900000, 40, "b", true); /* not on the same one */
	ck_assert_int_eq(k.now_ns, 5220 + 2 * 40);
}
END_TEST

START_TEST(time_does_not_overflow)
{
	struct sq_sure k = { .now_ns = INT64_MAX - 5, .boot_ns = 1, .boot = "a" };

	k = sure_after(k, INT64_MAX, INT64_MAX, "a", true);
	ck_assert_int_eq(k.now_ns, INT64_MAX);
}
END_TEST

/* ---- by age ---------------------------------------------------------------------- */

/* A flow that ended then. */
static void
put(struct plug *p, unsigned n, uint64_t stop)
{
	plug_rec(p, AF_INET, CTF_DESTROY, stop + 50);
	plug_ip(p, "orig.ip.saddr", n % 2 ? "10.77.0.1" : "10.77.0.3");
	plug_ip(p, "orig.ip.daddr", "10.77.0.2");
	plug_ip(p, "reply.ip.saddr", "10.77.0.2");
	plug_ip(p, "reply.ip.daddr", "203.0.113.9");
	plug_num(p, "orig.ip.protocol", 17);
	plug_num(p, "orig.l4.sport", 1024 + n % 60000);
	plug_num(p, "orig.l4.dport", 53);
	plug_num(p, "reply.l4.sport", 53);
	plug_num(p, "reply.l4.dport", 1024 + n % 60000);
	plug_num(p, "ct.id", n);
	plug_num(p, "flow.start.ns", stop - SEC);
	plug_num(p, "flow.last.ns", stop - SEC / 2);
	plug_num(p, "flow.destroy.ns", stop);
	plug_num(p, "orig.raw.pktcount", 1);
	plug_num(p, "orig.raw.pktlen", 100);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

/* Flow n ended n * gap after T0. */
static void
put_many(struct plug *p, unsigned n, uint64_t gap)
{
	for (unsigned i = 0; i < n; i++)
		put(p, i, T0 + i * gap);
	deliver_ok(p);
}

#define OF_DAYS "flows GLOB 'flows_2*'"
#define STATE \
	"SELECT (SELECT count(*) FROM flows), (SELECT min(id) FROM flows)," \
	" (SELECT count(*) FROM days)," \
	" (SELECT count(*) FROM sqlite_master WHERE name GLOB 'flows_2*')"

START_TEST(by_age)
{
	struct plug *p = db_plug("flows", "keep=2d\n");

	clock_begin(T0 + 5 * DAY);
	put_many(p, 240, 1800 * SEC); /* five days, from 05:17 on: six tables */
	ck_query(STATE, "240|0|6|24");
	upkeep(p);
	/* Two days before the newest one, and the tables of three days are gone. */
	ck_query(STATE, "97|143|3|12");
	ck_query("SELECT value - 1795238256698540123 BETWEEN 142 * 1800000000000 + 1 AND"
		 " 143 * 1800000000000 FROM meta WHERE key = 'kept_from:flows'",
		 "1");
	/* The sums outlive them. */
	ck_query("SELECT sum(flows) FROM flows_hour", "240");
	plug_free(p);
}
END_TEST

START_TEST(off)
{
	struct plug *p = db_plug("flows", "");

	clock_begin(T0 + 3650 * DAY);
	put_many(p, 240, 1800 * SEC);
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "240");
	ck_query("SELECT count(*) FROM meta WHERE key LIKE 'kept_from%'", "0");
	plug_free(p);
}
END_TEST

/* profile=nat has no sums; those of a profile before go in their time. */
START_TEST(nat)
{
	struct plug *p = db_plug("flows", "");

	clock_begin(T0 + 5 * DAY);
	put_many(p, 48, 1800 * SEC);
	upkeep(p);
	ck_query("SELECT count(*) > 20 FROM flows_minute", "1");
	plug_free(p);
	p = db_plug("flows", "profile=nat\nkeep=2d\nkeep_minutes=3d\n");
	put_many(p, 240, 1800 * SEC);
	upkeep(p);
	pass(2 * DAY);
	upkeep(p);
	upkeep(p);
	ck_query("SELECT count(*) BETWEEN 90 AND 100 FROM flows", "1");
	ck_query("SELECT count(*) FROM flows_minute", "0");
	plug_free(p);
}
END_TEST

/* What was lost, and said about it, goes as well. */
START_TEST(notes)
{
	struct ctf_gap g = { T0 - DAY, T0 - DAY + 5, 17, CTF_EXACT, "overrun", "ct1", -1 };
	struct plug *p = db_plug("flows", "keep=2d\nkeep_minutes=3d\nkeep_hours=3d\n"
					  "keep_days=3d\n");

	live_put(p, 1, CTF_COUNTERS, T0 + 61 * SEC, 10);
	live_put(p, 2, CTF_COUNTERS, T0 + 61 * SEC, 10);
	sweep_put(p, 61, 0);
	sweep_put(p, 121, 61);
	sweep_put(p, 181, 121);
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	put(p, 1, T0 + 200 * SEC);
	deliver_ok(p);
	ck_query("SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM gaps),"
		 " (SELECT count(*) FROM sweeps)",
		 "3|1|3");
	clock_begin(T0);
	upkeep(p);
	pass(DAY);
	upkeep(p);
	pass(DAY);
	upkeep(p); /* just over two days */
	ck_query("SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM gaps),"
		 " (SELECT count(*) FROM sweeps)",
		 "1|1|0");
	pass(3 * DAY);
	upkeep(p);
	ck_query("SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM gaps),"
		 " (SELECT count(*) FROM sweeps)",
		 "0|0|0");
	plug_free(p);
}
END_TEST

/* Somebody else's table is filled, and that is all. */
START_TEST(not_ours)
{
	static const char *const options[] = { "keep=2d\n", "max_size=1M\n", "profile=nat\n" };
	char text[200];
	struct ctf_err err;

	db_exec("CREATE TABLE theirs(orig_ip_saddr TEXT)");
	for (unsigned i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "db=\"%s\"\ntable=theirs\n%s", db_path(),
			 options[i]);
		ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, text, &err), 0);
		ck_assert_ptr_nonnull(strstr(err.msg, "somebody else's"));
	}
}
END_TEST

struct commits {
	sqlite3 *db;
	int before, most, n;
};

static int
on_commit(void *arg)
{
	struct commits *c = arg;
	int now = sqlite3_total_changes(c->db), did = now - c->before;

	c->before = now;
	c->most = did > c->most ? did : c->most;
	c->n += did > 0;
	return 0;
}

/* No transaction takes much of it. */
START_TEST(bit_by_bit)
{
	struct plug *p = db_plug("flows", "keep=1d\n");
	struct commits c = { .n = 0 };
	unsigned n = 120000;

	clock_begin(T0);
	put_many(p, n, SEC / 10);
	upkeep(p);
	clock_begin(T0);
	pass(DAY * 2);
	c.db = ((struct sq_sink *)plug_sink(p))->db;
	c.before = sqlite3_total_changes(c.db);
	sqlite3_commit_hook(c.db, on_commit, &c);
	while (step(p))
		;
	ck_query("SELECT count(*) FROM flows", "0");
	ck_assert_msg(c.most <= 41000 && c.n > 6, "%d rows in one of %d", c.most, c.n);
	plug_free(p);
}
END_TEST

/* The clock jumps a month ahead: two days go in one day, not all at once. */
START_TEST(clock_jumps)
{
	struct plug *p = db_plug("flows", "keep=10d\n");

	clock_begin(T0 + 5 * DAY);
	put_many(p, 240, 1800 * SEC);
	upkeep(p);
	the_clock.wall_ns += (int64_t)MONTH;
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "240");
	plug_close(p); /* a restart does not make it believe */
	deliver_ok(p);
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "240");
	pass(3 * DAY); /* as six */
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "192");
	the_clock.wall_ns -= (int64_t)MONTH; /* somebody has noticed */
	upkeep(p);
	pass(DAY);
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "192");
	plug_free(p);
}
END_TEST

START_TEST(clock_not_synchronised)
{
	struct plug *p = db_plug("flows", "keep=2d\n");

	clock_begin(T0 + 5 * DAY);
	the_clock.sure = false;
	put_many(p, 240, 1800 * SEC);
	upkeep(p);
	pass(100 * DAY);
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "240");
	the_clock.sure = true;
	upkeep(p); /* what it says now was not known before: as old as the newest row */
	ck_query("SELECT count(*) FROM flows", "97");
	plug_free(p);
}
END_TEST

/* ---- by size ----------------------------------------------------------------------- */

#define USED \
	"(SELECT page_count FROM pragma_page_count) -" \
	" (SELECT freelist_count FROM pragma_freelist_count)"

START_TEST(by_size)
{
	struct plug *p = db_plug("flows", "max_size=1M\n");
	long file;

	clock_begin(T0);
	the_clock.sure = false; /* it is not by age */
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 8000; i++)
			put(p, round * 8000 + i, T0 + (round * 8000 + i) * 4 * SEC);
		deliver_ok(p);
		upkeep(p); /* makes indexes, too */
		upkeep(p);
		ck_query("SELECT (" USED ") * 8192 <= 1048576", "1");
		if (round == 3)
			file = atol(db_query("PRAGMA page_count"));
	}
	/* The newest are there, without a hole; freed pages were used again. */
	ck_query("SELECT max(id) = 47999, max(id) - min(id) + 1 = count(*), count(*) > 4000"
		 " FROM flows",
		 "1|1|1");
	ck_assert_int_le(atol(db_query("PRAGMA page_count")), file + file / 4);
	ck_query("SELECT sum(flows) FROM (SELECT flows FROM flows_hour UNION ALL SELECT 0)",
		 db_query("SELECT sum(flows) FROM flows_hour"));
	plug_free(p);
}
END_TEST

/* ---- readers, at any moment ----------------------------------------------------------- */

/*
 * Every row from kept_from on is there; and those of an indexed partition are
 * in its run.
 */
static void
check_catalog(unsigned all, uint64_t gap)
{
	long long from = atoll(db_query("SELECT value FROM meta WHERE key = 'kept_from:flows'"
					" UNION ALL SELECT 0"));
	uint64_t first = from > (long long)T0 ? ((uint64_t)from - T0 + gap - 1) / gap : 0;
	char sql[300], want[32];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM flows WHERE at_ns >= %lld", from);
	snprintf(want, sizeof(want), "%llu", (unsigned long long)(all - first));
	ck_query(sql, want);
	/* The days are covered by partitions, one after the other. */
	ck_query("SELECT count(*) FROM days AS d WHERE from_ns <> (SELECT min(from_ns) FROM"
		 " partitions WHERE base = d.base) OR to_ns <> (SELECT max(to_ns) FROM"
		 " partitions WHERE base = d.base) OR to_ns - from_ns <> (SELECT sum(to_ns -"
		 " from_ns) FROM partitions WHERE base = d.base)",
		 "0");
}

START_TEST(readers)
{
	struct plug *p = db_plug("flows", "keep=1d\n");
	uint64_t gap = 5 * SEC;
	unsigned n = 60000; /* three days and a half */

	clock_begin(T0);
	put_many(p, n, gap);
	upkeep(p); /* they are indexed */
	ck_query("SELECT count(*) > 1 FROM partitions WHERE state = 'indexed'", "1");
	clock_begin(T0 + 3 * DAY);
	pass(2 * DAY);
	for (unsigned i = 0; i < 5000 && atoi(db_query("SELECT count(*) FROM flows")) > 9000;
	     i++) {
		if (!step(p))
			pass(61 * SEC);
		if (i % 3 == 0)
			check_catalog(n, gap);
	}
	ck_query("SELECT count(*) <= 9000 FROM flows", "1");
	plug_free(p);
}
END_TEST

/* ---- the sums ---------------------------------------------------------------------------- */

START_TEST(sums)
{
	struct plug *p =
		db_plug("flows", "keep=1h\nkeep_minutes=1d\nkeep_hours=3d\nkeep_days=5d\n");

	clock_begin(T0 + 10 * DAY);
	put_many(p, 960, 900 * SEC); /* ten days */
	upkeep(p);
	upkeep(p);
	ck_query("SELECT count(*) FROM flows", "4");
	ck_query("SELECT (SELECT count(*) BETWEEN 96 AND 100 FROM flows_minute),"
		 " (SELECT count(DISTINCT at) BETWEEN 72 AND 96 FROM flows_hour),"
		 " (SELECT count(DISTINCT at) FROM flows_day)",
		 "1|1|5");
	/* A late one is counted where there is still something to count it in. */
	put(p, 2000, T0 + 8 * DAY);
	deliver_ok(p);
	ck_query("SELECT (SELECT sum(flows) FROM flows_minute WHERE at < '2026-11-30'),"
		 " (SELECT sum(flows) FROM flows_hour WHERE at GLOB '2026-11-29T05*'),"
		 " (SELECT sum(flows) FROM flows_day WHERE at GLOB '2026-11-29*')",
		 "|5|97");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 180);
	tcase_add_test(t, time_passes);
	tcase_add_test(t, time_does_not_overflow);
	tcase_add_test(t, by_age);
	tcase_add_test(t, off);
	tcase_add_test(t, nat);
	tcase_add_test(t, notes);
	tcase_add_test(t, not_ours);
	tcase_add_test(t, bit_by_bit);
	tcase_add_test(t, clock_jumps);
	tcase_add_test(t, clock_not_synchronised);
	tcase_add_test(t, by_size);
	tcase_add_test(t, readers);
	tcase_add_test(t, sums);
}

int
main(void)
{
	return unit_main("sqlite3_keep", add_tests);
}
