/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/opt.c and core/opt_print.c: typed options, and every way to get them wrong. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"
#include "unit.h"

struct sample {
	bool sync;
	uint64_t port, any, buffer, wait;
	const char *file, *tag, *db;
	unsigned mode;
};

#define AT(m) offsetof(struct sample, m)

static const struct ctf_opt opts[] = {
	{ "sync", CTF_OBOOL, AT(sync), 0, 0, "no", NULL, "flush each line" },
	{ "port", CTF_OUINT, AT(port), 1, 65535, "4739", NULL, "port" },
	{ "any", CTF_OUINT, AT(any), 0, 0, "0", NULL, "a number" },
	{ "buffer", CTF_OSIZE, AT(buffer), 4096, UINT64_C(1) << 40, "64M", NULL, "queue" },
	{ "wait", CTF_OMSEC, AT(wait), 0, 3600000, "1500ms", NULL, "delay" },
	{ "file", CTF_OTEXT, AT(file), 1, 0, "/var/log/x y", NULL, "where to" },
	{ "tag", CTF_OTEXT, AT(tag), 0, 8, "", NULL, "a tag" },
	{ "mode", CTF_OENUM, AT(mode), 0, 0, "file", "file|tcp|unix", "kind" },
	{ NULL }
};

struct needy {
	const char *db;
	uint64_t n;
};

static const struct ctf_opt needs[] = {
	{ "db", CTF_OTEXT, offsetof(struct needy, db), 1, 0, NULL, NULL, "database" },
	{ "rows", CTF_OUINT, offsetof(struct needy, n), 0, 9, NULL, NULL, "rows" },
	{ NULL }
};

static const char *const also[] = { "stack", "plugin", NULL };

/* Parses the lines as section [s] that begins in line 1. */
static int
parse(const char *lines, const struct opt_set *sets, unsigned n, struct diag *d)
{
	struct conf *c;
	char text[1024];
	int ret;

	snprintf(text, sizeof(text), "[s]\n%s", lines);
	ck_assert_int_eq(conf_parse(text, strlen(text), "t.conf", &c, d), 0);
	ret = opt_parse(sets, n, conf_find(c, "s"), "s", "t.conf", d);
	conf_free(c);
	return ret;
}

static void
check_defaults(const struct sample *s)
{
	ck_assert(!s->sync);
	ck_assert_uint_eq(s->port, 4739);
	ck_assert_uint_eq(s->any, 0);
	ck_assert_uint_eq(s->buffer, 64u << 20);
	ck_assert_uint_eq(s->wait, 1500);
	ck_assert_str_eq(s->file, "/var/log/x y");
	ck_assert_str_eq(s->tag, "");
	ck_assert_uint_eq(s->mode, 0);
}

START_TEST(defaults)
{
	struct sample s = { 0 };
	struct opt_set set = { opts, &s };
	struct diag d = { 0 };

	ck_assert_int_eq(opt_parse(&set, 1, NULL, "s", "t.conf", &d), 0);
	check_defaults(&s);
	opt_free(&set, 1);
	ck_assert_ptr_null(s.file);
	ck_assert_int_eq(parse("", &set, 1, &d), 0);
	check_defaults(&s);
	opt_free(&set, 1);
	opt_free(&set, 1);
	ck_assert_uint_eq(d.n, 0);
}
END_TEST

static const struct {
	const char *line;
	uint64_t want;
} numbers[] = {
	{ "any=5", 5 },
	{ "any=0x10", 16 },
	{ "any=010", 8 },
	{ "any=+7", 7 },
	{ "any=18446744073709551615", UINT64_MAX },
	{ "port=1", 1 },
	{ "port=65535", 65535 },
	{ "port = 99 # why", 99 },
	{ "buffer=4096", 4096 },
	{ "buffer=4K", 4096 },
	{ "buffer=0x10k", 16384 },
	{ "buffer=2MiB", 2u << 20 },
	{ "buffer=3GB", UINT64_C(3) << 30 },
	{ "buffer=1T", UINT64_C(1) << 40 },
	{ "wait=0", 0 },
	{ "wait=2", 2000 },
	{ "wait=2s", 2000 },
	{ "wait=20ms", 20 },
	{ "wait=1m", 60000 },
	{ "wait=2min", 120000 },
	{ "wait=1h", 3600000 },
	{ "sync=1", 1 },
	{ "sync=0", 0 },
	{ "sync=2", 1 },
	{ "sync=yes", 1 },
	{ "sync=No", 0 },
	{ "sync=ON", 1 },
	{ "sync=off", 0 },
	{ "sync=true", 1 },
	{ "sync=false", 0 },
	{ "mode=file", 0 },
	{ "mode=TCP", 1 },
	{ "mode=\"unix\"", 2 },
};

