/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timeouts that change.  The truth is worked out from when they changed; what
 * the decoder says must be exact where only one could be in force, and else a
 * bound that contains it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "ct_msg.h"
#include "ct_random.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)
#define T0 (UINT64_C(1700000000) * SEC)
#define UDP "nf_conntrack_udp_timeout"

static struct rig rig;
static struct msg m;

static void
setup(void)
{
	rig_init(&rig, NULL, NULL);
}

/* Noticed between two looks. */
static void
changes(const char *sysctl, unsigned sec, uint64_t after, uint64_t to)
{
	struct ct_times fresh = rig.in.t;

	ck_assert_int_eq(ct_times_set(&fresh, sysctl, sec), 0);
	ct_times_update(&rig.in.t, &fresh, T0 + after * SEC, T0 + to * SEC);
}

/* A flow of one protocol that began long ago and ended then; left: seconds, or -1. */
static void
decode(uint8_t proto, unsigned state, uint64_t stop, int left)
{
	msg_begin(&m, MSG_DESTROY, 0, left >= 0 ? 77 : 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", proto, 1, 2);
	msg_u32(&m, CTA_STATUS, 0);
	msg_times(&m, T0 - 500000 * SEC, T0 + stop * SEC);
	if (left >= 0)
		msg_u32(&m, CTA_TIMEOUT, (uint32_t)left);
	if (state)
		msg_state(&m, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, (uint8_t)state);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, T0 + (stop + 1) * SEC, -1), 1);
}

/* The last packet was so many seconds before the end, or earlier. */
static void
ck_last(uint64_t stop, uint64_t ago, const char *kind)
{
	const union ctf_val *v = rig_val(&rig, "flow.end.kind");

	ck_assert_uint_eq(rig_num(&rig, "flow.last.ns"), T0 + (stop - ago) * SEC);
	ck_assert_uint_eq(v->s.len, strlen(kind));
	ck_assert_mem_eq(v->s.p, kind, v->s.len);
}

struct step {
	uint64_t stop, ago;
	const char *kind;
};

static void
play(const struct step *s, size_t n)
{
	for (; n; n--, s++) {
		decode(IPPROTO_UDP, 0, s->stop, -1);
		ck_last(s->stop, s->ago, s->kind);
	}
}

/* 30 s until some time in 1000-1010, 6 s since. */
START_TEST(shorter)
{
	static const struct step steps[] = {
		{ 900, 30, "exact" }, { 1005, 30, "exact" }, { 1007, 6, "bound" },
		{ 1016, 6, "bound" }, { 1039, 6, "bound" },  { 1041, 6, "exact" },
		{ 5000, 6, "exact" },
	};

	changes(UDP, 6, 1000, 1010);
	play(steps, COUNT(steps));
}
END_TEST

/* 30 s, then 100 s: none can have it before 1100. */
START_TEST(longer)
{
	static const struct step steps[] = {
		{ 900, 30, "exact" },
		{ 1039, 30, "exact" },
		{ 1041, 100, "exact" },
		{ 5000, 100, "exact" },
	};

	changes(UDP, 100, 1000, 1010);
	play(steps, COUNT(steps));
}
END_TEST

/* 30, 6, 60, 20, 60 s within two minutes. */
START_TEST(twice)
{
	static const struct step early[] = { { 1005, 6, "bound" },
					     { 1030, 6, "bound" },
					     { 1075, 60, "exact" } };
	static const struct step late[] = { { 1070, 20, "bound" },
					    { 1114, 20, "bound" },
					    { 1116, 60, "exact" } };

	changes(UDP, 6, 1000, 1001);
	changes(UDP, 60, 1014, 1020);
	play(early, COUNT(early));
	changes(UDP, 20, 1050, 1055);
	changes(UDP, 60, 1055, 1060);
	play(late, COUNT(late));
}
END_TEST

/* What was long ago does not widen the next change. */
START_TEST(much_later)
{
	changes(UDP, 6, 1000, 1001);
	changes(UDP, 10, 9000, 9001);
	decode(IPPROTO_UDP, 0, 9005, -1);
	ck_last(9005, 6, "exact");
	decode(IPPROTO_UDP, 0, 9012, -1);
	ck_last(9012, 10, "exact");
}
END_TEST

/* Established, or retransmitted: 432000 and 300 s, then 3000 s; left tells which. */
START_TEST(tcp)
{
	decode(IPPROTO_TCP, TCP_CONNTRACK_ESTABLISHED, 1000, 431990);
	ck_last(1000, 9, "bound");
	changes("nf_conntrack_tcp_timeout_established", 3000, 1000, 1001);
	decode(IPPROTO_TCP, TCP_CONNTRACK_ESTABLISHED, 1100, 2990); /* 3000 or 432000 */
	ck_last(1100, 0, "bound");
	decode(IPPROTO_TCP, TCP_CONNTRACK_ESTABLISHED, 1100, 290);
	ck_last(1100, 9, "bound");
	decode(IPPROTO_TCP, TCP_CONNTRACK_CLOSE, 1100, -1);
	ck_last(1100, 10, "exact");
	decode(IPPROTO_TCP, TCP_CONNTRACK_ESTABLISHED, 500000, 2990);
	ck_last(500000, 9, "bound");
}
END_TEST

