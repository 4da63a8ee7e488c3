/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of what lives on, by what each output has chosen; further fds of an input. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"
#include "unit.h"

#define SWEEP (UINT64_MAX - 1)

/* Ten records: ids 1 6 are events, 2 7 presence, 3 8 counters, 4 9 deltas, 5 10 extra. */
static const struct {
	const char *output, *options;
	unsigned n;
	uint64_t ids[6];
	unsigned wanted;
} choices[] = {
	{ "KEEP", "", 4, { 1, 2, 6, 7 }, 1u << CTF_INTERIM_PRESENCE },
	{ "KEEP", "interim=none", 2, { 1, 6 }, 1u << CTF_INTERIM_NONE },
	{ "KEEP", "interim=presence", 4, { 1, 2, 6, 7 }, 1u << CTF_INTERIM_PRESENCE },
	{ "KEEP", "interim=counters", 6, { 1, 3, 4, 6, 8, 9 }, 1u << CTF_INTERIM_COUNTERS },
	{ "NATIVE", "interim=auto", 6, { 1, 3, 4, 6, 8, 9 }, 1u << CTF_INTERIM_COUNTERS },
	{ "NATIVE", "interim=none", 2, { 1, 6 }, 1u << CTF_INTERIM_NONE },
	{ "EVENTS", "interim=none", 4, { 1, 5, 6, 10 }, 1u << CTF_INTERIM_NONE },
	{ "EVENTS", "", 6, { 1, 2, 5, 6, 7, 10 }, 1u << CTF_INTERIM_PRESENCE },
};

START_TEST(test_choice)
{
	struct rig g;
	char text[256];

	snprintf(text, sizeof(text), "[global]\nstack=a:FEED,k:%s\n[a]\n%%B\n[k]\n%%B\n%s\n",
		 choices[_i].output, choices[_i].options);
	box_init(&g.box);
	g.box.kinds = true;
	rig_start(&g, text, 0);
	rig_feed(&g, 10);
	ck_assert_uint_eq(g.box.wanted, choices[_i].wanted);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, choices[_i].n);
	for (unsigned i = 0; i < choices[_i].n; i++)
		ck_assert_uint_eq(g.box.kept[i], choices[_i].ids[i]);
}
END_TEST

/* What one input's outputs want, and what all do. */
START_TEST(test_wanted)
{
	struct diag diag = { 0 };
	struct setup setup;
	struct box box;
	const struct input *in;

	box_init(&box);
	ck_assert_int_eq(
		fakes_setup(&setup,
			    "[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,l:PLAIN\n"
			    "stack=b:LIVE,m:KEEP\n[k]\ninterim=none\n[l]\ninterim=counters\n",
			    &box, &diag),
		0);
	in = setup.graph.inputs;
	ck_assert_uint_eq(ctf_interim_wanted(&in->ctx, false), 1 | 4);
	ck_assert_uint_eq(ctf_interim_wanted(&in->next->ctx, false), 2);
	ck_assert_uint_eq(ctf_interim_wanted(&in->ctx, true), 1 | 2 | 4);
	diag_free(&diag);
	setup_free(&setup);
	box_free(&box);
}
END_TEST

/* Events are asked for input by input. */
START_TEST(test_events)
{
	struct diag diag = { 0 };
	struct setup setup;
	struct box box;
	const struct input *in;

	box_init(&box);
	ck_assert_int_eq(fakes_setup(&setup,
				     "[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,e:EVENTS\n"
				     "stack=b:LIVE,m:KEEP\n",
				     &box, &diag),
			 0);
	in = setup.graph.inputs;
	ck_assert_uint_eq(ctf_events_wanted(&in->ctx), CTF_NEW);
	ck_assert_uint_eq(ctf_events_wanted(&in->next->ctx), 0);
	diag_free(&diag);
	setup_free(&setup);
	box_free(&box);
}
END_TEST

