/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole run around fake plugins: started, fed, turned and stopped by the test. */
#ifndef CTF_TEST_RIG_H
#define CTF_TEST_RIG_H

#include "fakes.h"
#include "run.h"
#include "sink.h"

/* A setup of one stack; options of KEEP may follow. */
#define ONE "[global]\nstack=a:FEED,k:KEEP\n[a]\n%B\n[k]\n%B\n"

/* ms; what takes longer on a slow and busy machine does not happen */
#define RIG_LIMIT 60000u

struct rig {
	struct setup s;
	struct run run;
	struct box box;
};

/* box_init() first.  want: what run_start() must return. */
void rig_start(struct rig *, const char *text, int want);
/* The same with a state page in that folder. */
void rig_start_kept(struct rig *, const char *text, const char *state_dir, int want);
void rig_stop(struct rig *);
void rig_stop_in(struct rig *, uint64_t stop_ms);
/* Lets the input give n more records and waits until they are read. */
void rig_feed(struct rig *, unsigned n);
/* Turns the loop until the box has that many. */
void rig_spin(struct rig *, const unsigned *member, unsigned n);
/* The worker is a moment behind its output: until it has counted n as delivered. */
void rig_counted(struct rig *, uint64_t n);
/* The same: until it knows that the session is over. */
void rig_broken(struct rig *);
/* Delivered ids are 1, 2, ... n without repeat. */
void rig_check_kept(const struct box *, unsigned n);

#endif
