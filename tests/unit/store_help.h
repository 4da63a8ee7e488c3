/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sink's store of each kind: memory alone; all on disk alone as soon as it may
 * be; and some here, some there.  No threads: the test does what they would do.
 * DIR_NAME and SPOOL_DIR are the test's own folders.
 */
#ifndef CTF_TEST_STORE_HELP_H
#define CTF_TEST_STORE_HELP_H

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

static inline void
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

static inline void
close_store(void)
{
	setup_free(&store.setup);
	box_free(&store.box);
	remove_tree(SPOOL_DIR);
}

/* What the spool's thread does when memory is short. */
static inline void
write_out(void)
{
	struct queue *q = &store.s->queue;
	uint64_t limit = q->limit;

	if (store.kind == MEMORY || (store.kind == BOTH && rand() % 2))
		return;
	pthread_mutex_lock(&store.s->lock);
	for (;;) {
		while (spool_clean(store.s->spool))
			;
		if (!q->unwritten)
			break;
		q->limit = 1;
		spool_write(store.s->spool);
		q->limit = limit;
	}
	q->durable = false; /* what is here need not be there to be delivered */
	pthread_mutex_unlock(&store.s->lock);
}

static inline void
push(unsigned n)
{
	while (n--) {
		struct qframe *f = qframe_new(store.s->encoders, 100);
		uint64_t number = store.s->queue.last_number + 1;

		ctf_frame_put(&f->f, &number, sizeof(number));
		f->f.recs = f->f.flows = 1;
		f->f.layout = store.s->encoders->layout;
		sink_push(store.s, f);
	}
	write_out();
}

/* As the worker does; returns how many, which are consecutive from `first` on. */
static inline unsigned
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
		ck_assert_uint_eq(f[i]->layout->id, store.s->encoders->layout->id);
	}
	return n;
}

static inline void
taken(unsigned n)
{
	queue_taken(&store.s->queue, n);
	write_out();
}

/* Records settled for the first time; the frames from `needed` on are still needed. */
static inline uint64_t
settle_some(uint64_t number, uint64_t needed)
{
	uint64_t upto = number == UINT64_MAX ? number : store.base + number;
	uint64_t from = needed == UINT64_MAX ? needed : store.base + needed;
	uint64_t recs = queue_settle(&store.s->queue, upto, from);

	write_out();
	return recs;
}

static inline uint64_t
settle(uint64_t number)
{
	return settle_some(number, UINT64_MAX);
}

/* Records that are to be sent again. */
static inline uint64_t
new_session(void)
{
	uint64_t recs = queue_rewind(&store.s->queue);

	write_out();
	return recs;
}

/* n frames from that one on, as many at a time as there are. */
static inline void
take(uint64_t first, unsigned n)
{
	while (n) {
		unsigned got = claim(first);

		ck_assert_uint_gt(got, 0);
		got = got < n ? got : n;
		taken(got);
		first += got;
		n -= got;
	}
}

/* There is no room left, neither in memory nor on disk. */
static inline void
make_room(void)
{
	struct spool *sp = store.s->spool;
	struct queue *q = &store.s->queue;
	uint64_t limit = q->limit;

	q->limit = 0;
	if (sp)
		sp->failing = sp->full = true;
	sink_drop(store.s);
	q->limit = limit;
	if (sp)
		sp->failing = sp->full = false;
	write_out();
}

/* Bytes in memory and on disk. */
static inline uint64_t
in_use(void)
{
	return store.s->queue.bytes + (store.s->spool ? store.s->spool->bytes : 0);
}

static inline uint64_t
waiting(void)
{
	return store.s->queue.frames + spool_flows(store.s);
}

#endif
