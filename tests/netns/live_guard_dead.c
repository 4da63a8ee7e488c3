/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_guard_dead.c - what the guard does when the daemon is dead, or hands over. */
#include "live_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a daemon that is dead ------------------------------------------------------------- */

static void *
shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}

/* The run whose state page that is. */
static struct ctf_ctx *
run_of(struct ctf_ctx *ctx, struct nfct_page *page)
{
	ctx->part[0] = (struct live_part){ "guard", page };
	return ctx;
}

static void
follows(struct live *l, struct nfct_page *page)
{
	l->ctx.before = run_of(shared(sizeof(struct ctf_ctx)), page);
}

/* A daemon that reads `n` flows, lets `more` wait, and is killed. */
static void
killed(const struct live *l, struct nfct_page *page, unsigned n, unsigned more, bool hand_over)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct live *d = live_new();

		d->conf = l->conf;
		run_of(&d->ctx, page);
		live_start(d);
		end_flows(n);
		live_read(d, 50);
		if (more)
			end_flows(more);
		if (hand_over)
			ck_assert(nfct_guard_handed_over(&d->self));
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

static struct nfct_note *
note(struct nfct_page *page)
{
	return &page->note[atomic_load(&page->turn) & 1];
}

/* What start() does when the guard of the run before is there. */
static void
greet(struct live *l, bool same_socket)
{
	nfct_guard_start(&l->self);
	ck_assert_int_eq(nfct_outage_start(&l->self), 0);
	nfct_guard_greet(&l->self, same_socket);
}

#define READ 20u /* there is room for 25 */
#define WAITING 300u

START_TEST(is_killed)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	uint64_t begin = ctf_now();
	struct nfct_note *n;

	l->conf.hash_enable = _i == 0;
	killed(l, page, READ, WAITING, false);
	n = note(page);
	until_drained(); /* at once, whatever the table */
	while (atomic_load(&n->let_go) != NFCT_BY_GUARD && ctf_now() - begin < LIVE_LIMIT)
		usleep(1000); /* the copy follows */
	ck_assert_uint_eq(atomic_load(&n->let_go), NFCT_BY_GUARD);
	end_flows(50);
	ck_assert_uint_eq(atomic_load(&n->gone), 0);
	follows(l, page);
	live_start(l);
	ck_assert_uint_eq(atomic_load(&n->gone), 1);
	ck_assert_uint_gt(l->ctx.cov[0].from_ns, begin);
	ck_assert(is_kept(l));
	ck_assert_uint_eq(l->ctx.ngaps, 0); /* more may be lost before it reads */
	l->ctx.tick(&l->self);
	ck_lost(l, "restart", begin, WAITING + 50, _i == 0 ? CTF_EXACT : CTF_AT_MOST);
	ck_assert(live_said(l, "did not end in order"));
	end_flows(10);
	ck_assert_uint_ge(live_read_all(l, 10), 10); /* by its own socket */
	live_free(l);
}
END_TEST

/* One that comes after another and does not get to read. */
static void
starts_and_is_killed(const struct live *l, struct nfct_page *page, struct nfct_owed *owed,
		     unsigned more)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct live *d = live_new();

		d->conf = l->conf;
		d->ctx.before = l->ctx.before;
		memcpy(page, d->ctx.before->part[0].p, sizeof(*page));
		run_of(&d->ctx, page)->part[1] = (struct live_part){ "outage", owed };
		live_start(d);
		ck_assert_uint_gt(atomic_load(&owed->count), 0);
		end_flows(more);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/*
 * The next one starts, and its guard has to let go before it reads: that is
 * still the same outage.  _i: that one is killed as well, and another follows.
 */
START_TEST(is_killed_and_slow)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page)), *second = shared(sizeof(*page));
	struct nfct_owed *owed = shared(sizeof(*owed));
	unsigned made = WAITING, more = guard_mark() + 1000;
	uint64_t begin = ctf_now(), killed_ns, released_ns;

	killed(l, page, READ, WAITING, false);
	killed_ns = ctf_now();
	until_drained();
	follows(l, page);
	if (_i == 1) {
		starts_and_is_killed(l, second, owed, more);
		made += more;
		until_drained();
		l->ctx.before = run_of(shared(sizeof(struct ctf_ctx)), second);
		((struct ctf_ctx *)(uintptr_t)l->ctx.before)->part[1] =
			(struct live_part){ "outage", owed };
	}
	live_start(l);
	end_flows(more);
	must_release(l);
	until_drained();
	released_ns = ctf_now();
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	ck_assert(l->ctx.outage);
	wake(l);
	ck_assert(!l->ctx.outage);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(l->ctx.gap[0].cause, "restart");
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_EXACT);
	ck_assert_uint_eq(l->n + l->ctx.gap[0].count, made + more);
	ck_assert_uint_le(begin, l->ctx.gap[0].from_ns);
	ck_assert_uint_le(l->ctx.gap[0].from_ns, killed_ns);
	ck_assert_uint_le(released_ns, l->ctx.gap[0].to_ns);
	ck_assert_uint_eq(atomic_load(&l->self.outage.owed->count), 0);
	live_free(l);
}
END_TEST

