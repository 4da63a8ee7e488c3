/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - sockets to a collector: TCP sessions and connected UDP, on a
 * sink's thread.  Nothing here blocks but transport_open(), and that returns
 * when the core wants it to (the resolver's own time-outs apart).
 */
#ifndef CTF_TRANSPORT_H
#define CTF_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

#include <ctflow/plugin.h>

/*
 * Resolves the name and connects to the first address that answers.  Returns
 * the socket or -errno, which is never one that means a configuration mistake:
 * a collector that cannot be reached today may be tomorrow.
 */
int transport_open(struct ctf_ctx *, const char *host, unsigned port, bool tcp,
		   struct ctf_err *);

/*
 * Is the session alive?  0, -EPIPE after the peer's orderly end, else -errno.
 * What the peer sends is read and thrown away: a collector has nothing to say.
 */
int transport_peer(int fd);

/* Bytes of a TCP session that the peer has not acknowledged. */
uint32_t transport_unacked(int fd);

/* Bytes sent, or -errno. */
ssize_t transport_sendv(int fd, struct iovec *iov, size_t n);

/* Largest UDP payload the path takes unfragmented, as far as known; or 0. */
uint32_t transport_path_payload(int fd);

#endif
