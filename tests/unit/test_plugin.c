/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plugin.c, elfnote.c: names, foreign files, damaged files. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin.h"
#include "unit.h"

static struct plugin_set *set;

static void
setup(void)
{
	set = plugin_set_new();
}

static void
teardown(void)
{
	plugin_set_free(set);
}

START_TEST(linked_in_by_name)
{
	struct ctf_err err;
	const struct ctf_plugin *p = plugin_find(set, "IP2STR", &err);

	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p->name, "IP2STR");
	ck_assert_ptr_eq(plugin_find(set, "IP2STR", &err), p);
	ck_assert_ptr_null(plugin_find(set, "ip2str", &err)); /* exact, as ulogd2 */
	ck_assert_ptr_null(plugin_find(set, "NOSUCH", &err));
	ck_assert_str_eq(err.msg, "can't find requested plugin NOSUCH");
}
END_TEST

START_TEST(every_plugin_is_sound)
{
	const struct ctf_plugin *p;

	for (unsigned i = 0; (p = plugin_nth(set, i)); i++) {
		ck_assert_uint_eq(p->abi, CTF_ABI);
		ck_assert_int_eq(plugin_check(p, NULL), 0);
		ck_assert_int_ne(p->doc[0], '\0');
		for (const struct ctf_opt *o = p->opts; o && o->name; o++) {
			ck_assert_uint_lt(o->off, p->conf_size);
			ck_assert_ptr_nonnull(o->doc);
		}
		for (const struct ctf_port *q = p->reads; q && q->name; q++)
			ck_assert_uint_lt(q->off, p->size);
		for (const struct ctf_port *q = p->writes; q && q->name; q++)
			ck_assert_uint_lt(q->off, p->size);
	}
}
END_TEST

static enum ctf_verdict
pass(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	return CTF_PASS;
}

static const struct ctf_port unknown_writes[] = { { "no.such", 0, 0, NULL }, { 0 } };

static const struct {
	struct ctf_plugin p;
	const char *says;
} unsound[] = {
	{ { .role = CTF_FILTER, .doc = "x", .apply = pass }, "without a name" },
	{ { .role = CTF_FILTER, .name = "X", .doc = "x" }, "X lacks a callback" },
	{ { .role = CTF_INPUT, .name = "X", .doc = "x" }, "X lacks a callback" },
	{ { .role = CTF_OUTPUT, .name = "X", .doc = "x" }, "X lacks a callback" },
	{ { .role = 9, .name = "X", .doc = "x", .apply = pass }, "X lacks a callback" },
	{ { .role = CTF_FILTER,
	    .name = "X",
	    .doc = "x",
	    .apply = pass,
	    .writes = unknown_writes },
	  "X writes no.such" },
};

START_TEST(unsound_plugins)
{
	struct ctf_err err;

	ck_assert_int_eq(plugin_check(&unsound[_i].p, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, unsound[_i].says));
}
END_TEST

START_TEST(ulogd2_paths_mean_ours)
{
	struct ctf_err err;

	/* The file does not exist; ulogd2's folder and spelling do not matter. */
	ck_assert_int_eq(plugin_load(set, "/usr/lib/ulogd/ulogd_filter_IP2STR.so", &err), 0);
	ck_assert_int_eq(plugin_load(set, "@pkglibdir@/ulogd_inpflow_NFCT.so", &err), 0);
	ck_assert_int_eq(plugin_load(set, "/usr/lib/ulogd/ulogd_inppkt_NFLOG.so", &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "NFLOG.so"));
}
END_TEST

static void
write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	fclose(f);
}

START_TEST(foreign_files_are_not_run)
{
	struct ctf_err err;

	ck_assert_int_eq(plugin_load(set, "/proc/self/exe", &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "not a ctflowd plugin"));
	ck_assert_int_ne(plugin_load(set, "/tmp", &err), 0);
	write_file("foreign.so", "#!/bin/sh\n", 10);
	ck_assert_int_eq(plugin_load(set, "./foreign.so", &err), -EINVAL);
	write_file("foreign.so", "", 0);
	ck_assert_int_eq(plugin_load(set, "./foreign.so", &err), -EINVAL);
	unlink("foreign.so");
}
END_TEST

/* Our own module, with its ABI note changed or bytes missing. */
START_TEST(damaged_modules)
{
	struct ctf_err err;
	struct stat st;
	uint32_t abi;
	uint8_t *all, *note;
	FILE *f = fopen("tests/unit/.libs/modtest.so", "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fstat(fileno(f), &st), 0);
	all = malloc((size_t)st.st_size);
	ck_assert_uint_eq(fread(all, 1, (size_t)st.st_size, f), (size_t)st.st_size);
	fclose(f);
	ck_assert_int_eq(elfnote_abi("tests/unit/.libs/modtest.so", &abi, &err), 0);
	ck_assert_uint_eq(abi, CTF_ABI);

	note = memmem(all, (size_t)st.st_size, "ctflow\0\0\1\0\0\0", 12);
	ck_assert_ptr_nonnull(note);
	note[8] = 99;
	write_file("cut.so", all, (size_t)st.st_size);
	ck_assert_int_eq(plugin_load(set, "./cut.so", &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "ABI 99"));
	for (size_t n = 0; n < (size_t)st.st_size; n += 97) {
		write_file("cut.so", all, n);
		ck_assert_int_ne(elfnote_abi("cut.so", &abi, &err) == 0 && abi == CTF_ABI, 1);
	}
	unlink("cut.so");
	free(all);
}
END_TEST

/* A bare name is a file of the current folder, for the check and the loader alike. */
START_TEST(a_name_without_a_folder)
{
	struct ctf_err err;

	ck_assert_int_eq(chdir("tests/unit/.libs"), 0);
	ck_assert_int_eq(plugin_load(set, "modtest.so", &err), 0);
	ck_assert_ptr_nonnull(plugin_find(set, "MODTEST", &err));
	ck_assert_int_eq(plugin_load(set, "libc.so.6", &err),
			 -ENOENT); /* dlopen() would find it */
	ck_assert_int_eq(chdir("../../.."), 0);
}
END_TEST

START_TEST(a_module_is_loaded)
{
	struct ctf_err err;
	const struct ctf_plugin *p;

	ck_assert_int_eq(plugin_load(set, "tests/unit/.libs/modtest.so", &err), 0);
	p = plugin_find(set, "MODTEST", &err);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(p->role, CTF_FILTER);
	ck_assert_int_eq(plugin_load(set, "tests/unit/.libs/modtest.so", &err), -EEXIST);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, linked_in_by_name);
	tcase_add_test(t, every_plugin_is_sound);
	tcase_add_loop_test(t, unsound_plugins, 0, COUNT(unsound));
	tcase_add_test(t, ulogd2_paths_mean_ours);
	tcase_add_test(t, foreign_files_are_not_run);
	tcase_add_test(t, damaged_modules);
	tcase_add_test(t, a_name_without_a_folder);
	tcase_add_test(t, a_module_is_loaded);
}

int
main(void)
{
	return unit_main("plugin", add_tests);
}
