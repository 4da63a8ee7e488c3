/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who.h - who had an address and port at a time.
 *
 * The flows that existed then are looked for (who_find.c, who_live.c), and
 * what was watched says whether there can be others (who_cover.c): a flow that
 * is in no table ended where nobody watched, or lives and no sweep has met it.
 */
#ifndef CTF_QUERY_WHO_H
#define CTF_QUERY_WHO_H

#include "query.h"

#define WHO_SEC INT64_C(1000000000)

struct who_ask {
	struct q_addr addr, dst; /* family 0: not asked */
	int port, dport;         /* -1: any */
	int proto;               /* -1: any */
	int64_t at_ns, skew_ns;
	int64_t from_ns, to_ns; /* at less and more the skew, both included */
	bool now;               /* no time was given */
	bool trust_clock;
};

/* ---- the flows (who_find.c, who_live.c, who_match.c) ----------------------------- */

enum who_role {
	WHO_NAT,      /* the address is what a host had outside */
	WHO_OWN,      /* the host's own, nothing was translated */
	WHO_FORWARD,  /* clients addressed it, and were led to a host inside */
	WHO_INSIDE,   /* the address is the host's own inside; it had another outside */
	WHO_SERVED,   /* the same of a host that clients were led to */
	WHO_ANSWERED, /* the host's own, and others spoke to it there */
};

struct who_match {
	struct q_flow f;
	enum who_role role;
	bool sure;          /* it existed between from and to; else it may have */
	bool sure_if_heard; /* an open one: if no end can have been missed since it was seen */
	bool live;          /* of the kernel's table */
	const char *doubt;  /* why it is not sure */
	struct q_addr host, out; /* inside, and outside */
	int hport, oport;        /* -1: not known */
	char *raw;               /* the table's name and all columns of it; NULL: live */
};

struct who_matches {
	struct who_match *m;
	unsigned n, room;
	bool more;   /* there were too many */
	bool partly; /* what was not translated was not searched for */
};

/* ---- what can be missing (who_cover.c) ---------------------------------------------- */

enum who_why {
	WHO_BEFORE,    /* there is no record from before */
	WHO_DOWN,      /* nobody listened */
	WHO_GAP,       /* something is known to be lost */
	WHO_STEP,      /* the clock was set: the time is ambiguous */
	WHO_SELECTED,  /* some flows are left out by intention */
	WHO_SETTINGS,  /* the kernel did not tell of ends */
	WHO_LEFTOVERS, /* flows from before that never report their end */
	WHO_CLOCK,     /* it was not synchronised */
	WHO_RECENT,    /* not delivered yet */
	WHO_OPEN,      /* it may live, and nobody has looked */
	WHO_DELETED,   /* by retention */
	WHO_PROFILE,   /* the table does not store such flows */
	WHO_TIMES,     /* there are no timestamps */
};

struct who_reason {
	enum who_why why;
	bool then; /* at the time asked about itself, not only later */
	int64_t from_ns, to_ns;
	char text[256];
};

#define WHO_REASONS 16u
struct who_cover {
	struct who_reason reasons[WHO_REASONS];
	unsigned n;
	int64_t proven_ns; /* nothing is missing, as this look at the table shows; or NEVER */
	int64_t last_ns;   /* up to then the databases know */
	char watched[256]; /* whom that is about */
	const char *whose; /* of several exporters that whose reasons come; or NULL */
};

struct who_live {      /* a look at the kernel's table (who_live.c) */
	bool read;     /* its flows are among the matches */
	bool whole;    /* it is the very table that the daemon watches */
	int64_t at_ns; /* when it began */
	char why[128]; /* not read because of this */
};

/* Says what can be missing, and which of the open flows lived then; -errno. */
int who_cover(struct q *, const struct who_ask *, const struct who_live *, struct who_matches *,
	      struct who_cover *ret_cover, struct ctf_err *);
void who_reason(struct who_cover *, enum who_why, bool then, int64_t from, int64_t to,
		const char *fmt, ...) __attribute__((format(printf, 6, 7)));
const char *who_why_word(enum who_why);

/* Adds the flows of a database that match; -errno. */
int who_find(struct q *, struct q_db *, const struct who_ask *, struct who_matches *,
	     struct ctf_err *);
/* Those of the kernel's table. */
int who_live(struct q *, const struct who_ask *, struct who_matches *,
	     struct who_live *ret_live, struct ctf_err *);
/*
 * If it matches in some role and may have existed then, adds it.  gone: when it
 * is known to have ended at last.  Returns it, or NULL; *ret_r 0 or -ENOMEM.
 */
struct who_match *who_consider(const struct who_ask *, const struct q_flow *, int64_t gone,
			       struct who_matches *, int *ret_r);
void who_matches_tidy(struct who_matches *); /* in order, each once */
void who_matches_free(struct who_matches *);
/* Inside hosts among them; sure: only of those that are. */
unsigned who_hosts(const struct who_matches *, bool sure);

/* ---- the answer (who.c, who_say.c, who_evidence.c) ------------------------------------- */

enum who_verdict {
	WHO_ONE = 0,
	WHO_NONE = 1,
	WHO_SEVERAL = 2,
	WHO_UNKNOWN = 3
}; /* exit codes */

struct who_answer {
	struct who_ask ask;
	struct who_matches found;
	struct who_live live;
	struct who_cover cover;
	enum who_verdict verdict;
	bool several; /* connection tables: one does not exclude the others */
	bool certain;
};

extern const char *const who_verdict_words[];
void who_judge(struct who_answer *);
int who_say(struct q *, const struct who_answer *, struct ctf_err *);
int who_evidence(struct q *, const struct who_answer *, const char *path, struct ctf_err *);
int who_verify(struct q *, const char *path);

#endif
