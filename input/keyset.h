/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyset.h - the most recent keys of a stream, each once.
 *
 * A ring keeps them in their order, an index finds them; 24 bytes a key, of
 * which only the ring is touched as it fills.  When there is no room the oldest
 * is forgotten, and the set remembers until when that has happened.  Keys are
 * evenly distributed 64-bit numbers, never 0.
 */
#ifndef KEYSET_H
#define KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYSET_BYTES 24u /* a key */
#define KEYSET_MARKS 128u

struct keyset {
	uint64_t *ring, *slot; /* by age; by value, 0 = free */
	uint32_t cap, n, head; /* keys; the oldest is ring[head] */
	uint64_t first;        /* number of the oldest key, counted from the first added */
	uint64_t forgotten;    /* the latest time of a key that had to make room; 0: none */
	/* Keys up to number `last`, from the mark before on, have times up to ns. */
	struct {
		uint64_t last, ns;
	} mark[KEYSET_MARKS];
	unsigned marks;
};

/* cap >= 1.  0 or -ENOMEM. */
int keyset_init(struct keyset *, uint32_t cap);
void keyset_free(struct keyset *);
/* Keeps the newest keys.  0; or -ENOMEM, and all is as it was. */
int keyset_resize(struct keyset *, uint32_t cap);
/* True: the key was there already.  Else it is now, with that time. */
bool keyset_add(struct keyset *, uint64_t key, uint64_t ns);
/* The i-th oldest, i < n. */
uint64_t keyset_nth(const struct keyset *, uint32_t i);
/* The latest time of any key, also of those forgotten. */
uint64_t keyset_newest(const struct keyset *);

#endif
