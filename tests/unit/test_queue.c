/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>

#include "queue.h"
#include "unit.h"

static struct qframe *
frame(uint32_t recs)
{
	struct qframe *f = qframe_new(NULL, 100);

	f->f.recs = recs;
	return f;
}

static void
push(struct queue *q, unsigned n)
{
	while (n--)
		queue_push(q, frame(1));
}

static unsigned
claim(struct queue *q, uint64_t first)
{
	const struct ctf_frame *f[GROUP];
	unsigned n = queue_claim(q, f);

	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(f[i]->number, first + i);
	return n;
}

START_TEST(in_order_and_settled)
{
	struct queue q = { .limit = 1 << 20 };

	push(&q, 5);
	ck_assert_uint_eq(claim(&q, 1), 5);
	queue_taken(&q, 3);
	ck_assert_uint_eq(queue_settle(&q, 2, UINT64_MAX), 2);
	ck_assert_uint_eq(q.frames, 3);
	ck_assert_uint_eq(claim(&q, 4), 2);
	queue_taken(&q, 2);
	/* Never beyond what was taken, whatever the number. */
	push(&q, 1);
	ck_assert_uint_eq(queue_settle(&q, UINT64_MAX, UINT64_MAX), 3);
	ck_assert_uint_eq(q.frames, 1);
	ck_assert_uint_eq(claim(&q, 6), 1);
	queue_taken(&q, 1);
	ck_assert_uint_eq(queue_settle(&q, 6, UINT64_MAX), 1);
	ck_assert_uint_eq(q.bytes, 0);
	ck_assert_ptr_null(q.head);
	ck_assert_ptr_null(q.tail);
	push(&q, 1);
	ck_assert_uint_eq(claim(&q, 7), 1);
	queue_clear(&q);
}
END_TEST

START_TEST(groups_end_at_fixed_numbers)
{
	struct queue q = { .limit = 1 << 20 };

	push(&q, GROUP + 10);
	ck_assert_uint_eq(claim(&q, 1), GROUP);
	queue_taken(&q, 3);
	/* After a partial delivery the same block ends at the same number. */
	ck_assert_uint_eq(claim(&q, 4), GROUP - 3);
	queue_taken(&q, GROUP - 3);
	ck_assert_uint_eq(claim(&q, GROUP + 1), 10);
	queue_clear(&q);
}
END_TEST

START_TEST(rewind_delivers_the_unsettled_again)
{
	struct queue q = { .limit = 1 << 20 };

	push(&q, 6);
	claim(&q, 1);
	queue_taken(&q, 5);
	queue_settle(&q, 2, UINT64_MAX);
	queue_rewind(&q);
	ck_assert_uint_eq(claim(&q, 3), 4);
	queue_clear(&q);
}
END_TEST

START_TEST(nothing_is_begun_after_a_rewind)
{
	struct queue q = { .limit = 1 << 20 };
	struct qframe *f;

	push(&q, 5);
	claim(&q, 1);
	queue_taken(&q, 2); /* 3 was begun */
	queue_settle(&q, 1, UINT64_MAX);
	queue_rewind(&q);
	f = queue_drop(&q); /* from 2 on, which was not */
	ck_assert_uint_eq(f->f.number, 2);
	queue_unshift(&q, f); /* a gap in its place */
	ck_assert_uint_eq(claim(&q, 2), 4);
	queue_clear(&q);
}
END_TEST

