/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of tests/query/history share. */
#ifndef CTF_TEST_HISTORY_H
#define CTF_TEST_HISTORY_H

#include "plug.h"

enum { /* fields that a line can give; history_line.c has the keys */
       H_SRC,
       H_DST,
       H_RSRC,
       H_RDST,
       H_PROTO,
       H_SPORT,
       H_DPORT,
       H_RSPORT,
       H_RDPORT,
       H_START,
       H_LAST,
       H_STOP,
       H_ID,
       H_MARK,
       H_ZONE,
       H_NSID,
       H_PACKETS,
       H_BYTES,
       H_RPACKETS,
       H_RBYTES,
       H_STATUS,
       H_TCP_STATE,
       H_REASON,
       H_ICMP_TYPE,
       H_ICMP_CODE,
       H_ICMP6_TYPE,
       H_ICMP6_CODE,
       H_SNAME,
       H_SNAME_NS,
       H_DNAME,
       H_DNAME_NS,
       H_COUNT
};

struct history {
	struct plug *plug;
	unsigned line;
	ctf_ref slot[H_COUNT];
};

void history_slots(struct history *);
/* The next word, ended with a NUL and without quotes; NULL: none.  Moves on. */
char *history_word(char **text);
void history_flow(struct history *, bool seen, char *text);
void history_gap(struct history *, char *text);
void history_coverage(struct history *, char *text);
void history_sweep(struct history *, char *text);
void history_fill(struct history *, char *text);

/* The record at hand, into a frame. */
void history_encode(struct history *);
void history_commit(struct history *);
void history_spare(struct history *);

#endif
