/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_times.h - conntrack's timeouts, which anybody may change while we run,
 * and may have changed while we did not.
 *
 * A change is noticed before a flow can end by it: by inotify, and should we
 * have been stopped, or should it not tell, by a look before anything is read
 * after a second; no timeout is shorter.
 */
#ifndef NFCT_TIMES_H
#define NFCT_TIMES_H

#include <stdbool.h>
#include <stdint.h>
#include "ct_times.h"

#define NFCT_TIMES_LOOK UINT64_C(1000000000) /* ns */

struct nfct;

struct nfct_times_kept { /* in the state page */
	uint64_t read_ns;
	struct ct_times t;
};

struct nfct_times {
	int dir;   /* their folder, of the namespace listened in; -1: cannot be seen */
	int watch; /* inotify on it; -1: there is none, so they are read each time */
	uint64_t look_ns, read_ns;
	struct nfct_times_kept *kept;
};

void nfct_times_init(struct nfct *s);
/* In the namespace: reads them for the first time.  After nfct_sweep_open(). */
int nfct_times_open(struct nfct *s);
/* The start, outside: changes are noticed as they are made. */
int nfct_times_start(struct nfct *s);
void nfct_times_close(struct nfct *s);
/* As nfct_times_look(), whenever the last one was. */
void nfct_times_now(struct nfct *s, uint64_t now);

/* nfct_policy.c: the timeouts of rules; those of `t` stay if they cannot be had. */
void nfct_policy_read(struct nfct *s, struct ct_times *t);

#endif
