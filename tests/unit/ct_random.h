/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_random.h - well-formed conntrack events at random: every protocol, every
 * attribute, each in every order and absent now and then.
 */
#ifndef CT_RANDOM_H
#define CT_RANDOM_H

#include "ct_msg.h"

struct rnd {
	uint64_t state; /* any value */
};

static inline uint64_t
rnd_next(struct rnd *r)
{
	uint64_t x = r->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline unsigned
rnd_below(struct rnd *r, unsigned n)
{
	return (unsigned)(rnd_next(r) % n);
}

static inline bool
rnd_one_in(struct rnd *r, unsigned n)
{
	return rnd_below(r, n) == 0;
}

static inline void
rnd_bytes(struct rnd *r, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)rnd_next(r);
}

static inline void
rnd_ip(struct rnd *r, struct msg *m, int family)
{
	size_t nest = msg_nest(m, CTA_TUPLE_IP), n = family == AF_INET ? 4 : 16;
	unsigned type = family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;
	uint8_t ip[16];

	rnd_bytes(r, ip, n);
	msg_put(m, type, ip, n);
	rnd_bytes(r, ip, n);
	msg_put(m, type + 1, ip, n);
	msg_end(m, nest);
}

static inline void
rnd_tuple(struct rnd *r, struct msg *m, unsigned type, int family, uint8_t proto, bool zone)
{
	size_t nest = msg_nest(m, type);
	bool l4_first = rnd_one_in(r, 8);

	if (l4_first)
		msg_l4(m, proto, (uint16_t)rnd_next(r), (uint16_t)rnd_next(r));
	rnd_ip(r, m, family);
	if (!l4_first)
		msg_l4(m, proto, (uint16_t)rnd_next(r), (uint16_t)rnd_next(r));
	if (zone)
		msg_u16(m, CTA_TUPLE_ZONE, (uint16_t)rnd_next(r));
	msg_end(m, nest);
}

static inline void
rnd_tcp(struct rnd *r, struct msg *m)
{
	size_t nest = msg_nest(m, CTA_PROTOINFO_TCP);
	uint8_t flags[2];

	msg_u8(m, CTA_PROTOINFO_TCP_STATE, (uint8_t)rnd_below(r, 10));
	if (rnd_one_in(r, 2)) {
		msg_u8(m, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, (uint8_t)rnd_below(r, 15));
		msg_u8(m, CTA_PROTOINFO_TCP_WSCALE_REPLY, (uint8_t)rnd_below(r, 15));
		rnd_bytes(r, flags, 2);
		msg_put(m, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags, 2);
		rnd_bytes(r, flags, 2);
		msg_put(m, CTA_PROTOINFO_TCP_FLAGS_REPLY, flags, 2);
	}
	msg_end(m, nest);
}

static inline void
rnd_sctp(struct rnd *r, struct msg *m)
{
	size_t nest = msg_nest(m, CTA_PROTOINFO_SCTP);

	msg_u8(m, CTA_PROTOINFO_SCTP_STATE, (uint8_t)rnd_below(r, 10));
	/* libnetfilter_conntrack wants all or none. */
	if (rnd_one_in(r, 2)) {
		msg_u32(m, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, (uint32_t)rnd_next(r));
		msg_u32(m, CTA_PROTOINFO_SCTP_VTAG_REPLY, (uint32_t)rnd_next(r));
	}
	msg_end(m, nest);
}

static inline void
rnd_dccp(struct rnd *r, struct msg *m)
{
	size_t nest = msg_nest(m, CTA_PROTOINFO_DCCP);

	msg_u8(m, CTA_PROTOINFO_DCCP_STATE, (uint8_t)rnd_below(r, 10));
	if (rnd_one_in(r, 2)) {
		msg_u8(m, CTA_PROTOINFO_DCCP_ROLE, (uint8_t)rnd_below(r, 2));
		msg_u64(m, CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, rnd_next(r) >> 16);
	}
	msg_end(m, nest);
}

static inline void
rnd_protoinfo(struct rnd *r, struct msg *m, uint8_t proto)
{
	size_t nest = msg_nest(m, CTA_PROTOINFO);

	if (proto == IPPROTO_TCP)
		rnd_tcp(r, m);
	else if (proto == IPPROTO_SCTP)
		rnd_sctp(r, m);
	else if (proto == IPPROTO_DCCP)
		rnd_dccp(r, m);
	msg_end(m, nest);
}

