/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * run.c, stop.c, pump.c, sink.c, worker.c: records from an input to outputs
 * that fail, are away or refuse, with the real loop and threads.
 */
#include <check.h>
#include <errno.h>

#include "rig.h"
#include "unit.h"

START_TEST(all_is_delivered_in_order)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	rig_feed(&g, 1000);
	rig_stop(&g);
	rig_check_kept(&g.box, 1000);
	ck_assert_uint_eq(g.box.opens, 1);
	ck_assert_uint_eq(g.box.closes, 1);
	ck_assert_uint_ne(g.box.layout_id, 0);
}
END_TEST

START_TEST(an_open_frame_is_sealed_in_time)
{
	struct rig g;
	uint64_t since;

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	since = ctf_mono_ms();
	rig_feed(&g, 3); /* less than a frame */
	rig_spin(&g, &g.box.nkept, 3);
	ck_assert_uint_le(ctf_mono_ms() - since, RIG_LIMIT / 2);
	rig_stop(&g);
}
END_TEST

START_TEST(sync_seals_after_each_batch)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, ONE "sync=1\n", 0);
	rig_feed(&g, 1);
	ck_assert(box_wait(&g.box, &g.box.nkept, 1)); /* by no timer: nobody waits for one */
	rig_stop(&g);
}
END_TEST

START_TEST(a_drop_is_one_stacks_own)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g,
		  "[global]\nstack=a:FEED,o:ODD,k:KEEP\nstack=a:FEED,t:TAG,p:PRINT\n"
		  "[a]\n%B\n[k]\n%B\n[p]\n%B\n",
		  0);
	rig_feed(&g, 10);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 15); /* 5 odd ones, 10 printed ones */
}
END_TEST

START_TEST(a_shared_filter_runs_once_a_record)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g,
		  "[global]\nstack=a:FEED,o:ODD,t:TAG,p:PRINT\nstack=a:FEED,u:TAG,q:PRINT\n"
		  "[a]\n%B\n[t]\n%B\n[u]\n%B\n[p]\n%B\n[q]\n%B\n",
		  0);
	rig_feed(&g, 10);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.idles, 10); /* calls of apply() */
	ck_assert_uint_eq(g.box.tag_starts, 1);
	ck_assert_uint_eq(g.box.nkept, 15);
}
END_TEST

START_TEST(a_broken_session_goes_on_from_the_unsettled)
{
	struct rig g;

	box_init(&g.box);
	g.box.answer = CTF_RETRY;
	g.box.answers = 3;
	g.box.take = 2; /* each time two frames were taken before it broke */
	rig_start(&g, ONE "reconnect=10ms\n", 0);
	rig_feed(&g, 200);
	rig_stop(&g);
	rig_check_kept(&g.box, 200);
	ck_assert_uint_eq(g.box.opens, 4);
	ck_assert_uint_eq(g.box.closes, 4);
}
END_TEST

START_TEST(taken_is_not_settled)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g,
		  "[global]\nstack=a:FEED,k:SETTLE\n[a]\n%B\n[k]\n%B\nreconnect=10ms\nsync=1\n",
		  0);
	g.box.settled = 2; /* the peer has only the first two frames for sure */
	rig_feed(&g, 32);  /* 4 frames of 8 */
	rig_spin(&g, &g.box.nframes, 4);
	pthread_mutex_lock(&g.box.lock);
	g.box.answer = CTF_RETRY;
	g.box.answers = 1;
	pthread_mutex_unlock(&g.box.lock);
	rig_feed(&g, 8);
	rig_spin(&g, &g.box.nframes, 7); /* 3 and 4 again, then 5 */
	pthread_mutex_lock(&g.box.lock);
	ck_assert_uint_eq(g.box.kept_frame[32], 3);
	ck_assert_uint_eq(g.box.kept[32], 17);
	ck_assert_uint_eq(g.box.kept_frame[48], 5);
	g.box.settled = 100;
	pthread_mutex_unlock(&g.box.lock);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 56);
}
END_TEST

START_TEST(busy_is_asked_again)
{
	struct rig g;

	box_init(&g.box);
	g.box.answer = CTF_AGAIN;
	g.box.answers = 3;
	rig_start(&g, ONE, 0);
	rig_feed(&g, 64);
	rig_spin(&g, &g.box.nkept, 64);
	rig_stop(&g);
	rig_check_kept(&g.box, 64);
	ck_assert_uint_eq(g.box.opens, 1);
}
END_TEST

START_TEST(a_peer_that_is_away_is_awaited)
{
	struct rig g;

	box_init(&g.box);
	g.box.open_errno = ECONNREFUSED;
	g.box.fail_opens = 3;
	rig_start(&g, ONE "reconnect=10ms\n", 0);
	rig_feed(&g, 100);
	rig_spin(&g, &g.box.nkept, 96);
	rig_stop(&g);
	rig_check_kept(&g.box, 100);
	ck_assert_uint_eq(g.box.opens, 4);
}
END_TEST

