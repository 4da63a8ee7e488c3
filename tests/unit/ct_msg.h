/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_msg.h - builds ctnetlink messages for the tests, and reads the records
 * the decoder makes of them: each field of ct_ports has its own slot.
 */
#ifndef CT_MSG_H
#define CT_MSG_H

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "ct_decode.h"

#define MSG_NEW (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)
#define MSG_DESTROY (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)
#define MSG_CREATED (NLM_F_CREATE | NLM_F_EXCL)
#define MSG_EVENT_TIME 27 /* CTA_TIMESTAMP_EVENT */

struct msg {
	_Alignas(8) uint8_t p[4096];
	size_t len;
};

static inline void
msg_begin(struct msg *m, unsigned type, unsigned flags, uint32_t pid, int family)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)m->p;
	struct nfgenmsg *nfg = (struct nfgenmsg *)(void *)(m->p + NLMSG_HDRLEN);

	memset(m, 0, sizeof(*m));
	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = (uint16_t)flags;
	nlh->nlmsg_pid = pid;
	nfg->nfgen_family = (uint8_t)family;
	m->len = nlh->nlmsg_len = NLMSG_HDRLEN + sizeof(*nfg);
}

static inline void
msg_size(struct msg *m, size_t len)
{
	m->len = len;
	((struct nlmsghdr *)(void *)m->p)->nlmsg_len = (uint32_t)len;
}

static inline void
msg_put(struct msg *m, unsigned type, const void *p, size_t n)
{
	struct nlattr nla = { (uint16_t)(NLA_HDRLEN + n), (uint16_t)type };

	memcpy(m->p + m->len, &nla, sizeof(nla));
	if (n)
		memcpy(m->p + m->len + NLA_HDRLEN, p, n);
	msg_size(m, m->len + NLA_HDRLEN + NLA_ALIGN(n));
}

static inline void
msg_u8(struct msg *m, unsigned type, uint8_t x)
{
	msg_put(m, type, &x, 1);
}

static inline void
msg_u16(struct msg *m, unsigned type, uint16_t x)
{
	x = htobe16(x);
	msg_put(m, type, &x, 2);
}

static inline void
msg_u32(struct msg *m, unsigned type, uint32_t x)
{
	x = htobe32(x);
	msg_put(m, type, &x, 4);
}

static inline void
msg_u64(struct msg *m, unsigned type, uint64_t x)
{
	x = htobe64(x);
	msg_put(m, type, &x, 8);
}

static inline size_t
msg_nest(struct msg *m, unsigned type)
{
	size_t at = m->len;

	msg_put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

static inline void
msg_end(struct msg *m, size_t at)
{
	uint16_t len = (uint16_t)(m->len - at);

	memcpy(m->p + at, &len, sizeof(len));
}

/* Addresses as text; of ICMP a is the id, b type << 8 | code; others: ports. */
static inline void
msg_l4(struct msg *m, uint8_t proto, uint16_t a, uint16_t b)
{
	size_t nest = msg_nest(m, CTA_TUPLE_PROTO);
	unsigned icmp = proto == IPPROTO_ICMP     ? CTA_PROTO_ICMP_ID
			: proto == IPPROTO_ICMPV6 ? CTA_PROTO_ICMPV6_ID
						  : 0;

	msg_u8(m, CTA_PROTO_NUM, proto);
	if (icmp) {
		msg_u16(m, icmp, a);
		msg_u8(m, icmp + 1, (uint8_t)(b >> 8));
		msg_u8(m, icmp + 2, (uint8_t)b);
	} else if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
		   proto == IPPROTO_SCTP || proto == IPPROTO_DCCP || proto == IPPROTO_GRE) {
		msg_u16(m, CTA_PROTO_SRC_PORT, a);
		msg_u16(m, CTA_PROTO_DST_PORT, b);
	}
	msg_end(m, nest);
}

static inline void
msg_ip(struct msg *m, const char *src, const char *dst)
{
	size_t nest = msg_nest(m, CTA_TUPLE_IP);
	int family = strchr(src, ':') ? AF_INET6 : AF_INET;
	unsigned type = family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;
	uint8_t ip[16];

	inet_pton(family, src, ip);
	msg_put(m, type, ip, family == AF_INET ? 4 : 16);
	inet_pton(family, dst, ip);
	msg_put(m, type + 1, ip, family == AF_INET ? 4 : 16);
	msg_end(m, nest);
}

