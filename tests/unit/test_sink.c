/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sink.c, worker.c, run.c: outputs that are late, lossy or not needed, and
 * what the gaps say about it.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pump.h"
#include "rig.h"
#include "unit.h"

#define LIVE "[global]\nstack=a:LIVE,k:KEEP\n[a]\n%B\n[k]\n%B\nqueue=64K\nframe=512\n"

START_TEST(delays_double_up_to_a_minute)
{
	uint64_t d = 0, want[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };

	for (unsigned i = 0; i < COUNT(want); i++)
		ck_assert_uint_eq(d = delay_next(d, 1000), want[i]);
	/* A first delay above the maximum stays what it is. */
	ck_assert_uint_eq(delay_next(delay_next(0, 60000), 60000), 60000);
	ck_assert_uint_eq(delay_next(delay_next(0, 3600000), 3600000), 3600000);
}
END_TEST

START_TEST(delays_are_spread)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t d = delay_spread(1000, i * 7919);

		low = d < low ? d : low;
		high = d > high ? d : high;
	}
	ck_assert_uint_eq(low, 800);
	ck_assert_uint_eq(high, 1200);
	ck_assert_uint_eq(delay_spread(1, 12345), 1);
}
END_TEST

/* The start does not wait for ever, and privileges are gone then: no verdict on the stack. */
START_TEST(a_mistake_that_comes_late_is_retried)
{
	struct rig g;

	box_init(&g.box);
	g.box.open_ms = 2300;
	g.box.open_errno = EACCES;
	g.box.fail_opens = 1;
	rig_start(&g, ONE "reconnect=10ms\n", 0);
	rig_feed(&g, 100);
	rig_spin(&g, &g.box.nkept, 96);
	rig_stop(&g);
	rig_check_kept(&g.box, 100);
	ck_assert_uint_eq(g.box.opens, 2);
}
END_TEST

static enum ctf_sent
all_poison(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	for (unsigned i = 0; i < n; i++)
		if (f[i]->recs)
			return CTF_POISON;
	for (unsigned i = 0; i < n; i++)
		box_keep(b, f[i]);
	*ret_taken = n;
	return CTF_SENT;
}

static enum ctf_sent
always_poison(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	return CTF_POISON;
}

START_TEST(what_is_lost_at_the_end_is_a_gap_too)
{
	struct rig g;

	box_init(&g.box);
	g.box.deliver = all_poison;
	rig_start(&g, ONE, 0);
	rig_feed(&g, 5); /* sealed by the end only */
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, 5);
	ck_assert_uint_eq(g.box.gaps[0].from_ns, 1000);
	ck_assert_uint_eq(g.box.gaps[0].to_ns, 1004);
}
END_TEST

/* An input that had to wait reads late what ended before. */
START_TEST(a_gap_is_where_flows_ended)
{
	static const uint64_t at[] = { 700, 900, 650, 0, 800 };
	struct rig g;

	box_init(&g.box);
	g.box.deliver = all_poison;
	g.box.at_ns = at;
	rig_start(&g, ONE, 0);
	rig_feed(&g, 3);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.gaps[0].count, 3);
	ck_assert_uint_eq(g.box.gaps[0].from_ns, 650);
	ck_assert_uint_eq(g.box.gaps[0].to_ns, 900);

	box_init(&g.box);
	g.box.deliver = all_poison;
	g.box.at_ns = at;
	rig_start(&g, ONE, 0);
	rig_feed(&g, 5);
	sink_lose(g.s.graph.sinks, &(struct ctf_rec){ .rx_ns = 9000, .at_ns = 600 },
		  "too_large");
	rig_stop(&g);
	ck_assert_uint_eq(g.box.gaps[0].count, 1);
	ck_assert_uint_eq(g.box.gaps[0].from_ns, 600);
	ck_assert_uint_eq(g.box.gaps[0].to_ns, 600);
	ck_assert_uint_eq(g.box.gaps[1].count, 5);
	ck_assert_uint_eq(g.box.gaps[1].to_ns, 1003); /* when it was received */
}
END_TEST

START_TEST(a_gap_that_is_poison_does_not_come_back_for_ever)
{
	struct rig g;
	uint64_t since;

	box_init(&g.box);
	g.box.deliver = always_poison;
	rig_start(&g, ONE, 0);
	rig_feed(&g, 5);
	since = ctf_mono_ms();
	rig_stop(&g);
	ck_assert_uint_lt(ctf_mono_ms() - since, RIG_LIMIT / 2);
}
END_TEST

