/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state page: a small file, mapped into memory, one per configuration.
 * What is written there is there after kill -9, for the price of a memory
 * write.  It is made of blocks with a name; every start copies them into a
 * new file that takes the old one's place, so a half-made file is never met.
 *
 * Without a file (no folder, another daemon has it) a block is plain memory:
 * nobody who uses one need know.
 */
#ifndef CTF_STATE_H
#define CTF_STATE_H

#include <ctflow/plugin.h>

#include "priv.h"

struct state;

/* Plain memory, because there is no file: zeroed, shared with forked processes. */
struct state_plain {
	struct state_plain *next;
	size_t size;
};

/*
 * The page of the configuration with that absolute path, in folder dir, which
 * is made if only itself is missing.  What is wrong is said: an unusable
 * folder, a damaged file (replaced), a living daemon that has it.  NULL: do
 * without.
 */
struct state *state_open(const char *dir, const char *conf, const struct priv *);
void state_close(struct state *);

/*
 * Any thread.  The block `name` of that size, at the same address until
 * state_close(); *ret_kept: it holds what an earlier run left.  NULL when
 * there is no room (said), or no page.
 */
void *state_block(struct state *, const char *name, size_t size, bool *ret_kept);
/* The block of the earlier run itself, not the copy; until state_close(); or NULL. */
void *state_before(const struct state *, const char *name, size_t size);
/* The earlier run was since this machine was started; false if there was none. */
bool state_same_boot(const struct state *);

void *state_plain_new(struct state_plain **list, size_t size);
void state_plain_free(struct state_plain **list);

#endif
