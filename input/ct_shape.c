/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_shape.c - see ct_shape.h. */
#include "ct_shape.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>

#include "ct_attr.h"

#define GROUP (sizeof(ct_block) * CT_SHAPE_BLOCKS) /* octets */
#define PATIENCE 16u /* messages of another shape before this one is given up */
#define FROM_HEADER \
	(UINT64_C(1) << R_PORTID | UINT64_C(1) << R_NSID | UINT64_C(1) << R_EVENT | \
	 UINT64_C(1) << R_FAMILY | UINT64_C(1) << R_OOB_PROTOCOL)

struct ct_shapes *
ct_shapes_new(void)
{
	return calloc(1, sizeof(struct ct_shapes));
}

void
ct_shapes_free(struct ct_shapes *all)
{
	free(all);
}

static struct ct_shape *
place(struct ct_shapes *all, size_t len)
{
	return &all->of[len / NLA_ALIGNTO % CT_SHAPES];
}

/* ---- what has been learnt ------------------------------------------------------ */

static inline ct_block
load_block(const uint8_t *p)
{
	ct_block x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* What is not as it was, of the structure in a group. */
static inline ct_block
differs(const struct ct_shape_group *g, const uint8_t *msg)
{
	const uint8_t *p = msg + g->at;
	ct_block a = (load_block(p) ^ g->want[0]) & g->mask[0],
		 b = (load_block(p + 16) ^ g->want[1]) & g->mask[1],
		 c = (load_block(p + 32) ^ g->want[2]) & g->mask[2],
		 d = (load_block(p + 48) ^ g->want[3]) & g->mask[3];

	return (a | b) | (c | d);
}

const struct ct_shape *
ct_shape_find(struct ct_shapes *all, const uint8_t *msg, size_t len)
{
	struct ct_shape *s = place(all, len);
	const struct ct_shape_group *g = s->group, *end = g + s->groups;
	ct_block diff = { 0, 0 };

	if (s->len != len)
		return NULL;
	for (; g != end; g++)
		diff |= differs(g, msg);
	if (diff[0] | diff[1])
		return NULL;
	s->misses = 0;
	return s;
}

static inline uint64_t
number(const struct ct_shape_num *n, const uint8_t *msg)
{
	uint64_t x;

	memcpy(&x, msg + n->at, 8);
	return be64toh(x) & n->mask;
}

static inline void
store(void *base, size_t at, uint64_t x)
{
	memcpy((uint8_t *)base + at, &x, 8);
}

/* An IPv4 address, with zeros behind. */
static inline ct_block
load_ip4(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, 4);
	return (ct_block){ htole64(le32toh(x)), 0 };
}

static inline void
put_addr(const struct ct_shape_addr *a, ct_block v, struct ct_raw *w, struct ctf_rec *rec)
{
	memcpy((uint8_t *)w + a->raw, &v, sizeof(v));
	if (a->rec)
		memcpy((uint8_t *)rec + a->rec, &v, sizeof(v));
}

static void
read_addrs(const struct ct_shape *s, const uint8_t *msg, struct ct_raw *w, struct ctf_rec *rec)
{
	const struct ct_shape_addr *a = s->addr, *end = a + s->addrs;

	if (s->family == AF_INET)
		for (; a != end; a++)
			put_addr(a, load_ip4(msg + a->at), w, rec);
	else
		for (; a != end; a++)
			put_addr(a, load_block(msg + a->at), w, rec);
}

void
ct_shape_read(const struct ct_shape *s, const uint8_t *msg, struct ct_raw *w,
	      struct ctf_rec *rec)
{
	const struct ct_shape_num *n = s->num, *end;

	w->event = s->event;
	w->family = s->family;
	w->have = s->have & CT_RAW_USED;
	for (end = s->num + s->end[CT_TO_RAW]; n != end; n += 2) {
		store(w, n[0].raw, number(&n[0], msg));
		store(w, n[1].raw, number(&n[1], msg));
	}
	for (end = s->num + s->end[CT_TO_REC]; n != end; n += 2) {
		store(rec, n[0].rec, number(&n[0], msg));
		store(rec, n[1].rec, number(&n[1], msg));
	}
	for (end = s->num + s->end[CT_TO_BOTH]; n != end; n += 2) {
		uint64_t x = number(&n[0], msg), y = number(&n[1], msg);

		store(w, n[0].raw, x);
		store(rec, n[0].rec, x);
		store(w, n[1].raw, y);
		store(rec, n[1].rec, y);
	}
	read_addrs(s, msg, w, rec);
	rec->set[0] |= s->set[0];
	rec->set[1] |= s->set[1];
}

