/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: partitions, ranges of at_ns within a day.  The newest of a day is
 * open; when it has rows enough, or the day is over, it is closed, and later
 * indexed.  The catalog has bounds of the rows of each, never too narrow.
 */
#include "sqlite3_spare.h"

const char *const sq_state_name[] = { "open", "closed", "indexed", "dropped" };

void
sq_span_add(struct sq_span *span, const struct sq_flow *f)
{
	int64_t at = f->v[SQ_C_AT], end = f->end_ns && f->end_ns < at ? f->end_ns : at;

	if (!f->start_ns)
		span->nostart = true;
	else if (span->start_ns > f->start_ns)
		span->start_ns = f->start_ns;
	if (span->end_ns > end)
		span->end_ns = end;
	if (span->last_ns < at)
		span->last_ns = at;
}

static void
span_join(struct sq_span *a, const struct sq_span *b)
{
	a->rows += b->rows;
	a->nostart = a->nostart || b->nostart;
	if (a->start_ns > b->start_ns)
		a->start_ns = b->start_ns;
	if (a->end_ns > b->end_ns)
		a->end_ns = b->end_ns;
	if (a->last_ns < b->last_ns)
		a->last_ns = b->last_ns;
}

static void
bind_bound(sqlite3_stmt *st, int i, int64_t ns)
{
	if (ns == INT64_MAX)
		sqlite3_bind_null(st, i);
	else
		sqlite3_bind_int64(st, i, ns);
}

static int
part_write(struct sq_sink *s, int64_t from, const struct sq_span *span)
{
	sqlite3_stmt *st = s->st[SQ_ST_PART_SET];

	sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, from);
	sqlite3_bind_int64(st, 3, span->rows);
	bind_bound(st, 4, span->start_ns);
	sqlite3_bind_int(st, 5, span->nostart);
	bind_bound(st, 6, span->end_ns);
	sqlite3_bind_int64(st, 7, span->last_ns);
	return sq_run(st);
}

int
sq_part_added(struct sq_sink *s, const struct sq_span *span)
{
	struct sq_part *p = &s->part;
	int rc;

	if (!span->rows)
		return SQLITE_OK;
	if (s->spare && s->spare->job.joins && p->from >= s->spare->job.from &&
	    p->to <= s->spare->job.to)
		s->spare->job.rows += span->rows;
	span_join(&p->span, span);
	rc = part_write(s, p->from, &p->span);
	if (!s->part_ms) {
		s->part_ms = ctf_mono_ms();
		s->busy_ms = 0;
	}
	if (p->state != SQ_OPEN || rc != SQLITE_OK)
		return rc;
	/* Rows with a strange time are few: not in the middle. */
	s->middle = s->filled = s->refs[s->from + (s->to - s->from) / 2].key;
	return p->span.rows >= SQ_PART_ROWS ? sq_part_close(s, s->middle) : SQLITE_OK;
}

/* The bounds of what is behind the cut. */
static int
span_count(struct sq_sink *s, int64_t cut, struct sq_span *ret_span)
{
	static const char sql[] =
		"SELECT count(*), min(CASE WHEN age_ns >= 0 THEN at_ns - age_ns WHEN age_ns < "
		"-1"
		" THEN at_ns - age_ns - 1 END), max(age_ns = -1), min(CASE WHEN idle >= 0 THEN"
		" at_ns - idle * 1000000 ELSE at_ns + ifnull(idle, 0) END), max(at_ns)"
		" FROM \"%w\" WHERE at_ns >= %lld AND at_ns < %lld";
	char *text = sqlite3_mprintf(sql, s->day.base, (long long)cut, (long long)s->part.to);
	sqlite3_stmt *st = NULL;
	int rc = text ? sqlite3_prepare_v2(s->db, text, -1, &st, NULL) : SQLITE_NOMEM;

	sqlite3_free(text);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		*ret_span = (struct sq_span){ .rows = sqlite3_column_int64(st, 0),
					      .start_ns = INT64_MAX,
					      .nostart = sqlite3_column_int(st, 2),
					      .end_ns = INT64_MAX,
					      .last_ns = sqlite3_column_int64(st, 4) };
		if (sqlite3_column_type(st, 1) != SQLITE_NULL)
			ret_span->start_ns = sqlite3_column_int64(st, 1);
		if (ret_span->rows)
			ret_span->end_ns = sqlite3_column_int64(st, 3);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

/* A new open one behind the cut. */
static int
part_cut(struct sq_sink *s, int64_t cut)
{
	const char *t = SQ_CONF(s)->table;
	struct sq_part *p = &s->part;
	struct sq_span span = { 0 };
	int rc = span_count(s, cut, &span);

	if (rc != SQLITE_OK)
		return rc;
	p->span.rows -= span.rows;
	rc = sq_exec(s->db,
		     sqlite3_mprintf("UPDATE partitions SET to_ns = %lld, rows = %lld, state ="
				     " 'closed' WHERE view = %Q AND from_ns = %lld; INSERT INTO"
				     " partitions(view, from_ns, to_ns, base, state) VALUES(%Q,"
				     " %lld, %lld, %Q, 'open')",
				     (long long)cut, (long long)p->span.rows, t,
				     (long long)p->from, t, (long long)cut, (long long)p->to,
				     s->day.base));
	return rc == SQLITE_OK ? part_write(s, cut, &span) : rc;
}

int
sq_part_close(struct sq_sink *s, int64_t cut)
{
	int rc = SQLITE_OK;

	if (cut < s->part.to && cut > s->part.from)
		rc = part_cut(s, cut);
	else if (cut >= s->part.to)
		rc = sq_exec(s->db,
			     sqlite3_mprintf("UPDATE partitions SET state = 'closed'"
					     " WHERE view = %Q AND from_ns = %lld",
					     SQ_CONF(s)->table, (long long)s->part.from));
	s->part.known = false;
	s->part_ms = 0;
	s->middle = 0;
	return rc;
}
