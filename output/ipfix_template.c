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
/* RFC 8158, table 5: what is mandatory, and the zone. */
static const struct ipfix_elem nat44[] = {
	{ 323, IPFIX_IANA, 8, IPFIX_WHEN, AT(event), AT(destroy) },
	{ 230, IPFIX_IANA, 1, IPFIX_BY_EVENT, 4, 5 },
	{ 8, IPFIX_IANA, 4, IPFIX_ADDR, AT(saddr), 0 },
	{ 225, IPFIX_IANA, 4, IPFIX_ADDR, AT(rdaddr), 0 },
	NUM(4, 1, proto),
	NUM(7, 2, sport),
	NUM(227, 2, rdport),
	NUM(234, 4, zone),
};
static const struct ipfix_elem nat44_to[] = {
	{ 12, IPFIX_IANA, 4, IPFIX_ADDR, AT(daddr), 0 },
	{ 226, IPFIX_IANA, 4, IPFIX_ADDR, AT(rsaddr), 0 },
	NUM(11, 2, dport),
	NUM(228, 2, rsport),
};
static const struct ipfix_elem happened[] = {
	{ 323, IPFIX_IANA, 8, IPFIX_WHEN, AT(event), AT(destroy) },
	{ 233, IPFIX_IANA, 1, IPFIX_BY_EVENT, 1, 5 },
	NUM(148, 8, id),
};
static const struct ipfix_elem happened_to[] = {
	NUM(4, 1, proto),
	{ 4, IPFIX_NETFILTER, 4, IPFIX_NUM, AT(mark), 0 },
	{ 1001, IPFIX_OWN, 4, IPFIX_NUM, AT(status), 0 },
	{ 1004, IPFIX_OWN, 1, IPFIX_NUM, AT(tcp_state), 0 },
	NUM(234, 4, zone),
};
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
#define EVENT_PARTS 5u

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

