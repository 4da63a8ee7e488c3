/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of the table that live: their records, slices, and what a sweep looks at. */
#include <check.h>
#include <stdlib.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "ct_msg.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)
#define START (UINT64_C(1700000000) * SEC + 123456789)
#define NOW (START + 1000 * SEC)

static struct rig rig;
static struct msg m;

static void
setup(void)
{
	rig_init(&rig, NULL, NULL);
}

/* left: CTA_TIMEOUT; -1: none */
static void
build(uint64_t start, uint64_t stop, int left, uint32_t status)
{
	unsigned type = stop ? MSG_DESTROY : MSG_NEW, flags = stop ? 0 : NLM_F_MULTI;

	msg_begin(&m, type, flags, stop ? 0 : 4711, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_UDP, 1, 2);
	msg_tuple(&m, CTA_TUPLE_REPLY, "192.0.2.2", "192.0.2.1", IPPROTO_UDP, 2, 1);
	msg_u32(&m, CTA_STATUS, status);
	msg_u32(&m, CTA_ID, 77);
	msg_counters(&m, CTA_COUNTERS_ORIG, 3, 300);
	msg_counters(&m, CTA_COUNTERS_REPLY, 2, 200);
	if (start)
		msg_times(&m, start, stop);
	if (left >= 0)
		msg_u32(&m, CTA_TIMEOUT, (uint32_t)left);
}

static int
decode(enum ctf_kind kind)
{
	rig.rec.set[0] = rig.rec.set[1] = 0;
	return ct_decode_live(&rig.in, m.p, m.len, NOW, kind, &rig.rec);
}

START_TEST(kinds)
{
	static const struct {
		enum ctf_kind kind;
		bool counters;
		uint64_t reason;
	} t[] = { { CTF_EVENT, true, UINT64_MAX },
		  { CTF_PRESENCE, false, 2 },
		  { CTF_COUNTERS, true, 2 } };
	static const char *const never[] = { "ct.portid",        "ct.nsid",
					     "flow.end.sec",     "flow.destroy.ns",
					     "flow.destroy.sec", "flow.event.ns" };

	build(START, 0, 20, 0);
	msg_u64(&m, MSG_EVENT_TIME, 5);
	ck_assert_int_eq(decode(t[_i].kind), 1);
	ck_assert_int_eq(rig.rec.kind, t[_i].kind);
	ck_assert_int_eq(rig.rec.event, CTF_UPDATE);
	ck_assert_uint_eq(rig.rec.rx_ns, NOW);
	ck_assert_uint_eq(rig_num(&rig, "orig.raw.pktcount"), t[_i].counters ? 3 : UINT64_MAX);
	ck_assert_uint_eq(rig_num(&rig, "orig.raw.pktlen"), t[_i].counters ? 300 : UINT64_MAX);
	ck_assert_uint_eq(rig_num(&rig, "reply.raw.pktcount"), t[_i].counters ? 2 : UINT64_MAX);
	ck_assert_uint_eq(rig_num(&rig, "reply.raw.pktlen"), t[_i].counters ? 200 : UINT64_MAX);
	ck_assert_uint_eq(rig_num(&rig, "flow.end.reason"), t[_i].reason);
	ck_assert_uint_eq(rig_num(&rig, "ct.id"), 77);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.ns"), START);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.sec"), START / SEC);
	ck_assert_uint_eq(rig_num(&rig, "flow.slice.ns"), START);
	for (unsigned i = 0; i < COUNT(never); i++)
		ck_assert_msg(!rig_has(&rig, never[i]), "%s", never[i]);
}
END_TEST

