/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_scan.c - flows of all databases together, in the order of time. */
#include <errno.h>
#include <stdlib.h>

#include "scan.h"

struct scan {
	struct q *q;
	const struct q_ask *ask;
	struct stream *s;
	unsigned n;
	uint64_t found;
};

static int
add(struct scan *sc, struct q_db *db, bool days, enum layout l, const char *table)
{
	struct stream *more = realloc(sc->s, (sc->n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	sc->s = more;
	more[sc->n++] = (struct stream){
		.q = sc->q,
		.db = db,
		.ask = sc->ask,
		.days = days,
		.layout = l,
		.table = table,
		.pos = sc->ask->newest ? INT64_MAX : INT64_MIN,
	};
	return 0;
}

static int
add_db(struct scan *sc, struct q_db *db)
{
	bool ended = sc->ask->ended;
	int r = 0;

	if (r == 0 && ended && db->stamped)
		r = add(sc, db, false, L_STAMPED, db->stamped);
	if (r == 0 && ended && db->received)
		r = add(sc, db, false, L_RECEIVED, db->received);
	if (r == 0 && ended && db->version >= 3)
		r = add(sc, db, true, L_FULL, NULL);
	if (r == 0 && db->open)
		r = add(sc, db, false, db->open_3 ? L_OPEN : L_OPEN_2, db->open);
	return r;
}

/* The stream with the row that comes next; NULL: there is none. */
static struct stream *
first(struct scan *sc)
{
	struct stream *best = NULL;

	for (unsigned i = 0; i < sc->n; i++) {
		struct stream *s = &sc->s[i];

		if (s->done)
			continue;
		if (!best || (sc->ask->newest ? s->flow.at_ns > best->flow.at_ns
					      : s->flow.at_ns < best->flow.at_ns))
			best = s;
	}
	return best;
}

static int
begin(struct q_db *db, struct ctf_err *err)
{
	return sqlite3_exec(db->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : q_sql_failed(db, err);
}

static void
end(struct q_db *db)
{
	if (!sqlite3_get_autocommit(db->db))
		sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL);
}

static int
rows(struct scan *sc, int (*row)(void *, const struct q_flow *), void *arg, struct ctf_err *err)
{
	struct stream *s;
	int r = 0;

	for (unsigned i = 0; i < sc->n; i++) {
		r = q_stream_next(&sc->s[i], err);
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
		r = q_stream_next(s, err);
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
	int r = 0;

	for (struct q_db *db = q->dbs; db && r == 0; db = db->next) {
		r = begin(db, err);
		if (r == 0 && add_db(&sc, db) < 0)
			r = ctf_fail(err, ENOMEM, "out of memory");
	}
	if (r == 0)
		r = rows(&sc, row, arg, err);
	for (unsigned i = 0; i < sc.n; i++)
		q_stream_close(&sc.s[i]);
	free(sc.s);
	for (struct q_db *db = q->dbs; db; db = db->next) {
		end(db);
		if (r == 0 && !q_db_at_rest(db))
			r = ctf_fail(err, EAGAIN,
				     "%s: somebody began to write to it meanwhile; ask again",
				     db->path);
	}
	return r;
}
