/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: living flows that vanish, that are not wanted, or that are many. */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "sqlite3_help.h"
#include "unit.h"

/* Three flows, of which the sweeps at 121 and 181 see only the third. */
static struct plug *
two_vanish(enum ctf_kind kind)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned n = 1; n <= 3; n++)
		live_put(p, n, kind, T0 + 61 * SEC, 10);
	sweep_put(p, 61, 0);
	live_put(p, 3, kind, T0 + 122 * SEC, 10);
	sweep_put(p, 121, 61);
	deliver_ok(p);
	ck_query("SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM open_flows)",
		 "0|3");
	live_put(p, 3, kind, T0 + 182 * SEC, 10);
	sweep_put(p, 181, 121);
	deliver_ok(p);
	return p;
}

START_TEST(lost)
{
	struct plug *p = two_vanish(CTF_COUNTERS);

	ck_query("SELECT id, end_ns, \"end\", destroy_ns, end_reason, src, sport, nat_src,"
		 " orig_packets, reply_bytes, start_ns, family, mark FROM flows ORDER BY id",
		 "1||||0|10.77.0.1|40001|203.0.113.9|10|30000|1795233256698540124|4|7\n"
		 "2||||0|10.77.0.1|40002|203.0.113.9|10|30000|1795233256698540125|4|7");
	ck_query(BOTH, "2|1|30|3000|60|90000");
	/* The end of the first was only late, the second turns up again. */
	end_put(p, 1, T0 + 100 * SEC, 12);
	live_put(p, 2, CTF_COUNTERS, T0 + 242 * SEC, 11);
	live_put(p, 3, CTF_COUNTERS, T0 + 242 * SEC, 10);
	sweep_put(p, 241, 181);
	deliver_ok(p);
	ck_query("SELECT id, end_reason, orig_packets FROM flows", "1|3|12");
	ck_query(BOTH, "1|2|33|3300|66|99000");
	plug_free(p);
}
END_TEST

START_TEST(lost_deltas)
{
	struct plug *p = two_vanish(CTF_DELTA);

	ck_query(BOTH, "2|1|50|5000|100|150000");
	plug_free(p);
	/* A run later. */
	p = db_plug("flows", "");
	end_put(p, 1, T0 + 100 * SEC, 2);
	end_put(p, 2, T0 + 100 * SEC, 3);
	deliver_ok(p);
	ck_query(BOTH, "2|1|55|5500|110|165000");
	ck_query("SELECT end_reason, orig_packets FROM flows", "3|12\n3|13");
	plug_free(p);
}
END_TEST

/* Absence that means nothing. */
START_TEST(not_lost)
{
	struct ctf_sweep w = { .at_ns = T0 + 181 * SEC,
			       .previous_ns = T0 + 121 * SEC,
			       .min_age_ns = 60 * SEC,
			       .nsid = -1 };
	struct plug *p = db_plug("flows", "");

	live_put(p, 1, CTF_COUNTERS, T0 + 61 * SEC, 10);
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK); /* broke off */
	w.complete = true;
	w.nsid = 3; /* elsewhere */
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
	w.nsid = -1;
	w.min_age_ns = 6000 * SEC; /* of older ones only */
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
	w.min_age_ns = 60 * SEC;
	w.previous_ns = 0;
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
	w.previous_ns = T0 + 61 * SEC; /* saw it */
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
	deliver_ok(p);
	ck_query(BOTH, "0|1|10|1000|20|30000");
	/* Another input's. */
	db_exec("UPDATE flows_open_3 SET source = source || '2'");
	w.previous_ns = T0 + 121 * SEC;
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
	deliver_ok(p);
	ck_query(BOTH, "0|1|10|1000|20|30000");
	db_exec("UPDATE flows_open_3 SET source = rtrim(source, '2')");
	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
	deliver_ok(p);
	ck_query(BOTH, "1|0|10|1000|20|30000");
	plug_free(p);
}
END_TEST

/* Without kernel timestamps, ids or ports there are rows all the same. */
START_TEST(nothing_known)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_rec *r;

	for (int i = 0; i < 2; i++) {
		r = plug_rec(p, AF_INET6, CTF_UPDATE, T0 + 61 * SEC);
		plug_ip(p, "orig.ip.saddr", i ? "2001:db8::2" : "2001:db8::1");
		plug_ip(p, "orig.ip.daddr", "2001:db8::9");
		plug_num(p, "orig.ip.protocol", 50);
		r->kind = CTF_COUNTERS;
		ck_assert_int_eq(plug_encode(p), CTF_OK);
		r->kind = CTF_EVENT;
	}
	sweep_put(p, 61, 0);
	deliver_ok(p);
	ck_query("SELECT src, dst, proto, sport, start_ns, start, id, nsid, orig_bytes, family"
		 " FROM open_flows ORDER BY src",
		 "2001:db8::1|2001:db8::9|50|||||||6\n2001:db8::2|2001:db8::9|50|||||||6");
	plug_rec(p, AF_INET6, CTF_DESTROY, T0 + 70 * SEC);
	plug_ip(p, "orig.ip.saddr", "2001:db8::1");
	plug_ip(p, "orig.ip.daddr", "2001:db8::9");
	plug_num(p, "orig.ip.protocol", 50);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	sweep_put(p, 181, 121);
	deliver_ok(p);
	ck_query("SELECT src, end_reason FROM flows ORDER BY 1", "2001:db8::1|\n2001:db8::2|0");
	plug_free(p);
}
END_TEST