START_TEST(drop_spares_what_is_being_delivered)
{
	const struct ctf_frame *given[GROUP];
	struct queue q = { .limit = 1 << 20 };
	struct qframe *f;

	push(&q, 3);
	ck_assert_uint_eq(claim(&q, 1), 3);
	ck_assert_ptr_null(queue_drop(&q));
	push(&q, 2);
	f = queue_drop(&q);
	ck_assert_uint_eq(f->f.number, 4);
	queue_unshift(&q, f);
	queue_taken(&q, 3);
	/* 4 was handed out: it may have been sent in part. */
	ck_assert_uint_eq(claim(&q, 4), 2);
	queue_taken(&q, 0);
	f = queue_drop(&q);
	ck_assert_uint_eq(f->f.number, 5);
	queue_unshift(&q, f);
	/* And so may be the one at which a delivery stopped. */
	ck_assert_uint_eq(claim(&q, 4), 2);
	queue_taken(&q, 1);
	ck_assert_ptr_null(queue_drop(&q));
	queue_rewind(&q);
	f = queue_drop(&q); /* in a new session another one comes first */
	ck_assert_uint_eq(f->f.number, 2);
	free(f);
	ck_assert_uint_eq(queue_claim(&q, given), 4);
	queue_taken(&q, 2); /* 1 and 3 */
	queue_settle(&q, UINT64_MAX, UINT64_MAX);
	f = queue_drop(&q);
	ck_assert_uint_eq(f->f.number, 5);
	free(f);
	ck_assert_ptr_null(queue_drop(&q));
	f = queue_drop_next(&q);
	ck_assert_uint_eq(f->f.number, 4);
	free(f);
	ck_assert_ptr_null(queue_drop_next(&q));
	queue_settle(&q, UINT64_MAX, UINT64_MAX);
	ck_assert_uint_eq(q.frames, 0);
	push(&q, 1);
	ck_assert_uint_eq(claim(&q, 6), 1);
	queue_clear(&q);
}
END_TEST

START_TEST(unshift_into_empty)
{
	struct queue q = { .limit = 1 << 20 };
	struct qframe *f;

	push(&q, 1);
	f = queue_drop(&q);
	ck_assert_ptr_null(q.head);
	ck_assert_ptr_null(q.tail);
	queue_unshift(&q, f);
	push(&q, 1);
	ck_assert_uint_eq(claim(&q, 1), 2);
	queue_clear(&q);
}
END_TEST

START_TEST(bytes_are_counted)
{
	struct queue q = { .limit = 3 * (sizeof(struct qframe) + 100) };

	push(&q, 3);
	ck_assert(!queue_over(&q));
	push(&q, 1);
	ck_assert(queue_over(&q));
	free(queue_drop(&q));
	ck_assert(!queue_over(&q));
	ck_assert_uint_eq(q.recs, 3);
	queue_clear(&q);
	ck_assert_uint_eq(q.bytes, 0);
}
END_TEST

/* ---- the window ---- */

/* Five frames, four taken and three of these settled, 2 and 3 still needed. */
static void
with_window(struct queue *q)
{
	push(q, 5);
	claim(q, 1);
	queue_taken(q, 4);
	ck_assert_uint_eq(queue_settle(q, 3, 2), 3);
}

START_TEST(the_window_stays_and_is_not_waiting)
{
	struct queue q = { .limit = 1 << 20 };

	with_window(&q);
	ck_assert_uint_eq(q.head->f.number, 2);
	ck_assert_uint_eq(queue_unsettled(&q)->f.number, 4);
	ck_assert_uint_eq(q.frames, 2);
	ck_assert_uint_eq(q.recs, 2);
	ck_assert_uint_eq(q.settled_number, 3);
	ck_assert_uint_eq(q.window_bytes, 2 * (sizeof(struct qframe) + 100));
	ck_assert_uint_eq(queue_settle(&q, 3, 2), 0); /* counted once */
	ck_assert_uint_eq(claim(&q, 5), 1);
	queue_taken(&q, 1);
	ck_assert_uint_eq(queue_settle(&q, 5, 5), 2);
	ck_assert_uint_eq(q.head->f.number, 5);
	ck_assert_uint_eq(q.frames, 0);
	ck_assert_uint_eq(queue_settle(&q, 5, 6), 0);
	ck_assert_ptr_null(q.head);
	ck_assert_uint_eq(q.bytes, 0);
	ck_assert_uint_eq(q.window_bytes, 0);
	push(&q, 1);
	ck_assert_uint_eq(claim(&q, 6), 1);
	queue_clear(&q);
}
END_TEST

