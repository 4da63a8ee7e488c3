/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - sockets to a peer: TCP sessions and connected UDP, on a sink's
 * thread.  Nothing here blocks but transport_open(), and that returns
 * when the core wants it to (the resolver's own time-outs apart).
 */
#ifndef CTF_TRANSPORT_H
#define CTF_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

#include <ctflow/plugin.h>

struct transport_to {
	const char *host, *port; /* name or number; fe80::1%eth0 */
	const char *source;      /* what transport_source() takes */
	bool tcp;
};

/*
 * Resolves host and port and connects to the first address that answers, from
 * the source address.  Returns the socket or -errno, which is never one that
 * means a configuration mistake: who cannot be reached today may be tomorrow.
 */
int transport_open(struct ctf_ctx *, const struct transport_to *, struct ctf_err *);

/*
 * Whether it is a source: an IPv4 or IPv6 address, %device, or both; or "",
 * which leaves it to the kernel.
 */
bool transport_source(const char *source);
#define TRANSPORT_SOURCE "source=%s: neither an address nor %%device"

/* Whether it is a port: 1 to 65535, or a service of services(5).  Main thread. */
bool transport_port(const char *port);

/* UDP: what the path does not take whole is refused (EMSGSIZE), not fragmented. */
void transport_whole(int fd);

/*
 * Is the session alive?  0, -EPIPE after the peer's orderly end, else -errno.
 * What the peer sends is read and thrown away: it has nothing to say.
 */
int transport_peer(int fd);

/* Bytes of a TCP session that the peer has not acknowledged. */
uint32_t transport_unacked(int fd);

/* Bytes sent, or -errno. */
ssize_t transport_sendv(int fd, struct iovec *iov, size_t n);

/* Largest UDP payload the path takes unfragmented, as far as known; or 0. */
uint32_t transport_path_payload(int fd);

#endif
