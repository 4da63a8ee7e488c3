/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_ns.c - events of two namespaces in one input. */
#include "live.h"

#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>

#define MSEC UINT64_C(1000000)

static int
here(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void
go_to(int fd)
{
	ck_assert_int_eq(setns(fd, CLONE_NEWNET), 0);
}

/* A process that keeps the namespace we are in now, and gives it a number. */
static pid_t
anchor(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

/* Two namespaces that have ids for each other, as those joined by a veth have. */
static int
second_namespace(void)
{
	pid_t first = anchor();
	char cmd[128];

	ck_assert_int_eq(lab_enter(), 0);
	snprintf(cmd, sizeof(cmd), "ip link add ctl0 type veth peer name ctl1 netns %d",
		 (int)first);
	ck_assert_int_eq(system(cmd), 0);
	kill(first, SIGKILL);
	waitpid(first, NULL, 0);
	return here();
}

static struct live *
two(int *ret_home, int *ret_other)
{
	struct live *l = live_enter();

	*ret_home = here();
	*ret_other = second_namespace();
	go_to(*ret_home);
	ck_assert_int_eq(system("ip link >/dev/null"), 0); /* the id is made by asking */
	l->conf.namespaces = "all";
	return l;
}

START_TEST(ids)
{
	int home, other;
	struct live *l = two(&home, &other);
	const struct ct_fields *f = &l->self.in.f;

	live_start(l);
	ck_assert(l->ctx.kept == UINT64_C(1) << CAP_NET_BROADCAST);
	lab_udp_flows(3, 4000, 5000);
	lab_flush();
	go_to(other);
	lab_sysctl("nf_conntrack_acct", _i);
	lab_udp_flows(2, 4000, 6000);
	lab_flush();
	go_to(home);
	ck_assert_uint_eq(live_read(l, 50), 5);
	for (unsigned i = 0; i < 5; i++) {
		const struct ctf_rec *r = live_rec(l, i);

		ck_assert_int_eq(ctf_has(r, f->nsid), ctf_num(r, f->orig_dport) >= 6000);
		ck_assert_uint_eq(ctf_num_or(r, f->nsid, 0), 0);
		ck_assert(!ctf_has(r, f->netns)); /* none has a name */
	}
	ck_assert_int_eq(live_said(l, "counters from the network namespace with id 0"), !_i);
	live_free(l);
}
END_TEST

/* The last holder goes: what it had sent is read first, then comes the gap. */
START_TEST(deleted)
{
	int home, other;
	struct live *l = two(&home, &other);
	uint64_t begin = ctf_now();

	live_start(l);
	go_to(other);
	lab_udp_flows(2, 4000, 6000);
	lab_flush();
	lab_udp_flows(7, 4000, 6000);
	go_to(home);
	close(other);
	while (!l->self.ns.some_gone && ctf_now() - begin < LIVE_LIMIT) {
		live_watches(l, 20);
		ck_assert_uint_eq(l->ctx.ngaps, 0); /* two events wait in the socket */
	}
	ck_assert_uint_eq(live_read_all(l, 2), 2);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(l->ctx.gap[0].cause, "namespace");
	ck_assert_int_eq(l->ctx.gap[0].nsid, 0);
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_UNCOUNTED);
	ck_assert(l->ctx.gap[0].count == CTF_UNKNOWN);
	ck_assert_uint_lt(begin, l->ctx.gap[0].from_ns);
	ck_assert_uint_lt(l->ctx.gap[0].from_ns, l->ctx.gap[0].to_ns);
	ck_assert(live_said(l, "network namespace with id 0 is gone"));
	live_free(l);
}
END_TEST

/* Its flows fill a table we cannot see: the socket that stays full tells. */
START_TEST(valve)
{
	int home, other;
	struct live *l = two(&home, &other);
	uint64_t begin;

	l->conf.buffer_size = 16384;
	live_start(l);
	go_to(other);
	lab_udp_flows(2000, 4000, 6000);
	lab_flush();
	ck_assert_int_gt(lab_sysctl_get("nf_conntrack_count"), 1500);
	go_to(home);
	begin = ctf_now();
	while (!l->self.valve.open && ctf_now() - begin < LIVE_LIMIT) {
		usleep((useconds_t)l->ctx.tick_msec * 1000);
		l->ctx.tick(&l->self);
	}
	ck_assert(l->self.valve.open);
	ck_assert_uint_ge(ctf_now() - begin, 900 * MSEC);
	ck_assert(live_said(l, "more than half full"));
	go_to(other);
	while (lab_sysctl_get("nf_conntrack_count") > 10 && ctf_now() - begin < LIVE_LIMIT)
		usleep(10000);
	ck_assert_int_le(lab_sysctl_get("nf_conntrack_count"), 10);
	go_to(home);
	live_read(l, 20);
	for (int i = 0; i < 20 && l->self.valve.open; i++) {
		l->ctx.tick(&l->self);
		usleep(15000);
	}
	ck_assert(!l->self.valve.open);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(l->ctx.gap[0].cause, "valve");
	ck_assert_int_eq(l->ctx.gap[0].count_is, CTF_AT_MOST); /* who listens there? */
	ck_assert_uint_eq(l->n + l->ctx.gap[0].count, 2000);
	live_free(l);
}
END_TEST

START_TEST(choices)
{
	static const struct {
		const char *namespaces, *path, *blamed, *says;
	} t[] = {
		{ "blue", "", "namespaces", "did you mean /run/netns/blue?" },
		{ "/run/netns/nosuch", "", "namespaces", "/run/netns/nosuch" },
		{ "own", "/run/netns/nosuch", "network_namespace_path", "/run/netns/nosuch" },
		{ "/run/netns/a", "/run/netns/b", "namespaces", "but network_namespace_path" },
	};
	struct live *l = live_enter();

	l->conf.namespaces = t[_i].namespaces;
	l->conf.netns = t[_i].path;
	ck_assert_int_lt(live_try(l), 0);
	ck_assert_str_eq(l->ctx.blamed, t[_i].blamed);
	ck_assert_msg(strstr(l->err.msg, t[_i].says), "%s", l->err.msg);
	live_free(l);
}
END_TEST

/* The same namespace, both ways to say it. */
START_TEST(one_path)
{
	char path[64];
	struct live *l = live_enter();
	int there = here();

	ck_assert_int_eq(lab_enter(), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
	if (_i == 0)
		l->conf.namespaces = path;
	else
		l->conf.netns = path;
	live_start(l);
	lab_udp_flows(2, 4000, 5000); /* here: not heard */
	lab_flush();
	go_to(there);
	lab_udp_flows(3, 4000, 6000);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), 3);
	live_free(l);
}
END_TEST

void
live_ns_tests(TCase *t)
{
	tcase_add_loop_test(t, ids, 0, 2);
	tcase_add_test(t, deleted);
	tcase_add_test(t, valve);
	tcase_add_loop_test(t, choices, 0, 4);
	tcase_add_loop_test(t, one_path, 0, 2);
}
