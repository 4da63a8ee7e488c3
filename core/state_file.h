/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file behind the state page; state.c says what is in it. */
#ifndef CTF_STATE_FILE_H
#define CTF_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "priv.h"

#define STATE_MAX (1u << 20) /* bytes of a file */

struct state_file {
	int fd;       /* holds the lock; closing any other fd of the file would drop it */
	uint8_t *map; /* STATE_MAX bytes, of which `room` are backed by the file */
	size_t room;
};

/* Opens and locks the file; -ENOENT: there is none; -EBUSY: others have it (said). */
int state_file_old(const char *path, int *ret_fd);
/* All of it, to be freed; NULL if it can be none of ours. */
uint8_t *state_file_read(int fd, size_t *ret_len);
/* Its memory, shared with who else has mapped it; NULL: cannot. */
uint8_t *state_file_map(int fd, size_t len);
/* A new one with room for `need` bytes, owned by that user, locked and mapped. */
int state_file_new(struct state_file *, const char *path, const struct priv *, size_t need);
/* Gives it its name; -EEXIST: another process was first. */
int state_file_name(const char *path, const char *as, bool replaces);
/* Backs the map up to there: memory behind the end of a file cannot be touched. */
int state_file_grow(struct state_file *, size_t need);
void state_file_close(struct state_file *);

#endif
