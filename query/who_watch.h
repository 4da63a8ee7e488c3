/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_watch.h - what was watched and what was lost, as the databases say. */
#ifndef CTF_QUERY_WHO_WATCH_H
#define CTF_QUERY_WHO_WATCH_H

#include "who.h"

struct who_span { /* a stretch of coverage of one stream: an input into a table */
	struct q_db *db;
	char *instance, *exporter, *boot, *netns, *selection;
	int64_t from_ns, upto_ns, alive_ns;
	int64_t nsid;
	int mask, events, timestamp, synchronised; /* -1: not known */
	bool reliable;
	bool running; /* it has no end yet */
};

struct who_loss { /* of a stream, or of all that goes into the table */
	struct q_db *db;
	char *instance, *exporter; /* exporter "": of a file, where there is one */
	bool all;                  /* of whatever goes into the table */
	int64_t from_ns, to_ns;
	enum who_why why;
	char text[128];
};

struct who_watch {
	struct who_span *spans; /* by from_ns */
	unsigned nspans, spans_room;
	struct who_loss *losses;
	unsigned nlosses, losses_room;
	bool dying;
};

/*
 * Coverage, all of it, and what was lost from `from` on.  dying: what the kernel
 * has still to report is known.
 */
int who_watch_load(struct q *, int64_t from, bool dying, struct who_watch *, struct ctf_err *);
void who_watch_free(struct who_watch *);
/* Whether they watch the same connection table. */
bool who_same_table(const struct who_span *, const struct who_span *);
/* Whether the loss is one of what the span would have written. */
bool who_loses(const struct who_loss *, const struct who_span *);

/*
 * The first complete look at the table of that span's stream, at or after which
 * every flow that lived and had begun at `begun` is stored; Q_NEVER: none.
 */
int who_look_after(const struct who_span *, int64_t begun, int64_t *ret_at, struct ctf_err *);
/* Of the complete looks up to `upto`, the latest begin of which all flows were met. */
int who_look_before(const struct who_span *, int64_t upto, int64_t *ret_begun,
		    struct ctf_err *);

/* ---- the way from a time to a proof (who_cover.c, who_why.c) ------------------------- */

/* One stretch ends where the next begins. */
#define WHO_SEAM_NS (WHO_SEC / 1000)
/* A daemon that lives says so more often than that. */
#define WHO_ALIVE_NS (30 * WHO_SEC)

struct who_walk {
	struct q *q;
	const struct who_ask *ask;
	const struct who_live *live;
	const struct who_watch *watch;
	const struct who_span *first; /* of the connection table it is about */
	struct who_matches *found;
	struct who_cover *cover;
	struct ctf_err *err;
};

/* Whether the span is of the connection table it is about. */
bool who_mine(const struct who_walk *, const struct who_span *);
/* Whether every end is told. */
bool who_hears_all(const struct who_span *);
bool who_within(const struct who_span *, int64_t t);
/* The one that goes on longest of those at a time; NULL: none. */
const struct who_span *who_span_at(const struct who_walk *, int64_t t);
const struct who_span *who_span_last(const struct who_walk *);
void who_time(const struct who_walk *, int64_t ns, char text[Q_TIME_TEXT]);
/* Adds the reason why the time t is not known. */
void who_say_why(struct who_walk *, int64_t t, bool then);

#endif
