/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard of the NFCT input on the running kernel: a daemon that does not
 * read, or is dead, does not fill the connection table, and what it cost is
 * counted.  Like test_nfct_live: root, or exit code 77.
 */
#include "live_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netlink.h>

#include "unit.h"

#define MSEC UINT64_C(1000000)
#define LOOK 100u /* at most between two looks of it */

/* ---- a daemon that sleeps -------------------------------------------------------- */

unsigned
guard_mark(void)
{
	return (unsigned)lab_sysctl_get("nf_conntrack_max") / 100 + 1;
}

unsigned
guard_entries(void)
{
	return (unsigned)lab_sysctl_get("nf_conntrack_count");
}

struct live *
guarded(void)
{
	struct live *l = live_enter();

	l->conf.buffer_size = 16384;
	l->conf.reliable_fill = 1;
	l->conf.guard_timeout = TIMEOUT;
	return l;
}

void
end_flows(unsigned n)
{
	lab_udp_flows(n, 4000, 10000);
	lab_flush();
}

bool
is_kept(const struct live *l)
{
	int on = -1;
	socklen_t len = sizeof(on);

	ck_assert_int_eq(
		getsockopt(l->self.fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &on, &len), 0);
	return on;
}

/* Milliseconds until the kernel keeps nothing more; `limit` if it still does. */
unsigned
until_released(const struct live *l, unsigned limit)
{
	uint64_t begin = ctf_now();

	while (is_kept(l) && ctf_now() - begin < limit * MSEC)
		usleep(1000);
	return (unsigned)((ctf_now() - begin) / MSEC);
}

void
must_release(const struct live *l)
{
	ck_assert_uint_lt(until_released(l, SOON), SOON);
}

void
until_drained(void)
{
	uint64_t end = ctf_now() + LIVE_LIMIT;

	while (guard_entries() > 0 && ctf_now() < end)
		usleep(1000);
	ck_assert_uint_eq(guard_entries(), 0);
}

void
ck_lost(const struct live *l, const char *cause, uint64_t begin, unsigned made,
	enum ctf_count_is is)
{
	const struct ctf_gap *g = &l->ctx.gap[0];

	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(g->cause, cause);
	ck_assert_int_eq(g->count_is, is);
	ck_assert_uint_le(begin, g->from_ns + LOOK * MSEC);
	ck_assert_uint_lt(g->from_ns, g->to_ns);
	ck_assert_uint_le(g->to_ns, ctf_now());
	if (is == CTF_EXACT)
		ck_assert_uint_eq(l->n + g->count, made);
	else
		ck_assert_uint_ge(l->n + g->count, made);
	ck_assert_uint_eq(live_count(l, "lost"), g->count);
}

void
wake(struct live *l)
{
	for (uint64_t end = ctf_now() + LIVE_LIMIT; ctf_now() < end;) {
		l->ctx.tick(&l->self);
		live_read(l, 10);
		if (!l->self.valve.open && is_kept(l))
			return;
	}
	ck_abort_msg("the valve stays open");
}

START_TEST(hangs)
{
	struct live *l = guarded();
	unsigned n = guard_mark() + 1000;
	uint64_t begin;

	l->conf.hash_enable = _i == 0;
	live_start(l);
	ck_assert(is_kept(l));
	nfct_observe(&l->self);
	ck_assert_uint_eq(live_count(l, "guard_wanted"), 1);
	ck_assert_uint_eq(live_count(l, "guard_running"), 1);
	begin = ctf_now();
	end_flows(n);
	must_release(l);
	ck_assert_uint_ge((ctf_now() - begin) / MSEC, TIMEOUT - LOOK);
	until_drained();
	end_flows(500); /* there is no room, and nothing waits */
	until_drained();
	wake(l);
	ck_lost(l, "guard", begin, n + 500, _i == 0 ? CTF_EXACT : CTF_AT_MOST);
	ck_assert(live_said(l, "its guard let go"));
	ck_assert_uint_eq(live_count(l, "guard_released"), 1);
	ck_assert_uint_eq(live_count(l, "valve_opened"), 0);
	end_flows(guard_mark() / 2);
	ck_assert_uint_ge(guard_entries(), guard_mark() / 2 - 30); /* kept again */
	ck_assert_uint_ge(live_read_all(l, guard_mark() / 2), guard_mark() / 2);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	live_free(l);
}
END_TEST

