/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipfix_read.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fixbuf/public.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

struct reader {
	FILE *out;
	fbInfoModel_t *model;
	fbSession_t *session;
	fBuf_t *buf;
};

static void
complain(const gchar *domain, GLogLevelFlags level, const gchar *msg, gpointer out)
{
	fprintf(out, "! %s\n", msg);
}

static void
add_elements(fbInfoModel_t *m, uint32_t pen)
{
	fbInfoElement_t add[] = {
		FB_IE_INIT_FULL("mark", 21373, 4, 4, FB_IE_F_ENDIAN, 0, 0, FB_UINT_32, NULL),
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
		FB_IE_INIT_FULL("ctEventsLostTotal", pen, 1014, 8, FB_IE_F_ENDIAN, 0, 0,
				FB_UINT_64, NULL),
	};

	for (unsigned i = 0; i < (pen ? COUNT(add) : 1); i++)
		fbInfoModelAddElement(m, &add[i]);
}

/* Returns the octets it took. */
static size_t
print_text(FILE *out, const uint8_t *p)
{
	fbVarfield_t text;

	memcpy(&text, p, sizeof(text));
	fprintf(out, "'%.*s'", (int)text.len, (const char *)text.buf);
	return sizeof(text);
}

/* libfixbuf hands out numbers and IPv4 addresses in host order. */
static void
print_value(FILE *out, const fbInfoElement_t *ie, const uint8_t *p)
{
	char text[INET6_ADDRSTRLEN] = "?";
	uint64_t u8;
	uint32_t u4;
	uint16_t u2;

	switch (ie->len) {
	case 16:
		inet_ntop(AF_INET6, p, text, sizeof(text));
		fputs(text, out);
		return;
	case 8:
		memcpy(&u8, p, 8);
		break;
	case 4:
		memcpy(&u4, p, 4);
		u8 = u4;
		break;
	case 2:
		memcpy(&u2, p, 2);
		u8 = u2;
		break;
	default:
		u8 = *p;
	}
	if (ie->type != FB_IP4_ADDR) {
		fprintf(out, "%" PRIu64, u8);
		return;
	}
	u4 = htonl((uint32_t)u8);
	fputs(inet_ntop(AF_INET, &u4, text, sizeof(text)), out);
}

static void
print_record(struct reader *r, fbTemplate_t *t, uint16_t id, const uint8_t *rec)
{
	size_t at = 0;

	fprintf(r->out, "%u", id);
	for (uint32_t i = 0; i < fbTemplateCountElements(t); i++) {
		const fbInfoElement_t *ie = fbTemplateGetIndexedIE(t, i);

		if (ie->ent)
			fprintf(r->out, " %u/%u=", ie->ent, ie->num);
		else
			fprintf(r->out, " %u=", ie->num);
		if (ie->len == FB_IE_VARLEN) {
			at += print_text(r->out, rec + at);
			continue;
		}
		print_value(r->out, ie, rec + at);
		at += ie->len;
	}
	fputc('\n', r->out);
}

/* An internal template that lays the record out as it is on the wire. */
static bool
use_template(struct reader *r, fbTemplate_t *seen, uint16_t id, GError **err)
{
	fbTemplate_t *t = fbTemplateAlloc(r->model);

	for (uint32_t i = 0; i < fbTemplateCountElements(seen); i++) {
		fbInfoElement_t ie = *fbTemplateGetIndexedIE(seen, i);

		ie.midx = 0; /* of one that is there twice; append() counts anew */
		if (!fbTemplateAppend(t, &ie, err))
			return false;
	}
	if (fbTemplateGetOptionsScope(seen))
		fbTemplateSetOptionsScope(t, fbTemplateGetOptionsScope(seen));
	return fbSessionAddTemplate(r->session, TRUE, id, t, err) &&
	       fBufSetInternalTemplate(r->buf, id, err);
}

static void
read_message(struct reader *r, const uint8_t *msg, size_t len)
{
	uint8_t copy[65536], rec[512];
	GError *err = NULL;
	uint16_t id;

	memcpy(copy, msg, len);
	fBufSetBuffer(r->buf, copy, len);
	for (;;) {
		fbTemplate_t *t = fBufNextCollectionTemplate(r->buf, &id, &err);
		size_t n = sizeof(rec);

		if (!t || !use_template(r, t, id, &err) || !fBufNext(r->buf, rec, &n, &err))
			break;
		print_record(r, t, id, rec);
	}
	/* both mean that the message was read to its end */
	if (!g_error_matches(err, FB_ERROR_DOMAIN, FB_ERROR_BUFSZ) &&
	    !g_error_matches(err, FB_ERROR_DOMAIN, FB_ERROR_EOM))
		fprintf(r->out, "! %s\n", err ? err->message : "no template");
	g_clear_error(&err);
}

char *
ipfix_read(const uint8_t *bytes, size_t len, uint32_t pen)
{
	struct reader r = { .model = fbInfoModelAlloc() };
	char *text = NULL;
	size_t at = 0, size, n;

	r.out = open_memstream(&text, &size);
	if (!r.out)
		abort();
	g_log_set_default_handler(complain, r.out);
	add_elements(r.model, pen);
	r.session = fbSessionAlloc(r.model);
	r.buf = fBufAllocForCollection(r.session, NULL);
	fBufSetAutomaticMode(r.buf, FALSE);
	for (; at + 16 <= len; at += n) {
		n = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
		if (n < 16 || n > len - at)
			break;
		read_message(&r, bytes + at, n);
	}
	if (at != len)
		fprintf(r.out, "! %zu bytes are no message\n", len - at);
	g_log_set_default_handler(g_log_default_handler, NULL);
	fBufFree(r.buf);
	fbInfoModelFree(r.model);
	fclose(r.out);
	return text;
}

/* Only templates: what else is in a layout is not the frame's. */
static size_t
copy_templates(uint8_t *to, const struct ctf_layout *l)
{
	size_t n = 0, len;

	for (size_t at = 0; at < l->len; at += len) {
		len = (size_t)l->p[at + 2] << 8 | l->p[at + 3];
		if (l->p[at] || l->p[at + 1] > 3)
			continue;
		memcpy(to + n, l->p + at, len);
		n += len;
	}
	return n;
}

char *
ipfix_read_frame(struct plug *p, const struct ctf_frame *f, uint32_t pen)
{
	const struct ctf_layout *l = plug_layout(p);
	uint8_t *bytes = calloc(1, 16 + l->len + f->len);
	size_t head;
	char *text;

	memcpy(bytes, f->p, 16);
	head = 16 + copy_templates(bytes + 16, l);
	bytes[2] = (uint8_t)(head >> 8);
	bytes[3] = (uint8_t)head;
	memcpy(bytes + head, f->p, f->len);
	text = ipfix_read(bytes, head + f->len, pen);
	free(bytes);
	return text;
}

char *
ipfix_read_layout(struct plug *p, uint32_t pen)
{
	const struct ctf_layout *l = plug_layout(p);
	size_t len = 16 + l->len;
	uint8_t *bytes = calloc(1, len);
	char *text;

	bytes[1] = 10;
	bytes[2] = (uint8_t)(len >> 8);
	bytes[3] = (uint8_t)len;
	memcpy(bytes + 16, l->p, l->len);
	text = ipfix_read(bytes, len, pen);
	free(bytes);
	return text;
}
