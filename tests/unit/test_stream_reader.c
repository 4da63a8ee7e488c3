/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames to FIFOs, sockets, terminals and the standard output: readers that sleep or die. */
#include "stream_inject.h"
#include "unit.h"

/* A frame larger than a pipe or socket buffer; its lines are numbered. */
static void
make_big(size_t len)
{
	free(frame[0].p);
	frame[0].p = malloc(len);
	for (size_t i = 0; i < len; i++)
		frame[0].p[i] = (uint8_t)(i % 8 == 7 ? '\n' : 'a' + (i / 8 + i) % 26);
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
	stream_use(&s, p[1], STREAM_SHARED, "test");
	check_sleeping_reader(p[0]);
	close(p[0]);
}
END_TEST

START_TEST(socket_peer)
{
	unsigned taken = 9;
	int p[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	stream_use(&s, p[1], STREAM_SOCKET, "test");
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
	ck_assert_str_eq(unit_read(path), "head\nfirst\nsecond line\nfoot\n");
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
	stream_use(&s, dup(tty), STREAM_SHARED, "test");
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_AGAIN);
	close(tty);
	close(pty);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, fifo);
	tcase_add_test(t, shared_pipe);
	tcase_add_test(t, socket_peer);
	tcase_add_test(t, stdout_pipe_and_socket);
	tcase_add_test(t, stdout_file);
	tcase_add_test(t, terminal);
}

int
main(void)
{
	return unit_main("stream_reader", add_tests);
}
