/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_session.c - TLS as what stands between a session and its socket. */
#include "session.h"
#include "tls.h"

#include <errno.h>
#include <poll.h>

#define END_MS 5000 /* for the FIN behind a close_notify, and for our goodbye */

static ssize_t
sendv(void *io, struct iovec *iov, size_t n)
{
	return tls_sendv(io, iov, n);
}

static short
wants(void *io)
{
	return POLLOUT;
}

/*
 * An orderly end is one that the peer has authenticated, and that its kernel
 * has found in order as well: had it left bytes unread, a reset would follow.
 */
static int
peer(void *io)
{
	int r = tls_peer(io);

	if (r == -EPIPE && tls_end(io, END_MS))
		return -ECONNRESET;
	return r;
}

static uint64_t
wrote(void *io)
{
	return tls_made(io);
}

static uint64_t
at(void *io, size_t behind)
{
	return tls_at(io, behind);
}

static uint64_t
held(void *io)
{
	return tls_held(io);
}

static void
finish(void *io)
{
	tls_goodbye(io, END_MS);
}

static void
release(void *io)
{
	tls_free(io);
}

const struct session_io tls_io = { sendv, wants, peer, wrote, at, held, finish, release };
