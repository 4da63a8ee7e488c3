/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_guard.h - the process that lets go of the connection table when the
 * daemon cannot.
 *
 * Reliable delivery keeps ended flows in the table until they have been read;
 * if nobody reads, the table fills up and the host refuses connections.  The
 * daemon's own valve (nfct_valve.h) cannot help when the daemon is stopped,
 * hangs, or is dead while somebody else still holds its socket.  So each input
 * has a guard: forked as its socket is opened, with a duplicate of it, without
 * privileges, plugins or configuration.
 *
 * They share a note in memory of their own.  What a successor must know is
 * copied to the state page, but that is a file: a write to it may wait for a
 * disk that hangs.  So nobody looks there for a sign of life, and nobody
 * writes there what the kernel has yet to be told: first it is told to let
 * go, then that is noted.
 */
#ifndef NFCT_GUARD_H
#define NFCT_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NFCT_GUARD_LINGER 10000u /* ms after letting go, or without a successor */

struct nfct;

enum nfct_stage { /* what the end of the daemon would mean */
		  NFCT_AT_WORK,
		  NFCT_ENDED,
		  NFCT_HANDED_OVER,
};

enum nfct_leave { /* what a successor wants of the guard before it */
		  NFCT_STAY,
		  NFCT_LEAVE,      /* it hears events by a socket of its own */
		  NFCT_LEAVE_SAME, /* it has the very socket */
};

enum nfct_let_go { /* of what the kernel keeps for us */
		   NFCT_KEPT,
		   NFCT_CLAIMED, /* somebody is about to */
		   NFCT_BY_VALVE,
		   NFCT_BY_GUARD,
};

/*
 * Between one daemon and one guard of it; zero at its beginning.  What is
 * marked with * is in the copy for the successor only.
 */
struct nfct_note {
	/* written by the daemon */
	_Atomic uint32_t pid;      /* * of the guard; 0: there was none */
	_Atomic uint32_t stage;    /* enum nfct_stage */
	_Atomic uint64_t beat;     /* changes as long as it lives */
	_Atomic uint64_t since_ns; /* its coverage began */
	_Atomic uint64_t empty_ns; /* all that had come before this was read */
	_Atomic uint32_t stored;   /* the socket outlives it: it must be left as it is */
	_Atomic uint32_t leave;    /* * by its successor: enum nfct_leave */
	/* by who has claimed it */
	_Atomic uint32_t let_go; /* enum nfct_let_go */
	_Atomic uint32_t base;   /* of the drop counter: from here on it counts losses */
	_Atomic uint32_t exact;  /* each of them is a flow */
	_Atomic uint64_t from_ns, let_go_ns;
	/* by the guard, after the daemon's death */
	_Atomic uint64_t lost, to_ns;
	_Atomic uint32_t gone; /* * */
};

struct nfct_page {             /* one per input; in the state page */
	_Atomic uint32_t turn; /* the note in force is note[turn & 1] */
	struct nfct_note note[2];
};

struct nfct_guard {
	struct nfct_page *page;
	bool wanted;              /* there should be a guard */
	struct nfct_note *before; /* of the daemon before us, if its guard is to be greeted */
	uint64_t since_ns;        /* its coverage, which goes on: nothing was missed; or 0 */
	bool told;                /* what was lost since the daemon before us died */
	struct nfct_note *copy;   /* of it, in our page */
	struct nfct_note *note;   /* NULL: no guard */
	struct nfct_note *kept;   /* its copy in the page */
	pid_t pid;                /* 0: none */
	int link;                 /* either end sees the death of the other */
	int count, max;           /* nf_conntrack_count and _max; below 0: not to be had */
	int diag;                 /* asks who else listens; for the guard alone */
	uint64_t said_ns;         /* that it has died */
	uint64_t said_none_ns;    /* that there is none */
	uint64_t tried_ms;        /* the last one was made, or was not to be had */
	unsigned pause_ms;        /* before the next one */
};

/* What the guard needs; copied by the fork. */
struct nfct_guard_job {
	int fd, link, count, max, diag;
	unsigned timeout_ms, fill; /* percent */
	unsigned mask;
	bool everywhere; /* the socket hears other namespaces: their tables are unknown */
	struct nfct_note *note, *kept;
};

/* nfct_guard.c: the daemon's side */

void nfct_guard_init(struct nfct_guard *g);
/*
 * In start(), in the namespace, the event socket open but in no group yet.  A
 * guard that cannot be had is said.
 */
void nfct_guard_start(struct nfct *s);
/*
 * nfct_guard_greet.c.  Events are heard: the guard of the daemon before may
 * leave.  What was lost since that one's death becomes a gap.  With the socket
 * that one had, the kernel keeps again what does not fit.
 */
void nfct_guard_greet(struct nfct *s, bool same_socket);
/* The start is complete: s->from_ns is known. */
void nfct_guard_started(struct nfct *s);
/* Every tick: a guard that has died is replaced. */
void nfct_guard_look(struct nfct *s);
/* The valve is about to open; false: the guard was faster. */
bool nfct_guard_claim(struct nfct_guard *g);
/* It is open, as s->valve says. */
void nfct_guard_opened(struct nfct *s);
/* Closed: the kernel keeps what is not read. */
void nfct_guard_closed(struct nfct_guard *g);
/* The daemon's coverage goes back to then. */
void nfct_guard_since(struct nfct_guard *g, uint64_t ns);
/* The note has changed: so does what a successor will find. */
void nfct_guard_keep(struct nfct_guard *g);
/* The guard has let go of what the kernel kept. */
bool nfct_guard_released(const struct nfct_guard *g);
/* A successor may come with the very socket. */
void nfct_guard_stored(struct nfct_guard *g);
/*
 * The end that follows is no death: it will have the socket, and until then the
 * guard sees to the table.  False: there is no guard.
 */
bool nfct_guard_handed_over(struct nfct *s);
/* A reload: another guard, as the options are now, or none. */
void nfct_guard_renew(struct nfct *s);
/* An orderly end: the guard ends, too. */
void nfct_guard_end(struct nfct_guard *g);

/* Read on, or looked around.  empty: nothing is left of what came before now. */
static inline void
nfct_guard_beat(struct nfct_guard *g, uint64_t now, bool empty)
{
	struct nfct_note *n = g->note;

	if (!n)
		return;
	atomic_store_explicit(&n->beat, now, memory_order_relaxed);
	if (empty)
		atomic_store_explicit(&n->empty_ns, now, memory_order_relaxed);
}

/* nfct_guard_proc.c: the guard's side; only async-signal-safe calls */
/* Both sides use it; it may block for as long as a disk hangs. */
void nfct_note_keep(const struct nfct_note *n, struct nfct_note *kept);
_Noreturn void nfct_guard_run(const struct nfct_guard_job *job);
/* Waits until the word is not that, at most msec; both sides may use it. */
void nfct_word_wait(_Atomic uint32_t *word, uint32_t is, unsigned msec);
void nfct_word_set(_Atomic uint32_t *word, uint32_t to);

#endif
