/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of two configurations is the same. */
#include "opt.h"
#include "reload.h"

/* Encoders and the start of a graph look at these, sinks do not. */
static bool
is_encoders(const char *name)
{
	return !strcmp(name, "gaps") || !strcmp(name, "interim");
}

static const char *
differs(const struct ctf_opt *o, const void *a, const void *b, bool sink)
{
	for (; o && o->name; o++) {
		struct ctf_opt one[2] = { *o, { 0 } };

		if (!(sink && is_encoders(o->name)) && !opt_equal(one, a, b))
			return o->name;
	}
	return NULL;
}

const char *
reload_differs(const struct inst *a, const struct inst *b)
{
	const char *name = differs(a->plugin->opts, a->conf, b->conf, false);

	if (!name && a->plugin->role == CTF_OUTPUT)
		name = differs(out_opts, &a->out, &b->out, false);
	return name;
}

const char *
reload_sink_differs(const struct inst *a, const struct inst *b)
{
	const char *name = differs(a->plugin->opts, a->conf, b->conf, false);

	return name ? name : differs(out_opts, &a->out, &b->out, true);
}

/* An expression may name a file, which is read when the configuration is. */
static bool
reads_files(const struct inst *in)
{
	const struct ctf_opt *o = in->plugin->role == CTF_OUTPUT ? NULL : in->plugin->opts;

	for (; o && o->name && in->plugin->probe; o++) {
		const char *const *text = (const void *)((const char *)in->conf + o->off);

		if (o->type == CTF_OTEXT && *text && strchr(*text, '@'))
			return true;
	}
	return false;
}

static bool
same_stack(const struct stack *a, const struct stack *b)
{
	if (a->bad != b->bad || a->dead || strcmp(a->text, b->text) != 0)
		return false;
	if (a->bad)
		return true;
	for (unsigned i = 0; i < a->n; i++)
		if (a->n != b->n || a->member[i]->plugin != b->member[i]->plugin ||
		    reads_files(a->member[i]) || reload_differs(a->member[i], b->member[i]))
			return false;
	return true;
}

bool
reload_is_same(const struct setup *a, const struct setup *b)
{
	const struct stack *x = a->plan.stacks, *y = b->plan.stacks;

	if (!opt_equal(global_opts, &a->global, &b->global))
		return false;
	for (const struct input *in = a->graph.inputs; in; in = in->next)
		if (!in->started || in->failed)
			return false;
	for (; x && y; x = x->next, y = y->next)
		if (!same_stack(x, y))
			return false;
	return !x && !y;
}

const struct stack *
reload_refuses(const struct setup *was, const struct setup *is)
{
	for (const struct stack *st = is->plan.stacks; st; st = st->next) {
		const struct stack *old = was->plan.stacks;

		if (!st->bad)
			continue;
		while (old && !(old->bad && strcmp(old->text, st->text) == 0))
			old = old->next;
		if (!old)
			return st;
	}
	return NULL;
}
