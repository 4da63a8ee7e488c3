/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_decode.c - ctnetlink messages, table-driven by attribute number.
 *
 * A message is walked once into a scratch array (struct ct_raw), nests nobody
 * wants are stepped over, and the wanted values are copied to their slots.  An
 * attribute with a length its type cannot have makes the whole message
 * malformed; one we do not know is skipped, as new kernels add some.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "ct_raw.h"

enum kind { SKIP, NUM, FLAGS, IP4, IP6, TEXT, BYTES, NEST };

struct nest;

struct attr {
	uint8_t kind;
	uint8_t arg; /* NUM: length; NEST: index in nests[] */
	uint8_t raw; /* value, or what the values of the nest are counted from */
};

struct nest {
	const struct attr *attr;
	unsigned n;
};

#define A(k, arg, raw) \
	{ \
		(k), (arg), (raw) \
	}
#define N8(raw) A(NUM, 1, raw)
#define N16(raw) A(NUM, 2, raw)
#define N32(raw) A(NUM, 4, raw)
#define N64(raw) A(NUM, 8, raw)

enum {
	N_TUPLE,
	N_TUPLE_IP,
	N_TUPLE_PROTO,
	N_COUNT_ORIG,
	N_COUNT_REPLY,
	N_TIMESTAMP,
	N_HELP,
	N_SECCTX,
	N_PROTOINFO,
	N_TCP,
	N_SCTP,
	N_DCCP
};

static const struct attr top[] = {
	[CTA_TUPLE_ORIG] = A(NEST, N_TUPLE, R_ORIG),
	[CTA_TUPLE_REPLY] = A(NEST, N_TUPLE, R_REPLY),
	[CTA_STATUS] = N32(R_STATUS),
	[CTA_PROTOINFO] = A(NEST, N_PROTOINFO, 0),
	[CTA_HELP] = A(NEST, N_HELP, 0),
	[CTA_TIMEOUT] = N32(R_TIMEOUT),
	[CTA_MARK] = N32(R_MARK),
	[CTA_COUNTERS_ORIG] = A(NEST, N_COUNT_ORIG, 0),
	[CTA_COUNTERS_REPLY] = A(NEST, N_COUNT_REPLY, 0),
	[CTA_USE] = N32(R_USE),
	[CTA_ID] = N32(R_ID),
	[CTA_TUPLE_MASTER] = A(NEST, N_TUPLE, R_MASTER),
	[CTA_ZONE] = N16(R_ZONE),
	[CTA_SECCTX] = A(NEST, N_SECCTX, 0),
	[CTA_TIMESTAMP] = A(NEST, N_TIMESTAMP, 0),
	[CTA_LABELS] = A(BYTES, 0, R_LABELS),
	[CT_ATTR_TIMESTAMP_EVENT] = N64(R_EVENT_NS),
};
static const struct attr tuple[] = {
	[CTA_TUPLE_IP] = A(NEST, N_TUPLE_IP, 0),
	[CTA_TUPLE_PROTO] = A(NEST, N_TUPLE_PROTO, 0),
	[CTA_TUPLE_ZONE] = N16(T_ZONE),
};
static const struct attr tuple_ip[] = {
	[CTA_IP_V4_SRC] = A(IP4, 0, T_SADDR),
	[CTA_IP_V4_DST] = A(IP4, 0, T_DADDR),
	[CTA_IP_V6_SRC] = A(IP6, 0, T_SADDR),
	[CTA_IP_V6_DST] = A(IP6, 0, T_DADDR),
};
static const struct attr tuple_proto[] = {
	[CTA_PROTO_NUM] = N8(T_PROTO),
	[CTA_PROTO_SRC_PORT] = N16(T_SPORT),
	[CTA_PROTO_DST_PORT] = N16(T_DPORT),
	[CTA_PROTO_ICMP_ID] = N16(T_ICMP_ID),
	[CTA_PROTO_ICMP_TYPE] = N8(T_ICMP_TYPE),
	[CTA_PROTO_ICMP_CODE] = N8(T_ICMP_CODE),
	[CTA_PROTO_ICMPV6_ID] = N16(T_ICMP_ID),
	[CTA_PROTO_ICMPV6_TYPE] = N8(T_ICMP_TYPE),
	[CTA_PROTO_ICMPV6_CODE] = N8(T_ICMP_CODE),
};
static const struct attr count_orig[] = {
	[CTA_COUNTERS_PACKETS] = N64(R_ORIG_PACKETS),
	[CTA_COUNTERS_BYTES] = N64(R_ORIG_BYTES),
	[CTA_COUNTERS32_PACKETS] = N32(R_ORIG_PACKETS),
	[CTA_COUNTERS32_BYTES] = N32(R_ORIG_BYTES),
};
static const struct attr count_reply[] = {
	[CTA_COUNTERS_PACKETS] = N64(R_REPLY_PACKETS),
	[CTA_COUNTERS_BYTES] = N64(R_REPLY_BYTES),
	[CTA_COUNTERS32_PACKETS] = N32(R_REPLY_PACKETS),
	[CTA_COUNTERS32_BYTES] = N32(R_REPLY_BYTES),
};
static const struct attr timestamp[] = {
	[CTA_TIMESTAMP_START] = N64(R_START),
	[CTA_TIMESTAMP_STOP] = N64(R_STOP),
};
static const struct attr help[] = {
	[CTA_HELP_NAME] = A(TEXT, 0, R_HELPER),
};
static const struct attr secctx[] = {
	[CTA_SECCTX_NAME] = A(TEXT, 0, R_SECCTX),
};
static const struct attr protoinfo[] = {
	[CTA_PROTOINFO_TCP] = A(NEST, N_TCP, 0),
	[CTA_PROTOINFO_DCCP] = A(NEST, N_DCCP, 0),
	[CTA_PROTOINFO_SCTP] = A(NEST, N_SCTP, 0),
};
static const struct attr tcp[] = {
	[CTA_PROTOINFO_TCP_STATE] = N8(R_TCP_STATE),
	[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL] = N8(R_TCP_WSCALE_ORIG),
	[CTA_PROTOINFO_TCP_WSCALE_REPLY] = N8(R_TCP_WSCALE_REPLY),
	[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL] = A(FLAGS, 0, R_TCP_FLAGS_ORIG),
	[CTA_PROTOINFO_TCP_FLAGS_REPLY] = A(FLAGS, 0, R_TCP_FLAGS_REPLY),
};
static const struct attr sctp[] = {
	[CTA_PROTOINFO_SCTP_STATE] = N8(R_SCTP_STATE),
	[CTA_PROTOINFO_SCTP_VTAG_ORIGINAL] = N32(R_SCTP_VTAG_ORIG),
	[CTA_PROTOINFO_SCTP_VTAG_REPLY] = N32(R_SCTP_VTAG_REPLY),
};
static const struct attr dccp[] = {
	[CTA_PROTOINFO_DCCP_STATE] = N8(R_DCCP_STATE),
	[CTA_PROTOINFO_DCCP_ROLE] = N8(R_DCCP_ROLE),
	[CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ] = N64(R_DCCP_HANDSHAKE),
};

