/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The field dictionary.  Names are ulogd2's where it has the field; what it
 * lacks is added in its spelling.  IPFIX elements are IANA's, or name their
 * enterprise number; the reply tuple is the flow as seen behind NAT, hence
 * the post-NAT elements (RFC 8158 section 4.1).
 */
#include "field.h"
#include "nearest.h"

#define ULOGD CTF_F_ULOGD
#define ZERO CTF_F_ZERO
#define REV CTF_PEN_REVERSE
#define NETFILTER CTF_PEN_NETFILTER

static const struct ctf_field fields[] = {
	/* ulogd2's keys */
	{ "orig.ip.saddr", CTF_IP, ULOGD, 8, 27, 0, NULL, "source address" },
	{ "orig.ip.daddr", CTF_IP, ULOGD, 12, 28, 0, NULL, "destination address" },
	{ "orig.ip.protocol", CTF_U8, ULOGD, 4, 0, 0, NULL, "IP protocol number" },
	{ "orig.l4.sport", CTF_U16, ULOGD, 7, 0, 0, NULL, "source port" },
	{ "orig.l4.dport", CTF_U16, ULOGD, 11, 0, 0, NULL, "destination port" },
	{ "orig.raw.pktlen", CTF_U64, ULOGD | ZERO, 1, 0, 0, NULL,
	  "bytes from the originator, IP header included" },
	{ "orig.raw.pktcount", CTF_U64, ULOGD | ZERO, 2, 0, 0, NULL,
	  "packets from the originator" },
	{ "reply.ip.saddr", CTF_IP, ULOGD, 226, 282, 0, NULL,
	  "source address of replies: the destination after NAT" },
	{ "reply.ip.daddr", CTF_IP, ULOGD, 225, 281, 0, NULL,
	  "destination address of replies: the source after NAT" },
	{ "reply.ip.protocol", CTF_U8, ULOGD, 0, 0, 0, NULL, "IP protocol number of replies" },
	{ "reply.l4.sport", CTF_U16, ULOGD, 228, 0, 0, NULL,
	  "source port of replies: the destination port after NAT" },
	{ "reply.l4.dport", CTF_U16, ULOGD, 227, 0, 0, NULL,
	  "destination port of replies: the source port after NAT" },
	{ "reply.raw.pktlen", CTF_U64, ULOGD | ZERO, 1, 0, REV, NULL,
	  "bytes from the responder, IP header included" },
	{ "reply.raw.pktcount", CTF_U64, ULOGD | ZERO, 2, 0, REV, NULL,
	  "packets from the responder" },
	{ "icmp.code", CTF_U8, ULOGD, 177, 0, 0, NULL, "ICMP code" },
	{ "icmp.type", CTF_U8, ULOGD, 176, 0, 0, NULL, "ICMP type" },
	{ "icmpv6.code", CTF_U8, ULOGD, 179, 0, 0, NULL, "ICMPv6 code" },
	{ "icmpv6.type", CTF_U8, ULOGD, 178, 0, 0, NULL, "ICMPv6 type" },
	{ "ct.mark", CTF_U32, ULOGD | ZERO, 4, 0, NETFILTER, NULL, "connection mark" },
	{ "ct.id", CTF_U32, ULOGD, 148, 0, 0, NULL,
	  "conntrack id; unique only among live entries" },
	{ "ct.event", CTF_U32, ULOGD, 0, 0, 0, NULL, "1 NEW, 2 UPDATE, 4 DESTROY" },
	{ "flow.start.sec", CTF_U32, ULOGD, 150, 0, 0, NULL, "first packet, seconds" },
	{ "flow.start.usec", CTF_U32, ULOGD, 0, 0, 0, NULL, "first packet, microseconds" },
	{ "flow.end.sec", CTF_U32, ULOGD, 151, 0, 0, NULL, "end of the flow, seconds" },
	{ "flow.end.usec", CTF_U32, ULOGD, 0, 0, 0, NULL, "end of the flow, microseconds" },
	{ "oob.family", CTF_U8, ULOGD, 0, 0, 0, NULL, "2 IPv4, 10 IPv6" },
	{ "oob.protocol", CTF_U16, ULOGD | ZERO, 0, 0, 0, NULL, "always 0 for flows" },

	/* what ulogd2 lacks */
	{ "flow.start.ns", CTF_TIME, 0, 152, 0, 0, NULL, "first packet; absent if unknown" },
	{ "flow.last.ns", CTF_TIME, 0, 153, 0, 0, NULL,
	  "last packet: destruction less the timeout in force" },
	{ "flow.last.sec", CTF_U32, 0, 0, 0, 0, NULL, "last packet, seconds" },
	{ "flow.last.usec", CTF_U32, 0, 0, 0, 0, NULL, "last packet, microseconds" },
	{ "flow.destroy.ns", CTF_TIME, 0, 0, 0, 0, NULL,
	  "when conntrack ended the flow; absent if the kernel did not say" },
	{ "flow.destroy.sec", CTF_U32, 0, 0, 0, 0, NULL, "the same, seconds" },
	{ "flow.destroy.usec", CTF_U32, 0, 0, 0, 0, NULL, "the same, microseconds" },
	{ "flow.duration", CTF_U64, 0, 0, 0, 0, NULL, "first to last packet, milliseconds" },
	{ "flow.event.ns", CTF_TIME, 0, 325, 0, 0, NULL,
	  "when the event was made (kernel 6.14 and later)" },
	{ "flow.end.kind", CTF_TEXT, 0, 0, 0, 0, NULL,
	  "how flow.last is known: exact, bound (it was not later) or received" },
	{ "flow.end.reason", CTF_U8, 0, 136, 0, 0, NULL,
	  "1 idle, 2 goes on, 3 end detected, 4 forced (IPFIX flowEndReason)" },
	{ "flow.slice.ns", CTF_TIME, 0, 0, 0, 0, NULL,
	  "since when the counters count: the first packet, or the last sweep (delta)" },
	{ "ct.zone", CTF_U16, 0, 234, 0, 0, NULL, "conntrack zone of the original direction" },
	{ "ct.zone.reply", CTF_U16, 0, 235, 0, 0, NULL,
	  "conntrack zone of the reply direction" },
	{ "ct.nsid", CTF_U32, 0, 0, 0, 0, NULL,
	  "network namespace id; absent for the own one" },
	{ "ct.netns", CTF_TEXT, 0, 0, 0, 0, NULL,
	  "name of that network namespace, if it has one" },
	{ "ct.status", CTF_U32, 0, 0, 0, 0, NULL, "status bits (IPS_*)" },
	{ "ct.timeout", CTF_U32, 0, 0, 0, 0, NULL, "seconds the entry had left" },
	{ "ct.use", CTF_U32, 0, 0, 0, 0, NULL, "reference count" },
	{ "ct.portid", CTF_U32, 0, 0, 0, 0, NULL, "netlink port of who deleted the entry" },
	{ "ct.labels", CTF_BYTES, 0, 0, 0, 0, NULL,
	  "connection labels, 16 bytes (not in DESTROY)" },
	{ "ct.helper", CTF_TEXT, 0, 0, 0, 0, NULL, "name of the helper (not in DESTROY)" },
	{ "ct.secctx", CTF_TEXT, 0, 0, 0, 0, NULL, "security context (not in DESTROY)" },
	{ "ct.tcp.state", CTF_U8, 0, 0, 0, 0, NULL, "conntrack's TCP state, 0-9" },
	{ "ct.tcp.wscale.orig", CTF_U8, 0, 0, 0, 0, NULL, "window scale (not in DESTROY)" },
	{ "ct.tcp.wscale.reply", CTF_U8, 0, 0, 0, 0, NULL, "window scale (not in DESTROY)" },
	{ "ct.tcp.flags.orig", CTF_U8, 0, 0, 0, 0, NULL,
	  "conntrack's flags, not the header's (not in DESTROY)" },
	{ "ct.tcp.flags.reply", CTF_U8, 0, 0, 0, 0, NULL,
	  "conntrack's flags, not the header's (not in DESTROY)" },
	{ "ct.sctp.state", CTF_U8, 0, 0, 0, 0, NULL, "conntrack's SCTP state" },
	{ "ct.sctp.vtag.orig", CTF_U32, 0, 0, 0, 0, NULL, "verification tag" },
	{ "ct.sctp.vtag.reply", CTF_U32, 0, 0, 0, 0, NULL, "verification tag" },
	{ "ct.dccp.state", CTF_U8, 0, 0, 0, 0, NULL, "conntrack's DCCP state" },
	{ "ct.dccp.role", CTF_U8, 0, 0, 0, 0, NULL, "0 client, 1 server" },
	{ "ct.dccp.handshake", CTF_U64, 0, 0, 0, 0, NULL, "handshake sequence number" },
	{ "orig.icmp.id", CTF_U16, 0, 0, 0, 0, NULL, "ICMP or ICMPv6 id, original direction" },
	{ "reply.icmp.id", CTF_U16, 0, 0, 0, 0, NULL, "ICMP or ICMPv6 id, reply direction" },
	{ "orig.gre.skey", CTF_U16, 0, 0, 0, 0, NULL, "PPTP-GRE source key" },
	{ "orig.gre.dkey", CTF_U16, 0, 0, 0, 0, NULL, "PPTP-GRE destination key" },
	{ "reply.gre.skey", CTF_U16, 0, 0, 0, 0, NULL, "PPTP-GRE source key of replies" },
	{ "reply.gre.dkey", CTF_U16, 0, 0, 0, 0, NULL, "PPTP-GRE destination key of replies" },
	{ "master.ip.saddr", CTF_IP, 0, 0, 0, 0, NULL, "master connection (not in DESTROY)" },
	{ "master.ip.daddr", CTF_IP, 0, 0, 0, 0, NULL, "master connection (not in DESTROY)" },
	{ "master.ip.protocol", CTF_U8, 0, 0, 0, 0, NULL,
	  "master connection (not in DESTROY)" },
	{ "master.l4.sport", CTF_U16, 0, 0, 0, 0, NULL, "master connection (not in DESTROY)" },
	{ "master.l4.dport", CTF_U16, 0, 0, 0, 0, NULL, "master connection (not in DESTROY)" },

	/* what filters add */
	{ "print", CTF_TEXT, ULOGD, 0, 0, 0, NULL, "the flow as a line of text" },
	{ "orig.ip.saddr.str", CTF_TEXT, ULOGD, 0, 0, 0, "src_ip", "source address" },
	{ "orig.ip.daddr.str", CTF_TEXT, ULOGD, 0, 0, 0, "dest_ip", "destination address" },
	{ "orig.ip.saddr.name", CTF_TEXT, ULOGD, 0, 0, 0, "src_name",
	  "name of the source at the time of the flow" },
	{ "orig.ip.daddr.name", CTF_TEXT, ULOGD, 0, 0, 0, "dest_name",
	  "name of the destination at the time of the flow" },
	{ "orig.ip.saddr.name.ns", CTF_TIME, 0, 0, 0, 0, NULL,
	  "since when the source has that name, or none" },
	{ "orig.ip.daddr.name.ns", CTF_TIME, 0, 0, 0, 0, NULL,
	  "since when the destination has that name, or none" },
	{ "reply.ip.saddr.str", CTF_TEXT, ULOGD, 0, 0, 0, NULL, "source address of replies" },
	{ "reply.ip.daddr.str", CTF_TEXT, ULOGD, 0, 0, 0, NULL,
	  "destination address of replies" },
	{ "orig.ip.saddr.bin", CTF_BYTES, ULOGD, 0, 0, 0, NULL,
	  "source address in 16 bytes, IPv4 as ::ffff:0:0/96" },
	{ "orig.ip.daddr.bin", CTF_BYTES, ULOGD, 0, 0, 0, NULL,
	  "destination address in 16 bytes" },
	{ "reply.ip.saddr.bin", CTF_BYTES, ULOGD, 0, 0, 0, NULL,
	  "source address of replies in 16 bytes" },
	{ "reply.ip.daddr.bin", CTF_BYTES, ULOGD, 0, 0, 0, NULL,
	  "destination address of replies in 16 bytes" },
	{ "orig.ip.hsaddr", CTF_IP, ULOGD, 0, 0, 0, NULL,
	  "source address; to a database a number in host order" },
	{ "orig.ip.hdaddr", CTF_IP, ULOGD, 0, 0, 0, NULL,
	  "destination address; to a database a number in host order" },
	{ "reply.ip.hsaddr", CTF_IP, ULOGD, 0, 0, 0, NULL,
	  "source address of replies; to a database a number in host order" },
	{ "reply.ip.hdaddr", CTF_IP, ULOGD, 0, 0, 0, NULL,
	  "destination address of replies; to a database a number in host order" },
};

const struct ctf_field *
field_nth(unsigned i)
{
	return i < sizeof(fields) / sizeof(*fields) ? &fields[i] : NULL;
}

const struct ctf_field *
field_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

const struct ctf_field *
ctf_field_find(const char *name, const char **ret_near)
{
	const struct ctf_field *f = field_find(name);
	struct nearest near = nearest_to(name);

	for (unsigned i = 0; !f && ret_near && i < sizeof(fields) / sizeof(*fields); i++)
		nearest_consider(&near, fields[i].name);
	if (!f && ret_near)
		*ret_near = near.word;
	return f;
}

const char *
field_type_name(enum ctf_type t)
{
	static const char *const names[] = {
		[CTF_U8] = "u8",     [CTF_U16] = "u16",    [CTF_U32] = "u32",
		[CTF_U64] = "u64",   [CTF_TIME] = "time",  [CTF_IP] = "ip",
		[CTF_TEXT] = "text", [CTF_BYTES] = "bytes"
	};

	return t >= CTF_U8 && t <= CTF_BYTES ? names[t] : "?";
}
