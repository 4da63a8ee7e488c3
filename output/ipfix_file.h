/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_file.h - what the two parts of proto=file share. */
#ifndef CTF_IPFIX_FILE_H
#define CTF_IPFIX_FILE_H

#include "ipfix.h"

#define IPFIX_FILE_BURST 16u /* messages in one system call */

struct ipfix_part { /* messages that are written together: one has flows */
	uint32_t len;
	uint64_t upto; /* ctf_frame.upto of it */
};

/* ---- ipfix_file_open.c: begin, repair, finish ----------------------------------- */

/* A new file from here on; the one there is gets its name.  0 or -errno. */
int ipfix_file_roll(struct ipfix_sink *, struct ctf_err *);
/* The same, the one there is being nobody's business any more. */
int ipfix_file_leave(struct ipfix_sink *, struct ctf_err *);
/* The first message is written: when rotate_time ends this file. */
void ipfix_file_period(struct ipfix_sink *);
/* Around each write; upto: of what has arrived. */
void ipfix_file_note(struct ipfix_sink *, const struct ipfix_part *, unsigned n, uint64_t upto);

#endif
