/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The graph: which objects there are, and which of them stacks share.  One
 * input per id, one sink per output id, one encoder per stack, and one filter
 * for all stacks in which it would do the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "graph.h"
#include "opt.h"
#include "pump.h"
#include "reload.h"
#include "sink.h"

static int
get_input(struct graph *g, struct inst *inst, struct input **ret_input)
{
	struct input **end = &g->inputs;

	for (; *end; end = &(*end)->next)
		if ((*end)->inst == inst) {
			*ret_input = *end;
			return 0;
		}
	struct input *in = calloc(1, sizeof(*in));
	if (!in || ctx_init(&in->ctx, inst, inst->plugin->size)) {
		free(in);
		return -ENOMEM;
	}
	wire_clear(&in->ctx);
	in->inst = inst;
	in->graph = g;
	in->ctx.input = in;
	*end = in;
	*ret_input = in;
	return 0;
}

static bool
does_the_same(const struct filter *f, const struct inst *inst, const struct input *in,
	      const struct filter *prev)
{
	const struct ctf_plugin *pl = inst->plugin;

	return pl->pure && f->inst->plugin == pl && f->input == in && f->prev == prev &&
	       opt_equal(pl->opts, f->inst->conf, inst->conf);
}

static int
get_filter(struct graph *g, struct inst *inst, struct input *in, struct filter *prev,
	   struct filter **ret_filter)
{
	struct filter **end = &g->filters;

	for (; *end; end = &(*end)->next)
		if (does_the_same(*end, inst, in, prev)) {
			*ret_filter = *end;
			return 0;
		}
	struct filter *f = calloc(1, sizeof(*f));
	if (!f || ctx_init(&f->ctx, inst, inst->plugin->size)) {
		free(f);
		return -ENOMEM;
	}
	wire_clear(&f->ctx);
	f->inst = inst;
	f->input = in;
	f->prev = prev;
	*end = f;
	*ret_filter = f;
	return 0;
}

unsigned
ctf_sink_nth(const struct ctf_ctx *ctx)
{
	return ctx->inst->nth;
}

static int
get_sink(struct graph *g, struct inst *inst, struct sink **ret_sink)
{
	struct sink **end = &g->sinks;

	for (; *end; end = &(*end)->next)
		if ((*end)->inst == inst) {
			*ret_sink = *end;
			return 0;
		}
	struct sink *s = sink_new(inst);
	if (!s)
		return -ENOMEM;
	*end = s;
	*ret_sink = s;
	return 0;
}

static int
new_encoder(struct stack *st, struct inst *inst, struct sink *sink)
{
	struct encoder *enc = calloc(1, sizeof(*enc)), **end = &sink->encoders;

	if (!enc || ctx_init(&enc->ctx, inst, inst->plugin->size)) {
		free(enc);
		return -ENOMEM;
	}
	wire_clear(&enc->ctx);
	enc->ctx.enc = enc;
	enc->stack = st;
	enc->sink = sink;
	enc->limit = FRAME_DEFAULT;
	enc->interim = inst->out.interim ? inst->out.interim - 1 : CTF_INTERIM_PRESENCE;
	while (*end)
		end = &(*end)->next;
	*end = enc;
	st->enc = enc;
	return 0;
}

static int
feed(struct input *in, struct stack *st)
{
	struct stack **p = realloc(in->stacks, (in->nstacks + 1) * sizeof(struct stack *));

	if (!p)
		return -ENOMEM;
	in->stacks = p;
	in->stacks[in->nstacks++] = st;
	return 0;
}

/* Makes or finds the objects of a stack, then binds its fields. */
static int
add_stack(struct graph *g, struct stack *st, struct ctf_err *err)
{
	struct filter *prev = NULL;
	struct sink *sink;
	int ret = get_input(g, st->member[0], &st->input);

	st->nchain = 0;
	memset(st->needed, 0, sizeof(st->needed));
	for (unsigned i = 1; !ret && i + 1 < st->n; i++) {
		struct filter *f;

		ret = get_filter(g, st->member[i], st->input, prev, &f);
		if (ret)
			break;
		st->chain[st->nchain++] = f;
		if (f->inst->plugin->writes)
			prev = f;
	}
	if (!ret)
		ret = get_sink(g, st->member[st->n - 1], &sink);
	if (!ret)
		ret = new_encoder(st, st->member[st->n - 1], sink);
	if (!ret)
		ret = feed(st->input, st);
	if (ret)
		return ctf_fail(err, -ret, "out of memory");
	ret = wire_stack(st, err);
	if (!ret)
		ret = encoder_ready(st->enc, err);
	return ret;
}

