/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a spool share: spool.c, spool_write.c, spool_load.c, spool_begin.c. */
#ifndef CTF_SPOOL_OWN_H
#define CTF_SPOOL_OWN_H

#include "sink.h"
#include "spool.h"
#include "spool_dir.h"

#define SPOOL_BATCH 512u             /* frames written at a time, at most */
#define SPOOL_BATCH_BYTES (4u << 20) /* and bytes, more or less */
#define SPOOL_LOAD_BYTES (1u << 20)  /* read at a time */
#define SPOOL_RETRY_MS 1000u

struct spool_missed { /* of a damaged segment, until there is a gap for it */
	bool is;
	struct ctf_gap gap;
	uint64_t number, upto; /* where it stood */
};

/* All under the sink's mutex but what belongs to a thread. */
struct spool {
	struct sink *sink;
	struct spool_dir dir;
	struct segment *list; /* ascending */
	uint64_t bytes, max, segment_max, sync_ms;
	uint64_t base;            /* numbers up to there are of earlier runs; */
	uint64_t upto;            /* the account of those, up to where they were read */
	uint64_t shift, shift_to; /* what this run wrote up to that number says that less */
	uint64_t read_ns;
	struct spool_missed missed;
	unsigned doomed; /* segments yet to be unlinked */
	uint64_t serial; /* of the segment begun last */
	uint64_t drop_run;
	struct log_limit drop_log;

	pthread_t thread;
	pthread_cond_t cond;
	bool running, stop, done, sleeping, urged;
	bool again;         /* it had ended in order, and goes on */
	bool failing, full; /* the last write failed; for want of room */
	uint64_t retry_ms;

	struct segment_writer w; /* the thread's */
	bool said;
	struct segment_reader r; /* the worker's */
	uint64_t load_at_ms;

	ctf_counter *m_bytes, *m_limit, *m_flows, *m_written, *m_torn, *m_dropped, *m_errors;
};

/* With the mutex. */
/* After a change of the segments: where the queue has to look. */
void spool_look(struct spool *);
/* The first one that holds what is not in memory, or NULL. */
struct segment *spool_first(const struct spool *);
void spool_insert(struct spool *, struct segment *);
/* Takes it out of the list and frees it; its file is the caller's business. */
void spool_remove(struct spool *, struct segment *);
static inline bool
segment_waits(const struct segment *s)
{
	return !s->doomed && s->from <= s->last;
}

/* spool_write.c; the thread, with the mutex, which is given up meanwhile. */
/* One batch. */
void spool_write(struct spool *);
/* Unlinks what is not needed; true: something was. */
bool spool_clean(struct spool *);

#endif
