/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NAMES: who had an address at which time. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../filter/names.h"
#include "unit.h"

#define S UINT64_C(1000000000)
#define DAY (86400 * S)

static struct names_set *
set_of(enum names_kind kind, const char *text)
{
	struct names_set *s = calloc(1, sizeof(*s));
	struct names_parser p;

	names_set_init(s, 100000);
	names_parse_begin(&p, kind, s);
	ck_assert_int_eq(names_parse(&p, text, strlen(text)), 0);
	ck_assert_int_eq(names_parse_end(&p), 0);
	ck_assert_uint_eq(p.bad, 0);
	return s;
}

static void
drop(struct names_set *s)
{
	names_set_free(s);
	free(s);
}

/* The table after these texts of one file, each read at its time; NULL ends. */
struct step {
	const char *text;
	uint64_t at;
};

static struct names_set *
table_after(const struct step *steps, uint64_t remember)
{
	struct names_set *last = NULL;

	for (; steps->text; steps++) {
		struct names_set *in = set_of(NAMES_FILE, steps->text);
		struct names_set *t = calloc(1, sizeof(*t));
		struct names_times times = { steps->at, steps->at, remember };

		names_set_init(t, 1000);
		ck_assert_int_eq(
			names_merge(t, (const struct names_set *const *)&in, 1, last, &times),
			0);
		drop(in);
		if (last)
			drop(last);
		last = t;
	}
	return last;
}

/* "NAME SINCE", "- SINCE", or "?" where nothing was ever said. */
static const char *
who(const struct names_set *t, const char *addr, uint64_t at)
{
	static __thread char text[300];
	struct names_answer a;
	uint8_t ip[16];
	int family = strchr(addr, ':') ? AF_INET6 : AF_INET;

	ck_assert_int_eq(inet_pton(family, addr, ip), 1);
	names_lookup(t, ip, family, at, &a);
	if (!a.known)
		return "?";
	snprintf(text, sizeof(text), "%.*s %llu", a.name.len ? (int)a.name.len : 1,
		 a.name.len ? a.name.p : "-", (unsigned long long)(a.since_ns / S));
	return text;
}

START_TEST(prefixes)
{
	const struct step s[] = { { "10.0.0.0/8 ten\n10.1.0.0/16 ten-one\n10.1.2.3 host\n"
				    "fd00::/16 fd\nfd00:1::/32 fd-one\n"
				    "192.0.2.128/25 half\n::/0 v6\n",
				    5 * S },
				  { NULL } };
	struct names_set *t = table_after(s, DAY);

	ck_assert_str_eq(who(t, "10.1.2.3", 9 * S), "host 5");
	ck_assert_str_eq(who(t, "10.1.2.4", 9 * S), "ten-one 5");
	ck_assert_str_eq(who(t, "10.2.2.4", 9 * S), "ten 5");
	ck_assert_str_eq(who(t, "192.0.2.129", 9 * S), "half 5");
	/* ::/0 is not about IPv4. */
	ck_assert_str_eq(who(t, "192.0.2.1", 9 * S), "?");
	ck_assert_str_eq(who(t, "fd00:1::9", 9 * S), "fd-one 5");
	ck_assert_str_eq(who(t, "fd00:2::9", 9 * S), "fd 5");
	ck_assert_str_eq(who(t, "2001:db8::9", 9 * S), "v6 5");
	drop(t);
}
END_TEST

