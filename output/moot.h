/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options that mean nothing beside what another one says, which was then in vain. */
#ifndef CTF_OUTPUT_MOOT_H
#define CTF_OUTPUT_MOOT_H

#include <ctflow/plugin.h>

struct moot { /* a table ends with name NULL */
	const char *name;
	unsigned choices; /* of the enum, a bit each, with which it means something */
	const char *with; /* these in words: "proto=udp" */
};

static inline void
say_moot(const struct ctf_ctx *ctx, const struct moot *m, unsigned choice)
{
	for (; m->name; m++)
		if (!(m->choices >> choice & 1))
			ctf_doubt_opt(ctx, m->name, "it has a meaning with %s only", m->with);
}

#endif
