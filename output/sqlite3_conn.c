/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: the connection: opening, waiting for a busy file, error texts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sqlite3_meta.h"

#define PAGE_SIZE "8192"
#define BUSY_WAITS 25 /* about half a second, then the core asks again */
#define PROBE_NS UINT64_C(1500000000)
#define INTERRUPT_OPS 20000

bool
sq_is_busy(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_BUSY || rc == SQLITE_LOCKED || rc == SQLITE_INTERRUPT;
}

/* SQLite's busy handler: waits a little, unless the core wants an end. */
static int
on_busy(void *arg, int count)
{
	struct sq_sink *s = arg;

	if (count >= BUSY_WAITS)
		return 0;
	return ctf_wait(s->obj.ctx, -1, 0, count < 5 ? 4 : 24) != -EINTR;
}

/* SQLite's progress handler, for statements that take long (triggers). */
static int
on_progress(void *arg)
{
	struct sq_sink *s = arg;

	return ctf_wait(s->obj.ctx, -1, 0, 0) == -EINTR;
}

static int
errno_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EBADMSG;
	case SQLITE_PERM:
		return EACCES;
	default:
		return EIO;
	}
}

int
sq_fail(const struct sq_sink *s, struct ctf_err *err, int rc, const char *doing)
{
	const char *why = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
	int sys = s->db ? sqlite3_system_errno(s->db) : 0;

	/* The last call may have been a successful rollback. */
	if (!s->db || sqlite3_errcode(s->db) != (rc & 0xff))
		why = rc == SQLITE_FORMAT ? "a frame that is none of ours" : sqlite3_errstr(rc);
	else if (sqlite3_extended_errcode(s->db) == SQLITE_READONLY_DIRECTORY)
		why = "its folder, where the journal has to be, is not writable";
	if (sys && ((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR))
		return ctf_fail(err, errno_of(rc), "%s: %s: %s (%s)", SQ_CONF(s)->db, doing,
				why, strerror(sys));
	return ctf_fail(err, errno_of(rc), "%s: %s: %s", SQ_CONF(s)->db, doing, why);
}

int
sq_prepare(struct sq_sink *s, int which, const char *sql)
{
	sqlite3_finalize(s->st[which]);
	s->st[which] = NULL;
	if (!sql)
		return SQLITE_NOMEM;
	return sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->st[which],
				  NULL);
}

