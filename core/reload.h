/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGHUP: the configuration is read again while the daemon works.
 *
 * A new graph is built beside the one in force.  If it is good, its new outputs
 * are opened while all goes on; then, between two batches, it takes over:
 * objects whose options are the same go on in it, with their socket, queue and
 * connection (reload_move.c), the others have a successor of the same id or
 * none.  What is left of the old graph comes to its end in the background
 * (reload_leave.c): inputs are read out, outputs deliver what they have.  A
 * successor is given frames at once, and opens its output when the one before
 * it is done with it; what that one cannot deliver it inherits.
 */
#ifndef CTF_RELOAD_H
#define CTF_RELOAD_H

#include <stdatomic.h>

#include "run.h"
#include "setup.h"

/* A configuration, for as long as there is anything that was made of it. */
struct gen {
	struct gen *next;
	atomic_uint refs; /* who holds it: its graph, objects that went on into another one */
	struct setup setup;
};

struct reload {
	struct run *run;
	struct gen *gen;         /* in force */
	struct reading *reading; /* what is to follow it, by a thread */
	struct gen *next;        /* its new outputs are being opened, until then: */
	uint64_t open_ms;
	struct gen *old; /* what is left of earlier ones */
	struct loop_fd *timer;
	char why[512];   /* it was refused last */
	bool wanted;     /* and not begun */
	uint64_t end_ms; /* what is read by then is forgotten, the rest left */

	void (*begun)(void *arg); /* may be NULL */
	/*
	 * Reads and wires; what setup_load() returns.  What is wrong goes to diag.  On
	 * another thread, while all goes on: only the plan in force may be looked at.
	 */
	int (*read)(void *arg, struct setup *, struct diag *);
	/* The last step that may fail; -errno (said). */
	int (*settle)(void *arg, const struct setup *was, const struct setup *is);
	/* It is in force; NULL: all stays as it was, for that reason. */
	void (*done)(void *arg, const struct setup *is, const char *why);
	void *arg;
};

struct gen *gen_new(void);
void gen_unref(struct gen *); /* NULL: nothing */

/* With run, gen, read, settle, done and arg set; -errno. */
int reload_init(struct reload *);
/* A SIGHUP has come. */
void reload_want(struct reload *);
/* After each turn of the loop. */
void reload_step(struct reload *);
/* Files are to be opened anew, by those that leave as well. */
void reload_reopen(const struct reload *);
/*
 * The end is near: nothing of earlier configurations is under way any more when
 * it returns; see run_stop().
 */
void reload_end(struct reload *, uint64_t stop_ms, bool (*hurry)(void *arg), void *arg);
/*
 * After both: waits, while the loop turns, for one that is being read, if the
 * time was not used up by then.  False: something hangs and must not be freed.
 */
bool reload_ended(struct reload *, bool (*hurry)(void *arg), void *arg);

/* ---- reload_read.c ---- */

/* Begins to; -errno. */
int reload_read(struct reload *);
/* It has been read, see reload_take(). */
bool reload_has_read(struct reload *);
/* What read() returned, and what it made. */
int reload_take(struct reload *, struct diag *ret_diag, struct gen **ret_gen);
/* Forgets what has been read; false: it is still being read. */
bool reload_read_end(struct reload *);

/* ---- reload_same.c ---- */

/* Of an id and plugin that are the same: the first option that differs, or NULL. */
const char *reload_differs(const struct inst *a, const struct inst *b);
/* The same, but for what only encoders look at. */
const char *reload_sink_differs(const struct inst *a, const struct inst *b);
/* Both would do the same, all of it, and all that was to work works. */
bool reload_is_same(const struct setup *a, const struct setup *b);
/* A stack is refused that was not refused before; NULL: none is. */
const struct stack *reload_refuses(const struct setup *was, const struct setup *is);

/* ---- reload_move.c ---- */

/* That instance is why it is refused: says so, and remembers it. */
void reload_blame(struct reload *, const struct inst *, const struct ctf_err *);

/* Who in the old graph is to go on as, or to be succeeded by, that one; or NULL. */
struct sink *reload_sink_before(struct reload *, const struct inst *);
/* Finds for each sink of rl->next the one before it, and makes sure that it can go on. */
int reload_match(struct reload *);
/* rl->next takes over; -errno: it cannot, and nothing has changed (said). */
int reload_commit(struct reload *);

/* Counters and totals of the encoders before go on. */
void reload_pass_on(struct sink *to, struct sink *from);
/* For reload_filter.c: */
bool reload_same_id(const struct inst *, const struct inst *);
/* Its options are needed for longer than its graph. */
void reload_keep_gen(struct gen **at, struct gen *);
/* 0: the object can do what the other one would; -EOPNOTSUPP: it cannot. */
int reload_absorbs(struct ctf_ctx *self, struct ctf_ctx *other, struct ctf_err *);
void reload_swap_confs(struct ctf_ctx *, struct ctf_ctx *);
void reload_rename(struct input *, const struct ctf_ctx *from, const struct ctf_ctx *to);
/* That input of the graph in force takes the place of the new one. */
bool reload_input_goes_on(struct reload *, struct input *, struct input *fresh);

/* ---- reload_filter.c ---- */

/* Starts those of rl->next that are not to go on from the graph in force. */
void reload_start_filters(struct reload *);
/* Those that go on take their places, and the others begin. */
void reload_move_filters(struct reload *);
/* Nothing is fed to it any more; true: it can be freed. */
bool reload_filter_leaves(struct filter *);

/* ---- reload_leave.c ---- */

/* One step for what is left of that one; true: nothing is. */
bool reload_leave(struct reload *, struct gen *);
/* Somebody waits for the end of one that is about to end. */
bool reload_awaited(const struct reload *);

#endif
