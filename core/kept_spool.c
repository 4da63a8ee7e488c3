/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accounts of a sink with a spool.  Of what the earlier run was given and
 * did not deliver, the flows on disk are not missing.  They are delivered before
 * anything else, so they come first in the account, whatever they said of
 * themselves, and what is missing comes behind them.
 */
#include "sink.h"

struct kept_spool {
	_Atomic uint64_t id; /* whose numbers the page has */
};

static uint64_t
get(const _Atomic uint64_t *u)
{
	return atomic_load_explicit(u, memory_order_relaxed);
}

uint64_t
kept_number(const struct sink *s)
{
	return s->keep ? get(&s->keep->number) : 0;
}

uint64_t
kept_spool_settled(struct sink *s, struct kept_disk *d)
{
	bool kept = false;
	struct kept_spool *k = ctf_state(&s->ctx, "spool", sizeof(*k), &kept);

	if (!k || !s->keep)
		return 0;
	d->page = get(&s->keep->number) > 0;
	d->same = kept && get(&k->id) == d->id;
	k->id = d->id;
	d->uncounted = get(&s->keep->uncounted);
	return d->same ? get(&s->keep->settled_number) : 0;
}

/* The page does not know of the last frames there, or there is no page. */
static bool
is_stale(const struct sink *s, const struct kept_disk *d)
{
	if (d->same)
		return d->last > get(&s->keep->number);
	return !d->page && d->known && !d->clean;
}

uint64_t
kept_spool(struct sink *s, const struct kept_disk *d)
{
	struct kept_left *l = &s->left;
	struct kept_sink *k = s->keep;
	uint64_t first;

	if (!k) {
		s->queue.last_number = d->base;
		return 0;
	}
	if (d->same && d->has_uncounted)
		l->unknown = false;
	l->unknown |= is_stale(s, d);
	if (!l->to_ns) /* the page does not say */
		l->from_ns = d->since_ns;
	if (d->same && d->flows <= l->count) {
		l->count -= d->flows;
	} else {
		uint64_t more = d->same ? d->flows - l->count : d->flows;

		l->count = d->same ? 0 : l->count;
		l->upto += more;
		k->given = l->upto;
	}
	first = l->upto - l->count - d->flows;
	k->settled = first;
	if (!d->same)
		k->settled_number = 0;
	l->spooled = d->flows;
	l->owing = l->count || l->unknown;
	s->queue.upto = l->upto;
	s->queue.last_number = d->base;
	l->number = d->base + 1;
	if (l->owing)
		s->queue.last_number += 2; /* for the gaps */
	k->number = s->queue.last_number;
	return first;
}
