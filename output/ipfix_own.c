/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_own.c - the elements IANA does not have, and the records that tell a
 * collector about them (RFC 5610).
 *
 * A reader that uses libfixbuf takes such a record only if it has all nine
 * fields, and only for templates that come after it.
 */
#include "ipfix_template.h"

enum { U8 = 1, U16, U32, U64, STRING = 13 };                /* section 3.1 */
enum { NO_SEMANTICS, TOTAL = 2, DELTA, IDENTIFIER, FLAGS }; /* section 3.6 */
enum { NO_UNITS, FLOWS = 4 };                               /* section 3.7 */

static const struct ipfix_own own[] = {
	{ 1001, IPFIX_OWN, 4, U32, FLAGS, NO_UNITS, UINT32_MAX, "ctStatus",
	  "status bits of the conntrack entry (IPS_*)" },
	{ 1004, IPFIX_OWN, 1, U8, IDENTIFIER, NO_UNITS, 10, "ctTcpState",
	  "TCP state of the conntrack entry, in conntrack's numbering" },
	{ 1006, IPFIX_OWN, 2, U16, IDENTIFIER, NO_UNITS, UINT16_MAX, "ctIcmpId",
	  "identifier of ICMP and ICMPv6 queries, original direction" },
	{ 1010, IPFIX_OWN, 8, U64, DELTA, FLOWS, UINT64_MAX, "ctEventsLost",
	  "flows this loss took; all bits set: not known" },
	{ 1011, IPFIX_OWN, 1, U8, IDENTIFIER, NO_UNITS, 2, "ctLossKind",
	  "how sure the number is: 0 exact, 1 at most, 2 not known" },
	{ 1012, IPFIX_OWN, IPFIX_VARLEN, STRING, NO_SEMANTICS, NO_UNITS, 0, "ctLossCause",
	  "why flows were lost, one word" },
	{ 1013, IPFIX_OWN, IPFIX_VARLEN, STRING, NO_SEMANTICS, NO_UNITS, 0, "ctCoverage",
	  "under which conditions connections were watched, key=value" },
	{ 1014, IPFIX_OWN, 8, U64, TOTAL, FLOWS, UINT64_MAX, "ctEventsLostTotal",
	  "flows the metering process lost so far, for certain or at most" },
	{ 4, IPFIX_NETFILTER, 4, U32, IDENTIFIER, NO_UNITS, UINT32_MAX, "netfilterMark",
	  "connection mark" },
};

const struct ipfix_own *
ipfix_own(unsigned i)
{
	return i < sizeof(own) / sizeof(*own) ? &own[i] : NULL;
}

static uint8_t *
put(uint8_t *p, uint64_t x, unsigned n)
{
	for (unsigned i = n; i-- > 0;)
		*p++ = (uint8_t)(x >> 8 * i);
	return p;
}

static uint8_t *
put_text(uint8_t *p, const char *text)
{
	size_t n = strlen(text);

	*p = (uint8_t)n;
	memcpy(p + 1, text, n);
	return p + 1 + n;
}

/* In the order of template 303. */
uint32_t
ipfix_type_record(const struct ipfix_own *e, uint32_t pen, uint8_t out[IPFIX_TYPE_MOST])
{
	uint8_t *p = put(out, e->id, 2);

	p = put(p, pen, 4);
	p = put(p, e->type, 1);
	p = put(p, e->semantics, 1);
	p = put(p, e->units, 2);
	p = put(p, 0, 8);
	p = put(p, e->last, 8);
	p = put_text(p, e->name);
	return (uint32_t)(put_text(p, e->doc) - out);
}

/* ---- flow keys: RFC 7011 section 4.4 ------------------------------------------- */

/* What tells one entry of conntrack from another: its original tuple and zone. */
static bool
is_key(const struct ipfix_elem *e)
{
	static const uint16_t ids[] = { 8, 12, 27, 28, 7, 11, 4, 32, 139, 234 };

	if (e->owner == IPFIX_OWN)
		return e->id == 1006;
	for (unsigned i = 0; e->owner == IPFIX_IANA && i < sizeof(ids) / sizeof(*ids); i++)
		if (e->id == ids[i])
			return true;
	return false;
}

uint64_t
ipfix_keys(const struct ipfix_template *t)
{
	uint64_t keys = 0;

	for (unsigned i = 0; i < t->n; i++)
		keys |= (uint64_t)is_key(&t->elem[i]) << i;
	return keys;
}
