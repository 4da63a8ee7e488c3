/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_lab.c - a namespace of its own, its settings, its traffic. */
#include "live.h"

#include <check.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

static int
loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = ioctl(fd, SIOCSIFFLAGS, &ifr);

	close(fd);
	return r;
}

/* Conntrack only works in a namespace whose rules ask for it. */
static int
want_conntrack(void)
{
	char rules[] = "table inet t { chain c { type filter hook output priority 0; "
		       "ct state new counter; }; }";
	char nft[] = "nft";
	char *argv[] = { nft, rules, NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp("nft", argv);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

int
lab_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0 || loopback_up() < 0)
		return -1;
	return want_conntrack();
}

void
lab_host_lock(void)
{
	int fd = open(access("/run/lock", F_OK) == 0 ? "/run/lock/ctflowd-tests.lock"
						     : "/tmp/ctflowd-tests.lock",
		      O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)flock(fd, LOCK_SH);
}

static int
open_sysctl(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

void
lab_sysctl(const char *name, int value)
{
	int fd = open_sysctl(name, O_WRONLY);

	ck_assert_int_gt(dprintf(fd, "%d\n", value), 0);
	close(fd);
}

int
lab_sysctl_get(const char *name)
{
	char text[32] = "";
	int fd = open_sysctl(name, O_RDONLY);

	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	return atoi(text);
}

union addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union addr
loopback(int family, unsigned port)
{
	union addr a = { 0 };

	a.sa.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		a.v4.sin_port = htons((uint16_t)port);
		a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		a.v6.sin6_port = htons((uint16_t)port);
		a.v6.sin6_addr = in6addr_loopback;
	}
	return a;
}

static int
bound(int family, int type, unsigned port)
{
	union addr a = loopback(family, port);
	int on = 1, fd = socket(family, type | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ck_assert_int_eq(bind(fd, &a.sa, sizeof(a)), 0);
	return fd;
}

/* A packet to a closed port is answered; that answer is not part of the flow. */
void
lab_udp_flows(unsigned n, unsigned sport, unsigned dport)
{
	int fd = bound(AF_INET, SOCK_DGRAM, sport);

	for (unsigned i = 0; i < n; i++) {
		union addr to = loopback(AF_INET, dport + i);

		while (sendto(fd, "x", 1, 0, &to.sa, sizeof(to)) != 1)
			ck_assert_int_eq(errno, ECONNREFUSED);
	}
	close(fd);
}

void
lab_udp_talk(int family, unsigned sport, unsigned dport, unsigned out, unsigned back,
	     size_t size)
{
	int client = bound(family, SOCK_DGRAM, sport),
	    server = bound(family, SOCK_DGRAM, dport);
	union addr there = loopback(family, dport), here = loopback(family, sport);
	char payload[2048] = { 0 };

	while (out--)
		ck_assert_int_eq(sendto(client, payload, size, 0, &there.sa, sizeof(there)),
				 (ssize_t)size);
	while (back--)
		ck_assert_int_eq(sendto(server, payload, size, 0, &here.sa, sizeof(here)),
				 (ssize_t)size);
	close(client);
	close(server);
}

void
lab_tcp_talk(unsigned sport, unsigned dport, size_t bytes)
{
	int listener = bound(AF_INET, SOCK_STREAM, dport);
	int client = bound(AF_INET, SOCK_STREAM, sport), server;
	union addr to = loopback(AF_INET, dport);
	char payload[4096] = { 0 };

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(connect(client, &to.sa, sizeof(to)), 0);
	server = accept(listener, NULL, NULL);
	ck_assert_int_eq(send(client, payload, bytes, 0), (ssize_t)bytes);
	ck_assert_int_eq(recv(server, payload, sizeof(payload), 0), (ssize_t)bytes);
	close(client);
	close(server);
	close(listener);
}

void
lab_flush(void)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} req = { .h = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	char answer[1024];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	ck_assert_int_eq(send(fd, &req, sizeof(req), 0), (ssize_t)sizeof(req));
	ck_assert_int_gt(recv(fd, answer, sizeof(answer), 0), 0);
	close(fd);
}
