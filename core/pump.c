/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pump.h"
#include "sink.h"

static const struct ctf_plugin *
plugin(const struct encoder *e)
{
	return e->ctx.inst->plugin;
}

/* ---- frames of an encoder ---- */

static void
seal(struct encoder *e, unsigned i)
{
	struct qframe *q = (struct qframe *)e->open[i].frame;

	e->open[i] = e->open[--e->nopen];
	e->last = 0;
	if (q->f.recs == 0) {
		free(q);
		return;
	}
	if (plugin(e)->seal)
		plugin(e)->seal(e->ctx.obj, &q->f);
	sink_push(e->sink, qframe_trim(q));
}

static void
seal_all(struct encoder *e)
{
	while (e->nopen)
		seal(e, 0);
}

static struct ctf_frame *
open_frame(struct encoder *e, uint32_t stream)
{
	struct qframe *q;

	if (e->nopen == STREAM_MAX)
		seal(e, 0);
	q = qframe_new(e, e->limit);
	if (!q)
		return NULL;
	q->f.stream = stream;
	q->f.layout = e->layout;
	e->last = e->nopen++;
	e->open[e->last] = (struct open_frame){ stream, &q->f };
	e->stack->input->graph->open_frames = true;
	return &q->f;
}

/* The open frame of the stream; e->last says which one it is. */
static struct ctf_frame *
frame_for(struct encoder *e, uint32_t stream)
{
	if (e->last < e->nopen && e->open[e->last].stream == stream)
		return e->open[e->last].frame;
	for (unsigned i = 0; i < e->nopen; i++)
		if (e->open[i].stream == stream)
			return e->open[e->last = i].frame;
	return open_frame(e, stream);
}

/* What sweeps say of flows that live on is not missed if it is lost. */
static bool
happened(const struct ctf_rec *r)
{
	return r->kind == CTF_EVENT || r->kind == CTF_EXTRA;
}

/* A frame that is lost is a gap, and its place is where the flows ended. */
static void
count_in(struct ctf_frame *f, const struct ctf_rec *r)
{
	uint64_t ns = rec_ns(r);

	if (f->recs == 0)
		f->first_ns = f->last_ns = ns;
	else if (ns < f->first_ns)
		f->first_ns = ns;
	else if (ns > f->last_ns)
		f->last_ns = ns;
	f->recs++;
	f->flows += happened(r);
}

static void
give_up(struct encoder *e, const struct ctf_rec *r, const char *why)
{
	ctf_count(e->not_encoded, 1);
	sink_lose(e->sink, r, why);
}

static void
encode(struct encoder *e, const struct ctf_rec *r)
{
	const struct ctf_plugin *pl = plugin(e);
	uint32_t stream = pl->stream ? pl->stream(e->ctx.obj, r) : 0;

	for (int tries = 0; tries < 2; tries++) {
		struct ctf_frame *f = frame_for(e, stream);
		uint32_t len = f ? f->len : 0;
		enum ctf_put put = f ? pl->encode(e->ctx.obj, r, f) : CTF_FULL;

		if (put == CTF_OK) {
			count_in(f, r);
			e->n_records++;
			e->n_flows += happened(r);
			return;
		}
		if (f)
			f->len = len; /* half a record is none */
		if (put == CTF_SKIP) {
			e->n_skipped++;
			return;
		}
		if (!f || f->recs == 0) {
			give_up(e, r, f ? "too_large" : "memory");
			return;
		}
		seal(e, e->last);
	}
}

/* ---- a batch ---- */

static uint64_t
run_filter(struct filter *f, uint64_t mask, struct ctf_batch *b)
{
	const struct ctf_plugin *pl = f->inst->plugin;
	uint64_t todo = pl->pure ? mask & ~f->done : mask;

	f->done |= todo;
	for (uint64_t m = todo; m; m &= m - 1) {
		int i = __builtin_ctzll(m);

		if (pl->apply(f->ctx.obj, batch_rec(b, (unsigned)i), b) == CTF_DROP)
			mask &= ~(UINT64_C(1) << i);
	}
	return mask;
}

