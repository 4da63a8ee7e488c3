/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_diag.h - who else listens to conntrack. */
#ifndef NFCT_DIAG_H
#define NFCT_DIAG_H

#include <stddef.h>
#include <stdint.h>

struct nfct_other { /* a socket that hears the ends of flows with reliable delivery */
	uint32_t portid, inode;
};

/* A socket that asks about the namespace it is opened in, or -errno. */
int nfct_diag_open(void);
/* The sockets of that kind there but `fd`: how many, of which max are named; or -errno. */
int nfct_diag_others(int diag, int fd, struct nfct_other *ret_other, unsigned max);
/* Their number alone. */
int nfct_diag_reliable(int diag, int fd);

/*
 * "conntrackd (process 812)", as well as can be found out; looks at /proc for
 * some milliseconds at most.
 */
void nfct_whose(const struct nfct_other *, char *text, size_t size);
/* That process, or 0. */
long nfct_owner(const struct nfct_other *);

#endif