START_TEST(a_record_that_fits_nowhere_is_a_gap)
{
	struct rig g;
	struct encoder *e;

	box_init(&g.box);
	rig_start(&g, ONE, 0);
	e = g.s.graph.sinks->encoders;
	rig_feed(&g, 2);
	sink_lose(e->sink, &(struct ctf_rec){ .rx_ns = 7 }, "too_large");
	sink_lose(e->sink, &(struct ctf_rec){ .rx_ns = 9 }, "too_large");
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.gaps[0].count, 2);
	ck_assert_int_eq(g.box.gaps[0].count_is, CTF_EXACT);
	ck_assert_str_eq(g.box.gaps[0].cause, "too_large");
	ck_assert_uint_eq(g.box.gaps[0].from_ns, 7);
	ck_assert_uint_eq(g.box.gaps[0].to_ns, 9);
}
END_TEST

/* Two stacks into one sink: the records of both are before the gap. */
START_TEST(a_gap_stands_behind_what_came_before)
{
	struct rig g;
	struct ctf_gap gap = { 5, 9, 7, CTF_EXACT, "overrun", "a", -1 };
	struct qframe *f;
	unsigned n = 0;

	box_init(&g.box);
	g.box.block = true;
	rig_start(
		&g,
		"[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,o:ODD,k:KEEP\n[a]\n%B\n[k]\n%B\n",
		0);
	rig_feed(&g, 3);
	ctf_report_gap(&g.s.graph.inputs->ctx, &gap);
	for (f = g.s.graph.sinks->queue.head; f; f = f->next, n++)
		ck_assert_int_eq(f->is_gap, n == 2);
	ck_assert_uint_eq(n, 3);
	rig_stop_in(&g, 50);
}
END_TEST

/* ---- ctf_wait() ---- */

static void
on_usr1(int sig)
{
}

struct waiter {
	struct sink sink;
	struct ctf_ctx ctx;
	int ret;
	uint64_t ms;
};

static void *
wait_300(void *arg)
{
	struct waiter *w = arg;
	uint64_t since = ctf_mono_ms();

	w->ret = ctf_wait(&w->ctx, -1, 0, 300);
	w->ms = ctf_mono_ms() - since;
	return NULL;
}

/* The change of the user comes as a signal, too. */
START_TEST(a_signal_does_not_end_a_wait)
{
	struct waiter w = { .sink.intr = eventfd(0, EFD_CLOEXEC) };
	struct sigaction sa = { .sa_handler = on_usr1 };
	pthread_t t;

	w.ctx.sink = &w.sink;
	sigaction(SIGUSR1, &sa, NULL);
	ck_assert_int_eq(pthread_create(&t, NULL, wait_300, &w), 0);
	usleep(50000);
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	ck_assert_int_eq(w.ret, 0);
	ck_assert_uint_ge(w.ms, 299);
	ck_assert_uint_le(w.ms, RIG_LIMIT);
	eventfd_write(w.sink.intr, 1); /* but this is the core's */
	ck_assert_int_eq(ctf_wait(&w.ctx, -1, 0, 10000), -EINTR);
	ck_assert_int_eq(ctf_wait(&w.ctx, -1, 0, 0), -EINTR);
	close(w.sink.intr);
}
END_TEST

/* ---- what a full queue makes of gaps and coverage ---- */

/* A rig whose output takes nothing, with a queue that is always too full. */
static struct sink *
stuck(struct rig *g)
{
	struct sink *s;

	box_init(&g->box);
	g->box.backlog = 90;
	g->box.block = true;
	g->box.open_errno = ECONNREFUSED;
	g->box.fail_opens = UINT32_MAX; /* down: nothing is claimed */
	rig_start(g, LIVE, 0);
	s = g->s.graph.sinks;
	return s;
}

static void
drop_all(struct sink *s)
{
	uint64_t limit = s->queue.limit;

	s->queue.limit = 0;
	sink_drop(s);
	s->queue.limit = limit;
}

