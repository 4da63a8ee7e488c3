/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_plan.c - the fields a conntrack input gives, and which parts of a message
 * the wanted ones need.
 */
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "ct_shape.h"

#define COMPUTED(group) (R_N + (group)) /* not copied: ct_end.c */
#define BY_INPUT R_N                    /* no message says it */

/*
 * name, member of struct ct_fields, where from, protocols.  ulogd2's keys come
 * first, in the order in which its NFCT has them: wildcard outputs print it.
 */
#define FIELDS(X) \
	X("orig.ip.saddr", orig_saddr, R_ORIG + T_SADDR, L4_ANY) \
	X("orig.ip.daddr", orig_daddr, R_ORIG + T_DADDR, L4_ANY) \
	X("orig.ip.protocol", orig_proto, R_ORIG + T_PROTO, L4_ANY) \
	X("orig.l4.sport", orig_sport, R_ORIG + T_SPORT, L4_PORTS) \
	X("orig.l4.dport", orig_dport, R_ORIG + T_DPORT, L4_PORTS) \
	X("orig.raw.pktlen", orig_bytes, R_ORIG_BYTES, L4_ANY) \
	X("orig.raw.pktcount", orig_packets, R_ORIG_PACKETS, L4_ANY) \
	X("reply.ip.saddr", reply_saddr, R_REPLY + T_SADDR, L4_ANY) \
	X("reply.ip.daddr", reply_daddr, R_REPLY + T_DADDR, L4_ANY) \
	X("reply.ip.protocol", reply_proto, R_REPLY + T_PROTO, L4_ANY) \
	X("reply.l4.sport", reply_sport, R_REPLY + T_SPORT, L4_REPLY(L4_PORTS)) \
	X("reply.l4.dport", reply_dport, R_REPLY + T_DPORT, L4_REPLY(L4_PORTS)) \
	X("reply.raw.pktlen", reply_bytes, R_REPLY_BYTES, L4_ANY) \
	X("reply.raw.pktcount", reply_packets, R_REPLY_PACKETS, L4_ANY) \
	X("icmp.code", icmp_code, R_ORIG + T_ICMP_CODE, L4_ICMP) \
	X("icmp.type", icmp_type, R_ORIG + T_ICMP_TYPE, L4_ICMP) \
	X("icmpv6.code", icmpv6_code, R_ORIG + T_ICMP_CODE, L4_ICMPV6) \
	X("icmpv6.type", icmpv6_type, R_ORIG + T_ICMP_TYPE, L4_ICMPV6) \
	X("ct.mark", mark, R_MARK, L4_ANY) \
	X("ct.id", id, R_ID, L4_ANY) \
	X("ct.event", event, R_EVENT, L4_ANY) \
	X("flow.start.sec", start_sec, COMPUTED(D_START), 0) \
	X("flow.start.usec", start_usec, COMPUTED(D_START), 0) \
	X("flow.end.sec", end_sec, COMPUTED(D_END), 0) \
	X("flow.end.usec", end_usec, COMPUTED(D_END), 0) \
	X("oob.family", oob_family, R_FAMILY, L4_ANY) \
	X("oob.protocol", oob_protocol, R_OOB_PROTOCOL, L4_ANY) \
	X("flow.start.ns", start_ns, R_START, L4_ANY) \
	X("flow.last.ns", last_ns, COMPUTED(D_LAST), 0) \
	X("flow.last.sec", last_sec, COMPUTED(D_LAST), 0) \
	X("flow.last.usec", last_usec, COMPUTED(D_LAST), 0) \
	X("flow.destroy.ns", destroy_ns, R_STOP, L4_ANY) \
	X("flow.destroy.sec", destroy_sec, COMPUTED(D_END), 0) \
	X("flow.destroy.usec", destroy_usec, COMPUTED(D_END), 0) \
	X("flow.duration", duration, COMPUTED(D_LAST), 0) \
	X("flow.event.ns", event_ns, R_EVENT_NS, L4_ANY) \
	X("flow.end.kind", end_kind, COMPUTED(D_LAST), 0) \
	X("flow.end.reason", end_reason, COMPUTED(D_LAST), 0) \
	X("flow.slice.ns", slice_ns, COMPUTED(D_SLICE), 0) \
	X("ct.zone", zone, R_ORIG + T_ZONE, L4_ANY) \
	X("ct.zone.reply", zone_reply, R_REPLY + T_ZONE, L4_ANY) \
	X("ct.nsid", nsid, R_NSID, L4_ANY) \
	X("ct.netns", netns, BY_INPUT, L4_ANY) \
	X("ct.status", status, R_STATUS, L4_ANY) \
	X("ct.timeout", timeout, R_TIMEOUT, L4_ANY) \
	X("ct.use", use, R_USE, L4_ANY) \
	X("ct.portid", portid, R_PORTID, L4_ANY) \
	X("ct.labels", labels, R_LABELS, L4_ANY) \
	X("ct.helper", helper, R_HELPER, L4_ANY) \
	X("ct.secctx", secctx, R_SECCTX, L4_ANY) \
	X("ct.tcp.state", tcp_state, R_TCP_STATE, L4_ANY) \
	X("ct.tcp.wscale.orig", tcp_wscale_orig, R_TCP_WSCALE_ORIG, L4_ANY) \
	X("ct.tcp.wscale.reply", tcp_wscale_reply, R_TCP_WSCALE_REPLY, L4_ANY) \
	X("ct.tcp.flags.orig", tcp_flags_orig, R_TCP_FLAGS_ORIG, L4_ANY) \
	X("ct.tcp.flags.reply", tcp_flags_reply, R_TCP_FLAGS_REPLY, L4_ANY) \
	X("ct.sctp.state", sctp_state, R_SCTP_STATE, L4_ANY) \
	X("ct.sctp.vtag.orig", sctp_vtag_orig, R_SCTP_VTAG_ORIG, L4_ANY) \
	X("ct.sctp.vtag.reply", sctp_vtag_reply, R_SCTP_VTAG_REPLY, L4_ANY) \
	X("ct.dccp.state", dccp_state, R_DCCP_STATE, L4_ANY) \
	X("ct.dccp.role", dccp_role, R_DCCP_ROLE, L4_ANY) \
	X("ct.dccp.handshake", dccp_handshake, R_DCCP_HANDSHAKE, L4_ANY) \
	X("orig.icmp.id", orig_icmp_id, R_ORIG + T_ICMP_ID, L4_ICMP | L4_ICMPV6) \
	X("reply.icmp.id", reply_icmp_id, R_REPLY + T_ICMP_ID, L4_REPLY(L4_ICMP | L4_ICMPV6)) \
	X("orig.gre.skey", orig_gre_skey, R_ORIG + T_SPORT, L4_GRE) \
	X("orig.gre.dkey", orig_gre_dkey, R_ORIG + T_DPORT, L4_GRE) \
	X("reply.gre.skey", reply_gre_skey, R_REPLY + T_SPORT, L4_REPLY(L4_GRE)) \
	X("reply.gre.dkey", reply_gre_dkey, R_REPLY + T_DPORT, L4_REPLY(L4_GRE)) \
	X("master.ip.saddr", master_saddr, R_MASTER + T_SADDR, L4_ANY) \
	X("master.ip.daddr", master_daddr, R_MASTER + T_DADDR, L4_ANY) \
	X("master.ip.protocol", master_proto, R_MASTER + T_PROTO, L4_ANY) \
	X("master.l4.sport", master_sport, R_MASTER + T_SPORT, L4_ANY) \
	X("master.l4.dport", master_dport, R_MASTER + T_DPORT, L4_ANY)