static void
run_stack(struct stack *st, uint64_t mask, struct ctf_batch *b)
{
	struct encoder *e = st->enc;

	for (unsigned k = 0; mask && k < st->nchain; k++)
		if (st->needed[k])
			mask = run_filter(st->chain[k], mask, b);
	for (; mask; mask &= mask - 1)
		encode(e, batch_rec(b, (unsigned)__builtin_ctzll(mask)));
	if (e->sync)
		seal_all(e);
	ctf_count(e->records, e->n_records);
	ctf_count(e->skipped, e->n_skipped);
	if (e->n_flows)
		kept_given(e->sink, e->n_flows, batch_rec(b, b->n - 1)->rx_ns);
	e->n_records = e->n_flows = e->n_skipped = 0;
}

/* The records of each kind, one mask each; CTF_EVENT is what all outputs get. */
static void
sort_kinds(const struct ctf_batch *b, uint64_t mask[CTF_KINDS])
{
	for (unsigned i = 0; i < b->n; i++)
		mask[batch_rec(b, i)->kind] |= UINT64_C(1) << i;
}

static uint64_t
meant_for(const struct encoder *e, const uint64_t mask[CTF_KINDS])
{
	uint64_t events = mask[CTF_EVENT] | (e->events ? mask[CTF_EXTRA] : 0);

	switch (e->interim) {
	case CTF_INTERIM_PRESENCE:
		return events | mask[CTF_PRESENCE];
	case CTF_INTERIM_COUNTERS:
		return events | mask[CTF_COUNTERS] | mask[CTF_DELTA];
	default:
		return events;
	}
}

void
pump_batch(struct input *in, struct ctf_batch *b)
{
	uint64_t mask[CTF_KINDS] = { 0 };

	if (!b->n)
		return;
	sort_kinds(b, mask);
	for (struct filter *f = in->graph->filters; f; f = f->next)
		f->done = 0;
	for (unsigned i = 0; i < in->nstacks; i++)
		if (!in->stacks[i]->dead)
			run_stack(in->stacks[i], meant_for(in->stacks[i]->enc, mask), b);
}

void
pump_seal(struct input *in)
{
	for (unsigned i = 0; i < in->nstacks; i++)
		seal_all(in->stacks[i]->enc);
}

/* ---- gaps and coverage ---- */

/* The stack is the first of its input that ends in its sink: say it once. */
static bool
speaks_for_sink(const struct input *in, unsigned i)
{
	if (in->stacks[i]->dead)
		return false;
	for (unsigned k = 0; k < i; k++)
		if (in->stacks[k]->enc->sink == in->stacks[i]->enc->sink)
			return false;
	return true;
}

static struct qframe *
aside_frame(struct encoder *e)
{
	struct qframe *q = qframe_new(e, e->limit);

	if (q)
		q->f.layout = e->layout;
	return q;
}

/* Completes a frame that stands for itself. */
static struct qframe *
aside_done(struct encoder *e, struct qframe *q, uint64_t first_ns, uint64_t last_ns)
{
	q->f.first_ns = first_ns;
	q->f.last_ns = last_ns;
	if (plugin(e)->seal)
		plugin(e)->seal(e->ctx.obj, &q->f);
	return qframe_trim(q);
}

bool
encoder_tells_gaps(const struct encoder *e)
{
	return plugin(e)->gap && e->ctx.inst->out.gaps;
}

int
encoder_gap_frame(struct encoder *e, const struct ctf_gap *gap, struct qframe **ret_frame)
{
	struct qframe *q;

	*ret_frame = NULL;
	if (!encoder_tells_gaps(e))
		return 0;
	q = aside_frame(e);
	if (!q)
		return -ENOMEM;
	if (plugin(e)->gap(e->ctx.obj, gap, &q->f) != CTF_OK) {
		free(q);
		return 0;
	}
	q->is_gap = true;
	q->gap = *gap;
	q->gap.instance = sink_text(e->sink, gap->instance);
	if (gap->from_ns < gap->to_ns)
		*ret_frame = aside_done(e, q, gap->from_ns, gap->to_ns);
	else
		*ret_frame = aside_done(e, q, gap->to_ns, gap->from_ns);
	return 0;
}

