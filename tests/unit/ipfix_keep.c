/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipfix_keep.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void
keep_nothing(void)
{
	unsetenv("CTF_KEEP");
}

/* A file of this test, which is a process of its own. */
static FILE *
file(const char *kind, unsigned number, const char *mode)
{
	const char *folder = getenv("CTF_KEEP");
	char path[4096];
	FILE *f;

	if (!folder)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s.%ld.%u.%s", folder, program_invocation_short_name,
		 (long)getpid(), number, kind);
	f = fopen(path, mode);
	ck_assert_ptr_nonnull(f);
	return f;
}

void
keep_session(const void *bytes, size_t len, enum keep how)
{
	static const char *const kind[] = { "tcp", "torn", "file" };
	struct timespec t;
	FILE *f;

	clock_gettime(CLOCK_MONOTONIC, &t); /* tells the sessions of a test apart */
	f = file(kind[how], (unsigned)(t.tv_sec * 1000000000 + t.tv_nsec), "wx");
	if (!f)
		return;
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static void
keep_datagram(const void *p, size_t len, unsigned sender)
{
	FILE *f = file("timed", sender, "a");
	struct timespec t;
	uint32_t length = htobe32((uint32_t)len);
	uint64_t bits;
	double now;

	if (!f)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	memcpy(&bits, &now, sizeof(bits));
	bits = htobe64(bits);
	fwrite(&bits, sizeof(bits), 1, f);
	fwrite(&length, sizeof(length), 1, f);
	ck_assert_uint_eq(fwrite(p, 1, len, f), len);
	fclose(f);
}

ssize_t
keep_recv(int fd, void *buf, size_t cap)
{
	struct sockaddr_storage from = { 0 };
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(fd, buf, cap, 0, (struct sockaddr *)&from, &size);

	/* the port has the same place in both families */
	if (n > 0)
		keep_datagram(buf, (size_t)n, ((struct sockaddr_in *)&from)->sin_port);
	return n;
}