static const struct part events[IPFIX_EVENTS_N][EVENT_PARTS] = {
	[IPFIX_NAT44] = { PART(nat44) },
	[IPFIX_NAT44_TO] = { PART(nat44), PART(nat44_to) },
	[IPFIX_EVENT4] = { PART(happened), PART(addr4), PART(ports), PART(happened_to) },
	[IPFIX_EVENT6] = { PART(happened), PART(addr6), PART(ports), PART(happened_to) },
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
 *   44-49 and from 96 on are options, 14 15 19 20 events.
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

/* The element as the form has it; false: it has not. */
static bool
shaped(struct ipfix_elem *e, const struct ipfix_form *form)
{
	if (e->owner == IPFIX_OWN && !form->own)
		return false;
	if (form->uniflow && (e->owner == IPFIX_REVERSE || e->id == 239))
		return false;
	if (!form->ns || e->owner != IPFIX_IANA)
		return true;
	if (e->id == 152 || e->id == 153) {
		e->id += 156 - 152;
		e->op = IPFIX_NTP;
	} else if (e->id == 323) {
		e->id = 325;
	}
	return true;
}

static void
append(struct ipfix_template *t, const struct part *part, const struct ipfix_form *form)
{
	for (unsigned i = 0; i < part->n; i++) {
		struct ipfix_elem e = part->elem[i];

		if (!shaped(&e, form))
			continue;
		t->elem[t->n++] = e;
		t->len = (uint16_t)(t->len + e.len);
	}
}

void
ipfix_template(struct ipfix_template *t, const struct ipfix_form *form, unsigned variant,
	       unsigned shape)
{
	const struct part head[] = { PART(start), PART(last), PART(counters), PART(totals) };
	unsigned times = variant % IPFIX_NO_COUNTERS;

	memset(t, 0, sizeof(*t));
	t->id = template_id(variant, shape);
	if (times < IPFIX_NO_START)
		append(t, &head[0], form);
	if (times < IPFIX_NO_TIMES)
		append(t, &head[1], form);
	if (variant < IPFIX_NO_COUNTERS)
		append(t, &head[2], form);
	if (variant >= IPFIX_TOTALS)
		append(t, &head[3], form);
	for (unsigned i = 0; i < PARTS && shapes[shape][i].n; i++)
		append(t, &shapes[shape][i], form);
}

void
ipfix_event_template(struct ipfix_template *t, const struct ipfix_form *form, unsigned event)
{
	static const uint16_t ids[IPFIX_EVENTS_N] = { 270, 271, 275, 276 };

	memset(t, 0, sizeof(*t));
	t->id = ids[event];
	for (unsigned i = 0; i < EVENT_PARTS && events[event][i].n; i++)
		append(t, &events[event][i], form);
}

bool
ipfix_nth(unsigned i, const struct ipfix_form *form, struct ipfix_template *ret_template)
{
	unsigned flows = form->flows ? IPFIX_VARIANTS * IPFIX_SHAPES : 0;
	unsigned nat = form->nat_events ? 1 : 0;

	if (i < flows) {
		ipfix_template(ret_template, form, i / IPFIX_SHAPES, i % IPFIX_SHAPES);
		return true;
	}
	i -= flows;
	if (i < nat) {
		ipfix_event_template(ret_template, form,
				     form->nat_events == IPFIX_EVENTS ? IPFIX_NAT44
								      : IPFIX_NAT44_TO);
		return true;
	}
	i -= nat;
	if (!form->flow_events || i > 1)
		return false;
	ipfix_event_template(ret_template, form, IPFIX_EVENT4 + i);
	return true;
}

/* ---- options ---------------------------------------------------------------- */

static const struct ipfix_option options[IPFIX_OPTIONS] = {
	{ IPFIX_TYPE_ID,
	  2,
	  9,
	  { { 303, 2, IPFIX_IANA },
	    { 346, 4, IPFIX_IANA },
	    { 339, 1, IPFIX_IANA },
	    { 344, 1, IPFIX_IANA },
	    { 345, 2, IPFIX_IANA },
	    { 342, 8, IPFIX_IANA },
	    { 343, 8, IPFIX_IANA },
	    { 341, IPFIX_VARLEN, IPFIX_IANA },
	    { 340, IPFIX_VARLEN, IPFIX_IANA } } },
	{ IPFIX_METERING_ID,
	  2,
	  5,
	  { { 149, 4, IPFIX_IANA },
	    { 143, 4, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 1014, 8, IPFIX_OWN } } },
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
	{ IPFIX_KEYS_ID, 1, 2, { { 145, 2, IPFIX_IANA }, { 173, 8, IPFIX_IANA } } },
	{ IPFIX_NAME_ID,
	  1,
	  3,
	  { { 149, 4, IPFIX_IANA },
	    { 160, 8, IPFIX_IANA },
	    { 300, IPFIX_VARLEN, IPFIX_IANA } } },
	{ IPFIX_COVERAGE_ID,
	  1,
	  5,
	  { { 149, 4, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 323, 8, IPFIX_IANA },
	    { 335, IPFIX_VARLEN, IPFIX_IANA },
	    { 1013, IPFIX_VARLEN, IPFIX_OWN } } },
	{ IPFIX_ZONE_ID, 1, 2, { { 234, 4, IPFIX_IANA }, { 236, IPFIX_VARLEN, IPFIX_IANA } } },
};

/* What is only about enterprise elements, or about flow templates. */
static bool
has_option(uint16_t id, const struct ipfix_form *form)
{
	if (id == IPFIX_TYPE_ID || id == IPFIX_METERING_ID || id == IPFIX_COVERAGE_ID)
		return form->own;
	if (id == IPFIX_KEYS_ID)
		return form->options && form->flows;
	if (id == IPFIX_ZONE_ID)
		return form->options && *form->zones;
	return id != IPFIX_NAME_ID || form->options;
}

bool
ipfix_option(unsigned i, const struct ipfix_form *form, struct ipfix_option *ret_option)
{
	const struct ipfix_option *from = &options[i];
	struct ipfix_option o = { .id = from->id, .scopes = from->scopes };

	if (!has_option(from->id, form))
		return false;
	for (unsigned k = 0; k < from->n; k++)
		if (form->own || from->elem[k].owner != IPFIX_OWN)
			o.elem[o.n++] = from->elem[k];
	*ret_option = o;
	return true;
}
