/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h - the page of `report --html`: the numbers on it, and their form.
 *
 * Everything from report_page.c on knows numbers and texts only, not where they
 * come from.  Texts are escaped where they are written; absent ones are NULL.
 */
#ifndef CTF_QUERY_REPORT_H
#define CTF_QUERY_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "query.h"
#include "tally.h"

#define RP_TOP 20u

struct rp_row { /* of a ranking */
	char *key, *name;
	struct tally_sum sum;
};

struct rp_rows {
	struct rp_row *at;
	size_t n;
	size_t all; /* keys there are, with those not shown */
};

struct rp_nat { /* an outside address */
	char *addr;
	uint64_t flows, ports, peak;
};

struct rp_long {
	int64_t start_ns, length_ns;
	char *proto, *from, *to, *name;
	uint64_t bytes;
	bool open;
};

struct rp_gap {
	int64_t from_ns, to_ns;
	char *cause, *where;
	char *lost; /* in words */
};

struct rp_span {
	int64_t from_ns, to_ns;
};

struct rp_strip { /* of one daemon, or network namespace */
	char *name;
	struct rp_span *seen, *gaps;
	struct rp_span *lossy; /* those of the gaps in which flows may be missing */
	size_t nseen, ngaps, nlossy;
};

struct rp_db {
	char *path, *table, *state;
	int64_t size;
	int64_t version, rows; /* -1: not known */
	int64_t first_ns, last_ns;
};

struct rp {
	char *title;
	bool utc;
	int64_t since_ns, until_ns, made_ns;
	struct tally_sum total;
	char *from;       /* where the numbers come from, in words */
	char *flows_from; /* the same of what only flows themselves tell; NULL: all of them */

	size_t nslots; /* traffic over time: slot i is cuts[i] .. cuts[i + 1] */
	int64_t *cuts;
	struct tally_sum *slots;

	struct rp_rows hosts, services;

	struct tally_sum alive; /* flows that are open, and what they counted so far */

	struct rp_nat *nat;
	size_t nnat, nat_all;
	uint64_t nat_more;   /* flows of further addresses than are told apart */
	int64_t nat_step_ns; /* how finely peaks are known */

	struct rp_long *longest;
	size_t nlongest;

	struct rp_gap *gaps;
	size_t ngaps, gaps_all;
	struct rp_strip *strips;
	size_t nstrips;
	int64_t seen_ns; /* how much of the time somebody was watching and lost nothing */

	struct rp_db *dbs;
	size_t ndbs;
};

/* Where the numbers come from: each fills its part, and returns 0 or -errno. */
int rp_sums(struct q *, struct rp *, struct ctf_err *err);
int rp_flows(struct q *, struct rp *, struct ctf_err *err);
int rp_watched(struct q *, struct rp *, struct ctf_err *err);
int rp_databases(struct q *, struct rp *, struct ctf_err *err);

void rp_free(struct rp *);
/* The whole page.  Whether it could be written is for ferror() to say. */
void rp_page(FILE *, const struct rp *);

/* ---- the parts of a page (report_part.c and others) ---------------------------- */

void rp_style(FILE *);
void rp_traffic(FILE *, const struct rp *);
void rp_coverage(FILE *, const struct rp *);
void rp_tables(FILE *, const struct rp *);

/* ---- texts and numbers (report_text.c) -------------------------------------------- */

/* As text of an element or of an attribute; what is not UTF-8 becomes U+FFFD. */
void rp_text(FILE *, const char *text);
#define RP_TEXT 48u
/* 1.2 MB: powers of 1000, three digits. */
void rp_human(double x, const char *unit, char text[RP_TEXT]);
/* 1,234,567 */
void rp_count(uint64_t x, char text[RP_TEXT]);
/* 3 d 4 h, 12 min, 4.5 s */
void rp_length(int64_t ns, char text[RP_TEXT]);
/* With the day, and seconds if they are not all that is left out. */
void rp_when(const struct rp *, int64_t ns, bool seconds, char text[RP_TEXT]);
/* The same as an element that also says it to machines. */
void rp_time(FILE *, const struct rp *, int64_t ns, bool seconds);
/* A table cell: <td class=n><data value=x>human</data></td> */
void rp_cell_bytes(FILE *, uint64_t x);
void rp_cell_count(FILE *, uint64_t x);
/* The same where it is left out on a phone. */
void rp_cell_wide(FILE *, uint64_t x, bool bytes);
/* The step between lines of a scale that goes up to `max` in about `lines`. */
double rp_step(double max, unsigned lines);

#endif
