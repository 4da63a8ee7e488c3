/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes on in the new graph, and the moment at which that takes over. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "handover.h"
#include "log.h"
#include "pump.h"
#include "reload.h"
#include "sink.h"

void
reload_blame(struct reload *rl, const struct inst *inst, const struct ctf_err *err)
{
	unsigned line = err->file ? err->line : inst->sec ? inst->sec->line : 0;

	snprintf(rl->why, sizeof(rl->why), "%s:%u: %s:%s: %.300s", inst->file, line, inst->id,
		 inst->plugin->name, err->msg);
	log_errorx("%s", rl->why);
}

bool
reload_same_id(const struct inst *a, const struct inst *b)
{
	return a->plugin == b->plugin && strcmp(a->id, b->id) == 0;
}

/* Its options are needed for longer than its graph. */
void
reload_keep_gen(struct gen **at, struct gen *gen)
{
	if (*at)
		return;
	*at = gen;
	gen->refs++;
}

/* ---- outputs ------------------------------------------------------------------ */

static struct sink *
sink_in(struct graph *g, const struct inst *inst)
{
	struct sink *s = g->sinks;

	while (s && !reload_same_id(s->inst, inst))
		s = s->next;
	return s;
}

struct sink *
reload_sink_before(struct reload *rl, const struct inst *inst)
{
	struct sink *s = sink_in(&rl->gen->setup.graph, inst);

	if (s && (s->running || s->spool))
		return s;
	for (struct gen *g = rl->old; g; g = g->next) {
		s = sink_in(&g->setup.graph, inst);
		if (s && (s->running || s->spool) && !s->over && !s->heir)
			return s;
	}
	return NULL;
}

static bool
goes_on(const struct reload *rl, struct sink *before, const struct inst *inst)
{
	bool ends;

	pthread_mutex_lock(&before->lock);
	ends = !before->running || before->refused || before->aborted || before->done;
	pthread_mutex_unlock(&before->lock);
	/* one that is about to end cannot be called back */
	return !ends && before->graph == &rl->gen->setup.graph &&
	       !reload_sink_differs(before->inst, inst);
}

int
reload_match(struct reload *rl)
{
	int ret = 0;

	for (struct sink *s = rl->next->setup.graph.sinks; s && !ret; s = s->next) {
		s->before = reload_sink_before(rl, s->inst);
		if (s->before && goes_on(rl, s->before, s->inst)) {
			for (struct encoder *e = s->encoders; e && !ret; e = e->next)
				ret = sink_layout(s->before, e->layout) ? 0 : -ENOMEM;
			continue;
		}
		s->fresh = !s->before;
		s->held = s->before;
		if (s->before)
			s->before->claimed = true;
		ret = run_ready_sink(rl->run, s);
	}
	return ret;
}

/* The numbers of the encoders before go on in the first of the new ones that works. */
void
reload_pass_on(struct sink *to, struct sink *from)
{
	const struct ctf_plugin *pl = to->inst->plugin;
	struct encoder *first = sink_voice(to);

	for (struct encoder *e = from->encoders; e; e = e->next) {
		ctx_pass_on(&first->ctx, &e->ctx);
		if (pl->reload)
			(void)pl->reload(first->ctx.obj, e->ctx.obj, NULL);
	}
}

/* What an input that has just been started had to say. */
static void
push_on(struct sink *s, struct sink *fresh)
{
	struct qframe *f, *next;

	for (f = fresh->queue.head; f; f = next) {
		next = f->next;
		f->next = NULL;
		f->f.layout = sink_layout(s, f->f.layout);
		if (f->is_gap)
			f->gap.instance = sink_text(s, f->gap.instance);
		sink_push(s, f);
	}
	fresh->queue = (struct queue){ 0 };
}

/* It goes on, in the place of the new one that would be the same. */
static void
move_sink(struct reload *rl, struct sink **at)
{
	struct graph *a = &rl->gen->setup.graph, *b = &rl->next->setup.graph;
	struct sink *fresh = *at, *s = fresh->before, **out = &a->sinks;
	struct encoder *was = s->encoders, **idle = &a->idle;

	reload_pass_on(fresh, s);
	while (*out != s)
		out = &(*out)->next;
	*out = s->next;
	for (struct encoder *e = fresh->encoders; e; e = e->next) {
		e->sink = s;
		e->layout = sink_layout(s, e->layout);
	}
	pthread_mutex_lock(&s->lock);
	for (struct encoder *e = fresh->encoders; e; e = e->next)
		queue_room(&s->queue, e->limit);
	s->encoders = fresh->encoders;
	if (s->lost_enc)
		s->lost_enc = sink_voice(s);
	pthread_mutex_unlock(&s->lock);
	s->graph = b;
	while (*idle)
		idle = &(*idle)->next;
	*idle = was;
	reload_keep_gen(&s->gen, rl->gen);
	s->next = fresh->next;
	*at = s;
	fresh->encoders = NULL;
	push_on(s, fresh);
	sink_free(fresh);
}

