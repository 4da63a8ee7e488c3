/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keyset.c - a ring of keys and a hash table with linear probing over them. */
#include "keyset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
slots(const struct keyset *k)
{
	return 2 * k->cap;
}

/* The slot a key would like to have; no division. */
static uint32_t
home(const struct keyset *k, uint64_t key)
{
	return (uint32_t)((key >> 32) * slots(k) >> 32);
}

static uint32_t
after(const struct keyset *k, uint32_t i)
{
	return i + 1 < slots(k) ? i + 1 : 0;
}

/* Where the key is, or the free slot it would get. */
static uint32_t
find(const struct keyset *k, uint64_t key)
{
	uint32_t i = home(k, key);

	while (k->slot[i] && k->slot[i] != key)
		i = after(k, i);
	return i;
}

/* Position p lies behind `from` and not behind `to`, going round. */
static bool
between(uint32_t from, uint32_t p, uint32_t to)
{
	return from <= to ? from < p && p <= to : from < p || p <= to;
}

/* Frees a slot; those behind it that had to step aside move up. */
static void
vacate(struct keyset *k, uint32_t i)
{
	uint32_t j = i;

	for (;;) {
		j = after(k, j);
		if (!k->slot[j])
			break;
		if (between(i, home(k, k->slot[j]), j))
			continue;
		k->slot[i] = k->slot[j];
		i = j;
	}
	k->slot[i] = 0;
}

static uint32_t
at(const struct keyset *k, uint32_t i)
{
	uint64_t p = (uint64_t)k->head + i;

	return (uint32_t)(p < k->cap ? p : p - k->cap);
}

uint64_t
keyset_nth(const struct keyset *k, uint32_t i)
{
	return k->ring[at(k, i)];
}

uint64_t
keyset_newest(const struct keyset *k)
{
	uint64_t newest = k->marks ? k->mark[k->marks - 1].ns : 0;

	return newest > k->forgotten ? newest : k->forgotten;
}

/* ---- times ------------------------------------------------------------------- */

/* The key that comes next has this time. */
static void
note_time(struct keyset *k, uint64_t ns)
{
	uint64_t number = k->first + k->n, begun;

	if (k->marks && k->mark[k->marks - 1].ns > ns)
		ns = k->mark[k->marks - 1].ns;
	begun = k->marks > 1 ? k->mark[k->marks - 2].last : k->first;
	if (!k->marks ||
	    (number - begun > k->cap / (KEYSET_MARKS / 2) && k->marks < KEYSET_MARKS))
		k->marks++;
	k->mark[k->marks - 1].last = number;
	k->mark[k->marks - 1].ns = ns;
}

static void
note_forgotten(struct keyset *k)
{
	if (k->mark[0].ns > k->forgotten)
		k->forgotten = k->mark[0].ns;
	if (k->mark[0].last <= k->first && k->marks > 1)
		memmove(k->mark, k->mark + 1, --k->marks * sizeof(*k->mark));
}

/* ---- keys ---------------------------------------------------------------------- */

static void
forget_oldest(struct keyset *k)
{
	vacate(k, find(k, k->ring[k->head]));
	note_forgotten(k);
	k->head = at(k, 1);
	k->n--;
	k->first++;
	/* its turn comes soon, and its slot is anywhere */
	__builtin_prefetch(&k->slot[home(k, k->ring[at(k, k->n / 2 < 8 ? k->n / 2 : 8)])], 1);
}

bool
keyset_add(struct keyset *k, uint64_t key, uint64_t ns)
{
	uint32_t i = find(k, key);

	if (k->slot[i])
		return true;
	if (k->n == k->cap) {
		forget_oldest(k);
		i = find(k, key);
	}
	k->slot[i] = key;
	k->ring[at(k, k->n)] = key;
	note_time(k, ns);
	k->n++;
	return false;
}

/* ---- room ---------------------------------------------------------------------- */

static int
allocate(struct keyset *k, uint32_t cap)
{
	k->cap = cap;
	k->head = k->n = 0;
	k->ring = calloc(cap, sizeof(*k->ring));
	k->slot = calloc(slots(k), sizeof(*k->slot));
	if (k->ring && k->slot)
		return 0;
	free(k->ring);
	free(k->slot);
	memset(k, 0, sizeof(*k));
	return -ENOMEM;
}

int
keyset_init(struct keyset *k, uint32_t cap)
{
	memset(k, 0, sizeof(*k));
	return allocate(k, cap);
}

void
keyset_free(struct keyset *k)
{
	free(k->ring);
	free(k->slot);
	memset(k, 0, sizeof(*k));
}

int
keyset_resize(struct keyset *k, uint32_t cap)
{
	struct keyset room = { 0 }, old;
	int r = allocate(&room, cap);

	if (r < 0)
		return r;
	while (k->n > cap)
		forget_oldest(k);
	old = *k;
	k->ring = room.ring;
	k->slot = room.slot;
	k->cap = cap;
	k->head = 0;
	for (uint32_t i = 0; i < old.n; i++) {
		uint64_t key = keyset_nth(&old, i);

		k->ring[i] = key;
		k->slot[find(k, key)] = key;
	}
	free(old.ring);
	free(old.slot);
	return 0;
}
