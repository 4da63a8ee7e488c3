/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_ns_left.c - the namespaces one process knew, for the next one: those
 * that are gone by then ended without a word.
 *
 * They stand in the state page, so that they are known after a crash too; a
 * hand-over leaves the same once more, as there may be no such page.
 */
#include "nfct.h"

#include <stdatomic.h>
#include <stdio.h>

#define LEFT 1u /* the layout */
#define MOST 512u
#define NAME 48u
#define PART "namespaces"

struct entry {
	int32_t nsid;
	char name[NAME]; /* "": none; the end of a longer one is missing */
	uint64_t ino;    /* 0: not known */
	uint64_t heard_ns;
};

struct nfct_ns_left {
	uint32_t version;
	_Atomic uint32_t n;
	uint64_t own_ino; /* ids are those of this namespace */
	struct entry known[MOST];
};

/* ---- what we leave ---------------------------------------------------------- */

static void
fill(struct entry *e, const struct nfct_ns_known *k)
{
	size_t len = k->name ? strlen(k->name) : 0;

	memset(e, 0, sizeof(*e)); /* compared as a whole */
	e->nsid = k->nsid;
	e->ino = k->ino;
	e->heard_ns = k->heard_ns;
	if (len)
		memcpy(e->name, k->name, len < NAME ? len : NAME - 1);
}

/* The page may be a file's: only what is new is written. */
void
nfct_ns_note(struct nfct_ns *ns)
{
	struct nfct_ns_left *to = ns->left;
	uint32_t n = 0;

	if (!to)
		return;
	for (unsigned i = 0; i < ns->n && n < MOST; i++) {
		struct entry e;

		if (ns->known[i].own)
			continue;
		fill(&e, &ns->known[i]);
		if (memcmp(&to->known[n], &e, sizeof(e)) != 0) {
			if (to->known[n].nsid != e.nsid && atomic_load(&to->n) > n)
				atomic_store(&to->n, n); /* whole, whenever we die */
			to->known[n] = e;
		}
		n++;
	}
	if (to->version != LEFT || to->own_ino != ns->own_ino) {
		to->version = LEFT;
		to->own_ino = ns->own_ino;
	}
	if (atomic_load(&to->n) != n)
		atomic_store(&to->n, n);
}

int
nfct_ns_leave(struct nfct *s, struct ctf_legacy *to)
{
	if (!s->ns.left)
		return 0;
	nfct_ns_note(&s->ns);
	return ctf_leave_bytes(to, PART, s->ns.left, sizeof(*s->ns.left));
}

/* ---- what was left to us ------------------------------------------------------ */

/* After a clean stop nobody was meant to listen; ids end with the machine. */
static const struct nfct_ns_left *
left_to(struct nfct *s, bool kept)
{
	const struct nfct_ns_left *l = s->ns.left;
	struct ctf_earlier e = ctf_earlier(nfct_ctx(s));
	const void *p;
	size_t n;

	if (s->hand.inherited && ctf_inherit_bytes(nfct_ctx(s), PART, &p, &n) == 0 &&
	    n == sizeof(*l))
		l = p;
	else if (!kept || !e.same_boot || e.ended == CTF_ENDED_CLEAN)
		return NULL;
	return l->version == LEFT && l->own_ino == s->ns.own_ino ? l : NULL;
}

/* An id is given again as soon as it is free. */
static bool
another(const struct nfct_ns_known *k, const struct entry *e)
{
	if (k->ino && e->ino && k->ino != e->ino)
		return true;
	return k->name && e->name[0] && strncmp(k->name, e->name, NAME - 1) != 0;
}

static void
recall(struct nfct *s, const struct entry *e, bool listed)
{
	struct nfct_ns_known *k = nfct_ns_find(&s->ns, e->nsid);
	uint64_t now = ctf_now(), heard = e->heard_ns < now ? e->heard_ns : now;
	char name[NAME];

	snprintf(name, sizeof(name), "%.*s", (int)NAME - 1, e->name);
	if (k && k->own)
		return;
	if (k && another(k, e)) {
		struct nfct_ns_known was = *k;

		was.name = name[0] ? name : NULL;
		was.heard_ns = heard;
		nfct_ns_say_gone(s, &was);
		return;
	}
	if (!k) {
		k = nfct_ns_get(&s->ns, e->nsid, heard);
		if (!k)
			return;
		k->gone = listed;
		s->ns.some_gone |= listed;
		k->name = name[0] ? strdup(name) : NULL;
	}
	k->heard_ns = heard;
}

void
nfct_ns_recall(struct nfct *s, bool listed)
{
	const struct nfct_ns_left *l;
	bool kept = false;

	s->ns.left = ctf_state(nfct_ctx(s), PART, sizeof(*l), &kept);
	l = s->ns.left ? left_to(s, kept) : NULL;
	for (uint32_t i = 0; l && i < MOST && i < l->n; i++)
		if (l->known[i].nsid >= 0)
			recall(s, &l->known[i], listed);
	nfct_ns_note(&s->ns);
}
