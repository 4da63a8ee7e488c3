/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTF_BATCH_H
#define CTF_BATCH_H

#include <ctflow/plugin.h>

struct chunk { /* memory of filters; grows, is kept for the next batch */
	struct chunk *next;
	size_t size, used;
	max_align_t mem[];
};

struct ctf_batch {
	uint8_t *recs; /* max records, stride bytes each */
	size_t stride;
	unsigned n, max;
	uint8_t *room; /* what is received lands here */
	size_t room_size, room_used;
	struct chunk *first, *cur;
};

int batch_init(struct ctf_batch *, unsigned nslots);
void batch_free(struct ctf_batch *);
void batch_reset(struct ctf_batch *);
size_t batch_memory(const struct ctf_batch *);

static inline struct ctf_rec *
batch_rec(const struct ctf_batch *b, unsigned i)
{
	return (struct ctf_rec *)(void *)(b->recs + i * b->stride);
}

/* When it happened, as far as is known: an input that had to wait has read it late. */
static inline uint64_t
rec_ns(const struct ctf_rec *r)
{
	return r->at_ns ? r->at_ns : r->rx_ns;
}

#endif
