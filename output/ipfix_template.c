/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_template.c - the templates as tables, and as bytes.
 *
 * libfixbuf is the information model here and writes the template sets, so
 * that identifiers, lengths and enterprise numbers are checked by what
 * collectors use themselves.  It never sees a socket: its transports block,
 * lose datagrams silently and end the process on a wrong protocol.
 */
#include "ipfix_template.h"

#include <errno.h>
#include <stdlib.h>

#include <fixbuf/public.h>

#define AT(member) ((uint8_t)offsetof(struct ipfix_refs, member))
#define NUM(id, len, member) \
	{ \
		id, IPFIX_IANA, len, IPFIX_NUM, AT(member), 0 \
	}

static const struct ipfix_elem start[] = { { 152, IPFIX_IANA, 8, IPFIX_MSEC, AT(start), 0 } };
static const struct ipfix_elem last[] = { { 153, IPFIX_IANA, 8, IPFIX_MSEC, AT(last), 0 } };
static const struct ipfix_elem counters[] = {
	NUM(1, 8, bytes),
	NUM(2, 8, packets),
	{ 1, IPFIX_REVERSE, 8, IPFIX_NUM, AT(rbytes), 0 },
	{ 2, IPFIX_REVERSE, 8, IPFIX_NUM, AT(rpackets), 0 },
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
 * Template ids.  A layout owns a block of 64: 256-319.  Of it, offsets from
 * 256,
 *    0- 6  the flow templates of enum ipfix_shape, all elements
 *    7-13  the same without start        28-34  without counters
 *   21-27  without start and end         35-41  without counters and start
 *                                        50-56  without counters and times
 *   57-62  ICMPv6 behind NAT, one a variant
 *   14 15 19 20 (events) and 44-49 (options) are kept for those.
 */
#define FIRST_ID 256u

static uint16_t
template_id(unsigned variant, unsigned shape)
{
	static const uint8_t base[IPFIX_VARIANTS] = { 0, 7, 21, 28, 35, 50 };

	if (shape == IPFIX_ICMP6_NAT)
		return (uint16_t)(FIRST_ID + 57u + variant);
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
	const struct part head[] = { PART(start), PART(last), PART(counters) };
	unsigned times = variant % IPFIX_NO_COUNTERS;

	memset(t, 0, sizeof(*t));
	t->id = template_id(variant, shape);
	if (times < IPFIX_NO_START)
		append(t, &head[0], own);
	if (times < IPFIX_NO_TIMES)
		append(t, &head[1], own);
	if (variant < IPFIX_NO_COUNTERS)
		append(t, &head[2], own);
	for (unsigned i = 0; i < PARTS && shapes[shape][i].n; i++)
		append(t, &shapes[shape][i], own);
}

/* ---- as bytes ------------------------------------------------------------- */

#define HEADER 16u /* of the message that libfixbuf wraps around a template */

static uint32_t
owner_pen(unsigned owner, uint32_t own)
{
	switch (owner) {
	case IPFIX_REVERSE:
		return CTF_PEN_REVERSE;
	case IPFIX_NETFILTER:
		return CTF_PEN_NETFILTER;
	case IPFIX_OWN:
		return own;
	}
	return 0;
}

static fbInfoModel_t *
model_new(uint32_t pen)
{
	fbInfoElement_t add[] = {
		FB_IE_INIT_FULL("netfilterMark", CTF_PEN_NETFILTER, 4, 4, FB_IE_F_ENDIAN, 0, 0,
				FB_UINT_32, NULL),
		FB_IE_INIT_FULL("ctStatus", pen, 1001, 4, FB_IE_F_ENDIAN, 0, 0, FB_UINT_32,
				NULL),
		FB_IE_INIT_FULL("ctTcpState", pen, 1004, 1, FB_IE_F_ENDIAN, 0, 0, FB_UINT_8,
				NULL),
		FB_IE_INIT_FULL("ctIcmpId", pen, 1006, 2, FB_IE_F_ENDIAN, 0, 0, FB_UINT_16,
				NULL),
	};
	fbInfoModel_t *m = fbInfoModelAlloc();

	for (unsigned i = 0; i < (pen ? 4 : 1); i++)
		if (!fbInfoModelGetElementByID(m, add[i].num, add[i].ent))
			fbInfoModelAddElement(m, &add[i]);
	return m;
}

/* A template of libfixbuf's; NULL when its model lacks an element. */
static fbTemplate_t *
template_new(fbInfoModel_t *m, const struct ipfix_template *t, uint32_t pen, GError **gerr)
{
	fbTemplate_t *ft = fbTemplateAlloc(m);

	for (unsigned i = 0; i < t->n; i++) {
		fbInfoElement_t ie = FB_IE_NULL;

		ie.ent = owner_pen(t->elem[i].owner, pen);
		ie.num = t->elem[i].id;
		ie.len = t->elem[i].len;
		if (!fbInfoModelGetElementByID(m, ie.num, ie.ent))
			g_set_error(gerr, FB_ERROR_DOMAIN, FB_ERROR_NOELEMENT,
				    "no element %u of enterprise %u", ie.num, ie.ent);
		else if (fbTemplateAppend(ft, &ie, gerr))
			continue;
		fbTemplateFreeUnused(ft);
		return NULL;
	}
	return ft;
}

static bool
add_templates(fbSession_t *s, fbInfoModel_t *m, uint32_t pen, GError **gerr)
{
	struct ipfix_template t;
	fbTemplate_t *ft;

	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned shape = 0; shape < IPFIX_SHAPES; shape++) {
			ipfix_template(&t, v, shape, pen != 0);
			ft = template_new(m, &t, pen, gerr);
			if (!ft)
				return false;
			if (!fbSessionAddTemplate(s, FALSE, t.id, ft, gerr)) {
				fbTemplateFreeUnused(ft);
				return false;
			}
		}
	return true;
}