static inline void
msg_tuple(struct msg *m, unsigned type, const char *src, const char *dst, uint8_t proto,
	  uint16_t a, uint16_t b)
{
	size_t nest = msg_nest(m, type);

	msg_ip(m, src, dst);
	msg_l4(m, proto, a, b);
	msg_end(m, nest);
}

static inline void
msg_counters(struct msg *m, unsigned type, uint64_t packets, uint64_t bytes)
{
	size_t nest = msg_nest(m, type);

	msg_u64(m, CTA_COUNTERS_PACKETS, packets);
	msg_u64(m, CTA_COUNTERS_BYTES, bytes);
	msg_end(m, nest);
}

static inline void
msg_times(struct msg *m, uint64_t start, uint64_t stop)
{
	size_t nest = msg_nest(m, CTA_TIMESTAMP);

	if (start)
		msg_u64(m, CTA_TIMESTAMP_START, start);
	if (stop)
		msg_u64(m, CTA_TIMESTAMP_STOP, stop);
	msg_end(m, nest);
}

/* DESTROY carries nothing but the state. */
static inline void
msg_state(struct msg *m, unsigned proto, unsigned state_attr, uint8_t state)
{
	size_t nest = msg_nest(m, CTA_PROTOINFO), inner = msg_nest(m, proto);

	msg_u8(m, state_attr, state);
	msg_end(m, inner);
	msg_end(m, nest);
}

/* ---- decoding -------------------------------------------------------------- */

struct rig {
	struct ct_input in;
	union {
		struct ctf_rec rec;
		uint8_t room[sizeof(struct ctf_rec) + CTF_SLOTS * sizeof(union ctf_val)];
	};
};

static inline unsigned
rig_ports(void)
{
	unsigned n = 0;

	while (ct_ports[n].name)
		n++;
	return n;
}

/* want(i) says whether field i has a slot; NULL: all have. */
static inline void
rig_init(struct rig *r, bool (*want)(unsigned i, void *arg), void *arg)
{
	memset(r, 0, sizeof(*r));
	ct_times_default(&r->in.t);
	for (unsigned i = 0; ct_ports[i].name; i++) {
		ctf_ref *ref = (ctf_ref *)(void *)((uint8_t *)&r->in + ct_ports[i].off);

		*ref = !want || want(i, arg) ? (ctf_ref)i : CTF_NONE;
	}
	ct_prepare(&r->in);
}

static inline int
rig_decode(struct rig *r, const void *p, size_t len, uint64_t rx_ns, int nsid)
{
	r->rec.set[0] = r->rec.set[1] = 0;
	return ct_decode(&r->in, p, len, rx_ns, nsid, &r->rec);
}

static inline unsigned
rig_slot(const char *name)
{
	unsigned i = 0;

	while (ct_ports[i].name && strcmp(ct_ports[i].name, name) != 0)
		i++;
	return i;
}

static inline bool
rig_has(const struct rig *r, const char *name)
{
	return ctf_has(&r->rec, (ctf_ref)rig_slot(name));
}

/* UINT64_MAX: absent. */
static inline uint64_t
rig_num(const struct rig *r, const char *name)
{
	return ctf_num_or(&r->rec, (ctf_ref)rig_slot(name), UINT64_MAX);
}

static inline const union ctf_val *
rig_val(const struct rig *r, const char *name)
{
	return &r->rec.v[rig_slot(name)];
}

static inline bool
rig_is_text(const char *name)
{
	return !strcmp(name, "ct.labels") || !strcmp(name, "ct.helper") ||
	       !strcmp(name, "ct.secctx") || !strcmp(name, "flow.end.kind");
}

/* Field i in both, or in neither.  Touches every byte, for a sanitizer to see it. */
static inline bool
rig_same(const struct rig *x, const struct rig *y, ctf_ref i)
{
	const union ctf_val *a = &x->rec.v[i], *b = &y->rec.v[i];
	const char *name = ct_ports[i].name;
	size_t ip = x->rec.family == AF_INET ? 4 : 16;

	if (!ctf_has(&x->rec, i) || !ctf_has(&y->rec, i))
		return ctf_has(&x->rec, i) == ctf_has(&y->rec, i);
	if (strstr(name, ".ip.saddr") || strstr(name, ".ip.daddr"))
		return !memcmp(a->ip, b->ip, ip);
	if (rig_is_text(name))
		return a->s.len == b->s.len && !memcmp(a->s.p, b->s.p, a->s.len);
	return a->u == b->u;
}

#endif
