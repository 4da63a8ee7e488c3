/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the end of an earlier run.  The state page says which group was
 * being committed; `progress` in the database says whether it was.
 */
#include <stdio.h>

#include "sqlite3_db.h"

struct sq_past {
	_Atomic uint64_t before; /* ctf_frame.upto of what is committed */
	_Atomic uint64_t frame;  /* being committed up to that one; 0: no commit going on */
	_Atomic uint64_t upto;   /* of that frame */
	char spool[80];          /* its run's key of the progress table */
};

void
sq_past_begin(struct sq_sink *s, const struct ctf_frame *last)
{
	if (!s->past)
		return;
	s->past->upto = last->upto;
	s->past->frame = last->number;
}

void
sq_past_end(struct sq_sink *s, bool committed)
{
	if (!s->past)
		return;
	if (committed)
		s->past->before = s->past->upto;
	s->past->frame = 0;
}

/* The last frame in the database of that run; 0: it does not say. */
static uint64_t
frame_of(struct sq_sink *s, const char *spool)
{
	sqlite3_stmt *st = NULL;
	uint64_t frame = 0;

	if (sqlite3_prepare_v2(s->db, "SELECT frame FROM progress WHERE spool_id = ?1", -1, &st,
			       NULL) == SQLITE_OK &&
	    sqlite3_bind_text(st, 1, spool, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		frame = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return frame;
}

static void
look_back(struct sq_sink *s, const struct sq_past *p)
{
	char spool[sizeof(p->spool)];
	uint64_t frame;

	snprintf(spool, sizeof(spool), "%.*s", (int)sizeof(p->spool) - 1, p->spool);
	if (!spool[0])
		return;
	frame = frame_of(s, spool);
	if (p->frame && frame >= p->frame)
		ctf_found(s->obj.ctx, p->upto, true);
	else /* without a row it may be another file */
		ctf_found(s->obj.ctx, p->before, frame > 0 || (!p->before && !p->frame));
}

void
sq_past_open(struct sq_sink *s)
{
	bool kept = false;

	if (s->past)
		return;
	s->past = ctf_state(s->obj.ctx, "past", sizeof(*s->past), &kept);
	if (!s->past)
		return;
	if (kept)
		look_back(s, s->past);
	s->past->before = s->past->frame = 0;
	snprintf(s->past->spool, sizeof(s->past->spool), "%s", s->spool);
}
