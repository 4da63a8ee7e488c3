/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_decode.c and ct_plan.c: every attribute, every protocol, every refusal. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "ct_msg.h"
#include "field.h"
#include "unit.h"

#define RX UINT64_C(1700000009500000000)
#define START UINT64_C(1700000000123456789)
#define STOP UINT64_C(1700000008987654321)

static struct rig rig;
static struct msg m;

static int
decode(void)
{
	return rig_decode(&rig, m.p, m.len, RX, -1);
}

static void
setup(void)
{
	rig_init(&rig, NULL, NULL);
}

static void
check_ip(const char *field, const char *want)
{
	char got[INET6_ADDRSTRLEN];

	ck_assert_msg(rig_has(&rig, field), "%s absent", field);
	inet_ntop(rig.rec.family, rig_val(&rig, field)->ip, got, sizeof(got));
	ck_assert_str_eq(got, want);
}

static void
check_text(const char *field, const char *want)
{
	const union ctf_val *v = rig_val(&rig, field);

	ck_assert_msg(rig_has(&rig, field), "%s absent", field);
	ck_assert_uint_eq(v->s.len, strlen(want));
	ck_assert_mem_eq(v->s.p, want, v->s.len);
}

static void
check_only(const char *const *names)
{
	for (unsigned i = 0; ct_ports[i].name; i++) {
		bool expected = false;

		for (unsigned k = 0; names[k]; k++)
			expected |= strcmp(names[k], ct_ports[i].name) == 0;
		ck_assert_msg(ctf_has(&rig.rec, (ctf_ref)i) == expected, "%s is %s",
			      ct_ports[i].name, expected ? "absent" : "set");
	}
}

START_TEST(ports_are_fields)
{
	const char *seen = NULL;
	unsigned i;

	for (i = 0; ct_ports[i].name; i++) {
		const struct ctf_field *f = field_find(ct_ports[i].name);

		ck_assert_msg(f != NULL, "%s is not in the dictionary", ct_ports[i].name);
		ck_assert_msg(!seen || !(f->flags & CTF_F_ULOGD), "%s after %s", f->name, seen);
		if (!(f->flags & CTF_F_ULOGD))
			seen = f->name;
	}
	ck_assert_uint_le(i, CTF_SLOTS);
	ck_assert_uint_eq(rig_slot("oob.protocol"), 26);
	ck_assert_uint_lt(rig_slot("icmpv6.type"), rig_slot("ct.mark"));
	/* Every field the dictionary gives an input is ours. */
	for (i = 0; strcmp(field_nth(i)->name, "print") != 0; i++)
		ck_assert_msg(ct_ports[rig_slot(field_nth(i)->name)].name != NULL, "%s",
			      field_nth(i)->name);
}
END_TEST

START_TEST(headers)
{
	static const char *const only[] = { "ct.event",       "oob.family",      "oob.protocol",
					    "flow.start.sec", "flow.start.usec", NULL };

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET6);
	ck_assert_int_eq(decode(), 1);
	ck_assert_int_eq(rig.rec.event, CTF_NEW);
	ck_assert_int_eq(rig.rec.family, AF_INET6);
	ck_assert_uint_eq(rig.rec.rx_ns, RX);
	ck_assert_uint_eq(rig_num(&rig, "ct.event"), 1);
	ck_assert_uint_eq(rig_num(&rig, "oob.family"), 10);
	ck_assert_uint_eq(rig_num(&rig, "oob.protocol"), 0);
	check_only(only);

	msg_begin(&m, MSG_NEW, NLM_F_MULTI, 77, AF_INET);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, 5), 1);
	ck_assert_int_eq(rig.rec.event, CTF_UPDATE);
	ck_assert_uint_eq(rig_num(&rig, "ct.portid"), 77);
	ck_assert_uint_eq(rig_num(&rig, "ct.nsid"), 5);
	ck_assert(!rig_has(&rig, "flow.start.sec"));

	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, 0), 1);
	ck_assert(rig_has(&rig, "ct.nsid"));
	ck_assert_uint_eq(rig_num(&rig, "ct.nsid"), 0);

	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	ck_assert_int_eq(decode(), 1);
	ck_assert_int_eq(rig.rec.event, CTF_DESTROY);
	ck_assert(!rig_has(&rig, "ct.portid"));
	ck_assert(!rig_has(&rig, "ct.nsid"));
}
END_TEST

