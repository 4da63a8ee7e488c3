/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_end.c: start, end, last packet, how it is known, and why a flow ended. */
#include <check.h>
#include <stdlib.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "ct_msg.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)
#define RX (UINT64_C(1700001000) * SEC + 5)
#define START (UINT64_C(1700000000) * SEC + 123456789)
#define STOP (START + 900 * SEC)

static struct rig rig;
static struct msg m;

static void
setup(void)
{
	rig_init(&rig, NULL, NULL);
}

static void
check_kind(const char *want)
{
	const union ctf_val *v = rig_val(&rig, "flow.end.kind");

	ck_assert(rig_has(&rig, "flow.end.kind"));
	ck_assert_uint_eq(v->s.len, strlen(want));
	ck_assert_mem_eq(v->s.p, want, v->s.len);
}

START_TEST(times_table)
{
	struct ct_times t;
	unsigned n = 0;

	ct_times_default(&t);
	for (; ct_time_names[n].sysctl; n++) {
		ck_assert_uint_eq(t.at[n].sec, ct_time_names[n].dflt);
		ck_assert_int_eq(ct_times_set(&t, ct_time_names[n].sysctl, n + 1), 0);
	}
	ck_assert_uint_eq(n, 33);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(t.at[i].sec, i + 1);
	ck_assert_int_lt(ct_times_set(&t, "nf_conntrack_max", 1), 0);
}
END_TEST

/* One flow's DESTROY: protocol, end state, and what is known of its times. */
struct end {
	uint8_t proto, state;
	uint32_t status;
	int left; /* CTA_TIMEOUT; -1: none */
	uint32_t portid;
	unsigned lasted; /* seconds from START to STOP; 0: no time stamps */
	int last;        /* flow.last: seconds before STOP (or reception) */
	const char *kind;
	unsigned reason;
};

#define ASSURED IPS_ASSURED
#define FIXED IPS_FIXED_TIMEOUT
#define OFFLOAD IPS_OFFLOAD

