/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_host_ask.c - the questions of nfct_host.h, one answer each. */
#include "nfct.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>

#define CONNTRACK_PRIORITY (-200) /* of its hooks */

/* Runs a dump to its end; 0 or -errno. */
static int
dump(int fd, struct nlmsghdr *nlh, mnl_cb_t each, void *data)
{
	char buf[16384] __attribute__((aligned(8)));
	int r;

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		; /* of a dump that took too long */
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (send(fd, nlh, nlh->nlmsg_len, 0) < 0)
		return -errno;
	do {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);

		r = len < 0 ? -1 : mnl_cb_run(buf, (size_t)len, 0, 0, each, data);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : 0;
}

/* ---- interfaces ---------------------------------------------------------------- */

struct links {
	int fd;
	int8_t gro;
};

static int
keep_name(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == IFLA_IFNAME)
		snprintf(data, IFNAMSIZ, "%.*s", (int)mnl_attr_get_payload_len(attr),
			 (const char *)mnl_attr_get_payload(attr));
	return MNL_CB_OK;
}

/* The loopback device says yes, but has nothing to merge. */
static int
see_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct ethtool_value value = { .cmd = ETHTOOL_GGRO };
	struct ifreq ifr = { .ifr_data = (char *)&value };
	struct links *l = data;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) || ifi->ifi_flags & IFF_LOOPBACK ||
	    !(ifi->ifi_flags & IFF_UP) || l->gro == 1)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*ifi), keep_name, ifr.ifr_name);
	if (ioctl(l->fd, SIOCETHTOOL, &ifr) == 0 && value.data)
		l->gro = 1;
	return MNL_CB_OK;
}

int8_t
nfct_ask_gro(int route)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct links l = { route, 0 };

	nlh->nlmsg_type = RTM_GETLINK;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	return route >= 0 && dump(route, nlh, see_link, &l) == 0 ? l.gro : -1;
}

/* ---- flowtables -------------------------------------------------------------------- */

/* Whether a file has a line with that text. */
static bool
is_in(const char *path, const char *text)
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* A question alone would load the module, where there is none in use. */
bool
nfct_has_nf_tables(void)
{
	char path[256];
	struct utsname u;

	if (access("/proc/modules", F_OK) < 0) /* a kernel without modules */
		return true;
	if (is_in("/proc/modules", "nf_tables "))
		return true;
	if (uname(&u) < 0)
		return false;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.builtin", u.release);
	return is_in(path, "/nf_tables.ko");
}

static int
see_flags(const struct nlattr *attr, void *data)
{
	bool *counts = data;

	if (mnl_attr_get_type(attr) == NFTA_FLOWTABLE_FLAGS &&
	    mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
		*counts = ntohl(mnl_attr_get_u32(attr)) & NFT_FLOWTABLE_COUNTER;
	return MNL_CB_OK;
}

void
nfct_see_flowtable(const void *msg, struct nfct_found *found)
{
	const struct nlmsghdr *nlh = msg;
	bool counts = false;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return;
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), see_flags, &counts);
	found->offload = 1;
	if (!counts)
		found->uncounted = 1;
}

static int
see_flowtable(const struct nlmsghdr *nlh, void *data)
{
	nfct_see_flowtable(nlh, data);
	return MNL_CB_OK;
}

void
nfct_ask_flowtables(int netfilter, struct nfct_found *ret)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfct_found found = { .offload = 0, .uncounted = 0 };

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETFLOWTABLE;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	if (netfilter < 0 ||
	    (nfct_has_nf_tables() && dump(netfilter, nlh, see_flowtable, &found) < 0))
		found.offload = found.uncounted = -1;
	ret->offload = found.offload;
	ret->uncounted = found.uncounted;
}

/* ---- hooks --------------------------------------------------------------------------- */

struct hook {
	bool named, conntrack, priority;
};

static int
see_hook_attr(const struct nlattr *attr, void *data)
{
	struct hook *h = data;
	const char *name = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	uint32_t number;

	if (mnl_attr_get_type(attr) == NFNLA_HOOK_FUNCTION_NAME) {
		h->named = true;
		h->conntrack = memmem(name, len, "conntrack_", 10) != NULL;
	}
	if (mnl_attr_get_type(attr) == NFNLA_HOOK_PRIORITY && len == sizeof(number)) {
		memcpy(&number, name, sizeof(number));
		h->priority = (int32_t)ntohl(number) == CONNTRACK_PRIORITY;
	}
	return MNL_CB_OK;
}

/* By its function, where the kernel knows names, else by its place. */
bool
nfct_see_hook(const void *msg)
{
	const struct nlmsghdr *nlh = msg;
	struct hook h = { 0 };

	if (nlh->nlmsg_type != (NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return false;
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), see_hook_attr, &h);
	return h.named ? h.conntrack : h.priority;
}

static int
see_hook(const struct nlmsghdr *nlh, void *data)
{
	bool *found = data;

	*found |= nfct_see_hook(nlh);
	return MNL_CB_OK;
}

int8_t
nfct_ask_hooks(int netfilter)
{
	static const uint8_t families[] = { NFPROTO_IPV4, NFPROTO_IPV6 };
	bool found = false;

	for (size_t i = 0; i < sizeof(families); i++) {
		char buf[64] __attribute__((aligned(8))) = { 0 };
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
		struct nfgenmsg *nfg;

		nlh->nlmsg_type = NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET;
		nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
		nfg->nfgen_family = families[i];
		mnl_attr_put_u32(nlh, NFNLA_HOOK_HOOKNUM, htonl(NF_INET_PRE_ROUTING));
		if (netfilter < 0 || dump(netfilter, nlh, see_hook, &found) < 0)
			return -1;
	}
	return found;
}
