/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_walk.h - flows to send, and what went over the wire, message by message. */
#ifndef IPFIX_WALK_H
#define IPFIX_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "plug.h"

#define WALK_DOMAINS 8u

struct walk_sum {
	uint64_t messages, flows, octets;
};

struct walk {                                 /* one session; begins zeroed */
	unsigned messages, template_messages; /* with flows; with templates */
	unsigned announcements;               /* of all templates */
	uint32_t last_time, shift;            /* shift: of the template ids last seen */
	struct {
		uint32_t id, sequence;
		unsigned templates; /* known in this domain */
		/* what went over the wire, and what statistics said last */
		struct walk_sum seen, told, seen_then;
	} domain[WALK_DOMAINS];
	unsigned domains;
	unsigned options;    /* records of what was lost */
	unsigned statistics; /* records of what was sent */
	unsigned others;     /* of types, flow keys, names; one a set */
	uint32_t *ids;       /* flowId of each record of template 256, in order */
	size_t records, room;
	size_t rest; /* bytes of an unfinished message at the end */
};

/*
 * Goes through concatenated messages and fails the test on a broken one, on
 * data before its templates and on a wrong sequence number.
 */
void walk_bytes(struct walk *, const uint8_t *bytes, size_t len);
void walk_free(struct walk *);
/* The flowIds from..to-1, each once, in order. */
void walk_expect(const struct walk *, unsigned from, unsigned to);

/*
 * Flows with these ids; nsid < 0: of the own namespace.  Returns the number of
 * the last frame.
 */
uint64_t walk_flows(struct plug *, unsigned from, unsigned to, int nsid);

#endif
