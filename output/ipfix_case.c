/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_case.c - records that have the same fields as one before.
 *
 * Which fields a record has decides about nearly everything else, and there
 * are few combinations.  So for the first record of each it is worked out
 * which templates come into question and where each value stands; the others
 * are written without asking for every element whether it is there, and in one
 * loop for each kind of value instead of a jump per element.
 */
#include "ipfix.h"

#include <endian.h>
#include <sys/socket.h>

/* ---- learning ------------------------------------------------------------------ */

static unsigned
len_of(enum ipfix_step_kind kind)
{
	switch (kind) {
	case NUM8:
	case MSEC:
	case NTP:
		return 8;
	case NUM4:
	case ADDR4:
		return 4;
	case NUM2:
	case ICMP:
		return 2;
	case ADDR16:
		return 16;
	default:
		return 1;
	}
}

static enum ipfix_move_kind
fixed(unsigned len)
{
	return len == 8 ? MOVE_FIX8 : len == 4 ? MOVE_FIX4 : len == 2 ? MOVE_FIX2 : MOVE_FIX1;
}

/* Of a step, for records that have the same fields as r. */
static enum ipfix_move_kind
move_of(const struct ipfix_step *s, const struct ctf_rec *r, struct ipfix_move *ret_move)
{
	bool there = s->kind != CONST && ctf_has(r, s->a);

	ret_move->a = s->a;
	ret_move->b = s->b;
	switch ((enum ipfix_step_kind)s->kind) {
	case MSEC:
	case NTP:
		if (!there)
			ret_move->a = s->b;
		return s->kind == MSEC ? MOVE_MSEC : MOVE_NTP;
	case ADDR4:
		return MOVE_ADDR4;
	case ADDR16:
		return MOVE_ADDR16;
	case ICMP:
		return MOVE_ICMP;
	case CONST:
		ret_move->b = s->a;
		return MOVE_FIX1;
	default:
		break;
	}
	return there ? MOVE_NUM8 + (s->kind - NUM8) : fixed(len_of(s->kind));
}

/* An odd one is written twice: that is less than to ask for the end each time. */
static void
resolve(struct ipfix_moves *m, const struct ipfix_program *p, const struct ctf_rec *r)
{
	unsigned n = 0;

	m->id = p->id;
	m->len = p->len;
	for (unsigned kind = 0; kind < MOVE_KINDS; kind++) {
		unsigned at = 0;

		for (unsigned i = 0; i < p->n; at += len_of(p->step[i++].kind)) {
			struct ipfix_move one = { .at = (uint16_t)at };

			if (move_of(&p->step[i], r, &one) != kind)
				continue;
			one.from = (uint16_t)(offsetof(struct ctf_rec, v) +
					      one.a * sizeof(union ctf_val));
			m->move[n++] = one;
		}
		if (n % 2) {
			m->move[n] = m->move[n - 1];
			n++;
		}
		m->end[kind] = (uint8_t)n;
	}
}

static void
add_pair(struct ipfix_case *k, const struct ctf_rec *r, ctf_ref a, ctf_ref b)
{
	if (!ctf_has(r, a) && !ctf_has(r, b))
		return;
	k->pair[k->pairs].a = ctf_has(r, a) ? a : CTF_NONE;
	k->pair[k->pairs++].b = ctf_has(r, b) ? b : CTF_NONE;
}

static void
learn(struct ipfix_case *k, const struct ipfix_programs *ps, const struct ctf_rec *r)
{
	const struct ipfix_refs *f = &ps->refs;
	unsigned shape = ipfix_shape_of(f, r, false), v = ipfix_variant_of(f, r);

	memcpy(k->set, r->set, sizeof(k->set));
	k->family = r->family;
	k->kind = r->kind;
	k->reply = ctf_has(r, f->rsaddr) && ctf_has(r, f->rdaddr);
	k->pairs = 0;
	add_pair(k, r, f->sport, f->rdport);
	add_pair(k, r, f->dport, f->rsport);
	add_pair(k, r, f->icmp_id, f->ricmp_id);
	resolve(&k->plain, &ps->of[v][shape], r);
	resolve(&k->nat, &ps->of[v][shape + IPFIX_V4_NAT - IPFIX_V4], r);
}

static bool
is_of(const struct ipfix_case *k, const struct ctf_rec *r)
{
	return k->set[0] == r->set[0] && k->set[1] == r->set[1] && k->family == r->family &&
	       k->kind == r->kind;
}

/* Of another case than the record before. */
static __attribute__((noinline)) const struct ipfix_case *
find_other(struct ipfix_programs *ps, const struct ctf_rec *r)
{
	for (unsigned i = 0; i < ps->ncases; i++)
		if (is_of(&ps->cases[i], r))
			return &ps->cases[ps->last = i];
	if (ps->ncases < IPFIX_CASES)
		ps->last = ps->ncases++;
	else
		ps->last = ps->oldest++ % IPFIX_CASES;
	learn(&ps->cases[ps->last], ps, r);
	return &ps->cases[ps->last];
}

