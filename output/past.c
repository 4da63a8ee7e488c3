/* SPDX-License-Identifier: GPL-2.0-or-later */
/* past.c - see past.h. */
#include "past.h"

#include <stdio.h>

void
past_begin(struct past *p, const struct ctf_frame *last)
{
	if (!p)
		return;
	p->upto = last->upto;
	p->frame = last->number;
}

void
past_end(struct past *p, bool committed)
{
	if (!p)
		return;
	if (committed)
		p->before = p->upto;
	p->frame = 0;
}

static void
look_back(struct ctf_ctx *ctx, const struct past *p,
	  uint64_t (*stored)(void *db, const char *spool), void *db)
{
	char spool[sizeof(p->spool)];
	uint64_t frame;

	snprintf(spool, sizeof(spool), "%.*s", (int)sizeof(p->spool) - 1, p->spool);
	if (!spool[0])
		return;
	frame = stored(db, spool);
	if (p->frame && frame >= p->frame)
		ctf_found(ctx, p->upto, true);
	else /* without a row it may be another file */
		ctf_found(ctx, p->before, frame > 0 || (!p->before && !p->frame));
}

void
past_open(struct ctf_ctx *ctx, struct past **past, const char *spool,
	  uint64_t (*stored)(void *db, const char *spool), void *db)
{
	bool kept = false;
	struct past *p = *past;

	if (p)
		return;
	*past = p = ctf_state(ctx, "past", sizeof(*p), &kept);
	if (!p)
		return;
	if (kept)
		look_back(ctx, p, stored, db);
	p->before = p->frame = 0;
	snprintf(p->spool, sizeof(p->spool), "%s", spool);
}
