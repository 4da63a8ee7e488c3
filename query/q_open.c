/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * q_open.c - databases, opened to be read only.
 *
 * The writer uses WAL, so a reader neither waits for it nor holds it up, but
 * needs the files -wal and -shm beside the database.  Without a -wal nobody is
 * writing; whoever may not make these files, or would make them with an owner
 * the daemon cannot write to, then reads the file as one that does not change.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "open.h"

#define BUSY_MS 5000
#define STEPS 10000 /* of SQLite's machine between two looks for Ctrl-C */

/* ---- queries ------------------------------------------------------------------- */

int
q_db_prepare(struct q_db *db, char *sql, sqlite3_stmt **ret_st, struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc;

	if (!sql)
		return ctf_fail(err, ENOMEM, "out of memory");
	rc = sqlite3_prepare_v2(db->db, sql, -1, &st, NULL);
	sqlite3_free(sql);
	if (rc != SQLITE_OK)
		return q_sql_failed(db, err);
	*ret_st = st;
	return 0;
}

/* Steps to the first row: 0, -ENOENT, or -errno. */
static int
first(struct q_db *db, const char *sql, const char *arg, sqlite3_stmt **ret_st,
      struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK && arg)
		rc = sqlite3_bind_text(st, 1, arg, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL) {
		*ret_st = st;
		return 0;
	}
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? -ENOENT : q_sql_failed(db, err);
	sqlite3_finalize(st);
	return rc;
}

int
q_db_int(struct q_db *db, const char *sql, const char *arg, int64_t *ret_x, struct ctf_err *err)
{
	sqlite3_stmt *st;
	int r = first(db, sql, arg, &st, err);

	if (r == 0) {
		*ret_x = sqlite3_column_int64(st, 0);
		sqlite3_finalize(st);
	}
	return r;
}

int
q_db_text(struct q_db *db, const char *sql, const char *arg, char **ret_text,
	  struct ctf_err *err)
{
	sqlite3_stmt *st;
	int r = first(db, sql, arg, &st, err);
	char *text;

	if (r < 0)
		return r;
	text = strdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	if (!text)
		return ctf_fail(err, ENOMEM, "out of memory");
	*ret_text = text;
	return 0;
}

bool
q_db_has(struct q_db *db, const char *name)
{
	int64_t n = 0;
	int r = q_db_int(db,
			 "SELECT count(*) FROM sqlite_master WHERE name = ?1 COLLATE NOCASE"
			 " AND type IN ('table', 'view')",
			 name, &n, NULL);

	return r == 0 && n > 0;
}

/* ---- opening ------------------------------------------------------------------- */

static bool
beside(const char *path, const char *suffix, struct stat *ret_st)
{
	char *name = sqlite3_mprintf("%s%s", path, suffix);
	bool there = name && stat(name, ret_st) == 0;

	sqlite3_free(name);
	return there;
}

static int
step(void *q)
{
	q_progress(q, 0, 0);
	return q_cancelled(q);
}

/* The path as an URI, which says that the file does not change. */
static char *
immutable_uri(const char *path)
{
	sqlite3_str *s = sqlite3_str_new(NULL);

	sqlite3_str_appendall(s, "file:");
	for (const char *p = path; *p; p++)
		if (strchr("?#%", *p))
			sqlite3_str_appendf(s, "%%%02X", (unsigned char)*p);
		else
			sqlite3_str_appendchar(s, 1, *p);
	sqlite3_str_appendall(s, "?immutable=1");
	return sqlite3_str_finish(s);
}

/* Opens it and reads something, so that all that can fail has; an SQLite code. */
static int
try(struct q *q, struct q_db *db, bool immutable)
{
	char *name = immutable ? immutable_uri(db->path) : sqlite3_mprintf("%s", db->path);
	int rc = name ? sqlite3_open_v2(name, &db->db,
					SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
						(immutable ? SQLITE_OPEN_URI : 0),
					NULL)
		      : SQLITE_NOMEM;

	sqlite3_free(name);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db->db, BUSY_MS);
		sqlite3_progress_handler(db->db, STEPS, step, q);
		rc = sqlite3_exec(db->db,
				  "PRAGMA cache_size = -32000; PRAGMA query_only = 1;"
				  "SELECT count(*) FROM sqlite_master",
				  NULL, NULL, NULL);
	}
	db->immutable = immutable;
	return rc;
}

