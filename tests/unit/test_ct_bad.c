/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_decode.c: what is refused, and that nothing is read beyond a message. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ct_random.h"
#include "unit.h"

static struct rig rig;
static struct msg m;

static void
setup(void)
{
	rig_init(&rig, NULL, NULL);
}

/* From memory of just that size, so that ASan sees one byte too far. */
static int
decode(const void *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int n;

	memcpy(copy, p, len);
	n = rig_decode(&rig, copy, len, 1, -1);
	free(copy);
	return n;
}

/* Where an attribute stands: the nests it is in, outermost first; 0: none. */
static const struct place {
	unsigned nest[2], type;
	uint8_t len[4]; /* those that are right; 0 ends */
} places[] = {
	{ { 0, 0 }, CTA_STATUS, { 4 } },
	{ { 0, 0 }, CTA_TIMEOUT, { 4 } },
	{ { 0, 0 }, CTA_MARK, { 4 } },
	{ { 0, 0 }, CTA_USE, { 4 } },
	{ { 0, 0 }, CTA_ID, { 4 } },
	{ { 0, 0 }, CTA_ZONE, { 2 } },
	{ { 0, 0 }, MSG_EVENT_TIME, { 8 } },
	{ { 0, 0 }, CTA_LABELS, { 4, 8, 12, 16 } },
	{ { CTA_TUPLE_ORIG, 0 }, CTA_TUPLE_ZONE, { 2 } },
	{ { CTA_TUPLE_ORIG, CTA_TUPLE_IP }, CTA_IP_V4_SRC, { 4 } },
	{ { CTA_TUPLE_REPLY, CTA_TUPLE_IP }, CTA_IP_V4_DST, { 4 } },
	{ { CTA_TUPLE_ORIG, CTA_TUPLE_PROTO }, CTA_PROTO_NUM, { 1 } },
	{ { CTA_TUPLE_ORIG, CTA_TUPLE_PROTO }, CTA_PROTO_SRC_PORT, { 2 } },
	{ { CTA_TUPLE_ORIG, CTA_TUPLE_PROTO }, CTA_PROTO_DST_PORT, { 2 } },
	{ { CTA_TUPLE_ORIG, CTA_TUPLE_PROTO }, CTA_PROTO_ICMP_ID, { 2 } },
	{ { CTA_TUPLE_ORIG, CTA_TUPLE_PROTO }, CTA_PROTO_ICMPV6_CODE, { 1 } },
	{ { CTA_COUNTERS_ORIG, 0 }, CTA_COUNTERS_PACKETS, { 8 } },
	{ { CTA_COUNTERS_REPLY, 0 }, CTA_COUNTERS_BYTES, { 8 } },
	{ { CTA_COUNTERS_REPLY, 0 }, CTA_COUNTERS32_BYTES, { 4 } },
	{ { CTA_TIMESTAMP, 0 }, CTA_TIMESTAMP_START, { 8 } },
	{ { CTA_TIMESTAMP, 0 }, CTA_TIMESTAMP_STOP, { 8 } },
	{ { CTA_PROTOINFO, CTA_PROTOINFO_TCP }, CTA_PROTOINFO_TCP_STATE, { 1 } },
	{ { CTA_PROTOINFO, CTA_PROTOINFO_TCP }, CTA_PROTOINFO_TCP_FLAGS_REPLY, { 2 } },
	{ { CTA_PROTOINFO, CTA_PROTOINFO_SCTP }, CTA_PROTOINFO_SCTP_VTAG_REPLY, { 4 } },
	{ { CTA_PROTOINFO, CTA_PROTOINFO_DCCP }, CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, { 8 } },
};

static void
build(const struct place *p, size_t len)
{
	static const uint8_t zeros[32];
	size_t at[2] = { 0, 0 };

	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	for (unsigned i = 0; i < 2 && p->nest[i]; i++)
		at[i] = msg_nest(&m, p->nest[i]);
	msg_put(&m, p->type, zeros, len);
	for (unsigned i = 2; i-- > 0;)
		if (p->nest[i])
			msg_end(&m, at[i]);
}

