/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_notes.c - what the daemons of a server noted, copied into tables of SQLite in
 * memory, which have the columns of a file's and the exporter.
 */
#include <errno.h>

#include "ch_engine.h"

#define NEAR INT64_C(2678400000000000) /* ns before and after: sweeps come far more often */

#define COVERAGE \
	"from_ns, last_alive_ns, to_ns, instance, nsid, exporter, boot_id, event_mask, acct," \
	" timestamp, events, reliable, selection, netns, abilities, clock_synchronised," \
	" clock_error_ns, offload, gro"
#define GAPS "from_ns, to_ns, cause, count, count_is, nsid, instance, exporter"
#define SWEEPS "instance, nsid, at_ns, previous_ns, min_age_ns, complete, exporter"
#define META "key, value"

static const struct {
	unsigned note;
	const char *name, *columns, *types; /* one letter each: number or text */
	const char *from;
} tables[] = {
	{ Q_N_COVERAGE, "coverage", COVERAGE, "nnntnttnnnnntttnnnn", "coverage" },
	{ Q_N_GAPS, "gaps", GAPS, "nntntntt", "gaps" },
	{ Q_N_SWEEPS, "sweeps", SWEEPS, "tnnnnnt", "sweeps FINAL" },
	{ Q_N_META, "meta", META, "tt", "meta FINAL" },
};
#define TABLES (sizeof(tables) / sizeof(*tables))

/* ---- tables ------------------------------------------------------------------------- */

static int
exec(struct q_db *db, char *sql, struct ctf_err *err)
{
	int rc = sql ? sqlite3_exec(db->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc == SQLITE_OK ? 0 : q_sql_failed(db, err);
}

/* Empty ones; whoever wrote the rows, here they are of this table. */
static int
tables_make(struct q_db *db, struct ctf_err *err)
{
	int r = 0;

	for (unsigned i = 0; i < TABLES && r == 0; i++)
		r = exec(db,
			 sqlite3_mprintf("DROP TABLE IF EXISTS %s; CREATE TABLE %s(%s, output"
					 " DEFAULT %Q)",
					 tables[i].name, tables[i].name, tables[i].columns,
					 db->table),
			 err);
	return r;
}

static int
insert_prepare(struct q_db *db, unsigned i, sqlite3_stmt **ret_st, struct ctf_err *err)
{
	sqlite3_str *s = sqlite3_str_new(NULL);

	sqlite3_str_appendf(s, "INSERT INTO %s(%s) VALUES(", tables[i].name, tables[i].columns);
	for (unsigned k = 0; tables[i].types[k]; k++)
		sqlite3_str_appendall(s, k ? ", ?" : "?");
	sqlite3_str_appendall(s, ")");
	return q_db_prepare(db, sqlite3_str_finish(s), ret_st, err);
}

static int
row_insert(struct q_db *db, struct ch_answer *a, const char *types, sqlite3_stmt *st,
	   struct ctf_err *err)
{
	int rc = SQLITE_OK;

	for (unsigned k = 0; types[k] && rc == SQLITE_OK; k++)
		if (ch_is_null(a, k))
			rc = sqlite3_bind_null(st, (int)k + 1);
		else if (types[k] == 'n')
			rc = sqlite3_bind_int64(st, (int)k + 1, ch_int(a, k));
		else
			rc = sqlite3_bind_text(st, (int)k + 1, ch_cell(a, k), -1,
					       SQLITE_TRANSIENT);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? ch_check(a, err) : q_sql_failed(db, err);
}

static int
rows_copy(struct q_db *db, struct ch_answer *a, unsigned i, struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int more, r = insert_prepare(db, i, &st, err);

	while (r == 0 && (more = ch_row(a, (unsigned)strlen(tables[i].types), err)) != 0)
		r = more < 0 ? more : row_insert(db, a, tables[i].types, st, err);
	sqlite3_finalize(st);
	return r;
}

static int
table_copy(struct q *q, struct q_db *db, unsigned i, int64_t about, struct ctf_err *err)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	int r;

	ch_putf(&query.sql, "SELECT %s FROM %s", tables[i].columns, tables[i].from);
	if (tables[i].note != Q_N_META) {
		ch_put(&query.sql, " WHERE ");
		ch_put_exporters(&query.sql, db->ch);
	}
	if (tables[i].note == Q_N_SWEEPS && about != Q_NEVER)
		ch_putf(&query.sql, " AND complete AND at_ns >= %lld AND at_ns <= %lld",
			(long long)(about - NEAR), (long long)(about + NEAR));
	r = ch_ask(q, db->ch, &query, &a, err);
	if (r == 0)
		r = rows_copy(db, a, i, err);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}

/* Where who_watch.c looks for it. */
static int
kept_note(struct q *q, struct q_db *db, struct ctf_err *err)
{
	int64_t from;
	int r = ch_kept(q, db, &from, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return exec(db,
		    sqlite3_mprintf("INSERT INTO meta(key, value) VALUES('kept_from:%q', %lld)",
				    db->table, (long long)from),
		    err);
}

int
ch_notes(struct q *q, struct q_db *db, unsigned notes, int64_t about, struct ctf_err *err)
{
	int r = exec(db, sqlite3_mprintf("BEGIN"), err);

	if (r == 0)
		r = tables_make(db, err);
	for (unsigned i = 0; i < TABLES && r == 0; i++)
		if (tables[i].note & notes)
			r = table_copy(q, db, i, about, err);
	if (r == 0 && notes & Q_N_META)
		r = kept_note(q, db, err);
	sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL);
	return r;
}
