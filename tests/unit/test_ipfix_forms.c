/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other forms of the same flows: nanoseconds, a record a direction, events. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ipfix.h"
#include "ipfix_fields.h"
#include "ipfix_read.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

#define RX UINT64_C(1700000070000000000)
#define WHEN "flow.event.ns=1700000061123456789 "
#define SHORT "orig.ip.protocol=6 ct.id=1 flow.end.reason=1 "
#define W_SHORT " 148=1 234=0 21373/4=0 136=1"
/* counters of a flow with answers */
#define BOTH \
	"orig.raw.pktlen=100 orig.raw.pktcount=2 reply.raw.pktlen=300 reply.raw.pktcount=4 "
#define W_THERE " 1=100 2=2"
#define W_BACK " 1=300 2=4"
#define W_V4_BACK " 8=192.0.2.1 12=10.1.2.3"
#define W_PORTS_BACK " 7=443 11=40000"
#define NS "timestamps=ns\n"
#define UNI "uniflow=yes\n"
#define W_NTP " 156=16788979056962860741 157=16788979316086827647"

struct sample {
	const char *name, *options, *fields, *wire;
	int event, family;
	enum ctf_kind kind;
};

static const struct sample samples[] = {
	{ "ns", NS, TIMES COUNTS V4 V4_BACK PORTS PORTS_BACK SHORT,
	  "256" W_NTP W_COUNTS W_V4 W_PORTS W_SHORT " 239=1 4=6\n", CTF_DESTROY, AF_INET, 0 },
	{ "ns, no start", NS, "flow.last.ns=2085978496000000001 " COUNTS V6 PORTS SHORT,
	  "267 157=5" W_COUNTS W_V6 W_PORTS W_SHORT " 239=1 4=6\n", CTF_DESTROY, AF_INET6, 0 },
	{ "ns, no times", NS, COUNTS V6 PORTS SHORT,
	  "281" W_COUNTS W_V6 W_PORTS W_SHORT " 239=1 4=6\n", CTF_DESTROY, AF_INET6, 0 },
	{ "ns, interim", NS, TIMES V4 PORTS SHORT,
	  "284" W_NTP W_V4 W_PORTS W_SHORT " 239=1 4=6\n", CTF_UPDATE, AF_INET, CTF_PRESENCE },

	{ "uniflow", UNI, TIMES BOTH V4 V4_BACK PORTS PORTS_BACK SHORT,
	  "256" W_TIMES W_THERE W_V4 W_PORTS W_SHORT " 4=6\n"
	  "256" W_TIMES W_BACK W_V4_BACK W_PORTS_BACK W_SHORT " 4=6\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "uniflow, no answer", UNI, TIMES COUNTS V4 V4_BACK PORTS PORTS_BACK SHORT,
	  "256" W_TIMES " 1=18446744073709551615 2=4294967296" W_V4 W_PORTS W_SHORT " 4=6\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "uniflow, NAT", UNI, TIMES BOTH V4 V4_NAT PORTS PORTS_NAT SHORT,
	  "257" W_TIMES W_THERE W_V4 W_PORTS W_SHORT " 4=6" W_NAT4 W_NATP "\n"
	  "257" W_TIMES W_BACK " 8=10.9.9.9 12=203.0.113.7 7=8443 11=1024" W_SHORT
	  " 4=6 225=192.0.2.1 226=10.1.2.3 227=443 228=40000\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "uniflow, IPv6", UNI, TIMES BOTH V6 V6_BACK PORTS PORTS_BACK SHORT,
	  "260" W_TIMES W_THERE W_V6 W_PORTS W_SHORT " 4=6\n"
	  "260" W_TIMES W_BACK " 27=2001:db8::ff 28=fd00::1" W_PORTS_BACK W_SHORT " 4=6\n",
	  CTF_DESTROY, AF_INET6, 0 },
	{ "uniflow, NAT66", UNI, TIMES BOTH V6 V6_NAT PORTS PORTS_NAT SHORT,
	  "261" W_TIMES W_THERE W_V6 W_PORTS W_SHORT " 4=6" W_NAT6 W_NATP " 297=5\n"
	  "261" W_TIMES W_BACK " 27=2001:db8::ff 28=2001:db8::7 7=8443 11=1024" W_SHORT
	  " 4=6 281=2001:db8::ff 282=fd00::1 227=443 228=40000 297=5\n",
	  CTF_DESTROY, AF_INET6, 0 },
	{ "uniflow, echo", UNI PEN,
	  TIMES BOTH V4 V4_NAT "orig.ip.protocol=1 icmp.type=8 icmp.code=0 orig.icmp.id=5 "
			       "reply.icmp.id=6 ct.id=1 flow.end.reason=1",
	  "259" W_TIMES W_THERE W_V4 " 32=2048 32473/1006=5 148=1 234=0 21373/4=0 "
	  "32473/1001=0 136=1 32473/1004=0 4=1" W_NAT4 "\n"
	  "259" W_TIMES W_BACK " 8=10.9.9.9 12=203.0.113.7 32=0 32473/1006=6 148=1 234=0 "
	  "21373/4=0 32473/1001=0 136=1 32473/1004=0 4=1 225=192.0.2.1 226=10.1.2.3\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "uniflow, echo, IPv6", UNI,
	  TIMES BOTH V6 V6_BACK "orig.ip.protocol=58 icmpv6.type=128 icmpv6.code=0 ct.id=1 "
				"flow.end.reason=1",
	  "262" W_TIMES W_THERE W_V6 " 139=32768" W_SHORT " 4=58\n"
	  "262" W_TIMES W_BACK " 27=2001:db8::ff 28=fd00::1 139=33024" W_SHORT " 4=58\n",
	  CTF_DESTROY, AF_INET6, 0 },
	{ "uniflow, not counted, answered", UNI,
	  TIMES V4 V4_BACK PORTS PORTS_BACK SHORT "ct.status=14",
	  "284" W_TIMES W_V4 W_PORTS W_SHORT " 4=6\n"
	  "284" W_TIMES W_V4_BACK W_PORTS_BACK W_SHORT " 4=6\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "uniflow, not counted, no answer", UNI,
	  TIMES V4 V4_BACK PORTS PORTS_BACK SHORT "ct.status=8",
	  "284" W_TIMES W_V4 W_PORTS W_SHORT " 4=6\n", CTF_DESTROY, AF_INET, 0 },
	{ "uniflow, totals, ns", UNI NS, TIMES BOTH V4 V4_BACK PORTS PORTS_BACK SHORT,
	  "320" W_NTP " 85=100 86=2" W_V4 W_PORTS W_SHORT " 4=6\n"
	  "320" W_NTP " 85=300 86=4" W_V4_BACK W_PORTS_BACK W_SHORT " 4=6\n",
	  CTF_UPDATE, AF_INET, CTF_COUNTERS },

	{ "NAT44 create", "nat_events=yes\n", WHEN V4 V4_NAT PORTS PORTS_NAT TCP "ct.zone=9",
	  "270 323=1700000061123 230=4 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=9\n",
	  CTF_NEW, AF_INET, CTF_EXTRA },
	{ "NAT44 delete, beside the flow", "nat_events=yes\n",
	  WHEN TIMES COUNTS V4 V4_NAT PORTS PORTS_NAT SHORT,
	  "257" W_TIMES W_COUNTS W_V4 W_PORTS W_SHORT " 239=1 4=6" W_NAT4 W_NATP "\n"
	  "270 323=1700000061123 230=5 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=0\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "NAT44 delete alone", "nat_events=destinations\nflows=no\n",
	  WHEN TIMES COUNTS V4 V4_NAT PORTS PORTS_NAT SHORT,
	  "271 323=1700000061123 230=5 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=0 "
	  "12=192.0.2.1 226=10.9.9.9 11=443 228=8443\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "NAT44 ICMP", "nat_events=yes\nflows=no\n",
	  WHEN V4 V4_NAT "orig.ip.protocol=1 icmp.type=8 icmp.code=0 orig.icmp.id=5 "
			 "reply.icmp.id=6",
	  "270 323=1700000061123 230=4 8=10.1.2.3 225=203.0.113.7 4=1 7=5 227=6 234=0\n",
	  CTF_NEW, AF_INET, 0 },
	{ "NAT44, ns", "nat_events=yes\ntimestamps=ns\n", WHEN V4 V4_NAT PORTS PORTS_NAT TCP,
	  "270 325=16788979318953532728 230=4 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 "
	  "234=0\n",
	  CTF_NEW, AF_INET, 0 },
	{ "NAT44, ended, no event time", "nat_events=yes\nflows=no\n",
	  "flow.destroy.ns=1700000062000000000 " V4 V4_NAT PORTS PORTS_NAT TCP,
	  "270 323=1700000062000 230=5 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=0\n",
	  CTF_DESTROY, AF_INET, 0 },
	{ "NAT44, no time at all", "nat_events=yes\n", V4 V4_NAT PORTS PORTS_NAT TCP,
	  "270 323=1700000070000 230=4 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=0\n",
	  CTF_NEW, AF_INET, 0 },
	{ "NAT44 and uniflow", "nat_events=yes\nuniflow=yes\n",
	  WHEN TIMES BOTH V4 V4_NAT PORTS PORTS_NAT SHORT,
	  "257" W_TIMES W_THERE W_V4 W_PORTS W_SHORT " 4=6" W_NAT4 W_NATP "\n"
	  "257" W_TIMES W_BACK " 8=10.9.9.9 12=203.0.113.7 7=8443 11=1024" W_SHORT
	  " 4=6 225=192.0.2.1 226=10.1.2.3 227=443 228=40000\n"
	  "270 323=1700000061123 230=5 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=0\n",
	  CTF_DESTROY, AF_INET, 0 },

	{ "flow begins", "flow_events=new\n",
	  WHEN V4 V4_BACK PORTS PORTS_BACK TCP "ct.id=77 ct.mark=3",
	  "275 323=1700000061123 233=1 148=77 8=10.1.2.3 12=192.0.2.1 7=40000 11=443 4=6 "
	  "21373/4=3 234=0\n",
	  CTF_NEW, AF_INET, CTF_EXTRA },
	{ "flow changes", "flow_events=update\n" PEN,
	  WHEN V6 V6_BACK PORTS PORTS_BACK TCP "ct.id=77 ct.status=14 ct.tcp.state=3",
	  "276 323=1700000061123 233=5 148=77 27=fd00::1 28=2001:db8::ff 7=40000 11=443 4=6 "
	  "21373/4=0 32473/1001=14 32473/1004=3 234=0\n",
	  CTF_UPDATE, AF_INET6, CTF_EXTRA },
	{ "flow begins behind NAT", "flow_events=new\nnat_events=yes\n",
	  WHEN V4 V4_NAT PORTS PORTS_NAT TCP "ct.id=77",
	  "270 323=1700000061123 230=4 8=10.1.2.3 225=203.0.113.7 4=6 7=40000 227=1024 234=0\n"
	  "275 323=1700000061123 233=1 148=77 8=10.1.2.3 12=192.0.2.1 7=40000 11=443 4=6 "
	  "21373/4=0 234=0\n",
	  CTF_NEW, AF_INET, CTF_EXTRA },
};

