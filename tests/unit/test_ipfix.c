/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records into messages: what libfixbuf reads is what the flow was. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ipfix.h"
#include "ipfix_fields.h"
#include "ipfix_read.h"
#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

struct sample {
	const char *name, *options, *fields, *wire;
	int family;
};

static const struct sample samples[] = {
	{ "tcp", "", TIMES COUNTS V4 V4_BACK PORTS PORTS_BACK META TCP,
	  "256" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=6\n", AF_INET },
	{ "tcp, NAT", "", TIMES COUNTS V4 V4_NAT PORTS PORTS_NAT META TCP,
	  "257" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=6" W_NAT4 W_NATP "\n", AF_INET },
	{ "only a port translated", "", TIMES COUNTS V4 V4_BACK PORTS PORTS_NAT META TCP,
	  "257" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=6 225=10.1.2.3 226=192.0.2.1" W_NATP
	  "\n",
	  AF_INET },
	{ "no reply tuple is no NAT", "", TIMES COUNTS V4 PORTS META TCP,
	  "256" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=6\n", AF_INET },
	{ "icmp", "", TIMES COUNTS V4 V4_BACK META "icmp.type=8 icmp.code=0 orig.ip.protocol=1",
	  "258" W_TIMES W_COUNTS W_V4 " 32=2048" W_META " 4=1\n", AF_INET },
	{ "icmp echo reply has type 0", "",
	  TIMES COUNTS V4 V4_BACK META "icmp.type=0 icmp.code=0 orig.ip.protocol=1",
	  "258" W_TIMES W_COUNTS W_V4 " 32=0" W_META " 4=1\n", AF_INET },
	{ "icmp, NAT", "",
	  TIMES COUNTS V4 V4_NAT META "icmp.type=13 icmp.code=5 orig.ip.protocol=1",
	  "259" W_TIMES W_COUNTS W_V4 " 32=3333" W_META " 4=1" W_NAT4 "\n", AF_INET },
	{ "icmp, only the id translated", "",
	  TIMES COUNTS V4 V4_BACK META
	  "icmp.type=8 icmp.code=0 orig.icmp.id=5 reply.icmp.id=6 orig.ip.protocol=1",
	  "259" W_TIMES W_COUNTS W_V4 " 32=2048" W_META " 4=1 225=10.1.2.3 226=192.0.2.1\n",
	  AF_INET },
	{ "tcp, IPv6", "", TIMES COUNTS V6 V6_BACK PORTS PORTS_BACK META TCP,
	  "260" W_TIMES W_COUNTS W_V6 W_PORTS W_META " 4=6\n", AF_INET6 },
	{ "tcp, NAT66", "", TIMES COUNTS V6 V6_NAT PORTS PORTS_NAT META TCP,
	  "261" W_TIMES W_COUNTS W_V6 W_PORTS W_META " 4=6" W_NAT6 W_NATP " 297=5\n",
	  AF_INET6 },
	{ "icmpv6", "",
	  TIMES COUNTS V6 V6_BACK META "icmpv6.type=128 icmpv6.code=0 orig.ip.protocol=58",
	  "262" W_TIMES W_COUNTS W_V6 " 139=32768" W_META " 4=58\n", AF_INET6 },
	{ "icmpv6, NAT66", "",
	  TIMES COUNTS V6 V6_NAT META "icmpv6.type=128 icmpv6.code=0 orig.ip.protocol=58",
	  "313" W_TIMES W_COUNTS W_V6 " 139=32768" W_META " 4=58" W_NAT6 " 297=5\n", AF_INET6 },
	{ "GRE has no ports", "", TIMES COUNTS V4 V4_BACK META "orig.ip.protocol=47",
	  "256" W_TIMES W_COUNTS W_V4 " 7=0 11=0" W_META " 4=47\n", AF_INET },
	{ "sctp, IPv6", "",
	  TIMES COUNTS V6 V6_BACK PORTS PORTS_BACK META "orig.ip.protocol=132",
	  "260" W_TIMES W_COUNTS W_V6 W_PORTS W_META " 4=132\n", AF_INET6 },
	{ "udplite, NAT", "",
	  TIMES COUNTS V4 V4_NAT PORTS PORTS_NAT META "orig.ip.protocol=136",
	  "257" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=136" W_NAT4 W_NATP "\n", AF_INET },
	{ "dccp", "", TIMES COUNTS V4 V4_BACK PORTS PORTS_BACK META "orig.ip.protocol=33",
	  "256" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=33\n", AF_INET },
	{ "mark, zone absent are 0", "",
	  TIMES COUNTS V4 V4_BACK PORTS PORTS_BACK TCP "ct.id=1 flow.end.reason=1",
	  "256" W_TIMES W_COUNTS W_V4 W_PORTS " 148=1 234=0 21373/4=0 136=1 239=1 4=6\n",
	  AF_INET },
	{ "no start", "", "flow.last.ns=1700000060456000000 " COUNTS V4 PORTS META TCP,
	  "263 153=1700000060456" W_COUNTS W_V4 W_PORTS W_META " 4=6\n", AF_INET },
	{ "no times", "", COUNTS V6 PORTS META TCP, "281" W_COUNTS W_V6 W_PORTS W_META " 4=6\n",
	  AF_INET6 },
	{ "no counters", "", TIMES V4 V4_NAT PORTS PORTS_NAT META TCP,
	  "285" W_TIMES W_V4 W_PORTS W_META " 4=6" W_NAT4 W_NATP "\n", AF_INET },
	{ "no counters, no start", "",
	  "flow.last.ns=1700000060456000000 icmpv6.type=1 icmpv6.code=4 " V6 META
	  "orig.ip.protocol=58",
	  "297 153=1700000060456" W_V6 " 139=260" W_META " 4=58\n", AF_INET6 },
	{ "no counters, no times", "", V6 V6_NAT PORTS PORTS_NAT META TCP,
	  "311" W_V6 W_PORTS W_META " 4=6" W_NAT6 W_NATP " 297=5\n", AF_INET6 },
	{ "icmpv6, NAT66, nothing known", "",
	  V6 V6_NAT META "icmpv6.type=128 icmpv6.code=0 orig.ip.protocol=58",
	  "318" W_V6 " 139=32768" W_META " 4=58" W_NAT6 " 297=5\n", AF_INET6 },
	{ "own elements", PEN,
	  TIMES COUNTS V4 V4_NAT PORTS PORTS_NAT META TCP "ct.status=942 ct.tcp.state=7",
	  "257" W_TIMES W_COUNTS W_V4 W_PORTS
	  " 148=4000000001 234=9 21373/4=66 32473/1001=942 136=3 239=1 32473/1004=7 4=6" W_NAT4
		  W_NATP "\n",
	  AF_INET },
	{ "own elements, icmp", PEN,
	  TIMES COUNTS V4 V4_BACK META
	  "icmp.type=8 icmp.code=0 orig.icmp.id=513 reply.icmp.id=513 orig.ip.protocol=1 "
	  "ct.status=10",
	  "258" W_TIMES W_COUNTS W_V4 " 32=2048 32473/1006=513 148=4000000001 234=9 21373/4=66 "
	  "32473/1001=10 136=3 239=1 32473/1004=0 4=1\n",
	  AF_INET },
	{ "own elements, icmpv6, nothing known", PEN,
	  V6 V6_BACK META
	  "icmpv6.type=129 icmpv6.code=0 orig.icmp.id=1 reply.icmp.id=1 orig.ip.protocol=58 "
	  "ct.status=10",
	  "312" W_V6 " 139=33024 32473/1006=1 148=4000000001 234=9 21373/4=66 "
	  "32473/1001=10 136=3 239=1 32473/1004=0 4=58\n",
	  AF_INET6 },
};

/* ---- helpers ------------------------------------------------------------------ */

static void
add(struct plug *p, int family, const char *fields)
{
	plug_rec(p, family, CTF_DESTROY, UINT64_C(1700000070000000000));
	put_fields(p, fields);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

/* ---- tests ----------------------------------------------------------------------- */

START_TEST(test_sample)
{
	const struct sample *s = &samples[_i];
	char options[256], *text;
	const struct ctf_frame *f;
	struct plug *p;

	snprintf(options, sizeof(options), BASE "%s", s->options);
	p = plug_new(&ctf_plugin_ipfix, options);
	add(p, s->family, s->fields);
	f = plug_seal(p);
	text = ipfix_read_frame(p, f, *s->options ? OWN : 0);
	ck_assert_msg(strcmp(text, s->wire) == 0, "%s:\n%s%s", s->name, text, s->wire);
	ck_assert_uint_eq(f->recs, 1);
	ck_assert_uint_eq(f->stream, 7);
	ck_assert_int_eq(memcmp(f->p + 12, "\0\0\0\7", 4), 0);
	free(text);
	plug_free(p);
}
END_TEST

/*
 * All of them through one encoder: sets change, the order stays.  Without the
 * enterprise number they are of more forms than the encoder remembers.
 */
START_TEST(test_mixed)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, _i ? BASE PEN : BASE);
	char *want = NULL, *text;
	unsigned kinds = 0;
	size_t size;
	FILE *out = open_memstream(&want, &size);

	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < COUNT(samples); i++)
			if (!*samples[i].options == !_i && ++kinds)
				for (unsigned n = 0; n <= round; n++) {
					add(p, samples[i].family, samples[i].fields);
					fputs(samples[i].wire, out);
				}
	fclose(out);
	text = ipfix_read_frame(p, plug_seal(p), _i ? OWN : 0);
	ck_assert_str_eq(text, want);
	if (!_i)
		ck_assert_uint_gt(kinds / 3, IPFIX_CASES);
	free(text);
	free(want);
	plug_free(p);
}
END_TEST

/* Equal templates share a set, and a full message holds what fits. */
START_TEST(test_full)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "proto=udp\n");
	const struct ctf_frame *f;

	for (unsigned i = 0; i < 5; i++)
		add(p, AF_INET, samples[0].fields);
	f = plug_seal(p);
	ck_assert_uint_eq(f->recs, 5);
	ck_assert_uint_eq(f->len, 16 + 4 + 5 * 79);
	ck_assert_uint_le(f->len, 512 - 48);
	for (unsigned i = 0; i < 6; i++)
		add(p, AF_INET, samples[0].fields);
	f = plug_seal(p);
	ck_assert_uint_eq(f->recs, 1);
	plug_free(p);
}
END_TEST

START_TEST(test_largest)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	const struct ctf_frame *f = NULL;
	unsigned i, max = (65535 - 20) / 79;

	for (i = 0; i < max; i++)
		add(p, AF_INET, samples[0].fields);
	f = plug_seal(p);
	ck_assert_uint_eq(f->recs, max);
	ck_assert_uint_eq(f->len, (unsigned)f->p[2] << 8 | f->p[3]);
	plug_free(p);
}
END_TEST

