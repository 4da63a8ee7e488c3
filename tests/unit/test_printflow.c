/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PRINTFLOW against lines of ulogd2.  Deliberate difference: TYPE and CODE of
 * ICMP, which ulogd2 exchanges.
 */
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_printflow;

static int
event_of(const char *line)
{
	if (strstr(line, "[NEW]"))
		return CTF_NEW;
	return strstr(line, "[UPDATE]") ? CTF_UPDATE : CTF_DESTROY;
}

static uint64_t
proto_of(const char *value)
{
	static const struct {
		const char *name;
		unsigned proto;
	} known[] = { { "TCP", 6 }, { "UDP", 17 }, { "ICMP", 1 }, { "ESP", 50 }, { "AH", 51 } };

	for (unsigned i = 0; i < COUNT(known); i++)
		if (strcmp(value, known[i].name) == 0)
			return known[i].proto;
	return strtoull(value, NULL, 10);
}

static void
set_token(struct plug *p, const char *side, const char *key, const char *value)
{
	static const struct {
		const char *key, *field; /* without the side */
	} map[] = { { "SRC", "ip.saddr.str" },  { "DST", "ip.daddr.str" },
		    { "SPT", "l4.sport" },      { "DPT", "l4.dport" },
		    { "PKTS", "raw.pktcount" }, { "BYTES", "raw.pktlen" } };
	char name[64];

	for (unsigned i = 0; i < COUNT(map); i++)
		if (strcmp(key, map[i].key) == 0) {
			snprintf(name, sizeof(name), "%s.%s", side, map[i].field);
			sample_value(p, name, value);
			return;
		}
	snprintf(name, sizeof(name), "%s.ip.protocol", side);
	if (strcmp(key, "PROTO") == 0)
		plug_num(p, name, proto_of(value));
	else if (strcmp(key, "TYPE") == 0)
		plug_num(p, "icmp.code", strtoull(value, NULL, 10));
	else if (strcmp(key, "CODE") == 0)
		plug_num(p, "icmp.type", strtoull(value, NULL, 10));
}

/* Makes a record of a line of ulogd2's. */
static void
take_apart(struct plug *p, const char *line)
{
	char copy[SAMPLE_LINE], *save = NULL;
	const char *side = "orig";

	snprintf(copy, sizeof(copy), "%s", line);
	plug_rec(p, strstr(line, "SRC=fd") ? AF_INET6 : AF_INET, event_of(line), 1);
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(t, '=');

		if (strcmp(t, "REPLY:") == 0)
			side = "reply";
		if (!eq)
			continue;
		*eq = '\0';
		set_token(p, side, t, eq + 1);
	}
}

static void
check_file(const char *name)
{
	struct plug *p = plug_new(&ctf_plugin_printflow, "");
	struct sample *s = sample_read(name);

	for (unsigned i = 0; i < s->n; i++) {
		char *line = strchr(s->line[i], '[');

		take_apart(p, line);
		for (unsigned k = 0; k < 2 && strstr(line, "TYPE=0 CODE=8"); k++)
			sample_replace(line, "TYPE=0 CODE=8", "TYPE=8 CODE=0");
		ck_assert_int_eq(plug_apply(p), CTF_PASS);
		strcat(line, "\n");
		ck_assert_str_eq(plug_get_text(p, "print"), line);
	}
	free(s);
	plug_free(p);
}

START_TEST(samples)
{
	check_file("2.0.8-LOGEMU-PRINTFLOW-hash.txt");
	check_file("2.0.8-LOGEMU-PRINTFLOW-nohash.txt");
	check_file("2.0.8-LOGEMU-SIGUSR2.txt");
	check_file("HEAD-LOGEMU.txt");
}
END_TEST

/* At the end, where NAMES gives them. */
START_TEST(with_names)
{
	struct plug *p = plug_new(&ctf_plugin_printflow, "");

	plug_rec(p, AF_INET, CTF_NEW, 1);
	plug_text(p, "orig.ip.daddr.name", "nas");
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	ck_assert_str_eq(plug_get_text(p, "print"),
			 "[NEW] ORIG: PKTS=0 BYTES=0 , REPLY: PKTS=0 "
			 "BYTES=0 DNAME=nas \n");
	plug_text(p, "orig.ip.saddr.name", "phone");
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	ck_assert_str_eq(plug_get_text(p, "print"),
			 "[NEW] ORIG: PKTS=0 BYTES=0 , REPLY: PKTS=0 "
			 "BYTES=0 SNAME=phone DNAME=nas \n");
	plug_free(p);
}
END_TEST

/* By name, by number, and nothing of what the record has not got. */
START_TEST(protocols)
{
	static const struct {
		unsigned proto;
		const char *text;
	} cases[] = { { 6, "PROTO=TCP SPT=1 DPT=2 " },
		      { 17, "PROTO=UDP SPT=1 DPT=2 " },
		      { 1, "PROTO=ICMP TYPE=3 CODE=4 " },
		      { 50, "PROTO=ESP " },
		      { 51, "PROTO=AH " },
		      { 132, "PROTO=132 " },
		      { 58, "PROTO=58 " },
		      { 0, "PROTO=0 " } };
	struct plug *p = plug_new(&ctf_plugin_printflow, "");
	char want[200];

	for (unsigned i = 0; i < COUNT(cases); i++) {
		plug_rec(p, AF_INET, CTF_UPDATE, 1);
		plug_num(p, "orig.ip.protocol", cases[i].proto);
		plug_num(p, "orig.l4.sport", 1);
		plug_num(p, "orig.l4.dport", 2);
		plug_num(p, "icmp.type", 3);
		plug_num(p, "icmp.code", 4);
		plug_num(p, "orig.raw.pktlen", UINT64_MAX);
		plug_apply(p);
		snprintf(want, sizeof(want),
			 "[UPDATE] ORIG: %sPKTS=0 BYTES=18446744073709551615 , "
			 "REPLY: PKTS=0 BYTES=0 \n",
			 cases[i].text);
		ck_assert_str_eq(plug_get_text(p, "print"), want);
	}
	plug_free(p);
}
END_TEST

START_TEST(longest_line)
{
	static const char *const num[] = { "ip.protocol", "l4.sport", "l4.dport", "raw.pktlen",
					   "raw.pktcount" };
	struct plug *p = plug_new(&ctf_plugin_printflow, "");
	char long_text[1500], name[64];

	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	plug_rec(p, AF_INET6, CTF_DESTROY, 1);
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned i = 0; i < 5; i++) {
			snprintf(name, sizeof(name), "%s.%s", side ? "reply" : "orig", num[i]);
			plug_num(p, name, i ? UINT64_MAX : 6);
		}
		snprintf(name, sizeof(name), "%s.ip.saddr.str", side ? "reply" : "orig");
		plug_text(p, name, long_text);
		snprintf(name, sizeof(name), "%s.ip.daddr.str", side ? "reply" : "orig");
		plug_text(p, name, long_text);
	}
	plug_apply(p);
	ck_assert_uint_gt(strlen(plug_get_text(p, "print")), 4 * 1499);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, samples);
	tcase_add_test(t, with_names);
	tcase_add_test(t, protocols);
	tcase_add_test(t, longest_line);
}

int
main(void)
{
	return unit_main("printflow", add_tests);
}
