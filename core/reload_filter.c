/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of a reload: some go on, the others are started while the outputs are
 * opened, so that they are ready when the new graph takes over.
 */
#include "reload.h"

#include <string.h>

#define LEAVE_MS 1000u /* for a thread to end; release() has to cope then */

static void
put_filter(struct graph *g, struct filter *f, struct filter *fresh)
{
	for (struct filter *x = g->filters; x; x = x->next) {
		x->prev = x->prev == fresh ? f : x->prev;
		for (unsigned i = 0; i < x->nneeds; i++)
			x->needs[i] = x->needs[i] == fresh ? f : x->needs[i];
	}
	for (struct stack *st = g->stacks; st; st = st->next)
		for (unsigned i = 0; i < st->nchain; i++)
			st->chain[i] = st->chain[i] == fresh ? f : st->chain[i];
	reload_rename(fresh->input, &fresh->ctx, &f->ctx);
}

/* The old one with what it knows in the place of the new one: true. */
static bool
move_filter(struct reload *rl, struct filter **at, struct filter **from)
{
	struct graph *b = &rl->next->setup.graph;
	struct filter *fresh = *at, *f = *from;

	if (!reload_input_goes_on(rl, f->input, fresh->input))
		return false; /* the one before is still fed by its input */
	if (!f->ready || !fresh->ready || reload_differs(f->inst, fresh->inst) ||
	    reload_absorbs(&f->ctx, &fresh->ctx, NULL))
		return false;
	*from = f->next;
	f->input = fresh->input;
	f->prev = fresh->prev;
	f->nneeds = fresh->nneeds;
	memcpy(f->needs, fresh->needs, sizeof(f->needs));
	f->ctx.input = f->input;
	put_filter(b, f, fresh);
	reload_swap_confs(&f->ctx,
			  &fresh->ctx); /* they are the same, and it may borrow from its own */
	reload_keep_gen(&f->gen, rl->gen);
	f->next = fresh->next;
	*at = f;
	(void)filter_free(fresh);
	return true;
}

/* The one before it, whether or not it can go on; or NULL. */
static struct filter **
filter_before(struct reload *rl, const struct filter *fresh)
{
	struct filter **from = &rl->gen->setup.graph.filters;

	while (*from && (!reload_same_id((*from)->inst, fresh->inst) ||
			 !reload_same_id((*from)->input->inst, fresh->input->inst)))
		from = &(*from)->next;
	return from;
}

void
reload_move_filters(struct reload *rl)
{
	for (struct filter **at = &rl->next->setup.graph.filters; *at; at = &(*at)->next) {
		struct filter *fresh = *at, **from = filter_before(rl, fresh);

		if (*from && move_filter(rl, at, from))
			continue;
		if (!fresh->begun)
			filter_start(fresh);
		if (*from)
			ctx_pass_on(&fresh->ctx, &(*from)->ctx);
	}
}

/* ---- begun before the moment ------------------------------------------------------ */

/* The one before it cannot go on in its place, whatever happens. */
static bool
is_new(struct reload *rl, const struct filter *fresh)
{
	const struct filter *f = *filter_before(rl, fresh);

	return !f || !f->ready || reload_differs(f->inst, fresh->inst) ||
	       !f->inst->plugin->reload;
}

void
reload_start_filters(struct reload *rl)
{
	for (struct filter *f = rl->next->setup.graph.filters; f; f = f->next)
		if (is_new(rl, f))
			filter_start(f);
}

/* ---- the end ---------------------------------------------------------------------- */

bool
reload_filter_leaves(struct filter *f)
{
	const struct ctf_plugin *pl = f->inst->plugin;

	if (!f->begun || !pl->drain)
		return true;
	if (!f->leave_ms)
		f->leave_ms = ctf_mono_ms() + LEAVE_MS;
	return pl->drain(f->ctx.obj, false) || ctf_mono_ms() >= f->leave_ms;
}