START_TEST(test_smallest_mtu)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE PEN "mtu=60\n");

	for (unsigned i = 0; i < COUNT(samples); i++) {
		const struct ctf_frame *f;

		add(p, samples[i].family, samples[i].fields);
		f = plug_seal(p);
		ck_assert_uint_eq(f->recs, 1);
		ck_assert_uint_le(f->len, 256);
	}
	plug_free(p);
}
END_TEST

START_TEST(test_not_a_flow)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	static const int events[] = { CTF_NEW, CTF_UPDATE };

	for (unsigned i = 0; i < COUNT(events); i++) {
		plug_rec(p, AF_INET, events[i], 1);
		put_fields(p, samples[0].fields);
		ck_assert_int_eq(plug_encode(p), CTF_SKIP);
	}
	plug_rec(p, AF_INET, CTF_DESTROY, 1);
	put_fields(p, TIMES COUNTS PORTS TCP);
	ck_assert_int_eq(plug_encode(p), CTF_SKIP);
	plug_free(p);
}
END_TEST

/* Flows that live on, by what is said of them. */
static const struct {
	enum ctf_kind kind;
	const char *fields, *wire;
} interim[] = {
	{ CTF_PRESENCE, TIMES V4 V4_BACK PORTS PORTS_BACK TCP "ct.id=1 flow.end.reason=2",
	  "284" W_TIMES W_V4 W_PORTS " 148=1 234=0 21373/4=0 136=2 239=1 4=6\n" },
	{ CTF_DELTA, TIMES COUNTS V4 V4_BACK PORTS PORTS_BACK TCP "ct.id=1 flow.end.reason=2",
	  "256" W_TIMES W_COUNTS W_V4 W_PORTS " 148=1 234=0 21373/4=0 136=2 239=1 4=6\n" },
	{ CTF_COUNTERS, TIMES COUNTS V4 V4_NAT PORTS PORTS_NAT TCP "ct.id=1 flow.end.reason=2",
	  "321" W_TIMES W_TOTALS W_V4 W_PORTS
	  " 148=1 234=0 21373/4=0 136=2 239=1 4=6" W_NAT4 W_NATP "\n" },
	{ CTF_COUNTERS,
	  "flow.last.ns=1700000060456000000 " COUNTS V4 PORTS TCP "ct.id=1 "
	  "flow.end.reason=2",
	  "327 153=1700000060456" W_TOTALS W_V4 W_PORTS
	  " 148=1 234=0 21373/4=0 136=2 239=1 4=6\n" },
	{ CTF_COUNTERS, COUNTS V4 PORTS TCP "ct.id=1 flow.end.reason=2",
	  "334" W_TOTALS W_V4 W_PORTS " 148=1 234=0 21373/4=0 136=2 239=1 4=6\n" },
	/* the kernel counts nothing */
	{ CTF_COUNTERS, TIMES V4 PORTS TCP "ct.id=1 flow.end.reason=2",
	  "284" W_TIMES W_V4 W_PORTS " 148=1 234=0 21373/4=0 136=2 239=1 4=6\n" },
	/* a delta is about the time since the one before */
	{ CTF_DELTA,
	  TIMES "flow.slice.ns=1700000050000000000 " COUNTS V4 PORTS TCP "flow.end.reason=2",
	  "256 152=1700000050000 153=1700000060456" W_COUNTS W_V4 W_PORTS
	  " 148=0 234=0 21373/4=0 136=2 239=1 4=6\n" },
};

