/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_sweep.c - what lives in the table: at the start, every so often, on demand. */
#include "live.h"

#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define MSEC UINT64_C(1000000)
#define FLOWS 5000u
#define WANTS(x) (1u << CTF_INTERIM_##x)

/* How often each destination port is there, among records of that kind. */
static unsigned
ports_seen(const struct live *l, enum ctf_kind kind, unsigned first, unsigned n,
	   unsigned *ret_records)
{
	uint8_t *seen = calloc(1, n);
	unsigned distinct = 0, records = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct ctf_rec *r = live_rec(l, i);
		unsigned port = (unsigned)ctf_num_or(r, l->self.in.f.orig_dport, 0);

		if (r->kind != kind)
			continue;
		ck_assert_int_eq(r->event, CTF_UPDATE);
		ck_assert_uint_ge(port, first);
		ck_assert_uint_lt(port, first + n);
		records++;
		distinct += !seen[port - first]++;
	}
	free(seen);
	*ret_records = records;
	return distinct;
}

static void
ck_all_ports(const struct live *l, enum ctf_kind kind, unsigned first, unsigned n)
{
	unsigned records;

	ck_assert_uint_eq(ports_seen(l, kind, first, n, &records), n);
	ck_assert_uint_eq(records, n);
}

/* Flows that live already are counted, and told only to who wants counters. */
START_TEST(census)
{
	static const struct {
		unsigned wants, records;
	} t[] = { { WANTS(NONE), 0 }, { WANTS(PRESENCE), 0 }, { WANTS(COUNTERS), 300 } };
	struct live *l = live_enter();

	lab_sysctl("nf_conntrack_timestamp", 1);
	lab_sysctl("nf_conntrack_acct", 1);
	lab_udp_flows(300, 4000, 10000);
	l->ctx.interim = t[_i].wants;
	l->conf.active_timeout = 3600000;
	live_start(l);
	lab_udp_flows(100, 4001, 20000); /* younger than the dump */
	live_until(l, live_count(l, "live_at_start"));
	ck_assert_uint_eq(live_count(l, "live_at_start"), 300);
	ck_assert_uint_eq(live_count(l, "unreported"), 300);
	ck_assert(live_said(l, "300 of them can never report their end"));
	ck_assert_uint_eq(l->n, t[_i].records);
	ck_assert_uint_eq(l->ctx.nsweeps, t[_i].records > 0);
	if (t[_i].records) {
		ck_all_ports(l, CTF_COUNTERS, 10000, 300);
		ck_assert(l->ctx.sweep[0].complete);
		ck_assert_uint_eq(l->ctx.sweep[0].min_age_ns, 0);
		ck_assert_uint_eq(l->ctx.sweep[0].previous_ns, 0);
		ck_assert_int_eq(l->ctx.sweep[0].nsid, -1);
	}
	live_free(l);
}
END_TEST

static void
ck_counters(const struct live *l, const struct ctf_rec *r, bool has)
{
	const struct ct_fields *f = &l->self.in.f;

	ck_assert(ctf_has(r, f->orig_packets) == has);
	ck_assert(ctf_has(r, f->orig_bytes) == has);
	ck_assert(ctf_has(r, f->reply_packets) == has);
	ck_assert(ctf_has(r, f->reply_bytes) == has);
	ck_assert(!has ||
		  (ctf_num(r, f->orig_packets) == 1 && ctf_num(r, f->orig_bytes) == 29));
}

/* What such a record says of a flow that began lately and had one packet. */
static void
ck_interim(const struct live *l, const struct ctf_rec *r, uint64_t asked_ns)
{
	const struct ct_fields *f = &l->self.in.f;
	uint64_t start = ctf_num(r, f->start_ns), last = ctf_num(r, f->last_ns);

	ck_counters(l, r, r->kind == CTF_COUNTERS);
	ck_assert_uint_eq(ctf_num(r, f->end_reason), 2);
	ck_assert_uint_eq(ctf_num(r, f->slice_ns), start);
	/* the kernel tells whole seconds, and what it told may have waited for us */
	ck_assert(last >= start && last <= r->rx_ns);
	ck_assert_uint_lt(last - start, 1100 * MSEC + (r->rx_ns - asked_ns));
	ck_assert_uint_eq(ctf_num(r, f->duration), (last - start) / MSEC);
	ck_assert(!ctf_has(r, f->portid) && !ctf_has(r, f->destroy_ns) &&
		  !ctf_has(r, f->end_sec) && !ctf_has(r, f->event_ns));
	ck_assert_uint_eq(ctf_num(r, f->event), CTF_UPDATE);
}

