/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_bpf_gen.c - see nfct_bpf_gen.h. */
#include "nfct_bpf_gen.h"

#include <arpa/inet.h>

#define PAYLOAD (uint32_t)sizeof(struct nlattr)

enum { M_VALUE }; /* scratch memory */

bpf_place
bpf_put(struct bpf_prog *g, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	g->n++;
	if (g->n <= g->max)
		g->p[g->max - g->n] =
			(struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
	return g->n;
}

bpf_place
bpf_put_k(struct bpf_prog *g, uint16_t code, uint32_t k)
{
	return bpf_put(g, code, 0, 0, k);
}

void
bpf_jump(struct bpf_prog *g, bpf_place to)
{
	if (g->n != to)
		bpf_put_k(g, BPF_JMP | BPF_JA, g->n - to);
}

/* The place itself, or a long jump to it that is in reach: an old one or a new one. */
static bpf_place
reach(struct bpf_prog *g, bpf_place to)
{
	unsigned i;

	if (g->n - to <= UINT8_MAX)
		return to;
	for (i = 0; i < BPF_DETOURS; i++)
		if (g->detour[i].to == to && g->n - g->detour[i].at < UINT8_MAX)
			return g->detour[i].at;
	i = g->ndetours++ % BPF_DETOURS;
	bpf_jump(g, to);
	g->detour[i].at = g->n;
	g->detour[i].to = to;
	return g->n;
}

void
bpf_jump_if(struct bpf_prog *g, uint16_t op, uint32_t k, bpf_place yes, bpf_place no)
{
	/* what one of them puts in between may put the other out of reach */
	for (int i = 0; i < 2; i++) {
		yes = reach(g, yes);
		no = reach(g, no);
	}
	bpf_put(g, (uint16_t)(BPF_JMP | BPF_K | op), (uint8_t)(g->n - yes),
		(uint8_t)(g->n - no), k);
}

void
bpf_load(struct bpf_prog *g, uint16_t size, uint32_t word)
{
	bpf_put_k(g, (uint16_t)(BPF_LD | size | BPF_IND), PAYLOAD + 4 * word);
}

/* ---- sets ---------------------------------------------------------------------- */

/* A value or a range of a 32-bit word. */
struct range {
	uint32_t lo, hi;
	const struct ctf_net6 *net; /* of IPv6: those of nnets that begin so */
	size_t nnets;
};

static void search_net6(struct bpf_prog *g, const struct ctf_net6 *net, size_t n, unsigned word,
			bpf_place yes, bpf_place no);

/* A = the word-th word; goes to yes if it is in the range and what follows fits, too. */
static void
try_range(struct bpf_prog *g, const struct range *r, unsigned word, bpf_place yes, bpf_place no)
{
	if (r->nnets) {
		search_net6(g, r->net, r->nnets, word + 1, yes, no);
		yes = g->n;
	}
	if (r->lo == r->hi) {
		bpf_jump_if(g, BPF_JEQ, r->lo, yes, no);
		return;
	}
	if (r->hi != UINT32_MAX) {
		bpf_jump_if(g, BPF_JGT, r->hi, no, yes);
		yes = g->n;
	}
	if (r->lo) {
		bpf_jump_if(g, BPF_JGE, r->lo, yes, no);
		yes = g->n;
	}
	bpf_jump(g, yes);
}

typedef struct range range_at(const void *set, size_t from, size_t to, size_t *ret_next);

/*
 * The elements from..to of a set, by halves.  at() gives the range that begins
 * with an element, and where the next one begins.
 */
static void
search(struct bpf_prog *g, const void *set, size_t from, size_t to, range_at *at, unsigned word,
       bpf_place yes, bpf_place no)
{
	size_t mid = from, next;
	struct range r;
	bpf_place below, above;

	if (from == to) {
		bpf_jump(g, no);
		return;
	}
	r = at(set, from, to, &next);
	if (next == to) {
		try_range(g, &r, word, yes, no);
		return;
	}
	/* the range around the middle begins the upper half */
	while (next < to && next <= from + (to - from) / 2) {
		mid = next;
		r = at(set, mid, to, &next);
	}
	if (mid == from) {
		mid = next;
		r = at(set, mid, to, &next);
	}
	search(g, set, mid, to, at, word, yes, no);
	above = g->n;
	search(g, set, from, mid, at, word, yes, no);
	below = g->n;
	bpf_jump_if(g, BPF_JGE, r.lo, above, below);
}

static struct range
span_at(const void *set, size_t from, size_t to, size_t *ret_next)
{
	const struct ctf_span *s = (const struct ctf_span *)set + from;

	*ret_next = from + 1;
	return (struct range){ .lo = (uint32_t)s->lo,
			       .hi = s->hi > UINT32_MAX ? UINT32_MAX : (uint32_t)s->hi };
}

/* What no number of 32 bits reaches does not count. */
static size_t
spans_in_reach(const struct ctf_set *s)
{
	size_t n = s->nspans;

	while (n && s->span[n - 1].lo > UINT32_MAX)
		n--;
	return n;
}

void
bpf_judge_number(struct bpf_prog *g, const struct ctf_set *s, bpf_place yes, bpf_place no)
{
	for (size_t i = s->nmasked; i-- > 0;) {
		bpf_jump_if(g, BPF_JEQ, (uint32_t)s->masked[i].value, yes, no);
		bpf_put_k(g, BPF_ALU | BPF_AND | BPF_K, (uint32_t)s->masked[i].mask);
		if (i) /* else it is still in A */
			bpf_put_k(g, BPF_LD | BPF_MEM, M_VALUE);
		no = g->n;
	}
	if (s->nspans || !s->nmasked)
		search(g, s->span, 0, spans_in_reach(s), span_at, 0, yes, no);
	if (s->nmasked)
		bpf_put_k(g, BPF_ST, M_VALUE);
}

static uint32_t
word_of(const struct ctf_net6 *net, unsigned word)
{
	uint32_t w;

	memcpy(&w, net->ip + 4 * word, sizeof(w));
	return ntohl(w);
}

/* Of prefixes that are equal up to this word: those that end in it, or go on. */
struct nets {
	const struct ctf_net6 *net;
	unsigned word;
};

static struct range
net_at(const void *set, size_t from, size_t to, size_t *ret_next)
{
	const struct nets *s = set;
	const struct ctf_net6 *net = s->net + from;
	uint32_t w = word_of(net, s->word);
	unsigned bits = net->len - 32 * s->word;
	size_t next = from + 1;

	if (bits <= 32) {
		*ret_next = next;
		return (struct range){ .lo = w,
				       .hi = bits == 32 ? w : w | (UINT32_MAX >> bits) };
	}
	while (next < to && word_of(s->net + next, s->word) == w)
		next++;
	*ret_next = next;
	return (struct range){ .lo = w, .hi = w, .net = net, .nnets = next - from };
}

/* X = the attribute with the address, which fits up to this word. */
static void
search_net6(struct bpf_prog *g, const struct ctf_net6 *net, size_t n, unsigned word,
	    bpf_place yes, bpf_place no)
{
	struct nets set = { net, word };

	search(g, &set, 0, n, net_at, word, yes, no);
	bpf_load(g, BPF_W, word);
}

void
bpf_judge_ip4(struct bpf_prog *g, const struct ctf_set *s, bpf_place yes, bpf_place no)
{
	search(g, s->span, 0, s->nspans, span_at, 0, yes, no);
	bpf_load(g, BPF_W, 0);
}

void
bpf_judge_ip6(struct bpf_prog *g, const struct ctf_set *s, bpf_place yes, bpf_place no)
{
	search_net6(g, s->net6, s->nnets6, 0, yes, no);
}
