/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_guard.h - what the tests of the guard share: a daemon that does not read. */
#ifndef LIVE_GUARD_H
#define LIVE_GUARD_H

#include "live.h"

#define TIMEOUT 300u /* of the guard, ms */
#define SOON 40000u  /* ms; what takes longer does not happen */

/* Marks are 1 % of the table, so that the host's own maximum can stay as it is. */
unsigned guard_mark(void);
unsigned guard_entries(void);
/* An input with a guard and a receive buffer for 25 events; not started. */
struct live *guarded(void);
void end_flows(unsigned n);
/* Does the kernel keep what does not fit? */
bool is_kept(const struct live *l);
/* Milliseconds until it does not; `limit` if it still does. */
unsigned until_released(const struct live *l, unsigned limit);
/* It must let go, however busy the machine. */
void must_release(const struct live *l);
/* As the core's loop, until the valve is closed again. */
void wake(struct live *l);
void until_drained(void); /* nothing is kept any more */
/* There is one gap, and with it `made` flows are accounted for. */
void ck_lost(const struct live *l, const char *cause, uint64_t begin, unsigned made,
	     enum ctf_count_is is);

/* It has become what it is, and waits for something to happen. */
void at_work(pid_t pid);
bool is_gone(pid_t pid); /* or a zombie */

void guard_dead_tests(TCase *t);
void guard_proc_tests(TCase *t);

#endif
