/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_shift.c - over UDP: template ids that no other layout has.
 *
 * A session ends with its connection, and its templates with it; datagrams
 * have no such end.  A collector may still have the templates of yesterday's
 * configuration, and frames of that one may be among those that come now.  So
 * each layout has a block of ids of its own, a generation, and the state page
 * remembers which.
 */
#include "ipfix.h"

#include <stdlib.h>

#define BLOCK 128u /* template ids of a layout: 256 to 383 in the first generation */
#define GENERATIONS 32u

struct ipfix_generations {            /* in the state page */
	uint64_t layout[GENERATIONS]; /* ids; 0: none yet */
	uint32_t next;                /* to be given away */
};

static unsigned
generation_of(struct ipfix_generations *g, uint64_t layout)
{
	unsigned n = g->next % GENERATIONS;

	for (unsigned i = 0; i < GENERATIONS; i++)
		if (g->layout[i] == layout) {
			if (i == n) /* the end came between the two writes below */
				g->next = (n + 1) % GENERATIONS;
			return i;
		}
	g->layout[n] = layout;
	g->next = (n + 1) % GENERATIONS;
	return n;
}

uint16_t
ipfix_shift(struct ipfix_sink *s, const struct ctf_layout *l)
{
	const struct ipfix_conf *c = s->o.conf;
	bool kept;

	if (c->proto != IPFIX_UDP)
		return 0;
	if (!s->generations)
		s->generations =
			ctf_state(s->o.ctx, "generations", sizeof(*s->generations), &kept);
	if (!s->generations)
		return 0;
	if (!s->has_shift || s->shift_of != l->id) {
		s->shift = (uint16_t)(BLOCK * generation_of(s->generations, l->id));
		s->shift_of = l->id;
		s->has_shift = true;
	}
	return s->shift;
}

void
ipfix_shift_set(uint8_t *set, uint16_t by)
{
	uint16_t id = ipfix_get16(set);

	if (id >= 256)
		ipfix_put16(set, (uint16_t)(id + by));
	if (id < 256 || id == IPFIX_KEYS_ID) /* a template, or a record about one */
		ipfix_put16(set + IPFIX_SET, (uint16_t)(ipfix_get16(set + IPFIX_SET) + by));
}

uint8_t *
ipfix_shifted(struct ipfix_sink *s, const struct ctf_frame *f, unsigned slot, unsigned slots)
{
	uint16_t by = ipfix_shift(s, f->layout);
	uint8_t *p, *end;
	uint32_t len;

	if (!by)
		return f->p;
	if (!s->shifted)
		s->shifted = reallocarray(NULL, slots, IPFIX_UDP_MOST);
	if (!s->shifted)
		return NULL;
	p = s->shifted + (size_t)slot * IPFIX_UDP_MOST;
	end = p + f->len;
	memcpy(p, f->p, f->len);
	for (p += IPFIX_HEADER; (len = ipfix_set_len(p, end)); p += len)
		ipfix_shift_set(p, by);
	return end - f->len;
}
