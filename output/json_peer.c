/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON's sockets; see json_peer.h. */
#include "json_peer.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_MS 10000

/* 0 or -errno; *ret_fd is connected. */
static int
connect_fd(struct ctf_ctx *ctx, int family, int type, const struct sockaddr *addr,
	   socklen_t len, int *ret_fd)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int e = 0, r, on = 1;
	socklen_t n = sizeof(e);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(fd, addr, len) < 0)
		e = errno;
	if (e == EINPROGRESS) {
		r = ctf_wait(ctx, fd, POLLOUT, CONNECT_MS);
		if (r <= 0)
			e = r ? -r : ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
			e = errno;
	}
	if (e) {
		close(fd);
		return -e;
	}
	*ret_fd = fd;
	return 0;
}

int
peer_connect(struct stream *s, int type, const char *host, const char *port,
	     struct ctf_err *err)
{
	struct addrinfo hints = { .ai_socktype = type }, *list;
	int fd = -1, r = getaddrinfo(host, port, &hints, &list);

	if (r)
		return ctf_fail(err, EHOSTUNREACH, "%s port %s: %s", host, port,
				gai_strerror(r));
	r = -EHOSTUNREACH;
	for (struct addrinfo *a = list; a && fd < 0 && r != -EINTR; a = a->ai_next)
		r = connect_fd(s->obj.ctx, a->ai_family, type, a->ai_addr, a->ai_addrlen, &fd);
	freeaddrinfo(list);
	if (r < 0)
		return ctf_fail(err, -r, "cannot connect to %s port %s: %s", host, port,
				strerror(-r));
	stream_use(s, fd, STREAM_SOCKET);
	return 0;
}

int
peer_connect_unix(struct stream *s, const char *path, struct ctf_err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, r;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	r = connect_fd(s->obj.ctx, AF_UNIX, SOCK_STREAM, (const struct sockaddr *)&sun,
		       sizeof(sun), &fd);
	if (r < 0)
		/* A listener that is not there yet is no mistake in the configuration. */
		return ctf_fail(err, r == -ENOENT ? ECONNREFUSED : -r,
				"cannot connect to %s: %s", path, strerror(-r));
	stream_use(s, fd, STREAM_SOCKET);
	return 0;
}

bool
peer_alive(struct stream *s)
{
	char junk[4096];
	ssize_t n;

	/* Bounded: a peer that talks all the time must not keep us here. */
	for (unsigned i = 0; i < 16; i++) {
		n = recv(s->fd, junk, sizeof(junk), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n < 0)
			break;
	}
	return true;
}

/*
 * Sends a line: 1, or 0 with errno.  An error of an earlier datagram (nobody
 * listened) is reported once, by the next send.
 */
static int
send_line(struct stream *s, const char *line, size_t len, const struct peer_counters *c)
{
	ssize_t n = send(s->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == ECONNREFUSED) {
		ctf_count(c->refused, 1);
		n = send(s->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (n < 0 && errno == EMSGSIZE)
		ctf_count(c->too_long, 1);
	return n >= 0 || errno == EMSGSIZE || errno == ECONNREFUSED;
}

/* After a datagram that could not be sent. */
static enum ctf_sent
not_sent(struct stream *s, struct ctf_err *err)
{
	int e = errno;

	if (e == EINTR)
		return CTF_SENT;
	if (e == EAGAIN)
		return stream_wait(s, err);
	ctf_fail(err, e, "cannot send: %s", strerror(e));
	return e == ENOBUFS ? CTF_AGAIN : CTF_RETRY;
}

enum ctf_sent
peer_datagrams(struct stream *s, const struct ctf_frame *const *fr, unsigned n,
	       unsigned *ret_taken, const struct peer_counters *c, struct ctf_err *err)
{
	enum ctf_sent ret = CTF_SENT;
	unsigned taken = 0;

	if (!stream_is_begun(s, fr[0]))
		s->off = 0;
	while (taken < n && ret == CTF_SENT) {
		const struct ctf_frame *f = fr[taken];
		const char *line = (const char *)f->p + s->off;
		const char *end = memchr(line, '\n', f->len - s->off);
		size_t len = end ? (size_t)(end + 1 - line) : f->len - s->off;

		if (!len || send_line(s, line, len, c))
			stream_note(s, f, len);
		else
			ret = not_sent(s, err);
		if (s->off == f->len) {
			s->off = 0;
			taken++;
		}
	}
	*ret_taken = taken;
	return ret;
}
