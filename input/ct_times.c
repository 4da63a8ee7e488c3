/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_times.c - which timeout an entry had when it ended. */
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "ct_raw.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define STATUS_UNTIMED (IPS_FIXED_TIMEOUT | IPS_OFFLOAD | IPS_HW_OFFLOAD)
#define SYN_SENT2_SEC 120u /* no sysctl */

enum { /* index in ct_times.at; of states: from state 1 on */
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
	*t = (struct ct_times){ 0 };
	for (unsigned i = 0; i < TM_N; i++)
		t->at[i].sec = ct_time_names[i].dflt;
}

int
ct_times_set(struct ct_times *t, const char *sysctl, unsigned seconds)
{
	for (unsigned i = 0; i < TM_N; i++) {
		if (strcmp(ct_time_names[i].sysctl, sysctl) == 0) {
			t->at[i].sec = seconds;
			return 0;
		}
	}
	return -ENOENT;
}

/* Of the list; false: there is no room. */
static bool
add_policy(struct ct_policy *list, unsigned *n, const struct ct_policy *p, unsigned *ret_at)
{
	unsigned i = 0;

	while (i < *n && list[i].proto != p->proto)
		i++;
	if (i == CT_POLICIES)
		return false; /* more protocols than conntrack knows */
	if (i == *n)
		list[(*n)++] = *p;
	if (list[i].min > p->min)
		list[i].min = p->min;
	if (list[i].max < p->max)
		list[i].max = p->max;
	*ret_at = i;
	return true;
}

void
ct_times_policy(struct ct_times *t, const struct ct_policy *p)
{
	unsigned at;

	(void)add_policy(t->policy, &t->npolicies, p, &at);
}

/* ---- changes ----------------------------------------------------------------- */

/* An entry that had its last packet at ns at the latest has ended by then. */
static uint64_t
ended_by(uint64_t ns, uint32_t sec)
{
	return ns + sec * NS_PER_SEC + CT_TICKS_NS;
}

static void
change(struct ct_time *c, uint32_t sec, uint64_t after_ns, uint64_t to_ns)
{
	uint64_t was_ns = ended_by(to_ns, c->sec);
	bool older = c->was_ns > after_ns; /* entries may still have what it was before */

	c->min = older && c->min < c->sec ? c->min : c->sec;
	c->max = older && c->max > c->sec ? c->max : c->sec;
	c->was_ns = older && c->was_ns > was_ns ? c->was_ns : was_ns;
	c->is_ns = after_ns + sec * NS_PER_SEC;
	c->sec = sec;
}

static bool
has_policy(const struct ct_times *t, const struct ct_policy *p)
{
	for (unsigned i = 0; i < t->npolicies; i++)
		if (t->policy[i].proto == p->proto)
			return t->policy[i].min <= p->min && t->policy[i].max >= p->max;
	return false;
}

static void
keep_policy(struct ct_times *t, const struct ct_policy *p, uint64_t until_ns)
{
	unsigned at;

	if (!add_policy(t->former, &t->nformer, p, &at))
		return;
	if (t->former_ns[at] < until_ns)
		t->former_ns[at] = until_ns;
}

static void
change_policies(struct ct_times *t, const struct ct_times *fresh, uint64_t after_ns,
		uint64_t to_ns)
{
	struct ct_times was = *t;

	t->npolicies = fresh->npolicies;
	memcpy(t->policy, fresh->policy, sizeof(t->policy));
	t->nformer = 0;
	memset(t->former_ns, 0, sizeof(t->former_ns));
	for (unsigned i = 0; i < was.nformer; i++)
		if (was.former_ns[i] > after_ns)
			keep_policy(t, &was.former[i], was.former_ns[i]);
	for (unsigned i = 0; i < was.npolicies; i++)
		if (!has_policy(t, &was.policy[i]))
			keep_policy(t, &was.policy[i], ended_by(to_ns, was.policy[i].max));
}

void
ct_times_update(struct ct_times *t, const struct ct_times *fresh, uint64_t after_ns,
		uint64_t to_ns)
{
	for (unsigned i = 0; i < TM_N; i++)
		if (t->at[i].sec != fresh->at[i].sec)
			change(&t->at[i], fresh->at[i].sec, after_ns, to_ns);
	change_policies(t, fresh, after_ns, to_ns);
}

/* ---- of one entry ------------------------------------------------------------- */

static struct ct_span
exactly(uint32_t sec)
{
	return (struct ct_span){ sec, sec, false };
}

