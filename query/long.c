/* SPDX-License-Identifier: GPL-2.0-or-later */
/* long.c - ctflow long: the flows that lasted longest, and those that still do. */
#include <errno.h>
#include <stdlib.h>

#include "show.h"

#define DEFAULT_LIMIT 50u

struct longest {
	struct q *q;
	struct flows k; /* a heap, the shortest of those kept on top */
	size_t most;
};

static int64_t
lasted(const struct q_flow *f)
{
	return f->start_ns == Q_NEVER ? INT64_MIN : q_flow_end(f) - f->start_ns;
}

static void
swap(struct q_flow *a, struct q_flow *b)
{
	struct q_flow t = *a;

	*a = *b;
	*b = t;
}

static void
sift_up(struct flows *k)
{
	for (size_t i = k->n - 1; i && lasted(&k->flow[i]) < lasted(&k->flow[(i - 1) / 2]);
	     i = (i - 1) / 2)
		swap(&k->flow[i], &k->flow[(i - 1) / 2]);
}

static void
sift_down(struct flows *k)
{
	for (size_t i = 0, c; (c = 2 * i + 1) < k->n; i = c) {
		if (c + 1 < k->n && lasted(&k->flow[c + 1]) < lasted(&k->flow[c]))
			c++;
		if (lasted(&k->flow[i]) <= lasted(&k->flow[c]))
			return;
		swap(&k->flow[i], &k->flow[c]);
	}
}

static int
row(void *arg, const struct q_flow *f)
{
	struct longest *l = arg;
	int r;

	if (l->k.n < l->most) {
		r = flows_keep(&l->k, f);
		if (r == 0)
			sift_up(&l->k);
		return r;
	}
	if (lasted(f) > lasted(&l->k.flow[0])) {
		l->k.flow[0] = *f;
		sift_down(&l->k);
	}
	return 0;
}

static int
longer_first(const void *a, const void *b)
{
	int64_t x = lasted(a), y = lasted(b);

	return x > y ? -1 : x < y;
}

static int
show(struct q *q, struct q_ask *ask, struct ctf_err *err)
{
	struct longest l = { .q = q, .most = ask->limit ? ask->limit : DEFAULT_LIMIT };
	const struct q_col *cols;
	unsigned n;
	int r, end;

	ask->limit = 0;
	ask->longest = l.most;
	r = q_scan(q, ask, row, &l, err);
	q_progress_end(q);
	if (r == 0 && l.k.n)
		qsort(l.k.flow, l.k.n, sizeof(*l.k.flow), longer_first);
	cols = q_flow_cols(q, &n);
	if (r == 0)
		r = q_out_begin(q, cols, n);
	for (size_t i = 0; r == 0 && i < l.k.n; i++)
		r = q_flow_row(q, &l.k.flow[i]);
	if (q->out) {
		end = q_out_end(q);
		r = r < 0 ? r : end;
	}
	flows_free(&l.k);
	return r;
}

/* "> 6h", ">6h" or "6h" in front; returns how many words it was. */
static int
length_words(int argc, char **argv, int64_t *ret_ns, struct ctf_err *err)
{
	int used = 0, r;
	const char *w;

	if (!argc)
		return 0;
	w = argv[0];
	if (*w == '>') {
		w++;
		used = 1;
		while (*w == ' ')
			w++;
		if (!*w && argc > 1)
			w = argv[used++];
		r = q_length(w, ret_ns, err);
		return r < 0 ? r : used;
	}
	return q_length(w, ret_ns, NULL) == 0;
}

static int
run(struct q *q, int argc, char **argv)
{
	struct ctf_err err = { .msg = "" };
	struct q_ask ask = Q_ASK_ALL;
	struct q_words w = { .expr = NULL };
	int r;

	ask.open = true;
	ask.longer_ns = 0;
	r = length_words(argc, argv, &ask.longer_ns, &err);
	if (r >= 0)
		r = show_words(q, argc - r, argv + r, &w, &ask, &err);
	if (r == 0)
		r = show(q, &ask, &err);
	q_words_free(&w);
	return r < 0 ? q_failed(q, r, &err) : 0;
}

const struct q_verb q_verb_long = {
	.name = "long",
	.args = "['>' LENGTH] [EXPR] [since TIME] [until TIME] [limit N]",
	.doc = "flows that lasted longest, ended or not; the longest first",
	.run = run,
	.server = true,
};
