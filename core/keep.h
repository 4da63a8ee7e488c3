/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the core itself keeps in the state page, of each input and each sink. */
#ifndef CTF_KEEP_H
#define CTF_KEEP_H

#include <ctflow/plugin.h>

struct graph;
struct input;

struct keep_input {
	_Atomic uint64_t last_ns; /* up to then all was read */
	_Atomic uint32_t reading; /* in the middle of a batch */
	_Atomic uint32_t ended;   /* enum ctf_ended; UNKNOWN while it runs */
};

/* Some input is live: after a crash its events do not come again. */
bool keep_wanted(const struct graph *);
/* Before the input's start(): what the earlier run says; 0 or -ENOMEM. */
int keep_input_start(struct input *);
void keep_input_end(struct input *, enum ctf_ended);
/* Around each batch; upto_ns: all events were read that had come by then; 0: not all. */
void keep_reading(struct input *);
void keep_read(struct input *, bool events, uint64_t upto_ns);

#endif
