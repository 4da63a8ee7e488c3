/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_text.c - SQL being written, for a server that has no parameters. */
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>

#include "ch.h"

static bool
room_for(struct ch_text *t, size_t n)
{
	size_t room = t->room ? t->room : 1024;
	char *more;

	while (room - t->n <= n && !t->failed)
		room *= 2;
	if (room == t->room || t->failed)
		return !t->failed;
	more = realloc(t->p, room);
	if (!more) {
		t->failed = true;
		return false;
	}
	t->p = more;
	t->room = room;
	return true;
}

void
ch_put(struct ch_text *t, const char *text)
{
	size_t n = strlen(text);

	if (!room_for(t, n))
		return;
	memcpy(t->p + t->n, text, n + 1);
	t->n += n;
}

void
ch_putf(struct ch_text *t, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		t->failed = true;
	else if (room_for(t, (size_t)n))
		t->n += (size_t)vsnprintf(t->p + t->n, t->room - t->n, fmt, again);
	va_end(again);
}

/* All but plain characters go as \xHH, so that nothing can end the literal. */
void
ch_put_string(struct ch_text *t, const char *text)
{
	ch_put(t, "'");
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		    (*p >= 'A' && *p <= 'Z') || strchr(" -._:,;=/@", *p))
			ch_putf(t, "%c", *p);
		else
			ch_putf(t, "\\x%02x", *p);
	ch_put(t, "'");
}

void
ch_put_ip(struct ch_text *t, const uint8_t *ip)
{
	ch_put(t, "toFixedString(unhex('");
	for (unsigned i = 0; i < 16; i++)
		ch_putf(t, "%02x", ip[i]);
	ch_put(t, "'), 16)");
}

void
ch_text_free(struct ch_text *t)
{
	free(t->p);
	*t = (struct ch_text){ .p = NULL };
}

struct ch_set *
ch_query_set(struct ch_query *q, const char *structure, unsigned *ret_n)
{
	struct ch_set *s = &q->sets[q->nsets];

	if (q->nsets == CH_SETS) {
		q->too_many = true;
		return NULL;
	}
	*ret_n = q->nsets++;
	s->structure = structure;
	return s;
}

void
ch_query_free(struct ch_query *q)
{
	for (unsigned i = 0; i < q->nsets; i++)
		ch_text_free(&q->sets[i].rows);
	ch_text_free(&q->sql);
	q->nsets = 0;
}

/* ---- words that last ----------------------------------------------------------- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

const char *
ch_word(struct ch *c, const char *text)
{
	void *const *found = tfind(text, &c->words, by_text);
	char *copy;

	if (found)
		return *found;
	copy = strdup(text);
	if (copy && !tsearch(copy, &c->words, by_text)) {
		free(copy);
		copy = NULL;
	}
	return copy;
}