/* ---- learning -------------------------------------------------------------------- */

struct learner {
	const uint8_t *msg;
	struct ct_shape s;
	uint8_t mask[GROUP * CT_SHAPE_GROUPS]; /* 0xff: structure */
};

/* Where in the two a value goes, in octets. */
static uint16_t
raw_octet(unsigned raw)
{
	return (uint16_t)(offsetof(struct ct_raw, v) + raw * sizeof(union ct_val));
}

static uint16_t
rec_octet(ctf_ref to)
{
	return (uint16_t)(offsetof(struct ctf_rec, v) + to * sizeof(union ctf_val));
}

static bool
learn_num(struct learner *l, unsigned raw, size_t at, size_t len)
{
	struct ct_shape *s = &l->s;
	unsigned i = 0;

	while (i < s->nums && s->num[i].from != raw) /* of two the later one counts */
		i++;
	if (i == CT_SHAPE_NUMS - CT_WAYS)
		return false;
	s->nums = (uint8_t)(i == s->nums ? i + 1 : s->nums);
	s->num[i] = (struct ct_shape_num){ .mask = UINT64_MAX >> (64 - 8 * len),
					   .at = (uint16_t)(at + len - 8),
					   .from = (uint8_t)raw,
					   .to = CTF_NONE };
	s->have |= UINT64_C(1) << raw;
	if (raw == R_ORIG + T_PROTO || raw == R_REPLY + T_PROTO)
		l->mask[at] = 0xff;
	return true;
}

static bool
learn_addr(struct learner *l, unsigned raw, size_t at)
{
	struct ct_shape *s = &l->s;
	unsigned i = 0;

	while (i < s->addrs && s->addr[i].from != raw)
		i++;
	if (i == CT_SHAPE_ADDRS)
		return false;
	s->addrs = (uint8_t)(i == s->addrs ? i + 1 : s->addrs);
	s->addr[i] = (struct ct_shape_addr){
		.at = (uint16_t)at, .raw = raw_octet(raw), .from = (uint8_t)raw, .to = CTF_NONE
	};
	s->have |= UINT64_C(1) << raw;
	return true;
}

static bool learn_level(struct learner *, size_t at, size_t end, const struct ct_nest *,
			unsigned base, uint32_t want);

static bool
learn_attr(struct learner *l, const struct ct_attr_rule *a, size_t at, size_t end,
	   unsigned base)
{
	unsigned n = base + a->raw;

	switch ((enum ct_attr_kind)a->kind) {
	case SKIP:
		return true;
	case NUM:
		return learn_num(l, n, at, a->arg);
	case FLAGS:
		return learn_num(l, n, at, 1);
	case IP4:
	case IP6:
		return learn_addr(l, n, at);
	case NEST:
		return learn_level(l, at, end, &ct_nests[a->arg], n, UINT32_MAX);
	case TEXT:
	case BYTES:
		break; /* borrowed from the message */
	}
	return false;
}

/* Of a message that was walked without complaint: no length is checked again. */
static bool
learn_level(struct learner *l, size_t at, size_t end, const struct ct_nest *t, unsigned base,
	    uint32_t want)
{
	struct nlattr nla;

	for (; at < end; at += NLA_ALIGN((size_t)nla.nla_len)) {
		unsigned type;

		memcpy(&nla, l->msg + at, NLA_HDRLEN);
		memset(l->mask + at, 0xff, NLA_HDRLEN);
		type = nla.nla_type & NLA_TYPE_MASK;
		if (type < t->n && want >> type & 1 &&
		    !learn_attr(l, &t->attr[type], at + NLA_HDRLEN, at + nla.nla_len, base))
			return false;
	}
	return true;
}