/* 20 of 30 s are left, and less than 21: it was less than 10 s ago. */
START_TEST(last_packet)
{
	static const struct {
		int left;
		uint32_t status;
		uint64_t ago;
	} t[] = { { 20, 0, 9 },  { 29, 0, 0 },           { 0, 0, 29 }, { 110, IPS_ASSURED, 9 },
		  { 200, 0, 0 }, { 20, IPS_OFFLOAD, 0 }, { -1, 0, 0 } };

	for (unsigned i = 0; i < COUNT(t); i++) {
		build(START, 0, t[i].left, t[i].status);
		ck_assert_int_eq(decode(CTF_COUNTERS), 1);
		ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), NOW - t[i].ago * SEC);
		ck_assert_uint_eq(rig_num(&rig, "flow.duration"), (1000 - t[i].ago) * 1000);
		ck_assert_mem_eq(rig_val(&rig, "flow.end.kind")->s.p, "bound", 5);
	}
}
END_TEST

/* What the counters are about, by the sweep that set them back. */
static const struct {
	uint64_t at, upto, start; /* the sweep; the flow, 0: unknown */
	uint64_t slice;           /* 0: absent */
} slices[] = {
	{ 0, 0, START, START },
	{ 0, 0, 0, 0 },
	/* in the sweep: so old that it must have been, to the nanosecond */
	{ START + 900 * SEC, START, START, START + 900 * SEC },
	{ START + 900 * SEC, START + 1, START, START + 900 * SEC },
	/* not in it: too young then, or begun later */
	{ START + 900 * SEC, START - 1, START, START },
	{ START - 5 * SEC, START - 9 * SEC, START, START },
	/* the one at the start takes all */
	{ START + SEC, START + SEC, START, START + SEC },
	/* who does not say when it began is in every sweep */
	{ START + 900 * SEC, START, 0, START + 900 * SEC },
	/* no packet since: 20 of 30 s are left at the time of the dump, START + 1000 */
	{ START + 995 * SEC, START, START, START + 991 * SEC },
};

START_TEST(slice)
{
	rig.in.slice = (struct ct_slice){ slices[_i].at, slices[_i].upto };
	build(slices[_i].start, 0, 20, 0);
	ck_assert_int_eq(decode(CTF_COUNTERS), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.slice.ns"),
			  slices[_i].slice ? slices[_i].slice : UINT64_MAX);
	/* the end: its last packet was 30 s before */
	build(slices[_i].start, slices[_i].slice + 30 * SEC, -1, 0);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, NOW, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.slice.ns"),
			  slices[_i].slice ? slices[_i].slice : UINT64_MAX);
	ck_assert_uint_ge(rig_num(&rig, "flow.last.ns"), slices[_i].slice);
}
END_TEST

/* ulogd2's flow.end is what the option says; the others are not touched. */
START_TEST(flow_end)
{
	uint64_t stop = START + 900 * SEC;

	for (unsigned end = CT_DESTROY; end <= CT_LAST_PACKET; end++) {
		rig.in.flow_end = end;
		ct_prepare(&rig.in);
		build(START, stop, -1, 0);
		ck_assert_int_eq(rig_decode(&rig, m.p, m.len, NOW, -1), 1);
		ck_assert_uint_eq(rig_num(&rig, "flow.end.sec"),
				  (end == CT_DESTROY ? stop : stop - 30 * SEC) / SEC);
		ck_assert_uint_eq(rig_num(&rig, "flow.end.usec"), 123456);
		ck_assert_uint_eq(rig_num(&rig, "flow.destroy.sec"), stop / SEC);
		ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), stop - 30 * SEC);
	}
}
END_TEST

/* Where rules give other timeouts the shortest says what is certain. */
START_TEST(policies)
{
	static const struct ct_policy udp = { IPPROTO_UDP, 50, 60 },
				      more = { IPPROTO_UDP, 7, 9 }, tcp = { IPPROTO_TCP, 1, 1 };
	uint64_t stop = START + 900 * SEC;
	static const unsigned ago[] = { 30, 30, 7 };
	static const char *const kind[] = { "exact", "bound", "bound" };

	ct_times_policy(&rig.in.t, &tcp);
	for (unsigned i = 0; i < 3; i++) {
		if (i)
			ct_times_policy(&rig.in.t, i == 1 ? &udp : &more);
		build(START, stop, -1, 0);
		ck_assert_int_eq(rig_decode(&rig, m.p, m.len, NOW, -1), 1);
		ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), stop - ago[i] * SEC);
		ck_assert_mem_eq(rig_val(&rig, "flow.end.kind")->s.p, kind[i], 5);
	}
	for (unsigned i = 0; i < 300; i++) /* more than there is room for */
		ct_times_policy(&rig.in.t, &(struct ct_policy){ (uint8_t)i, 1, 2 });
	ck_assert_uint_eq(rig.in.t.npolicies, CT_POLICIES);
}
END_TEST

