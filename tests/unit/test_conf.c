/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/conf.c and core/diag.c: what ulogd2 2.0.8 makes of a text. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "unit.h"

struct parsed {
	struct conf *conf;
	struct diag diag;
};

static struct parsed
parse_n(const char *text, size_t len)
{
	struct parsed p = { 0 };

	ck_assert_int_eq(conf_parse(text, len, "t.conf", &p.conf, &p.diag), 0);
	return p;
}

static struct parsed
parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void
done(struct parsed *p)
{
	conf_free(p->conf);
	diag_free(&p->diag);
}

/* The section as "key=value,key,...": a key without value has no "=". */
static void
check_section(const struct conf *c, const char *name, const char *want)
{
	const struct conf_section *s = conf_find(c, name);
	char got[1024] = "";

	ck_assert_msg(s != NULL, "no section %s", name);
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_entry *e = &s->entry[i];

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%s%s", i ? "," : "",
			 e->key, e->value ? "=" : "", e->value ? e->value : "");
	}
	ck_assert_str_eq(got, want);
}

static const struct {
	const char *text, *section, *want;
} words[] = {
	{ "[a]\nx=1\n", "a", "x=1" },
	{ "[a]\nx = 1\n", "a", "x=1" },
	{ "[a]\nx 1\n", "a", "x=1" },
	{ "[a]\n\t x\t=\t1\t\n", "a", "x=1" },
	{ "[a]\r\nx=1\r\ny=2\r\n", "a", "x=1,y=2" },
	{ "[a]\nx=1 # why\n", "a", "x=1" },
	{ "[a]\nx = 0 junk\n", "a", "x=0" },
	{ "[a]\nx=1#2\n", "a", "x=1#2" },
	{ "[a]\nx=p=q\n", "a", "x=p" },
	{ "[a]\nx=\"p=q r\"s\n", "a", "x=p=q r" },
	{ "[a]\nx=p\"q\n", "a", "x=p\"q" },
	{ "[a]\nx='p q'\n", "a", "x='p" },
	{ "[a]\nx=\"\\\"\n", "a", "x=\\" },
	{ "[a]\n\"x y\"=1\n", "a", "x y=1" },
	{ "[a]\nx=\"\"\n", "a", "x=" },
	{ "[a]\nx=\n", "a", "x" },
	{ "[a]\nx\n", "a", "x" },
	{ "[a]\nx= # why\n", "a", "x=#" },
	{ "[a]\nx=\"open\n", "a", "x" },
	{ "[a]\n#x=1\n  # y=2\n; z=3\n", "a", "" },
	{ "[a]\nx=1", "a", "x=1" },
	{ "[a]", "a", "" },
	{ "[ a ]\nx=1\n", "a", "x=1" },
	{ "  [a] tail\nx=1\n", "a", "x=1" },
	{ "[\"a\"]\nx=1\n", "a", "x=1" },
	{ "[a b]\nx=1\n", "a", "x=1" },
	{ "[\"a b\"]\nx=1\n", "a b", "x=1" },
	{ "[a\nx=1\n", "a", "x=1" },
	{ "[[a]]\nx=1\n", "a", "x=1" },
	{ "[a]\nx=1\n  [b]\ny=2\n", "a", "x=1" },
	{ "[a]\nx=1\n[]\ny=2\n", "a", "x=1" },
	{ "[a]\nx=1\n[a]\nx=2\n", "a", "x=1" },
	{ "[a]\nstack=q\n[global]\nstack=s\n", "global", "stack=s" },
	{ "[a]\nstack=s,t:U\nstack=\"v:W,x:Y\"\n", "a", "stack=s,t:U,stack=v:W,x:Y" },
	{ "\xef\xbb\xbf[a]\nx=1\n", "a", "x=1" },
	{ "[a]\n\"[b]\"\nx=1\n", "a", "" },
	{ "[a]\n=[b]\nx=1\n", "a", "" },
	/* headers without brackets */
	{ "a\nx=1\n[b]\ny=2\n", "a", "x=1" },
	{ "[b]\ny=2\na\nx=1\n", "a", "x=1" },
	{ "[b]\ny=2\na\nx=1\n", "b", "y=2,a,x=1" },
	{ "a # tail\nx=1\n", "a", "x=1" },
	{ "[b]\na = foo\nx=1\n[c]\nz=1\n", "a", "x=1" },
	{ "a = foo\nx=1\n[a]\ny=2\n", "a", "y=2" },
	{ "a\nx=1\n[a]\ny=2\n", "a", "x=1" },
	{ "[a]\ny=2\n[b]\na\nx=1\n", "a", "y=2" },
	{ "a]\nx=1\n", "a", "x=1" },
};

START_TEST(grammar)
{
	struct parsed p = parse(words[_i].text);

	check_section(p.conf, words[_i].section, words[_i].want);
	ck_assert_uint_eq(p.diag.errors, 0);
	done(&p);
}
END_TEST

