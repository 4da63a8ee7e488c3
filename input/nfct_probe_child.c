/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_probe_child.c - the process that makes a namespace to see an event.
 *
 * It shares the memory image of the daemon, threads apart, so it only makes
 * system calls and formats text.  Nobody else hears of it: its namespace has
 * an id in no other, and the listeners that were there keep what they have.
 */
#include "nfct.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define PATIENCE 1000 /* ms, for the event */
#define LIFE 60u      /* seconds; the entry never gets that old */

static int
see_attr(const struct nlattr *attr, void *data)
{
	uint32_t *have = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < 32)
		*have |= UINT32_C(1) << type;
	return MNL_CB_OK;
}

uint32_t
nfct_probe_attributes(const void *msg, size_t len)
{
	const struct nlmsghdr *nlh = msg;
	uint32_t have = 0;

	if (!mnl_nlmsg_ok(nlh, (int)len) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return 0;
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), see_attr, &have);
	return have;
}

/* ---- the entry --------------------------------------------------------------------- */

static void
put_tuple(struct nlmsghdr *nlh, uint16_t type, const char *src, const char *dst, uint16_t sport,
	  uint16_t dport)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, type), *nest;

	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put_u32(nlh, CTA_IP_V4_SRC, inet_addr(src));
	mnl_attr_put_u32(nlh, CTA_IP_V4_DST, inet_addr(dst));
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons(sport));
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(dport));
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
}

/* What a flow can have besides, so that its end shows it. */
static void
put_rest(struct nlmsghdr *nlh, bool zone)
{
	struct nlattr *info, *tcp;

	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(LIFE));
	mnl_attr_put_u32(nlh, CTA_MARK, htonl(1));
	if (zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, htons(1));
	info = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	tcp = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_nest_end(nlh, tcp);
	mnl_attr_nest_end(nlh, info);
}

/* Sends a request and reads its acknowledgement; 0 or -errno. */
static int
ask(int fd, struct nlmsghdr *nlh, unsigned type, unsigned flags)
{
	char buf[1024] __attribute__((aligned(8)));
	ssize_t len;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	if (send(fd, nlh, nlh->nlmsg_len, 0) < 0)
		return -errno;
	len = recv(fd, buf, sizeof(buf), 0);
	if (len < 0)
		return -errno;
	return mnl_cb_run(buf, (size_t)len, 0, 0, NULL, NULL) < 0 ? -errno : 0;
}

static struct nlmsghdr *
begin(char *buf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = AF_INET;
	put_tuple(nlh, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", 1, 2);
	return nlh;
}

static int
make_entry(int fd, bool zone)
{
	char buf[1024] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = begin(buf);

	put_tuple(nlh, CTA_TUPLE_REPLY, "192.0.2.2", "192.0.2.1", 2, 1);
	put_rest(nlh, zone);
	return ask(fd, nlh, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
}

static int
remove_entry(int fd, bool zone)
{
	char buf[1024] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = begin(buf);

	if (zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, htons(1));
	return ask(fd, nlh, IPCTNL_MSG_CT_DELETE, 0);
}

/* ---- the child --------------------------------------------------------------------- */

static int
failed(struct nfct_probe_answer *a, const char *what, int r)
{
	snprintf(a->what, sizeof(a->what), "%s", what);
	a->error = r;
	return r;
}

static int
read_end(int events, struct nfct_probe_answer *a)
{
	char buf[4096] __attribute__((aligned(8)));
	struct pollfd p = { .fd = events, .events = POLLIN };
	ssize_t len;

	if (poll(&p, 1, PATIENCE) <= 0)
		return failed(a, "no event", -ETIMEDOUT);
	len = recv(events, buf, sizeof(buf), 0);
	if (len < 0)
		return failed(a, "event", -errno);
	a->abilities = nfct_probe_attributes(buf, (size_t)len);
	return 0;
}

static int
probe(struct nfct_probe_answer *a)
{
	struct ctf_err err;
	int fd, events, r;
	bool zone = true;

	if (unshare(CLONE_NEWNET) < 0)
		return failed(a, "unshare", -errno);
	nfct_sysctl_turn_on();
	r = nfct_events_open(false, NULL, 0, &events, &err);
	if (r == 0)
		r = nfct_events_join(events, CTF_DESTROY, &err);
	if (r < 0)
		return failed(a, "listen", r);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0)
		return failed(a, "socket", -errno);
	r = make_entry(fd, zone);
	if (r < 0) { /* a kernel without zones */
		zone = false;
		r = make_entry(fd, zone);
	}
	if (r < 0)
		return failed(a, "new entry", r);
	r = remove_entry(fd, zone);
	return r < 0 ? failed(a, "delete entry", r) : read_end(events, a);
}

/* It must not keep alive what the daemon closes. */
static int
leave_all_but(int fd)
{
	if (fd != 3 && dup2(fd, 3) < 0)
		return fd;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 4u, ~0u, 0u) == 0)
		return 3;
#endif
	for (int i = 4; i < 1024; i++)
		close(i);
	return 3;
}

/* A daemon that has become another user may not kill it. */
static void
limit_time(void)
{
	sigset_t alrm;

	(void)signal(SIGALRM, SIG_DFL);
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &alrm, NULL);
	(void)alarm(NFCT_PROBE_SEC);
}

_Noreturn void
nfct_probe_child(int fd)
{
	struct nfct_probe_answer a = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	limit_time();
	fd = leave_all_but(fd);
	(void)probe(&a);
	_exit(write(fd, &a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 1);
}