static uint64_t
get(const struct sample *s, char key)
{
	return key == 'a'   ? s->any
	       : key == 'p' ? s->port
	       : key == 'b' ? s->buffer
	       : key == 'w' ? s->wait
	       : key == 's' ? s->sync
			    : s->mode;
}

START_TEST(good_values)
{
	struct sample s = { 0 };
	struct opt_set set = { opts, &s };
	struct diag d = { 0 };

	ck_assert_int_eq(parse(numbers[_i].line, &set, 1, &d), 0);
	ck_assert_uint_eq(get(&s, *numbers[_i].line), numbers[_i].want);
	ck_assert_uint_eq(d.n, 0);
	opt_free(&set, 1);
}
END_TEST

/* One problem each, an error if it begins with "!". */
static const struct {
	const char *lines, *want;
} problems[] = {
	{ "port=0", "!t.conf:2: port=0: out of range (expected: number, 1..65535)" },
	{ "port=65536", "!t.conf:2: port=65536: out of range (expected: number, 1..65535)" },
	{ "\nport=http", "!t.conf:3: port=http: not a number (expected: number, 1..65535)" },
	{ "port=\"\"", "!t.conf:2: port=: not a number (expected: number, 1..65535)" },
	{ "any=-1", "!t.conf:2: any=-1: out of range (expected: number)" },
	{ "any=18446744073709551616",
	  "!t.conf:2: any=18446744073709551616: out of range (expected: number)" },
	{ "any=12x", "t.conf:2: any=12x: \"x\" after the number ignored" },
	{ "any=08", "t.conf:2: any=08: \"8\" after the number ignored" },
	{ "any=5k", "t.conf:2: any=5k: \"k\" after the number ignored" },
	{ "buffer=1", "!t.conf:2: buffer=1: out of range (expected: "
		      "size in bytes, K, M, G or T, 4K..1T)" },
	{ "buffer=99999999999T", "!t.conf:2: buffer=99999999999T: out of range (expected: "
				 "size in bytes, K, M, G or T, 4K..1T)" },
	{ "wait=10weeks", "t.conf:2: wait=10weeks: \"weeks\" after the number ignored" },
	{ "wait=2h", "!t.conf:2: wait=2h: out of range (expected: "
		     "time in seconds, or with ms, s, m, h or d, 0..3600)" },
	{ "sync=maybe", "!t.conf:2: sync=maybe: neither yes nor no (expected: yes or no)" },
	{ "sync=\"\"", "!t.conf:2: sync=: neither yes nor no (expected: yes or no)" },
	{ "sync=-1", "!t.conf:2: sync=-1: out of range (expected: yes or no)" },
	{ "mode=udp", "!t.conf:2: mode=udp: no such choice (expected: file|tcp|unix)" },
	{ "mode=fil", "!t.conf:2: mode=fil: no such choice (expected: file|tcp|unix)" },
	{ "mode=\"\"", "!t.conf:2: mode=: no such choice (expected: file|tcp|unix)" },
	{ "file=\"\"", "!t.conf:2: file=: empty (expected: text, not empty)" },
	{ "tag=123456789",
	  "!t.conf:2: tag=123456789: wrong length (expected: text, 0..8 bytes)" },
	{ "tag=a\nsync=1\ntag=a", "!t.conf:4: \"tag\" given again, line 2 has it already" },
	{ "file=", "t.conf:2: \"file\" ignored, no value" },
	{ "tag", "t.conf:2: \"tag\" ignored, no value" },
	{ "tag=a b", "t.conf:2: text after the value of \"tag\" ignored: \"b\"" },
	{ "prot=1", "t.conf:2: unknown key \"prot\" ignored, is \"port\" meant?" },
	{ "bufer=1", "t.conf:2: unknown key \"bufer\" ignored, is \"buffer\" meant?" },
	{ "Sync=1", "t.conf:2: unknown key \"Sync\" ignored, is \"sync\" meant?" },
	{ "stak=x", "t.conf:2: unknown key \"stak\" ignored, is \"stack\" meant?" },
	{ "device=x", "t.conf:2: unknown key \"device\" ignored" },
	{ "q=x", "t.conf:2: unknown key \"q\" ignored" },
	{ "rmem=x", "t.conf:2: unknown key \"rmem\" ignored" },
};

