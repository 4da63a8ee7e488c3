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

void
qframe_release(struct qframe *f)
{
	if (f->pinned)
		f->gone = true;
	else
		free(f);
}

struct qframe *
queue_to_write(struct qframe *f)
{
	while (f && (f->written || f->settled || f->stays))
		f = f->next;
	return f;
}

/* It leaves the queue. */
static void
forget_unwritten(struct queue *q, const struct qframe *f)
{
	if (q->unwritten == f)
		q->unwritten = queue_to_write(f->next);
}

static uint64_t
cost(const struct qframe *q)
{
	return sizeof(*q) + q->f.cap;
}

static void
account_memory(struct queue *q, const struct qframe *f, bool in)
{
	uint64_t sign = in ? 1 : UINT64_MAX;

	q->bytes += sign * cost(f);
	if (q->bytes > q->peak)
		q->peak = q->bytes;
}

static void
account_waiting(struct queue *q, const struct qframe *f, bool in)
{
	uint64_t sign = in ? 1 : UINT64_MAX;

	q->frames += sign;
	q->recs += sign * f->f.recs;
	if (f->counted)
		q->again += sign * f->f.recs;
}

static void
account(struct queue *q, const struct qframe *f, bool in)
{
	account_memory(q, f, in);
	account_waiting(q, f, in);
}

struct qframe *
queue_unsettled(const struct queue *q)
{
	return q->window ? q->window->next : q->head;
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
	if (!f->written && !f->stays && (!q->unwritten || q->unwritten->f.number > f->f.number))
		q->unwritten = f;
	account(q, f, true);
}

void
queue_push(struct queue *q, struct qframe *f)
{
	f->f.number = ++q->last_number;
	f->f.upto = q->upto += qframe_flows(f);
	insert_after(q, q->tail, f);
	window_fit(q);
}

bool
queue_insert(struct queue *q, struct qframe *f)
{
	struct qframe *pos = q->before_next, *next;

	if (!pos || pos->f.number >= f->f.number)
		pos = NULL;
	for (next = pos ? pos->next : q->head; next && next->f.number < f->f.number;
	     next = next->next)
		pos = next;
	if (next && next->f.number == f->f.number)
		return false;
	insert_after(q, pos, f);
	window_fit(q);
	return true;
}

/* It has to wait: for those before it, which are on disk, or until it is. */
static bool
is_held(const struct queue *q, const struct qframe *f)
{
	return (q->on_disk && f->f.number >= q->on_disk) ||
	       (q->durable && !f->written && !f->stays);
}

void
queue_precede(struct queue *q, uint64_t flows)
{
	for (struct qframe *f = q->head; f; f = f->next)
		f->f.upto += flows;
	q->upto += flows;
}

