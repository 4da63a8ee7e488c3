/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Full queues, what is lost, and the end: every record is delivered or in a
 * gap, and nothing holds up the daemon for ever.
 */
#include <check.h>
#include <errno.h>

#include "rig.h"
#include "unit.h"

/* Asked to, a replay drops instead. */
START_TEST(a_replay_may_drop)
{
	struct rig g;
	uint64_t lost = 0;

	box_init(&g.box);
	g.box.answer = CTF_AGAIN;
	g.box.answers = 10;
	rig_start(&g, ONE "queue=64K\noverflow=drop-old\n", 0);
	rig_feed(&g, 20000);
	rig_stop(&g);
	for (unsigned i = 0; i < g.box.ngaps; i++)
		lost += g.box.gaps[i].count;
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(g.box.nkept + lost, 20000);
}
END_TEST

#define LIVE_FULL "[global]\nstack=a:LIVE,k:KEEP\n[a]\n%B\n[k]\n%B\nqueue=64K\nframe=512\n"

START_TEST(a_replay_waits_for_a_full_output)
{
	struct rig g;

	box_init(&g.box);
	g.box.answer = CTF_AGAIN;
	g.box.answers = 10;
	rig_start(&g, ONE "queue=64K\n", 0);
	rig_feed(&g, 4000); /* far more than 64 KiB of frames */
	rig_spin(&g, &g.box.nkept, 3900);
	rig_stop(&g);
	rig_check_kept(&g.box, 4000);
}
END_TEST

START_TEST(a_live_input_drops_the_oldest_and_says_so)
{
	struct rig g;
	uint64_t lost = 0, seen = 0;

	box_init(&g.box);
	g.box.backlog = 90; /* its socket is nearly full: no waiting */
	g.box.answer = CTF_AGAIN;
	g.box.answers = 20;
	rig_start(&g, LIVE_FULL, 0);
	rig_feed(&g, 60000);
	rig_spin(&g, &g.box.ngaps, 1);
	rig_stop(&g);
	for (unsigned i = 0; i < g.box.ngaps; i++) {
		ck_assert_str_eq(g.box.gaps[i].cause, "queue");
		ck_assert_int_eq(g.box.gaps[i].count_is, CTF_EXACT);
		ck_assert_uint_le(g.box.gaps[i].from_ns, g.box.gaps[i].to_ns);
		lost += g.box.gaps[i].count;
	}
	seen = g.box.nkept;
	ck_assert_uint_eq(lost + seen, 60000);
	ck_assert_uint_gt(lost, 0);
	/* The gap stands where the lost ones stood: ids ascend, the last came through. */
	for (unsigned i = 1; i < g.box.nkept; i++)
		ck_assert_uint_gt(g.box.kept[i], g.box.kept[i - 1]);
	ck_assert_uint_eq(g.box.kept[g.box.nkept - 1], 60000);
}
END_TEST

START_TEST(a_live_input_waits_while_its_socket_has_room)
{
	struct rig g;
	unsigned fed;

	box_init(&g.box);
	g.box.backlog = 10;
	g.box.block = true;
	rig_start(&g, LIVE_FULL, 0);
	g.box.feed = 60000;
	for (int i = 0; i < 30; i++)
		loop_once(g.run.loop, 10);
	fed = g.box.fed;
	ck_assert_uint_lt(fed, 20000); /* paused */
	ck_assert(g.s.graph.inputs->paused);
	g.box.backlog = 60; /* now it must read on */
	for (int i = 0; i < 200 && g.box.fed < 60000; i++)
		loop_once(g.run.loop, 10);
	ck_assert_uint_eq(g.box.fed, 60000);
	rig_stop_in(&g, 100); /* the output never moves: aborted */
}
END_TEST

START_TEST(gaps_off_only_counts)
{
	struct rig g;

	box_init(&g.box);
	g.box.backlog = 90;
	g.box.answer = CTF_AGAIN;
	g.box.answers = 20;
	rig_start(&g, LIVE_FULL "gaps=no\n", 0);
	rig_feed(&g, 60000);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_lt(g.box.nkept, 60000);
}
END_TEST

