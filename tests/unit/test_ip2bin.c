/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP2BIN and IP2HBIN: all four addresses, of both families; absent ones stay absent. */
#include <arpa/inet.h>

#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ip2bin, ctf_plugin_ip2hbin;

static const char *const in[] = { "orig.ip.saddr", "orig.ip.daddr", "reply.ip.saddr",
				  "reply.ip.daddr" };
static const char *const bin[] = { "orig.ip.saddr.bin", "orig.ip.daddr.bin",
				   "reply.ip.saddr.bin", "reply.ip.daddr.bin" };
static const char *const host[] = { "orig.ip.hsaddr", "orig.ip.hdaddr", "reply.ip.hsaddr",
				    "reply.ip.hdaddr" };

static const struct {
	int family;
	const char *addr[4]; /* NULL: absent */
	const char *mapped[4];
} cases[] = {
	{ AF_INET,
	  { "10.77.0.1", "255.255.255.255", "0.0.0.0", "203.0.113.99" },
	  { "::ffff:10.77.0.1", "::ffff:255.255.255.255", "::ffff:0.0.0.0",
	    "::ffff:203.0.113.99" } },
	{ AF_INET,
	  { "1.2.3.4", NULL, NULL, "5.6.7.8" },
	  { "::ffff:1.2.3.4", NULL, NULL, "::ffff:5.6.7.8" } },
	{ AF_INET6,
	  { "fd77::1", "::", NULL, "2001:db8:1:2:3:4:5:6" },
	  { "fd77::1", "::", NULL, "2001:db8:1:2:3:4:5:6" } },
	{ AF_INET, { NULL }, { NULL } },
};

static struct ctf_rec *
feed(struct plug *p, unsigned n)
{
	struct ctf_rec *r = plug_rec(p, cases[n].family, CTF_DESTROY, 1);

	for (unsigned i = 0; i < 4; i++)
		if (cases[n].addr[i])
			plug_ip(p, in[i], cases[n].addr[i]);
	ck_assert_int_eq(plug_apply(p), CTF_PASS);
	return r;
}

START_TEST(sixteen_bytes)
{
	struct plug *p = plug_new(&ctf_plugin_ip2bin, "");
	struct ctf_rec *r = feed(p, (unsigned)_i);

	for (unsigned i = 0; i < 4; i++) {
		const char *want = cases[_i].mapped[i];
		ctf_ref f = plug_slot(p, bin[i]);
		uint8_t bytes[16];

		ck_assert_int_eq(plug_has(p, bin[i]), want != NULL);
		if (!want)
			continue;
		ck_assert_int_eq(inet_pton(AF_INET6, want, bytes), 1);
		ck_assert_uint_eq(r->v[f].s.len, 16);
		ck_assert_mem_eq(r->v[f].s.p, bytes, 16);
	}
	plug_free(p);
}
END_TEST

START_TEST(host_order)
{
	struct plug *p = plug_new(&ctf_plugin_ip2hbin, "");
	struct ctf_rec *r = feed(p, (unsigned)_i);

	for (unsigned i = 0; i < 4; i++) {
		const char *want = cases[_i].addr[i];
		ctf_ref f = plug_slot(p, host[i]);
		char text[INET6_ADDRSTRLEN];

		ck_assert_int_eq(plug_has(p, host[i]), want != NULL);
		if (!want)
			continue;
		inet_ntop(cases[_i].family, r->v[f].ip, text, sizeof(text));
		ck_assert_str_eq(text, want);
	}
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, sixteen_bytes, 0, COUNT(cases));
	tcase_add_loop_test(t, host_order, 0, COUNT(cases));
}

int
main(void)
{
	return unit_main("ip2bin", add_tests);
}