START_TEST(a_new_session_begins_with_the_window)
{
	struct queue q = { .limit = 1 << 20 };
	struct qframe *f;

	for (int i = 0; i < 5; i++) {
		f = frame(1);
		f->f.flows = 10;
		f->f.first_ns = 100 + (uint64_t)i;
		queue_push(&q, f);
	}
	claim(&q, 1);
	queue_taken(&q, 4);
	queue_settle(&q, 3, 2);
	ck_assert_uint_eq(q.settled_upto, 30);
	ck_assert_uint_eq(queue_rewind(&q), 3); /* 2, 3, 4 */
	ck_assert_uint_eq(q.frames, 4);
	ck_assert_uint_eq(q.again, 2);
	ck_assert_uint_eq(q.window_bytes, 0);
	/* Not safe any more. */
	ck_assert_uint_eq(q.settled_upto, 10);
	ck_assert_uint_eq(q.settled_number, 1);
	ck_assert_uint_eq(q.settled_ns, 101);
	f = queue_drop(&q); /* so it is the oldest that is dropped */
	ck_assert_uint_eq(f->f.number, 2);
	ck_assert(f->taken && f->counted);
	free(f);
	ck_assert_uint_eq(q.again, 1);
	ck_assert_uint_eq(claim(&q, 3), 3);
	queue_taken(&q, 3);
	ck_assert_uint_eq(queue_settle(&q, 5, 6), 2); /* 4 and 5 */
	ck_assert_uint_eq(q.again, 0);
	ck_assert_uint_eq(q.bytes, 0);
	queue_clear(&q);
}
END_TEST

START_TEST(the_window_is_given_up_first)
{
	struct queue q = { .limit = 5 * (sizeof(struct qframe) + 100) };
	struct ctf_gap gap = { .count = 77 };

	with_window(&q);
	push(&q, 1); /* 2 to 6 fit */
	ck_assert_uint_eq(q.head->f.number, 2);
	push(&q, 1);
	ck_assert_uint_eq(q.head->f.number, 3);
	ck_assert(!queue_over(&q));
	push(&q, 2); /* 4 is not settled */
	ck_assert_uint_eq(q.head->f.number, 4);
	ck_assert_ptr_null(q.window);
	ck_assert(queue_over(&q));
	ck_assert_uint_eq(claim(&q, 5), 5);
	queue_clear(&q);
	ck_assert(!window_missed(&q, 2, &gap));
	ck_assert_uint_eq(gap.count, 77);
}
END_TEST

/* Three windows of one frame, each given up, of which the last two are needed. */
START_TEST(what_was_given_up_is_missed_if_it_is_needed)
{
	struct queue q = { .limit = sizeof(struct qframe) + 100 };
	struct ctf_gap gap;

	for (uint64_t i = 1; i <= 4; i++) {
		struct qframe *f = frame(1);

		f->f.flows = (uint32_t)i;
		f->is_gap = i == 2; /* which was told when it was sent */
		f->enc = (struct encoder *)&gap;
		f->gap = (struct ctf_gap){ .count = i, .count_is = CTF_EXACT };
		f->f.first_ns = 100 * i;
		f->f.last_ns = 100 * i + 50;
		queue_push(&q, f);
		claim(&q, i);
		queue_taken(&q, 1);
		queue_settle(&q, i, 1);
	}
	ck_assert_uint_eq(q.head->f.number, 4);
	ck_assert_uint_eq(q.stretches, 3);
	ck_assert(window_missed(&q, 2, &gap));
	ck_assert_uint_eq(gap.count, 5);
	ck_assert_uint_eq(gap.told, 2);
	ck_assert_int_eq(gap.count_is, CTF_AT_MOST);
	ck_assert_uint_eq(gap.from_ns, 200);
	ck_assert_uint_eq(gap.to_ns, 350);
	ck_assert(!window_missed(&q, 2, &gap)); /* once */
	queue_clear(&q);
}
END_TEST