START_TEST(an_input_gap_is_told_once_per_sink)
{
	struct rig g;
	/* the clock was set back: meanwhile, or that itself is the gap */
	const uint64_t count = _i == 0 ? 7 : 0;
	struct ctf_gap gap = { 9, 5, count, CTF_EXACT, "overrun", "a", -1 };

	box_init(&g.box);
	rig_start(
		&g,
		"[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,o:ODD,k:KEEP\n[a]\n%B\n[k]\n%B\n",
		0);
	rig_feed(&g, 3);
	ctf_report_gap(&g.s.graph.inputs->ctx, &gap);
	rig_feed(&g, 3);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, count);
	ck_assert_uint_eq(g.box.gaps[0].from_ns, count ? 5 : 9);
	ck_assert_uint_eq(g.box.gaps[0].to_ns, count ? 9 : 5);
	ck_assert_str_eq(g.box.gaps[0].cause, "overrun");
	ck_assert_uint_eq(g.box.nkept, 6 + 3);
	/* what came before the gap is before it */
	ck_assert_uint_eq(g.box.kept_frame[0], 1);
}
END_TEST

START_TEST(coverage_reaches_who_wants_it)
{
	struct rig g;
	struct ctf_coverage cov = { .from_ns = 1, .last_alive_ns = 2 };

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	ctf_report_coverage(&g.s.graph.inputs->ctx, &cov);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ncovers, 1);
}
END_TEST

START_TEST(the_end_waits_for_the_input)
{
	struct rig g;

	box_init(&g.box);
	g.box.drain_until = 4;
	rig_start(&g, LIVE_FULL, 0);
	rig_feed(&g, 100);
	g.box.feed += 50; /* what was still queued */
	rig_stop(&g);
	ck_assert_uint_eq(g.box.drain_calls, 4);
	rig_check_kept(&g.box, 150);
}
END_TEST

START_TEST(a_stuck_output_does_not_hold_up_the_end)
{
	struct rig g;
	uint64_t since;

	box_init(&g.box);
	g.box.block = true;
	rig_start(&g, ONE "sync=1\n", 0);
	rig_feed(&g, 10);
	since = ctf_mono_ms();
	rig_stop_in(&g, 300);
	ck_assert_uint_le(ctf_mono_ms() - since, RIG_LIMIT / 2);
	ck_assert_uint_eq(g.box.nkept, 0);
}
END_TEST

START_TEST(poison_is_dropped_alone)
{
	struct rig g;

	box_init(&g.box);
	g.box.answer = CTF_POISON;
	g.box.answers = 1;
	rig_start(&g, ONE "sync=1\n", 0);
	rig_feed(&g, 8);
	rig_spin(&g, &g.box.ngaps, 1); /* though no record follows */
	rig_feed(&g, 8);
	rig_spin(&g, &g.box.nkept, 8);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 8);
	ck_assert_uint_eq(g.box.kept[0], 9);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, 8);
	ck_assert_str_eq(g.box.gaps[0].cause, "undeliverable");
}
END_TEST

START_TEST(what_is_refused_becomes_a_gap)
{
	struct rig g;

	box_init(&g.box);
	g.box.refuse = 3;
	rig_start(&g, ONE "sync=1\n", 0);
	rig_feed(&g, 8);
	rig_spin(&g, &g.box.ngaps, 1);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 8);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, 3);
	ck_assert_str_eq(g.box.gaps[0].cause, "refused");
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, a_replay_waits_for_a_full_output);
	tcase_add_test(t, a_replay_may_drop);
	tcase_add_test(t, what_is_refused_becomes_a_gap);
	tcase_add_test(t, a_live_input_drops_the_oldest_and_says_so);
	tcase_add_test(t, a_live_input_waits_while_its_socket_has_room);
	tcase_add_test(t, gaps_off_only_counts);
	tcase_add_loop_test(t, an_input_gap_is_told_once_per_sink, 0, 2);
	tcase_add_test(t, coverage_reaches_who_wants_it);
	tcase_add_test(t, the_end_waits_for_the_input);
	tcase_add_test(t, a_stuck_output_does_not_hold_up_the_end);
	tcase_add_test(t, poison_is_dropped_alone);
}

int
main(void)
{
	return unit_main("full", add_tests);
}