static bool
only_end(unsigned i, void *arg)
{
	return strcmp(ct_ports[i].name, "flow.end.sec") == 0;
}

/* What flow.end needs is decoded even when nobody asks for it by name. */
START_TEST(flow_end_alone)
{
	memset(&rig, 0, sizeof(rig));
	rig_init(&rig, only_end, NULL);
	rig.in.flow_end = CT_LAST_PACKET;
	ct_prepare(&rig.in);
	build(START, START + 900 * SEC, -1, IPS_ASSURED);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, NOW, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.end.sec"), START / SEC + 780);
}
END_TEST

START_TEST(other_messages)
{
	struct ct_entry e;

	build(START, START + SEC, -1, 0);
	ck_assert_int_eq(decode(CTF_COUNTERS), 0);
	ck_assert_int_eq(ct_entry(m.p, m.len, &e), 0);
	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	ck_assert_int_eq(decode(CTF_COUNTERS), 0);
	ck_assert_int_lt(ct_entry(m.p, m.len, &e), 0); /* of no flow */
	msg_begin(&m, NLMSG_DONE, 0, 0, AF_INET);
	ck_assert_int_eq(ct_entry(m.p, m.len, &e), 0);
}
END_TEST

START_TEST(entry)
{
	struct ct_entry e;
	size_t whole;

	build(START, 0, 20, 0);
	msg_u16(&m, CTA_ZONE, 9);
	whole = m.len;
	ck_assert_int_eq(ct_entry(m.p, m.len, &e), 1);
	ck_assert_uint_eq(e.id, 77);
	ck_assert_uint_eq(e.start_ns, START);
	ck_assert_uint_eq(e.family, AF_INET);
	ck_assert_ptr_eq(e.tuple.p, m.p + NLMSG_HDRLEN + 4);
	ck_assert_uint_eq(e.zone.len, 6);
	ck_assert_ptr_eq(e.zone.p, m.p + whole - 8);
	build(0, 0, 20, 0);
	ck_assert_int_eq(ct_entry(m.p, m.len, &e), 1);
	ck_assert_uint_eq(e.start_ns, 0);
	ck_assert_ptr_null(e.zone.p);
}
END_TEST

/* Cut anywhere, any length wrong: refused or read, never beyond the end. */
START_TEST(damaged)
{
	struct ct_entry e;

	build(START, 0, 20, 0);
	for (size_t n = 0; n <= m.len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		uint32_t len = (uint32_t)n;

		memcpy(copy, m.p, n);
		(void)ct_entry(copy, n, &e);
		if (n >= sizeof(struct nlmsghdr))
			memcpy(copy, &len, sizeof(len));
		(void)ct_entry(copy, n, &e);
		free(copy);
	}
	for (size_t at = 0; at < m.len; at++) {
		uint8_t was = m.p[at];

		for (unsigned x = 0; x < 256; x += 5) {
			m.p[at] = (uint8_t)x;
			if (ct_entry(m.p, m.len, &e) == 1)
				ck_assert(e.tuple.p > m.p &&
					  e.tuple.p + e.tuple.len <= m.p + m.len);
		}
		m.p[at] = was;
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, kinds, 0, 3);
	tcase_add_test(t, last_packet);
	tcase_add_loop_test(t, slice, 0, COUNT(slices));
	tcase_add_test(t, flow_end);
	tcase_add_test(t, flow_end_alone);
	tcase_add_test(t, policies);
	tcase_add_test(t, other_messages);
	tcase_add_test(t, entry);
	tcase_add_test(t, damaged);
}

int
main(void)
{
	return unit_main("ct_live", add_tests);
}
