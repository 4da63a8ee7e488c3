/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state page: kept, replaced, locked, and never a reason to fail. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"
#include "state_file.h"
#include "unit.h"

#define DIR_NAME "test_state.d"
#define CONF "/etc/a.conf"

static char file[512]; /* of the page of CONF */

static void
each_file(void (*fn)(const char *path))
{
	DIR *d = opendir(DIR_NAME);
	const struct dirent *e;
	char path[512];

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), DIR_NAME "/%.200s", e->d_name);
		fn(path);
	}
	if (d)
		closedir(d);
}

static void
remove_it(const char *path)
{
	unlink(path);
}

static void
name_it(const char *path)
{
	ck_assert_ptr_nonnull(strstr(path, "/a.conf-"));
	snprintf(file, sizeof(file), "%s", path);
}

static void
fresh(void)
{
	each_file(remove_it);
	rmdir(DIR_NAME);
}

static struct state *
must_open(const char *conf)
{
	struct state *s = state_open(DIR_NAME, conf, NULL);

	ck_assert_ptr_nonnull(s);
	return s;
}

static uint64_t *
number(struct state *s, const char *name, bool want_kept)
{
	bool kept = !want_kept;
	uint64_t *u = state_block(s, name, sizeof(*u), &kept);

	ck_assert_ptr_nonnull(u);
	ck_assert_int_eq(kept, want_kept);
	return u;
}

/* A page with two blocks, left behind as a crash would. */
static void
leave(uint64_t one, uint64_t two)
{
	struct state *s;

	fresh();
	s = must_open(CONF);
	*number(s, "one", false) = one;
	*number(s, "two", false) = two;
	state_close(s);
	each_file(name_it);
}

START_TEST(new_then_kept)
{
	struct state *s;

	leave(7, UINT64_MAX);
	s = must_open(CONF);
	ck_assert_uint_eq(*number(s, "two", true), UINT64_MAX);
	ck_assert_uint_eq(*number(s, "one", true), 7);
	ck_assert_uint_eq(*number(s, "three", false), 0);
	ck_assert(state_same_boot(s));
	state_close(s);
	s = must_open(CONF);
	ck_assert_uint_eq(*number(s, "one", true), 7);
	state_close(s);
}
END_TEST

START_TEST(first_time)
{
	struct state *s;

	fresh();
	s = must_open(CONF);
	ck_assert(!state_same_boot(s));
	state_close(s);
}
END_TEST

START_TEST(another_size_is_another_block)
{
	struct state *s;
	bool kept = true;
	uint8_t *p;

	leave(7, 8);
	s = must_open(CONF);
	p = state_block(s, "one", 100000, &kept);
	ck_assert_ptr_nonnull(p);
	ck_assert(!kept);
	for (int i = 0; i < 100000; i++)
		ck_assert_uint_eq(p[i], 0);
	memset(p, 1, 100000); /* all of it is there to be written */
	ck_assert_uint_eq(*number(s, "two", true), 8);
	state_close(s);
	s = must_open(CONF);
	p = state_block(s, "one", 100000, &kept);
	ck_assert(kept);
	ck_assert_uint_eq(p[0], 1);
	ck_assert_uint_eq(p[99999], 1);
	state_close(s);
}
END_TEST

START_TEST(two_configurations)
{
	struct state *a, *b;

	fresh();
	a = must_open("/etc/a.conf");
	b = must_open("/opt/a.conf");
	*number(a, "n", false) = 1;
	*number(b, "n", false) = 2;
	state_close(a);
	state_close(b);
	a = must_open("/etc/a.conf");
	b = must_open("/opt/a.conf");
	ck_assert_uint_eq(*number(a, "n", true), 1);
	ck_assert_uint_eq(*number(b, "n", true), 2);
	state_close(a);
	state_close(b);
}
END_TEST

