/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_ident.c - one number that stands for one flow.
 *
 * Its identity is written as 32-bit words, the same number of them for all
 * flows of a family, and hashed twice by a random linear function of which the
 * upper half is kept: for any two identities each half is equal with
 * probability 2^-32, independently.
 */
#include <sys/socket.h>

#include "ct_raw.h"

_Static_assert(CT_IDENT_WORDS == 6 + 2 * 4, "six words and two addresses");

/* What nearly all flows have of it; the others have more or less. */
#define BIT(raw) (UINT64_C(1) << (raw))
#define OF_IDENTITY /* but for the start */ \
	((BIT(T_SIZE) - 1) << R_ORIG | BIT(R_NSID) | BIT(R_ID))
#define USUAL \
	(BIT(R_ORIG + T_SADDR) | BIT(R_ORIG + T_DADDR) | BIT(R_ORIG + T_PROTO) | \
	 BIT(R_ORIG + T_SPORT) | BIT(R_ORIG + T_DPORT) | BIT(R_ID))

static inline uint32_t
ports(const struct ct_raw *w, uint64_t have)
{
	if (have >> (R_ORIG + T_ICMP_ID) & 1)
		return (uint32_t)(w->v[R_ORIG + T_ICMP_ID].val.u << 16 |
				  raw_num_of(w, have, R_ORIG + T_ICMP_TYPE, 0) << 8 |
				  raw_num_of(w, have, R_ORIG + T_ICMP_CODE, 0));
	return (uint32_t)(raw_num_of(w, have, R_ORIG + T_SPORT, 0) << 16 |
			  raw_num_of(w, have, R_ORIG + T_DPORT, 0));
}

struct sums {
	const struct ct_ident *id;
	uint64_t high, low;
};

static inline void
add(struct sums *s, unsigned i, uint32_t word)
{
	s->high += s->id->seed[0][i + 1] * word;
	s->low += s->id->seed[1][i + 1] * word;
}

static inline void
add_ip(struct sums *s, unsigned i, unsigned words, const struct ct_raw *w, uint64_t have,
       unsigned n)
{
	uint32_t word;

	for (unsigned k = 0; have >> n & 1 && k < words; k++) {
		memcpy(&word, w->v[n].val.ip + k * sizeof(word), sizeof(word));
		add(s, i + k, word);
	}
}

/*
 * Word by word: an array would be read before its stores have settled.  have and
 * family are given apart, so that the usual ones cost no question.
 */
static inline __attribute__((always_inline)) uint64_t
hash(const struct ct_ident *id, const struct ct_raw *w, uint64_t have, bool v6, uint64_t start)
{
	struct sums s = { id, id->seed[0][0], id->seed[1][0] };
	unsigned words = v6 ? 4 : 1;

	add(&s, 0,
	    (uint32_t)(raw_num_of(w, have, R_ORIG + T_ZONE, 0) |
		       raw_num_of(w, have, R_ORIG + T_PROTO, 0) << 16 | (uint32_t)v6 << 24));
	add(&s, 1, (uint32_t)raw_num_of(w, have, R_NSID, UINT32_MAX));
	add(&s, 2, (uint32_t)raw_num_of(w, have, R_ID, 0));
	add(&s, 3, (uint32_t)(start >> 32));
	add(&s, 4, (uint32_t)start);
	add(&s, 5, ports(w, have));
	add_ip(&s, 6, words, w, have, R_ORIG + T_SADDR);
	add_ip(&s, 10, words, w, have, R_ORIG + T_DADDR);
	return (s.high & ~UINT64_C(0xffffffff)) | s.low >> 32;
}

static __attribute__((noinline)) uint64_t
hash_any(const struct ct_ident *id, const struct ct_raw *w, uint64_t start)
{
	return hash(id, w, w->have, w->family != AF_INET, start);
}

void
ct_ident(struct ct_ident *id, const struct ct_raw *w)
{
	uint64_t start = raw_num_or(w, R_START, 0);

	id->key = 0;
	if (!start)
		return;
	if (w->family == AF_INET && (w->have & OF_IDENTITY) == USUAL)
		id->key = hash(id, w, USUAL, false, start);
	else
		id->key = hash_any(id, w, start);
	id->key += id->key == 0;
	if (id->table) /* it is rarely in the cache, and needed last */
		__builtin_prefetch(&id->table[id->key & id->mask], 1);
	id->stop = raw_num_or(w, R_STOP, start);
	id->sent = raw_num_or(w, R_EVENT_NS, w->rx_ns);
}