static const struct end ends[] = {
	/* expired: the timeout tells */
	{ IPPROTO_UDP, 0, 0, -1, 0, 900, 30, "exact", 1 },
	{ IPPROTO_UDP, 0, ASSURED, -1, 0, 900, 120, "exact", 1 },
	{ IPPROTO_UDPLITE, 0, ASSURED, -1, 0, 900, 120, "exact", 1 },
	{ IPPROTO_ICMP, 0, 0, -1, 0, 900, 30, "exact", 1 },
	{ IPPROTO_ICMPV6, 0, 0, -1, 0, 900, 30, "exact", 1 },
	{ IPPROTO_GRE, 0, 0, -1, 0, 900, 30, "exact", 1 },
	{ IPPROTO_GRE, 0, ASSURED, -1, 0, 900, 180, "exact", 1 },
	{ 50, 0, 0, -1, 0, 900, 600, "exact", 1 },
	{ IPPROTO_TCP, 1, 0, -1, 0, 900, 120, "exact", 1 },
	{ IPPROTO_TCP, 2, 0, -1, 0, 900, 60, "exact", 1 },
	{ IPPROTO_TCP, 4, ASSURED, -1, 0, 900, 120, "exact", 1 },
	{ IPPROTO_TCP, 5, ASSURED, -1, 0, 900, 60, "exact", 1 },
	{ IPPROTO_TCP, 6, ASSURED, -1, 0, 900, 30, "exact", 3 },
	{ IPPROTO_TCP, 7, ASSURED, -1, 0, 900, 120, "exact", 3 },
	{ IPPROTO_TCP, 8, ASSURED, -1, 0, 900, 10, "exact", 3 },
	{ IPPROTO_TCP, 9, 0, -1, 0, 900, 120, "exact", 1 },
	{ IPPROTO_SCTP, 4, ASSURED, -1, 0, 900, 210, "exact", 1 },
	{ IPPROTO_SCTP, 1, ASSURED, -1, 0, 900, 10, "exact", 3 },
	{ IPPROTO_SCTP, 5, ASSURED, -1, 0, 900, 3, "exact", 3 },
	{ IPPROTO_SCTP, 6, ASSURED, -1, 0, 900, 3, "exact", 3 },
	{ IPPROTO_SCTP, 7, ASSURED, -1, 0, 900, 3, "exact", 3 },
	{ IPPROTO_SCTP, 8, 0, -1, 0, 900, 30, "exact", 1 },
	{ IPPROTO_DCCP, 7, ASSURED, -1, 0, 900, 240, "exact", 3 },
	{ IPPROTO_DCCP, 2, 0, -1, 0, 900, 480, "exact", 1 },
	/* established: 432000 or, after retransmissions, 300 */
	{ IPPROTO_TCP, 3, ASSURED, -1, 0, 900, 300, "bound", 1 },
	/* deleted: what was left tells to the second, which begins then */
	{ IPPROTO_UDP, 0, 0, 20, 4711, 900, 9, "bound", 4 },
	{ IPPROTO_TCP, 3, ASSURED, 431990, 4711, 900, 9, "bound", 4 },
	{ IPPROTO_TCP, 3, ASSURED, 200, 4711, 900, 99, "bound", 4 },
	{ IPPROTO_UDP, 0, ASSURED, 100, 0, 900, 19, "bound", 4 },
	/* a RST that answered the SYN; another timeout than ours */
	{ IPPROTO_TCP, 8, 0, 119, 0, 900, 0, "exact", 3 },
	{ IPPROTO_UDP, 0, 0, 1000, 0, 900, 0, "bound", 4 },
	/* deleted, but kernels up to 5.10 do not say what was left */
	{ IPPROTO_UDP, 0, 0, -1, 4711, 900, 0, "bound", 4 },
	/* no state (5.10), or the timeout has nothing to do with packets */
	{ IPPROTO_TCP, 0, ASSURED, -1, 0, 900, 0, "bound", 1 },
	{ IPPROTO_TCP, 200, ASSURED, -1, 0, 900, 0, "bound", 1 },
	{ IPPROTO_SCTP, 0, ASSURED, -1, 0, 900, 0, "bound", 1 },
	{ IPPROTO_UDP, 0, FIXED, -1, 0, 900, 0, "bound", 1 },
	{ IPPROTO_TCP, 7, OFFLOAD, -1, 0, 900, 0, "bound", 3 },
	/* lived shorter than the timeout: it was another one */
	{ IPPROTO_UDP, 0, 0, -1, 0, 20, 0, "bound", 1 },
	/* no time stamps: by reception */
	{ IPPROTO_UDP, 0, 0, -1, 0, 0, 30, "received", 1 },
	{ IPPROTO_TCP, 3, 0, 431990, 4711, 0, 9, "received", 4 },
};

static void
build(const struct end *e)
{
	static const unsigned info[][2] = {
		[IPPROTO_TCP] = { CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE },
		[IPPROTO_DCCP] = { CTA_PROTOINFO_DCCP, CTA_PROTOINFO_DCCP_STATE },
		[IPPROTO_SCTP] = { CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_STATE },
	};

	msg_begin(&m, MSG_DESTROY, 0, e->portid, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", e->proto, 1, 2);
	msg_u32(&m, CTA_STATUS, e->status);
	if (e->lasted)
		msg_times(&m, START, START + e->lasted * SEC);
	if (e->left >= 0)
		msg_u32(&m, CTA_TIMEOUT, (uint32_t)e->left);
	if (e->state)
		msg_state(&m, info[e->proto][0], info[e->proto][1], e->state);
}

START_TEST(ends_of_flows)
{
	const struct end *e = &ends[_i];
	uint64_t stop = e->lasted ? START + e->lasted * SEC : RX;
	uint64_t last = stop - (uint64_t)e->last * SEC;

	build(e);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig.rec.at_ns, stop < RX ? stop : RX);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), last);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.sec"), last / SEC);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.usec"), last % SEC / 1000);
	ck_assert_uint_eq(rig_num(&rig, "flow.end.reason"), e->reason);
	ck_assert_uint_eq(rig_num(&rig, "flow.end.sec"), stop / SEC);
	ck_assert_uint_eq(rig_num(&rig, "flow.end.usec"), stop % SEC / 1000);
	check_kind(e->kind);
	ck_assert_uint_eq(rig_num(&rig, "flow.duration"),
			  e->lasted ? (last - START) / 1000000 : UINT64_MAX);
	ck_assert_uint_eq(rig_num(&rig, "flow.destroy.sec"),
			  e->lasted ? stop / SEC : UINT64_MAX);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.sec"),
			  e->lasted ? START / SEC : UINT64_MAX);
}
END_TEST

