/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plugins for the tests of the core: an input fed by the test, filters, and
 * an output that does as it is told and keeps what it gets.  The option
 * `box` carries the address of the test's struct box.
 */
#ifndef CTF_TEST_FAKES_H
#define CTF_TEST_FAKES_H

#include <pthread.h>
#include <stdatomic.h>
#include <ctflow/plugin.h>

#include "setup.h"

#define KEPT 65536
/* What KEEP writes of a gap: with an id it fits a frame of 64. */
#define GAP_BYTES offsetof(struct ctf_gap, told)

struct box {
	/* input FEED: deliver this many records (ct.id counts up from 1) */
	unsigned feed, fed;
	const uint64_t *at_ns;             /* of each record; NULL: not known */
	int feed_end;                      /* what read() says after the last one */
	unsigned backlog;                  /* percent, of LIVE */
	unsigned drain_calls, drain_until; /* drain() is true from that call on */
	int event_fd;
	unsigned starts, stops, everys; /* calls */
	unsigned every_ms;              /* start() asks to be called so often */
	int start_errno;                /* start() fails with it */
	bool kinds;                     /* records are of each kind in turn, events first */
	int watch_fd;                   /* start() watches it; each byte gives a record */
	int watch_end;                  /* what the watch says after one */
	unsigned wanted, wanted_all;    /* ctf_interim_wanted() at the start */
	unsigned tag_starts;            /* of TAG and TAG2, before records come */
	atomic_bool tag_late;           /* they are not ready yet, */
	atomic_bool tag_stays;          /* or do not end yet */

	/* a hand-over, of LIVE */
	unsigned hands, hand_agains; /* calls; that many say not yet */
	int hand_errno;              /* then it fails with it */
	size_t hand_huge;            /* bytes it leaves besides */
	unsigned inherited;          /* what the one before had given */
	bool inherited_fd;

	/* output KEEP */
	pthread_mutex_t lock;
	uint64_t kept[KEPT]; /* ct.id of each record, in order of delivery */
	uint64_t kept_frame[KEPT];
	unsigned nkept, nframes, opens, closes, reopens, idles;
	struct ctf_gap gaps[64];
	unsigned ngaps, ncovers, nsweeps;
	char selection[64]; /* of the last coverage */
	uint64_t layout_id;
	int open_errno;                  /* open() fails with it while not 0 */
	unsigned fail_opens;             /* that many opens fail */
	enum ctf_sent answer;            /* of deliver(), */
	unsigned refuse;                 /* so many flows of the first frame delivered */
	unsigned answers;                /* that many times; then CTF_SENT */
	unsigned take;                   /* frames taken at most per call; 0: all */
	bool block;                      /* deliver() waits in ctf_wait() until interrupted */
	uint64_t settled;                /* with SETTLE: what settled() says, */
	uint64_t window;                 /* and how many frames up to that are still needed */
	unsigned open_ms;                /* that long does the next open take */
	unsigned gather_ms;              /* open() asks for it */
	unsigned many;                   /* sinks of MANY */
	unsigned many_away;              /* a bit each: it takes nothing */
	uint64_t many_got[4][KEPT / 64]; /* ct.id, of each */
	unsigned many_n[4];
	/* If set: what deliver() does with n frames, and what open() returns. */
	enum ctf_sent (*deliver)(struct box *, const struct ctf_frame *const *, unsigned n,
				 unsigned *ret_taken);
	int (*open)(struct box *);
	void (*close)(struct box *);
	void *arg; /* the test's */
};

/* Keeps what the frame says: what deliver() does. */
void box_keep(struct box *, const struct ctf_frame *);

/* LIVE leaves how many it has given, and its eventfd. */
int box_hand_over(struct box *, struct ctf_legacy *);
void box_inherit(struct box *, struct ctf_ctx *);

/* The box of an object, and callbacks: of all, */
struct box *box_of(const void *obj);
int box_reopen(void *sink, struct ctf_err *);
bool box_ready(void *filter);
bool box_drain(void *filter, bool now);
void box_close(void *sink);
/* and of MANY. */
unsigned box_sinks(const void *conf);
enum ctf_sent box_many(void *sink, const struct ctf_frame *const *, unsigned n,
		       unsigned *ret_taken, struct ctf_err *);

void box_init(struct box *);
void box_free(struct box *);
/* A consistent look at a counter of the box. */
unsigned box_get(struct box *, const unsigned *member);
/* Waits up to 10 s until *member >= n; false: it did not come. */
bool box_wait(struct box *, const unsigned *member, unsigned n);

/*
 * FEED (replay-like) and LIVE (with backlog and hand-over) inputs; filters ODD (drops even
 * ct.id), TAG and TAG2 (pure, write print from ct.id), outputs KEEP (reads
 * ct.id), SETTLE (the same, settled() by the box), PRINT (reads print),
 * STREAMS (a frame per ct.zone), PLAIN (no gap callback), MANY (as many
 * sinks as the box says).
 */
void fakes_add(struct plugin_set *);

/* A setup from text; %B in it stands for box=<address>.  Never fails itself. */
int fakes_setup(struct setup *, const char *text, struct box *, struct diag *);

#endif
