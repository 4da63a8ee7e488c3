/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.h - what is known of a daemon, from outside. */
#ifndef CTF_QUERY_STATUS_H
#define CTF_QUERY_STATUS_H

#include "pulse.h"
#include "state_look.h"
#include "status_conf.h"

enum st_level { ST_OK, ST_WARNING, ST_CRITICAL, ST_UNKNOWN }; /* the exit codes */

struct st_problem {
	enum st_level level;
	bool unread; /* something could not be read, which is no problem of the daemon */
	char *text;
};

enum st_numbers { /* those of the counters that are shown */
		  ST_EVENTS,
		  ST_LOST,
		  ST_TABLE,
		  ST_TABLE_MAX,
		  ST_BUFFER, /* percent */
		  ST_DELIVERED,
		  ST_DROPPED,
		  ST_RETRIES,
		  ST_N
};

struct st_object { /* an input or an output; -1: not known */
	char name[300];
	bool input;
	enum pulse_state state;
	bool state_known;
	char why[168];
	int64_t newest_ns, oldest_ns; /* Q_NEVER: not known, none */
	int64_t queue_flows, queue_bytes, queue_limit;
	int64_t spool_flows, spool_bytes, spool_max; /* max 0: no spool */
	double rate, rate_minute;                    /* a second */
	int64_t number[ST_N];
};

struct st_db {
	char *path;
	bool read; /* else why it could not be is among the problems */
	int64_t size, newest_ns, alive_ns, gaps, lost, unknown;
};

struct st_look {
	struct q *q;
	struct st_conf conf;
	struct state_look page;
	const char *from;      /* "state page", "metrics_file", or NULL: nothing */
	struct pulse_daemon d; /* zeroed: unknown */
	bool running, answers;
	char version[32];
	struct st_object *at;
	unsigned n;
	struct st_db *db;
	unsigned dbs;
	struct st_problem *problem;
	unsigned problems;
	enum st_level level;
	bool no_memory;
	int64_t lag_warning, lag_critical; /* ns */
};

/* Adds a problem; the worst level is that of the whole. */
__attribute__((format(printf, 3, 4))) void st_problem(struct st_look *, enum st_level,
						      const char *fmt, ...);
/* Something could not be read: said, but nothing is wrong with it. */
__attribute__((format(printf, 2, 3))) void st_unread(struct st_look *, const char *fmt, ...);
struct st_object *st_add(struct st_look *, const char *name, bool input);
struct st_object *st_find(struct st_look *, const char *name);
/* The name of a number in the page and in the metrics, or NULL when there is none. */
const char *st_number_name(unsigned i);

/* status_page.c: true: it says what runs. */
bool st_read_page(struct st_look *);
/* status_metrics.c: the same from the file for Prometheus. */
bool st_read_metrics(struct st_look *);
/* status_spool.c: what lies on disk for an output that does not run. */
void st_read_spools(struct st_look *);
/* status_db.c */
void st_read_dbs(struct st_look *);
/* status_judge.c: what is wrong with all that. */
void st_judge(struct st_look *);
const char *st_state_word(const struct st_look *, const struct st_object *);
/* What the newest thing that waits has waited, ns; 0: nothing does; -1: not known. */
int64_t st_lag(const struct st_look *, const struct st_object *);
/* status_print.c: 0 or -errno. */
int st_print(const struct st_look *);
const char *st_level_word(enum st_level);
/* status_json.c */
int st_print_json(const struct st_look *);

#endif