START_TEST(other_messages)
{
	static const unsigned types[] = { NLMSG_ERROR, NLMSG_DONE, 0x101, 0x103,
					  0x105,       0x200,      0x202 };

	for (unsigned i = 0; i < COUNT(types); i++) {
		msg_begin(&m, types[i], 0, 0, AF_INET);
		ck_assert_int_eq(decode(), 0);
		msg_size(&m, NLMSG_HDRLEN); /* need not even be ctnetlink's */
		ck_assert_int_eq(decode(), 0);
	}
}
END_TEST

static const struct l4 {
	uint8_t proto;
	const char *a, *b, *none;
} l4s[] = {
	{ IPPROTO_TCP, "orig.l4.sport", "orig.l4.dport", "orig.gre.skey" },
	{ IPPROTO_UDP, "orig.l4.sport", "orig.l4.dport", "icmp.type" },
	{ IPPROTO_UDPLITE, "orig.l4.sport", "orig.l4.dport", "icmpv6.type" },
	{ IPPROTO_SCTP, "orig.l4.sport", "orig.l4.dport", "orig.icmp.id" },
	{ IPPROTO_DCCP, "orig.l4.sport", "orig.l4.dport", "reply.gre.dkey" },
	{ IPPROTO_GRE, "orig.gre.skey", "orig.gre.dkey", "orig.l4.sport" },
	{ IPPROTO_ICMP, "orig.icmp.id", NULL, "orig.l4.sport" },
	{ IPPROTO_ICMPV6, "orig.icmp.id", NULL, "icmp.type" },
	{ 50, NULL, NULL, "orig.l4.sport" },
};

/* The same protocol over IPv4 and IPv6, NAT included. */
START_TEST(tuples)
{
	const struct l4 *l = &l4s[_i / 2];
	bool six = _i % 2;
	const char *a = six ? "2001:db8::1" : "192.0.2.1",
		   *b = six ? "2001:db8::2" : "192.0.2.2",
		   *c = six ? "2001:db8::3" : "192.0.2.3",
		   *d = six ? "2001:db8::4" : "192.0.2.4";

	msg_begin(&m, MSG_DESTROY, 0, 0, six ? AF_INET6 : AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, a, b, l->proto, 1025, 0x0803);
	msg_tuple(&m, CTA_TUPLE_REPLY, c, d, l->proto, 1026, 0x0004);
	ck_assert_int_eq(decode(), 1);
	check_ip("orig.ip.saddr", a);
	check_ip("orig.ip.daddr", b);
	check_ip("reply.ip.saddr", c);
	check_ip("reply.ip.daddr", d);
	ck_assert_uint_eq(rig_num(&rig, "orig.ip.protocol"), l->proto);
	ck_assert_uint_eq(rig_num(&rig, "reply.ip.protocol"), l->proto);
	if (l->a)
		ck_assert_uint_eq(rig_num(&rig, l->a), 1025);
	if (l->b)
		ck_assert_uint_eq(rig_num(&rig, l->b), 0x0803);
	ck_assert(!rig_has(&rig, l->none));
}
END_TEST

START_TEST(icmp)
{
	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_ICMP, 7, 8 << 8 | 3);
	msg_tuple(&m, CTA_TUPLE_REPLY, "192.0.2.2", "192.0.2.1", IPPROTO_ICMP, 9, 0);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "icmp.type"), 8);
	ck_assert_uint_eq(rig_num(&rig, "icmp.code"), 3);
	ck_assert(!rig_has(&rig, "icmpv6.type"));
	ck_assert_uint_eq(rig_num(&rig, "reply.icmp.id"), 9);

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET6);
	msg_tuple(&m, CTA_TUPLE_ORIG, "::1", "::2", IPPROTO_ICMPV6, 7, 128 << 8 | 1);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "icmpv6.type"), 128);
	ck_assert_uint_eq(rig_num(&rig, "icmpv6.code"), 1);
	ck_assert(!rig_has(&rig, "icmp.type"));
}
END_TEST

START_TEST(master)
{
	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_MASTER, "192.0.2.7", "192.0.2.8", IPPROTO_TCP, 5000, 21);
	ck_assert_int_eq(decode(), 1);
	check_ip("master.ip.saddr", "192.0.2.7");
	check_ip("master.ip.daddr", "192.0.2.8");
	ck_assert_uint_eq(rig_num(&rig, "master.ip.protocol"), 6);
	ck_assert_uint_eq(rig_num(&rig, "master.l4.sport"), 5000);
	ck_assert_uint_eq(rig_num(&rig, "master.l4.dport"), 21);
	ck_assert(!rig_has(&rig, "orig.ip.saddr"));
}
END_TEST

