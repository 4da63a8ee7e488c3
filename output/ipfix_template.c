/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_template.c - the templates as tables; ipfix_layout.c makes bytes of them. */
#include "ipfix_template.h"

#define AT(member) ((uint8_t)offsetof(struct ipfix_refs, member))
#define NUM(id, len, member) \
	{ \
		id, IPFIX_IANA, len, IPFIX_NUM, AT(member), 0 \
	}

/* With deltas a record is about the time since the last one. */
static const struct ipfix_elem start[] = { { 152, IPFIX_IANA, 8, IPFIX_MSEC, AT(slice),
					     AT(start) } };
static const struct ipfix_elem last[] = { { 153, IPFIX_IANA, 8, IPFIX_MSEC, AT(last),
					    AT(last) } };
static const struct ipfix_elem counters[] = {
	NUM(1, 8, bytes),
	NUM(2, 8, packets),
	{ 1, IPFIX_REVERSE, 8, IPFIX_NUM, AT(rbytes), 0 },
	{ 2, IPFIX_REVERSE, 8, IPFIX_NUM, AT(rpackets), 0 },
};
/* Not to be added to those of other records. */
static const struct ipfix_elem totals[] = {
	NUM(85, 8, bytes),
	NUM(86, 8, packets),
	{ 85, IPFIX_REVERSE, 8, IPFIX_NUM, AT(rbytes), 0 },
	{ 86, IPFIX_REVERSE, 8, IPFIX_NUM, AT(rpackets), 0 },
};
static const struct ipfix_elem addr4[] = {
	{ 8, IPFIX_IANA, 4, IPFIX_ADDR, AT(saddr), 0 },
	{ 12, IPFIX_IANA, 4, IPFIX_ADDR, AT(daddr), 0 },
};
static const struct ipfix_elem addr6[] = {
	{ 27, IPFIX_IANA, 16, IPFIX_ADDR, AT(saddr), 0 },
	{ 28, IPFIX_IANA, 16, IPFIX_ADDR, AT(daddr), 0 },
};
static const struct ipfix_elem ports[] = { NUM(7, 2, sport), NUM(11, 2, dport) };
static const struct ipfix_elem icmp4[] = {
	{ 32, IPFIX_IANA, 2, IPFIX_ICMP, AT(icmp_type), AT(icmp_code) },
	{ 1006, IPFIX_OWN, 2, IPFIX_NUM, AT(icmp_id), 0 },
};
static const struct ipfix_elem icmp6[] = {
	{ 139, IPFIX_IANA, 2, IPFIX_ICMP, AT(icmp6_type), AT(icmp6_code) },
	{ 1006, IPFIX_OWN, 2, IPFIX_NUM, AT(icmp_id), 0 },
};
/*
 * Mark, zone and status have no attribute when they are 0.  A reason is
 * always given by the decoder; 0 is outside the element's range, hence idle.
 */
static const struct ipfix_elem tail[] = {
	NUM(148, 8, id),
	NUM(234, 4, zone),
	{ 4, IPFIX_NETFILTER, 4, IPFIX_NUM, AT(mark), 0 },
	{ 1001, IPFIX_OWN, 4, IPFIX_NUM, AT(status), 0 },
	{ 136, IPFIX_IANA, 1, IPFIX_NUM, AT(reason), 1 },
	{ 239, IPFIX_IANA, 1, IPFIX_CONST, 1, 0 },
	{ 1004, IPFIX_OWN, 1, IPFIX_NUM, AT(tcp_state), 0 },
	NUM(4, 1, proto),
};
/* The reply tuple mirrors the flow as it is beyond the translation. */
static const struct ipfix_elem post4[] = {
	{ 225, IPFIX_IANA, 4, IPFIX_ADDR, AT(rdaddr), 0 },
	{ 226, IPFIX_IANA, 4, IPFIX_ADDR, AT(rsaddr), 0 },
};
static const struct ipfix_elem post6[] = {
	{ 281, IPFIX_IANA, 16, IPFIX_ADDR, AT(rdaddr), 0 },
	{ 282, IPFIX_IANA, 16, IPFIX_ADDR, AT(rsaddr), 0 },
};
static const struct ipfix_elem post_ports[] = { NUM(227, 2, rdport), NUM(228, 2, rsport) };
static const struct ipfix_elem nat66[] = { { 297, IPFIX_IANA, 1, IPFIX_CONST, 5, 0 } };

struct part {
	const struct ipfix_elem *elem;
	unsigned n;
};

#define PART(a) \
	{ \
		a, sizeof(a) / sizeof(*(a)) \
	}
