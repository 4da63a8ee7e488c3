/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_end.c - when a flow began, when its last packet was, and why it ended.
 *
 * Conntrack forgets a flow one timeout after its last packet.  The timeout
 * follows from protocol and final state, so the last packet can be worked out:
 * what the entry had left, less the timeout, before it was destroyed.
 */
#include <netinet/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "ct_raw.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MSEC UINT64_C(1000000)

#define REASON_IDLE 1 /* IPFIX flowEndReason */
#define REASON_ACTIVE 2
#define REASON_ENDED 3
#define REASON_FORCED 4

/* DCCP's states are not in the kernel's exported headers. */
#define DCCP_CLOSING 6
#define DCCP_TIMEWAIT 7

struct last { /* the last packet was at ns, or (!exact) not later */
	uint64_t ns;
	bool exact;
};

static uint64_t
before(uint64_t ns, uint64_t sec)
{
	return ns > sec * NS_PER_SEC ? ns - sec * NS_PER_SEC : 0;
}

/*
 * At stop the entry had left seconds to go, and less than another one: that is
 * how exactly the kernel tells, so the last packet was before the end of it.
 */
static struct last
last_of_living(const struct ct_raw *w, struct ct_span s, uint64_t stop, uint64_t left)
{
	uint64_t sec = left <= s.min ? s.min : s.between ? left : s.max, ns;

	/* A RST that answers a SYN ends the entry at once. */
	if (left > s.max)
		return (struct last){ stop, !w->live && raw_num_or(w, R_TCP_STATE, 0) ==
								TCP_CONNTRACK_CLOSE };
	ns = before(stop, sec - left) + NS_PER_SEC;
	return (struct last){ ns < stop ? ns : stop, false };
}

static struct last
last_packet(const struct ct_times *t, const struct ct_raw *w, uint64_t stop)
{
	/* Other namespaces have timeouts of their own, which we do not know. */
	struct ct_span s = { 0, 0, false };
	struct last l = { stop, false };
	uint64_t start = raw_num_or(w, R_START, 0);

	if (!raw_has(w, R_NSID))
		s = ct_timeout(t, w, stop);
	if (s.max && raw_has(w, R_TIMEOUT))
		l = last_of_living(w, s, stop, w->v[R_TIMEOUT].val.u);
	else if (s.max && !raw_has(w, R_PORTID) &&
		 !w->live) /* else old kernels hide what was left */
		l = (struct last){ before(stop, s.min), s.min == s.max };
	if (l.ns >= start)
		return l;
	/* Before the first packet: by the clocks' grain, or the timeout was another. */
	if (start - l.ns <= CT_TICKS_NS && (l.exact || raw_has(w, R_TIMEOUT)))
		l.ns = start;
	else
		l = (struct last){ stop > start ? stop : start, false };
	return l;
}

static uint8_t
end_reason(const struct ct_raw *w)
{
	if (w->live)
		return REASON_ACTIVE;
	if (raw_has(w, R_PORTID))
		return REASON_FORCED;
	switch (raw_num_or(w, R_TCP_STATE, 0)) {
	case TCP_CONNTRACK_LAST_ACK:
	case TCP_CONNTRACK_TIME_WAIT:
	case TCP_CONNTRACK_CLOSE:
		return REASON_ENDED;
	}
	switch (raw_num_or(w, R_SCTP_STATE, 0)) {
	case SCTP_CONNTRACK_CLOSED:
	case SCTP_CONNTRACK_SHUTDOWN_SENT:
	case SCTP_CONNTRACK_SHUTDOWN_RECD:
	case SCTP_CONNTRACK_SHUTDOWN_ACK_SENT:
		return REASON_ENDED;
	}
	switch (raw_num_or(w, R_DCCP_STATE, 0)) {
	case DCCP_CLOSING:
	case DCCP_TIMEWAIT:
		return REASON_ENDED;
	}
	return raw_has(w, R_TIMEOUT) ? REASON_FORCED : REASON_IDLE;
}

