/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test plays the service manager. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"
#include "unit.h"

static char path[64];

/* A bound socket; $NOTIFY_SOCKET names it. */
static int
manager(bool abstract)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len;

	snprintf(path, sizeof(path), "%sctl-notify-%d", abstract ? "@" : "/tmp/",
		 (int)getpid());
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (abstract)
		a.sun_path[0] = '\0';
	else
		unlink(path);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + !abstract);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

/* One datagram as text, and the descriptor that came with it or -1. */
static int
got(int fd, char *text, size_t size)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} c;
	struct iovec iov = { text, size - 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = c.buf,
			    .msg_controllen = sizeof(c.buf) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	int with = -1;

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	if (h)
		memcpy(&with, CMSG_DATA(h), sizeof(with));
	return with;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void
talk(bool abstract)
{
	int fd = manager(abstract), mem = memfd_create("x", MFD_CLOEXEC), with;
	struct notify n;
	char text[256];

	ck_assert_int_eq(notify_open(&n), 0);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET")); /* not for what we might start */
	ck_assert_int_eq(notify_send(&n, -1, "READY=1\nSTATUS=%d stacks\n", 3), 0);
	ck_assert_int_eq(got(fd, text, sizeof(text)), -1);
	ck_assert_str_eq(text, "READY=1\nSTATUS=3 stacks\n");
	ck_assert_int_eq(notify_store(&n, "a.b", mem), 0);
	with = got(fd, text, sizeof(text));
	ck_assert_str_eq(text, "FDSTORE=1\nFDNAME=a.b\nFDPOLL=0\n");
	ck_assert(with >= 0 && with != mem && same_file(with, mem));
	close(with);
	ck_assert_int_eq(notify_forget(&n, "a.b"), 0);
	ck_assert_int_eq(got(fd, text, sizeof(text)), -1);
	ck_assert_str_eq(text, "FDSTOREREMOVE=1\nFDNAME=a.b\n");
	notify_close(&n);
	close(mem);
	close(fd);
	if (!abstract)
		unlink(path);
}

START_TEST(path_and_abstract)
{
	talk(_i);
}
END_TEST

START_TEST(no_manager)
{
	struct notify n;

	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(notify_open(&n), 0);
	ck_assert_int_lt(n.fd, 0);
	ck_assert_int_eq(notify_send(&n, -1, "READY=1\n"), 0);
	ck_assert_int_eq(notify_barrier(&n, 1000), 0);
	notify_close(&n);
}
END_TEST

START_TEST(bad_addresses)
{
	static const char *const bad[] = { "relative", "/", "@", "vsock:2:1",
					   "/nowhere/to/be/found" };
	struct notify n;
	char longer[200];

	for (int i = 0; i < COUNT(bad); i++) {
		setenv("NOTIFY_SOCKET", bad[i], 1);
		ck_assert_int_lt(notify_open(&n), 0);
		ck_assert_int_lt(n.fd, 0);
	}
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	ck_assert_int_eq(notify_open(&n), -ENAMETOOLONG);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

static void *
release(void *arg)
{
	char text[64];
	int fd = *(int *)arg, with;

	usleep(20000);
	with = got(fd, text, sizeof(text));
	ck_assert_str_eq(text, "BARRIER=1");
	close(with);
	return NULL;
}

START_TEST(barrier_waits)
{
	int fd = manager(true);
	struct notify n;
	pthread_t t;

	ck_assert_int_eq(notify_open(&n), 0);
	ck_assert_int_eq(notify_barrier(&n, 10), -ETIMEDOUT);
	close(got(fd, (char[64]){ 0 }, 64));
	pthread_create(&t, NULL, release, &fd);
	ck_assert_int_eq(notify_barrier(&n, 5000), 0);
	pthread_join(t, NULL);
	notify_close(&n);
	close(fd);
}
END_TEST

static void
ignore(int sig)
{
	(void)sig;
}

/* Neither what errno was before nor signals make the wait longer. */
START_TEST(barrier_ends)
{
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
	struct sigaction sa = { .sa_handler = ignore };
	int fd = manager(true);
	struct notify n;

	ck_assert_int_eq(notify_open(&n), 0);
	errno = EINTR;
	ck_assert_int_eq(notify_barrier(&n, 10), -ETIMEDOUT);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	ck_assert_int_eq(notify_barrier(&n, 50), -ETIMEDOUT);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	notify_close(&n);
	close(fd);
}
END_TEST

START_TEST(a_manager_that_does_not_read)
{
	int fd = manager(true), ret = 0;
	struct notify n;

	ck_assert_int_eq(notify_open(&n), 0);
	for (int i = 0; i < 10000 && !ret; i++)
		ret = notify_send(&n, -1, "STATUS=%d\n", i);
	ck_assert_int_eq(ret, -EAGAIN);
	notify_close(&n);
	close(fd);
}
END_TEST

/* ---- what comes in; each in a process whose descriptors are its own ---- */

static void
set_env(const char *pid, const char *fds, const char *names)
{
	char mine[32];

	snprintf(mine, sizeof(mine), "%d", (int)getpid());
	setenv("LISTEN_PID", pid ? pid : mine, 1);
	setenv("LISTEN_FDS", fds, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
}

static void
three_files(void)
{
	int a = open("/dev/null", O_RDWR), b = open("/dev/zero", O_RDWR);

	a = fcntl(a, F_DUPFD, 10);
	b = fcntl(b, F_DUPFD, 10);
	dup2(a, 3);
	dup2(b, 4);
	close(5);
}

START_TEST(inherited_by_name)
{
	struct notify_fds f;

	three_files();
	set_env(NULL, "3", "one:two");
	ck_assert_int_eq(notify_inherit(&f), 0);
	ck_assert_uint_eq(f.n, 3);
	ck_assert_str_eq(f.v[0].name, "one");
	ck_assert_str_eq(f.v[1].name, "two");
	ck_assert_str_eq(f.v[2].name, "unknown");
	ck_assert_int_eq(f.v[0].fd, 3);
	ck_assert_int_eq(f.v[1].fd, 4);
	ck_assert_int_eq(f.v[2].fd, -1); /* announced, but not there */
	ck_assert_int_eq(fcntl(3, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(4, F_GETFD), FD_CLOEXEC);
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	ck_assert_ptr_null(getenv("LISTEN_PID"));
	ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
	notify_fds_free(&f);
	ck_assert_int_eq(fcntl(3, F_GETFD), -1);
	ck_assert_int_eq(fcntl(4, F_GETFD), -1);
}
END_TEST

START_TEST(for_another_process)
{
	struct notify_fds f = { 0 };

	three_files();
	set_env("1", "2", NULL);
	ck_assert_int_eq(notify_inherit(&f), 0);
	ck_assert_uint_eq(f.n, 0);
	ck_assert_int_eq(fcntl(3, F_GETFD), 0);
}
END_TEST

START_TEST(garbage_in_the_environment)
{
	static const char *const bad[][2] = { { "x", "1" },  { NULL, "x" },  { NULL, "-1" },
					      { NULL, "" },  { NULL, "1x" }, { NULL, "99999" },
					      { "-5", "1" }, { "", "1" } };
	struct notify_fds f = { 0 };

	for (int i = 0; i < COUNT(bad); i++) {
		set_env(bad[i][0], bad[i][1], "a");
		ck_assert_int_eq(notify_inherit(&f), -EINVAL);
		ck_assert_ptr_null(getenv("LISTEN_FDS"));
	}
	unsetenv("LISTEN_FDS");
	ck_assert_int_eq(notify_inherit(&f), 0);
	ck_assert_uint_eq(f.n, 0);
}
END_TEST

START_TEST(names)
{
	char name[NOTIFY_NAME], longer[300];

	ck_assert(notify_name(name, "ctflowd", "ct1", "events"));
	ck_assert_str_eq(name, "ctflowd.ct1.events");
	ck_assert(notify_name(name, "ctflowd", "a:b.c %\n\xff", "e"));
	ck_assert_str_eq(name, "ctflowd.a%3Ab%2Ec%20%25%0A%FF.e");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ck_assert(!notify_name(name, "ctflowd", longer, "e"));
	longer[NOTIFY_NAME - sizeof("ctflowd..e")] = '\0';
	ck_assert(notify_name(name, "ctflowd", longer, "e"));
	ck_assert_uint_eq(strlen(name), NOTIFY_NAME - 1);
	ck_assert(!notify_name(name, "ctflowd", longer, "ee"));
	ck_assert(!notify_name(name, "ctflowd", ":", longer));
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, path_and_abstract, 0, 2);
	tcase_add_test(tc, no_manager);
	tcase_add_test(tc, bad_addresses);
	tcase_add_test(tc, barrier_waits);
	tcase_add_test(tc, barrier_ends);
	tcase_add_test(tc, a_manager_that_does_not_read);
	tcase_add_test(tc, inherited_by_name);
	tcase_add_test(tc, for_another_process);
	tcase_add_test(tc, garbage_in_the_environment);
	tcase_add_test(tc, names);
}

int
main(void)
{
	return unit_main("notify", add_tests);
}
