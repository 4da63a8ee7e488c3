/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_repeat.h - the ends of flows the kernel sends a second time. */
#ifndef NFCT_REPEAT_H
#define NFCT_REPEAT_H

#include <ctflow/plugin.h>
#include "ct_decode.h"
#include "keyring.h"
#include "keyset.h"
#include "nfct_diag.h"

struct nfct;

#define NFCT_OTHERS 8u                     /* listeners remembered by name */
#define NFCT_LEFT_KEYS (UINT32_C(4) << 20) /* the most a successor gets: 32 MiB */

struct nfct_repeat {
	struct ct_ident ident;
	uint32_t most;         /* keys repeat_memory has room for; 0: off */
	bool on;               /* repeats may come: the set is in use, else the ring */
	struct keyring latest; /* all that could come again if somebody was there now */
	struct keyset recent;
	bool said_hidden; /* that they come though nobody is seen */
	uint32_t unseen;  /* keys since the last look at who listens */
	uint32_t drops;   /* of our socket, by that look */
	uint64_t sign_ns; /* the last sign that the kernel keeps something for somebody */
	uint64_t dropped; /* repeats since it was switched on */
	unsigned nothers;
	struct {
		struct nfct_other who;
		char name[64];
	} other[NFCT_OTHERS];
	ctf_counter *repeats, *maybe;
};

/* In setup(). */
void nfct_repeat_setup(struct nfct *s);
/* The sockets are open; max: nf_conntrack_max, 0 = unknown.  0 or -ENOMEM. */
int nfct_repeat_start(struct nfct *s, uint32_t max);
void nfct_repeat_stop(struct nfct *s);
/* Every second: who else listens? */
void nfct_repeat_look(struct nfct *s, uint64_t now);
/* A DESTROY was decoded.  True: it is a repeat, and counted as such. */
bool nfct_repeat_is(struct nfct *s, uint64_t now);

/*
 * For a successor in another process: what is remembered, as bytes; of more keys
 * than NFCT_LEFT_KEYS the newest.  Writes at most size bytes; returns how many
 * there are.
 */
size_t nfct_repeat_save(const struct nfct *s, void *p, size_t size);
/*
 * Between nfct_repeat_start() and the first message read.  -EINVAL: these are
 * no such bytes; -ENOMEM.
 */
int nfct_repeat_load(struct nfct *s, const void *p, size_t size);

#endif
