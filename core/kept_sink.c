/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the state page holds of a sink, and the gap that an earlier run owes:
 * flows that it had read and not delivered when it ended.
 */
#include <errno.h>

#include "pump.h"
#include "sink.h"
#include "spool.h"

static uint64_t
get(const _Atomic uint64_t *u)
{
	return atomic_load_explicit(u, memory_order_relaxed);
}

static void
set(_Atomic uint64_t *u, uint64_t to)
{
	atomic_store_explicit(u, to, memory_order_relaxed);
}

static uint64_t
counted(const struct ctf_gap *g)
{
	return g->count_is == CTF_UNCOUNTED ? 0 : g->count;
}

/* ---- while it runs ---- */

void
kept_given(struct sink *s, uint64_t flows, uint64_t ns)
{
	struct kept_sink *k = s->keep;

	if (!k)
		return;
	set(&k->given, get(&k->given) + flows);
	set(&k->given_ns, ns);
}

void
kept_pushed(struct sink *s, const struct qframe *f)
{
	struct kept_sink *k = s->keep;

	if (!k)
		return;
	set(&k->number, f->f.number);
	if (f->is_gap && f->gap.count_is == CTF_UNCOUNTED)
		set(&k->uncounted, f->f.number);
}

void
kept_gap(struct sink *s, const struct qframe *f)
{
	struct kept_sink *k = s->keep;

	if (!k)
		return;
	set(&k->given, get(&k->given) + qframe_flows(f));
	if (f->f.last_ns > get(&k->given_ns))
		set(&k->given_ns, f->f.last_ns);
	if (f->gap.count_is == CTF_UNCOUNTED)
		set(&k->uncounted, UINT64_MAX);
}

void
kept_owe(struct sink *s, const struct ctf_gap *g)
{
	struct kept_sink *k = s->keep;

	if (!k)
		return;
	set(&k->owed, get(&k->owed) + counted(g));
	if (g->count_is == CTF_UNCOUNTED) /* until its frame has a number */
		set(&k->uncounted, UINT64_MAX);
}

void
kept_paid(struct sink *s)
{
	if (s->keep)
		set(&s->keep->owed, 0);
}

void
kept_settled(struct sink *s)
{
	struct kept_sink *k = s->keep;

	if (!k)
		return;
	set(&k->settled, s->queue.settled_upto);
	set(&k->settled_ns, s->queue.settled_ns);
	set(&k->settled_number, s->queue.settled_number);
}

/* ---- the end ---- */

/* Flows in the queue; *ret_exact: none of them may have arrived. */
static uint64_t
queued(const struct sink *s, bool *ret_exact)
{
	uint64_t sum = 0;
	bool exact = true;

	for (const struct qframe *f = queue_unsettled(&s->queue); f; f = f->next) {
		sum += qframe_flows(f);
		if (f->written)
			continue;
		if (f->begun || f->taken || (f->is_gap && f->gap.count_is != CTF_EXACT))
			exact = false;
	}
	if (s->lost_enc) {
		sum += counted(&s->lost);
		exact &= s->lost.count_is == CTF_EXACT;
	}
	*ret_exact = exact;
	return sum;
}

void
kept_sink_end(struct sink *s)
{
	struct kept_sink *k = s->keep;
	uint64_t lost;
	bool exact;

	if (!k)
		return;
	lost = queued(s, &exact) + spool_flows(s);
	if (s->left.owing) {
		lost += s->left.count + s->left.more;
		exact &= s->left.exact && (!s->left.more || s->left.more_exact);
	}
	/* Nothing is counted twice, whatever the order was in which it was lost. */
	set(&k->settled, get(&k->given) - lost);
	set(&k->owed, 0);
	k->exact = exact;
}

/* ---- the start ---- */

/* One batch of every input that died in the middle of one. */
static uint64_t
in_hand(const struct sink *s)
{
	uint64_t n = 0;

	for (const struct encoder *e = s->encoders; e; e = e->next)
		if (e->stack->input->was_reading)
			n += BATCH_RECS;
	return n;
}

int
kept_sink_start(struct sink *s)
{
	bool kept = false;
	struct kept_sink *k = ctf_state(&s->ctx, "core", sizeof(*k), &kept);
	struct kept_left *l = &s->left;
	uint64_t more;

	if (!k)
		return -ENOMEM;
	more = get(&k->owed) + in_hand(s);
	if (get(&k->settled) > get(&k->given)) /* died in a batch */
		set(&k->settled, get(&k->given));
	set(&k->given, get(&k->given) + more);
	set(&k->owed, 0);
	*l = (struct kept_left){ .upto = get(&k->given),
				 .behind = get(&k->number) > get(&k->settled_number),
				 .count = get(&k->given) - get(&k->settled),
				 .unknown = get(&k->uncounted) > get(&k->settled_number),
				 .exact = k->exact && !more,
				 .in_hand = more > 0,
				 .from_ns = get(&k->settled_ns),
				 .to_ns = get(&k->given_ns) };
	k->exact = false;
	l->owing = l->count || l->unknown;
	s->queue.upto = l->upto;
	s->queue.last_number = get(&k->number);
	l->number = s->queue.last_number + 1;
	if (l->owing)
		s->queue.last_number += 2; /* for the gaps */
	set(&k->number, s->queue.last_number);
	s->keep = k;
	return 0;
}

void
kept_inherit(struct sink *s, struct qframe *f)
{
	struct kept_left *l = &s->left;
	uint64_t n;

	if (!f->is_gap && !f->f.flows)
		f->f.flows = f->f.recs;
	n = qframe_flows(f);
	n = n < l->count ? n : l->count;
	l->count -= n;
	l->inherited += n;
	if (f->is_gap && f->gap.count_is == CTF_UNCOUNTED)
		l->unknown = false;
	l->owing = l->count || l->unknown;
	f->f.upto = get(&s->keep->settled) + l->spooled + l->inherited;
	queue_insert(&s->queue, f);
}

