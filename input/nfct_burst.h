/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_burst.h - several events with one call.
 *
 * Entering and leaving the kernel is a good tenth of what it takes to receive
 * an event, more than describing another message to recvmmsg(2) does.
 */
#ifndef NFCT_BURST_H
#define NFCT_BURST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NFCT_MESSAGE_MAX 8192u /* an event has 250 bytes, at most about 1 KiB */
#define NFCT_BURST 16u         /* messages; with more there is nothing to gain */

/*
 * Five lines of the cache beyond the longest message: else all messages would
 * begin in the same few sets of it, and drive each other out.
 */
#define NFCT_BURST_STRIDE (NFCT_MESSAGE_MAX + 5u * 64u)

struct nfct_burst { /* zeroed at first; nothing of it is to be freed */
	struct mmsghdr head[NFCT_BURST];
	struct iovec iov[NFCT_BURST];
	union {
		struct cmsghdr align;
		uint8_t room[128];
	} control[NFCT_BURST];
	uint8_t room[NFCT_BURST * NFCT_BURST_STRIDE]; /* of which little is ever touched */
};

/*
 * Receives up to most messages, but no more than NFCT_BURST; with_nsid: as well
 * where each comes from.  Returns how many there are, or -errno.
 */
int nfct_burst_receive(struct nfct_burst *, int fd, unsigned most, bool with_nsid);
/* One of them; *ret_len is what it had, of which NFCT_MESSAGE_MAX were received. */
static inline const uint8_t *
nfct_burst_at(const struct nfct_burst *b, unsigned i, size_t *ret_len)
{
	*ret_len = b->head[i].msg_len;
	return b->iov[i].iov_base;
}

/* The namespace it is from, -1: the own one. */
int nfct_burst_nsid(struct nfct_burst *, unsigned i);

#endif
