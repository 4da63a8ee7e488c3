/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: a long WAL is copied into the file while rows go on. */
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sqlite3_help.h"
#include "unit.h"

#define LONG "12000000"     /* bytes of more pages than may be in the WAL uncopied, */
#define TOO_LONG "80000000" /* or than may go on growing */

/* ---- a disk that stands still for the database, not for the WAL -------------------- */

static struct {
	const sqlite3_vfs *real;
	const sqlite3_io_methods *real_methods;
	sqlite3_io_methods methods;
	sqlite3_vfs vfs;
	pthread_t sink;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool still, waiting, sink_would; /* somebody waits; the sink would have to */
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static int
disk_sync(sqlite3_file *f, int flags)
{
	bool sink = pthread_equal(pthread_self(), disk.sink);

	pthread_mutex_lock(&disk.lock);
	disk.sink_would |= disk.still && sink;
	while (disk.still && !sink) {
		disk.waiting = true;
		pthread_cond_broadcast(&disk.wake);
		pthread_cond_wait(&disk.wake, &disk.lock);
	}
	disk.waiting = false;
	pthread_mutex_unlock(&disk.lock);
	return disk.real_methods->xSync(f, flags);
}

static void
disk_stop(void)
{
	pthread_mutex_lock(&disk.lock);
	disk.still = true;
	pthread_mutex_unlock(&disk.lock);
}

/* Not before somebody waits for it. */
static void
disk_go(void)
{
	pthread_mutex_lock(&disk.lock);
	while (!disk.waiting && !disk.sink_would)
		pthread_cond_wait(&disk.wake, &disk.lock);
	ck_assert(!disk.sink_would);
	disk.still = false;
	pthread_cond_broadcast(&disk.wake);
	pthread_mutex_unlock(&disk.lock);
}

static int
disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	int rc = disk.real->xOpen(vfs, name, f, flags, ret_flags);

	if (rc == SQLITE_OK && flags & SQLITE_OPEN_MAIN_DB)
		f->pMethods = &disk.methods;
	return rc;
}

/* After the database was made, which has its WAL by now. */
static void
disk_use(void)
{
	sqlite3_file *f;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(db_path(), &db), SQLITE_OK);
	sqlite3_exec(db, "SELECT 1 FROM sqlite_master", NULL, NULL, NULL);
	sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	disk.real = sqlite3_vfs_find(NULL);
	disk.real_methods = f->pMethods;
	disk.methods = *f->pMethods;
	disk.methods.xSync = disk_sync;
	disk.sink = pthread_self();
	disk.vfs = *disk.real;
	disk.vfs.zName = "disk";
	disk.vfs.xOpen = disk_open;
	sqlite3_vfs_register(&disk.vfs, 1);
	sqlite3_close(db);
}

/* So many bytes that somebody else wrote. */
static void
wal_grow(const char *bytes)
{
	char sql[300];

	snprintf(sql, sizeof(sql),
		 "PRAGMA wal_autocheckpoint = 0; CREATE TABLE IF NOT EXISTS x(a);"
		 " INSERT INTO x VALUES(zeroblob(%s))",
		 bytes);
	db_exec(sql);
}

static void
row_put(struct plug *p, unsigned n)
{
	flow_put(p, n);
	deliver_ok(p);
}

static void
ck_file_grows(double bytes)
{
	double until = unit_seconds(CLOCK_MONOTONIC) + 20;
	struct stat st = { 0 };

	while (stat(db_path(), &st) == 0 && (double)st.st_size < bytes &&
	       unit_seconds(CLOCK_MONOTONIC) < until)
		usleep(20000);
	ck_assert_double_ge((double)st.st_size, bytes);
}

