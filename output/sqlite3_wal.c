/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the WAL is copied into the file, by a thread and a connection of its
 * own, for a copy waits for the disk and rows should not.  It can be begun anew
 * when a transaction begins and all of it has been copied, so where transactions
 * follow each other closely there must be a pause now and then: upkeep leaves
 * one, and in the end so does delivering.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "sqlite3_db.h"

#define LONG 1000      /* pages in the WAL: they are copied, */
#define TOO_LONG 4000  /* and waited for, */
#define PAGES_A_MS 200 /* the longer the more there are */
#define UPKEEP_WAITS_MS 15
#define STEP_MS 2

struct sq_wal {
	sqlite3 *db;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t asked, done; /* under the lock, as all that follows */
	bool end;
};

/* ---- the thread ---------------------------------------------------------------- */

static void *
copy(void *arg)
{
	struct sq_wal *w = arg;
	uint64_t asked;

	pthread_mutex_lock(&w->lock);
	while (!w->end) {
		if (w->done == w->asked) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		asked = w->asked;
		pthread_mutex_unlock(&w->lock);
		sqlite3_wal_checkpoint_v2(w->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		pthread_mutex_lock(&w->lock);
		w->done = asked;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static bool
conn_open(const struct sq_sink *s, struct sq_wal *w)
{
	int rc = sqlite3_open_v2(sqlite3_db_filename(s->db, "main"), &w->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	/* Without having read anything it would not know that there is a WAL. */
	return rc == SQLITE_OK && sqlite3_exec(w->db,
					       "PRAGMA synchronous=NORMAL;PRAGMA cache_size=10;"
					       "SELECT 1 FROM sqlite_master LIMIT 1",
					       NULL, NULL, NULL) == SQLITE_OK;
}

/* NULL: it has to be done without. */
static struct sq_wal *
wal_new(const struct sq_sink *s)
{
	struct sq_wal *w = sqlite3_threadsafe() ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	if (conn_open(s, w) && pthread_create(&w->thread, NULL, copy, w) == 0)
		return w;
	sqlite3_close(w->db);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

/* ---- the sink ------------------------------------------------------------------ */

static int
on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sq_sink *s = arg;

	s->wal_pages = pages;
	return SQLITE_OK;
}

void
sq_wal_watch(struct sq_sink *s)
{
	sqlite3_wal_hook(s->db, on_wal, s);
}

static bool
is_copied(struct sq_wal *w)
{
	bool is;

	pthread_mutex_lock(&w->lock);
	is = w->done == w->asked;
	pthread_mutex_unlock(&w->lock);
	return is;
}

/* What it was asked for, unless that takes longer or the core wants an end. */
static void
wait_for(struct sq_sink *s, uint64_t ms)
{
	uint64_t until = ctf_mono_ms() + ms;

	while (!is_copied(s->wal) && ctf_mono_ms() < until)
		if (ctf_wait(s->obj.ctx, -1, 0, STEP_MS) == -EINTR)
			return;
}

void
sq_checkpoint(struct sq_sink *s)
{
	int pages = s->wal_pages;

	s->wal_pages = 0;
	if (pages < LONG)
		return;
	if (!s->wal && !(s->wal = wal_new(s))) {
		sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		return;
	}
	pthread_mutex_lock(&s->wal->lock);
	s->wal->asked++;
	pthread_cond_signal(&s->wal->wake);
	pthread_mutex_unlock(&s->wal->lock);
	if (pages >= TOO_LONG)
		wait_for(s, (uint64_t)pages / PAGES_A_MS);
}

void
sq_wal_pause(struct sq_sink *s)
{
	if (s->wal)
		wait_for(s, UPKEEP_WAITS_MS);
}

void
sq_wal_close(struct sq_sink *s)
{
	struct sq_wal *w = s->wal;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->end = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	sqlite3_close(w->db);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
	s->wal = NULL;
}
