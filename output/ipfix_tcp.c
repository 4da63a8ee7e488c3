/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_tcp.c - messages into a TCP session.
 *
 * A stream that stops inside a message is never continued with anything but
 * the rest of that message; after an error the session is over.  A frame is
 * settled when its last byte left the send queue, which is when the peer's
 * kernel has acknowledged it.
 */
#include "ipfix.h"
#include "transport.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define BURST 64u /* messages in one system call */
#define DRAIN_STEP_MS 20
#define DRAIN_STEPS 50

struct burst {
	struct iovec iov[2 * BURST + 1];
	uint8_t head[BURST][IPFIX_HEADER];
	unsigned iovs, frames;
	size_t bytes;
};

static enum ctf_sent
broken(struct ipfix_sink *s, int error, struct ctf_err *err)
{
	s->failed = error != -EPIPE;
	ctf_fail(err, -error, "connection to the collector lost: %s",
		 s->failed ? strerror(-error) : "closed by the collector");
	return CTF_RETRY;
}

/* ---- what is settled ---------------------------------------------------------- */

static bool
marks_grow(struct ipfix_sink *s)
{
	unsigned cap = s->mark_cap ? s->mark_cap * 2 : 256;
	struct ipfix_mark *m = reallocarray(NULL, cap, sizeof(*m));

	if (!m)
		return false;
	for (unsigned i = 0; i < s->marks; i++)
		m[i] = s->mark[(s->mark_first + i) % s->mark_cap];
	free(s->mark);
	s->mark = m;
	s->mark_first = 0;
	s->mark_cap = cap;
	return true;
}

static void
mark_end(struct ipfix_sink *s, uint64_t number, uint64_t end)
{
	/* without memory the last mark moves on: its frame settles later */
	if ((s->marks < s->mark_cap || marks_grow(s)))
		s->marks++;
	if (s->marks)
		s->mark[(s->mark_first + s->marks - 1) % s->mark_cap] =
			(struct ipfix_mark){ number, end };
}

void
ipfix_tcp_settle(struct ipfix_sink *s)
{
	uint64_t acked = s->sent - transport_unacked(s->fd);

	while (s->marks && s->mark[s->mark_first].end <= acked) {
		s->settled = s->mark[s->mark_first].number;
		s->mark_first = (s->mark_first + 1) % s->mark_cap;
		s->marks--;
	}
}

void
ipfix_tcp_drain(struct ipfix_sink *s)
{
	for (unsigned i = 0; i < DRAIN_STEPS && !s->failed && transport_unacked(s->fd); i++) {
		int r = ctf_wait(s->o.ctx, s->fd, 0, DRAIN_STEP_MS);

		if (r < 0 || r & (POLLERR | POLLHUP))
			return;
		transport_peer(s->fd); /* unread input would turn our FIN into a reset */
	}
}

/* ---- what is sent --------------------------------------------------------------- */

static void
add(struct burst *b, const void *p, size_t len)
{
	union {
		const void *c;
		void *p;
	} base = { p };

	b->iov[b->iovs++] = (struct iovec){ base.p, len };
	b->bytes += len;
}

static bool
announcing(const struct ipfix_sink *s)
{
	return s->announcement_done < s->announcement_len;
}

/* Adds a frame, of which `done` bytes were written before. */
static void
add_frame(struct burst *b, const struct ctf_frame *f, uint32_t done)
{
	const uint8_t *head = b->head[b->frames++];

	if (done < IPFIX_HEADER)
		add(b, head + done, IPFIX_HEADER - done);
	if (done < IPFIX_HEADER)
		done = IPFIX_HEADER;
	add(b, f->p + done, f->len - done);
}

/* The first frame of a burst decides about layout and templates. */
static enum ctf_sent
begin(struct ipfix_sink *s, const struct ctf_frame *f, struct ctf_err *err)
{
	struct ipfix_domain *d = ipfix_domain(s, f->stream);
	int r = 0;

	if (!d)
		return ctf_fail(err, ENOMEM, "no memory"), CTF_RETRY;
	if (s->begun_done) {
		if (f->number == s->begun)
			return CTF_SENT;
		ctf_fail(err, EPROTO, "a message partly sent was dropped: new session");
		s->failed = true;
		return CTF_RETRY;
	}
	if (s->has_layout && s->layout != f->layout->id) {
		ctf_fail(err, EPROTO, "other templates from here on: new session");
		return CTF_RETRY;
	}
	s->has_layout = true;
	s->layout = f->layout->id;
	if (!announcing(s) && ipfix_due(s, d, f->layout))
		r = ipfix_announce(s, d, f->layout, UINT16_MAX);
	if (r)
		return ctf_fail(err, -r, "no memory"), CTF_RETRY;
	return CTF_SENT;
}

