/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fmt.c against the C library. */
#include <arpa/inet.h>
#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include <ctflow/plugin.h>

#include "unit.h"

static uint64_t
rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void
check_num(uint64_t x)
{
	char want[32], got[CTF_FMT_NUM + 1];

	snprintf(want, sizeof(want), "%" PRIu64, x);
	*ctf_fmt_num(got, x) = '\0';
	ck_assert_str_eq(got, want);
}

START_TEST(numbers)
{
	uint64_t seed = 1;

	for (uint64_t p = 1; p < UINT64_MAX / 10; p *= 10) {
		check_num(p - 1);
		check_num(p);
		check_num(p + 1);
	}
	check_num(UINT64_MAX);
	check_num(UINT32_MAX);
	for (unsigned i = 0; i < 100000; i++)
		check_num(rnd(&seed) >> (i & 63));
}
END_TEST

static void
check_ip6(const uint8_t ip[16])
{
	char want[INET6_ADDRSTRLEN], got[CTF_FMT_IP + 1];

	inet_ntop(AF_INET6, ip, want, sizeof(want));
	*ctf_fmt_ip(got, ip, AF_INET6) = '\0';
	ck_assert_str_eq(got, want);
}

START_TEST(addresses_v6)
{
	uint64_t seed = 2;
	uint8_t ip[16];

	/* Every pattern of zero groups, with two kinds of other groups. */
	for (unsigned mask = 0; mask < 256; mask++)
		for (unsigned k = 0; k < 2; k++) {
			for (unsigned i = 0; i < 8; i++) {
				bool set = mask >> i & 1;

				ip[2 * i] = set && k ? 0xff : 0;
				ip[2 * i + 1] = set ? (k ? 0xff : (uint8_t)(i + 1)) : 0;
			}
			check_ip6(ip);
		}
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t a = rnd(&seed), b = rnd(&seed), zero = rnd(&seed);

		memcpy(ip, &a, 8);
		memcpy(ip + 8, &b, 8);
		for (unsigned k = 0; k < 16; k++)
			if (zero >> k & 1 || (zero >> (16 + k / 2) & 1))
				ip[k] = 0;
		check_ip6(ip);
	}
}
END_TEST

START_TEST(addresses_v4)
{
	char want[INET_ADDRSTRLEN], got[CTF_FMT_IP + 1];
	uint64_t seed = 3;

	for (unsigned i = 0; i < 100000; i++) {
		uint64_t x = rnd(&seed);
		uint8_t ip[16] = { 0 };

		memcpy(ip, &x, 4);
		if (i < 256)
			memset(ip, (int)i, 4);
		inet_ntop(AF_INET, ip, want, sizeof(want));
		*ctf_fmt_ip(got, ip, AF_INET) = '\0';
		ck_assert_str_eq(got, want);
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, numbers);
	tcase_add_test(t, addresses_v6);
	tcase_add_test(t, addresses_v4);
}

int
main(void)
{
	return unit_main("fmt", add_tests);
}
