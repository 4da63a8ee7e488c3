/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_cover.c - coverage: what changes it, what it knows. */
#include "live.h"

#include <check.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sockios.h>

static const struct ctf_coverage *
cov(const struct live *l, unsigned i)
{
	ck_assert_uint_lt(i, l->ctx.ncovs);
	return &l->ctx.cov[i % LIVE_COVS];
}

static const struct ctf_coverage *
newest(const struct live *l)
{
	return cov(l, l->ctx.ncovs - 1);
}

/* Until the child has answered and the thread has looked. */
static void
all_known(struct live *l)
{
	uint64_t end = ctf_now() + LIVE_LIMIT;

	while (l->self.probe.fd >= 0 && ctf_now() < end)
		live_watches(l, 20);
	ck_assert_int_lt(l->self.probe.fd, 0);
	l->ctx.tick(&l->self);
	while (!atomic_load(&l->self.host.asker->done) && ctf_now() < end)
		usleep(20000);
	l->ctx.tick(&l->self);
	ck_assert(!l->self.host.running);
}

START_TEST(conditions)
{
	struct live *l = live_enter();
	const struct ctf_coverage *c;

	live_start(l);
	ck_assert_uint_eq(l->ctx.ncovs, 1);
	c = cov(l, 0);
	ck_assert_uint_eq(c->to_ns, 0);
	ck_assert_uint_eq(c->event_mask, CTF_DESTROY);
	ck_assert(c->acct == 1 && c->timestamp == 1 && c->events == 1);
	ck_assert_int_eq(c->nsid, -1);
	ck_assert(c->reliable);
	ck_assert_str_eq(c->netns, "");
	ck_assert_str_eq(c->abilities, "");
	ck_assert(c->gro == -1 && c->offload == -1);
	ck_assert(c->clock_synchronised == 0 || c->clock_synchronised == 1);
	ck_assert_int_gt(c->clock_error_ns, 0);
	ck_assert_uint_eq(l->ctx.tick_msec, 1000);
	all_known(l);
	ck_assert(live_said(l, "<5> this kernel tells at the end of a flow (tried out): "));
	c = newest(l);
	ck_assert_uint_eq(c->from_ns, cov(l, 0)->from_ns); /* to learn is no change */
	ck_assert_uint_gt(c->last_alive_ns, c->from_ns);
	ck_assert_uint_eq(c->to_ns, 0);
	ck_assert(strstr(c->abilities, "id status counters timestamp"));
	ck_assert_int_eq(c->gro, 0);
	ck_assert_int_eq(c->offload, 0);
	ctf_plugin_nfct.stop(&l->self);
	ck_assert_uint_gt(newest(l)->to_ns, cov(l, 0)->from_ns);
	ck_assert_uint_eq(newest(l)->from_ns, cov(l, 0)->from_ns);
	live_free(l);
}
END_TEST

/* Each of them is said, and ends the stretch at the next heartbeat. */
START_TEST(settings_change)
{
	static const struct {
		const char *name, *lack;
		size_t off;
	} t[] = {
		{ "nf_conntrack_acct", "no packet and byte counters",
		  offsetof(struct ctf_coverage, acct) },
		{ "nf_conntrack_timestamp", "no start time",
		  offsetof(struct ctf_coverage, timestamp) },
		{ "nf_conntrack_events", "never reported",
		  offsetof(struct ctf_coverage, events) },
	};
	struct live *l = live_enter();
	const struct ctf_coverage *c;
	char want[128];
	uint64_t from;
	unsigned n;

	live_start(l);
	all_known(l);
	from = newest(l)->from_ns;
	n = l->ctx.ncovs;
	lab_sysctl(t[_i].name, 0);
	for (int i = 0; i < 10; i++)
		l->ctx.tick(&l->self);
	ck_assert_uint_eq(l->ctx.ncovs, n + 2);
	c = cov(l, n);
	ck_assert_uint_eq(c->from_ns, from);
	ck_assert_uint_gt(c->to_ns, from);
	ck_assert_int_eq(*((const int8_t *)c + t[_i].off), 1);
	ck_assert_uint_eq(cov(l, n + 1)->from_ns, c->to_ns);
	ck_assert_uint_eq(cov(l, n + 1)->to_ns, 0);
	ck_assert_int_eq(*((const int8_t *)cov(l, n + 1) + t[_i].off), 0);
	ck_assert(live_said(l, t[_i].lack));
	snprintf(want, sizeof(want), "%s has become 0", t[_i].name);
	ck_assert(live_said(l, want));
	snprintf(want, sizeof(want), "sysctl -w net.netfilter.%s=1", t[_i].name);
	ck_assert(live_said(l, want));
	live_free(l);
}
END_TEST