START_TEST(a_dropped_gap_is_part_of_the_next)
{
	struct rig g;
	struct sink *s = stuck(&g);
	struct ctf_gap a = { 5, 900, 7, CTF_AT_MOST, "overrun", "a", 3 };
	struct ctf_gap b = { 950, 960, 1, CTF_EXACT, "overrun", "a", 4 };

	ctf_report_gap(&g.s.graph.inputs->ctx, &a);
	rig_feed(&g, 10);
	ctf_report_gap(&g.s.graph.inputs->ctx, &b);
	drop_all(s);
	ck_assert_uint_eq(s->queue.frames, 1);
	ck_assert(s->queue.head->is_gap);
	a = s->queue.head->gap;
	ck_assert_uint_eq(a.from_ns, 5);
	ck_assert_uint_eq(a.to_ns, 1009);
	ck_assert_uint_eq(a.count, 18);
	ck_assert_uint_eq(a.told, 8);
	ck_assert_int_eq(a.count_is, CTF_AT_MOST);
	ck_assert_str_eq(a.cause, "queue");
	ck_assert_str_eq(a.instance, "k");
	ck_assert_int_eq(a.nsid, -1); /* of several */
	ck_assert_uint_eq(atomic_load(s->dropped), 10);

	b.count = CTF_UNKNOWN;
	b.count_is = CTF_UNCOUNTED;
	ctf_report_gap(&g.s.graph.inputs->ctx, &b);
	drop_all(s);
	ck_assert_int_eq(s->queue.head->gap.count_is, CTF_UNCOUNTED);
	ck_assert_uint_eq(s->queue.head->gap.count, CTF_UNKNOWN);
	rig_stop_in(&g, 50);
}
END_TEST

START_TEST(dropped_coverage_is_no_gap)
{
	struct rig g;
	struct sink *s = stuck(&g);
	struct ctf_coverage cov = { .from_ns = 1, .last_alive_ns = 2 };

	ctf_report_coverage(&g.s.graph.inputs->ctx, &cov);
	ck_assert_uint_eq(s->queue.frames, 1);
	drop_all(s);
	ck_assert_uint_eq(s->queue.frames, 0);
	ctf_report_coverage(&g.s.graph.inputs->ctx, &cov);
	rig_feed(&g, 10);
	pump_seal(g.s.graph.inputs);
	drop_all(s);
	ck_assert_uint_eq(s->queue.frames, 1);
	ck_assert_uint_eq(s->queue.head->gap.from_ns, 1000); /* not the coverage's */
	ck_assert_uint_eq(s->queue.head->gap.count, 10);
	rig_stop_in(&g, 50);
}
END_TEST

static enum ctf_sent
take_then_break(struct box *b, const struct ctf_frame *const *f, unsigned n,
		unsigned *ret_taken)
{
	if (n < 4)
		return CTF_AGAIN; /* not all of them yet */
	for (unsigned i = 0; i < n; i++)
		box_keep(b, f[i]);
	*ret_taken = n;
	b->fail_opens = UINT32_MAX;
	b->open_errno = ECONNREFUSED;
	return CTF_RETRY;
}

/* Frames taken by a session that broke may be there: their gap cannot be exact. */
START_TEST(what_may_have_arrived_is_at_most_lost)
{
	struct rig g;
	struct sink *s;

	box_init(&g.box);
	g.box.deliver = take_then_break;
	rig_start(&g, "[global]\nstack=a:FEED,k:SETTLE\n[a]\n%B\n[k]\n%B\nsync=1\n", 0);
	s = g.s.graph.sinks;
	rig_feed(&g, 32); /* 4 frames of 8 */
	rig_spin(&g, &g.box.nkept, 32);
	rig_spin(&g, &g.box.closes, 1);
	rig_broken(&g);
	pthread_mutex_lock(&s->lock);
	ck_assert_uint_eq(s->queue.frames, 4);
	ck_assert_ptr_eq(s->queue.next, s->queue.head);
	pthread_mutex_unlock(&s->lock);
	drop_all(s);
	/* The first one is kept: its delivery has begun. */
	ck_assert_uint_eq(s->queue.frames, 2);
	ck_assert(s->queue.tail->is_gap);
	ck_assert_uint_eq(s->queue.tail->gap.count, 24);
	ck_assert_int_eq(s->queue.tail->gap.count_is, CTF_AT_MOST);
	rig_stop_in(&g, 50);
}
END_TEST

