/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_burst.c - see nfct_burst.h. */
#include "nfct_burst.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>

/*
 * Five lines of the cache beyond the longest message: else all messages would
 * begin in the same few sets of it, and drive each other out.
 */
#define STRIDE (NFCT_MESSAGE_MAX + 5u * 64u)

union control {
	struct cmsghdr align;
	uint8_t room[128];
};

struct nfct_burst {
	struct mmsghdr head[NFCT_BURST];
	struct iovec iov[NFCT_BURST];
	union control control[NFCT_BURST];
	uint8_t room[NFCT_BURST * STRIDE]; /* of which little is ever touched */
};

struct nfct_burst *
nfct_burst_new(void)
{
	struct nfct_burst *b = calloc(1, sizeof(*b));

	for (unsigned i = 0; b && i < NFCT_BURST; i++) {
		b->iov[i] = (struct iovec){ b->room + i * STRIDE, NFCT_MESSAGE_MAX };
		b->head[i].msg_hdr.msg_iov = &b->iov[i];
		b->head[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

void
nfct_burst_free(struct nfct_burst *b)
{
	free(b);
}

int
nfct_burst_receive(struct nfct_burst *b, int fd, unsigned most, bool with_nsid)
{
	unsigned n = most < NFCT_BURST ? most : NFCT_BURST;
	int r;

	for (unsigned i = 0; with_nsid && i < n; i++) {
		b->head[i].msg_hdr.msg_control = &b->control[i];
		b->head[i].msg_hdr.msg_controllen = sizeof(b->control[i]);
	}
	r = recvmmsg(fd, b->head, n, MSG_TRUNC, NULL);
	return r < 0 ? -errno : r;
}

const uint8_t *
nfct_burst_at(const struct nfct_burst *b, unsigned i, size_t *ret_len)
{
	*ret_len = b->head[i].msg_len;
	return b->iov[i].iov_base;
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