static void
shut(struct q_db *db)
{
	q_names_close(db);
	sqlite3_close(db->db);
	db->db = NULL;
}

static int
why_not(struct q_db *db, int rc, struct ctf_err *err)
{
	struct stat st;

	switch (rc & 0xff) {
	case SQLITE_NOTADB:
		return ctf_fail(err, EIO, "%s: not an SQLite database", db->path);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		if (beside(db->path, "-wal", &st))
			return ctf_fail(err, EACCES,
					"%s: its files -wal and -shm are needed, too, and "
					"must be readable; copy all three to look at them "
					"elsewhere",
					db->path);
		/* fall through */
	default:
		return q_sql_failed(db, err);
	}
}

static int
file_open(struct q *q, struct q_db *db, struct ctf_err *err)
{
	struct stat st, wal;
	bool quiet, ours;
	int rc;

	if (stat(db->path, &st) < 0)
		return ctf_fail(err, errno, "%s: %s", db->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ctf_fail(err, EIO, "%s: not a regular file", db->path);
	db->dev = st.st_dev;
	db->ino = st.st_ino;
	if (access(db->path, R_OK) < 0)
		return ctf_fail(err, errno, "%s: %s", db->path, strerror(errno));
	quiet = !beside(db->path, "-wal", &wal);
	ours = geteuid() == 0 || geteuid() == st.st_uid;
	rc = try(q, db, quiet && !ours);
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_NOTADB && quiet && !db->immutable) {
		shut(db);
		rc = try(q, db, true);
	}
	return rc == SQLITE_OK ? 0 : why_not(db, rc, err);
}

/* ---- what is in it ----------------------------------------------------------------- */

static int
schema_check(struct q_db *db, struct ctf_err *err)
{
	char *format = NULL;
	int64_t version = 0;
	bool ours;

	if (!q_db_has(db, "meta"))
		return ctf_fail(err, EIO, "%s: no database of ctflowd's making", db->path);
	if (q_db_text(db, "SELECT value FROM meta WHERE key = 'format'", NULL, &format, NULL) <
	    0)
		format = NULL;
	ours = format && strcmp(format, "ctflowd") == 0;
	free(format);
	if (!ours)
		return ctf_fail(err, EIO, "%s: no database of ctflowd's making", db->path);
	q_db_int(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'version'", NULL,
		 &version, NULL);
	if (version < 1 || version > Q_SCHEMA)
		return ctf_fail(err, EIO,
				"%s: made by a newer version of ctflowd (schema %lld, this "
				"ctflow knows %d)",
				db->path, (long long)version, Q_SCHEMA);
	db->version = (int)version;
	return 0;
}

/* The table that meta names for this role, if it is there. */
static int
role(struct q_db *db, const char *what, char **ret_name, struct ctf_err *err)
{
	char *key = sqlite3_mprintf("%s:%s", what, db->table), *name = NULL;
	int r = key ? q_db_text(db, "SELECT value FROM meta WHERE key = ?1 COLLATE NOCASE", key,
				&name, err)
		    : -ENOMEM;

	sqlite3_free(key);
	if (r == 0 && !q_db_has(db, name)) {
		free(name);
		name = NULL;
	}
	if (r == 0)
		*ret_name = name;
	return r == -ENOENT ? 0 : r;
}

static bool
is_old_open(struct q_db *db)
{
	int64_t n = 0;

	q_db_int(db, "SELECT count(*) FROM pragma_table_info(?1) WHERE name = 'icmp_type'",
		 db->open, &n, NULL);
	return n > 0;
}

static int
table_look(struct q_db *db, struct ctf_err *err)
{
	int r = role(db, "stamped", &db->stamped, err);

	if (r == 0)
		r = role(db, "received", &db->received, err);
	if (r == 0)
		r = role(db, "open", &db->open, err);
	/* version 3 keeps the ICMP type in dport */
	db->open_3 = r == 0 && db->open && !is_old_open(db);
	if (r == 0 && !q_db_has(db, db->table))
		return ctf_fail(err, ENOENT, "%s: no table \"%s\"", db->path, db->table);
	return r == 0 ? q_names_open(db, err) : r;
}

