/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plugin.h offers every plugin object: a name, a log, counters. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctx.h"
#include "graph.h"
#include "opt.h"

#define LOG_NUMBERS 900u /* characters of a line */

int
ctx_init(struct ctf_ctx *ctx, struct inst *inst, size_t size)
{
	struct ctf_obj *obj = calloc(1, size > sizeof(*obj) ? size : sizeof(*obj));

	if (!obj)
		return -ENOMEM;
	obj->ctx = ctx;
	obj->conf = inst->conf;
	ctx->inst = inst;
	ctx->obj = obj;
	return 0;
}

void
ctx_free(struct ctf_ctx *ctx)
{
	struct counter *c;

	while ((c = ctx->counters)) {
		ctx->counters = c->next;
		free(c);
	}
	state_plain_free(&ctx->plain);
	free(ctx->obj);
	ctx->obj = NULL;
}

ctf_counter *
ctf_metric_new(struct ctf_ctx *ctx, const char *name, enum ctf_metric kind, enum ctf_unit unit,
	       const char *help)
{
	struct counter *c = calloc(1, sizeof(*c)), *at;
	_Atomic(struct counter *) *end = &ctx->counters;

	if (!c)
		return &ctx->spare;
	c->metric = (struct metric){ name, kind, unit, help };
	while ((at = atomic_load(end)))
		end = &at->next;
	atomic_store(end, c);
	return &c->value;
}

void
ctx_pass_on(struct ctf_ctx *to, struct ctf_ctx *from)
{
	for (struct counter *c = from->counters; c; c = c->next)
		for (struct counter *t = to->counters; t; t = t->next)
			if (c->metric.kind == CTF_COUNTER &&
			    strcmp(c->metric.name, t->metric.name) == 0) {
				uint64_t n = atomic_load(&c->value);

				ctf_count(&t->value, n - c->passed_on);
				c->passed_on = n;
				break;
			}
}

void
ctf_pin(struct ctf_ctx *ctx)
{
	ctx->pinned = true;
}

static int
print_number(char *to, size_t size, const struct metric *m, uint64_t v)
{
	unsigned long long n = v;

	if (m->unit == CTF_UNIT_SECONDS)
		return snprintf(to, size, " %s=%llu.%03llus", m->name, n / 1000000000,
				n / 1000000 % 1000);
	return snprintf(to, size, " %s=%llu%s", m->name, n,
			m->unit == CTF_UNIT_PERCENT ? "%" : "");
}

void
ctx_log_counters(const struct ctf_ctx *ctx)
{
	char line[LOG_NUMBERS], one[128];
	size_t len = 0;

	for (const struct counter *c = ctx->counters; c; c = c->next) {
		uint64_t v = atomic_load_explicit(&c->value, memory_order_relaxed);
		size_t n = v ? (size_t)print_number(one, sizeof(one), &c->metric, v) : 0;

		if (n >= sizeof(one))
			continue;
		if (len + n >= sizeof(line)) {
			ctf_log(ctx, CTF_NOTICE, "statistics:%s", line);
			len = 0;
		}
		memcpy(line + len, one, n);
		len += n;
		line[len] = '\0';
	}
	if (len)
		ctf_log(ctx, CTF_NOTICE, "statistics:%s", line);
}

const char *
ctf_name(const struct ctf_ctx *ctx)
{
	return ctx->inst->id;
}

uint64_t
ctf_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
ctf_log(const struct ctf_ctx *ctx, enum ctf_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(level, "%s:%s: %s", ctx->inst->id, ctx->inst->plugin->name, text);
}

int
ctf_fail_opt(const struct ctf_ctx *ctx, struct ctf_err *err, const char *name, const char *fmt,
	     ...)
{
	const struct inst *inst = ctx->inst;
	va_list ap;

	if (!err)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->file = inst->file;
	err->line = inst->sec ? opt_line(inst->sec, name) : 0;
	return -EINVAL;
}
