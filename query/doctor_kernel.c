/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_kernel.c - conntrack: its modules, settings, table and timeouts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"

#define FOLDER "/proc/sys/net/netfilter/"
#define CROWDED 75 /* percent of the table */
#define FULL 90
#define CHAIN 8 /* entries a bucket, on average, when the table is full */

int64_t
dr_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long long x = -1;
	int r;

	if (!f)
		return -errno;
	r = fscanf(f, "%lld", &x) == 1 ? 0 : -EINVAL;
	fclose(f);
	return r == 0 && x >= 0 ? x : -EINVAL;
}

static int64_t
setting(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), FOLDER "%s", name);
	return dr_number(path);
}

/* ---- modules ---------------------------------------------------------------------- */

static bool
has_text(const char *root, const char *path, const char *text)
{
	char full[512], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "re");
	while (f && !found && getline(&line, &room, f) > 0)
		found = strstr(line, text) != NULL;
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool
is_there(const char *root, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return access(full, F_OK) == 0;
}

void
dr_modules_below(struct doctor *d, const char *root, const char *release)
{
	char dep[160], builtin[160];

	snprintf(dep, sizeof(dep), "/lib/modules/%s/modules.dep", release);
	snprintf(builtin, sizeof(builtin), "/lib/modules/%s/modules.builtin", release);
	if (!is_there(root, FOLDER "nf_conntrack_max")) {
		dr_find(d, DR_ERROR, "modules",
			"conntrack is not loaded: there are no connections to record");
		dr_fix(d, "modprobe nf_conntrack");
	}
	/* a kernel without modules has it or not; its folder may be another container's */
	if (!is_there(root, "/proc/modules") || !is_there(root, dep) ||
	    has_text(root, "/proc/modules", "nf_conntrack_netlink ") ||
	    has_text(root, dep, "/nf_conntrack_netlink.ko") ||
	    has_text(root, builtin, "/nf_conntrack_netlink.ko"))
		return;
	dr_find(d, DR_ERROR, "modules",
		"this kernel's modules lack nf_conntrack_netlink, without which conntrack "
		"tells "
		"nobody of its connections");
	if (is_there(root, "/etc/openwrt_release"))
		dr_fix(d, "opkg install kmod-nf-conntrack-netlink");
	else if (is_there(root, "/usr/bin/dnf"))
		dr_fix(d, "dnf install kernel-modules-%s", release);
	else
		dr_fix(d, "apt-get install --reinstall linux-image-%s", release);
}

void
dr_check_modules(struct doctor *d)
{
	struct utsname u;

	if (uname(&u) == 0)
		dr_modules_below(d, "", u.release);
}

/* ---- settings ----------------------------------------------------------------------- */

static const struct {
	const char *name, *check, *lack;
	enum dr_level level;
} settings[] = {
	{ "nf_conntrack_acct", "acct", "flows have no packet and byte counts", DR_WARNING },
	{ "nf_conntrack_timestamp", "timestamp",
	  "flows have no start, and a repeated end cannot be told from a new one", DR_WARNING },
	{ "nf_conntrack_events", "events", "connections are never reported", DR_ERROR },
};

void
dr_check_settings(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		int64_t x = setting(settings[i].name);

		if (x == 1 || x == -ENOENT)
			continue;
		if (x < 0) {
			dr_unread(d, "%s: %s", settings[i].name, strerror((int)-x));
			continue;
		}
		if (x == 0)
			dr_find(d, settings[i].level, settings[i].check, "%s is 0: %s",
				settings[i].name, settings[i].lack);
		else
			dr_find(d, DR_NOTE, settings[i].check,
				"%s is %lld: connections that begin while nothing listens "
				"never "
				"report their end",
				settings[i].name, (long long)x);
		dr_fix(d, "%ssysctl -w net.netfilter.%s=1", d->inside, settings[i].name);
	}
}

/* ---- the table ------------------------------------------------------------------------ */

/* The size of the table is that of the first namespace, for all; others only read it. */
static const char *
outside(const struct doctor *d)
{
	return d->root && access(FOLDER "nf_conntrack_max", W_OK) < 0
		       ? "nsenter --net=/proc/1/ns/net "
		       : "";
}

void
dr_check_table(struct doctor *d)
{
	int64_t count = setting("nf_conntrack_count"), max = setting("nf_conntrack_max"),
		buckets = setting("nf_conntrack_buckets");

	if (count >= 0 && max > 0 && count * 100 >= max * CROWDED) {
		dr_find(d, count * 100 >= max * FULL ? DR_ERROR : DR_WARNING, "table",
			"the table of connections is %lld %% full (%lld of %lld): when it is "
			"full "
			"new connections are refused",
			(long long)(count * 100 / max), (long long)count, (long long)max);
		dr_fix(d, "%ssysctl -w net.netfilter.nf_conntrack_max=%lld", outside(d),
		       (long long)max * 2);
	}
	if (max > 0 && buckets > 0 && max > buckets * CHAIN) {
		dr_find(d, DR_NOTE, "buckets",
			"nf_conntrack_max is %lld with %lld buckets: a full table has %lld "
			"entries "
			"in each, and every packet searches one",
			(long long)max, (long long)buckets, (long long)(max / buckets));
		dr_fix(d, "%ssysctl -w net.netfilter.nf_conntrack_buckets=%lld", outside(d),
		       (long long)(max + 3) / 4);
	}
}

/* ---- timeouts ---------------------------------------------------------------------------- */

#define SHORT "a connection that is silent for longer becomes several flows"
#define LONG "the end of a flow is reported that much later, and its entry is kept"

static const struct {
	const char *name;
	int64_t least, most, usual; /* seconds */
} timeouts[] = {
	{ "nf_conntrack_tcp_timeout_established", 300, 432000, 432000 },
	{ "nf_conntrack_tcp_timeout_time_wait", 1, 600, 120 },
	{ "nf_conntrack_tcp_timeout_fin_wait", 1, 600, 120 },
	{ "nf_conntrack_tcp_timeout_close_wait", 1, 3600, 60 },
	{ "nf_conntrack_tcp_timeout_last_ack", 1, 600, 30 },
	{ "nf_conntrack_tcp_timeout_close", 1, 300, 10 },
	{ "nf_conntrack_udp_timeout", 10, 600, 30 },
	{ "nf_conntrack_udp_timeout_stream", 30, 3600, 120 },
	{ "nf_conntrack_icmp_timeout", 2, 600, 30 },
	{ "nf_conntrack_icmpv6_timeout", 2, 600, 30 },
	{ "nf_conntrack_generic_timeout", 10, 3600, 600 },
};

void
dr_check_timeouts(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(*timeouts); i++) {
		int64_t x = setting(timeouts[i].name);

		if (x < 0 || (x >= timeouts[i].least && x <= timeouts[i].most))
			continue;
		dr_find(d, DR_WARNING, "timeouts", "%s is %lld seconds: %s", timeouts[i].name,
			(long long)x, x < timeouts[i].least ? SHORT : LONG);
		dr_fix(d, "%ssysctl -w net.netfilter.%s=%lld", d->inside, timeouts[i].name,
		       (long long)timeouts[i].usual);
	}
}