/* The new one is given frames from now on, but has to wait. */
static void
succeed(struct sink *s)
{
	struct sink *before = s->before;

	const char *what = reload_sink_differs(before->inst, s->inst);

	if (strcmp(before->inst->out.spool_dir, s->inst->out.spool_dir) != 0)
		ctf_log(&s->ctx, CTF_NOTICE, "spool_dir takes effect at the next start");
	ctf_log(&s->ctx, CTF_NOTICE, "%s%s: begun anew", what ? what : "stack",
		what ? " has changed" : " is back");
	reload_pass_on(s, before);
	ctx_pass_on(&s->ctx, &before->ctx);
	s->keep = before->keep;
	for (const struct qframe *f = s->queue.head; f; f = f->next)
		if (f->is_gap) /* of an input that has just been started */
			kept_gap(s, f);
	before->heir = s;
	before->claimed = false;
}

/* ---- filters ------------------------------------------------------------------- */

static ctf_ref *
port_ref(struct ctf_ctx *ctx, const struct ctf_port *p)
{
	return (ctf_ref *)(void *)((char *)ctx->obj + p->off);
}

static void
swap_refs(struct ctf_ctx *a, struct ctf_ctx *b, const struct ctf_port *p)
{
	for (; p && p->name; p++) {
		ctf_ref was = *port_ref(a, p);

		*port_ref(a, p) = *port_ref(b, p);
		*port_ref(b, p) = was;
	}
}

void
reload_swap_confs(struct ctf_ctx *a, struct ctf_ctx *b)
{
	struct ctf_obj *x = a->obj, *y = b->obj;
	const void *conf = x->conf;

	x->conf = y->conf;
	y->conf = conf;
}

/* Fields of the tables, and the options: each has those of the other. */
static void
swap(struct ctf_ctx *a, struct ctf_ctx *b)
{
	swap_refs(a, b, a->inst->plugin->reads);
	swap_refs(a, b, a->inst->plugin->writes);
	reload_swap_confs(a, b);
}

/* 0: the object can do what the other one would; -EOPNOTSUPP: it cannot. */
int
reload_absorbs(struct ctf_ctx *self, struct ctf_ctx *other, struct ctf_err *err)
{
	const struct ctf_plugin *pl = self->inst->plugin;
	int ret;

	if (!pl->reload)
		return -EOPNOTSUPP;
	swap(self, other);
	ret = pl->reload(self->obj, other->obj, err);
	if (ret)
		swap(self, other);
	return ret;
}

void
reload_rename(struct input *in, const struct ctf_ctx *from, const struct ctf_ctx *to)
{
	for (unsigned i = 0; i < in->nwants; i++) {
		struct want *w = &in->wants[i];

		w->reader = w->reader == from ? to : w->reader;
		w->writer = w->writer == from ? to : w->writer;
	}
}

static struct input *
input_before(struct reload *rl, const struct inst *inst)
{
	struct input *in = rl->gen->setup.graph.inputs;

	while (in && !reload_same_id(in->inst, inst))
		in = in->next;
	return in && in->started && !in->failed ? in : NULL;
}

static bool
same_refs(struct ctf_ctx *a, struct ctf_ctx *b, const struct ctf_port *p)
{
	for (; p && p->name; p++)
		if (*port_ref(a, p) != *port_ref(b, p))
			return false;
	return true;
}

/* Nothing that it knows of is another: it need not be told. */
static bool
same_input(struct input *a, struct input *b)
{
	return !a->inst->plugin->reload && !reload_differs(a->inst, b->inst) &&
	       same_refs(&a->ctx, &b->ctx, a->inst->plugin->writes);
}

bool
reload_input_goes_on(struct reload *rl, struct input *in, struct input *fresh)
{
	return input_before(rl, fresh->inst) == in &&
	       (fresh->absorbed || same_input(in, fresh));
}

/* ---- inputs -------------------------------------------------------------------- */