/* What was asked for is missed when it is lost; what sweeps say is not. */
START_TEST(test_extra_counts)
{
	struct rig g;

	box_init(&g.box);
	g.box.kinds = true;
	rig_start(&g, "[global]\nstack=a:FEED,k:EVENTS\n[a]\n%B\n[k]\n%B\nsync=1\n", 0);
	rig_feed(&g, 10);
	ck_assert_uint_eq(g.s.graph.sinks->queue.upto, 4);
	rig_stop(&g);
}
END_TEST

/* The end of a sweep stands behind its records, whichever stack they took. */
START_TEST(test_sweep)
{
	struct ctf_sweep sweep = { .at_ns = 5, .complete = true, .nsid = -1 };
	struct rig g;

	box_init(&g.box);
	rig_start(
		&g,
		"[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,o:ODD,k:KEEP\n[a]\n%B\n[k]\n%B\n",
		0);
	rig_feed(&g, 2);
	ctf_report_sweep(&g.s.graph.inputs->ctx, &sweep);
	rig_feed(&g, 1);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nsweeps, 1);
	ck_assert_uint_eq(g.box.nkept, 6);
	ck_assert_uint_eq(g.box.kept[3], SWEEP); /* 1 and 2, and 1 again, came before */
}
END_TEST

static void
spin(struct rig *g, unsigned fed)
{
	for (int i = 0; i < 100 && g->box.fed < fed; i++)
		loop_once(g->run.loop, 10);
	for (int i = 0; i < 3; i++)
		loop_once(g->run.loop, 1);
	ck_assert_uint_eq(g->box.fed, fed);
}

START_TEST(test_watch)
{
	struct ctf_ctx *ctx;
	struct rig g;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	box_init(&g.box);
	g.box.watch_fd = fds[0];
	rig_start(&g, ONE, 0);
	ctx = &g.s.graph.inputs->ctx;
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	spin(&g, 3);
	ck_assert_int_eq(ctf_watch(ctx, fds[0], NULL), 0); /* forgotten */
	ck_assert_int_eq(ctf_watch(ctx, fds[0], NULL), 0);
	ck_assert_int_eq(write(fds[1], "d", 1), 1);
	spin(&g, 3);
	rig_stop(&g);
	rig_check_kept(&g.box, 3);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* The end of a watch is not the end of the input. */
START_TEST(test_watch_ends)
{
	struct rig g;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	box_init(&g.box);
	g.box.watch_fd = fds[0];
	g.box.watch_end = _i ? -EIO : CTF_READ_END;
	rig_start(&g, ONE, 0);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	spin(&g, 1);
	rig_feed(&g, 2); /* one of them came by the watch */
	ck_assert(run_alive(&g.run));
	rig_stop(&g);
	rig_check_kept(&g.box, 2);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* While the input waits for room its other fds are not read either. */
START_TEST(test_watch_pauses)
{
	struct rig g;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	box_init(&g.box);
	g.box.watch_fd = fds[0];
	g.box.block = true;
	rig_start(&g, ONE "queue=64K\nframe=65536\nsync=1\n", 0);
	g.box.feed = 40000;
	for (int i = 0; i < 200 && !g.s.graph.inputs->paused; i++)
		loop_once(g.run.loop, 10);
	ck_assert(g.s.graph.inputs->paused);
	spin(&g, g.box.fed);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	spin(&g, g.box.fed);
	pthread_mutex_lock(&g.box.lock);
	g.box.block = false;
	pthread_mutex_unlock(&g.box.lock);
	sink_abort(g.s.graph.sinks);
	rig_stop(&g);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, test_choice, 0, COUNT(choices));
	tcase_add_test(t, test_wanted);
	tcase_add_test(t, test_events);
	tcase_add_test(t, test_extra_counts);
	tcase_add_test(t, test_sweep);
	tcase_add_test(t, test_watch);
	tcase_add_loop_test(t, test_watch_ends, 0, 2);
	tcase_add_test(t, test_watch_pauses);
}

int
main(void)
{
	return unit_main("interim", add_tests);
}