static bool
is_edge(struct ct_span s, uint32_t sec)
{
	return sec == s.min || sec == s.max;
}

/* It, or one of these; two that are known make no range, three do. */
static void
or_else(struct ct_span *s, struct ct_span o)
{
	struct ct_span both = { s->min < o.min ? s->min : o.min,
				s->max > o.max ? s->max : o.max, s->between || o.between };

	both.between |= !is_edge(both, s->min) || !is_edge(both, s->max) ||
			!is_edge(both, o.min) || !is_edge(both, o.max);
	*s = both;
}

struct expiry { /* when an entry did, or would have if it had not been deleted */
	uint64_t from, to;
};

static struct ct_span
setting(const struct ct_times *t, unsigned i, struct expiry e)
{
	const struct ct_time *c = &t->at[i];
	struct ct_span s = exactly(c->sec), was = { c->min, c->max, c->min != c->max };

	if (e.from >= c->was_ns)
		return s;
	if (e.to + CT_TICKS_NS < c->is_ns)
		return was;
	or_else(&s, was);
	return s;
}

static struct ct_span
by_state(const struct ct_times *t, unsigned first, uint64_t state, unsigned n, struct expiry e)
{
	return state >= 1 && state <= n ? setting(t, first + (unsigned)state - 1, e)
					: exactly(0);
}

/* Retransmissions and unacknowledged data shorten it, and leave no trace. */
static struct ct_span
tcp_span(const struct ct_times *t, uint64_t state, struct expiry e)
{
	static const unsigned shorter[] = { TM_TCP_RETRANS, TM_TCP_UNACK };
	struct ct_span s = state == TCP_CONNTRACK_SYN_SENT2 ? exactly(SYN_SENT2_SEC)
							    : by_state(t, TM_TCP, state, 8, e);

	for (unsigned i = 0; i < 2 && s.max; i++) {
		struct ct_span o = setting(t, shorter[i], e);
		uint32_t max = s.max;

		if (o.min >= max)
			continue;
		or_else(&s, o);
		s.max = max;
	}
	return s;
}

/* By the settings, which hold unless a rule says otherwise. */
static struct ct_span
usual_timeout(const struct ct_times *t, const struct ct_raw *w, struct expiry e)
{
	bool assured = raw_num_or(w, R_STATUS, 0) & IPS_ASSURED;

	switch (w->v[R_ORIG + T_PROTO].val.u) {
	case IPPROTO_TCP:
		return tcp_span(t, raw_num_or(w, R_TCP_STATE, 0), e);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return setting(t, assured ? TM_UDP_STREAM : TM_UDP, e);
	case IPPROTO_ICMP:
		return setting(t, TM_ICMP, e);
	case IPPROTO_ICMPV6:
		return setting(t, TM_ICMPV6, e);
	case IPPROTO_GRE:
		return setting(t, assured ? TM_GRE_STREAM : TM_GRE, e);
	case IPPROTO_SCTP:
		return by_state(t, TM_SCTP, raw_num_or(w, R_SCTP_STATE, 0), 9, e);
	case IPPROTO_DCCP:
		return by_state(t, TM_DCCP, raw_num_or(w, R_DCCP_STATE, 0), 7, e);
	}
	return setting(t, TM_GENERIC, e);
}

static void
or_policy(struct ct_span *s, const struct ct_raw *w, const struct ct_policy *p)
{
	if (s->max && p->proto == w->v[R_ORIG + T_PROTO].val.u)
		or_else(s, (struct ct_span){ p->min, p->max, true });
}

struct ct_span
ct_timeout(const struct ct_times *t, const struct ct_raw *w, uint64_t stop)
{
	uint64_t left = raw_num_or(w, R_TIMEOUT, 0) * NS_PER_SEC;
	struct expiry e = { stop + left, stop + left };
	struct ct_span s;

	if (raw_has(w, R_TIMEOUT)) /* so many seconds and not another one */
		e.to += NS_PER_SEC;
	if (raw_num_or(w, R_STATUS, 0) & STATUS_UNTIMED || !raw_has(w, R_ORIG + T_PROTO))
		return exactly(0);
	s = usual_timeout(t, w, e);
	for (unsigned i = 0; i < t->npolicies; i++)
		or_policy(&s, w, &t->policy[i]);
	for (unsigned i = 0; i < t->nformer; i++)
		if (e.from < t->former_ns[i])
			or_policy(&s, w, &t->former[i]);
	return s;
}
