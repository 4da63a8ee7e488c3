/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * run.c, stop.c, pump.c, sink.c, worker.c: records from an input to outputs
 * that fail, stall, refuse and drop, with the real loop and threads.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fakes.h"
#include "run.h"
#include "sink.h"

struct rig {
	struct setup s;
	struct run run;
	struct box box;
};

static void
rig_start(struct rig *g, const char *text, int want)
{
	struct diag diag = { 0 };

	ck_assert_int_eq(fakes_setup(&g->s, text, &g->box, &diag), 0);
	diag_free(&diag);
	g->run = (struct run){ .graph = &g->s.graph };
	ck_assert_int_eq(loop_new(&g->run.loop), 0);
	ck_assert_int_eq(run_start(&g->run), want);
	run_go(&g->run);
}

static bool
no_hurry(void *arg)
{
	return false;
}

static void
rig_stop_in(struct rig *g, uint64_t stop_ms)
{
	ck_assert(run_stop(&g->run, stop_ms, no_hurry, NULL));
	setup_free(&g->s);
	loop_free(g->run.loop);
	box_free(&g->box);
}

static void
rig_stop(struct rig *g)
{
	rig_stop_in(g, 5000);
}

/* Lets the input give n more records and waits until they are read. */
static void
feed(struct rig *g, unsigned n)
{
	g->box.feed += n;
	eventfd_write(g->box.event_fd, 1);
	for (int i = 0; i < 1000 && g->box.fed < g->box.feed; i++)
		ck_assert_int_eq(loop_once(g->run.loop, 10), 0);
}

/* Turns the loop until the box has that many. */
static void
spin(struct rig *g, const unsigned *member, unsigned n)
{
	for (int i = 0; i < 1000 && box_get(&g->box, member) < n; i++)
		loop_once(g->run.loop, 10);
	ck_assert_uint_ge(box_get(&g->box, member), n);
}

/* Delivered ids are first, first + 1, ... without repeat. */
static void
check_kept(const struct box *b, unsigned n)
{
	ck_assert_uint_eq(b->nkept, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(b->kept[i], i + 1);
}

#define ONE "[global]\nstack=a:FEED,k:KEEP\n[a]\n%B\n[k]\n%B\n"

START_TEST(all_is_delivered_in_order)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	feed(&g, 1000);
	rig_stop(&g);
	check_kept(&g.box, 1000);
	ck_assert_uint_eq(g.box.opens, 1);
	ck_assert_uint_eq(g.box.closes, 1);
	ck_assert_uint_ne(g.box.layout_id, 0);
}
END_TEST

START_TEST(an_open_frame_is_sealed_within_a_second)
{
	struct rig g;
	uint64_t since;

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	since = clock_ms();
	feed(&g, 3); /* less than a frame */
	spin(&g, &g.box.nkept, 3);
	ck_assert_uint_le(clock_ms() - since, 1000);
	rig_stop(&g);
}
END_TEST

START_TEST(sync_seals_after_each_batch)
{
	struct rig g;
	uint64_t since;

	box_init(&g.box);
	rig_start(&g, ONE "sync=1\n", 0);
	since = clock_ms();
	feed(&g, 1);
	spin(&g, &g.box.nkept, 1);
	ck_assert_uint_le(clock_ms() - since, 500);
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
	feed(&g, 10);
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
	feed(&g, 10);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.idles, 10); /* calls of apply() */
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
	feed(&g, 200);
	rig_stop(&g);
	check_kept(&g.box, 200);
	ck_assert_uint_eq(g.box.opens, 4);
	ck_assert_uint_eq(g.box.closes, 4);
}
END_TEST

START_TEST(taken_is_not_settled)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, "[global]\nstack=a:FEED,k:SETTLE\n[a]\n%B\n[k]\n%B\nreconnect=10ms\nsync=1\n",
		  0);
	g.box.settled = 2; /* the peer has only the first two frames for sure */
	feed(&g, 32); /* 4 frames of 8 */
	spin(&g, &g.box.nframes, 4);
	pthread_mutex_lock(&g.box.lock);
	g.box.answer = CTF_RETRY;
	g.box.answers = 1;
	pthread_mutex_unlock(&g.box.lock);
	feed(&g, 8);
	spin(&g, &g.box.nframes, 7); /* 3 and 4 again, then 5 */
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
	feed(&g, 64);
	spin(&g, &g.box.nkept, 64);
	rig_stop(&g);
	check_kept(&g.box, 64);
	ck_assert_uint_eq(g.box.opens, 1);
}
END_TEST

START_TEST(poison_is_dropped_alone)
{
	struct rig g;

	box_init(&g.box);
	g.box.answer = CTF_POISON;
	g.box.answers = 1;
	rig_start(&g, ONE "sync=1\n", 0);
	feed(&g, 8);
	feed(&g, 8);
	spin(&g, &g.box.nkept, 8);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 8);
	ck_assert_uint_eq(g.box.kept[0], 9);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, 8);
	ck_assert_str_eq(g.box.gaps[0].cause, "undeliverable");
}
END_TEST

