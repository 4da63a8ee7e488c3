/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.h - what keeps a database: a file of SQLite, or a server.
 *
 * The verbs ask an engine for flows and sums of flows.  What a daemon noted beside
 * them (enum q_note) is asked for in SQL of SQLite in both cases: of a server it is
 * copied into memory first, as tables of the same names.
 */
#ifndef CTF_QUERY_ENGINE_H
#define CTF_QUERY_ENGINE_H

#include "query.h"

struct scan;
struct sums;
struct who_ask;
struct who_matches;

enum q_note { Q_N_COVERAGE = 1, Q_N_GAPS = 2, Q_N_SWEEPS = 4, Q_N_META = 8 };

struct q_engine {
	bool server; /* of several exporters */
	/*
	 * From here to end() one moment is seen; or, where that cannot be, the notes
	 * are of an earlier one than the flows.  notes: which will be asked for;
	 * sweeps of about `about` are enough.
	 */
	int (*begin)(struct q *, struct q_db *, unsigned notes, int64_t about,
		     struct ctf_err *);
	int (*end)(struct q_db *, struct ctf_err *); /* -EAGAIN: it was none */
	/* Adds its streams of flows with scan_add(). */
	int (*streams)(struct scan *, struct q_db *, struct ctf_err *);
	/* Adds up what s->words asks for. */
	int (*sums)(struct sums *s, struct q_db *, struct ctf_err *);
	/* Adds the flows that match. */
	int (*find)(struct q *, struct q_db *, const struct who_ask *, struct who_matches *,
		    struct ctf_err *);
	void (*close)(struct q_db *);
};

extern const struct q_engine q_sqlite, q_clickhouse;

/* begin() of all, and end() of those that had one. */
int q_dbs_begin(struct q *, unsigned notes, int64_t about, struct ctf_err *);
int q_dbs_end(struct q *, struct ctf_err *); /* err NULL: whatever comes of it */
/* Whether a server is among them. */
bool q_has_server(const struct q *);

/* ---- flows in the order of time (q_scan.c) --------------------------------------- */

struct q_stream {
	/* 1: `flow` is the next, 0: no more, or -errno. */
	int (*next)(struct q_stream *, struct ctf_err *);
	void (*free)(struct q_stream *);
	bool done;
	struct q_flow flow;
};

struct scan {
	struct q *q;
	const struct q_ask *ask;
	struct q_stream **s;
	unsigned n;
	uint64_t found;
};

/* Takes it over, also on failure. */
int scan_add(struct scan *, struct q_stream *);

#endif