START_TEST(test_interim)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	struct ctf_rec *r = plug_rec(p, AF_INET, CTF_UPDATE, UINT64_C(1700000070000000000));
	char *text;

	r->kind = (uint8_t)interim[_i].kind;
	put_fields(p, interim[_i].fields);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	text = ipfix_read_frame(p, plug_seal(p), 0);
	ck_assert_str_eq(text, interim[_i].wire);
	free(text);
	plug_free(p);
}
END_TEST

/* The same fields say another thing of a flow that lives on. */
START_TEST(test_kinds)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	char *text;

	for (unsigned i = 0; i < 4; i++) {
		struct ctf_rec *r = plug_rec(p, AF_INET, i & 1 ? CTF_UPDATE : CTF_DESTROY, 1);

		r->kind = i & 1 ? CTF_COUNTERS : CTF_EVENT;
		put_fields(p, TIMES COUNTS V4 PORTS META TCP);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	text = ipfix_read_frame(p, plug_seal(p), 0);
#define EVENT "256" W_TIMES W_COUNTS W_V4 W_PORTS W_META " 4=6\n"
#define COUNTERS "320" W_TIMES W_TOTALS W_V4 W_PORTS W_META " 4=6\n"
	ck_assert_str_eq(text, EVENT COUNTERS EVENT COUNTERS);
	free(text);
	plug_free(p);
}
END_TEST

