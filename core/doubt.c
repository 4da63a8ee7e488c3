/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doubt.c - options that were given and have no effect. */
#include <stdarg.h>
#include <stdio.h>

#include "ctx.h"
#include "diag.h"
#include "graph.h"
#include "opt.h"

/* As -n -v prints it when nobody has given it. */
static bool
is_default(const struct inst *inst, const char *name, const char *value)
{
	const struct ctf_opt *o = opt_find(inst->plugin->opts, name);
	uint64_t a, b;

	if (!o)
		o = opt_find(out_opts, name);
	if (!o || !o->dflt)
		return !*value;
	if (strcmp(value, o->dflt) == 0)
		return true;
	return opt_number(o->type, value, &a) == 0 && opt_number(o->type, o->dflt, &b) == 0 &&
	       a == b;
}

void
ctf_doubt_opt(const struct ctf_ctx *ctx, const char *name, const char *fmt, ...)
{
	const struct inst *inst = ctx->inst;
	const struct conf_entry *e = inst->sec ? conf_next(inst->sec, name, NULL) : NULL;
	char text[512];
	va_list ap;

	if (!e || !e->value || is_default(inst, name, e->value))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag_warn(ctx->diag, inst->file, e->line, "%s: %s", name, text);
}