START_TEST(a_queue_holds_two_frames_at_least)
{
	struct rig g;

	box_init(&g.box);
	rig_start(&g, ONE "queue=64K\nframe=65536\n", 0);
	ck_assert_uint_ge(g.s.graph.sinks->queue.limit, 2 * 65536);
	rig_stop(&g);
}
END_TEST

START_TEST(many_outputs)
{
	enum { N = 150 };
	char text[N * 64], *p = text + sprintf(text, "[global]\n");
	struct rig g;

	for (int i = 0; i < N; i++)
		p += sprintf(p, "stack=a:FEED,k%d:KEEP\n", i);
	p += sprintf(p, "[a]\n%%B\n");
	for (int i = 0; i < N; i++)
		p += sprintf(p, "[k%d]\n%%B\n", i);
	box_init(&g.box);
	rig_start(&g, text, 0);
	rig_feed(&g, 20);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, N * 20);
	ck_assert_uint_eq(g.box.opens, N);
	ck_assert_uint_eq(g.box.closes, N);
}
END_TEST

/* ---- what is not needed ---- */

START_TEST(an_input_that_does_not_start_opens_no_output)
{
	struct rig g;

	box_init(&g.box);
	g.box.start_errno = EPERM;
	g.box.every_ms = 10;
	rig_start(&g, ONE, -ENOENT);
	for (int i = 0; i < 3; i++)
		loop_once(g.run.loop, 15);
	ck_assert_uint_eq(g.box.opens, 0);
	ck_assert_uint_eq(g.box.everys, 0);
	ck_assert_uint_eq(g.box.stops, 0); /* start() undoes itself when it fails */
	rig_stop(&g);
	ck_assert_uint_eq(g.box.stops, 0);
}
END_TEST

START_TEST(an_input_nobody_takes_is_stopped)
{
	struct rig g;

	box_init(&g.box);
	g.box.every_ms = 10;
	g.box.open_errno = EACCES;
	g.box.fail_opens = 1;
	rig_start(&g, ONE, -ENOENT);
	ck_assert_uint_eq(g.box.starts, 1);
	ck_assert_uint_eq(g.box.stops, 1);
	for (int i = 0; i < 3; i++)
		loop_once(g.run.loop, 15);
	ck_assert_uint_eq(g.box.everys, 0);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.stops, 1);
}
END_TEST

START_TEST(a_stopped_input_is_not_called)
{
	struct rig g;
	unsigned n;

	box_init(&g.box);
	g.box.every_ms = 10;
	g.box.block = true;
	rig_start(&g, ONE "sync=1\n", 0);
	rig_feed(&g, 1);
	for (int i = 0; i < 100 && !g.box.everys; i++)
		loop_once(g.run.loop, 10);
	n = g.box.everys;
	ck_assert_uint_gt(n, 0);
	rig_stop_in(&g, 200); /* the loop goes on turning meanwhile */
	ck_assert_uint_le(g.box.everys, n + 1);
	ck_assert_uint_eq(g.box.stops, 1);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, delays_double_up_to_a_minute);
	tcase_add_test(t, delays_are_spread);
	tcase_add_test(t, a_mistake_that_comes_late_is_retried);
	tcase_add_test(t, what_is_lost_at_the_end_is_a_gap_too);
	tcase_add_test(t, a_gap_is_where_flows_ended);
	tcase_add_test(t, a_gap_that_is_poison_does_not_come_back_for_ever);
	tcase_add_test(t, a_record_that_fits_nowhere_is_a_gap);
	tcase_add_test(t, a_gap_stands_behind_what_came_before);
	tcase_add_test(t, a_dropped_gap_is_part_of_the_next);
	tcase_add_test(t, dropped_coverage_is_no_gap);
	tcase_add_test(t, what_may_have_arrived_is_at_most_lost);
	tcase_add_test(t, a_queue_holds_two_frames_at_least);
	tcase_add_test(t, a_signal_does_not_end_a_wait);
	tcase_add_test(t, many_outputs);
	tcase_add_test(t, an_input_that_does_not_start_opens_no_output);
	tcase_add_test(t, an_input_nobody_takes_is_stopped);
	tcase_add_test(t, a_stopped_input_is_not_called);
}

int
main(void)
{
	return unit_main("sink", add_tests);
}
