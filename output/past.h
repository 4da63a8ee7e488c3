/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * past.h - the end of an earlier run, where a database remembers the number of
 * the last frame it was given.  The state page says what was being committed;
 * the database says whether it was.
 */
#ifndef CTF_OUTPUT_PAST_H
#define CTF_OUTPUT_PAST_H

#include <ctflow/plugin.h>

struct past {                    /* in the state page: the last commit */
	_Atomic uint64_t before; /* ctf_frame.upto of what is committed */
	_Atomic uint64_t frame;  /* being committed up to that one; 0: no commit going on */
	_Atomic uint64_t upto;   /* of that frame */
	char spool[80];          /* its run's name for the numbering of frames */
};

/*
 * Sink, in open(), when `spool` has its row.  stored() returns the last frame in
 * the database of another numbering, 0 if it does not say.  Once only.
 */
void past_open(struct ctf_ctx *, struct past **, const char *spool,
	       uint64_t (*stored)(void *db, const char *spool), void *db);
/* Around a commit that ends with that frame; past may be NULL. */
void past_begin(struct past *, const struct ctf_frame *last);
void past_end(struct past *, bool committed);

#endif
