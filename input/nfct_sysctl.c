/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_sysctl.c - conntrack's settings. */
#include "nfct_sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/* The value, or -errno. */
static long
read_setting(const char *name)
{
	char text[32];
	char *end;
	ssize_t n;
	long value;
	int fd = open_setting(name, O_RDONLY);

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	value = strtol(text, &end, 10);
	return end == text || value < 0 ? -ERANGE : value;
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

static const char *
lack_of(const struct setting *s, int value)
{
	if (value == 0)
		return s->lack;
	/* 2, the kernel's default: only while somebody listens */
	return "flows begun while nothing listens never report their end";
}

static void
apply_one(const struct ctf_ctx *ctx, enum nfct_policy policy, const char *netns,
	  const struct setting *s, int *value)
{
	bool in = netns[0] != '\0';
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
	ctf_log(ctx, *value == 0 || r < 0 ? CTF_WARNING : CTF_NOTICE,
		"%s is %d: %s%s%s; to change it: %s%s%ssysctl -w net.netfilter.%s=1", s->name,
		*value, lack_of(s, *value), r < 0 ? "; setting it failed: " : "",
		r < 0 ? strerror(-r) : "", in ? "nsenter --net=" : "", netns, in ? " " : "",
		s->name);
}

void
nfct_sysctl_apply(const struct ctf_ctx *ctx, enum nfct_policy policy, const char *netns,
		  struct nfct_sysctls *ret)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		const struct setting *s = &settings[i];
		int *value = (int *)(void *)((char *)ret + s->off);
		long now = read_setting(s->name);

		*value = now < 0 || now > 2 ? -1 : (int)now;
		if (s->off == offsetof(struct nfct_sysctls, events))
			ret->events_before = *value;
		apply_one(ctx, policy, netns, s, value);
	}
}

void
nfct_sysctl_times(struct ct_times *t)
{
	ct_times_default(t);
	for (const struct ct_time_name *n = ct_time_names; n->sysctl; n++) {
		long value = read_setting(n->sysctl);

		if (value >= 0 && value <= INT_MAX)
			(void)ct_times_set(t, n->sysctl, (unsigned)value);
	}
}
