/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what `progress` says of an earlier run (past.h). */
#include "sqlite3_db.h"

static uint64_t
stored(void *sink, const char *spool)
{
	struct sq_sink *s = sink;
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

void
sq_past_open(struct sq_sink *s)
{
	past_open(s->obj.ctx, &s->past, s->spool, stored, s);
}