/* Flows that live keep the table full: outputs do not wait for that to end. */
START_TEST(is_killed_and_full)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	unsigned more = guard_mark() + 1000;
	const struct ctf_gap *g = l->ctx.gap;

	killed(l, page, READ, WAITING, false);
	until_drained();
	follows(l, page);
	live_start(l);
	end_flows(more);
	must_release(l);
	until_drained();
	lab_udp_flows(more, 4000, 10000);
	for (int i = 0; i < 5; i++) {
		l->ctx.tick(&l->self);
		live_read(l, 10);
	}
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	l->self.outage.since_ms -= 5000;
	l->ctx.tick(&l->self);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert(l->self.valve.open && !l->ctx.outage);
	lab_flush();
	wake(l);
	ck_assert_uint_eq(l->ctx.ngaps, 2);
	ck_assert_str_eq(g[0].cause, "restart");
	ck_assert_str_eq(g[1].cause, "guard");
	ck_assert(g[0].count_is == CTF_EXACT && g[1].count_is == CTF_EXACT);
	ck_assert_uint_le(g[0].to_ns, g[1].from_ns);
	ck_assert_uint_eq(l->n + g[0].count + g[1].count, WAITING + 2 * more);
	live_free(l);
}
END_TEST

/* Nothing ended meanwhile: the watch was never interrupted. */
START_TEST(is_killed_in_peace)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	uint64_t begin = ctf_now(), killed_ns;

	killed(l, page, READ, 0, false);
	killed_ns = ctf_now();
	follows(l, page);
	live_start(l);
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	ck_assert_uint_gt(l->ctx.cov[0].from_ns, begin);
	ck_assert_uint_lt(l->ctx.cov[0].from_ns, killed_ns);
	live_free(l);
}
END_TEST

/* What ends while the successor starts is heard twice, and then not exact. */
START_TEST(is_killed_in_a_crowd)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	uint64_t begin = ctf_now();

	killed(l, page, READ, WAITING, false);
	until_drained();
	ck_assert_int_eq(ctf_plugin_nfct.setup(&l->self, &l->err), 0);
	l->conf.guard_timeout = 0;
	follows(l, page);
	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &l->self.fd, &l->err), 0);
	ck_assert_int_eq(nfct_events_join(l->self.fd, CTF_DESTROY, &l->err), 0);
	ck_assert_int_eq(nfct_outage_start(&l->self), 0);
	nfct_guard_start(&l->self);
	end_flows(20);
	nfct_guard_greet(&l->self, false);
	nfct_outage_tell(&l->self);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_AT_MOST);
	ck_assert_uint_eq(l->ctx.gap[0].count, WAITING + 20);
	ck_assert_uint_le(begin, l->ctx.gap[0].from_ns);
	ck_assert_uint_eq(live_read(l, 50), 20);
	close(l->self.fd);
	l->self.fd = -1;
	live_free(l);
}
END_TEST

static void
until_gone(struct nfct_note *n)
{
	uint64_t end = ctf_now() + LIVE_LIMIT;

	while (!atomic_load(&n->gone) && ctf_now() < end)
		usleep(1000);
	ck_assert_uint_eq(atomic_load(&n->gone), 1);
}

/* Nobody comes: it leaves, and knows nothing of what happens then. */
START_TEST(nobody_comes)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	uint64_t begin = ctf_now();
	struct nfct_note *n;

	killed(l, page, READ, WAITING, false);
	n = note(page);
	until_gone(n);
	ck_assert_uint_ge((ctf_now() - begin) / 1000000, NFCT_GUARD_LINGER);
	ck_assert_uint_eq(atomic_load(&n->lost), WAITING);
	follows(l, page);
	live_start(l);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_UNCOUNTED);
	ck_assert_uint_gt(l->ctx.gap[0].from_ns, begin);
	live_free(l);
}
END_TEST

/* Guard and daemon are killed: what was lost is not known, but said. */
START_TEST(both_are_killed)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	struct nfct_note *n;

	killed(l, page, READ, WAITING, false);
	n = note(page);
	kill((pid_t)atomic_load(&n->pid), SIGKILL);
	while (!is_gone((pid_t)atomic_load(&n->pid)))
		usleep(1000);
	follows(l, page);
	live_start(l);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_UNCOUNTED);
	ck_assert_str_eq(l->ctx.gap[0].cause, "restart");
	live_free(l);
}
END_TEST

START_TEST(ends_in_order)
{
	struct live *l = guarded(), *next = live_new();
	struct nfct_page *page = shared(sizeof(*page));

	next->conf = l->conf;
	run_of(&l->ctx, page);
	live_start(l);
	end_flows(READ);
	live_read_all(l, READ);
	live_free(l);
	follows(next, page);
	live_start(next);
	ck_assert_uint_eq(next->ctx.ngaps, 0);
	live_free(next);
}
END_TEST

/* ---- a daemon that hands over ------------------------------------------------------------- */

