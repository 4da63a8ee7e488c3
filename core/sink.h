/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output's receiving end: a bounded queue and a thread that delivers it.
 * The main thread pushes and, when it must, drops; worker.c runs the plugin's
 * sink callbacks.  Every sink has a thread, because opening a database,
 * resolving a name or writing to a disk that is busy blocks, whatever the
 * plugin; the hand-over is one wake-up per several frames.
 */
#ifndef CTF_SINK_H
#define CTF_SINK_H

#include <pthread.h>

#include "graph.h"
#include "queue.h"

enum sink_state { SINK_DOWN, SINK_UP, SINK_STALLED };

struct own_layout { /* frames outlive the encoder that made them */
	struct own_layout *next;
	struct ctf_layout l;
	uint8_t p[];
};

struct own_text {
	struct own_text *next;
	char s[];
};

struct sink {
	struct sink *next;
	struct ctf_ctx ctx;
	struct inst *inst;
	struct encoder *encoders;
	_Atomic(struct graph *) graph; /* it is of; another after a reload */
	struct gen *gen;               /* as of an input */
	struct sink *before;           /* what it goes on for (reload) */
	bool fresh, held, over;        /* not opened yet; nor before that one is over */
	bool claimed;                  /* somebody may become its heir: it has to wait */
	struct sink *heir;             /* the other way round */
	struct loop_fd *watch;         /* of poke */
	uint64_t moved_ms, seen;       /* since when, and at which progress, it is awaited */
	uint64_t abort_ms;             /* when it was told to end at once */
	bool hung;                     /* and does not */
	struct own_layout *layouts;    /* of all its frames were ever of; main thread */
	struct own_text *texts;        /* the same of the instances in gaps */

	/* main thread only */
	bool dirty; /* pushed since the last kick */
	struct log_limit drop_log;
	uint64_t drop_run; /* flows dropped since there was room */

	/* both, under the mutex */
	pthread_mutex_t lock;
	pthread_cond_t cond; /* first_done and go */
	struct queue queue;
	enum sink_state state;
	bool first_done, refused, go, waiting, stopping, aborted, done, want_reopen;
	bool late;                /* the start did not wait for the first opening */
	struct ctf_gap lost;      /* not yet in a gap frame; */
	struct encoder *lost_enc; /* NULL: nothing */
	uint64_t spool_id;        /* names the numbering of its frames */
	bool handing;             /* a successor is to have what is left */
	uint64_t progress;        /* grows with every frame taken or settled */
	struct ctf_err why;       /* of the last failure */
	struct kept_sink *keep;   /* in the state page; NULL before the start */
	struct kept_left left;
	struct spool *spool; /* or NULL */
	uint64_t backlog_to; /* up to that number it had to wait: replay_rate */

	/* worker only */
	pthread_t thread;
	char *remakes;   /* the file it will have to make anew, or NULL */
	bool settled_in; /* privileges are as they stay */
	bool running;    /* main: the thread was made */
	int kick, intr;  /* eventfds: look again; return at once */
	int poke;        /* eventfd to the main thread: a gap is to be made */
	int fd;          /* watched, or -1 */
	uint64_t delay_ms, retry_at_ms, down_since_ms;
	uint64_t rate_ms;     /* when the tokens were counted last */
	int64_t tokens;       /* records of the backlog that may go now */
	uint64_t gather_ms;   /* as long may a frame wait for others */
	uint64_t spare_at_ms; /* UINT64_MAX: when frames were taken */
	bool said_down, draining;
	uint64_t said_why; /* hash of the reason said last */
	struct log_limit poison_log;
	struct log_limit missed_log;
	ctf_counter *delivered, *dropped, *retries, *repeated, *poisoned;
};

/* encoder.c: the sink's own of those bytes, for as long as it lives; NULL: no memory. */
const struct ctf_layout *sink_layout(struct sink *, const struct ctf_layout *like);

/* The same of a text; without memory another one. */
const char *sink_text(struct sink *, const char *like);

struct sink *sink_new(struct inst *);
void sink_free(struct sink *);

