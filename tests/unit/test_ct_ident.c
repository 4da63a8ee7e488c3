/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_ident.c: one number a flow, whatever else a message says. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "ct_msg.h"
#include "unit.h"

#define RX UINT64_C(1700000009500000000)
#define START UINT64_C(1700000000123456789)
#define STOP UINT64_C(1700000008987654321)

struct flow { /* of the messages below */
	const char *src, *dst;
	uint8_t proto;
	uint16_t a, b; /* ports; ICMP: id, type and code */
	uint32_t id;
	int zone;
	uint64_t start, stop, sent, packets;
	int nsid;
};

static const struct flow usual = { "10.0.0.1", "10.0.0.2", IPPROTO_UDP, 4000, 53, 77,
				   0,          START,      STOP,        0,    5,  -1 };
static struct rig rig;
static struct ct_ident ident;

static void
setup(void)
{
	rig_init(&rig, NULL, NULL);
	for (unsigned i = 0; i < 2 * (CT_IDENT_WORDS + 1); i++)
		ident.seed[i % 2][i / 2] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ i << 7;
	rig.in.ident = &ident;
	ct_prepare(&rig.in);
}

static uint64_t
key(const struct flow *f)
{
	int family = strchr(f->src, ':') ? AF_INET6 : AF_INET;
	struct msg m;

	msg_begin(&m, MSG_DESTROY, 0, 0, family);
	msg_tuple(&m, CTA_TUPLE_ORIG, f->src, f->dst, f->proto, f->a, f->b);
	msg_tuple(&m, CTA_TUPLE_REPLY, f->dst, f->src, f->proto, f->b, f->a);
	msg_u32(&m, CTA_ID, f->id);
	if (f->zone)
		msg_u16(&m, CTA_ZONE, (uint16_t)f->zone);
	msg_counters(&m, CTA_COUNTERS_ORIG, f->packets, 100 * f->packets);
	msg_times(&m, f->start, f->stop);
	if (f->sent)
		msg_u64(&m, MSG_EVENT_TIME, f->sent);
	ck_assert_int_eq(rig_decode(&rig, m.p, m.len, RX, f->nsid), 1);
	return ident.key;
}

static uint64_t
changed(size_t off, size_t size, const void *value)
{
	struct flow f = usual;

	memcpy((char *)&f + off, value, size);
	return key(&f);
}
#define CHANGED(member, value) \
	changed(offsetof(struct flow, member), sizeof(usual.member), \
		&(__typeof__(((struct flow *)0)->member)){ value })

START_TEST(what_makes_another_flow)
{
	struct flow v6 = usual;
	uint64_t k[13];

	v6.src = "2001:db8::1";
	v6.dst = "2001:db8::2";
	k[0] = key(&usual);
	k[1] = CHANGED(src, "10.0.0.3");
	k[2] = CHANGED(dst, "10.0.0.3");
	k[3] = CHANGED(proto, IPPROTO_TCP);
	k[4] = CHANGED(a, 4001);
	k[5] = CHANGED(b, 54);
	k[6] = CHANGED(id, 78);
	k[7] = CHANGED(zone, 9);
	k[8] = CHANGED(start, START + 1);
	k[9] = CHANGED(nsid, 0);
	k[10] = CHANGED(start, START + (UINT64_C(1) << 32));
	k[11] = key(&v6);
	v6.dst = "2001:db8::1:0:2";
	k[12] = key(&v6);
	for (int i = 0; i < COUNT(k); i++) {
		ck_assert_uint_ne(k[i], 0);
		for (int j = 0; j < i; j++)
			ck_assert_msg(k[i] != k[j], "%d and %d", i, j);
	}
}
END_TEST

