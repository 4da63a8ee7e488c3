/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/log.c and core/err.c: what is written where, and what is not. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "diag.h"
#include "log.h"
#include "unit.h"

static char dir[32], path[64], aside[64];

/* Takes the place of libc's, so that nothing reaches the host's log. */
static struct {
	unsigned lines;
	int priority, facility, option;
	char text[256], ident[32];
} sys;

void
openlog(const char *ident, int option, int facility)
{
	snprintf(sys.ident, sizeof(sys.ident), "%s", ident);
	sys.option = option;
	sys.facility = facility;
}

void
closelog(void)
{
}

__attribute__((format(printf, 2, 0))) static void
note(int priority, const char *fmt, va_list ap)
{
	sys.lines++;
	sys.priority = priority;
	vsnprintf(sys.text, sizeof(sys.text), fmt, ap);
}

void
syslog(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(priority, fmt, ap);
	va_end(ap);
}

/* What syslog() becomes with _FORTIFY_SOURCE. */
void __syslog_chk(int priority, int flag, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void
__syslog_chk(int priority, int flag, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(priority, fmt, ap);
	va_end(ap);
}

static void
setup(void)
{
	log_close(); /* as a program begins */
	memset(&sys, 0, sizeof(sys));
	strcpy(dir, "/tmp/test_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(aside, sizeof(aside), "%s/log.1", dir);
	setenv("TZ", "UTC", 1);
}

static void
teardown(void)
{
	log_close();
	unlink(path);
	unlink(aside);
	rmdir(dir);
}

/* The texts of all lines, whose stamps are checked and left out. */
static const char *
texts(const char *name)
{
	static char out[65536];
	struct tm tm;
	size_t n = 0;

	for (const char *p = unit_read(name); *p; p = strchr(p, '\n') + 1) {
		const char *text = strptime(p, "%a %b %e %H:%M:%S %Y ", &tm);
		time_t when = timegm(&tm), now = time(NULL);

		ck_assert_ptr_nonnull(text);
		ck_assert_int_eq(text - p, 25);
		ck_assert_int_le(when, now);
		ck_assert_int_ge(when, now - 60);
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s\n",
				      (int)strcspn(text, "\n"), text);
	}
	out[n] = '\0';
	return out;
}

START_TEST(levels)
{
	ck_assert_int_eq(log_open(path), 0);
	ck_assert_int_eq(log_get_level(), 5);
	log_debug("d");
	log_info("i");
	log_notice("n %d", 1);
	log_warnx("w");
	log_errorx("e");
	log_fatalx("f");
	log_set_level(CTF_DEBUG);
	ck_assert(log_wants(CTF_DEBUG));
	log_debug("d2");
	log_info("i2");
	log_set_level(CTF_FATAL);
	ck_assert(!log_wants(CTF_ERROR));
	log_errorx("e2");
	log_msg(CTF_FATAL, "f2");
	ck_assert_str_eq(texts(path), "<5> n 1\n<6> w\n<7> e\n<8> f\n<1> d2\n<3> i2\n<8> f2\n");
}
END_TEST

START_TEST(errno_is_said_and_kept)
{
	ck_assert_int_eq(log_open(path), 0);
	errno = ENOENT;
	log_warn("%s", "x");
	ck_assert_int_eq(errno, ENOENT);
	errno = EACCES;
	log_error("%s", "y");
	log_fatal("z %m");
	log_notice("%m");
	log_debug("not printed");
	ck_assert_int_eq(errno, EACCES);
	ck_assert_str_eq(texts(path), "<6> x: No such file or directory\n"
				      "<7> y: Permission denied\n"
				      "<8> z Permission denied: Permission denied\n"
				      "<5> Permission denied\n");
}
END_TEST

START_TEST(one_line_each)
{
	char big[10000];
	const char *text;

	ck_assert_int_eq(log_open(path), 0);
	log_notice("a\nFri Nov 20 00:00:00 2026 <8> b\x7f\x1b[0m\tc\r");
	ck_assert_str_eq(texts(path), "<5> a?Fri Nov 20 00:00:00 2026 <8> b??[0m\tc?\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	errno = ENOSPC;
	log_warn("%s", big);
	text = strchr(unit_read(path), '\n') + 1;
	ck_assert_uint_lt(strlen(text), 4096);
	ck_assert_ptr_nonnull(strstr(text, "xxx...: No space left on device\n"));
}
END_TEST

START_TEST(appends)
{
	ck_assert_int_eq(log_open(path), 0);
	log_notice("1");
	log_close();
	ck_assert_int_eq(log_open(path), 0);
	log_notice("2");
	ck_assert_str_eq(texts(path), "<5> 1\n<5> 2\n");
}
END_TEST

START_TEST(open_fails)
{
	char bad[80];

	snprintf(bad, sizeof(bad), "%s/no/log", dir);
	ck_assert_int_eq(log_open(path), 0);
	ck_assert_int_eq(log_open(bad), -ENOENT);
	ck_assert_int_eq(log_open(dir), -EISDIR);
	log_notice("still here");
	ck_assert_str_eq(texts(path), "<5> still here\n");
	ck_assert_int_eq(mkfifo(aside, 0600), 0);
	ck_assert_int_eq(log_open(aside), -ENXIO); /* and does not wait */
}
END_TEST

START_TEST(reopen)
{
	ck_assert_int_eq(log_open(path), 0);
	log_notice("1");
	ck_assert_int_eq(rename(path, aside), 0);
	log_notice("2");
	ck_assert_int_eq(log_reopen(), 0);
	log_notice("3");
	ck_assert_str_eq(texts(aside), "<5> 1\n<5> 2\n");
	ck_assert_str_eq(texts(path), "<5> 3\n");
}
END_TEST

START_TEST(reopen_fails)
{
	char want[200];
	int fd;

	ck_assert_int_eq(log_open(path), 0);
	fd = log_fd();
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(log_reopen(), -EISDIR);
	log_notice("on");
	ck_assert_int_eq(log_fd(), fd);
	snprintf(want, sizeof(want),
		 "<7> %s: cannot be reopened, the old file goes on: Is a directory\n<5> on\n",
		 path);
	ck_assert_str_eq(texts(aside), want);
	rmdir(path);
}
END_TEST

START_TEST(to_syslog)
{
	static const int map[][2] = { { CTF_DEBUG, LOG_DEBUG },   { CTF_INFO, LOG_INFO },
				      { CTF_NOTICE, LOG_NOTICE }, { CTF_WARNING, LOG_WARNING },
				      { CTF_ERROR, LOG_ERR },     { CTF_FATAL, LOG_CRIT } };

	ck_assert_int_eq(log_open(NULL), 0);
	ck_assert_str_eq(sys.ident, "ctflowd");
	ck_assert_int_eq(sys.option, 0);
	ck_assert_int_eq(sys.facility, LOG_USER);
	log_info("quiet");
	ck_assert_uint_eq(sys.lines, 0);
	ck_assert_int_eq(log_open("syslog"), 0);
	ck_assert_int_eq(sys.option, LOG_PID);
	ck_assert_int_eq(sys.facility, LOG_DAEMON);
	log_set_level(CTF_DEBUG);
	for (unsigned i = 0; i < 6; i++) {
		log_msg((enum ctf_level)map[i][0], "100%% %u", i);
		ck_assert_int_eq(sys.priority, map[i][1]);
	}
	ck_assert_uint_eq(sys.lines, 6);
	ck_assert_str_eq(sys.text, "100% 5");
	ck_assert_int_eq(log_reopen(), 0);
	ck_assert_int_eq(log_fd(), -1);
}
END_TEST

/* fd goes to the file; returns a copy of what it was. */
static int
divert(int fd, const char *name)
{
	int old = dup(fd);

	ck_assert_ptr_nonnull(freopen(name, "w", fd == 1 ? stdout : stderr));
	return old;
}

/* 2>&1, or a terminal: a copy would say it twice. */
START_TEST(one_file_for_both)
{
	int out = divert(1, path), err = dup(2);

	dup2(1, 2);
	log_set_starting(true);
	log_set_verbose(true);
	log_open("stdout");
	log_errorx("once");
	log_set_starting(false);
	dup2(out, 1);
	dup2(err, 2);
	ck_assert_str_eq(texts(path), "<7> once\n");
}
END_TEST

START_TEST(to_stdout_and_stderr)
{
	int out = divert(1, path), err = divert(2, aside);

	log_set_verbose(true);
	log_notice("before any logfile");
	log_open("stdout");
	log_notice("both");
	log_set_verbose(false);
	log_notice("out");
	dup2(out, 1);
	dup2(err, 2);
	ck_assert_uint_eq(sys.lines, 1);
	ck_assert_str_eq(texts(path), "<5> both\n<5> out\n");
	ck_assert_str_eq(texts(aside), "<5> before any logfile\n<5> both\n");
}
END_TEST

START_TEST(to_stderr)
{
	int err = divert(2, aside);

	ck_assert_int_eq(log_open(path), 0);
	log_set_starting(true);
	log_warnx("odd");
	log_errorx("bad");
	log_set_starting(false);
	log_errorx("bad later");
	ck_assert_int_eq(log_open("stderr"), 0);
	log_set_verbose(true);
	log_notice("once");
	dup2(err, 2);
	ck_assert_uint_eq(sys.lines, 0);
	ck_assert_str_eq(texts(path), "<6> odd\n<7> bad\n<7> bad later\n");
	ck_assert_str_eq(texts(aside), "<7> bad\n<5> once\n");
}
END_TEST

START_TEST(limit)
{
	const uint64_t s = UINT64_C(1000000000);
	struct log_limit l = { 0 };
	uint64_t held = 99;

	ck_assert(log_limit_pass(&l, 5 * s, &held));
	ck_assert_uint_eq(held, 0);
	ck_assert(!log_limit_pass(&l, 6 * s, &held));
	ck_assert(!log_limit_pass(&l, 15 * s - 1, &held));
	ck_assert(log_limit_pass(&l, 15 * s, &held));
	ck_assert_uint_eq(held, 2);
	ck_assert(log_limit_pass(&l, 100 * s, &held));
	ck_assert_uint_eq(held, 0);
}
END_TEST

START_TEST(limited_lines)
{
	struct log_limit l = { 0 }, other = { 0 };

	ck_assert_int_eq(log_open(path), 0);
	log_msg_limit(&l, CTF_INFO, "too low, and not counted");
	for (unsigned i = 0; i < 1000; i++)
		log_msg_limit(&l, CTF_WARNING, "lost %u", i);
	log_msg_limit(&other, CTF_WARNING, "other");
	l.next_ns = 0; /* ten seconds later */
	log_msg_limit(&l, CTF_WARNING, "lost");
	ck_assert_str_eq(texts(path),
			 "<6> lost 0\n<6> other\n<6> lost (999 more suppressed)\n");
}
END_TEST

static void *
talk(void *arg)
{
	for (unsigned i = 0; i < 200; i++)
		log_notice("%s", (const char *)arg);
	return NULL;
}

/* Lines of several threads never mix, whatever happens to the file. */
START_TEST(threads)
{
	static const char *const say[] = { "aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb" };
	pthread_t t[4];
	unsigned lines = 0;
	const char *p;

	ck_assert_int_eq(log_open(path), 0);
	for (unsigned i = 0; i < 4; i++) {
		union {
			const void *in;
			void *arg;
		} u = { say[i & 1] };

		ck_assert_int_eq(pthread_create(&t[i], NULL, talk, u.arg), 0);
	}
	for (unsigned i = 0; i < 50; i++)
		ck_assert_int_eq(log_reopen(), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (p = texts(path); *p; p += 25, lines++)
		ck_assert(!strncmp(p + 4, say[0], 20) || !strncmp(p + 4, say[1], 20));
	ck_assert_uint_eq(lines, 800);
}
END_TEST

START_TEST(diagnostics)
{
	struct diag d = { 0 };

	ck_assert_int_eq(log_open(path), 0);
	diag_warn(&d, "u.conf", 3, "odd");
	diag_error(&d, "u.conf", 0, "bad %s", "%s");
	diag_log(&d);
	ck_assert_uint_eq(d.n, 2);
	for (unsigned i = 0; i < DIAG_MAX; i++)
		diag_warn(&d, "u.conf", i, "odd");
	log_set_level(CTF_ERROR);
	diag_log(&d);
	ck_assert_str_eq(texts(path), "<6> u.conf:3: odd\n<7> u.conf: bad %s\n"
				      "<7> u.conf: bad %s\n<7> 2 more problems not shown\n");
	diag_free(&d);
}
END_TEST

START_TEST(fail)
{
	struct ctf_err err = { .file = "x", .line = 3 };
	char big[2000];

	ck_assert_int_eq(ctf_fail(&err, ENOENT, "no %s", "file"), -ENOENT);
	ck_assert_str_eq(err.msg, "no file");
	ck_assert_ptr_null(err.file);
	ck_assert_uint_eq(err.line, 0);
	ck_assert_int_eq(ctf_fail(NULL, EACCES, "x"), -EACCES);
	ck_assert_int_eq(ctf_fail(&err, 0, "x"), -EIO);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ck_assert_int_eq(ctf_fail(&err, EIO, "%s", big), -EIO);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, levels);
	tcase_add_test(t, errno_is_said_and_kept);
	tcase_add_test(t, one_line_each);
	tcase_add_test(t, appends);
	tcase_add_test(t, open_fails);
	tcase_add_test(t, reopen);
	tcase_add_test(t, reopen_fails);
	tcase_add_test(t, to_syslog);
	tcase_add_test(t, one_file_for_both);
	tcase_add_test(t, to_stdout_and_stderr);
	tcase_add_test(t, to_stderr);
	tcase_add_test(t, limit);
	tcase_add_test(t, limited_lines);
	tcase_add_test(t, threads);
	tcase_add_test(t, diagnostics);
	tcase_add_test(t, fail);
}

int
main(void)
{
	return unit_main("log", add_tests);
}
