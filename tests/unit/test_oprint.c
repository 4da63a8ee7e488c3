/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OPRINT against records of ulogd2.  Deliberate differences: 2.0.8 prints IPv4
 * addresses backwards and of IPv6 ones the first four bytes, and its IP2HBIN
 * forgets the last address and gives IPv6 the place in memory of one.
 */
#include <arpa/inet.h>

#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_oprint;

#define BOUNDARY "===>PACKET BOUNDARY"

static struct {
	char text[1 << 14]; /* what 2.0.8 should have printed */
	size_t len;
	bool v6;
} want;

static void
say(const char *key, const char *value)
{
	want.len += (size_t)snprintf(want.text + want.len, sizeof(want.text) - want.len,
				     "%s=%s\n", key, value);
}

/* What the address is in truth; all flows are between two hosts. */
static const char *
address(const char *key, const char *value)
{
	bool first =
		strstr(key, "orig") ? key[strlen(key) - 5] == 's' : key[strlen(key) - 5] == 'd';
	static char text[INET_ADDRSTRLEN];
	unsigned b[4];

	if (want.v6)
		return first ? "fd77::1" : "fd77::2";
	ck_assert_int_eq(sscanf(value, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]), 4);
	if (strstr(key, ".hs") || strstr(key, ".hd"))
		snprintf(text, sizeof(text), "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else
		snprintf(text, sizeof(text), "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
	ck_assert_str_eq(text, first ? "10.77.0.1" : "10.77.0.2");
	return text;
}

static void
put(struct plug *p, const char *key, const char *value)
{
	if (strstr(key, "addr"))
		value = address(key, value);
	say(key, value);
	if (strcmp(key, "ct") != 0)
		sample_value(p, key, value);
	if (strcmp(key, "reply.ip.hsaddr") == 0)
		put(p, "reply.ip.hdaddr", "10.77.0.1");
}

/* Lines up to the next boundary become a record; returns how many. */
static unsigned
take_apart(struct plug *p, char (*line)[SAMPLE_LINE], unsigned n)
{
	unsigned i = 0;

	want.len = (size_t)sprintf(want.text, "%s\n", BOUNDARY);
	want.v6 = false;
	for (unsigned k = 0; k < n && strcmp(line[k], BOUNDARY) != 0; k++)
		want.v6 |= strcmp(line[k], "oob.family=10") == 0;
	plug_rec(p, want.v6 ? AF_INET6 : AF_INET, CTF_DESTROY, 1);
	for (; i < n && strcmp(line[i], BOUNDARY) != 0; i++) {
		char *eq = strchr(line[i], '=');

		*eq = '\0';
		put(p, line[i], eq + 1);
	}
	want.text[want.len - 1] = '\0'; /* as sample_line() */
	return i;
}

static unsigned
check_file(const char *name)
{
	struct plug *p = plug_new(&ctf_plugin_oprint, "file=/dev/null\n");
	struct sample *s = sample_read(name);
	unsigned records = 0;

	for (unsigned i = 0; i < s->n; records++) {
		ck_assert_str_eq(s->line[i++], BOUNDARY);
		i += take_apart(p, s->line + i, s->n - i);
		ck_assert_str_eq(sample_line(p), want.text);
	}
	free(s);
	plug_free(p);
	return records;
}

START_TEST(same_as_ulogd2)
{
	ck_assert_uint_eq(check_file("2.0.8-OPRINT.txt"), 6);
	ck_assert_uint_eq(check_file("2.0.8-OPRINT-IP2HBIN.txt"), 6);
}
END_TEST

/* Texts as they are, bytes as ulogd2 calls them; `ct` is there whatever the record has. */
START_TEST(filters)
{
	struct plug *p = plug_new(&ctf_plugin_oprint, "file=/dev/null\n");

	plug_rec(p, AF_INET, CTF_NEW, 0);
	plug_text(p, "print", "[NEW] x \n");
	plug_bytes(p, "orig.ip.saddr.bin", "0123456789abcdef", 16);
	ck_assert_str_eq(sample_line(p), BOUNDARY
			 "\norig.raw.pktlen=0\norig.raw.pktcount=0\nreply.raw.pktlen=0\n"
			 "reply.raw.pktcount=0\nct.mark=0\noob.protocol=0\nct=default\n"
			 "print=[NEW] x \n\norig.ip.saddr.bin=default");
	plug_free(p);
}
END_TEST

/* A frame holds whole records. */
START_TEST(long_texts)
{
	struct plug *p = plug_new(&ctf_plugin_oprint, "file=/dev/null\n");
	char big[40000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, 0);
		plug_text(p, "print", big);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	ck_assert_uint_eq(plug_seal(p)->recs, 1);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_test(t, filters);
	tcase_add_test(t, long_texts);
}

int
main(void)
{
	return unit_main("oprint", add_tests);
}
