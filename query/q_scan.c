/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_scan.c - flows of all databases together, in the order of time. */
#include <errno.h>
#include <stdlib.h>

#include "engine.h"

int
scan_add(struct scan *sc, struct q_stream *s)
{
	struct q_stream **more = realloc(sc->s, (sc->n + 1) * sizeof(struct q_stream *));

	if (!more) {
		s->free(s);
		return -ENOMEM;
	}
	sc->s = more;
	more[sc->n++] = s;
	return 0;
}

/* The stream with the row that comes next; NULL: there is none. */
static struct q_stream *
first(struct scan *sc)
{
	struct q_stream *best = NULL;

	for (unsigned i = 0; i < sc->n; i++) {
		struct q_stream *s = sc->s[i];

		if (s->done)
			continue;
		if (!best || (sc->ask->newest ? s->flow.at_ns > best->flow.at_ns
					      : s->flow.at_ns < best->flow.at_ns))
			best = s;
	}
	return best;
}

static int
next(struct q_stream *s, struct ctf_err *err)
{
	int r = s->next(s, err);

	s->done = r <= 0;
	return r;
}

static int
rows(struct scan *sc, int (*row)(void *, const struct q_flow *), void *arg, struct ctf_err *err)
{
	struct q_stream *s;
	int r = 0;

	for (unsigned i = 0; i < sc->n; i++) {
		r = next(sc->s[i], err);
		if (r < 0)
			return r;
	}
	while ((s = first(sc))) {
		r = row(arg, &s->flow);
		if (r != 0)
			return r < 0 ? r : 0;
		sc->found++;
		if (sc->ask->limit && sc->found == sc->ask->limit)
			return 0;
		if (q_cancelled(sc->q))
			return ctf_fail(err, EINTR, "interrupted");
		r = next(s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
q_scan(struct q *q, const struct q_ask *ask, int (*row)(void *arg, const struct q_flow *),
       void *arg, struct ctf_err *err)
{
	struct scan sc = { .q = q, .ask = ask };
	int r = q_dbs_begin(q, 0, Q_NEVER, err), end;

	for (struct q_db *db = q->dbs; db && r == 0; db = db->next)
		r = db->engine->streams(&sc, db, err);
	if (r == 0)
		r = rows(&sc, row, arg, err);
	for (unsigned i = 0; i < sc.n; i++)
		sc.s[i]->free(sc.s[i]);
	free(sc.s);
	end = q_dbs_end(q, r == 0 ? err : NULL);
	return r < 0 ? r : end;
}
