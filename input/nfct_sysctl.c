/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_sysctl.c - conntrack's settings. */
#include "nfct_sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/proc/sys/net/netfilter/"

static int
open_setting(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), FOLDER "%s", name);
	return open(path, flags | O_CLOEXEC);
}

/* The number in an open file, or -errno. */
static long
read_number(int fd)
{
	char text[32];
	char *end;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long value;

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	value = strtol(text, &end, 10);
	return end == text || value < 0 ? -ERANGE : value;
}

/* The value, or -errno, also that of open(). */
static long
read_and_close(int fd)
{
	long value = fd < 0 ? -errno : read_number(fd);

	if (fd >= 0)
		close(fd);
	return value;
}

static long
read_setting(const char *name)
{
	return read_and_close(open_setting(name, O_RDONLY));
}

static int
turn_on(const char *name)
{
	int r = 0, fd = open_setting(name, O_WRONLY);

	if (fd < 0)
		return -errno;
	if (write(fd, "1\n", 2) != 2)
		r = -errno;
	close(fd);
	return r;
}

struct setting {
	const char *name;
	bool automatic;   /* what `auto` turns on */
	const char *lack; /* what is missing while it is 0 */
	size_t off;       /* in struct nfct_sysctls */
};

static const struct setting settings[] = {
	{ "nf_conntrack_timestamp", true, "flows have no start time",
	  offsetof(struct nfct_sysctls, timestamp) },
	{ "nf_conntrack_acct", false, "flows have no packet and byte counters",
	  offsetof(struct nfct_sysctls, acct) },
	{ "nf_conntrack_events", false, "flows begun from now on are never reported",
	  offsetof(struct nfct_sysctls, events) },
};

#define SETTINGS (sizeof(settings) / sizeof(*settings))
_Static_assert(SETTINGS == NFCT_SETTINGS, "one file each");

static int *
value_of(struct nfct_sysctls *all, const struct setting *s)
{
	return (int *)(void *)((char *)all + s->off);
}

static int
valid(long value)
{
	return value < 0 || value > 2 ? -1 : (int)value;
}

static const char *
lack_of(const struct setting *s, int value)
{
	if (value == 0)
		return s->lack;
	/* 2, the kernel's default: only while somebody listens */
	return "flows begun while nothing listens never report their end";
}

/* What a value lacks, and the command that mends it. */
static void
say(const struct ctf_ctx *ctx, const struct setting *s, const char *netns, int value,
    const char *how, int failed)
{
	bool in = netns[0] != '\0';

	ctf_log(ctx, value == 0 || failed ? CTF_WARNING : CTF_NOTICE,
		"%s %s %d: %s%s%s; to change it: %s%s%ssysctl -w net.netfilter.%s=1", s->name,
		how, value, lack_of(s, value), failed ? "; setting it failed: " : "",
		failed ? strerror(failed) : "", in ? "nsenter --net=" : "", netns,
		in ? " " : "", s->name);
}

static void
apply_one(const struct ctf_ctx *ctx, enum nfct_policy policy, const char *netns,
	  const struct setting *s, int *value)
{
	int r = 0;

	if (*value == 1 || *value < 0 || policy == NFCT_IGNORE)
		return;
	if (policy == NFCT_SET || (policy == NFCT_AUTO && s->automatic)) {
		r = turn_on(s->name);
		if (r == 0) {
			*value = 1;
			ctf_log(ctx, CTF_NOTICE, "%s set to 1", s->name);
			return;
		}
	}
	say(ctx, s, netns, *value, "is", -r);
}

void
nfct_sysctl_apply(const struct ctf_ctx *ctx, enum nfct_policy policy, const char *netns,
		  struct nfct_sysctls *ret)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings[i];
		int *value = value_of(ret, s);

		*value = valid(read_setting(s->name));
		if (s->off == offsetof(struct nfct_sysctls, events))
			ret->events_before = *value;
		apply_one(ctx, policy, netns, s, value);
	}
}

void
nfct_sysctl_open(int ret_fd[NFCT_SETTINGS])
{
	for (size_t i = 0; i < SETTINGS; i++)
		ret_fd[i] = open_setting(settings[i].name, O_RDONLY);
}

void
nfct_sysctl_read(const int fd[NFCT_SETTINGS], struct nfct_sysctls *ret)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (fd[i] >= 0)
			*value_of(ret, &settings[i]) = valid(read_number(fd[i]));
}

void
nfct_sysctl_say_changed(const struct ctf_ctx *ctx, const char *netns,
			const struct nfct_sysctls *was, const struct nfct_sysctls *is)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		struct nfct_sysctls a = *was, b = *is;
		int before = *value_of(&a, &settings[i]), now = *value_of(&b, &settings[i]);

		if (before == now || now < 0)
			continue;
		if (now == 1)
			ctf_log(ctx, CTF_NOTICE, "%s has become 1", settings[i].name);
		else
			say(ctx, &settings[i], netns, now, "has become", 0);
	}
}

void
nfct_sysctl_turn_on(void)
{
	for (size_t i = 0; i < SETTINGS; i++)
		(void)turn_on(settings[i].name);
}

struct other {
	const struct ctf_ctx *ctx;
	const char *netns;
	int result;
};

/* A thread may be in another namespace than the rest, and need not come back. */
static void *
look_there(void *arg)
{
	struct other *o = arg;
	int fd = open(o->netns, O_RDONLY | O_CLOEXEC);

	o->result = fd < 0 || setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < SETTINGS && o->result == 0; i++)
		if (read_setting(settings[i].name) == 0)
			say(o->ctx, &settings[i], o->netns, 0, "is", 0);
	return NULL;
}

int
nfct_sysctl_say_other(const struct ctf_ctx *ctx, const char *netns)
{
	struct other o = { ctx, netns, 0 };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, look_there, &o);

	if (r)
		return -r;
	pthread_join(thread, NULL);
	return o.result;
}

const char *
nfct_setcap(char *text, size_t size, const char *caps)
{
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	snprintf(text, size, "setcap %s+ep %s", caps, n > 0 ? self : "ctflowd");
	return text;
}

long
nfct_sysctl_at(int dir, const char *name)
{
	return read_and_close(openat(dir, name, O_RDONLY | O_CLOEXEC));
}