/* The WAL is begun anew by one of the next rows. */
static unsigned
ck_wal_anew(struct plug *p, unsigned n)
{
	int busy, pages = 5000, copied;
	double until = unit_seconds(CLOCK_MONOTONIC) + 20;

	while (pages > 500 && unit_seconds(CLOCK_MONOTONIC) < until) {
		usleep(20000);
		row_put(p, n++);
		sscanf(db_query("PRAGMA wal_checkpoint"), "%d|%d|%d", &busy, &pages, &copied);
	}
	ck_assert_int_le(pages, 500);
	return n;
}

static void
ck_flows(unsigned n)
{
	char want[20];

	snprintf(want, sizeof(want), "%u", n);
	ck_query("SELECT count(*) FROM flows", want);
}

static struct plug *
disk_plug(void)
{
	struct plug *p = db_plug("flows", "");

	row_put(p, 0);
	plug_close(p);
	disk_use();
	row_put(p, 1);
	return p;
}

START_TEST(rows_do_not_wait)
{
	struct plug *p = disk_plug();

	wal_grow(LONG);
	disk_stop();
	row_put(p, 2);
	row_put(p, 3);
	disk_go();
	ck_file_grows(12e6);
	plug_free(p);
	ck_query("PRAGMA integrity_check; SELECT count(*) FROM flows", "ok\n4");
	ck_assert_int_lt(access(db_beside("-wal"), F_OK), 0);
}
END_TEST

/* But not for ever, nor do they let it grow without end. */
START_TEST(rows_wait_a_little)
{
	struct plug *p = disk_plug();
	double begin;

	wal_grow(TOO_LONG);
	disk_stop();
	begin = unit_seconds(CLOCK_MONOTONIC);
	row_put(p, 2);
	ck_assert_double_ge(unit_seconds(CLOCK_MONOTONIC) - begin, 0.02);
	disk_go();
	plug_free(p);
	ck_query("PRAGMA integrity_check; SELECT count(*) FROM flows", "ok\n3");
}
END_TEST

START_TEST(begun_anew)
{
	struct plug *p = db_plug("flows", "");
	unsigned n = 1;

	row_put(p, 0);
	for (unsigned i = 0; i < 3; i++) {
		wal_grow(LONG);
		row_put(p, n++);
		ck_file_grows(12e6 * (i + 1));
		n = ck_wal_anew(p, n);
	}
	plug_free(p);
	ck_flows(n);
}
END_TEST

/* What a reader still needs stays; rows come all the same. */
START_TEST(reader_meanwhile)
{
	struct plug *p = db_plug("flows", "");
	sqlite3 *reader;

	row_put(p, 0);
	ck_assert_int_eq(sqlite3_open(db_path(), &reader), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT * FROM flows", NULL, NULL, NULL),
			 SQLITE_OK);
	wal_grow(TOO_LONG);
	for (unsigned i = 1; i < 10; i++)
		row_put(p, i);
	ck_assert_int_eq(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	ck_flows(ck_wal_anew(p, 10));
	sqlite3_close(reader);
	plug_free(p);
}
END_TEST

/* All that was stored goes with the file, whatever was being copied. */
START_TEST(moved_meanwhile)
{
	struct plug *p = disk_plug();
	struct ctf_err err;

	wal_grow(LONG);
	disk_stop();
	row_put(p, 2);
	ck_assert_int_eq(rename(db_path(), db_beside(".old")), 0);
	disk_go();
	flow_put(p, 3);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	plug_close(p);
	deliver_ok(p);
	ck_query("SELECT id FROM flows", "3");
	plug_free(p);
	ck_assert_int_eq(rename(db_beside(".old"), db_path()), 0);
	ck_query("PRAGMA integrity_check; SELECT count(*), max(id) FROM flows", "ok\n3|2");
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, rows_do_not_wait);
	tcase_add_test(t, rows_wait_a_little);
	tcase_add_test(t, begun_anew);
	tcase_add_test(t, reader_meanwhile);
	tcase_add_test(t, moved_meanwhile);
}

int
main(void)
{
	return unit_main("sqlite3_wal", add_tests);
}