/* Main thread.  The frame belongs to the queue afterwards. */
void sink_push(struct sink *, struct qframe *);
struct sink_now {
	enum sink_state state;
	uint64_t recs, bytes, limit; /* of the queue; recs: never delivered */
	uint64_t window;             /* bytes, besides, of what was delivered and is kept */
	uint64_t oldest_ns;          /* of what waits, on disk or not; 0: nothing does */
	uint64_t late_ms;            /* it should have been in the spool since then */
};
void sink_look(struct sink *, struct sink_now *ret_now);
/* The same oldest_ns, with the mutex. */
uint64_t sink_oldest(const struct sink *);
/* One log line: up, stalled or down, and what is queued. */
void sink_log_state(struct sink *);
/* The loop, when the worker has poked: makes the gap. */
void sink_poked(void *sink);
/* Wakes the worker if it waits for what was pushed. */
void sink_kick(struct sink *);
/* More is queued than allowed. */
bool sink_over(struct sink *);
/* Drops the oldest until the queue is within its limit, leaving a gap. */
void sink_drop(struct sink *);

/*
 * Reload: what was queued for that one goes first, then its own; no thread of
 * either runs.  Numbers and accounts go on.
 */
void sink_inherit(struct sink *, struct sink *from);

/* Becomes a gap that covers both; the loss of a gap is part of the gap. */
void sink_merge_gap(struct ctf_gap *sum, const struct ctf_gap *);
/* With the mutex: a loss that is to be in a gap, some time. */
void sink_remember(struct sink *, const struct ctf_gap *);
/* A gap of the input, or one record that could not be put into any frame. */
void sink_gap(struct sink *, const struct ctf_gap *);
void sink_lose(struct sink *, const struct ctf_rec *, const char *cause);
/* The encoder that makes gaps and notes, always the same: IPFIX keeps totals there. */
struct encoder *sink_voice(struct sink *);

/* The worker, with the mutex: this frame will not be delivered. */
void sink_lost(struct sink *, const struct qframe *);
/* The same: frames that were delivered may not have been read. */
void sink_missed(struct sink *, struct ctf_gap *);

/* worker.c */
/* Makes the eventfds; s->poke is for the loop, with sink_poked(). */
int sink_wires(struct sink *);
/* Worker, with the rights it has from now on: says what it will not be able to make anew. */
void sink_settle_in(struct sink *);
/* Then starts the thread, which opens the output once and then waits for go. */
int sink_start(struct sink *);
/*
 * Waits until that first opening is over, at most until the deadline; true: it
 * was refused.  Later failures are retried, whatever they are.
 */
bool sink_await_open(struct sink *, uint64_t deadline_ms);
/* Privileges were dropped; become_ids() is called on the thread first. */
void sink_go(struct sink *);
void sink_reopen(struct sink *);
/* Deliver what is queued, then end. */
void sink_stop(struct sink *);
/* Before either: there is a successor. */
void sink_hand_over(struct sink *);
/* End now, whatever is queued. */
void sink_abort(struct sink *);
/* Waits until the flag, under the mutex, is set; false: it is not. */
bool sink_await(struct sink *, const bool *flag, uint64_t deadline_ms);
/* True when the thread is gone; what it left in the queue is lost. */
bool sink_join(struct sink *, uint64_t deadline_ms);
/* backlog.c, of the worker: what is to be done next. */
struct sink_next {
	unsigned n;     /* frames that are claimed; else */
	bool load;      /* the next one is on disk */
	int wait_ms;    /* or it may not go yet */
	bool end;       /* or it is over */
	bool unsettled; /* there are frames */
};
void sink_next(struct sink *, const struct ctf_frame **frames, struct sink_next *ret_next);
/* A session begins; frames of one were taken (with the mutex). */
void sink_begin_backlog(struct sink *);
void sink_count_backlog(struct sink *, const struct ctf_frame *const *, unsigned taken);
/*
 * spare.c, of the worker: the plugin's spare(), when it is due; frames were
 * taken; and whether it is due before the time, which then is shortened.
 */
void sink_spare(struct sink *);
void sink_spare_again(struct sink *);
bool sink_spare_first(const struct sink *, int *timeout_ms);
/* The same: instead of opening, while the one before it is still at work; an errno. */
int sink_may_open(struct sink *, struct ctf_err *err);
/*
 * settle.c, of the worker: asks the plugin what has arrived and what is needed;
 * after close(): goes back to what is needed, which is not safe any more.
 */
void sink_settle(struct sink *);
void sink_rewind(struct sink *);
/* The delay after `delay` (0: none yet) when the first one is `first`. */
uint64_t delay_next(uint64_t delay, uint64_t first);
/* The same give or take 20 %, as `random` will have it. */
uint64_t delay_spread(uint64_t delay, uint64_t random);

#endif
