/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a daemon shows of itself while it runs, in its state page: every second
 * it copies the numbers of its inputs and outputs there, for `ctflow status`.
 * What is there stays when it dies.
 */
#ifndef CTF_PULSE_H
#define CTF_PULSE_H

#include <stdatomic.h>
#include <stdint.h>

#define PULSE_DAEMON "ctflowd pulse-1"
#define PULSE_ENDING " pulse-1" /* of "id:PLUGIN pulse-1" */
#define PULSE_POINTS 64u
#define PULSE_NUMBERS 48u
#define PULSE_MS 1000u

enum pulse_phase { /* written before what it says begins */
		   PULSE_NEVER,
		   PULSE_STARTING,
		   PULSE_RUNNING,
		   PULSE_STOPPING,
		   PULSE_STOPPED,
		   PULSE_HANDED, /* a successor was expected */
};

enum pulse_state { PULSE_DOWN, PULSE_UP, PULSE_STALLED, PULSE_PAUSED, PULSE_ENDED };

struct pulse_daemon {
	_Atomic uint64_t phase;
	_Atomic uint64_t start_ns, tick_ns; /* tick: the last look */
	_Atomic uint64_t pid;
	char version[32];
};

struct pulse_point {
	_Atomic uint64_t at_ms, count; /* monotonic */
};

struct pulse_number { /* one of those the metrics file has */
	char name[24];
	_Atomic uint64_t value;
};

struct pulse_object {
	_Atomic uint64_t start_ns; /* of the run that wrote it */
	_Atomic uint64_t input;    /* 1: an input, 0: an output */
	_Atomic uint64_t state;
	_Atomic uint64_t newest_ns; /* input: all was read up to; output: what it delivered */
	_Atomic uint64_t oldest_ns; /* output: of what waits; 0: nothing does */
	_Atomic uint64_t queue_flows, queue_bytes, queue_limit;
	_Atomic uint64_t spool_flows, spool_bytes, spool_max; /* max 0: it has none */
	_Atomic uint64_t seq;                                 /* odd: `why` is being written */
	char why[168];                                        /* of an output that is down */
	_Atomic uint64_t points;                              /* so many were written */
	struct pulse_point point[PULSE_POINTS];               /* events; flows delivered */
	struct pulse_number number[PULSE_NUMBERS];
};

struct run;
struct pulse;

/* What is shown, from now on; NULL: there is no page, or no memory. */
struct pulse *pulse_start(struct run *);
/* The run has another graph. */
void pulse_renew(struct pulse *);
void pulse_phase(struct pulse *, enum pulse_phase);
void pulse_stop(struct pulse *, enum pulse_phase);

#endif
