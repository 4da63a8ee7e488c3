/* SPDX-License-Identifier: GPL-2.0-or-later */
/* format= and CSV: every way to write a field, and what is said of mistakes. */
#include "sample.h"
#include "unit.h"

#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_logemu, ctf_plugin_gprint, ctf_plugin_csv,
	ctf_plugin_syslog;

#define NS UINT64_C(1000000000)
#define AT (1795238261 * NS + 123456789) /* 2026-11-21 05:17:41 UTC */

static struct ctf_err err;

static struct plug *
plug_with(const struct ctf_plugin *plugin, const char *option, const char *value)
{
	char options[9000];

	snprintf(options, sizeof(options), "%s=\"%s\"\n", option, value);
	return plug_new(plugin, options);
}

static void
feed(struct plug *p)
{
	plug_rec(p, AF_INET, CTF_DESTROY, AT);
	plug_ip(p, "orig.ip.saddr", "10.0.0.1");
	plug_num(p, "orig.l4.sport", 4711);
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "ct.mark", 0x80000042);
	plug_num(p, "flow.start.ns", AT - NS);
	plug_num(p, "flow.start.sec", AT / NS - 1);
	plug_text(p, "print", "[DESTROY] x \n");
	plug_text(p, "orig.ip.saddr.name", "a\tb \"c\",d");
	plug_bytes(p, "ct.labels", "\x01\xfe", 2);
}

static const struct {
	const char *format, *line;
} good[] = {
	{ "%{orig.ip.saddr}:%{orig.l4.sport}", "10.0.0.1:4711" },
	{ "100 %% of\\tit \\\\", "100 % of\tit \\" },
	{ "%{event} %{proto}", "DESTROY tcp" },
	{ "%{orig.ip.protocol}/%{ct.mark} %{ct.mark:hex} %{ct.labels}",
	  "6/2147483714 0x80000042 01fe" },
	{ "%{print}", "[DESTROY] x" },
	{ "%{orig.ip.saddr.name}", "a_b \"c\",d" },
	{ "[%{orig.ip.saddr.name:json}, %{ct.mark:json}, %{orig.ip.saddr:json}, "
	  "%{icmp.type:json}, %{event:json}]",
	  "[\"a\\tb \\\"c\\\",d\", 2147483714, \"10.0.0.1\", null, \"DESTROY\"]" },
	{ "%{icmp.type} %{icmp.type|none} %{icmp.code|}.", "- none ." },
	{ "%{orig.raw.pktlen} %{orig.raw.pktlen|?}", "0 ?" },
	/* times */
	{ "%{time}", "2026-11-21T05:17:41.123Z" },
	{ "%{time:iso} %{time:iso.us} %{time:iso.ns}",
	  "2026-11-21T05:17:41Z 2026-11-21T05:17:41.123456Z "
	  "2026-11-21T05:17:41.123456789Z" },
	{ "%{time:s} %{time:ms} %{time:us} %{time:ns}",
	  "1795238261 1795238261123 1795238261123456 1795238261123456789" },
	{ "%{time:local} %{time:local iso}",
	  "2026-11-21T10:47:41.123+05:30 2026-11-21T10:47:41+05:30" },
	{ "%{time:%d/%b/%Y:%H:%M:%S %z}", "21/Nov/2026:05:17:41 +0000" },
	{ "%{time:local %H:%M}|%{time:utc %H:%M}", "10:47|05:17" },
	{ "%{time:%H:%M:%S.%3N}|%{time:%N}|%{time:%6N %Z}|%{time:local %S.%9N%z}",
	  "05:17:41.123|123456789|123456 GMT|41.123456789+0530" },
	{ "%{flow.start.ns} %{flow.start.sec} %{flow.start.sec:iso}",
	  "2026-11-21T05:17:40.123Z 1795238260 2026-11-21T05:17:40Z" },
	{ "%{flow.destroy.ns:%H.%3N}.%{flow.destroy.ns|never:iso}", "-.never" },
};

