/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rig.h"

void
rig_start(struct rig *g, const char *text, int want)
{
	rig_start_kept(g, text, NULL, want);
}

void
rig_start_kept(struct rig *g, const char *text, const char *state_dir, int want)
{
	struct diag diag = { 0 };

	ck_assert_int_eq(fakes_setup(&g->s, text, &g->box, &diag), 0);
	diag_free(&diag);
	g->run = (struct run){ .graph = &g->s.graph };
	ck_assert_int_eq(loop_new(&g->run.loop), 0);
	if (state_dir)
		ck_assert_ptr_nonnull(g->run.state = state_open(state_dir, "/t.conf", NULL));
	ck_assert_int_eq(run_start(&g->run), want);
	run_go(&g->run);
}

static bool
no_hurry(void *arg)
{
	return false;
}

void
rig_stop_in(struct rig *g, uint64_t stop_ms)
{
	ck_assert(run_stop(&g->run, stop_ms, no_hurry, NULL));
	setup_free(&g->s);
	state_close(g->run.state);
	loop_free(g->run.loop);
	box_free(&g->box);
}

void
rig_stop(struct rig *g)
{
	rig_stop_in(g, RIG_LIMIT);
}

void
rig_feed(struct rig *g, unsigned n)
{
	g->box.feed += n;
	eventfd_write(g->box.event_fd, 1);
	for (uint64_t since = ctf_mono_ms();
	     g->box.fed < g->box.feed && ctf_mono_ms() - since < RIG_LIMIT;)
		ck_assert_int_eq(loop_once(g->run.loop, 10), 0);
}

void
rig_spin(struct rig *g, const unsigned *member, unsigned n)
{
	for (uint64_t since = ctf_mono_ms();
	     box_get(&g->box, member) < n && ctf_mono_ms() - since < RIG_LIMIT;)
		loop_once(g->run.loop, 10);
	ck_assert_uint_ge(box_get(&g->box, member), n);
}

void
rig_counted(struct rig *g, uint64_t n)
{
	const struct sink *s = g->s.graph.sinks;

	for (unsigned i = 0; i < RIG_LIMIT && atomic_load(s->delivered) < n; i++)
		usleep(1000);
	ck_assert_uint_ge(atomic_load(s->delivered), n);
}

void
rig_broken(struct rig *g)
{
	struct sink *s = g->s.graph.sinks;
	enum sink_state is = SINK_UP;

	for (unsigned i = 0; i < RIG_LIMIT && is != SINK_DOWN; i++) {
		pthread_mutex_lock(&s->lock);
		is = s->state;
		pthread_mutex_unlock(&s->lock);
		usleep(1000);
	}
	ck_assert_int_eq(is, SINK_DOWN);
}

void
rig_check_kept(const struct box *b, unsigned n)
{
	ck_assert_uint_eq(b->nkept, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(b->kept[i], i + 1);
}