unsigned
queue_claim(struct queue *q, const struct ctf_frame *ret_frames[GROUP])
{
	unsigned n = 0;

	for (struct qframe *f = q->next; f && n < GROUP && !is_held(q, f); f = f->next) {
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

/* ---- the window ---- */

/* Frees the head, which is settled. */
static void
window_pop(struct queue *q)
{
	struct qframe *f = q->head;

	q->head = f->next;
	if (f == q->window)
		q->window = NULL;
	if (f == q->before_next)
		q->before_next = NULL;
	if (f == q->tail)
		q->tail = NULL;
	account_memory(q, f, false);
	q->window_bytes -= cost(f);
	qframe_release(f);
}

/* Every two become one: their count is an upper bound anyway. */
static void
stretches_merge(struct queue *q)
{
	struct given_up *g = q->given_up;

	for (unsigned i = 0; i < GIVEN_UP / 2; i++) {
		const struct given_up *a = &g[2 * i], *b = &g[2 * i + 1];

		g[i] = (struct given_up){ .last = b->last,
					  .flows = a->flows + b->flows,
					  .told = a->told + b->told,
					  .from_ns = a->from_ns,
					  .to_ns = b->to_ns,
					  .uncounted = a->uncounted || b->uncounted };
	}
	q->stretches = GIVEN_UP / 2;
}

/* The head is freed before its time; what has no flows is not missed. */
static void
give_up(struct queue *q)
{
	const struct qframe *f = q->head;
	uint64_t flows = qframe_flows(f);
	bool uncounted = f->is_gap && f->gap.count_is == CTF_UNCOUNTED;

	if (flows || uncounted) {
		if (q->stretches == GIVEN_UP)
			stretches_merge(q);
		q->given_up[q->stretches++] =
			(struct given_up){ .last = f->f.number,
					   .flows = flows,
					   .told = f->is_gap && f->enc ? flows : 0,
					   .from_ns = f->f.first_ns,
					   .to_ns = f->f.last_ns,
					   .uncounted = uncounted };
	}
	window_pop(q);
}

void
window_fit(struct queue *q)
{
	while (queue_over(q) && q->window)
		give_up(q);
}

/* Forgets what was given up and is not needed after all. */
static void
stretches_forget(struct queue *q, uint64_t needed)
{
	unsigned n = 0;

	while (n < q->stretches && q->given_up[n].last < needed)
		n++;
	if (!n)
		return;
	q->stretches -= n;
	memmove(q->given_up, q->given_up + n, q->stretches * sizeof(*q->given_up));
}

bool
window_missed(struct queue *q, uint64_t needed, struct ctf_gap *ret_gap)
{
	struct ctf_gap g = { .count_is = CTF_AT_MOST };

	stretches_forget(q, needed);
	for (unsigned i = 0; i < q->stretches; i++) {
		const struct given_up *u = &q->given_up[i];

		g.from_ns = i && g.from_ns < u->from_ns ? g.from_ns : u->from_ns;
		g.to_ns = g.to_ns > u->to_ns ? g.to_ns : u->to_ns;
		g.count += u->flows;
		g.told += u->told;
		if (u->uncounted)
			g.count_is = CTF_UNCOUNTED;
	}
	q->stretches = 0;
	if (!g.count && g.count_is == CTF_AT_MOST)
		return false;
	if (g.count_is == CTF_UNCOUNTED)
		g.count = CTF_UNKNOWN;
	*ret_gap = g;
	return true;
}

uint64_t
queue_settle(struct queue *q, uint64_t number, uint64_t needed)
{
	struct qframe *f = queue_unsettled(q);
	uint64_t recs = 0;

	for (; f && f != q->next && f->f.number <= number; f = f->next) {
		recs += f->counted ? 0 : f->f.recs;
		account_waiting(q, f, false);
		q->window_bytes += cost(f);
		f->settled = f->counted = true;
		forget_unwritten(q, f);
		q->settled_upto = f->f.upto;
		q->settled_ns = f->f.last_ns;
		q->settled_number = f->f.number;
		q->window = f;
	}
	while (q->window && q->head->f.number < needed)
		window_pop(q);
	stretches_forget(q, needed);
	window_fit(q); /* nothing may be pushed before there is room */
	return recs;
}

static void
window_dissolve(struct queue *q)
{
	const struct ctf_frame *first = &q->head->f;
	uint64_t flows = qframe_flows(q->head);

	q->settled_upto = first->upto - (flows < first->upto ? flows : first->upto);
	q->settled_ns = first->first_ns;
	q->settled_number = first->number - 1;
	for (struct qframe *f = q->head;; f = f->next) {
		f->settled = f->begun = false;
		account_waiting(q, f, true);
		if (f == q->window)
			break;
	}
	q->window = NULL;
	q->window_bytes = 0;
	q->unwritten = queue_to_write(q->head);
}

uint64_t
queue_rewind(struct queue *q)
{
	uint64_t recs = 0;

	if (q->window)
		window_dissolve(q);
	/*
	 * What a session had begun beyond the head begins anew in the next one.
	 * Left as it is, a begun frame would stand behind one that may be
	 * dropped, and the gap for that one behind both.
	 */
	for (struct qframe *f = q->head; f; f = f->next) {
		f->begun &= f == q->head;
		if (f == q->next)
			break;
		recs += f->f.recs;
	}
	q->next = q->head;
	q->before_next = NULL;
	q->claimed = 0;
	return recs;
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
	forget_unwritten(q, f);
	account(q, f, false);
	return f;
}

/*
 * What is on disk stays, and so does a gap in front of that: in another gap it
 * would stand elsewhere.
 */
static bool
may_drop(const struct queue *q, const struct qframe *f)
{
	return !f->written && !f->pinned && !(f->is_gap && f->f.number < q->on_disk);
}

/* The frame after which those begin that may be dropped. */
static struct qframe *
before_droppable(const struct queue *q)
{
	struct qframe *pos = last_protected(q), *f = pos ? pos->next : q->head;

	for (; f && !may_drop(q, f); f = f->next)
		pos = f;
	return pos;
}

uint64_t
queue_shed(struct queue *q, uint64_t first, uint64_t last)
{
	struct qframe *pos = last_protected(q), *f;
	uint64_t lowest = 0;

	while ((f = pos ? pos->next : q->head) && f->f.number <= last) {
		if (f->f.number < first || !f->written || f->pinned || f->taken) {
			pos = f;
			continue;
		}
		if (!lowest)
			lowest = f->f.number;
		free(remove_after(q, pos));
	}
	return lowest;
}

void
queue_unwrite(struct queue *q, uint64_t first, uint64_t last)
{
	for (struct qframe *f = q->head; f && f->f.number <= last; f = f->next)
		if (f->f.number >= first)
			f->written = false;
	q->unwritten = queue_to_write(q->head);
}

void
queue_write_all(struct queue *q)
{
	for (struct qframe *f = q->head; f; f = f->next)
		f->stays = false;
	q->unwritten = queue_to_write(q->head);
}

bool
queue_take(struct queue *q, struct qframe *frame)
{
	struct qframe *pos = last_protected(q), *f;

	while ((f = pos ? pos->next : q->head) && f != frame)
		pos = f;
	return f && remove_after(q, pos);
}

struct qframe *
queue_drop(struct queue *q)
{
	return remove_after(q, before_droppable(q));
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
	insert_after(q, before_droppable(q), f);
}

void
queue_clear(struct queue *q)
{
	struct qframe *f;

	while ((f = q->head)) {
		q->head = f->next;
		qframe_release(f);
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
