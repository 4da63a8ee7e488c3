/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is dropped, and the window of what is sent again, with each kind of store. */
#define DIR_NAME "test_store.d"
#define SPOOL_DIR "test_store.s"
#include "store_help.h"

/* ---- the window ---- */

/* Five frames, four taken and three of these settled, 2 and 3 still needed. */
static void
with_window(int kind)
{
	open_store(kind);
	push(5);
	take(1, 4);
	ck_assert_uint_eq(settle_some(3, 2), 3);
}

START_TEST(the_window_stays_and_is_not_waiting)
{
	const struct queue *q;

	with_window(_i);
	q = &store.s->queue;
	ck_assert_uint_eq(q->head->f.number, store.base + 2);
	ck_assert_uint_eq(queue_unsettled(q)->f.number, store.base + 4);
	ck_assert_uint_eq(waiting(), 2);
	ck_assert_uint_eq(q->settled_number, store.base + 3);
	ck_assert_uint_gt(q->window_bytes, 0);
	ck_assert_uint_eq(settle_some(3, 2), 0); /* counted once */
	take(5, 1);
	ck_assert_uint_eq(settle_some(5, 5), 2);
	ck_assert_uint_eq(q->head->f.number, store.base + 5);
	ck_assert_uint_eq(waiting(), 0);
	ck_assert_uint_eq(settle_some(5, 6), 0);
	ck_assert_ptr_null(q->head);
	ck_assert_uint_eq(q->window_bytes, 0);
	if (_i != BOTH) /* there the disk is looked at now and then */
		ck_assert_uint_eq(in_use(), 0);
	push(1);
	take(6, 1);
	close_store();
}
END_TEST

START_TEST(a_new_session_begins_with_the_window)
{
	const struct queue *q;

	with_window(_i);
	q = &store.s->queue;
	ck_assert_uint_eq(q->settled_upto, 3);
	ck_assert_uint_eq(new_session(), 3); /* 2, 3, 4 */
	ck_assert_uint_eq(waiting(), 4);
	ck_assert_uint_eq(q->again, 2);
	ck_assert_uint_eq(q->window_bytes, 0);
	ck_assert_uint_eq(q->settled_upto, 1); /* not safe any more */
	ck_assert_uint_eq(q->settled_number, store.base + 1);
	take(2, 4);
	ck_assert_uint_eq(settle_some(5, 6), 2); /* 4 and 5 */
	ck_assert_uint_eq(q->again, 0);
	ck_assert_uint_eq(waiting(), 0);
	close_store();
}
END_TEST

START_TEST(a_window_for_two_sessions)
{
	with_window(_i);
	ck_assert_uint_eq(new_session(), 3);
	take(2, 2);
	ck_assert_uint_eq(settle_some(3, 2), 0); /* they were counted */
	ck_assert_uint_eq(new_session(), 2);
	take(2, 4);
	ck_assert_uint_eq(settle(5), 2);
	ck_assert_uint_eq(waiting(), 0);
	close_store();
}
END_TEST

START_TEST(the_window_is_given_up_first)
{
	struct ctf_gap gap = { .count = 77 };
	struct queue *q;
	uint64_t limit;

	with_window(_i);
	q = &store.s->queue;
	limit = q->limit;
	q->limit = q->bytes - 1;
	window_fit(q);
	q->limit = limit;
	ck_assert_uint_eq(q->head->f.number, store.base + 3);
	ck_assert_uint_eq(waiting(), 2);
	write_out();
	ck_assert(window_missed(q, store.base + 2, &gap));
	ck_assert_uint_eq(gap.count, 1);
	ck_assert_int_eq(gap.count_is, CTF_AT_MOST);
	ck_assert_uint_eq(new_session(), 2); /* 3, 4 */
	take(3, 3);
	ck_assert_uint_eq(settle(5), 2);
	ck_assert_uint_eq(waiting(), 0);
	close_store();
}
END_TEST

/* ---- what is dropped ---- */

static struct {
	unsigned seen[8192]; /* how often each was delivered, from 1 */
	uint64_t lost;       /* by the gaps that were delivered */
	uint64_t gaps, last;
	uint64_t whole, told; /* of the gaps of the input that came; of flows in lost ones */
	bool at_most, uncounted;
} got;

static void
note(const struct ctf_frame *f)
{
	const struct qframe *q = (const struct qframe *)f;
	uint64_t number;

	ck_assert_uint_gt(f->number, got.last);
	got.last = f->number;
	if (q->is_gap) {
		got.uncounted |= q->gap.count_is == CTF_UNCOUNTED;
		got.at_most |= q->gap.count_is == CTF_AT_MOST;
		got.lost += qframe_flows(q);
		got.told += q->gap.told;
		got.whole += strcmp(q->gap.cause, "overrun") == 0 ? qframe_flows(q) : 0;
		got.gaps++;
		return;
	}
	memcpy(&number, f->p, sizeof(number));
	ck_assert_uint_eq(f->number, number);
	ck_assert_uint_lt(number - store.base, COUNT(got.seen));
	got.seen[number - store.base]++;
}