#define PORT(name, member, from, only) { name, 0, offsetof(struct ct_input, f.member), NULL },
#define SOURCE(name, member, from, only) { (from), (only) },

const struct ctf_port ct_ports[] = { FIELDS(PORT){ NULL } };

static const struct { /* one a port */
	uint8_t from;
	uint16_t only;
} sources[] = { FIELDS(SOURCE) };

_Static_assert(sizeof(sources) / sizeof(*sources) <= CT_PUTS, "room in ct_plan.put");

#define BIT(attr) (UINT32_C(1) << (attr))

/* The attributes a value stands in. */
static uint32_t
attrs_of(unsigned raw)
{
	if (raw == R_ORIG + T_ZONE)
		return BIT(CTA_TUPLE_ORIG) | BIT(CTA_ZONE);
	if (raw == R_REPLY + T_ZONE)
		return BIT(CTA_TUPLE_REPLY) | BIT(CTA_ZONE);
	if (raw < R_REPLY)
		return BIT(CTA_TUPLE_ORIG);
	if (raw < R_MASTER)
		return BIT(CTA_TUPLE_REPLY);
	if (raw < R_STATUS)
		return BIT(CTA_TUPLE_MASTER);
	if (raw >= R_TCP_STATE && raw <= R_DCCP_HANDSHAKE)
		return BIT(CTA_PROTOINFO);
	switch (raw) {
	case R_STATUS:
		return BIT(CTA_STATUS);
	case R_TIMEOUT:
		return BIT(CTA_TIMEOUT);
	case R_MARK:
		return BIT(CTA_MARK);
	case R_ORIG_PACKETS:
	case R_ORIG_BYTES:
		return BIT(CTA_COUNTERS_ORIG);
	case R_REPLY_PACKETS:
	case R_REPLY_BYTES:
		return BIT(CTA_COUNTERS_REPLY);
	case R_USE:
		return BIT(CTA_USE);
	case R_ID:
		return BIT(CTA_ID);
	case R_SECCTX:
		return BIT(CTA_SECCTX);
	case R_START:
	case R_STOP:
		return BIT(CTA_TIMESTAMP);
	case R_EVENT_NS:
		return BIT(CT_ATTR_TIMESTAMP_EVENT);
	case R_LABELS:
		return BIT(CTA_LABELS);
	case R_HELPER:
		return BIT(CTA_HELP);
	}
	return 0; /* from the headers */
}