static inline const struct ipfix_case *
find(struct ipfix_programs *ps, const struct ctf_rec *r)
{
	if (ps->ncases && is_of(&ps->cases[ps->last], r))
		return &ps->cases[ps->last];
	return find_other(ps, r);
}

/* ---- which template ------------------------------------------------------------ */

static bool
same_addr(const struct ctf_rec *r, ctf_ref a, ctf_ref b)
{
	if (r->family == AF_INET6)
		return memcmp(r->v[a].ip, r->v[b].ip, 16) == 0;
	return memcmp(r->v[a].ip, r->v[b].ip, 4) == 0;
}

static uint64_t
num(const struct ctf_rec *r, ctf_ref f)
{
	return f == CTF_NONE ? 0 : ctf_num(r, f);
}

/* The reply tuple is not the original one turned round. */
static bool
translated(const struct ipfix_case *k, const struct ipfix_refs *f, const struct ctf_rec *r)
{
	if (!k->reply)
		return false;
	if (!same_addr(r, f->saddr, f->rdaddr) || !same_addr(r, f->daddr, f->rsaddr))
		return true;
	for (unsigned i = 0; i < k->pairs; i++)
		if (num(r, k->pair[i].a) != num(r, k->pair[i].b))
			return true;
	return false;
}

const struct ipfix_moves *
ipfix_case(struct ipfix_programs *ps, const struct ctf_rec *r)
{
	const struct ipfix_case *k = find(ps, r);

	return translated(k, &ps->refs, r) ? &k->nat : &k->plain;
}

/* ---- writing ------------------------------------------------------------------- */

static inline uint64_t
value(const struct ipfix_move *m, const struct ctf_rec *r)
{
	uint64_t x;

	memcpy(&x, (const uint8_t *)r + m->from, 8);
	return x;
}

static inline void
put8(uint8_t *p, uint64_t x)
{
	x = htobe64(x);
	memcpy(p, &x, 8);
}

static inline void
put4(uint8_t *p, uint64_t x)
{
	uint32_t be = htobe32((uint32_t)x);

	memcpy(p, &be, 4);
}

static inline void
put2(uint8_t *p, uint64_t x)
{
	uint16_t be = htobe16((uint16_t)x);

	memcpy(p, &be, 2);
}

static inline void
put_ip(uint8_t *p, const struct ipfix_move *m, const struct ctf_rec *r, size_t len)
{
	memcpy(p, (const uint8_t *)r + m->from, len);
}

static inline uint64_t
icmp(const struct ctf_rec *r, const struct ipfix_move *m)
{
	return value(m, r) << 8 | (ctf_num_or(r, (ctf_ref)m->b, 0) & 0xff);
}

/* m goes on from kind to kind; `write` is of the move `x`. */
#define EACH(kind, write) \
	for (const struct ipfix_move *end = all->move + all->end[kind]; m != end; m += 2) { \
		const struct ipfix_move *x = m; \
\
		write; \
		x = m + 1; \
		write; \
	}

static __attribute__((noinline)) void
write_unusual(const struct ipfix_moves *all, const struct ctf_rec *r, uint8_t *out)
{
	const struct ipfix_move *m = all->move + all->end[MOVE_USUAL - 1];

	EACH(MOVE_FIX8, put8(out + x->at, x->b))
	EACH(MOVE_FIX2, put2(out + x->at, x->b))
	EACH(MOVE_NTP, put8(out + x->at, ipfix_ntp(value(x, r))))
	EACH(MOVE_ADDR16, put_ip(out + x->at, x, r, 16))
	EACH(MOVE_ICMP, put2(out + x->at, icmp(r, x)))
}

void
ipfix_write(const struct ipfix_moves *all, const struct ctf_rec *r, uint8_t *out)
{
	const struct ipfix_move *m = all->move;

	EACH(MOVE_NUM8, put8(out + x->at, value(x, r)))
	EACH(MOVE_NUM4, put4(out + x->at, value(x, r)))
	EACH(MOVE_NUM2, put2(out + x->at, value(x, r)))
	EACH(MOVE_NUM1, out[x->at] = (uint8_t)value(x, r))
	EACH(MOVE_MSEC, put8(out + x->at, value(x, r) / 1000000))
	EACH(MOVE_ADDR4, put_ip(out + x->at, x, r, 4))
	EACH(MOVE_FIX4, put4(out + x->at, x->b))
	EACH(MOVE_FIX1, out[x->at] = (uint8_t)x->b)
	if (all->end[MOVE_USUAL - 1] != all->end[MOVE_KINDS - 1])
		write_unusual(all, r, out);
}
