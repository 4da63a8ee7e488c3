/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keyring.c - see keyring.h. */
#include "keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
keyring_init(struct keyring *k, uint32_t size)
{
	memset(k, 0, sizeof(*k));
	k->size = size;
	k->ring = calloc(size, sizeof(*k->ring));
	k->table = calloc(size, sizeof(*k->table));
	if (k->ring && k->table)
		return 0;
	keyring_free(k);
	return -ENOMEM;
}

void
keyring_free(struct keyring *k)
{
	free(k->ring);
	free(k->table);
	memset(k, 0, sizeof(*k));
}

void
keyring_clear(struct keyring *k)
{
	memset(k->table, 0, k->size * sizeof(*k->table));
	k->n = k->ns = k->half[0] = k->half[1] = 0;
}

uint32_t
keyring_count(const struct keyring *k)
{
	return k->n < k->size ? (uint32_t)k->n : k->size;
}

uint64_t
keyring_nth(const struct keyring *k, uint32_t i)
{
	return k->ring[(k->n - keyring_count(k) + i) % k->size];
}

/*
 * What is not listed was written over, in the half that the next key goes to:
 * before the other half was begun.  Or that is full, and it was in that one.
 */
uint64_t
keyring_forgotten(const struct keyring *k)
{
	if (k->n <= k->size)
		return 0;
	return k->half[(k->n - 1) % k->size < k->size / 2];
}