START_TEST(what_does_not)
{
	uint64_t k = key(&usual);

	ck_assert_uint_eq(CHANGED(packets, 6), k);
	ck_assert_uint_eq(CHANGED(stop, STOP + 1), k);
	ck_assert_uint_eq(ident.stop, STOP + 1);
	ck_assert_uint_eq(ident.sent, RX);
	ck_assert_uint_eq(CHANGED(sent, RX - 5), k);
	ck_assert_uint_eq(ident.sent, RX - 5);
	/* another seed, another number */
	ident.seed[0][3] += UINT64_C(1) << 40;
	ck_assert_uint_ne(key(&usual), k);
}
END_TEST

START_TEST(icmp)
{
	struct flow f = usual;
	uint64_t k;

	f.proto = IPPROTO_ICMP;
	f.b = 0x0800;
	k = key(&f);
	f.b = 0x0801;
	ck_assert_uint_ne(key(&f), k);
	f.b = 0x0800;
	ck_assert_uint_eq(key(&f), k);
	f.a++;
	ck_assert_uint_ne(key(&f), k);
}
END_TEST

START_TEST(cannot_be_told)
{
	ck_assert_uint_ne(key(&usual), 0);
	ck_assert_uint_eq(CHANGED(start, 0), 0);
	ck_assert_uint_ne(key(&usual), 0);
	ck_assert_uint_ne(CHANGED(stop, 0), 0);
	ck_assert_uint_eq(ident.stop, START);
}
END_TEST

/* Either half of the number comes from words of its own seed, and both matter. */
START_TEST(both_halves)
{
	uint64_t k = key(&usual), other = CHANGED(a, 4001);

	ck_assert_uint_ne(k >> 32, other >> 32);
	ck_assert_uint_ne(k & UINT32_MAX, other & UINT32_MAX);
	ident.seed[1][6] ^= UINT64_C(1) << 50;
	ck_assert_uint_eq(key(&usual) >> 32, k >> 32);
	ck_assert_uint_ne(key(&usual), k);
}
END_TEST

/* By the definition: successors remember what others have made. */
static uint64_t
defined(const struct flow *f)
{
	bool v6 = strchr(f->src, ':');
	uint32_t word[CT_IDENT_WORDS] = { 0 };
	uint64_t sum[2] = { ident.seed[0][0], ident.seed[1][0] };

	word[0] = (uint32_t)f->zone | (uint32_t)f->proto << 16 | (uint32_t)v6 << 24;
	word[1] = f->nsid < 0 ? UINT32_MAX : (uint32_t)f->nsid;
	word[2] = f->id;
	word[3] = (uint32_t)(f->start >> 32);
	word[4] = (uint32_t)f->start;
	word[5] = (uint32_t)f->a << 16 | f->b;
	ck_assert_int_eq(inet_pton(v6 ? AF_INET6 : AF_INET, f->src, &word[6]), 1);
	ck_assert_int_eq(inet_pton(v6 ? AF_INET6 : AF_INET, f->dst, &word[10]), 1);
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < CT_IDENT_WORDS; i++)
			sum[k] += ident.seed[k][i + 1] * word[i];
	return sum[0] >> 32 << 32 | sum[1] >> 32;
}

START_TEST(definition)
{
	struct flow f = usual;

	ck_assert_uint_eq(key(&f), defined(&f));
	f.zone = 9;
	ck_assert_uint_eq(key(&f), defined(&f));
	f.nsid = 3;
	ck_assert_uint_eq(key(&f), defined(&f));
	f.proto = IPPROTO_ICMP;
	ck_assert_uint_eq(key(&f), defined(&f));
	f.src = "2001:db8::1";
	f.dst = "2001:db8::2";
	f.proto = IPPROTO_TCP;
	ck_assert_uint_eq(key(&f), defined(&f));
	f.zone = 0;
	f.nsid = -1;
	ck_assert_uint_eq(key(&f), defined(&f));
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, what_makes_another_flow);
	tcase_add_test(t, what_does_not);
	tcase_add_test(t, icmp);
	tcase_add_test(t, cannot_be_told);
	tcase_add_test(t, both_halves);
	tcase_add_test(t, definition);
}

int
main(void)
{
	return unit_main("ct_ident", add_tests);
}
