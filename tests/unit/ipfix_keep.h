/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_keep.h - what peers of the IPFIX tests receive goes to files of the
 * folder $CTF_KEEP, for tests/interop/test_ipfix_units.py to judge.  Without
 * that variable nothing is written.
 */
#ifndef IPFIX_KEEP_H
#define IPFIX_KEEP_H

#include <stddef.h>
#include <sys/types.h>

enum keep {
	KEEP_WHOLE, /* a TCP session */
	KEEP_TORN,  /* the test lets it end, maybe inside a message */
	KEEP_FILE,  /* a file of RFC 5655 */
};

/* The bytes of one session or file. */
void keep_session(const void *bytes, size_t len, enum keep);
/* recv() of a datagram; each sender's are a session. */
ssize_t keep_recv(int fd, void *buf, size_t cap);
/* This test breaks rules on purpose: nothing more is kept of it. */
void keep_nothing(void);

#endif
