/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_repeat.c - every end once, whoever else listens.
 *
 * While another reliable listener is slow, the kernel tries again and again to
 * deliver what that one had no room for, and each time everybody hears it.  So
 * the flows that ended lately are remembered, and what comes again is left out.
 *
 * A listener can repeat to us only what came while it was there.  Nobody tells
 * when one comes, so we look, at the latest after half as many flows as fit into
 * a small ring that is always kept: when somebody is found, all that may be
 * repeated is in it, and becomes a set that may grow to all of repeat_memory.
 * The ring also notices most repeats, so those of a listener that cannot be
 * seen, because it went before the look or sits in another network namespace.
 */
#include "nfct.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/random.h>

#define RING 16384u /* keys: 256 KiB, and a look for each half of them */
#define CALM (10 * NFCT_SEC)
#define MOST (UINT32_C(1) << 20) /* keys, by default */

/* ---- the set ------------------------------------------------------------------ */

/* A power of two within the memory allowed. */
static uint32_t
ring_size(const struct nfct_repeat *p)
{
	uint32_t size = RING;

	while (size > p->most && size > 2)
		size /= 2;
	return size;
}

/* forgotten: the latest time of an end that may be repeated and is not in the ring. */
static void
switch_on(struct nfct *s, uint64_t now, uint64_t forgotten)
{
	struct nfct_repeat *p = &s->repeat;

	p->sign_ns = now;
	if (p->on || keyset_init(&p->recent, p->most < RING ? p->most : RING) < 0)
		return;
	/* One that is listed twice was not noticed: another had its place. */
	for (uint32_t i = 0; i < keyring_count(&p->latest); i++)
		if (keyset_add(&p->recent, keyring_nth(&p->latest, i), p->latest.ns))
			ctf_count(p->maybe, 1);
	if (forgotten > p->recent.forgotten)
		p->recent.forgotten = forgotten;
	p->on = true;
	p->dropped = 0;
}

/* What the kernel keeps is tried again after a second, and then all is gone. */
static void
switch_off(struct nfct *s)
{
	struct nfct_repeat *p = &s->repeat;

	p->on = false;
	keyset_free(&p->recent);
	keyring_clear(&p->latest);
}

/* Twice the room, as long as there may be more. */
static void
make_room(struct nfct_repeat *p)
{
	uint64_t want = (uint64_t)p->recent.cap * 2;

	if (p->recent.n == p->recent.cap && p->recent.cap < p->most)
		(void)keyset_resize(&p->recent, want < p->most ? (uint32_t)want : p->most);
}

static void
say_hidden(struct nfct *s)
{
	struct nfct_repeat *p = &s->repeat;

	if (p->said_hidden || p->nothers)
		return;
	p->said_hidden = true;
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"the kernel repeats ends of flows for a reliable listener that is not seen "
		"here (gone already, or in another network namespace); repeats are left out");
}

static void
repeated(struct nfct *s, uint64_t now)
{
	struct nfct_repeat *p = &s->repeat;
	bool first = !p->on;

	ctf_count(p->repeats, 1);
	switch_on(s, now, keyring_forgotten(&p->latest));
	p->dropped++;
	if (first) {
		nfct_repeat_look(s, now);
		say_hidden(s);
	}
}

/*
 * A repeat tells the same end as the first message, which was sent after that
 * end.  So what ended later than everything forgotten cannot be a repeat of it.
 */
static bool
is_in_set(struct nfct_repeat *p)
{
	make_room(p);
	if (keyset_add(&p->recent, p->ident.key, p->ident.sent))
		return true;
	if (p->ident.stop <= p->recent.forgotten)
		ctf_count(p->maybe, 1);
	return false;
}

bool
nfct_repeat_is(struct nfct *s, uint64_t now)
{
	struct nfct_repeat *p = &s->repeat;

	if (!p->ident.key)
		return false;
	if (p->on ? is_in_set(p) : keyring_add(&p->latest, p->ident.key, p->ident.sent)) {
		repeated(s, now);
		return true;
	}
	if (!p->on && ++p->unseen >= p->latest.size / 2)
		nfct_repeat_look(s, now);
	return false;
}

/* ---- who else listens --------------------------------------------------------- */