/* outage: where an output owes what the run before had read it is part of that gap. */
static void
tell_gap(struct input *in, const struct ctf_gap *gap, bool outage)
{
	struct ctf_gap g = *gap;

	/* The clock was set back meanwhile; or that is all the gap is about. */
	if (g.from_ns > g.to_ns && g.count) {
		g.from_ns = gap->to_ns;
		g.to_ns = gap->from_ns;
	}
	pump_seal(in); /* what came before it, whichever stack it went through */
	for (unsigned i = 0; i < in->nstacks; i++)
		if (speaks_for_sink(in, i) &&
		    !(outage && kept_outage(in->stacks[i]->enc->sink, in, &g)))
			sink_gap(in->stacks[i]->enc->sink, &g);
}

void
ctf_report_gap(struct ctf_ctx *ctx, const struct ctf_gap *gap)
{
	tell_gap(ctx->input, gap, false);
}

void
ctf_outage_begin(struct ctf_ctx *ctx)
{
	ctx->input->outage = true;
}

void
ctf_outage_end(struct ctf_ctx *ctx, const struct ctf_gap *gap)
{
	ctx->input->outage = false;
	if (gap)
		tell_gap(ctx->input, gap, true);
}

/* Writes one note of an input into a frame; NULL: this output has no such. */
typedef enum ctf_put note_fn(struct encoder *, const void *note, struct ctf_frame *);

/* Once to each sink of the input, behind all it was given before. */
static void
report(struct input *in, note_fn *write, const void *note, uint64_t ns)
{
	pump_seal(in);
	for (unsigned i = 0; i < in->nstacks; i++) {
		struct sink *s = in->stacks[i]->enc->sink;
		struct encoder *e = sink_voice(s);
		struct qframe *q;

		if (!speaks_for_sink(in, i))
			continue;
		q = aside_frame(e);
		if (q && write(e, note, &q->f) == CTF_OK)
			sink_push(s, aside_done(e, q, ns, ns));
		else
			free(q);
	}
}

/* ---- what filters leave out is not covered either ---- */

#define SELECTION 1600u

struct covered {
	const struct input *in;
	const struct ctf_coverage *cov;
};

/* Appends "passed by f1:FILTER" for each filter of the stack that may drop; 0: none does. */
static size_t
filters_text(const struct stack *st, char *text, size_t used)
{
	size_t before = used;

	for (unsigned i = 0; i < st->nchain; i++) {
		const struct inst *f = st->chain[i]->inst;

		if (!f->plugin->pure && used < SELECTION)
			used += (size_t)snprintf(text + used, SELECTION - used,
						 "%spassed by %s:%s", used ? "; " : "", f->id,
						 f->plugin->name);
	}
	return used - before;
}

/* The input's selection, and the filters on each of its ways to that sink. */
static void
selection_text(const struct covered *c, const struct sink *s, char text[SELECTION])
{
	size_t used = (size_t)snprintf(text, SELECTION, "%s",
				       c->cov->selection ? c->cov->selection : ""),
	       all = used;

	for (unsigned i = 0; i < c->in->nstacks && all < SELECTION; i++) {
		const struct stack *st = c->in->stacks[i];
		size_t more = 0;

		if (st->enc->sink != s || st->dead)
			continue;
		more = filters_text(st, text, all);
		if (!more) { /* this way everything comes */
			text[used] = '\0';
			return;
		}
		all += more;
	}
}

static enum ctf_put
write_coverage(struct encoder *e, const void *note, struct ctf_frame *f)
{
	const struct covered *c = note;
	struct ctf_coverage cov = *c->cov;
	char text[SELECTION];

	if (!plugin(e)->coverage)
		return CTF_SKIP;
	selection_text(c, e->sink, text);
	cov.selection = text;
	return plugin(e)->coverage(e->ctx.obj, &cov, f);
}

void
ctf_report_coverage(struct ctf_ctx *ctx, const struct ctf_coverage *cov)
{
	struct covered c = { ctx->input, cov };

	kept_coverage(ctx->input, cov);
	report(ctx->input, write_coverage, &c, cov->last_alive_ns);
}

static enum ctf_put
write_sweep(struct encoder *e, const void *note, struct ctf_frame *f)
{
	return plugin(e)->sweep ? plugin(e)->sweep(e->ctx.obj, note, f) : CTF_SKIP;
}

void
ctf_report_sweep(struct ctf_ctx *ctx, const struct ctf_sweep *sweep)
{
	report(ctx->input, write_sweep, sweep, sweep->at_ns);
}
