/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_sysctl.h - conntrack's settings, of the namespace we are in. */
#ifndef NFCT_SYSCTL_H
#define NFCT_SYSCTL_H

#include <ctflow/plugin.h>

enum nfct_policy { NFCT_AUTO, NFCT_SET, NFCT_WARN, NFCT_IGNORE };
#define NFCT_POLICIES "auto|set|warn|ignore"

#define NFCT_SETTINGS 3u

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
/* The files of the settings, of the namespace we are in; -1: there is none. */
void nfct_sysctl_open(int ret_fd[NFCT_SETTINGS]);
/* The same settings again, wherever we are now. */
void nfct_sysctl_read(const int fd[NFCT_SETTINGS], struct nfct_sysctls *ret);
/* Somebody has changed them meanwhile. */
void nfct_sysctl_say_changed(const struct ctf_ctx *ctx, const char *netns,
			     const struct nfct_sysctls *was, const struct nfct_sysctls *is);
/* All of them, as far as that works; of the namespace we are in. */
void nfct_sysctl_turn_on(void);
/*
 * The same looked at in another namespace, given by its path: what its flows
 * lack is said.  Needs CAP_SYS_ADMIN; 0 or -errno.
 */
int nfct_sysctl_say_other(const struct ctf_ctx *ctx, const char *netns);
/* The command that gives this program capabilities, "cap_net_admin". */
const char *nfct_setcap(char *text, size_t size, const char *caps);
/* The number in a setting of that open folder, or -errno. */
long nfct_sysctl_at(int dir, const char *name);

#endif
