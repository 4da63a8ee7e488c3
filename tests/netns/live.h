/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * live.h - the NFCT input alone on a real kernel: a small stand-in for the
 * core that keeps what the input says, and traffic on the loopback device of a
 * namespace of its own.
 */
#ifndef LIVE_H
#define LIVE_H

#include <check.h>
#include <ctflow/plugin.h>
#include "nfct.h"

extern const struct ctf_plugin ctf_plugin_nfct;

#define LIVE_COVS 32u
#define LIVE_SWEEPS 1024u
#define LIVE_LIMIT (40 * NFCT_SEC) /* what takes longer does not happen */

struct live_watch {
	int fd;
	int (*fill)(void *self, struct ctf_batch *);
};

#define LIVE_PARTS 8
struct live_part {
	char name[16];
	void *p;
};

struct ctf_ctx { /* what the input told "the core" */
	void (*tick)(void *);
	uint64_t tick_msec;
	struct live_watch watch[8];
	unsigned nwatches;
	uint64_t kept; /* capabilities */
	struct ctf_gap gap[64];
	unsigned ngaps;
	bool outage;                        /* has begun */
	struct ctf_coverage cov[LIVE_COVS]; /* the last ones */
	char cov_text[LIVE_COVS][2][256];
	unsigned ncovs;
	struct ctf_sweep sweep[LIVE_SWEEPS];
	unsigned nsweeps;
	unsigned interim;       /* what the outputs want: 1 << CTF_INTERIM_x */
	unsigned zero_requests; /* to set the counters of a flow back */
	unsigned kept_waiting;  /* so often something else runs between two clocks */
	int clock_read;         /* the last one */
	struct {
		const char *name;
		ctf_counter value;
	} counter[64];
	unsigned ncounters;
	struct live_part part[LIVE_PARTS]; /* of the state page */
	const struct ctf_ctx *before;      /* the earlier run, or NULL */
	char log[16384];
	char blamed[64];            /* option of the last ctf_fail_opt() */
	struct ctf_earlier earlier; /* what the test says of the run before */
};

struct live {
	struct ctf_ctx ctx;
	struct nfct_conf conf; /* change it before live_start() */
	struct nfct self;
	struct ctf_batch *batch;
	uint8_t *recs; /* copies of all records read so far */
	size_t stride;
	unsigned n, room;
	struct ctf_err err;
};

extern struct live *live_now; /* the last one made */

struct live *live_new(void);     /* all fields wanted, ulogd2's defaults */
struct live *live_enter(void);   /* the same, in a namespace of its own */
int live_try(struct live *l);    /* setup() and start(): 0 or -errno, then l->err */
void live_start(struct live *l); /* must succeed */
void live_free(struct live *l);  /* also stops it */
/* Reads all fds until there was nothing for msec; returns the number of new records. */
unsigned live_read(struct live *l, int msec);
/* The same until there are n more, however busy the machine, and what comes too much. */
unsigned live_read_all(struct live *l, unsigned n);
/* The same until that holds, which it must. */
#define live_until(l, cond) \
	do { \
		uint64_t live_end = ctf_now() + LIVE_LIMIT; \
\
		while (!(cond) && ctf_now() < live_end) \
			live_read(l, 5); \
		ck_assert(cond); \
	} while (0)
/* What the input watches besides: each once that is readable within msec. */
void live_watches(struct live *l, int msec);
void live_fill(struct live *l, int fd); /* as if this one were */
const struct ctf_rec *live_rec(const struct live *l, unsigned i);
/* The first record of that event with this original destination port, or NULL. */
const struct ctf_rec *live_find(const struct live *l, int event, unsigned dport);
uint64_t live_count(const struct live *l, const char *counter);
bool live_said(const struct live *l, const char *text);

/* live_cover.c, live_dump.c, live_loss.c, live_ns.c, live_repeat.c, live_sweep.c, live_times.c,
 * live_valve.c */
void live_cover_tests(TCase *t);
void live_loss_tests(TCase *t);
void live_ns_tests(TCase *t);
void live_repeat_tests(TCase *t);
void live_valve_tests(TCase *t);
void live_sweep_tests(TCase *t);
void live_times_tests(TCase *t);
void live_dump_tests(TCase *t);

/* ---- a namespace and its traffic --------------------------------------------- */

/* 0, or -1: the kernel or the user does not allow it. */
int lab_enter(void);
/* Until the process ends nobody changes host-wide values; as lab.py's host_lock(). */
void lab_host_lock(void);
void lab_sysctl(const char *name, int value); /* below net.netfilter. */
int lab_sysctl_get(const char *name);
/* n flows of one packet each: sport -> first dport, dport + 1 ... */
void lab_udp_flows(unsigned n, unsigned sport, unsigned dport);
/* One flow with packets of `size` bytes: `out` of them, then `back` replies. */
void lab_udp_talk(int family, unsigned sport, unsigned dport, unsigned out, unsigned back,
		  size_t size);
void lab_tcp_talk(unsigned sport, unsigned dport, size_t bytes);
void lab_flush(void); /* removes all entries */

#endif