void
ctf_found(struct ctf_ctx *ctx, uint64_t upto, bool exact)
{
	struct sink *s = ctx->sink;
	struct kept_left *l = &s->left;
	uint64_t settled;

	if (!s->keep)
		return;
	pthread_mutex_lock(&s->lock);
	settled = get(&s->keep->settled);
	if (l->owing && !l->opened && upto <= l->upto) {
		/* what is on disk comes again, and before what is missing */
		if (upto > settled + l->spooled) {
			uint64_t more = upto - settled - l->spooled;

			l->count -= more < l->count ? more : l->count;
			if (!l->spooled)
				set(&s->keep->settled, upto);
		}
		l->exact |= exact && !l->in_hand;
	}
	pthread_mutex_unlock(&s->lock);
}

bool
kept_opened(struct sink *s)
{
	bool owing;

	pthread_mutex_lock(&s->lock);
	s->left.opened = true;
	owing = s->left.owing;
	pthread_mutex_unlock(&s->lock);
	return owing;
}

/* An encoder that can speak for the sink. */
static struct encoder *
speaker(const struct sink *s)
{
	struct encoder *e = s->encoders;

	while (e && e->stack->dead)
		e = e->next;
	return e;
}

/* Puts it before all that was queued meanwhile; false: no memory. */
static bool
gap_first(struct sink *s, const struct ctf_gap *g, uint64_t number)
{
	struct encoder *e = speaker(s);
	struct qframe *f = NULL;

	if (!e || encoder_gap_frame(e, g, &f))
		return false;
	if (f) {
		f->f.number = number;
		f->f.upto = s->left.upto + s->left.more;
		queue_insert(&s->queue, f);
		spool_pushed(s);
		s->left.framed = true;
	}
	return true;
}

/* What it had not delivered and what nobody read then. */
static void
whole_outage(const struct kept_left *l, struct ctf_gap *g)
{
	bool own = l->count > 0;

	g->count = l->count + l->more;
	g->count_is =
		(l->exact || !own) && (l->more_exact || !l->more) ? CTF_EXACT : CTF_AT_MOST;
	if (!l->more)
		return;
	g->instance = l->instance;
	if (!own || l->more_from_ns < g->from_ns)
		g->from_ns = l->more_from_ns;
	if (!own || l->more_to_ns > g->to_ns)
		g->to_ns = l->more_to_ns;
}

/* Nothing is missing, or the output is not to be told. */
static void
nothing_owed(struct sink *s)
{
	if (!s->left.spooled)
		set(&s->keep->settled, s->left.upto);
	else
		spool_forgive(s, s->left.count);
}

static void
make_gaps(struct sink *s)
{
	struct kept_left *l = &s->left;
	struct ctf_gap g = { l->from_ns, l->to_ns,    CTF_UNKNOWN, CTF_UNCOUNTED,
			     "restart",  s->inst->id, -1 };

	if (!g.to_ns) /* it died before the page had a time */
		g.to_ns = ctf_now();
	if (g.from_ns > g.to_ns || !g.from_ns)
		g.from_ns = g.to_ns;
	if (l->unknown && gap_first(s, &g, l->number + 1)) {
		set(&s->keep->uncounted, l->number + 1);
		l->unknown = false;
	}
	whole_outage(l, &g);
	if (!l->unknown && (!g.count || gap_first(s, &g, l->number)))
		l->owing = false;
	if (!l->owing && !l->framed)
		nothing_owed(s);
}

static void
say_left(const struct sink *s)
{
	const struct kept_left *l = &s->left;

	if (!l->count)
		ctf_log(&s->ctx, CTF_WARNING,
			"the run before this one lost flows, nobody knows how many, and could "
			"not say so any more");
	else
		ctf_log(&s->ctx, CTF_WARNING,
			"the run before this one ended with %s%llu flows not delivered%s",
			l->exact ? "" : "up to ", (unsigned long long)l->count,
			l->unknown ? ", and others that nobody has counted" : "");
}

bool
kept_outage(struct sink *s, const struct input *in, const struct ctf_gap *g)
{
	struct kept_left *l = &s->left;
	bool part;

	if (!s->keep || g->count_is == CTF_UNCOUNTED || !encoder_tells_gaps(sink_voice(s)))
		return false;
	pthread_mutex_lock(&s->lock);
	part = l->owing && !l->more;
	if (part) {
		l->more = g->count;
		l->more_exact = g->count_is == CTF_EXACT;
		l->more_from_ns = g->from_ns;
		l->more_to_ns = g->to_ns;
		l->instance = sink_text(s, in->inst->id);
		set(&s->keep->given, get(&s->keep->given) + g->count);
		queue_precede(&s->queue, g->count);
		spool_precede(s, g->count);
	}
	pthread_mutex_unlock(&s->lock);
	return part;
}

/* How much one of its inputs lost is not known yet: that is the same gap. */
static bool
awaits_outage(const struct sink *s)
{
	for (const struct encoder *e = s->encoders; e; e = e->next)
		if (e->stack->input->outage && !e->stack->input->ended)
			return true;
	return false;
}

void
kept_make_gap(struct sink *s)
{
	struct kept_left *l = &s->left;

	if (!l->owing || awaits_outage(s)) /* only we change it */
		return;
	pthread_mutex_lock(&s->lock);
	if (l->opened) {
		if (l->count || l->unknown)
			say_left(s);
		make_gaps(s);
		s->dirty = true;
	}
	pthread_mutex_unlock(&s->lock);
}