START_TEST(zones)
{
	size_t nest;

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	msg_u16(&m, CTA_ZONE, 700);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.zone"), 700);
	ck_assert_uint_eq(rig_num(&rig, "ct.zone.reply"), 700);

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	nest = msg_nest(&m, CTA_TUPLE_ORIG);
	msg_u16(&m, CTA_TUPLE_ZONE, 3);
	msg_end(&m, nest);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.zone"), 3);
	ck_assert(!rig_has(&rig, "ct.zone.reply"));

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	nest = msg_nest(&m, CTA_TUPLE_REPLY);
	msg_u16(&m, CTA_TUPLE_ZONE, 4);
	msg_end(&m, nest);
	ck_assert_int_eq(decode(), 1);
	ck_assert(!rig_has(&rig, "ct.zone"));
	ck_assert_uint_eq(rig_num(&rig, "ct.zone.reply"), 4);
}
END_TEST

START_TEST(numbers)
{
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_u32(&m, CTA_STATUS, 0x3fe);
	msg_u32(&m, CTA_TIMEOUT, 4000000000u);
	msg_u32(&m, CTA_MARK, 0xfffffffe);
	msg_u32(&m, CTA_USE, 2);
	msg_u32(&m, CTA_ID, 0x80000001);
	msg_counters(&m, CTA_COUNTERS_ORIG, 5, UINT64_C(1) << 40);
	msg_counters(&m, CTA_COUNTERS_REPLY, 0, 0);
	msg_times(&m, START, STOP);
	msg_u64(&m, MSG_EVENT_TIME, STOP + 1);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.status"), 0x3fe);
	ck_assert_uint_eq(rig_num(&rig, "ct.timeout"), 4000000000u);
	ck_assert_uint_eq(rig_num(&rig, "ct.mark"), 0xfffffffe);
	ck_assert_uint_eq(rig_num(&rig, "ct.use"), 2);
	ck_assert_uint_eq(rig_num(&rig, "ct.id"), 0x80000001);
	ck_assert_uint_eq(rig_num(&rig, "orig.raw.pktcount"), 5);
	ck_assert_uint_eq(rig_num(&rig, "orig.raw.pktlen"), UINT64_C(1) << 40);
	ck_assert_uint_eq(rig_num(&rig, "reply.raw.pktcount"), 0);
	ck_assert_uint_eq(rig_num(&rig, "reply.raw.pktlen"), 0);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.ns"), START);
	ck_assert_uint_eq(rig_num(&rig, "flow.destroy.ns"), STOP);
	ck_assert_uint_eq(rig_num(&rig, "flow.event.ns"), STOP + 1);
}
END_TEST

START_TEST(counters_of_old_kernels)
{
	size_t nest;

	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	nest = msg_nest(&m, CTA_COUNTERS_ORIG);
	msg_u32(&m, CTA_COUNTERS32_PACKETS, 3);
	msg_u32(&m, CTA_COUNTERS32_BYTES, 0xffffffff);
	msg_end(&m, nest);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "orig.raw.pktcount"), 3);
	ck_assert_uint_eq(rig_num(&rig, "orig.raw.pktlen"), 0xffffffff);
	ck_assert(!rig_has(&rig, "reply.raw.pktlen"));
}
END_TEST

START_TEST(texts)
{
	static const uint8_t labels[16] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	};
	size_t nest;

	msg_begin(&m, MSG_NEW, 0, 0, AF_INET);
	nest = msg_nest(&m, CTA_HELP);
	msg_put(&m, CTA_HELP_NAME, "ftp", 4);
	msg_put(&m, CTA_HELP_INFO, "whatever", 8);
	msg_end(&m, nest);
	nest = msg_nest(&m, CTA_SECCTX);
	msg_put(&m, CTA_SECCTX_NAME, "no end", 6); /* not terminated */
	msg_end(&m, nest);
	msg_put(&m, CTA_LABELS, labels, sizeof(labels));
	ck_assert_int_eq(decode(), 1);
	check_text("ct.helper", "ftp");
	check_text("ct.secctx", "no end");
	ck_assert_uint_eq(rig_val(&rig, "ct.labels")->s.len, 16);
	ck_assert_mem_eq(rig_val(&rig, "ct.labels")->s.p, labels, 16);
}
END_TEST

