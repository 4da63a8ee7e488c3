/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_stats.h - what the table, the kernel and our socket say of themselves. */
#ifndef NFCT_STATS_H
#define NFCT_STATS_H

#include <ctflow/plugin.h>
#include "nfct_sock.h"

struct nfct;

#define NFCT_STATS 8u /* of the kernel's statistics */

struct nfct_cpu { /* as the kernel said last; its counters wrap */
	bool known;
	uint32_t seen[NFCT_STATS];
};

struct nfct_stats {
	struct nfct_req req; /* of its own: a long dump must be in nobody's way */
	struct nfct_cpu *cpu;
	unsigned ncpu;
	bool counting;       /* the dump under way is that of the dying list */
	uint32_t drops_seen; /* of our socket */
	ctf_counter *entries, *max, *full;
	ctf_counter *dying, *used, *size, *fill, *drops;
	ctf_counter *valve, *guard_wanted, *guard_running; /* 0 or 1 */
	ctf_counter *kernel[NFCT_STATS];
};

/* In setup(). */
void nfct_stats_setup(struct nfct *s);
/* In the namespace listened to; without permission there are no such numbers. */
void nfct_stats_start(struct nfct *s);
void nfct_stats_stop(struct nfct *s);
/* Somebody wants to see them. */
void nfct_observe(void *self);

#endif
