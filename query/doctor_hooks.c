/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_hooks.c - whether conntrack is in the way of packets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/netlink.h>

#include "../input/nfct_host.h"
#include "doctor.h"

#define PATIENCE 2 /* seconds, for one answer */

static int64_t
entries(void)
{
	return dr_number("/proc/sys/net/netfilter/nf_conntrack_count");
}

/* By the list of hooks, where the kernel has one to show: 1, 0, or -1. */
static int
by_list(void)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int hooked;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	hooked = nfct_ask_hooks(fd);
	close(fd);
	return hooked;
}

/* A datagram to ourselves: if it leaves an entry, conntrack looks at packets. */
static int
by_packet(void)
{
	struct timeval patience = { .tv_usec = 200000 };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), seen = -1;
	char c = 0;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&to, &len) == 0 &&
	    sendto(fd, &c, 1, 0, (struct sockaddr *)&to, len) == 1 && recv(fd, &c, 1, 0) == 1)
		seen = entries() > 0;
	close(fd);
	return seen;
}

/* Conntrack can also be called by others than its hooks: the table has the last word. */
void
dr_check_hooks(struct doctor *d)
{
	int hooked;

	if (entries() != 0)
		return;
	hooked = by_list();
	if (hooked < 0)
		hooked = by_packet();
	if (hooked < 0)
		dr_unread(d, "whether conntrack is in the way of packets");
	if (hooked != 0)
		return;
	dr_find(d, DR_ERROR, "hooks",
		"conntrack sees no packets: it looks at them only where a rule asks for it, "
		"and "
		"without one there are no connections to record");
	dr_fix(d,
	       "%snft 'table inet ctflowd { chain forward { type filter hook forward priority "
	       "0; "
	       "ct state new accept; }; }'",
	       d->inside);
}
