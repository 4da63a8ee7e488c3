/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NACCT against lines of ulogd2.  Deliberate difference: type and code of
 * ICMPv6, where 2.0.8 writes 0 and 0.
 */
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_nacct;

/* A line's columns become a record. */
static void
take_apart(struct plug *p, const char *line)
{
	char col[8][64];
	unsigned long proto;

	ck_assert_int_eq(sscanf(line, "%63s\t%63s\t%63s\t%63s\t%63s\t%63s\t%63s\t%63s", col[0],
				col[1], col[2], col[3], col[4], col[5], col[6], col[7]),
			 8);
	proto = strtoul(col[1], NULL, 10);
	plug_rec(p, strchr(col[2], ':') ? AF_INET6 : AF_INET, CTF_DESTROY, 1);
	plug_num(p, "flow.end.sec", strtoull(col[0], NULL, 10));
	plug_num(p, "orig.ip.protocol", proto);
	plug_text(p, "orig.ip.saddr.str", col[2]);
	plug_text(p, "orig.ip.daddr.str", col[4]);
	if (proto != 58) { /* there it prints what the record has not got */
		plug_num(p, proto == 1 ? "icmp.type" : "orig.l4.sport",
			 strtoull(col[3], 0, 10));
		plug_num(p, proto == 1 ? "icmp.code" : "orig.l4.dport",
			 strtoull(col[5], 0, 10));
	}
	plug_num(p, "reply.raw.pktcount", strtoull(col[6], NULL, 10));
	plug_num(p, "reply.raw.pktlen", strtoull(col[7], NULL, 10));
}

START_TEST(same_as_ulogd2)
{
	struct plug *p = plug_new(&ctf_plugin_nacct, "file=/dev/null\n");
	struct sample *s = sample_read("2.0.8-NACCT.txt");

	for (unsigned i = 0; i < s->n; i++) {
		take_apart(p, s->line[i]);
		ck_assert_str_eq(sample_line(p), s->line[i]);
	}
	free(s);
	plug_free(p);
}
END_TEST

START_TEST(icmpv6)
{
	struct plug *p = plug_new(&ctf_plugin_nacct, "file=/dev/null\n");

	take_apart(p, "9\t58\tfe80::1\t0\tff02::1\t0\t1\t104");
	plug_num(p, "icmpv6.type", 128);
	plug_num(p, "icmpv6.code", 3);
	ck_assert_str_eq(sample_line(p), "9\t58\tfe80::1\t128\tff02::1\t3\t1\t104");
	plug_free(p);
}
END_TEST

/* What is not known is 0, the start of a flow has no end. */
START_TEST(absent)
{
	struct plug *p = plug_new(&ctf_plugin_nacct, "file=/dev/null\n");

	plug_rec(p, AF_INET, CTF_NEW, 1);
	ck_assert_str_eq(sample_line(p), "0\t0\t\t0\t\t0\t0\t0");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_test(t, icmpv6);
	tcase_add_test(t, absent);
}

int
main(void)
{
	return unit_main("nacct", add_tests);
}
