/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_tcp.c - messages into a TCP session, with TLS in between or not.
 *
 * A stream that stops inside a message is never continued with anything but
 * the rest of that message; after an error the session is over.
 */
#include "ipfix.h"

#include <errno.h>

#define BURST 64u /* messages in one system call */

struct burst {
	struct iovec iov[2 * BURST + 1];
	uint8_t head[BURST][IPFIX_HEADER];
	unsigned iovs, frames;
	size_t bytes;
};

static enum ctf_sent
broken(const struct ipfix_sink *s, int error, struct ctf_err *err)
{
	ctf_fail(err, -error, "connection to the collector lost: %s", ipfix_reason(s, error));
	return CTF_RETRY;
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
	int r;

	if (!d)
		return ctf_fail(err, ENOMEM, "no memory"), CTF_RETRY;
	if (s->begun_done) {
		if (f->number == s->begun)
			return CTF_SENT;
		ctf_fail(err, EPROTO, "a message partly sent was dropped: new session");
		return CTF_RETRY;
	}
	if (s->has_layout && s->layout != f->layout->id) {
		ctf_fail(err, EPROTO, "other templates from here on: new session");
		s->own_end = true;
		return CTF_RETRY;
	}
	s->has_layout = true;
	s->layout = f->layout->id;
	if (announcing(s) || !ipfix_due(s, d, f->layout))
		return CTF_SENT;
	r = ipfix_announce(s, d, f->layout, UINT16_MAX);
	if (r)
		return ctf_fail(err, -r, "no memory"), CTF_RETRY;
	ipfix_stamp_all(s, d);
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
		ipfix_gap_total(f, &s->lost);
		ipfix_head(s, d, f->len, ipfix_records(f), ipfix_flows(f), b->head[i]);
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
	unsigned complete = 0;

	s->announcement_done += n;
	wrote -= n;
	for (unsigned i = 0; i < b->frames; i++) {
		const struct ctf_frame *f = frames[i];
		uint32_t before = i ? 0 : s->begun_done, left = f->len - before;

		if (wrote >= left) {
			wrote -= left;
			session_mark(&s->session, f->number, wrote);
			complete++;
			s->begun_done = 0;
		} else if (wrote) {
			s->begun = f->number;
			s->begun_done = before + (uint32_t)wrote;
			memcpy(s->begun_head, b->head[i], IPFIX_HEADER);
			wrote = 0;
		} else if (!before) { /* its header will be made again */
			ipfix_unhead(ipfix_domain(s, f->stream), f->len, ipfix_records(f),
				     ipfix_flows(f));
		}
	}
	return complete;
}

/* Until there is room in the send queue. */
static enum ctf_sent
wait_room(struct ipfix_sink *s, struct ctf_err *err)
{
	int r = session_room(&s->session);

	if (r == -EINTR)
		return CTF_AGAIN;
	if (r == -EAGAIN)
		return ctf_fail(err, EAGAIN, "the collector takes nothing"), CTF_AGAIN;
	return r ? broken(s, r, err) : CTF_SENT;
}

enum ctf_sent
ipfix_tcp_deliver(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n,
		  unsigned *ret_taken, struct ctf_err *err)
{
	int r = session_peer(&s->session);
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
		wrote = session_sendv(&s->session, b.iov, b.iovs);
		taken += account(s, frames + taken, &b, wrote > 0 ? (size_t)wrote : 0);
		if (wrote < 0 && wrote != -EAGAIN && wrote != -EINTR)
			sent = broken(s, (int)wrote, err);
		else if (wrote < 0 || (size_t)wrote < b.bytes)
			sent = wait_room(s, err);
	}
	*ret_taken = taken;
	return taken && sent == CTF_AGAIN ? CTF_SENT : sent;
}
