/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_burst.c - see nfct_burst.h. */
#include "nfct_burst.h"

#include <errno.h>
#include <string.h>
#include <linux/netlink.h>

/* Only what the call before may have changed, but for the first time. */
static void
head_set(struct nfct_burst *b, unsigned i, bool with_nsid)
{
	struct msghdr *m = &b->head[i].msg_hdr;

	if (!m->msg_iov) {
		b->iov[i] = (struct iovec){ b->room + (size_t)i * NFCT_BURST_STRIDE,
					    NFCT_MESSAGE_MAX };
		m->msg_iov = &b->iov[i];
		m->msg_iovlen = 1;
	}
	if (with_nsid) {
		m->msg_control = &b->control[i];
		m->msg_controllen = sizeof(b->control[i]);
	}
}

int
nfct_burst_receive(struct nfct_burst *b, int fd, unsigned most, bool with_nsid)
{
	unsigned n = most < NFCT_BURST ? most : NFCT_BURST;
	int r;

	for (unsigned i = 0; i < n; i++)
		head_set(b, i, with_nsid);
	r = recvmmsg(fd, b->head, n, MSG_TRUNC, NULL);
	return r < 0 ? -errno : r;
}

int
nfct_burst_nsid(struct nfct_burst *b, unsigned i)
{
	struct msghdr *m = &b->head[i].msg_hdr;
	int nsid = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
		    c->cmsg_len >= CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	return nsid;
}
