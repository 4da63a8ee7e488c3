/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what the configured table is. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "sqlite3_db.h"

bool
sq_name_taken(const char *table)
{
	static const char *const taken[] = { "meta",     "gaps",         "coverage",
					     "progress", "days",         "partitions",
					     "names",    "ctflow_slice", "ctflow_sums",
					     SQ_ROWS };

	for (unsigned i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		if (strcasecmp(table, taken[i]) == 0)
			return true;
	return strncasecmp(table, "sqlite_", 7) == 0;
}

void
sq_table_free(struct sq_table *t)
{
	sq_columns_free(t->cols, t->n);
	free(t->stamped);
	free(t->received);
	free(t->open);
	*t = (struct sq_table){ .own = SQ_UNKNOWN };
}

/* SQLite's own rules (datatype3.html, 3.1), but what is left is a number. */
static enum sq_as
as_of(const char *type)
{
	if (strcasestr(type, "INT"))
		return SQ_AS_INT;
	if (strcasestr(type, "CHAR") || strcasestr(type, "CLOB") || strcasestr(type, "TEXT"))
		return SQ_AS_TEXT;
	/* MySQL's BINARY(16) is bytes, whatever SQLite makes of it. */
	if (strcasestr(type, "BLOB") || strcasestr(type, "BINARY"))
		return SQ_AS_BLOB;
	return SQ_AS_INT;
}

/* The first column of the first row: SQLITE_ROW with *ret_text, or a code. */
static int
text_query(sqlite3 *db, const char *sql, const char *arg, char **ret_text)
{
	sqlite3_stmt *st = NULL;
	const char *text;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK && arg)
		rc = sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 0);
		*ret_text = strdup(text ? text : "");
		if (!*ret_text)
			rc = SQLITE_NOMEM;
	}
	sqlite3_finalize(st);
	return rc;
}

int
sq_text_is(sqlite3 *db, const char *sql, const char *arg, const char *want, bool *ret_same)
{
	char *text = NULL;
	int rc = text_query(db, sql, arg, &text);

	if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		*ret_same = rc == SQLITE_ROW && strcmp(text, want) == 0;
		rc = SQLITE_OK;
	}
	free(text);
	return rc;
}

static int
column_add(struct sq_table *t, const char *name, const char *type)
{
	return sq_column_add(&t->cols, &t->n, name ? name : "", as_of(type ? type : ""))
		       ? SQLITE_OK
		       : SQLITE_NOMEM;
}

static int
columns_look(sqlite3 *db, const char *table, struct sq_table *t)
{
	/* "_ct_id", as ulogd2's tables for PostgreSQL have it, is the table's own. */
	static const char sql[] = "SELECT name, type FROM pragma_table_info(?1)"
				  " WHERE substr(name, 1, 1) <> '_'";
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = column_add(t, (const char *)sqlite3_column_text(st, 0),
				(const char *)sqlite3_column_text(st, 1));
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE && t->n == 0)
		snprintf(t->why, sizeof(t->why), "\"%.100s\" has no column to fill", table);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* A missing table is not made where something else has a name it needs. */
static int
place_look(sqlite3 *db, const char *table, bool ours, struct sq_table *t)
{
	static const char used[] = "SELECT name FROM sqlite_master WHERE name COLLATE NOCASE"
				   " IN (?1, 'open_'||?1, 'meta', 'gaps', 'coverage', 'days', "
				   "'partitions', 'names',"
				   " '" SQ_ROWS "')";
	static const char index[] = "SELECT name FROM sqlite_master WHERE name COLLATE NOCASE"
				    " IN (?1, 'open_'||?1)";
	char *name = NULL;
	int rc = text_query(db, ours ? index : used, table, &name);

	if (rc == SQLITE_ROW)
		snprintf(t->why, sizeof(t->why),
			 "table \"%.40s\" cannot be made: its \"%.40s\" is not of our making",
			 table, name);
	free(name);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Older ones are brought up to date by sqlite3_make.c. */
static int
version_look(sqlite3 *db)
{
	static const char sql[] = "SELECT CAST(value AS INTEGER) BETWEEN 1 AND " SQ_SCHEMA
				  " FROM meta WHERE key = 'version'";
	bool known = false;
	int rc = sq_text_is(db, sql, NULL, "1", &known);

	return rc == SQLITE_OK && !known ? SQLITE_MISMATCH : rc;
}

/* Names the tables if `meta` is ours and knows the view. */
static int
native_look(sqlite3 *db, const char *table, struct sq_table *t, bool *ret_ours)
{
	static const char base[] = "SELECT value FROM meta WHERE key = ?1 COLLATE NOCASE";
	const struct {
		const char *key;
		char **name;
	} all[] = { { "open", &t->open },
		    { "stamped", &t->stamped },
		    { "received", &t->received } };
	char key[300];
	int rc = sq_text_is(db, base, "format", "ctflowd", ret_ours);

	/* There is none, or somebody else's has other columns. */
	if (rc == SQLITE_ERROR || !*ret_ours)
		return rc == SQLITE_ERROR ? SQLITE_OK : rc;
	rc = version_look(db);
	if (rc != SQLITE_OK)
		return rc;
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		snprintf(key, sizeof(key), "%s:%.256s", all[i].key, table);
		rc = text_query(db, base, key, all[i].name);
		if (rc == SQLITE_ROW)
			t->own = SQ_NATIVE;
		else if (rc != SQLITE_DONE)
			return rc;
	}
	return SQLITE_OK;
}

/* A view takes rows by a trigger only. */
static void
view_look(sqlite3 *db, const char *table, struct sq_table *t)
{
	char *sql = sqlite3_mprintf("INSERT INTO \"%w\" DEFAULT VALUES", table);
	sqlite3_stmt *st = NULL;

	if (sql && sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_ERROR)
		snprintf(t->why, sizeof(t->why), "%s", sqlite3_errmsg(db));
	sqlite3_finalize(st);
	sqlite3_free(sql);
}

int
sq_table_look(sqlite3 *db, const char *table, struct sq_table *ret_table)
{
	struct sq_table t = { .own = SQ_MISSING };
	bool is_table = false, is_view = false, ours = false;
	const char *sql = "SELECT type FROM sqlite_master WHERE name = ?1 COLLATE NOCASE"
			  " AND type IN ('table', 'view')";
	int rc = sq_text_is(db, sql, table, "table", &is_table);

	if (rc == SQLITE_OK)
		rc = sq_text_is(db, sql, table, "view", &is_view);
	if (rc == SQLITE_OK && !is_table)
		rc = native_look(db, table, &t, &ours);
	if (rc == SQLITE_OK && t.own == SQ_MISSING && (is_table || is_view)) {
		t.own = SQ_FOREIGN;
		rc = columns_look(db, table, &t);
		if (rc == SQLITE_OK && is_view)
			view_look(db, table, &t);
	} else if (rc == SQLITE_OK && t.own == SQ_MISSING) {
		rc = place_look(db, table, ours, &t);
	}
	if (rc == SQLITE_OK)
		*ret_table = t;
	else
		sq_table_free(&t);
	return rc;
}