#define TABLE(t) \
	{ \
		(t), sizeof(t) / sizeof((t)[0]) \
	}
static const struct nest top_nest = TABLE(top);
static const struct nest nests[] = {
	[N_TUPLE] = TABLE(tuple),
	[N_TUPLE_IP] = TABLE(tuple_ip),
	[N_TUPLE_PROTO] = TABLE(tuple_proto),
	[N_COUNT_ORIG] = TABLE(count_orig),
	[N_COUNT_REPLY] = TABLE(count_reply),
	[N_TIMESTAMP] = TABLE(timestamp),
	[N_HELP] = TABLE(help),
	[N_SECCTX] = TABLE(secctx),
	[N_PROTOINFO] = TABLE(protoinfo),
	[N_TCP] = TABLE(tcp),
	[N_SCTP] = TABLE(sctp),
	[N_DCCP] = TABLE(dccp),
};

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
put_other(struct ct_raw *w, const struct attr *a, unsigned n, const uint8_t *p, size_t len)
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

typedef int walk_fn(struct ct_raw *, const uint8_t *p, const uint8_t *end, const struct nest *,
		    unsigned base);

/*
 * One level of attributes; deeper does those of a nest.  Bit n of want clear:
 * attribute n is stepped over.  Always inlined, once per level, since this is
 * where the time goes; `have` is local for the same reason.
 */