/* Told to end before it could look around. */
START_TEST(ends_after_hanging)
{
	struct live *l = guarded();
	unsigned n = guard_mark() + 1000;
	uint64_t begin;

	live_start(l);
	begin = ctf_now();
	end_flows(n);
	must_release(l);
	until_drained();
	ck_assert(ctf_plugin_nfct.drain(&l->self, true));
	live_read(l, 20);
	ck_lost(l, "guard", begin, n, CTF_EXACT);
	live_free(l);
}
END_TEST

enum { SHOWS_LIFE, NOT_FULL, NOTHING_ENDED, SHORT };
#define LIFE 3000u /* ms; a busy machine does not keep us from running for so long */

/* What is no reason to let go. */
START_TEST(keeps)
{
	struct live *l = guarded();
	uint64_t begin;

	if (_i == SHOWS_LIFE)
		l->conf.guard_timeout = LIFE;
	if (_i == NOT_FULL)
		l->conf.reliable_fill = 50;
	if (_i == SHORT)
		l->conf.guard_timeout = 60000;
	live_start(l);
	lab_udp_flows(guard_mark() + 1000, 4000, 10000);
	if (_i != NOTHING_ENDED)
		lab_flush();
	begin = ctf_now();
	while (ctf_now() - begin < (_i == SHOWS_LIFE ? 2 * LIFE : 1500u) * MSEC) {
		if (_i == SHOWS_LIFE)
			nfct_guard_beat(&l->self.guard, ctf_now(), false);
		usleep(1000);
	}
	ck_assert(is_kept(l));
	ck_assert_uint_gt(guard_entries(), guard_mark());
	ck_assert_uint_eq(atomic_load(&l->self.guard.note->let_go), NFCT_KEPT);
	live_free(l);
}
END_TEST

/* A child that was killed; it is left to be found. */
static void
is_dead(pid_t pid)
{
	siginfo_t how;

	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT), 0);
}

/* Where the table cannot be seen, the buffer must do. */
START_TEST(sees_no_table)
{
	struct live *l = guarded();

	live_start(l);
	kill(l->self.guard.pid, SIGKILL);
	close(l->self.guard.count);
	l->self.guard.count = -1;
	l->self.guard.said_ns = 0;
	is_dead(l->self.guard.pid);
	l->ctx.tick(&l->self);
	end_flows(1);
	usleep(2 * TIMEOUT * 1000);
	ck_assert(is_kept(l));
	end_flows(40); /* there is room for 25 */
	must_release(l);
	until_drained();
	wake(l);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_uint_eq(l->n + l->ctx.gap[0].count, 41);
	live_free(l);
}
END_TEST

/* Somebody else had the socket, and let go. */
START_TEST(let_go_by_others)
{
	struct live *l = guarded();

	live_start(l);
	l->ctx.tick(&l->self);
	ck_assert(!l->self.valve.open);
	ck_assert_int_eq(nfct_events_keep(l->self.fd, false), 0);
	end_flows(100);
	wake(l);
	ck_lost(l, "guard", 0, 100, CTF_AT_MOST);
	end_flows(100);
	ck_assert_uint_ge(live_read_all(l, 100), 100);
	live_free(l);
}
END_TEST

