/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the NFCT input leaves of the ends it has heard, when that is very much. */
#include "nfct_plug.h"
#include "unit.h"

#define MORE 1000u

/* Evenly distributed; ends at time i. */
static uint64_t
key(uint32_t i)
{
	return (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct nfct_repeat *
begin(struct nfct_plug *p, uint32_t most)
{
	struct nfct_repeat *r;

	nfct_plug_new(p, "");
	ck_assert_ptr_nonnull(p->nfct);
	r = &p->nfct->repeat;
	r->most = most;
	ck_assert_int_eq(keyring_init(&r->latest, 16), 0);
	return r;
}

START_TEST(the_newest_are_left)
{
	static struct nfct_plug a, b;
	struct nfct_repeat *from = begin(&a, NFCT_LEFT_KEYS + MORE),
			   *to = begin(&b, NFCT_LEFT_KEYS + MORE);
	uint32_t last = NFCT_LEFT_KEYS + MORE - 1;
	size_t len;
	void *p;

	ck_assert_int_eq(keyset_init(&from->recent, from->most), 0);
	for (uint32_t i = 0; i <= last; i++)
		(void)keyset_add(&from->recent, key(i), i + 1);
	ck_assert_uint_eq(from->recent.n, from->most);
	from->on = true;
	len = nfct_repeat_save(a.nfct, NULL, 0);
	ck_assert_uint_ge(len, NFCT_LEFT_KEYS * sizeof(uint64_t));
	ck_assert_uint_lt(len, (NFCT_LEFT_KEYS + MORE) * sizeof(uint64_t));
	ck_assert_ptr_nonnull(p = malloc(len));
	ck_assert_uint_eq(nfct_repeat_save(a.nfct, p, len), len);
	nfct_repeat_stop(a.nfct);

	ck_assert_int_eq(nfct_repeat_load(b.nfct, p, len), 0);
	free(p);
	ck_assert_uint_eq(to->recent.n, NFCT_LEFT_KEYS);
	ck_assert_uint_eq(to->recent.forgotten, last + 1);
	ck_assert_uint_eq(keyset_nth(&to->recent, 0), key(MORE));
	ck_assert_uint_eq(keyset_nth(&to->recent, NFCT_LEFT_KEYS - 1), key(last));
	nfct_repeat_stop(b.nfct);
	nfct_plug_free(&a);
	nfct_plug_free(&b);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_newest_are_left);
}

int
main(void)
{
	return unit_main("nfct_repeat", add_tests);
}
