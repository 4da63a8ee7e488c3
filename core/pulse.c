/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pulse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"
#include "spool.h"
#include "run.h"

#define OBSERVE 10u /* seconds: numbers the inputs have to ask for */

struct shown { /* one input or one sink, and its block */
	struct input *in;
	struct sink *sink;
	struct pulse_object *o;
};

struct pulse {
	const struct run *run;
	struct loop_fd *timer;
	struct pulse_daemon *d;
	struct shown *at;
	size_t n;
	unsigned ticks;
};

static void
set(_Atomic uint64_t *u, uint64_t to)
{
	atomic_store_explicit(u, to, memory_order_relaxed);
}

static uint64_t
get(const _Atomic uint64_t *u)
{
	return atomic_load_explicit(u, memory_order_relaxed);
}

/* ---- one object -------------------------------------------------------------- */

static void
show_numbers(struct pulse_object *o, const struct ctf_ctx *ctx)
{
	size_t i = 0;

	for (const struct counter *c = ctx->counters; c && i < PULSE_NUMBERS;
	     c = c->next, i++) {
		if (!o->number[i].name[0])
			snprintf(o->number[i].name, sizeof(o->number[i].name), "%s",
				 c->metric.name);
		set(&o->number[i].value, get(&c->value));
	}
}

static uint64_t
number(const struct ctf_ctx *ctx, const char *name)
{
	for (const struct counter *c = ctx->counters; c; c = c->next)
		if (strcmp(c->metric.name, name) == 0)
			return get(&c->value);
	return 0;
}

static void
show_point(struct pulse_object *o, uint64_t count)
{
	uint64_t n = get(&o->points);
	struct pulse_point *p = &o->point[n % PULSE_POINTS];

	set(&p->at_ms, ctf_mono_ms());
	set(&p->count, count);
	atomic_store_explicit(&o->points, n + 1, memory_order_release);
}

static void
show_why(struct pulse_object *o, const char *why)
{
	if (strncmp(o->why, why, sizeof(o->why) - 1) == 0)
		return;
	atomic_fetch_add(&o->seq, 1);
	snprintf(o->why, sizeof(o->why), "%.*s", (int)sizeof(o->why) - 1, why);
	atomic_fetch_add(&o->seq, 1);
}

static uint64_t
input_state(const struct input *in)
{
	if (in->failed)
		return PULSE_DOWN;
	if (in->ended || !in->started)
		return PULSE_ENDED;
	return in->paused ? PULSE_PAUSED : PULSE_UP;
}

static void
show_input(const struct input *in, struct pulse_object *o)
{
	set(&o->state, input_state(in));
	set(&o->newest_ns, in->keep ? get(&in->keep->last_ns) : 0);
	show_numbers(o, &in->ctx);
	show_point(o, number(&in->ctx, "events"));
}

static uint64_t
sink_state(const struct sink *s)
{
	static const uint64_t states[] = {
		[SINK_DOWN] = PULSE_DOWN, [SINK_UP] = PULSE_UP, [SINK_STALLED] = PULSE_STALLED
	};

	return s->running && !s->refused ? states[s->state] : PULSE_ENDED;
}

static void
show_sink(struct sink *s, struct pulse_object *o)
{
	char why[sizeof(o->why)];
	struct spool_now disk = { 0 };
	uint64_t oldest;

	pthread_mutex_lock(&s->lock);
	spool_now(s, &disk);
	oldest = sink_oldest(s);
	set(&o->state, sink_state(s));
	set(&o->queue_flows, s->queue.recs - s->queue.again);
	set(&o->queue_bytes, s->queue.bytes - s->queue.window_bytes);
	set(&o->queue_limit, s->queue.limit);
	snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1,
		 s->state == SINK_UP ? "" : s->why.msg);
	pthread_mutex_unlock(&s->lock);
	set(&o->oldest_ns, oldest);
	set(&o->spool_flows, disk.flows);
	set(&o->spool_bytes, disk.bytes);
	set(&o->spool_max, disk.max);
	set(&o->newest_ns, s->keep ? get(&s->keep->settled_ns) : 0);
	show_why(o, why);
	show_numbers(o, &s->ctx);
	show_point(o, get(s->delivered));
}

