/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * live_wire.c - stands between the input and the kernel: what it asks for.  A
 * dump that sets counters back loses some, so there must never be one.  And the
 * clock, before which others may run.
 */
#include "live.h"

#include <check.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
		      socklen_t len);
ssize_t __real_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
		      socklen_t len);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

static bool
is_netfilter(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t len = sizeof(domain);

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	(void)getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	return domain == AF_NETLINK && protocol == NETLINK_NETFILTER;
}

static void
look(const uint8_t *p, size_t n)
{
	struct nlmsghdr nlh;

	for (; n >= sizeof(nlh); p += NLMSG_ALIGN(nlh.nlmsg_len)) {
		memcpy(&nlh, p, sizeof(nlh));
		/* no assertion that holds: the library would write to its pipe, in a child */
		if (nlh.nlmsg_len < sizeof(nlh) || nlh.nlmsg_len > n)
			ck_abort_msg("a request of %u bytes in %zu", nlh.nlmsg_len, n);
		if (nlh.nlmsg_type ==
		    (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_CTRZERO)) {
			if (nlh.nlmsg_flags & NLM_F_DUMP)
				ck_abort_msg("a zeroing dump");
			live_now->ctx.zero_requests++;
		}
		n -= NLMSG_ALIGN(nlh.nlmsg_len) < n ? NLMSG_ALIGN(nlh.nlmsg_len) : n;
	}
}

ssize_t
__wrap_send(int fd, const void *p, size_t n, int flags)
{
	if (is_netfilter(fd))
		look(p, n);
	return __real_send(fd, p, n, flags);
}

ssize_t
__wrap_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
	      socklen_t len)
{
	if (is_netfilter(fd))
		look(p, n);
	return __real_sendto(fd, p, n, flags, to, len);
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	ck_abort_msg("a way out that is not looked at");
	return -1;
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	struct ctf_ctx *c = live_now ? &live_now->ctx : NULL;

	if (c && c->kept_waiting && id == CLOCK_REALTIME && c->clock_read == CLOCK_BOOTTIME) {
		c->kept_waiting--;
		usleep(20000);
	}
	if (c)
		c->clock_read = id;
	return __real_clock_gettime(id, t);
}
