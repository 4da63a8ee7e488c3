/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames to files, FIFOs, terminals and sockets when writes are short, fail
 * in the middle, or nobody reads.  The sink's source is compiled in, so that
 * its system calls can be made to fail; the core is two functions here.
 */
#include <sys/types.h>
#include <sys/uio.h>

static ssize_t test_writev(int fd, const struct iovec *iov, int n);
#define writev test_writev
#include "../../output/stream.c"
#undef writev

#include <check.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

static struct {
	size_t step; /* bytes a write takes at most; 0: all */
	size_t left; /* bytes until the disk is full */
	bool full; /* left counts */
	int other; /* somebody who appends when the disk is full, or 0 */
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

int
ctf_fail(struct ctf_err *err, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -errnum;
}

#define FRAMES 3
static const char lines[FRAMES][40] = { "first\nsecond line\n", "third\n",
					"fourth\nfifth\nsixth, the last\n" };
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
	conf.file = path;
	s.obj.conf = &conf;
	for (unsigned i = 0; i < FRAMES; i++) {
		frame[i] = (struct ctf_frame){ .len = (uint32_t)strlen(lines[i]), .number = 10 + i };
		frame[i].p = (uint8_t *)strdup(lines[i]);
		list[i] = &frame[i];
	}
}

static void
teardown(void)
{
	char cmd[128];

	stream_close(&s);
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

/* Everything in file, as a string. */
static char *
content(const char *file)
{
	static char buf[4096];
	FILE *f = fopen(file, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return buf;
}

START_TEST(short_writes)
{
	unsigned taken;

	for (size_t step = 1; step < 50; step++) {
		remove(path);
		inject.step = step;
		ck_assert_int_eq(open_sink(), 0);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_SENT);
		ck_assert_uint_eq(taken, FRAMES);
		ck_assert_str_eq(content(path), all);
		stream_close(&s);
	}
}
END_TEST

/* The disk is full after each possible number of bytes, then has room again. */
static void
fill_disk(size_t room)
{
	inject.full = true;
	inject.left = room;
}

START_TEST(disk_full)
{
	for (size_t room = 0; room < sizeof(all) - 1; room++) {
		unsigned taken, more;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(room);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		ck_assert_ptr_nonnull(strstr(err.msg, "No space left"));
		/* what is there is a part of the whole and ends with a line */
		ck_assert(strncmp(content(path), all, strlen(content(path))) == 0);
		ck_assert(!*content(path) || content(path)[strlen(content(path)) - 1] == '\n');
		stream_close(&s);
		inject.full = false;
		ck_assert_int_eq(open_sink(), 0);
		ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
				 CTF_SENT);
		ck_assert_uint_eq(taken + more, FRAMES);
		ck_assert_str_eq(content(path), all);
		stream_close(&s);
	}
}
END_TEST

/* As before, but another process wrote after our half line: it must stay. */
START_TEST(disk_full_other_writer)
{
	for (size_t room = 1; room < sizeof(all) - 1; room++) {
		char *at, want[200];
		unsigned taken, more;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(room);
		inject.other = open(path, O_WRONLY | O_APPEND);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		close(inject.other);
		inject.full = false;
		ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
				 CTF_SENT);
		snprintf(want, sizeof(want), "%s", content(path));
		at = strstr(want, "other\n");
		ck_assert_ptr_nonnull(at);
		memmove(at, at + 6, strlen(at + 6) + 1);
		ck_assert_str_eq(want, all);
		stream_close(&s);
	}
}
END_TEST

/* The frame begun was dropped: the lines after it are whole lines. */
START_TEST(begun_frame_dropped)
{
	for (unsigned other = 0; other < 2; other++) {
		unsigned taken;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(8);
		inject.other = other ? open(path, O_WRONLY | O_APPEND) : 0;
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		ck_assert_uint_eq(taken, 0);
		inject.full = false;
		ck_assert_int_eq(stream_deliver(&s, list + 1, 2, &taken, &err), CTF_SENT);
		ck_assert_str_eq(content(path),
				 other ? "first\nseother\n\nthird\nfourth\nfifth\nsixth, the last\n"
				       : "first\nthird\nfourth\nfifth\nsixth, the last\n");
		stream_close(&s);
	}
}
END_TEST

