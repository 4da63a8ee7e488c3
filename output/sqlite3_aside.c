/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: a damaged database is set aside under a new name, with its WAL, for
 * whoever wants to recover what is in it, and a fresh one is begun.  Only one
 * of our making: anything else that cannot be read is a mistake of db=.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sqlite3_db.h"

#define HEAD 100u
#define APPLICATION_AT 68 /* in the header: PRAGMA application_id */

bool
sq_is_damage(int rc)
{
	rc &= 0xff;
	return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
}

/* The first page may be what is damaged: overwritten with zeros by a power cut. */
static bool
head_is_ours(const uint8_t *head)
{
	static const uint8_t none[HEAD];

	return memcmp(head + APPLICATION_AT, "ctfl", 4) == 0 || memcmp(head, none, HEAD) == 0;
}

/* By SQLite's own descriptor: closing another would drop the locks on the file. */
static bool
is_ours(sqlite3 *db)
{
	uint8_t head[HEAD];
	sqlite3_file *f = NULL;

	sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	return f && f->pMethods && f->pMethods->xRead(f, head, HEAD, 0) == SQLITE_OK &&
	       head_is_ours(head);
}

/*
 * A sink of this process may have the database open: SQLite puts off closing a
 * descriptor while there are locks, which would go with it.
 */
bool
sq_read_head(const char *path, void *p, int n)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	char name[4096 + 2] = "";
	sqlite3_file *f = vfs ? calloc(1, (size_t)vfs->szOsFile) : NULL;
	bool ok = false;

	if (f && vfs->xFullPathname(vfs, path, (int)sizeof(name) - 2, name) == SQLITE_OK &&
	    vfs->xOpen(vfs, name, f, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, NULL) ==
		    SQLITE_OK) {
		ok = f->pMethods->xRead(f, p, n, 0) == SQLITE_OK;
		f->pMethods->xClose(f);
	}
	free(f);
	return ok;
}

bool
sq_path_is_ours(const char *path)
{
	uint8_t head[HEAD];

	return sq_read_head(path, head, sizeof(head)) && head_is_ours(head);
}

static void
name_choose(const char *path, char *ret_name, size_t size)
{
	time_t now = (time_t)(ctf_now() / 1000000000);
	char when[32] = "";
	struct tm tm;
	int n;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	n = snprintf(ret_name, size, "%s.damaged-%s", path, when);
	for (unsigned i = 2; n > 0 && (size_t)n + 8 < size && access(ret_name, F_OK) == 0; i++)
		snprintf(ret_name + n, size - (size_t)n, "-%u", i);
}

static int
move(const char *path, const char *name, const char *suffix)
{
	char from[4200], to[4200];

	snprintf(from, sizeof(from), "%s%s", path, suffix);
	snprintf(to, sizeof(to), "%s%s", name, suffix);
	return rename(from, to) < 0 && errno != ENOENT ? -errno : 0;
}

/* The WAL first: without its database it does no harm to a fresh one. */
static int
all_move(const char *path, const char *name)
{
	int r = move(path, name, "-wal");

	if (r == 0)
		r = move(path, name, "-shm");
	return r == 0 ? move(path, name, "") : r;
}

bool
sq_aside(struct sq_sink *s, const char *why)
{
	const char *path = SQ_CONF(s)->db;
	char name[4150];
	int moved = 0, r;

	if (!s->db || s->table.own == SQ_FOREIGN || SQ_CONF(s)->seen.own == SQ_FOREIGN ||
	    (!s->damaged && !is_ours(s->db)))
		return false;
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	s->damaged = false;
	s->aside = true;
	if (moved) /* another output of ours was quicker */
		return true;
	name_choose(path, name, sizeof(name));
	r = all_move(path, name);
	if (r < 0)
		ctf_log(s->obj.ctx, CTF_ERROR, "%s: damaged (%s), and cannot be set aside: %s",
			path, why, strerror(-r));
	else
		ctf_log(s->obj.ctx, CTF_ERROR,
			"%s: damaged (%s): set aside as %s, a fresh one is begun; what is in it"
			" may be saved with: sqlite3 %s .recover",
			path, why, name, name);
	return r == 0;
}