START_TEST(written)
{
	struct plug *p;

	setenv("TZ", "IST-5:30", 1);
	p = plug_with(&ctf_plugin_gprint, "format", good[_i].format);
	feed(p);
	ck_assert_str_eq(sample_line(p), good[_i].line);
	plug_free(p);
}
END_TEST

/* Seconds are not mixed up when time goes on, or back. */
START_TEST(seconds)
{
	static const uint64_t at[] = { AT, AT + NS - 1, AT + NS, AT - 3600 * NS, AT };
	struct plug *p = plug_with(&ctf_plugin_logemu, "format",
				   "%{time:%H:%M:%S} %{time:iso.ms} %{time:local iso.ms}");
	char want[128];

	for (unsigned i = 0; i < COUNT(at); i++) {
		unsigned s = at[i] / NS % 86400, ms = at[i] / 1000000 % 1000;

		snprintf(want, sizeof(want),
			 "%02u:%02u:%02u 2026-11-21T%02u:%02u:%02u.%03uZ "
			 "2026-11-21T%02u:%02u:%02u.%03u+00:00",
			 s / 3600, s / 60 % 60, s % 60, s / 3600, s / 60 % 60, s % 60, ms,
			 s / 3600, s / 60 % 60, s % 60, ms);
		plug_rec(p, AF_INET, CTF_NEW, at[i]);
		ck_assert_str_eq(sample_line(p), want);
	}
	plug_free(p);
}
END_TEST

static const struct {
	const char *format, *says;
} bad[] = {
	{ "%{orig.ip.sadr}", "there is no field orig.ip.sadr; orig.ip.saddr?" },
	{ "%{nothing.like.it.at.all}", "there is no field nothing.like.it.at.all" },
	{ "%{orig.ip.saddr", "no } after %{orig.ip.saddr" },
	{ "%{}", "there is no field " },
	{ "50 % of", "% " },
	{ "a\\nb", "\\n" },
	{ "%", "% is neither" },
	{ "%{orig.ip.saddr:iso}", "orig.ip.saddr is no time" },
	{ "%{flow.start.ns:isoo}", "cannot be written as isoo" },
	{ "%{flow.start.ns:iso ms}", "cannot be written as ms" },
	{ "%{orig.ip.saddr:hex}", "is no number" },
	{ "%{time:local local junk}", "cannot be written as junk" },
};

START_TEST(refused)
{
	char options[300];

	snprintf(options, sizeof(options), "format=\"%s\"\n", bad[_i].format);
	ck_assert_int_lt(plug_try(&ctf_plugin_logemu, options, &err), 0);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s: %s", bad[_i].format, err.msg);
}
END_TEST

/* What ends lines, or a terminal's words, does not get into them. */
START_TEST(control_characters)
{
	struct plug *p = plug_with(&ctf_plugin_logemu, "format", "%{orig.ip.saddr.name}|");

	plug_rec(p, AF_INET, CTF_NEW, 0);
	plug_text(p, "orig.ip.saddr.name", "a\nb\r\x1b[2J\x7f\xc3\xa9 \n");
	ck_assert_str_eq(sample_line(p), "a_b__[2J_\xc3\xa9|");
	plug_free(p);
}
END_TEST

START_TEST(syslog_text)
{
	struct plug *p = plug_with(&ctf_plugin_syslog, "format", "%{orig.ip.saddr} gone");
	const char *line;

	feed(p);
	line = sample_line(p);
	ck_assert(strncmp(line, "<29>Nov 21 05:17:41 ulogd[", 26) == 0);
	ck_assert_ptr_nonnull(strstr(line, "]: 10.0.0.1 gone"));
	plug_free(p);
}
END_TEST

