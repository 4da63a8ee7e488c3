/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_kept.c - since when a server has all flows of what is covered.
 *
 * Days are dropped there without a note, but coverage stays.  A flow may have ended on
 * any day after the time asked for: so every day from then on has to be there.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "ch_engine.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)
/* A new day may be so old, and have no flow yet. */
#define QUIET (3600 * SECOND)

/* A day as partitions are called: 20260131; false: it is none. */
static bool
day_of(const char *text, int64_t *ret_day)
{
	struct tm tm = { 0 };

	if (!text || strlen(text) != 8 || strspn(text, "0123456789") != 8)
		return false;
	tm.tm_mday = atoi(text + 6);
	tm.tm_mon = (atoi(text) / 100) % 100 - 1;
	tm.tm_year = atoi(text) / 10000 - 1900;
	*ret_day = (int64_t)timegm(&tm) / 86400;
	return true;
}

/* The first and the last day that are covered; -ENOENT: none is. */
static int
days_covered(struct q *q, struct q_db *db, int64_t *ret_first, int64_t *ret_last,
	     struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int64_t last;
	int r = q_db_prepare(db,
			     sqlite3_mprintf("SELECT min(from_ns), max(last_alive_ns) FROM"
					     " coverage WHERE from_ns <= %lld",
					     (long long)q->now_ns),
			     &st, err);

	if (r < 0)
		return r;
	if (sqlite3_step(st) != SQLITE_ROW) {
		r = q_sql_failed(db, err);
	} else if (sqlite3_column_type(st, 0) == SQLITE_NULL) {
		r = -ENOENT;
	} else {
		*ret_first = sqlite3_column_int64(st, 0) / DAY;
		last = sqlite3_column_int64(st, 1);
		last = (last < q->now_ns ? last : q->now_ns) / SECOND - QUIET / SECOND;
		*ret_last = last / 86400 > *ret_first ? last / 86400 : *ret_first;
	}
	sqlite3_finalize(st);
	return r;
}

/* From the last day that is covered back, as long as none is missing. */
int
ch_kept(struct q *q, struct q_db *db, int64_t *ret_from_ns, struct ctf_err *err)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	int64_t first = 0, last = 0, day, kept;
	int more = 0, r = days_covered(q, db, &first, &last, err);

	if (r < 0)
		return r;
	kept = last + 1;
	/* Of a cluster those of this server; if it has none, it cannot tell. */
	ch_put(&query.sql,
	       "SELECT DISTINCT partition FROM system.parts WHERE active AND rows > 0"
	       " AND database = currentDatabase() AND table IN ('flows_raw',"
	       " 'flows_raw_local') ORDER BY partition DESC");
	r = ch_ask(q, db->ch, &query, &a, err);
	while (r == 0 && (more = ch_row(a, 1, err)) > 0)
		if (day_of(ch_cell(a, 0), &day) && day == kept - 1 && day >= first)
			kept = day;
	ch_answer_free(a);
	ch_query_free(&query);
	if (r == 0 && more == 0)
		*ret_from_ns = kept * DAY;
	return r < 0 ? r : more;
}
