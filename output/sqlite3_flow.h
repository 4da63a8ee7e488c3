/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: a record as the native tables store it.
 *
 * Numbers are signed and as short as SQLite stores them: an IPv4 address is
 * its 32 bits, a port its 16 bits, as a signed number.  IPv6 is 16 bytes.  Of
 * ICMP dport is type << 8 | code.  The times of a row are told by how far they
 * are from at_ns, when conntrack dropped the entry.
 */
#ifndef CTF_SQLITE3_FLOW_H
#define CTF_SQLITE3_FLOW_H

#include "sqlite3_row.h"

/* The fields a native table is made of, in this order. */
enum sq_field {
	F_SADDR, /* the first three must be there */
	F_DADDR,
	F_PROTO,
	F_START,
	F_LAST,
	F_STOP,
	F_SPORT,
	F_DPORT,
	F_RSADDR,
	F_RDADDR,
	F_RSPORT,
	F_RDPORT,
	F_ICMP_TYPE,
	F_ICMP_CODE,
	F_ICMP6_TYPE,
	F_ICMP6_CODE,
	F_ZONE,
	F_NSID,
	F_ID,
	F_NAT_COUNT, /* what follows is not needed to tell who had an address */
	F_BYTES = F_NAT_COUNT,
	F_PACKETS,
	F_RBYTES,
	F_RPACKETS,
	F_MARK,
	F_STATUS,
	F_TCP_STATE,
	F_REASON,
	F_COUNT,
};
#define F_NEEDED F_START
extern const char *const sq_native_fields[F_COUNT];

/* The columns of a base table, and of the virtual table a group is shown in. */
enum sq_col {
	SQ_C_AT, /* the key: these four */
	SQ_C_ID,
	SQ_C_AGE,
	SQ_C_NS,
	SQ_C_IDLE,
	SQ_C_PROTO,
	SQ_C_SRC,
	SQ_C_DST,
	SQ_C_SPORT,
	SQ_C_DPORT,
	SQ_C_PACKETS,
	SQ_C_BYTES,
	SQ_C_RPACKETS,
	SQ_C_RBYTES,
	SQ_C_STATUS,
	SQ_C_TCP_STATE,
	SQ_C_REASON,
	SQ_C_NSRC, /* nat_*: of the side that was translated */
	SQ_C_NSPORT,
	SQ_C_NDST,
	SQ_C_NDPORT,
	SQ_C_MARK,
	SQ_C_ZONE,
	SQ_C_BASE, /* so many */
	/* For profile=nat: the host, and what the others see of it. */
	SQ_C_IN = SQ_C_BASE,
	SQ_C_INPORT,
	SQ_C_OUT,
	SQ_C_OUTPORT,
	/* For flows that live. */
	SQ_C_START, /* 0: unknown */
	SQ_C_XID,   /* -1: absent */
	SQ_C_NSID,
	SQ_C_SEEN,
	SQ_C_SOURCE,
	SQ_C_DELTA,
	SQ_C_COUNT
};

#define SQ_AT_MAX (INT64_MAX - 1)
#define SQ_NO_PORT 65536 /* in a key */

struct sq_flow {
	uint64_t set, ip6;                   /* bits by column: not NULL; IPv6 */
	int64_t v[SQ_C_COUNT];               /* of IPv6: its place in addr */
	const uint8_t *addr[6];              /* 16 bytes each, borrowed from the frame */
	struct sq_text source;               /* SQ_C_SOURCE */
	int64_t start_ns, end_ns;            /* 0: unknown */
	bool was_open;                       /* a sweep has seen it before, */
	int64_t was[4], was_seen_ns;         /* lastly then; and all it told of the counters:
				       * packets, bytes, packets and bytes of replies */
	struct sq_cell cells[SQ_FIELDS + 1]; /* the last one is always absent */
};

static inline bool
sq_flow_has(const struct sq_flow *f, enum sq_col col)
{
	return f->set >> col & 1;
}

/* map: places of sq_native_fields in the layout, or -1.  -EBADMSG: no record. */
int sq_flow_get(const struct sq_layout *, const int *map, const uint8_t *p,
		struct sq_row *ret_row, struct sq_flow *ret_flow);

#endif