START_TEST(test_sample)
{
	const struct sample *s = &samples[_i];
	bool own = strstr(s->options, "pen=");
	const struct ctf_frame *f;
	char options[256], *text;
	struct plug *p;

	snprintf(options, sizeof(options), BASE "%s", s->options);
	p = plug_new(&ctf_plugin_ipfix, options);
	plug_rec(p, s->family, s->event, RX)->kind = (uint8_t)s->kind;
	put_fields(p, s->fields);
	ck_assert_msg(plug_encode(p) == CTF_OK, "%s", s->name);
	f = plug_seal(p);
	text = ipfix_read_frame(p, f, own ? OWN : 0);
	ck_assert_msg(strcmp(text, s->wire) == 0, "%s:\n%s%s", s->name, text, s->wire);
	ck_assert_uint_eq(f->recs, 1);
	free(text);
	plug_free(p);
}
END_TEST

/* What a form does not send. */
static const struct {
	const char *options, *fields;
	int event, family;
} skipped[] = {
	{ "", V4 V4_NAT PORTS PORTS_NAT TCP, CTF_NEW, AF_INET },
	{ "nat_events=yes\n", V4 V4_BACK PORTS PORTS_BACK TCP, CTF_NEW, AF_INET },
	{ "nat_events=yes\n", V4 V4_NAT PORTS PORTS_NAT TCP, CTF_UPDATE, AF_INET },
	{ "nat_events=yes\n", V6 V6_NAT PORTS PORTS_NAT TCP, CTF_NEW, AF_INET6 },
	{ "nat_events=yes\nflows=no\n", V4 V4_BACK PORTS PORTS_BACK TCP, CTF_DESTROY, AF_INET },
	{ "flow_events=new\n", V4 PORTS TCP, CTF_UPDATE, AF_INET },
	{ "flow_events=new\nflows=no\n", V4 PORTS TCP, CTF_DESTROY, AF_INET },
};

