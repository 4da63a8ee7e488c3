/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_valve.h - reliable delivery must not fill the connection table. */
#ifndef NFCT_VALVE_H
#define NFCT_VALVE_H

#include <stdbool.h>
#include <stdint.h>

struct nfct;

struct nfct_valve {
	bool open;      /* the kernel keeps nothing for us now */
	bool guard;     /* it was the guard that has opened it */
	bool exact;     /* each drop since then is one flow */
	bool said;      /* that the table cannot be looked at */
	uint32_t seen;  /* of the drop counter: by the last look */
	uint32_t base;  /* and when it was opened */
	unsigned calm;  /* looks since it has grown */
	unsigned looks; /* since it was opened */
	uint64_t from_ns, open_ns, lost;
	uint64_t full_since; /* ms of CLOCK_MONOTONIC: with other namespaces; 0: it is not */
};

void nfct_valve_init(struct nfct *s);
/*
 * Opens or closes the valve as the table demands.  Returns the milliseconds
 * until it wants to look again; 0: whenever.
 */
unsigned nfct_valve_look(struct nfct *s);
/* If the guard has let go of what the kernel kept, the valve is open. */
void nfct_valve_adopt(struct nfct *s);
/* While it is open: what was lost so far is part of the outage, the rest a gap. */
void nfct_valve_part(struct nfct *s);
/* Nothing will be heard any more: an open valve is now a gap. */
void nfct_valve_end(struct nfct *s);

#endif