/* A record that needs a new frame is not lost. */
START_TEST(frames)
{
	struct plug *p = plug_with(&ctf_plugin_logemu, "format", "%{print}");
	char big[8000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (unsigned i = 0; i < 30; i++) {
		plug_rec(p, AF_INET, CTF_NEW, 0);
		plug_text(p, "print", big);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	plug_free(p);
}
END_TEST

/* As long as the option allows, it is written or refused, not left out line by line. */
START_TEST(long_ones)
{
	static const char field[] = "%{orig.ip.saddr}:", stamp[] = "%{time:%c}";
	char text[8001] = "", all[9000];
	struct plug *p;

	for (unsigned i = 0; i < 400; i++)
		strcat(text, field);
	p = plug_with(&ctf_plugin_logemu, "format", text);
	plug_rec(p, AF_INET6, CTF_NEW, 0);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	plug_free(p);
	text[0] = '\0';
	for (unsigned i = 0; i < 700; i++)
		strcat(text, stamp);
	snprintf(all, sizeof(all), "format=\"%s\"\n", text);
	ck_assert_int_lt(plug_try(&ctf_plugin_logemu, all, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "format: is too long"));
}
END_TEST

/* Whatever stands there is refused or written: no line break, no crash. */
START_TEST(random_formats)
{
	static const char *const parts[] = { "%{",
					     "}",
					     "|",
					     ":",
					     "%",
					     "%%",
					     " ",
					     "time",
					     "orig.ip.saddr",
					     "print",
					     "event",
					     "local",
					     "utc",
					     "iso",
					     "ns",
					     "json",
					     "hex",
					     "%3N",
					     "%N",
					     "%H",
					     "%z",
					     "\\t",
					     "\\",
					     "x",
					     "%{time:%H.%3N}",
					     "%{ct.mark:hex}",
					     "%{icmp.type|",
					     "host",
					     "%9N%6N",
					     "." };
	unsigned seed = 1, good_ones = 0;
	char text[400], all[600];

	for (unsigned i = 0; i < 1000; i++) {
		unsigned n = 1 + (unsigned)rand_r(&seed) % 8;

		for (*text = '\0'; n--;)
			strcat(text, parts[(unsigned)rand_r(&seed) % COUNT(parts)]);
		snprintf(all, sizeof(all), "format=\"%s\"\n", text);
		if (plug_try(&ctf_plugin_logemu, all, &err) < 0)
			continue;
		struct plug *p = plug_new(&ctf_plugin_logemu, all);

		feed(p);
		ck_assert_ptr_null(strchr(sample_line(p), '\n'));
		plug_free(p);
		good_ones++;
	}
	ck_assert_uint_gt(good_ones, 100);
}
END_TEST

/* ---- CSV ---- */

START_TEST(quoting)
{
	static const struct {
		const char *name, *comma, *semicolon;
	} cases[] = { { "plain", "plain", "plain" },
		      { "a,b", "\"a,b\"", "a,b" },
		      { "a;b", "a;b", "\"a;b\"" },
		      { "say \"x\"", "\"say \"\"x\"\"\"", "\"say \"\"x\"\"\"" },
		      { "", "", "" },
		      { "two\nlines", "two_lines", "two_lines" } };
	char options[200], want[100];

	for (unsigned s = 0; s < 2; s++) {
		struct plug *p;

		snprintf(options, sizeof(options),
			 "fields=orig.ip.saddr.name,ct.mark,icmp.type|none,icmp.code\n"
			 "separator=%s\n",
			 s ? "semicolon" : "comma");
		p = plug_new(&ctf_plugin_csv, options);
		for (unsigned i = 0; i < COUNT(cases); i++) {
			snprintf(want, sizeof(want), s ? "%s;7;none;" : "%s,7,none,",
				 s ? cases[i].semicolon : cases[i].comma);
			plug_rec(p, AF_INET, CTF_NEW, 0);
			plug_text(p, "orig.ip.saddr.name", cases[i].name);
			plug_num(p, "ct.mark", 7);
			ck_assert_str_eq(sample_line(p), want);
		}
		plug_free(p);
	}
}
END_TEST

/* As many columns as the header, also with a time in several pieces. */
START_TEST(default_columns)
{
	struct plug *p = plug_new(&ctf_plugin_csv, "");
	char header[1000], *line;
	unsigned commas[2] = { 0, 0 };

	feed(p);
	snprintf(header, sizeof(header), "%.*s", (int)plug_layout(p)->len, plug_layout(p)->p);
	ck_assert(strncmp(header, "event,flow.start.ns,", 20) == 0);
	line = strdup(sample_line(p));
	for (const char *s = header; *s; s++)
		commas[0] += *s == ',';
	for (const char *s = line; *s; s++)
		commas[1] += *s == ',';
	ck_assert_uint_eq(commas[0], commas[1]);
	ck_assert(strncmp(line, "DESTROY,2026-11-21T05:17:40.123Z,,,tcp,10.0.0.1,4711,", 52) ==
		  0);
	free(line);
	plug_free(p);
	p = plug_new(&ctf_plugin_csv, "fields=\"time:%H:%M:%S.%3N, event\"\nseparator=tab\n");
	feed(p);
	ck_assert_str_eq(sample_line(p), "05:17:41.123\tDESTROY");
	ck_assert_uint_eq(plug_layout(p)->len, 11);
	ck_assert_mem_eq(plug_layout(p)->p, "time\tevent\n", 11);
	plug_free(p);
	ck_assert_int_lt(plug_try(&ctf_plugin_csv,
				  "fields=\"event,time:%H|%M\"\nseparator=pipe\n", &err),
			 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "separator"));
	ck_assert_int_lt(plug_try(&ctf_plugin_csv, "fields=\"event,,time\"\n", &err), 0);
}
END_TEST

static char path[] = "/tmp/test_format.XXXXXX", moved[64];

static void
row(struct plug *p, unsigned n)
{
	plug_rec(p, AF_INET, CTF_NEW, 0);
	plug_num(p, "ct.id", n);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	ck_assert_ptr_nonnull(plug_seal(p));
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
}

static struct plug *
csv_to_file(const char *more)
{
	char options[200];

	snprintf(options, sizeof(options), "file=%s\n%s", path, more);
	return plug_new(&ctf_plugin_csv, options);
}

/* A header at the start of each file, and nowhere else unless columns change. */
START_TEST(header)
{
	struct plug *p;

	ck_assert_int_ge(close(mkstemp(path)), 0);
	snprintf(moved, sizeof(moved), "%s.1", path);
	p = csv_to_file("fields=ct.id\n");
	row(p, 1);
	row(p, 2);
	ck_assert_int_eq(rename(path, moved), 0);
	row(p, 3);
	ck_assert_int_eq(ctf_plugin_csv.reopen(plug_sink(p), &err), 0);
	row(p, 4);
	ck_assert_str_eq(unit_read(moved), "ct.id\n1\n2\n3\n");
	ck_assert_str_eq(unit_read(path), "ct.id\n4\n");
	ck_assert_int_eq(truncate(path, 0), 0); /* as logrotate's copytruncate */
	row(p, 5);
	ck_assert_str_eq(unit_read(path), "ct.id\n5\n");
	plug_close(p);
	row(p, 6); /* opened again */
	plug_free(p);
	p = csv_to_file("fields=ct.id\n"); /* the next run */
	row(p, 7);
	plug_free(p);
	ck_assert_str_eq(unit_read(path), "ct.id\n5\n6\n7\n");
	p = csv_to_file("fields=event,ct.id\n");
	row(p, 8);
	plug_free(p);
	p = csv_to_file("fields=event,ct.id\nheader=0\n");
	row(p, 9);
	plug_free(p);
	ck_assert_str_eq(unit_read(path), "ct.id\n5\n6\n7\nevent,ct.id\nNEW,8\nNEW,9\n");
	unlink(path);
	unlink(moved);
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_add_loop_test(t, written, 0, COUNT(good));
	tcase_add_test(t, seconds);
	tcase_add_loop_test(t, refused, 0, COUNT(bad));
	tcase_add_test(t, control_characters);
	tcase_add_test(t, syslog_text);
	tcase_add_test(t, frames);
	tcase_add_test(t, long_ones);
	tcase_add_test(t, random_formats);
	tcase_add_test(t, quoting);
	tcase_add_test(t, default_columns);
	tcase_add_test(t, header);
}

int
main(void)
{
	return unit_main("format", add_tests);
}
