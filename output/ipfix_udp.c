/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_udp.c - one message, one datagram.
 *
 * A refusal (ICMP port unreachable) tells of an earlier datagram and ends
 * nothing: the collector may be restarting.  It will know no templates then,
 * so they are repeated.
 */
#include "ipfix.h"
#include "transport.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BURST 32u /* datagrams in one system call */
#define TRIES 3u  /* for one datagram refused; then it counts as sent */

/* What was sent may not have arrived, and templates may have been in it. */
static void
announce_again(struct ipfix_sink *s)
{
	for (unsigned i = 0; i < s->domains; i++)
		s->domain[i].again = true;
}

/* With failover that is the end of this collector's turn. */
static enum ctf_sent
refused(struct ipfix_sink *s, struct ctf_err *err)
{
	const struct ipfix_conf *c = s->o.conf;

	ctf_count(s->refused, 1);
	announce_again(s);
	if (c->mode == IPFIX_MODE_FAILOVER && ipfix_peers(c) > 1)
		return ctf_fail(err, ECONNREFUSED, "the collector's host refuses the port"),
		       CTF_RETRY;
	if (!s->said_refused)
		ctf_log(s->o.ctx, CTF_WARNING,
			"the collector's host refuses the port: what is sent now is lost");
	s->said_refused = true;
	return CTF_SENT;
}

/* What an error of send means: SENT = try again at once. */
static enum ctf_sent
judge(struct ipfix_sink *s, int error, struct ctf_err *err)
{
	int r;

	if (error != -EINTR && error != -EAGAIN)
		ctf_count(s->errors, 1);
	switch (error) {
	case -EINTR:
		return CTF_SENT;
	case -ECONNREFUSED:
		return refused(s, err);
	case -EMSGSIZE: /* a router, of an earlier one */
		announce_again(s);
		return CTF_SENT;
	case -EAGAIN:
		r = ctf_wait(s->o.ctx, s->fd, POLLOUT, -1);
		return r < 0 ? CTF_AGAIN : CTF_SENT;
	case -ENOBUFS:
		return CTF_AGAIN;
	}
	ctf_fail(err, -error, "cannot send to the collector: %s", strerror(-error));
	return CTF_RETRY;
}

static bool
fits(const struct ipfix_sink *s, uint32_t len)
{
	return len <= transport_path_payload(s->fd);
}

/* One datagram; *ret_too_large is set when its size was the problem. */
static enum ctf_sent
send_one(struct ipfix_sink *s, struct iovec *iov, size_t n, bool *ret_too_large,
	 struct ctf_err *err)
{
	uint32_t len = (uint32_t)(iov[0].iov_len + (n > 1 ? iov[1].iov_len : 0));

	for (unsigned tries = 0; tries < TRIES;) {
		ssize_t r = transport_sendv(s->fd, iov, n);
		enum ctf_sent sent;

		if (r >= 0)
			return CTF_SENT;
		if (r == -EMSGSIZE && !fits(s, len)) {
			*ret_too_large = true;
			return CTF_SENT;
		}
		sent = judge(s, (int)r, err);
		if (sent != CTF_SENT)
			return sent;
		tries += r == -ECONNREFUSED || r == -EMSGSIZE;
	}
	return CTF_SENT;
}

static void
set_limit(struct ipfix_sink *s, uint32_t path)
{
	if (path < s->limit && !s->said_split)
		ctf_log(s->o.ctx, CTF_NOTICE,
			"the path takes messages of %u bytes: longer ones are split", path);
	if (path < s->limit) {
		s->said_split = true;
		s->limit = path;
	}
	ctf_gauge_set(s->most, s->limit);
}

/* The path takes less than `mtu` says (RFC 7011 10.3.3: never fragment). */
static bool
shrink(struct ipfix_sink *s, uint32_t tried)
{
	uint32_t path = transport_path_payload(s->fd);

	if (!path || path >= tried)
		path = tried / 2;
	if (path < IPFIX_MTU_MIN)
		return false;
	set_limit(s, path);
	return true;
}

void
ipfix_udp_measure(struct ipfix_sink *s)
{
	uint32_t path = transport_path_payload(s->fd);

	transport_whole(s->fd);
	s->limit = ipfix_limit(s->o.conf);
	set_limit(s, path >= IPFIX_MTU_MIN ? path : s->limit);
}

static enum ctf_sent
poison(struct ctf_err *err, uint32_t len)
{
	ctf_fail(err, EMSGSIZE, "a message of %u bytes is too large for the path", len);
	return CTF_POISON;
}

