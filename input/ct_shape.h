/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_shape.h - messages of one shape are decoded alike.
 *
 * The kernel writes its messages by a fixed procedure: those of the same
 * length nearly always have the same attributes in the same places, and differ
 * in values alone.  So of a message that was walked it is remembered which of
 * its octets are structure (headers; protocol numbers, by which fields are
 * chosen) and where each value stands.  Whatever agrees with it in all the
 * structure would be walked the same way: its values are fetched directly.
 *
 * Private to ct_decode.c and ct_plan.c.
 */
#ifndef CT_SHAPE_H
#define CT_SHAPE_H

#include "ct_raw.h"

#define CT_SHAPES 32u
#define CT_SHAPE_BLOCKS 4u /* of 16 octets: what is compared in one go */
#define CT_SHAPE_GROUPS 6u /* of so many blocks; longer messages are walked */
#define CT_SHAPE_NUMS 48u
#define CT_SHAPE_ADDRS 8u
#define CT_SHAPE_PUTS 8u

/* The compiler knows how to work on two words at once. */
typedef uint64_t ct_block __attribute__((vector_size(16)));

enum ct_way { /* of a value: it is worked with, or some output wants it, or both */
	      CT_TO_RAW,
	      CT_TO_REC,
	      CT_TO_BOTH,
	      CT_WAYS
};

struct ct_shape {
	uint32_t len; /* of the messages; 0: nothing learnt yet */
	uint16_t misses;
	uint8_t event, family;
	uint8_t nums, addrs, puts;
	uint8_t end[CT_WAYS]; /* numbers that go the same way stand together */
	uint64_t have, set[2];
	uint8_t groups;
	struct ct_shape_group {
		ct_block mask[CT_SHAPE_BLOCKS], want[CT_SHAPE_BLOCKS];
		size_t at; /* the last one ends with the message */
	} group[CT_SHAPE_GROUPS];
	struct ct_shape_num {
		uint64_t mask;
		uint16_t at;       /* the 8 octets that end with it */
		uint16_t raw, rec; /* octets from the begin of those two, where it goes */
		uint8_t from;
		ctf_ref to;
	} num[CT_SHAPE_NUMS];
	struct ct_shape_addr {
		uint16_t at;
		uint16_t raw, rec; /* as above; rec 0: no output wants it */
		uint8_t from;
		ctf_ref to;
	} addr[CT_SHAPE_ADDRS];
	struct { /* of what the message header says */
		uint8_t from;
		ctf_ref to;
	} put[CT_SHAPE_PUTS];
};

struct ct_shapes {
	struct ct_shape of[CT_SHAPES];
};

/* The shape of a message of len octets, or NULL. */
const struct ct_shape *ct_shape_find(struct ct_shapes *, const uint8_t *msg, size_t len);
/*
 * The values of a message of that shape, the header's apart: to the slots, and to
 * w what is worked with (CT_RAW_USED).
 */
void ct_shape_read(const struct ct_shape *, const uint8_t *msg, struct ct_raw *w,
		   struct ctf_rec *);
/* Remembers the shape of an event that was walked: w is what came of it. */
void ct_shape_learn(const struct ct_input *, const uint8_t *msg, size_t len,
		    const struct ct_raw *w, unsigned class);

#endif