START_TEST(bad_values)
{
	bool error = *problems[_i].want == '!';
	struct sample s = { 0 };
	struct opt_set set = { opts, &s, also };
	struct diag d = { 0 };
	char *text;

	ck_assert_int_eq(parse(problems[_i].lines, &set, 1, &d), error ? -EINVAL : 0);
	ck_assert_uint_eq(d.n, 1);
	ck_assert_uint_eq(d.errors, error);
	text = diag_text(&d.item[0]);
	ck_assert_str_eq(text, problems[_i].want + error);
	free(text);
	diag_free(&d);
	if (error)
		ck_assert_ptr_null(s.file);
	opt_free(&set, 1);
}
END_TEST

START_TEST(what_is_ignored_has_no_effect)
{
	struct sample s = { 0 };
	struct opt_set set = { opts, &s };
	struct diag d = { 0 };

	ck_assert_int_eq(parse("file=\nport=12x\nfile=\"/y\nwait=10weeks\n", &set, 1, &d), 0);
	ck_assert_str_eq(s.file, "/var/log/x y");
	ck_assert_uint_eq(s.port, 12);
	ck_assert_uint_eq(s.wait, 10000);
	ck_assert_uint_eq(d.warnings, 4);
	diag_free(&d);
	opt_free(&set, 1);
}
END_TEST

START_TEST(two_sets)
{
	struct sample s = { 0 };
	struct needy n = { 0 };
	struct opt_set sets[] = { { needs, &n }, { opts, &s, also } };
	struct diag d = { 0 };

	ck_assert_int_eq(parse("stack=a\nport=7\ndb=x.db\nstack=b\nrows=3", sets, 2, &d), 0);
	ck_assert_uint_eq(d.n, 0);
	ck_assert_str_eq(n.db, "x.db");
	ck_assert_uint_eq(n.n, 3);
	ck_assert_uint_eq(s.port, 7);
	opt_free(sets, 2);
	ck_assert_ptr_null(n.db);
	ck_assert_ptr_null(s.tag);
}
END_TEST

/* All problems are said, in the order of the file, and nothing is left behind. */
START_TEST(all_at_once)
{
	static const char *const want[] = {
		"t.conf:2: port=x: not a number (expected: number, 1..65535)",
		"t.conf:3: unknown key \"synk\" ignored, is \"sync\" meant?",
		"t.conf:4: mode=x: no such choice (expected: file|tcp|unix)",
		"t.conf:1: [s] must have db= (text, not empty)",
		"t.conf:1: [s] must have rows= (number, 0..9)",
	};
	struct sample s = { 0 };
	struct needy n = { 0 };
	struct opt_set sets[] = { { needs, &n }, { opts, &s } };
	struct diag d = { 0 };

	ck_assert_int_eq(parse("port=x\nsynk=1\nmode=x\n", sets, 2, &d), -EINVAL);
	ck_assert_uint_eq(d.n, 5);
	for (size_t i = 0; i < d.n; i++) {
		char *text = diag_text(&d.item[i]);

		ck_assert_str_eq(text, want[i]);
		free(text);
	}
	ck_assert_ptr_null(s.file);
	diag_free(&d);
	ck_assert_int_eq(opt_parse(sets, 1, NULL, "z", "t.conf", &d), -EINVAL);
	ck_assert_str_eq(d.item[0].text, "[z] must have db= (text, not empty)");
	ck_assert_uint_eq(d.item[0].line, 0);
	diag_free(&d);
}
END_TEST