static uint32_t
attrs_of_derived(const struct ct_input *in, unsigned group)
{
	if (group == D_END && in->flow_end == CT_LAST_PACKET)
		group = D_LAST;
	switch (group) {
	case D_START: /* of NEW: the time of the event, if known */
		return BIT(CTA_TIMESTAMP) | BIT(CT_ATTR_TIMESTAMP_EVENT);
	case D_LAST:
		return BIT(CTA_TIMESTAMP) | BIT(CTA_TUPLE_ORIG) | BIT(CTA_STATUS) |
		       BIT(CTA_PROTOINFO) | BIT(CTA_TIMEOUT);
	}
	return BIT(CTA_TIMESTAMP);
}

void
ct_prepare(struct ct_input *in)
{
	struct ct_plan *plan = &in->plan;

	memset(plan, 0, sizeof(*plan));
	if (in->shapes) /* they are of another plan */
		memset(in->shapes, 0, sizeof(*in->shapes));
	plan->attrs = BIT(CTA_TIMESTAMP) | BIT(CT_ATTR_TIMESTAMP_EVENT); /* at_ns */
	if (in->ident)
		plan->attrs |= BIT(CTA_TUPLE_ORIG) | BIT(CTA_ZONE) | BIT(CTA_ID);
	for (unsigned i = 0; ct_ports[i].name; i++) {
		ctf_ref to = ((const ctf_ref *)in)[ct_ports[i].off];
		unsigned from = sources[i].from;

		if (to == CTF_NONE || from == BY_INPUT)
			continue;
		if (from > R_N) {
			plan->derived |= from - R_N;
			plan->attrs |= attrs_of_derived(in, from - R_N);
			continue;
		}
		plan->attrs |= attrs_of(from);
		plan->put[plan->n].from = (uint8_t)from;
		plan->put[plan->n].only = sources[i].only;
		plan->put[plan->n++].to = to;
	}
}
