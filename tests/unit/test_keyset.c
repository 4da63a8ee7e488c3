/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keyset.c and keyring.c against the plainest thing that does the same. */
#include <check.h>
#include <stdlib.h>

#include "keyring.h"
#include "keyset.h"
#include "unit.h"

#define SEC UINT64_C(1000000000)

static uint64_t
rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The keys in their order, looked at one by one. */
struct plain {
	uint64_t key[256], ns[256], forgotten;
	unsigned n, cap;
};

static void
plain_forget(struct plain *p)
{
	if (p->ns[0] > p->forgotten)
		p->forgotten = p->ns[0];
	p->n--;
	memmove(p->key, p->key + 1, p->n * sizeof(*p->key));
	memmove(p->ns, p->ns + 1, p->n * sizeof(*p->ns));
}

static bool
plain_add(struct plain *p, uint64_t key, uint64_t ns)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->key[i] == key)
			return true;
	if (p->n == p->cap)
		plain_forget(p);
	p->key[p->n] = key;
	p->ns[p->n++] = ns;
	return false;
}

/* Times are kept by groups of keys: never too early, hardly too late. */
static bool
is_same(const struct keyset *k, const struct plain *p)
{
	if (k->n != p->n || k->marks > KEYSET_MARKS || k->forgotten < p->forgotten ||
	    (p->n > 8 && k->forgotten > p->ns[8]))
		return false;
	for (unsigned i = 0; i < p->n; i++)
		if (keyset_nth(k, i) != p->key[i])
			return false;
	return true;
}

/*
 * Few different keys, so that many come again, and their high bits differ
 * little, so that many want the same slot, also at the end of the table.
 */
START_TEST(as_the_plain_one)
{
	uint64_t state = 88172645463325252u + (uint64_t)_i, hits = 0;
	struct plain p = { .cap = 40 };
	struct keyset k;

	ck_assert_int_eq(keyset_init(&k, 40), 0);
	for (unsigned i = 1; i <= 20000; i++) {
		uint64_t x = rnd(&state) % 90,
			 key = (x < 45 ? UINT64_C(0xffffff) : x * 7) << 40 | (x + 1);
		bool was = keyset_add(&k, key, i);

		hits += was;
		if (was != plain_add(&p, key, i))
			ck_abort_msg("key %u is%s there", i, was ? "" : " not");
		if (i % 500 == 0) {
			p.cap = 1 + (unsigned)(rnd(&state) % 200);
			while (p.n > p.cap)
				plain_forget(&p);
			ck_assert_int_eq(keyset_resize(&k, p.cap), 0);
		}
		if (!is_same(&k, &p))
			ck_abort_msg("after key %u", i);
	}
	ck_assert_uint_gt(hits, 1000);
	keyset_free(&k);
}
END_TEST

/* As it is used: large, growing from small, a million keys and each once more. */
START_TEST(a_million)
{
	enum { N = 1 << 20 };
	uint64_t state = 42;
	unsigned known = 0;
	struct keyset k;

	ck_assert_int_eq(keyset_init(&k, 1 << 14), 0);
	for (uint32_t i = 0; i < N; i++) {
		if (k.n == k.cap)
			ck_assert_int_eq(keyset_resize(&k, k.cap * 2), 0);
		known += keyset_add(&k, rnd(&state), SEC + i);
	}
	ck_assert_uint_eq(known, 0);
	ck_assert_uint_eq(k.cap, N);
	ck_assert_uint_eq(k.forgotten, 0);
	ck_assert_uint_eq(keyset_newest(&k), SEC + N - 1);
	state = 42;
	for (uint32_t i = 0; i < N; i++)
		known += keyset_add(&k, rnd(&state), 2 * SEC);
	ck_assert_uint_eq(known, N);
	/* One more, and the first is forgotten, its time with it. */
	ck_assert(!keyset_add(&k, rnd(&state), 2 * SEC));
	ck_assert_uint_ge(k.forgotten, SEC);
	ck_assert_uint_lt(k.forgotten, SEC + N / 16);
	state = 42;
	ck_assert(!keyset_add(&k, rnd(&state), 2 * SEC));
	keyset_free(&k);
}
END_TEST

START_TEST(smallest)
{
	struct keyset k;

	ck_assert_int_eq(keyset_init(&k, 1), 0);
	ck_assert_uint_eq(keyset_newest(&k), 0);
	for (uint64_t i = 1; i < 1000; i++) {
		ck_assert(!keyset_add(&k, i << 40, i));
		ck_assert(keyset_add(&k, i << 40, i));
		ck_assert_uint_eq(k.forgotten, i - 1);
		ck_assert_uint_eq(keyset_newest(&k), i);
	}
	/* the clock is set back: what was forgotten may have been later than that */
	ck_assert(!keyset_add(&k, UINT64_C(77) << 40, 5));
	ck_assert_uint_eq(k.forgotten, 999);
	keyset_free(&k);
}
END_TEST

/* Lists the last ones exactly; notices a repeat if no other key took its place. */
START_TEST(ring)
{
	uint64_t state = 7, key[64], ns[64], forgotten = 0;
	struct keyring k;

	ck_assert_int_eq(keyring_init(&k, 16), 0);
	for (unsigned i = 0; i < 64; i++) {
		unsigned n = i + 1 < 16 ? i + 1 : 16;

		key[i] = rnd(&state);
		ns[i] = 1000 + i - 2 * (i % 4); /* not quite in order */
		ck_assert(!keyring_add(&k, key[i], ns[i]));
		ck_assert(keyring_add(&k, key[i], ns[i] + 100000));
		ck_assert_uint_eq(keyring_count(&k), n);
		for (unsigned j = 0; j < n; j++)
			ck_assert_uint_eq(keyring_nth(&k, j), key[i + 1 - n + j]);
		if (i >= 16 && ns[i - 16] > forgotten)
			forgotten = ns[i - 16];
		ck_assert_uint_ge(keyring_forgotten(&k), forgotten);
		ck_assert_uint_le(keyring_forgotten(&k), forgotten ? forgotten + 8 + 3 : 0);
	}
	keyring_clear(&k);
	ck_assert_uint_eq(keyring_count(&k), 0);
	ck_assert_uint_eq(keyring_forgotten(&k), 0);
	ck_assert(!keyring_add(&k, key[63], 1));
	keyring_free(&k);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, as_the_plain_one, 0, 5);
	tcase_add_test(t, a_million);
	tcase_add_test(t, smallest);
	tcase_add_test(t, ring);
}

int
main(void)
{
	return unit_main("keyset", add_tests);
}
