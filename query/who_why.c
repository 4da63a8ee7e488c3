/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_why.c - why a time is not known, in words. */
#include <stdarg.h>

#include "who_watch.h"

static const char *const words[] = {
	[WHO_BEFORE] = "before the first record",
	[WHO_DOWN] = "nobody listened",
	[WHO_GAP] = "flows were lost",
	[WHO_STEP] = "the clock was set back",
	[WHO_SELECTED] = "excluded by selection",
	[WHO_SETTINGS] = "the kernel told of no ends",
	[WHO_LEFTOVERS] = "flows from before the daemon",
	[WHO_CLOCK] = "clock not synchronised",
	[WHO_RECENT] = "too recent",
	[WHO_OPEN] = "flows may still be open",
	[WHO_DELETED] = "deleted by retention",
	[WHO_PROFILE] = "not stored by this profile",
	[WHO_TIMES] = "no timestamps",
};

const char *
who_why_word(enum who_why why)
{
	return words[why];
}

void
who_reason(struct who_cover *c, enum who_why why, bool then, int64_t from, int64_t to,
	   const char *fmt, ...)
{
	struct who_reason *r = &c->reasons[c->n];
	size_t n = 0;
	va_list ap;

	if (c->n == WHO_REASONS) { /* of many, one of that very time must stay */
		r--;
		if (!then || r->then)
			return;
		c->n--;
	}
	*r = (struct who_reason){ why, then, from, to, "" };
	if (c->whose)
		n = (size_t)snprintf(r->text, sizeof(r->text), "%.80s: ", c->whose);
	va_start(ap, fmt);
	vsnprintf(r->text + n, sizeof(r->text) - n, fmt, ap);
	va_end(ap);
	c->n++;
}

/* ---- stretches ------------------------------------------------------------------ */

bool
who_mine(const struct who_walk *w, const struct who_span *s)
{
	return who_same_table(w->first, s);
}

bool
who_hears_all(const struct who_span *s)
{
	return s->mask >= 0 && s->mask & CTF_DESTROY && s->events > 0 && !s->selection[0];
}

bool
who_within(const struct who_span *s, int64_t t)
{
	return s->from_ns <= t + WHO_SEAM_NS && s->upto_ns >= t;
}

const struct who_span *
who_span_at(const struct who_walk *w, int64_t t)
{
	const struct who_span *found = NULL;

	for (unsigned i = 0; i < w->watch->nspans; i++) {
		const struct who_span *s = &w->watch->spans[i];

		if (who_mine(w, s) && who_within(s, t) &&
		    (!found || found->upto_ns < s->upto_ns))
			found = s;
	}
	return found;
}

const struct who_span *
who_span_last(const struct who_walk *w)
{
	const struct who_span *found = NULL;

	for (unsigned i = 0; i < w->watch->nspans; i++) {
		const struct who_span *s = &w->watch->spans[i];

		if (who_mine(w, s) && (!found || found->upto_ns <= s->upto_ns))
			found = s;
	}
	return found;
}

/* ---- what stands in the way ------------------------------------------------------- */

void
who_time(const struct who_walk *w, int64_t ns, char text[Q_TIME_TEXT])
{
	q_time_text(w->q, ns, true, text);
}

static void
say_loss(struct who_walk *w, const struct who_loss *l, bool then)
{
	char from[Q_TIME_TEXT], to[Q_TIME_TEXT];

	who_time(w, l->to_ns, to);
	if (l->why == WHO_DELETED) {
		who_reason(w->cover, l->why, then, l->from_ns, l->to_ns,
			   "rows from before %s were deleted by retention", to);
		return;
	}
	who_time(w, l->from_ns, from);
	if (l->why == WHO_STEP)
		who_reason(w->cover, l->why, then, l->from_ns, l->to_ns,
			   "the clock was set back: times from %s to %s came twice", from, to);
	else
		who_reason(w->cover, l->why, then, l->from_ns, l->to_ns,
			   "gap from %s to %s: %s", from, to, l->text);
}

static void
say_span(struct who_walk *w, const struct who_span *s, bool then)
{
	if (s->selection[0])
		who_reason(w->cover, WHO_SELECTED, then, s->from_ns, s->upto_ns,
			   "the configuration of %.40s leaves flows out: %.180s", s->instance,
			   s->selection);
	else
		who_reason(w->cover, WHO_SETTINGS, then, s->from_ns, s->upto_ns,
			   "the kernel was not known to report ends of flows "
			   "(nf_conntrack_events = %d)",
			   s->events);
}

/* Nothing was written about the time t. */
static void
say_hole(struct who_walk *w, int64_t t, bool then)
{
	const struct who_span *last = who_span_last(w), *next = NULL;
	char from[Q_TIME_TEXT], to[Q_TIME_TEXT];

	for (unsigned i = 0; i < w->watch->nspans && !next; i++)
		if (who_mine(w, &w->watch->spans[i]) && w->watch->spans[i].from_ns > t)
			next = &w->watch->spans[i];
	who_time(w, t, from);
	if (next) {
		who_time(w, next->from_ns, to);
		who_reason(w->cover, WHO_DOWN, then, t, next->from_ns,
			   "the daemon did not run from %s to %s", from, to);
	} else if (last->running && w->q->now_ns - last->alive_ns < WHO_ALIVE_NS) {
		who_time(w, last->upto_ns, to);
		who_reason(
			w->cover, then ? WHO_RECENT : WHO_OPEN, false, t, w->q->now_ns,
			then ? "not everything is delivered yet: known is what ended up to %s"
			     : "flows of then may still be open: none had ended by %s, and no "
			       "look at the connection table has shown what lives",
			to);
	} else {
		who_time(w, last->upto_ns, to);
		who_reason(
			w->cover, then ? WHO_DOWN : WHO_OPEN, then, t, INT64_MAX,
			then ? "the daemon has not been heard since %s"
			     : "flows of then that had not ended by %s, when the records end, "
			       "are not known",
			to);
	}
}

/* Says why the time t is not known. */
void
who_say_why(struct who_walk *w, int64_t t, bool then)
{
	const struct who_span *s = who_span_at(w, t);

	for (unsigned i = 0; i < w->watch->nlosses; i++) {
		const struct who_loss *l = &w->watch->losses[i];

		if (l->from_ns <= t + WHO_SEAM_NS && l->to_ns >= t &&
		    who_loses(l, s ? s : w->first)) {
			say_loss(w, l, then);
			return;
		}
	}
	if (s && !who_hears_all(s))
		say_span(w, s, then);
	else if (t < w->first->from_ns)
		who_reason(w->cover, WHO_BEFORE, then, INT64_MIN, w->first->from_ns,
			   "the records begin later");
	else
		say_hole(w, t, then);
}