START_TEST(rotated_while_full)
{
	char old[160], both[200];

	snprintf(old, sizeof(old), "%s.1", path);
	for (size_t room = 0; room < sizeof(all) - 1; room++) {
		unsigned taken, more;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(room);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		ck_assert_int_eq(rename(path, old), 0);
		inject.full = false;
		ck_assert_int_eq(stream_reopen(&s, &err), 0);
		ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
				 CTF_SENT);
		snprintf(both, sizeof(both), "%s", content(old));
		ck_assert(!*both || both[strlen(both) - 1] == '\n');
		strcat(both, content(path));
		ck_assert_str_eq(both, all);
		stream_close(&s);
	}
}
END_TEST

START_TEST(reopen_keeps_the_old_file)
{
	char moved[80], at[160];
	unsigned taken;

	ck_assert_int_eq(open_sink(), 0);
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	ck_assert_int_eq(rename(dir, moved), 0);
	ck_assert_int_eq(stream_reopen(&s, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, path));
	ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_SENT);
	ck_assert_int_eq(rename(moved, dir), 0);
	snprintf(at, sizeof(at), "%s/log", dir);
	ck_assert_str_eq(content(at), all);
	ck_assert_int_eq(rename(path, strcat(at, ".1")), 0);
	ck_assert_int_eq(stream_reopen(&s, &err), 0);
	ck_assert_str_eq(content(path), "");
}
END_TEST

START_TEST(cannot_open)
{
	uid_t root = geteuid();

	conf.file = dir;
	ck_assert_int_eq(open_sink(), EISDIR);
	ck_assert_ptr_nonnull(strstr(err.msg, "Is a directory"));
	conf.file = "/nonexistent/log";
	ck_assert_int_eq(open_sink(), ENOENT);
	conf.file = path;
	ck_assert_int_eq(open_sink(), 0);
	stream_close(&s);
	ck_assert_int_eq(chmod(path, 0444), 0);
	if (root == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(open_sink(), EACCES);
	ck_assert_int_eq(seteuid(root), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, path));
}
END_TEST

START_TEST(dev_full)
{
	unsigned taken = 9;

	conf.file = "/dev/full";
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
	ck_assert_uint_eq(taken, 0);
}
END_TEST

/* A frame larger than a pipe or socket buffer; its lines are numbered. */
static void
make_big(size_t len)
{
	free(frame[0].p);
	frame[0].p = malloc(len);
	for (size_t i = 0; i < len; i += 8)
		snprintf((char *)frame[0].p + i, 8, "%07zu", i / 8);
	for (size_t i = 7; i < len; i += 8)
		frame[0].p[i] = '\n';
	frame[0].len = (uint32_t)len;
}

static size_t
read_all(int fd, uint8_t *buf, size_t n)
{
	size_t got = 0;
	ssize_t r;

	for (; got < n && (r = read(fd, buf + got, n - got)) > 0; got += (size_t)r)
		;
	return got;
}

/* Reader fd sleeps, then wakes up: nothing is lost, nothing written twice. */
static void
check_sleeping_reader(int fd)
{
	size_t len = 1 << 20, got = 0;
	uint8_t *buf = malloc(len + 1);
	enum ctf_sent r;
	unsigned taken = 9, again = 0;

	make_big(len);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	do {
		r = stream_deliver(&s, list, 1, &taken, &err);
		again += r == CTF_AGAIN;
		got += read_all(fd, buf + got, len + 1 - got);
	} while (r == CTF_AGAIN);
	ck_assert_int_eq(r, CTF_SENT);
	ck_assert_uint_eq(taken, 1);
	ck_assert_uint_ge(again, 1);
	got += read_all(fd, buf + got, len + 1 - got);
	ck_assert_uint_eq(got, len);
	ck_assert_mem_eq(buf, frame[0].p, len);
	free(buf);
}