static inline __attribute__((always_inline)) int
walk(struct ct_raw *w, const uint8_t *p, const uint8_t *end, const struct nest *t,
     unsigned base, uint32_t want, walk_fn *deeper)
{
	size_t left = (size_t)(end - p), step;
	uint64_t have = 0;

	for (; left; p += step, left -= step) {
		const struct attr *a;
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
			if (deeper(w, p + NLA_HDRLEN, p + nla.nla_len, &nests[a->arg], n) < 0)
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
walk_leaf(struct ct_raw *w, const uint8_t *p, const uint8_t *end, const struct nest *t,
	  unsigned base)
{
	return walk(w, p, end, t, base, UINT32_MAX, NULL);
}

_Static_assert(T_DPORT == 4, "usual_tuple() sets the first five");

static inline bool
is_attr(const uint8_t *p, size_t len, unsigned type)
{
	struct nlattr nla;

	memcpy(&nla, p, NLA_HDRLEN);
	return nla.nla_len == NLA_HDRLEN + len && nla.nla_type == type;
}

/*
 * The tuple nearly all flows have: addresses, protocol and ports in the
 * kernel's order.  Seven comparisons instead of seven turns of walk() make
 * decoding a third cheaper; false: it is another one, walk it.
 */
static inline __attribute__((always_inline)) bool
usual_tuple(struct ct_raw *w, const uint8_t *p, size_t size, unsigned base, size_t alen,
	    unsigned src)
{
	const uint8_t *l4 = p + 3 * NLA_HDRLEN + 2 * alen, *saddr = p + 2 * NLA_HDRLEN,
		      *daddr = saddr + alen + NLA_HDRLEN;

	if (size != (size_t)(l4 - p) + 28 ||
	    !is_attr(p, 2 * (NLA_HDRLEN + alen), NLA_F_NESTED | CTA_TUPLE_IP) ||
	    !is_attr(p + NLA_HDRLEN, alen, src) ||
	    !is_attr(daddr - NLA_HDRLEN, alen, src + 1) ||
	    !is_attr(l4, 24, NLA_F_NESTED | CTA_TUPLE_PROTO) ||
	    !is_attr(l4 + 4, 1, CTA_PROTO_NUM) || !is_attr(l4 + 12, 2, CTA_PROTO_SRC_PORT) ||
	    !is_attr(l4 + 20, 2, CTA_PROTO_DST_PORT))
		return false;
	memcpy(&w->v[base + T_SADDR], saddr, alen);
	memcpy(&w->v[base + T_DADDR], daddr, alen);
	w->v[base + T_PROTO].val.u = l4[8];
	w->v[base + T_SPORT].val.u = load_num(l4 + 16, 2);
	w->v[base + T_DPORT].val.u = load_num(l4 + 24, 2);
	w->have |= UINT64_C(0x1f) << base; /* these five */
	return true;
}

static int
walk_nest(struct ct_raw *w, const uint8_t *p, const uint8_t *end, const struct nest *t,
	  unsigned base)
{
	if (t->attr == tuple &&
	    (w->family == AF_INET
		     ? usual_tuple(w, p, (size_t)(end - p), base, 4, CTA_IP_V4_SRC)
		     : usual_tuple(w, p, (size_t)(end - p), base, 16, CTA_IP_V6_SRC)))
		return 0;
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

static void
publish(const struct ct_plan *plan, const struct ct_raw *w, struct ctf_rec *rec)
{
	uint64_t have = w->have, low = 0, high = 0;
	unsigned class = L4_ANY | class_of(raw_num_or(w, R_ORIG + T_PROTO, 0)) |
			 L4_REPLY(class_of(raw_num_or(w, R_REPLY + T_PROTO, 0)));

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

static int
decode(const struct ct_input *in, const uint8_t *p, size_t len, const struct source *from,
       struct ctf_rec *rec)
{
	struct nlmsghdr nlh;
	struct ct_raw w;

	if (len < NLMSG_HDRLEN)
		return -EBADMSG;
	memcpy(&nlh, p, sizeof(nlh));
	if (nlh.nlmsg_len < NLMSG_HDRLEN || nlh.nlmsg_len > len)
		return -EBADMSG;
	w.event = (uint8_t)event_of(&nlh);
	if (!w.event)
		return 0;
	if (nlh.nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg))
		return -EBADMSG;
	w.family = p[NLMSG_HDRLEN]; /* nfgen_family */
	if (w.family != AF_INET && w.family != AF_INET6)
		return -EBADMSG;
	w.have = 0;
	w.rx_ns = from->rx_ns;
	w.live = from->live;
	w.kind = (uint8_t)from->kind;
	if (walk(&w, p + NLMSG_HDRLEN + sizeof(struct nfgenmsg), p + nlh.nlmsg_len, &top_nest,
		 0, in->plan.attrs, walk_nest) < 0)
		return -EBADMSG;
	put_header(&w, &nlh, from->nsid);
	if (w.live)
		forget(&w);
	if (in->ident && w.event == CTF_DESTROY)
		ct_ident(in->ident, &w);
	rec->rx_ns = w.rx_ns;
	rec->kind = w.kind;
	rec->family = w.family;
	rec->event = w.event;
	publish(&in->plan, &w, rec);
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
