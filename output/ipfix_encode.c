/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_encode.c - records into the data sets of a message.
 *
 * Each template is compiled once into steps that name slots (ipfix_program.c),
 * and a record is written by running them: a few tens of nanoseconds, where libfixbuf's
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

#define NSEC UINT64_C(1000000000)
#define NTP_EPOCH UINT64_C(2208988800) /* seconds from 1900 to 1970 */

enum { V_VERSION = 0, V_LENGTH = 2, V_TIME = 4, V_SEQUENCE = 8, V_DOMAIN = 12 };

#define SEEN_REPLY 2u /* of ct.status: IPS_SEEN_REPLY */

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

uint64_t
ipfix_ntp(uint64_t ns)
{
	uint64_t sec = ns / NSEC + NTP_EPOCH, frac = ns % NSEC;

	return sec << 32 | ((frac << 32) + NSEC - 1) / NSEC;
}

/* When an event was made, as far as is known. */
static uint64_t
when(const struct ctf_rec *r, ctf_ref event, ctf_ref destroy)
{
	return ctf_num_or(r, event, ctf_num_or(r, destroy, r->rx_ns));
}

/* Of an answer to a query of that type; anything else has none. */
static unsigned
answer_of(unsigned type, bool v6)
{
	if (v6)
		return type == 128 ? 129 : type == 129 ? 128 : type == 139 ? 140 : type;
	switch (type) {
	case 8:
		return 0;
	case 0:
		return 8;
	case 13:
	case 15:
	case 17:
		return type + 1;
	}
	return type;
}

static uint64_t
icmp_back(const struct ctf_rec *r, const struct ipfix_step *s, bool v6)
{
	return answer_of((unsigned)ctf_num(r, s->a) & 0xff, v6) << 8 |
	       (ctf_num_or(r, s->b, 0) & 0xff);
}