static void
gather(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n, struct burst *b)
{
	b->iovs = b->frames = 0;
	b->bytes = 0;
	if (announcing(s))
		add(b, s->announcement + s->announcement_done,
		    s->announcement_len - s->announcement_done);
	for (unsigned i = 0; i < n && i < BURST; i++) {
		const struct ctf_frame *f = frames[i];
		struct ipfix_domain *d = ipfix_domain(s, f->stream);

		if (!i && s->begun_done) {
			memcpy(b->head[0], s->begun_head, IPFIX_HEADER);
			add_frame(b, f, s->begun_done);
			continue;
		}
		if (!d || f->layout->id != s->layout || ipfix_due(s, d, f->layout))
			return;
		ipfix_head(s, d, f->len, ipfix_records(f), b->head[i]);
		add_frame(b, f, 0);
	}
}

/* Takes note of what a system call wrote; returns the frames now complete. */
static unsigned
account(struct ipfix_sink *s, const struct ctf_frame *const *frames, const struct burst *b,
	size_t wrote)
{
	uint32_t pending = s->announcement_len - s->announcement_done;
	uint32_t n = wrote < pending ? (uint32_t)wrote : pending;
	uint64_t at = s->sent + n;
	unsigned complete = 0;

	s->sent += wrote;
	s->announcement_done += n;
	wrote -= n;
	for (unsigned i = 0; i < b->frames; i++) {
		const struct ctf_frame *f = frames[i];
		uint32_t before = i ? 0 : s->begun_done, left = f->len - before;

		if (wrote >= left) {
			wrote -= left;
			at += left;
			mark_end(s, f->number, at);
			complete++;
			s->begun_done = 0;
		} else if (wrote) {
			s->begun = f->number;
			s->begun_done = before + (uint32_t)wrote;
			memcpy(s->begun_head, b->head[i], IPFIX_HEADER);
			wrote = 0;
		} else if (!before) { /* its header will be made again */
			ipfix_domain(s, f->stream)->sequence -= ipfix_records(f);
		}
	}
	return complete;
}

/* Until there is room in the send queue. */
static enum ctf_sent
wait_room(struct ipfix_sink *s, struct ctf_err *err)
{
	int r = ctf_wait(s->o.ctx, s->fd, POLLOUT | POLLRDHUP, -1);

	if (r == -EINTR)
		return CTF_AGAIN;
	if (r < 0)
		return broken(s, r, err);
	if (r & (POLLERR | POLLHUP | POLLRDHUP)) {
		r = transport_peer(s->fd);
		return broken(s, r ? r : -EPIPE, err);
	}
	return CTF_SENT;
}

enum ctf_sent
ipfix_tcp_deliver(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n,
		  unsigned *ret_taken, struct ctf_err *err)
{
	int r = transport_peer(s->fd);
	enum ctf_sent sent = r ? broken(s, r, err) : CTF_SENT;
	unsigned taken = 0;

	while (taken < n && sent == CTF_SENT) {
		struct burst b;
		ssize_t wrote;

		ipfix_clock(s);
		sent = begin(s, frames[taken], err);
		if (sent != CTF_SENT)
			break;
		gather(s, frames + taken, n - taken, &b);
		wrote = transport_sendv(s->fd, b.iov, b.iovs);
		taken += account(s, frames + taken, &b, wrote > 0 ? (size_t)wrote : 0);
		if (wrote < 0 && wrote != -EAGAIN && wrote != -EINTR)
			sent = broken(s, (int)wrote, err);
		else if (wrote < 0 || (size_t)wrote < b.bytes)
			sent = wait_room(s, err);
	}
	*ret_taken = taken;
	return taken && sent == CTF_AGAIN ? CTF_SENT : sent;
}