/* Delivers up to that many; returns how many. */
static unsigned
deliver(unsigned most)
{
	const struct ctf_frame *f[GROUP];
	unsigned n;

	while (store.kind != MEMORY && spool_next(store.s))
		ck_assert(spool_load(store.s));
	n = queue_claim(&store.s->queue, f);
	n = n < most ? n : most;
	for (unsigned i = 0; i < n; i++)
		note(f[i]);
	taken(n);
	return n;
}

static void
deliver_rest(void)
{
	while (deliver(GROUP))
		;
	settle(UINT64_MAX);
	ck_assert_uint_eq(waiting(), 0);
}

/* To a segment: what is dropped is as fine as in memory. */
#define ONE_FRAME 1

static void
begin_full(int kind, uint64_t segment)
{
	memset(&got, 0, sizeof(got));
	open_store(kind);
	if (store.s->spool)
		store.s->spool->segment_max = segment;
}

static unsigned
never_seen(unsigned n)
{
	unsigned missing = 0;

	for (unsigned i = 1; i <= n; i++)
		missing += got.seen[i] == 0;
	return missing;
}

START_TEST(the_oldest_go_and_a_gap_is_there)
{
	begin_full(_i, ONE_FRAME);
	push(10);
	make_room();
	push(5);
	deliver_rest();
	ck_assert_uint_eq(got.gaps, 1);
	ck_assert_uint_gt(got.lost, 0);
	ck_assert_uint_eq(got.lost, never_seen(15));
	ck_assert(!got.at_most);
	ck_assert_uint_eq(got.seen[1], 0);
	ck_assert_uint_eq(got.seen[15], 1);
	close_store();
}
END_TEST

START_TEST(one_gap_grows)
{
	begin_full(_i, ONE_FRAME);
	for (int i = 0; i < 5; i++) {
		push(6);
		make_room();
	}
	push(1);
	deliver_rest();
	ck_assert_uint_eq(got.lost, never_seen(31));
	ck_assert_uint_ge(got.lost, 5);
	/* with some here and some there one may stand on either side */
	ck_assert_uint_le(got.gaps, _i == BOTH ? 5 : 1);
	close_store();
}
END_TEST

START_TEST(what_is_being_delivered_stays)
{
	const struct ctf_frame *f[GROUP];
	uint64_t first;
	unsigned n;

	begin_full(_i, ONE_FRAME);
	push(3);
	while (store.kind != MEMORY && spool_next(store.s))
		ck_assert(spool_load(store.s));
	n = queue_claim(&store.s->queue, f);
	ck_assert_uint_ge(n, 1);
	first = f[0]->number;
	push(3);
	make_room();
	make_room();
	for (unsigned i = 0; i < n; i++) /* the plugin has them */
		ck_assert_uint_eq(f[i]->number, first + i);
	queue_taken(&store.s->queue, 0); /* and may have sent a part of the first */
	make_room();
	deliver_rest();
	ck_assert_uint_eq(got.seen[1], 1);
	ck_assert_uint_eq(got.lost, never_seen(6));
	ck_assert_uint_gt(got.lost, 0);
	close_store();
}
END_TEST

static void
gap_of_the_input(uint64_t count, enum ctf_count_is is)
{
	struct ctf_gap gap = { 5, 900, count, is, "overrun", "a", -1 };

	sink_gap(store.s, &gap);
	write_out();
}

/* It was told of before, when it was a gap of its own. */
START_TEST(a_dropped_gap_is_part_of_the_next)
{
	begin_full(_i, ONE_FRAME);
	gap_of_the_input(7, CTF_EXACT);
	push(2);
	gap_of_the_input(9, CTF_EXACT);
	for (int i = 0; i < 3; i++)
		make_room();
	push(1);
	deliver_rest();
	ck_assert_uint_eq(got.lost, 7 + 9 + never_seen(5) - 2); /* 1 and 4 are gaps */
	ck_assert_uint_lt(got.whole, 16);
	if (_i != BOTH) /* on disk a gap does not keep that: it has been told */
		ck_assert_uint_ge(got.told, 16 - got.whole);
	ck_assert_uint_le(got.told, got.lost);
	close_store();
}
END_TEST

START_TEST(a_dropped_gap_without_a_count)
{
	begin_full(_i, ONE_FRAME);
	gap_of_the_input(CTF_UNKNOWN, CTF_UNCOUNTED);
	push(2);
	make_room();
	make_room();
	push(1);
	deliver_rest();
	ck_assert(got.uncounted);
	ck_assert_uint_le(got.gaps, 2);
	close_store();
}
END_TEST

