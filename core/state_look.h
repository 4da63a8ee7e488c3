/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state page of a configuration, looked at by another process: nothing is
 * locked, nothing is changed, what is seen is a copy.
 */
#ifndef CTF_STATE_LOOK_H
#define CTF_STATE_LOOK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct state_look {
	char path[PATH_MAX]; /* also when it could not be opened */
	uint8_t *p;
	size_t len;
	bool held;         /* a daemon has it */
	pid_t pid;         /* that daemon; 0: not of our process namespace */
	bool same_boot;    /* it was written since this machine was started */
	const char *fault; /* why it cannot be used, or NULL */
};

/* The folder that is meant: of state_dir=, else $STATE_DIRECTORY, else as built. */
const char *state_look_dir(const char *state_dir);
/* conf: absolute.  0, -errno of opening it, -EBADMSG: `fault` says why. */
int state_look_open(struct state_look *ret, const char *dir, const char *conf);
void state_look_close(struct state_look *);
/* A block by its name, or NULL. */
const void *state_look_block(const struct state_look *, const char *name, size_t size);
/*
 * The next block of that size whose name ends so; *at is 0 at first.  The name
 * is given without the ending, cut to what fits.
 */
const void *state_look_next(const struct state_look *, size_t *at, const char *ending,
			    size_t size, char *ret_name, size_t room);

#endif
