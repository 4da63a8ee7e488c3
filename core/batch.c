/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch: up to BATCH_RECS records, the buffer they were received into, and
 * the memory filters ask for.  Everything is taken back at once.
 */
#include <errno.h>
#include <stdlib.h>

#include "batch.h"
#include "graph.h"

/* Room for a batch of usual messages (250 bytes) and one of the largest. */
#define ROOM (64u * 1024u)
#define CHUNK (64u * 1024u)

int
batch_init(struct ctf_batch *b, unsigned nslots)
{
	memset(b, 0, sizeof(*b));
	b->max = BATCH_RECS;
	b->stride = sizeof(struct ctf_rec) + nslots * sizeof(union ctf_val);
	b->recs = calloc(b->max, b->stride);
	b->room_size = ROOM;
	b->room = malloc(ROOM);
	if (!b->recs || !b->room) {
		batch_free(b);
		return -ENOMEM;
	}
	return 0;
}

void
batch_free(struct ctf_batch *b)
{
	struct chunk *c;

	while ((c = b->first)) {
		b->first = c->next;
		free(c);
	}
	free(b->recs);
	free(b->room);
	memset(b, 0, sizeof(*b));
}

void
batch_reset(struct ctf_batch *b)
{
	b->n = 0;
	b->room_used = 0;
	b->cur = b->first;
	if (b->cur)
		b->cur->used = 0;
}

size_t
batch_memory(const struct ctf_batch *b)
{
	size_t sum = b->max * b->stride + b->room_size;

	for (const struct chunk *c = b->first; c; c = c->next)
		sum += c->size;
	return sum;
}

struct ctf_rec *
ctf_batch_add(struct ctf_batch *b)
{
	struct ctf_rec *r;

	if (b->n == b->max)
		return NULL;
	r = batch_rec(b, b->n++);
	r->set[0] = r->set[1] = 0;
	r->at_ns = 0;
	r->kind = CTF_EVENT;
	return r;
}

void
ctf_batch_drop(struct ctf_batch *b)
{
	if (b->n)
		b->n--;
}

unsigned
ctf_batch_left(const struct ctf_batch *b)
{
	return b->max - b->n;
}

void *
ctf_batch_room(struct ctf_batch *b, size_t n)
{
	return n <= b->room_size - b->room_used ? b->room + b->room_used : NULL;
}

void
ctf_batch_keep(struct ctf_batch *b, size_t used)
{
	used = (used + 7) & ~(size_t)7;
	b->room_used += used;
	if (b->room_used > b->room_size)
		b->room_used = b->room_size;
}

/* The next chunk with n bytes to spare, made if there is none. */
static struct chunk *
chunk_next(struct ctf_batch *b, size_t n)
{
	struct chunk *c = b->cur ? b->cur->next : NULL;

	if (c && c->size >= n) {
		c->used = 0;
		return b->cur = c;
	}
	c = malloc(sizeof(*c) + (n > CHUNK ? n : CHUNK));
	if (!c)
		return NULL;
	c->size = n > CHUNK ? n : CHUNK;
	c->used = 0;
	if (b->cur) {
		c->next = b->cur->next;
		b->cur->next = c;
	} else {
		c->next = NULL;
		b->first = c;
	}
	return b->cur = c;
}

void *
ctf_batch_mem(struct ctf_batch *b, size_t n)
{
	struct chunk *c = b->cur;
	void *p;

	n = (n + 7) & ~(size_t)7;
	if (!c || n > c->size - c->used) {
		c = chunk_next(b, n);
		if (!c)
			return NULL;
	}
	p = (uint8_t *)c->mem + c->used;
	c->used += n;
	return p;
}
