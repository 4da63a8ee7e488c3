/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frames of one sink, oldest first, in memory:
 *
 *   head ... window ... taken, not settled ... next ... claimed ... waiting ... tail
 *
 * Frames leave at the head when they are settled and not needed any more.
 * The settled ones that stay are the window: what is to be sent again should
 * the session break.  It is given up first when there is no room.  Those being
 * delivered (claimed), one whose delivery has begun, and those before them
 * stay put; what waits behind may be dropped.
 *
 * With a spool (spool.h) some are on disk as well, and some on disk alone: these
 * belong where their numbers say, and what is in memory behind them is not
 * delivered before them.  What is on disk is not dropped from here.
 * Not locked: the sink's mutex is held around every call.
 */
#ifndef CTF_QUEUE_H
#define CTF_QUEUE_H

#include <ctflow/plugin.h>

#define FRAME_DEFAULT (64u * 1024u)
#define GROUP 64u /* frames of one deliver(); groups end at multiples of it */

struct encoder;

struct qframe {
	struct ctf_frame f; /* first: plugins see only this */
	struct qframe *next;
	struct encoder *enc; /* who made it */
	bool begun;          /* was given to deliver(): part of it may have been sent */
	bool taken;          /* once, maybe in a session that broke */
	bool settled;        /* it is of the window */
	bool counted;        /* was settled once, in a session that broke if it is not now */
	bool is_gap;
	bool written;       /* it is on disk */
	bool stays;         /* in memory: not to be written before the end */
	bool pinned;        /* the spool is writing it: it must not be freed */
	bool gone;          /* so whoever wanted to says that instead */
	uint64_t since_ms;  /* when it was pushed */
	struct ctf_gap gap; /* what it says, if is_gap */
	uint8_t data[];
};

#define GIVEN_UP 64u /* stretches remembered */

struct given_up {             /* frames of the window that were freed before their time */
	uint64_t last;        /* number of the last of them */
	uint64_t flows, told; /* told: in gaps that were sent */
	uint64_t from_ns, to_ns;
	bool uncounted; /* and a loss that had no count */
};

struct queue {
	struct qframe *head, *tail, *next, *before_next;
	struct qframe *window; /* the last settled one, or NULL */
	unsigned claimed;      /* frames from next on */
	uint64_t bytes, limit;
	uint64_t window_bytes; /* of these */
	uint64_t peak;         /* the most bytes since whoever looks has set it to 0 */
	uint64_t frames, recs; /* not settled */
	uint64_t again;        /* records of these that were settled once */
	uint64_t last_number;
	uint64_t upto;                                     /* of the frame pushed last */
	uint64_t settled_upto, settled_ns, settled_number; /* of the one settled last */
	struct given_up given_up[GIVEN_UP];                /* in their order */
	unsigned stretches;
	struct qframe *unwritten; /* the first that is neither settled nor on disk */
	uint64_t on_disk;         /* numbers from there on may be on disk alone; 0: none */
	bool durable;             /* what is not on disk is not delivered */
};

/* Flows that are missing if the frame is lost: its own, or those of its gap. */
static inline uint64_t
qframe_flows(const struct qframe *q)
{
	if (!q->is_gap)
		return q->f.flows;
	return q->gap.count_is == CTF_UNCOUNTED ? 0 : q->gap.count;
}

/* An empty frame with that much room, or NULL. */
struct qframe *qframe_new(struct encoder *enc, uint32_t cap);
/* Gives unused memory back; the frame may move. */
struct qframe *qframe_trim(struct qframe *);

void queue_push(struct queue *, struct qframe *);
/* So many flows went before all that is in it. */
void queue_precede(struct queue *, uint64_t flows);
/* Up to GROUP consecutive frames that were not taken yet; they are claimed. */
unsigned queue_claim(struct queue *, const struct ctf_frame *ret_frames[GROUP]);
/* Puts a frame where its number belongs; false: there is one of that number. */
bool queue_insert(struct queue *, struct qframe *);
/* The first n claimed frames were taken, the others are free again. */
void queue_taken(struct queue *, unsigned n);
/*
 * Taken frames up to that number are settled, and freed if they are below
 * `needed` as well.  Returns the records that are settled for the first time.
 */
uint64_t queue_settle(struct queue *, uint64_t number, uint64_t needed);
/*
 * A new session: the window is not settled any more, all of it and what was
 * taken is to be delivered again.  Returns the records of both.
 */
uint64_t queue_rewind(struct queue *);
/* The first frame that is not settled, or NULL. */
struct qframe *queue_unsettled(const struct queue *);
/* Frees from the window until the queue is within its limit, or it is empty. */
void window_fit(struct queue *);
/*
 * Before a rewind: of what the window was made to give up, some is needed.
 * Fills from_ns, to_ns, count (at most), count_is and told.
 */
bool window_missed(struct queue *, uint64_t needed, struct ctf_gap *ret_gap);
/*
 * Frees those of the frames first..last that merely wait, and are on disk.
 * Returns the number of the first of them, 0: none.
 */
uint64_t queue_shed(struct queue *, uint64_t first, uint64_t last);
/* They are not on disk any more. */
void queue_unwrite(struct queue *, uint64_t first, uint64_t last);
/* The end has come: those that stay in memory are to be written as well. */
void queue_write_all(struct queue *);
/* The first one from there on that is to be written, or NULL. */
struct qframe *queue_to_write(struct qframe *);
/* A frame that was taken out of the queue is not needed any more. */
void qframe_release(struct qframe *);
/* Takes the frame out, if it merely waits: true. */
bool queue_take(struct queue *, struct qframe *);
/* Takes the oldest frame out that may be dropped, or NULL. */
struct qframe *queue_drop(struct queue *);
/* Takes out the first one not taken, begun or not, or NULL. */
struct qframe *queue_drop_next(struct queue *);
/* Puts it where the next queue_drop() would look first. */
void queue_unshift(struct queue *, struct qframe *);
void queue_clear(struct queue *);

/* The limit must let one frame wait while another is delivered. */
void queue_room(struct queue *, uint32_t frame);

static inline bool
queue_over(const struct queue *q)
{
	return q->bytes > q->limit;
}

#endif
