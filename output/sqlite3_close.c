/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: partitions that are closed before they are full, when there is time. */
#include "sqlite3_spare.h"

#define SOME_MS 3000u  /* so old it is, at least */
#define OVER_MS 10000u /* no rows for so long, in a day that is over */

/* The oldest day that is over, but open; not that of `filling`. */
static int
over_find(struct sq_sink *s, int64_t filling, int64_t *ret_from)
{
	return sq_number(
		s->db,
		sqlite3_mprintf("SELECT from_ns FROM partitions WHERE view = %Q AND"
				" state = 'open' AND NOT (from_ns <= %lld AND to_ns > %lld)"
				" AND (to_ns <= (SELECT max(from_ns) FROM days WHERE view ="
				" %Q) OR to_ns < %lld) ORDER BY from_ns LIMIT 1",
				SQ_CONF(s)->table, (long long)filling, (long long)filling,
				SQ_CONF(s)->table,
				(long long)ctf_now() - OVER_MS * INT64_C(1000000)),
		-1, ret_from);
}

static int
over_close(struct sq_sink *s, int64_t at)
{
	int rc = sq_spare_begin(s);

	if (rc == SQLITE_OK)
		rc = sq_days_find(s, at);
	if (rc == SQLITE_OK && s->part.state == SQ_OPEN)
		rc = sq_part_close(s, s->part.to);
	return rc == SQLITE_OK ? sq_spare_commit(s) : rc;
}

/*
 * When the one being filled is to be closed.  A long one costs less than several,
 * and less room: where we are at work half of the time or more it gets full.
 */
static uint64_t
due_ms(const struct sq_sink *s, uint64_t now)
{
	uint64_t old = s->part_ms + SOME_MS, calm = s->part_ms + 2 * s->busy_ms + 1;

	if (s->part.span.rows < SQ_PART_MANY)
		return old;
	return calm <= now ? now : calm < old ? calm : old;
}

/* The one being filled has rows enough, and there is time. */
static int
some_close(struct sq_sink *s, int *ret_ms)
{
	uint64_t now = ctf_mono_ms(), due;
	int rc;

	if (!s->part.known || s->part.state != SQ_OPEN || !s->middle ||
	    s->part.span.rows < SQ_PART_SOME)
		return SQLITE_OK;
	due = due_ms(s, now);
	if (now < due) {
		*ret_ms = (int)(due - now);
		return SQLITE_OK;
	}
	rc = sq_spare_begin(s);
	if (rc == SQLITE_OK && s->part.known && s->middle)
		rc = sq_part_close(s, s->middle);
	return rc == SQLITE_OK ? sq_spare_commit(s) : rc;
}

int
sq_close_step(struct sq_sink *s, int *ret_ms)
{
	uint64_t now = ctf_mono_ms();
	bool filling = s->last_ms + OVER_MS > now;
	int64_t over = -1;
	int rc;

	*ret_ms = -1;
	rc = some_close(s, ret_ms);
	/* Not while it is being filled: its rows would all be late. */
	if (rc == SQLITE_OK)
		rc = over_find(s, filling ? s->filled : -1, &over);
	if (rc != SQLITE_OK)
		return rc;
	if (over < 0) {
		if (filling && *ret_ms < 0)
			*ret_ms = OVER_MS;
		return rc;
	}
	*ret_ms = 0;
	return over_close(s, over);
}
