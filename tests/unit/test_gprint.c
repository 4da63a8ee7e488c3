/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GPRINT against lines of ulogd2.  Deliberate difference: 2.0.8 prints of an
 * IPv6 address the first four bytes, as if it were IPv4.
 */
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_gprint;

#define NS UINT64_C(1000000000)
#define LOGGED (1795238261 * NS) /* the time in the sample with timestamps */

/* What 2.0.8 should have printed for the IPv6 flows of the samples. */
static void
repair(char *line)
{
	static const char *const good[] = { "orig.ip.saddr=fd77::1", "orig.ip.daddr=fd77::2",
					    "reply.ip.saddr=fd77::2",
					    "reply.ip.daddr=fd77::1" };

	if (!strstr(line, "=253.119.0.0"))
		return;
	for (unsigned i = 0; i < 4; i++) {
		char bad[64];

		snprintf(bad, sizeof(bad), "%.*s=253.119.0.0", (int)strcspn(good[i], "="),
			 good[i]);
		sample_replace(line, bad, good[i]);
	}
}

static void
take_apart(struct plug *p, const char *line)
{
	char copy[SAMPLE_LINE], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	plug_rec(p, strstr(line, "oob.family=10") ? AF_INET6 : AF_INET,
		 strstr(line, "ct.event=1,") ? CTF_NEW : CTF_DESTROY, LOGGED);
	for (char *t = strtok_r(copy, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(t, '=');

		*eq = '\0';
		if (strcmp(t, "timestamp") != 0)
			sample_value(p, t, eq + 1);
	}
}

static void
check_file(const char *name, const char *options)
{
	struct plug *p = plug_new(&ctf_plugin_gprint, options);
	struct sample *s = sample_read(name);

	for (unsigned i = 0; i < s->n; i++) {
		repair(s->line[i]);
		take_apart(p, s->line[i]);
		ck_assert_str_eq(sample_line(p), s->line[i]);
	}
	free(s);
	plug_free(p);
}

START_TEST(same_as_ulogd2)
{
	check_file("2.0.8-GPRINT-IP2STR.txt", "file=/dev/null\n");
	check_file("2.0.8-GPRINT-IP2STR-nohash-NEW.txt", "file=/dev/null\n");
	check_file("2.0.8-GPRINT-timestamp.txt", "file=/dev/null\ntimestamp=1\n");
	check_file("HEAD-GPRINT.txt", "file=/dev/null\n"); /* no difference at all */
}
END_TEST

/* Nothing but what ulogd2 has, whatever else the record carries. */
START_TEST(no_new_fields)
{
	struct plug *p = plug_new(&ctf_plugin_gprint, "file=/dev/null\n");

	plug_rec(p, AF_INET, CTF_DESTROY, 0);
	plug_num(p, "ct.zone", 7);
	plug_num(p, "ct.status", 14);
	plug_num(p, "ct.id", UINT32_MAX);
	ck_assert_str_eq(sample_line(p),
			 "orig.raw.pktlen=0,orig.raw.pktcount=0,reply.raw.pktlen=0,"
			 "reply.raw.pktcount=0,ct.mark=0,ct.id=4294967295,oob.protocol=0");
	plug_free(p);
}
END_TEST

/* Texts of any length; a frame holds whole lines. */
START_TEST(long_texts)
{
	struct plug *p = plug_new(&ctf_plugin_gprint, "file=/dev/null\n");
	char big[40000];
	const struct ctf_frame *f;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, 0);
		plug_text(p, "print", big);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	f = plug_seal(p);
	ck_assert_uint_eq(f->recs, 1);
	ck_assert_uint_gt(f->len, sizeof(big));
	ck_assert_int_eq(f->p[f->len - 1], '\n');
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_test(t, no_new_fields);
	tcase_add_test(t, long_texts);
}

int
main(void)
{
	return unit_main("gprint", add_tests);
}
