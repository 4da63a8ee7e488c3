/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters that need a moment before the first records. */
#include <unistd.h>

#include "graph.h"

#define READY_MS 2000u
#define LOOK_US 2000u

/* Without what it cannot start a filter does what it can. */
void
filter_start(struct filter *f)
{
	struct ctf_err err = { 0 };

	f->begun = true;
	if (f->ready && f->inst->plugin->start && f->inst->plugin->start(f->ctx.obj, &err))
		ctf_log(&f->ctx, CTF_ERROR, "%s", err.msg);
}

static bool
is_ready(const struct filter *f)
{
	return !f->begun || !f->ready || !f->inst->plugin->ready ||
	       f->inst->plugin->ready(f->ctx.obj);
}

bool
graph_filters_ready(const struct graph *g)
{
	for (const struct filter *f = g->filters; f; f = f->next)
		if (!is_ready(f))
			return false;
	return true;
}

void
graph_filters_late(const struct graph *g)
{
	for (const struct filter *f = g->filters; f; f = f->next)
		if (!is_ready(f))
			ctf_log(&f->ctx, CTF_WARNING,
				"is not ready yet: the first flows go without it");
}

void
graph_start_filters(struct graph *g)
{
	uint64_t until = ctf_mono_ms() + READY_MS;

	for (struct filter *f = g->filters; f; f = f->next)
		filter_start(f);
	while (!graph_filters_ready(g) && ctf_mono_ms() < until)
		usleep(LOOK_US);
	graph_filters_late(g);
}
