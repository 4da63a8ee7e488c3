/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_db.c - databases: rights, health, size. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

#define CHECK_MS 2000u /* of looking for damage */
#define BUSY_MS 2000
#define STEPS 20000
#define BIG (INT64_C(1) << 30)       /* without retention */
#define WAL_BIG (INT64_C(256) << 20) /* that nobody could put into the database */
#define BACKLOG 2000000              /* rows without an index */

struct look {
	struct doctor *d;
	const struct st_member *m;
	const char *path;
	struct stat st;
	sqlite3 *db;
	uint64_t until_ms;
};

/* ---- files --------------------------------------------------------------------------- */

static void
folder_of(const char *path, char dir[DR_WORD])
{
	char *slash;

	snprintf(dir, DR_WORD, "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		snprintf(dir, DR_WORD, ".");
	else
		slash[slash == dir] = '\0';
}

/* A database needs files beside it. */
static void
see_folder(struct look *l)
{
	char dir[DR_WORD], word[DR_WORD];
	struct stat st;
	bool there;

	folder_of(l->path, dir);
	there = stat(dir, &st) == 0;
	if (there && dr_may(l->d, dir, W_OK | X_OK)) {
		dr_disk(l->d, access(l->path, F_OK) == 0 ? l->path : dir, l->m);
		return;
	}
	if (!there && errno != ENOENT) {
		dr_unread(l->d, "%s: %s", dir, strerror(errno));
		return;
	}
	dr_find(l->d, DR_ERROR, "database", "%s: its folder %s %s", l->path, dir,
		there ? "cannot be written by ctflowd's user" : "is not there");
	dr_fix(l->d, "install -d -o %s %s", *l->d->user ? l->d->user : "root",
	       dr_word(word, dir));
}

static bool
beside(const struct look *l, const char *suffix, struct stat *ret)
{
	char path[DR_WORD];

	snprintf(path, sizeof(path), "%s%s", l->path, suffix);
	return stat(path, ret) == 0;
}

static void
see_owner(struct look *l)
{
	struct stat wal, shm;
	bool has_wal = beside(l, "-wal", &wal), has_shm = beside(l, "-shm", &shm);
	char word[DR_WORD];

	dr_word(word, l->path);
	if (!dr_may(l->d, l->path, R_OK | W_OK)) {
		dr_find(l->d, DR_ERROR, "database-owner",
			"%s cannot be written by ctflowd's user %s", l->path, l->d->user);
		dr_fix(l->d, "chown %s %s", l->d->user, word);
	}
	if ((has_wal && wal.st_uid != l->st.st_uid) ||
	    (has_shm && shm.st_uid != l->st.st_uid)) {
		dr_find(l->d, DR_ERROR, "database-owner",
			"%s: its files -wal and -shm belong to somebody else than the "
			"database, so "
			"ctflowd or readers cannot use it",
			l->path);
		if (has_wal && has_shm)
			dr_fix(l->d, "chown --reference=%s %s-wal %s-shm", word, word, word);
		else
			dr_fix(l->d, "chown --reference=%s %s%s", word, word,
			       has_wal ? "-wal" : "-shm");
	}
	if (has_wal && wal.st_size > WAL_BIG && wal.st_size > l->st.st_size / 4) {
		dr_find(l->d, DR_WARNING, "database-wal",
			"%s: %lld MiB wait in its -wal, because some reader has never let go "
			"of an "
			"old state",
			l->path, (long long)(wal.st_size >> 20));
		dr_fix(l->d, "sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)'", word);
	}
}

/* ---- what is in it ----------------------------------------------------------------------- */

static bool
number(const struct look *l, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	bool found = sqlite3_prepare_v2(l->db, sql, -1, &st, NULL) == SQLITE_OK &&
		     sqlite3_step(st) == SQLITE_ROW &&
		     sqlite3_column_type(st, 0) != SQLITE_NULL;

	if (found)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return found;
}

static void
set_aside(struct look *l)
{
	char word[DR_WORD];

	dr_word(word, l->path);
	dr_fix(l->d, "mv %s %s.aside && rm -f %s-wal %s-shm%s", word, word, word, word,
	       dr_restart(l->d));
}

static bool
see_version(struct look *l)
{
	int64_t version;

	if (!number(l,
		    "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'version'"
		    " AND EXISTS(SELECT 1 FROM meta WHERE key = 'format'"
		    " AND value = 'ctflowd')",
		    &version))
		return false;
	if (version <= Q_SCHEMA)
		return true;
	dr_find(l->d, DR_ERROR, "database-version",
		"%s was made by a newer ctflowd (schema %lld, this one knows %d), so this one "
		"does "
		"not write to it; a fresh one is begun when it is set aside",
		l->path, (long long)version, Q_SCHEMA);
	set_aside(l);
	return false;
}

static void
see_backlog(struct look *l)
{
	int64_t rows;

	if (!number(l, "SELECT total(rows) FROM partitions WHERE state = 'closed'", &rows) ||
	    rows < BACKLOG)
		return;
	dr_find(l->d, DR_WARNING, "database-index",
		"%s: %lld rows have no index yet, so searches are slow; ctflowd makes it when "
		"it "
		"has time",
		l->path, (long long)rows);
	if (!l->d->running) {
		char *start = dr_start(l->d);

		if (start)
			dr_fix(l->d, "%s", start);
		free(start);
	}
}

/* 0 is what is so without it. */
static bool
says(const struct st_member *m, const char *key)
{
	const char *value = st_value(m, key, "0");

	return strcmp(value, "0") != 0 && *value;
}

static void
see_retention(struct look *l)
{
	if (says(l->m, "keep") || says(l->m, "max_size") || l->st.st_size < BIG ||
	    strcmp(st_value(l->m, "profile", ""), "rollup") == 0)
		return;
	dr_find(l->d, DR_NOTE, "database-retention",
		"%s has %lld MiB and grows without end: nothing says for how long flows are "
		"kept",
		l->path, (long long)(l->st.st_size >> 20));
	dr_fix_option(l->d, l->m, "keep", "90d");
}

/* ---- damage ---------------------------------------------------------------------------------- */

static int
long_enough(void *look)
{
	const struct look *l = look;

	return ctf_mono_ms() > l->until_ms || q_cancelled(l->d->q);
}

static void
say_damaged(struct look *l, const char *what)
{
	dr_find(l->d, DR_ERROR, "database-damage",
		"%s is damaged (%.200s); set aside, a fresh one is begun, and \"sqlite3 "
		"%s.aside "
		".recover\" gets out what can be read",
		l->path, what, l->path);
	set_aside(l);
}

/* The first thing wrong, if it is found in time. */
static void
see_damage(struct look *l)
{
	sqlite3_stmt *st = NULL;
	const char *text;
	int rc;

	l->until_ms = ctf_mono_ms() + CHECK_MS;
	sqlite3_progress_handler(l->db, STEPS, long_enough, l);
	rc = sqlite3_prepare_v2(l->db, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 0);
		if (text && strcmp(text, "ok") != 0 && ctf_mono_ms() < l->until_ms)
			say_damaged(l, text);
	} else if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) {
		say_damaged(l, sqlite3_errstr(rc));
	}
	sqlite3_finalize(st);
	sqlite3_progress_handler(l->db, 0, NULL, NULL);
}