static const struct {
	const char *text, *name;
} missing[] = {
	{ "", "a" },           { "\n\n\n", "a" }, { "#[a]\n", "a" },
	{ "[ab]\n", "a" },     { "[A]\n", "a" },  { "[b]\nx=a\n", "a" },
	{ "[b]\na=1\n", "a" }, { "\"a\n", "a" },  { "[\"a\n", "a" },
};

START_TEST(no_section)
{
	struct parsed p = parse(missing[_i].text);

	ck_assert_ptr_null(conf_find(p.conf, missing[_i].name));
	ck_assert_uint_eq(p.diag.errors, 0);
	done(&p);
}
END_TEST

START_TEST(lines)
{
	struct parsed p =
		parse("# head\n\n[global]\nlogfile=x\r\n#\nstack=a\nstack=b\n\n[a]\n");
	const struct conf_section *g = conf_find(p.conf, "global");
	const struct conf_entry *e = conf_next(g, "stack", NULL);

	ck_assert_uint_eq(g->line, 3);
	ck_assert_uint_eq(g->entry[0].line, 4);
	ck_assert_uint_eq(e->line, 6);
	ck_assert_str_eq(e->value, "a");
	e = conf_next(g, "stack", e);
	ck_assert_uint_eq(e->line, 7);
	ck_assert_str_eq(e->value, "b");
	ck_assert_ptr_null(conf_next(g, "stack", e));
	ck_assert_ptr_null(conf_next(g, "stac", NULL));
	ck_assert_uint_eq(conf_find(p.conf, "a")->line, 9);
	ck_assert_str_eq(p.conf->file, "t.conf");
	done(&p);
}
END_TEST

/* Each item as diag_text() has it, after conf_warn() of all of [a]. */
static const struct {
	const char *text, *want;
} warned[] = {
	{ "[a]\nx=1 # fine\ny=2 ; fine\n", NULL },
	{ "[a]\nx=\n", "t.conf:2: \"x\" ignored, no value" },
	{ "[a]\nx=\"\"\n", NULL },
	{ "[a]\n x=\"y\n", "t.conf:2: ignored, a quote is not closed: \"y" },
	{ "[a]\n\"x y\n", "t.conf:2: ignored, a quote is not closed: \"x y" },
	{ "[a]\nx=1 2\n", "t.conf:2: text after the value of \"x\" ignored: \"2\"" },
	{ "[a]\nx=y=z\n", "t.conf:2: text after the value of \"x\" ignored: \"=z\"" },
	{ "x=1\n[a]\n", "t.conf:1: \"x\" ignored, it stands before the first section" },
	{ "[a] x=1\n", "t.conf:1: text after [a] ignored: \"x=1\"" },
	{ "[a] # x=1\n", NULL },
	{ "[a]\n[b]\n[a]\n", "t.conf:3: [a] ignored, line 1 has that section already" },
	{ "[a]\n[ ]\n", "t.conf:2: section without a name" },
};

START_TEST(warnings)
{
	struct parsed p = parse(warned[_i].text);
	const struct conf_section *s = conf_find(p.conf, "a");
	char *text;

	for (size_t i = 0; i < s->n; i++)
		conf_warn(&s->entry[i], p.conf->file, &p.diag);
	ck_assert_uint_eq(p.diag.errors, 0);
	ck_assert_uint_eq(p.diag.warnings, warned[_i].want != NULL);
	if (warned[_i].want) {
		text = diag_text(&p.diag.item[0]);
		ck_assert_str_eq(text, warned[_i].want);
		free(text);
	}
	done(&p);
}
END_TEST

START_TEST(nul_bytes)
{
	static const char text[] = "[a]\nx=1\0=2\n\0\ny=3\n";
	struct parsed p = parse_n(text, sizeof(text) - 1);

	check_section(p.conf, "a", "x=1,y=3");
	ck_assert_uint_eq(p.diag.warnings, 2);
	ck_assert_uint_eq(p.diag.item[0].line, 2);
	ck_assert_str_eq(p.diag.item[0].text, "rest of the line after a NUL byte ignored");
	done(&p);
}
END_TEST

START_TEST(long_line)
{
	size_t len = 1u << 20;
	char *text = malloc(len + 1);
	struct parsed p;
	const struct conf_section *s;

	memset(text, 'v', len);
	memcpy(text, "[a]\nx=", 6);
	text[len] = '\0';
	p = parse_n(text, len);
	s = conf_find(p.conf, "a");
	ck_assert_uint_eq(s->n, 1);
	ck_assert_uint_eq(strlen(s->entry[0].value), len - 6);
	done(&p);
	free(text);
}
END_TEST

/* Ten megabytes of the shortest lines there are, and of noise. */
START_TEST(huge)
{
	size_t len = 10u << 20;
	char *text = malloc(len);
	uint32_t x = 1;
	struct parsed p;

	for (size_t i = 0; i < len; i++)
		text[i] = i & 1 ? '\n' : 'a';
	p = parse_n(text, len);
	ck_assert_uint_eq(p.conf->n_entries, len / 2);
	ck_assert_uint_eq(conf_find(p.conf, "a")->line, 1);
	ck_assert_uint_eq(conf_find(p.conf, "a")->n, len / 2 - 1);
	done(&p);
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		text[i] = (char)(x >> 24);
	}
	p = parse_n(text, len);
	ck_assert_uint_le(p.diag.n, DIAG_MAX);
	ck_assert_uint_eq(p.diag.errors, 0);
	done(&p);
	free(text);
}
END_TEST

