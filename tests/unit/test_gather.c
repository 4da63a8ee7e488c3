/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctf_gather(): frames that wait for others, and when they do not. */
#include <check.h>

#include "rig.h"
#include "unit.h"

#define GATHER "[global]\nstack=a:FEED,k:KEEP\n[a]\n%B\n[k]\n%B\nsync=1\n"
#define LONG_MS 600000u

static enum ctf_sent
count_calls(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	for (unsigned i = 0; i < n; i++)
		box_keep(b, f[i]);
	++*(unsigned *)b->arg;
	*ret_taken = n;
	return CTF_SENT;
}

static void
begin(struct rig *g, const char *text, unsigned gather_ms, unsigned *calls)
{
	*calls = 0;
	box_init(&g->box);
	g->box.deliver = count_calls;
	g->box.arg = calls;
	g->box.gather_ms = gather_ms;
	rig_start(g, text, 0);
}

/* One record a batch and so, with sync, a frame each. */
static void
feed_frames(struct rig *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_feed(g, 1);
}

START_TEST(many_at_once)
{
	unsigned calls;
	uint64_t since;
	struct rig g;

	begin(&g, GATHER, 1000, &calls); /* longer than feeding takes on a busy machine */
	since = ctf_mono_ms();
	feed_frames(&g, 20);
	rig_spin(&g, &g.box.nkept, 20);
	ck_assert_uint_ge(ctf_mono_ms() - since, 999);
	ck_assert_uint_eq(box_get(&g.box, &calls), 1);
	feed_frames(&g, 3); /* and the next ones wait as well */
	rig_spin(&g, &g.box.nkept, 23);
	ck_assert_uint_eq(box_get(&g.box, &calls), 2);
	rig_stop(&g);
	rig_check_kept(&g.box, 23);
}
END_TEST

START_TEST(the_end_does_not_wait)
{
	unsigned calls;
	struct rig g;

	begin(&g, GATHER, LONG_MS, &calls);
	feed_frames(&g, 20);
	loop_once(g.run.loop, 50);
	ck_assert_uint_eq(box_get(&g.box, &g.box.nkept), 0);
	rig_stop(&g); /* within 5 s, or it fails */
	rig_check_kept(&g.box, 20);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(a_group_does_not_wait)
{
	unsigned calls;
	struct rig g;

	begin(&g, GATHER, LONG_MS, &calls);
	feed_frames(&g, GROUP - 1);
	loop_once(g.run.loop, 50);
	ck_assert_uint_eq(box_get(&g.box, &g.box.nkept), 0);
	feed_frames(&g, 1);
	rig_spin(&g, &g.box.nkept, GROUP - 1);
	rig_stop(&g);
	rig_check_kept(&g.box, GROUP);
}
END_TEST

START_TEST(half_a_queue_does_not_wait)
{
	unsigned calls;
	struct rig g;

	begin(&g, GATHER "queue=64K\nframe=8192\n", LONG_MS, &calls);
	rig_feed(&g, 3000);
	loop_once(g.run.loop, 50);
	ck_assert_uint_eq(box_get(&g.box, &g.box.nkept), 0);
	rig_feed(&g, 3000);
	rig_spin(&g, &g.box.nkept, 2000);
	rig_stop(&g);
	rig_check_kept(&g.box, 6000);
}
END_TEST

/* What could not be delivered goes as soon as it can. */
START_TEST(a_retry_does_not_wait)
{
	unsigned calls;
	struct rig g;

	begin(&g, GATHER "reconnect=10ms\n", 200, &calls);
	g.box.deliver = NULL;
	g.box.answer = CTF_RETRY;
	g.box.answers = 2;
	pthread_mutex_lock(&g.box.lock);
	g.box.gather_ms = LONG_MS;
	pthread_mutex_unlock(&g.box.lock);
	feed_frames(&g, 5);
	rig_spin(&g, &g.box.nkept, 5);
	rig_stop(&g);
	rig_check_kept(&g.box, 5);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 20);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, the_end_does_not_wait);
	tcase_add_test(t, a_group_does_not_wait);
	tcase_add_test(t, half_a_queue_does_not_wait);
	tcase_add_test(t, a_retry_does_not_wait);
}

int
main(void)
{
	return unit_main("gather", add_tests);
}