static void
forget(struct q_db *db)
{
	free(db->stamped);
	free(db->received);
	free(db->open);
	db->stamped = db->received = db->open = NULL;
}

static void
db_free(struct q_db *db)
{
	if (db->engine && db->engine->close)
		db->engine->close(db);
	shut(db);
	forget(db);
	free(db->path);
	free(db->table);
	free(db);
}

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int
open_checked(struct q *q, struct q_db *db, struct ctf_err *err)
{
	int r = file_open(q, db, err);

	if (r == 0)
		r = schema_check(db, err);
	if (r == 0 && q_db_functions(db->db) != SQLITE_OK)
		r = q_sql_failed(db, err);
	return r;
}

/* Opens the file alone. */
static int
db_new(struct q *q, const char *path, const char *table, struct q_db **ret_db,
       struct ctf_err *err)
{
	struct q_db *db = calloc(1, sizeof(*db));
	int r;

	if (!db)
		return ctf_fail(err, ENOMEM, "out of memory");
	db->engine = &q_sqlite;
	db->path = strdup(path);
	db->table = strdup(table);
	if (!db->path || !db->table)
		r = ctf_fail(err, ENOMEM, "out of memory");
	else
		r = open_checked(q, db, err);
	if (r < 0)
		db_free(db);
	else
		*ret_db = db;
	return r;
}

int
q_db_add(struct q *q, const char *path, const char *table, struct ctf_err *err)
{
	struct q_db *db, **end = &q->dbs;
	int r;

	for (; *end; end = &(*end)->next)
		if (same_file((*end)->path, path) && strcmp((*end)->table, table) == 0)
			return 0;
	r = db_new(q, path, table, &db, err);
	if (r < 0)
		return r;
	r = table_look(db, err);
	if (r < 0)
		db_free(db);
	else
		*end = db;
	return r;
}

static int
each_table(struct q *q, struct q_db *db, struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int r = q_db_prepare(db,
			     sqlite3_mprintf("SELECT DISTINCT substr(key, instr(key, ':') + 1)"
					     " FROM meta WHERE key LIKE 'open:%%'"
					     " OR key LIKE 'stamped:%%' ORDER BY 1"),
			     &st, err),
	    rc = SQLITE_DONE;

	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = q_db_add(q, db->path, (const char *)sqlite3_column_text(st, 0), err);
	if (r == 0 && rc != SQLITE_DONE)
		r = q_sql_failed(db, err);
	sqlite3_finalize(st);
	return r;
}

int
q_db_add_file(struct q *q, const char *path, struct ctf_err *err)
{
	struct q_db *db = NULL, *before = q->dbs;
	int r;

	if (q->table)
		return q_db_add(q, path, q->table, err);
	r = db_new(q, path, "", &db, err);
	if (r < 0)
		return r;
	r = each_table(q, db, err);
	db_free(db);
	if (r == 0 && !q->dbs && !before)
		return ctf_fail(err, ENOENT, "%s: no table of flows is in it", path);
	return r;
}

/* Another file has the name now, or somebody writes to what was thought at rest. */
static bool
is_stale(const struct q_db *db)
{
	struct stat st, wal;

	if (stat(db->path, &st) < 0)
		return false;
	return st.st_dev != db->dev || st.st_ino != db->ino ||
	       (db->immutable && beside(db->path, "-wal", &wal));
}

bool
q_db_at_rest(const struct q_db *db)
{
	return !db->immutable || !is_stale(db);
}

int
q_db_changed(struct q *q, struct q_db *db, bool *ret_changed, struct ctf_err *err)
{
	int64_t before = db->data_version;
	int r = 0;

	if (is_stale(db)) {
		shut(db);
		before = 0;
		r = open_checked(q, db, err);
	}
	if (r == 0)
		r = q_db_int(db, "PRAGMA data_version", NULL, &db->data_version, err);
	if (r < 0 || db->data_version == before) {
		*ret_changed = false;
		return r;
	}
	*ret_changed = true;
	/* it may be of a newer version by now */
	forget(db);
	r = schema_check(db, err);
	return r == 0 ? table_look(db, err) : r;
}

void
q_dbs_close(struct q *q)
{
	struct q_db *db;

	while ((db = q->dbs)) {
		q->dbs = db->next;
		db_free(db);
	}
}
