/* SPDX-License-Identifier: GPL-2.0-or-later */
/* setup.c: a file that is read, refused or half good; -i by name and by file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "setup.h"
#include "unit.h"

#define GOOD "stack=r:REPLAY,i:IP2STR,p:PRINTFLOW,l:LOGEMU\n"
#define SECTIONS "[r]\nfile=setup.pcap\n[l]\nfile=none.txt\n"

static void
write_conf(const char *text)
{
	unit_write("setup.conf", text);
	unit_empty_pcap("setup.pcap");
}

/* Whether the log of what was said has that text. */
static bool
logged(const char *what)
{
	return strstr(unit_read("setup.log"), what) != NULL;
}

static int
load(struct setup *s, const char *text)
{
	write_conf(text);
	unlink("setup.log");
	log_open("setup.log");
	*s = (struct setup){ 0 };
	return setup_load(s, "setup.conf", 0, false);
}

static void
unload(struct setup *s)
{
	setup_free(s);
	log_close();
	unlink("setup.conf");
	unlink("setup.pcap");
	unlink("setup.log");
}

START_TEST(the_path_of_the_file)
{
	char *path, *cwd = realpath(".", NULL), want[4096];

	log_open("setup.log");
	ck_assert_ptr_null(setup_conf_path("no/such.conf"));
	ck_assert(logged("no/such.conf: No such file or directory"));
	write_conf("");
	path = setup_conf_path("./setup.conf");
	snprintf(want, sizeof(want), "%s/setup.conf", cwd);
	ck_assert_str_eq(path, want); /* absolute: -d changes the folder */
	free(path);
	free(cwd);
	log_close();
	unlink("setup.conf");
	unlink("setup.pcap");
	unlink("setup.log");
}
END_TEST

START_TEST(a_good_file)
{
	struct setup s;

	ck_assert_int_eq(load(&s, "[global]\nloglevel=7\n" GOOD SECTIONS), 0);
	ck_assert(!s.no_stack);
	ck_assert(!setup_refused(&s));
	ck_assert_uint_eq(graph_live_stacks(&s.graph), 1);
	ck_assert_int_eq(log_get_level(), 7);
	ck_assert_uint_eq(s.global.stop_timeout, 30000);
	unload(&s);
	ck_assert_ptr_null(s.conf);
}
END_TEST

START_TEST(one_bad_stack)
{
	struct setup s;

	ck_assert_int_eq(load(&s, "[global]\nstack=r:REPLAY,x:NOSUCH\n" GOOD SECTIONS), 0);
	ck_assert(!s.no_stack);
	ck_assert(setup_refused(&s));
	ck_assert(logged("setup.conf:2: can't find requested plugin NOSUCH"));
	unload(&s);
}
END_TEST

static const struct {
	const char *text, *says;
	int code;
} bad[] = {
	{ "", "section \"global\" not found", 1 },
	{ "[global]\nloglevel=99\n", "setup.conf:2:", 1 },
	{ "[global]\n", "setup.conf:1: no stack= line", 0 },
	{ "[global]\nstack=r:REPLAY\n", "stack 'r:REPLAY' is refused", 0 },
};

START_TEST(bad_files)
{
	struct setup s;

	ck_assert_int_eq(load(&s, bad[_i].text), bad[_i].code);
	ck_assert(bad[_i].code || s.no_stack);
	ck_assert_msg(logged(bad[_i].says), "not said: %s", bad[_i].says);
	unload(&s);
}
END_TEST

START_TEST(no_file)
{
	struct setup s = { 0 };

	log_open("setup.log");
	ck_assert_int_eq(setup_load(&s, "/no/such.conf", 0, false), 1);
	ck_assert(logged("/no/such.conf"));
	unload(&s);
}
END_TEST