static void
see_inside(struct look *l)
{
	int rc = sqlite3_open_v2(l->path, &l->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
				 NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(l->db, BUSY_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(l->db, "SELECT count(*) FROM sqlite_master", NULL, NULL,
				  NULL);
	rc &= 0xff;
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) {
		say_damaged(l, sqlite3_errstr(rc));
	} else if (rc != SQLITE_OK) {
		dr_unread(l->d, "%s: %s", l->path, sqlite3_errstr(rc));
	} else {
		see_damage(l);
		if (see_version(l))
			see_backlog(l);
	}
	sqlite3_close(l->db);
}

/* ---- each of them ------------------------------------------------------------------------------ */

static void
see_database(struct doctor *d, const struct st_member *m, const char *path)
{
	struct look l = { .d = d, .m = m, .path = path };

	see_folder(&l);
	if (stat(path, &l.st) < 0) {
		if (errno != ENOENT)
			dr_unread(d, "%s: %s", path, strerror(errno));
		return; /* it will be made */
	}
	see_owner(&l);
	see_retention(&l);
	if (access(path, R_OK) < 0)
		dr_unread(d, "%s: %s", path, strerror(errno));
	else
		see_inside(&l);
}

void
dr_check_databases(struct doctor *d)
{
	for (unsigned i = 0; i < d->conf.n; i++) {
		const struct st_member *m = &d->conf.members[i];
		const char *path = st_is(m, "SQLITE3") ? st_value(m, "db", NULL) : NULL;
		bool again = false;

		for (unsigned k = 0; path && k < i; k++)
			again |= st_is(&d->conf.members[k], "SQLITE3") &&
				 strcmp(st_value(&d->conf.members[k], "db", ""), path) == 0;
		if (path && !again)
			see_database(d, m, path);
	}
}
