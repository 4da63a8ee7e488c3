/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What signals ask of a run: to reopen, to dump, to say its numbers. */
#include "run.h"
#include "sink.h"

static const struct ctf_plugin *
plugin(const struct input *in)
{
	return in->inst->plugin;
}

void
run_reopen(struct run *r)
{
	for (struct sink *s = r->graph->sinks; s; s = s->next)
		if (s->running)
			sink_reopen(s);
}

void
run_dump(struct run *r)
{
	for (struct input *in = r->graph->inputs; in; in = in->next)
		if (in->started && !in->ended && plugin(in)->dump)
			plugin(in)->dump(in->ctx.obj);
}

void
run_observe(const struct run *r)
{
	for (struct input *in = r->graph->inputs; in; in = in->next)
		if (in->started && !in->ended && plugin(in)->observe)
			plugin(in)->observe(in->ctx.obj);
}

void
run_log_counters(const struct run *r)
{
	const struct graph *g = r->graph;

	run_observe(r);
	for (const struct input *in = g->inputs; in; in = in->next)
		ctx_log_counters(&in->ctx);
	for (const struct filter *f = g->filters; f; f = f->next)
		ctx_log_counters(&f->ctx);
	for (struct sink *s = g->sinks; s; s = s->next) {
		for (const struct encoder *e = s->encoders; e; e = e->next)
			ctx_log_counters(&e->ctx);
		ctx_log_counters(&s->ctx);
		if (s->running)
			sink_log_state(s);
	}
}
