/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the index tables of a day, and entries for rows that come late.  A
 * partition that is indexed, or is just being indexed, gets those at once.
 */
#include "sqlite3_spare.h"

const struct sq_index sq_indexes[SQ_INDEXES] = {
	{ "nat",
	  "addr, port, at",
	  { { "nat_src", "nat_sport" }, { "nat_dst", "nat_dport" } },
	  false },
	{ "src", "addr, at", { { "src", NULL } }, true },
	{ "dst", "addr, at", { { "dst", NULL } }, true },
};

#define ENTRY " SELECT ?1, %s%s%s%s, (at_ns - ?2) >> ?3 FROM " SQ_ROWS " WHERE %s IS NOT NULL"

/* As others see it: what is not translated has one address only. */
#define SEEN_PORT(outer, outerport, innerport) \
	"CASE WHEN " outer " IS NULL THEN " innerport " ELSE " outerport " END"
const char *const sq_nat_seen[2] = { "ifnull(nat_src, src)",
				     SEEN_PORT("nat_src", "nat_sport", "sport") };
static const char *const shown_seen[2] = { "ifnull(outer, inner)",
					   SEEN_PORT("outer", "outerport", "innerport") };

static int
entry_prepare(struct sq_sink *s, int which, const struct sq_index *x, unsigned side)
{
	const char *const *cols = s->day.nat ? shown_seen : x->addr[side];
	const char *addr = cols[0], *port = cols[1];
	char *sql = sqlite3_mprintf(
		"INSERT OR IGNORE INTO \"%w_%s\"(run, %s)" ENTRY, s->day.base, x->name, x->cols,
		addr, port ? ", ifnull(" : "", port ? port : "", port ? ", 0)" : "", addr);
	int rc = sq_prepare(s, which, sql);

	sqlite3_free(sql);
	return rc;
}

static int
entries_prepare(struct sq_sink *s)
{
	int which = SQ_ST_INDEX, rc = SQLITE_OK;

	if (s->st[which])
		return rc;
	for (unsigned i = 0; i < SQ_INDEXES && rc == SQLITE_OK; i++) {
		const struct sq_index *x = &sq_indexes[i];

		for (unsigned side = 0; side < 2 && rc == SQLITE_OK; side++)
			if (x->addr[side][0] && !(s->day.nat && (x->full || side)))
				rc = entry_prepare(s, which++, x, side);
	}
	return rc;
}

static int
entries_store(struct sq_sink *s, int64_t run, int64_t from, int shift)
{
	int rc = entries_prepare(s);

	for (int i = SQ_ST_INDEX; i < SQ_ST_COUNT && s->st[i] && rc == SQLITE_OK; i++) {
		sqlite3_bind_int64(s->st[i], 1, run);
		sqlite3_bind_int64(s->st[i], 2, from);
		sqlite3_bind_int(s->st[i], 3, shift);
		rc = sq_run(s->st[i]);
	}
	return rc;
}

int
sq_index_late(struct sq_sink *s)
{
	struct sq_job *j = s->spare ? &s->spare->job : NULL;
	const struct sq_part *p = &s->part;
	int rc = SQLITE_OK;

	if (p->run >= 0)
		rc = entries_store(s, p->run, p->from, p->shift);
	if (rc != SQLITE_OK || !j || !j->on || !j->joins || p->from < j->from || p->to > j->to)
		return rc;
	return entries_store(s, j->run, j->from, j->shift);
}
