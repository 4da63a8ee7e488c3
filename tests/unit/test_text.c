/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers, addresses, JSON strings and times as the text outputs write them. */
#include "text.h"
#include "unit.h"

#include <arpa/inet.h>
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t
rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const struct {
	const char *in, *out;
	size_t n; /* 0: strlen */
} json_cases[] = {
	{ "", "" },
	{ "plain /text/", "plain /text/" },
	{ "a\"b\\c", "a\\\"b\\\\c" },
	{ "\b\f\n\r\t", "\\b\\f\\n\\r\\t" },
	{ "\x01\x1f\x7f", "\\u0001\\u001F\x7f" },
	{ "a\0b", "a\\u0000b", 3 },
	{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "\xff", "\xef\xbf\xbd" },
	{ "\xc3", "\xef\xbf\xbd" },
	{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf5x", "\xef\xbf\xbdx" },
	{ "\xe2\x82x", "\xef\xbf\xbd\xef\xbf\xbdx" },
};

START_TEST(json_escapes)
{
	for (unsigned i = 0; i < COUNT(json_cases); i++) {
		size_t n = json_cases[i].n ? json_cases[i].n : strlen(json_cases[i].in);
		char got[64];

		*text_json(got, json_cases[i].in, n) = '\0';
		ck_assert_str_eq(got, json_cases[i].out);
		ck_assert_uint_eq(text_json_len(json_cases[i].in, n), strlen(got));
	}
}
END_TEST

/* Runs a python program over what was written to its input; 0 if it agrees. */
static int
python(const char *program, void (*write_input)(FILE *))
{
	char cmd[1024];
	FILE *f;

	snprintf(cmd, sizeof(cmd), "python3 -c '%s'", program);
	f = popen(cmd, "w");
	ck_assert_ptr_nonnull(f);
	write_input(f);
	return pclose(f);
}

/* Per line: the bytes in hex, a blank, the JSON string made of them. */
static void
random_strings(FILE *f)
{
	uint64_t seed = 4;
	uint8_t in[64];
	char out[sizeof(in) * TEXT_JSON], *end;

	for (unsigned i = 0; i < 20000; i++) {
		size_t n = rnd(&seed) % sizeof(in);

		for (size_t k = 0; k < n; k++) {
			uint64_t r = rnd(&seed);

			/* valid lead and continuation bytes often enough */
			in[k] = (uint8_t)(r >> 8 & 3 ? r >> 16 : 0x80 | (r >> 16 & 0x7f));
			fprintf(f, "%02x", in[k]);
		}
		end = text_json(out, in, n);
		ck_assert_uint_eq((size_t)(end - out), text_json_len(in, n));
		fprintf(f, " \"%.*s\"\n", (int)(end - out), out);
	}
}

START_TEST(json_of_random_bytes)
{
	/* Where the input is UTF-8 it must come back unchanged. */
	ck_assert_int_eq(python("import sys,json\n"
				"n=0\n"
				"for l in sys.stdin.buffer.read().split(b\"\\n\")[:-1]:\n"
				" h,j=l.split(b\" \",1)\n"
				" s=json.loads(j.decode(\"utf-8\"))\n"
				" b=bytes.fromhex(h.decode())\n"
				" try: u=b.decode(\"utf-8\")\n"
				" except UnicodeDecodeError: assert \"\\ufffd\" in s\n"
				" else: assert u==s; n+=1\n"
				"assert n>500, n\n",
				random_strings),
			 0);
}
END_TEST

START_TEST(iso_time)
{
	char s[TEXT_ISO + 1];

	*text_iso(s, UINT64_C(1795238261123999999)) = '\0';
	ck_assert_str_eq(s, "2026-11-21T05:17:41.123Z");
	*text_iso(s, 0) = '\0';
	ck_assert_str_eq(s, "1970-01-01T00:00:00.000Z");
	*text_iso(s, UINT64_MAX) = '\0';
	ck_assert_str_eq(s, "2554-07-21T23:34:33.709Z");
}
END_TEST

START_TEST(labels)
{
	char out[400], name[200], want[400];
	struct text_label l;

	for (unsigned n = 0; n < sizeof(name); n++) {
		memset(name, 'x', n);
		name[n] = '\0';
		ck_assert_int_eq(text_label_set(&l, ", \"", name, true, "\": "), 0);
		*text_label(out, &l) = '\0';
		snprintf(want, sizeof(want), ", \"%s\": ", name);
		ck_assert_str_eq(out, want);
		text_label_free(&l);
	}
	ck_assert_int_eq(text_label_set(&l, "", "a\"b", true, "="), 0);
	*text_label(out, &l) = '\0';
	ck_assert_str_eq(out, "a\\\"b=");
	text_label_free(&l);
}
END_TEST

START_TEST(gap_lines)
{
	struct ctf_gap g = { .from_ns = UINT64_C(1795238261000000000),
			     .to_ns = UINT64_C(1795238262500000000),
			     .count = 7,
			     .count_is = CTF_EXACT,
			     .cause = "overrun",
			     .instance = "ct1",
			     .nsid = -1 };
	struct text_stamp t = { .len = 2, .s = "> " };
	uint8_t buf[200];
	struct ctf_frame f = { .p = buf, .cap = sizeof(buf) };

	ck_assert_int_eq(text_gap(&f, &g, &t), CTF_OK);
	buf[f.len] = '\0';
	ck_assert_str_eq((char *)buf, "> [GAP] FROM=2026-11-21T05:17:41.000Z "
				      "TO=2026-11-21T05:17:42.500Z CAUSE=overrun COUNT=7 \n");
	g.count = CTF_UNKNOWN;
	g.count_is = CTF_UNCOUNTED;
	f.len = 0;
	ck_assert_int_eq(text_gap(&f, &g, &t), CTF_OK);
	buf[f.len] = '\0';
	ck_assert_ptr_nonnull(strstr((char *)buf, " COUNT=? \n"));
	f.cap = 20;
	f.len = 0;
	ck_assert_int_eq(text_gap(&f, &g, &t), CTF_FULL);
	ck_assert_uint_eq(f.len, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_test(t, json_escapes);
	tcase_add_test(t, json_of_random_bytes);
	tcase_add_test(t, iso_time);
	tcase_add_test(t, labels);
	tcase_add_test(t, gap_lines);
}

int
main(void)
{
	return unit_main("text", add_tests);
}
