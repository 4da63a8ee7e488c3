/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_guard_proc.c - what kind of a process the guard is. */
#include "live_guard.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
status_line(pid_t pid, const char *key, char *value, size_t size)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	value[0] = '\0';
	while (!value[0] && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			snprintf(value, size, "%s", line + strlen(key) + 2);
	fclose(f);
	value[strcspn(value, "\n")] = '\0';
}

static void
ck_status(pid_t pid, const char *key, const char *want)
{
	char value[256];

	status_line(pid, key, value, sizeof(value));
	ck_assert_msg(strcmp(value, want) == 0, "%s is '%s', not '%s'", key, value, want);
}

static unsigned
open_files(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
ck_command(pid_t pid, const char *want)
{
	char path[64], text[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, f), 0);
	fclose(f);
	ck_assert_str_eq(text, want);
}

void
at_work(pid_t pid)
{
	char name[256] = "", state[256] = "";

	for (int i = 0; i < 40000 && (strcmp(name, "ctflow-guard") || state[0] != 'S'); i++) {
		usleep(1000);
		status_line(pid, "Name", name, sizeof(name));
		status_line(pid, "State", state, sizeof(state));
	}
	ck_assert_str_eq(name, "ctflow-guard");
	ck_assert_int_eq(state[0], 'S');
}

/* One that nobody waits for may stay a zombie. */
bool
is_gone(pid_t pid)
{
	char state[256];

	if (kill(pid, 0) < 0)
		return true;
	status_line(pid, "State", state, sizeof(state));
	return state[0] == 'Z';
}

static bool
is_there(pid_t pid)
{
	return kill(pid, 0) == 0;
}

START_TEST(is_harmless)
{
	int unneeded[2];
	struct live *l = guarded();
	pid_t pid;

	ck_assert_int_eq(pipe(unneeded), 0);
	ck_assert_int_eq(dup2(unneeded[1], 700), 700);
	live_start(l);
	pid = l->self.guard.pid;
	at_work(pid);
	ck_status(pid, "Name", "ctflow-guard");
	ck_command(pid, "ctflow-guard");
	ck_status(pid, "Uid", "65534\t65534\t65534\t65534");
	ck_status(pid, "Gid", "65534\t65534\t65534\t65534");
	ck_status(pid, "Groups", " ");
	ck_status(pid, "CapEff", "0000000000000000");
	ck_status(pid, "CapPrm", "0000000000000000");
	ck_status(pid, "NoNewPrivs", "1");
	ck_status(pid, "State", "S (sleeping)");
	ck_assert_uint_eq(open_files(pid), 3 + 5);
	kill(pid, SIGTERM);
	kill(pid, SIGINT);
	kill(pid, SIGHUP);
	usleep(20000);
	ck_assert(is_there(pid));
	ctf_plugin_nfct.stop(&l->self);
	ck_assert(!is_there(pid));
	ck_assert_uint_eq(l->ctx.ngaps, 0);
	live_free(l);
}
END_TEST

/* Nothing happens: it does not run at all, once it has seen that. */
START_TEST(costs_nothing)
{
	struct live *l = guarded();
	char before[64] = "", after[64] = "?";

	live_start(l);
	end_flows(3);
	live_read(l, 50);
	usleep(2 * TIMEOUT * 1000);
	for (int i = 0; i < 10 && strcmp(before, after); i++) {
		status_line(l->self.guard.pid, "voluntary_ctxt_switches", before,
			    sizeof(before));
		usleep(1000000);
		status_line(l->self.guard.pid, "voluntary_ctxt_switches", after, sizeof(after));
	}
	ck_assert_str_eq(before, after);
	live_free(l);
}
END_TEST

void
guard_proc_tests(TCase *t)
{
	tcase_add_test(t, is_harmless);
	tcase_add_test(t, costs_nothing);
}
