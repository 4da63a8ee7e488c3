/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cli.c: ulogd2's command line, and what was added to it. */
#include <check.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "unit.h"

static struct cli
parse(const char *line)
{
	static char words[16][64];
	char *argv[17] = { words[0], NULL };
	struct cli c;
	int argc = 1;

	strcpy(words[0], "ctflowd");
	for (const char *p = line; *p && argc < 16; argc++) {
		size_t n = strcspn(p, " ");

		snprintf(words[argc], sizeof(words[argc]), "%.*s", (int)n, p);
		argv[argc] = words[argc];
		p += n + strspn(p + n, " ");
	}
	argv[argc] = NULL;
	optind = 0;
	opterr = 0;
	cli_parse(argc, argv, &c);
	return c;
}

static const struct {
	const char *line;
	enum cli_what what;
} words[] = {
	{ "", CLI_RUN },
	{ "-d", CLI_RUN },
	{ "-n", CLI_CHECK },
	{ "--check -v", CLI_CHECK },
	{ "-h", CLI_HELP },
	{ "--help", CLI_HELP },
	{ "-V", CLI_VERSION },
	{ "--version -x", CLI_VERSION }, /* wins as soon as it is met */
	{ "-d -h", CLI_HELP },
	{ "-i NFCT", CLI_INFO },
	{ "--info NFCT", CLI_INFO },
	{ "--man NFCT", CLI_MAN },
	{ "-x", CLI_BAD },
	{ "--nonsense", CLI_BAD },
	{ "-c", CLI_BAD }, /* without its argument */
	{ "-x -h", CLI_BAD },
	{ "-n -x", CLI_BAD },
	{ "-l 8", CLI_RUN },
	{ "-l 0", CLI_RUN },
	{ "-l 9", CLI_BAD },
	{ "-l foo", CLI_BAD },
	{ "-l 3x -h", CLI_BAD },
};

START_TEST(what_to_do)
{
	ck_assert_int_eq(parse(words[_i].line).what, words[_i].what);
}
END_TEST

START_TEST(arguments)
{
	struct cli c = parse("-d -v -l 3 -c a.conf -p run.pid -u nobody");

	ck_assert(c.daemon);
	ck_assert(c.verbose);
	ck_assert_int_eq(c.loglevel, 3);
	ck_assert_str_eq(c.conf, "a.conf");
	ck_assert_str_eq(c.pidfile, "run.pid");
	ck_assert_str_eq(c.user, "nobody");
	c = parse(
		"--daemon --verbose --loglevel=5 --configfile b.conf --pidfile=x --uid 65534");
	ck_assert(c.daemon);
	ck_assert(c.verbose);
	ck_assert_int_eq(c.loglevel, 5);
	ck_assert_str_eq(c.conf, "b.conf");
	ck_assert_str_eq(c.pidfile, "x");
	ck_assert_str_eq(c.user, "65534");
	c = parse("-i IP2STR");
	ck_assert_str_eq(c.plugin, "IP2STR");
}
END_TEST

START_TEST(defaults)
{
	struct cli c = parse("");

	ck_assert(!c.daemon && !c.verbose);
	ck_assert_int_eq(c.loglevel, 0);
	ck_assert_ptr_null(c.conf);
	ck_assert_ptr_null(c.pidfile);
	ck_assert_ptr_null(c.user);
	ck_assert_ptr_null(c.plugin);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, what_to_do, 0, COUNT(words));
	tcase_add_test(t, arguments);
	tcase_add_test(t, defaults);
}

int
main(void)
{
	return unit_main("cli", add_tests);
}
