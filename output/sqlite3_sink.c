/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: the sink: opening and closing, and what it knows of its own past. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3_keep.h"
#include "sqlite3_rollup.h"

/* Rows of runs long gone; another daemon may share the file. */
#define KEEP_NS "2592000000000000"

static const char progress_sql[] =
	"CREATE TABLE IF NOT EXISTS progress(spool_id TEXT PRIMARY KEY, frame INTEGER,"
	" at_ns INTEGER) WITHOUT ROWID";

/* The key names the numbering of the frames, which outlives a hand-over. */
static void
spool_name(struct sq_sink *s)
{
	snprintf(s->spool, sizeof(s->spool), "%.60s:%016llx", ctf_name(s->obj.ctx),
		 (unsigned long long)ctf_spool_id(s->obj.ctx));
}

/* The last of these frames that is in the database. */
static int
progress_read(struct sq_sink *s)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT frame FROM progress WHERE spool_id = ?1", -1,
				    &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, s->spool, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	s->known = rc == SQLITE_ROW;
	if (s->known)
		s->done = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
progress_ready(struct sq_sink *s)
{
	char *sql =
		sqlite3_mprintf("DELETE FROM progress WHERE substr(spool_id, 1, %d) = '%.*q'"
				" AND at_ns < %lld - " KEEP_NS " AND spool_id <> '%q'",
				(int)strlen(s->spool) - 16, (int)strlen(s->spool) - 16,
				s->spool, (long long)ctf_now(), s->spool);
	int rc = sql ? sqlite3_exec(s->db, progress_sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sq_prepare(
			s, SQ_ST_PROGRESS,
			"INSERT INTO progress VALUES(?1, ?2, ?3) ON CONFLICT(spool_id)"
			" DO UPDATE SET frame = excluded.frame, at_ns = excluded.at_ns");
	if (rc == SQLITE_OK)
		sq_past_open(s);
	return rc == SQLITE_OK ? progress_read(s) : rc;
}

static int
statements_ready(struct sq_sink *s)
{
	int rc = sq_prepare(s, SQ_ST_BEGIN, "BEGIN IMMEDIATE");

	if (rc == SQLITE_OK)
		rc = sq_prepare(s, SQ_ST_COMMIT, "COMMIT");
	if (rc == SQLITE_OK)
		rc = progress_ready(s);
	if (rc == SQLITE_OK && s->table.own == SQ_NATIVE)
		rc = sq_native_ready(s);
	return rc;
}

/* One attempt; what it has opened stays so. */
static int
sink_try(struct sq_sink *s, struct ctf_err *err)
{
	int r = sq_conn_open(s, err), rc;

	if (r < 0)
		return r;
	rc = statements_ready(s);
	return rc == SQLITE_OK ? 0 : sq_fail(s, err, rc, "cannot prepare");
}

int
sq_sink_open(void *sink, int *ret_err, struct ctf_err *err)
{
	struct sq_sink *s = sink;
	int r;

	if (!s->since)
		s->since = ctf_now();
	if (!s->refused) {
		s->refused = ctf_metric_new(s->obj.ctx, "refused", CTF_COUNTER, CTF_UNIT_NONE,
					    "rows the database refused");
		s->repeats = ctf_metric_new(s->obj.ctx, "repeats", CTF_COUNTER, CTF_UNIT_NONE,
					    "flows that were in the database already");
	}
	spool_name(s);
	ctf_gather(s->obj.ctx, SQ_CONF(s)->commit_every);
	r = sink_try(s, err);
	if (r == -EBADMSG && sq_aside(s, err->msg)) {
		sq_sink_close(s);
		r = sink_try(s, err);
	}
	s->opened |= r == 0;
	if (r == 0)
		sq_layout_free(&s->layout); /* mapped anew: the columns may be others */
	else
		sq_sink_close(s);
	*ret_err = r < 0 ? -r : 0;
	return -1;
}

void
sq_sink_close(void *sink)
{
	struct sq_sink *s = sink;

	if (s->damaged)
		sq_aside(s, sqlite3_errstr(SQLITE_CORRUPT));
	s->damaged = false;
	s->refusing = 0;
	sq_foreign_say(s, true);
	sq_keep_close(s);
	sq_rollup_free(s);
	sq_conn_close(s);
	sq_layout_free(&s->layout);
	free(s->refs);
	s->refs = NULL;
	s->n = s->room = 0;
}