/* Flows with a record of that kind in one sweep; none has two. */
static unsigned
of_sweep(const struct live *l, unsigned sweep, enum ctf_kind kind)
{
	const struct ctf_sweep *w = &l->ctx.sweep[sweep];
	uint64_t until = sweep + 1 < l->ctx.nsweeps ? w[1].at_ns : UINT64_MAX;
	uint8_t seen[65536] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct ctf_rec *r = live_rec(l, i);

		if (r->kind != kind || r->rx_ns < w->at_ns || r->rx_ns >= until)
			continue;
		ck_interim(l, r, w->at_ns);
		ck_assert_uint_le(ctf_num(r, l->self.in.f.start_ns) + w->min_age_ns, w->at_ns);
		ck_assert(!seen[ctf_num(r, l->self.in.f.orig_dport)]++);
		n++;
	}
	return n;
}

/* By the ends: how many flows lived then, of those as old as that. */
static unsigned
as_old(const struct live *l, uint64_t at_ns, uint64_t min_age_ns)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct ctf_rec *r = live_rec(l, i);

		n += r->event == CTF_DESTROY &&
		     ctf_num(r, l->self.in.f.start_ns) + min_age_ns <= at_ns;
	}
	return n;
}

static unsigned
ends(const struct live *l)
{
	return as_old(l, UINT64_MAX, 0);
}

/* Each old flow once per sweep and kind, no young one, nothing zeroed. */
START_TEST(sweep)
{
	struct live *l = live_enter();
	const struct ctf_sweep *w = l->ctx.sweep;
	unsigned old = 0, young = 0, sweeps;

	l->ctx.interim = WANTS(PRESENCE) | WANTS(COUNTERS);
	l->conf.active_timeout = 600;
	live_start(l);
	lab_udp_flows(FLOWS, 4000, 10000);
	while (l->ctx.nsweeps < 2)
		live_read(l, 20);
	lab_udp_flows(10, 4001, 30000);
	live_until(l, l->ctx.nsweeps >= 4 && !l->self.sweep.now);
	sweeps = l->ctx.nsweeps; /* a later one may find no flow */
	lab_flush();
	live_until(l, ends(l) >= FLOWS + 10);
	ck_assert_uint_eq(ends(l), FLOWS + 10);
	for (unsigned i = 1; i < sweeps && w[i].complete; i++) {
		unsigned n = as_old(l, w[i].at_ns, w[i].min_age_ns);

		ck_assert_uint_eq(w[i].min_age_ns, 600 * MSEC);
		ck_assert_uint_eq(w[i].previous_ns, w[i - 1].at_ns);
		ck_assert(!w[i].delta);
		ck_assert_uint_eq(of_sweep(l, i, CTF_PRESENCE), n);
		ck_assert_uint_eq(of_sweep(l, i, CTF_COUNTERS), n);
		old += n;
		young += as_old(l, w[i].at_ns, 0) - n;
	}
	ck_assert(w[0].complete && w[1].complete && w[2].complete && w[3].complete);
	ck_assert_uint_ge(old, FLOWS);
	ck_assert_uint_gt(young, 0);
	for (unsigned i = 0; i < l->n; i++) {
		const struct ctf_rec *r = live_rec(l, i);

		if (r->event != CTF_DESTROY)
			continue;
		ck_counters(l, r, true);
		ck_assert_uint_eq(ctf_num(r, l->self.in.f.slice_ns),
				  ctf_num(r, l->self.in.f.start_ns));
	}
	ck_assert_uint_eq(l->ctx.zero_requests, 0);
	live_free(l);
}
END_TEST

/* SIGUSR2: all that lives, as ordinary records with counters. */
START_TEST(show)
{
	struct live *l = live_enter();

	live_start(l);
	lab_udp_flows(FLOWS, 4000, 10000);
	live_read(l, 20);
	ctf_plugin_nfct.dump(&l->self);
	ctf_plugin_nfct.dump(&l->self); /* while the first one goes on: once more */
	live_until(l, l->n >= 2 * FLOWS && !l->self.sweep.now);
	ck_assert_uint_eq(l->n, 2 * FLOWS);
	for (unsigned i = 0; i < l->n; i++) {
		ck_assert_int_eq(live_rec(l, i)->kind, CTF_EVENT);
		ck_assert_int_eq(live_rec(l, i)->event, CTF_UPDATE);
		ck_counters(l, live_rec(l, i), true);
		ck_assert(!ctf_has(live_rec(l, i), l->self.in.f.end_reason));
	}
	ck_assert_uint_eq(l->ctx.nsweeps, 0);
	ck_assert_uint_eq(l->ctx.zero_requests, 0);
	ck_assert(live_said(l, "5000 flows of the table shown"));
	live_free(l);
}
END_TEST