#define PARTS 7u

static const struct part shapes[IPFIX_SHAPES][PARTS] = {
	[IPFIX_V4] = { PART(addr4), PART(ports), PART(tail) },
	[IPFIX_V4_NAT] = { PART(addr4), PART(ports), PART(tail), PART(post4),
			   PART(post_ports) },
	[IPFIX_ICMP4] = { PART(addr4), PART(icmp4), PART(tail) },
	[IPFIX_ICMP4_NAT] = { PART(addr4), PART(icmp4), PART(tail), PART(post4) },
	[IPFIX_V6] = { PART(addr6), PART(ports), PART(tail) },
	[IPFIX_V6_NAT] = { PART(addr6), PART(ports), PART(tail), PART(post6), PART(post_ports),
			   PART(nat66) },
	[IPFIX_ICMP6] = { PART(addr6), PART(icmp6), PART(tail) },
	[IPFIX_ICMP6_NAT] = { PART(addr6), PART(icmp6), PART(tail), PART(post6), PART(nat66) },
};

/*
 * Template ids.  A layout owns a block of 128: 256-383.  Of it, offsets from
 * 256,
 *    0- 6  the flow templates of enum ipfix_shape, all elements
 *    7-13  the same without start        28-34  without counters
 *   21-27  without start and end         35-41  without counters and start
 *                                        50-56  without counters and times
 *   64-70  totals   71-77  without start   78-84  without times
 *   57-62, 85-87  ICMPv6 behind NAT, one a variant
 *   44-49 and from 96 on are options; 14 15 19 20 are kept for events.
 */
#define FIRST_ID 256u

static uint16_t
template_id(unsigned variant, unsigned shape)
{
	static const uint8_t base[IPFIX_VARIANTS] = { 0, 7, 21, 28, 35, 50, 64, 71, 78 };

	if (shape == IPFIX_ICMP6_NAT)
		return (uint16_t)(FIRST_ID + (variant < IPFIX_TOTALS
						      ? 57u + variant
						      : 85u + variant - IPFIX_TOTALS));
	return (uint16_t)(FIRST_ID + base[variant] + shape);
}

static void
append(struct ipfix_template *t, const struct part *part, bool own)
{
	for (unsigned i = 0; i < part->n; i++) {
		if (part->elem[i].owner == IPFIX_OWN && !own)
			continue;
		t->elem[t->n++] = part->elem[i];
		t->len = (uint16_t)(t->len + part->elem[i].len);
	}
}

void
ipfix_template(struct ipfix_template *t, unsigned variant, unsigned shape, bool own)
{
	const struct part head[] = { PART(start), PART(last), PART(counters), PART(totals) };
	unsigned times = variant % IPFIX_NO_COUNTERS;

	memset(t, 0, sizeof(*t));
	t->id = template_id(variant, shape);
	if (times < IPFIX_NO_START)
		append(t, &head[0], own);
	if (times < IPFIX_NO_TIMES)
		append(t, &head[1], own);
	if (variant < IPFIX_NO_COUNTERS)
		append(t, &head[2], own);
	if (variant >= IPFIX_TOTALS)
		append(t, &head[3], own);
	for (unsigned i = 0; i < PARTS && shapes[shape][i].n; i++)
		append(t, &shapes[shape][i], own);
}

/* ---- options ---------------------------------------------------------------- */

static const struct ipfix_option options[IPFIX_OPTIONS] = {
	{ IPFIX_GAP_ID,
	  1,
	  7,
	  { { 144, 4, IPFIX_IANA },
	    { 166, 8, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 1010, 8, IPFIX_OWN },
	    { 1011, 1, IPFIX_OWN },
	    { 1012, IPFIX_VARLEN, IPFIX_OWN } } },
	{ IPFIX_COVERAGE_ID,
	  1,
	  5,
	  { { 149, 4, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 335, IPFIX_VARLEN, IPFIX_IANA },
	    { 1013, IPFIX_VARLEN, IPFIX_OWN } } },
};

bool
ipfix_option(unsigned i, bool own, struct ipfix_option *ret_option)
{
	const struct ipfix_option *from = &options[i];
	struct ipfix_option o = { .id = from->id, .scopes = from->scopes };

	if (from->id == IPFIX_COVERAGE_ID && !own)
		return false;
	for (unsigned k = 0; k < from->n; k++)
		if (own || from->elem[k].owner != IPFIX_OWN)
			o.elem[o.n++] = from->elem[k];
	*ret_option = o;
	return true;
}
