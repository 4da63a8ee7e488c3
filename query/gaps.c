/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gaps.c - ctflow gaps: when flows were lost, why, and how many. */
#include <errno.h>

#include "engine.h"

/* That of a server is the first. */
static const struct q_col cols[] = {
	{ "exporter", Q_TEXT, "EXPORTER" },
	{ "from", Q_TIME, "FROM" },
	{ "to", Q_TIME, "TO" },
	{ "length", Q_DUR, "LENGTH" },
	{ "cause", Q_TEXT, "CAUSE" },
	{ "count", Q_INT, "FLOWS" },
	{ "count_is", Q_TEXT, "COUNTED" },
	{ "instance", Q_TEXT, "INSTANCE" },
	{ "nsid", Q_INT, "NSID", Q_C_WIDE },
	{ "db", Q_TEXT, "DATABASE", Q_C_NEVER },
	{ "table", Q_TEXT, "TABLE", Q_C_NEVER },
};

static void
int_or_null(struct q *q, sqlite3_stmt *st, int i)
{
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		q_cell_null(q);
	else
		q_cell_int(q, sqlite3_column_int64(st, i));
}

static int
row(struct q *q, const struct q_db *db, sqlite3_stmt *st)
{
	int64_t from = sqlite3_column_int64(st, 0), to = sqlite3_column_int64(st, 1);

	if (q_has_server(q))
		q_cell_text(q, (const char *)sqlite3_column_text(st, 7));
	q_cell_time(q, from);
	q_cell_time(q, to);
	q_cell_int(q, to - from);
	q_cell_text(q, (const char *)sqlite3_column_text(st, 2));
	int_or_null(q, st, 3);
	q_cell_text(q, (const char *)sqlite3_column_text(st, 4));
	q_cell_text(q, (const char *)sqlite3_column_text(st, 5));
	int_or_null(q, st, 6);
	q_cell_text(q, db->path);
	q_cell_text(q, db->table);
	return q_row_end(q);
}

/* Those that have something in common with [since, until). */
static int
of_db(struct q *q, struct q_db *db, const struct q_words *w, struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE,
	    r = q_db_prepare(db,
			     sqlite3_mprintf("SELECT from_ns, to_ns, cause, count, count_is,"
					     " instance, nsid, %s FROM gaps WHERE output = ?1"
					     " COLLATE NOCASE AND to_ns >= ?2 AND from_ns < ?3"
					     " ORDER BY from_ns, to_ns",
					     db->engine->server ? "exporter" : "NULL"),
			     &st, err);

	if (r < 0)
		return r;
	sqlite3_bind_text(st, 1, db->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, w->since); /* Q_NEVER is the smallest number */
	sqlite3_bind_int64(st, 3, w->until == Q_NEVER ? INT64_MAX : w->until);
	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = row(q, db, st);
	if (r == 0 && rc != SQLITE_DONE)
		r = q_sql_failed(db, err);
	sqlite3_finalize(st);
	return r;
}

static int
gaps(struct q *q, const struct q_words *w, struct ctf_err *err)
{
	const bool server = q_has_server(q);
	int end, r = q_dbs_begin(q, Q_N_GAPS, Q_NEVER, err);

	if (r == 0)
		r = q_out_begin(q, server ? cols : cols + 1,
				sizeof(cols) / sizeof(*cols) - !server);
	if (r < 0)
		return r;
	for (struct q_db *db = q->dbs; db && r == 0; db = db->next)
		r = of_db(q, db, w, err);
	q_dbs_end(q, NULL);
	end = q_out_end(q);
	return r < 0 ? r : end;
}

static int
run(struct q *q, int argc, char **argv)
{
	struct ctf_err err = { .msg = "" };
	struct q_words w;
	int r = q_words(q, argc, argv, Q_W_SINCE | Q_W_UNTIL, &w, &err);

	if (r == 0 && w.argc)
		r = ctf_fail(&err, EINVAL, "\"%.60s\" is not expected here", w.argv[0]);
	if (r == 0)
		r = gaps(q, &w, &err);
	q_words_free(&w);
	return r < 0 ? q_failed(q, r, &err) : 0;
}

const struct q_verb q_verb_gaps = {
	.name = "gaps",
	.args = "[since TIME] [until TIME]",
	.doc = "when flows were lost, why, and how many",
	.run = run,
	.server = true,
};