START_TEST(a_log_that_cannot_be_opened)
{
	struct setup s = { 0 };

	write_conf("[global]\nlogfile=/no/such/folder/log\n" GOOD SECTIONS);
	log_open("setup.log");
	ck_assert_int_eq(setup_load(&s, "setup.conf", 0, true), 2);
	ck_assert(logged("cannot open logfile /no/such/folder/log"));
	unload(&s);
}
END_TEST

START_TEST(the_level_of_the_command_line_wins)
{
	struct setup s = { 0 };

	write_conf("[global]\nloglevel=7\n" GOOD SECTIONS);
	ck_assert_int_eq(setup_load(&s, "setup.conf", 3, false), 0);
	ck_assert_int_eq(log_get_level(), 3);
	unload(&s);
}
END_TEST

START_TEST(plugin_lines_that_fail_are_warnings)
{
	struct setup s;

	unlink("setup.fifo");
	ck_assert_int_eq(mkfifo("setup.fifo", 0600), 0);
	/* A FIFO nobody writes to must not hang the start. */
	ck_assert_int_eq(load(&s,
			      "[global]\nplugin=./setup.fifo\nplugin=/no/such/foreign.so\n"
			      "plugin=/usr/lib/ulogd/ulogd_filter_IP2STR.so\n" GOOD SECTIONS),
			 0);
	ck_assert(!s.no_stack);
	ck_assert(logged("setup.conf:2: plugin: ./setup.fifo"));
	ck_assert(logged("setup.conf:3: plugin: /no/such/foreign.so"));
	ck_assert(!logged("IP2STR"));
	unlink("setup.fifo");
	unload(&s);
}
END_TEST

START_TEST(plugins_by_name_and_by_file)
{
	struct plugin_set *set = plugin_set_new();
	const struct ctf_plugin *p;
	struct ctf_err err;

	p = setup_plugin(set, "LOGEMU", &err);
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_eq(setup_plugin(set, "/usr/lib/ulogd/ulogd_output_LOGEMU.so", &err), p);
	ck_assert_ptr_eq(setup_plugin(set, "./ulogd_output_logemu.so", &err), p);
	ck_assert_ptr_null(setup_plugin(set, "NOSUCH", &err));
	ck_assert_ptr_null(setup_plugin(set, "/no/such.so", &err));
	/* A foreign module, whatever its file is called. */
	p = setup_plugin(set, "tests/unit/.libs/modtest.so", &err);
	ck_assert_msg(p != NULL, "%s", err.msg);
	ck_assert_str_eq(p->name, "MODTEST");
	plugin_set_free(set);
}
END_TEST

/* Whatever comes first, the rest of the file is looked at as well. */
START_TEST(a_bad_global_hides_nothing)
{
	struct setup s;

	ck_assert_int_eq(
		load(&s, "[global]\nloglevel=99\nstack=l:LOGEMU,r:REPLAY\n"
			 "stack=r:REPLAY,l:LOGEMU\n[r]\nfile=none.pcap\n[l]\nsync=maybe\n"),
		1);
	ck_assert(logged("setup.conf:2: loglevel=99"));
	ck_assert(logged("setup.conf:3: l:LOGEMU: first plugin in stack"));
	ck_assert(logged("setup.conf:4: stack 'r:REPLAY,l:LOGEMU' is refused"));
	ck_assert(logged("setup.conf:8: sync=maybe"));
	unload(&s);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, the_path_of_the_file);
	tcase_add_test(t, a_good_file);
	tcase_add_test(t, one_bad_stack);
	tcase_add_loop_test(t, bad_files, 0, COUNT(bad));
	tcase_add_test(t, a_bad_global_hides_nothing);
	tcase_add_test(t, no_file);
	tcase_add_test(t, a_log_that_cannot_be_opened);
	tcase_add_test(t, the_level_of_the_command_line_wins);
	tcase_add_test(t, plugin_lines_that_fail_are_warnings);
	tcase_add_test(t, plugins_by_name_and_by_file);
}

int
main(void)
{
	return unit_main("setup", add_tests);
}
