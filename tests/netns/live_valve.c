/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_valve.c - a reader that sleeps does not fill the connection table. */
#include "live.h"

#include <check.h>
#include <unistd.h>

#define MSEC UINT64_C(1000000)
#define CHUNK 50000u /* ports there are for the flows of one source port */

/* The lowest mark there is, so that the host's own maximum can stay as it is. */
static unsigned
mark(void)
{
	return (unsigned)lab_sysctl_get("nf_conntrack_max") / 100 + 1;
}

static unsigned
entries(void)
{
	return (unsigned)lab_sysctl_get("nf_conntrack_count");
}

static void
many_flows(unsigned n)
{
	for (unsigned sport = 4000; n > 0; sport++) {
		unsigned some = n < CHUNK ? n : CHUNK;

		lab_udp_flows(some, sport, 10000);
		n -= some;
	}
}

static struct live *
sleeper(void)
{
	struct live *l = live_enter();

	l->conf.buffer_size = 16384;
	l->conf.reliable_fill = 1;
	return l;
}

/* What the core's timer does in that time. */
static void
tick_for(struct live *l, unsigned msec)
{
	uint64_t begin = ctf_now();

	while (ctf_now() - begin + l->ctx.tick_msec * MSEC <= msec * MSEC) {
		usleep((useconds_t)l->ctx.tick_msec * 1000);
		l->ctx.tick(&l->self);
	}
}

/*
 * The table is full of ended flows nobody reads; until the valve is open: at
 * the first tick, or, if the kernel has not yet tried again, some later.
 */
static void
fill_and_sleep(struct live *l, unsigned n)
{
	many_flows(n);
	lab_flush();
	ck_assert_uint_ge(entries(), mark());
	tick_for(l, 1100);
	for (int i = 0; i < 2000 && !l->self.valve.open; i++)
		tick_for(l, 15);
	ck_assert(l->self.valve.open);
	ck_assert_uint_eq(live_count(l, "valve_opened"), 1);
	nfct_observe(&l->self);
	ck_assert_uint_eq(live_count(l, "valve_open"), 1);
	ck_assert(live_said(l, "<6> the connection table is filled to"));
	ck_assert_uint_eq(l->ctx.tick_msec, 10);
	for (int i = 0; i < 2000 && entries() > 0; i++)
		tick_for(l, 15);
	ck_assert_uint_eq(entries(), 0);
	ck_assert(l->self.valve.open); /* the receive buffer is still full */
	ck_assert_uint_eq(l->ctx.ngaps, 0);
}

/* Everything is read: the valve closes at the next looks. */
static void
read_and_close(struct live *l)
{
	live_read(l, 20);
	for (int i = 0; i < 1000 && l->self.valve.open; i++)
		tick_for(l, 15);
	ck_assert(!l->self.valve.open);
	nfct_observe(&l->self);
	ck_assert_uint_eq(live_count(l, "valve_open"), 0);
}

/* All that the kernel keeps comes, and nothing twice: its retries may be slow. */
static void
ck_read(struct live *l, unsigned n)
{
	ck_assert_uint_eq(live_read_all(l, n), n);
}

static void
ck_gap(const struct live *l, uint64_t begin, unsigned made, enum ctf_count_is is)
{
	const struct ctf_gap *g = &l->ctx.gap[0];

	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(g->cause, "valve");
	ck_assert_int_eq(g->count_is, is);
	ck_assert_uint_le(begin, g->from_ns);
	ck_assert_uint_lt(g->from_ns, g->to_ns);
	ck_assert_uint_le(g->to_ns, ctf_now());
	ck_assert_uint_gt(l->n, 0);
	if (is == CTF_EXACT)
		ck_assert_uint_eq(l->n + g->count, made);
	else
		ck_assert_uint_ge(l->n + g->count, made);
	ck_assert_uint_eq(live_count(l, "lost"), g->count);
}

/* A burst below the mark waits for a reader that only comes later. */
static void
ck_keeps_again(struct live *l)
{
	unsigned n = mark() / 2;

	many_flows(n);
	lab_flush();
	tick_for(l, 300);
	ck_assert_uint_ge(entries(), n - 30);
	ck_read(l, n);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_uint_eq(live_count(l, "valve_opened"), 1);
}