START_TEST(change)
{
	const struct step s[] = { { "10.0.0.1 phone\n10.0.0.2 same\n", 100 * S },
				  { "10.0.0.1 tv\n10.0.0.2 same\n10.0.0.3 new\n", 200 * S },
				  { "10.0.0.2 same\n10.0.0.3 new\n", 300 * S },
				  { "10.0.0.1 tv\n10.0.0.2 same\n", 400 * S },
				  { NULL } };
	struct names_set *t = table_after(s, DAY);

	/* A flow that ended before the daemon began belongs to the first known. */
	ck_assert_str_eq(who(t, "10.0.0.1", 50 * S), "phone 100");
	ck_assert_str_eq(who(t, "10.0.0.1", 199 * S), "phone 100");
	ck_assert_str_eq(who(t, "10.0.0.1", 200 * S), "tv 200");
	ck_assert_str_eq(who(t, "10.0.0.1", 299 * S), "tv 200");
	ck_assert_str_eq(who(t, "10.0.0.1", 300 * S), "- 300");
	ck_assert_str_eq(who(t, "10.0.0.1", 400 * S), "tv 400");
	ck_assert_str_eq(who(t, "10.0.0.2", 50 * S), "same 100");
	ck_assert_str_eq(who(t, "10.0.0.2", 900 * S), "same 100");
	ck_assert_str_eq(who(t, "10.0.0.3", 250 * S), "new 200");
	/* Nobody had it before, as far as we know. */
	ck_assert_str_eq(who(t, "10.0.0.3", 50 * S), "new 200");
	ck_assert_str_eq(who(t, "10.0.0.3", 400 * S), "- 400");
	ck_assert_str_eq(who(t, "10.0.0.9", 400 * S), "?");
	drop(t);
}
END_TEST

START_TEST(forget)
{
	const struct step s[] = { { "10.0.0.1 phone\n10.0.0.2 gone\n", 100 * S },
				  { "10.0.0.1 tv\n", 200 * S },
				  { "10.0.0.1 tv\n10.0.0.5 x\n", 299 * S },
				  { NULL } };
	const struct step later[] = {
		s[0], s[1], s[2], { "10.0.0.1 tv\n", 300 * S }, { NULL }
	};
	const struct step chain[] = { { "10.0.0.1 a\n", 100 * S },
				      { "10.0.0.1 b\n", 200 * S },
				      { "10.0.0.1 c\n", 290 * S },
				      { "10.0.0.1 c\n10.0.0.5 x\n", 350 * S },
				      { NULL } };
	struct names_set *t = table_after(s, 100 * S);

	ck_assert_str_eq(who(t, "10.0.0.1", 150 * S), "phone 100");
	ck_assert_str_eq(who(t, "10.0.0.2", 150 * S), "gone 100");
	drop(t);
	t = table_after(later, 100 * S);
	ck_assert_str_eq(who(t, "10.0.0.1", 150 * S), "tv 200");
	ck_assert_str_eq(who(t, "10.0.0.2", 150 * S), "?");
	drop(t);
	t = table_after(chain, 100 * S);
	ck_assert_str_eq(who(t, "10.0.0.1", 320 * S), "c 290");
	ck_assert_str_eq(who(t, "10.0.0.1", 250 * S), "b 200");
	ck_assert_str_eq(who(t, "10.0.0.1", 150 * S), "b 200"); /* a is forgotten */
	drop(t);
}
END_TEST

/* What changes all the time does not take more and more memory. */
START_TEST(flapping)
{
	struct names_set *last = NULL;

	for (unsigned i = 1; i < 3000; i++) {
		char text[100];
		struct names_set *t = calloc(1, sizeof(*t)), *in;
		struct names_times times = { i * S, i * S, 365 * DAY };

		snprintf(text, sizeof(text), "10.0.0.1 name%u\n10.1.%u.%u once\n", i, i / 256,
			 i % 256);
		in = set_of(NAMES_FILE, text);
		names_set_init(t, 100);
		ck_assert_int_eq(
			names_merge(t, (const struct names_set *const *)&in, 1, last, &times),
			0);
		ck_assert_uint_lt(t->n, 300);
		ck_assert_uint_eq(t->refused, 0);
		ck_assert_uint_eq(t->named, 2);
		drop(in);
		if (last)
			drop(last);
		last = t;
	}
	ck_assert_str_eq(who(last, "10.0.0.1", 2999 * S), "name2999 2999");
	ck_assert_str_eq(who(last, "10.0.0.1", 2998 * S), "name2998 2998");
	drop(last);
}
END_TEST