START_TEST(wrong_lengths)
{
	const struct place *p = &places[_i];

	for (size_t len = 0; len <= 20; len++) {
		bool right = len && memchr(p->len, (int)len, 4);

		build(p, len);
		ck_assert_msg(decode(m.p, m.len) == (right ? 1 : -EBADMSG),
			      "attribute %u of %zu bytes", p->type, len);
	}
}
END_TEST

START_TEST(addresses_of_the_other_family)
{
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "::1", "::2", IPPROTO_ICMP, 1, 2);
	ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET6);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_TCP, 1, 2);
	ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_UNIX);
	ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
}
END_TEST

START_TEST(headers)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)m.p;

	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	for (size_t len = 0; len < m.len; len++)
		ck_assert_int_eq(decode(m.p, len), -EBADMSG); /* says more than there is */
	nlh->nlmsg_len = 15;
	ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
	nlh->nlmsg_len = 19;
	ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_u32(&m, CTA_ID, 1);
	for (size_t cut = 1; cut < 8; cut++) {
		nlh->nlmsg_len = (uint32_t)(m.len - cut);
		ck_assert_int_eq(decode(m.p, m.len - cut), -EBADMSG);
	}
}
END_TEST

/* An attribute that says it is shorter than its header, or longer than its nest. */
START_TEST(lengths_inside)
{
	static const uint16_t lens[] = { 0, 1, 3, 9, 0x7fff, 0xffff };
	size_t nest;

	for (unsigned i = 0; i < COUNT(lens); i++) {
		msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
		nest = msg_nest(&m, CTA_TIMESTAMP);
		msg_u32(&m, 7, 0);
		msg_end(&m, nest);
		memcpy(m.p + nest + NLA_HDRLEN, &lens[i], 2);
		msg_u32(&m, CTA_ID, 1);
		ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
	}
}
END_TEST

/* What nobody wants is not looked into. */
static bool
only_id(unsigned i, void *arg)
{
	return strcmp(ct_ports[i].name, "ct.id") == 0;
}

START_TEST(unwanted_is_skipped)
{
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_put(&m, CTA_COUNTERS_ORIG | NLA_F_NESTED, "\1\1\1", 3);
	msg_u32(&m, CTA_ID, 1);
	ck_assert_int_eq(decode(m.p, m.len), -EBADMSG);
	rig_init(&rig, only_id, NULL);
	ck_assert_int_eq(decode(m.p, m.len), 1);
	ck_assert_uint_eq(rig_num(&rig, "ct.id"), 1);
}
END_TEST

/* Cut and damaged messages: any verdict, no crash (and ASan watches). */
START_TEST(damage)
{
	const char *s = getenv("CT_SEED");
	struct rnd r = { s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) };

	printf("CT_SEED=%llu\n", (unsigned long long)r.state);
	for (unsigned i = 0; i < 300; i++) {
		rnd_message(&r, &m);
		for (uint32_t len = 0; len < m.len; len++) {
			memcpy(m.p, &len, sizeof(len));
			decode(m.p, len);
		}
		msg_size(&m, m.len);
		for (unsigned k = 0; k < 200; k++) {
			uint8_t *byte =
				m.p + NLMSG_HDRLEN + rnd_below(&r, (unsigned)m.len - 16);

			*byte = (uint8_t)rnd_next(&r);
			decode(m.p, m.len);
		}
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, wrong_lengths, 0, COUNT(places));
	tcase_add_test(t, addresses_of_the_other_family);
	tcase_add_test(t, headers);
	tcase_add_test(t, lengths_inside);
	tcase_add_test(t, unwanted_is_skipped);
	tcase_add_test(t, damage);
}

int
main(void)
{
	return unit_main("ct_bad", add_tests);
}
