/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the core itself keeps in the state page, of each input and each sink. */
#ifndef CTF_KEPT_H
#define CTF_KEPT_H

#include <ctflow/plugin.h>

struct graph;
struct input;
struct qframe;
struct sink;

struct kept_input {
	_Atomic uint64_t last_ns; /* up to then all was read */
	_Atomic uint32_t reading; /* in the middle of a batch */
	_Atomic uint32_t ended;   /* enum ctf_ended; UNKNOWN while it runs */
};

/*
 * Flows are counted on for ever, over restarts; see ctf_frame.upto.  What is
 * given and not settled is missing if we die, and what is owed as well.
 */
struct kept_sink {
	_Atomic uint64_t given;   /* records for it, and losses it was told of in a gap */
	_Atomic uint64_t settled; /* of these are safe */
	_Atomic uint64_t owed;    /* lost, and in no gap yet */
	_Atomic uint64_t number;  /* of the frame made last */
	_Atomic uint64_t settled_number;
	_Atomic uint64_t uncounted; /* number of the last gap that has no count */
	_Atomic uint64_t given_ns, settled_ns;
	_Atomic uint32_t exact; /* ended in order, knowing what of it had arrived */
};

/* What an earlier run owes; of a sink, under its mutex. */
struct kept_left {
	bool owing;       /* the gap is yet to be made: nothing is delivered before it */
	bool opened;      /* open() has said what it found */
	bool exact;       /* the count */
	bool unknown;     /* a gap without a count was lost as well */
	bool behind;      /* it had not been given all there was */
	bool framed;      /* it is in the queue */
	bool in_hand;     /* some may have been read and not counted */
	uint64_t spooled; /* of what it was given: on disk, not in the count */
	uint64_t upto, count, number;
	uint64_t inherited; /* of what was left: came back in frames */
	uint64_t from_ns, to_ns;
	/* what its input lost in the same outage; count 0: nothing */
	uint64_t more;
	bool more_exact;
	uint64_t more_from_ns, more_to_ns;
	const char *instance;
};

/* What a spool found on disk when it was opened. */
struct kept_disk {
	uint64_t id, base; /* of the spool; its numbers begin above */
	uint64_t flows;    /* not settled */
	uint64_t last;     /* number of the last frame, 0: none */
	uint64_t uncounted;
	uint64_t since_ns;  /* when it was last written, 0: not known */
	bool has_uncounted; /* that gap is there */
	bool known, clean;  /* it was there before; and ended in order */
	bool page, same;    /* there was a page; and it is of this spool */
};

/* Some input is live: after a crash its events do not come again. */
bool kept_wanted(const struct graph *);
/* Whether what this object keeps outlives us. */
bool kept_page(const struct ctf_ctx *);
/* Before anything is opened: what the earlier run says; 0 or -ENOMEM. */
int kept_start(struct graph *);
int kept_input_start(struct input *);
void kept_input_end(struct input *, enum ctf_ended);
/* The end of its coverage; and the earlier run's, where an output missed it. */
void kept_coverage(struct input *, const struct ctf_coverage *);
void kept_tell_coverage(struct input *);
/* Around each batch; upto_ns: all events were read that had come by then; 0: not all. */
void kept_reading(struct input *);
void kept_read(struct input *, bool events, uint64_t upto_ns);
/* The sink's own; main thread unless noted. */
int kept_sink_start(struct sink *);
/* Of a batch: flows for it were put into frames. */
void kept_given(struct sink *, uint64_t flows, uint64_t ns);
/* With its mutex.  A gap is to be queued; a frame was, and has a number. */
void kept_gap(struct sink *, const struct qframe *);
void kept_pushed(struct sink *, const struct qframe *);
/* A loss is in no gap; now it is in the one queued last. */
void kept_owe(struct sink *, const struct ctf_gap *);
void kept_paid(struct sink *);
/* Its thread, with the mutex: some were settled; it was opened. */
void kept_settled(struct sink *);
bool kept_opened(struct sink *);
/*
 * The input knows what it lost before the start; true: that is part of the gap
 * the sink has yet to make.
 */
bool kept_outage(struct sink *, const struct input *, const struct ctf_gap *);
/* It was opened: makes the gap of the earlier run. */
void kept_make_gap(struct sink *);
/* Its thread is gone, and what is queued now is lost. */
void kept_sink_end(struct sink *);
/* kept_spool.c, before the sink's threads are started. */
uint64_t kept_number(const struct sink *);
/* The last number that was settled there, by the page. */
uint64_t kept_spool_settled(struct sink *, struct kept_disk *);
/* Corrects what is missing; returns where the account of what is on disk begins. */
uint64_t kept_spool(struct sink *, const struct kept_disk *);
/*
 * A frame of the earlier run came back, with its number; in their order, after
 * kept_start() and before the sink's thread is started.  It is not missing.
 */
void kept_inherit(struct sink *, struct qframe *);

#endif