START_TEST(full)
{
	static char names[4096][16];
	struct state *s;
	bool kept, any = false;
	int n = 0;

	fresh();
	s = must_open(CONF);
	ck_assert_ptr_null(state_block(s, "large", STATE_MAX, &kept));
	for (; n < 4096 && !any; n++) {
		uint8_t *p;

		snprintf(names[n], sizeof(names[n]), "n%d", n);
		p = state_block(s, names[n], 4096, &kept);
		any = !p;
		if (p)
			memset(p, n, 4096);
	}
	ck_assert_int_gt(n, 200);
	ck_assert_int_lt(n, 257);
	ck_assert_ptr_nonnull(state_block(s, "n0", 4096, &kept));
	state_close(s);
	s = must_open(CONF);
	for (int i = 0; i < n - 1; i++) {
		uint8_t *p = state_block(s, names[i], 4096, &kept);

		ck_assert(kept);
		ck_assert_uint_eq(p[4095], (uint8_t)i);
	}
	state_close(s);
}
END_TEST

/* Blocks of ids that the configuration no longer has do not stay for ever. */
START_TEST(forgotten_blocks_go)
{
	struct stat st;

	leave(1, 2);
	for (int i = 0; i < 40; i++) {
		struct state *s = must_open(CONF);

		number(s, "one", true);
		state_close(s);
	}
	struct state *s = must_open(CONF);
	ck_assert_uint_eq(*number(s, "one", true), 1);
	ck_assert_uint_eq(*number(s, "two", false), 0);
	state_close(s);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_le(st.st_size, 131072);
}
END_TEST

/* Opens it and asks for both; what is there is 7 or nothing for `one`. */
static unsigned
look(void)
{
	struct state *s = must_open(CONF);
	bool a = false, b = false;
	uint64_t *one = state_block(s, "one", 8, &a), *two = state_block(s, "two", 8, &b);

	ck_assert_ptr_nonnull(one);
	ck_assert_ptr_nonnull(two);
	if (!a)
		ck_assert_uint_eq(*one, 0);
	state_close(s);
	return (unsigned)a + (unsigned)b;
}

static void
flip(off_t at)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);
	uint8_t c;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c = (uint8_t)~c;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

START_TEST(damaged_anywhere)
{
	unsigned none = 0, some = 0, all = 0;

	for (off_t at = 0; at < 640; at++) {
		leave(7, 8);
		flip(at);
		switch (look()) {
		case 0:
			none++;
			break;
		case 1:
			some++;
			break;
		default:
			all++;
		}
		ck_assert_uint_eq(look(), 2); /* mended */
	}
	/* The head and the first block's: nothing; the second's: the first is kept. */
	ck_assert_uint_ge(none, sizeof(uint64_t) * 30);
	ck_assert_uint_ge(some, 20);
	ck_assert_uint_ge(all, 16);
}
END_TEST

START_TEST(cut_anywhere)
{
	for (off_t len = 0; len < 700; len += 7) {
		leave(7, 8);
		ck_assert_int_eq(truncate(file, len), 0);
		look();
		ck_assert_uint_eq(look(), 2);
	}
}
END_TEST

