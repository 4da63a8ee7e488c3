/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flood COUNT [RATE [FIRST]]: COUNT UDP flows of one packet each, RATE a second
 * or (0) as fast as one socket can, from flow FIRST on.
 *
 * Flow i goes from 10.66.0.1:9000 to 10.66.1.(1 + i / PORTS),
 * port 1024 + i % PORTS, and carries 1 + i % 64 bytes, so that a reader of
 * the logs can tell from a destination which flow it was and how long.
 * Wants an interface without ARP that has 10.66.0.1/16.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 50000, FIRST_PORT = 1024, SIZES = 64, BATCH = 64 };

struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in to[BATCH];
	char payload[SIZES];
};

static void
address(struct sockaddr_in *to, uint32_t i)
{
	to->sin_family = AF_INET;
	to->sin_port = htons((uint16_t)(FIRST_PORT + i % PORTS));
	to->sin_addr.s_addr = htonl((10u << 24) + (66u << 16) + (1u << 8) + 1 + i / PORTS);
}

/* Sends flows first..first+n-1; a full device queue is waited for. */
static int
send_some(int fd, struct batch *b, uint32_t first, unsigned n)
{
	unsigned done = 0;

	for (unsigned k = 0; k < n; k++) {
		address(&b->to[k], first + k);
		b->iov[k].iov_base = b->payload;
		b->iov[k].iov_len = 1 + (first + k) % SIZES;
		b->msg[k].msg_hdr.msg_name = &b->to[k];
		b->msg[k].msg_hdr.msg_namelen = sizeof(b->to[k]);
		b->msg[k].msg_hdr.msg_iov = &b->iov[k];
		b->msg[k].msg_hdr.msg_iovlen = 1;
	}
	while (done < n) {
		int r = sendmmsg(fd, b->msg + done, n - done, 0);

		if (r < 0 && errno == ENOBUFS)
			usleep(1000);
		else if (r < 0)
			return -errno;
		else
			done += (unsigned)r;
	}
	return 0;
}

static int
open_socket(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(9000) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "10.66.0.1", &from.sin_addr);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Waits until it is time for flow i. */
static void
pace(const struct timespec *start, uint32_t i, uint32_t rate)
{
	uint64_t ns = (uint64_t)i * 1000000000u / rate + (uint64_t)start->tv_nsec;
	struct timespec at = { start->tv_sec + (time_t)(ns / 1000000000u),
			       (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

int
main(int argc, char **argv)
{
	struct batch *b = calloc(1, sizeof(*b));
	uint32_t count = argc >= 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	uint32_t rate = argc >= 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	uint32_t first = argc >= 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	int fd = open_socket(), r = 0;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);

	if (!count || count > 250u * PORTS || first > 250u * PORTS - count || !b || fd < 0) {
		fprintf(stderr, "flood COUNT [RATE [FIRST]]: %s\n",
			count ? strerror(errno) : "how many flows?");
		free(b);
		return 1;
	}
	for (uint32_t i = 0; i < count && r == 0; i += BATCH) {
		if (rate)
			pace(&start, i, rate);
		r = send_some(fd, b, first + i, count - i < BATCH ? count - i : BATCH);
	}
	if (r < 0)
		fprintf(stderr, "flood: %s\n", strerror(-r));
	close(fd);
	free(b);
	return r < 0;
}
