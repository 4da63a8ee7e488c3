/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state page as another process sees it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"
#include "state_look.h"
#include "unit.h"

#define DIR_NAME "test_state_look.d"
#define CONF "/etc/a.conf"

static void
must_look(struct state_look *l, bool held)
{
	ck_assert_int_eq(state_look_open(l, DIR_NAME, CONF), 0);
	ck_assert_int_eq(l->held, held);
	ck_assert(l->same_boot);
}

static void
fresh(struct state_look *l)
{
	(void)state_look_open(l, DIR_NAME, CONF);
	unlink(l->path);
	state_look_close(l);
	ck_assert_int_eq(state_look_open(l, DIR_NAME, CONF), -ENOENT);
}

/* A daemon, as a process of its own, that has written `n`; ended by closing `go`. */
static pid_t
daemon_with(uint64_t n, int *ret_go)
{
	int ready[2], go[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready) | pipe(go), 0);
	pid = fork();
	if (!pid) {
		bool kept;
		struct state *s;
		uint64_t *u;

		close(go[1]);
		s = state_open(DIR_NAME, CONF, NULL);
		u = state_block(s, "ct1:NFCT pulse", sizeof(*u), &kept);
		if (u)
			*u = n;
		(void)state_block(s, "other", 8, &kept);
		c = u && write(ready[1], "", 1) == 1 && read(go[0], &c, 1) == 0;
		_exit(!c);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	*ret_go = go[1];
	return pid;
}

static void
end(pid_t pid, int go)
{
	int status;

	close(go);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_living_daemon_and_its_remains)
{
	struct state_look l;
	const uint64_t *u;
	char name[16];
	size_t at = 0;
	pid_t pid;
	int go;

	fresh(&l);
	pid = daemon_with(42, &go);
	must_look(&l, true);
	ck_assert_int_eq(l.pid, pid);
	u = state_look_next(&l, &at, " pulse", sizeof(*u), name, sizeof(name));
	ck_assert_ptr_nonnull(u);
	ck_assert_uint_eq(*u, 42);
	ck_assert_str_eq(name, "ct1:NFCT");
	ck_assert_ptr_null(state_look_next(&l, &at, " pulse", sizeof(*u), name, sizeof(name)));
	state_look_close(&l);
	end(pid, go);
	must_look(&l, false);
	u = state_look_block(&l, "ct1:NFCT pulse", sizeof(*u));
	ck_assert_ptr_nonnull(u);
	ck_assert_uint_eq(*u, 42);
	ck_assert_ptr_null(state_look_block(&l, "ct1:NFCT pulse", 4));
	state_look_close(&l);
}
END_TEST

START_TEST(looking_takes_no_lock)
{
	struct state_look l;
	struct state *s;
	pid_t pid;
	int go;

	pid = daemon_with(1, &go);
	must_look(&l, true); /* and closes a descriptor of it, which is not its own */
	state_look_close(&l);
	must_look(&l, true);
	state_look_close(&l);
	ck_assert_ptr_null(state_open(DIR_NAME, CONF, NULL));
	end(pid, go);
	s = state_open(DIR_NAME, CONF, NULL);
	ck_assert_ptr_nonnull(s);
	state_close(s);
}
END_TEST

START_TEST(a_name_that_does_not_fit_is_cut)
{
	struct state_look l;
	char name[5];
	size_t at = 0;
	int go;
	pid_t pid = daemon_with(7, &go);

	end(pid, go);
	must_look(&l, false);
	ck_assert_ptr_nonnull(state_look_next(&l, &at, " pulse", 8, name, sizeof(name)));
	ck_assert_str_eq(name, "ct1:");
	state_look_close(&l);
}
END_TEST

static const struct {
	const char *bytes, *fault;
} bad[] = {
	{ "", "not a state page" },
	{ "ctfstate", "not a state page" },
	{ "something that is long enough to be a page of a daemon, if it were one; but it is "
	  "not, "
	  "and so it is not believed, whatever else it may say about itself or about others, "
	  "however long it goes on saying so, which it does until it is longer than the head "
	  "of "
	  "a page, that has two hundred and more bytes",
	  "not a state page" },
};

START_TEST(what_is_none_is_refused)
{
	struct state_look l;

	fresh(&l);
	unit_write(l.path, bad[_i].bytes);
	ck_assert_int_eq(state_look_open(&l, DIR_NAME, CONF), -EBADMSG);
	ck_assert_str_eq(l.fault, bad[_i].fault);
	ck_assert_ptr_null(state_look_block(&l, "other", 8));
	unlink(l.path);
	state_look_close(&l);
}
END_TEST

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	char c;

	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c ^= 1;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

/* Whatever byte is wrong: refused or not seen, never a crash. */
START_TEST(a_damaged_one)
{
	struct state_look l;
	int go;
	pid_t pid = daemon_with(7, &go);
	bool seen = false;

	end(pid, go);
	for (off_t at = 0; at < 600; at++) {
		char name[16];
		size_t from = 0;

		must_look(&l, false);
		state_look_close(&l);
		flip(l.path, at);
		if (state_look_open(&l, DIR_NAME, CONF) == 0)
			seen |= !state_look_next(&l, &from, " pulse", 8, name, sizeof(name));
		state_look_close(&l);
		flip(l.path, at);
	}
	ck_assert(seen);
}
END_TEST

static void
add_tests(TCase *tc)
{
	mkdir(DIR_NAME, 0755);
	tcase_add_test(tc, a_living_daemon_and_its_remains);
	tcase_add_test(tc, looking_takes_no_lock);
	tcase_add_test(tc, a_name_that_does_not_fit_is_cut);
	tcase_add_loop_test(tc, what_is_none_is_refused, 0, COUNT(bad));
	tcase_add_test(tc, a_damaged_one);
}

int
main(void)
{
	int ret = unit_main("state_look", add_tests);
	struct state_look l;

	(void)state_look_open(&l, DIR_NAME, CONF);
	unlink(l.path);
	state_look_close(&l);
	rmdir(DIR_NAME);
	return ret;
}
