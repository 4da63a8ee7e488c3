/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: gaps, coverage and sweeps as rows of a frame.  The first two have
 * the same shape:
 *
 *   u64 from, to, alive, count, clock_error; u32 nsid, event_mask
 *   u8 count_is, acct, timestamp, events, reliable, clock_synchronised, offload, gro
 *   cause, instance, exporter, boot_id, selection, netns, abilities, each
 *   u16 len and bytes
 *
 *   sweep: u64 at, previous, min_age; u32 nsid; u8 complete; source
 */
#include <endian.h>
#include <errno.h>

#include "sqlite3_row.h"

#define FIXED 56u
#define TEXTS 7u
#define SWEPT 29u

static void
number_write(uint8_t **p, uint64_t u, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		*(*p)++ = (uint8_t)(u >> 8 * i);
}

static uint64_t
number_read(const uint8_t **p, unsigned size)
{
	uint64_t u = 0;

	for (unsigned i = 0; i < size; i++)
		u |= (uint64_t) * (*p)++ << 8 * i;
	return u;
}

static struct sq_text
text_of(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return (struct sq_text){ s ? s : "", n > UINT16_MAX ? UINT16_MAX : (uint16_t)n };
}

static void
text_put(struct ctf_frame *f, const struct sq_text *t)
{
	uint16_t len = htole16(t->len);

	ctf_frame_put(f, &len, 2);
	ctf_frame_put(f, t->p, t->len);
}

static bool
note_put(struct ctf_frame *f, enum sq_kind kind, const struct sq_note *n)
{
	const struct sq_text *t[TEXTS] = { &n->cause,    &n->instance,  &n->exporter,
					   &n->boot_id,  &n->selection, &n->netns,
					   &n->abilities };
	struct sq_row row = { .kind = kind, .key = n->from_ns, .len = FIXED + 2 * TEXTS };
	uint8_t fixed[FIXED], *p = fixed;

	for (unsigned i = 0; i < TEXTS; i++)
		row.len += t[i]->len;
	if (f->cap - f->len < SQ_HEAD + row.len)
		return false;
	number_write(&p, n->from_ns, 8);
	number_write(&p, n->to_ns, 8);
	number_write(&p, n->alive_ns, 8);
	number_write(&p, n->count, 8);
	number_write(&p, (uint64_t)n->clock_error_ns, 8);
	number_write(&p, (uint32_t)n->nsid, 4);
	number_write(&p, n->event_mask, 4);
	number_write(&p, n->count_is, 1);
	number_write(&p, (uint8_t)n->acct, 1);
	number_write(&p, (uint8_t)n->timestamp, 1);
	number_write(&p, (uint8_t)n->events, 1);
	number_write(&p, (uint8_t)n->reliable, 1);
	number_write(&p, (uint8_t)n->clock_synchronised, 1);
	number_write(&p, (uint8_t)n->offload, 1);
	number_write(&p, (uint8_t)n->gro, 1);
	sq_head_put(f, &row);
	ctf_frame_put(f, fixed, sizeof(fixed));
	for (unsigned i = 0; i < TEXTS; i++)
		text_put(f, t[i]);
	return true;
}

bool
sq_gap_put(struct ctf_frame *f, const struct ctf_gap *g)
{
	struct sq_note n = { .from_ns = g->from_ns,
			     .to_ns = g->to_ns,
			     .count = g->count,
			     .count_is = (uint8_t)g->count_is,
			     .nsid = g->nsid,
			     .cause = text_of(g->cause),
			     .instance = text_of(g->instance) };

	return note_put(f, SQ_GAP, &n);
}