/* It was sent in a session that broke: it may be there. */
START_TEST(what_was_sent_once_is_at_most_lost)
{
	begin_full(_i, ONE_FRAME);
	push(4);
	while (got.last < store.base + 4)
		ck_assert_uint_gt(deliver(GROUP), 0);
	new_session();
	got.last = 0;
	for (int i = 0; i < 4; i++)
		make_room();
	push(1);
	deliver_rest();
	ck_assert_uint_ge(got.seen[5], 1);
	ck_assert(got.at_most || !got.lost);
	if (_i == MEMORY)
		ck_assert_uint_eq(got.lost, 3); /* the first was begun */
	close_store();
}
END_TEST

/* Any operations: everything is delivered, or in a gap, and in its order. */
static void
any_step(unsigned *pushed, unsigned *broken)
{
	int what = rand() % 20;

	if (what < 8 && *pushed + 8 < COUNT(got.seen)) {
		unsigned n = 1 + (unsigned)rand() % 5;

		push(n);
		*pushed += n;
	} else if (what < 14) {
		deliver((unsigned)rand() % 9);
	} else if (what < 17) {
		uint64_t upto = got.last > store.base ? got.last - store.base : 0;
		uint64_t number = upto ? 1 + (uint64_t)rand() % upto : 0;

		if (number)
			settle_some(number, number - (uint64_t)rand() % 4 % number);
	} else if (what == 17 && rand() % 3 == 0) {
		new_session();
		got.last = 0;
		++*broken;
	} else if (what == 18 && rand() % 4 == 0) {
		make_room();
	}
}

START_TEST(random_against_an_account)
{
	unsigned pushed = 0, broken = 0, missing;

	begin_full(_i % KINDS, 4000);
	srand(100 + (unsigned)_i);
	for (int step = 0; step < 1000; step++)
		any_step(&pushed, &broken);
	deliver_rest();
	missing = never_seen(pushed);
	ck_assert_uint_gt(got.gaps, 0);
	ck_assert_uint_gt(broken, 0);
	ck_assert_uint_le(missing, got.lost);
	for (unsigned i = 1; i <= pushed; i++)
		ck_assert_uint_le(got.seen[i], 1 + broken);
	close_store();
}
END_TEST

/* Every flow that was pushed was delivered, is in a gap, or waits. */
static void
adds_up(unsigned pushed)
{
	uint64_t waits = spool_flows(store.s);

	ck_assert(!store.s->spool || !store.s->spool->missed.is);
	for (const struct qframe *f = store.s->queue.next; f; f = f->next)
		waits += qframe_flows(f);
	ck_assert_uint_eq(pushed - never_seen(pushed) + got.lost + waits, pushed);
}

/* The same with sessions that last: each gap is exact. */
START_TEST(random_without_a_break)
{
	unsigned pushed = 0;

	begin_full(_i % KINDS, 4000);
	srand(200 + (unsigned)_i);
	for (int step = 0; step < 500; step++) {
		int what = rand() % 8;

		if (what < 4) {
			push(3);
			pushed += 3;
		} else if (what < 6) {
			deliver((unsigned)rand() % 12);
		} else if (rand() % 8 == 0) {
			make_room();
		}
		adds_up(pushed);
	}
	deliver_rest();
	ck_assert_uint_gt(got.gaps, 0);
	ck_assert_uint_eq(never_seen(pushed), got.lost);
	ck_assert(!got.at_most);
	for (unsigned i = 1; i <= pushed; i++)
		ck_assert_uint_le(got.seen[i], 1);
	close_store();
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_window_stays_and_is_not_waiting, 0, KINDS);
	tcase_add_loop_test(t, a_new_session_begins_with_the_window, 0, KINDS);
	tcase_add_loop_test(t, a_window_for_two_sessions, 0, KINDS);
	tcase_add_loop_test(t, the_window_is_given_up_first, 0, KINDS);
	tcase_add_loop_test(t, the_oldest_go_and_a_gap_is_there, 0, KINDS);
	tcase_add_loop_test(t, one_gap_grows, 0, KINDS);
	tcase_add_loop_test(t, what_is_being_delivered_stays, 0, KINDS);
	tcase_add_loop_test(t, a_dropped_gap_is_part_of_the_next, 0, KINDS);
	tcase_add_loop_test(t, a_dropped_gap_without_a_count, 0, KINDS);
	tcase_add_loop_test(t, what_was_sent_once_is_at_most_lost, 0, KINDS);
	tcase_add_loop_test(t, random_against_an_account, 0, 5 * KINDS);
	tcase_add_loop_test(t, random_without_a_break, 0, 5 * KINDS);
}

int
main(void)
{
	return unit_main("store", add_tests);
}