START_TEST(what_was_given_up_is_remembered_within_bounds)
{
	struct queue q = { .limit = sizeof(struct qframe) + 100 };
	struct ctf_gap gap;

	for (uint64_t i = 1; i <= 1001; i++) {
		struct qframe *f = frame(1);

		f->f.flows = 1;
		f->f.first_ns = f->f.last_ns = 1000 + i;
		queue_push(&q, f);
		claim(&q, i);
		queue_taken(&q, 1);
		queue_settle(&q, i, 1);
	}
	ck_assert_uint_le(q.stretches, GIVEN_UP);
	queue_settle(&q, 1001, 901); /* never less than what is needed */
	ck_assert(window_missed(&q, 901, &gap));
	ck_assert_uint_ge(gap.count, 100);
	ck_assert_uint_le(gap.count, 200);
	ck_assert_uint_eq(gap.told, 0);
	ck_assert_uint_le(gap.from_ns, 1000 + 901);
	ck_assert_uint_ge(gap.from_ns, 1000 + 801);
	ck_assert_uint_eq(gap.to_ns, 1000 + 1000);
	queue_clear(&q);
}
END_TEST

/* Random operations against a plain array. */
START_TEST(random_against_model)
{
	struct queue q = { .limit = 1 << 30 };
	uint64_t model[512];
	unsigned n = 0, taken = 0, claimed = 0;
	uint64_t next = 1, begun = 0;

	srand(7);
	for (int step = 0; step < 20000; step++) {
		int what = rand() % 6;

		if (what <= 1 && n < 500) {
			queue_push(&q, frame(1));
			model[n++] = next++;
		} else if (what == 2) {
			const struct ctf_frame *f[GROUP];

			claimed = queue_claim(&q, f);
			begun = claimed ? model[taken] : begun;
			ck_assert(claimed > 0 || n == taken);
			for (unsigned i = 0; i < claimed; i++)
				ck_assert_uint_eq(f[i]->number, model[taken + i]);
		} else if (what == 3) {
			unsigned k = claimed ? (unsigned)rand() % (claimed + 1) : 0;

			queue_taken(&q, k);
			taken += k;
			begun = k < claimed ? model[taken] : begun;
			claimed = 0;
		} else if (what == 4 && taken) {
			unsigned k = (unsigned)rand() % taken;

			ck_assert_uint_eq(queue_settle(&q, model[k], UINT64_MAX), k + 1);
			memmove(model, model + k + 1, (n - k - 1) * sizeof(*model));
			n -= k + 1;
			taken -= k + 1;
		} else if (what == 5 && n > taken + claimed) {
			unsigned at = taken + claimed;
			struct qframe *f = queue_drop(&q);

			at += !claimed && model[at] == begun;
			ck_assert_int_eq(f != NULL, at < n);
			if (!f)
				continue;
			ck_assert_uint_eq(f->f.number, model[at]);
			free(f);
			memmove(model + at, model + at + 1, (n - at - 1) * sizeof(*model));
			n--;
		}
		ck_assert_uint_eq(q.frames, n);
	}
	queue_clear(&q);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, in_order_and_settled);
	tcase_add_test(t, groups_end_at_fixed_numbers);
	tcase_add_test(t, rewind_delivers_the_unsettled_again);
	tcase_add_test(t, nothing_is_begun_after_a_rewind);
	tcase_add_test(t, drop_spares_what_is_being_delivered);
	tcase_add_test(t, unshift_into_empty);
	tcase_add_test(t, bytes_are_counted);
	tcase_add_test(t, the_window_stays_and_is_not_waiting);
	tcase_add_test(t, a_new_session_begins_with_the_window);
	tcase_add_test(t, the_window_is_given_up_first);
	tcase_add_test(t, what_was_given_up_is_missed_if_it_is_needed);
	tcase_add_test(t, what_was_given_up_is_remembered_within_bounds);
	tcase_add_test(t, random_against_model);
}

int
main(void)
{
	return unit_main("queue", add_tests);
}
