/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.c: the whole daemon in a child process, with a recording for an
 * input; its signals, descriptors, files and exit codes.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "unit.h"

#define HEAD "[global]\nlogfile=\"%s/log\"\nloglevel=3\nstop_timeout=60\n"
#define REPLAY "[r]\nfile=\"%s/in.pcap\"\nstop_at_end=no\n"
#define TEXT \
	HEAD "stack=r:REPLAY,i:IP2STR,p:PRINTFLOW,l:LOGEMU\n" REPLAY "[l]\nfile=\"%s/out\"\n"
#define AWAY HEAD "stack=r:REPLAY,j:JSON\n" REPLAY "[j]\nmode=tcp\nport=1\n"

static char dir[64];
static char before[4096]; /* the folder of the tests */

static void
setup(void)
{
	strcpy(dir, "/tmp/ctflow-daemon-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
	ck_assert_int_eq(chdir(dir), 0);
	unit_empty_pcap("in.pcap");
}

static void
teardown(void)
{
	static const char *const files[] = { "log",     "log.1", "out", "conf",
					     "in.pcap", "pid",   "err" };

	for (size_t i = 0; i < COUNT(files); i++)
		unlink(files[i]);
	ck_assert_int_eq(chdir(before), 0);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else was left */
}

static void
write_conf(const char *format)
{
	FILE *f = fopen("conf", "w");

	ck_assert_ptr_nonnull(f);
	for (; *format; format++) {
		if (strncmp(format, "%s", 2) == 0) {
			fputs(dir, f);
			format++;
		} else {
			fputc(*format, f);
		}
	}
	fclose(f);
}

/* The daemon with these arguments; stdout and stderr are "err", or closed. */
static pid_t
launch(const char *const *args, bool closed)
{
	char *argv[16] = { NULL };
	int argc = 0, fd;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	argv[argc++] = strdup("ctflowd");
	for (; *args; args++)
		argv[argc++] = strdup(*args);
	fd = open("err", O_CREAT | O_TRUNC | O_WRONLY, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	close(fd);
	for (fd = 0; closed && fd < 3; fd++)
		close(fd);
	optind = 0;
	fd = ctf_main(argc, argv);
	fflush(NULL);
	_exit(fd);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int
code_of(pid_t pid)
{
	int st;

	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static bool
has(const char *path, const char *text)
{
	return access(path, R_OK) == 0 && strstr(unit_read(path), text);
}

static void
await(const char *path, const char *text)
{
	for (int i = 0; i < 6000 && !has(path, text); i++)
		usleep(10000);
	ck_assert_msg(has(path, text), "%s has no \"%s\"", path, text);
}

static const char running[] = "entering main loop";

START_TEST(term_ends_it)
{
	static const char *const args[] = { "-c", "conf", "-p", "pid", NULL };
	char text[32];
	pid_t pid;

	write_conf(TEXT);
	pid = launch(args, false);
	await("log", running);
	snprintf(text, sizeof(text), "%ld\n", (long)pid);
	ck_assert(has("pid", text));
	kill(pid, SIGTERM);
	ck_assert_int_eq(code_of(pid), 0);
	ck_assert(has("log", "Terminal signal received, exiting"));
	ck_assert_int_eq(access("pid", F_OK), -1);
}
END_TEST

/* In the background, started with nothing open, by names that chdir("/") spoils. */
START_TEST(in_the_background)
{
	static const char *const args[] = { "-d", "-c", "conf", "-p", "pid", NULL };
	char text[64] = "";
	FILE *f;
	pid_t pid;

	write_conf(TEXT);
	ck_assert_int_eq(code_of(launch(args, true)), 0);
	await("log", running);
	f = fopen("pid", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	pid = atoi(text);
	/* Its log, pidfile and loop were not taken for stdin, stdout or stderr. */
	ck_assert_int_eq(kill(pid, SIGUSR1), 0);
	ck_assert_int_eq(code_of(launch(args, false)), 1);
	ck_assert(has("err", "another ctflowd already running"));
	kill(pid, SIGTERM);
	await("log", "exiting");
	for (int i = 0; i < 6000 && access("pid", F_OK) == 0; i++)
		usleep(10000);
	ck_assert_int_eq(access("pid", F_OK), -1);
	for (int i = 0; i < 6000 && kill(pid, 0) == 0; i++)
		usleep(10000);
}
END_TEST

START_TEST(the_caller_of_d_gets_the_code)
{
	static const char *const args[] = { "-d", "-c", "conf", NULL };

	write_conf("[global]\nlogfile=\"%s/log\"\nstack=r:REPLAY,x:NOSUCH\n" REPLAY);
	ck_assert_int_eq(code_of(launch(args, false)), 1);
	ck_assert(has("err", "can't find requested plugin NOSUCH"));
}
END_TEST

/* An output that is away is waited for, but not against the will of who asks twice. */
START_TEST(a_second_term_ends_it_at_once)
{
	static const char *const args[] = { "-c", "conf", NULL };
	uint64_t since;
	pid_t pid;

	write_conf(AWAY);
	pid = launch(args, false);
	await("log", running);
	since = now_ms();
	kill(pid, SIGTERM);
	await("log", "exiting");
	kill(pid, SIGTERM);
	ck_assert_int_eq(code_of(pid), 0);
	ck_assert_uint_le(now_ms() - since, 30000);
}
END_TEST

START_TEST(hup_opens_the_log_anew)
{
	static const char *const args[] = { "-c", "conf", NULL };
	pid_t pid;

	write_conf(TEXT);
	pid = launch(args, false);
	await("log", running);
	ck_assert_int_eq(rename("log", "log.1"), 0);
	ck_assert_int_eq(unlink("out"), 0);
	kill(pid, SIGHUP);
	await("log.1", "reopening files");
	for (int i = 0; i < 6000 && (access("log", F_OK) || access("out", F_OK)); i++)
		usleep(10000);
	ck_assert_int_eq(access("out", F_OK), 0);
	kill(pid, SIGTERM);
	ck_assert_int_eq(code_of(pid), 0);
	ck_assert(has("log", "exiting"));
}
END_TEST

static const struct {
	const char *args[6];
	int code;
	const char *says;
} calls[] = {
	{ { "-h" }, 0, "Usage: " },
	{ { "-V" }, 0, "ctflowd Version" },
	{ { "-x" }, 1, "Usage: " },
	{ { "-i", "LOGEMU" }, 0, "LOGEMU (output)" },
	{ { "-i", "NOSUCH" }, 0, "can't find requested plugin NOSUCH" },
	{ { "--man", "output" }, 0, ".It Cm queue" },
	{ { "-n", "-c", "conf" }, 0, "" },
	{ { "-n", "-v", "-c", "conf" }, 0, "# memory ceilings" },
	{ { "-n", "-c", "no-such" }, 1, "no-such: No such file" },
	{ { "-c", "no-such" }, 1, "no-such: No such file" },
	{ { "-u", "no-such-user", "-c", "conf" }, 1, "Unknown user no-such-user" },
	{ { "-c", "conf", "-p", "/no/such/folder/pid" }, 1, "/no/such/folder/pid" },
};

START_TEST(calls_that_end_at_once)
{
	write_conf(TEXT);
	ck_assert_int_eq(code_of(launch(calls[_i].args, false)), calls[_i].code);
	ck_assert(has("err", calls[_i].says));
}
END_TEST

/* What was asked for did not arrive: that is no success. */
START_TEST(a_full_stdout)
{
	int st, fd = open("/dev/full", O_WRONLY);
	pid_t pid;

	write_conf(TEXT);
	if (fd < 0)
		return;
	pid = fork();
	if (pid == 0) {
		char *argv[] = { strdup("x"), strdup("-nv"), strdup("-cconf"), NULL };

		dup2(fd, 1);
		optind = 0;
		_exit(ctf_main(3, argv));
	}
	close(fd);
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(st), 1);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, term_ends_it);
	tcase_add_test(t, in_the_background);
	tcase_add_test(t, the_caller_of_d_gets_the_code);
	tcase_add_test(t, a_second_term_ends_it_at_once);
	tcase_add_test(t, hup_opens_the_log_anew);
	tcase_add_loop_test(t, calls_that_end_at_once, 0, COUNT(calls));
	tcase_add_test(t, a_full_stdout);
}

int
main(void)
{
	return unit_main("daemon", add_tests);
}