START_TEST(a_peer_that_is_away_is_awaited)
{
	struct rig g;

	box_init(&g.box);
	g.box.open_errno = ECONNREFUSED;
	g.box.fail_opens = 3;
	rig_start(&g, ONE "reconnect=10ms\n", 0);
	feed(&g, 100);
	spin(&g, &g.box.nkept, 96);
	rig_stop(&g);
	check_kept(&g.box, 100);
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

START_TEST(a_replay_waits_for_a_full_output)
{
	struct rig g;

	box_init(&g.box);
	g.box.answer = CTF_AGAIN;
	g.box.answers = 10;
	rig_start(&g, ONE "queue=64K\n", 0);
	feed(&g, 4000); /* far more than 64 KiB of frames */
	spin(&g, &g.box.nkept, 3900);
	rig_stop(&g);
	check_kept(&g.box, 4000);
}
END_TEST

#define LIVE_FULL \
	"[global]\nstack=a:LIVE,k:KEEP\n[a]\n%B\n[k]\n%B\nqueue=64K\nframe=512\n"

START_TEST(a_live_input_drops_the_oldest_and_says_so)
{
	struct rig g;
	uint64_t lost = 0, seen = 0;

	box_init(&g.box);
	g.box.backlog = 90; /* its socket is nearly full: no waiting */
	g.box.answer = CTF_AGAIN;
	g.box.answers = 20;
	rig_start(&g, LIVE_FULL, 0);
	feed(&g, 60000);
	spin(&g, &g.box.ngaps, 1);
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
	feed(&g, 60000);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_lt(g.box.nkept, 60000);
}
END_TEST

START_TEST(an_input_gap_is_told_once_per_sink)
{
	struct rig g;
	struct ctf_gap gap = { 5, 9, 7, CTF_EXACT, "overrun", "a", -1 };

	box_init(&g.box);
	rig_start(&g,
		  "[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,o:ODD,k:KEEP\n[a]\n%B\n[k]\n%B\n",
		  0);
	feed(&g, 3);
	ctf_report_gap(&g.s.graph.inputs->ctx, &gap);
	feed(&g, 3);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, 7);
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

START_TEST(one_frame_per_stream)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, "[global]\nstack=a:FEED,k:STREAMS\n[a]\n%B\n[k]\n%B\n", 0);
	feed(&g, 500); /* zones 0..99: more than may be open at once */
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
	feed(&g, 3);
	ck_assert_uint_eq(atomic_load(g.s.graph.sinks->encoders->too_large), 3);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 0);
}
END_TEST

START_TEST(the_end_waits_for_the_input)
{
	struct rig g;

	box_init(&g.box);
	g.box.drain_until = 4;
	rig_start(&g, LIVE_FULL, 0);
	feed(&g, 100);
	g.box.feed += 50; /* what was still queued */
	rig_stop(&g);
	ck_assert_uint_eq(g.box.drain_calls, 4);
	check_kept(&g.box, 150);
}
END_TEST

START_TEST(a_stuck_output_does_not_hold_up_the_end)
{
	struct rig g;
	uint64_t since;

	box_init(&g.box);
	g.box.block = true;
	rig_start(&g, ONE "sync=1\n", 0);
	feed(&g, 10);
	since = clock_ms();
	rig_stop_in(&g, 300);
	ck_assert_uint_le(clock_ms() - since, 2000);
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
	feed(&g, 10);
	ck_assert(!run_alive(&g.run));
	ck_assert(!g.run.failed);
	rig_stop(&g);
	check_kept(&g.box, 10);
}
END_TEST

START_TEST(an_input_that_fails_is_told)
{
	struct rig g;

	box_init(&g.box);
	g.box.feed_end = -EBADMSG;
	rig_start(&g, ONE, 0);
	feed(&g, 10);
	ck_assert(!run_alive(&g.run));
	ck_assert(g.run.failed);
	rig_stop(&g);
	check_kept(&g.box, 10); /* what came before it is not lost */
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

static TCase *
tests(void)
{
	TCase *t = tcase_create("run");

	tcase_add_test(t, all_is_delivered_in_order);
	tcase_add_test(t, an_open_frame_is_sealed_within_a_second);
	tcase_add_test(t, sync_seals_after_each_batch);
	tcase_add_test(t, a_drop_is_one_stacks_own);
	tcase_add_test(t, a_shared_filter_runs_once_a_record);
	tcase_add_test(t, a_broken_session_goes_on_from_the_unsettled);
	tcase_add_test(t, taken_is_not_settled);
	tcase_add_test(t, busy_is_asked_again);
	tcase_add_test(t, poison_is_dropped_alone);
	tcase_add_test(t, a_peer_that_is_away_is_awaited);
	tcase_add_test(t, a_mistake_refuses_the_stack);
	tcase_add_test(t, a_replay_waits_for_a_full_output);
	tcase_add_test(t, a_live_input_drops_the_oldest_and_says_so);
	tcase_add_test(t, a_live_input_waits_while_its_socket_has_room);
	tcase_add_test(t, gaps_off_only_counts);
	tcase_add_test(t, an_input_gap_is_told_once_per_sink);
	tcase_add_test(t, coverage_reaches_who_wants_it);
	tcase_add_test(t, one_frame_per_stream);
	tcase_add_test(t, a_record_too_large_is_counted);
	tcase_add_test(t, the_end_waits_for_the_input);
	tcase_add_test(t, a_stuck_output_does_not_hold_up_the_end);
	tcase_add_test(t, the_end_of_a_replay_is_the_end);
	tcase_add_test(t, an_input_that_fails_is_told);
	tcase_add_test(t, hup_reopens);
	return t;
}

int
main(void)
{
	Suite *s = suite_create("run");
	SRunner *r = srunner_create(s);
	int failed;

	log_open("stderr");
	suite_add_tcase(s, tests());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
