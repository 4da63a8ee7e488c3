/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buf.h - growing bytes: statements, addresses, what a server answered. */
#ifndef CTF_OUTPUT_BUF_H
#define CTF_OUTPUT_BUF_H

#include <ctflow/plugin.h>

/* All zero is an empty one.  What was put has a NUL behind it, which len does not count. */
struct buf {
	char *p; /* NULL until something is put */
	size_t len, room;
	bool failed; /* there was no memory; nothing is put any more */
};

void buf_put(struct buf *, const void *p, size_t n);
void buf_puts(struct buf *, const char *s);
void buf_num(struct buf *, uint64_t);
void buf_int(struct buf *, int64_t);
void buf_hex(struct buf *, const char *p, size_t n);
void buf_free(struct buf *);

#endif