/* Sends the announcement that was made; smaller, if the path wants it so. */
static enum ctf_sent
send_announcement(struct ipfix_sink *s, struct ipfix_domain *d, const struct ctf_layout *l,
		  struct ctf_err *err)
{
	enum ctf_sent r = CTF_SENT;
	uint32_t at = 0;

	while (at < s->announcement_len && r == CTF_SENT) {
		uint8_t *msg = s->announcement + at;
		uint8_t head[IPFIX_HEADER]; /* it may go out again */
		uint32_t len = ipfix_get16(msg + 2), records = ipfix_stamp(s, d, msg, head);
		struct iovec iov[2] = { { head, IPFIX_HEADER },
					{ msg + IPFIX_HEADER, len - IPFIX_HEADER } };
		bool too_large = false;

		r = send_one(s, iov, 2, &too_large, err);
		if (r != CTF_SENT || too_large)
			ipfix_unstamp(d, len, records);
		at += len;
		if (!too_large)
			continue;
		at = 0;
		d->announced = false;
		if (!shrink(s, len))
			r = poison(err, len);
		else if (ipfix_announce(s, d, l, s->limit))
			return ctf_fail(err, ENOMEM, "no memory"), CTF_RETRY;
	}
	return r;
}

/*
 * The templates; cut short, they are due again.  New ones go out twice, and
 * once more a second later, for what is lost is often lost in a burst, and
 * data without templates cannot be read (RFC 7011 section 8.4).  Old ones are
 * the occasion to see whether the path takes more by now.
 */
static enum ctf_sent
announce(struct ipfix_sink *s, struct ipfix_domain *d, const struct ctf_layout *l,
	 struct ctf_err *err)
{
	bool new = !d->announced || d->layout != l->id;
	enum ctf_sent r;

	if (!new)
		ipfix_udp_measure(s);
	if (ipfix_announce(s, d, l, s->limit))
		return ctf_fail(err, ENOMEM, "no memory"), CTF_RETRY;
	r = send_announcement(s, d, l, err);
	if (r == CTF_SENT && new)
		r = send_announcement(s, d, l, err);
	d->again = new;
	if (r != CTF_SENT)
		d->announced = false;
	return r;
}

/* ---- splitting ------------------------------------------------------------------ */

/* A part of one set as a message of its own. */
static enum ctf_sent
send_part(struct ipfix_sink *s, struct ipfix_domain *d, uint16_t id, const uint8_t *recs,
	  uint32_t len, uint32_t count, bool flows, bool *ret_too_large, struct ctf_err *err)
{
	uint8_t head[IPFIX_HEADER + IPFIX_SET];
	union {
		const uint8_t *c;
		void *p;
	} base = { recs };
	struct iovec iov[2] = { { head, sizeof(head) }, { base.p, len } };
	enum ctf_sent r;

	ipfix_head(s, d, (uint32_t)sizeof(head) + len, count, flows ? count : 0, head);
	ipfix_put16(head + IPFIX_HEADER, id);
	ipfix_put16(head + IPFIX_HEADER + 2, (uint16_t)(IPFIX_SET + len));
	r = send_one(s, iov, 2, ret_too_large, err);
	if (r != CTF_SENT || *ret_too_large)
		ipfix_unhead(d, (uint32_t)sizeof(head) + len, count, flows ? count : 0);
	return r;
}

/* The records of one set; *at says how far it came. */
static enum ctf_sent
split_set(struct ipfix_sink *s, struct ipfix_domain *d, const struct ctf_frame *f, uint32_t set,
	  uint32_t *at, struct ctf_err *err)
{
	uint16_t id = ipfix_get16(f->p + set);
	uint32_t end = set + ipfix_get16(f->p + set + 2), rec = ipfix_record_len(f->layout, id);
	uint32_t room = s->limit - IPFIX_HEADER - IPFIX_SET;
	bool flows = rec && f->recs;

	if (!rec) /* an options record, alone in its set */
		rec = end - set - IPFIX_SET;
	while (*at < end) {
		uint32_t count = (end - *at) / rec;
		bool too_large = false;
		enum ctf_sent r;

		if (count > room / rec)
			count = room / rec;
		if (!count)
			return poison(err, f->len);
		r = send_part(s, d, (uint16_t)(id + ipfix_shift(s, f->layout)), f->p + *at,
			      count * rec, count, flows, &too_large, err);
		if (r != CTF_SENT)
			return r;
		if (!too_large)
			*at += count * rec;
		else if (!shrink(s, IPFIX_HEADER + IPFIX_SET + count * rec))
			return poison(err, f->len);
		room = s->limit - IPFIX_HEADER - IPFIX_SET;
	}
	return CTF_SENT;
}

