/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an encoder has before and after its life in the pump. */
#include <errno.h>
#include <stdlib.h>

#include "pump.h"
#include "sink.h"

#define LAYOUT_MAX (256u * 1024u)

static uint64_t
layout_id(const char *name, const struct ctf_frame *f)
{
	return ctf_hash(ctf_hash(CTF_HASH, name, strlen(name)), f->p, f->len);
}

const struct ctf_layout *
sink_layout(struct sink *s, const struct ctf_layout *like)
{
	struct own_layout **end = &s->layouts, *l;

	for (; (l = *end); end = &l->next)
		if (l->l.id == like->id && l->l.len == like->len &&
		    (!like->len || memcmp(l->p, like->p, like->len) == 0))
			return &l->l;
	l = malloc(sizeof(*l) + like->len);
	if (!l)
		return NULL;
	if (like->len)
		memcpy(l->p, like->p, like->len);
	*l = (struct own_layout){ NULL, { like->id, like->len, l->p } };
	*end = l;
	return &l->l;
}

const char *
sink_text(struct sink *s, const char *like)
{
	struct own_text *t = s->texts;
	size_t n = strlen(like) + 1;

	while (t && strcmp(t->s, like) != 0)
		t = t->next;
	if (t)
		return t->s;
	t = malloc(sizeof(*t) + n);
	if (!t)
		return "?";
	memcpy(t->s, like, n);
	t->next = s->texts;
	s->texts = t;
	return t->s;
}

int
encoder_ready(struct encoder *e, struct ctf_err *err)
{
	const struct ctf_plugin *pl = e->ctx.inst->plugin;
	struct ctf_frame f = { .cap = LAYOUT_MAX, .p = malloc(LAYOUT_MAX) };
	int ret = 0;

	if (!f.p)
		return ctf_fail(err, ENOMEM, "out of memory");
	if (pl->preamble && pl->preamble(e->ctx.obj, &f) != CTF_OK)
		ret = ctf_fail(err, EINVAL, "%s: its layout cannot be made", e->ctx.inst->id);
	if (!ret) {
		struct ctf_layout l = { layout_id(pl->name, &f), f.len, f.p };

		e->layout = sink_layout(e->sink, &l);
		if (!e->layout)
			ret = ctf_fail(err, ENOMEM, "out of memory");
	}
	free(f.p);
	if (ret)
		return ret;
	queue_room(&e->sink->queue, e->limit);
	e->records = ctf_metric_new(&e->ctx, "records", CTF_COUNTER, CTF_UNIT_NONE,
				    "flows put into its format");
	e->skipped = ctf_metric_new(&e->ctx, "skipped", CTF_COUNTER, CTF_UNIT_NONE,
				    "flows it does not carry");
	e->not_encoded = ctf_metric_new(&e->ctx, "not_encoded", CTF_COUNTER, CTF_UNIT_NONE,
					"flows that fitted into no frame");
	return 0;
}

void
encoder_discard(struct encoder *e)
{
	while (e->nopen)
		free(e->open[--e->nopen].frame);
}

enum ctf_interim
ctf_interim(struct ctf_ctx *ctx, enum ctf_interim automatic)
{
	if (ctx->inst->out.interim == 0)
		ctx->enc->interim = automatic;
	return ctx->enc->interim;
}

const char *
ctf_source(const struct ctf_ctx *ctx)
{
	return ctx->input->ctx.inst->id;
}

unsigned
ctf_interim_wanted(const struct ctf_ctx *ctx, bool all)
{
	const struct graph *g = ctx->input->graph;
	unsigned wanted = 0;

	for (const struct sink *s = g->sinks; s; s = s->next)
		for (const struct encoder *e = s->encoders; e; e = e->next)
			if (!e->stack->dead && (all || e->stack->input == ctx->input))
				wanted |= 1u << e->interim;
	return wanted;
}

void
ctf_want_events(struct ctf_ctx *ctx, unsigned events)
{
	ctx->enc->events = events;
}

unsigned
ctf_events_wanted(const struct ctf_ctx *ctx)
{
	const struct input *in = ctx->input;
	unsigned wanted = 0;

	for (unsigned i = 0; i < in->nstacks; i++)
		if (!in->stacks[i]->dead)
			wanted |= in->stacks[i]->enc->events;
	return wanted;
}

void
ctf_frames(struct ctf_ctx *ctx, uint32_t limit, bool sync)
{
	ctx->enc->limit = limit;
	ctx->enc->sync = sync;
}