START_TEST(none)
{
	struct live *l = guarded();

	if (_i == 0)
		l->conf.guard_timeout = 0;
	if (_i == 1)
		l->conf.reliable = false;
	if (_i == 2) {
		l->conf.hash_enable = false;
		l->conf.event_mask = CTF_NEW;
	}
	live_start(l);
	l->ctx.tick(&l->self);
	ck_assert_int_eq(l->self.guard.pid, 0);
	nfct_observe(&l->self);
	ck_assert_uint_eq(live_count(l, "guard_wanted"), 0);
	live_free(l);
}
END_TEST

/* Another one takes its place, also while the valve is open. */
START_TEST(dies)
{
	struct live *l = guarded();
	unsigned n = guard_mark() + 1000;
	uint64_t begin;
	pid_t first;

	live_start(l);
	first = l->self.guard.pid;
	begin = ctf_now();
	if (_i) {
		end_flows(n);
		must_release(l);
		until_drained();
	}
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	is_dead(first);
	l->ctx.tick(&l->self);
	ck_assert(live_said(l, "the guard process has died"));
	ck_assert_int_ne(l->self.guard.pid, first);
	ck_assert_int_eq(l->self.valve.open, _i);
	if (_i) {
		wake(l);
		ck_lost(l, "guard", begin, n, CTF_EXACT);
	}
	at_work(l->self.guard.pid);
	l->n = 0;
	end_flows(n);
	must_release(l);
	until_drained(); /* the valve closes before, and the rest would come later */
	wake(l);
	ck_assert_uint_eq(l->ctx.ngaps, _i + 1u);
	ck_assert_uint_ge(l->n + l->ctx.gap[_i].count, n);
	if (l->ctx.gap[_i].count_is == CTF_EXACT)
		ck_assert_uint_eq(l->n + l->ctx.gap[_i].count, n);
	live_free(l);
}
END_TEST

/* Time and again: each has to wait longer for the next, and that is said once. */
START_TEST(cannot_live)
{
	struct live *l = guarded();
	struct rlimit lim, few;
	uint64_t begin;
	char *said;

	live_start(l);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
	few = lim;
	few.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	kill(l->self.guard.pid, SIGKILL);
	is_dead(l->self.guard.pid);
	begin = ctf_now();
	while (ctf_now() - begin < 1500 * MSEC) {
		l->ctx.tick(&l->self);
		ck_assert_int_eq(l->self.guard.pid, 0);
		usleep(10000);
	}
	nfct_observe(&l->self);
	ck_assert_uint_eq(live_count(l, "guard_wanted"), 1);
	ck_assert_uint_eq(live_count(l, "guard_running"), 0);
	said = strstr(l->ctx.log, "no guard process");
	ck_assert_ptr_nonnull(said);
	ck_assert_ptr_null(strstr(said + 1, "no guard process"));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	while (!l->self.guard.pid && ctf_now() - begin < LIVE_LIMIT) {
		usleep(10000);
		l->ctx.tick(&l->self);
	}
	ck_assert_int_ne(l->self.guard.pid, 0);
	ck_assert_uint_ge(ctf_now() - begin, 2900 * MSEC); /* at 0, 1 and 3 s */
	live_free(l);
}
END_TEST

static int
allowed(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(lab_enter() == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, hangs, 0, 2);
	tcase_add_test(t, ends_after_hanging);
	tcase_add_loop_test(t, keeps, 0, 4);
	tcase_add_test(t, sees_no_table);
	tcase_add_test(t, let_go_by_others);
	tcase_add_loop_test(t, none, 0, 3);
	tcase_add_loop_test(t, dies, 0, 2);
	tcase_add_test(t, cannot_live);
	guard_proc_tests(t);
	guard_dead_tests(t);
}

int
main(void)
{
	const char *ci = getenv("CI");

	if (!allowed()) {
		fprintf(stderr, "needs root, network namespaces and nft\n");
		return ci && strcmp(ci, "true") == 0 ? 1 : 77;
	}
	lab_host_lock();
	setenv("CK_FORK", "yes", 1); /* a namespace each */
	return unit_main("nfct_guard", add_tests);
}
