/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wiring: fields are bound by name, from the output backwards, to the nearest
 * plugin upstream that can produce them.  Whoever is asked gets a slot for
 * the field; a filter that only annotates and is not asked stays idle, and
 * asks for nothing itself.
 */
#include <errno.h>
#include <stdlib.h>

#include "field.h"
#include "graph.h"

static ctf_ref *
port_ref(void *obj, const struct ctf_port *p)
{
	return (ctf_ref *)(void *)((char *)obj + p->off);
}

static const struct ctf_port *
port_find(const struct ctf_port *ports, const char *name)
{
	for (; ports && ports->name; ports++)
		if (strcmp(ports->name, name) == 0)
			return ports;
	return NULL;
}

static const struct ctf_field *
port_field(const struct ctf_port *p)
{
	return p->def ? p->def : field_find(p->name);
}

/* Gives the producer's port a slot, if it has none yet. */
static int
port_claim(struct input *in, struct ctf_ctx *producer, const struct ctf_port *p,
	   struct ctf_err *err)
{
	ctf_ref *ref = port_ref(producer->obj, p);

	if (*ref != CTF_NONE)
		return 0;
	if (in->nslots == CTF_SLOTS)
		return ctf_fail(err, E2BIG, "more than %u fields are asked of %s", CTF_SLOTS,
				in->inst->id);
	in->slots[in->nslots] = port_field(p);
	*ref = (ctf_ref)in->nslots++;
	return 0;
}

static struct ctf_ctx *
member_ctx(struct stack *st, unsigned pos)
{
	return pos ? &st->chain[pos - 1]->ctx : &st->input->ctx;
}

/* A filter that something downstream reads from must run in this stack. */
static void
need_filter(struct ctf_ctx *reader, unsigned pos)
{
	struct stack *st = reader->stack;
	struct filter *f = st->chain[pos - 1];

	st->needed[pos - 1] = true;
	if (reader->pos > st->nchain)
		return; /* an encoder is this stack's own */
	struct filter *r = st->chain[reader->pos - 1];
	for (unsigned i = 0; i < r->nneeds; i++)
		if (r->needs[i] == f)
			return;
	r->needs[r->nneeds++] = f;
}

void
wire_clear(struct ctf_ctx *ctx)
{
	const struct ctf_plugin *pl = ctx->inst->plugin;

	for (const struct ctf_port *p = pl->reads; p && p->name; p++)
		*port_ref(ctx->obj, p) = CTF_NONE;
	for (const struct ctf_port *p = pl->writes; p && p->name; p++)
		*port_ref(ctx->obj, p) = CTF_NONE;
}

static int
remember(struct ctf_ctx *reader, const struct ctf_ctx *writer, ctf_ref slot)
{
	struct input *in = reader->input;
	struct want *w = realloc(in->wants, (in->nwants + 1) * sizeof(*w));

	if (!w)
		return -ENOMEM;
	w[in->nwants++] = (struct want){ reader, writer, slot };
	in->wants = w;
	return 0;
}

/* An input that looks at what it writes itself. */
static int
want_own(struct ctf_ctx *ctx, const char *name, ctf_ref *ret_ref,
	 const struct ctf_field **ret_field, struct ctf_err *err)
{
	const struct ctf_port *p = port_find(ctx->inst->plugin->writes, name);
	int ret;

	if (!p)
		return ctf_fail(err, ENOENT, FIELD_MISSING, name, ctx->inst->plugin->name);
	ret = port_claim(ctx->input, ctx, p, err);
	if (!ret && remember(ctx, ctx, *port_ref(ctx->obj, p)))
		ret = ctf_fail(err, ENOMEM, "out of memory");
	if (ret)
		return ret;
	*ret_ref = *port_ref(ctx->obj, p);
	if (ret_field)
		*ret_field = port_field(p);
	return 0;
}