START_TEST(tcp_info)
{
	static const uint8_t flags[2] = { 0x0a, 0xff };
	size_t nest, tcp;

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	nest = msg_nest(&m, CTA_PROTOINFO);
	tcp = msg_nest(&m, CTA_PROTOINFO_TCP);
	msg_u8(&m, CTA_PROTOINFO_TCP_STATE, 3);
	msg_u8(&m, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 7);
	msg_u8(&m, CTA_PROTOINFO_TCP_WSCALE_REPLY, 8);
	msg_put(&m, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags, 2);
	msg_put(&m, CTA_PROTOINFO_TCP_FLAGS_REPLY, flags, 2);
	msg_end(&m, tcp);
	msg_end(&m, nest);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.tcp.state"), 3);
	ck_assert_uint_eq(rig_num(&rig, "ct.tcp.wscale.orig"), 7);
	ck_assert_uint_eq(rig_num(&rig, "ct.tcp.wscale.reply"), 8);
	ck_assert_uint_eq(rig_num(&rig, "ct.tcp.flags.orig"), 0x0a);
	ck_assert_uint_eq(rig_num(&rig, "ct.tcp.flags.reply"), 0x0a);
}
END_TEST

START_TEST(sctp_and_dccp_info)
{
	size_t nest, inner;

	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	nest = msg_nest(&m, CTA_PROTOINFO);
	inner = msg_nest(&m, CTA_PROTOINFO_SCTP);
	msg_u8(&m, CTA_PROTOINFO_SCTP_STATE, 4);
	msg_u32(&m, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, 0xdeadbeef);
	msg_u32(&m, CTA_PROTOINFO_SCTP_VTAG_REPLY, 1);
	msg_end(&m, inner);
	msg_end(&m, nest);
	nest = msg_nest(&m, CTA_PROTOINFO);
	inner = msg_nest(&m, CTA_PROTOINFO_DCCP);
	msg_u8(&m, CTA_PROTOINFO_DCCP_STATE, 5);
	msg_u8(&m, CTA_PROTOINFO_DCCP_ROLE, 1);
	msg_u64(&m, CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, UINT64_C(1) << 47);
	msg_end(&m, inner);
	msg_end(&m, nest);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.sctp.state"), 4);
	ck_assert_uint_eq(rig_num(&rig, "ct.sctp.vtag.orig"), 0xdeadbeef);
	ck_assert_uint_eq(rig_num(&rig, "ct.sctp.vtag.reply"), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.dccp.state"), 5);
	ck_assert_uint_eq(rig_num(&rig, "ct.dccp.role"), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.dccp.handshake"), UINT64_C(1) << 47);
}
END_TEST

START_TEST(unknown_is_skipped)
{
	size_t nest;

	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_put(&m, 200, "new kernel", 10);
	msg_put(&m, CTA_SECMARK, "x", 1); /* known, of no interest */
	nest = msg_nest(&m, CTA_TUPLE_ORIG);
	msg_ip(&m, "192.0.2.1", "192.0.2.2");
	msg_put(&m, 9, "z", 1);
	msg_l4(&m, IPPROTO_UDP, 1, 2);
	msg_end(&m, nest);
	nest = msg_nest(&m, CTA_SYNPROXY);
	msg_put(&m, 1, "?", 1);
	msg_end(&m, nest);
	msg_put(&m, 0x3fff, NULL, 0);
	msg_u32(&m, CTA_ID, 9);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "orig.l4.dport"), 2);
	ck_assert_uint_eq(rig_num(&rig, "ct.id"), 9);
}
END_TEST

/* The padding of the last attribute may be missing. */
START_TEST(last_padding)
{
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_u16(&m, CTA_ZONE, 1);
	msg_size(&m, m.len - 2);
	ck_assert_int_eq(decode(), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.zone"), 1);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, ports_are_fields);
	tcase_add_test(t, headers);
	tcase_add_test(t, other_messages);
	tcase_add_loop_test(t, tuples, 0, 2 * COUNT(l4s));
	tcase_add_test(t, icmp);
	tcase_add_test(t, master);
	tcase_add_test(t, zones);
	tcase_add_test(t, numbers);
	tcase_add_test(t, counters_of_old_kernels);
	tcase_add_test(t, texts);
	tcase_add_test(t, tcp_info);
	tcase_add_test(t, sctp_and_dccp_info);
	tcase_add_test(t, unknown_is_skipped);
	tcase_add_test(t, last_padding);
}

int
main(void)
{
	return unit_main("ct_decode", add_tests);
}
