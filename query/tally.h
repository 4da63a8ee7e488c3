/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tally.h - sums of flows by key, and the largest of them. */
#ifndef CTF_QUERY_TALLY_H
#define CTF_QUERY_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct tally_sum {
	uint64_t flows;
	uint64_t orig_packets, orig_bytes, reply_packets, reply_bytes;
};

/* Compared as memory: what is not used is zero. */
struct tally_key {
	uint8_t ip[16];
	uint8_t family; /* AF_INET, AF_INET6; 0: no address */
	uint8_t has;    /* n was known */
	uint16_t port;
	uint32_t n;
	int64_t slot; /* of time */
};

struct tally_entry {
	struct tally_key key;
	struct tally_sum sum;
	uint64_t used; /* 0: a free place */
};

struct tally { /* all zero: empty */
	struct tally_entry *entries;
	size_t n, size; /* size: 0 or a power of two */
	uint64_t seed;
};

/* What stands under the key, made if need be; NULL: out of memory.  Lasts until the next one. */
struct tally_sum *tally_at(struct tally *, const struct tally_key *);
const struct tally_sum *tally_find(const struct tally *, const struct tally_key *);
void tally_free(struct tally *);

void tally_plus(struct tally_sum *, const struct tally_sum *);
/* Each number of `a` is at most that of `b` afterwards. */
void tally_at_most(struct tally_sum *a, const struct tally_sum *b);

enum tally_by {
	TALLY_BYTES,
	TALLY_PACKETS,
	TALLY_FLOWS,
	TALLY_ORIG_BYTES,
	TALLY_REPLY_BYTES,
	TALLY_ORIG_PACKETS,
	TALLY_REPLY_PACKETS,
	TALLY_BY
};

const char *tally_by_name(enum tally_by);
uint64_t tally_value(const struct tally_sum *, enum tally_by);
/*
 * The n largest, the largest first, equals by key: *ret_top points into the
 * table and is to be freed.  Returns 0 or -ENOMEM.
 */
int tally_top(const struct tally *, enum tally_by, size_t n,
	      const struct tally_entry ***ret_top, size_t *ret_n);
/* All by slot, then as above. */
int tally_slots(const struct tally *, enum tally_by, const struct tally_entry ***ret_all,
		size_t *ret_n);

#endif
