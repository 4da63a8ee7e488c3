/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_sock.c - the socket that hears conntrack's events. */
#include "nfct_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/netfilter/nfnetlink.h>

static const struct {
	unsigned event;
	int group;
} groups[] = {
	{ CTF_NEW, NFNLGRP_CONNTRACK_NEW },
	{ CTF_UPDATE, NFNLGRP_CONNTRACK_UPDATE },
	{ CTF_DESTROY, NFNLGRP_CONNTRACK_DESTROY },
};
#define GROUPS (sizeof(groups) / sizeof(*groups))

static int
set_flag(int fd, int option, int on)
{

	return setsockopt(fd, SOL_NETLINK, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

/*
 * Only both together are reliable: the first makes conntrack keep an ended
 * flow it could not report, the second lets it do so as well when there was
 * no memory for the message.
 */
static int
set_reliable(int fd, bool reliable, struct ctf_err *err)
{
	int r = set_flag(fd, NETLINK_BROADCAST_ERROR, reliable);

	if (r == 0)
		r = set_flag(fd, NETLINK_NO_ENOBUFS, reliable);
	if (r < 0 && reliable)
		return ctf_fail(err, -r, "no reliable delivery from this kernel: %s",
				strerror(-r));
	return 0;
}

static int
set_filter(int fd, struct sock_filter *prog, unsigned len, struct ctf_err *err)
{
	struct sock_fprog bpf = { .len = (unsigned short)len, .filter = prog };
	int none = 0;

	if (len == 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
		return 0;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &bpf, sizeof(bpf)) < 0)
		return ctf_fail(
			err, errno, "the kernel refuses to select (%u instructions): %s%s", len,
			strerror(errno), errno == ENOMEM ? "; raise net.core.optmem_max" : "");
	return 0;
}

int
nfct_events_set(int fd, bool reliable, struct sock_filter *prog, unsigned len, unsigned mask,
		struct ctf_err *err)
{
	int r = set_filter(fd, prog, len, err);

	nfct_events_leave(fd, ~mask);
	return r < 0 ? r : set_reliable(fd, reliable, err);
}

int
nfct_events_open(bool reliable, struct sock_filter *prog, unsigned len, int *ret_fd,
		 struct ctf_err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int r, fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (fd < 0)
		return ctf_fail(err, errno, "no netlink socket: %s", strerror(errno));
	r = reliable ? set_reliable(fd, true, err) : 0;
	if (r == 0)
		r = set_filter(fd, prog, len, err);
	if (r == 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		r = ctf_fail(err, errno, "cannot bind a netlink socket: %s", strerror(errno));
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* ---- a socket that came from elsewhere ---- */

/* An int of getsockopt(2); false: there is none. */
static bool
has_option(int fd, int level, int option, int *ret_value)
{
	socklen_t len = sizeof(*ret_value);

	return getsockopt(fd, level, option, ret_value, &len) == 0 && len == sizeof(int);
}

/* 1: both are of the same network namespace; 0: not; -errno: cannot be told. */
static int
same_namespace(int a, int b)
{
	uint64_t x = 0, y = 0;
	socklen_t len = sizeof(x);

	if (getsockopt(a, SOL_SOCKET, SO_NETNS_COOKIE, &x, &len) < 0 ||
	    getsockopt(b, SOL_SOCKET, SO_NETNS_COOKIE, &y, &len) < 0)
		return -errno;
	return x == y;
}

int
nfct_events_check(int fd, int like, int protocol, bool *ret_all)
{
	int family = 0, its = 0, all = 0, same;

	if (!has_option(fd, SOL_SOCKET, SO_DOMAIN, &family) || family != AF_NETLINK ||
	    !has_option(fd, SOL_SOCKET, SO_PROTOCOL, &its) || its != protocol)
		return -EPROTOTYPE;
	same = same_namespace(fd, like);
	if (same <= 0)
		return same < 0 ? same : -EXDEV;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	*ret_all = has_option(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &all) && all;
	return 0;
}

int64_t
nfct_events_buffer(int fd, uint64_t bytes)
{
	int size = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes;
	socklen_t len = sizeof(size);

	/* without CAP_NET_ADMIN net.core.rmem_max is the limit */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return -errno;
	return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) < 0 ? -errno : size;
}

int
nfct_events_join(int fd, unsigned mask, struct ctf_err *err)
{
	for (size_t i = 0; i < GROUPS; i++)
		if (mask & groups[i].event &&
		    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i].group,
			       sizeof(groups[i].group)) < 0)
			return ctf_fail(err, errno, "cannot listen to conntrack events: %s%s",
					strerror(errno),
					errno == EPERM ? "; needs CAP_NET_ADMIN (root)" : "");
	return 0;
}

void
nfct_events_leave(int fd, unsigned mask)
{
	for (size_t i = 0; i < GROUPS; i++)
		if (mask & groups[i].event)
			(void)setsockopt(fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP,
					 &groups[i].group, sizeof(groups[i].group));
}

int
nfct_events_keep(int fd, bool keep)
{
	return set_flag(fd, NETLINK_BROADCAST_ERROR, keep);
}

bool
nfct_events_kept(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &on, &len) < 0 || on;
}

int
nfct_events_mem(int fd, struct nfct_mem *ret_mem)
{
	uint32_t v[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(v);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, v, &len) < 0)
		return -errno;
	ret_mem->used = v[SK_MEMINFO_RMEM_ALLOC];
	ret_mem->rcvbuf = v[SK_MEMINFO_RCVBUF];
	ret_mem->drops = v[SK_MEMINFO_DROPS];
	return 0;
}
