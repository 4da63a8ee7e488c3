/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pace SOURCE DESTINATION RATE: RATE new UDP flows a second, one packet each,
 * until its stdin ends.
 *
 * Flow i goes from port 20000 + i / PORTS to port 1024 + i % PORTS.  A line "I
 * NS" says that flow I was the next one to be sent at that time; the last line
 * has the number of all flows and of those the kernel refused to send.  A
 * sender that was kept from running catches up at twice the rate at most.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 50000, FIRST_PORT = 1024, FIRST_SOURCE = 20000, STEP_MS = 4 };

struct pace {
	struct sockaddr_in from, to;
	int fd;
	unsigned source;
	uint32_t made, refused;
};

static uint64_t
now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A socket for each 50,000 flows. */
static int
take_socket(struct pace *p)
{
	unsigned source = FIRST_SOURCE + p->made / PORTS;

	if (p->fd >= 0 && p->source == source)
		return 0;
	if (p->fd >= 0)
		close(p->fd);
	p->source = source;
	p->from.sin_port = htons((uint16_t)source);
	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return p->fd < 0 || bind(p->fd, (struct sockaddr *)&p->from, sizeof(p->from)) < 0 ? -1
											  : 0;
}

static int
send_one(struct pace *p)
{
	if (take_socket(p) < 0)
		return -1;
	p->to.sin_port = htons((uint16_t)(FIRST_PORT + p->made % PORTS));
	while (sendto(p->fd, "x", 1, 0, (struct sockaddr *)&p->to, sizeof(p->to)) < 0) {
		if (errno == ECONNREFUSED || errno == ENOBUFS)
			continue;
		if (errno != EPERM)
			return -1;
		p->refused++;
		break;
	}
	p->made++;
	return 0;
}

static int
go_on(struct pace *p, unsigned rate)
{
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t last = now(CLOCK_MONOTONIC);
	double due = 0, most = 2.0 * rate * STEP_MS / 1000;

	while (poll(&end, 1, STEP_MS) == 0) {
		uint64_t t = now(CLOCK_MONOTONIC);

		due += (double)(t - last) * rate / 1e9;
		last = t;
		printf("%u %llu\n", p->made, (unsigned long long)now(CLOCK_REALTIME));
		fflush(stdout);
		for (double n = 0; n + 1 <= most && due >= 1; n++, due--)
			if (send_one(p) < 0)
				return -1;
	}
	printf("%u %u\n", p->made, p->refused);
	return 0;
}

int
main(int argc, char **argv)
{
	struct pace p = { .fd = -1,
			  .from = { .sin_family = AF_INET },
			  .to = { .sin_family = AF_INET } };
	unsigned rate = argc == 4 ? (unsigned)atoi(argv[3]) : 0;

	if (!rate || inet_pton(AF_INET, argv[1], &p.from.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &p.to.sin_addr) != 1) {
		fprintf(stderr, "pace SOURCE DESTINATION RATE\n");
		return 1;
	}
	if (go_on(&p, rate) < 0) {
		perror("pace");
		return 1;
	}
	return 0;
}
