/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_db.c - the newest row of each database, and what was lost today. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "status.h"

#define BUSY_MS 2000

/* The first column of the first row; false: none, NULL, or no such table. */
static bool
one(sqlite3 *db, char *sql, int64_t since, int64_t ret[3])
{
	sqlite3_stmt *st = NULL;
	bool found = false;

	if (sql && sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, since);
		found = sqlite3_step(st) == SQLITE_ROW &&
			sqlite3_column_type(st, 0) != SQLITE_NULL;
		for (int i = 0; found && i < 3 && i < sqlite3_column_count(st); i++)
			ret[i] = sqlite3_column_int64(st, i);
	}
	sqlite3_finalize(st);
	sqlite3_free(sql);
	return found;
}

static int64_t
midnight(const struct q *q)
{
	time_t t = (time_t)(q->now_ns / 1000000000);
	struct tm tm;

	if (q->utc) {
		(void)gmtime_r(&t, &tm);
		return (int64_t)(t - t % 86400) * 1000000000;
	}
	(void)localtime_r(&t, &tm);
	tm.tm_sec = tm.tm_min = tm.tm_hour = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * 1000000000;
}

/* The tables that hold rows: of days, or those of older databases. */
static char *
table_sql(sqlite3 *db, bool days)
{
	sqlite3_stmt *st = NULL;
	char *sql = NULL;
	const char *list = days ? "SELECT base FROM days ORDER BY to_ns DESC LIMIT 1"
				: "SELECT value FROM meta WHERE key LIKE 'stamped:%' LIMIT 1";

	if (sqlite3_prepare_v2(db, list, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
		sql = sqlite3_mprintf(days ? "SELECT max(at_ns) FROM \"%w\""
					   : "SELECT max(destroy_ns) FROM \"%w\"",
				      sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return sql;
}

static void
ask(struct st_look *l, struct st_db *d, sqlite3 *db)
{
	int64_t x[3] = { 0 };

	if (one(db,
		sqlite3_mprintf("SELECT count(*), total(count), total(count IS NULL) FROM gaps"
				" WHERE to_ns >= ?1"),
		midnight(l->q), x)) {
		d->gaps = x[0];
		d->lost = x[1];
		d->unknown = x[2];
	}
	if (one(db, sqlite3_mprintf("SELECT max(last_alive_ns) FROM coverage"), 0, x))
		d->alive_ns = x[0];
	if (one(db, table_sql(db, true), 0, x) || one(db, table_sql(db, false), 0, x))
		d->newest_ns = x[0];
}

static int64_t
size_of(const char *path, const char *suffix)
{
	char *name = sqlite3_mprintf("%s%s", path, suffix);
	struct stat st;
	int64_t size = name && stat(name, &st) == 0 ? st.st_size : 0;

	sqlite3_free(name);
	return size;
}

/* Why it cannot be read, or NULL. */
static const char *
read_db(struct st_look *l, struct st_db *d)
{
	sqlite3 *db = NULL;
	const char *why = NULL;
	struct stat st;
	int rc;

	if (stat(d->path, &st) < 0)
		return strerror(errno);
	d->size = st.st_size + size_of(d->path, "-wal");
	if (access(d->path, R_OK) < 0)
		return strerror(errno);
	rc = sqlite3_open_v2(d->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(db, BUSY_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		why = sqlite3_errstr(rc);
	else
		ask(l, d, db);
	sqlite3_close(db);
	d->read = !why;
	return why;
}

static struct st_db *
add_db(struct st_look *l, const char *path)
{
	struct st_db *more;

	for (unsigned i = 0; i < l->dbs; i++)
		if (strcmp(l->db[i].path, path) == 0)
			return NULL;
	more = realloc(l->db, (l->dbs + 1) * sizeof(*more));
	if (!more)
		return NULL;
	l->db = more;
	more += l->dbs;
	*more = (struct st_db){ .path = strdup(path),
				.size = -1,
				.newest_ns = Q_NEVER,
				.alive_ns = Q_NEVER,
				.gaps = -1,
				.lost = -1,
				.unknown = -1 };
	if (!more->path)
		return NULL;
	l->dbs++;
	return more;
}

void
st_read_dbs(struct st_look *l)
{
	for (unsigned i = 0; i < l->conf.n; i++) {
		const struct st_member *m = &l->conf.members[i];
		const char *path = st_is(m, "SQLITE3") ? st_value(m, "db", NULL) : NULL;
		struct st_db *d = path ? add_db(l, path) : NULL;
		const char *why = d ? read_db(l, d) : NULL;

		if (why)
			st_unread(l, "database %s: %s", path, why);
	}
}
