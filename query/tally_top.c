/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow: the largest of a tally, in a heap whose root is the least of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tally.h"

struct heap {
	const struct tally_entry **at;
	size_t n, room;
	enum tally_by by;
};

static int
key_compare(const struct tally_key *a, const struct tally_key *b)
{
	int c;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	c = memcmp(a->ip, b->ip, sizeof(a->ip));
	if (c != 0)
		return c;
	if (a->has != b->has)
		return a->has > b->has ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return 0;
}

/* Negative: a goes before b. */
static int
compare(const struct tally_entry *a, const struct tally_entry *b, enum tally_by by)
{
	uint64_t x = tally_value(&a->sum, by), y = tally_value(&b->sum, by);

	if (x != y)
		return x > y ? -1 : 1;
	return key_compare(&a->key, &b->key);
}

static void
sink(struct heap *h, size_t i)
{
	const struct tally_entry *e = h->at[i];

	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid >= h->n)
			break;
		if (kid + 1 < h->n && compare(h->at[kid + 1], h->at[kid], h->by) > 0)
			kid++;
		if (compare(h->at[kid], e, h->by) < 0)
			break;
		h->at[i] = h->at[kid];
		i = kid;
	}
	h->at[i] = e;
}

static void
offer(struct heap *h, const struct tally_entry *e)
{
	if (h->n < h->room) {
		h->at[h->n++] = e;
		if (h->n == h->room)
			for (size_t i = h->n / 2; i-- > 0;)
				sink(h, i);
	} else if (h->n && compare(e, h->at[0], h->by) < 0) {
		h->at[0] = e;
		sink(h, 0);
	}
}

static int
by_value(const void *a, const void *b, void *by)
{
	return compare(*(const struct tally_entry *const *)a,
		       *(const struct tally_entry *const *)b, *(enum tally_by *)by);
}

static int
by_slot(const void *a, const void *b, void *by)
{
	const struct tally_entry *x = *(const struct tally_entry *const *)a;
	const struct tally_entry *y = *(const struct tally_entry *const *)b;

	if (x->key.slot != y->key.slot)
		return x->key.slot < y->key.slot ? -1 : 1;
	return by_value(a, b, by);
}

static int
chosen(const struct tally *t, enum tally_by by, size_t n,
       int (*order)(const void *, const void *, void *), const struct tally_entry ***ret_all,
       size_t *ret_n)
{
	struct heap h = { .room = n < t->n ? n : t->n, .by = by };

	h.at = calloc(h.room + 1, sizeof(*h.at));
	if (!h.at)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++)
		if (t->entries[i].used)
			offer(&h, &t->entries[i]);
	qsort_r(h.at, h.n, sizeof(*h.at), order, &by);
	*ret_all = h.at;
	*ret_n = h.n;
	return 0;
}

int
tally_top(const struct tally *t, enum tally_by by, size_t n,
	  const struct tally_entry ***ret_top, size_t *ret_n)
{
	return chosen(t, by, n, by_value, ret_top, ret_n);
}

int
tally_slots(const struct tally *t, enum tally_by by, const struct tally_entry ***ret_all,
	    size_t *ret_n)
{
	return chosen(t, by, t->n, by_slot, ret_all, ret_n);
}
