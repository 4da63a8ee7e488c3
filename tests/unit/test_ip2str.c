/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP2STR: addresses become text; absent ones stay absent. */
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ip2str;

static const struct {
	const char *ip, *str;
} names[] = {
	{ "orig.ip.saddr", "orig.ip.saddr.str" },
	{ "orig.ip.daddr", "orig.ip.daddr.str" },
	{ "reply.ip.saddr", "reply.ip.saddr.str" },
	{ "reply.ip.daddr", "reply.ip.daddr.str" },
};

#define ADDRS 4

static void
check(struct plug *p, int family, const char *const addr[ADDRS])
{
	plug_rec(p, family, CTF_DESTROY, 1);
	for (unsigned i = 0; i < ADDRS; i++)
		if (addr[i])
			plug_ip(p, names[i].ip, addr[i]);
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	for (unsigned i = 0; i < ADDRS; i++) {
		ck_assert_int_eq(plug_has(p, names[i].str), addr[i] != NULL);
		if (addr[i])
			ck_assert_str_eq(plug_get_text(p, names[i].str), addr[i]);
	}
}

START_TEST(v4)
{
	struct plug *p = plug_new(&ctf_plugin_ip2str, "");

	check(p, AF_INET,
	      (const char *const[]){ "10.77.0.1", "255.255.255.255", "0.0.0.0",
				     "203.0.113.99" });
	check(p, AF_INET, (const char *const[]){ "1.2.3.4", NULL, NULL, "100.10.1.0" });
	check(p, AF_INET, (const char *const[]){ NULL, NULL, NULL, NULL });
	plug_free(p);
}
END_TEST

START_TEST(v6)
{
	struct plug *p = plug_new(&ctf_plugin_ip2str, "");

	check(p, AF_INET6, (const char *const[]){ "fd77::1", "::", "::1", "::ffff:10.0.0.1" });
	check(p, AF_INET6,
	      (const char *const[]){ "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
				     "2001:db8::1:0:0:1", NULL, "fe80::" });
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, v4);
	tcase_add_test(t, v6);
}

int
main(void)
{
	return unit_main("ip2str", add_tests);
}
