/* SPDX-License-Identifier: GPL-2.0-or-later */
/* background.c: the caller of -d learns how the start went, and is let go. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background.h"
#include "unit.h"

/* The exit code of a process that goes into the background and then calls fn(). */
static int
code_of(void (*fn)(int report_fd, int arg), int arg)
{
	int st, fd;
	pid_t pid = fork();

	if (pid == 0) {
		if (background_start(&fd))
			_exit(99);
		fn(fd, arg);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert(WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void
report(int fd, int code)
{
	background_done(fd, code);
}

static void
leave(int fd, int code)
{
	_exit(code);
}

static void
die(int fd, int sig)
{
	raise(sig);
}

START_TEST(the_caller_gets_the_code)
{
	ck_assert_int_eq(code_of(report, 0), 0);
	ck_assert_int_eq(code_of(report, 1), 1);
	ck_assert_int_eq(code_of(report, 7), 7);
}
END_TEST

START_TEST(death_is_an_error)
{
	ck_assert_int_eq(code_of(leave, 0), 1);
	ck_assert_int_eq(code_of(leave, 3), 1);
	ck_assert_int_eq(code_of(die, SIGKILL), 1);
}
END_TEST

static bool
is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Says through a pipe (arg) whether it let go of the terminal. */
static void
lets_go(int fd, int arg)
{
	char ok;

	background_done(fd, 0);
	ok = is_null(0) && is_null(1) && is_null(2) && getsid(0) == getpid();
	if (write(arg, &ok, 1) != 1)
		_exit(1);
}

static void
keeps(int fd, int arg)
{
	char ok;

	background_done(fd, 1);
	ok = !is_null(2); /* there is something to say to somebody who looks */
	if (write(arg, &ok, 1) != 1)
		_exit(1);
}

START_TEST(the_terminal)
{
	int p[2];
	char ok = 0;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(code_of(lets_go, p[1]), 0);
	ck_assert_int_eq(read(p[0], &ok, 1), 1);
	ck_assert(ok);
	if (!is_null(2)) {
		ck_assert_int_eq(code_of(keeps, p[1]), 1);
		ck_assert_int_eq(read(p[0], &ok, 1), 1);
		ck_assert(ok);
	}
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(in_the_foreground_nothing_happens)
{
	background_done(-1, 0);
	ck_assert_int_eq(fcntl(1, F_GETFD), 0);
}
END_TEST

/* Closed by the caller: the files opened later must not get these numbers. */
START_TEST(closed_descriptors)
{
	pid_t pid = fork();
	int st;

	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		background_fill_fds();
		_exit(is_null(0) && is_null(1) && is_null(2) && open("/dev/zero", O_RDONLY) > 2
			      ? 0
			      : 1);
	}
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert_int_eq(st, 0);
}
END_TEST

START_TEST(open_descriptors_stay)
{
	struct stat before, after;
	int next = open("/dev/zero", O_RDONLY);

	close(next);
	ck_assert_int_eq(fstat(2, &before), 0);
	background_fill_fds();
	ck_assert_int_eq(fstat(2, &after), 0);
	ck_assert(before.st_ino == after.st_ino && before.st_rdev == after.st_rdev);
	ck_assert_int_eq(open("/dev/zero", O_RDONLY), next); /* and none is left over */
	close(next);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, the_caller_gets_the_code);
	tcase_add_test(t, death_is_an_error);
	tcase_add_test(t, the_terminal);
	tcase_add_test(t, in_the_foreground_nothing_happens);
	tcase_add_test(t, closed_descriptors);
	tcase_add_test(t, open_descriptors_stay);
}

int
main(void)
{
	return unit_main("background", add_tests);
}
