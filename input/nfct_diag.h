/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_diag.h - who else listens to conntrack. */
#ifndef NFCT_DIAG_H
#define NFCT_DIAG_H

/*
 * The number of other sockets in fd's namespace that hear the ends of flows
 * with reliable delivery, or -errno.
 */
int nfct_other_reliable(int fd);

#endif
