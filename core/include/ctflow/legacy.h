/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow/legacy.h - part of ctflow/plugin.h: what a process leaves to the next one. */
#ifndef CTFLOW_LEGACY_H
#define CTFLOW_LEGACY_H

/*
 * Under a service manager with a store for descriptors ($NOTIFY_SOCKET) the
 * daemon ends with a hand-over: descriptors stay open in the store, and bytes
 * and undelivered frames lie there in memory until the next process comes.
 * Names are words of at most 60 characters, each object's its own; the next
 * process finds what an object of the same id and plugin has left.
 */
struct ctf_legacy;

/* In hand_over(): leaves a copy of n bytes; 0 or -errno. */
CTF_API int ctf_leave_bytes(struct ctf_legacy *, const char *name, const void *p, size_t n);
/*
 * Input, from start() on; sink, from open() on: the store keeps fd (a duplicate
 * of its own) from now on, so that it stays open however this process ends;
 * fd below 0: no more.  -ENOTCONN: there is no store.
 */
CTF_API int ctf_keep_fd(struct ctf_ctx *, const char *name, int fd);

/*
 * Input, in start(); sink, from open() on.  Both return 0 or -ENOENT.  The
 * bytes are the core's and stay until start() returns, or as long as the sink;
 * they may be another version's.  The fd is the caller's from now on, close-on-exec, and
 * the store still keeps it; it may be anything.
 */
CTF_API int ctf_inherit_bytes(struct ctf_ctx *, const char *name, const void **ret_p,
			      size_t *ret_n);
CTF_API int ctf_inherit_fd(struct ctf_ctx *, const char *name, int *ret_fd);

/*
 * Sink: names the numbering of its frames.  It changes when numbers begin
 * anew, and does not when an earlier process handed over.
 */
CTF_API uint64_t ctf_spool_id(const struct ctf_ctx *);

/* For usable(): whether that file can be written, or made; -errno. */
CTF_API int ctf_may_write(const char *path, struct ctf_err *);

/* Filter, in release(): a thread that does not end still uses it; it stays, with its options. */
CTF_API void ctf_pin(struct ctf_ctx *);

#endif
