/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A graph at work: inputs are read, frames sealed in time, sinks fed. */
#ifndef CTF_RUN_H
#define CTF_RUN_H

#include "graph.h"
#include "loop.h"
#include "priv.h"

struct run {
	struct graph *graph;
	struct loop *loop;
	const struct priv *priv;   /* who owns new files */
	struct state *state;       /* NULL: nothing outlives us */
	struct handover *handover; /* with the process before us and after us; or NULL */
	bool handing;              /* the end is to be one */
	struct loop_fd *seal_timer, *pause_timer;
	bool seal_armed;
	bool failed;   /* an input gave up: exit code 1 */
	uint64_t caps; /* what inputs need besides CAP_NET_ADMIN, see struct priv */
};

/* The run an object is part of, any thread; or NULL. */
struct run *run_of(const struct ctf_ctx *);
/* Reload: starts one that was not there; -errno: it cannot. */
int run_start_input(struct run *, struct input *, struct ctf_err *err);
/* Reload: makes what the thread of a sink needs; then starts it. */
int run_ready_sink(struct run *, struct sink *);
/*
 * Reload: an input that is not wanted any more.  True: it has ended, and all it
 * had to give is with the outputs; false: ask again.
 */
bool run_leave(struct run *, struct input *, uint64_t deadline_ms);
/* What a sink's thread left behind is lost, and said. */
void run_say_lost(struct sink *);
/* Binds the inputs, opens the outputs.  -ENOENT: no stack works (said). */
int run_start(struct run *);
/* After privileges were dropped. */
void run_go(struct run *);
/* One batch of an input through the graph; what its read() said. */
int run_read_batch(struct input *);
/* Wakes the sinks that were given frames. */
void run_kick(struct graph *);
/* Nothing more is read, and the input gives back what it holds. */
void run_stop_input(struct input *);
/* It will never give anything again; err: because it failed. */
void run_end_input(struct run *, struct input *, int err);
/* Some input may still deliver. */
bool run_alive(const struct run *);
void run_reopen(struct run *);
/* Lets the inputs that can give a record of all that lives now. */
void run_dump(struct run *);
/* Lets the inputs bring their numbers up to date. */
void run_observe(const struct run *);
void run_log_counters(const struct run *);
/*
 * Drains inputs and outputs; progress is awaited for stop_ms, and *hurry is
 * looked at: when it comes true nothing is waited for any more.  Returns
 * false when a sink's thread could not be ended: memory must not be freed.
 */
bool run_stop(struct run *, uint64_t stop_ms, bool (*hurry)(void *arg), void *arg);

#endif
