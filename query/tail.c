/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tail.c - ctflow tail: the newest flows, and those that come.
 *
 * A flow may be stored a little after one that ended later, so each look goes
 * back some time behind the newest, and what was shown of it is remembered.  Now
 * and then a look goes back further: a flow nobody saw end is stored when that is
 * known, with the time it was last met.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "show.h"

#define NEAR_NS INT64_C(15000000000)
#define FAR_NS INT64_C(3600000000000)
#define FAR_FLOWS 80000u /* but not over more than these */
#define FAR_MS 2000u     /* and not more often; at most a twentieth of a processor */
#define POLL_MS 250u
#define POLL_MOST_MS 5000u
#define DEFAULT_LINES 10u

struct key { /* what makes a row another one than all others */
	const struct q_db *db;
	int64_t at_ns, start_ns, nsid;
	uint32_t id;
	bool stamped;
};

struct seen {
	struct key *slot; /* open addressing; db NULL: free */
	size_t n, size;   /* size: a power of two */
};

struct tail {
	struct q *q;
	struct q_ask ask;
	struct seen seen;
	int64_t newest;  /* Q_NEVER: there is none yet */
	int64_t from;    /* all since then are known */
	uint64_t far_ms; /* when to look that far again */
	bool quiet;      /* what is found is not shown, only remembered */
};

/* ---- what was shown -------------------------------------------------------------- */

static struct key
key_of(const struct q_flow *f)
{
	return (struct key){ f->db, f->at_ns, f->start_ns, f->nsid, f->id, f->stamped };
}

static struct key *
place(const struct seen *s, const struct key *k)
{
	uint64_t h = (uint64_t)k->at_ns * UINT64_C(0x9e3779b97f4a7c15) ^
		     ((uint64_t)k->start_ns + k->id) * UINT64_C(0xc2b2ae3d27d4eb4f);
	size_t i = (size_t)(h >> 20) & (s->size - 1);

	for (;; i = (i + 1) & (s->size - 1)) {
		struct key *p = &s->slot[i];

		if (!p->db ||
		    (p->db == k->db && p->at_ns == k->at_ns && p->start_ns == k->start_ns &&
		     p->nsid == k->nsid && p->id == k->id && p->stamped == k->stamped))
			return p;
	}
}

/* Into a table of that size, without what is older than `from`. */
static int
remake(struct seen *s, size_t size, int64_t from)
{
	struct seen other = { calloc(size, sizeof(*other.slot)), 0, size };

	if (!other.slot)
		return -ENOMEM;
	for (size_t i = 0; i < s->size; i++) {
		struct key *k = &s->slot[i];

		if (k->db && k->at_ns >= from) {
			*place(&other, k) = *k;
			other.n++;
		}
	}
	free(s->slot);
	*s = other;
	return 0;
}

/* 1: it is new, 0: not, or -ENOMEM. */
static int
seen_add(struct tail *t, const struct q_flow *f)
{
	struct seen *s = &t->seen;
	struct key k = key_of(f), *p;
	int r = 0;

	if (2 * (s->n + 1) > s->size)
		r = remake(s, s->size ? 2 * s->size : 1024, INT64_MIN);
	if (r < 0)
		return r;
	p = place(s, &k);
	if (p->db)
		return 0;
	*p = k;
	s->n++;
	return 1;
}

/* ---- looking ------------------------------------------------------------------------ */

static int
row(void *arg, const struct q_flow *f)
{
	struct tail *t = arg;
	int r = seen_add(t, f);

	if (f->at_ns > t->newest)
		t->newest = f->at_ns;
	return r <= 0 || t->quiet ? r < 0 ? r : 0 : q_flow_row(t->q, f);
}

/* The newest rows of all, whether they fit or not: the first, the last, how many. */
struct reach {
	int64_t newest, oldest;
	uint64_t n;
};

static int
reached(void *arg, const struct q_flow *f)
{
	struct reach *h = arg;

	if (h->n++ == 0)
		h->newest = f->at_ns;
	h->oldest = f->at_ns;
	return 0;
}

/* How far a look goes back from now on. */
static int
reach(struct tail *t, struct ctf_err *err)
{
	struct reach h = { Q_NEVER, Q_NEVER, 0 };
	struct q_ask ask = Q_ASK_ALL;
	int64_t from;
	int r;

	ask.newest = true;
	ask.limit = FAR_FLOWS;
	ask.at_from = t->newest == Q_NEVER ? Q_NEVER : t->newest - FAR_NS;
	r = q_scan(t->q, &ask, reached, &h, err);
	q_progress_end(t->q);
	if (r < 0 || h.n == 0)
		return r;
	t->newest = h.newest;
	from = h.newest - FAR_NS;
	/* of those at the same time as the last one some may not have been read */
	if (h.n == FAR_FLOWS && h.oldest >= from)
		from = h.oldest + 1;
	if (from > t->from)
		t->from = from;
	return 0;
}