static uint64_t
by_event(const struct ctf_rec *r, uint8_t first, uint8_t last)
{
	return r->event == CTF_NEW ? first : last;
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
	switch ((enum ipfix_step_kind)s->kind) {
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
	case NTP:
		return put8(out, ipfix_ntp(ctf_num(r, ctf_has(r, s->a) ? s->a : s->b)));
	case WHEN_MSEC:
		return put8(out, when(r, s->a, s->b) / 1000000);
	case WHEN_NTP:
		return put8(out, ipfix_ntp(when(r, s->a, s->b)));
	case ADDR4:
		return put_addr(out, r->v[s->a].ip, 4);
	case ADDR16:
		return put_addr(out, r->v[s->a].ip, 16);
	case ICMP:
		return put2(out, ctf_num(r, s->a) << 8 | (ctf_num_or(r, s->b, 0) & 0xff));
	case ICMP_BACK:
	case ICMP6_BACK:
		return put2(out, icmp_back(r, s, s->kind == ICMP6_BACK));
	case BY_EVENT:
		return put1(out, by_event(r, s->a, s->b));
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

enum ipfix_shape
ipfix_shape_of(const struct ipfix_refs *f, const struct ctf_rec *r, bool is_nat)
{
	bool v6 = r->family == AF_INET6;
	unsigned nat = is_nat ? IPFIX_V4_NAT - IPFIX_V4 : 0;

	if (ctf_has(r, v6 ? f->icmp6_type : f->icmp_type))
		return (v6 ? IPFIX_ICMP6 : IPFIX_ICMP4) + nat;
	return (v6 ? IPFIX_V6 : IPFIX_V4) + nat;
}

enum ipfix_variant
ipfix_variant_of(const struct ipfix_refs *f, const struct ctf_rec *r)
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

/* Until it is finished, the header's time holds the number of records. */
static inline void
count_one(struct ctf_frame *f)
{
	uint32_t n;

	memcpy(&n, f->p + V_TIME, sizeof(n));
	n++;
	memcpy(f->p + V_TIME, &n, sizeof(n));
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
	count_one(f);
	p = f->p + at;
	f->len = at + n;
	set = ipfix_get32(f->p + V_SEQUENCE);
	ipfix_put16(f->p + set + 2, (uint16_t)(f->len - set));
	return p;
}

/* Packets came back, as far as the record can tell. */
static bool
answered(const struct ipfix_refs *f, const struct ctf_rec *r)
{
	if (ctf_has(r, f->rpackets))
		return ctf_num(r, f->rpackets) > 0;
	return ctf_num_or(r, f->status, 0) & SEEN_REPLY;
}

#define MOST 3u /* records made of one */

/* The records one is to become; returns how many. */
static unsigned
choose(const struct ipfix_programs *ps, const struct ctf_rec *r,
       const struct ipfix_program *ret_list[MOST])
{
	const struct ipfix_refs *f = &ps->refs;
	bool happens = r->kind == CTF_EVENT || r->kind == CTF_EXTRA;
	bool flow = ps->form.flows && (!happens || r->event == CTF_DESTROY);
	enum ipfix_shape shape = ipfix_shape_of(f, r, translated(f, r));
	unsigned n = 0;

	if (flow) {
		enum ipfix_variant v = ipfix_variant_of(f, r);

		ret_list[n++] = &ps->of[v][shape];
		if (ps->form.uniflow && answered(f, r))
			ret_list[n++] = &ps->back[v][shape];
	}
	if (ps->form.nat_events && happens && r->event != CTF_UPDATE &&
	    (shape == IPFIX_V4_NAT || shape == IPFIX_ICMP4_NAT))
		ret_list[n++] = &ps->nat[shape == IPFIX_ICMP4_NAT];
	if (happens &&
	    (r->event == CTF_NEW
		     ? ps->form.flow_events != IPFIX_NO_EVENTS
		     : r->event == CTF_UPDATE && ps->form.flow_events == IPFIX_EVENTS_MORE))
		ret_list[n++] = &ps->event[r->family == AF_INET6];
	return n;
}

/* All of them or none.  Apart, so that what is usual need not save so many registers. */
static __attribute__((noinline)) enum ctf_put
append_all(const struct ipfix_programs *ps, const struct ctf_rec *r, struct ctf_frame *f)
{
	const struct ipfix_program *list[MOST];
	unsigned n = choose(ps, r, list);
	uint32_t need = f->len ? f->len : IPFIX_HEADER;

	for (unsigned i = 0; i < n; i++)
		need += IPFIX_SET + list[i]->len;
	if (need > f->cap)
		return CTF_FULL;
	for (unsigned i = 0; i < n; i++)
		run(list[i], r, ipfix_room(f, list[i]->id, list[i]->len));
	return n ? CTF_OK : CTF_SKIP;
}

enum ctf_put
ipfix_append(struct ipfix_programs *ps, const struct ctf_rec *r, struct ctf_frame *f)
{
	const struct ipfix_moves *m;
	uint8_t *out;

	if (!ps->plain)
		return append_all(ps, r, f);
	if (r->event != CTF_DESTROY && r->kind == CTF_EVENT) /* not a flow yet */
		return CTF_SKIP;
	m = ipfix_case(ps, r);
	out = ipfix_room(f, m->id, m->len);
	if (!out)
		return CTF_FULL;
	ipfix_write(m, r, out);
	return CTF_OK;
}

void
ipfix_finish(struct ctf_frame *f)
{
	uint32_t n;

	if (f->len < IPFIX_HEADER)
		return;
	memcpy(&n, f->p + V_TIME, sizeof(n));
	ipfix_put16(f->p + V_VERSION, 10);
	ipfix_put16(f->p + V_LENGTH, (uint16_t)f->len);
	ipfix_put32(f->p + V_TIME, 0);
	ipfix_put32(f->p + V_SEQUENCE, n);
	ipfix_put32(f->p + V_DOMAIN, f->stream);
}