START_TEST(bad_default)
{
	static const struct ctf_opt bad[] = {
		{ "port", CTF_OUINT, AT(port), 1, 9, "10", NULL, "port" },
		{ "file", CTF_OTEXT, AT(file), 0, 0, "a \"b", NULL, "file" },
		{ NULL }
	};
	struct sample s = { 0 };
	struct opt_set set = { bad, &s };
	struct diag d = { 0 };

	ck_assert_int_eq(opt_parse(&set, 1, NULL, "s", "t.conf", &d), -EINVAL);
	ck_assert_uint_eq(d.errors, 2);
	ck_assert_str_eq(d.item[0].text, "port=10: out of range (expected: number, 1..9)");
	ck_assert_str_eq(d.item[1].text,
			 "file=a \"b: cannot be written in a configuration (expected: text)");
	diag_free(&d);
}
END_TEST

START_TEST(lines_of_options)
{
	static const char text[] = "\n[s]\nport=\nport=1\nfile=x\n";
	struct diag d = { 0 };
	struct conf *c;
	const struct conf_section *s;

	ck_assert_int_eq(conf_parse(text, strlen(text), "t", &c, &d), 0);
	s = conf_find(c, "s");
	ck_assert_uint_eq(opt_line(s, "port"), 4);
	ck_assert_uint_eq(opt_line(s, "file"), 5);
	ck_assert_uint_eq(opt_line(s, "tag"), 2);
	ck_assert_uint_eq(opt_line(NULL, "tag"), 0);
	conf_free(c);
}
END_TEST

static char *
printed(const struct opt_set *set)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	opt_print(f, set, 1);
	fclose(f);
	return text;
}

static const char *const round_trips[][2] = {
	{ "", "sync=0\nport=4739\nany=0\nbuffer=64M\nwait=1500ms\nfile=\"/var/log/x y\"\n"
	      "tag=\"\"\nmode=file\n" },
	{ "sync=yes\nport=0x10\nany=18446744073709551615\nbuffer=5000\nwait=1h\nfile=a=b\n"
	  "tag=a\"b\nmode=unix\n",
	  "sync=1\nport=16\nany=18446744073709551615\nbuffer=5000\nwait=3600\nfile=a\n"
	  "tag=a\"b\nmode=unix\n" },
	{ "file=\"a=b [c] # d\"\ntag=\"#\"\nbuffer=3G\nwait=0\n",
	  "sync=0\nport=4739\nany=0\nbuffer=3G\nwait=0\nfile=\"a=b [c] # d\"\ntag=\"#\"\n"
	  "mode=file\n" },
};

START_TEST(print)
{
	struct sample a = { 0 }, b = { 0 };
	struct opt_set sa = { opts, &a }, sb = { opts, &b };
	struct diag d = { 0 };
	char *text;

	ck_assert_int_eq(parse(round_trips[_i][0], &sa, 1, &d), 0);
	diag_free(&d);
	text = printed(&sa);
	ck_assert_str_eq(text, round_trips[_i][1]);
	ck_assert_int_eq(parse(text, &sb, 1, &d), 0);
	ck_assert_uint_eq(d.n, 0);
	ck_assert(opt_equal(opts, &a, &b));
	free(text);
	opt_free(&sa, 1);
	opt_free(&sb, 1);
}
END_TEST

static const char *const changes[] = { "sync=1", "port=1", "any=1", "buffer=8K",
				       "wait=1", "file=f", "tag=t", "mode=tcp" };

