/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * q_out_table.c - rows for people.  The first ones are held back, so that the
 * columns are as wide as they have to be.
 */
#include <errno.h>
#include <stdlib.h>

#include "out.h"

#define HELD 500u
#define GAP 2u

/* Characters, of UTF-8. */
static unsigned
columns_of(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static const char *
title(const struct q_col *c)
{
	return c->title ? c->title : c->name;
}

static bool
right(const struct q_col *c)
{
	return c->type == Q_INT || c->type == Q_BYTES || c->type == Q_DUR || c->type == Q_REAL;
}

void
out_table_cell(struct q *q, char *text)
{
	struct q_out *o = q->out;

	if (!o->cell)
		o->cell = calloc((size_t)HELD * o->n, sizeof(*o->cell));
	if (!o->cell || o->failed) {
		free(text);
		o->failed = o->failed ? o->failed : -ENOMEM;
		return;
	}
	/* nothing a terminal would obey */
	for (char *p = text; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	o->cell[(size_t)o->held * o->n + o->i++] = text;
}

/* ---- widths --------------------------------------------------------------------- */

static unsigned
line_width(const struct q_out *o)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < o->n; i++)
		sum += o->width[i] ? o->width[i] + (sum ? GAP : 0) : 0;
	return sum;
}

static void
measure(struct q_out *o, unsigned i)
{
	bool any = o->held == 0 || !(o->cols[i].flags & Q_C_WIDE);
	unsigned w = columns_of(title(&o->cols[i]));

	for (unsigned r = 0; r < o->held; r++) {
		const char *text = o->cell[(size_t)r * o->n + i];
		unsigned n = text ? columns_of(text) : 1;

		any |= text != NULL;
		w = n > w ? n : w;
	}
	/* a wide column without any value is left out */
	o->width[i] = any && !(o->cols[i].flags & Q_C_NEVER) ? w : 0;
}

static void
widths(struct q *q)
{
	struct q_out *o = q->out;

	o->width = calloc(o->n ? o->n : 1, sizeof(*o->width));
	if (!o->width) {
		o->failed = -ENOMEM;
		return;
	}
	for (unsigned i = 0; i < o->n; i++)
		measure(o, i);
	for (unsigned i = o->n; i-- > 0 && q->width && line_width(o) > q->width;)
		if (o->cols[i].flags & Q_C_WIDE)
			o->width[i] = 0;
	o->fixed = true;
}

/* ---- lines ------------------------------------------------------------------------ */

static void
pad(unsigned n)
{
	printf("%*s", (int)n, "");
}

static void
cell(const struct q_out *o, unsigned i, const char *text, unsigned *at)
{
	unsigned n = columns_of(text), gap = *at ? GAP : 0;
	unsigned fill = n < o->width[i] ? o->width[i] - n : 0;
	bool last = true;

	for (unsigned k = i + 1; k < o->n; k++)
		last &= o->width[k] == 0;
	pad(gap);
	if (right(&o->cols[i]))
		pad(fill);
	fputs(text, stdout);
	if (!right(&o->cols[i]) && !last)
		pad(fill);
	*at += gap + fill + n;
}

static void
heading(struct q *q)
{
	struct q_out *o = q->out;
	unsigned at = 0;

	if (q->colours)
		fputs("\033[1m", stdout);
	for (unsigned i = 0; i < o->n; i++)
		if (o->width[i])
			cell(o, i, title(&o->cols[i]), &at);
	fputs(q->colours ? "\033[0m\n" : "\n", stdout);
}

static void
line(const struct q_out *o, char **cells)
{
	unsigned at = 0;

	for (unsigned i = 0; i < o->n; i++) {
		if (o->width[i])
			cell(o, i, cells[i] ? cells[i] : "-", &at);
		free(cells[i]);
		cells[i] = NULL;
	}
	putchar('\n');
}

void
out_table_flush(struct q *q)
{
	struct q_out *o = q->out;

	if (o->held)
		q_progress_clear(q);
	if (!o->fixed && o->held) {
		widths(q);
		if (o->fixed)
			heading(q);
	}
	for (unsigned r = 0; r < o->held; r++)
		if (o->fixed)
			line(o, o->cell + (size_t)r * o->n);
	if (o->fixed)
		o->held = 0;
}

void
out_table_row(struct q *q)
{
	struct q_out *o = q->out;

	if (!o->cell || o->failed)
		return;
	o->held++;
	if (o->fixed || o->held == HELD)
		out_table_flush(q);
}

/* Without rows there is no heading either. */
void
out_table_end(struct q *q)
{
	struct q_out *o = q->out;

	out_table_flush(q);
	for (size_t i = 0; o->cell && i < (size_t)HELD * o->n; i++)
		free(o->cell[i]);
	free(o->cell);
	free(o->width);
}
