/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first block of a segment: which daemon wrote it, for which sink. */
#ifndef CTF_SPOOL_HEAD_H
#define CTF_SPOOL_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_HEAD "spool" /* its name */
#define SPOOL_VERSION 1u
#define SPOOL_HEAD_MAX 1024u

struct spool_head {
	uint64_t spool;
	const char *id, *plugin; /* of the sink; read: borrowed */
};

/* Returns its length. */
size_t spool_head_put(const struct spool_head *, uint8_t to[SPOOL_HEAD_MAX]);
bool spool_head_get(const uint8_t *p, size_t n, struct spool_head *ret_head);

#endif
