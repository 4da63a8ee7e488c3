/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: what is old is deleted.
 *
 * From the oldest row on, some rows in each transaction, so that no commit
 * waits for it; then the index entries of partitions that are empty, these
 * themselves, and the tables of a day that has none.  The transaction that
 * deletes rows says in `meta` from which at_ns on all are there still.
 */
#ifndef CTF_SQLITE3_KEEP_H
#define CTF_SQLITE3_KEEP_H

#include "sqlite3_clock.h"
#include "sqlite3_db.h"

struct sq_keep {
	int64_t rows, from_ns, to_ns;       /* deleted and not said yet */
	int64_t noted_ns, said_ns, next_ns; /* since the machine was started; 0: never */
	bool aging;                         /* all are to go that may */
	bool by_size, said_unsure, said_small;
	int some; /* rows a transaction may delete */
};

/*
 * sqlite3_keep_clock.c: the time by which rows are old; -1: it is not known.
 * It follows the clock only when that is synchronised, and then at most twice
 * as fast as time passes, so that a clock that is set forward deletes nothing
 * before somebody had as long to notice.  Result codes.
 */
int sq_keep_now(struct sq_sink *, const struct sq_clock *, int64_t *ret_ns);
/* The same, without the database. */
struct sq_sure {                 /* what was known last */
	int64_t now_ns, boot_ns; /* now_ns < 0: nothing */
	char boot[CTF_BOOT_ID];
};
struct sq_sure sq_sure_next(const struct sq_sure *, const struct sq_clock *);

/* sqlite3_keep_cut.c: each one transaction; *ret_more: there may be more of it. */
/* The at_ns of the first row, or where it would be; INT64_MAX: there are no days. */
int sq_oldest(struct sq_sink *, int64_t *ret_first);
/* Rows of the oldest day before `below`. */
int sq_cut_flows(struct sq_sink *, struct sq_keep *, int64_t below, bool *ret_more);
/* What has no rows any more. */
int sq_cut_empty(struct sq_sink *, struct sq_keep *, bool *ret_more);
/* Sums of a level before that minute, hour or day. */
int sq_cut_sums(struct sq_sink *, struct sq_keep *, unsigned level, int64_t below,
		bool *ret_more);

/* sqlite3_keep_notes.c: lost flows, and what else there is about times before that. */
int sq_cut_notes(struct sq_sink *, struct sq_keep *, int64_t flows, int64_t notes,
		 bool *ret_more);

/* sqlite3_keep.c: the sink's, and a step of spare. */
int sq_keep_ready(struct sq_sink *);
int sq_keep_step(struct sq_sink *, int *ret_ms);
void sq_keep_close(struct sq_sink *);

#endif
