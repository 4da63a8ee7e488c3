/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_decode.c - ctnetlink messages, table-driven by attribute number.
 *
 * A message is walked once into a scratch array (struct ct_raw), nests nobody
 * wants are stepped over, and the wanted values are copied to their slots.  An
 * attribute with a length its type cannot have makes the whole message
 * malformed; one we do not know is skipped, as new kernels add some.
 *
 * That is done to one message of each shape; for the others see ct_shape.h.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "ct_attr.h"
#include "ct_shape.h"

/*
 * A big-endian number of len bytes.  Loads the 8 bytes that end with it: the
 * message header always stands before, and no branch depends on the length.
 */
static inline uint64_t
load_num(const uint8_t *p, size_t len)
{
	static const uint64_t mask[] = {
		[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = UINT64_MAX
	};
	uint64_t x;

	memcpy(&x, p + len - 8, 8);
	return be64toh(x) & mask[len];
}

/* Labels had 1 to 4 words before Linux 4.8, 16 bytes since. */
static bool
labels_len_ok(size_t len)
{
	return len >= 4 && len <= 16 && len % 4 == 0;
}

static int
put_ip(struct ct_raw *w, unsigned n, const uint8_t *p, size_t len, int family)
{
	uint64_t q[2] = { 0, 0 };

	if (family != w->family)
		return -EBADMSG;
	if (family == AF_INET && len == 4)
		memcpy(q, p, 4);
	else if (family == AF_INET6 && len == 16)
		memcpy(q, p, 16);
	else
		return -EBADMSG;
	/* As two words, so that the copy to the slot need not wait. */
	w->v[n].q[0] = q[0];
	w->v[n].q[1] = q[1];
	return 0;
}

/* A value that is not a number of the right length. */
static int
put_other(struct ct_raw *w, const struct ct_attr_rule *a, unsigned n, const uint8_t *p,
	  size_t len)
{
	switch (a->kind) {
	case IP4:
		return put_ip(w, n, p, len, AF_INET);
	case IP6:
		return put_ip(w, n, p, len, AF_INET6);
	case FLAGS: /* and the mask of those known */
		if (len != 2)
			return -EBADMSG;
		w->v[n].val.u = p[0];
		return 0;
	case TEXT:
		w->v[n].val.s.p = p;
		w->v[n].val.s.len = (uint32_t)strnlen((const char *)p, len);
		return 0;
	case BYTES:
		w->v[n].val.s.p = p;
		w->v[n].val.s.len = (uint32_t)len;
		return labels_len_ok(len) ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

typedef int walk_fn(struct ct_raw *, const uint8_t *p, const uint8_t *end,
		    const struct ct_nest *, unsigned base);

/*
 * One level of attributes; deeper does those of a nest.  Bit n of want clear:
 * attribute n is stepped over.  Always inlined, once per level, since this is
 * where the time goes; `have` is local for the same reason.
 */
static inline __attribute__((always_inline)) int
walk(struct ct_raw *w, const uint8_t *p, const uint8_t *end, const struct ct_nest *t,
     unsigned base, uint32_t want, walk_fn *deeper)
{
	size_t left = (size_t)(end - p), step;
	uint64_t have = 0;

	for (; left; p += step, left -= step) {
		const struct ct_attr_rule *a;
		struct nlattr nla;
		unsigned type, n;

		if (left < NLA_HDRLEN)
			return -EBADMSG;
		memcpy(&nla, p, NLA_HDRLEN);
		if (nla.nla_len < NLA_HDRLEN || nla.nla_len > left)
			return -EBADMSG;
		step = NLA_ALIGN((size_t)nla.nla_len);
		if (step > left)
			step = left;
		type = nla.nla_type & NLA_TYPE_MASK;
		if (type >= t->n || !(want >> type & 1))
			continue;
		a = &t->attr[type];
		n = base + a->raw;
		if (a->kind == NUM && nla.nla_len == NLA_HDRLEN + a->arg)
			w->v[n].val.u = load_num(p + NLA_HDRLEN, a->arg);
		else if (a->kind == NEST && deeper) {
			if (deeper(w, p + NLA_HDRLEN, p + nla.nla_len, &ct_nests[a->arg], n) <
			    0)
				return -EBADMSG;
			continue;
		} else if (a->kind == SKIP) {
			continue;
		} else if (put_other(w, a, n, p + NLA_HDRLEN, nla.nla_len - NLA_HDRLEN) < 0) {
			return -EBADMSG;
		}
		have |= UINT64_C(1) << n;
	}
	w->have |= have;
	return 0;
}

static int
walk_leaf(struct ct_raw *w, const uint8_t *p, const uint8_t *end, const struct ct_nest *t,
	  unsigned base)
{
	return walk(w, p, end, t, base, UINT32_MAX, NULL);
}

static int
walk_nest(struct ct_raw *w, const uint8_t *p, const uint8_t *end, const struct ct_nest *t,
	  unsigned base)
{
	return walk(w, p, end, t, base, UINT32_MAX, walk_leaf);
}

static unsigned
class_of(uint64_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return L4_PORTS;
	case IPPROTO_ICMP:
		return L4_ICMP;
	case IPPROTO_ICMPV6:
		return L4_ICMPV6;
	case IPPROTO_GRE:
		return L4_GRE;
	}
	return 0;
}

/* What stands in the headers; also what the zone of the whole entry means. */
static void
put_header(struct ct_raw *w, const struct nlmsghdr *nlh, int nsid)
{
	raw_put(w, R_EVENT, w->event);
	raw_put(w, R_FAMILY, w->family);
	raw_put(w, R_OOB_PROTOCOL, 0);
	if (nlh->nlmsg_pid)
		raw_put(w, R_PORTID, nlh->nlmsg_pid);
	if (nsid >= 0)
		raw_put(w, R_NSID, (uint64_t)nsid);
	if (raw_has(w, R_ZONE)) {
		raw_put(w, R_ORIG + T_ZONE, w->v[R_ZONE].val.u);
		raw_put(w, R_REPLY + T_ZONE, w->v[R_ZONE].val.u);
	}
}

static unsigned
classes(const struct ct_raw *w)
{
	return L4_ANY | class_of(raw_num_or(w, R_ORIG + T_PROTO, 0)) |
	       L4_REPLY(class_of(raw_num_or(w, R_REPLY + T_PROTO, 0)));
}

static void
publish(const struct ct_plan *plan, unsigned class, const struct ct_raw *w, struct ctf_rec *rec)
{
	uint64_t have = w->have, low = 0, high = 0;

	for (unsigned i = 0; i < plan->n; i++) {
		unsigned from = plan->put[i].from;
		ctf_ref to = plan->put[i].to;

		if (!(have >> from & 1) || !(plan->put[i].only & class))
			continue;
		memcpy(&rec->v[to], &w->v[from], sizeof(rec->v[to]));
		if (to < 64)
			low |= UINT64_C(1) << to;
		else
			high |= UINT64_C(1) << (to - 64);
	}
	rec->set[0] |= low;
	rec->set[1] |= high;
}

/* CTF_NEW, CTF_UPDATE, CTF_DESTROY, or 0 for other messages. */
static unsigned
event_of(const struct nlmsghdr *nlh)
{
	const unsigned made = NLM_F_CREATE | NLM_F_EXCL;

	switch (nlh->nlmsg_type) {
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW:
		return (nlh->nlmsg_flags & made) == made ? CTF_NEW : CTF_UPDATE;
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE:
		return CTF_DESTROY;
	}
	return 0;
}

/* What a dump says of itself, and what such a record must not have. */
static void
forget(struct ct_raw *w)
{
	w->have &= ~(UINT64_C(1) << R_PORTID | UINT64_C(1) << R_EVENT_NS);
	if (w->kind == CTF_PRESENCE)
		w->have &= ~(UINT64_C(15) << R_ORIG_PACKETS);
}

struct source {
	uint64_t rx_ns;
	int nsid;
	bool live; /* a table dump */
	enum ctf_kind kind;
};

/* 1: all that the attributes say is in w; 0: no event; -EBADMSG. */
static int
walk_all(const struct ct_input *in, const uint8_t *p, const struct nlmsghdr *nlh,
	 struct ct_raw *w)
{
	const size_t head = NLMSG_HDRLEN + sizeof(struct nfgenmsg);

	w->event = (uint8_t)event_of(nlh);
	if (!w->event)
		return 0;
	if (nlh->nlmsg_len < head)
		return -EBADMSG;
	w->family = p[NLMSG_HDRLEN]; /* nfgen_family */
	if (w->family != AF_INET && w->family != AF_INET6)
		return -EBADMSG;
	w->have = 0;
	if (walk(w, p + head, p + nlh->nlmsg_len, &ct_top, 0, in->plan.attrs, walk_nest) < 0)
		return -EBADMSG;
	return 1;
}

/* What is wanted of a message, to the slots. */
static void
put_values(const struct ct_input *in, const uint8_t *p, size_t len,
	   const struct ct_shape *shape, const struct ct_raw *w, struct ctf_rec *rec)
{
	unsigned class;

	if (shape) {
		for (unsigned i = 0; i < shape->puts; i++)
			if (raw_has(w, shape->put[i].from))
				ctf_put_num(rec, shape->put[i].to,
					    w->v[shape->put[i].from].val.u);
		return;
	}
	class = classes(w);
	publish(&in->plan, class, w, rec);
	if (in->shapes && !w->live)
		ct_shape_learn(in, p, len, w, class);
}

/* Once for each source: of an event nothing is asked that only a dump has. */
static inline __attribute__((always_inline)) int
decode(const struct ct_input *in, const uint8_t *p, size_t len, const struct source *from,
       struct ctf_rec *rec)
{
	const struct ct_shape *shape = NULL;
	struct nlmsghdr nlh;
	struct ct_raw w;

	if (len < NLMSG_HDRLEN)
		return -EBADMSG;
	memcpy(&nlh, p, sizeof(nlh));
	if (nlh.nlmsg_len < NLMSG_HDRLEN || nlh.nlmsg_len > len)
		return -EBADMSG;
	if (in->shapes && !from->live)
		shape = ct_shape_find(in->shapes, p, nlh.nlmsg_len);
	if (shape) {
		ct_shape_read(shape, p, &w, rec);
	} else {
		int r = walk_all(in, p, &nlh, &w);

		if (r <= 0)
			return r;
	}
	w.rx_ns = from->rx_ns;
	w.live = from->live;
	w.kind = (uint8_t)from->kind;
	put_header(&w, &nlh, from->nsid);
	if (w.live)
		forget(&w);
	if (in->ident && w.event == CTF_DESTROY)
		ct_ident(in->ident, &w);
	rec->rx_ns = w.rx_ns;
	rec->at_ns = raw_at(&w);
	rec->kind = w.kind;
	rec->family = w.family;
	rec->event = w.event;
	put_values(in, p, nlh.nlmsg_len, shape, &w, rec);
	if (in->plan.derived)
		ct_end(in, &w, rec);
	return 1;
}

int
ct_decode(const struct ct_input *in, const void *msg, size_t len, uint64_t rx_ns, int nsid,
	  struct ctf_rec *rec)
{
	const struct source from = { rx_ns, nsid, false, CTF_EVENT };

	return decode(in, msg, len, &from, rec);
}

int
ct_decode_live(const struct ct_input *in, const void *msg, size_t len, uint64_t rx_ns,
	       enum ctf_kind kind, struct ctf_rec *rec)
{
	const struct source from = { rx_ns, -1, true, kind };
	int r = decode(in, msg, len, &from, rec);

	return r == 1 && rec->event != CTF_UPDATE ? 0 : r;
}
