/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_nft.h - messages of nftables, decoded; for tests, too. */
#ifndef CTF_QUERY_DOCTOR_NFT_H
#define CTF_QUERY_DOCTOR_NFT_H

#include <stdbool.h>
#include <stdint.h>

struct dr_flowtable {
	const char *family; /* ip, inet, ... */
	char table[256], name[256];
	uint32_t flags; /* NFT_FLOWTABLE_* */
	int32_t priority;
};

struct dr_rule {
	const char *family;
	char table[256], chain[256];
	uint64_t handle;
	bool notrack;
};

/* False: the message (struct nlmsghdr) is something else. */
bool dr_see_flowtable(const void *nlh, struct dr_flowtable *ret);
struct doctor;
void dr_tell_flowtable(struct doctor *, const struct dr_flowtable *);
/* True: it is a rule that keeps packets from conntrack. */
bool dr_see_rule(const void *nlh, struct dr_rule *ret);

#endif
