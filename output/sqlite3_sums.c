/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: profile=rollup: ends are summed up and not stored, but for those a
 * sighting may still come of, since events and sweeps are read from two sockets:
 * flows that are nearly as old as sweeps want them.  They are kept until a
 * sweep that began later is over.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3_meta.h"
#include "sqlite3_rollup.h"
#include "sqlite3_spare.h"

#define KEEP_NS INT64_C(600000000000) /* behind the last sweep: as open_flows may look back */

/* Instead of a day. */
static void
day_set(struct sq_sink *s)
{
	if (s->day.known)
		return;
	s->day = (struct sq_day){ .known = true, .to = INT64_MAX };
	snprintf(s->day.base, sizeof(s->day.base), "%s_ended_1", SQ_CONF(s)->table);
}

int
sq_sums_ready(struct sq_sink *s)
{
	char age[24];
	int rc;

	s->sweep_age = INT64_MAX;
	if (SQ_CONF(s)->profile != SQ_ROLLUP)
		return SQLITE_OK;
	day_set(s);
	rc = sq_base_make(s, s->day.base);
	if (rc == SQLITE_OK)
		rc = sq_meta_get(s, "sweep_age", age, sizeof(age));
	if (rc == SQLITE_OK && age[0])
		s->sweep_age = strtoll(age, NULL, 10);
	return rc;
}

int
sq_sums_store(struct sq_sink *s, unsigned ends)
{
	int64_t age = s->sweeping                 ? 0
		      : s->sweep_age == INT64_MAX ? INT64_MAX
						  : s->sweep_age / 2;
	int rc;

	s->from = 0;
	s->to = ends;
	day_set(s);
	rc = sq_insert_ready(s);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(s->st[SQ_ST_INSERT], 1, age);
	if (rc == SQLITE_OK) /* it may have begun at any time */
		rc = sqlite3_bind_int64(s->st[SQ_ST_INSERT], 2,
					age < INT64_MAX ? 0 : INT64_MIN);
	s->storing = true;
	if (rc == SQLITE_OK)
		rc = sq_run(s->st[SQ_ST_INSERT]);
	s->storing = false;
	s->rows += ends;
	for (unsigned i = 0; i < ends; i++)
		s->stored += !(s->refs[i].flags & SQ_REF_REPEAT);
	return rc == SQLITE_OK ? sq_open_ended(s) : rc;
}

int
sq_sums_ended(struct sq_sink *s,
	      int (*fn)(struct sq_sink *, const char *base, bool nat, int64_t), int64_t from)
{
	if (SQ_CONF(s)->profile != SQ_ROLLUP)
		return SQLITE_OK;
	day_set(s);
	return fn(s, s->day.base, false, from);
}

int
sq_sums_swept(struct sq_sink *s, const struct sq_swept *w)
{
	int64_t age = w->min_age_ns > INT64_MAX ? INT64_MAX - 1 : (int64_t)w->min_age_ns;
	int64_t at = w->at_ns > INT64_MAX ? INT64_MAX : (int64_t)w->at_ns;
	int rc = SQLITE_OK;

	if (SQ_CONF(s)->profile != SQ_ROLLUP)
		return rc;
	/* The one at the start says nothing of those to come. */
	if (w->previous_ns && age != s->sweep_age) {
		rc = sq_meta_set_num(s, "sweep_age", age);
		s->sweep_age = age;
	}
	day_set(s);
	return rc == SQLITE_OK
		       ? sq_exec(s->db, sqlite3_mprintf("DELETE FROM \"%w\" WHERE at_ns"
							" < %lld",
							s->day.base, (long long)(at - KEEP_NS)))
		       : rc;
}

int
sq_sums_tidy(struct sq_sink *s)
{
	const char *t = SQ_CONF(s)->table;
	int rc;

	if (SQ_CONF(s)->profile != SQ_ROLLUP)
		return SQLITE_OK;
	rc = sq_spare_begin(s);
	if (rc != SQLITE_OK)
		return rc;
	rc = sq_exec(s->db, sqlite3_mprintf("DELETE FROM \"%w_ended_1\" WHERE at_ns < (SELECT"
					    " max(at_ns) FROM \"%w_ended_1\") - %lld",
					    t, t, (long long)(6 * KEEP_NS)));
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		sq_spare_rollback(s);
	return rc;
}
