/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 when the file, the disk or another process is in the way. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "queue.h"
#include "sqlite3_help.h"
#include "unit.h"

static sqlite3 *
other_open(const char *sql)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(db_path(), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void
other_end(sqlite3 *db, const char *sql)
{
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(locked_delays_only)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;
	sqlite3 *other;
	double start;

	flows_put(p, 0, 10);
	deliver_ok(p);
	other = other_open("BEGIN EXCLUSIVE");
	flows_put(p, 10, 20);
	plug_seal(p);
	start = unit_seconds(CLOCK_MONOTONIC);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN);
	ck_assert_double_lt(unit_seconds(CLOCK_MONOTONIC) - start, 2);
	plug_interrupt(p);
	start = unit_seconds(CLOCK_MONOTONIC);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN);
	ck_assert_double_lt(unit_seconds(CLOCK_MONOTONIC) - start, 0.2);
	ck_assert_uint_eq(plug_pending(p), 1);
	other_end(other, "COMMIT");
	deliver_ok(p);
	ck_query("SELECT count(*), count(DISTINCT id) FROM flows", "20|20");
	plug_free(p);
}
END_TEST

/* The table cannot be looked at when we start: what it takes is known later. */
START_TEST(locked_at_start)
{
	static const struct {
		const char *make, *query, *want;
	} t[] = {
		{ "CREATE TABLE flows(ct_id INT, ct_mark INT, orig_ip_saddr TEXT)",
		  "SELECT * FROM flows", "7|0|10.77.0.1" },
		{ "CREATE TABLE x(a)", "SELECT id, mark, src, destroy_ns FROM flows",
		  "7|0|10.77.0.1|1795238256698547123" },
	};
	struct ctf_gap g = { T0, T0, 1, CTF_EXACT, "overrun", "ct1", -1 };
	struct ctf_err err;
	struct plug *p;
	sqlite3 *other;
	double start;

	for (unsigned i = 0; i < 2; i++) {
		unlink(db_path());
		db_exec(t[i].make);
		other = other_open("BEGIN EXCLUSIVE");
		start = unit_seconds(CLOCK_MONOTONIC);
		p = db_plug("flows", "");
		ck_assert_double_lt(unit_seconds(CLOCK_MONOTONIC) - start, 2);
		flow_put(p, 7);
		ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
		plug_seal(p);
		ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
		ck_assert_ptr_nonnull(strstr(err.msg, "locked"));
		other_end(other, "COMMIT");
		deliver_ok(p);
		ck_query(t[i].query, t[i].want);
		plug_free(p);
	}
}
END_TEST

START_TEST(reader_meanwhile)
{
	struct plug *p = db_plug("flows", "");
	sqlite3 *reader;

	flows_put(p, 0, 10);
	deliver_ok(p);
	reader = other_open("BEGIN; SELECT count(*) FROM flows");
	for (unsigned i = 1; i < 20; i++) {
		flows_put(p, 1000 * i, 1000 * i + 1000);
		deliver_ok(p);
	}
	ck_query("SELECT count(*) FROM flows", "19010");
	other_end(reader, "COMMIT");
	plug_free(p);
}
END_TEST

static void
file_write(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, p, n, 0), (ssize_t)n);
	close(fd);
}

static void
try_fails(const char *path, const char *with)
{
	char options[256];
	struct ctf_err err;

	snprintf(options, sizeof(options), "db=%s\ntable=flows\n", path);
	ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
	ck_assert_msg(strstr(err.msg, path) && strstr(err.msg, with), "%s", err.msg);
}

START_TEST(bad_paths)
{
	static const char junk[] =
		"This is no database, whatever its name may be. It only is a "
		"text that is longer than the header of one, that is 100 bytes.";
	char path[160];

	file_write(db_path(), junk, sizeof(junk));
	try_fails(db_path(), "not a database");
	snprintf(path, sizeof(path), "%s/x", db_path());
	try_fails(path, "Not a directory");
	snprintf(path, sizeof(path), "%s.d/x", db_path());
	try_fails(path, "No such file");
	try_fails("/", "not a regular file");
	try_fails(":memory:", "not the name of a file");
	try_fails("file:x", "not the name of a file");
}
END_TEST

/* A file spoiled while we run: said, retried, nothing lost. */
START_TEST(spoiled_meanwhile)
{
	char whole[100], zero[100] = "";
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;
	int fd;

	flow_put(p, 1);
	deliver_ok(p);
	plug_close(p);
	fd = open(db_path(), O_RDONLY);
	ck_assert_int_eq(read(fd, whole, sizeof(whole)), sizeof(whole));
	close(fd);
	memset(zero, 'x', sizeof(zero));
	file_write(db_path(), zero, sizeof(zero));
	flow_put(p, 2);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "not a database"));
	ck_assert_ptr_nonnull(strstr(err.msg, db_path()));
	file_write(db_path(), whole, sizeof(whole));
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows", "2");
	plug_free(p);
}
END_TEST

