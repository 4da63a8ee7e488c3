/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The planned end.  What the kernel has queued is read, the inputs leave
 * their groups, what was sent meanwhile is read, and the outputs deliver
 * all of it, for as long as they get on with it.
 */
#include <errno.h>

#include "handover.h"
#include "pump.h"
#include "run.h"
#include "sink.h"
#include "spool.h"

#define DRAIN_MS 2000u
#define POLL_MS 20u
#define ABORT_MS 2000u
#define SPOOL_MS 10000u
#define QUICK_MS 200u /* a hand-over: for what can be read or delivered at once, */
#define HAND_MS 2000u /* and at most */

struct stop {
	struct run *run;
	uint64_t stop_ms;
	bool (*hurry)(void *);
	void *arg;
};

static const struct ctf_plugin *
plugin(const struct input *in)
{
	return in->inst->plugin;
}

/*
 * Reads what is queued, at most until then: events may come faster than they
 * are read.  There is no time to wait for a full output now.
 */
static void
read_out(struct stop *st, struct input *in, uint64_t until_ms)
{
	int ret = CTF_READ_MORE;

	while (ret == CTF_READ_MORE && !in->ended && ctf_mono_ms() < until_ms) {
		ret = run_read_batch(in);
		for (unsigned i = 0; i < in->nstacks; i++)
			if (sink_over(in->stacks[i]->enc->sink))
				sink_drop(in->stacks[i]->enc->sink);
		run_kick(in->graph);
	}
	if (ret < 0 || ret == CTF_READ_END)
		run_end_input(st->run, in, ret < 0 ? ret : 0);
}

static bool
drained(struct stop *st, struct input *in, uint64_t deadline)
{
	bool now;

	if (in->ended)
		return true;
	read_out(st, in, deadline);
	now = st->hurry(st->arg) || ctf_mono_ms() >= deadline;
	return in->ended || plugin(in)->drain(in->ctx.obj, now);
}

/* ---- a hand-over ---- */

static bool
any_over(const struct input *in)
{
	for (unsigned i = 0; i < in->nstacks; i++)
		if (sink_over(in->stacks[i]->enc->sink))
			return true;
	return false;
}

/* What can be read at once: if it was no restart after all, that much less is lost. */
static void
read_some(struct stop *st, struct input *in)
{
	uint64_t until = ctf_mono_ms() + QUICK_MS;
	int ret = CTF_READ_MORE;

	while (ret == CTF_READ_MORE && !any_over(in) && ctf_mono_ms() < until)
		ret = run_read_batch(in);
	if (ret < 0 || ret == CTF_READ_END)
		run_end_input(st->run, in, ret < 0 ? ret : 0);
	run_kick(st->run->graph);
}

/* False: it is to be drained instead. */
static bool
hand_over(struct stop *st, struct input *in)
{
	uint64_t until = ctf_mono_ms() + HAND_MS;
	int ret;

	if (!st->run->handing || !plugin(in)->hand_over || !in->started || in->ended)
		return false;
	read_some(st, in);
	while (!in->ended && (ret = handover_leave(st->run->handover, &in->ctx)) != 0) {
		if (ret != -EAGAIN || ctf_mono_ms() >= until || st->hurry(st->arg)) {
			ctf_log(&in->ctx, CTF_ERROR, "cannot be handed over: %s",
				strerror(-ret));
			return false;
		}
		loop_once(st->run->loop, POLL_MS);
	}
	in->handed = !in->ended;
	return in->handed;
}

/* True: what was left undelivered is in good hands. */
static bool
hand_over_frames(struct stop *st)
{
	uint64_t recs = 0;
	int ret;

	if (!st->run->handing)
		return false;
	ret = handover_write(st->run->handover, st->run->graph, &recs);
	if (ret)
		log_errorx("cannot leave anything to the next process: %s", strerror(-ret));
	else
		log_notice("handed over to the next process, with %llu flows to deliver",
			   (unsigned long long)recs);
	return ret == 0;
}

/* ---- the inputs ---- */

static void
drain(struct stop *st, struct input *in, uint64_t deadline)
{
	/* A replay has no end of its own to wait for. */
	if (!plugin(in)->drain)
		in->ended = true;
	while (!drained(st, in, deadline))
		loop_once(st->run->loop, POLL_MS);
	if (!in->ended)
		read_out(st, in, UINT64_MAX);
}

static bool
never(void *arg)
{
	return false;
}

bool
run_leave(struct run *r, struct input *in, uint64_t deadline_ms)
{
	struct stop st = { .run = r, .hurry = never };
	uint64_t now = ctf_mono_ms();

	if (in->started) {
		if (!plugin(in)->drain)
			in->ended = true;
		if (now < deadline_ms)
			read_out(&st, in, now + POLL_MS);
		if (!in->ended && !plugin(in)->drain(in->ctx.obj, now >= deadline_ms))
			return false;
		if (!in->ended)
			read_out(&st, in, UINT64_MAX);
	}
	run_stop_input(in);
	pump_seal(in);
	run_kick(r->graph);
	return true;
}