/* ---- all of them -------------------------------------------------------------- */

static void
show(struct pulse *p)
{
	if (p->ticks++ % OBSERVE == 0)
		run_observe(p->run);
	for (size_t i = 0; i < p->n; i++) {
		if (p->at[i].sink)
			show_sink(p->at[i].sink, p->at[i].o);
		else
			show_input(p->at[i].in, p->at[i].o);
	}
	set(&p->d->tick_ns, ctf_now());
}

static void
on_timer(void *arg)
{
	show(arg);
}

/* A block of an earlier run begins anew: numbers, points and reasons were its own. */
static struct pulse_object *
new_block(struct pulse *p, const struct inst *inst, bool input)
{
	char name[700];
	bool kept;
	struct pulse_object *o;

	snprintf(name, sizeof(name), "%s:%s" PULSE_ENDING, inst->id, inst->plugin->name);
	o = state_block(p->run->state, name, sizeof(*o), &kept);
	if (!o)
		return NULL;
	if (kept && get(&o->start_ns) == get(&p->d->start_ns)) {
		/* it was shown before a reload; its numbers may be others */
		memset(o->number, 0, sizeof(o->number));
		return o;
	}
	memset(o, 0, sizeof(*o));
	set(&o->input, input);
	set(&o->start_ns, get(&p->d->start_ns));
	return o;
}

static void
add(struct pulse *p, struct input *in, struct sink *s)
{
	struct shown new = { in, s, new_block(p, in ? in->inst : s->inst, in) };

	if (new.o)
		p->at[p->n++] = new;
}

static int
collect(struct pulse *p)
{
	const struct graph *g = p->run->graph;
	size_t n = 0;

	for (struct input *in = g->inputs; in; in = in->next)
		n++;
	for (struct sink *s = g->sinks; s; s = s->next)
		n++;
	p->at = calloc(n + 1, sizeof(*p->at));
	if (!p->at)
		return -1;
	for (struct input *in = g->inputs; in; in = in->next)
		add(p, in, NULL);
	for (struct sink *s = g->sinks; s; s = s->next)
		add(p, NULL, s);
	return 0;
}

static void
pulse_free(struct pulse *p)
{
	if (p)
		free(p->at);
	free(p);
}

struct pulse *
pulse_start(struct run *r)
{
	struct pulse *p = calloc(1, sizeof(*p));
	bool kept;

	if (!p)
		return NULL;
	p->run = r;
	p->d = state_block(r->state, PULSE_DAEMON, sizeof(*p->d), &kept);
	if (!p->d || loop_timer(r->loop, on_timer, p, &p->timer))
		goto fail;
	set(&p->d->phase, PULSE_STARTING);
	set(&p->d->start_ns, ctf_now());
	set(&p->d->pid, (uint64_t)getpid());
	snprintf(p->d->version, sizeof(p->d->version), "%s", VERSION);
	if (collect(p))
		goto fail;
	show(p);
	set(&p->d->phase, PULSE_RUNNING);
	timer_set(p->timer, PULSE_MS, PULSE_MS);
	return p;
fail:
	pulse_free(p);
	return NULL;
}

static bool
is_shown(const struct pulse *p, const struct pulse_object *o)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].o == o)
			return true;
	return false;
}

void
pulse_renew(struct pulse *p)
{
	struct shown *was = p ? p->at : NULL;
	size_t n = p ? p->n : 0;

	if (!p)
		return;
	p->at = NULL;
	p->n = 0;
	(void)collect(p); /* without memory nothing is shown */
	for (size_t i = 0; i < n; i++)
		if (!is_shown(p, was[i].o))
			set(&was[i].o->state, PULSE_ENDED);
	free(was);
	show(p);
}

void
pulse_phase(struct pulse *p, enum pulse_phase phase)
{
	if (p)
		set(&p->d->phase, phase);
}

/* While inputs and outputs are still there; the last numbers stay. */
void
pulse_stop(struct pulse *p, enum pulse_phase phase)
{
	if (!p)
		return;
	timer_set(p->timer, 0, 0);
	show(p);
	pulse_phase(p, phase);
	pulse_free(p);
}
