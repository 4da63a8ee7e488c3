/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the text outputs share; see text.h. */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

char *
text_iso(char *p, uint64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	unsigned msec = (unsigned)(ns / 1000000 % 1000);
	char s[64];
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(s, sizeof(s), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(s + n, sizeof(s) - n, ".%03uZ", msec);
	return text_put(p, s, n);
}

/* The length of the UTF-8 sequence at s, or 0 where there is none. */
static size_t
utf8_len(const uint8_t *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (len == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0; /* overlong, surrogate, beyond U+10FFFF */
	return len;
}

/* Escapes what begins at s; returns the bytes of s it took. */
static size_t
json_step(char out[TEXT_JSON], size_t *ret_len, const uint8_t *s, size_t n)
{
	static const char hex[16] = "0123456789ABCDEF";
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *esc = *s ? strchr(from, *s) : NULL;
	size_t len = utf8_len(s, n);

	if (esc) {
		out[0] = '\\';
		out[1] = to[esc - from];
		*ret_len = 2;
	} else if (*s < 0x20) {
		memcpy(out, "\\u00", 4);
		out[4] = hex[*s >> 4];
		out[5] = hex[*s & 15];
		*ret_len = 6;
	} else if (len) {
		memcpy(out, s, len);
		*ret_len = len;
	} else {
		memcpy(out, "\xef\xbf\xbd", 3);
		*ret_len = 3;
		len = 1;
	}
	return len;
}

static inline bool
json_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

char *
text_json(char *p, const void *text, size_t n)
{
	const uint8_t *s = text, *end = n ? s + n : s;

	while (s < end) {
		size_t len;

		if (json_plain(*s)) {
			*p++ = (char)*s++;
			continue;
		}
		s += json_step(p, &len, s, (size_t)(end - s));
		p += len;
	}
	return p;
}

size_t
text_json_len(const void *text, size_t n)
{
	const uint8_t *s = text, *end = n ? s + n : s;
	size_t sum = 0, len;
	char out[TEXT_JSON];

	for (; s < end; sum += len)
		s += json_step(out, &len, s, (size_t)(end - s));
	return sum;
}

int
text_label_set(struct text_label *l, const char *before, const char *name, bool json,
	       const char *after)
{
	size_t b = strlen(before), n = strlen(name), a = strlen(after);
	char *s = malloc(b + TEXT_JSON * n + a + 1), *p = s;

	if (!s)
		return -ENOMEM;
	p = text_put(p, before, b);
	p = json ? text_json(p, name, n) : text_put(p, name, n);
	p = text_put(p, after, a);
	l->len = (uint32_t)(p - s);
	l->more = s;
	if (l->len <= TEXT_LABEL) {
		memcpy(l->s, s, l->len);
		l->more = NULL;
		free(s);
	}
	return 0;
}

void
text_label_free(struct text_label *l)
{
	free(l->more);
	l->more = NULL;
}

struct tm
text_local(uint64_t ns)
{
	time_t when = (time_t)(ns / 1000000000);
	struct tm tm = { 0 };

	localtime_r(&when, &tm);
	return tm;
}

void
text_stamp_set(struct text_stamp *t, uint64_t ns, const char *before, const char *local,
	       const char *after)
{
	int n = snprintf(t->s, sizeof(t->s), "%s%s%s", before, local, after);

	t->len = (size_t)n < sizeof(t->s) ? (uint32_t)n : (uint32_t)sizeof(t->s) - 1;
	t->sec = ns / 1000000000;
}

enum ctf_put
text_line(struct ctf_frame *f, const struct text_stamp *t, const void *s, size_t n)
{
	uint32_t start = f->len;

	if (ctf_frame_put(f, t->s, t->len) && ctf_frame_put(f, s, n) &&
	    (f->p[f->len - 1] == '\n' || ctf_frame_put(f, "\n", 1)))
		return CTF_OK;
	f->len = start;
	return CTF_FULL;
}

enum ctf_put
text_gap(struct ctf_frame *f, const struct ctf_gap *g, const struct text_stamp *t)
{
	char from[TEXT_ISO + 1] = "", to[TEXT_ISO + 1] = "", count[CTF_FMT_NUM + 1] = "?";
	char line[256];
	int n;

	*text_iso(from, g->from_ns) = '\0';
	*text_iso(to, g->to_ns) = '\0';
	if (g->count != CTF_UNKNOWN)
		*ctf_fmt_num(count, g->count) = '\0';
	n = snprintf(line, sizeof(line), "[GAP] FROM=%s TO=%s CAUSE=%.32s COUNT=%s \n", from,
		     to, g->cause, count);
	return text_line(f, t, line, (size_t)n);
}
