/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_shape.c: what was learnt from one message holds for others, or is not used. */
#include <check.h>
#include <stdlib.h>

#include "ct_random.h"
#include "ct_shape.h"
#include "unit.h"

#define RX UINT64_C(1700000009500000000)
#define START UINT64_C(1700000000123456789)
#define STOP UINT64_C(1700000008987654321)
#define ROUNDS 1000u
#define FLIPS 24u

static struct rig plain, shaped;
static struct ct_ident ident[2]; /* plain, shaped */
static struct msg m;

static bool
chosen(unsigned i, void *arg)
{
	return *(const uint64_t *)arg >> i % 64 & 1;
}

static void
begin(uint64_t wanted)
{
	for (unsigned i = 0; i < 2 * (CT_IDENT_WORDS + 1); i++)
		ident[0].seed[i % 2][i / 2] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	ident[1] = ident[0];
	rig_init(&plain, chosen, &wanted);
	rig_init(&shaped, chosen, &wanted);
	ct_shapes_free(shaped.in.shapes);
	shaped.in.shapes = ct_shapes_new();
	ck_assert_ptr_nonnull(shaped.in.shapes);
	plain.in.ident = &ident[0];
	shaped.in.ident = &ident[1];
	ct_prepare(&plain.in);
	ct_prepare(&shaped.in);
}

static void
end(void)
{
	ct_shapes_free(shaped.in.shapes);
	shaped.in.shapes = NULL;
}

/* From memory of just that size, so that ASan sees one byte too far. */
static int
both(const uint8_t *p, size_t len, int nsid)
{
	uint8_t *copy = malloc(len);
	int n;

	memcpy(copy, p, len);
	n = rig_decode(&plain, copy, len, RX, nsid);
	ck_assert_int_eq(rig_decode(&shaped, copy, len, RX, nsid), n);
	for (unsigned i = 0; n == 1 && i < rig_ports(); i++)
		if (!rig_same(&plain, &shaped, (ctf_ref)i))
			ck_abort_msg("%s", ct_ports[i].name);
	if (n == 1 && plain.rec.event == CTF_DESTROY) {
		ck_assert_uint_eq(ident[0].key, ident[1].key);
		ck_assert_uint_eq(ident[0].stop, ident[1].stop);
		ck_assert_uint_eq(ident[0].sent, ident[1].sent);
	}
	if (n == 1) {
		ck_assert_int_eq(plain.rec.event, shaped.rec.event);
		ck_assert_int_eq(plain.rec.family, shaped.rec.family);
		ck_assert_uint_eq(plain.rec.rx_ns, shaped.rec.rx_ns);
	}
	free(copy);
	return n;
}

static bool
known(void)
{
	return ct_shape_find(shaped.in.shapes, m.p, m.len) != NULL;
}

/* Random messages; each also with single bits changed, structure and values alike. */
START_TEST(agrees)
{
	struct rnd r = { 4711 };
	unsigned learnt = 0, hit = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		int nsid = rnd_one_in(&r, 4) ? (int)rnd_below(&r, 9) : -1;

		begin(rnd_one_in(&r, 2) ? UINT64_MAX : rnd_next(&r));
		rnd_message(&r, &m);
		ck_assert_int_eq(both(m.p, m.len, nsid), 1);
		learnt += known();
		both(m.p, m.len, nsid);
		for (unsigned k = 0; k < FLIPS; k++) {
			unsigned at = rnd_below(&r, (unsigned)m.len);
			uint8_t was = m.p[at];

			m.p[at] ^= (uint8_t)(1u << rnd_below(&r, 8));
			hit += known();
			both(m.p, m.len, rnd_one_in(&r, 2) ? nsid : -1);
			m.p[at] = was;
		}
		end();
	}
	ck_assert_uint_gt(learnt, ROUNDS / 4);
	ck_assert_uint_gt(hit, ROUNDS);
}
END_TEST

static void
usual(uint8_t proto, uint16_t port, bool mark, bool helper)
{
	size_t nest;

	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "10.0.0.1", "10.0.0.2", proto, port, 53);
	msg_tuple(&m, CTA_TUPLE_REPLY, "10.0.0.2", "192.0.2.1", proto, 53, port);
	msg_u32(&m, mark ? CTA_MARK : CTA_ID, port);
	if (helper) {
		nest = msg_nest(&m, CTA_HELP);
		msg_put(&m, CTA_HELP_NAME, "ftp", 4);
		msg_end(&m, nest);
	}
	msg_times(&m, START, STOP);
}

