/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyring.h - the last keys of a stream, at the price of two stores.
 *
 * Keys are evenly distributed 64-bit numbers, never 0.  Each goes into a ring,
 * and into the place its value gives it in a table of the same size, whoever was
 * there: a key that comes again is mostly noticed, not always.
 */
#ifndef KEYRING_H
#define KEYRING_H

#include <stdbool.h>
#include <stdint.h>

struct keyring {
	uint64_t *ring, *table;
	uint32_t size;    /* of each; a power of two */
	uint64_t n;       /* keys so far; the next goes to ring[n % size] */
	uint64_t ns;      /* the latest time of all of them */
	uint64_t half[2]; /* the same as of the last time a half of the ring was begun */
};

/* size >= 2, a power of two.  0 or -ENOMEM. */
int keyring_init(struct keyring *, uint32_t size);
void keyring_free(struct keyring *);
/* Forgets all. */
void keyring_clear(struct keyring *);
/* How many can be listed, and the i-th oldest of them. */
uint32_t keyring_count(const struct keyring *);
uint64_t keyring_nth(const struct keyring *, uint32_t i);
/* No key that is not listed any more had a later time; 0: all are. */
uint64_t keyring_forgotten(const struct keyring *);

/* True: the key was there.  Else it is now, with that time. */
static inline bool
keyring_add(struct keyring *k, uint64_t key, uint64_t ns)
{
	uint32_t mask = k->size - 1, at = (uint32_t)k->n & mask;
	uint64_t *slot = &k->table[key & mask];

	if (*slot == key)
		return true;
	*slot = key;
	if ((at & (mask >> 1)) == 0)
		k->half[at != 0] = k->ns;
	k->ring[at] = key;
	k->n++;
	if (ns > k->ns)
		k->ns = ns;
	return false;
}

#endif
