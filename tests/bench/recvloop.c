/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recvloop BYTES: the bare receive loop every reader is measured against.
 * Joins the DESTROY group with a receive buffer of BYTES, says "ready",
 * receives one event after the other and throws it away.  SIGTERM makes it
 * print how many there were.
 */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
open_events(int bytes)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int group = NFNLGRP_CONNTRACK_DESTROY;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* No SA_RESTART: the signal has to end the recv(). */
static void
ignore(int sig)
{
	(void)sig;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = ignore };
	char buf[8192];
	unsigned long events = 0, lost = 0;
	int fd = open_events(argc == 2 ? atoi(argv[1]) : 1 << 20);

	if (fd < 0) {
		fprintf(stderr, "recvloop: %s\n", strerror(errno));
		return 1;
	}
	sigaction(SIGTERM, &sa, NULL);
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (recv(fd, buf, sizeof(buf), 0) > 0)
			events++;
		else if (errno == ENOBUFS)
			lost++;
		else
			break;
	}
	printf("%lu events, %lu overruns\n", events, lost);
	close(fd);
	return 0;
}
