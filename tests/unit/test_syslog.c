/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSLOG against datagrams of ulogd2 (no difference but the process id), and a
 * log daemon that comes late, reads nothing, goes away or wants a session.
 */
#include "sample.h"
#include "unit.h"

#include <sys/un.h>
#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_syslog;

#define NS UINT64_C(1000000000)
#define LINES 3000u

static char dir[] = "/tmp/test_syslog.XXXXXX", path[64], options[128];
static struct ctf_err err;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(options, sizeof(options), "socket=%s\n", path);
}

static void
teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static int
listener(int type)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

static void
line(struct plug *p, const char *text, uint64_t sec)
{
	plug_rec(p, AF_INET, CTF_DESTROY, sec * NS);
	plug_text(p, "print", text);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

/* Numbered lines, `each` to a frame. */
static void
lines(struct plug *p, unsigned from, unsigned n, unsigned each)
{
	char text[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "number %u \n", from + i);
		line(p, text, 1);
		if ((i + 1) % each == 0)
			plug_seal(p);
	}
	plug_seal(p);
}

/* The next datagram or what a session has; NULL: none. */
static const char *
receive(int fd)
{
	static char buf[1 << 16];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	return buf;
}

/* Reads datagrams with numbers from `from` on; returns the next one. */
static unsigned
numbers(int fd, unsigned from)
{
	const char *got, *at;

	while ((got = receive(fd))) {
		at = strstr(got, "number ");
		ck_assert_ptr_nonnull(at);
		ck_assert_uint_eq((unsigned)strtoul(at + 7, NULL, 10), from);
		from++;
	}
	return from;
}

START_TEST(same_as_ulogd2)
{
	static const char *const more[] = { "facility=LOG_LOCAL2\nlevel=LOG_INFO\n", "" };
	struct sample *s = sample_read("2.0.8-SYSLOG.txt");
	int fd = listener(SOCK_DGRAM);

	ck_assert_uint_eq(s->n, COUNT(more));
	for (unsigned i = 0; i < s->n; i++) {
		char all[256], pid[32], print[SAMPLE_LINE], want[SAMPLE_LINE + 2];
		struct plug *p;

		snprintf(all, sizeof(all), "%s%s", options, more[i]);
		snprintf(pid, sizeof(pid), "ulogd[%d]", (int)getpid());
		snprintf(print, sizeof(print), "%s\n", strstr(s->line[i], "[DESTROY]"));
		sample_replace(s->line[i], "ulogd[20023]", pid);
		snprintf(want, sizeof(want), "%s\n", s->line[i]);
		p = plug_new(&ctf_plugin_syslog, all);
		line(p, print, 1795238697);
		plug_seal(p);
		ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
		ck_assert_str_eq(receive(fd), want);
		ck_assert_ptr_null(receive(fd));
		plug_free(p);
	}
	free(s);
	close(fd);
}
END_TEST

START_TEST(priorities)
{
	static const struct {
		const char *options, *begins;
	} cases[] = {
		{ "", "<29>" }, /* as if LOG_DAEMON had been asked for */
		{ "facility=LOG_KERN\n", "<29>" },
		{ "facility=LOG_DAEMON\nlevel=LOG_EMERG\n", "<24>" },
		{ "facility=LOG_USER\nlevel=LOG_ERR\n", "<11>" },
		{ "facility=LOG_LOCAL0\nlevel=LOG_WARNING\n", "<132>" },
		{ "facility=LOG_LOCAL7\nlevel=LOG_DEBUG\n", "<191>" },
	};
	char all[256];
	struct plug *p;
	const struct ctf_frame *f;

	snprintf(all, sizeof(all), "%s%sident=flows\n", options, cases[_i].options);
	p = plug_new(&ctf_plugin_syslog, all);
	ck_assert(plug_sync(p));
	line(p, "x", 0);
	f = plug_seal(p);
	ck_assert(strncmp((char *)f->p, cases[_i].begins, strlen(cases[_i].begins)) == 0);
	ck_assert_ptr_nonnull(strstr((char *)f->p, ">Jan  1 00:00:00 flows["));
	ck_assert(f->p[f->len - 1] == '\n');
	plug_free(p);
}
END_TEST

/* As ulogd2: a word it does not know is no facility. */
START_TEST(refused)
{
	static const char *const bad[] = { "level=6\n", "facility=LOG_MAIL\n",
					   "facility=16\n" };

	for (unsigned i = 0; i < COUNT(bad); i++)
		ck_assert_int_lt(plug_try(&ctf_plugin_syslog, bad[i], &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "LOG_LOCAL0"));
}
END_TEST