START_TEST(test_skipped)
{
	char options[256];
	struct plug *p;

	snprintf(options, sizeof(options), BASE "%s", skipped[_i].options);
	p = plug_new(&ctf_plugin_ipfix, options);
	plug_rec(p, skipped[_i].family, skipped[_i].event, RX);
	put_fields(p, skipped[_i].fields);
	ck_assert_int_eq(plug_encode(p), CTF_SKIP);
	plug_free(p);
}
END_TEST

/* NAT events are of what happens, not of what sweeps see. */
START_TEST(test_no_event_of_a_sweep)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "nat_events=yes\n");
	char *text;

	plug_rec(p, AF_INET, CTF_UPDATE, RX)->kind = CTF_PRESENCE;
	put_fields(p, V4 V4_NAT PORTS PORTS_NAT SHORT);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	text = ipfix_read_frame(p, plug_seal(p), 0);
	ck_assert_ptr_null(strstr(text, "230="));
	free(text);
	plug_free(p);
}
END_TEST

/* All records of a flow are in one message, and as many as the header says. */
START_TEST(test_together)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix,
				  BASE PEN "uniflow=yes\nnat_events=destinations\nmtu=400\n");
	const struct ctf_frame *f;
	unsigned sealed = 0;

	for (unsigned i = 0; i < 9; i++) {
		plug_rec(p, AF_INET, CTF_DESTROY, RX);
		put_fields(p, WHEN TIMES BOTH V4 V4_NAT PORTS PORTS_NAT SHORT);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	plug_seal(p);
	for (unsigned n = 0; sealed < 9; n++) {
		char *text;
		unsigned lines = 0;

		f = plug_frame(p, n);
		ck_assert_uint_le(f->len, 400);
		text = ipfix_read_frame(p, f, OWN);
		for (const char *c = text; *c; c++)
			lines += *c == '\n';
		ck_assert_uint_eq(lines, 3 * f->recs);
		ck_assert_uint_eq(ipfix_records(f), lines);
		sealed += f->recs;
		free(text);
	}
	plug_free(p);
}
END_TEST