struct bytes {
	uint8_t *p;
	uint32_t len;
	size_t cap;
};

static bool
keep_sets(struct bytes *b, const uint8_t *msg, size_t len)
{
	if (len <= HEADER || len - HEADER > b->cap - b->len)
		return false;
	memcpy(b->p + b->len, msg + HEADER, len - HEADER);
	b->len += (uint32_t)(len - HEADER);
	return true;
}

/*
 * One by one, since all at once come in the order of a hash table.  Each fits
 * the message, so the buffer's automatic mode never emits one by itself.
 */
static bool
write_templates(fbSession_t *s, fbExporter_t *ex, fBuf_t *buf, const uint8_t *msg,
		struct bytes *b, GError **gerr)
{
	struct ipfix_template t;

	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned shape = 0; shape < IPFIX_SHAPES; shape++) {
			ipfix_template(&t, v, shape, true);
			if (!fbSessionExportTemplate(s, t.id, gerr) || !fBufEmit(buf, gerr))
				return false;
			if (!keep_sets(b, msg, fbExporterGetMsgLen(ex)))
				return false;
		}
	return true;
}

int
ipfix_layout(uint32_t pen, uint8_t **ret_bytes, uint32_t *ret_len, struct ctf_err *err)
{
	/* a set and template header, and 8 octets for each element */
	struct bytes b = { .cap = IPFIX_VARIANTS * IPFIX_SHAPES * (8 + 8 * IPFIX_ELEMS) };
	uint8_t msg[1024];
	GError *gerr = NULL;
	fbInfoModel_t *m = NULL;
	fbSession_t *s = NULL;
	fbExporter_t *ex;
	fBuf_t *buf = NULL;
	bool ok = false;

	b.p = malloc(b.cap);
	if (!b.p)
		return ctf_fail(err, ENOMEM, "no memory for templates");
	m = model_new(pen);
	s = fbSessionAlloc(m);
	if (add_templates(s, m, pen, &gerr)) {
		ex = fbExporterAllocBuffer(msg, sizeof(msg));
		buf = fBufAllocForExport(s, ex); /* owns both from here on */
		ok = write_templates(s, ex, buf, msg, &b, &gerr);
	}
	if (ok) {
		*ret_bytes = b.p;
		*ret_len = b.len;
	} else {
		free(b.p);
		ctf_fail(err, EINVAL, "libfixbuf: %s", gerr ? gerr->message : "no template");
	}
	g_clear_error(&gerr);
	if (buf)
		fBufFree(buf);
	else
		fbSessionFree(s);
	fbInfoModelFree(m);
	return ok ? 0 : -EINVAL;
}
