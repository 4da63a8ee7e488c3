/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout.h - the kinds of tables a flow can be in, and SQL that shows each of
 * them in the same way: addresses as the signed 32 bits of IPv4 or 16 bytes,
 * ports without sign, what is absent as NULL.
 */
#ifndef CTF_QUERY_LAYOUT_H
#define CTF_QUERY_LAYOUT_H

#include "query.h"

enum layout {
	L_FULL,     /* version 3: days of profile full, */
	L_NAT,      /* and of profile nat */
	L_STAMPED,  /* version 1 and 2: conntrack told the stop, */
	L_RECEIVED, /* or did not */
	L_OPEN,     /* flows that live, of version 3, */
	L_OPEN_2,   /* and of 1 and 2 */
	LAYOUTS
};

enum look { /* what is shown */
	    A_AT,
	    A_STAMPED,
	    A_START,
	    A_END,
	    A_ID,
	    A_NSID,
	    A_PROTO,
	    A_SRC,
	    A_DST,
	    A_NAT_SRC,
	    A_NAT_DST,
	    A_SPORT,
	    A_DPORT,
	    A_NAT_SPORT,
	    A_NAT_DPORT,
	    A_ICMP, /* type << 8 | code */
	    A_PACKETS,
	    A_BYTES,
	    A_RPACKETS,
	    A_RBYTES,
	    A_MARK,
	    A_ZONE,
	    A_STATUS,
	    A_TCP_STATE,
	    A_REASON,
	    A_LOST, /* lost_ns */
	    LOOKS
};

/* The SQL of it; "NULL" where the table has no such thing. */
const char *layout_sql(enum layout, enum look);
/* The column by which the table is in the order of time, or is sorted. */
const char *layout_key(enum layout);
/* Appends all LOOKS, by commas. */
void layout_columns(sqlite3_str *, enum layout);
/* A row of a statement that began with those. */
void layout_decode(sqlite3_stmt *, enum layout, const struct q_db *, struct q_flow *ret_flow);

#endif