/* The largest that one flow can become fits the smallest message. */
START_TEST(test_smallest_mtu)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix,
				  BASE PEN "uniflow=yes\nnat_events=destinations\nmtu=1\n");

	plug_rec(p, AF_INET, CTF_DESTROY, RX);
	put_fields(p, WHEN TIMES BOTH V4 V4_NAT PORTS PORTS_NAT SHORT);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	ck_assert_uint_le(plug_seal(p)->len, 384);
	plug_rec(p, AF_INET6, CTF_DESTROY, RX);
	put_fields(p, WHEN TIMES BOTH V6 V6_NAT PORTS PORTS_NAT SHORT);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	ck_assert_uint_le(plug_seal(p)->len, 384);
	plug_free(p);
}
END_TEST

/* NTP's format: fractions are rounded up, so that whoever cuts them gets back the ns. */
START_TEST(test_ntp)
{
	static const struct {
		uint64_t ns, ntp;
	} v[] = {
		{ 0, UINT64_C(0x83aa7e8000000000) },
		{ 1, UINT64_C(0x83aa7e8000000005) },
		{ 500000000, UINT64_C(0x83aa7e8080000000) },
		{ 999999999, UINT64_C(0x83aa7e80fffffffc) },
		{ UINT64_C(1700000000123999999), UINT64_C(0xe8fe6f801fbe76c5) },
		{ UINT64_C(2085978495999999999), UINT64_C(0xfffffffffffffffc) }, /* 2036 */
		{ UINT64_C(2085978496000000000), 0 },
		{ UINT64_C(2085978496000000001), 5 },
		{ UINT64_C(4102444800250000000), UINT64_C(0x7830d58040000000) }, /* 2100 */
	};

	for (unsigned i = 0; i < COUNT(v); i++)
		ck_assert_uint_eq(ipfix_ntp(v[i].ns), v[i].ntp);
	for (uint64_t ns = 0; ns < 1000000000; ns += 99991) {
		uint64_t frac = ipfix_ntp(ns) & UINT32_MAX;

		ck_assert_uint_eq(frac * 1000000000 >> 32, ns);                /* cut */
		ck_assert_uint_eq((frac * 1000000000 + (1u << 31)) >> 32, ns); /* rounded */
	}
}
END_TEST

START_TEST(test_nothing_to_send)
{
	struct ctf_err err;

	ck_assert_int_lt(plug_try(&ctf_plugin_ipfix, BASE "flows=no\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "nat_events"));
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_sample, 0, COUNT(samples));
	tcase_add_loop_test(t, test_skipped, 0, COUNT(skipped));
	tcase_add_test(t, test_no_event_of_a_sweep);
	tcase_add_test(t, test_together);
	tcase_add_test(t, test_smallest_mtu);
	tcase_add_test(t, test_ntp);
	tcase_add_test(t, test_nothing_to_send);
}

int
main(void)
{
	return unit_main("ipfix_forms", add_tests);
}
