/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_match.c - what an address is to a flow, and whether the flow existed then. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "who.h"

#define MATCHES 20000u /* more are not told one by one */
/* A stop that was received may have come so much later. */
#define WAY_NS (2 * WHO_SEC)

static int
bytes_of(const struct q_addr *a)
{
	return a->family == 0 ? 0 : a->family == AF_INET ? 4 : 16;
}

static int
addr_compare(const struct q_addr *a, const struct q_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->ip, b->ip, (size_t)bytes_of(a));
}

static int
port_of(const struct q_flow *f, unsigned bit, uint16_t port)
{
	return f->has & bit ? port : -1;
}

static bool
is(const struct q_addr *want, int port, const struct q_addr *a, int p)
{
	return want->family && addr_compare(want, a) == 0 && (port < 0 || port == p);
}

/* ---- roles ----------------------------------------------------------------------- */

struct ends { /* of a flow */
	int sport, dport, nat_sport, nat_dport;
};

static void
outside_is(struct who_match *m, enum who_role role, bool of_source, const struct ends *e)
{
	const struct q_flow *f = &m->f;

	m->role = role;
	m->host = of_source ? f->src : f->nat_dst;
	m->hport = of_source ? e->sport : e->nat_dport;
	m->out = of_source ? f->nat_src : f->dst;
	m->oport = of_source ? e->nat_sport : e->dport;
	if (role == WHO_OWN) {
		m->out = m->host;
		m->oport = m->hport;
	} else if (role == WHO_ANSWERED) {
		m->host = m->out;
		m->hport = m->oport;
	}
}

/* To knock at a port does not mean that anybody has it. */
static bool
was_answered(const struct q_flow *f)
{
	return !f->nat_dst.family && f->has & Q_H_STATUS && f->status & IPS_ASSURED;
}

static bool
role_of(const struct who_ask *a, struct who_match *m, const struct ends *e)
{
	const struct q_flow *f = &m->f;

	if (is(&a->addr, a->port, &f->nat_src, e->nat_sport))
		outside_is(m, WHO_NAT, true, e);
	else if (!f->nat_src.family && is(&a->addr, a->port, &f->src, e->sport))
		outside_is(m, WHO_OWN, true, e);
	else if (f->nat_dst.family && is(&a->addr, a->port, &f->dst, e->dport))
		outside_is(m, WHO_FORWARD, false, e);
	else if (f->nat_src.family && is(&a->addr, a->port, &f->src, e->sport))
		outside_is(m, WHO_INSIDE, true, e);
	else if (is(&a->addr, a->port, &f->nat_dst, e->nat_dport))
		outside_is(m, WHO_SERVED, false, e);
	else if (was_answered(f) && is(&a->addr, a->port, &f->dst, e->dport))
		outside_is(m, WHO_ANSWERED, false, e);
	else
		return false;
	return true;
}

/* The other side of it, as either end knew it. */
static bool
far_side(const struct who_ask *a, struct who_match *m, const struct ends *e)
{
	const struct q_flow *f = &m->f;

	if (!a->dst.family)
		return true;
	if (m->role == WHO_FORWARD || m->role == WHO_SERVED || m->role == WHO_ANSWERED)
		return is(&a->dst, a->dport, &f->src, e->sport) ||
		       is(&a->dst, a->dport, &f->nat_src, e->nat_sport);
	if (!f->dst.family) {
		m->doubt = "the table does not store destinations";
		return true;
	}
	return is(&a->dst, a->dport, &f->dst, e->dport) ||
	       is(&a->dst, a->dport, &f->nat_dst, e->nat_dport);
}

/* ---- times ------------------------------------------------------------------------- */

static bool
ended_then(const struct who_ask *a, struct who_match *m)
{
	const struct q_flow *f = &m->f;

	if (f->at_ns < a->from_ns)
		return false;
	if (f->start_ns == Q_NEVER)
		m->doubt = "its start is not known: there were no timestamps";
	else if (f->start_ns > f->at_ns)
		m->doubt = "the clock was set back while it lived";
	else if (f->start_ns > a->to_ns)
		return false;
	else if (!f->stamped && f->at_ns - WAY_NS < a->from_ns && q_flow_end(f) < a->from_ns)
		m->doubt = "when it ended is known only by when that was received";
	return true;
}

static bool
open_then(const struct who_ask *a, struct who_match *m, int64_t gone)
{
	const struct q_flow *f = &m->f;

	if (gone < a->from_ns || (f->start_ns != Q_NEVER && f->start_ns > a->to_ns))
		return false;
	if (f->start_ns == Q_NEVER && (f->seen_ns < a->from_ns || f->seen_ns > a->to_ns))
		m->doubt = "its start is not known: there were no timestamps";
	else if (f->lost && f->seen_ns < a->from_ns)
		m->doubt = "it was seen before, and nobody saw its end";
	else if (f->open && f->seen_ns < a->from_ns)
		m->doubt = "it was seen before, and its end may be lost";
	m->sure_if_heard = m->doubt && f->open && f->start_ns != Q_NEVER;
	return true;
}

