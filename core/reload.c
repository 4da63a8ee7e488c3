/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "handover.h"
#include "log.h"
#include "sink.h"
#include "spool.h"

#define STEP_MS 20u
#define OPEN_MS 2000u /* for new outputs to say that they cannot be */
#define ABORT_MS 2000u
#define READ_MS 2000u /* at the end: for a configuration that is being read */

/* ---- configurations ------------------------------------------------------------ */

struct gen *
gen_new(void)
{
	struct gen *g = calloc(1, sizeof(*g));

	if (g)
		g->refs = 1;
	return g;
}

void
gen_unref(struct gen *g)
{
	if (!g || atomic_fetch_sub(&g->refs, 1) > 1)
		return;
	setup_free(&g->setup);
	free(g);
}

/* Its graph is not at work, or is not any more. */
static void
graph_end(struct gen *g)
{
	for (struct sink *s = g->setup.graph.sinks; s; s = s->next)
		if (s->watch)
			loop_del(s->watch);
	graph_free(&g->setup.graph);
	if (!g->setup.graph.pinned)
		gen_unref(g);
}

/* ---- the beginning ------------------------------------------------------------- */

static void
finish(struct reload *rl, const char *why)
{
	if (rl->done)
		rl->done(rl->arg, &rl->gen->setup, why);
}

/* Its new outputs end, and it is forgotten. */
static void
refuse(struct reload *rl, const char *why)
{
	struct gen *g = rl->next;

	rl->next = NULL;
	for (struct sink *s = g->setup.graph.sinks; s; s = s->next) {
		if (s->held)
			s->before->claimed = false;
		s->held = false;
	}
	for (struct sink *s = g->setup.graph.sinks; s; s = s->next)
		if (s->running)
			sink_abort(s);
	/* opening may block where nothing can interrupt it */
	g->next = rl->old;
	rl->old = g;
	for (struct sink *s = g->setup.graph.sinks; s; s = s->next)
		s->moved_ms = s->running ? ctf_mono_ms() : 0;
	finish(rl, why);
}

static int
open_sinks(struct reload *rl)
{
	int ret = 0;

	for (struct sink *s = rl->next->setup.graph.sinks; s && !ret; s = s->next) {
		if (!s->fresh && !s->held)
			continue;
		if (s->fresh) {
			handover_forget(rl->run->handover, s->inst);
			ret = kept_sink_start(s);
		}
		if (!ret && s->fresh && (ret = spool_open(s, rl->run->priv, &s->why)) != 0)
			reload_blame(rl, s->inst, &s->why);
		if (!ret && s->fresh)
			ret = spool_start(s);
		if (!ret)
			ret = sink_start(s);
	}
	return ret;
}

/* The first error is likely to be the cause of the others. */
static const char *
first_error(struct reload *rl, const struct diag *diag)
{
	snprintf(rl->why, sizeof(rl->why), "not even a single working plugin stack");
	for (size_t i = 0; i < diag->n; i++) {
		char *text =
			diag->item[i].level == CTF_ERROR ? diag_text(&diag->item[i]) : NULL;

		if (!text)
			continue;
		snprintf(rl->why, sizeof(rl->why), "%.*s", (int)strcspn(text, "\n"), text);
		free(text);
		break;
	}
	return rl->why;
}

/* All that can be found out without a change; NULL: it is good so far. */
static const char *
judge(struct reload *rl, struct gen *g, int code, const struct diag *diag)
{
	if (code || g->setup.no_stack || reload_refuses(&rl->gen->setup, &g->setup))
		return first_error(rl, diag);
	return NULL;
}

static void
build(struct reload *rl)
{
	struct diag diag;
	struct gen *g;
	int code = reload_take(rl, &diag, &g);
	const char *why = judge(rl, g, code, &diag);
	bool same = !why && reload_is_same(&rl->gen->setup, &g->setup);

	if (!same)
		diag_log(&diag);
	diag_free(&diag);
	if (same)
		log_notice("the configuration has not changed");
	if (why || same) {
		gen_unref(g);
		finish(rl, why);
		return;
	}
	rl->next = g;
	g->setup.graph.run = rl->run;
	rl->open_ms = ctf_mono_ms() + OPEN_MS;
	snprintf(rl->why, sizeof(rl->why), "out of memory");
	if (reload_match(rl) || open_sinks(rl))
		refuse(rl, rl->why);
	else
		reload_start_filters(rl);
}

static void
begin(struct reload *rl)
{
	rl->wanted = false;
	if (reload_read(rl))
		finish(rl, "out of memory");
}

/* ---- the middle ---------------------------------------------------------------- */

