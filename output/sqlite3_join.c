/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: small neighbours, all indexed, get one run together, and one row in
 * the catalog.  The runs they had, and those that were given up half written,
 * are known by being in no partition.
 */
#include "sqlite3_spare.h"

/*
 * What a join gives back is free for what comes, but a while the file is larger
 * by it: in a small one many have to come together first.
 */
#define SEVERAL 8
#define MANY 64
#define LARGE (INT64_C(1) << 29) /* bytes */
#define SMALL (SQ_PART_ROWS / 2)
#define ENOUGH (SQ_PART_ROWS / 5 * 4)
#define BATCH 4000 /* entries deleted at once */

struct series {
	struct sq_day day;
	int64_t from, to, rows;
	unsigned n, least;
};

struct one { /* a row of `partitions` */
	int64_t from, to, rows, day;
	bool indexed, last, nat; /* last: nothing will come of it */
	const char *base;
};

static bool
goes_on(const struct series *r, const struct one *p)
{
	return r->n && p->indexed && p->rows < SMALL && p->from == r->to &&
	       r->rows + p->rows <= SQ_PART_ROWS && strcmp(r->day.base, p->base) == 0;
}

static void
series_begin(struct series *r, const struct one *p)
{
	r->n = p->indexed && p->rows < SMALL;
	r->from = p->from;
	r->to = p->to;
	r->rows = p->rows;
	r->day.known = true;
	r->day.nat = p->nat;
	r->day.from = p->day;
	snprintf(r->day.base, sizeof(r->day.base), "%s", p->base);
}

/* It is long enough, or cannot get longer: next is what follows, or NULL. */
static bool
is_complete(const struct series *r, const struct one *next)
{
	if (r->n < r->least)
		return false;
	return r->rows >= ENOUGH || !next || next->last || strcmp(r->day.base, next->base) != 0;
}

static void
one_read(sqlite3_stmt *st, struct one *p)
{
	p->from = sqlite3_column_int64(st, 0);
	p->to = sqlite3_column_int64(st, 1);
	p->rows = sqlite3_column_int64(st, 2);
	p->indexed = sqlite3_column_int(st, 3);
	p->base = (const char *)sqlite3_column_text(st, 4);
	p->nat = sqlite3_column_int(st, 5);
	p->day = sqlite3_column_int64(st, 6);
	p->last = sqlite3_column_int(st, 7);
}

/* The first series from `since` on; n = 0: there is none. */
static int
series_find(struct sq_sink *s, int64_t since, struct series *ret)
{
	static const char sql[] = "SELECT p.from_ns, p.to_ns, p.rows, p.state = 'indexed', "
				  "p.base, d.profile = 'nat',"
				  " d.from_ns, p.state IN ('indexed', 'dropped') FROM "
				  "partitions AS p JOIN days AS d ON d.view = "
				  "p.view AND d.base = p.base"
				  " WHERE p.view = ?1 AND p.from_ns >= ?2 ORDER BY p.from_ns";
	sqlite3_stmt *st = NULL;
	struct one p;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	ret->n = 0;
	sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, since);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		one_read(st, &p);
		rc = SQLITE_OK;
		if (goes_on(ret, &p)) {
			ret->n++;
			ret->to = p.to;
			ret->rows += p.rows;
		} else if (is_complete(ret, &p)) {
			break;
		} else {
			series_begin(ret, &p);
		}
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE && !is_complete(ret, NULL))
		ret->n = 0;
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
sq_join_step(struct sq_sink *s, int *ret_ms)
{
	struct sq_spare *sp = s->spare;
	struct series r = { 0 };
	int64_t size = 0;
	int rc;

	*ret_ms = -1;
	if (!sp->look || sp->job.on)
		return SQLITE_OK;
	rc = sq_spare_begin(s);
	if (rc == SQLITE_OK)
		rc = sq_number(s->db,
			       sqlite3_mprintf("SELECT page_count * page_size FROM"
					       " pragma_page_count, pragma_page_size"),
			       0, &size);
	r.least = size > LARGE ? SEVERAL : MANY;
	if (rc == SQLITE_OK)
		rc = series_find(s, sp->look_at, &r);
	if (rc == SQLITE_OK && r.n)
		rc = sq_run_begin(s, &r.day, r.from, r.to, true, r.rows);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		return rc;
	sp->look = r.n > 0;
	sp->look_at = r.n ? sp->look_at : INT64_MAX;
	*ret_ms = r.n ? 0 : -1;
	return rc;
}

