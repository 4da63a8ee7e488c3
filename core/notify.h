/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service manager's two protocols, spoken by ourselves: datagrams to
 * $NOTIFY_SOCKET, which may carry a descriptor for the fd store, and the
 * descriptors it hands to the next start ($LISTEN_FDS).
 */
#ifndef CTF_NOTIFY_H
#define CTF_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

struct notify {
	int fd; /* connected; below 0: there is no manager */
};

#define NOTIFY_NAME 256u /* the most fd names take, with the final 0 */

/*
 * The manager named by $NOTIFY_SOCKET ("/path" or "@abstract"), which is taken
 * out of the environment: 0, also without one; else -errno, and fd is -1.
 */
int notify_open(struct notify *);
void notify_close(struct notify *);
/* One datagram of "KEY=value\n" lines, with a descriptor if fd >= 0; -errno. */
int notify_send(const struct notify *, int fd, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The fd store: the manager keeps a duplicate until it is told to let go. */
int notify_store(const struct notify *, const char *name, int fd);
int notify_forget(const struct notify *, const char *name);
/* Waits until all of the above was read; -ETIMEDOUT. */
int notify_barrier(const struct notify *, int timeout_ms);

struct notify_fd {
	int fd; /* below 0: taken or closed */
	char name[NOTIFY_NAME];
};

struct notify_fds {
	struct notify_fd *v;
	unsigned n;
};

/*
 * The descriptors this process was started with, close-on-exec from now on;
 * the variables leave the environment.  They are none when $LISTEN_PID names
 * another process.  -EINVAL: the variables are not what they should be;
 * whatever descriptors there were stay open and unknown.
 */
int notify_inherit(struct notify_fds *ret_fds);
/* Adds one; it is closed with the others.  -ENOMEM */
int notify_fds_add(struct notify_fds *, const char *name, int fd);
void notify_fds_free(struct notify_fds *);

/*
 * "prefix" + "." + a + "." + b as a name the store takes: what it would not
 * is written as %XX.  False: too long.
 */
bool notify_name(char ret_name[NOTIFY_NAME], const char *prefix, const char *a, const char *b);

#endif