START_TEST(not_writable)
{
	bool root = geteuid() == 0;
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;

	flow_put(p, 1);
	deliver_ok(p);
	plug_close(p);
	flow_put(p, 2);
	plug_seal(p);
	ck_assert_int_eq(chmod(db_path(), 0444), 0);
	ck_assert(!root || setresuid(65534, 65534, 0) == 0);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_msg(strstr(err.msg, "Permission denied") && strstr(err.msg, db_path()), "%s",
		      err.msg);
	try_fails(db_path(), "Permission denied");
	ck_assert(!root || setresuid(0, 0, 0) == 0);
	ck_assert_int_eq(chmod(db_path(), 0640), 0);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows", "2");
	plug_free(p);
}
END_TEST

/* As with -u and a folder of root's. */
START_TEST(folder_not_writable)
{
	bool root = geteuid() == 0;
	struct ctf_err err;
	char folder[160];
	struct plug *p;

	snprintf(folder, sizeof(folder), "%s", db_path());
	*strrchr(folder, '/') = '\0';
	db_exec("CREATE TABLE t(ct_id INT)");
	p = db_plug("t", "");
	flow_put(p, 1);
	deliver_ok(p);
	flow_put(p, 2);
	plug_seal(p);
	ck_assert_int_eq(chmod(folder, 0555), 0);
	ck_assert(!root || setresuid(65534, 65534, 0) == 0);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_msg(strstr(err.msg, "folder") && strstr(err.msg, db_path()), "%s", err.msg);
	ck_assert(!root || setresuid(0, 0, 0) == 0);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	deliver_ok(p);
	ck_query("SELECT * FROM t", "1\n2");
	plug_free(p);
}
END_TEST

/* libcheck's own file must not end in half a message: what it would say goes away. */
static void
reports_silence(void)
{
	int null = open("/dev/null", O_WRONLY);
	struct stat st;

	for (int fd = 3; fd < 256; fd++)
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			dup2(null, fd);
}

/* A real full disk where root can make one, else the limit on file size. */
static bool
small_disk(const char *dir)
{
	if (unshare(CLONE_NEWNS) < 0)
		return false;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", dir, "tmpfs", 0, "size=1m") == 0;
}

static void
disk_full(bool full, const char *dir)
{
	struct rlimit lim = { full ? 1 << 20 : RLIM_INFINITY, RLIM_INFINITY };

	if (!dir)
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &lim), 0);
	else if (!full)
		ck_assert_int_eq(mount("none", dir, NULL, MS_REMOUNT, "size=64m"), 0);
}

START_TEST(full_disk)
{
	char dir[128], *slash;
	struct ctf_err err = { 0 };
	enum ctf_sent sent;
	struct plug *p;
	bool disk;

	signal(SIGXFSZ, SIG_IGN);
	snprintf(dir, sizeof(dir), "%s", db_path());
	slash = strrchr(dir, '/');
	*slash = '\0';
	disk = small_disk(dir);
	if (!disk)
		reports_silence(); /* they are a file, too */
	disk_full(true, disk ? dir : NULL);
	p = db_plug("flows", "");
	for (unsigned i = 0; i < 40; i++) {
		flows_put(p, 1000 * i, 1000 * i + 1000);
		plug_seal(p);
	}
	sent = plug_deliver(p, &err);
	ck_assert_int_eq(sent, CTF_RETRY);
	ck_assert_msg(strstr(err.msg, db_path()), "%s", err.msg);
	if (disk)
		ck_assert_msg(strstr(err.msg, "full"), "%s", err.msg);
	plug_close(p);
	plug_deliver(p, &err);
	plug_close(p);
	disk_full(false, disk ? dir : NULL);
	deliver_ok(p);
	ck_query("PRAGMA integrity_check; SELECT count(*), count(DISTINCT id) FROM flows",
		 "ok\n40000|40000");
	plug_free(p);
	if (disk)
		umount2(dir, MNT_DETACH);
}
END_TEST

/* What fails in the sums, rows and all, leaves nothing of the group behind. */
START_TEST(sums_fail)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;

	flow_put(p, 0);
	deliver_ok(p);
	db_exec("CREATE TRIGGER no AFTER UPDATE ON flows_minute_1 BEGIN SELECT RAISE(FAIL, "
		"'no');"
		" END");
	flows_put(p, 1, 100);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_query("SELECT count(*) FROM flows; SELECT sum(flows) FROM flows_minute", "1\n1");
	db_exec("DROP TRIGGER no");
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows; SELECT sum(flows) FROM flows_minute", "100\n100");
	plug_free(p);
}
END_TEST

