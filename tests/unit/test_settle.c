/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settle.c and the window of the queue, in a running sink, with each kind of store. */
#define DIR_NAME "test_settle.d"
#define SPOOL_DIR "test_settle.s"
#include "spool_rig.h"

static void
drop_all(struct sink *s)
{
	uint64_t limit = s->queue.limit;

	s->queue.limit = 0;
	sink_drop(s);
	s->queue.limit = limit;
}

enum { MEMORY };
/* The others: on disk before it is delivered; on disk when it has to wait. */
static const char *const kinds[] = { "", "spool_dir=" SPOOL_DIR "\nspool_sync=0\n",
				     "spool_dir=" SPOOL_DIR "\nspool_sync=5ms\n" };

#define NEEDED "[global]\nstack=a:LIVE,k:SETTLE\n[a]\n%%B\n[k]\n%%B\nreconnect=10ms\nsync=1\n%s"

static void
lock_set(struct box *b, uint64_t *member, uint64_t n)
{
	pthread_mutex_lock(&b->lock);
	*member = n;
	pthread_mutex_unlock(&b->lock);
}

static enum ctf_sent
settle_at_once(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	for (unsigned i = 0; i < n; i++)
		box_keep(b, f[i]);
	b->settled = f[n - 1]->number;
	*ret_taken = n;
	return CTF_SENT;
}

/* Breaks the session; none is made until `fail_opens` is set to 0. */
static enum ctf_sent
break_it(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	b->deliver = settle_at_once;
	b->open_errno = ECONNREFUSED;
	b->fail_opens = UINT32_MAX;
	return CTF_RETRY;
}

/* Delivers ten frames of 8, the last four of which are still needed. */
static struct sink *
with_window(struct rig *g, int kind)
{
	char text[256];

	nothing_there();
	snprintf(text, sizeof(text), NEEDED, kinds[kind]);
	box_init(&g->box);
	g->box.backlog = 90;
	g->box.window = 4;
	g->box.deliver = settle_at_once;
	rig_start(g, text, 0);
	for (unsigned i = 1; i <= 10; i++) {
		rig_feed(g, 8);
		rig_spin(g, &g->box.nframes, i);
	}
	return g->s.graph.sinks;
}

/* The worker may be a moment behind. */
static void
counts(ctf_counter *c, uint64_t n)
{
	for (int i = 0; i < 6000 && atomic_load(c) < n; i++)
		usleep(10000);
	ck_assert_uint_eq(atomic_load(c), n);
}

static void
break_now(struct rig *g)
{
	pthread_mutex_lock(&g->box.lock);
	g->box.deliver = break_it;
	pthread_mutex_unlock(&g->box.lock);
	rig_feed(g, 8);
	rig_spin(g, &g->box.closes, 1);
	rig_broken(g);
}

START_TEST(what_is_still_needed_is_sent_again)
{
	struct rig g;
	struct sink *s = with_window(&g, _i);
	struct sink_now now;

	break_now(&g);
	sink_look(s, &now);
	ck_assert_uint_eq(now.recs, 8); /* the one that broke it; the window was counted */
	ck_assert_uint_eq(atomic_load(s->delivered), 80);
	ck_assert_uint_eq(atomic_load(s->repeated), 32);
	pthread_mutex_lock(&g.box.lock);
	g.box.fail_opens = 0;
	pthread_mutex_unlock(&g.box.lock);
	rig_spin(&g, &g.box.nframes, 15);
	ck_assert_uint_eq(g.box.kept_frame[80] - g.box.kept_frame[0], 7 - 1);
	ck_assert_uint_eq(g.box.kept_frame[112] - g.box.kept_frame[0], 11 - 1);
	counts(s->delivered, 88);
	counts(s->dropped, 0);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_eq(g.box.nkept, 120);
}
END_TEST

START_TEST(a_window_dropped_while_away_is_at_most_lost)
{
	struct rig g;
	struct sink *s = with_window(&g, MEMORY);

	break_now(&g);
	drop_all(s);
	/* 7 to 10 were counted as delivered, 11 was not. */
	ck_assert_uint_eq(s->queue.frames, 1);
	ck_assert_uint_eq(s->queue.head->gap.count, 40);
	ck_assert_int_eq(s->queue.head->gap.count_is, CTF_AT_MOST);
	ck_assert_uint_eq(atomic_load(s->dropped), 8);
	rig_stop_in(&g, 50);
}
END_TEST

/* What is on disk is not dropped for want of memory. */
START_TEST(a_window_on_disk_is_not_lost)
{
	struct rig g;
	struct sink *s = with_window(&g, _i);

	break_now(&g);
	all_on_disk(&g);
	drop_all(s);
	come_back(&g);
	rig_spin(&g, &g.box.nframes, 15);
	counts(s->delivered, 88);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_eq(g.box.nkept, 120);
}
END_TEST

/* What the window gave up is told if, and only if, the session then breaks. */
START_TEST(a_window_too_large_for_the_queue)
{
	struct rig g;
	struct sink *s = with_window(&g, _i);
	const struct ctf_gap *gap = &g.box.gaps[0];

	pthread_mutex_lock(&s->lock);
	s->queue.limit = s->queue.bytes / 2; /* two of the four */
	window_fit(&s->queue);
	s->queue.limit = 1 << 20;
	pthread_mutex_unlock(&s->lock);
	ck_assert_uint_eq(g.box.ngaps, 0);
	break_now(&g);
	lock_set(&g.box, &g.box.window, 0);
	pthread_mutex_lock(&g.box.lock);
	g.box.fail_opens = 0;
	pthread_mutex_unlock(&g.box.lock);
	rig_spin(&g, &g.box.ngaps, 1);
	ck_assert_uint_eq(gap->count, 16);
	ck_assert_int_eq(gap->count_is, CTF_AT_MOST);
	ck_assert_str_eq(gap->cause, "queue");
	ck_assert_uint_eq(gap->from_ns, 1000 + 48);
	ck_assert_uint_eq(gap->to_ns, 1000 + 63);
	counts(s->delivered, 88);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.kept_frame[80] - g.box.kept_frame[0], 9 - 1);
}
END_TEST

START_TEST(a_window_does_not_keep_the_end_waiting)
{
	struct rig g;
	struct sink *s = with_window(&g, _i);
	uint64_t since = ctf_mono_ms();
	struct sink_now now;

	sink_look(s, &now);
	ck_assert_uint_eq(now.recs, 0);
	ck_assert_uint_eq(now.bytes, 0);
	ck_assert_uint_ge(now.window, 4 * 64);
	lock_set(&g.box, &g.box.window, 0); /* close() was in order */
	rig_stop(&g);
	ck_assert_uint_lt(ctf_mono_ms() - since, RIG_LIMIT / 2);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_eq(g.box.nkept, 80);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_unchecked_fixture(t, nothing_there, nothing_there);
	tcase_add_loop_test(t, what_is_still_needed_is_sent_again, 0, COUNT(kinds));
	tcase_add_test(t, a_window_dropped_while_away_is_at_most_lost);
	tcase_add_loop_test(t, a_window_on_disk_is_not_lost, MEMORY + 1, COUNT(kinds));
	tcase_add_loop_test(t, a_window_too_large_for_the_queue, 0, COUNT(kinds));
	tcase_add_loop_test(t, a_window_does_not_keep_the_end_waiting, 0, COUNT(kinds));
}

int
main(void)
{
	return unit_main("settle", add_tests);
}
