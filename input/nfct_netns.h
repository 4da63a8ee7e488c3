/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_netns.h - the calling thread's network namespace. */
#ifndef NFCT_NETNS_H
#define NFCT_NETNS_H

/* ret_home is for nfct_netns_return(); -1 with errno set. */
int nfct_netns_enter(const char *path, int *ret_home);
int nfct_netns_return(int home); /* 0 or -errno */

#endif
