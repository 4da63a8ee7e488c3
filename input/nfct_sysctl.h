/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_sysctl.h - conntrack's settings, of the namespace we are in. */
#ifndef NFCT_SYSCTL_H
#define NFCT_SYSCTL_H

#include <ctflow/plugin.h>
#include "ct_decode.h"

enum nfct_policy { NFCT_AUTO, NFCT_SET, NFCT_WARN, NFCT_IGNORE };
#define NFCT_POLICIES "auto|set|warn|ignore"

struct nfct_sysctls { /* -1: unknown */
	int acct, timestamp, events;
	int events_before; /* before we changed it */
};

/*
 * Reads the settings, changes what the policy says, and warns, with the
 * command to type, about the rest.  netns is "" or the path of the namespace
 * we are in, for that command.
 */
void nfct_sysctl_apply(const struct ctf_ctx *ctx, enum nfct_policy policy, const char *netns,
		       struct nfct_sysctls *ret);
void nfct_sysctl_times(struct ct_times *t);

#endif
