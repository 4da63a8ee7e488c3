/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_bpf.h - selection in the kernel: accept_*_filter as a classic BPF
 * program for the event socket.
 */
#ifndef NFCT_BPF_H
#define NFCT_BPF_H

#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

#define NFCT_BPF_MAX 4096u /* instructions the kernel takes: BPF_MAXINSNS */

struct nfct_prefix {
	uint8_t family, len;
	uint8_t ip[16];
};

enum { NFCT_SRC, NFCT_DST, NFCT_DIRS };

/*
 * What a flow's original tuple must match: one prefix of each list and one of
 * the protocols.  An empty list restricts nothing; a list of IPv4 prefixes
 * alone rejects all IPv6 flows, and the other way round.
 */
struct nfct_filter {
	struct nfct_prefix *list[NFCT_DIRS];
	unsigned n[NFCT_DIRS];
	uint8_t protos[256]; /* 1: wanted */
	unsigned nprotos;
};

/*
 * Read "10.0.0.0/8,2001:db8::/32" and "tcp,udp,47" into a zeroed filter.
 * On -EINVAL `why` says what is wrong.
 */
int nfct_filter_prefixes(struct nfct_filter *f, int dir, const char *text, char *why,
			 size_t len);
int nfct_filter_protos(struct nfct_filter *f, const char *text, char *why, size_t len);
void nfct_filter_free(struct nfct_filter *f);

/*
 * Writes the program; returns its length, 0 when everything is accepted, or
 * -E2BIG when it has more than max instructions.
 */
int nfct_filter_compile(const struct nfct_filter *f, struct sock_filter *prog, unsigned max);

#endif
