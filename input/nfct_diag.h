/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_diag.h - who else listens to conntrack. */
#ifndef NFCT_DIAG_H
#define NFCT_DIAG_H

/* A socket that asks about the namespace it is opened in, or -errno. */
int nfct_diag_open(void);
/*
 * The number of sockets but `fd` there that hear the ends of flows with
 * reliable delivery, or -errno.
 */
int nfct_diag_reliable(int diag, int fd);

#endif
