/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "sqlite3_meta.h"

/* The value as SQL. */
static int
put(struct sq_sink *s, const char *what, const char *value)
{
	const char *table = SQ_CONF(s)->table;
	int rc = sq_exec(s->db, sqlite3_mprintf("UPDATE meta SET value = %s"
						" WHERE key = '%q:%q' COLLATE NOCASE",
						value, what, table));

	if (rc != SQLITE_OK || sqlite3_changes(s->db) > 0)
		return rc;
	return sq_exec(s->db, sqlite3_mprintf("INSERT INTO meta VALUES('%q:%q', %s)", what,
					      table, value));
}

int
sq_meta_set(struct sq_sink *s, const char *what, const char *value)
{
	char *quoted = sqlite3_mprintf("%Q", value);
	int rc = quoted ? put(s, what, quoted) : SQLITE_NOMEM;

	sqlite3_free(quoted);
	return rc;
}

int
sq_meta_set_num(struct sq_sink *s, const char *what, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return put(s, what, text);
}

int
sq_meta_get(struct sq_sink *s, const char *what, char *ret_text, size_t size)
{
	char *sql = sqlite3_mprintf("SELECT value FROM meta WHERE key = '%q:%q' COLLATE NOCASE",
				    what, SQ_CONF(s)->table);
	sqlite3_stmt *st = NULL;
	const char *text = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(st, 0);
	snprintf(ret_text, size, "%s", text ? text : "");
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}
