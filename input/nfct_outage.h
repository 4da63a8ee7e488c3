/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_outage.h - from the end of one run until the next one reads.
 *
 * What was lost then becomes known in parts: what the guard of the dead run
 * has counted, and, if the start took long, what our own guard had to let go
 * of before the first read.  It is one gap all the same, and so it is told
 * only when nothing can be added to it; until then it is in the state page.
 */
#ifndef NFCT_OUTAGE_H
#define NFCT_OUTAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <ctflow/plugin.h>

#define NFCT_OUTAGE_MS 10u /* between looks */

struct nfct;

struct nfct_owed { /* in the state page */
	_Atomic uint64_t from_ns, to_ns;
	_Atomic uint64_t count; /* 0: nothing is owed */
	_Atomic uint32_t exact;
};

struct nfct_outage {
	struct nfct_owed *owed;
	bool pending;
	uint64_t since_ms; /* the first look */
};

/* The start, before anything is heard: the run before may have owed a gap. */
int nfct_outage_start(struct nfct *s);
/* So many ended since then, until now; what has no count is told at once. */
void nfct_outage_add(struct nfct *s, uint64_t from_ns, uint64_t count, enum ctf_count_is is);
/* Before anything is read, and every tick; the ms until the next look, or 0. */
unsigned nfct_outage_look(struct nfct *s);
/* Whatever may be added: now. */
void nfct_outage_tell(struct nfct *s);

#endif
