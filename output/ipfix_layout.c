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
/* a set and template header, and 8 octets for each element; flow keys; types; zones */
#define TEMPLATES (IPFIX_VARIANTS * IPFIX_SHAPES + IPFIX_EVENTS_N + IPFIX_OPTIONS)
#define LAYOUT_MOST (TEMPLATES * (10 + 8 * IPFIX_ELEMS + 14) + 16 * IPFIX_TYPE_MOST)

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
	fbInfoModel_t *m = fbInfoModelAlloc();
	const struct ipfix_own *e;

	for (unsigned i = 0; (e = ipfix_own(i)); i++) {
		uint8_t flags = e->len == IPFIX_VARLEN || e->len == 1 ? 0 : FB_IE_F_ENDIAN;
		fbInfoElement_t add = FB_IE_INIT_FULL(NULL, owner_pen(e->owner, pen), e->id,
						      e->len, flags, 0, 0, e->type, NULL);

		add.ref.name = e->name;
		if (add.ent && !fbInfoModelGetElementByID(m, add.num, add.ent))
			fbInfoModelAddElement(m, &add);
	}
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
add_template(fbSession_t *s, fbInfoModel_t *m, uint32_t pen, const struct ipfix_template *t,
	     GError **gerr)
{
	fbTemplate_t *ft = fbTemplateAlloc(m);
	bool ok = true;

	for (unsigned i = 0; ok && i < t->n; i++)
		ok = append(ft, m, owner_pen(t->elem[i].owner, pen), t->elem[i].id,
			    t->elem[i].len, gerr);
	return add(s, t->id, ft, ok, gerr);
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
add_all(fbSession_t *s, fbInfoModel_t *m, const struct ipfix_form *form, uint32_t pen,
	GError **gerr)
{
	struct ipfix_template t;
	struct ipfix_option o;

	for (unsigned i = 0; ipfix_nth(i, form, &t); i++)
		if (!add_template(s, m, pen, &t, gerr))
			return false;
	for (unsigned i = 0; i < IPFIX_OPTIONS; i++)
		if (ipfix_option(i, form, &o) && !add_option(s, m, pen, &o, gerr))
			return false;
	return true;
}

struct bytes {
	uint8_t *p;
	uint32_t len;
	size_t cap;
};

/* The sets of a message. */
static bool
keep_sets(struct bytes *b, const uint8_t *msg, size_t len)
{
	if (len <= HEADER || len - HEADER > b->cap - b->len)
		return false;
	memcpy(b->p + b->len, msg + HEADER, len - HEADER);
	b->len += (uint32_t)(len - HEADER);
	return true;
}

/* A set of one record. */
static void
keep_record(struct bytes *b, uint16_t id, const uint8_t *rec, uint32_t len)
{
	uint32_t set = 4 + len;
	uint8_t head[] = { (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(set >> 8), (uint8_t)set };

	if (set > b->cap - b->len)
		return;
	memcpy(b->p + b->len, head, 4);
	memcpy(b->p + b->len + 4, rec, len);
	b->len += set;
}

static void
keep_types(struct bytes *b, uint32_t pen)
{
	const struct ipfix_own *e;

	for (unsigned i = 0; (e = ipfix_own(i)); i++) {
		uint8_t rec[IPFIX_TYPE_MOST];
		uint32_t len = ipfix_type_record(e, owner_pen(e->owner, pen), rec);

		keep_record(b, IPFIX_TYPE_ID, rec, len);
	}
}

/* Of the flow templates, that is: those that have any. */
static void
keep_keys(struct bytes *b, const struct ipfix_form *form)
{
	struct ipfix_template t;

	for (unsigned v = 0; v < IPFIX_VARIANTS; v++)
		for (unsigned shape = 0; shape < IPFIX_SHAPES; shape++) {
			uint8_t rec[10];
			uint64_t keys;

			ipfix_template(&t, form, v, shape);
			keys = ipfix_keys(&t);
			rec[0] = (uint8_t)(t.id >> 8);
			rec[1] = (uint8_t)t.id;
			for (unsigned i = 0; i < 8; i++)
				rec[2 + i] = (uint8_t)(keys >> (56 - 8 * i));
			keep_record(b, IPFIX_KEYS_ID, rec, sizeof(rec));
		}
}

static void
keep_zones(struct bytes *b, const char *zones)
{
	struct ipfix_zone z;

	while (ipfix_zone_next(&zones, &z) > 0) {
		uint8_t rec[IPFIX_ZONE_RECORD];

		keep_record(b, IPFIX_ZONE_ID, rec, ipfix_zone_record(&z, rec));
	}
}

/* Where libfixbuf writes, and where it goes from there. */
struct writer {
	const struct ipfix_form *form;
	uint32_t pen;
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
write_option(const struct writer *w, unsigned i, GError **gerr)
{
	struct ipfix_option o;

	if (!ipfix_option(i, w->form, &o))
		return true;
	if (!write_one(w, o.id, gerr))
		return false;
	if (o.id == IPFIX_TYPE_ID)
		keep_types(w->out, w->pen);
	else if (o.id == IPFIX_KEYS_ID)
		keep_keys(w->out, w->form);
	else if (o.id == IPFIX_ZONE_ID)
		keep_zones(w->out, w->form->zones);
	return true;
}

/* Types are known before the templates that have them (RFC 5610 section 3.9). */
static bool
write_all(const struct writer *w, GError **gerr)
{
	struct ipfix_template t;

	if (!write_option(w, 0, gerr))
		return false;
	for (unsigned i = 0; ipfix_nth(i, w->form, &t); i++)
		if (!write_one(w, t.id, gerr))
			return false;
	for (unsigned i = 1; i < IPFIX_OPTIONS; i++)
		if (!write_option(w, i, gerr))
			return false;
	return true;
}

int
ipfix_layout(const struct ipfix_form *form, uint32_t pen, uint8_t **ret_bytes,
	     uint32_t *ret_len, struct ctf_err *err)
{
	/* "1=a" becomes 10 octets, and what is longer no more than that */
	struct bytes b = { .cap = LAYOUT_MOST + 4 * strlen(form->zones) };
	uint8_t msg[1024];
	GError *gerr = NULL;
	fbInfoModel_t *m = NULL;
	fbSession_t *s = NULL;
	struct writer w = { .form = form, .pen = pen, .msg = msg, .out = &b };
	bool ok = false;

	b.p = malloc(b.cap);
	if (!b.p)
		return ctf_fail(err, ENOMEM, "no memory for templates");
	m = model_new(pen);
	s = fbSessionAlloc(m);
	if (add_all(s, m, form, pen, &gerr)) {
		w.session = s;
		w.exporter = fbExporterAllocBuffer(msg, sizeof(msg));
		w.buf = fBufAllocForExport(s, w.exporter); /* owns both from here on */
		ok = write_all(&w, &gerr);
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