START_TEST(fifo)
{
	unsigned taken;
	int fd;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(open_sink(), ENXIO);
	ck_assert_ptr_nonnull(strstr(err.msg, "nobody reads"));
	fd = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(open_sink(), 0);
	check_sleeping_reader(fd);
	/* the reader sleeps, and the core wants deliver() to return */
	inject.interrupt = true;
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_AGAIN);
	ck_assert_uint_eq(taken, 0);
	/* SIGHUP meanwhile: the reader is the same, the frame goes on */
	ck_assert_uint_gt(s.off, 0);
	ck_assert_int_eq(stream_reopen(&s, &err), 0);
	ck_assert(!s.fresh);
	/* it dies: the next one gets the frame from its start */
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_RETRY);
	stream_close(&s);
	inject.interrupt = false;
	fd = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(open_sink(), 0);
	check_sleeping_reader(fd);
	close(fd);
}
END_TEST

START_TEST(shared_pipe)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	stream_use(&s, p[1], STREAM_SHARED);
	check_sleeping_reader(p[0]);
	close(p[0]);
}
END_TEST

START_TEST(socket_peer)
{
	unsigned taken = 9;
	int p[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	stream_use(&s, p[1], STREAM_SOCKET);
	check_sleeping_reader(p[0]);
	close(p[0]);
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_RETRY);
	ck_assert_uint_eq(taken, 0);
}
END_TEST

/* Opens /dev/stdout while fd 1 is fd. */
static void
open_stdout(int fd)
{
	int saved = dup(1);

	conf.file = "/dev/stdout";
	ck_assert_int_ge(dup2(fd, 1), 0);
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_ge(dup2(saved, 1), 0);
	close(saved);
}

START_TEST(stdout_pipe_and_socket)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	open_stdout(p[1]);
	ck_assert_int_eq(s.kind, STREAM_PIPE);
	ck_assert_int_eq(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0); /* others see no change */
	check_sleeping_reader(p[0]);
	stream_close(&s);
	close(p[0]);
	close(p[1]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	open_stdout(p[1]);
	ck_assert_int_eq(s.kind, STREAM_SOCKET);
	check_sleeping_reader(p[0]);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(stdout_file)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	unsigned taken;

	ck_assert_int_eq(write(fd, "head\n", 5), 5);
	open_stdout(fd);
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_SENT);
	ck_assert_int_eq(write(fd, "foot\n", 5), 5); /* one offset: nobody overwrites */
	ck_assert_str_eq(content(path), "head\nfirst\nsecond line\nfoot\n");
	close(fd);
}
END_TEST

START_TEST(terminal)
{
	int pty = posix_openpt(O_RDWR | O_NOCTTY), tty;
	char buf[200] = "";
	unsigned taken;

	ck_assert_int_eq(grantpt(pty), 0);
	ck_assert_int_eq(unlockpt(pty), 0);
	tty = open(ptsname(pty), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(tty, 0);
	open_stdout(tty);
	ck_assert_int_eq(stream_deliver(&s, list, 2, &taken, &err), CTF_SENT);
	ck_assert_int_gt(read(pty, buf, sizeof(buf) - 1), 0);
	ck_assert_str_eq(buf, "first\r\nsecond line\r\nthird\r\n");
	/* nobody looks at it: no blocking, however it was opened */
	make_big(1 << 20);
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_AGAIN);
	stream_use(&s, dup(tty), STREAM_SHARED);
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_AGAIN);
	close(tty);
	close(pty);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stream");
	TCase *t = tcase_create("stream");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, short_writes);
	tcase_add_test(t, disk_full);
	tcase_add_test(t, disk_full_other_writer);
	tcase_add_test(t, begun_frame_dropped);
	tcase_add_test(t, rotated_while_full);
	tcase_add_test(t, reopen_keeps_the_old_file);
	tcase_add_test(t, cannot_open);
	tcase_add_test(t, dev_full);
	tcase_add_test(t, fifo);
	tcase_add_test(t, shared_pipe);
	tcase_add_test(t, socket_peer);
	tcase_add_test(t, stdout_pipe_and_socket);
	tcase_add_test(t, stdout_file);
	tcase_add_test(t, terminal);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
