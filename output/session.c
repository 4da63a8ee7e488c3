/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - see session.h.
 *
 * How Linux tells the ends apart: after a reset that came first send(2) and
 * recv(2) give ECONNRESET, once; after FIN, and a reset that followed because
 * we had sent on, send gives EPIPE and recv the end of file.  So the first
 * error decides.  SIOCOUTQ keeps its last value in all of these cases.
 */
#include "session.h"
#include "transport.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_MS 1000
#define STEP_MS 20
#define ARRIVE_STEPS 50 /* for more of what was sent to arrive, */
#define MOST_STEPS 500  /* however much that is, */
#define READ_STEPS 10   /* and then for the peer to say that it has read it */

/*
 * What the peer's kernel holds unread is never much more than the window it
 * offers when it holds nothing; so this is to be seen often.
 */
static void
look_window(struct session *s)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    info.tcpi_snd_wnd > s->window)
		s->window = info.tcpi_snd_wnd;
}

static bool
is_tcp(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	return getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family != AF_UNIX;
}

void
session_begin(struct session *s, struct ctf_ctx *ctx, int fd, uint64_t resend,
	      const struct session_io *way, void *io)
{
	s->ctx = ctx;
	s->fd = fd;
	s->way = way;
	s->io = io;
	s->resend = resend;
	s->window = 0;
	s->up = true;
	s->finished = false;
	s->end = SESSION_OPEN;
	s->sent = s->acked = way ? way->wrote(io) : 0;
	s->marks = s->first = s->arrived = 0;
	/* What the last session had settled is not, if it is needed again. */
	s->settled = s->needed ? s->needed - 1 : 0;
	s->partial = s->partial_of = s->last_end = 0;
	s->tcp = is_tcp(fd);
	look_window(s);
}

/* The first error is the one that says how the session ended. */
static int
over(struct session *s, int error)
{
	if (s->end == SESSION_OPEN)
		s->end = error == -EPIPE ? SESSION_FIN : SESSION_BROKEN;
	return error;
}

ssize_t
session_sendv(struct session *s, struct iovec *iov, size_t n)
{
	ssize_t r = s->way ? s->way->sendv(s->io, iov, n) : transport_sendv(s->fd, iov, n);

	if (s->way)
		s->sent = s->way->wrote(s->io);
	else if (r > 0)
		s->sent += (size_t)r;
	/* A unix socket's EPIPE does not tell whether all was read, recv(2) does. */
	if (r == -EPIPE && !s->way)
		session_peer(s);
	if (r < 0 && r != -EAGAIN && r != -EINTR)
		over(s, (int)r);
	look_window(s);
	return r;
}

int
session_peer(struct session *s)
{
	int r = s->way ? s->way->peer(s->io) : transport_peer(s->fd);

	return r ? over(s, r) : 0;
}

int
session_room(struct session *s)
{
	short want = s->way ? s->way->wants(s->io) : POLLOUT;
	int r = ctf_wait(s->ctx, s->fd, want | POLLRDHUP, ROOM_MS);

	if (r == 0)
		return -EAGAIN;
	if (r < 0)
		return r == -EINTR ? r : over(s, r);
	return r & (POLLERR | POLLHUP | POLLRDHUP) ? session_peer(s) : 0;
}

/* ---- what has arrived --------------------------------------------------------- */

static bool
marks_grow(struct session *s)
{
	unsigned cap = s->cap ? s->cap * 2 : 256;
	struct session_mark *m = reallocarray(NULL, cap, sizeof(*m));

	if (!m)
		return false;
	for (unsigned i = 0; i < s->marks; i++)
		m[i] = s->mark[(s->first + i) % s->cap];
	free(s->mark);
	s->mark = m;
	s->first = 0;
	s->cap = cap;
	return true;
}

void
session_mark(struct session *s, uint64_t number, size_t behind)
{
	uint64_t end = s->way ? s->way->at(s->io, behind) : s->sent - behind;

	/* Without memory the last mark moves on: its frame settles later. */
	if (s->marks < s->cap || marks_grow(s))
		s->marks++;
	if (!s->marks)
		return;
	s->mark[(s->first + s->marks - 1) % s->cap] = (struct session_mark){ number, end };
	if (s->arrived == s->marks)
		s->arrived--;
}

