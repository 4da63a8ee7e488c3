/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_attr.c - see ct_attr.h. */
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "ct_attr.h"

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

static const struct ct_attr_rule top[] = {
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
static const struct ct_attr_rule tuple[] = {
	[CTA_TUPLE_IP] = A(NEST, N_TUPLE_IP, 0),
	[CTA_TUPLE_PROTO] = A(NEST, N_TUPLE_PROTO, 0),
	[CTA_TUPLE_ZONE] = N16(T_ZONE),
};
static const struct ct_attr_rule tuple_ip[] = {
	[CTA_IP_V4_SRC] = A(IP4, 0, T_SADDR),
	[CTA_IP_V4_DST] = A(IP4, 0, T_DADDR),
	[CTA_IP_V6_SRC] = A(IP6, 0, T_SADDR),
	[CTA_IP_V6_DST] = A(IP6, 0, T_DADDR),
};
static const struct ct_attr_rule tuple_proto[] = {
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
static const struct ct_attr_rule count_orig[] = {
	[CTA_COUNTERS_PACKETS] = N64(R_ORIG_PACKETS),
	[CTA_COUNTERS_BYTES] = N64(R_ORIG_BYTES),
	[CTA_COUNTERS32_PACKETS] = N32(R_ORIG_PACKETS),
	[CTA_COUNTERS32_BYTES] = N32(R_ORIG_BYTES),
};
static const struct ct_attr_rule count_reply[] = {
	[CTA_COUNTERS_PACKETS] = N64(R_REPLY_PACKETS),
	[CTA_COUNTERS_BYTES] = N64(R_REPLY_BYTES),
	[CTA_COUNTERS32_PACKETS] = N32(R_REPLY_PACKETS),
	[CTA_COUNTERS32_BYTES] = N32(R_REPLY_BYTES),
};
static const struct ct_attr_rule timestamp[] = {
	[CTA_TIMESTAMP_START] = N64(R_START),
	[CTA_TIMESTAMP_STOP] = N64(R_STOP),
};
static const struct ct_attr_rule help[] = {
	[CTA_HELP_NAME] = A(TEXT, 0, R_HELPER),
};
static const struct ct_attr_rule secctx[] = {
	[CTA_SECCTX_NAME] = A(TEXT, 0, R_SECCTX),
};
static const struct ct_attr_rule protoinfo[] = {
	[CTA_PROTOINFO_TCP] = A(NEST, N_TCP, 0),
	[CTA_PROTOINFO_DCCP] = A(NEST, N_DCCP, 0),
	[CTA_PROTOINFO_SCTP] = A(NEST, N_SCTP, 0),
};
static const struct ct_attr_rule tcp[] = {
	[CTA_PROTOINFO_TCP_STATE] = N8(R_TCP_STATE),
	[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL] = N8(R_TCP_WSCALE_ORIG),
	[CTA_PROTOINFO_TCP_WSCALE_REPLY] = N8(R_TCP_WSCALE_REPLY),
	[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL] = A(FLAGS, 0, R_TCP_FLAGS_ORIG),
	[CTA_PROTOINFO_TCP_FLAGS_REPLY] = A(FLAGS, 0, R_TCP_FLAGS_REPLY),
};
static const struct ct_attr_rule sctp[] = {
	[CTA_PROTOINFO_SCTP_STATE] = N8(R_SCTP_STATE),
	[CTA_PROTOINFO_SCTP_VTAG_ORIGINAL] = N32(R_SCTP_VTAG_ORIG),
	[CTA_PROTOINFO_SCTP_VTAG_REPLY] = N32(R_SCTP_VTAG_REPLY),
};
static const struct ct_attr_rule dccp[] = {
	[CTA_PROTOINFO_DCCP_STATE] = N8(R_DCCP_STATE),
	[CTA_PROTOINFO_DCCP_ROLE] = N8(R_DCCP_ROLE),
	[CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ] = N64(R_DCCP_HANDSHAKE),
};

#define TABLE(t) \
	{ \
		(t), sizeof(t) / sizeof((t)[0]) \
	}
const struct ct_nest ct_top = TABLE(top);
const struct ct_nest ct_nests[] = {
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