START_TEST(a_mistake_refuses_the_stack)
{
	struct rig g;

	box_init(&g.box);
	g.box.open_errno = EACCES;
	g.box.fail_opens = 1;
	rig_start(&g, ONE, -ENOENT);
	ck_assert_uint_eq(g.box.opens, 1);
	rig_stop(&g);
}
END_TEST

START_TEST(one_frame_per_stream)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, "[global]\nstack=a:FEED,k:STREAMS\n[a]\n%B\n[k]\n%B\n", 0);
	rig_feed(&g, 500); /* zones 0..99: more than may be open at once */
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 500);
	ck_assert_uint_ge(g.box.nframes, 100);
}
END_TEST

START_TEST(a_record_too_large_is_counted)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, ONE "frame=4\n", 0);
	rig_feed(&g, 3);
	ck_assert_uint_eq(atomic_load(g.s.graph.sinks->encoders->not_encoded), 3);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 0);
}
END_TEST

START_TEST(the_end_of_a_replay_is_the_end)
{
	struct rig g;

	box_init(&g.box);
	g.box.feed_end = CTF_READ_END;
	rig_start(&g, ONE, 0);
	ck_assert(run_alive(&g.run));
	rig_feed(&g, 10);
	ck_assert(!run_alive(&g.run));
	ck_assert(!g.run.failed);
	rig_stop(&g);
	rig_check_kept(&g.box, 10);
}
END_TEST

START_TEST(an_input_that_fails_is_told)
{
	struct rig g;

	box_init(&g.box);
	g.box.feed_end = -EBADMSG;
	rig_start(&g, ONE, 0);
	rig_feed(&g, 10);
	ck_assert(!run_alive(&g.run));
	ck_assert(g.run.failed);
	rig_stop(&g);
	rig_check_kept(&g.box, 10); /* what came before it is not lost */
}
END_TEST

START_TEST(hup_reopens)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	run_reopen(&g.run);
	ck_assert(box_wait(&g.box, &g.box.reopens, 1));
	rig_stop(&g);
}
END_TEST

/* What filters leave out is not covered, unless it comes another way. */
START_TEST(coverage_tells_of_filters)
{
#define WAY "[global]\nstack=a:FEED,o:ODD,t:TAG,k:KEEP\n"
#define REST "[a]\n%B\n[o]\n%B\n[p]\n%B\n[t]\n%B\n[k]\n%B\n"
	static const char *const all[][3] = {
		{ "[global]\nstack=a:FEED,t:TAG,k:KEEP\n" REST, "", "" },
		{ WAY REST, "", "passed by o:ODD" },
		{ WAY REST, "udp", "udp; passed by o:ODD" },
		{ WAY "stack=a:FEED,p:ODD,k:KEEP\n" REST, "",
		  "passed by o:ODD; passed by p:ODD" },
		{ WAY "stack=a:FEED,k:KEEP\n" REST, "udp", "udp" },
	};
	struct ctf_coverage c = { .exporter = "h", .nsid = -1, .selection = all[_i][1] };
	struct rig g;

	box_init(&g.box);
	rig_start(&g, all[_i][0], 0);
	c.instance = c.boot_id = c.netns = c.abilities = "";
	ctf_report_coverage(&g.s.graph.inputs->ctx, &c);
	rig_stop(&g);
	ck_assert_str_eq(g.box.selection, all[_i][2]);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, all_is_delivered_in_order);
	tcase_add_test(t, an_open_frame_is_sealed_in_time);
	tcase_add_test(t, sync_seals_after_each_batch);
	tcase_add_test(t, a_drop_is_one_stacks_own);
	tcase_add_test(t, a_shared_filter_runs_once_a_record);
	tcase_add_test(t, a_broken_session_goes_on_from_the_unsettled);
	tcase_add_test(t, taken_is_not_settled);
	tcase_add_test(t, busy_is_asked_again);
	tcase_add_test(t, a_peer_that_is_away_is_awaited);
	tcase_add_test(t, a_mistake_refuses_the_stack);
	tcase_add_test(t, one_frame_per_stream);
	tcase_add_test(t, a_record_too_large_is_counted);
	tcase_add_test(t, the_end_of_a_replay_is_the_end);
	tcase_add_test(t, an_input_that_fails_is_told);
	tcase_add_test(t, hup_reopens);
	tcase_add_loop_test(t, coverage_tells_of_filters, 0, 5);
}

int
main(void)
{
	return unit_main("run", add_tests);
}
