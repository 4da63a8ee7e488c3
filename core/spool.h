/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sink's queue on disk.  A thread of its own writes what has been in the queue
 * for spool_sync and is not settled, so that neither the main thread nor the
 * worker waits for the disk to take anything.  What is on disk may leave memory;
 * the worker reads it back when its turn has come.  A segment goes when nothing
 * of it is needed any more.
 *
 * The main thread meets the disk once, at the start.
 */
#ifndef CTF_SPOOL_H
#define CTF_SPOOL_H

#include <ctflow/plugin.h>

struct graph;
struct priv;
struct sink;
struct spool;

/*
 * Opens the folder, looks at what lies there and begins a new numbering; with
 * accounts (kept.h) for what it finds.  -errno: the sink cannot work (err).  0
 * with s->spool NULL: it works without, which was said.
 */
int spool_open(struct sink *, const struct priv *, struct ctf_err *err);
int spool_start(struct sink *);
void spool_free(struct sink *);
/* Reload: it is that sink's now; no thread of either runs. */
void spool_move(struct sink *to, struct sink *from);
/* One line for each folder of an output that nobody configures now. */
void spool_say_leftovers(const struct graph *);

/* With the sink's mutex. */
/* A frame was pushed; something was settled; the sink may go, stop, ... */
void spool_pushed(struct sink *);
void spool_settled(struct sink *);
void spool_wake(struct sink *);
/* So many flows are missing and need not be told: the account goes on behind them. */
void spool_forgive(struct sink *, uint64_t flows);
/* So many come before all that was pushed by now. */
void spool_precede(struct sink *, uint64_t flows);
/* Flows that are on disk alone. */
uint64_t spool_flows(const struct sink *);
/* As it is now; all 0: there is none. */
struct spool_now {
	uint64_t flows, bytes, max;
	uint64_t oldest_ns; /* of what is on disk alone; 0: nothing is */
	uint64_t late_ms;   /* since then something should have been written */
};
void spool_now(const struct sink *, struct spool_now *ret_now);
/* All that is in the queue is on disk, or is going to be. */
bool spool_safe(const struct sink *);
/* The next frame to deliver is on disk alone. */
bool spool_next(const struct sink *);
/* A gap is to be made before anything is delivered. */
bool spool_held(const struct sink *);

/* The worker: reads the next frames from disk; false: not now. */
bool spool_load(struct sink *);
/* Main thread: that gap. */
void spool_make_gap(struct sink *);
/*
 * The queue is over its limit: what can be done about that without dropping
 * frames from memory.  True: that is enough.
 */
bool spool_relieve(struct sink *);
/* After the worker has ended: writes what is queued, and ends.  False: it hangs. */
void spool_stop(struct sink *);
bool spool_join(struct sink *, uint64_t deadline_ms);

#endif