int
ctf_want(struct ctf_ctx *ctx, const char *name, ctf_ref *ret_ref,
	 const struct ctf_field **ret_field, struct ctf_err *err)
{
	if (ctx->inst->plugin->role == CTF_INPUT)
		return want_own(ctx, name, ret_ref, ret_field, err);
	for (unsigned pos = ctx->pos; pos-- > 0;) {
		struct ctf_ctx *up = member_ctx(ctx->stack, pos);
		const struct ctf_port *p = port_find(up->inst->plugin->writes, name);
		int ret;

		if (!p)
			continue;
		ret = port_claim(ctx->input, up, p, err);
		if (!ret && remember(ctx, up, *port_ref(up->obj, p)))
			ret = ctf_fail(err, ENOMEM, "out of memory");
		if (ret)
			return ret;
		if (pos)
			need_filter(ctx, pos);
		*ret_ref = *port_ref(up->obj, p);
		if (ret_field)
			*ret_field = port_field(p);
		return 0;
	}
	return ctf_fail(err, ENOENT, FIELD_MISSING, name, ctx->inst->plugin->name);
}

/* The i-th of ulogd2's keys that a plugin upstream writes, or NULL. */
static const struct ctf_port *
nth_key(struct ctf_ctx *ctx, unsigned i)
{
	for (unsigned pos = 0; pos < ctx->pos; pos++) {
		const struct ctf_port *p = member_ctx(ctx->stack, pos)->inst->plugin->writes;

		for (; p && p->name; p++)
			if ((port_field(p)->flags & CTF_F_ULOGD) && i-- == 0)
				return p;
	}
	return NULL;
}

int
ctf_want_nth(struct ctf_ctx *ctx, unsigned i, ctf_ref *ret_ref,
	     const struct ctf_field **ret_field, struct ctf_err *err)
{
	const struct ctf_port *p = nth_key(ctx, i);
	int ret;

	if (!p)
		return 0;
	ret = ctf_want(ctx, p->name, ret_ref, ret_field, err);
	return ret ? ret : 1;
}

/* Binds the reads table. */
static int
bind_reads(struct ctf_ctx *ctx, struct ctf_err *err)
{
	for (const struct ctf_port *p = ctx->inst->plugin->reads; p && p->name; p++) {
		struct ctf_err why = { 0 };
		int ret = ctf_want(ctx, p->name, port_ref(ctx->obj, p), NULL, &why);

		if (ret == -ENOENT && (p->flags & CTF_OPTIONAL))
			continue;
		if (ret) {
			if (err)
				*err = why;
			return ret;
		}
	}
	return 0;
}

/* Binds an object at its place in the stack and lets the plugin set it up. */
static int
place(struct stack *st, struct ctf_ctx *ctx, unsigned pos, struct ctf_err *err)
{
	const struct ctf_plugin *pl = ctx->inst->plugin;
	int ret;

	ctx->stack = st;
	ctx->pos = pos;
	ctx->input = st->input;
	ret = bind_reads(ctx, err);
	if (ret)
		return ret;
	ctx->set_up = true;
	return pl->setup ? pl->setup(ctx->obj, err) : 0;
}

/* A filter already set up for another stack still needs what it needs. */
static void
need_again(struct stack *st, const struct filter *f)
{
	for (unsigned i = 0; i < f->nneeds; i++)
		for (unsigned k = 0; k < st->nchain; k++)
			if (st->chain[k] == f->needs[i])
				st->needed[k] = true;
}

int
wire_stack(struct stack *st, struct ctf_err *err)
{
	int ret = place(st, &st->enc->ctx, st->nchain + 1, err);

	for (unsigned k = st->nchain; !ret && k-- > 0;) {
		struct filter *f = st->chain[k];

		if (!f->inst->plugin->pure)
			st->needed[k] = true;
		if (!st->needed[k])
			continue;
		if (f->ready) {
			need_again(st, f);
			continue;
		}
		f->ready = true;
		ret = place(st, &f->ctx, k + 1, err);
	}
	return ret;
}