/* A frame larger than the path takes, as several messages. */
static enum ctf_sent
split(struct ipfix_sink *s, const struct ctf_frame *f, struct ctf_err *err)
{
	struct ipfix_domain *d = ipfix_domain(s, f->stream);
	uint32_t at = s->begun == f->number && s->begun_done ? s->begun_done : IPFIX_HEADER;
	uint32_t set = IPFIX_HEADER;
	enum ctf_sent r = CTF_SENT;

	while (set < f->len && r == CTF_SENT) {
		uint32_t end = set + ipfix_get16(f->p + set + 2);

		if (at < set + IPFIX_SET)
			at = set + IPFIX_SET;
		if (at < end)
			r = split_set(s, d, f, set, &at, err);
		set = end;
	}
	s->begun = f->number; /* interrupted: go on from there */
	s->begun_done = r == CTF_AGAIN ? at : 0;
	if (r == CTF_SENT)
		ctf_count(s->split, 1);
	return r;
}

/* ---- bursts ----------------------------------------------------------------------- */

struct burst {
	struct mmsghdr msg[BURST];
	struct iovec iov[BURST][2];
	uint8_t head[BURST][IPFIX_HEADER];
};

/* Frames that need no template before them, as datagrams. */
static unsigned
gather(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n, struct burst *b)
{
	unsigned i;

	for (i = 0; i < n && i < BURST; i++) {
		const struct ctf_frame *f = frames[i];
		struct ipfix_domain *d = ipfix_domain(s, f->stream);
		uint8_t *body;

		if (!d || f->len > s->limit || ipfix_due(s, d, f->layout))
			break;
		body = ipfix_shifted(s, f, i, BURST);
		if (!body)
			break;
		ipfix_head(s, d, f->len, ipfix_records(f), ipfix_flows(f), b->head[i]);
		b->iov[i][0] = (struct iovec){ b->head[i], IPFIX_HEADER };
		b->iov[i][1] = (struct iovec){ body + IPFIX_HEADER, f->len - IPFIX_HEADER };
		b->msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = b->iov[i],
							   .msg_iovlen = 2 } };
	}
	return i;
}

/* Returns the datagrams sent, or -errno for the first. */
static int
send_burst(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n)
{
	struct burst b;
	unsigned ready = gather(s, frames, n, &b);
	int sent = ready ? sendmmsg(s->fd, b.msg, ready, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
	int r = sent < 0 ? (ready ? -errno : -EMSGSIZE) : sent;

	for (unsigned i = sent < 0 ? 0 : (unsigned)sent; i < ready; i++)
		ipfix_unhead(ipfix_domain(s, frames[i]->stream), frames[i]->len,
			     ipfix_records(frames[i]), ipfix_flows(frames[i]));
	return r;
}

/* The templates the frame needs, then it and what can follow it. */
static enum ctf_sent
step(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n,
     unsigned *ret_taken, struct ctf_err *err)
{
	const struct ctf_frame *f = frames[0];
	struct ipfix_domain *d = ipfix_domain(s, f->stream);
	enum ctf_sent r = CTF_SENT;
	int sent = -EMSGSIZE;

	if (!d)
		return ctf_fail(err, ENOMEM, "no memory"), CTF_RETRY;
	if (ipfix_due(s, d, f->layout))
		r = announce(s, d, f->layout, err);
	if (r != CTF_SENT)
		return r;
	if (f->len <= s->limit)
		sent = send_burst(s, frames, n);
	if (sent >= 0) {
		*ret_taken = (unsigned)sent;
		return CTF_SENT;
	}
	if (sent != -EMSGSIZE)
		return judge(s, sent, err);
	if (f->len <= s->limit) {
		announce_again(s);
		if (!fits(s, f->len) && !shrink(s, f->len))
			return poison(err, f->len);
	}
	r = split(s, f, err);
	*ret_taken = r == CTF_SENT;
	return r;
}

enum ctf_sent
ipfix_udp_deliver(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n,
		  unsigned *ret_taken, struct ctf_err *err)
{
	enum ctf_sent r = CTF_SENT;
	unsigned taken = 0;

	while (taken < n && r == CTF_SENT) {
		unsigned now = 0;

		ipfix_clock(s);
		r = step(s, frames + taken, n - taken, &now, err);
		taken += now;
		if (now)
			s->settled = frames[taken - 1]->number;
	}
	*ret_taken = taken;
	return taken && r == CTF_AGAIN ? CTF_SENT : r;
}
