/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of lines; see peer.h. */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
peer_connect(struct stream *s, const struct transport_to *to, struct ctf_err *err)
{
	int fd = transport_open(s->obj.ctx, to, err);

	if (fd < 0)
		return fd;
	stream_use(s, fd, STREAM_SOCKET, to->host);
	return 0;
}

int
peer_connect_unix(struct stream *s, int type, const char *path, struct ctf_err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e;

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

/* ---- sessions ------------------------------------------------------------------ */

/* How much of the frame that comes next the session before has brought. */
static void
look_back(struct peer *p)
{
	uint64_t of, read = session_partial(&p->session, &of);

	of = of ? of : p->number;
	p->read = read + (of == p->first ? p->skipped : 0);
	p->read_of = read ? of : 0;
}

void
peer_begin(struct peer *p, struct stream *s, uint64_t resend)
{
	if (!p->fresh) /* or it has brought nothing */
		look_back(p);
	session_begin(&p->session, s->obj.ctx, s->fd, resend, NULL, NULL);
	p->fresh = true;
}

/* Says why the session is over. */
static enum ctf_sent
broken(const struct stream *s, int error, struct ctf_err *err)
{
	if (error == -EPIPE)
		ctf_fail(err, EPIPE, "%s closed the connection", s->name);
	else
		ctf_fail(err, -error, "the connection to %s broke: %s", s->name,
			 strerror(-error));
	return CTF_RETRY;
}

/*
 * A new peer gets frames from their start, lines whole.  But of the one in
 * which the session before ended in order, it had read the first lines.  (What
 * has no records is a gap, maybe in the place of that frame.)
 */
static void
go_on(struct peer *p, const struct ctf_frame *f)
{
	p->off = 0;
	if (p->read_of == f->number && f->recs && p->read < f->len)
		p->off = stream_line_start(f, (uint32_t)p->read);
	p->skipped = p->off;
	p->first = p->number = f->number;
	p->fresh = false;
}

static ssize_t
send_frames(struct peer *p, const struct ctf_frame *const *fr, unsigned n)
{
	struct iovec iov[STREAM_IOVS];
	uint32_t off = p->off;
	unsigned c = 0;

	for (; c < n && c < STREAM_IOVS; c++, off = 0)
		iov[c] = (struct iovec){ fr[c]->p + off, fr[c]->len - off };
	return session_sendv(&p->session, iov, c);
}

/* Takes note of what was sent; returns how many frames are complete. */
static unsigned
account(struct peer *p, const struct ctf_frame *const *fr, unsigned n, size_t w)
{
	unsigned done = 0;

	for (; done < n && w >= fr[done]->len - p->off; done++) {
		w -= fr[done]->len - p->off;
		session_mark(&p->session, fr[done]->number, w);
		p->off = 0;
	}
	if (done < n) {
		p->off += (uint32_t)w;
		p->number = fr[done]->number;
	}
	return done;
}

static enum ctf_sent
wait_room(struct peer *p, const struct stream *s, struct ctf_err *err)
{
	int r = session_room(&p->session);

	if (!r)
		return CTF_SENT;
	if (r != -EAGAIN && r != -EINTR)
		return broken(s, r, err);
	ctf_fail(err, EAGAIN, "%s: the reader takes nothing", s->name);
	return CTF_AGAIN;
}

enum ctf_sent
peer_idle(struct peer *p, const struct stream *s, struct ctf_err *err)
{
	int r = session_peer(&p->session);

	return r ? broken(s, r, err) : CTF_SENT;
}

enum ctf_sent
peer_deliver(struct peer *p, struct stream *s, const struct ctf_frame *const *fr, unsigned n,
	     unsigned *ret_taken, struct ctf_err *err)
{
	/* What is sent after the peer has closed would be lost without an error. */
	enum ctf_sent ret = peer_idle(p, s, err);
	unsigned taken = 0;

	if (ret == CTF_SENT && p->fresh)
		go_on(p, fr[0]);
	while (taken < n && ret == CTF_SENT) {
		ssize_t w = send_frames(p, fr + taken, n - taken);

		if (w >= 0)
			taken += account(p, fr + taken, n - taken, (size_t)w);
		else if (w == -EAGAIN)
			ret = wait_room(p, s, err);
		else if (w != -EINTR)
			ret = broken(s, (int)w, err);
	}
	*ret_taken = taken;
	return ret;
}

void
peer_finish(struct peer *p, struct stream *s)
{
	if (s->kind == STREAM_CLOSED)
		return;
	session_finish(&p->session);
	s->kind = STREAM_CLOSED;
}

/* ---- datagrams ----------------------------------------------------------------- */

/*
 * Sends a line: 1, or 0 with errno.  An error of an earlier datagram (nobody
 * listened) is reported once, by the next send.
 */
static int
send_line(struct stream *s, const char *line, size_t len, const struct peer_counters *c)
{
	ssize_t n = send(s->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == ECONNREFUSED && c->refused) {
		ctf_count(c->refused, 1);
		n = send(s->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (n < 0 && errno == EMSGSIZE)
		ctf_count(c->too_long, 1);
	return n >= 0 || errno == EMSGSIZE || (errno == ECONNREFUSED && c->refused);
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