/* Nobody listens yet, then somebody, then another one: each line once. */
START_TEST(comes_and_goes)
{
	struct plug *p = plug_new(&ctf_plugin_syslog, options);
	unsigned next = 0;
	int fd;

	lines(p, 0, 30, 7);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, path));
	ck_assert_uint_eq(plug_pending(p), 5);
	fd = listener(SOCK_DGRAM);
	while (plug_deliver(p, &err) == CTF_AGAIN)
		next = numbers(fd, next); /* its queue is short */
	ck_assert_uint_eq(numbers(fd, next), 30);
	close(fd);
	lines(p, 100, 5, 5);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_uint_eq(plug_pending(p), 1);
	plug_close(p);
	fd = listener(SOCK_DGRAM);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	ck_assert_uint_eq(numbers(fd, 100), 105);
	close(fd);
	plug_free(p);
}
END_TEST

/* A daemon that reads nothing holds up nothing: AGAIN, and the rest later, in order. */
START_TEST(reads_slowly)
{
	struct plug *p = plug_new(&ctf_plugin_syslog, options);
	int fd = listener(SOCK_DGRAM);
	unsigned next = 0;

	plug_interrupt(p); /* ctf_wait() does not wait */
	lines(p, 0, LINES, 100);
	while (plug_deliver(p, &err) == CTF_AGAIN) {
		unsigned got = numbers(fd, next);

		ck_assert_uint_gt(got, next);
		next = got;
	}
	ck_assert_uint_eq(numbers(fd, next), LINES);
	ck_assert_uint_eq(plug_pending(p), 0);
	close(fd);
	plug_free(p);
}
END_TEST

/* One that is torn off in the middle of a frame goes on with the next line. */
START_TEST(gone_within_a_frame)
{
	struct plug *p = plug_new(&ctf_plugin_syslog, options);
	int fd = listener(SOCK_DGRAM);
	unsigned next;

	plug_interrupt(p);
	lines(p, 0, LINES, LINES);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_AGAIN);
	next = numbers(fd, 0);
	ck_assert_uint_lt(next, LINES);
	close(fd);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	plug_close(p);
	fd = listener(SOCK_DGRAM);
	while (plug_deliver(p, &err) == CTF_AGAIN)
		next = numbers(fd, next);
	ck_assert_uint_eq(numbers(fd, next), LINES);
	close(fd);
	plug_free(p);
}
END_TEST

START_TEST(session)
{
	struct plug *p = plug_new(&ctf_plugin_syslog, options);
	int fd = listener(SOCK_STREAM), peer;
	const char *got;

	lines(p, 0, 3, 3);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	peer = accept(fd, NULL, NULL);
	ck_assert_int_ge(peer, 0);
	got = receive(peer);
	ck_assert_ptr_nonnull(got);
	ck_assert_ptr_nonnull(strstr(got, "]: number 0 \n<29>"));
	ck_assert_ptr_nonnull(strstr(got, "number 2 \n"));
	close(peer);
	close(fd);
	plug_free(p);
}
END_TEST

START_TEST(gap)
{
	const struct ctf_gap g = { .from_ns = NS,
				   .to_ns = 2 * NS,
				   .count = CTF_UNKNOWN,
				   .cause = "overrun",
				   .instance = "ct1",
				   .nsid = -1 };
	struct plug *p = plug_new(&ctf_plugin_syslog, options);
	int fd = listener(SOCK_DGRAM);
	const char *got;

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	got = receive(fd);
	ck_assert(strncmp(got, "<29>Jan  1 00:00:02 ulogd[", 26) == 0);
	ck_assert_ptr_nonnull(strstr(got,
				     "[GAP] FROM=1970-01-01T00:00:01.000Z "
				     "TO=1970-01-01T00:00:02.000Z CAUSE=overrun COUNT=? \n"));
	close(fd);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_loop_test(t, priorities, 0, 6);
	tcase_add_test(t, refused);
	tcase_add_test(t, comes_and_goes);
	tcase_add_test(t, reads_slowly);
	tcase_add_test(t, gone_within_a_frame);
	tcase_add_test(t, session);
	tcase_add_test(t, gap);
}

int
main(void)
{
	return unit_main("syslog", add_tests);
}