/* 1: all new outputs are open, or are going to be, and the filters ready; 0: not yet; -1. */
static int
opened(struct reload *rl)
{
	int all = graph_filters_ready(&rl->next->setup.graph) || ctf_mono_ms() >= rl->open_ms;

	for (struct sink *s = rl->next->setup.graph.sinks; s; s = s->next) {
		if (!s->fresh && !s->held)
			continue;
		pthread_mutex_lock(&s->lock);
		if (s->refused)
			all = -1;
		else if (!s->first_done && ctf_mono_ms() < rl->open_ms && all > 0)
			all = 0;
		pthread_mutex_unlock(&s->lock);
		if (all < 0) {
			reload_blame(rl, s->inst, &s->why);
			return all;
		}
	}
	return all;
}

static void
take_over(struct reload *rl)
{
	struct gen *was = rl->gen;

	/* from now on nothing is a mistake */
	for (struct sink *s = rl->next->setup.graph.sinks; s; s = s->next)
		if ((s->fresh || s->held) && sink_await_open(s, 0)) {
			reload_blame(rl, s->inst, &s->why);
			refuse(rl, rl->why);
			return;
		}
	snprintf(rl->why, sizeof(rl->why), "the log cannot be opened");
	if (reload_commit(rl)) {
		refuse(rl, rl->why);
		return;
	}
	graph_filters_late(&rl->next->setup.graph);
	rl->gen = rl->next;
	rl->next = NULL;
	was->next = rl->old;
	rl->old = was;
	log_notice("the new configuration is in force");
	finish(rl, NULL);
}

static void
go_on(struct reload *rl)
{
	int is = opened(rl);

	if (is < 0)
		refuse(rl, rl->why);
	else if (is > 0)
		take_over(rl);
}

/* ---- the end ------------------------------------------------------------------- */

static void
leave(struct reload *rl)
{
	for (struct gen **at = &rl->old; *at;) {
		struct gen *g = *at;

		if (!reload_leave(rl, g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		graph_end(g);
	}
}

static bool
busy(const struct reload *rl)
{
	return rl->reading || rl->next || rl->old || rl->wanted;
}

void
reload_step(struct reload *rl)
{
	if (!busy(rl))
		return;
	leave(rl);
	if (!rl->reading && !rl->next && rl->wanted && !reload_awaited(rl))
		begin(rl);
	if (rl->reading && reload_has_read(rl))
		build(rl);
	if (rl->next)
		go_on(rl);
	leave(rl);
	timer_set(rl->timer, busy(rl) ? STEP_MS : 0, STEP_MS);
}

void
reload_want(struct reload *rl)
{
	rl->wanted = true;
}

/* It is there so that the loop turns. */
static void
on_timer(void *arg)
{
	(void)arg;
}

int
reload_init(struct reload *rl)
{
	return loop_timer(rl->run->loop, on_timer, rl, &rl->timer);
}

/* Until all has left, at most until then. */
static void
await(struct reload *rl, uint64_t until, bool (*hurry)(void *), void *arg)
{
	leave(rl);
	while (rl->old && ctf_mono_ms() < until && !hurry(arg)) {
		loop_once(rl->run->loop, STEP_MS);
		leave(rl);
	}
}

static void
abort_rest(struct reload *rl)
{
	for (struct gen *g = rl->old; g; g = g->next)
		for (struct sink *s = g->setup.graph.sinks; s; s = s->next)
			if (s->running && !s->aborted)
				sink_abort(s);
}

static bool
never(void *arg)
{
	return false;
}

void
reload_end(struct reload *rl, uint64_t stop_ms, bool (*hurry)(void *), void *arg)
{
	rl->end_ms = ctf_mono_ms() + (stop_ms < READ_MS ? stop_ms : READ_MS);
	if (rl->next)
		refuse(rl, "the daemon ends");
	rl->wanted = true; /* no successor waits longer than it must */
	await(rl, ctf_mono_ms() + stop_ms, hurry, arg);
	abort_rest(rl);
	await(rl, ctf_mono_ms() + ABORT_MS, never, NULL);
	rl->wanted = false;
	for (struct gen *g = rl->old; g; g = g->next)
		for (struct sink *s = g->setup.graph.sinks; s; s = s->next)
			if (s->running)
				run_say_lost(s);
}

bool
reload_ended(struct reload *rl, bool (*hurry)(void *), void *arg)
{
	while (!reload_read_end(rl) && ctf_mono_ms() < rl->end_ms && !hurry(arg))
		loop_once(rl->run->loop, STEP_MS);
	if (rl->reading)
		log_errorx("the configuration is still being read");
	return !rl->reading && !rl->old;
}

void
reload_reopen(const struct reload *rl)
{
	for (struct gen *g = rl->old; g; g = g->next)
		for (struct sink *s = g->setup.graph.sinks; s; s = s->next)
			if (s->running && !s->aborted)
				sink_reopen(s);
}
