/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "pidfile.h"
#include "unit.h"

#define PATH "test.pid"

static long
content(void)
{
	FILE *f = fopen(PATH, "r");
	long pid = -1;

	ck_assert_ptr_nonnull(f);
	if (fscanf(f, "%ld\n", &pid) != 1)
		pid = -1;
	fclose(f);
	return pid;
}

START_TEST(written_locked_removed)
{
	int fd, other;

	ck_assert_int_eq(pidfile_open(PATH, &fd), 0);
	ck_assert_int_eq(pidfile_write(fd), 0);
	ck_assert_int_eq(content(), getpid());
	ck_assert_int_eq(pidfile_open(PATH, &other), -EEXIST);
	pidfile_remove(PATH, fd);
	ck_assert_int_ne(access(PATH, F_OK), 0);
}
END_TEST

START_TEST(stale_is_replaced)
{
	int fd;

	unit_write(PATH, "999999999999\n");
	ck_assert_int_eq(pidfile_open(PATH, &fd), 0);
	ck_assert_int_eq(pidfile_write(fd), 0);
	ck_assert_int_eq(content(), getpid());
	pidfile_remove(PATH, fd);
}
END_TEST

/* Taken by the caller, kept by the daemon that it forks. */
START_TEST(the_lock_outlives_the_parent)
{
	int fd, other, p[2];
	char c;
	pid_t child;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(pidfile_open(PATH, &fd), 0);
	child = fork();
	if (child == 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) == 0 ? 0 : 1);
	}
	close(fd);
	ck_assert_int_eq(pidfile_open(PATH, &other), -EEXIST);
	close(p[1]);
	waitpid(child, NULL, 0);
	ck_assert_int_eq(pidfile_open(PATH, &other), 0);
	pidfile_remove(PATH, other);
}
END_TEST

START_TEST(no_such_folder)
{
	int fd;

	ck_assert_int_eq(pidfile_open("no/such/folder/pid", &fd), -ENOENT);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, written_locked_removed);
	tcase_add_test(t, stale_is_replaced);
	tcase_add_test(t, the_lock_outlives_the_parent);
	tcase_add_test(t, no_such_folder);
}

int
main(void)
{
	return unit_main("pidfile", add_tests);
}
