/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "queue.h"

struct qframe *
qframe_new(struct encoder *enc, uint32_t cap)
{
	struct qframe *q = malloc(sizeof(*q) + cap);

	if (!q)
		return NULL;
	memset(q, 0, sizeof(*q));
	q->enc = enc;
	q->f.p = q->data;
	q->f.cap = cap;
	return q;
}

struct qframe *
qframe_trim(struct qframe *q)
{
	struct qframe *small = realloc(q, sizeof(*q) + q->f.len);

	if (!small)
		return q;
	small->f.p = small->data;
	small->f.cap = small->f.len;
	return small;
}

static uint64_t
cost(const struct qframe *q)
{
	return sizeof(*q) + q->f.cap;
}

static void
account(struct queue *q, const struct qframe *f, bool in)
{
	uint64_t sign = in ? 1 : UINT64_MAX;

	q->bytes += sign * cost(f);
	if (q->bytes > q->peak)
		q->peak = q->bytes;
	q->frames += sign;
	q->recs += sign * f->f.recs;
}

/* The frame after which the waiting ones begin; NULL: at the head. */
static struct qframe *
last_protected(const struct queue *q)
{
	struct qframe *f = q->before_next;

	for (unsigned i = 0; i < q->claimed; i++)
		f = f ? f->next : q->head;
	return !q->claimed && q->next && q->next->begun ? q->next : f;
}

static void
insert_after(struct queue *q, struct qframe *pos, struct qframe *f)
{
	f->next = pos ? pos->next : q->head;
	if (pos)
		pos->next = f;
	else
		q->head = f;
	if (!f->next)
		q->tail = f;
	if (pos == q->before_next && !q->claimed)
		q->next = f;
	account(q, f, true);
}

void
queue_push(struct queue *q, struct qframe *f)
{
	f->f.number = ++q->last_number;
	f->f.upto = q->upto += qframe_flows(f);
	insert_after(q, q->tail, f);
}

void
queue_insert(struct queue *q, struct qframe *f)
{
	struct qframe *pos = NULL, *next = q->head;

	for (; next && next->f.number < f->f.number; next = next->next)
		pos = next;
	insert_after(q, pos, f);
}

unsigned
queue_claim(struct queue *q, const struct ctf_frame *ret_frames[GROUP])
{
	unsigned n = 0;

	for (struct qframe *f = q->next; f && n < GROUP; f = f->next) {
		ret_frames[n++] = &f->f;
		if (f->f.number % GROUP == 0)
			break;
	}
	q->claimed = n;
	if (n)
		q->next->begun = true;
	return n;
}

void
queue_taken(struct queue *q, unsigned n)
{
	bool more = n < q->claimed;

	for (; n && q->next; n--) {
		q->next->taken = true;
		q->before_next = q->next;
		q->next = q->next->next;
	}
	if (more && q->next)
		q->next->begun = true;
	q->claimed = 0;
}

uint64_t
queue_settle(struct queue *q, uint64_t number)
{
	uint64_t recs = 0;

	while (q->head && q->head != q->next && q->head->f.number <= number) {
		struct qframe *f = q->head;

		q->head = f->next;
		if (f == q->before_next)
			q->before_next = NULL;
		if (f == q->tail)
			q->tail = NULL;
		recs += f->f.recs;
		q->settled_upto = f->f.upto;
		q->settled_ns = f->f.last_ns;
		q->settled_number = f->f.number;
		account(q, f, false);
		free(f);
	}
	return recs;
}

void
queue_rewind(struct queue *q)
{
	struct qframe *last = q->next;

	/*
	 * What a session had begun beyond the head begins anew in the next one.
	 * Left as it is, a begun frame would stand behind one that may be
	 * dropped, and the gap for that one behind both.
	 */
	for (struct qframe *f = q->head ? q->head->next : NULL; f; f = f->next) {
		f->begun = false;
		if (f == last)
			break;
	}
	q->next = q->head;
	q->before_next = NULL;
	q->claimed = 0;
}

/* Takes out the frame behind pos (NULL: the head), or NULL. */
static struct qframe *
remove_after(struct queue *q, struct qframe *pos)
{
	struct qframe *f = pos ? pos->next : q->head;

	if (!f)
		return NULL;
	if (pos)
		pos->next = f->next;
	else
		q->head = f->next;
	if (q->tail == f)
		q->tail = pos;
	if (q->next == f)
		q->next = f->next;
	account(q, f, false);
	return f;
}

struct qframe *
queue_drop(struct queue *q)
{
	return remove_after(q, last_protected(q));
}

struct qframe *
queue_drop_next(struct queue *q)
{
	q->claimed = 0;
	return remove_after(q, q->before_next);
}

void
queue_unshift(struct queue *q, struct qframe *f)
{
	insert_after(q, last_protected(q), f);
}

void
queue_clear(struct queue *q)
{
	struct qframe *f;

	while ((f = q->head)) {
		q->head = f->next;
		free(f);
	}
	*q = (struct queue){ .limit = q->limit,
			     .last_number = q->last_number,
			     .upto = q->upto };
}

void
queue_room(struct queue *q, uint32_t frame)
{
	uint64_t least = 2 * (sizeof(struct qframe) + (uint64_t)frame);

	if (q->limit < least)
		q->limit = least;
}
