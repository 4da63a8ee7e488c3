/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who_cover.c - whether a flow that existed at a time can be missing.
 *
 * Such a flow ended later, or lives.  Its end is stored if from the time on
 * somebody listened and nothing was lost; this goes on until a look at the whole
 * connection table, a sweep or ours, which meets what lives.  So the time is
 * proven if there is a complete look, late enough to meet every flow of then,
 * and nothing but clean stretches from the time to the look.
 */
#include <errno.h>

#include "ch.h"
#include "engine.h"
#include "who_watch.h"

/* The records of a look come after its begin. */
#define LOOK_NS (5 * WHO_SEC)

/* ---- clean stretches -------------------------------------------------------------- */

/* The loss of that span which reaches the time, or NULL. */
static const struct who_loss *
lost_at(const struct who_walk *w, const struct who_span *s, int64_t t)
{
	for (unsigned i = 0; i < w->watch->nlosses; i++) {
		const struct who_loss *l = &w->watch->losses[i];

		if (l->from_ns <= t && l->to_ns >= t && who_loses(l, s))
			return l;
	}
	return NULL;
}

/* Where the first loss of that span after a time begins, at most `upto`. */
static int64_t
clean_until(const struct who_walk *w, const struct who_span *s, int64_t t, int64_t upto)
{
	for (unsigned i = 0; i < w->watch->nlosses; i++) {
		const struct who_loss *l = &w->watch->losses[i];

		if (l->from_ns > t && l->from_ns < upto && who_loses(l, s))
			upto = l->from_ns;
	}
	return upto;
}

/* How far everything is known without interruption, from t on. */
static int64_t
clean_from(const struct who_walk *w, int64_t t)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < w->watch->nspans; i++) {
			const struct who_span *s = &w->watch->spans[i];
			int64_t upto;

			if (!who_mine(w, s) || !who_hears_all(s) || !who_within(s, t) ||
			    lost_at(w, s, t))
				continue;
			upto = clean_until(w, s, t, s->upto_ns);
			more |= upto > t;
			t = upto > t ? upto : t;
		}
	}
	return t;
}

/* ---- looks at the table --------------------------------------------------------------------- */

/* The first look within what is known that met all flows of then. */
static int
proof(const struct who_walk *w, int64_t clean, int64_t *ret_at)
{
	*ret_at = Q_NEVER;
	if (strcmp(w->first->netns, "all") == 0) /* looks are at the daemon's own only */
		return 0;
	for (unsigned i = 0; i < w->watch->nspans; i++) {
		const struct who_span *s = &w->watch->spans[i];
		int64_t at;
		int r;

		if (!who_mine(w, s) || s->upto_ns < w->ask->from_ns || s->from_ns > clean)
			continue;
		r = who_look_after(s, w->ask->to_ns, &at, w->err);
		if (r < 0)
			return r;
		if (at != Q_NEVER && at + LOOK_NS <= clean &&
		    (*ret_at == Q_NEVER || at < *ret_at))
			*ret_at = at;
	}
	return 0;
}

/* Since when the daemon has listened without a break, as of t. */
static int64_t
listening_since(const struct who_walk *w, int64_t t, const struct who_span **ret_span)
{
	bool more = true;

	*ret_span = who_span_at(w, t);
	while (more) {
		more = false;
		for (unsigned i = 0; i < w->watch->nspans; i++) {
			const struct who_span *s = &w->watch->spans[i];

			if (who_mine(w, s) && s->from_ns < t && who_within(s, t)) {
				t = s->from_ns;
				*ret_span = s;
				more = true;
			}
		}
	}
	return t;
}

/* The stretch before, of the same boot, if with both every flow reported its end. */
static const struct who_span *
same_before(const struct who_walk *w, const struct who_span *s)
{
	const struct who_span *found = NULL;

	for (unsigned i = 0; i < w->watch->nspans; i++) {
		const struct who_span *b = &w->watch->spans[i];

		if (who_mine(w, b) && b->from_ns < s->from_ns && b->upto_ns < s->from_ns &&
		    strcmp(b->boot, s->boot) == 0 && b->events == 1 && s->events == 1 &&
		    (!found || b->upto_ns > found->upto_ns))
			found = b;
	}
	return found;
}

