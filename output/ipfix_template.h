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
	ctf_ref netns;             /* only for names */
	ctf_ref event, destroy;    /* wanted only for event records */
	ctf_ref status, tcp_state; /* only with an enterprise number, or for uniflows */
};

enum ipfix_op {              /* how an element is made from the record */
		IPFIX_NUM,   /* the number of field a, or b when it is absent */
		IPFIX_MSEC,  /* time a, or b when it is absent, as milliseconds since 1970 */
		IPFIX_NTP,   /* the same in NTP's 64 bits: 2^-32 seconds since 1900 */
		IPFIX_WHEN,  /* time a, b, or when the event was received; as the form says */
		IPFIX_ADDR,  /* an address */
		IPFIX_ICMP,  /* type (a) * 256 + code (b) */
		IPFIX_CONST, /* always a */
		IPFIX_BY_EVENT, /* a at the beginning of a flow, b at its end, else a + b - 1 */
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

/* What the options make of the templates. */
struct ipfix_form {
	bool own;                        /* elements of the project's enterprise number */
	bool ns;                         /* nanoseconds */
	bool uniflow;                    /* each direction its own record */
	bool flows;                      /* flow records at all */
	bool options;                    /* flow keys, names */
	const char *zones;               /* names of zones, or "" */
	uint8_t nat_events, flow_events; /* enum below */
};

enum { IPFIX_NO_EVENTS, IPFIX_EVENTS, IPFIX_EVENTS_MORE };

enum ipfix_event { /* what happens to a flow, each a template */
		   IPFIX_NAT44,
		   IPFIX_NAT44_TO, /* with destinations */
		   IPFIX_EVENT4,
		   IPFIX_EVENT6,
		   IPFIX_EVENTS_N
};

#define IPFIX_ELEMS 24u /* most elements a template has */

struct ipfix_template {
	uint16_t id, len; /* len: octets of a record */
	unsigned n;
	struct ipfix_elem elem[IPFIX_ELEMS];
};

void ipfix_template(struct ipfix_template *, const struct ipfix_form *, unsigned variant,
		    unsigned shape);
void ipfix_event_template(struct ipfix_template *, const struct ipfix_form *, unsigned event);
/* The i-th of all that the form has; false: that many there are not. */
bool ipfix_nth(unsigned i, const struct ipfix_form *, struct ipfix_template *ret_template);

/* Options templates. */
enum {
	IPFIX_STATISTICS_ID = 300, /* the sink's own, not part of the layout */
	IPFIX_METERING_ID = 301,
	IPFIX_GAP_ID = 302,
	IPFIX_TYPE_ID = 303,
	IPFIX_KEYS_ID = 304,
	IPFIX_NAME_ID = 305,
	IPFIX_COVERAGE_ID = 352,
	IPFIX_ZONE_ID = 353,
};

#define IPFIX_VARLEN 65535u /* length of an element in a template: each value has its own */

struct ipfix_option {
	uint16_t id;
	unsigned scopes, n; /* elements; the first so many are the scope */
	struct {
		uint16_t id, len;
		uint8_t owner;
	} elem[9];
};

enum { IPFIX_OPTIONS = 7 };
/* The i-th; false: not in this form.  Type information is the first. */
bool ipfix_option(unsigned i, const struct ipfix_form *, struct ipfix_option *ret_option);

/* ---- ipfix_own.c --------------------------------------------------------------- */

struct ipfix_own { /* an enterprise element, RFC 5610 */
	uint16_t id;
	uint8_t owner; /* IPFIX_OWN or IPFIX_NETFILTER */
	uint16_t len;
	uint8_t type, semantics;
	uint16_t units;
	uint64_t last; /* of its range, which begins at 0 */
	const char *name, *doc;
};

const struct ipfix_own *ipfix_own(unsigned i); /* NULL after the last */

#define IPFIX_TYPE_MOST 160u
/* A record of IPFIX_TYPE_ID; returns its octets. */
uint32_t ipfix_type_record(const struct ipfix_own *, uint32_t pen,
			   uint8_t out[IPFIX_TYPE_MOST]);
/* flowKeyIndicator: bit n is the n-th element. */
uint64_t ipfix_keys(const struct ipfix_template *);

/* ---- ipfix_zones.c ------------------------------------------------------------- */

#define IPFIX_ZONE_MOST 64u /* octets of a name */
#define IPFIX_ZONE_RECORD (4u + 1u + IPFIX_ZONE_MOST)

struct ipfix_zone {
	uint32_t zone, len;
	const char *name; /* len octets */
};

/* The next of "1=red, 2=blue", which *at goes behind: 1, 0 at the end, -EINVAL. */
int ipfix_zone_next(const char **at, struct ipfix_zone *ret_zone);
int ipfix_zones_check(const struct ctf_ctx *, const char *list, struct ctf_err *err);
/* A record of IPFIX_ZONE_ID; returns its octets. */
uint32_t ipfix_zone_record(const struct ipfix_zone *, uint8_t out[IPFIX_ZONE_RECORD]);
/* Octets of the character at p, of well-formed UTF-8 (RFC 3629); 0: it is none. */
unsigned ipfix_char(const uint8_t *p, unsigned left);

/* ---- ipfix_layout.c ------------------------------------------------------------- */

/*
 * All templates as Template Sets and Options Template Sets, one a Set, and
 * the records about them, one a Set, in an order in which they can be sent.
 * The caller frees *ret_bytes.
 */
int ipfix_layout(const struct ipfix_form *, uint32_t pen, uint8_t **ret_bytes,
		 uint32_t *ret_len, struct ctf_err *err);

#endif
