/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the upkeep of a native table, between deliveries.  One sink does it
 * for a table: the one that opened it last, whose name `meta` has.
 */
#include <errno.h>
#include <stdlib.h>

#include "sqlite3_keep.h"
#include "sqlite3_rollup.h"
#include "sqlite3_spare.h"

#define BUSY_MS 200
#define FAILED_MS 10000
#define SAY_MS 60000u

/* In this order, each call from the first that has something to do. */
static const struct sq_step steps[] = {
	{ "keep", sq_keep_step },    { "sums", sq_rollup_step }, { "close", sq_close_step },
	{ "index", sq_run_step },    { "join", sq_join_step },   { "tidy", sq_tidy_step },
	{ "old rows", sq_old_step },
};

/* ---- transactions ------------------------------------------------------------ */

int
sq_spare_begin(struct sq_sink *s)
{
	int rc = sq_run(s->st[SQ_ST_BEGIN]);

	if (rc == SQLITE_OK)
		rc = sq_days_begin(s);
	return rc == SQLITE_OK && !s->keeper ? SQLITE_DONE : rc;
}

int
sq_spare_commit(struct sq_sink *s)
{
	int rc = sq_run(s->st[SQ_ST_COMMIT]);

	if (rc == SQLITE_OK)
		sq_checkpoint(s);
	return rc;
}

void
sq_spare_rollback(struct sq_sink *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	sq_days_forget(s);
}

/* ---- the steps --------------------------------------------------------------- */

static int
failed(struct sq_sink *s, const struct sq_step *step, int rc)
{
	uint64_t now = ctf_mono_ms();
	struct ctf_err err = { 0 };

	sq_fail(s, &err, rc, "upkeep");
	sq_spare_rollback(s);
	if (sq_is_busy(rc))
		return BUSY_MS;
	sq_run_stop(s);
	if (rc == SQLITE_DONE) /* another sink's */
		return -1;
	s->damaged |= sq_is_damage(rc);
	if (!s->spare->said_ms || now - s->spare->said_ms > SAY_MS)
		ctf_log(s->obj.ctx, CTF_WARNING, "%s (%s)", err.msg, step->name);
	s->spare->said_ms = now;
	return FAILED_MS;
}

static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int
some_steps(struct sq_sink *s)
{
	uint64_t until;
	int next = 0;

	sq_wal_pause(s);
	until = ctf_mono_ms() + SQ_SPARE_MS - SQ_SLICE_MS;
	while (next == 0 && ctf_mono_ms() < until && ctf_wait(s->obj.ctx, -1, 0, 0) != -EINTR) {
		next = -1;
		for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps) && next != 0; i++) {
			int ms = -1, rc = steps[i].step(s, &ms);

			if (rc != SQLITE_OK)
				return failed(s, &steps[i], rc);
			next = sooner(next, ms);
		}
	}
	return next;
}

int
sq_spare(void *sink)
{
	struct sq_sink *s = sink;
	uint64_t begin = ctf_mono_ms();
	int next;

	if (!s->spare || (s->data_version >= 0 && !s->keeper))
		return -1;
	next = some_steps(s);
	s->busy_ms += ctf_mono_ms() - begin;
	return next;
}

/* ---- with the connection ------------------------------------------------------- */

int
sq_spare_ready(struct sq_sink *s)
{
	int rc;

	s->spare = calloc(1, sizeof(*s->spare));
	if (!s->spare)
		return SQLITE_NOMEM;
	s->spare->look = true;
	s->spare->tidy_at = INT64_MAX;
	rc = sq_slice_ready(s);
	/* Also says that what another sink has begun is not to be finished. */
	if (rc == SQLITE_OK)
		rc = sq_exec(s->db,
			     sqlite3_mprintf("INSERT OR REPLACE INTO meta VALUES('keeper:%q',"
					     " '%q')",
					     SQ_CONF(s)->table, s->spool));
	return rc;
}

void
sq_spare_close(struct sq_sink *s)
{
	sq_run_stop(s);
	free(s->spare);
	s->spare = NULL;
}
