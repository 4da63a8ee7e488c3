/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_probe.h - what this kernel's events carry.
 *
 * Asked, not guessed from its version: a child process makes a namespace, in
 * it one entry, removes that and reports which attributes its end had.
 */
#ifndef NFCT_PROBE_H
#define NFCT_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nfct;

#define NFCT_ABILITIES 128u /* bytes; all words */

struct nfct_probe {
	pid_t child; /* 0: none, or it has been waited for */
	int fd;      /* its answer; below 0: not awaited */
	uint64_t began_ms;
	uint32_t abilities; /* bit n: attribute n was seen; 0: unknown */
	bool learning;      /* from the flows that end, then: until one of TCP has */
	uint32_t seen;      /* so far */
	bool news;
	unsigned learned; /* flows looked at */
};

/* Never fails: without an answer it is learned from the first ends. */
void nfct_probe_start(struct nfct *s);
/* Every second or so; true: more is known than before. */
bool nfct_probe_tick(struct nfct *s);
void nfct_probe_stop(struct nfct *s);
/* A DESTROY message was received while `learning`. */
void nfct_probe_learn(struct nfct *s, const void *msg, size_t len);
/* "id counters timeout"; "" when unknown. */
void nfct_probe_words(uint32_t abilities, char text[NFCT_ABILITIES]);

/* nfct_probe_child.c */
#define NFCT_PROBE_SEC 2u /* it ends itself after that */
struct nfct_probe_answer {
	int error; /* 0 or -errno, of `what` */
	uint32_t abilities;
	char what[32];
};
/* In a process of its own: does not return. */
_Noreturn void nfct_probe_child(int fd);
/* The attributes of an event. */
uint32_t nfct_probe_attributes(const void *msg, size_t len);

#endif