/* The one that works learns what the new one was told, or each has its own back. */
static int
absorb(struct input *in, struct input *fresh, struct ctf_err *err)
{
	int ret = reload_absorbs(&in->ctx, &fresh->ctx, err);

	if (!ret)
		fresh->absorbed = !fresh->absorbed;
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* It has what the new one was given by the graph. */
static void
put_input(struct graph *g, struct input *in, struct input *fresh)
{
	struct stack **stacks = in->stacks;

	for (unsigned i = 0; i < fresh->nstacks; i++) {
		fresh->stacks[i]->input = in;
		fresh->stacks[i]->enc->ctx.input = in;
	}
	for (struct filter *f = g->filters; f; f = f->next)
		if (f->input == fresh)
			f->input = f->ctx.input = in;
	in->stacks = fresh->stacks;
	in->nstacks = fresh->nstacks;
	fresh->stacks = stacks;
	free(in->wants);
	in->wants = fresh->wants;
	in->nwants = fresh->nwants;
	fresh->wants = NULL;
	reload_rename(in, &fresh->ctx, &in->ctx);
	memcpy(in->slots, fresh->slots, sizeof(in->slots));
	in->nslots = fresh->nslots;
	batch_free(&in->batch);
	in->batch = fresh->batch;
	fresh->batch = (struct ctf_batch){ 0 };
	in->graph = g;
}

static void
move_input(struct reload *rl, struct input **at, struct input *in, bool absorbed)
{
	struct graph *a = &rl->gen->setup.graph, *b = &rl->next->setup.graph;
	struct input *fresh = *at, **out = &a->inputs;
	struct gen *was = in->gen;

	while (*out != in)
		out = &(*out)->next;
	*out = in->next;
	put_input(b, in, fresh);
	if (absorbed) {
		in->inst = in->ctx.inst = fresh->inst;
		in->gen = NULL;
		gen_unref(was);
	} else {
		reload_keep_gen(&in->gen, rl->gen);
	}
	in->next = fresh->next;
	*at = in;
	input_free(fresh);
	if (in->inst->plugin->reloaded)
		in->inst->plugin->reloaded(in->ctx.obj);
}

static void
move_inputs(struct reload *rl)
{
	for (struct input **at = &rl->next->setup.graph.inputs; *at; at = &(*at)->next) {
		struct input *fresh = *at, *in = input_before(rl, fresh->inst);

		if (!in)
			continue; /* it was started already */
		if (reload_input_goes_on(rl, in, fresh)) {
			move_input(rl, at, in, fresh->absorbed);
		} else {
			batch_free(&fresh->batch);
			fresh->batch = (struct ctf_batch){ 0 };
			in->heir = fresh;
		}
	}
}

/* ---- the moment ---------------------------------------------------------------- */

/* One input of the new graph: starts it, or lets the one before learn from it. */
static int
try_input(struct reload *rl, struct input *in, struct ctf_err *err)
{
	struct input *before = input_before(rl, in->inst);

	if (!before)
		return run_start_input(rl->run, in, err);
	if (batch_init(&in->batch, in->nslots))
		return ctf_fail(err, ENOMEM, "out of memory");
	return absorb(before, in, err);
}

/* All of this can be undone: it is the last that may go wrong. */
static int
try_inputs(struct reload *rl)
{
	struct ctf_err err = { 0 };
	int ret = 0;

	for (struct input *in = rl->next->setup.graph.inputs; in && !ret; in = in->next) {
		ret = try_input(rl, in, &err);
		if (ret)
			reload_blame(rl, in->inst, &err);
	}
	return ret;
}

static void
undo_inputs(struct reload *rl)
{
	for (struct input *in = rl->next->setup.graph.inputs; in; in = in->next)
		if (in->absorbed)
			(void)absorb(input_before(rl, in->inst), in, NULL);
		else if (in->started)
			run_stop_input(in);
}

static void
move_sinks(struct reload *rl)
{
	for (struct sink **at = &rl->next->setup.graph.sinks; *at; at = &(*at)->next) {
		if ((*at)->held)
			succeed(*at);
		else if (!(*at)->fresh)
			move_sink(rl, at);
	}
}

int
reload_commit(struct reload *rl)
{
	struct graph *a = &rl->gen->setup.graph, *b = &rl->next->setup.graph;
	int ret = try_inputs(rl);

	if (!ret && rl->settle)
		ret = rl->settle(rl->arg, &rl->gen->setup, &rl->next->setup);
	if (ret) {
		undo_inputs(rl);
		return ret;
	}
	for (struct input *in = a->inputs; in; in = in->next)
		pump_seal(in);
	run_kick(a);
	move_sinks(rl);
	reload_move_filters(rl);
	move_inputs(rl);
	rl->run->graph = b;
	for (struct sink *s = b->sinks; s; s = s->next)
		if (s->fresh)
			sink_go(s);
	return 0;
}
