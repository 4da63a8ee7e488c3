/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_end.c - when a flow began, when its last packet was, and why it ended.
 *
 * Conntrack forgets a flow one timeout after its last packet.  The timeout
 * follows from protocol and final state, so the last packet can be worked out:
 * what the entry had left, less the timeout, before it was destroyed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "ct_raw.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MSEC UINT64_C(1000000)
/* Timeouts run in ticks of up to 10 ms, time stamps do not. */
#define TICKS_NS (20 * NS_PER_MSEC)

#define REASON_IDLE 1 /* IPFIX flowEndReason */
#define REASON_ACTIVE 2
#define REASON_ENDED 3
#define REASON_FORCED 4

#define STATUS_UNTIMED (IPS_FIXED_TIMEOUT | IPS_OFFLOAD | IPS_HW_OFFLOAD)
#define SYN_SENT2_SEC 120u /* no sysctl */
/* DCCP's states are not in the kernel's exported headers. */
#define DCCP_CLOSING 6
#define DCCP_TIMEWAIT 7

enum { /* index in ct_times.sec; of states: from state 1 on */
       TM_TCP = 0,
       TM_TCP_RETRANS = TM_TCP + 8,
       TM_TCP_UNACK,
       TM_UDP,
       TM_UDP_STREAM,
       TM_ICMP,
       TM_ICMPV6,
       TM_GRE,
       TM_GRE_STREAM,
       TM_GENERIC,
       TM_SCTP,
       TM_DCCP = TM_SCTP + 9,
       TM_N = TM_DCCP + 7
};
_Static_assert(TM_N <= CT_TIMES, "room in struct ct_times");

const struct ct_time_name ct_time_names[] = {
	{ "nf_conntrack_tcp_timeout_syn_sent", 120 },
	{ "nf_conntrack_tcp_timeout_syn_recv", 60 },
	{ "nf_conntrack_tcp_timeout_established", 432000 },
	{ "nf_conntrack_tcp_timeout_fin_wait", 120 },
	{ "nf_conntrack_tcp_timeout_close_wait", 60 },
	{ "nf_conntrack_tcp_timeout_last_ack", 30 },
	{ "nf_conntrack_tcp_timeout_time_wait", 120 },
	{ "nf_conntrack_tcp_timeout_close", 10 },
	{ "nf_conntrack_tcp_timeout_max_retrans", 300 },
	{ "nf_conntrack_tcp_timeout_unacknowledged", 300 },
	{ "nf_conntrack_udp_timeout", 30 },
	{ "nf_conntrack_udp_timeout_stream", 120 },
	{ "nf_conntrack_icmp_timeout", 30 },
	{ "nf_conntrack_icmpv6_timeout", 30 },
	{ "nf_conntrack_gre_timeout", 30 },
	{ "nf_conntrack_gre_timeout_stream", 180 },
	{ "nf_conntrack_generic_timeout", 600 },
	{ "nf_conntrack_sctp_timeout_closed", 10 },
	{ "nf_conntrack_sctp_timeout_cookie_wait", 3 },
	{ "nf_conntrack_sctp_timeout_cookie_echoed", 3 },
	{ "nf_conntrack_sctp_timeout_established", 210 },
	{ "nf_conntrack_sctp_timeout_shutdown_sent", 3 },
	{ "nf_conntrack_sctp_timeout_shutdown_recd", 3 },
	{ "nf_conntrack_sctp_timeout_shutdown_ack_sent", 3 },
	{ "nf_conntrack_sctp_timeout_heartbeat_sent", 30 },
	{ "nf_conntrack_sctp_timeout_heartbeat_acked", 210 },
	{ "nf_conntrack_dccp_timeout_request", 240 },
	{ "nf_conntrack_dccp_timeout_respond", 480 },
	{ "nf_conntrack_dccp_timeout_partopen", 480 },
	{ "nf_conntrack_dccp_timeout_open", 43200 },
	{ "nf_conntrack_dccp_timeout_closereq", 64 },
	{ "nf_conntrack_dccp_timeout_closing", 64 },
	{ "nf_conntrack_dccp_timeout_timewait", 240 },
	{ NULL, 0 },
};
_Static_assert(sizeof(ct_time_names) / sizeof(*ct_time_names) == TM_N + 1, "one name each");

void
ct_times_default(struct ct_times *t)
{
	for (unsigned i = 0; i < TM_N; i++)
		t->sec[i] = ct_time_names[i].dflt;
	t->npolicies = 0;
}

