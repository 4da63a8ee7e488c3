/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_encode.c - records into the data sets of a message.
 *
 * Each template is compiled once into steps that name slots, and a record is
 * written by running them: a few tens of nanoseconds, where libfixbuf's
 * general transcoder takes some 180 for the same bytes.  The tests decode
 * what comes out with libfixbuf.
 *
 * A message is built in place.  Until it is finished, the header's sequence
 * number (which belongs to delivery) holds the offset of the open set; so an
 * encoder with a message open for each of many streams keeps no state.  From
 * then on it holds the number of data records, by which the sequence advances.
 */
#include "ipfix.h"

#include <endian.h>
#include <sys/socket.h>

enum { V_VERSION = 0, V_LENGTH = 2, V_TIME = 4, V_SEQUENCE = 8, V_DOMAIN = 12 };

/* How and how long in one, so that a step costs one jump. */
enum step_kind { NUM8, NUM4, NUM2, NUM1, MSEC, ADDR4, ADDR16, ICMP, CONST };

static uint8_t
kind_of(const struct ipfix_elem *e)
{
	switch (e->op) {
	case IPFIX_MSEC:
		return MSEC;
	case IPFIX_ADDR:
		return e->len == 4 ? ADDR4 : ADDR16;
	case IPFIX_ICMP:
		return ICMP;
	case IPFIX_CONST:
		return CONST;
	}
	return e->len == 8 ? NUM8 : e->len == 4 ? NUM4 : e->len == 2 ? NUM2 : NUM1;
}

static uint8_t
ref_at(const struct ipfix_refs *refs, unsigned off)
{
	return ((const uint8_t *)refs)[off];
}

static void
compile(struct ipfix_program *p, const struct ipfix_template *t, const struct ipfix_refs *refs)
{
	p->id = t->id;
	p->len = t->len;
	p->n = t->n;
	for (unsigned i = 0; i < t->n; i++) {
		const struct ipfix_elem *e = &t->elem[i];
		struct ipfix_step *s = &p->step[i];

		s->kind = kind_of(e);
		s->a = e->op == IPFIX_CONST ? e->a : ref_at(refs, e->a);
		s->b = e->op == IPFIX_ICMP || e->op == IPFIX_MSEC ? ref_at(refs, e->b) : e->b;
	}
}

void
ipfix_programs_make(struct ipfix_programs *ps, bool own)
{
	struct ipfix_template t;

	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned s = 0; s < IPFIX_SHAPES; s++) {
			ipfix_template(&t, v, s, own);
			compile(&ps->of[v][s], &t, &ps->refs);
		}
}

static inline uint8_t *
put8(uint8_t *p, uint64_t x)
{
	x = htobe64(x);
	memcpy(p, &x, 8);
	return p + 8;
}

static inline uint8_t *
put4(uint8_t *p, uint64_t x)
{
	uint32_t be = htobe32((uint32_t)x);

	memcpy(p, &be, 4);
	return p + 4;
}

static inline uint8_t *
put2(uint8_t *p, uint64_t x)
{
	uint16_t be = htobe16((uint16_t)x);

	memcpy(p, &be, 2);
	return p + 2;
}

static inline uint8_t *
put1(uint8_t *p, uint64_t x)
{
	*p = (uint8_t)x;
	return p + 1;
}

static inline uint8_t *
put_addr(uint8_t *p, const uint8_t *ip, size_t len)
{
	memcpy(p, ip, len);
	return p + len;
}

static inline uint8_t *
put_step(uint8_t *out, const struct ipfix_step *s, const struct ctf_rec *r)
{
	switch ((enum step_kind)s->kind) {
	case NUM8:
		return put8(out, ctf_num_or(r, s->a, s->b));
	case NUM4:
		return put4(out, ctf_num_or(r, s->a, s->b));
	case NUM2:
		return put2(out, ctf_num_or(r, s->a, s->b));
	case NUM1:
		return put1(out, ctf_num_or(r, s->a, s->b));
	case MSEC:
		return put8(out, ctf_num(r, ctf_has(r, s->a) ? s->a : s->b) / 1000000);
	case ADDR4:
		return put_addr(out, r->v[s->a].ip, 4);
	case ADDR16:
		return put_addr(out, r->v[s->a].ip, 16);
	case ICMP:
		return put2(out, ctf_num(r, s->a) << 8 | (ctf_num_or(r, s->b, 0) & 0xff));
	case CONST:
		break;
	}
	return put1(out, s->a);
}

static void
run(const struct ipfix_program *p, const struct ctf_rec *r, uint8_t *out)
{
	for (const struct ipfix_step *s = p->step, *end = s + p->n; s < end; s++)
		out = put_step(out, s, r);
}

