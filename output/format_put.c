/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records become lines of a format; see format.h. */
#include <netinet/in.h>
#include <stdio.h>

#include "format.h"

static bool
absent(const struct format_piece *p, const struct ctf_rec *r)
{
	return p->what != LITERAL && p->what != RECEIVED && p->what != EVENT &&
	       !ctf_has(r, p->ref);
}

static bool
is_text(const struct format_piece *p)
{
	return p->what == FIELD && (p->type == CTF_TEXT || p->type == CTF_BYTES);
}

static size_t
room(const struct format *f, const struct ctf_rec *r)
{
	size_t sum = f->fixed;

	for (unsigned i = 0; i < f->n; i++)
		if (is_text(&f->piece[i]) && ctf_has(r, f->piece[i].ref))
			sum += (size_t)TEXT_JSON * r->v[f->piece[i].ref].s.len + 2;
	return sum;
}

/* A record is a line: what would end it, or look like another one, does not get through. */
static char *
put_clean(char *p, const uint8_t *s, size_t n, char twice)
{
	for (size_t i = 0; i < n; i++) {
		if (twice && s[i] == (uint8_t)twice)
			*p++ = twice;
		*p++ = s[i] < 0x20 || s[i] == 0x7f ? '_' : (char)s[i];
	}
	return p;
}

static char *
put_quoted(char *p, const uint8_t *s, size_t n, char separator)
{
	bool quote = n && (memchr(s, '"', n) || memchr(s, separator, n));

	if (quote)
		*p++ = '"';
	p = put_clean(p, s, n, '"');
	if (quote)
		*p++ = '"';
	return p;
}

static char *
put_text(char *p, const struct format *f, const struct format_piece *piece,
	 const union ctf_val *v)
{
	const uint8_t *s = v->s.p;
	size_t n = v->s.len;

	while (n && (s[n - 1] == '\n' || s[n - 1] == ' ')) /* as `print` ends */
		n--;
	if (piece->spec.form == FORM_JSON)
		return text_json(p, s, n);
	return piece->spec.form == FORM_CSV ? put_quoted(p, s, n, f->separator)
					    : put_clean(p, s, n, 0);
}

static char *
put_bytes(char *p, const union ctf_val *v)
{
	static const char hex[16] = "0123456789abcdef";
	const uint8_t *s = v->s.p;

	for (uint32_t i = 0; i < v->s.len; i++) {
		*p++ = hex[s[i] >> 4];
		*p++ = hex[s[i] & 15];
	}
	return p;
}

static char *
put_number(char *p, struct format_piece *piece, uint64_t u)
{
	char s[24];

	if (piece->spec.time)
		return format_time(p, &piece->spec, piece->seconds ? u * 1000000000 : u);
	if (piece->spec.form != FORM_HEX)
		return ctf_fmt_num(p, u);
	return text_put(p, s, (size_t)snprintf(s, sizeof(s), "0x%llx", (unsigned long long)u));
}

static char *
put_proto(char *p, uint64_t proto)
{
	static const struct {
		uint8_t number;
		const char *name;
	} known[] = {
		{ IPPROTO_TCP, "tcp" },   { IPPROTO_UDP, "udp" },
		{ IPPROTO_ICMP, "icmp" }, { IPPROTO_ICMPV6, "icmpv6" },
		{ IPPROTO_SCTP, "sctp" }, { IPPROTO_GRE, "gre" },
		{ IPPROTO_ESP, "esp" },   { IPPROTO_AH, "ah" },
		{ 33, "dccp" },           { IPPROTO_UDPLITE, "udplite" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].number == proto)
			return text_put(p, known[i].name, strlen(known[i].name));
	return ctf_fmt_num(p, proto);
}

static char *
put_event(char *p, const struct ctf_rec *r)
{
	const char *s = r->event == CTF_NEW       ? "NEW"
			: r->event == CTF_DESTROY ? "DESTROY"
						  : "UPDATE";

	return text_put(p, s, strlen(s));
}

static char *
put_value(char *p, const struct format *f, struct format_piece *piece, const struct ctf_rec *r)
{
	const union ctf_val *v = &r->v[piece->ref];

	if (piece->what == RECEIVED)
		return put_number(p, piece, r->rx_ns);
	if (piece->what == EVENT)
		return put_event(p, r);
	if (piece->what == PROTO)
		return put_proto(p, v->u);
	switch (piece->type) {
	case CTF_TEXT:
		return put_text(p, f, piece, v);
	case CTF_BYTES:
		return put_bytes(p, v);
	case CTF_IP:
		return ctf_fmt_ip(p, v->ip, r->family);
	default:
		return put_number(p, piece, v->u);
	}
}

/* JSON wants quotes round all that is no number. */
static bool
is_string(const struct format_piece *p)
{
	return p->spec.form == FORM_JSON &&
	       (p->what == EVENT || p->what == PROTO || p->type == CTF_TEXT ||
		p->type == CTF_BYTES || p->type == CTF_IP || p->type == CTF_TIME);
}

static char *
put_absent(char *p, const struct format_piece *piece)
{
	if (piece->follows)
		return p;
	if (piece->zero && piece->quoted) {
		*p++ = '0';
		return p;
	}
	if (piece->quoted && piece->spec.form == FORM_JSON)
		return text_put(p, "null", 4);
	return text_put(p, piece->text, piece->len);
}

static char *
put_piece(char *p, const struct format *f, struct format_piece *piece, const struct ctf_rec *r)
{
	bool quote = is_string(piece);

	if (piece->column)
		*p++ = f->separator;
	if (piece->what == LITERAL)
		return text_put(p, piece->text, piece->len);
	if (absent(piece, r))
		return put_absent(p, piece);
	if (quote)
		*p++ = '"';
	p = put_value(p, f, piece, r);
	if (quote)
		*p++ = '"';
	return p;
}

enum ctf_put
format_line(struct format *f, const struct text_stamp *before, const struct ctf_rec *r,
	    struct ctf_frame *fr)
{
	char *start = (char *)fr->p + fr->len, *p = start;

	if (before->len + room(f, r) > fr->cap - fr->len)
		return CTF_FULL;
	p = text_put(p, before->s, before->len);
	for (unsigned i = 0; i < f->n; i++)
		p = put_piece(p, f, &f->piece[i], r);
	*p++ = '\n';
	fr->len += (uint32_t)(p - start);
	return CTF_OK;
}