/* interim=none, and a table of somebody else's, which takes finished flows. */
START_TEST(not_wanted)
{
	struct plug *p = db_plug("flows", "interim=none\n");
	struct ctf_sweep w = { .at_ns = T0, .complete = true, .nsid = -1 };

	ck_assert_int_eq(plug_sweep(p, &w), CTF_SKIP);
	deliver_ok(p);
	plug_free(p);
	db_exec("CREATE TABLE theirs(orig_ip_saddr TEXT)");
	p = db_plug("theirs", "");
	ck_assert_int_eq(plug_sweep(p, &w), CTF_SKIP);
	plug_free(p);
	/* Presence: that it lives, nothing added. */
	p = db_plug("flows", "interim=presence\n");
	plug_rec(p, AF_INET, CTF_UPDATE, T0)->kind = CTF_PRESENCE;
	plug_ip(p, "orig.ip.saddr", "10.77.0.1");
	plug_ip(p, "orig.ip.daddr", "10.77.0.2");
	plug_num(p, "orig.ip.protocol", 17);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT src, orig_packets FROM open_flows", "10.77.0.1|");
	plug_free(p);
}
END_TEST

/* The table could not be read at the start, and was not ours. */
START_TEST(not_known)
{
	struct plug *p;
	sqlite3 *db;

	db_exec("CREATE TABLE theirs(orig_ip_saddr TEXT)");
	ck_assert_int_eq(sqlite3_open(db_path(), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	p = db_plug("theirs", "");
	sqlite3_close(db);
	live_put(p, 1, CTF_COUNTERS, T0, 10);
	sweep_put(p, 1, 0);
	end_put(p, 2, T0, 10);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM theirs", "1");
	plug_free(p);
}
END_TEST

/* Whatever a frame of these holds, it is stored or given up. */
START_TEST(random_frames)
{
	struct ctf_coverage c = { .from_ns = T0, .instance = "ct1", .exporter = "gw" };
	struct ctf_gap g = { T0, T0 + 5, 17, CTF_EXACT, "overrun", "ct1", -1 };
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;
	enum ctf_sent sent;

	srand(9);
	for (unsigned i = 0; i < 1000; i++) {
		const struct ctf_frame *f;

		switch (i % 4) {
		case 0:
			live_put(p, i, i % 8 ? CTF_DELTA : CTF_COUNTERS, T0 + i, i);
			plug_seal(p);
			break;
		case 1:
			sweep_put(p, i, i - 1);
			break;
		case 2:
			ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
			break;
		default:
			ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
		}
		f = plug_frame(p, i);
		for (int k = rand() % 4; k >= 0; k--)
			f->p[(uint32_t)rand() % f->len] ^= (uint8_t)(1 + rand() % 255);
		sent = plug_deliver(p, &err);
		ck_assert_msg(sent == CTF_SENT || sent == CTF_POISON, "%d %s", sent, err.msg);
		plug_rewind(p, i + 1);
	}
	plug_free(p);
}
END_TEST

/* The record at hand as one of another flow. */
static void
again(struct plug *p, struct ctf_rec *r, unsigned n, uint64_t ns)
{
	r->rx_ns = ns;
	plug_num(p, "ct.id", n);
	plug_num(p, "flow.start.ns", T0 - 5000 * SEC + n);
	plug_num(p, "flow.destroy.ns", ns);
	if (plug_encode(p) != CTF_OK)
		ck_abort();
}

/* Two sweeps over n flows from `first` on, then their ends: seconds of work a flow. */
static double
lives_of(struct plug *p, unsigned first, unsigned n)
{
	struct ctf_rec *r = plug_rec(p, AF_INET, CTF_UPDATE, 0);
	double begin = unit_seconds(CLOCK_PROCESS_CPUTIME_ID);

	live_put(p, first, CTF_COUNTERS, T0, 3);
	for (unsigned turn = 1; turn <= 3; turn++) {
		/* Nothing moves in the order of its start. */
		uint64_t step = turn == 3 ? 104729 : 7919;

		r->kind = turn == 3 ? CTF_EVENT : CTF_COUNTERS;
		r->event = turn == 3 ? CTF_DESTROY : CTF_UPDATE;
		for (unsigned i = 0; i < n; i++) {
			if (i % 20000 == 0)
				deliver_ok(p);
			again(p, r, first + (unsigned)(i * step % n),
			      T0 + turn * 61 * SEC + 1 + i);
		}
		if (turn < 3)
			sweep_put(p, turn * 61, turn == 2 ? 61 : 0);
	}
	deliver_ok(p);
	return (unit_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin) / n;
}

START_TEST(many)
{
	struct plug *p = db_plug("flows", "");
	double few, all;

	deliver_ok(p);
	few = lives_of(p, 0, 3000);
	all = lives_of(p, 3000, 30000);
	ck_assert_msg(all < 4 * few, "%.1f us a flow of few, %.1f us of many", few * 1e6,
		      all * 1e6);
	ck_query(BOTH, "33000|0|99000|9900000|198000|297000000");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 180);
	tcase_add_test(t, lost);
	tcase_add_test(t, lost_deltas);
	tcase_add_test(t, not_lost);
	tcase_add_test(t, nothing_known);
	tcase_add_test(t, not_wanted);
	tcase_add_test(t, not_known);
	tcase_add_test(t, random_frames);
	tcase_add_test(t, many);
}

int
main(void)
{
	return unit_main("sqlite3_lost", add_tests);
}