bool
sq_cover_put(struct ctf_frame *f, const struct ctf_coverage *c)
{
	struct sq_note n = { .from_ns = c->from_ns,
			     .to_ns = c->to_ns,
			     .alive_ns = c->last_alive_ns,
			     .nsid = c->nsid,
			     .event_mask = c->event_mask,
			     .acct = c->acct,
			     .timestamp = c->timestamp,
			     .events = c->events,
			     .reliable = c->reliable,
			     .clock_synchronised = c->clock_synchronised,
			     .clock_error_ns = c->clock_error_ns,
			     .offload = c->offload,
			     .gro = c->gro,
			     .instance = text_of(c->instance),
			     .exporter = text_of(c->exporter),
			     .boot_id = text_of(c->boot_id),
			     .selection = text_of(c->selection),
			     .netns = text_of(c->netns),
			     .abilities = text_of(c->abilities) };

	return note_put(f, SQ_COVER, &n);
}

bool
sq_sweep_put(struct ctf_frame *f, const struct ctf_sweep *sw, const char *source)
{
	struct sq_text from = text_of(source);
	struct sq_row row = { .kind = SQ_SWEEP, .key = sw->at_ns };
	uint8_t fixed[SWEPT], *p = fixed;

	row.len = SWEPT + 2 + from.len;
	if (f->cap - f->len < SQ_HEAD + row.len)
		return false;
	number_write(&p, sw->at_ns, 8);
	number_write(&p, sw->previous_ns, 8);
	number_write(&p, sw->min_age_ns, 8);
	number_write(&p, (uint32_t)sw->nsid, 4);
	number_write(&p, sw->complete, 1);
	sq_head_put(f, &row);
	ctf_frame_put(f, fixed, sizeof(fixed));
	text_put(f, &from);
	return true;
}

static int
text_get(struct sq_text *t, const uint8_t **p, const uint8_t *end)
{
	if (end - *p < 2)
		return -EBADMSG;
	t->len = (uint16_t)number_read(p, 2);
	if (end - *p < t->len)
		return -EBADMSG;
	t->p = (const char *)*p;
	*p += t->len;
	return 0;
}

static int
texts_get(struct sq_note *n, const uint8_t *p, const uint8_t *end)
{
	struct sq_text *t[TEXTS] = { &n->cause,     &n->instance, &n->exporter, &n->boot_id,
				     &n->selection, &n->netns,    &n->abilities };

	for (unsigned i = 0; i < TEXTS; i++)
		if (text_get(t[i], &p, end) < 0)
			return -EBADMSG;
	return p == end ? 0 : -EBADMSG;
}

int
sq_note_get(const struct sq_row *row, struct sq_note *ret_note)
{
	struct sq_note n = { .nsid = -1 };
	const uint8_t *p = row->p;
	int r;

	if (row->len < FIXED)
		return -EBADMSG;
	n.from_ns = number_read(&p, 8);
	n.to_ns = number_read(&p, 8);
	n.alive_ns = number_read(&p, 8);
	n.count = number_read(&p, 8);
	n.clock_error_ns = (int64_t)number_read(&p, 8);
	n.nsid = (int32_t)number_read(&p, 4);
	n.event_mask = (uint32_t)number_read(&p, 4);
	n.count_is = (uint8_t)number_read(&p, 1);
	n.acct = (int8_t)number_read(&p, 1);
	n.timestamp = (int8_t)number_read(&p, 1);
	n.events = (int8_t)number_read(&p, 1);
	n.reliable = (int8_t)number_read(&p, 1);
	n.clock_synchronised = (int8_t)number_read(&p, 1);
	n.offload = (int8_t)number_read(&p, 1);
	n.gro = (int8_t)number_read(&p, 1);
	r = texts_get(&n, p, row->p + row->len);
	if (r == 0)
		*ret_note = n;
	return r;
}

int
sq_sweep_get(const struct sq_row *row, struct sq_swept *ret_sweep)
{
	const uint8_t *p = row->p, *end = row->p + row->len;
	struct sq_swept w = { .nsid = -1 };

	if (row->len < SWEPT)
		return -EBADMSG;
	w.at_ns = number_read(&p, 8);
	w.previous_ns = number_read(&p, 8);
	w.min_age_ns = number_read(&p, 8);
	w.nsid = (int32_t)number_read(&p, 4);
	w.complete = number_read(&p, 1);
	if (text_get(&w.source, &p, end) < 0 || p != end)
		return -EBADMSG;
	*ret_sweep = w;
	return 0;
}