int
sq_exec(sqlite3 *db, char *sql)
{
	int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

int
sq_number(sqlite3 *db, char *sql, int64_t none, int64_t *ret_n)
{
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		none = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_free(sql);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return rc;
	*ret_n = none;
	return SQLITE_OK;
}

int
sq_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/*
 * SQLite would make the file readable for all.  A file that exists is not
 * opened here: closing it again would drop the locks another output of this
 * process has on it.
 */
static int
file_make(const struct sq_sink *s, struct ctf_err *err)
{
	const char *path = SQ_CONF(s)->db;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	ctf_will_remake(s->obj.ctx, path);

	if (fd >= 0) {
		if (ctf_own(s->obj.ctx, fd) < 0)
			ctf_log(s->obj.ctx, CTF_WARNING,
				"%s: cannot be given to the daemon's user", path);
		close(fd);
	} else if (errno != EEXIST || faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0) {
		return ctf_fail(err, errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

/* Ours gets a WAL; a foreign database keeps the journal its owner gave it. */
static int
pragmas_set(struct sq_sink *s)
{
	sqlite3_stmt *st = NULL;
	bool wal = false;
	int rc = SQLITE_OK;

	if (s->table.own != SQ_FOREIGN)
		rc = sqlite3_exec(s->db,
				  "PRAGMA page_size=" PAGE_SIZE ";PRAGMA journal_mode=WAL",
				  NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode", -1, &st, NULL);
	if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		wal = strcmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
	sqlite3_finalize(st);
	if (rc != SQLITE_OK)
		return rc;
	return sqlite3_exec(s->db,
			    wal ? "PRAGMA synchronous=NORMAL;PRAGMA cache_size=-16000;"
				  "PRAGMA secure_delete=OFF;"
				  "PRAGMA journal_size_limit=33554432"
				: "PRAGMA synchronous=FULL;PRAGMA cache_size=-2000",
			    NULL, NULL, NULL);
}

/* Within one transaction, so that two outputs may start at once. */
static int
native_make(struct sq_sink *s)
{
	int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return rc;
	sq_table_free(&s->table);
	rc = sq_table_look(s->db, SQ_CONF(s)->table, &s->table);
	if (rc == SQLITE_OK && s->table.own != SQ_FOREIGN)
		rc = sq_native_create(s->db, SQ_CONF(s)->table, &s->table);
	if (rc == SQLITE_OK && s->table.own != SQ_FOREIGN)
		rc = sq_days_turn(s);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int
table_open(struct sq_sink *s, struct ctf_err *err)
{
	const struct sq_conf *c = SQ_CONF(s);
	int rc = sq_table_look(s->db, c->table, &s->table);
	bool fresh = rc == SQLITE_OK && s->table.own == SQ_MISSING;

	if (rc == SQLITE_MISMATCH)
		return ctf_fail(err, EPROTO, "%s: made by a newer version of ctflowd", c->db);
	if (rc != SQLITE_OK)
		return sq_fail(s, err, rc, "cannot read the schema");
	if (fresh && c->seen.own == SQ_FOREIGN)
		return ctf_fail(err, ENOENT, "%s: table \"%s\" is gone", c->db, c->table);
	if (fresh && sq_name_taken(c->table))
		return ctf_fail(err, EINVAL, "%s: a table cannot be named \"%s\"", c->db,
				c->table);
	if (s->table.why[0])
		return ctf_fail(err, EINVAL, "%s: %s", c->db, s->table.why);
	rc = pragmas_set(s);
	if (rc != SQLITE_OK)
		return sq_fail(s, err, rc, "cannot set it up");
	if (s->table.own == SQ_FOREIGN)
		return 0;
	rc = native_make(s);
	/* The one before had rows that this has not, whatever coverage will say. */
	if (rc == SQLITE_OK && fresh && (s->opened || s->aside))
		rc = sq_meta_set_num(s, "kept_from", (int64_t)ctf_now());
	if (rc != SQLITE_OK)
		return sq_fail(s, err, rc, "cannot make the table");
	if (fresh)
		ctf_log(s->obj.ctx, CTF_NOTICE, "%s: made table \"%s\"", c->db, c->table);
	return 0;
}

int
sq_conn_open(struct sq_sink *s, struct ctf_err *err)
{
	const struct sq_conf *c = SQ_CONF(s);
	int rc = file_make(s, err);

	if (rc < 0)
		return rc;
	rc = sqlite3_open_v2(c->db, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return sq_fail(s, err, rc, "cannot open it");
	sqlite3_busy_handler(s->db, on_busy, s);
	sqlite3_progress_handler(s->db, INTERRUPT_OPS, on_progress, s);
	sq_wal_watch(s);
	rc = sqlite3_db_readonly(s->db, "main");
	if (rc == 1)
		return ctf_fail(err, EROFS, "%s: the database is read-only", c->db);
	return table_open(s, err);
}

void
sq_conn_close(struct sq_sink *s)
{
	sq_spare_close(s);
	sq_names_close(s);
	sq_wal_close(s);
	for (unsigned i = 0; i < SQ_ST_COUNT; i++) {
		sqlite3_finalize(s->st[i]);
		s->st[i] = NULL;
	}
	sqlite3_close(s->db);
	s->db = NULL;
	sq_table_free(&s->table);
}

/*
 * A deleted or renamed file would go on taking rows that nobody sees.  Its WAL
 * keeps the old name and would be thrown away with what is in it.
 */
bool
sq_conn_moved(struct sq_sink *s)
{
	int moved = 0;

	sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved) {
		sq_wal_close(s);
		sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
	return moved;
}

/* ---- probe ---------------------------------------------------------------- */

static uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* `count` numbers the waits for one lock; they add up to PROBE_NS. */
static int
on_probe_busy(void *arg, int count)
{
	const uint64_t *until = arg;
	struct timespec wait = { .tv_nsec = 20000000 };

	if (clock_ns() >= *until)
		return 0;
	nanosleep(&wait, NULL);
	return 1;
}

static off_t
size_of(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= (int)sizeof(name))
		return -1;
	return stat(name, &st) == 0 ? st.st_size : -1;
}

/*
 * Reading a database in WAL mode makes -shm and -wal files unless they are
 * there, or SQLite is told that nobody writes.
 */
static const char *
read_mode(const char *path)
{
	uint8_t head[20] = { 0 };
	bool whole = sq_read_head(path, head, sizeof(head));

	if (size_of(path, "-shm") > 0 && size_of(path, "-wal") >= 0)
		return "readonly_shm=1";
	if (size_of(path, "-wal") > 0)
		return NULL;
	return whole && head[18] == 2 ? "immutable=1" : "";
}

static char *
uri_of(const char *path, const char *mode)
{
	char *uri = malloc(3 * strlen(path) + strlen(mode) + 16), *p = uri;

	if (!uri)
		return NULL;
	p = stpcpy(p, "file:");
	for (; *path; path++)
		if (strchr("%?#", *path))
			p += sprintf(p, "%%%02X", (unsigned char)*path);
		else
			*p++ = *path;
	sprintf(p, "?%s", mode);
	return uri;
}

int
sq_probe_look(const char *path, const char *table, struct sq_table *ret_table)
{
	uint64_t until = clock_ns() + PROBE_NS;
	const char *mode = read_mode(path);
	char *uri = mode ? uri_of(path, mode) : NULL;
	sqlite3 *db = NULL;
	int rc = SQLITE_BUSY;

	if (uri)
		rc = sqlite3_open_v2(
			uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			NULL);
	if (uri && rc == SQLITE_OK)
		rc = sqlite3_busy_handler(db, on_probe_busy, &until);
	if (uri && rc == SQLITE_OK)
		rc = sq_table_look(db, table, ret_table);
	sqlite3_close(db);
	free(uri);
	return rc;
}
