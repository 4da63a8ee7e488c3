/* SPDX-License-Identifier: GPL-2.0-or-later */
/* show.c - ctflow show: the flows that fit an expression. */
#include <errno.h>
#include <stdlib.h>

#include "query.h"

static int
row(void *q, const struct q_flow *f)
{
	return q_flow_row(q, f);
}

/* ---- the newest, in order -------------------------------------------------------- */

struct kept {
	struct q_flow *flow;
	size_t n, room;
};

static int
keep(void *arg, const struct q_flow *f)
{
	struct kept *k = arg;

	if (k->n == k->room) {
		size_t room = k->room ? 2 * k->room : 64;
		struct q_flow *more = realloc(k->flow, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->flow = more;
		k->room = room;
	}
	k->flow[k->n++] = *f;
	return 0;
}

/* Found backwards, shown forwards. */
static int
show_newest(struct q *q, struct q_ask *ask, struct ctf_err *err)
{
	struct kept k = { NULL, 0, 0 };
	int r;

	ask->newest = true;
	r = q_scan(q, ask, keep, &k, err);
	while (r == 0 && k.n)
		r = q_flow_row(q, &k.flow[--k.n]);
	free(k.flow);
	return r;
}

static int
show(struct q *q, struct q_words *w, struct ctf_err *err)
{
	struct q_ask ask = Q_ASK_ALL;
	const struct q_col *cols;
	unsigned n;
	int r, end;

	ask.since = w->since;
	ask.until = w->until;
	ask.limit = w->limit;
	ask.expr = w->expr;
	cols = q_flow_cols(&n);
	r = q_out_begin(q, cols, n);
	if (r < 0)
		return r;
	r = w->limit ? show_newest(q, &ask, err) : q_scan(q, &ask, row, q, err);
	end = q_out_end(q);
	return r < 0 ? r : end;
}

static int
run(struct q *q, int argc, char **argv)
{
	struct ctf_err err = { .msg = "" };
	struct q_words w;
	int r = q_words(q, argc, argv, Q_W_ALL, &w, &err);

	if (r == 0 && w.argc && w.expr)
		r = ctf_fail(&err, EINVAL,
			     "\"where\" and an expression in front are one too many");
	else if (r == 0 && w.argc)
		r = q_expr(w.argc, w.argv, &w.expr, &err);
	if (r == 0)
		r = show(q, &w, &err);
	q_words_free(&w);
	return r < 0 ? q_failed(q, r, &err) : 0;
}

const struct q_verb q_verb_show = {
	.name = "show",
	.args = "[EXPR] [since TIME] [until TIME] [limit N]",
	.doc = "flows that fit an expression, the oldest first; limit: the newest N of them",
	.run = run,
};
