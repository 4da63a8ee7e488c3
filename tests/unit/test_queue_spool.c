/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue's scenarios with each kind of store. */
#define DIR_NAME "test_queue_spool.d"
#define SPOOL_DIR "test_queue_spool.s"
#include "store_help.h"

START_TEST(in_order_and_settled)
{
	open_store(_i);
	push(5);
	ck_assert_uint_eq(claim(1), 5);
	taken(3);
	ck_assert_uint_eq(settle(2), 2);
	ck_assert_uint_eq(waiting(), 3);
	ck_assert_uint_eq(claim(4), 2);
	taken(2);
	push(1);
	ck_assert_uint_eq(settle(UINT64_MAX), 3);
	ck_assert_uint_eq(waiting(), 1);
	ck_assert_uint_eq(claim(6), 1);
	taken(1);
	ck_assert_uint_eq(settle(6), 1);
	ck_assert_uint_eq(store.s->queue.bytes, 0);
	push(1);
	ck_assert_uint_eq(claim(7), 1);
	close_store();
}
END_TEST

START_TEST(groups_end_at_fixed_numbers)
{
	open_store(_i);
	push(GROUP + 10);
	ck_assert_uint_eq(claim(1), GROUP);
	taken(3);
	ck_assert_uint_eq(claim(4), GROUP - 3);
	taken(GROUP - 3);
	ck_assert_uint_eq(claim(GROUP + 1), 10);
	close_store();
}
END_TEST

START_TEST(a_new_session_delivers_the_unsettled_again)
{
	open_store(_i);
	push(6);
	claim(1);
	taken(5);
	settle(2);
	new_session();
	ck_assert_uint_eq(claim(3), 4);
	close_store();
}
END_TEST

START_TEST(a_gap_in_front)
{
	struct qframe *f;

	open_store(_i);
	store.s->queue.last_number++; /* kept for it */
	push(3);
	f = qframe_new(store.s->encoders, 100);
	ctf_frame_put(&f->f, &(uint64_t){ store.base + 1 }, 8);
	f->f.number = store.base + 1;
	f->f.layout = store.s->encoders->layout;
	f->is_gap = true;
	f->gap = (struct ctf_gap){ 1, 2, 0, CTF_EXACT, "restart", "k", -1 };
	ck_assert(queue_insert(&store.s->queue, f));
	write_out();
	for (unsigned i = 0; i < 4; i++) {
		const struct ctf_frame *got[GROUP];

		while (store.kind != MEMORY && spool_next(store.s))
			ck_assert(spool_load(store.s));
		ck_assert_uint_ge(queue_claim(&store.s->queue, got), 1);
		ck_assert_uint_eq(got[0]->number, store.base + 1 + i);
		taken(1);
		settle(1 + i);
	}
	ck_assert_uint_eq(waiting(), 0);
	close_store();
}
END_TEST

/* Any operations against a plain array. */
START_TEST(random_against_model)
{
	uint64_t first = 1, next = 1; /* not settled; not pushed */
	unsigned ntaken = 0, claimed = 0;

	open_store(_i % KINDS);
	srand(7 + (unsigned)_i);
	for (int step = 0; step < 3000; step++) {
		int what = rand() % 16;

		if (what < 6 && next - first < 400) {
			unsigned n = 1 + (unsigned)rand() % 5;

			push(n);
			next += n;
		} else if (what < 9) {
			claimed = claim(first + ntaken);
			ck_assert(claimed > 0 || first + ntaken == next);
		} else if (what < 12) {
			unsigned k = claimed ? (unsigned)rand() % (claimed + 1) : 0;

			taken(k);
			ntaken += k;
			claimed = 0;
		} else if (what < 15 && ntaken) {
			unsigned k = 1 + (unsigned)rand() % ntaken;

			ck_assert_uint_le(settle(first + k - 1), k);
			first += k;
			ntaken -= k;
		} else if (what == 15 && rand() % 4 == 0) {
			new_session();
			ntaken = claimed = 0;
		}
		ck_assert_uint_eq(waiting(), next - first);
	}
	close_store();
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	/* with some here and some there fewer may come at a time */
	tcase_add_loop_test(t, in_order_and_settled, 0, BOTH);
	tcase_add_loop_test(t, groups_end_at_fixed_numbers, 0, BOTH);
	tcase_add_loop_test(t, a_new_session_delivers_the_unsettled_again, 0, KINDS);
	tcase_add_loop_test(t, a_gap_in_front, 0, KINDS);
	tcase_add_loop_test(t, random_against_model, 0, 4 * KINDS);
}

int
main(void)
{
	return unit_main("queue_spool", add_tests);
}
