/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON against lines of ulogd2.  Deliberate difference: 2.0.8 leaves the
 * offset out of the time where it is 0.  Then: any bytes make valid JSON.
 */
#include "sample.h"
#include "unit.h"

#include <time.h>

extern const struct ctf_plugin ctf_plugin_json;

#define NS UINT64_C(1000000000)

/* ulogd2's name of the field a member shows. */
static const char *
field_of(const char *member)
{
	if (strcmp(member, "src_ip") == 0)
		return "orig.ip.saddr.str";
	return strcmp(member, "dest_ip") == 0 ? "orig.ip.daddr.str" : member;
}

/* Makes a record of an object with neither commas nor escapes in its texts. */
static void
take_apart(struct plug *p, const char *line, uint64_t sec)
{
	static const char *const made[] = { "@version", "timestamp", "@timestamp", "dvc" };
	char copy[SAMPLE_LINE], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	plug_rec(p, strstr(line, "\"oob.family\": 10") ? AF_INET6 : AF_INET, CTF_DESTROY,
		 sec * NS + NS / 2);
	for (char *t = strtok_r(copy, "{,}", &save); t; t = strtok_r(NULL, "{,}", &save)) {
		char *name = strchr(t, '"') + 1, *end = strchr(name, '"'), *value = end + 3;
		bool skip = false;

		*end = '\0';
		for (unsigned i = 0; i < COUNT(made); i++)
			skip |= strcmp(name, made[i]) == 0;
		value += *value == '"';
		value[strcspn(value, "\"")] = '\0';
		if (!skip)
			sample_value(p, field_of(name), value);
	}
}

static void
check_file(const char *name, const char *options)
{
	struct plug *p = plug_new(&ctf_plugin_json, options);
	struct sample *s = sample_read(name);

	for (unsigned i = 0; i < s->n; i++) {
		take_apart(p, s->line[i], 1795238261);
		sample_replace(s->line[i], "T05:17:41\"", "T05:17:41+0000\"");
		ck_assert_str_eq(sample_line(p), s->line[i]);
	}
	free(s);
	plug_free(p);
}

START_TEST(same_as_ulogd2)
{
	check_file("2.0.8-JSON-UTC.json", "file=/dev/null\n");
	check_file("2.0.8-JSON-eventv1-UTC.json", "file=/dev/null\neventv1=1\ndevice=fw1\n");
}
END_TEST

/* The samples of the sockets: a zone with an offset, and no time at all. */
START_TEST(same_with_offset)
{
	struct sample *s = sample_read("2.0.8-JSON-sockets-IST.txt");
	unsigned seen = 0;

	setenv("TZ", "IST-5:30", 1);
	for (unsigned i = 0; i < s->n; i++) {
		char *line = strchr(s->line[i], '{');
		struct plug *p;

		if (!line)
			continue;
		line[strcspn(line, "}") + 1] = '\0';
		p = plug_new(&ctf_plugin_json,
			     strstr(line, "timestamp") ? "timestamp=1\n" : "timestamp=0\n");
		take_apart(p, line, 1795238709);
		ck_assert_str_eq(sample_line(p), line);
		plug_free(p);
		seen++;
	}
	ck_assert_uint_eq(seen, 3);
	free(s);
}
END_TEST

START_TEST(members)
{
	struct plug *p = plug_new(&ctf_plugin_json, "timestamp=0\ndevice=\"a\\b\"\n");

	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	plug_ip(p, "orig.ip.saddr", "10.0.0.1"); /* not without IP2STR, as in ulogd2 */
	plug_num(p, "orig.raw.pktlen", UINT64_MAX);
	plug_num(p, "icmpv6.type", 128);
	plug_num(p, "ct.zone", 3);
	plug_text(p, "print", "[NEW] \"x\" \n");
	ck_assert_str_eq(sample_line(p),
			 "{\"dvc\": \"a\\\\b\", \"orig.raw.pktlen\": 18446744073709551615, "
			 "\"orig.raw.pktcount\": 0, \"reply.raw.pktlen\": 0, "
			 "\"reply.raw.pktcount\": 0, \"icmpv6.type\": 128, \"ct.mark\": 0, "
			 "\"oob.protocol\": 0, \"print\": \"[NEW] \\\"x\\\" \\n\"}");
	plug_free(p);
}
END_TEST

