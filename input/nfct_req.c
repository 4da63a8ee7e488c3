/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_req.c - the socket for requests. */
#include "nfct_sock.h"
#include "nfct_sysctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define SUBSYS (NFNL_SUBSYS_CTNETLINK << 8)

int
nfct_req_open(struct nfct_req *r, struct ctf_err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int errnum;

	r->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (r->fd < 0)
		return ctf_fail(err, errno, "no netlink socket: %s%s", strerror(errno),
				errno == EPROTONOSUPPORT ? " (modprobe nfnetlink)" : "");
	if (bind(r->fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		errnum = errno;
		nfct_req_close(r);
		return ctf_fail(err, errnum, "cannot bind a netlink socket: %s",
				strerror(errnum));
	}
	r->busy = false;
	return 0;
}

void
nfct_req_close(struct nfct_req *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->busy = false;
}

static int
send_request(struct nfct_req *r, unsigned type, unsigned flags, uint8_t family)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(SUBSYS | type);
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++r->seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return send(r->fd, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* ---- one answer ------------------------------------------------------------ */

static int
read_number(const struct nlattr *attr, void *data)
{
	struct nfct_fill *f = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return MNL_CB_OK;
	if (type == CTA_STATS_GLOBAL_ENTRIES)
		f->count = ntohl(mnl_attr_get_u32(attr));
	if (type == CTA_STATS_GLOBAL_MAX_ENTRIES)
		f->max = ntohl(mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

static int
read_stats(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct nfgenmsg), read_number, data);
}

static bool
is_answer(const struct nfct_req *r, size_t len)
{
	const struct nlmsghdr *nlh = (const void *)r->buf;

	return len >= sizeof(*nlh) && nlh->nlmsg_seq == r->seq;
}

/* The kernel answers such requests before send() returns. */
int
nfct_req_fill(struct nfct_req *r, struct nfct_fill *ret_fill)
{
	struct nfct_fill fill = { 0 };
	ssize_t len;
	int ret = send_request(r, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);

	if (ret < 0)
		return ret;
	do { /* an older answer may lie there that came too late */
		len = recv(r->fd, r->buf, sizeof(r->buf), 0);
		if (len < 0)
			return -errno;
	} while (!is_answer(r, (size_t)len));
	if (mnl_cb_run(r->buf, (size_t)len, r->seq, 0, read_stats, &fill) < 0)
		return -errno;
	*ret_fill = fill;
	return 0;
}

int
nfct_req_first(struct nfct_req *r, struct nfct_fill *ret_fill, struct ctf_err *err)
{
	char command[320];
	int ret = nfct_req_fill(r, ret_fill);

	if (ret == -EPERM)
		return ctf_fail(err, EPERM,
				"conntrack refuses to answer, so there are no flows at all: "
				"needs CAP_NET_ADMIN (root); to change it: %s",
				nfct_setcap(command, sizeof(command), "cap_net_admin"));
	if (ret == -EINVAL || ret == -EOPNOTSUPP)
		return ctf_fail(err, -ret,
				"the kernel does not know ctnetlink and could not load it: "
				"modprobe nf_conntrack_netlink");
	if (ret < 0)
		return ctf_fail(err, -ret, "conntrack does not answer: %s", strerror(-ret));
	return 0;
}

/* ---- dumps ----------------------------------------------------------------- */

static int
start_dump(struct nfct_req *r, unsigned type, uint8_t family)
{
	int ret;

	if (r->busy)
		return -EBUSY;
	r->entries = 0;
	r->error = 0;
	ret = send_request(r, type, NLM_F_DUMP, family);
	r->busy = ret == 0;
	return ret;
}

int
nfct_req_dying(struct nfct_req *r)
{
	return start_dump(r, IPCTNL_MSG_CT_GET_DYING, AF_UNSPEC);
}

struct each {
	void (*fn)(void *arg, const struct nlmsghdr *);
	void *arg;
};

static int
give_message(const struct nlmsghdr *nlh, void *data)
{
	const struct each *e = data;

	e->fn(e->arg, nlh);
	return MNL_CB_OK;
}

/* Short, and the kernel has the next part ready before recv() returns. */
int
nfct_req_cpus(struct nfct_req *r, void (*fn)(void *arg, const struct nlmsghdr *), void *arg)
{
	struct each e = { fn, arg };
	ssize_t len;
	int ret = start_dump(r, IPCTNL_MSG_CT_GET_STATS_CPU, AF_UNSPEC);

	if (ret < 0)
		return ret;
	do {
		len = recv(r->fd, r->buf, sizeof(r->buf), 0);
		ret = len < 0 ? -1
			      : mnl_cb_run(r->buf, (size_t)len, r->seq, 0, give_message, &e);
	} while (ret > MNL_CB_STOP);
	r->busy = false;
	return ret < 0 ? -errno : 0;
}

static int
count_entry(const struct nlmsghdr *nlh, void *data)
{
	struct nfct_req *r = data;

	r->entries++;
	return MNL_CB_OK;
}

int
nfct_req_step(struct nfct_req *r, unsigned chunks)
{
	while (r->busy && chunks-- > 0) {
		ssize_t len = recv(r->fd, r->buf, sizeof(r->buf), 0);
		int ret;

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		ret = len < 0 ? -1 : mnl_cb_run(r->buf, (size_t)len, r->seq, 0, count_entry, r);
		if (ret < 0)
			r->error = -errno;
		r->busy = ret > MNL_CB_STOP;
	}
	return !r->busy;
}
