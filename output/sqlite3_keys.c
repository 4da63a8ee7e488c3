/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: keys of an index, gathered and sorted in memory. */
#include <stdlib.h>

#include "sqlite3_spare.h"

int
sq_keys_add(struct sq_keys *k, const uint8_t *addr, uint16_t port, uint32_t at)
{
	uint8_t *more, *p;

	if (k->n == k->room) {
		unsigned room = k->room ? 2 * k->room : 4096;

		more = realloc(k->p, (size_t)room * k->size);
		if (!more)
			return SQLITE_NOMEM;
		k->p = more;
		k->room = room;
	}
	p = k->p + (size_t)k->n++ * k->size;
	memcpy(p, addr, k->size - 6);
	p += k->size - 6;
	p[0] = (uint8_t)(port >> 8);
	p[1] = (uint8_t)port;
	for (int i = 0; i < 4; i++)
		p[2 + i] = (uint8_t)(at >> (24 - 8 * i));
	return SQLITE_OK;
}

void
sq_keys_free(struct sq_keys *k)
{
	free(k->p);
	*k = (struct sq_keys){ .size = k->size };
}

/* Orders them by one byte, keeping the order of equals; false: all are equal. */
static inline bool
pass(const uint8_t *from, uint8_t *to, unsigned n, unsigned byte, size_t size)
{
	unsigned count[256] = { 0 }, at = 0;

	for (unsigned i = 0; i < n; i++)
		count[from[i * size + byte]]++;
	if (count[from[byte]] == n)
		return false;
	for (unsigned i = 0; i < 256; i++) {
		unsigned c = count[i];

		count[i] = at;
		at += c;
	}
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = from + i * size;

		memcpy(to + count[p[byte]]++ * size, p, size);
	}
	return true;
}

/* One entry stands for all rows with its key. */
static void
unite(struct sq_keys *k)
{
	unsigned n = k->n > 0;

	for (unsigned i = 1; i < k->n; i++) {
		const uint8_t *p = k->p + (size_t)i * k->size;

		if (memcmp(p - k->size, p, k->size) != 0)
			memmove(k->p + (size_t)n++ * k->size, p, k->size);
	}
	k->n = n;
}

/* From the last byte to the first; a port that is always 0 costs nothing. */
int
sq_keys_sort(struct sq_keys *k, bool ports)
{
	uint8_t *from = k->p, *to, *other;

	if (k->n < 2)
		return SQLITE_OK;
	other = to = malloc((size_t)k->n * k->size);
	if (!to)
		return SQLITE_NOMEM;
	for (unsigned byte = k->size; byte-- > 0;) {
		uint8_t *p = from;
		bool moved;

		if (!ports && byte >= k->size - 6 && byte < k->size - 4)
			continue;
		moved = k->size == SQ_KEY4 ? pass(from, to, k->n, byte, SQ_KEY4)
					   : pass(from, to, k->n, byte, SQ_KEY6);
		if (moved) {
			from = to;
			to = p;
		}
	}
	if (from == other)
		memcpy(k->p, other, (size_t)k->n * k->size);
	free(other);
	unite(k);
	return SQLITE_OK;
}