/* Every flow that began since then reports its end. */
static int64_t
telling_since(const struct who_walk *w)
{
	const struct who_span *s;
	int64_t since = listening_since(w, w->ask->from_ns, &s);

	while (s && (s = same_before(w, s)))
		since = listening_since(w, s->from_ns, &s);
	return since;
}

/* One that a sweep met before: it lived then, unless its end is among what was lost. */
static void
open_judge(const struct who_walk *w)
{
	int64_t since = telling_since(w);

	for (unsigned i = 0; i < w->found->n; i++) {
		struct who_match *m = &w->found->m[i];

		if (m->sure_if_heard && m->f.start_ns >= since &&
		    clean_from(w, m->f.seen_ns) >= w->ask->from_ns)
			m->sure = true;
	}
}

/*
 * Flows that began while nobody listened may never report their end
 * (nf_conntrack_events = 2): those that lived when the daemon came are known
 * only from a look at the table.
 */
static int
leftovers(struct who_walk *w)
{
	int64_t since = telling_since(w), met = Q_NEVER;
	char text[Q_TIME_TEXT];

	for (unsigned i = 0; i < w->watch->nspans; i++) {
		int64_t begun;
		int r = 0;

		if (!who_mine(w, &w->watch->spans[i]))
			continue;
		r = who_look_before(&w->watch->spans[i], w->ask->from_ns, &begun, w->err);
		if (r < 0)
			return r;
		if (begun != Q_NEVER && begun > met)
			met = begun;
	}
	if (met != Q_NEVER && met >= since)
		return 0;
	who_time(w, since, text);
	who_reason(w->cover, WHO_LEFTOVERS, false, INT64_MIN, since,
		   "flows that began before %s, when the daemon came, may never have reported "
		   "their end, and it did not look at the connection table then",
		   text);
	return 0;
}

/* ---- one connection table --------------------------------------------------------------------- */

/* The same host, and that run of it; what its process says is in live->whole. */
static bool
live_is(const struct who_walk *w)
{
	const struct who_span *last = who_span_last(w);
	char boot[CTF_BOOT_ID];

	ctf_boot_id(boot);
	return w->live->read && w->live->whole && last->running && !last->netns[0] &&
	       strcmp(boot, last->boot) == 0;
}

/* A clock that is wrong then; now it is the same one that asks. */
static void
clock_look(struct who_walk *w)
{
	if (w->ask->trust_clock || (w->ask->now && live_is(w)))
		return;
	for (unsigned i = 0; i < w->watch->nspans; i++) {
		const struct who_span *s = &w->watch->spans[i];

		int64_t upto = s->alive_ns + (s->running ? WHO_ALIVE_NS : 0);

		if (!who_mine(w, s) || s->synchronised == 1 || s->from_ns > w->ask->to_ns ||
		    upto < w->ask->from_ns)
			continue;
		who_reason(w->cover, WHO_CLOCK, true, s->from_ns, s->upto_ns,
			   s->synchronised == 0 ? "the clock of %s was not synchronised"
						: "whether the clock of %s was synchronised "
						  "is not known",
			   s->exporter);
		return;
	}
}

static int
table_judge(struct who_walk *w)
{
	const struct who_ask *a = w->ask;
	int64_t clean = clean_from(w, a->from_ns), at = Q_NEVER;
	int r = 0;

	open_judge(w);
	if (clean <= a->from_ns) {
		who_say_why(w, a->from_ns, true);
		clock_look(w);
		return 0;
	}
	if (clean >= a->to_ns)
		r = proof(w, clean, &at);
	if (r == 0 && at == Q_NEVER && live_is(w) && w->live->at_ns >= a->to_ns &&
	    clean >= w->live->at_ns)
		at = w->live->at_ns;
	if (r == 0 && at == Q_NEVER)
		who_say_why(w, clean, clean < a->to_ns);
	if (at != Q_NEVER && (w->cover->proven_ns == Q_NEVER || at > w->cover->proven_ns))
		w->cover->proven_ns = at;
	clock_look(w);
	return r < 0 ? r : leftovers(w);
}