static const char *const printed[][2] = {
	{ "[a]\nx=1\n y = \"2 3\" #\n", "[a]\nx=1\ny=\"2 3\"\n" },
	{ "[a b]\n[\"c d\"]\nx=\"\"\ny=\n", "[a]\n[\"c d\"]\nx=\"\"\ny=\n" },
	{ "[a]\nx=p\"q\ny=\"#\"\nz=\"r\n", "[a]\nx=p\"q\ny=\"#\"\nz=\"r\n" },
	{ "[a]\n=#p\"q 1\n\"no end\n", "[a]\n=#p\"q=1\n\"no end\n" },
};

START_TEST(print)
{
	struct parsed p = parse(printed[_i][0]);
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	conf_print(f, p.conf);
	fclose(f);
	ck_assert_str_eq(text, printed[_i][1]);
	free(text);
	done(&p);
}
END_TEST

START_TEST(words_that_print)
{
	ck_assert(conf_is_word(""));
	ck_assert(conf_is_word("a b = [c]"));
	ck_assert(conf_is_word("a\"b"));
	ck_assert(!conf_is_word("a \"b"));
	ck_assert(!conf_is_word("\"b"));
	ck_assert(!conf_is_word("a\nb"));
}
END_TEST

static void
check_load_error(const char *path, int want, const char *text)
{
	struct conf *c = NULL;
	struct diag d = { 0 };
	char *got;

	ck_assert_int_eq(conf_load(path, &c, &d), want);
	ck_assert_ptr_null(c);
	ck_assert_uint_eq(d.errors, 1);
	got = diag_text(&d.item[0]);
	ck_assert_str_eq(got, text);
	free(got);
	diag_free(&d);
}

START_TEST(load_errors)
{
	check_load_error("/nonexistent/u.conf", -ENOENT,
			 "/nonexistent/u.conf: cannot be read: No such file or directory");
	check_load_error("/", -EISDIR, "/: cannot be read: Is a directory");
	check_load_error("/dev/zero", -EFBIG, "/dev/zero: cannot be read: File too large");
}
END_TEST

START_TEST(load)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	int fd = mkstemp(path);
	struct conf *c;
	struct diag d = { 0 };

	ck_assert_int_ge(fd, 0);
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_int_eq(dprintf(fd, "# a comment\n"), 12);
	ck_assert_int_eq(dprintf(fd, "[a]\nx=1"), 7);
	close(fd);
	ck_assert_int_eq(conf_load(path, &c, &d), 0);
	ck_assert_str_eq(c->file, path);
	check_section(c, "a", "x=1");
	ck_assert_uint_eq(conf_find(c, "a")->entry[0].line, 5002);
	conf_free(c);
	unlink(path);
}
END_TEST

START_TEST(diag_list)
{
	struct diag d = { 0 };
	struct ctf_err err = { .msg = "e 1", .file = "f", .line = 7 };
	char *text;

	diag_warn(&d, "f", 0, "w %d", 1);
	diag_err(&d, &err);
	diag_error(&d, NULL, 0, "e %d", 2);
	diag_error(NULL, "f", 1, "nowhere");
	ck_assert_uint_eq(d.warnings, 1);
	ck_assert_uint_eq(d.errors, 2);
	ck_assert_int_eq(d.item[0].level, CTF_WARNING);
	ck_assert_int_eq(d.item[1].level, CTF_ERROR);
	ck_assert_str_eq(text = diag_text(&d.item[0]), "f: w 1");
	free(text);
	ck_assert_str_eq(text = diag_text(&d.item[1]), "f:7: e 1");
	free(text);
	ck_assert_str_eq(text = diag_text(&d.item[2]), "e 2");
	free(text);
	for (unsigned i = 0; i < 2 * DIAG_MAX; i++)
		diag_error(&d, "f", i, "more");
	ck_assert_uint_eq(d.n, DIAG_MAX);
	ck_assert_uint_eq(d.errors, 2 + 2 * DIAG_MAX);
	diag_free(&d);
	ck_assert_uint_eq(d.n, 0);
	ck_assert_uint_eq(d.errors, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, grammar, 0, COUNT(words));
	tcase_add_loop_test(t, no_section, 0, COUNT(missing));
	tcase_add_loop_test(t, warnings, 0, COUNT(warned));
	tcase_add_loop_test(t, print, 0, COUNT(printed));
	tcase_add_test(t, lines);
	tcase_add_test(t, nul_bytes);
	tcase_add_test(t, long_line);
	tcase_add_test(t, huge);
	tcase_add_test(t, words_that_print);
	tcase_add_test(t, load_errors);
	tcase_add_test(t, load);
	tcase_add_test(t, diag_list);
}

int
main(void)
{
	return unit_main("conf", add_tests);
}
