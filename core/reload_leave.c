/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is left of a configuration that is not in force any more. */
#include "handover.h"
#include "log.h"
#include "pump.h"
#include "reload.h"
#include "sink.h"
#include "spool.h"

#define LEAVE_MS 2000u /* for an input to be read out */
#define HURRY_MS 1000u /* without progress, when the next SIGHUP has come */
#define ABORT_MS 2000u /* for what was told to end at once */

static uint64_t
stop_timeout(const struct reload *rl)
{
	return rl->gen->setup.global.stop_timeout;
}

/* ---- inputs -------------------------------------------------------------------- */

static void
start_heir(struct reload *rl, struct input *in)
{
	struct input *heir = in->heir;
	struct ctf_err err = { 0 };

	in->heir = NULL;
	if (!heir)
		return;
	ctx_pass_on(&heir->ctx, &in->ctx);
	if (run_start_input(rl->run, heir, &err) == 0)
		return;
	ctf_log(&heir->ctx, CTF_ERROR, "%s; nothing is read here until the next SIGHUP",
		err.msg);
	/* Others work, or will; the configuration can still be mended. */
	heir->ended = false;
	for (unsigned i = 0; i < heir->nstacks; i++)
		heir->stacks[i]->dead = false;
}

/* Another one of its kind has come, and may hear the same: it leaves at once. */
static bool
is_replaced(const struct reload *rl, const struct input *in)
{
	const struct input *x = rl->run->graph->inputs;

	while (x && (x == in->heir || x->inst->plugin != in->inst->plugin))
		x = x->next;
	return x;
}

/* True: it has gone. */
static bool
input_leaves(struct reload *rl, struct input *in)
{
	if (in->ended && !in->started)
		return true;
	if (!in->leave_ms)
		in->leave_ms = ctf_mono_ms() + (is_replaced(rl, in) ? 0 : LEAVE_MS);
	if (!run_leave(rl->run, in, in->leave_ms))
		return false;
	run_kick(in->graph);
	run_kick(rl->run->graph);
	if (in->heir) /* nobody listens meanwhile: that is a gap */
		kept_input_end(in, CTF_ENDED_DIED);
	start_heir(rl, in);
	return true;
}

/* ---- outputs ------------------------------------------------------------------- */

/* Its successor has its frames and goes on from there. */
static void
succeed(struct reload *rl, struct sink *s)
{
	struct sink *heir = s->heir;
	int ret;

	s->heir = NULL;
	for (struct encoder *e = heir->encoders; e; e = e->next)
		pump_seal(e->stack->input);
	ctx_pass_on(&heir->ctx, &s->ctx);
	reload_pass_on(heir, s);
	if (s->left.opened)
		handover_forget(rl->run->handover, heir->inst);
	handover_pass(rl->run->handover, &s->ctx);
	if (s->queue.frames)
		ctf_log(&s->ctx, CTF_NOTICE, "%llu flows go to its successor",
			(unsigned long long)s->queue.recs);
	sink_inherit(heir, s);
	ret = spool_start(heir);
	if (ret) {
		ctf_log(&heir->ctx, CTF_ERROR, "no thread: %s", strerror(-ret));
		pthread_mutex_lock(&heir->lock);
		heir->queue.durable = false; /* nobody writes: better sent than safe */
		pthread_mutex_unlock(&heir->lock);
	}
	sink_go(heir);
	sink_kick(heir);
}

/* No more than it can deliver without a pause: how long, is a question of who waits. */
static bool
is_late(const struct reload *rl, struct sink *s)
{
	uint64_t now = ctf_mono_ms(), seen;
	bool down;

	pthread_mutex_lock(&s->lock);
	seen = s->progress;
	down = s->state == SINK_DOWN && s->first_done;
	pthread_mutex_unlock(&s->lock);
	if (seen != s->seen) {
		s->seen = seen;
		s->moved_ms = now;
	}
	if (s->heir && down)
		return true;
	return now - s->moved_ms >= (s->heir && rl->wanted && HURRY_MS < stop_timeout(rl)
					     ? HURRY_MS
					     : stop_timeout(rl));
}

/* Its successor has to wait as long as it holds what both need. */
static void
say_hung(struct sink *s)
{
	if (!s->abort_ms || s->hung || ctf_mono_ms() - s->abort_ms < ABORT_MS)
		return;
	s->hung = true;
	ctf_log(&s->ctx, CTF_ERROR,
		"does not come to an end: with its new options it is not opened before that");
}

/* True: nothing of it is left but memory. */
static bool
sink_leaves(struct reload *rl, struct sink *s)
{
	if (s->over || (!s->running && !s->heir && !s->spool && !s->claimed))
		return true;
	if (s->held) /* the one before it is not over yet */
		return false;
	if (!s->moved_ms) {
		s->moved_ms = ctf_mono_ms();
		sink_go(s);
		sink_stop(s);
	}
	sink_kick(s);
	if (s->running && !sink_join(s, 0)) {
		if (!s->aborted && is_late(rl, s)) {
			if (s->heir && rl->run->handover)
				sink_hand_over(s); /* what it has begun */
			sink_abort(s);
			s->abort_ms = ctf_mono_ms();
		}
		say_hung(s);
		return false;
	}
	spool_stop(s);
	if (!spool_join(s, 0) || s->claimed)
		return false;
	s->over = true;
	if (s->heir) {
		succeed(rl, s);
	} else {
		kept_sink_end(s);
		run_say_lost(s);
		spool_free(s); /* its folder is free */
	}
	return true;
}

bool
reload_leave(struct reload *rl, struct gen *gen)
{
	struct graph *g = &gen->setup.graph;
	bool over = true;

	for (struct input *in = g->inputs; in; in = in->next)
		over &= input_leaves(rl, in);
	if (!over) { /* they have more for the outputs */
		run_kick(g);
		return false;
	}
	for (struct filter *f = g->filters; f; f = f->next)
		over &= reload_filter_leaves(f);
	for (struct sink *s = g->sinks; s; s = s->next)
		over &= sink_leaves(rl, s);
	return over;
}

bool
reload_awaited(const struct reload *rl)
{
	for (const struct gen *g = rl->old; g; g = g->next) {
		for (const struct input *in = g->setup.graph.inputs; in; in = in->next)
			if (in->started)
				return true;
		for (const struct sink *s = g->setup.graph.sinks; s; s = s->next)
			if (s->heir && !s->hung)
				return true;
	}
	return false;
}