/* An input's setup sees which of its fields are wanted. */
static int
setup_inputs(struct graph *g, struct stack **ret_bad, struct ctf_err *err)
{
	for (struct input *in = g->inputs; in; in = in->next) {
		const struct ctf_plugin *pl = in->inst->plugin;

		in->ctx.set_up = true;
		if (pl->setup && pl->setup(in->ctx.obj, err)) {
			*ret_bad = in->stacks[0];
			return -EINVAL;
		}
	}
	return 0;
}

/* A queue that makes a live input wait would lose events in the kernel. */
static int
check_overflow(const struct stack *st, struct ctf_err *err)
{
	const struct inst *out = st->member[st->n - 1];

	if (out->out.overflow == OVERFLOW_BLOCK && st->member[0]->plugin->backlog)
		return ctf_fail_opt(&(struct ctf_ctx){ .inst = st->member[st->n - 1] }, err,
				    "overflow",
				    "%s: overflow=block is for replays; the live input %s:%s "
				    "cannot wait",
				    out->id, st->member[0]->id, st->member[0]->plugin->name);
	return 0;
}

/* One attempt with the stacks that are still good; the first bad one is found. */
static int
try_build(struct plan *plan, struct graph *g, struct stack **ret_bad, struct ctf_err *err)
{
	for (struct stack *st = plan->stacks; st; st = st->next) {
		if (st->bad)
			continue;
		if (check_overflow(st, err) || add_stack(g, st, err)) {
			*ret_bad = st;
			return -EINVAL;
		}
	}
	return setup_inputs(g, ret_bad, err);
}

int
graph_build(struct plan *plan, struct diag *diag, struct graph *ret_graph)
{
	for (;;) {
		struct graph g = { .stacks = plan->stacks };
		struct ctf_err err = { 0 };
		struct stack *bad = NULL;

		if (try_build(plan, &g, &bad, &err) == 0) {
			*ret_graph = g;
			for (struct input *in = g.inputs; in; in = in->next)
				in->graph = ret_graph;
			for (struct sink *s = g.sinks; s; s = s->next)
				s->graph = ret_graph;
			return graph_live_stacks(ret_graph) ? 0 : -ENOENT;
		}
		/* What it had asked for must not stay, so all is wired anew. */
		graph_free(&g);
		if (!err.file) {
			err.file = plan->conf->file;
			err.line = bad->line;
		}
		diag_err(diag, &err);
		diag_error(diag, plan->conf->file, bad->line, "stack '%s' is refused",
			   bad->text);
		bad->bad = true;
		for (struct stack *st = bad->next; st && st->of == bad; st = st->next)
			st->bad = true;
	}
}

static void
obj_free(struct ctf_ctx *ctx)
{
	const struct ctf_plugin *pl = ctx->inst->plugin;

	if (ctx->set_up && pl->release)
		pl->release(ctx->obj);
	if (!ctx->pinned)
		ctx_free(ctx);
}

static void
encoders_free(struct encoder **list)
{
	for (struct encoder *e; (e = *list);) {
		*list = e->next;
		encoder_discard(e);
		obj_free(&e->ctx);
		free(e);
	}
}

bool
filter_free(struct filter *f)
{
	struct gen *gen = f->gen;

	obj_free(&f->ctx);
	if (f->ctx.pinned)
		return true;
	free(f);
	gen_unref(gen);
	return false;
}

void
input_free(struct input *in)
{
	struct gen *gen = in->gen;

	obj_free(&in->ctx);
	batch_free(&in->batch);
	free(in->stacks);
	free(in->wants);
	free(in);
	gen_unref(gen);
}

void
graph_free(struct graph *g)
{
	struct input *in;
	bool own;
	struct filter *f;
	struct sink *s;

	while ((s = g->sinks)) {
		struct gen *gen = s->gen;

		g->sinks = s->next;
		encoders_free(&s->encoders);
		sink_free(s);
		gen_unref(gen);
	}
	encoders_free(&g->idle);
	while ((f = g->filters)) {
		g->filters = f->next;
		own = !f->gen;
		g->pinned |= filter_free(f) && own;
	}
	while ((in = g->inputs)) {
		g->inputs = in->next;
		input_free(in);
	}
}

unsigned
graph_live_stacks(const struct graph *g)
{
	unsigned n = 0;

	for (const struct stack *st = g->stacks; st; st = st->next)
		n += !st->bad && !st->dead;
	return n;
}