static inline void
rnd_texts(struct rnd *r, struct msg *m)
{
	static const char *const names[] = { "ftp", "sip", "h323", "pptp", "a-long-helper-n" };
	const char *name = names[rnd_below(r, 5)];
	uint8_t labels[16];
	size_t nest;

	if (rnd_one_in(r, 3)) {
		nest = msg_nest(m, CTA_HELP);
		msg_put(m, CTA_HELP_NAME, name, strlen(name) + 1);
		msg_end(m, nest);
	}
	if (rnd_one_in(r, 3)) {
		nest = msg_nest(m, CTA_SECCTX);
		msg_put(m, CTA_SECCTX_NAME, "system_u:object_r:unlabeled_t:s0", 33);
		msg_end(m, nest);
	}
	if (rnd_one_in(r, 3)) {
		rnd_bytes(r, labels, sizeof(labels));
		msg_put(m, CTA_LABELS, labels, sizeof(labels));
	}
}

static inline void
rnd_counters(struct rnd *r, struct msg *m)
{
	size_t nest;

	if (rnd_one_in(r, 8)) {
		nest = msg_nest(m, CTA_COUNTERS_ORIG);
		msg_u32(m, CTA_COUNTERS32_PACKETS, (uint32_t)rnd_next(r));
		msg_u32(m, CTA_COUNTERS32_BYTES, (uint32_t)rnd_next(r));
		msg_end(m, nest);
		return;
	}
	msg_counters(m, CTA_COUNTERS_ORIG, rnd_next(r), rnd_next(r));
	msg_counters(m, CTA_COUNTERS_REPLY, rnd_next(r), rnd_next(r));
}

static inline void
rnd_numbers(struct rnd *r, struct msg *m)
{
	static const unsigned types[] = { CTA_STATUS, CTA_TIMEOUT, CTA_MARK, CTA_USE, CTA_ID };

	for (unsigned i = 0; i < 5; i++)
		if (!rnd_one_in(r, 3))
			msg_u32(m, types[i], (uint32_t)rnd_next(r));
	if (rnd_one_in(r, 4)) /* unknown, to be skipped */
		msg_put(m, 60 + rnd_below(r, 100), "?????", rnd_below(r, 6));
	if (!rnd_one_in(r, 3))
		msg_times(m, rnd_next(r) >> 2, rnd_one_in(r, 2) ? rnd_next(r) >> 2 : 0);
	if (rnd_one_in(r, 3))
		msg_u64(m, MSG_EVENT_TIME, rnd_next(r) >> 2);
}

static inline void
rnd_message(struct rnd *r, struct msg *m)
{
	static const uint8_t protos[] = { IPPROTO_TCP,  IPPROTO_UDP,  IPPROTO_UDPLITE,
					  IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_ICMP,
					  IPPROTO_GRE,  50,           0 };
	uint8_t proto = protos[rnd_below(r, sizeof(protos))];
	int family = rnd_one_in(r, 2) ? AF_INET : AF_INET6;
	unsigned zone = rnd_below(r, 5); /* 0: the entry's, 1 2: of one direction */
	bool early = rnd_one_in(r, 4);

	if (proto == IPPROTO_ICMP && family == AF_INET6)
		proto = IPPROTO_ICMPV6;
	msg_begin(m, rnd_one_in(r, 2) ? MSG_DESTROY : MSG_NEW,
		  rnd_one_in(r, 2) ? MSG_CREATED : 0,
		  rnd_one_in(r, 2) ? (uint32_t)rnd_next(r) : 0, family);
	if (early)
		rnd_numbers(r, m);
	rnd_tuple(r, m, CTA_TUPLE_ORIG, family, proto, zone == 1);
	rnd_tuple(r, m, CTA_TUPLE_REPLY, family, proto, zone == 2);
	if (zone == 0)
		msg_u16(m, CTA_ZONE, (uint16_t)rnd_next(r));
	if (rnd_one_in(r, 4))
		rnd_tuple(r, m, CTA_TUPLE_MASTER, family, rnd_one_in(r, 2) ? 6 : 17, false);
	if (!rnd_one_in(r, 3))
		rnd_counters(r, m);
	if (rnd_one_in(r, 2))
		rnd_protoinfo(r, m, proto);
	rnd_texts(r, m);
	if (!early)
		rnd_numbers(r, m);
}

#endif
