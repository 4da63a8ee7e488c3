/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Privileges: the user of -u, and what is kept after start. */
#ifndef CTF_PRIV_H
#define CTF_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct priv { /* the user to become; known = false: stay */
	int known;
	uid_t uid;
	gid_t gid;
	char name[64];
	uint64_t keep; /* capabilities besides CAP_NET_ADMIN, one bit each */
};

/* A user name or a number; -ENOENT. */
int priv_lookup(const char *user, struct priv *ret_priv);
/*
 * Main thread: becomes the user if there is one, keeping CAP_NET_ADMIN at most
 * (dumps and joining groups need it when they are done, not only when opened)
 * and those of `keep`, and forbids new privileges and other programs.
 */
int priv_drop(const struct priv *);
/*
 * Another thread, after priv_drop(): it needs no capability at all; but root
 * that stayed root goes on writing in folders of others.
 */
void priv_drop_thread(void);
/*
 * Whether the calling thread may make a file at that path, should it have to be
 * opened anew; ret_folder: where that would be.
 */
bool priv_may_remake(const char *path, char *ret_folder, size_t size);

#endif