static void
put_time(struct ctf_rec *rec, ctf_ref sec, ctf_ref usec, uint64_t ns)
{
	ctf_put_num(rec, sec, ns / NS_PER_SEC);
	ctf_put_num(rec, usec, ns % NS_PER_SEC / 1000);
}

static void
put_kind(struct ctf_rec *rec, ctf_ref to, const struct ct_raw *w, bool exact)
{
	if (!raw_has(w, R_STOP) && !w->live)
		ctf_put_bytes(rec, to, "received", 8);
	else if (exact)
		ctf_put_bytes(rec, to, "exact", 5);
	else
		ctf_put_bytes(rec, to, "bound", 5);
}

static void
put_last(const struct ct_input *in, const struct ct_raw *w, struct ctf_rec *rec)
{
	const struct ct_fields *f = &in->f;
	struct last l = last_packet(&in->t, w, raw_num_or(w, R_STOP, w->rx_ns));

	ctf_put_num(rec, f->last_ns, l.ns);
	put_time(rec, f->last_sec, f->last_usec, l.ns);
	put_kind(rec, f->end_kind, w, l.exact);
	if (!w->live || w->kind != CTF_EVENT)
		ctf_put_num(rec, f->end_reason, end_reason(w));
	if (raw_has(w, R_START))
		ctf_put_num(rec, f->duration, (l.ns - w->v[R_START].val.u) / NS_PER_MSEC);
}

/* Of NEW the kernel gives no start; the event itself is as good. */
static void
put_start(const struct ct_fields *f, const struct ct_raw *w, struct ctf_rec *rec)
{
	if (raw_has(w, R_START))
		put_time(rec, f->start_sec, f->start_usec, w->v[R_START].val.u);
	else if (w->event == CTF_NEW)
		put_time(rec, f->start_sec, f->start_usec, raw_num_or(w, R_EVENT_NS, w->rx_ns));
}

/*
 * What the counters are about began with the flow, or when they were last 0;
 * with the last packet where none came since, for a stretch has no end before
 * its begin.
 */
static void
put_slice(const struct ct_input *in, const struct ct_raw *w, struct ctf_rec *rec)
{
	/* Who does not say when it began is in every sweep. */
	uint64_t start = raw_num_or(w, R_START, 0), last;

	if (in->slice.at_ns && start <= in->slice.upto_ns && !raw_has(w, R_NSID)) {
		last = last_packet(&in->t, w, raw_num_or(w, R_STOP, w->rx_ns)).ns;
		ctf_put_num(rec, in->f.slice_ns,
			    last < in->slice.at_ns ? last : in->slice.at_ns);
	} else if (start) {
		ctf_put_num(rec, in->f.slice_ns, start);
	}
}

static void
put_end(const struct ct_input *in, const struct ct_raw *w, struct ctf_rec *rec)
{
	const struct ct_fields *f = &in->f;
	uint64_t end = raw_num_or(w, R_STOP, w->rx_ns);

	if (in->flow_end == CT_LAST_PACKET)
		end = last_packet(&in->t, w, end).ns;
	put_time(rec, f->end_sec, f->end_usec, end);
	if (raw_has(w, R_STOP))
		put_time(rec, f->destroy_sec, f->destroy_usec, w->v[R_STOP].val.u);
}

void
ct_end(const struct ct_input *in, const struct ct_raw *w, struct ctf_rec *rec)
{
	if (in->plan.derived & D_START)
		put_start(&in->f, w, rec);
	if (w->event != CTF_DESTROY && !w->live)
		return;
	if (in->plan.derived & D_SLICE)
		put_slice(in, w, rec);
	if (in->plan.derived & D_END && !w->live)
		put_end(in, w, rec);
	if (in->plan.derived & D_LAST)
		put_last(in, w, rec);
}