static bool
is_among(const struct nfct_other *o, const struct nfct_other *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (all[i].inode == o->inode && all[i].portid == o->portid)
			return true;
	return false;
}

static void
say_comes(struct nfct *s, const char *name)
{
	const struct nfct_repeat *p = &s->repeat;
	const char *when = "with reliable delivery, too: whenever it is slow the kernel "
			   "repeats ends of flows to all";

	if (!p->most)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"%s listens %s, and they are logged twice (repeat_memory=0)", name,
			when);
	else
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"%s listens %s; they are left out%s, as far back as the last %u flows",
			name, when,
			s->sys.timestamp == 1 ? ""
					      : " where a flow has a start "
						"(nf_conntrack_timestamp)",
			p->most);
}

static void
notice_comers(struct nfct *s, const struct nfct_other *now, unsigned n)
{
	struct nfct_repeat *p = &s->repeat;

	for (unsigned i = 0; i < n && p->nothers < NFCT_OTHERS; i++) {
		bool known = false;

		for (unsigned k = 0; k < p->nothers; k++)
			known |= is_among(&now[i], &p->other[k].who, 1);
		if (known)
			continue;
		p->other[p->nothers].who = now[i];
		nfct_whose(&now[i], p->other[p->nothers].name, sizeof(p->other->name));
		say_comes(s, p->other[p->nothers++].name);
	}
}

static void
notice_goers(struct nfct *s, const struct nfct_other *now, unsigned n)
{
	struct nfct_repeat *p = &s->repeat;

	for (unsigned k = p->nothers; k-- > 0;) {
		if (is_among(&p->other[k].who, now, n))
			continue;
		ctf_log(nfct_ctx(s), CTF_NOTICE,
			"%s no longer listens with reliable delivery (%llu repeats left out)",
			p->other[k].name, (unsigned long long)p->dropped);
		p->other[k] = p->other[--p->nothers];
	}
}

/* Our own slowness, too, makes the kernel keep what it has to repeat. */
static bool
is_congested(struct nfct *s)
{
	struct nfct_repeat *p = &s->repeat;
	struct nfct_mem mem;
	bool grown;

	if (nfct_events_mem(s->fd, &mem) < 0)
		return false;
	grown = mem.drops != p->drops;
	p->drops = mem.drops;
	return grown;
}

void
nfct_repeat_look(struct nfct *s, uint64_t now)
{
	struct nfct_repeat *p = &s->repeat;
	struct nfct_other other[NFCT_OTHERS];
	int n = nfct_diag_others(s->diag, s->fd, other, NFCT_OTHERS);
	unsigned named = n < 0 ? 0 : n > (int)NFCT_OTHERS ? NFCT_OTHERS : (unsigned)n;
	bool congested = is_congested(s);

	p->unseen = 0;
	if (n >= 0) {
		notice_goers(s, other, named);
		notice_comers(s, other, named);
	}
	if (!p->most)
		return;
	if (p->sign_ns > now) /* the clock was set back */
		p->sign_ns = now;
	if (n != 0 || (congested && p->on))
		switch_on(s, now, 0); /* nobody was there at the last look */
	else if (p->on && now - p->sign_ns > CALM)
		switch_off(s);
}

/* ---- start and end -------------------------------------------------------------- */

void
nfct_repeat_setup(struct nfct *s)
{
	s->repeat.repeats = ctf_metric_new(nfct_ctx(s), "repeats", CTF_COUNTER, CTF_UNIT_NONE,
					   "ends heard before and left out");
	s->repeat.maybe =
		ctf_metric_new(nfct_ctx(s), "maybe_repeated", CTF_COUNTER, CTF_UNIT_NONE,
			       "ends delivered that may have been before");
}

/* The default goes by the table: no more than it holds is ever kept for somebody. */
static uint32_t
room(uint64_t bytes, uint32_t max)
{
	uint64_t keys = bytes / KEYSET_BYTES;

	if (keys == MOST && max && max < keys)
		keys = max;
	return keys > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)keys;
}

