/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dictionary is sound, and its IPFIX elements have the right types. */
#include <check.h>

#include "field.h"
#include "unit.h"

START_TEST(names_are_unique_and_documented)
{
	const struct ctf_field *f, *g;

	for (unsigned i = 0; (f = field_nth(i)); i++) {
		ck_assert_ptr_eq(field_find(f->name), f);
		ck_assert_int_ne(f->doc[0], '\0');
		ck_assert_str_ne(field_type_name(f->type), "?");
		ck_assert(f->ie6 == 0 || f->type == CTF_IP);
		for (unsigned k = i + 1; (g = field_nth(k)); k++)
			ck_assert_str_ne(f->name, g->name);
	}
	ck_assert_ptr_null(field_find("no.such.field"));
}
END_TEST

/* IANA's numbers, from the registry. */
START_TEST(elements)
{
	static const struct {
		const char *name;
		uint16_t ie4, ie6;
		uint32_t pen;
	} want[] = {
		{ "orig.ip.saddr", 8, 27, 0 },     { "orig.ip.daddr", 12, 28, 0 },
		{ "reply.ip.daddr", 225, 281, 0 }, { "reply.ip.saddr", 226, 282, 0 },
		{ "reply.l4.dport", 227, 0, 0 },   { "reply.l4.sport", 228, 0, 0 },
		{ "orig.raw.pktlen", 1, 0, 0 },    { "reply.raw.pktlen", 1, 0, 29305 },
		{ "ct.mark", 4, 0, 21373 },        { "flow.end.reason", 136, 0, 0 },
	};

	for (size_t i = 0; i < COUNT(want); i++) {
		const struct ctf_field *f = field_find(want[i].name);

		ck_assert_ptr_nonnull(f);
		ck_assert_uint_eq(f->ie4, want[i].ie4);
		ck_assert_uint_eq(f->ie6, want[i].ie6);
		ck_assert_uint_eq(f->pen, want[i].pen);
	}
}
END_TEST

/* ulogd2's keys come first, in its order: wildcard outputs depend on it. */
START_TEST(ulogd2_order)
{
	static const char *const keys[] = {
		"orig.ip.saddr",    "orig.ip.daddr",      "orig.ip.protocol",  "orig.l4.sport",
		"orig.l4.dport",    "orig.raw.pktlen",    "orig.raw.pktcount", "reply.ip.saddr",
		"reply.ip.daddr",   "reply.ip.protocol",  "reply.l4.sport",    "reply.l4.dport",
		"reply.raw.pktlen", "reply.raw.pktcount", "icmp.code",         "icmp.type",
		"icmpv6.code",      "icmpv6.type",        "ct.mark",           "ct.id",
		"ct.event",         "flow.start.sec",     "flow.start.usec",   "flow.end.sec",
		"flow.end.usec",    "oob.family",         "oob.protocol",
	};

	for (unsigned i = 0; i < COUNT(keys); i++) {
		ck_assert_str_eq(field_nth(i)->name, keys[i]);
		ck_assert(field_nth(i)->flags & CTF_F_ULOGD);
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, names_are_unique_and_documented);
	tcase_add_test(t, elements);
	tcase_add_test(t, ulogd2_order);
}

int
main(void)
{
	return unit_main("field", add_tests);
}
