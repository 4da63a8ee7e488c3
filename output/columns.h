/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All of ulogd2's keys upstream, as key=value: what GPRINT and OPRINT print. */
#ifndef CTF_OUTPUT_COLUMNS_H
#define CTF_OUTPUT_COLUMNS_H

#include "text.h"

struct column {
	ctf_ref ref;
	enum ctf_type type;
	bool zero;               /* absent is printed as 0 */
	bool always;             /* printed whatever the record has */
	struct text_label label; /* "key=" */
};

struct columns {
	unsigned n;
	size_t fixed; /* room for all, but for the texts in them */
	struct column col[CTF_SLOTS + 1];
};

/*
 * In setup().  What is no text and no number is left out, or with `raw`
 * printed as "default", like ulogd2's key `ct` then, which is a pointer.
 */
int columns_want(struct columns *, struct ctf_ctx *, bool raw, struct ctf_err *);
void columns_free(struct columns *);
/* Bytes columns_put() may touch for this record. */
size_t columns_room(const struct columns *, const struct ctf_rec *);
/* Those the record has, each with `end` behind it. */
char *columns_put(char *p, const struct columns *, const struct ctf_rec *, char end);

#endif
