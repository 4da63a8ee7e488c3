/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_clock.h - the clock is set while we run. */
#ifndef NFCT_CLOCK_H
#define NFCT_CLOCK_H

#include <stdint.h>

struct nfct;

struct nfct_clock {
	int fd;         /* becomes readable when the clock is set; below 0: cannot */
	int64_t offset; /* of the clock to the time since boot, ns */
};

/* Steps are noticed from now on. */
void nfct_clock_start(struct nfct *s);
void nfct_clock_stop(struct nfct *s);

#endif