/* ---- runs of nobody ----------------------------------------------------------- */

/* The smallest one behind `run` that is in no partition; INT64_MAX: none. */
static int
stray_find(struct sq_sink *s, const struct sq_day *d, const char *index, int64_t *ret_run)
{
	const struct sq_job *j = &s->spare->job;
	int64_t run = INT64_MIN, known = 1;
	int rc = SQLITE_OK;

	while (known && rc == SQLITE_OK) {
		rc = sq_number(
			s->db,
			sqlite3_mprintf("SELECT min(run) FROM \"%w_%s\" WHERE run > %lld",
					d->base, index, (long long)run),
			INT64_MAX, &run);
		if (run == INT64_MAX)
			break;
		if (rc == SQLITE_OK)
			rc = sq_number(
				s->db,
				sqlite3_mprintf("SELECT count(*) FROM partitions WHERE view"
						" = %Q AND base = %Q AND run = %lld",
						SQ_CONF(s)->table, d->base, (long long)run),
				0, &known);
		known += j->on && j->run == run && strcmp(j->day.base, d->base) == 0;
	}
	*ret_run = run;
	return rc;
}

static int
stray_drop(struct sq_sink *s, const struct sq_day *d, const struct sq_index *x, int64_t run)
{
	return sq_exec(s->db,
		       sqlite3_mprintf("DELETE FROM \"%w_%s\" WHERE (run, %s) IN (SELECT run,"
				       " %s FROM \"%w_%s\" WHERE run = %lld LIMIT %d)",
				       d->base, x->name, x->cols, x->cols, d->base, x->name,
				       (long long)run, BATCH));
}

/* Some entries of one run; *ret_more is false when the day has none. */
static int
day_tidy(struct sq_sink *s, const struct sq_day *d, bool *ret_more)
{
	int64_t run = INT64_MAX;
	int rc = SQLITE_OK;

	*ret_more = false;
	for (unsigned i = 0; i < SQ_INDEXES && rc == SQLITE_OK && run == INT64_MAX; i++) {
		if (d->nat && sq_indexes[i].full)
			continue;
		rc = stray_find(s, d, sq_indexes[i].name, &run);
		if (rc == SQLITE_OK && run < INT64_MAX)
			rc = stray_drop(s, d, &sq_indexes[i], run);
	}
	*ret_more = run < INT64_MAX;
	return rc;
}

/* The newest day up to there. */
static int
day_up_to(struct sq_sink *s, int64_t at, struct sq_day *ret_day)
{
	static const char sql[] =
		"SELECT base, profile = 'nat', from_ns FROM days WHERE view = ?1"
		" AND from_ns <= ?2 ORDER BY from_ns DESC LIMIT 1";
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, at);
		rc = sqlite3_step(st);
	}
	ret_day->known = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW) {
		snprintf(ret_day->base, sizeof(ret_day->base), "%s",
			 (const char *)sqlite3_column_text(st, 0));
		ret_day->nat = sqlite3_column_int(st, 1);
		ret_day->from = sqlite3_column_int64(st, 2);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
sq_tidy_step(struct sq_sink *s, int *ret_ms)
{
	struct sq_spare *sp = s->spare;
	struct sq_day d = { 0 };
	bool more = false;
	int rc;

	*ret_ms = -1;
	if (sp->tidy_at < 0)
		return SQLITE_OK;
	rc = sq_spare_begin(s);
	if (rc == SQLITE_OK)
		rc = day_up_to(s, sp->tidy_at, &d);
	if (rc == SQLITE_OK && d.known)
		rc = day_tidy(s, &d, &more);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		return rc;
	if (!d.known || !more)
		sp->tidy_at = d.known ? d.from - 1 : -1;
	*ret_ms = sp->tidy_at < 0 ? -1 : 0;
	return rc;
}