START_TEST(leases_end)
{
	struct names_set *file = set_of(NAMES_FILE, "10.0.0.0/24 lan\n10.0.0.9 fixed\n");
	struct names_set *a = set_of(NAMES_DNSMASQ, "1000000100 m 10.0.0.1 phone *\n"
						    "1000000100 m 10.0.0.9 other *\n"
						    "1000000100 m 10.1.0.1 old *\n"
						    "0 m 10.1.0.2 for-ever *\n");
	struct names_set *b = set_of(NAMES_DNSMASQ, "1000000900 m 10.1.0.1 new *\n");
	const struct names_set *sets[] = { file, a, b };
	struct names_times times = { 1000000200 * S, 1000000000 * S, DAY };
	struct names_set t;

	names_set_init(&t, 100);
	ck_assert_int_eq(names_merge(&t, sets, 3, NULL, &times), 0);
	ck_assert_str_eq(who(&t, "10.0.0.1", 1000000099 * S), "phone 1000000000");
	/* It ended; the prefix has a name still. */
	ck_assert_str_eq(who(&t, "10.0.0.1", 1000000100 * S), "lan 1000000100");
	ck_assert_str_eq(who(&t, "10.0.0.9", 1000000050 * S), "fixed 1000000000");
	/* A lease that is over hides no other. */
	ck_assert_str_eq(who(&t, "10.1.0.1", 1000000250 * S), "new 1000000000");
	ck_assert_str_eq(who(&t, "10.1.0.1", 1000000900 * S), "- 1000000900");
	ck_assert_str_eq(who(&t, "10.1.0.2", 2000000000 * S), "for-ever 1000000000");
	names_set_free(&t);
	drop(file);
	drop(a);
	drop(b);
}
END_TEST

START_TEST(most)
{
	struct names_set *a = set_of(NAMES_FILE, "10.0.0.1 a\n10.0.0.2 b\n");
	struct names_set *b = set_of(NAMES_FILE, "10.0.0.2 x\n10.0.0.3 c\n10.0.0.4 d\n");
	const struct names_set *sets[] = { a, b };
	struct names_times times = { 9 * S, 9 * S, DAY };
	struct names_set t;

	names_set_init(&t, 3);
	ck_assert_int_eq(names_merge(&t, sets, 2, NULL, &times), 0);
	ck_assert_uint_eq(t.named, 3);
	ck_assert_uint_eq(t.refused, 1);
	ck_assert_str_eq(who(&t, "10.0.0.2", 9 * S), "b 9");
	ck_assert_str_eq(who(&t, "10.0.0.3", 9 * S), "c 9");
	ck_assert_str_eq(who(&t, "10.0.0.4", 9 * S), "?");
	names_set_free(&t);
	drop(a);
	drop(b);
}
END_TEST

/* Every one of many is found, and none besides. */
START_TEST(many)
{
	struct names_set in, t;
	const struct names_set *sets[] = { &in };
	struct names_times times = { 9 * S, 9 * S, DAY };
	struct names_parser p;

	names_set_init(&in, 100000);
	names_parse_begin(&p, NAMES_FILE, &in);
	for (unsigned i = 0; i < 100000; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "10.%u.%u.%u host%u\n", i >> 16,
				 i >> 8 & 255, i & 255, i);

		ck_assert_int_eq(names_parse(&p, line, (size_t)n), 0);
	}
	names_set_init(&t, 100000);
	ck_assert_int_eq(names_merge(&t, sets, 1, NULL, &times), 0);
	for (unsigned i = 0; i < 110000; i++) {
		char addr[32], want[64];

		snprintf(addr, sizeof(addr), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		snprintf(want, sizeof(want), "host%u 9", i);
		ck_assert_str_eq(who(&t, addr, 9 * S), i < 100000 ? want : "?");
	}
	names_set_free(&in);
	names_set_free(&t);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, prefixes);
	tcase_add_test(t, change);
	tcase_add_test(t, forget);
	tcase_add_test(t, flapping);
	tcase_add_test(t, leases_end);
	tcase_add_test(t, most);
	tcase_add_test(t, many);
}

int
main(void)
{
	return unit_main("names_table", add_tests);
}
