/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ticker.h - slow work and a heartbeat, done by a timer that is often faster.
 *
 * A timer that runs out several times before it is seen is seen once, so time
 * is measured; a tick is never early, and counts as its period at least.
 */
#ifndef TICKER_H
#define TICKER_H

#include <stdbool.h>
#include <stdint.h>

struct ticker {          /* ms */
	uint64_t last;   /* tick, of CLOCK_MONOTONIC */
	uint64_t waited; /* since the last slow one */
	uint64_t beat;   /* since the last heartbeat, up to the last slow one */
};

/* The timer, set to every_ms, has run out.  True: ticker_beat() is to be called. */
static inline bool
ticker_slow(struct ticker *t, uint64_t now_ms, unsigned every_ms, unsigned slow_ms)
{
	uint64_t ms = now_ms - t->last;

	t->last = now_ms;
	t->waited += ms > every_ms ? ms : every_ms;
	return t->waited >= slow_ms;
}

/* In a slow tick: is the heartbeat due? */
static inline bool
ticker_beat(struct ticker *t, unsigned beat_ms)
{
	t->beat += t->waited;
	t->waited = 0;
	if (t->beat < beat_ms)
		return false;
	t->beat = 0;
	return true;
}

#endif
