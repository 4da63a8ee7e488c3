/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tail.c - ctflow tail: the newest flows, and those that come.
 *
 * A flow may be stored a little after one that ended later, so each look goes
 * back some time behind the newest, and what was shown of it is remembered.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "show.h"

#define BACK_NS INT64_C(15000000000)
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
	int64_t newest;
	bool quiet; /* what is found is not shown, only remembered */
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

/* The newest row of all, whether it fits or not. */
static int
newest(void *arg, const struct q_flow *f)
{
	*(int64_t *)arg = f->at_ns;
	return 1;
}

static int
look_for_newest(struct tail *t, struct ctf_err *err)
{
	struct q_ask ask = Q_ASK_ALL;

	ask.newest = true;
	t->newest = t->q->now_ns;
	return q_scan(t->q, &ask, newest, &t->newest, err);
}

static int
look(struct tail *t, struct ctf_err *err)
{
	struct q_ask ask = t->ask;
	int r;

	ask.limit = 0;
	ask.newest = false;
	ask.at_from = t->newest - BACK_NS;
	r = q_scan(t->q, &ask, row, t, err);
	q_progress_end(t->q);
	if (r == 0 && t->seen.n > 512)
		r = remake(&t->seen, t->seen.size, t->newest - BACK_NS);
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
	bool any;
	int r = q_out_flush(t->q);

	while (r == 0) {
		uint64_t from;

		q_sleep(t->q, wait);
		if (q_cancelled(t->q))
			return ctf_fail(err, EINTR, "interrupted");
		if (hung_up())
			return -EPIPE;
		r = changed(t->q, &any, err);
		if (r < 0 || !any)
			continue;
		from = ctf_mono_ms();
		r = look(t, err);
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
	int r;

	ask.newest = true;
	r = look_for_newest(t, err);
	/* before the lines are looked for: what comes in between is shown later */
	t->quiet = true;
	if (r == 0 && q_opt(t->q, "follow"))
		r = look(t, err);
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
	const struct q_col *cols;
	unsigned n;
	int r, end;

	cols = q_flow_cols(&n);
	r = q_out_begin(q, cols, n);
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
	struct tail t = { .q = q, .ask = Q_ASK_ALL };
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