/* ---- the list ------------------------------------------------------------------------ */

static struct who_match *
append(struct who_matches *l, const struct who_match *m, int *ret_r)
{
	unsigned room = l->room ? l->room * 2 : 16;
	struct who_match *more;

	if (l->n == l->room) {
		more = realloc(l->m, room * sizeof(*more));
		if (!more) {
			*ret_r = -ENOMEM;
			return NULL;
		}
		l->m = more;
		l->room = room;
	}
	l->m[l->n] = *m;
	return &l->m[l->n++];
}

struct who_match *
who_consider(const struct who_ask *a, const struct q_flow *f, int64_t gone,
	     struct who_matches *l, int *ret_r)
{
	struct who_match m = { .f = *f, .hport = -1, .oport = -1 };
	struct ends e = { port_of(f, Q_H_SPORT, f->sport), port_of(f, Q_H_DPORT, f->dport),
			  port_of(f, Q_H_NAT_SPORT, f->nat_sport),
			  port_of(f, Q_H_NAT_DPORT, f->nat_dport) };

	*ret_r = 0;
	if ((a->proto >= 0 && f->has & Q_H_PROTO && f->proto != a->proto) ||
	    !role_of(a, &m, &e) || !far_side(a, &m, &e))
		return NULL;
	if (f->open || f->lost ? !open_then(a, &m, gone) : !ended_then(a, &m))
		return NULL;
	m.sure = !m.doubt;
	if (l->n >= MATCHES) {
		l->more = true;
		return NULL;
	}
	return append(l, &m, ret_r);
}

#define ORDER(x, y) \
	if ((x) != (y)) \
	return (x) < (y) ? -1 : 1

/* What is known of the same flow comes best first: its end, the kernel's word, a sweep's. */
static int
rank(const struct who_match *m)
{
	return !m->f.open && !m->f.lost ? 0 : m->live ? 1 : m->f.open ? 2 : 3;
}

/* NULL, of a file, comes first; an id is of one exporter. */
static int
by_exporter(const struct q_flow *a, const struct q_flow *b)
{
	return strcmp(a->exporter ? a->exporter : "", b->exporter ? b->exporter : "");
}

static int
same_flow(const struct who_match *a, const struct who_match *b)
{
	int r;

	ORDER(a->f.start_ns, b->f.start_ns);
	r = by_exporter(&a->f, &b->f);
	if (r)
		return r;
	ORDER(a->f.nsid, b->f.nsid);
	ORDER(a->f.id, b->f.id);
	ORDER(a->f.proto, b->f.proto);
	ORDER(a->f.zone, b->f.zone);
	r = addr_compare(&a->f.src, &b->f.src);
	if (!r)
		r = addr_compare(&a->f.nat_src, &b->f.nat_src);
	if (r)
		return r;
	ORDER(a->f.sport, b->f.sport);
	ORDER(a->f.nat_sport, b->f.nat_sport);
	if (a->f.dst.family && b->f.dst.family) /* a table may not have them */
		r = addr_compare(&a->f.dst, &b->f.dst);
	if (r)
		return r;
	/* Of a flow without a start the times are all there is. */
	if (a->f.start_ns == Q_NEVER && !a->f.open && !b->f.open)
		ORDER(a->f.at_ns, b->f.at_ns);
	return 0;
}

static int
compare(const void *x, const void *y)
{
	const struct who_match *a = x, *b = y;
	int r = same_flow(a, b);

	if (r)
		return r;
	ORDER(rank(a), rank(b));
	ORDER(a->f.at_ns, b->f.at_ns);
	return 0;
}

void
who_matches_tidy(struct who_matches *l)
{
	unsigned n = 0;

	if (l->n == 0)
		return;
	qsort(l->m, l->n, sizeof(*l->m), compare);
	for (unsigned i = 0; i < l->n; i++) {
		if (n && same_flow(&l->m[n - 1], &l->m[i]) == 0) {
			free(l->m[i].raw);
			continue;
		}
		l->m[n++] = l->m[i];
	}
	l->n = n;
}

void
who_matches_free(struct who_matches *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->m[i].raw);
	free(l->m);
	*l = (struct who_matches){ .n = 0 };
}

static bool
same_host(const struct who_match *a, const struct who_match *b)
{
	return addr_compare(&a->host, &b->host) == 0 && a->f.zone == b->f.zone &&
	       a->f.nsid == b->f.nsid && by_exporter(&a->f, &b->f) == 0;
}

unsigned
who_hosts(const struct who_matches *l, bool sure)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		unsigned k = 0;

		if (sure && !l->m[i].sure)
			continue;
		while (k < i && !((l->m[k].sure || !sure) && same_host(&l->m[k], &l->m[i])))
			k++;
		n += k == i;
	}
	return n;
}
