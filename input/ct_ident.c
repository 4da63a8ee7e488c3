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

static uint32_t
ports(const struct ct_raw *w)
{
	if (raw_has(w, R_ORIG + T_ICMP_ID))
		return (uint32_t)(w->v[R_ORIG + T_ICMP_ID].val.u << 16 |
				  raw_num_or(w, R_ORIG + T_ICMP_TYPE, 0) << 8 |
				  raw_num_or(w, R_ORIG + T_ICMP_CODE, 0));
	return (uint32_t)(raw_num_or(w, R_ORIG + T_SPORT, 0) << 16 |
			  raw_num_or(w, R_ORIG + T_DPORT, 0));
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
add_ip(struct sums *s, unsigned i, unsigned words, const struct ct_raw *w, unsigned n)
{
	uint32_t ip[4];

	if (!raw_has(w, n))
		return;
	memcpy(ip, w->v[n].val.ip, words * sizeof(*ip));
	for (unsigned k = 0; k < words; k++)
		add(s, i + k, ip[k]);
}

/* Word by word: an array would be read before its stores have settled. */
static inline uint64_t
hash(const struct ct_ident *id, const struct ct_raw *w, uint64_t start)
{
	struct sums s = { id, id->seed[0][0], id->seed[1][0] };

	add(&s, 0,
	    (uint32_t)(raw_num_or(w, R_ORIG + T_ZONE, 0) |
		       raw_num_or(w, R_ORIG + T_PROTO, 0) << 16 |
		       (uint32_t)(w->family == AF_INET6) << 24));
	add(&s, 1, (uint32_t)raw_num_or(w, R_NSID, UINT32_MAX));
	add(&s, 2, (uint32_t)raw_num_or(w, R_ID, 0));
	add(&s, 3, (uint32_t)(start >> 32));
	add(&s, 4, (uint32_t)start);
	add(&s, 5, ports(w));
	if (w->family == AF_INET) {
		add_ip(&s, 6, 1, w, R_ORIG + T_SADDR);
		add_ip(&s, 10, 1, w, R_ORIG + T_DADDR);
	} else {
		add_ip(&s, 6, 4, w, R_ORIG + T_SADDR);
		add_ip(&s, 10, 4, w, R_ORIG + T_DADDR);
	}
	return (s.high & ~UINT64_C(0xffffffff)) | s.low >> 32;
}

void
ct_ident(struct ct_ident *id, const struct ct_raw *w)
{
	uint64_t start = raw_num_or(w, R_START, 0);

	id->key = 0;
	if (!start)
		return;
	id->key = hash(id, w, start);
	id->key += id->key == 0;
	if (id->table) /* it is rarely in the cache, and needed last */
		__builtin_prefetch(&id->table[id->key & id->mask], 1);
	id->stop = raw_num_or(w, R_STOP, start);
	id->sent = raw_num_or(w, R_EVENT_NS, w->rx_ns);
}