/* The stretches of a connection table, first to last. */
static bool
concerned(const struct who_walk *w)
{
	const struct who_span *last = who_span_last(w);

	return w->first->from_ns <= w->ask->to_ns &&
	       (last->running || last->upto_ns >= w->ask->from_ns);
}

static bool
is_first(const struct who_watch *watch, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (who_same_table(&watch->spans[k], &watch->spans[i]))
			return false;
	return true;
}

static void
watched_add(struct who_walk *w)
{
	size_t used = strlen(w->cover->watched);

	snprintf(w->cover->watched + used, sizeof(w->cover->watched) - used, "%s%s%s%s%s",
		 used ? ", " : "", w->first->exporter, w->first->netns[0] ? " (namespace " : "",
		 w->first->netns, w->first->netns[0] ? ")" : "");
}

/* Those of files, or of an exporter of a server. */
static bool
is_of(const struct who_span *s, const struct q_db *db, const char *exporter)
{
	if (!db)
		return !s->db->engine->server;
	return s->db == db && strcmp(s->exporter, exporter) == 0;
}

/* Of the tables watched then all must be whole; returns how many there are. */
static int
tables_judge(struct who_walk *w, const struct q_db *db, const char *exporter)
{
	int n = 0, r = 0;

	for (int pass = 0; pass < 2 && n == 0; pass++) {
		for (unsigned i = 0; i < w->watch->nspans && r == 0; i++) {
			w->first = &w->watch->spans[i];
			/* None was: then whichever there is says why. */
			if (!is_of(w->first, db, exporter) || !is_first(w->watch, i) ||
			    !(pass || concerned(w)))
				continue;
			watched_add(w);
			r = table_judge(w);
			n++;
		}
	}
	return r < 0 ? r : n;
}

/* A file is of one gateway; of a server each exporter must be whole. */
static int
all_judge(struct who_walk *w)
{
	int r = tables_judge(w, NULL, NULL);

	for (const struct q_db *db = w->q->dbs; db && r >= 0; db = db->next) {
		for (unsigned i = 0; db->ch && i < db->ch->nexporters && r >= 0; i++) {
			const char *exporter = db->ch->exporters[i];

			w->cover->whose = db->ch->nexporters > 1 ? exporter : NULL;
			r = tables_judge(w, db, exporter);
			if (r == 0)
				who_reason(w->cover, WHO_BEFORE, true, INT64_MIN, INT64_MAX,
					   "the database does not say what was watched");
			w->cover->whose = NULL;
		}
	}
	return r < 0 ? r : 0;
}

int
who_cover(struct q *q, const struct who_ask *ask, const struct who_live *live,
	  struct who_matches *found, struct who_cover *c, struct ctf_err *err)
{
	struct who_watch watch = { .nspans = 0 };
	struct who_walk w = { q, ask, live, &watch, NULL, found, c, err };
	int64_t from = ask->from_ns;
	int r;

	c->proven_ns = c->last_ns = Q_NEVER;
	for (unsigned i = 0; i < found->n; i++)
		if (found->m[i].sure_if_heard && found->m[i].f.seen_ns < from)
			from = found->m[i].f.seen_ns;
	r = who_watch_load(q, from, live->read && live->whole, &watch, err);
	if (r == 0)
		r = all_judge(&w);
	for (unsigned i = 0; i < watch.nspans; i++)
		if (watch.spans[i].upto_ns > c->last_ns)
			c->last_ns = watch.spans[i].upto_ns;
	if (r == 0 && watch.nspans == 0 && c->n == 0)
		who_reason(c, WHO_BEFORE, true, INT64_MIN, INT64_MAX,
			   "the database does not say what was watched");
	who_watch_free(&watch);
	return r;
}
