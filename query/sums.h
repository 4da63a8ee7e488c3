/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sums.h - sums of flows by key and time, from rollups where they answer. */
#ifndef CTF_QUERY_SUMS_H
#define CTF_QUERY_SUMS_H

#include "query.h"
#include "tally.h"

enum sums_key { /* in the order of sums_keys */
		SUMS_SRC,
		SUMS_DST,
		SUMS_HOST,
		SUMS_NAT_SRC,
		SUMS_NAT_DST,
		SUMS_PORT,
		SUMS_SERVICE, /* protocol and port: n is proto << 16 | port */
		SUMS_DPORT,
		SUMS_SPORT,
		SUMS_PROTO,
		SUMS_ZONE,
		SUMS_MARK,
		SUMS_FAMILY,
		SUMS_ALL, /* one sum */
		SUMS_KEYS
};

enum sums_unit { SUMS_WHOLE, SUMS_MINUTE, SUMS_HOUR, SUMS_DAY, SUMS_WEEK, SUMS_MONTH };

enum { /* where an answer came from, coarse to fine; bits */
       SUMS_BY_DAY = 1,
       SUMS_BY_HOUR = 2,
       SUMS_BY_MINUTE = 4,
       SUMS_BY_FLOWS = 8,
};

struct sums_gone {       /* what of the flows asked for was not there any more; may be */
	int64_t deleted; /* those before that time; Q_NEVER: none */
	bool unkept;     /* some were only added up: profile=rollup */
};

struct sums {
	struct q *q;
	enum sums_key key;
	enum sums_unit unit; /* of time, in the zone of people */
	const struct q_words *words;
	size_t most; /* that is what will be shown of them: the largest by that; 0: all */
	enum tally_by by;
	struct tally tally; /* key.slot: the unit's begin */
	unsigned from;      /* SUMS_BY_* */
	struct sums_gone gone;
	int64_t slot; /* at hand */
};

/* SUMS_KEYS: no such key. */
enum sums_key sums_key_of(const char *name);
struct q_col sums_key_col(enum sums_key);
const char *sums_key_name(enum sums_key);
/* "tcp/443", "tcp/other", "icmp" */
void sums_service_text(const struct tally_key *, char *text, size_t size);
/* -1: no such unit. */
int sums_unit_of(const char *name);

/* Fills s->tally and s->from; to be freed with tally_free(). */
int sums_collect(struct sums *, struct ctf_err *err);
/* The begin of the unit that ns lies in, and of the next one. */
void sums_slot(const struct q *, enum sums_unit, int64_t ns, int64_t *ret_from,
	       int64_t *ret_to);

/* rollup.c: what of [from, to) of one database its rollups answer goes into s. */
struct rollup { /* which buckets each table has whole, as numbers */
	bool is;
	int64_t from[3], to[3]; /* days, hours, minutes */
};
/* is stays false where they cannot answer s. */
int rollup_open(const struct sums *, struct q_db *, struct rollup *ret_rollup,
		struct ctf_err *err);
int rollup_add(struct sums *, struct q_db *, const struct rollup *, int64_t from, int64_t to,
	       struct ctf_err *err);
/* A number that meta has of the table of a database; `none` where it has not. */
int rollup_meta(struct q_db *, const char *what, int64_t none, int64_t *ret_x,
		struct ctf_err *err);
/* sums_gone.c: flows from..to of a database are asked for. */
int sums_gone_look(struct sums_gone *, struct q_db *, int64_t from, int64_t to,
		   struct ctf_err *err);
/* "", or as "; flows before TIME are deleted". */
void sums_gone_text(const struct q *, const struct sums_gone *, char *text, size_t size);
/* sums.c: of a file, its rollups first. */
int sums_sqlite(struct sums *, struct q_db *, struct ctf_err *err);
/* The rest, from flows. */
int sums_flows(struct sums *, struct q_db *, int64_t from, int64_t to, struct ctf_err *err);
/* Adds what a flow counted. */
void sums_of(const struct q_flow *, struct tally_sum *to);
/* Adds to the sum of a key; -ENOMEM. */
int sums_add(struct sums *, const struct tally_key *, const struct tally_sum *);

/* sums_out.c: the largest n of each unit, or all with n 0. */
int sums_print(struct sums *, enum tally_by by, size_t n, struct ctf_err *err);

#endif