/* The records of one flow, in order: what they add up to, and since when. */
static void
ck_slices(const struct live *l, unsigned dport, uint64_t packets)
{
	const struct ct_fields *f = &l->self.in.f;
	uint64_t sum = 0, bytes = 0, since = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct ctf_rec *r = live_rec(l, i);

		if (ctf_num_or(r, f->orig_dport, 0) != dport)
			continue;
		ck_assert_uint_ge(ctf_num(r, f->slice_ns), since);
		if (since == 0)
			ck_assert_uint_eq(ctf_num(r, f->slice_ns), ctf_num(r, f->start_ns));
		else
			ck_assert_uint_gt(ctf_num(r, f->slice_ns), ctf_num(r, f->start_ns));
		ck_assert(r->event == CTF_DESTROY || r->kind == CTF_DELTA);
		since = ctf_num(r, f->slice_ns);
		sum += ctf_num(r, f->orig_packets) + ctf_num(r, f->reply_packets);
		bytes += ctf_num(r, f->orig_bytes) + ctf_num(r, f->reply_bytes);
	}
	ck_assert_uint_eq(sum, packets);
	ck_assert_uint_eq(bytes, packets * (50 + 28));
}

/* Each count once, under traffic, and no dump ever sets one back. */
START_TEST(delta)
{
	enum { TALKS = 40, ROUNDS = 12 };
	struct live *l = live_enter();
	unsigned rounds = 0;

	l->conf.active_timeout = 100;
	l->conf.active_counters = NFCT_DELTA;
	l->ctx.interim = WANTS(COUNTERS);
	live_start(l);
	for (; rounds < ROUNDS || l->ctx.nsweeps <= 3; rounds++) {
		for (unsigned i = 0; i < TALKS; i++) {
			lab_udp_talk(AF_INET, 4000, 10000 + i, 3, 2, 50);
			live_read(l, 0);
		}
		live_read(l, 30);
	}
	lab_flush();
	live_read(l, 50);
	for (unsigned i = 0; i < TALKS; i++)
		ck_slices(l, 10000 + i, 5 * rounds);
	ck_assert_uint_ge(l->ctx.zero_requests, 2 * TALKS);
	ck_assert_uint_eq(live_count(l, "counters_lost"), 0);
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	ck_assert(l->ctx.sweep[1].delta && l->ctx.sweep[1].complete);
	live_free(l);
}
END_TEST

