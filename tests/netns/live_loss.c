/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_loss.c - more events than there is room for, and the end. */
#include "live.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the run before ---- */

START_TEST(downtime)
{
	static const enum ctf_ended ended[] = { CTF_ENDED_UNKNOWN, CTF_ENDED_DIED,
						CTF_ENDED_CLEAN };
	struct live *l = live_enter();
	const struct ctf_gap *g = &l->ctx.gap[0];
	uint64_t begin = ctf_now();

	l->ctx.earlier.ended = ended[_i];
	l->ctx.earlier.last_ns = 1234567;
	live_start(l);
	ck_assert_uint_eq(l->ctx.ngaps, ended[_i] == CTF_ENDED_DIED);
	ck_assert_int_eq(live_said(l, "did not end in order"), ended[_i] == CTF_ENDED_DIED);
	if (l->ctx.ngaps) {
		ck_assert_str_eq(g->cause, "restart");
		ck_assert_uint_eq(g->from_ns, 1234567);
		ck_assert_uint_le(begin, g->to_ns);
		ck_assert_uint_le(g->to_ns, ctf_now());
		ck_assert_int_eq(g->count_is, CTF_UNCOUNTED);
		ck_assert_uint_eq(g->count, CTF_UNKNOWN);
	}
	live_free(l);
}
END_TEST

/* ---- delivery ---------------------------------------------------------------------- */

#define MANY 2000u

static unsigned
distinct(const struct live *l)
{
	uint8_t seen[65536] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		uint64_t port = ctf_num(live_rec(l, i), l->self.in.f.orig_dport);

		n += !seen[port];
		seen[port] = 1;
	}
	return n;
}

START_TEST(reliable_keeps_all)
{
	struct live *l = live_enter();

	l->conf.buffer_size = 16384;
	live_start(l);
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	ck_assert_uint_ge(ctf_plugin_nfct.backlog(&l->self), 80);
	ck_assert_uint_eq(live_read_all(l, MANY), MANY);
	ck_assert_uint_eq(distinct(l), MANY);
	ck_assert_uint_eq(ctf_plugin_nfct.backlog(&l->self), 0);
	l->ctx.tick(&l->self);
	ck_assert_uint_gt(live_count(l, "retries"), 0);
	ck_assert_uint_eq(live_count(l, "lost"), 0);
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	live_free(l);
}
END_TEST

START_TEST(overrun_is_a_gap)
{
	struct live *l = live_enter();
	uint64_t begin, sum = 0;

	l->conf.buffer_size = 16384;
	l->conf.reliable = false;
	live_start(l);
	live_read(l, 10);
	begin = l->self.read_ns;
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	ck_assert_uint_lt(live_read(l, 100), MANY);
	ck_assert_uint_ge(l->ctx.ngaps, 1);
	for (unsigned i = 0; i < l->ctx.ngaps; i++) {
		const struct ctf_gap *g = &l->ctx.gap[i];

		ck_assert_str_eq(g->cause, "overrun");
		ck_assert_int_eq(g->count_is, CTF_EXACT);
		ck_assert_uint_ge(g->from_ns, begin);
		ck_assert(g->from_ns <= g->to_ns && g->to_ns <= ctf_now());
		sum += g->count;
	}
	ck_assert_uint_eq(l->n + sum, MANY);
	ck_assert_uint_eq(live_count(l, "lost"), sum);
	ck_assert(live_said(l, "events lost"));
	live_free(l);
}
END_TEST

/* A second reliable listener may cause repeats: then a drop is not a flow. */
START_TEST(overrun_beside_another)
{
	struct live *l = live_enter();
	struct ctf_err err;
	int fd;

	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &err), 0);
	ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &err), 0);
	l->conf.buffer_size = 16384;
	l->conf.reliable = false;
	live_start(l);
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	live_read(l, 50);
	ck_assert_uint_ge(l->ctx.ngaps, 1);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_AT_MOST);
	ck_assert(live_said(l, "listens with reliable delivery, too"));
	live_free(l);
	close(fd);
}
END_TEST

/* Where other events are heard, too, a drop need not be a flow. */
START_TEST(overrun_of_other_events)
{
	struct live *l = live_enter();

	l->conf.buffer_size = 16384;
	l->conf.reliable = l->conf.hash_enable = false;
	live_start(l);
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	live_read(l, 50);
	ck_assert_uint_ge(l->ctx.ngaps, 1);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_AT_MOST);
	live_free(l);
}
END_TEST

