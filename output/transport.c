/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transport.c - connect, and ask a socket how it fares. */
#include "transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 10000 /* for one address */
#define READS_MAX 16     /* a peer that never stops talking must not keep us */

static void
set_int(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

/*
 * A TCP peer that vanished without a word is found by keepalive while idle,
 * and by TCP's own retransmission limit otherwise.
 */
static void
keep_alive(int fd)
{
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

static int
socket_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

static int
connect_one(struct ctf_ctx *ctx, const struct addrinfo *a, bool tcp)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	if (tcp)
		keep_alive(fd);
	r = connect(fd, a->ai_addr, a->ai_addrlen) ? -errno : 0;
	if (r == -EINPROGRESS) {
		r = ctf_wait(ctx, fd, POLLOUT, CONNECT_MS);
		if (r == 0)
			r = -ETIMEDOUT;
		else if (r > 0)
			r = socket_error(fd);
	}
	if (!r)
		return fd;
	close(fd);
	return r;
}

/* Errors that would make the core refuse the configuration. */
static int
unreachable(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
	case -EINVAL:
	case -ENOENT:
		return -EHOSTUNREACH;
	}
	return err;
}

static int
connect_any(struct ctf_ctx *ctx, const struct addrinfo *list, bool tcp, struct ctf_err *err)
{
	int fd = -EHOSTUNREACH;

	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		char addr[64] = "?", port[8] = "?";

		fd = connect_one(ctx, a, tcp);
		if (fd >= 0)
			return fd;
		getnameinfo(a->ai_addr, a->ai_addrlen, addr, sizeof(addr), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
		ctf_fail(err, -fd, "cannot connect to %s port %s: %s", addr, port,
			 strerror(-fd));
		if (fd == -EINTR)
			break;
	}
	return unreachable(fd);
}

bool
transport_port(const char *port)
{
	char *end;
	unsigned long n = strtoul(port, &end, 10);

	if (end != port && !*end)
		return n >= 1 && n <= 65535;
	return getservbyname(port, NULL) != NULL;
}

int
transport_open(struct ctf_ctx *ctx, const char *host, const char *port, bool tcp,
	       struct ctf_err *err)
{
	struct addrinfo hints = { .ai_socktype = tcp ? SOCK_STREAM : SOCK_DGRAM };
	struct addrinfo *list;
	int r = getaddrinfo(host, port, &hints, &list);

	if (r)
		return ctf_fail(err, EHOSTUNREACH, "cannot resolve %s port %s: %s", host, port,
				r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	r = connect_any(ctx, list, tcp, err);
	freeaddrinfo(list);
	return r;
}

void
transport_whole(int fd)
{
	int family = 0;
	socklen_t len = sizeof(family);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len))
		return;
	if (family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	else
		set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
}

int
transport_peer(int fd)
{
	char waste[4096];

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? 0 : -errno;
	}
	return 0;
}

uint32_t
transport_unacked(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) || n < 0 ? 0 : (uint32_t)n;
}

ssize_t
transport_sendv(int fd, struct iovec *iov, size_t n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent < 0 ? -errno : sent;
}

uint32_t
transport_path_payload(int fd)
{
	int mtu = 0, family = 0;
	socklen_t len = sizeof(mtu), flen = sizeof(family);
	uint32_t head;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &flen))
		return 0;
	head = family == AF_INET6 ? 48 : 28;
	if (family == AF_INET6 ? getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len)
			       : getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len))
		return 0;
	return mtu > (int)head ? (uint32_t)mtu - head : 0;
}