/* The settings are those of the namespace listened in, wherever we are. */
START_TEST(settings_of_a_path)
{
	struct live *l = live_enter();
	char path[64];
	int there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(lab_enter(), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
	l->conf.namespaces = path;
	live_start(l);
	ck_assert_str_eq(cov(l, 0)->netns, path);
	lab_sysctl("nf_conntrack_acct", 0);
	for (int i = 0; i < 10; i++)
		l->ctx.tick(&l->self);
	ck_assert_int_eq(newest(l)->acct, 1);
	ck_assert_int_eq(setns(there, CLONE_NEWNET), 0);
	lab_sysctl("nf_conntrack_acct", 0);
	for (int i = 0; i < 10; i++)
		l->ctx.tick(&l->self);
	ck_assert_int_eq(newest(l)->acct, 0);
	live_free(l);
}
END_TEST

/* ---- the clock ------------------------------------------------------------------- */

/* As if it had been set: what is remembered moves instead of the clock. */
START_TEST(clock_step)
{
	static const int64_t steps[] = { 1500000000, -1500000000 };
	struct live *l = live_enter();
	const struct ctf_gap *g = &l->ctx.gap[0];
	uint64_t from;

	live_start(l);
	all_known(l);
	from = newest(l)->from_ns;
	l->self.clock.offset -= steps[_i];
	l->ctx.ncovs = 0;
	live_fill(l, l->self.clock.fd);
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	ck_assert_str_eq(g->cause, "clock_step");
	ck_assert(g->count == 0 && g->count_is == CTF_EXACT);
	ck_assert_int_le(llabs((long long)(g->to_ns - g->from_ns) - steps[_i]), 1000000);
	ck_assert_uint_eq(l->ctx.ncovs, 2);
	ck_assert_uint_eq(cov(l, 0)->from_ns, from);
	ck_assert_uint_eq(cov(l, 0)->to_ns, g->from_ns);
	ck_assert_uint_eq(cov(l, 1)->from_ns, g->to_ns);
	ck_assert_uint_eq(cov(l, 1)->to_ns, 0);
	ck_assert(live_said(l, _i == 0 ? "set forward by 1.5" : "set back by 1.5") ||
		  live_said(l, _i == 0 ? "set forward by 1.499" : "set back by 1.499"));
	live_fill(l, l->self.clock.fd); /* once */
	ck_assert_uint_eq(l->ctx.ngaps, 1);
	live_free(l);
}
END_TEST

/* Two clocks cannot be read at once: that is no step. */
START_TEST(kept_waiting)
{
	struct live *l = live_enter();

	l->ctx.kept_waiting = _i == 0;
	live_start(l);
	ck_assert_uint_eq(l->ctx.kept_waiting, 0);
	l->ctx.kept_waiting = _i;
	live_fill(l, l->self.clock.fd);
	ck_assert_uint_eq(l->ctx.kept_waiting, 0);
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	live_free(l);
}
END_TEST

/* ---- what the kernel can do ---------------------------------------------------------- */

static void
without_sys_admin(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	ck_assert_int_eq(syscall(SYS_capget, &head, data), 0);
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	ck_assert_int_eq(syscall(SYS_capset, &head, data), 0);
}

START_TEST(learned)
{
	struct live *l = live_enter();

	without_sys_admin();
	live_start(l);
	all_known(l);
	ck_assert_str_eq(newest(l)->abilities, "");
	ck_assert(live_said(l, "(unshare: Operation not permitted)"));
	ck_assert(live_said(l, "setcap cap_net_admin,cap_sys_admin+ep /"));
	lab_udp_flows(1, 4000, 5000);
	lab_flush();
	live_read(l, 50);
	l->ctx.tick(&l->self);
	ck_assert_str_eq(newest(l)->abilities, ""); /* UDP has no state */
	ck_assert(l->self.probe.learning);
	lab_tcp_talk(4002, 5002, 1000);
	lab_flush();
	live_read(l, 50);
	ck_assert(!l->self.probe.learning);
	l->ctx.tick(&l->self);
	ck_assert(strstr(newest(l)->abilities, "id status counters timestamp"));
	ck_assert(strstr(newest(l)->abilities, "state"));
	ck_assert_uint_eq(newest(l)->from_ns, cov(l, 0)->from_ns);
	live_free(l);
}
END_TEST

/* The listener beside us, and the automatic mode, do not notice. */
START_TEST(undisturbed)
{
	struct live *l = live_enter(), *other = live_new();

	lab_sysctl("nf_conntrack_events", 2);
	other->conf.sysctl = l->conf.sysctl = NFCT_IGNORE;
	live_start(other);
	live_start(l);
	all_known(l);
	lab_udp_flows(3, 4000, 5000);
	lab_flush();
	ck_assert_uint_eq(live_read_all(l, 3), 3);
	ck_assert_uint_eq(live_read_all(other, 3), 3);
	ck_assert_int_eq(lab_sysctl_get("nf_conntrack_events"), 2);
	live_free(l);
	live_free(other);
}
END_TEST

/* ---- the host ------------------------------------------------------------------------- */

START_TEST(merging)
{
	struct ethtool_value on = { ETHTOOL_SGRO, 1 };
	struct ifreq ifr = { .ifr_name = "ctl0", .ifr_data = (char *)&on };
	struct live *l = live_enter();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(system("ip link add ctl0 type veth peer name ctl1 && "
				"ip link set ctl0 up"),
			 0);
	ck_assert_int_eq(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	live_start(l);
	all_known(l);
	ck_assert_int_eq(newest(l)->gro, 1);
	live_free(l);
}
END_TEST

static struct nlmsghdr *
message(char *buf, unsigned type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = (uint16_t)type;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	return nlh;
}

/* Not every kernel has flowtables, so the answer is made here. */
START_TEST(flowtables)
{
	char buf[256] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = message(buf, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE);
	struct nfct_found f = { 0 };

	nfct_see_flowtable(message(buf, NLMSG_DONE), &f);
	ck_assert_int_eq(f.offload, 0);
	nlh = message(buf, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE);
	mnl_attr_put_u32(nlh, NFTA_FLOWTABLE_FLAGS, htonl(NFT_FLOWTABLE_COUNTER));
	nfct_see_flowtable(nlh, &f);
	ck_assert(f.offload == 1 && f.uncounted == 0);
	nfct_see_flowtable(message(buf, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE), &f);
	ck_assert(f.offload == 1 && f.uncounted == 1);
}
END_TEST

START_TEST(hooks)
{
	static const struct {
		const char *function;
		int priority;
		bool is;
	} t[] = {
		{ "ipv4_conntrack_in", -200, true },
		{ "ipv6_conntrack_in", -200, true },
		{ "nft_do_chain_inet", -200, false },
		{ "nft_do_chain_inet", 0, false },
		{ NULL, -200, true },
		{ NULL, -300, false },
	};
	char buf[256] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = message(buf, NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET);

	mnl_attr_put_u32(nlh, NFNLA_HOOK_PRIORITY, htonl((uint32_t)t[_i].priority));
	if (t[_i].function)
		mnl_attr_put_strz(nlh, NFNLA_HOOK_FUNCTION_NAME, t[_i].function);
	ck_assert_int_eq(nfct_see_hook(nlh), t[_i].is);
}
END_TEST

/* Ten quiet seconds and an empty table, where nothing asks for conntrack. */
START_TEST(no_rule)
{
	struct live *l;

	ck_assert_int_eq(_i == 0 ? unshare(CLONE_NEWNET) : lab_enter(), 0);
	l = live_new();
	live_start(l);
	all_known(l);
	if (_i == 1) {
		lab_udp_flows(1, 4000, 5000);
		lab_flush();
		live_read(l, 50);
	}
	if (l->self.host.found.hooked < 0)
		ck_assert(!live_said(l, "conntrack sees no packets"));
	l->self.host.since_ns -= 11 * NFCT_SEC;
	l->ctx.tick(&l->self);
	ck_assert_int_eq(live_said(l, "conntrack sees no packets"), _i == 0);
	ck_assert_int_eq(live_said(l, "ct state new accept"), _i == 0);
	live_free(l);
}
END_TEST

/* The kernel does not answer: the end does not wait for it, what asks cleans up. */
START_TEST(look_hangs)
{
	struct live *l = live_enter();
	const struct nlmsghdr done = { .nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE };
	char question[256];
	uint64_t begin;
	int end[2];

	live_start(l);
	all_known(l);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, end), 0);
	ck_assert_int_eq(dup2(end[0], l->self.host.asker->route), l->self.host.asker->route);
	close(end[0]);
	nfct_host_look(&l->self);
	ck_assert_int_gt(recv(end[1], question, sizeof(question), 0), 0);
	begin = ctf_now();
	live_free(l);
	ck_assert_uint_lt(ctf_now() - begin, LIVE_LIMIT); /* two seconds, and a busy machine */
	ck_assert_int_eq(send(end[1], &done, sizeof(done), 0), sizeof(done));
	ck_assert_int_eq(recv(end[1], question, sizeof(question), 0), 0); /* closed */
	close(end[1]);
}
END_TEST

void
live_cover_tests(TCase *t)
{
	tcase_add_test(t, conditions);
	tcase_add_loop_test(t, settings_change, 0, 3);
	tcase_add_test(t, settings_of_a_path);
	tcase_add_loop_test(t, clock_step, 0, 2);
	tcase_add_loop_test(t, kept_waiting, 0, 2);
	tcase_add_test(t, learned);
	tcase_add_test(t, undisturbed);
	tcase_add_test(t, merging);
	tcase_add_test(t, flowtables);
	tcase_add_loop_test(t, hooks, 0, 6);
	tcase_add_loop_test(t, no_rule, 0, 2);
	tcase_add_test(t, look_hangs);
}