/* The buffer of a unix socket is emptied by its reader's end as well. */
static bool
is_over(const struct session *s)
{
	struct pollfd p = { s->fd, 0, 0 };

	return poll(&p, 1, 0) > 0 && p.revents;
}

static void
look(struct session *s)
{
	uint64_t left = s->way ? s->way->held(s->io) : 0;

	left += transport_unacked(s->fd);
	if (!s->tcp && is_over(s))
		left = s->end == SESSION_FIN ? 0 : s->sent;
	if (s->finished && left) /* our FIN counts as one */
		left--;
	if (left <= s->sent && s->sent - left > s->acked)
		s->acked = s->sent - left;
	look_window(s);
}

/* So many bytes before what was acknowledged may not have been read. */
static uint64_t
unread(const struct session *s)
{
	return s->resend > 2 * s->window ? s->resend : 2 * s->window;
}

static void
settle(struct session *s)
{
	uint64_t back;

	look(s);
	back = unread(s);
	while (s->arrived < s->marks &&
	       s->mark[(s->first + s->arrived) % s->cap].end <= s->acked) {
		const struct session_mark *m = &s->mark[(s->first + s->arrived++) % s->cap];

		s->settled = m->number;
		s->last_end = m->end;
	}
	while (s->arrived && s->mark[s->first].end + back <= s->acked) {
		s->needed = s->mark[s->first].number + 1;
		s->first = (s->first + 1) % s->cap;
		s->marks--;
		s->arrived--;
	}
}

uint64_t
session_settled(struct session *s)
{
	if (s->up)
		settle(s);
	return s->settled;
}

uint64_t
session_needed(struct session *s)
{
	return s->needed;
}

uint64_t
session_partial(const struct session *s, uint64_t *ret_number)
{
	*ret_number = s->partial_of;
	return s->partial;
}

/* ---- the end -------------------------------------------------------------------- */

/* False: it is over, or the core wants us back. */
static bool
pause_for(struct session *s, short events)
{
	int r = ctf_wait(s->ctx, s->fd, events, STEP_MS);

	if (r < 0)
		return false;
	session_peer(s); /* unread input would turn our FIN into a reset */
	return s->end != SESSION_BROKEN && !(r & (POLLERR | POLLHUP));
}

/*
 * A peer that knows of the end reads up to it and closes, too: then all was
 * read for sure.  One that stays open is none the worse for it.
 */
static void
say_end(struct session *s)
{
	if (s->way)
		s->way->finish(s->io);
	else
		shutdown(s->fd, SHUT_WR);
	s->finished = true;
	for (unsigned i = 0; i < READ_STEPS && s->end == SESSION_OPEN; i++)
		if (!pause_for(s, POLLIN | POLLRDHUP))
			return;
}

/* A peer that ends may read on: what it reads then comes again if we do not see it. */
static void
drain(struct session *s)
{
	unsigned idle = 0;

	for (unsigned i = 0; i < MOST_STEPS && idle < ARRIVE_STEPS; i++) {
		uint64_t was = s->acked;

		look(s);
		if (s->acked >= s->sent)
			break;
		idle = s->acked > was ? 0 : idle + 1;
		if (!pause_for(s, 0))
			return;
	}
	if (s->end == SESSION_OPEN && s->sent && s->acked >= s->sent)
		say_end(s);
}

void
session_finish(struct session *s)
{
	if (!s->up)
		return;
	if (s->end != SESSION_BROKEN)
		drain(s);
	settle(s);
	if (s->end != SESSION_BROKEN && s->settled >= s->needed)
		s->needed = s->settled + 1;
	if (s->end == SESSION_FIN && !s->way) {
		s->partial = s->acked - s->last_end;
		s->partial_of = s->arrived < s->marks
					? s->mark[(s->first + s->arrived) % s->cap].number
					: 0;
	}
	if (s->way)
		s->way->release(s->io);
	close(s->fd);
	free(s->mark);
	s->mark = NULL;
	s->marks = s->first = s->arrived = s->cap = 0;
	s->up = false;
}
