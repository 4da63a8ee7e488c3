/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_times.c - timeouts that are changed while flows live. */
#include "live.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>

#define MSEC UINT64_C(1000000)
#define NEAR (50 * MSEC) /* as late as a tick may be; what would be wrong is a second off */
#define UDP "nf_conntrack_udp_timeout"

enum { OWN, BY_PATH, UNWATCHED, BETWEEN_RUNS, WAYS };

enum { OLD = 1001, NEW, LATE }; /* ports: the timeout before the change, after, long after */

struct span {
	uint64_t from, to;
};

/* Timeouts go by the kernel's tick, which may be late on a busy machine. */
static struct span
packet(unsigned port)
{
	struct timespec tick;
	struct span s;

	clock_gettime(CLOCK_REALTIME_COARSE, &tick);
	s.from = (uint64_t)tick.tv_sec * NFCT_SEC + (uint64_t)tick.tv_nsec;
	lab_udp_talk(AF_INET, 4000, port, 1, 0, 10);
	s.to = ctf_now();
	return s;
}

/* The end of that flow, read as the core does. */
static const struct ctf_rec *
end_of(struct live *l, unsigned port)
{
	live_until(l, live_find(l, CTF_DESTROY, port) != NULL);
	return live_find(l, CTF_DESTROY, port);
}

static void
ck_end(struct live *l, unsigned port, const char *kind, struct span sent, uint64_t off)
{
	const struct ctf_rec *r = end_of(l, port);
	const union ctf_val *v = &r->v[l->self.in.f.end_kind];
	uint64_t last = ctf_num(r, l->self.in.f.last_ns);

	ck_assert_msg(v->s.len == strlen(kind) && memcmp(v->s.p, kind, v->s.len) == 0,
		      "%u is %.*s", port, (int)v->s.len, (const char *)v->s.p);
	ck_assert_uint_ge(last + NEAR, sent.from + off);
	ck_assert_uint_le(last, sent.to + off + NEAR);
}

/* Another run follows the one that was, which stays in memory. */
static struct live *
next_run(struct live *l)
{
	struct live *next = live_new();

	next->conf = l->conf;
	ctf_plugin_nfct.stop(&l->self);
	next->ctx.before = &l->ctx;
	next->ctx.earlier = (struct ctf_earlier){ CTF_ENDED_CLEAN, ctf_now(), true };
	return next;
}

/* 4 seconds become 3: what may have either is a bound, until none has the former. */
START_TEST(a_change)
{
	struct live *l = live_enter(), *first = l;
	int there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[64];
	struct span old, new, late;

	lab_sysctl(UDP, 4);
	l->conf.poll = 300;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
	if (_i == BY_PATH) {
		l->conf.namespaces = path;
		ck_assert_int_eq(lab_enter(), 0);
	}
	live_start(l);
	if (_i == UNWATCHED) { /* as if somebody had another mount of /proc */
		close(l->self.times.watch);
		l->self.times.watch = -1;
	}
	ck_assert_int_eq(setns(there, CLONE_NEWNET), 0);
	packet(OLD);
	packet(NEW);
	live_read(l, 1500);
	old = packet(OLD);
	if (_i == BETWEEN_RUNS)
		l = next_run(l);
	lab_sysctl(UDP, 3);
	if (_i == BETWEEN_RUNS)
		live_start(l);
	new = packet(NEW);
	ck_end(l, NEW, "bound", new, 0);
	ck_end(l, OLD, "bound", old, 1000 * MSEC); /* had it been the new one */
	live_read(l, 1200);                        /* the change was noticed later than made */
	late = packet(LATE);
	ck_end(l, LATE, "exact", late, 0);
	live_free(l);
	if (first != l)
		live_free(first);
	close(there);
}
END_TEST

void
live_times_tests(TCase *t)
{
	tcase_add_loop_test(t, a_change, 0, WAYS);
}
