/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_host.c - the clock, socket buffers, and interfaces that merge packets. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/sockios.h>

#include "doctor.h"

#define BUFFER (8 << 20) /* what the daemon asks for */
#define ENOUGH (1 << 20)

/* ---- the clock ------------------------------------------------------------------------ */

static bool
is_there(const char *path)
{
	return access(path, X_OK) == 0;
}

void
dr_check_clock(struct doctor *d)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state < 0 || (state != TIME_ERROR && !(t.status & STA_UNSYNC)))
		return;
	dr_find(d, DR_WARNING, "clock",
		"the clock is not synchronised: times may be wrong, answers to \"who had this "
		"address then\" are uncertain, and old flows are not deleted");
	if (is_there("/usr/sbin/chronyd"))
		dr_fix(d, "systemctl enable --now chrony");
	else if (is_there("/etc/init.d/sysntpd"))
		dr_fix(d, "/etc/init.d/sysntpd enable && /etc/init.d/sysntpd start");
	else if (is_there("/lib/systemd/systemd-timesyncd"))
		dr_fix(d, "timedatectl set-ntp true");
	else
		dr_fix(d, "apt-get install chrony");
}

/* ---- buffers ---------------------------------------------------------------------------- */

/* What the kernel lets us have; below 0: no socket. */
static int
buffer(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int want = BUFFER, got = -1;
	socklen_t len = sizeof(got);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) < 0)
		got = -1;
	close(fd);
	return got / 2; /* the kernel counts its own part, and doubles what was asked */
}

static void
configured(struct doctor *d, const struct st_member *m)
{
	static const char *const keys[] = { "netlink_socket_buffer_maxsize",
					    "netlink_socket_buffer_size" };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t size = st_size(m, keys[i], ENOUGH);

		if (size >= ENOUGH || !size)
			continue;
		dr_find(d, DR_NOTE, "buffer",
			"%s of [%s] is %llu bytes, room for %llu events: without it there are "
			"%d MiB",
			keys[i], m->id, (unsigned long long)size,
			(unsigned long long)size / 1280, BUFFER >> 20);
		dr_fix_option(d, m, keys[i], NULL);
	}
}

void
dr_check_buffers(struct doctor *d)
{
	int got = buffer();

	for (unsigned i = 0; i < d->conf.n; i++)
		if (st_is(&d->conf.members[i], "NFCT"))
			configured(d, &d->conf.members[i]);
	if (got < 0 || got >= ENOUGH)
		return;
	if (!d->root) {
		dr_unread(d, "receive buffers: only root may have large ones");
		return;
	}
	dr_find(d, DR_WARNING, "rmem_max",
		"a socket may have a receive buffer of %d KiB only, room for %d events: bursts "
		"of "
		"more may be lost",
		got >> 10, got / 1280);
	dr_fix(d, "%ssysctl -w net.core.rmem_max=%d", d->inside, BUFFER);
}

/* ---- interfaces ----------------------------------------------------------------------------- */

/* The value of an ethtool question that has one; 0 also if it cannot be told. */
static uint32_t
ask(int fd, const char *name, uint32_t cmd)
{
	struct ethtool_value value = { .cmd = cmd };
	struct ifreq ifr = { .ifr_data = (char *)&value };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1, name);
	return ioctl(fd, SIOCETHTOOL, &ifr) == 0 ? value.data : 0;
}

static void
see_link(struct doctor *d, int fd, const char *name, char *merging, char *commands, size_t size)
{
	size_t n = strlen(merging), c = strlen(commands);

	if (ask(fd, name, ETHTOOL_GFLAGS) & ETH_FLAG_LRO) {
		dr_find(d, DR_WARNING, "lro",
			"%s merges received packets in hardware (LRO): a router must not "
			"forward "
			"those, and conntrack counts them as one",
			name);
		dr_fix(d, "%sethtool -K %s lro off", d->inside, name);
	}
	if (!ask(fd, name, ETHTOOL_GGRO) || n + strlen(name) + 3 > size ||
	    c + strlen(name) + 40 + strlen(d->inside) > 2 * size)
		return;
	snprintf(merging + n, size - n, "%s%s", n ? ", " : "", name);
	snprintf(commands + c, 2 * size - c, "%s%sethtool -K %s gro off", c ? " && " : "",
		 d->inside, name);
}

/* Every address of an interface is listed; its packet entry comes once. */
void
dr_check_links(struct doctor *d)
{
	char merging[1024] = "", commands[2048] = "";
	struct ifaddrs *all = NULL;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || getifaddrs(&all) < 0) {
		dr_unread(d, "interfaces: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	for (const struct ifaddrs *a = all; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_PACKET &&
		    a->ifa_flags & IFF_UP && !(a->ifa_flags & IFF_LOOPBACK))
			see_link(d, fd, a->ifa_name, merging, commands, sizeof(merging));
	freeifaddrs(all);
	close(fd);
	if (!*merging)
		return;
	dr_find(d, DR_HINT, "gro",
		"%s: conntrack counts packets after they were merged on receipt (GRO), fewer "
		"and "
		"with fewer header bytes than on the wire; that is faster, and usual",
		merging);
	dr_fix(d, "%s", commands);
}
