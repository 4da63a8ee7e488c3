/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: the table.  A flow is recorded when conntrack forgets it, which may be
 * days after its last packet, when the address belongs to somebody else.  So
 * the table knows for some time who had an address before.
 */
#include <errno.h>
#include <netinet/in.h>

#include "names.h"

#define OLDER_MOST 8u /* names of an address that are remembered */

/* ---- looking up -------------------------------------------------------------- */

/* What that entry said at t; false: no name, look for a shorter prefix. */
static bool
told(const struct names_set *s, const struct names_entry *e, uint64_t t, struct names_answer *a)
{
	while (t < e->since_ns && e->older)
		e = &s->at[e->older - 1];
	a->known = true;
	if (a->since_ns < e->since_ns)
		a->since_ns = e->since_ns;
	if (!e->name_len)
		return false;
	if (t >= e->until_ns) {
		if (a->since_ns < e->until_ns)
			a->since_ns = e->until_ns;
		return false;
	}
	a->name = names_word(s, e);
	return true;
}

static bool
ask(const struct names_set *s, const struct names_key *k, uint64_t t, struct names_answer *a)
{
	const struct names_entry *e = names_set_find(s, k);

	return e && told(s, e, t, a);
}

void
names_lookup(const struct names_set *s, const uint8_t *ip, int family, uint64_t t,
	     struct names_answer *ret_answer)
{
	struct names_key k = { .ip = { [10] = 0xff, [11] = 0xff }, .len = 128 };
	unsigned least = family == AF_INET ? 96 : 0; /* ::/0 is not about IPv4 */
	bool found;

	*ret_answer = (struct names_answer){ .known = false };
	memcpy(family == AF_INET ? k.ip + 12 : k.ip, ip, family == AF_INET ? 4 : 16);
	found = ask(s, &k, t, ret_answer);
	/* The longest first: bits 127..64, then 63..0. */
	for (int w = 1; w >= 0 && !found; w--)
		for (uint64_t bits = s->lens[w]; bits && !found;) {
			unsigned bit = 63 - (unsigned)__builtin_clzll(bits);

			if ((unsigned)w * 64 + bit < least)
				return;
			names_shorten(&k, (unsigned)w * 64 + bit);
			found = ask(s, &k, t, ret_answer);
			bits &= ~(UINT64_C(1) << bit);
		}
}

/* ---- making one ----------------------------------------------------------------- */

/* An ended lease in one source does not hide the name in another. */
static bool
gives_way(const struct names_entry *e, const struct names_entry *to, uint64_t now)
{
	return !e->name_len || (e->until_ns <= now && to->until_ns > now);
}

static struct names_key
key_of(const struct names_entry *e)
{
	struct names_key k = { .len = e->len };

	memcpy(k.ip, e->ip, sizeof(k.ip));
	return k;
}

static int
add_set(struct names_set *table, const struct names_set *from, uint64_t now)
{
	table->refused += from->refused;
	for (uint32_t i = 0; i < from->n; i++) {
		const struct names_entry *o = &from->at[i];
		struct names_key k = key_of(o);
		struct names_entry *e;
		int r;

		if (!o->name_len)
			continue;
		r = names_set_get(table, &k, &e);
		if (r == -ENOSPC || (!r && !gives_way(e, o, now)))
			continue;
		if (!r)
			r = names_set_name(table, e, names_word(from, o));
		if (r)
			return r;
		e->until_ns = o->until_ns;
	}
	return 0;
}

/* The past takes no more memory than the present may. */
static bool
is_full(const struct names_set *table)
{
	return table->n / 2 > table->most;
}

/* Copies what was before entry `place` (1 + its place), as far as it still matters. */
static int
copy_older(struct names_set *table, uint32_t place, const struct names_set *before,
	   const struct names_entry *old, uint64_t ended, const struct names_times *t)
{
	for (unsigned n = 0; old && n < OLDER_MOST; n++) {
		uint32_t made;

		if (ended + t->remember_ns <= t->now_ns || is_full(table))
			return 0;
		if (names_set_aside(table, old, names_word(before, old), &made))
			return -ENOMEM;
		table->at[place - 1].older = made;
		place = made;
		ended = old->since_ns;
		old = old->older ? &before->at[old->older - 1] : NULL;
	}
	return 0;
}

static bool
same_name(const struct names_set *a, const struct names_entry *x, const struct names_set *b,
	  const struct names_entry *y)
{
	return x->name_len == y->name_len &&
	       memcmp(a->text + x->name, b->text + y->name, x->name_len) == 0;
}

/* When and after what the entry became so. */
static int
add_past(struct names_set *table, uint32_t place, const struct names_set *before,
	 const struct names_times *t)
{
	struct names_entry *e = &table->at[place - 1];
	struct names_key k = key_of(e);
	const struct names_entry *old = before ? names_set_find(before, &k) : NULL;

	e->since_ns = t->changed_ns;
	if (!old)
		return 0;
	if (!same_name(table, e, before, old))
		return copy_older(table, place, before, old, t->changed_ns, t);
	e->since_ns = old->since_ns;
	old = old->older ? &before->at[old->older - 1] : NULL;
	return copy_older(table, place, before, old, e->since_ns, t);
}

/* A name that is gone: that it is, and since when. */
static int
add_one_gone(struct names_set *table, const struct names_set *before,
	     const struct names_entry *old, const struct names_times *t)
{
	uint64_t ended = old->name_len ? t->changed_ns : old->since_ns;
	struct names_key k = key_of(old);
	uint64_t refused = table->refused;
	struct names_entry *e;
	int r;

	if (names_set_find(table, &k) || ended + t->remember_ns <= t->now_ns)
		return 0;
	r = names_set_get(table, &k, &e);
	table->refused = refused; /* it was not a name that was */
	if (r)
		return r == -ENOSPC ? 0 : r;
	e->since_ns = ended;
	if (!old->name_len)
		old = old->older ? &before->at[old->older - 1] : NULL;
	return copy_older(table, (uint32_t)(e - table->at) + 1, before, old, ended, t);
}

static int
add_gone(struct names_set *table, const struct names_set *before, const struct names_times *t)
{
	int r = 0;

	for (uint32_t i = 0; i < before->slots && !r && !is_full(table); i++)
		if (before->slot[i])
			r = add_one_gone(table, before, &before->at[before->slot[i] - 1], t);
	return r;
}

int
names_merge(struct names_set *table, const struct names_set *const *sets, unsigned n,
	    const struct names_set *before, const struct names_times *t)
{
	uint32_t heads;
	int r = 0;

	for (unsigned i = 0; i < n && !r; i++)
		r = add_set(table, sets[i], t->now_ns);
	heads = table->n;
	for (uint32_t i = 0; i < heads && !r; i++)
		r = add_past(table, i + 1, before, t);
	if (!r && before)
		r = add_gone(table, before, t);
	return r;
}
