/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: gaps, and when somebody was watching. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "report.h"

#define GAPS 50u /* shown as rows */

static int
span_add(struct rp_span **spans, size_t *n, int64_t from, int64_t to)
{
	struct rp_span *more = realloc(*spans, (*n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	more[*n] = (struct rp_span){ from, to };
	*spans = more;
	(*n)++;
	return 0;
}

static struct rp_strip *
strip_of(struct rp *r, const char *name)
{
	struct rp_strip *more;

	for (size_t i = 0; i < r->nstrips; i++)
		if (strcmp(r->strips[i].name, name) == 0)
			return &r->strips[i];
	more = realloc(r->strips, (r->nstrips + 1) * sizeof(*more));
	if (!more)
		return NULL;
	r->strips = more;
	more[r->nstrips] = (struct rp_strip){ .name = strdup(name) };
	return more[r->nstrips].name ? &more[r->nstrips++] : NULL;
}

static int
prepare(struct q_db *db, const struct rp *r, const char *sql, sqlite3_stmt **ret_st,
	struct ctf_err *err)
{
	int e = q_db_prepare(db, sqlite3_mprintf("%s", sql), ret_st, err);

	if (e < 0)
		return e;
	sqlite3_bind_text(*ret_st, 1, db->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(*ret_st, 2, r->since_ns);
	sqlite3_bind_int64(*ret_st, 3, r->until_ns);
	return 0;
}

static const char *
text_of(sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	return t && *t ? t : "input";
}

/* ---- coverage: what the strips are; 0 from, 1 to, 2 instance -------------------- */

static int
seen_row(struct rp *r, sqlite3_stmt *st)
{
	struct rp_strip *s = strip_of(r, text_of(st, 2));

	return s ? span_add(&s->seen, &s->nseen, sqlite3_column_int64(st, 0),
			    sqlite3_column_int64(st, 1))
		 : -ENOMEM;
}

/*
 * ---- gaps: 0 from, 1 to, 2 instance, 3 cause, 4 count, 5 how it was counted, 6 whether
 * flows may be missing ----
 */

static int
gap_row(struct rp *r, sqlite3_stmt *st)
{
	int64_t from = sqlite3_column_int64(st, 0), to = sqlite3_column_int64(st, 1);
	struct rp_strip *s = strip_of(r, text_of(st, 2));
	const char *is = (const char *)sqlite3_column_text(st, 5);
	char lost[80] = "not known";
	struct rp_gap *more;

	r->gaps_all++;
	if (!s || span_add(&s->gaps, &s->ngaps, from, to) < 0)
		return -ENOMEM;
	if (sqlite3_column_int(st, 6) && span_add(&s->lossy, &s->nlossy, from, to) < 0)
		return -ENOMEM;
	if (r->ngaps == GAPS)
		return 0;
	more = realloc(r->gaps, (r->ngaps + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	if (sqlite3_column_type(st, 4) != SQLITE_NULL)
		snprintf(lost, sizeof(lost), "%" PRId64 " (%.40s)",
			 (int64_t)sqlite3_column_int64(st, 4), is ? is : "?");
	r->gaps = more;
	more[r->ngaps++] = (struct rp_gap){ from, to, strdup(text_of(st, 3)),
					    strdup(text_of(st, 2)), strdup(lost) };
	return 0;
}

static int
rows(struct q *q, struct rp *r, const char *sql, int (*row)(struct rp *, sqlite3_stmt *),
     struct ctf_err *err)
{
	int e = 0, rc;

	for (struct q_db *db = q->dbs; db && e == 0; db = db->next) {
		sqlite3_stmt *st = NULL;

		e = prepare(db, r, sql, &st, err);
		rc = SQLITE_DONE;
		while (e == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
			e = row(r, st) < 0 ? ctf_fail(err, ENOMEM, "out of memory") : 0;
		if (e == 0 && rc != SQLITE_DONE)
			e = q_sql_failed(db, err);
		sqlite3_finalize(st);
	}
	return e;
}

static int
earlier(const void *a, const void *b)
{
	const struct rp_span *x = a, *y = b;

	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* The parts of `a` that are in none of `b`, which is sorted, go to *out. */
static int
without(const struct rp_span *a, const struct rp_span *b, size_t nb, struct rp_span **out,
	size_t *n)
{
	int64_t at = a->from_ns;
	int e = 0;

	for (size_t i = 0; i < nb && e == 0 && at < a->to_ns; i++) {
		if (b[i].from_ns > at)
			e = span_add(out, n, at,
				     b[i].from_ns < a->to_ns ? b[i].from_ns : a->to_ns);
		at = b[i].to_ns > at ? b[i].to_ns : at;
	}
	return e == 0 && at < a->to_ns ? span_add(out, n, at, a->to_ns) : e;
}

/* What a strip lost, and what the outputs lost, which saw nothing themselves. */
static int
losses_of(const struct rp *r, const struct rp_strip *s, struct rp_span **ret_spans,
	  size_t *ret_n)
{
	int e = 0;

	for (size_t i = 0; i < r->nstrips; i++) {
		const struct rp_strip *other = &r->strips[i];

		for (size_t k = 0; e == 0 && k < other->nlossy; k++)
			if (other == s || other->nseen == 0)
				e = span_add(ret_spans, ret_n, other->lossy[k].from_ns,
					     other->lossy[k].to_ns);
	}
	if (e == 0 && *ret_n)
		qsort(*ret_spans, *ret_n, sizeof(**ret_spans), earlier);
	return e;
}

static int
strip_add(const struct rp *r, const struct rp_strip *s, struct rp_span **all, size_t *n)
{
	struct rp_span *lost = NULL;
	size_t nlost = 0;
	int e = losses_of(r, s, &lost, &nlost);

	for (size_t k = 0; k < s->nseen && e == 0; k++)
		e = without(&s->seen[k], lost, nlost, all, n);
	free(lost);
	return e;
}

/* How much of the time at least one of them was there and lost nothing. */
static int
seen_sum(struct rp *r)
{
	struct rp_span *all = NULL;
	int64_t at = r->since_ns;
	size_t n = 0;
	int e = 0;

	for (size_t i = 0; i < r->nstrips && e == 0; i++)
		e = strip_add(r, &r->strips[i], &all, &n);
	if (e == 0 && n)
		qsort(all, n, sizeof(*all), earlier);
	for (size_t i = 0; i < n && e == 0; i++) {
		int64_t to = all[i].to_ns < r->until_ns ? all[i].to_ns : r->until_ns;

		at = all[i].from_ns > at ? all[i].from_ns : at;
		r->seen_ns += to > at ? to - at : 0;
		at = to > at ? to : at;
	}
	free(all);
	return e;
}

int
rp_watched(struct q *q, struct rp *r, struct ctf_err *err)
{
	int e = rows(q, r,
		     "SELECT from_ns, ifnull(to_ns, last_alive_ns), instance FROM coverage"
		     " WHERE output = ?1 COLLATE NOCASE AND ifnull(to_ns, last_alive_ns) >= ?2"
		     " AND from_ns < ?3 ORDER BY from_ns",
		     seen_row, err);

	if (e == 0)
		e = rows(q, r,
			 "SELECT from_ns, to_ns, instance, cause, count, count_is,"
			 " cause <> 'counters' AND count IS NOT 0 FROM gaps"
			 " WHERE output = ?1 COLLATE NOCASE AND to_ns >= ?2 AND from_ns < ?3"
			 " ORDER BY from_ns, to_ns",
			 gap_row, err);
	if (e == 0 && seen_sum(r) < 0)
		e = ctf_fail(err, ENOMEM, "out of memory");
	return e;
}
