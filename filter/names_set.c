/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: a set of addresses and prefixes.  Its hash has a secret: devices
 * choose their own addresses.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "names.h"

void
names_set_init(struct names_set *s, uint32_t most)
{
	*s = (struct names_set){ .most = most };
	if (getrandom(s->seed, sizeof(s->seed), GRND_NONBLOCK) < 0)
		s->seed[0] = ctf_now(); /* early in the boot */
}

void
names_set_free(struct names_set *s)
{
	free(s->at);
	free(s->slot);
	free(s->text);
	*s = (struct names_set){ .n = 0 };
}

void
names_shorten(struct names_key *k, unsigned len)
{
	unsigned byte = len / 8;

	if (byte < sizeof(k->ip)) {
		k->ip[byte] &= (uint8_t)(0xff00u >> len % 8);
		memset(k->ip + byte + 1, 0, sizeof(k->ip) - byte - 1);
	}
	k->len = (uint8_t)len;
}

/* Of MurmurHash3's finish, which lets every bit change every other. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

static uint64_t
hash(const struct names_set *s, const struct names_key *k)
{
	uint64_t a, b;

	memcpy(&a, k->ip, 8);
	memcpy(&b, k->ip + 8, 8);
	return mix(mix(a ^ s->seed[0]) + (b ^ s->seed[1]) + k->len);
}

/* The slot of the key, or the free one where it belongs. */
static uint32_t
slot_of(const struct names_set *s, const struct names_key *k)
{
	uint32_t mask = s->slots - 1, i = (uint32_t)hash(s, k) & mask;

	for (; s->slot[i]; i = (i + 1) & mask) {
		const struct names_entry *e = &s->at[s->slot[i] - 1];

		if (e->len == k->len && memcmp(e->ip, k->ip, sizeof(e->ip)) == 0)
			break;
	}
	return i;
}

struct names_entry *
names_set_find(const struct names_set *s, const struct names_key *k)
{
	uint32_t i = s->slots ? s->slot[slot_of(s, k)] : 0;

	return i ? &s->at[i - 1] : NULL;
}

static int
grow_slots(struct names_set *s)
{
	uint32_t old = s->slots, slots = old ? 2 * old : 64, *was = s->slot;
	uint32_t *slot = calloc(slots, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	s->slot = slot;
	s->slots = slots;
	for (uint32_t i = 0; i < old; i++) {
		const struct names_entry *e = was[i] ? &s->at[was[i] - 1] : NULL;
		struct names_key k;

		if (!e)
			continue;
		memcpy(k.ip, e->ip, sizeof(k.ip));
		k.len = e->len;
		s->slot[slot_of(s, &k)] = was[i];
	}
	free(was);
	return 0;
}

static int
grow(struct names_set *s)
{
	uint32_t room = s->room ? 2 * s->room : 32;
	struct names_entry *at = reallocarray(s->at, room, sizeof(*at));

	if (!at)
		return -ENOMEM;
	s->at = at;
	s->room = room;
	return 0;
}

int
names_set_get(struct names_set *s, const struct names_key *k, struct names_entry **ret_e)
{
	struct names_entry *e = names_set_find(s, k);

	if (e) {
		*ret_e = e;
		return 0;
	}
	if (s->named >= s->most || s->n >= UINT32_MAX / 4) {
		s->refused++;
		return -ENOSPC;
	}
	if (s->n == s->room && grow(s))
		return -ENOMEM;
	if (2 * (s->n + 1) > s->slots && grow_slots(s))
		return -ENOMEM;
	e = &s->at[s->n++];
	*e = (struct names_entry){ .until_ns = NAMES_NEVER, .len = k->len };
	memcpy(e->ip, k->ip, sizeof(e->ip));
	s->slot[slot_of(s, k)] = s->n;
	s->lens[k->len / 64] |= UINT64_C(1) << k->len % 64;
	*ret_e = e;
	return 0;
}

/* Appends it to the text. */
static int
put_text(struct names_set *s, struct names_word w, uint32_t *ret_place)
{
	uint32_t room = s->text_room ? s->text_room : 1024;
	char *text;

	while (room - s->text_len < w.len) {
		if (room > UINT32_MAX / 2)
			return -ENOMEM;
		room *= 2;
	}
	if (room != s->text_room) {
		text = realloc(s->text, room);
		if (!text)
			return -ENOMEM;
		s->text = text;
		s->text_room = room;
	}
	if (w.len)
		memcpy(s->text + s->text_len, w.p, w.len);
	*ret_place = s->text_len;
	s->text_len += (uint32_t)w.len;
	return 0;
}

int
names_set_name(struct names_set *s, struct names_entry *e, struct names_word w)
{
	/* In a journal an address comes again and again, mostly with its old name. */
	if (w.len && w.len <= e->name_len)
		memmove(s->text + e->name, w.p, w.len);
	else if (w.len && put_text(s, w, &e->name))
		return -ENOMEM;
	s->named += !e->name_len && w.len;
	s->named -= e->name_len && !w.len;
	e->name_len = (uint8_t)w.len;
	return 0;
}

int
names_set_aside(struct names_set *s, const struct names_entry *from, struct names_word w,
		uint32_t *ret_place)
{
	struct names_entry *e;
	uint32_t place;

	if (s->n >= UINT32_MAX / 4 || (s->n == s->room && grow(s)) || put_text(s, w, &place))
		return -ENOMEM;
	e = &s->at[s->n++];
	*e = *from;
	e->name = place;
	e->name_len = (uint8_t)w.len;
	e->older = 0;
	*ret_place = s->n;
	return 0;
}
