/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_shape.c - see ct_shape.h. */
#include "ct_shape.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>

#include "ct_attr.h"

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

const struct ct_shape *
ct_shape_find(struct ct_shapes *all, const uint8_t *msg, size_t len)
{
	struct ct_shape *s = place(all, len);
	ct_block x, diff = { 0, 0 };

	if (s->len != len)
		return NULL;
	for (unsigned i = 0; i < s->blocks; i++) {
		memcpy(&x, msg + sizeof(x) * i, sizeof(x));
		diff |= (x ^ s->want[i]) & s->mask[i];
	}
	memcpy(&x, msg + len - sizeof(x), sizeof(x));
	diff |= (x ^ s->want[s->blocks]) & s->mask[s->blocks];
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

static void
read_addr(const struct ct_shape_addr *a, const uint8_t *msg, size_t len, struct ct_raw *w,
	  struct ctf_rec *rec)
{
	union ct_val v = { .q = { 0, 0 } };

	memcpy(&v, msg + a->at, len);
	w->v[a->raw] = v;
	if (a->to != CTF_NONE)
		rec->v[a->to] = v.val;
}

void
ct_shape_read(const struct ct_shape *s, const uint8_t *msg, struct ct_raw *w,
	      struct ctf_rec *rec)
{
	const struct ct_shape_num *n = s->num, *end = n + s->nums;

	w->event = s->event;
	w->family = s->family;
	w->have = s->have;
	for (const struct ct_shape_num *slots = n + s->slots; n < slots; n++)
		rec->v[n->to].u = w->v[n->raw].val.u = number(n, msg);
	for (; n < end; n++)
		w->v[n->raw].val.u = number(n, msg);
	for (unsigned i = 0; i < s->addrs; i++) {
		if (s->family == AF_INET)
			read_addr(&s->addr[i], msg, 4, w, rec);
		else
			read_addr(&s->addr[i], msg, 16, w, rec);
	}
	rec->set[0] |= s->set[0];
	rec->set[1] |= s->set[1];
}

/* ---- learning -------------------------------------------------------------------- */

struct learner {
	const uint8_t *msg;
	struct ct_shape s;
	uint8_t mask[sizeof(ct_block) * CT_SHAPE_BLOCKS]; /* 0xff: structure */
};

static bool
learn_num(struct learner *l, unsigned raw, size_t at, size_t len)
{
	struct ct_shape *s = &l->s;
	unsigned i = 0;

	while (i < s->nums && s->num[i].raw != raw) /* of two the later one counts */
		i++;
	if (i == CT_SHAPE_NUMS)
		return false;
	s->nums = (uint8_t)(i == s->nums ? i + 1 : s->nums);
	s->num[i] = (struct ct_shape_num){ .mask = UINT64_MAX >> (64 - 8 * len),
					   .at = (uint16_t)(at + len - 8),
					   .raw = (uint8_t)raw,
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

	while (i < s->addrs && s->addr[i].raw != raw)
		i++;
	if (i == CT_SHAPE_ADDRS)
		return false;
	s->addrs = (uint8_t)(i == s->addrs ? i + 1 : s->addrs);
	s->addr[i] = (struct ct_shape_addr){ (uint16_t)at, (uint8_t)raw, CTF_NONE };
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

		if (l->s.num[i].raw == R_ZONE)
			return learn_num(l, R_ORIG + T_ZONE, at, 2) &&
			       learn_num(l, R_REPLY + T_ZONE, at, 2);
	}
	return true;
}

static bool
set_slot(struct ct_shape *s, unsigned raw, ctf_ref to)
{
	for (unsigned i = 0; i < s->nums; i++) {
		if (s->num[i].raw == raw && s->num[i].to == CTF_NONE) {
			s->num[i].to = to;
			return true;
		}
	}
	for (unsigned i = 0; i < s->addrs; i++) {
		if (s->addr[i].raw == raw && s->addr[i].to == CTF_NONE) {
			s->addr[i].to = to;
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

/* Those that go to a slot first. */
static void
sort_nums(struct ct_shape *s)
{
	for (unsigned i = 0; i < s->nums; i++) {
		struct ct_shape_num n = s->num[i];

		if (n.to == CTF_NONE)
			continue;
		s->num[i] = s->num[s->slots];
		s->num[s->slots++] = n;
	}
}

static void
learn_blocks(struct learner *l)
{
	struct ct_shape *s = &l->s;

	s->blocks = (uint16_t)((s->len - 1) / sizeof(ct_block));
	for (unsigned i = 0; i <= s->blocks; i++) {
		size_t at = i < s->blocks ? i * sizeof(ct_block) : s->len - sizeof(ct_block);

		memcpy(&s->mask[i], l->mask + at, sizeof(ct_block));
		memcpy(&s->want[i], l->msg + at, sizeof(ct_block));
	}
}

void
ct_shape_learn(const struct ct_input *in, const uint8_t *msg, size_t len,
	       const struct ct_raw *w, unsigned class)
{
	const size_t body = NLMSG_HDRLEN + sizeof(struct nfgenmsg);
	struct ct_shape *old = place(in->shapes, len);
	struct learner l = { .msg = msg };

	if (len > sizeof(l.mask) || (old->len && ++old->misses < PATIENCE))
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
	learn_blocks(&l);
	*old = l.s;
}
