/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_cover.h - when somebody watched, and under which conditions.
 *
 * One stretch for as long as nothing that matters changes; told at its
 * beginning, at each heartbeat and at its end.
 */
#ifndef NFCT_COVER_H
#define NFCT_COVER_H

#include <stdint.h>
#include <ctflow/plugin.h>
#include "nfct_sysctl.h"

struct nfct;

struct nfct_conditions { /* a change ends the stretch; -1: not known */
	int8_t acct, timestamp, events;
	int8_t synchronised, gro, offload;
};

struct nfct_cover {
	uint64_t from_ns;            /* 0: none was begun */
	int settings[NFCT_SETTINGS]; /* open files: of the namespace listened in */
	struct nfct_conditions is;
	char host[256], boot[64];
};

void nfct_cover_init(struct nfct *s);
/* start(), in the namespace listened in: opens what is looked at later. */
void nfct_cover_open(struct nfct *s);
/* The rest of start(): the first stretch begins, or that of another process goes on. */
void nfct_cover_start(struct nfct *s);
/* Every second or so; with `beat`, which is every 10 s, it says that we live. */
void nfct_cover_tick(struct nfct *s, bool beat);
/* The stretch ends at the one time, the next begins at the other. */
void nfct_cover_split(struct nfct *s, uint64_t end_ns, uint64_t begin_ns);
/* A reload: the stretch ends; the next one begins; and is told to who listens then. */
void nfct_cover_end(struct nfct *s);
void nfct_cover_begin(struct nfct *s);
void nfct_cover_told(struct nfct *s);
void nfct_cover_stop(struct nfct *s);  /* the last one ends */
void nfct_cover_close(struct nfct *s); /* undoes open */

#endif