START_TEST(test_streams)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	const struct ctf_frame *f;

	add(p, AF_INET, V4 TCP "ct.nsid=0");
	f = plug_seal(p);
	ck_assert_uint_eq(f->stream, 8);
	ck_assert_int_eq(memcmp(f->p + 12, "\0\0\0\10", 4), 0);
	add(p, AF_INET, V4 TCP "ct.nsid=41");
	f = plug_seal(p);
	ck_assert_uint_eq(f->stream, 49);
	plug_free(p);
}
END_TEST

START_TEST(test_options)
{
	static const char *const bad[] = {
		"host=\"::1\"\n",        /* no oid */
		"oid=0\nhost=\"::1\"\n", /* 0 means no domain */
		"oid=4294967296\nhost=\"::1\"\n",
		"oid=1\n", /* no host */
		BASE "port=65536\n",
		BASE "proto=sctp\n",
		BASE "send_template=sometimes\n",
		BASE "template_refresh=59\n",
		BASE "pen=29305\n",
	};
	static const char *const good[] = {
		BASE "proto=TCP\nsend_template=never\n",
		BASE "pen=4294967295\n",
		BASE "pen=21373\n",
		BASE "mtu=65535\nproto=udp\n",
		BASE "template_refresh=1d\n",
	};
	struct ctf_err err;

	for (unsigned i = 0; i < COUNT(bad); i++)
		ck_assert_msg(plug_try(&ctf_plugin_ipfix, bad[i], &err) < 0, "%s", bad[i]);
	for (unsigned i = 0; i < COUNT(good); i++)
		ck_assert_msg(plug_try(&ctf_plugin_ipfix, good[i], &err) == 0, "%s: %s",
			      good[i], err.msg);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_sample, 0, COUNT(samples));
	tcase_add_loop_test(t, test_interim, 0, COUNT(interim));
	tcase_add_loop_test(t, test_mixed, 0, 2);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_largest);
	tcase_add_test(t, test_smallest_mtu);
	tcase_add_test(t, test_not_a_flow);
	tcase_add_test(t, test_kinds);
	tcase_add_test(t, test_streams);
	tcase_add_test(t, test_options);
}

int
main(void)
{
	return unit_main("ipfix", add_tests);
}
