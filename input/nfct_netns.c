/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_netns.c - enters a network namespace.  Sockets stay in the namespace
 * they were opened in, and /proc/sys/net shows the opening thread's.
 */
#include "nfct_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

int
nfct_netns_enter(const char *path, int *ret_home)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = home < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int errnum;

	if (there >= 0 && setns(there, CLONE_NEWNET) == 0) {
		close(there);
		*ret_home = home;
		return 0;
	}
	errnum = errno;
	if (there >= 0)
		close(there);
	if (home >= 0)
		close(home);
	errno = errnum;
	return -1;
}

int
nfct_netns_return(int home)
{
	int r = setns(home, CLONE_NEWNET) < 0 ? -errno : 0;

	close(home);
	return r;
}
