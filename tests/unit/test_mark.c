/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MARK: (ct.mark & mask) == mark; an absent mark is 0. */
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_mark;

static enum ctf_verdict
verdict(struct plug *p, int64_t mark)
{
	plug_rec(p, AF_INET, CTF_DESTROY, 1);
	if (mark >= 0)
		plug_num(p, "ct.mark", (uint64_t)mark);
	return plug_apply(p);
}

START_TEST(defaults)
{
	struct plug *p = plug_new(&ctf_plugin_mark, "");

	ck_assert_int_eq(verdict(p, -1), CTF_PASS);
	ck_assert_int_eq(verdict(p, 0), CTF_PASS);
	ck_assert_int_eq(verdict(p, 1), CTF_DROP);
	ck_assert_int_eq(verdict(p, UINT32_MAX), CTF_DROP);
	plug_free(p);
}
END_TEST

START_TEST(masked)
{
	struct plug *p = plug_new(&ctf_plugin_mark, "mark=0x10\nmask=0xf0\n");

	ck_assert_int_eq(verdict(p, 0x10), CTF_PASS);
	ck_assert_int_eq(verdict(p, 0xa1f), CTF_PASS);
	ck_assert_int_eq(verdict(p, 0x30), CTF_DROP);
	ck_assert_int_eq(verdict(p, 0), CTF_DROP);
	ck_assert_int_eq(verdict(p, -1), CTF_DROP);
	plug_free(p);
	p = plug_new(&ctf_plugin_mark, "mark=4294967295\n");
	ck_assert_int_eq(verdict(p, UINT32_MAX), CTF_PASS);
	ck_assert_int_eq(verdict(p, UINT32_MAX - 1), CTF_DROP);
	plug_free(p);
	p = plug_new(&ctf_plugin_mark, "mask=0\n");
	ck_assert_int_eq(verdict(p, 77), CTF_PASS);
	plug_free(p);
	/* mark outside mask: accepted with a warning, nothing passes */
	p = plug_new(&ctf_plugin_mark, "mark=3\nmask=1\n");
	ck_assert_int_eq(verdict(p, 3), CTF_DROP);
	plug_free(p);
}
END_TEST

START_TEST(bad_values)
{
	struct ctf_err err = { .msg = "" };

	ck_assert_int_lt(plug_try(&ctf_plugin_mark, "mark=4294967296\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "mark"));
	ck_assert_int_lt(plug_try(&ctf_plugin_mark, "mask=x\n", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "mask"));
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, defaults);
	tcase_add_test(t, masked);
	tcase_add_test(t, bad_values);
}

int
main(void)
{
	return unit_main("mark", add_tests);
}