/* One packet: the clocks' grain may put its time before the start. */
START_TEST(grain)
{
	static const struct {
		uint64_t stop;
		int left;
		const char *kind;
		uint64_t last;
	} t[] = {
		{ START + 30 * SEC - SEC / 100, -1, "exact", START },
		{ START + 29 * SEC, -1, "bound", START + 29 * SEC },
		{ START + SEC / 2, 29, "bound", START + SEC / 2 }, /* 29 s or more were left */
		{ START + 5 * SEC, 24, "bound", START },
		{ START + 5 * SEC - SEC / 100, 24, "bound", START },
		{ START + 4 * SEC, 24, "bound", START + 4 * SEC }, /* another timeout */
		{ START - SEC, -1, "bound", START },               /* the clock was set back */
	};

	for (unsigned i = 0; i < COUNT(t); i++) {
		msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
		msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_UDP, 1, 2);
		msg_times(&m, START, t[i].stop);
		if (t[i].left >= 0)
			msg_u32(&m, CTA_TIMEOUT, (uint32_t)t[i].left);
		ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
		check_kind(t[i].kind);
		ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), t[i].last);
	}
}
END_TEST

START_TEST(own_timeouts)
{
	ck_assert_int_eq(ct_times_set(&rig.in.t, "nf_conntrack_udp_timeout", 2), 0);
	build(&ends[0]);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), STOP - 2 * SEC);
}
END_TEST

/* Their timeouts are not ours: all that is known is that no packet came later. */
START_TEST(other_namespace)
{
	const struct end *e = &ends[_i];
	uint64_t stop = e->lasted ? START + e->lasted * SEC : RX;

	build(e);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, 5), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), stop);
	check_kind(e->lasted ? "bound" : "received");
	ck_assert_uint_eq(rig_num(&rig, "flow.end.reason"), e->reason);
}
END_TEST

/* Either may have been in force instead of the state's own 120 s. */
START_TEST(shorter_timeouts)
{
	static const char *const name[] = { "nf_conntrack_tcp_timeout_max_retrans",
					    "nf_conntrack_tcp_timeout_unacknowledged" };
	static const struct end e = { IPPROTO_TCP, 4, ASSURED, -1, 0, 900, 50, "bound", 1 };

	ck_assert_int_eq(ct_times_set(&rig.in.t, name[_i], 50), 0);
	build(&e);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), START + (900 - 50) * SEC);
	check_kind("bound");
}
END_TEST

START_TEST(huge_timeouts)
{
	ck_assert_int_eq(ct_times_set(&rig.in.t, "nf_conntrack_udp_timeout", UINT32_MAX), 0);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_UDP, 1, 2);
	msg_times(&m, 0, 5);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), 0);
}
END_TEST

/* NEW: what the kernel knows best, else reception; never an end. */
START_TEST(new_flow)
{
	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	msg_u64(&m, MSG_EVENT_TIME, START);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.sec"), START / SEC);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.usec"), 123456);
	ck_assert(!rig_has(&rig, "flow.start.ns"));
	ck_assert_uint_eq(rig.rec.at_ns, START);
	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig.rec.at_ns, RX);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.sec"), RX / SEC);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.usec"), 0);
	msg_times(&m, START, STOP); /* a table dump of dying entries has both */
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, -1), 1);
	ck_assert_uint_eq(rig_num(&rig, "flow.start.sec"), START / SEC);
	ck_assert(!rig_has(&rig, "flow.end.sec"));
	ck_assert(!rig_has(&rig, "flow.last.ns"));
	ck_assert(!rig_has(&rig, "flow.end.reason"));
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, times_table);
	tcase_add_loop_test(t, ends_of_flows, 0, COUNT(ends));
	tcase_add_test(t, grain);
	tcase_add_test(t, own_timeouts);
	tcase_add_loop_test(t, other_namespace, 0, COUNT(ends));
	tcase_add_loop_test(t, shorter_timeouts, 0, 2);
	tcase_add_test(t, huge_timeouts);
	tcase_add_test(t, new_flow);
}

int
main(void)
{
	return unit_main("ct_end", add_tests);
}
