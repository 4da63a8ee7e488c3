/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the state page holds of inputs, and ctf_state(), which is for plugins. */
#include "kept.h"

#include <errno.h>
#include <stdio.h>

#include "run.h"
#include "sink.h"

static struct state *
page_of(const struct ctf_ctx *ctx)
{
	const struct run *r = run_of(ctx);

	return r ? r->state : NULL;
}

/* Filters and encoders are too many to have names of their own. */
static bool
has_name(const struct ctf_ctx *ctx)
{
	return ctx->inst->plugin->role == CTF_INPUT || (ctx->sink && !ctx->enc);
}

static void
name_block(const struct ctf_ctx *ctx, const char *part, char name[600])
{
	snprintf(name, 600, "%s:%s %s", ctx->inst->id, ctx->inst->plugin->name, part);
}

void *
ctf_state(struct ctf_ctx *ctx, const char *part, size_t size, bool *ret_kept)
{
	char name[600];
	bool kept = false;
	void *p = NULL;

	name_block(ctx, part, name);
	if (has_name(ctx))
		p = state_block(page_of(ctx), name, size, &kept);
	if (!p)
		p = state_plain_new(&ctx->plain, size);
	if (p)
		*ret_kept = kept;
	return p;
}

void *
ctf_state_before(struct ctf_ctx *ctx, const char *part, size_t size)
{
	char name[600];

	name_block(ctx, part, name);
	return state_before(page_of(ctx), name, size);
}

bool
kept_page(const struct ctf_ctx *ctx)
{
	return page_of(ctx) != NULL;
}

bool
kept_wanted(const struct graph *g)
{
	for (const struct input *in = g->inputs; in; in = in->next)
		if (in->inst->plugin->backlog)
			return true;
	return false;
}

int
kept_input_start(struct input *in)
{
	bool kept = false;
	struct kept_input *k = ctf_state(&in->ctx, "core", sizeof(*k), &kept);
	uint32_t ended;

	if (!k)
		return -ENOMEM;
	ended = k->ended;
	if (ended == CTF_ENDED_UNKNOWN || ended > CTF_ENDED_HANDED)
		ended = CTF_ENDED_DIED;
	in->earlier = (struct ctf_earlier){
		.ended = kept ? (enum ctf_ended)ended : CTF_ENDED_UNKNOWN,
		.last_ns = k->last_ns,
		.same_boot = kept && state_same_boot(page_of(&in->ctx)),
	};
	in->keep = k;
	in->was_reading = kept && k->reading;
	k->ended = CTF_ENDED_UNKNOWN;
	return 0;
}

int
kept_start(struct graph *g)
{
	int ret = 0;

	for (struct input *in = g->inputs; in && !ret; in = in->next)
		ret = kept_input_start(in);
	for (struct sink *s = g->sinks; s && !ret; s = s->next)
		ret = kept_sink_start(s);
	/* What was left in the middle of a batch is accounted for. */
	for (struct input *in = g->inputs; in && !ret; in = in->next) {
		in->keep->reading = 0;
		in->was_reading = false;
	}
	return ret;
}

void
kept_input_end(struct input *in, enum ctf_ended ended)
{
	if (in->keep)
		in->keep->ended = ended;
}

void
kept_reading(struct input *in)
{
	if (in->keep)
		atomic_store_explicit(&in->keep->reading, 1, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst); /* before anything of the batch */
}

void
kept_read(struct input *in, bool events, uint64_t upto_ns)
{
	const struct ctf_batch *b = &in->batch;

	if (!in->keep)
		return;
	if (!upto_ns && b->n)
		upto_ns = batch_rec(b, b->n - 1)->rx_ns;
	if (events && upto_ns)
		atomic_store_explicit(&in->keep->last_ns, upto_ns, memory_order_relaxed);
	atomic_store_explicit(&in->keep->reading, 0, memory_order_release);
}

void
ctf_alive(const struct ctf_ctx *ctx)
{
	if (ctx->input && ctx->input->keep)
		atomic_store_explicit(&ctx->input->keep->last_ns, ctf_now(),
				      memory_order_relaxed);
}

struct ctf_earlier
ctf_earlier(const struct ctf_ctx *ctx)
{
	return ctx->input ? ctx->input->earlier : (struct ctf_earlier){ 0 };
}