START_TEST(opens_and_closes)
{
	struct live *l = sleeper();
	unsigned n = mark() + 1000;
	uint64_t begin;

	live_start(l);
	begin = l->self.calm_ns;
	fill_and_sleep(l, n);
	read_and_close(l);
	ck_gap(l, begin, n, CTF_EXACT);
	ck_assert(live_said(l, "<5> the kernel has not kept ended flows for "));
	ck_keeps_again(l);
	for (int i = 0; i < 1500 && l->ctx.tick_msec == 10; i++)
		tick_for(l, 15);
	ck_assert_uint_eq(l->ctx.tick_msec, 1000);
	live_free(l);
}
END_TEST

/* Losses go on while it is open, until the end even. */
START_TEST(open_at_the_end)
{
	struct live *l = sleeper();
	unsigned n = mark() + 1000;
	uint64_t begin;

	live_start(l);
	begin = l->self.calm_ns;
	fill_and_sleep(l, n);
	many_flows(500);
	lab_flush();
	ck_assert(ctf_plugin_nfct.drain(&l->self, true));
	live_read(l, 20); /* what was queued */
	ck_gap(l, begin, n + 500, CTF_EXACT);
	ctf_plugin_nfct.stop(&l->self);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	live_free(l);
}
END_TEST

/* Where not each drop is a flow that ended, their number is a bound. */
START_TEST(at_most)
{
	struct live *l = sleeper();
	unsigned n = mark() + 1000;
	struct ctf_err err;
	uint64_t begin;
	int fd = -1;

	l->conf.hash_enable = _i == 0;
	live_start(l);
	begin = l->self.calm_ns;
	if (_i == 0) {
		ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &err), 0);
		ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &err), 0);
		ck_assert_int_gt(nfct_events_buffer(fd, 64 << 20), 0);
	}
	fill_and_sleep(l, n);
	if (_i == 0)
		close(fd);
	read_and_close(l);
	ck_gap(l, begin, n, CTF_AT_MOST);
	live_free(l);
}
END_TEST

static void
ck_never_opened(struct live *l)
{
	tick_for(l, 1200);
	ck_assert_uint_eq(live_count(l, "valve_opened"), 0);
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	ck_assert(!live_said(l, "connection table is filled"));
}

START_TEST(below_the_mark)
{
	struct live *l = sleeper();
	unsigned n = mark() / 2;

	live_start(l);
	many_flows(n);
	lab_flush();
	ck_never_opened(l);
	ck_assert_uint_gt(live_count(l, "retries"), 0);
	ck_read(l, n);
	live_free(l);
}
END_TEST

/* A table full of living flows is not our doing. */
START_TEST(living_flows)
{
	struct live *l = sleeper();

	live_start(l);
	many_flows(mark() + 1000);
	ck_assert_uint_gt(entries(), mark());
	ck_never_opened(l);
	ck_assert_uint_eq(l->ctx.tick_msec, 1000);
	live_free(l);
}
END_TEST

START_TEST(not_reliable)
{
	struct live *l = sleeper();

	l->conf.reliable = false;
	live_start(l);
	ck_assert_uint_eq(l->ctx.tick_msec, 1000);
	many_flows(mark() + 1000);
	lab_flush();
	ck_assert_uint_eq(entries(), 0);
	for (int i = 0; i < 3; i++)
		l->ctx.tick(&l->self);
	ck_never_opened(l);
	live_free(l);
}
END_TEST

/* The mark need not be low: neither 90 % nor an odd one is misjudged. */
START_TEST(higher_marks)
{
	static const unsigned fill[] = { 2, 90, 100 };
	struct live *l = sleeper();

	l->conf.reliable_fill = fill[_i];
	live_start(l);
	many_flows(mark() + mark() / 2);
	lab_flush();
	ck_never_opened(l);
	live_free(l);
}
END_TEST

/* Without the right to ask it is said, once; events go on. */
START_TEST(may_not_look)
{
	struct live *l = sleeper();
	const char *first, *text = "cannot see how full the connection table is";

	live_start(l);
	close(l->self.req.fd);
	l->self.req.fd = -1;
	l->ctx.tick(&l->self);
	l->ctx.tick(&l->self);
	first = strstr(l->ctx.log, text);
	ck_assert(first && !strstr(first + 1, text));
	lab_udp_flows(3, 4000, 10000);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), 3);
	live_free(l);
}
END_TEST

void
live_valve_tests(TCase *t)
{
	tcase_add_test(t, opens_and_closes);
	tcase_add_test(t, open_at_the_end);
	tcase_add_loop_test(t, at_most, 0, 2);
	tcase_add_test(t, below_the_mark);
	tcase_add_test(t, living_flows);
	tcase_add_test(t, not_reliable);
	tcase_add_loop_test(t, higher_marks, 0, 3);
	tcase_add_test(t, may_not_look);
}
