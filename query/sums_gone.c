/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sums_gone.c - flows that sums would need and that are not there.
 *
 * Rollups outlive flows, but only whole minutes, hours or days: what is left over at
 * the ends of a time asked for is read from flows, which may have been deleted since.
 */
#include "sums.h"

/* A stretch that has not ended goes on. */
static const char unkept_sql[] = "SELECT 1 FROM coverage WHERE output = %Q COLLATE NOCASE"
				 " AND selection LIKE '%%profile=rollup' AND from_ns < ?1"
				 " AND coalesce(to_ns, last_alive_ns) >= ?2 LIMIT 1";

static int
unkept_look(struct sums_gone *gone, struct q_db *db, int64_t from, int64_t to,
	    struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc, r;

	if (gone->unkept || !q_db_has(db, "coverage"))
		return 0;
	r = q_db_prepare(db, sqlite3_mprintf(unkept_sql, db->table), &st, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, to);
	sqlite3_bind_int64(st, 2, from);
	rc = sqlite3_step(st);
	gone->unkept = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = q_sql_failed(db, err);
	sqlite3_finalize(st);
	return r;
}

int
sums_gone_look(struct sums_gone *gone, struct q_db *db, int64_t from, int64_t to,
	       struct ctf_err *err)
{
	int64_t kept = Q_NEVER;
	int r = 0;

	if (q_db_has(db, "meta")) /* not that of version 1 */
		r = rollup_meta(db, "kept_from", Q_NEVER, &kept, err);
	if (r < 0)
		return r;
	if (kept > from && kept > gone->deleted)
		gone->deleted = kept;
	return unkept_look(gone, db, from, to, err);
}

void
sums_gone_text(const struct q *q, const struct sums_gone *gone, char *text, size_t size)
{
	char at[Q_TIME_TEXT];
	size_t n = 0;

	*text = '\0';
	if (q->format == Q_TABLE)
		q_time_text(q, gone->deleted, false, at);
	else
		q_time_iso(gone->deleted, at);
	if (gone->deleted != Q_NEVER)
		n = (size_t)snprintf(text, size, "; flows before %s are deleted", at);
	if (gone->unkept && n < size)
		snprintf(text + n, size - n, "; flows were not kept (profile=rollup)");
}