/* Its socket stays: the kernel keeps all until the successor has it. */
START_TEST(hands_over)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	int fd, status;
	pid_t pid;

	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &l->err), 0);
	ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &l->err), 0);
	ck_assert_int_ge(nfct_events_buffer(fd, 16384), 0);
	ck_assert_int_eq(ctf_plugin_nfct.setup(&l->self, &l->err), 0);
	l->self.fd = fd;
	pid = fork();
	if (pid == 0) {
		run_of(&l->ctx, page);
		nfct_guard_start(&l->self);
		(void)nfct_guard_handed_over(&l->self);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	end_flows(WAITING);
	usleep(1200000);
	ck_assert(is_kept(l));
	ck_assert_uint_gt(guard_entries(), 200);
	if (_i == 1) { /* the successor is slow: no reason to fill the table */
		end_flows(guard_mark() + 1000);
		must_release(l);
		until_drained();
	}
	follows(l, page);
	greet(l, true);
	if (_i == 0)
		live_read_all(l, WAITING);
	else
		live_until(l, l->ctx.ngaps);
	ck_assert_uint_eq(l->ctx.ngaps, (unsigned)_i);
	if (_i == 0)
		ck_assert_uint_eq(l->n, WAITING);
	else
		ck_assert_uint_ge(l->n + l->ctx.gap[0].count, WAITING + guard_mark() + 1000);
	nfct_guard_end(&l->self.guard);
	close(fd);
	l->self.fd = -1;
	live_free(l);
}
END_TEST

/* Killed, but the socket lies in a store: what it holds is not lost. */
START_TEST(is_killed_and_stored)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	uint64_t begin = ctf_now();
	int fd, status;
	pid_t pid;

	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &l->err), 0);
	ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &l->err), 0);
	ck_assert_int_ge(nfct_events_buffer(fd, 16384), 0);
	ck_assert_int_eq(ctf_plugin_nfct.setup(&l->self, &l->err), 0);
	l->self.fd = fd;
	pid = fork();
	if (pid == 0) {
		run_of(&l->ctx, page);
		nfct_guard_start(&l->self);
		nfct_guard_stored(&l->self.guard);
		end_flows(WAITING);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	until_drained();
	if (_i)
		until_gone(note(page));
	ck_assert_uint_eq(atomic_load(&note(page)->gone), (unsigned)_i);
	end_flows(50);
	follows(l, page);
	greet(l, true);
	ck_assert(is_kept(l));
	end_flows(WAITING);
	live_read_all(l, WAITING + READ);
	ck_lost(l, "restart", begin, 2 * WAITING + 50, CTF_EXACT);
	ck_assert_uint_ge(l->n, WAITING + 20);
	nfct_guard_end(&l->self.guard);
	close(fd);
	l->self.fd = -1;
	live_free(l);
}
END_TEST

/* The guard is there before that socket is asked for other namespaces' events. */
START_TEST(inherits_namespaces)
{
	struct live *l = guarded();
	int fd;

	l->conf.namespaces = _i == 0 ? "all" : "own";
	l->conf.reliable_fill = 100;
	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &l->err), 0);
	ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &l->err), 0);
	ck_assert_int_ge(nfct_events_buffer(fd, 16384), 0);
	ck_assert_int_eq(ctf_plugin_nfct.setup(&l->self, &l->err), 0);
	l->self.fd = fd;
	nfct_guard_start(&l->self);
	at_work(l->self.guard.pid);
	end_flows(40); /* the buffer is full, the table that is seen is not */
	if (_i == 0)
		must_release(l);
	else
		ck_assert_uint_ge(until_released(l, 1500), 1500);
	nfct_guard_end(&l->self.guard);
	close(fd);
	l->self.fd = -1;
	live_free(l);
}
END_TEST

/* It was a stop after all: the successor comes with a socket of its own. */
START_TEST(hands_over_in_vain)
{
	struct live *l = guarded();
	struct nfct_page *page = shared(sizeof(*page));
	uint64_t begin = ctf_now();

	killed(l, page, READ, WAITING, true);
	usleep(100000);
	ck_assert_uint_gt(guard_entries(), 200);
	follows(l, page);
	live_start(l);
	live_read(l, 1200); /* what the kernel had kept, or less */
	ck_lost(l, "restart", begin, WAITING, CTF_AT_MOST);
	live_free(l);
}
END_TEST

void
guard_dead_tests(TCase *t)
{
	tcase_add_loop_test(t, is_killed, 0, 2);
	tcase_add_loop_test(t, is_killed_and_slow, 0, 2);
	tcase_add_test(t, is_killed_and_full);
	tcase_add_test(t, is_killed_in_peace);
	tcase_add_test(t, is_killed_in_a_crowd);
	tcase_add_test(t, nobody_comes);
	tcase_add_test(t, both_are_killed);
	tcase_add_test(t, ends_in_order);
	tcase_add_loop_test(t, hands_over, 0, 2);
	tcase_add_loop_test(t, is_killed_and_stored, 0, 2);
	tcase_add_loop_test(t, inherits_namespaces, 0, 2);
	tcase_add_test(t, hands_over_in_vain);
}