/* The zone of the whole entry is that of both tuples. */
static bool
learn_zone(struct learner *l)
{
	for (unsigned i = 0; i < l->s.nums; i++) {
		size_t at = l->s.num[i].at + 6u;

		if (l->s.num[i].from == R_ZONE)
			return learn_num(l, R_ORIG + T_ZONE, at, 2) &&
			       learn_num(l, R_REPLY + T_ZONE, at, 2);
	}
	return true;
}

static bool
set_slot(struct ct_shape *s, unsigned raw, ctf_ref to)
{
	for (unsigned i = 0; i < s->nums; i++) {
		if (s->num[i].from == raw && s->num[i].to == CTF_NONE) {
			s->num[i].to = to;
			return true;
		}
	}
	for (unsigned i = 0; i < s->addrs; i++) {
		if (s->addr[i].from == raw && s->addr[i].to == CTF_NONE) {
			s->addr[i].to = to;
			s->addr[i].rec = rec_octet(to);
			return true;
		}
	}
	return false;
}

/* Which values go to which slots. */
static bool
learn_slots(struct ct_shape *s, const struct ct_plan *plan, unsigned class)
{
	for (unsigned i = 0; i < plan->n; i++) {
		unsigned from = plan->put[i].from;
		ctf_ref to = plan->put[i].to;

		if (!(plan->put[i].only & class))
			continue;
		if (FROM_HEADER >> from & 1) {
			if (s->puts == CT_SHAPE_PUTS)
				return false;
			s->put[s->puts].from = (uint8_t)from;
			s->put[s->puts++].to = to;
		} else if (s->have >> from & 1) {
			if (!set_slot(s, from, to))
				return false;
			s->set[to >> 6] |= UINT64_C(1) << (to & 63);
		}
	}
	return true;
}

/* A value nobody needs goes nowhere. */
static bool
goes(const struct ct_shape_num *n, enum ct_way way)
{
	bool used = CT_RAW_USED >> n->from & 1, wanted = n->to != CTF_NONE;

	return way == CT_TO_BOTH  ? used && wanted
	       : way == CT_TO_RAW ? used && !wanted
				  : wanted && !used;
}

/* By the way they go, and in pairs: an odd one is its own twin. */
static void
sort_nums(struct ct_shape *s)
{
	struct ct_shape all = *s;
	unsigned k = 0;

	for (unsigned way = 0; way < CT_WAYS; way++) {
		for (unsigned i = 0; i < all.nums; i++) {
			struct ct_shape_num *n = &all.num[i];

			if (!goes(n, way))
				continue;
			n->raw = raw_octet(n->from);
			if (n->to != CTF_NONE)
				n->rec = rec_octet(n->to);
			s->num[k++] = *n;
		}
		if (k % 2) {
			s->num[k] = s->num[k - 1];
			k++;
		}
		s->end[way] = (uint8_t)k;
	}
}

static void
learn_groups(struct learner *l)
{
	struct ct_shape *s = &l->s;

	s->groups = (uint8_t)((s->len + GROUP - 1) / GROUP);
	for (unsigned i = 0; i < s->groups; i++) {
		struct ct_shape_group *g = &s->group[i];

		g->at = i + 1u < s->groups ? i * GROUP : s->len - GROUP;
		memcpy(g->mask, l->mask + g->at, GROUP);
		memcpy(g->want, l->msg + g->at, GROUP);
	}
}

void
ct_shape_learn(const struct ct_input *in, const uint8_t *msg, size_t len,
	       const struct ct_raw *w, unsigned class)
{
	const size_t body = NLMSG_HDRLEN + sizeof(struct nfgenmsg);
	struct ct_shape *old = place(in->shapes, len);
	struct learner l = { .msg = msg };

	if (len > sizeof(l.mask) || len < GROUP || (old->len && ++old->misses < PATIENCE))
		return;
	old->misses = 0;
	l.s.len = (uint32_t)len;
	l.s.event = w->event;
	l.s.family = w->family;
	memset(l.mask, 0xff, 8);     /* length, type and flags */
	l.mask[NLMSG_HDRLEN] = 0xff; /* family */
	if (!learn_level(&l, body, len, &ct_top, 0, in->plan.attrs) || !learn_zone(&l) ||
	    l.s.have != (w->have & ~FROM_HEADER) || !learn_slots(&l.s, &in->plan, class))
		return;
	sort_nums(&l.s);
	learn_groups(&l);
	*old = l.s;
}
