/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_show.c - flows as rows, for the verbs that show them. */
#include <errno.h>
#include <stdlib.h>

#include "show.h"

int
flows_keep(void *flows, const struct q_flow *f)
{
	struct flows *k = flows;

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

void
flows_free(struct flows *k)
{
	free(k->flow);
	*k = (struct flows){ NULL, 0, 0 };
}

int
show_words(struct q *q, int argc, char **argv, struct q_words *w, struct q_ask *ask,
	   struct ctf_err *err)
{
	int r = q_words(q, argc, argv, Q_W_ALL, w, err);

	if (r == 0 && w->argc && w->expr)
		return ctf_fail(err, EINVAL, "an expression in front and one behind \"where\"");
	if (r == 0 && w->argc)
		r = q_expr(w->argc, w->argv, &w->expr, err);
	ask->since = w->since;
	ask->until = w->until;
	ask->limit = w->limit;
	ask->expr = w->expr;
	return r;
}

struct shown {
	struct q *q;
	uint64_t n;
};

static int
row(void *arg, const struct q_flow *f)
{
	struct shown *s = arg;

	s->n++;
	return q_flow_row(s->q, f);
}

/* Found backwards, shown forwards. */
static int
show_newest(struct shown *s, struct q_ask *ask, struct ctf_err *err)
{
	struct flows k = { NULL, 0, 0 };
	int r;

	ask->newest = true;
	r = q_scan(s->q, ask, flows_keep, &k, err);
	q_progress_end(s->q);
	while (r == 0 && k.n)
		r = row(s, &k.flow[--k.n]);
	flows_free(&k);
	return r;
}

int
show_begin(struct q *q)
{
	unsigned n;
	const struct q_col *cols = q_flow_cols(q, &n);

	return q_out_begin(q, cols, n);
}

int
show_flows(struct q *q, struct q_ask *ask, struct ctf_err *err)
{
	struct shown s = { .q = q };
	int r = show_begin(q), end;

	if (r < 0)
		return r;
	r = ask->limit ? show_newest(&s, ask, err) : q_scan(q, ask, row, &s, err);
	if (r == 0 && s.n == 0 && q->terminal && q->format == Q_TABLE)
		q_say(q, "%s",
		      ask->ended ? "no such flows"
				 : "no such flows (they are looked for every "
				   "active_timeout seconds)");
	end = q_out_end(q);
	return r < 0 ? r : end;
}