/* An answer that does not fit into the buffer is missed, counted, and a gap. */
START_TEST(delta_loses)
{
	struct live *l = live_enter();
	int size = 1;

	lab_sysctl("nf_conntrack_timestamp", 1);
	lab_sysctl("nf_conntrack_acct", 1);
	lab_udp_flows(100, 4000, 10000);
	l->conf.active_timeout = 3600000;
	l->conf.active_counters = NFCT_DELTA;
	l->ctx.interim = WANTS(COUNTERS);
	live_start(l);
	ck_assert_int_eq(
		setsockopt(l->self.sweep.ask, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	live_until(l, l->ctx.nsweeps);
	ck_assert_uint_eq(l->ctx.zero_requests, 100);
	ck_assert_uint_lt(l->n, 100);
	ck_assert_uint_eq(l->n + live_count(l, "counters_lost"), 100);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(l->ctx.gap[0].cause, "counters");
	ck_assert_uint_eq(l->ctx.gap[0].count, 100 - l->n);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_AT_MOST);
	ck_assert(!l->ctx.sweep[0].complete);
	ck_assert(live_said(l, "set back, but not received"));
	live_free(l);
}
END_TEST

/* What is not selected is not reported, and not set back either. */
START_TEST(selection)
{
	struct live *l = live_enter();

	lab_sysctl("nf_conntrack_timestamp", 1);
	lab_sysctl("nf_conntrack_acct", 1);
	lab_udp_flows(100, 4000, 10000);
	l->conf.select = "dst portrange 10000-10029";
	l->conf.active_timeout = 3600000;
	l->conf.active_counters = NFCT_DELTA;
	l->ctx.interim = WANTS(COUNTERS);
	live_start(l);
	live_until(l, l->ctx.nsweeps);
	ck_assert_uint_eq(l->n, 30);
	for (unsigned i = 0; i < l->n; i++)
		ck_assert_uint_lt(ctf_num(live_rec(l, i), l->self.in.f.orig_dport), 10030);
	ck_assert_uint_eq(l->ctx.zero_requests, 30);
	ck_assert_uint_eq(live_count(l, "live_at_start"), 30);
	ctf_plugin_nfct.dump(&l->self);
	live_until(l, !l->self.sweep.now);
	ck_assert_uint_eq(l->n, 60);
	live_free(l);
}
END_TEST

/* What an earlier run has set back still counts from there. */
START_TEST(delta_goes_on)
{
	struct live *l = live_enter();
	const struct ct_fields *f = &l->self.in.f;
	uint64_t first;

	lab_sysctl("nf_conntrack_timestamp", 1);
	lab_sysctl("nf_conntrack_acct", 1);
	lab_udp_talk(AF_INET, 4000, 5000, 3, 2, 50);
	l->conf.active_timeout = 3600000;
	l->conf.active_counters = NFCT_DELTA;
	l->ctx.interim = WANTS(COUNTERS);
	live_start(l);
	live_until(l, l->ctx.nsweeps == 1);
	first = l->ctx.sweep[0].at_ns;
	ctf_plugin_nfct.stop(&l->self);
	memset(&l->self.in.slice, 0, sizeof(l->self.in.slice));
	ck_assert_int_eq(ctf_plugin_nfct.start(&l->self, &l->err), 0);
	lab_udp_talk(AF_INET, 4000, 5000, 1, 0, 50);
	live_until(l, l->ctx.nsweeps == 2);
	ck_assert_uint_eq(l->n, 2);
	ck_assert_uint_eq(ctf_num(live_rec(l, 0), f->orig_packets), 3);
	ck_assert_uint_eq(ctf_num(live_rec(l, 0), f->slice_ns),
			  ctf_num(live_rec(l, 0), f->start_ns));
	ck_assert_uint_eq(ctf_num(live_rec(l, 1), f->orig_packets), 1);
	ck_assert_uint_eq(ctf_num(live_rec(l, 1), f->slice_ns), first);
	live_free(l);
}
END_TEST

/* Others would add up remainders, or nobody would be told. */
START_TEST(delta_refused)
{
	static const struct {
		unsigned interim, timeout;
		const char *says;
	} t[] = { { WANTS(COUNTERS), 0, "needs an active_timeout" },
		  { WANTS(COUNTERS) | WANTS(PRESENCE), 1, "every output must be" },
		  { WANTS(NONE), 1, "every output must be" } };
	struct live *l = live_new();

	l->conf.active_counters = NFCT_DELTA;
	l->conf.active_timeout = t[_i].timeout;
	l->ctx.interim = t[_i].interim;
	ck_assert_int_lt(live_try(l), 0);
	ck_assert_str_eq(l->ctx.blamed, "active_counters");
	ck_assert_ptr_nonnull(strstr(l->err.msg, t[_i].says));
	live_free(l);
}
END_TEST

/* What else is watched: clock, timeouts, and the child that tries out the kernel. */
static unsigned
others(const struct live *l)
{
	return 2 + (l->self.probe.fd >= 0);
}

/* An end that is near does not wait for a dump, nor is there another one. */
START_TEST(drain)
{
	struct live *l = live_enter();

	l->conf.active_timeout = 200;
	l->ctx.interim = WANTS(COUNTERS);
	lab_udp_flows(FLOWS, 4000, 10000);
	live_start(l);
	ck_assert_uint_eq(l->ctx.nwatches, 2 + others(l));
	while (!ctf_plugin_nfct.drain(&l->self, false))
		live_read(l, 10);
	ck_assert_uint_eq(l->ctx.nwatches, others(l));
	ck_assert_uint_eq(l->ctx.nsweeps, 1);
	ck_assert(!l->ctx.sweep[0].complete);
	ctf_plugin_nfct.dump(&l->self);
	ck_assert_uint_eq(live_read(l, 300), 0);
	ck_assert_uint_eq(l->ctx.nsweeps, 1);
	live_free(l);
}
END_TEST

/* reap_interval and pollinterval; a sweep does it, too. */
START_TEST(reaping)
{
	struct live *l = live_enter();

	if (_i == 0)
		l->conf.reap_interval = 400;
	else if (_i == 1)
		l->conf.poll = 400;
	else
		l->conf.active_timeout = 400;
	l->ctx.interim = WANTS(PRESENCE);
	live_start(l);
	lab_sysctl("nf_conntrack_udp_timeout", 1);
	lab_udp_flows(100, 4000, 10000);
	live_until(l, ends(l) >= 100); /* by more than one look, maybe */
	for (unsigned i = 0; i < 100; i++)
		ck_assert(live_find(l, CTF_DESTROY, 10000 + i));
	live_free(l);
}
END_TEST

void
live_sweep_tests(TCase *t)
{
	tcase_add_loop_test(t, census, 0, 3);
	tcase_add_test(t, sweep);
	tcase_add_test(t, show);
	tcase_add_test(t, delta);
	tcase_add_test(t, delta_loses);
	tcase_add_test(t, delta_goes_on);
	tcase_add_test(t, selection);
	tcase_add_loop_test(t, delta_refused, 0, 3);
	tcase_add_test(t, drain);
	tcase_add_loop_test(t, reaping, 0, 3);
}
