/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON's sockets; see json_peer.h. */
#include "json_peer.h"
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
peer_connect(struct stream *s, bool tcp, const char *host, const char *port,
	     struct ctf_err *err)
{
	int fd = transport_open(s->obj.ctx, host, port, tcp, err);

	if (fd < 0)
		return fd;
	stream_use(s, fd, STREAM_SOCKET, host);
	return 0;
}

int
peer_connect_unix(struct stream *s, const char *path, struct ctf_err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e;

	if (fd < 0)
		return ctf_fail(err, errno, "no socket: %s", strerror(errno));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	/* Never in progress: a listener too busy to take us is EAGAIN. */
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
		e = errno;
		close(fd);
		/* One that is not there yet is no mistake in the configuration. */
		return ctf_fail(err, e == ENOENT ? ECONNREFUSED : e, "cannot connect to %s: %s",
				path, strerror(e));
	}
	stream_use(s, fd, STREAM_SOCKET, path);
	return 0;
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
	ctf_fail(err, e, "cannot send to %s: %s", s->name, strerror(e));
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
