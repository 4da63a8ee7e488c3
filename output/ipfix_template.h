/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_template.h - the flow templates: which elements, in which order, from
 * which fields.
 */
#ifndef CTF_IPFIX_TEMPLATE_H
#define CTF_IPFIX_TEMPLATE_H

#include <ctflow/plugin.h>

struct ipfix_refs { /* the fields read; only ctf_ref members, offsets fit a byte */
	ctf_ref saddr, daddr, proto, sport, dport;
	ctf_ref rsaddr, rdaddr, rsport, rdport;
	ctf_ref bytes, packets, rbytes, rpackets;
	ctf_ref icmp_type, icmp_code, icmp6_type, icmp6_code, icmp_id, ricmp_id;
	ctf_ref mark, id, zone, nsid;
	ctf_ref start, slice, last, reason;
	ctf_ref status, tcp_state; /* wanted only with an enterprise number */
};

enum ipfix_op {              /* how an element is made from the record */
		IPFIX_NUM,   /* the number of field a, or b when it is absent */
		IPFIX_MSEC,  /* time a, or b when it is absent, as milliseconds since 1970 */
		IPFIX_ADDR,  /* an address */
		IPFIX_ICMP,  /* type (a) * 256 + code (b) */
		IPFIX_CONST, /* always a */
};

enum ipfix_owner { IPFIX_IANA, IPFIX_REVERSE, IPFIX_NETFILTER, IPFIX_OWN };

struct ipfix_elem {
	uint16_t id;
	uint8_t owner; /* enum ipfix_owner */
	uint8_t len;
	uint8_t op;   /* enum ipfix_op */
	uint8_t a, b; /* offsets in struct ipfix_refs, or plain values (see the op) */
};

enum ipfix_shape { /* what kind of flow */
		   IPFIX_V4,
		   IPFIX_V4_NAT,
		   IPFIX_ICMP4,
		   IPFIX_ICMP4_NAT,
		   IPFIX_V6,
		   IPFIX_V6_NAT,
		   IPFIX_ICMP6,
		   IPFIX_ICMP6_NAT,
		   IPFIX_SHAPES
};

/*
 * What the kernel could not say is left out of the template, never sent as
 * zero: counters without nf_conntrack_acct, the start without
 * nf_conntrack_timestamp, the last packet when nothing tells it.
 */
enum ipfix_variant {
	IPFIX_ALL,
	IPFIX_NO_START,
	IPFIX_NO_TIMES,
	IPFIX_NO_COUNTERS, /* the same three, without counters */
	IPFIX_NO_COUNTERS_START,
	IPFIX_NO_COUNTERS_TIMES,
	IPFIX_TOTALS, /* of a flow that lives on: counters since it began */
	IPFIX_TOTALS_NO_START,
	IPFIX_TOTALS_NO_TIMES,
	IPFIX_VARIANTS
};

#define IPFIX_ELEMS 24u /* most elements a template has */

struct ipfix_template {
	uint16_t id, len; /* len: octets of a record */
	unsigned n;
	struct ipfix_elem elem[IPFIX_ELEMS];
};

/* own: with the elements of the project's enterprise number. */
void ipfix_template(struct ipfix_template *, unsigned variant, unsigned shape, bool own);

/*
 * Options templates: what was lost (RFC 7011 section 4.3), and with an
 * enterprise number what was watched.
 */
enum { IPFIX_GAP_ID = 302, IPFIX_COVERAGE_ID = 352 };

#define IPFIX_VARLEN 65535u /* length of an element in a template: each value has its own */

struct ipfix_option {
	uint16_t id;
	unsigned scopes, n; /* elements; the first so many are the scope */
	struct {
		uint16_t id, len;
		uint8_t owner;
	} elem[8];
};

enum { IPFIX_OPTIONS = 2 };
/* The i-th; false: not without an enterprise number. */
bool ipfix_option(unsigned i, bool own, struct ipfix_option *ret_option);

/*
 * All templates as Template Sets and Options Template Sets, one a Set, ready
 * to follow a message header.  The caller frees *ret_bytes.
 */
int ipfix_layout(uint32_t pen, uint8_t **ret_bytes, uint32_t *ret_len, struct ctf_err *err);

#endif