START_TEST(buffer_grows)
{
	struct live *l = live_enter();

	l->conf.buffer_size = 16384;
	l->conf.buffer_maxsize = 100000;
	l->conf.reliable = false;
	live_start(l);
	for (int i = 0; i < 5; i++) {
		lab_udp_flows(MANY, 4000, 10000);
		lab_flush();
		live_read(l, 50);
	}
	ck_assert_uint_eq(l->self.buffer, 100000);
	ck_assert(live_said(l, "receive buffer grown to 32768 bytes (65536"));
	ck_assert(live_said(l, "receive buffer grown to 100000 bytes (200000"));
	ck_assert(live_said(l, "may not grow"));
	live_free(l);
}
END_TEST

/* The kernel keeps ends; of flows that are only heard to begin it keeps nothing. */
START_TEST(beginnings_are_lost)
{
	struct live *l = live_enter();
	struct ctf_err err;
	int fd;

	l->conf.buffer_size = 16384;
	l->conf.hash_enable = false;
	l->conf.event_mask = CTF_NEW;
	live_start(l);
	lab_udp_flows(MANY, 4000, 10000);
	ck_assert_uint_lt(live_read(l, 100), MANY);
	l->ctx.tick(&l->self);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_AT_MOST);
	ck_assert_uint_ge(l->ctx.gap[0].count + l->n, MANY);
	ck_assert_uint_eq(live_count(l, "lost"), l->ctx.gap[0].count);
	ck_assert(l->ctx.gap[0].from_ns < l->ctx.gap[0].to_ns);
	ck_assert(live_said(l, "events lost"));
	l->ctx.tick(&l->self);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	/* ends the kernel keeps for somebody else do not keep us */
	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &err), 0);
	ck_assert_int_gt(nfct_events_buffer(fd, 4096), 0);
	ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &err), 0);
	lab_flush();
	ck_assert(ctf_plugin_nfct.drain(&l->self, false));
	close(fd);
	live_free(l);
}
END_TEST

/* With reliable delivery nothing says ENOBUFS; the retries do, at each tick. */
START_TEST(buffer_grows_for_retries)
{
	struct live *l = live_enter();

	l->conf.buffer_size = 1000000;
	l->conf.buffer_maxsize = 16384;
	live_start(l);
	ck_assert_uint_eq(l->self.buffer, 16384);
	ck_assert(live_said(l, "is above netlink_socket_buffer_maxsize"));
	l->conf.buffer_maxsize = 32768;
	l->ctx.tick(&l->self);
	ck_assert_uint_eq(l->self.buffer, 16384);
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	ck_assert_uint_eq(live_read_all(l, MANY), MANY);
	l->ctx.tick(&l->self);
	ck_assert_uint_eq(l->self.buffer, 32768);
	live_free(l);
}
END_TEST

/* ---- the end ------------------------------------------------------------------------ */

/* What the kernel still keeps comes before the end, if there is time. */
START_TEST(drain_waits)
{
	struct live *l = live_enter();
	uint64_t begin = ctf_now();

	l->conf.buffer_size = 16384;
	live_start(l);
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	ck_assert(!ctf_plugin_nfct.drain(&l->self, false));
	while (!ctf_plugin_nfct.drain(&l->self, false)) {
		live_read(l, 5);
		ck_assert_uint_lt(ctf_now() - begin, LIVE_LIMIT);
	}
	live_read(l, 0);
	ck_assert_uint_eq(distinct(l), MANY);
	lab_udp_flows(1, 4000, 9999); /* nobody listens any more */
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), 0);
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	live_free(l);
}
END_TEST

/* If there is not, what is left is said. */
START_TEST(drain_now)
{
	struct live *l = live_enter();
	unsigned n;

	l->conf.buffer_size = 16384;
	live_start(l);
	lab_udp_flows(MANY, 4000, 10000);
	lab_flush();
	ck_assert(ctf_plugin_nfct.drain(&l->self, true));
	n = live_read(l, 100); /* what was queued stays readable */
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(l->ctx.gap[0].cause, "stop");
	ck_assert_uint_eq(n + l->ctx.gap[0].count, MANY);
	ck_assert_uint_eq(live_count(l, "lost"), l->ctx.gap[0].count);
	live_free(l);
}
END_TEST

START_TEST(drain_idle)
{
	struct live *l = live_enter();

	live_start(l);
	ck_assert(ctf_plugin_nfct.drain(&l->self, false));
	live_free(l);
}
END_TEST

void
live_loss_tests(TCase *t)
{
	tcase_add_loop_test(t, downtime, 0, 3);
	tcase_add_test(t, reliable_keeps_all);
	tcase_add_test(t, overrun_is_a_gap);
	tcase_add_test(t, overrun_beside_another);
	tcase_add_test(t, overrun_of_other_events);
	tcase_add_test(t, beginnings_are_lost);
	tcase_add_test(t, buffer_grows);
	tcase_add_test(t, buffer_grows_for_retries);
	tcase_add_test(t, drain_waits);
	tcase_add_test(t, drain_now);
	tcase_add_test(t, drain_idle);
	live_repeat_tests(t);
}