int
ct_times_set(struct ct_times *t, const char *sysctl, unsigned seconds)
{
	for (unsigned i = 0; i < TM_N; i++) {
		if (strcmp(ct_time_names[i].sysctl, sysctl) == 0) {
			t->sec[i] = seconds;
			return 0;
		}
	}
	return -ENOENT;
}

void
ct_times_policy(struct ct_times *t, const struct ct_policy *p)
{
	unsigned i = 0;

	while (i < t->npolicies && t->policy[i].proto != p->proto)
		i++;
	if (i == CT_POLICIES)
		return; /* more protocols than conntrack knows */
	if (i == t->npolicies) {
		t->policy[t->npolicies++] = *p;
		return;
	}
	if (t->policy[i].min > p->min)
		t->policy[i].min = p->min;
	if (t->policy[i].max < p->max)
		t->policy[i].max = p->max;
}

/* The timeout in force lies in [min, max] seconds; 0 0: not known. */
struct span {
	uint32_t min, max;
};

static struct span
exactly(uint32_t sec)
{
	return (struct span){ sec, sec };
}

static struct span
by_state(const struct ct_times *t, unsigned first, uint64_t state, unsigned n)
{
	return exactly(state >= 1 && state <= n ? t->sec[first + state - 1] : 0);
}

/* Retransmissions and unacknowledged data shorten it, and leave no trace. */
static struct span
tcp_span(const struct ct_times *t, uint64_t state)
{
	struct span s = state == TCP_CONNTRACK_SYN_SENT2 ? exactly(SYN_SENT2_SEC)
							 : by_state(t, TM_TCP, state, 8);

	if (s.min > t->sec[TM_TCP_RETRANS])
		s.min = t->sec[TM_TCP_RETRANS];
	if (s.min > t->sec[TM_TCP_UNACK])
		s.min = t->sec[TM_TCP_UNACK];
	return s;
}

/* By the settings, which hold unless a rule says otherwise. */
static struct span
usual_timeout(const struct ct_times *t, const struct ct_raw *w)
{
	bool assured = raw_num_or(w, R_STATUS, 0) & IPS_ASSURED;

	switch (w->v[R_ORIG + T_PROTO].val.u) {
	case IPPROTO_TCP:
		return tcp_span(t, raw_num_or(w, R_TCP_STATE, 0));
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return exactly(t->sec[assured ? TM_UDP_STREAM : TM_UDP]);
	case IPPROTO_ICMP:
		return exactly(t->sec[TM_ICMP]);
	case IPPROTO_ICMPV6:
		return exactly(t->sec[TM_ICMPV6]);
	case IPPROTO_GRE:
		return exactly(t->sec[assured ? TM_GRE_STREAM : TM_GRE]);
	case IPPROTO_SCTP:
		return by_state(t, TM_SCTP, raw_num_or(w, R_SCTP_STATE, 0), 9);
	case IPPROTO_DCCP:
		return by_state(t, TM_DCCP, raw_num_or(w, R_DCCP_STATE, 0), 7);
	}
	return exactly(t->sec[TM_GENERIC]);
}

static struct span
timeout_of(const struct ct_times *t, const struct ct_raw *w)
{
	struct span s;

	if (raw_num_or(w, R_STATUS, 0) & STATUS_UNTIMED || !raw_has(w, R_ORIG + T_PROTO))
		return exactly(0);
	s = usual_timeout(t, w);
	for (unsigned i = 0; s.max && i < t->npolicies; i++) {
		const struct ct_policy *p = &t->policy[i];

		if (p->proto != w->v[R_ORIG + T_PROTO].val.u)
			continue;
		s.min = s.min < p->min ? s.min : p->min;
		s.max = s.max > p->max ? s.max : p->max;
	}
	return s;
}

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
last_of_living(const struct ct_raw *w, struct span s, uint64_t stop, uint64_t left)
{
	uint64_t sec = left > s.min ? s.max : s.min, ns;

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
	struct span s = raw_has(w, R_NSID) ? exactly(0) : timeout_of(t, w);
	struct last l = { stop, false };
	uint64_t start = raw_num_or(w, R_START, 0);

	if (s.max && raw_has(w, R_TIMEOUT))
		l = last_of_living(w, s, stop, w->v[R_TIMEOUT].val.u);
	else if (s.max && !raw_has(w, R_PORTID) &&
		 !w->live) /* else old kernels hide what was left */
		l = (struct last){ before(stop, s.min), s.min == s.max };
	if (l.ns >= start)
		return l;
	/* Before the first packet: by the clocks' grain, or the timeout was another. */
	if (start - l.ns <= TICKS_NS && (l.exact || raw_has(w, R_TIMEOUT)))
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
