/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scan.h - between streams of rows (q_stream.c), their indexes (q_index.c) and q_scan(). */
#ifndef CTF_QUERY_SCAN_H
#define CTF_QUERY_SCAN_H

#include "engine.h"
#include "sql.h"

struct span { /* of at_ns, both included */
	int64_t lo, hi;
};

struct spans {
	struct span *p;
	size_t n;
};

struct part { /* a row of the catalog */
	int64_t from, to, run, shift, rows;
	bool indexed, nat; /* profile nat */
	char *base;
};

/* One table after the other, in the order of at_ns. */
struct stream {
	struct q_stream head;
	struct q *q;
	struct q_db *db;
	const struct q_ask *ask;
	bool days; /* version 3: the catalog says which tables */
	enum layout layout;
	const char *table; /* the only one, without days */
	int64_t pos;       /* where to go on: from here up, or from below here down; */
	int64_t edge;      /* what it was when the partition was looked for */
	int64_t since_ms;  /* of the read transaction; 0: not known */
	sqlite3_stmt *catalog;
	struct part part;
	sqlite3_stmt *st; /* of part.base, or table */
	char *st_base;    /* which one */
	struct sql sql;
	struct spans todo; /* spans of it that are left, */
	size_t next;       /* from this one on */
	bool busy;         /* st stands on a row */
};

/* The streams of a file. */
int q_streams(struct scan *, struct q_db *, struct ctf_err *err);

/*
 * The parts of s->part that may have rows that fit, ascending.  Returns 1, 0 when
 * no index helps, or -errno.
 */
int index_spans(struct stream *, struct spans *ret_spans, struct ctf_err *err);

#endif
