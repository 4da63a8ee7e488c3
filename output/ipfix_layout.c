/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_layout.c - the templates as bytes.
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
		FB_IE_INIT_FULL("ctEventsLost", pen, 1010, 8, FB_IE_F_ENDIAN, 0, 0, FB_UINT_64,
				NULL),
		FB_IE_INIT_FULL("ctLossKind", pen, 1011, 1, FB_IE_F_ENDIAN, 0, 0, FB_UINT_8,
				NULL),
		FB_IE_INIT_FULL("ctLossCause", pen, 1012, FB_IE_VARLEN, 0, 0, 0, FB_STRING,
				NULL),
		FB_IE_INIT_FULL("ctCoverage", pen, 1013, FB_IE_VARLEN, 0, 0, 0, FB_STRING,
				NULL),
	};
	fbInfoModel_t *m = fbInfoModelAlloc();

	for (unsigned i = 0; i < (pen ? sizeof(add) / sizeof(*add) : 1); i++)
		if (!fbInfoModelGetElementByID(m, add[i].num, add[i].ent))
			fbInfoModelAddElement(m, &add[i]);
	return m;
}

static bool
append(fbTemplate_t *ft, fbInfoModel_t *m, uint32_t pen, uint16_t id, uint16_t len,
       GError **gerr)
{
	fbInfoElement_t ie = FB_IE_NULL;

	ie.ent = pen;
	ie.num = id;
	ie.len = len;
	if (fbInfoModelGetElementByID(m, id, pen))
		return fbTemplateAppend(ft, &ie, gerr);
	g_set_error(gerr, FB_ERROR_DOMAIN, FB_ERROR_NOELEMENT, "no element %u of enterprise %u",
		    id, pen);
	return false;
}

/* The session takes the template, if all is well so far. */
static bool
add(fbSession_t *s, uint16_t id, fbTemplate_t *ft, bool ok, GError **gerr)
{
	if (ok && fbSessionAddTemplate(s, FALSE, id, ft, gerr))
		return true;
	fbTemplateFreeUnused(ft);
	return false;
}

static bool
add_flows(fbSession_t *s, fbInfoModel_t *m, uint32_t pen, unsigned variant, unsigned shape,
	  GError **gerr)
{
	fbTemplate_t *ft = fbTemplateAlloc(m);
	struct ipfix_template t;
	bool ok = true;

	ipfix_template(&t, variant, shape, pen != 0);
	for (unsigned i = 0; ok && i < t.n; i++)
		ok = append(ft, m, owner_pen(t.elem[i].owner, pen), t.elem[i].id, t.elem[i].len,
			    gerr);
	return add(s, t.id, ft, ok, gerr);
}

static bool
add_option(fbSession_t *s, fbInfoModel_t *m, uint32_t pen, const struct ipfix_option *o,
	   GError **gerr)
{
	fbTemplate_t *ft = fbTemplateAlloc(m);
	bool ok = true;

	for (unsigned i = 0; ok && i < o->n; i++)
		ok = append(ft, m, owner_pen(o->elem[i].owner, pen), o->elem[i].id,
			    o->elem[i].len, gerr);
	if (ok)
		fbTemplateSetOptionsScope(ft, (uint16_t)o->scopes);
	return add(s, o->id, ft, ok, gerr);
}

static bool
add_templates(fbSession_t *s, fbInfoModel_t *m, uint32_t pen, GError **gerr)
{
	struct ipfix_option o;

	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned shape = 0; shape < IPFIX_SHAPES; shape++)
			if (!add_flows(s, m, pen, v, shape, gerr))
				return false;
	for (unsigned i = 0; i < IPFIX_OPTIONS; i++)
		if (ipfix_option(i, pen != 0, &o) && !add_option(s, m, pen, &o, gerr))
			return false;
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

/* Where libfixbuf writes, and where it goes from there. */
struct writer {
	fbSession_t *session;
	fbExporter_t *exporter;
	fBuf_t *buf;
	const uint8_t *msg;
	struct bytes *out;
};

/*
 * One by one, since all at once come in the order of a hash table.  Each fits
 * the message, so the buffer's automatic mode never emits one by itself.
 */
static bool
write_one(const struct writer *w, uint16_t id, GError **gerr)
{
	return fbSessionExportTemplate(w->session, id, gerr) && fBufEmit(w->buf, gerr) &&
	       keep_sets(w->out, w->msg, fbExporterGetMsgLen(w->exporter));
}

static bool
write_templates(const struct writer *w, bool own, GError **gerr)
{
	struct ipfix_template t;
	struct ipfix_option o;

	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned shape = 0; shape < IPFIX_SHAPES; shape++) {
			ipfix_template(&t, v, shape, own);
			if (!write_one(w, t.id, gerr))
				return false;
		}
	for (unsigned i = 0; i < IPFIX_OPTIONS; i++)
		if (ipfix_option(i, own, &o) && !write_one(w, o.id, gerr))
			return false;
	return true;
}

int
ipfix_layout(uint32_t pen, uint8_t **ret_bytes, uint32_t *ret_len, struct ctf_err *err)
{
	/* a set and template header, and 8 octets for each element */
	struct bytes b = { .cap = (IPFIX_VARIANTS * IPFIX_SHAPES + IPFIX_OPTIONS) *
				  (10 + 8 * IPFIX_ELEMS) };
	uint8_t msg[1024];
	GError *gerr = NULL;
	fbInfoModel_t *m = NULL;
	fbSession_t *s = NULL;
	struct writer w = { .msg = msg, .out = &b };
	bool ok = false;

	b.p = malloc(b.cap);
	if (!b.p)
		return ctf_fail(err, ENOMEM, "no memory for templates");
	m = model_new(pen);
	s = fbSessionAlloc(m);
	if (add_templates(s, m, pen, &gerr)) {
		w.session = s;
		w.exporter = fbExporterAllocBuffer(msg, sizeof(msg));
		w.buf = fBufAllocForExport(s, w.exporter); /* owns both from here on */
		ok = write_templates(&w, pen != 0, &gerr);
	}
	if (ok) {
		*ret_bytes = b.p;
		*ret_len = b.len;
	} else {
		free(b.p);
		ctf_fail(err, EINVAL, "libfixbuf: %s", gerr ? gerr->message : "no template");
	}
	g_clear_error(&gerr);
	if (w.buf)
		fBufFree(w.buf);
	else
		fbSessionFree(s);
	fbInfoModelFree(m);
	return ok ? 0 : -EINVAL;
}