/* A rule's timeout that is gone is still that of entries which had it. */
START_TEST(rules)
{
	struct ct_times fresh = rig.in.t;
	static const struct ct_policy udp = { IPPROTO_UDP, 7, 9 };

	ct_times_policy(&fresh, &udp);
	ct_times_update(&rig.in.t, &fresh, T0, T0);
	decode(IPPROTO_UDP, 0, 1000, -1);
	ck_last(1000, 7, "bound");
	fresh.npolicies = 0;
	ct_times_update(&rig.in.t, &fresh, T0 + 1000 * SEC, T0 + 1010 * SEC);
	ck_assert_uint_eq(rig.in.t.npolicies, 0);
	decode(IPPROTO_UDP, 0, 1018, -1);
	ck_last(1018, 7, "bound");
	decode(IPPROTO_ICMP, 0, 1018, -1);
	ck_last(1018, 30, "exact");
	decode(IPPROTO_UDP, 0, 1020, -1);
	ck_last(1020, 30, "exact");
	ct_times_update(&rig.in.t, &fresh, T0 + 2000 * SEC, T0 + 2000 * SEC);
	ck_assert_uint_eq(rig.in.t.nformer, 0);
}
END_TEST

/* ---- against the truth --------------------------------------------------------- */

#define HISTORY 6u

struct history {
	unsigned n;
	uint64_t at[HISTORY]; /* ms; since then */
	unsigned sec[HISTORY];
};

static unsigned
in_force(const struct history *h, uint64_t ms)
{
	unsigned i = h->n - 1;

	while (i && h->at[i] > ms)
		i--;
	return h->sec[i];
}

/* Looks at it every second, each up to 50 ms long, as nfct_times.c does. */
static void
look(const struct history *h, uint64_t ms, uint64_t before_ms)
{
	struct ct_times fresh = rig.in.t;

	ck_assert_int_eq(ct_times_set(&fresh, UDP, in_force(h, ms)), 0);
	ct_times_update(&rig.in.t, &fresh, T0 + before_ms * 1000000, T0 + (ms + 50) * 1000000);
}

static void
ck_truth(uint64_t last_ms, uint64_t stop_ms, unsigned ran[2])
{
	const union ctf_val *v = rig_val(&rig, "flow.end.kind");
	uint64_t said = (rig_num(&rig, "flow.last.ns") - T0) / 1000000;

	if (v->s.len == 5 && memcmp(v->s.p, "exact", 5) == 0) {
		ck_assert_uint_eq(said, last_ms);
		ran[0]++;
	} else {
		ck_assert_uint_ge(said, last_ms);
		ran[1]++;
	}
	ck_assert_uint_le(said, stop_ms);
}

static void
one_flow(const struct history *h, uint64_t last_ms, int left, unsigned ran[2])
{
	uint64_t stop_ms = last_ms + in_force(h, last_ms) * 1000;

	if (left >= 0)
		stop_ms -= (uint64_t)left * 1000 + 1;
	msg_begin(&m, MSG_DESTROY, 0, left >= 0 ? 77 : 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_UDP, 1, 2);
	msg_times(&m, T0 - 500 * SEC, T0 + stop_ms * 1000000);
	if (left >= 0)
		msg_u32(&m, CTA_TIMEOUT, (uint32_t)left);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, T0 + 900 * SEC, -1), 1);
	ck_truth(last_ms, stop_ms, ran);
}

START_TEST(any_history)
{
	const char *s = getenv("CT_SEED");
	struct rnd r = { s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) };
	unsigned ran[2] = { 0, 0 };

	printf("CT_SEED=%llu\n", (unsigned long long)r.state);
	for (unsigned round = 0; round < 500; round++) {
		struct history h = { .n = 1, .sec = { 1 + rnd_below(&r, 40) } };
		uint64_t end = 0, seen = 0;

		rig_init(&rig, NULL, NULL);
		ck_assert_int_eq(ct_times_set(&rig.in.t, UDP, h.sec[0]), 0);
		for (; h.n < HISTORY; h.n++) {
			h.at[h.n] = h.at[h.n - 1] + 1000 + rnd_below(&r, 20000);
			h.sec[h.n] = 1 + rnd_below(&r, 40);
		}
		end = h.at[HISTORY - 1] + 60000;
		for (uint64_t ms = 0; ms < end; ms += 1000) {
			uint64_t last = ms > 45000 ? ms - rnd_below(&r, 45000) : 0;
			uint64_t stop = last + in_force(&h, last) * 1000;

			look(&h, ms, seen);
			seen = ms;
			/* ended since the look before, or removed just now */
			if (stop > ms - 1000 && stop <= ms + 1000)
				one_flow(&h, last, -1, ran);
			else if (stop > ms + 2000 && last < ms)
				one_flow(&h, last, (int)((stop - ms) / 1000), ran);
		}
	}
	ck_assert_uint_gt(ran[0], 500);
	ck_assert_uint_gt(ran[1], 500);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, shorter);
	tcase_add_test(t, longer);
	tcase_add_test(t, twice);
	tcase_add_test(t, much_later);
	tcase_add_test(t, tcp);
	tcase_add_test(t, rules);
	tcase_add_test(t, any_history);
}

int
main(void)
{
	return unit_main("ct_times", add_tests);
}
