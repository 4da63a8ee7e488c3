/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_sweep.h - looks at the whole connection table: what lives at the start,
 * flows that live long, all of it on demand, and expired entries that the
 * kernel has not noticed.
 */
#ifndef NFCT_SWEEP_H
#define NFCT_SWEEP_H

#include <ctflow/plugin.h>
#include "ct_decode.h"

struct nfct;

enum nfct_active_counters { NFCT_TOTAL, NFCT_DELTA };
#define NFCT_ACTIVE_COUNTERS "total|delta"

enum { /* why there is a dump; what is wanted most comes last */
       NFCT_REAP = 1,
       NFCT_ACTIVE = 2,
       NFCT_SHOW = 4,
       NFCT_CENSUS = 8, /* the one at the start */
};

/* Records with counters are made one flow at a time. */
#define NFCT_SINGLE (1u << CTF_COUNTERS | 1u << CTF_DELTA)

#define NFCT_RING 128u
#define NFCT_DUMP_SIZE 65536u /* the kernel fills at most 32 KiB of it */

struct nfct_sweep {
	int fd;            /* dumps, one at a time; below 0: closed */
	int ask;           /* single flows */
	int pace;          /* timer: the next 32 KiB */
	int active, reap;  /* timers; below 0: none */
	unsigned ask_max;  /* flows asked for at once: all answers must fit */
	uint32_t seq;      /* of the last request on either socket */
	uint32_t dump_seq; /* of the dump */
	uint64_t bound_ns; /* since when the ends of new flows are heard */

	/* the dump under way */
	unsigned wanted, now; /* NFCT_REAP ...: still to come, under way */
	unsigned kinds;       /* of records, 1 << CTF_EVENT ... */
	struct ctf_sweep about;
	bool ended;
	int error;        /* why it is not complete, or 0 */
	unsigned buckets; /* of the table when it began */
	uint64_t entries; /* begun before it did, and selected */
	uint64_t old;     /* of these: begun before we listened */
	uint64_t records;
	uint64_t lost; /* flows whose counters may be lost */
	uint8_t *buf;  /* what the kernel said: at..len is still to be read */
	size_t at, len;
	uint8_t *answers;         /* of the single flows; records borrow from them */
	uint64_t ring[NFCT_RING]; /* the last entries */
	unsigned nring;

	uint64_t active_ms, reap_ms; /* the timers' */
	uint64_t complete_ns;        /* when the last complete one began */
	struct ct_slice *kept;       /* what of it outlives us, with active_counters=delta */
	bool said;                   /* that one was not */
	ctf_counter *sweeps, *broken, *live_at_start, *counters_lost;
};

/* In setup(). */
int nfct_sweep_setup(struct nfct *s, struct ctf_err *err);
/* In the namespace: opens the sockets. */
int nfct_sweep_open(struct nfct *s, struct ctf_err *err);
/* Events are heard: sets the timers, and looks at what lives already. */
int nfct_sweep_start(struct nfct *s, struct ctf_err *err);
/* A reload: other timers, if they are others. */
void nfct_sweep_renew(struct nfct *s);
/* No more of it; one that is under way remains incomplete. */
void nfct_sweep_stop(struct nfct *s);
/* SIGUSR2 */
void nfct_sweep_show(void *self);

/* nfct_table.c: gives records of the dump under way; as read() of an input. */
int nfct_sweep_read(struct nfct *s, struct ctf_batch *b);
/* It is over, and not complete. */
void nfct_sweep_break(struct nfct_sweep *w, int error);

/* ---- one flow at a time: nfct_ask.c ----------------------------------------- */

#define NFCT_ASK_MAX 32u
#define NFCT_ASK_SIZE 256u     /* of a request */
#define NFCT_ANSWER_SIZE 8192u /* of an answer */

struct nfct_ask {
	unsigned n;
	size_t len;
	uint32_t first; /* sequence number of the first */
	_Alignas(8) uint8_t p[NFCT_ASK_MAX * NFCT_ASK_SIZE];
};

int nfct_ask_open(struct nfct *s, struct ctf_err *err);
/* Adds a request for the entry; zero: its counters begin at 0 again. */
int nfct_ask_add(struct nfct *s, struct nfct_ask *a, const struct ct_entry *e, bool zero);
/*
 * Asks, and makes records of the answers; the batch has room for them.
 * Returns 0 or -errno: the kernel refuses.
 */
int nfct_ask_go(struct nfct *s, struct nfct_ask *a, struct ctf_batch *b, uint64_t now);

#endif
