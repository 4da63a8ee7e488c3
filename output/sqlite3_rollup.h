/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: sums by minute, hour and day of a host, protocol and service.
 *
 * What a transaction stores is summed up in memory and added to the table of
 * minutes before it commits.  Hours are made of minutes that are over, and days
 * of hours, bit by bit in quiet moments (sqlite3_rollup_step.c); what comes for
 * a time that was made already is added there, too.
 */
#ifndef CTF_SQLITE3_ROLLUP_H
#define CTF_SQLITE3_ROLLUP_H

#include "sqlite3_db.h"

enum { SQ_P_FLOWS, SQ_P_PACKETS, SQ_P_BYTES, SQ_P_RPACKETS, SQ_P_RBYTES, SQ_P_COUNT };

/* In the order of the tables' key. */
struct sq_bucket {
	int64_t at; /* minutes, hours or days since 1970 */
	uint8_t host_len, host[16];
	int16_t proto, port;
};

enum { SQ_MINUTE, SQ_HOUR, SQ_DAY, SQ_LEVELS };
struct sq_level {
	int64_t next;          /* before it all are made */
	int64_t from;          /* before it they may be gone */
	struct sq_bucket done; /* of the finer table, up to here; at -1: nothing */
};

struct sq_sum {
	struct sq_bucket key; /* a minute's */
	int64_t n[SQ_P_COUNT];
};

struct sq_rollup { /* the sums of a transaction */
	struct sq_sum *sums;
	uint32_t *slots; /* 1 + place in sums, or 0; twice as many */
	unsigned n, room;
	struct sq_level level[SQ_LEVELS]; /* what they meet in the tables */
	unsigned to;                      /* the level that they are put into, */
	unsigned at;                      /* and the one that is */
	sqlite3_stmt *put[SQ_LEVELS];
};
extern const char *const sq_level_name[SQ_LEVELS];
extern const int64_t sq_level_ratio[SQ_LEVELS]; /* of the finer one */

/*
 * Result codes.  All of them do nothing with profile=nat.  Makes the tables and
 * views, before the statements that use ctflow_seen() are prepared.
 */
int sq_rollup_ready(struct sq_sink *);
void sq_rollup_free(struct sq_sink *);
/* That row was stored, unless it is a repeat: what is new of it is added. */
int sq_rollup_row(struct sq_sink *, const struct sq_ref *, const struct sq_flow *);
/*
 * Its end was stored before it was seen lastly, so that counted twice, but for
 * what the sweeps took.
 */
int sq_rollup_unsee(struct sq_sink *, const struct sq_flow *, const int64_t sums[4]);
/*
 * The same, of each row of the statement: when it was seen, host, protocol,
 * port, four counters.  Frees sql.
 */
int sq_rollup_less(struct sq_sink *, char *sql);
int sq_rollup_store(struct sq_sink *);  /* before the commit */
void sq_rollup_reset(struct sq_sink *); /* at the beginning, and if it was undone */

/* sqlite3_rollup_put.c: the sums, in order, into the tables. */
int sq_rollup_put_ready(struct sq_sink *);
int sq_rollup_put(struct sq_rollup *);

/* sqlite3_sums.c: profile=rollup. */
int sq_sums_ready(struct sq_sink *);
int sq_sums_store(struct sq_sink *, unsigned ends);
/* fn for what it has instead of days. */
int sq_sums_ended(struct sq_sink *, int (*fn)(struct sq_sink *, const char *, bool, int64_t),
		  int64_t from);
int sq_sums_swept(struct sq_sink *, const struct sq_swept *);
/* Should no sweep come any more. */
int sq_sums_tidy(struct sq_sink *);

/* sqlite3_rollup_key.c */
#define SQ_MINUTE_NS INT64_C(60000000000)
void sq_bucket_of(const struct sq_flow *, int64_t ns, struct sq_bucket *ret_key);
int16_t sq_service_of(int64_t proto, int64_t port);
void sq_host_read(sqlite3_stmt *, int col, struct sq_bucket *);
int sq_bucket_compare(const struct sq_bucket *, const struct sq_bucket *);
/* The host as it is stored. */
int32_t sq_host_ipv4(const struct sq_bucket *);
/* Binds at, host, proto, port from ?first on. */
void sq_bucket_bind(sqlite3_stmt *, int first, const struct sq_bucket *);
void sq_bucket_read(sqlite3_stmt *, int first, struct sq_bucket *ret_bucket);
/* sqlite3_rollup_step.c */
int sq_levels_read(struct sq_sink *, struct sq_level level[SQ_LEVELS]);
/* A step of spare(): 0 and in how many ms it wants to be called again, or -1. */
int sq_rollup_step(struct sq_sink *, int *ret_ms);

#endif
