/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transport.c - connect, and ask a socket how it fares. */
#include "transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
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

/* ---- where it comes from -------------------------------------------------------- */

struct source {
	struct addrinfo *addr; /* NULL: any */
	char device[IFNAMSIZ]; /* "": any */
};

/* 0, or a code of gai_strerror(3); freed by freeaddrinfo(). */
static int
source_parse(const char *text, struct source *ret_source)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	const char *device = strchr(text, '%');
	size_t len = device ? (size_t)(device - text) : strlen(text);
	struct source s = { 0 };
	char addr[INET6_ADDRSTRLEN];
	int r = 0;

	if (device && (!device[1] || strlen(device + 1) >= sizeof(s.device)))
		return EAI_NONAME;
	if (device)
		strcpy(s.device, device + 1);
	if (len >= sizeof(addr))
		return EAI_NONAME;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (len)
		r = getaddrinfo(addr, NULL, &hints, &s.addr);
	if (!r)
		*ret_source = s;
	return r;
}

bool
transport_source(const char *text)
{
	struct source s;

	if (source_parse(text, &s))
		return false;
	if (s.addr)
		freeaddrinfo(s.addr);
	return true;
}

/* The port is chosen with the peer known, so that many peers can share one. */
static int
come_from(int fd, const struct source *s)
{
	struct sockaddr_in6 link;

	if (*s->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
				     (socklen_t)strlen(s->device) + 1))
		return -errno;
	if (!s->addr)
		return 0;
	set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (s->addr->ai_family != AF_INET6)
		return bind(fd, s->addr->ai_addr, s->addr->ai_addrlen) ? -errno : 0;
	memcpy(&link, s->addr->ai_addr, sizeof(link));
	if (IN6_IS_ADDR_LINKLOCAL(&link.sin6_addr))
		link.sin6_scope_id = if_nametoindex(s->device);
	return bind(fd, (const struct sockaddr *)&link, sizeof(link)) ? -errno : 0;
}

/* ---- connecting ----------------------------------------------------------------- */

static int
connect_one(struct ctf_ctx *ctx, const struct addrinfo *a, const struct source *from, bool tcp)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	if (tcp)
		keep_alive(fd);
	r = come_from(fd, from);
	if (!r)
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
connect_any(struct ctf_ctx *ctx, const struct addrinfo *list, const struct transport_to *to,
	    const struct source *from, struct ctf_err *err)
{
	int fd = -EHOSTUNREACH;

	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		char addr[64] = "?", port[8] = "?";

		fd = connect_one(ctx, a, from, to->tcp);
		if (fd >= 0)
			return fd;
		getnameinfo(a->ai_addr, a->ai_addrlen, addr, sizeof(addr), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
		ctf_fail(err, -fd, "cannot connect to %s port %s%s%s: %s", addr, port,
			 *to->source ? " from " : "", to->source, strerror(-fd));
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
transport_open(struct ctf_ctx *ctx, const struct transport_to *to, struct ctf_err *err)
{
	struct addrinfo hints = { .ai_socktype = to->tcp ? SOCK_STREAM : SOCK_DGRAM }, *list;
	struct source from;
	int r = source_parse(to->source, &from);

	if (r)
		return ctf_fail(err, EHOSTUNREACH, "source=%s: %s", to->source,
				gai_strerror(r));
	hints.ai_family = from.addr ? from.addr->ai_family : AF_UNSPEC;
	r = getaddrinfo(to->host, to->port, &hints, &list);
	if (r) {
		r = ctf_fail(err, EHOSTUNREACH, "cannot resolve %s port %s%s%s: %s", to->host,
			     to->port, *to->source ? " for " : "", to->source,
			     r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	} else {
		r = connect_any(ctx, list, to, &from, err);
		freeaddrinfo(list);
	}
	if (from.addr)
		freeaddrinfo(from.addr);
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