static bool
same_addr(const struct ctf_rec *r, ctf_ref a, ctf_ref b)
{
	if (r->family == AF_INET6)
		return memcmp(r->v[a].ip, r->v[b].ip, 16) == 0;
	return memcmp(r->v[a].ip, r->v[b].ip, 4) == 0;
}

static bool
same_num(const struct ctf_rec *r, ctf_ref a, ctf_ref b)
{
	return ctf_num_or(r, a, 0) == ctf_num_or(r, b, 0);
}

/* The reply tuple is not the original one turned round. */
static bool
translated(const struct ipfix_refs *f, const struct ctf_rec *r)
{
	if (!ctf_has(r, f->rsaddr) || !ctf_has(r, f->rdaddr))
		return false;
	return !same_addr(r, f->saddr, f->rdaddr) || !same_addr(r, f->daddr, f->rsaddr) ||
	       !same_num(r, f->sport, f->rdport) || !same_num(r, f->dport, f->rsport) ||
	       !same_num(r, f->icmp_id, f->ricmp_id);
}

static enum ipfix_shape
shape_of(const struct ipfix_refs *f, const struct ctf_rec *r)
{
	bool v6 = r->family == AF_INET6;
	unsigned nat = translated(f, r) ? IPFIX_V4_NAT - IPFIX_V4 : 0;

	if (ctf_has(r, v6 ? f->icmp6_type : f->icmp_type))
		return (v6 ? IPFIX_ICMP6 : IPFIX_ICMP4) + nat;
	return (v6 ? IPFIX_V6 : IPFIX_V4) + nat;
}

static enum ipfix_variant
variant_of(const struct ipfix_refs *f, const struct ctf_rec *r)
{
	bool counted = ctf_has(r, f->bytes) && ctf_has(r, f->packets) &&
		       ctf_has(r, f->rbytes) && ctf_has(r, f->rpackets);
	unsigned v = counted ? IPFIX_ALL : IPFIX_NO_COUNTERS;

	if (counted && r->kind == CTF_COUNTERS)
		v = IPFIX_TOTALS;
	if (!ctf_has(r, f->last))
		return v + IPFIX_NO_TIMES;
	return ctf_has(r, f->start) || ctf_has(r, f->slice) ? v : v + IPFIX_NO_START;
}

/* The open set is one of this template: the record goes in there. */
static bool
set_is_open(const struct ctf_frame *f, uint16_t id)
{
	return f->len && ipfix_get16(f->p + ipfix_get32(f->p + V_SEQUENCE)) == id;
}

uint8_t *
ipfix_room(struct ctf_frame *f, uint16_t id, uint32_t n)
{
	bool open = set_is_open(f, id);
	uint32_t at = f->len ? f->len : IPFIX_HEADER, set;
	uint8_t *p;

	if (f->cap < at || f->cap - at < n + (open ? 0 : IPFIX_SET))
		return NULL;
	if (!f->len)
		memset(f->p, 0, IPFIX_HEADER);
	if (!open) {
		ipfix_put32(f->p + V_SEQUENCE, at);
		ipfix_put16(f->p + at, id);
		at += IPFIX_SET;
	}
	p = f->p + at;
	f->len = at + n;
	set = ipfix_get32(f->p + V_SEQUENCE);
	ipfix_put16(f->p + set + 2, (uint16_t)(f->len - set));
	return p;
}

enum ctf_put
ipfix_append(const struct ipfix_programs *ps, const struct ctf_rec *r, struct ctf_frame *f)
{
	const struct ipfix_refs *refs = &ps->refs;
	const struct ipfix_program *p;
	uint8_t *out;

	if (!ctf_has(r, refs->saddr) || !ctf_has(r, refs->daddr) || !ctf_has(r, refs->proto))
		return CTF_SKIP;
	p = &ps->of[variant_of(refs, r)][shape_of(refs, r)];
	out = ipfix_room(f, p->id, p->len);
	if (!out)
		return CTF_FULL;
	run(p, r, out);
	return CTF_OK;
}

void
ipfix_finish(struct ctf_frame *f)
{
	if (f->len < IPFIX_HEADER)
		return;
	ipfix_put16(f->p + V_VERSION, 10);
	ipfix_put16(f->p + V_LENGTH, (uint16_t)f->len);
	ipfix_put32(f->p + V_TIME, 0);
	/* what stands aside is one options record */
	ipfix_put32(f->p + V_SEQUENCE, f->recs ? f->recs : 1);
	ipfix_put32(f->p + V_DOMAIN, f->stream);
}
