/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream sink with its source compiled in, so that its system calls can
 * be made to fail; the core is a few functions here.
 */
#ifndef TEST_STREAM_INJECT_H
#define TEST_STREAM_INJECT_H

#include <sys/types.h>
#include <sys/uio.h>

static ssize_t test_writev(int fd, const struct iovec *iov, int n);
#define writev test_writev
#include "../../output/stream.c"
#include "../../output/stream_kept.c"
#include "../../output/stream_hand.c"
#include "../../output/stream_head.c"
#undef writev

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct {
	size_t step;    /* bytes a write takes at most; 0: all */
	size_t left;    /* bytes until the disk is full */
	bool full;      /* left counts */
	int other;      /* somebody who appends when the disk is full, or 0 */
	bool die;       /* when the disk is full */
	bool interrupt; /* what ctf_wait() says */
} inject;

static ssize_t
test_writev(int fd, const struct iovec *iov, int n)
{
	struct iovec one = iov[0];

	if (inject.step && one.iov_len > inject.step)
		one.iov_len = inject.step;
	if (!inject.full)
		return writev(fd, inject.step ? &one : iov, inject.step ? 1 : n);
	if (!inject.left && inject.die)
		_exit(0);
	if (!inject.left) {
		if (inject.other)
			ck_assert_int_eq(write(inject.other, "other\n", 6), 6);
		errno = ENOSPC;
		return -1;
	}
	if (one.iov_len > inject.left)
		one.iov_len = inject.left;
	inject.left -= one.iov_len;
	return writev(fd, &one, 1);
}

int
ctf_wait(struct ctf_ctx *ctx, int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (inject.interrupt)
		return -EINTR;
	return poll(&p, 1, timeout_ms > 20 ? 20 : timeout_ms) > 0 ? p.revents : 0;
}

void
ctf_will_remake(struct ctf_ctx *ctx, const char *file)
{
}

/* Without -u there is nobody to give a file to. */
int
ctf_own(const struct ctf_ctx *ctx, int fd)
{
	return 0;
}

void
ctf_log(const struct ctf_ctx *ctx, enum ctf_level level, const char *fmt, ...)
{
}

/* The state page: the same memory whenever asked, and what was found with it. */
static uint64_t *page, found;
#define PAGE 2048
static int nfound; /* -1: not exactly */
static bool page_kept;

void *
ctf_state(struct ctf_ctx *ctx, const char *part, size_t size, bool *ret_kept)
{
	ck_assert_uint_le(size, PAGE);
	*ret_kept = page_kept;
	return page;
}

void
ctf_found(struct ctf_ctx *ctx, uint64_t upto, bool exact)
{
	found = upto;
	nfound = exact ? 1 : -1;
}

/* What a process before left, and what this one leaves. */
static struct {
	bool there;
	uint8_t p[256];
	size_t n;
	int pipe; /* kept; 0: none */
} legacy;

int
ctf_leave_bytes(struct ctf_legacy *to, const char *name, const void *p, size_t n)
{
	ck_assert_str_eq(name, "begun");
	ck_assert_uint_le(n, sizeof(legacy.p));
	memcpy(legacy.p, p, n);
	legacy.n = n;
	legacy.there = true;
	return 0;
}

int
ctf_inherit_bytes(struct ctf_ctx *ctx, const char *name, const void **ret_p, size_t *ret_n)
{
	if (!legacy.there)
		return -ENOENT;
	*ret_p = legacy.p;
	*ret_n = legacy.n;
	return 0;
}

int
ctf_keep_fd(struct ctf_ctx *ctx, const char *name, int fd)
{
	if (legacy.pipe && fd < 0)
		close(legacy.pipe);
	legacy.pipe = fd < 0 ? 0 : dup(fd);
	return 0;
}

int
ctf_inherit_fd(struct ctf_ctx *ctx, const char *name, int *ret_fd)
{
	if (!legacy.pipe)
		return -ENOENT;
	*ret_fd = dup(legacy.pipe);
	return 0;
}

#define FRAMES 3
static const char lines[FRAMES][40] = { "first\nsecond line\n", "third\n",
					"fourth\nfifth\nsixth, the last\n" };
static const uint32_t flows[FRAMES] = { 2, 1, 3 };
static const uint64_t upto[FRAMES] = { 102, 103, 106 };
static const char all[] = "first\nsecond line\nthird\nfourth\nfifth\nsixth, the last\n";

static char dir[64];
static char path[128];
static struct stream_conf conf;
static struct stream s;
static struct ctf_frame frame[FRAMES];
static const struct ctf_frame *list[FRAMES];
static struct ctf_err err;

static void
setup(void)
{
	memset(&inject, 0, sizeof(inject));
	memset(&s, 0, sizeof(s));
	strcpy(dir, "/tmp/test_stream.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/log", dir);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	page_kept = false;
	nfound = 0;
	conf.file = path;
	s.obj.conf = &conf;
	for (unsigned i = 0; i < FRAMES; i++) {
		frame[i] = (struct ctf_frame){ .len = (uint32_t)strlen(lines[i]),
					       .number = 10 + i,
					       .recs = flows[i],
					       .flows = flows[i],
					       .upto = upto[i] };
		frame[i].p = (uint8_t *)strdup(lines[i]);
		list[i] = &frame[i];
	}
}

static void
teardown(void)
{
	char cmd[128];

	stream_close(&s);
	munmap(page, PAGE);
	for (unsigned i = 0; i < FRAMES; i++)
		free(frame[i].p);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static int
open_sink(void)
{
	int e = -1;

	ck_assert_int_eq(stream_open(&s, &e, &err), -1);
	return e;
}

#endif