int
nfct_repeat_start(struct nfct *s, uint32_t max)
{
	struct nfct_repeat *p = &s->repeat;
	uint64_t now = ctf_now();

	p->on = p->said_hidden = false;
	p->nothers = 0;
	p->most = s->mask & CTF_DESTROY ? room(nfct_conf(s)->repeat_memory, max) : 0;
	s->in.ident = NULL;
	if (p->most) {
		if (getrandom(p->ident.seed, sizeof(p->ident.seed), 0) < 0 ||
		    keyring_init(&p->latest, ring_size(p)) < 0)
			return -ENOMEM;
		p->ident.table = p->latest.table;
		p->ident.mask = p->latest.size - 1;
		s->in.ident = &p->ident;
	}
	nfct_repeat_look(s, now);
	if (p->on) /* one of us before may have had it */
		p->recent.forgotten = now;
	return 0;
}

void
nfct_repeat_stop(struct nfct *s)
{
	keyset_free(&s->repeat.recent);
	keyring_free(&s->repeat.latest);
	s->in.ident = NULL;
	s->repeat.most = 0;
}

/* ---- a successor ---------------------------------------------------------------- */

struct saved { /* the keys follow */
	char magic[8];
	uint64_t n, newest, forgotten;
	uint64_t seed[2][CT_IDENT_WORDS + 1];
};

static const char magic[8] = "ctkeys1";

static uint32_t
known(const struct nfct_repeat *p)
{
	return p->on ? p->recent.n : keyring_count(&p->latest);
}

static struct saved
header(const struct nfct_repeat *p)
{
	struct saved h = { 0 };

	memcpy(h.magic, magic, sizeof(magic));
	memcpy(h.seed, p->ident.seed, sizeof(h.seed));
	h.n = known(p);
	h.newest = p->on ? keyset_newest(&p->recent) : p->latest.ns;
	h.forgotten = p->on ? p->recent.forgotten : 0;
	if (h.n > NFCT_LEFT_KEYS) {
		h.n = NFCT_LEFT_KEYS;
		h.forgotten = h.newest;
	}
	return h;
}

size_t
nfct_repeat_save(const struct nfct *s, void *to, size_t size)
{
	const struct nfct_repeat *p = &s->repeat;
	struct saved h = header(p);
	size_t len = p->most ? sizeof(h) + h.n * sizeof(uint64_t) : 0;
	uint32_t skip;

	if (!len || len > size)
		return len;
	memcpy(to, &h, sizeof(h));
	skip = known(p) - (uint32_t)h.n;
	for (uint32_t i = 0; i < h.n; i++) {
		uint64_t key = p->on ? keyset_nth(&p->recent, skip + i)
				     : keyring_nth(&p->latest, skip + i);

		memcpy((char *)to + sizeof(h) + i * sizeof(key), &key, sizeof(key));
	}
	return len;
}

/*
 * Keys are worth nothing without the seed they were made with.  They go to the
 * set, whatever they were in: repeats may come before the first look.
 */
static int
take(struct nfct_repeat *p, const struct saved *h, const char *keys)
{
	uint64_t skip = h->n > p->most ? h->n - p->most : 0, room = h->n - skip;

	keyset_free(&p->recent);
	p->on = false;
	if (keyset_init(&p->recent, room > ring_size(p) ? (uint32_t)room : ring_size(p)) < 0)
		return -ENOMEM;
	memcpy(p->ident.seed, h->seed, sizeof(h->seed));
	for (uint64_t i = skip; i < h->n; i++) {
		uint64_t key;

		memcpy(&key, keys + i * sizeof(key), sizeof(key));
		if (key)
			(void)keyset_add(&p->recent, key, h->newest);
	}
	p->recent.forgotten = skip ? h->newest : h->forgotten;
	p->on = true;
	p->sign_ns = ctf_now();
	return 0;
}

int
nfct_repeat_load(struct nfct *s, const void *from, size_t size)
{
	struct nfct_repeat *p = &s->repeat;
	struct saved h;

	if (size < sizeof(h))
		return -EINVAL;
	memcpy(&h, from, sizeof(h));
	if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.n > UINT32_MAX / 4 ||
	    size != sizeof(h) + h.n * sizeof(uint64_t))
		return -EINVAL;
	if (!p->most)
		return 0;
	if (p->recent.n || p->latest.n)
		return -EINVAL;
	return take(p, &h, (const char *)from + sizeof(h));
}
