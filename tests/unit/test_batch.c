/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>

#include "batch.h"
#include "graph.h"
#include "unit.h"

START_TEST(records_begin_empty)
{
	struct ctf_batch b;
	struct ctf_rec *r;

	ck_assert_int_eq(batch_init(&b, 3), 0);
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < BATCH_RECS; i++) {
			r = ctf_batch_add(&b);
			ck_assert_ptr_nonnull(r);
			ck_assert(!ctf_has(r, 0) && !ctf_has(r, 2) && !ctf_has(r, CTF_NONE));
			ctf_put_num(r, 2, i);
			ctf_put_num(r, CTF_NONE, 99); /* nobody wants it: nothing happens */
			ck_assert_uint_eq(ctf_num(batch_rec(&b, i), 2), i);
			ck_assert_uint_eq(ctf_num_or(r, CTF_NONE, 5), 5);
			ck_assert_uint_eq(ctf_batch_left(&b), BATCH_RECS - 1 - i);
		}
		ck_assert_ptr_null(ctf_batch_add(&b));
		ctf_batch_drop(&b);
		ck_assert_ptr_nonnull(ctf_batch_add(&b));
		batch_reset(&b);
	}
	batch_free(&b);
}
END_TEST

START_TEST(room_is_bounded_and_kept)
{
	struct ctf_batch b;
	uint8_t *p, *q;
	unsigned n = 0;

	ck_assert_int_eq(batch_init(&b, 0), 0);
	p = ctf_batch_room(&b, 8192);
	q = ctf_batch_room(&b, 8192);
	ck_assert_ptr_eq(p, q); /* nothing was kept */
	ctf_batch_keep(&b, 13);
	q = ctf_batch_room(&b, 8192);
	ck_assert_ptr_eq(q, p + 16);
	while (ctf_batch_room(&b, 8192)) {
		ctf_batch_keep(&b, 8192);
		ck_assert_uint_lt(n++, 100);
	}
	ck_assert_uint_ge(n, 7);
	batch_reset(&b);
	ck_assert_ptr_eq(ctf_batch_room(&b, 8192), p);
	batch_free(&b);
}
END_TEST

START_TEST(filters_memory_grows_and_stays)
{
	struct ctf_batch b;
	char *first;
	size_t after_first;

	ck_assert_int_eq(batch_init(&b, 0), 0);
	for (int round = 0; round < 3; round++) {
		first = ctf_batch_mem(&b, 10);
		memset(first, 'a', 10);
		for (unsigned i = 0; i < 1000; i++) {
			char *p = ctf_batch_mem(&b, 300);

			ck_assert_ptr_nonnull(p);
			ck_assert_uint_eq((uintptr_t)p % 8, 0);
			memset(p, 'b', 300);
		}
		memset(ctf_batch_mem(&b, 200000), 'c', 200000);
		ck_assert_int_eq(first[9], 'a');
		if (round == 0)
			after_first = batch_memory(&b);
		ck_assert_uint_eq(batch_memory(&b), after_first);
		batch_reset(&b);
	}
	batch_free(&b);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, records_begin_empty);
	tcase_add_test(t, room_is_bounded_and_kept);
	tcase_add_test(t, filters_memory_grows_and_stays);
}

int
main(void)
{
	return unit_main("batch", add_tests);
}
