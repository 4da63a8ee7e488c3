/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buf.c - growing bytes. */
#include "buf.h"

#include <stdlib.h>

void
buf_put(struct buf *b, const void *p, size_t n)
{
	if (b->room - b->len <= n && !b->failed) {
		size_t room = 2 * b->room + n + 4096;
		char *more = realloc(b->p, room);

		b->failed = !more;
		if (more) {
			b->p = more;
			b->room = room;
		}
	}
	if (b->failed)
		return;
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_num(struct buf *b, uint64_t u)
{
	char text[CTF_FMT_NUM];

	buf_put(b, text, (size_t)(ctf_fmt_num(text, u) - text));
}

void
buf_int(struct buf *b, int64_t n)
{
	buf_puts(b, n < 0 ? "-" : "");
	buf_num(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void
buf_hex(struct buf *b, const char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		char two[2] = { digits[(uint8_t)p[i] >> 4], digits[p[i] & 15] };

		buf_put(b, two, 2);
	}
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .p = NULL };
}
