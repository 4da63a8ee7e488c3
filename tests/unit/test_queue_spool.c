/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue's scenarios with each kind of queue: memory alone; all on disk alone
 * as soon as it may be; and some here, some there.  No threads: the test does
 * what they would do.
 */
#define DIR_NAME "test_queue_spool.d"
#define SPOOL_DIR "test_queue_spool.s"
#include "setup.h"
#include "spool_help.h"
#include "spool_own.h"
#include "spool_rig.h"
#include "unit.h"

#define KINDS 3
enum { MEMORY, DISK, BOTH };

struct store {
	int kind;
	struct box box;
	struct setup setup;
	struct sink *s;
	uint64_t base;
};

static struct store store;

static void
open_store(int kind)
{
	struct diag diag = { 0 };
	struct ctf_err err = { 0 };
	char text[1024];

	nothing_there();
	store.kind = kind;
	strcpy(text, SPOOLED "spool_sync=0\nqueue=1M\n");
	box_init(&store.box);
	ck_assert_int_eq(fakes_setup(&store.setup, text, &store.box, &diag), 0);
	diag_free(&diag);
	store.s = store.setup.graph.sinks;
	ck_assert_int_eq(kept_start(&store.setup.graph), 0);
	if (kind != MEMORY)
		ck_assert_int_eq(spool_open(store.s, NULL, &err), 0);
	store.s->queue.durable = false;
	store.base = store.s->queue.last_number;
	ck_assert_uint_eq(store.base % GROUP, 0);
}

static void
close_store(void)
{
	setup_free(&store.setup);
	box_free(&store.box);
	remove_tree(SPOOL_DIR);
}

/* What the spool's thread does when memory is short. */
static void
write_out(void)
{
	struct queue *q = &store.s->queue;
	uint64_t limit = q->limit;

	if (store.kind == MEMORY || (store.kind == BOTH && rand() % 2))
		return;
	pthread_mutex_lock(&store.s->lock);
	while (q->unwritten) {
		q->limit = 1;
		spool_write(store.s->spool);
		q->limit = limit;
	}
	while (spool_clean(store.s->spool))
		;
	pthread_mutex_unlock(&store.s->lock);
}

static void
push(unsigned n)
{
	while (n--) {
		struct qframe *f = qframe_new(store.s->encoders, 100);
		uint64_t number = store.s->queue.last_number + 1;

		ctf_frame_put(&f->f, &number, sizeof(number));
		f->f.recs = f->f.flows = 1;
		f->f.layout = &store.s->encoders->layout;
		sink_push(store.s, f);
	}
	write_out();
}

/* As the worker does; returns how many, which are consecutive from `first` on. */
static unsigned
claim(uint64_t first)
{
	const struct ctf_frame *f[GROUP];
	uint64_t number;
	unsigned n;

	while (store.kind != MEMORY && spool_next(store.s))
		ck_assert(spool_load(store.s));
	n = queue_claim(&store.s->queue, f);
	for (unsigned i = 0; i < n; i++) {
		memcpy(&number, f[i]->p, sizeof(number));
		ck_assert_uint_eq(f[i]->number, store.base + first + i);
		ck_assert_uint_eq(number, f[i]->number);
		ck_assert_uint_eq(f[i]->upto, first + i);
		ck_assert_uint_eq(f[i]->layout->id, store.s->encoders->layout.id);
	}
	return n;
}

static void
taken(unsigned n)
{
	queue_taken(&store.s->queue, n);
	write_out();
}

static uint64_t
settle(uint64_t number)
{
	uint64_t upto = number == UINT64_MAX ? number : store.base + number;
	uint64_t recs = queue_settle(&store.s->queue, upto, UINT64_MAX);

	write_out();
	return recs;
}

static void
new_session(void)
{
	queue_rewind(&store.s->queue);
	write_out();
}

static uint64_t
waiting(void)
{
	return store.s->queue.frames + spool_flows(store.s);
}

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
	f->f.layout = &store.s->encoders->layout;
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