static int
look(struct tail *t, int64_t from, struct ctf_err *err)
{
	struct q_ask ask = t->ask;
	int r;

	ask.limit = 0;
	ask.newest = false;
	ask.at_from = from > t->from ? from : t->from;
	r = q_scan(t->q, &ask, row, t, err);
	q_progress_end(t->q);
	return r;
}

/* What came; now and then also what came late. */
static int
look_again(struct tail *t, struct ctf_err *err)
{
	uint64_t now = ctf_mono_ms(), took;
	int r;

	if (t->newest != Q_NEVER && now < t->far_ms)
		return look(t, t->newest - NEAR_NS, err);
	r = look(t, t->from, err);
	if (r == 0)
		r = reach(t, err);
	if (r == 0 && t->seen.n > FAR_FLOWS + FAR_FLOWS / 2)
		r = remake(&t->seen, t->seen.size, t->from);
	took = ctf_mono_ms() - now;
	t->far_ms = now + (took * 20 > FAR_MS ? took * 20 : FAR_MS);
	return r;
}

/* Nobody reads any more. */
static bool
hung_up(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

static int
changed(struct q *q, bool *ret_any, struct ctf_err *err)
{
	bool any = false, one = false;
	int r = 0;

	for (struct q_db *db = q->dbs; db && r == 0; db = db->next) {
		r = q_db_changed(q, db, &one, err);
		any |= one;
	}
	*ret_any = any;
	return r;
}

static int
follow(struct tail *t, struct ctf_err *err)
{
	unsigned wait = POLL_MS;
	bool any, late = false; /* late: something came since the last look that far */
	int r = q_out_flush(t->q);

	while (r == 0) {
		uint64_t from;

		q_sleep(t->q, wait);
		if (q_cancelled(t->q))
			return ctf_fail(err, EINTR, "interrupted");
		if (hung_up())
			return -EPIPE;
		r = changed(t->q, &any, err);
		late |= any;
		if (r < 0 || !late)
			continue;
		from = ctf_mono_ms();
		if (!any && from < t->far_ms)
			continue;
		late = from < t->far_ms;
		r = look_again(t, err);
		if (r == 0)
			r = q_out_flush(t->q);
		/* not more than a fifth of a processor */
		wait = (unsigned)(ctf_mono_ms() - from) * 4;
		wait = wait < POLL_MS ? POLL_MS : wait > POLL_MOST_MS ? POLL_MOST_MS : wait;
	}
	return r;
}

/* The last lines, then what comes. */
static int
tail(struct tail *t, struct ctf_err *err)
{
	struct flows k = { NULL, 0, 0 };
	struct q_ask ask = t->ask;
	int r = 0;

	ask.newest = true;
	/* before the lines are looked for: what comes in between is shown later */
	t->quiet = true;
	if (q_opt(t->q, "follow")) {
		r = reach(t, err);
		if (r == 0)
			r = look(t, t->from, err);
	}
	t->quiet = false;
	if (r == 0 && ask.limit)
		r = q_scan(t->q, &ask, flows_keep, &k, err);
	q_progress_end(t->q);
	while (r == 0 && k.n) {
		const struct q_flow *f = &k.flow[--k.n];

		r = seen_add(t, f);
		if (r >= 0)
			r = q_flow_row(t->q, f);
	}
	flows_free(&k);
	if (r == 0 && q_opt(t->q, "follow"))
		r = follow(t, err);
	free(t->seen.slot);
	return r;
}

static int
lines(struct q *q, uint64_t *ret_n)
{
	const char *text = q_opt(q, "lines");

	*ret_n = DEFAULT_LINES;
	if (!text)
		return 0;
	errno = 0;
	*ret_n = strtoull(text, NULL, 10);
	if (!*text || text[strspn(text, "0123456789")] || errno)
		return q_usage(q, "-n %s: a number is expected", text);
	return 0;
}

static int
show(struct q *q, struct tail *t, struct ctf_err *err)
{
	int r = show_begin(q), end;

	if (r < 0)
		return r;
	r = tail(t, err);
	end = q_out_end(q);
	return r < 0 ? r : end;
}

static int
run(struct q *q, int argc, char **argv)
{
	struct ctf_err err = { .msg = "" };
	struct tail t = { .q = q, .ask = Q_ASK_ALL, .newest = Q_NEVER, .from = INT64_MIN };
	struct ctf_expr *expr = NULL;
	int r = lines(q, &t.ask.limit);

	if (r)
		return r;
	if (argc)
		r = q_expr(argc, argv, &expr, &err);
	t.ask.expr = expr;
	if (r == 0)
		r = show(q, &t, &err);
	ctf_expr_free(expr);
	return r < 0 ? q_failed(q, r, &err) : 0;
}

static const struct q_option options[] = {
	{ "follow", NULL, "goes on with those that come, until Ctrl-C", 'f' },
	{ "lines", "N", "of those that are there; 10 if not given", 'n' },
	{ NULL },
};

const struct q_verb q_verb_tail = {
	.name = "tail",
	.args = "[-f] [-n N] [EXPR]",
	.doc = "the newest flows, and those that come",
	.options = options,
	.run = run,
};
