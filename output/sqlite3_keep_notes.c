/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: what goes with old flows: those that were lost, looks at the table,
 * and, when the sums have gone as well, gaps and coverage.
 */
#include "sqlite3_keep.h"
#include "sqlite3_spare.h"

/* Its key is long: so many rows at once, whatever the time. */
static int
lost_cut(struct sq_sink *s, struct sq_keep *k, int64_t below, bool *ret_more)
{
#define KEY "start_ns, id, nsid, proto, src, dst, sport, dport"
	const char *open = s->table.open;
	int rc = sq_exec(s->db,
			 sqlite3_mprintf("DELETE FROM \"%w\" WHERE (" KEY ") IN (SELECT " KEY
					 " FROM \"%w\" WHERE lost_ns < %lld LIMIT %d)",
					 open, open, (long long)below, k->some));
#undef KEY

	*ret_more = rc == SQLITE_OK && sqlite3_changes(s->db) >= k->some;
	return rc;
}

/* Tables that all share: ours only; some other program's is left alone. */
static int
shared_cut(struct sq_sink *s, const char *table, const char *time, int64_t below)
{
	char *sql = sqlite3_mprintf("DELETE FROM %s WHERE output = %Q AND %s < %lld", table,
				    SQ_CONF(s)->table, time, (long long)below);
	int rc = sq_exec(s->db, sql);

	return rc == SQLITE_ERROR ? SQLITE_OK : rc;
}

static int
notes_cut(struct sq_sink *s, struct sq_keep *k, int64_t flows, int64_t notes, bool *ret_more)
{
	int rc = SQLITE_OK;

	if (flows != INT64_MIN)
		rc = lost_cut(s, k, flows, ret_more);
	if (rc == SQLITE_OK && flows != INT64_MIN && !*ret_more)
		rc = shared_cut(s, "sweeps", "at_ns", flows);
	if (rc == SQLITE_OK && notes != INT64_MIN)
		rc = shared_cut(s, "gaps", "to_ns", notes);
	if (rc == SQLITE_OK && notes != INT64_MIN)
		rc = shared_cut(s, "coverage", "to_ns", notes);
	return rc;
}

int
sq_cut_notes(struct sq_sink *s, struct sq_keep *k, int64_t flows, int64_t notes, bool *ret_more)
{
	int rc = sq_spare_begin(s);

	if (rc != SQLITE_OK)
		return rc;
	rc = notes_cut(s, k, flows, notes, ret_more);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		sq_spare_rollback(s);
	return rc;
}