/* The start has failed: what waits in the sockets is for the next one. */
static bool
is_frozen(const struct stop *st)
{
	return st->run->handover && st->run->handover->frozen;
}

static void
stop_inputs(struct stop *st)
{
	struct graph *g = st->run->graph;
	uint64_t deadline = ctf_mono_ms() + DRAIN_MS;

	for (struct input *in = g->inputs; in; in = in->next) {
		if (is_frozen(st)) {
			in->handed = in->earlier.ended == CTF_ENDED_HANDED;
			in->failed |= in->earlier.ended == CTF_ENDED_DIED;
		} else if (!hand_over(st, in)) {
			drain(st, in, deadline);
		}
		run_stop_input(in);
		pump_seal(in);
	}
}

static uint64_t
progress(const struct graph *g)
{
	uint64_t sum = 0;

	for (struct sink *s = g->sinks; s; s = s->next) {
		pthread_mutex_lock(&s->lock);
		sum += s->progress + s->done;
		pthread_mutex_unlock(&s->lock);
	}
	return sum;
}

static bool
all_done(const struct graph *g)
{
	for (struct sink *s = g->sinks; s; s = s->next)
		if (s->running && !sink_join(s, 0))
			return false;
	return true;
}

/* What a thread left behind is lost, and said. */
void
run_say_lost(struct sink *s)
{
	uint64_t recs = 0, again = 0, safe;

	pthread_mutex_lock(&s->lock);
	safe = spool_flows(s);
	for (const struct qframe *f = queue_unsettled(&s->queue); f; f = f->next) {
		if (f->written)
			safe += f->f.recs;
		else
			recs += f->f.recs;
		if (!f->written && f->counted)
			again += f->f.recs;
	}
	pthread_mutex_unlock(&s->lock);
	if (safe)
		ctf_log(&s->ctx, CTF_NOTICE, "spool: %llu flows are kept for the next start",
			(unsigned long long)safe);
	if (!recs)
		return;
	ctf_count(s->dropped, recs - again);
	ctf_log(&s->ctx, CTF_ERROR,
		"stopped with %llu flows not delivered, or not known to be%s",
		(unsigned long long)recs,
		kept_page(&s->ctx) ? ": a gap of the next start" : "");
}

/* Until all are done, make no progress any more, or must not go on. */
static void
await_sinks(struct stop *st)
{
	struct graph *g = st->run->graph;
	uint64_t seen = progress(g), begin = ctf_mono_ms(), since = begin, now = begin;
	uint64_t patience = st->stop_ms, most = UINT64_MAX;

	if (st->run->handing) {
		patience = patience < QUICK_MS ? patience : QUICK_MS;
		most = HAND_MS;
	}
	while (!all_done(g) && now - since < patience && now - begin < most &&
	       !st->hurry(st->arg)) {
		uint64_t is = progress(g);

		if (is != seen)
			since = now;
		seen = is;
		loop_once(st->run->loop, POLL_MS);
		run_kick(g);
		now = ctf_mono_ms();
	}
}

/* What the workers have left goes to disk, where there is a spool. */
static bool
stop_spools(struct graph *g)
{
	uint64_t deadline = ctf_mono_ms() + SPOOL_MS;
	bool ended = true;

	for (struct sink *s = g->sinks; s; s = s->next) {
		if (!spool_join(s, deadline)) {
			ctf_log(&s->ctx, CTF_ERROR, "spool: the disk does not come to an end");
			ended = false;
		}
		if (!s->running && !s->held) /* what it holds is its predecessor's */
			kept_sink_end(s);
	}
	return ended;
}

static bool
stop_sinks(struct stop *st)
{
	struct graph *g = st->run->graph;
	uint64_t deadline;
	bool ended = true;

	for (struct sink *s = g->sinks; s; s = s->next)
		if (s->held) {
			sink_abort(s);
		} else if (s->running) {
			if (st->run->handing)
				sink_hand_over(s);
			sink_go(s);
			sink_stop(s);
		}
	await_sinks(st);
	for (struct sink *s = g->sinks; s; s = s->next)
		if (s->running)
			sink_abort(s);
	deadline = ctf_mono_ms() + ABORT_MS;
	for (struct sink *s = g->sinks; s; s = s->next) {
		if (!sink_join(s, deadline)) {
			ctf_log(&s->ctx, CTF_ERROR, "does not come to an end");
			ended = false;
		}
		spool_stop(s);
	}
	return ended;
}

bool
run_stop(struct run *r, uint64_t stop_ms, bool (*hurry)(void *), void *arg)
{
	struct stop st = { r, stop_ms, hurry, arg };
	bool ended;

	stop_inputs(&st);
	run_kick(r->graph);
	ended = stop_sinks(&st);
	ended &= stop_spools(r->graph);
	if (!hand_over_frames(&st))
		for (struct sink *s = r->graph->sinks; s; s = s->next)
			run_say_lost(s);
	return ended;
}