START_TEST(gaps)
{
	struct ctf_gap g = { .from_ns = 1795238261 * NS,
			     .to_ns = 1795238262 * NS,
			     .count = 7,
			     .count_is = CTF_AT_MOST,
			     .cause = "overrun",
			     .instance = "ct1",
			     .nsid = -1 };
	struct plug *p = plug_new(&ctf_plugin_json, "file=/dev/null\n");
	uint8_t buf[1000];
	struct ctf_frame f = { .p = buf, .cap = sizeof(buf) - 1 };

	ck_assert_int_eq(ctf_plugin_json.gap(plug_self(p), &g, &f), CTF_OK);
	buf[f.len] = '\0';
	ck_assert_str_eq(
		(char *)buf,
		"{\"timestamp\": \"2026-11-21T05:17:42+0000\", \"dvc\": \"Netfilter\", "
		"\"gap.from\": \"2026-11-21T05:17:41.000Z\", "
		"\"gap.to\": \"2026-11-21T05:17:42.000Z\", \"gap.cause\": \"overrun\", "
		"\"gap.count\": 7, \"gap.count_is\": \"at_most\", "
		"\"gap.instance\": \"ct1\"}\n");
	g.count = CTF_UNKNOWN;
	g.count_is = CTF_UNCOUNTED;
	f.len = 0;
	ck_assert_int_eq(ctf_plugin_json.gap(plug_self(p), &g, &f), CTF_OK);
	buf[f.len] = '\0';
	ck_assert_ptr_nonnull(strstr((char *)buf, "\"gap.count\": null, "));
	for (f.cap = 0; f.cap < 200; f.cap++) {
		f.len = 0;
		ck_assert_int_eq(ctf_plugin_json.gap(plug_self(p), &g, &f), CTF_FULL);
		ck_assert_uint_eq(f.len, 0);
	}
	plug_free(p);
}
END_TEST

/* Random bytes in every text; python must take each line for one object. */
START_TEST(random_texts)
{
	static const char *const texts[] = { "print", "orig.ip.saddr.str", "orig.ip.daddr.str",
					     "reply.ip.saddr.str" };
	struct plug *p = plug_new(&ctf_plugin_json, "file=/dev/null\n");
	FILE *py = popen("python3 -c 'import sys,json\n"
			 "for l in sys.stdin.buffer.read().split(b\"\\n\")[:-1]:\n"
			 " assert len(json.loads(l.decode(\"utf-8\")))==12, l\n'",
			 "w");
	unsigned seed = 5;

	ck_assert_ptr_nonnull(py);
	for (unsigned i = 0; i < 3000; i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, i * NS);
		for (unsigned k = 0; k < 4; k++) {
			unsigned char text[200];
			uint32_t n = (unsigned)rand_r(&seed) % sizeof(text);

			for (uint32_t b = 0; b < n; b++)
				text[b] = (unsigned char)(rand_r(&seed) >> 8);
			plug_bytes(p, texts[k], text, n);
		}
		fprintf(py, "%s\n", sample_line(p));
	}
	ck_assert_int_eq(pclose(py), 0);
	plug_free(p);
}
END_TEST

/* What need not be truncated is not: only the exact length counts. */
START_TEST(long_texts)
{
	struct plug *p = plug_new(&ctf_plugin_json, "file=/dev/null\n");
	static char big[62000];
	const char *line;

	memset(big, 'x', sizeof(big) - 1);
	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	plug_text(p, "print", big);
	line = sample_line(p);
	ck_assert_uint_gt(strlen(line), sizeof(big));
	ck_assert_str_eq(line + strlen(line) - 3, "x\"}");
	memset(big, '\1', sizeof(big) - 1); /* too long once it is escaped */
	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	plug_text(p, "print", big);
	ck_assert_int_eq(plug_encode(p), CTF_FULL);
	plug_free(p);
}
END_TEST

/* As long as an option may be, and each character escaped. */
START_TEST(long_device)
{
	char name[256], options[400], want[600];
	struct plug *p;

	memset(name, '\\', 255);
	name[255] = '\0';
	snprintf(options, sizeof(options), "timestamp=0\ndevice=%s\n", name);
	p = plug_new(&ctf_plugin_json, options);
	snprintf(want, sizeof(want), "{\"dvc\": \"%s%s\", \"orig", name, name);
	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	ck_assert_int_eq(strncmp(sample_line(p), want, strlen(want)), 0);
	plug_free(p);
}
END_TEST

START_TEST(bad_options)
{
	struct ctf_err err = { .msg = "" };
	char options[300];

	ck_assert_int_lt(plug_try(&ctf_plugin_json, "mode=pigeon\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "mode"));
	snprintf(options, sizeof(options), "mode=unix\nfile=/%0150d\n", 0);
	ck_assert_int_lt(plug_try(&ctf_plugin_json, options, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "107"));
	ck_assert_int_lt(plug_try(&ctf_plugin_json, "mode=tcp\nport=99999\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "port=99999: neither 1 to 65535"));
	ck_assert_uint_eq(err.line, 5);
	ck_assert_int_lt(plug_try(&ctf_plugin_json, "mode=udp\nport=0\n", &err), 0);
	ck_assert_int_lt(plug_try(&ctf_plugin_json, "mode=udp\nport=nosuch\n", &err), 0);
	ck_assert_int_eq(plug_try(&ctf_plugin_json, "port=nosuch\n", &err), 0); /* not used */
	ck_assert_int_eq(plug_try(&ctf_plugin_json, "mode=TCP\nport=514\nsync=1\n", &err), 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_test(t, same_with_offset);
	tcase_add_test(t, members);
	tcase_add_test(t, gaps);
	tcase_add_test(t, random_texts);
	tcase_add_test(t, long_texts);
	tcase_add_test(t, long_device);
	tcase_add_test(t, bad_options);
}

int
main(void)
{
	return unit_main("json", add_tests);
}
