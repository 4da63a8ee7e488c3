/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_rows.c - coverage, gaps and names that belong to an answer. */
#include <stdlib.h>
#include <sys/socket.h>

#include "who_rows.h"

const char *const who_rows_names[WHO_ROWS] = { "coverage", "gaps", "sweeps", "meta" };

/* ?1 the table, ?2 from, ?3 to */
static const char *const statements[WHO_ROWS] = {
	[WHO_ROWS_COVERAGE] = "SELECT * FROM coverage WHERE output = ?1 COLLATE NOCASE"
			      " AND from_ns <= ?3 AND ifnull(to_ns, last_alive_ns) >= ?2"
			      " ORDER BY from_ns, last_alive_ns",
	[WHO_ROWS_GAPS] = "SELECT * FROM gaps WHERE output = ?1 COLLATE NOCASE"
			  " AND min(from_ns, to_ns) <= ?3 AND max(from_ns, to_ns) >= ?2"
			  " ORDER BY from_ns, to_ns",
	[WHO_ROWS_SWEEPS] = "SELECT * FROM sweeps WHERE output = ?1 COLLATE NOCASE"
			    " AND at_ns BETWEEN ?2 AND ?3 ORDER BY at_ns",
	[WHO_ROWS_META] = "SELECT * FROM meta WHERE ?1 <> '' AND ?2 <= ?3 ORDER BY key",
};

/* From the time asked about to where it is proven, or to all that there is. */
static void
range(const struct who_answer *w, int64_t *ret_from, int64_t *ret_to)
{
	*ret_from = w->ask.from_ns - WHO_SEC;
	*ret_to = w->ask.to_ns + WHO_SEC;
	if (w->cover.proven_ns != Q_NEVER && w->cover.proven_ns > *ret_to)
		*ret_to = w->cover.proven_ns;
	for (unsigned i = 0; i < w->cover.n; i++)
		if (w->cover.reasons[i].from_ns > *ret_to)
			*ret_to = w->cover.reasons[i].from_ns;
}

int
who_rows(struct q_db *db, const struct who_answer *w, enum who_rows what,
	 int (*row)(void *arg, struct q_db *, sqlite3_stmt *), void *arg, struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int64_t from, to;
	int rc = SQLITE_DONE, r;

	if (!q_db_has(db, who_rows_names[what]))
		return 0;
	r = q_db_prepare(db, sqlite3_mprintf("%s", statements[what]), &st, err);
	if (r < 0)
		return r;
	range(w, &from, &to);
	sqlite3_bind_text(st, 1, db->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, from);
	sqlite3_bind_int64(st, 3, to);
	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = row(arg, db, st);
	if (r == 0 && rc != SQLITE_DONE)
		r = q_sql_failed(db, err);
	sqlite3_finalize(st);
	return r;
}

/* ---- JSON ------------------------------------------------------------------------ */

static int
json_row(void *arg, struct q_db *db, sqlite3_stmt *st)
{
	bool *some = arg;

	printf("%s\n{\"db\":", *some ? "," : "");
	q_json_text(db->path);
	*some = true;
	for (int i = 0; i < sqlite3_column_count(st); i++) {
		putchar(',');
		q_json_text(sqlite3_column_name(st, i));
		putchar(':');
		if (sqlite3_column_type(st, i) == SQLITE_NULL)
			fputs("null", stdout);
		else if (sqlite3_column_type(st, i) == SQLITE_INTEGER)
			printf("%lld", sqlite3_column_int64(st, i));
		else
			q_json_text((const char *)sqlite3_column_text(st, i));
	}
	putchar('}');
	return 0;
}

int
who_rows_json(struct q *q, const struct who_answer *w, struct ctf_err *err)
{
	int r = 0;

	for (int what = WHO_ROWS_COVERAGE; what <= WHO_ROWS_GAPS && r == 0; what++) {
		bool some = false;

		printf(",\"%s\":[", who_rows_names[what]);
		for (struct q_db *db = q->dbs; db && r == 0; db = db->next)
			r = who_rows(db, w, (enum who_rows)what, json_row, &some, err);
		printf("]");
	}
	return r;
}