START_TEST(something_else_there)
{
	leave(7, 8);
	unit_write(file, "hello\n");
	ck_assert_uint_eq(look(), 0);
	ck_assert_uint_eq(look(), 2);
	/* Too large to be one: not read. */
	ck_assert_int_eq(truncate(file, (off_t)8 << 30), 0);
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(a_folder_or_a_link_there)
{
	leave(7, 8);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(mkdir(file, 0755), 0);
	ck_assert_ptr_null(state_open(DIR_NAME, CONF, NULL));
	ck_assert_int_eq(rmdir(file), 0);
	unit_write("test_state.other", "precious\n");
	ck_assert_int_eq(symlink("../test_state.other", file), 0);
	ck_assert_ptr_null(state_open(DIR_NAME, CONF, NULL));
	ck_assert_str_eq(unit_read("test_state.other"), "precious\n");
	unlink("test_state.other");
}
END_TEST

/* A child takes it, and a grandchild must not keep it after the child's death. */
START_TEST(locked_by_the_living_alone)
{
	int to_child[2], to_us[2], end[2];
	char c = 0;
	pid_t pid;

	leave(7, 8);
	ck_assert_int_eq(pipe(to_child) + pipe(to_us) + pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		struct state *s = state_open(DIR_NAME, CONF, NULL);

		if (s && fork() == 0) { /* as a guard process does */
			close(end[1]);
			_exit(read(end[0], &c, 1) == 0 ? 0 : 1);
		}
		if (write(to_us[1], s ? "y" : "n", 1) == 1)
			_exit(read(to_child[0], &c, 1) == 1 ? 0 : 1);
		_exit(1);
	}
	ck_assert_int_eq(read(to_us[0], &c, 1), 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_ptr_null(state_open(DIR_NAME, CONF, NULL));
	ck_assert_int_eq(write(to_child[1], "x", 1), 1);
	waitpid(pid, NULL, 0);
	ck_assert_uint_eq(look(), 2);
	close(end[1]);
}
END_TEST

/* What the dead has left behind sees what its successor writes, and answers. */
START_TEST(before_is_shared)
{
	struct state *s;
	_Atomic uint32_t *word;
	pid_t pid = fork();

	if (pid == 0) {
		s = state_open(DIR_NAME, CONF, NULL);
		word = state_block(s, "word", sizeof(*word), &(bool){ false });
		ck_assert_ptr_null(state_before(s, "word", sizeof(*word)));
		*word = 1;
		if (fork() == 0)
			for (int i = 0; i < 60000; i++) {
				usleep(1000);
				if (*word == 2)
					_exit((int)(*word = 3));
			}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	s = state_open(DIR_NAME, CONF, NULL);
	word = state_before(s, "word", sizeof(*word));
	ck_assert_ptr_nonnull(word);
	ck_assert_ptr_ne(word, state_block(s, "word", sizeof(*word), &(bool){ false }));
	ck_assert_ptr_null(state_before(s, "word", 8));
	ck_assert_ptr_null(state_before(s, "none", sizeof(*word)));
	ck_assert_uint_eq(*word, 1);
	*word = 2;
	for (int i = 0; i < 60000 && *word != 3; i++)
		usleep(1000);
	ck_assert_uint_eq(*word, 3);
	state_close(s);
}
END_TEST

START_TEST(unusable_folder)
{
	ck_assert_ptr_null(state_open("no/such/folder", CONF, NULL));
	ck_assert_ptr_null(state_open("/dev/null", CONF, NULL));
	ck_assert_ptr_null(state_open("/proc/self", CONF, NULL));
	ck_assert(!state_same_boot(NULL));
	ck_assert_ptr_null(state_block(NULL, "one", 8, &(bool){ false }));
	state_close(NULL);
}
END_TEST

START_TEST(plain_memory_is_shared)
{
	struct state_plain *list = NULL;
	uint64_t *a = state_plain_new(&list, 8), *b = state_plain_new(&list, 100000);
	pid_t pid;

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(*a + b[12499], 0);
	pid = fork();
	if (pid == 0) {
		*a = 5;
		b[12499] = 6;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	ck_assert_uint_eq(*a, 5);
	ck_assert_uint_eq(b[12499], 6);
	state_plain_free(&list);
	ck_assert_ptr_null(list);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, fresh, fresh);
	tcase_add_test(t, new_then_kept);
	tcase_add_test(t, first_time);
	tcase_add_test(t, another_size_is_another_block);
	tcase_add_test(t, two_configurations);
	tcase_add_test(t, full);
	tcase_add_test(t, forgotten_blocks_go);
	tcase_add_test(t, damaged_anywhere);
	tcase_add_test(t, cut_anywhere);
	tcase_add_test(t, something_else_there);
	tcase_add_test(t, a_folder_or_a_link_there);
	tcase_add_test(t, locked_by_the_living_alone);
	tcase_add_test(t, before_is_shared);
	tcase_add_test(t, unusable_folder);
	tcase_add_test(t, plain_memory_is_shared);
}

int
main(void)
{
	return unit_main("state", add_tests);
}
