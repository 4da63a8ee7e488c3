/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what is done beside delivering: the table's upkeep, step by step. */
#ifndef CTF_SQLITE3_SPARE_H
#define CTF_SQLITE3_SPARE_H

#include <stdio.h>

#include "sqlite3_db.h"

#define SQ_SPARE_MS 50u /* all steps of one call */
#define SQ_SLICE_MS 25u /* one transaction of a step, about */

struct sq_keys {       /* keys of an index: address, port, at; big endian, biased */
	unsigned size; /* of one: 4 or 16, 2 and 4 bytes */
	unsigned n, room;
	uint8_t *p;
};
#define SQ_KEY4 10u
#define SQ_KEY6 22u

struct sq_job { /* a run being written */
	bool on;
	struct sq_day day;
	int64_t from, to; /* of at_ns */
	int64_t run;
	int shift;
	bool joins;     /* several partitions, each with a run of its own */
	int64_t rows;   /* they had when it began; those we have added since, too */
	unsigned which; /* of sq_indexes */
	bool sorted;
	int64_t read_to; /* of at_ns */
	struct sq_keys v4, v6;
	unsigned written, slice,
		chunk; /* keys in the table; in this one and next transaction */
	sqlite3_stmt *st;
};

struct sq_spare {
	struct sq_job job;
	bool look; /* there may be something to join, from here on: */
	int64_t look_at;
	int64_t tidy_at; /* days up to there may have runs that are nobody's; -1: none */
	uint64_t said_ms;
};

/*
 * A step does a little of its work, in transactions of its own.  Returns an
 * SQLite result code and in how many ms it wants to go on: 0 at once, -1 when
 * rows have come.
 */
struct sq_step {
	const char *name;
	int (*step)(struct sq_sink *, int *ret_ms);
};

/* A transaction; SQLITE_DONE: the upkeep is another one's. */
int sq_spare_begin(struct sq_sink *);
int sq_spare_commit(struct sq_sink *);
void sq_spare_rollback(struct sq_sink *);

/* sqlite3_close.c: a partition is closed before it is full. */
int sq_close_step(struct sq_sink *, int *ret_ms);
/* sqlite3_run.c: runs are written. */
int sq_run_step(struct sq_sink *, int *ret_ms);
/* In a transaction: a run over from..to of the day, for the partitions there. */
int sq_run_begin(struct sq_sink *, const struct sq_day *, int64_t from, int64_t to, bool joins,
		 int64_t rows);
void sq_run_stop(struct sq_sink *);
/* sqlite3_slice.c: the virtual table of the keys to be written. */
#define SQ_SLICE "ctflow_slice"
int sq_slice_ready(struct sq_sink *);
/* sqlite3_keys.c */
int sq_keys_add(struct sq_keys *, const uint8_t *addr, uint16_t port, uint32_t at);
int sq_keys_sort(struct sq_keys *, bool ports);
void sq_keys_free(struct sq_keys *);
/* sqlite3_join.c: small runs become one; runs that are nobody's go. */
int sq_join_step(struct sq_sink *, int *ret_ms);
int sq_tidy_step(struct sq_sink *, int *ret_ms);

/* sqlite3_old.c: what a version before 3 left moves to the days. */
int sq_old_step(struct sq_sink *, int *ret_ms);

/* sqlite3_index.c: the index tables of a day. */
struct sq_index {
	const char *name;       /* of the table, behind the day's */
	const char *cols;       /* of its key */
	const char *addr[2][2]; /* columns of a base table: address, port; [1] or NULL */
	bool full;              /* profile=full only */
};
#define SQ_INDEXES 3u
extern const struct sq_index sq_indexes[SQ_INDEXES];
/* Of the only one of profile=nat: address and port that others see. */
extern const char *const sq_nat_seen[2];

#endif
