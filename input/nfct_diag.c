/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_diag.c - looks at the other netlink sockets (sock_diag). */
#include "nfct_diag.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/sock_diag.h>
#include <linux/netfilter/nfnetlink.h>

#define MOST 64u /* sockets told apart: a dump may list one twice */

struct look {
	uint32_t own; /* port of the socket that is not meant */
	unsigned found;
	struct nfct_other other[MOST];
};

struct seen { /* attributes of one socket */
	uint32_t groups, flags;
};

static int
see_attr(const struct nlattr *attr, void *data)
{
	struct seen *seen = data;

	if (mnl_attr_get_payload_len(attr) < sizeof(uint32_t))
		return MNL_CB_OK;
	if (mnl_attr_get_type(attr) == NETLINK_DIAG_GROUPS)
		memcpy(&seen->groups, mnl_attr_get_payload(attr), sizeof(seen->groups));
	if (mnl_attr_get_type(attr) == NETLINK_DIAG_FLAGS)
		seen->flags = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static void
see_other(struct look *look, const struct netlink_diag_msg *msg)
{
	for (unsigned i = 0; i < look->found; i++)
		if (look->other[i].inode == msg->ndiag_ino &&
		    look->other[i].portid == msg->ndiag_portid)
			return;
	if (look->found < MOST)
		look->other[look->found++] =
			(struct nfct_other){ msg->ndiag_portid, msg->ndiag_ino };
}

static int
see_socket(const struct nlmsghdr *nlh, void *data)
{
	struct look *look = data;
	struct seen seen = { 0 };
	const struct netlink_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	uint32_t destroy = 1u << (NFNLGRP_CONNTRACK_DESTROY - 1);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) || msg->ndiag_portid == look->own)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*msg), see_attr, &seen);
	if (seen.groups & destroy && seen.flags & NDIAG_FLAG_BROADCAST_ERROR)
		see_other(look, msg);
	return MNL_CB_OK;
}

static int
ask(int fd)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct netlink_diag_req *req;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = AF_NETLINK;
	req->sdiag_protocol = NETLINK_NETFILTER;
	req->ndiag_show = NDIAG_SHOW_GROUPS | NDIAG_SHOW_FLAGS;
	return send(fd, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : 0;
}

static int
read_answer(int fd, struct look *look)
{
	char buf[8192] __attribute__((aligned(8)));
	int r;

	do {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);

		r = len < 0 ? -1 : mnl_cb_run(buf, (size_t)len, 0, 0, see_socket, look);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : (int)look->found;
}

int
nfct_diag_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

int
nfct_diag_others(int diag, int fd, struct nfct_other *ret_other, unsigned max)
{
	struct sockaddr_nl own = { 0 };
	socklen_t len = sizeof(own);
	struct look look = { 0 };
	int r;

	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		return -errno;
	look.own = own.nl_pid;
	r = ask(diag);
	if (r == 0)
		r = read_answer(diag, &look);
	for (int i = 0; i < r && (unsigned)i < max; i++)
		ret_other[i] = look.other[i];
	return r;
}

int
nfct_diag_reliable(int diag, int fd)
{
	return nfct_diag_others(diag, fd, NULL, 0);
}