START_TEST(file_moved)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;

	flow_put(p, 1);
	deliver_ok(p);
	ck_assert_int_eq(rename(db_path(), db_beside(".old")), 0);
	flow_put(p, 2);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "moved or deleted"));
	plug_close(p);
	deliver_ok(p);
	ck_query("SELECT id FROM flows", "2");
	plug_free(p);
	/* What is in the old one stays there. */
	ck_assert_int_eq(rename(db_beside(".old"), db_path()), 0);
	ck_query("PRAGMA integrity_check; SELECT id FROM flows", "ok\n1");
}
END_TEST

/* Ten frames of 100 flows in a group, until killed. */
static void
write_for_ever(void)
{
	struct plug *p;

	reports_silence();
	p = db_plug("flows", "");
	for (unsigned i = 0;; i++) {
		flows_put(p, 100 * i, 100 * i + 100);
		plug_seal(p);
		if (i % 10 == 9)
			deliver_ok(p);
	}
}

START_TEST(killed)
{
	unsigned rows;
	struct plug *p;
	pid_t pid;

	for (unsigned round = 0; round < 5; round++) {
		pid = fork();
		if (pid == 0)
			write_for_ever();
		for (unsigned i = 0; i < 1000 && db_rows_now() == 0; i++)
			usleep(20000);
		usleep(30000 * round);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		ck_query("PRAGMA integrity_check", "ok");
		rows = (unsigned)atoi(db_query("SELECT count(*) FROM flows"));
		ck_assert_uint_gt(rows, 0);
		/* All ten frames, or what of them ended the core's group. */
		ck_assert(rows % 1000 == 0 || rows % (100 * GROUP) == 0);
	}
	/* What had not been settled comes again, and what had been with it. */
	p = db_plug("flows", "");
	flows_put(p, rows - 1000, rows + 1000);
	deliver_ok(p);
	ck_assert_uint_eq((unsigned)atoi(db_query("SELECT count(*) FROM flows")), rows + 1000);
	plug_free(p);
}
END_TEST

static void
damage(const struct ctf_frame *f, uint32_t at, uint8_t with)
{
	f->p[at % f->len] ^= with;
}

START_TEST(broken_frame)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err;

	for (unsigned i = 0; i < 3; i++) {
		flows_put(p, 10 * i, 10 * i + 10);
		if (i == 1)
			damage(plug_seal(p), 0, 0xff);
		else
			plug_seal(p);
	}
	ck_assert_int_eq(plug_deliver(p, &err), CTF_POISON);
	ck_assert_uint_eq(plug_pending(p), 2);
	plug_rewind(p, 2);
	deliver_ok(p);
	ck_query("SELECT count(*), max(id) FROM flows", "20|29");
	plug_free(p);
}
END_TEST

/* Whatever a frame holds, it is stored or given up. */
START_TEST(random_frames)
{
	static const char foreign[] = "CREATE TABLE flows(orig_ip_saddr TEXT, ct_labels BLOB,"
				      " ct_helper TEXT, orig_l4_sport INT, flow_last_ns TEXT)";
	struct ctf_err err;
	enum ctf_sent sent;
	struct plug *p;

	srand(7);
	for (unsigned round = 0; round < 2; round++) {
		if (round)
			db_exec(foreign);
		p = db_plug("flows", "");
		for (unsigned i = 1; i <= 1000; i++) {
			const struct ctf_frame *f;

			flows_put(p, 3 * i, 3 * i + 3);
			f = plug_seal(p);
			for (int k = rand() % 4; k >= 0; k--)
				damage(f, (uint32_t)rand(), (uint8_t)(1 + rand() % 255));
			sent = plug_deliver(p, &err);
			ck_assert_msg(sent == CTF_SENT || sent == CTF_POISON, "%d %s", sent,
				      err.msg);
			plug_rewind(p, i);
		}
		plug_free(p);
		unlink(db_path());
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, locked_delays_only);
	tcase_add_test(t, locked_at_start);
	tcase_add_test(t, reader_meanwhile);
	tcase_add_test(t, bad_paths);
	tcase_add_test(t, spoiled_meanwhile);
	tcase_add_test(t, not_writable);
	tcase_add_test(t, folder_not_writable);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, sums_fail);
	tcase_add_test(t, file_moved);
	tcase_add_test(t, killed);
	tcase_add_test(t, broken_frame);
	tcase_add_test(t, random_frames);
}

int
main(void)
{
	return unit_main("sqlite3_fault", add_tests);
}