START_TEST(other_values)
{
	begin(UINT64_MAX);
	usual(IPPROTO_UDP, 4000, false, false);
	ck_assert(!known());
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert(known());
	usual(IPPROTO_UDP, 5000, false, false);
	ck_assert(known());
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert_uint_eq(rig_num(&shaped, "orig.l4.sport"), 5000);
	ck_assert_uint_eq(rig_num(&shaped, "ct.id"), 5000);
	ck_assert_uint_eq(rig_num(&shaped, "flow.start.ns"), START);
	end();
}
END_TEST

/* By the protocol it is seen which fields there are. */
START_TEST(protocol_is_structure)
{
	begin(UINT64_MAX);
	usual(IPPROTO_UDP, 4000, false, false);
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert(rig_has(&shaped, "orig.l4.sport"));
	usual(IPPROTO_GRE, 4000, false, false);
	ck_assert(!known());
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert(!rig_has(&shaped, "orig.l4.sport"));
	ck_assert_uint_eq(rig_num(&shaped, "orig.gre.skey"), 4000);
	end();
}
END_TEST

/* The sender's port id and the namespace are in no attribute. */
START_TEST(header_values)
{
	begin(UINT64_MAX);
	usual(IPPROTO_TCP, 4000, false, false);
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert(!rig_has(&shaped, "ct.portid"));
	((struct nlmsghdr *)(void *)m.p)->nlmsg_pid = 77;
	ck_assert(known());
	ck_assert_int_eq(both(m.p, m.len, 3), 1);
	ck_assert_uint_eq(rig_num(&shaped, "ct.portid"), 77);
	ck_assert_uint_eq(rig_num(&shaped, "ct.nsid"), 3);
	ck_assert_uint_eq(rig_num(&shaped, "ct.event"), CTF_DESTROY);
	((struct nlmsghdr *)(void *)m.p)->nlmsg_pid = 0;
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert(!rig_has(&shaped, "ct.portid"));
	ck_assert(!rig_has(&shaped, "ct.nsid"));
	end();
}
END_TEST

/* Text is borrowed from the message, however long it is there. */
START_TEST(text_is_walked)
{
	begin(UINT64_MAX);
	usual(IPPROTO_TCP, 4000, false, true);
	ck_assert_int_eq(both(m.p, m.len, -1), 1);
	ck_assert(!known());
	ck_assert_uint_eq(rig_val(&shaped, "ct.helper")->s.len, 3);
	end();
}
END_TEST

/* Of two shapes with one place the one that comes stays; it gives way in the end. */
START_TEST(gives_way)
{
	begin(UINT64_MAX);
	usual(IPPROTO_TCP, 4000, false, false);
	both(m.p, m.len, -1);
	for (unsigned i = 0; i < 40; i++) {
		usual(IPPROTO_TCP, 4000, i % 8 != 0, false);
		both(m.p, m.len, -1);
	}
	usual(IPPROTO_TCP, 4000, false, false);
	ck_assert(known());
	usual(IPPROTO_TCP, 4000, true, false);
	for (unsigned i = 0; i < 40; i++)
		both(m.p, m.len, -1);
	ck_assert(known());
	end();
}
END_TEST

/* What another plan has no use for is not fetched by the shapes of the old one. */
START_TEST(new_plan)
{
	begin(UINT64_MAX);
	usual(IPPROTO_TCP, 4000, false, false);
	both(m.p, m.len, -1);
	ck_assert(known());
	shaped.in.f.id = CTF_NONE;
	ct_prepare(&shaped.in);
	ck_assert(!known());
	ck_assert_int_eq(rig_decode(&shaped, m.p, m.len, RX, -1), 1);
	ck_assert_int_eq(rig_decode(&shaped, m.p, m.len, RX, -1), 1);
	ck_assert(!rig_has(&shaped, "ct.id"));
	end();
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, agrees);
	tcase_add_test(tc, other_values);
	tcase_add_test(tc, protocol_is_structure);
	tcase_add_test(tc, header_values);
	tcase_add_test(tc, text_is_walked);
	tcase_add_test(tc, gives_way);
	tcase_add_test(tc, new_plan);
}

int
main(void)
{
	return unit_main("ct_shape", add_tests);
}