START_TEST(equal)
{
	struct sample a = { 0 }, b = { 0 };
	struct opt_set sa = { opts, &a }, sb = { opts, &b };
	struct diag d = { 0 };

	ck_assert_int_eq(parse("", &sa, 1, &d), 0);
	ck_assert_int_eq(parse(changes[_i], &sb, 1, &d), 0);
	ck_assert(opt_equal(opts, &a, &a));
	ck_assert(opt_equal(NULL, &a, &b));
	ck_assert(!opt_equal(opts, &a, &b));
	opt_free(&sa, 1);
	opt_free(&sb, 1);
}
END_TEST

START_TEST(nearest)
{
	static const char *const plugins[] = { "LOGEMU", "JSON", "GPRINT" };

	ck_assert_str_eq(opt_nearest("LOGEMO", plugins, 3), "LOGEMU");
	ck_assert_str_eq(opt_nearest("json", plugins, 3), "JSON");
	ck_assert_str_eq(opt_nearest("OPRINT", plugins, 3), "GPRINT");
	ck_assert_ptr_null(opt_nearest("NACCT", plugins, 3));
	ck_assert_ptr_null(opt_nearest("", plugins, 3));
	ck_assert_ptr_null(
		opt_nearest("a-name-that-is-longer-than-all-names-which-anybody-would-"
			    "give-to-a-plugin",
			    plugins, 3));
}
END_TEST

START_TEST(describe)
{
	static const struct ctf_opt odd[] = {
		{ "x", CTF_OUINT, 0, 0, 0, "-1", NULL, ".a \\ 'b'" }, { NULL }
	};
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	opt_describe(f, needs);
	opt_describe(f, opts + 7);
	opt_man(f, needs);
	opt_man(f, opts + 5);
	opt_man(f, odd);
	fclose(f);
	ck_assert_str_eq(text,
			 "  db                           text, not empty; Mandatory; database\n"
			 "  rows                         number, 0..9; Mandatory; rows\n"
			 "  mode                         file|tcp|unix; default file; kind\n"
			 ".It Cm db\ndatabase.\n(text, not empty; mandatory)\n"
			 ".It Cm rows\nrows.\n(number, 0..9; mandatory)\n"
			 ".It Cm file\nwhere to.\n(text, not empty; default /var/log/x y)\n"
			 ".It Cm tag\na tag.\n(text, 0..8 bytes; default empty)\n"
			 ".It Cm mode\nkind.\n(file|tcp|unix; default file)\n"
			 ".It Cm x\n\\&.a \\e 'b'.\n(number; default \\-1)\n");
	free(text);
}
END_TEST

/* Neither a message nor what is printed shows it. */
START_TEST(secrets_are_not_shown)
{
	static const struct ctf_opt secret[] = {
		{ "tag", CTF_OSECRET, AT(tag), 0, 8, "", NULL, "a tag" },
		{ NULL },
	};
	struct sample s = { 0 };
	struct opt_set set = { secret, &s };
	struct diag d = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	ck_assert_int_eq(parse("tag=geheimer-als-8\n", &set, 1, &d), -EINVAL);
	ck_assert_str_eq(d.item[0].text, "tag=...: wrong length (expected: text, 0..8 bytes)");
	diag_free(&d);
	ck_assert_int_eq(parse("tag=geheim\n", &set, 1, &d), 0);
	ck_assert_str_eq(s.tag, "geheim");
	f = open_memstream(&text, &len);
	opt_print(f, &set, 1);
	fclose(f);
	ck_assert_str_eq(text, "#tag= (not shown)\n");
	free(text);
	opt_free(&set, 1);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, good_values, 0, COUNT(numbers));
	tcase_add_loop_test(t, bad_values, 0, COUNT(problems));
	tcase_add_loop_test(t, print, 0, COUNT(round_trips));
	tcase_add_loop_test(t, equal, 0, COUNT(changes));
	tcase_add_test(t, secrets_are_not_shown);
	tcase_add_test(t, defaults);
	tcase_add_test(t, what_is_ignored_has_no_effect);
	tcase_add_test(t, two_sets);
	tcase_add_test(t, all_at_once);
	tcase_add_test(t, bad_default);
	tcase_add_test(t, lines_of_options);
	tcase_add_test(t, nearest);
	tcase_add_test(t, describe);
}

int
main(void)
{
	return unit_main("opt", add_tests);
}
