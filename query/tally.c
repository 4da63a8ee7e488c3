/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow: sums of flows by key, in a table with open addresses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tally.h"

#define FIRST_SIZE 256u

static uint64_t
mixed(uint64_t h, uint64_t x)
{
	h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static size_t
place(const struct tally *t, const struct tally_key *k)
{
	uint64_t words[sizeof(*k) / 8], h = t->seed;

	memcpy(words, k, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / 8; i++)
		h = mixed(h, words[i]);
	return (size_t)(h ^ h >> 32) & (t->size - 1);
}

/* Its entry, or the free one where it would be. */
static struct tally_entry *
look(const struct tally *t, const struct tally_key *k)
{
	size_t i = place(t, k);

	while (t->entries[i].used && memcmp(&t->entries[i].key, k, sizeof(*k)) != 0)
		i = (i + 1) & (t->size - 1);
	return &t->entries[i];
}

static int
grow(struct tally *t)
{
	struct tally more = { .n = t->n, .size = t->size ? 2 * t->size : FIRST_SIZE };

	if (!t->size && getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) < 0)
		t->seed = (uintptr_t)t; /* good enough: it is there against bad luck */
	more.seed = t->seed;
	more.entries = calloc(more.size, sizeof(*more.entries));
	if (!more.entries)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++)
		if (t->entries[i].used)
			*look(&more, &t->entries[i].key) = t->entries[i];
	free(t->entries);
	*t = more;
	return 0;
}

struct tally_sum *
tally_at(struct tally *t, const struct tally_key *k)
{
	struct tally_entry *e;

	if (t->n >= t->size - t->size / 4 && grow(t) < 0)
		return NULL;
	e = look(t, k);
	if (!e->used) {
		e->key = *k;
		e->used = 1;
		t->n++;
	}
	return &e->sum;
}

const struct tally_sum *
tally_find(const struct tally *t, const struct tally_key *k)
{
	const struct tally_entry *e = t->n ? look(t, k) : NULL;

	return e && e->used ? &e->sum : NULL;
}

void
tally_free(struct tally *t)
{
	free(t->entries);
	*t = (struct tally){ 0 };
}

void
tally_plus(struct tally_sum *a, const struct tally_sum *b)
{
	a->flows += b->flows;
	a->orig_packets += b->orig_packets;
	a->orig_bytes += b->orig_bytes;
	a->reply_packets += b->reply_packets;
	a->reply_bytes += b->reply_bytes;
}

static void
at_most(uint64_t *a, uint64_t b)
{
	if (*a > b)
		*a = b;
}

void
tally_at_most(struct tally_sum *a, const struct tally_sum *b)
{
	at_most(&a->flows, b->flows);
	at_most(&a->orig_packets, b->orig_packets);
	at_most(&a->orig_bytes, b->orig_bytes);
	at_most(&a->reply_packets, b->reply_packets);
	at_most(&a->reply_bytes, b->reply_bytes);
}

const char *
tally_by_name(enum tally_by by)
{
	static const char *const names[TALLY_BY] = {
		[TALLY_BYTES] = "bytes",
		[TALLY_PACKETS] = "packets",
		[TALLY_FLOWS] = "flows",
		[TALLY_ORIG_BYTES] = "orig_bytes",
		[TALLY_REPLY_BYTES] = "reply_bytes",
		[TALLY_ORIG_PACKETS] = "orig_packets",
		[TALLY_REPLY_PACKETS] = "reply_packets",
	};

	return by < TALLY_BY ? names[by] : NULL;
}

uint64_t
tally_value(const struct tally_sum *s, enum tally_by by)
{
	switch (by) {
	case TALLY_PACKETS:
		return s->orig_packets + s->reply_packets;
	case TALLY_FLOWS:
		return s->flows;
	case TALLY_ORIG_BYTES:
		return s->orig_bytes;
	case TALLY_REPLY_BYTES:
		return s->reply_bytes;
	case TALLY_ORIG_PACKETS:
		return s->orig_packets;
	case TALLY_REPLY_PACKETS:
		return s->reply_packets;
	default:
		return s->orig_bytes + s->reply_bytes;
	}
}
