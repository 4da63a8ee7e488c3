/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: gaps and coverage as rows of a frame.  Both have the same shape:
 *
 *   u64 from, to, alive, count; u32 nsid, event_mask
 *   u8 count_is, acct, timestamp, events, reliable
 *   cause, instance, exporter, boot_id, selection, each u16 len and bytes
 */
#include <endian.h>
#include <errno.h>

#include "sqlite3_row.h"

#define FIXED 45u
#define TEXTS 5u

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

static bool
note_put(struct ctf_frame *f, enum sq_kind kind, const struct sq_note *n)
{
	const struct sq_text *t[TEXTS] = { &n->cause, &n->instance, &n->exporter, &n->boot_id,
					   &n->selection };
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
	number_write(&p, (uint32_t)n->nsid, 4);
	number_write(&p, n->event_mask, 4);
	number_write(&p, n->count_is, 1);
	number_write(&p, (uint8_t)n->acct, 1);
	number_write(&p, (uint8_t)n->timestamp, 1);
	number_write(&p, (uint8_t)n->events, 1);
	number_write(&p, (uint8_t)n->reliable, 1);
	sq_head_put(f, &row);
	ctf_frame_put(f, fixed, sizeof(fixed));
	for (unsigned i = 0; i < TEXTS; i++) {
		uint16_t len = htole16(t[i]->len);

		ctf_frame_put(f, &len, 2);
		ctf_frame_put(f, t[i]->p, t[i]->len);
	}
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
			     .instance = text_of(c->instance),
			     .exporter = text_of(c->exporter),
			     .boot_id = text_of(c->boot_id),
			     .selection = text_of(c->selection) };

	return note_put(f, SQ_COVER, &n);
}

static int
texts_get(struct sq_note *n, const uint8_t *p, const uint8_t *end)
{
	struct sq_text *t[TEXTS] = { &n->cause, &n->instance, &n->exporter, &n->boot_id,
				     &n->selection };

	for (unsigned i = 0; i < TEXTS; i++) {
		if (end - p < 2)
			return -EBADMSG;
		t[i]->len = (uint16_t)number_read(&p, 2);
		if (end - p < t[i]->len)
			return -EBADMSG;
		t[i]->p = (const char *)p;
		p += t[i]->len;
	}
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
	n.nsid = (int32_t)number_read(&p, 4);
	n.event_mask = (uint32_t)number_read(&p, 4);
	n.count_is = (uint8_t)number_read(&p, 1);
	n.acct = (int8_t)number_read(&p, 1);
	n.timestamp = (int8_t)number_read(&p, 1);
	n.events = (int8_t)number_read(&p, 1);
	n.reliable = (int8_t)number_read(&p, 1);
	r = texts_get(&n, p, row->p + row->len);
	if (r == 0)
		*ret_note = n;
	return r;
}
