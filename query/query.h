/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query.h - what the verbs of ctflow share.
 *
 * A verb is one file with a `const struct q_verb q_verb_NAME`, and its name in
 * verbs.h.  Functions return 0 or -errno with the reason in a ctf_err, unless
 * they say otherwise; out-parameters begin with ret_ and are untouched then.
 * All times are ns since 1970, Q_NEVER where there is none.
 */
#ifndef CTF_QUERY_H
#define CTF_QUERY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <ctflow/plugin.h>

#define Q_NEVER INT64_MIN /* no such time */
#define Q_SCHEMA 3        /* the newest version this program understands */

enum { /* exit codes; `who` has more of its own */
       Q_FOUND = 0,
       Q_NOTHING = 1, /* nothing was found */
       Q_FAILED = 4,
       Q_USAGE = 64,
       Q_INTERRUPTED = 130,
};

/* ---- one run of the command (main.c) --------------------------------------- */

enum q_format { Q_TABLE, Q_JSON, Q_NDJSON, Q_CSV, Q_TSV };

struct q_option { /* the names of all ends with a zeroed one */
	const char *name;
	const char *arg; /* what it takes, for the help; NULL: nothing */
	const char *doc;
	char letter; /* 0: no short form */
	bool many;   /* may be given more than once */
};

struct q;

struct q_verb {
	const char *name;
	const char *args; /* as in the usage line */
	const char *doc;  /* one line */
	const struct q_option *options;
	/*
	 * argv: the words behind the verb, without options.  Returns the exit
	 * code; what is wrong it has said with q_say() or q_usage().
	 */
	int (*run)(struct q *, int argc, char **argv);
	bool offline; /* needs no database */
	bool server;  /* can ask a server, too */
};

struct q_db {
	struct q_db *next;
	const struct q_engine *engine;
	char *path; /* or what a server is called */
	char *table;
	sqlite3 *db;              /* of a server: its notes */
	struct ch *ch;            /* the server, or NULL */
	struct q_names *names;    /* NULL: it has none */
	int version;              /* of the schema */
	bool immutable;           /* opened so because nobody can be writing */
	char *stamped, *received; /* tables of version 1 and 2, or NULL */
	char *open;               /* of the flows that live, or NULL */
	bool open_3;              /* its columns are those of version 3 */
	int64_t data_version;     /* as of the last q_db_changed() */
	uint64_t dev, ino;        /* of the file that is open */
};

struct q {
	const struct q_verb *verb;
	int64_t now_ns; /* when the command began; CTFLOW_NOW=@SECONDS for tests */
	struct q_db *dbs;
	const char *conf;  /* the configuration read, or that would be; never NULL */
	const char *table; /* of --table, or NULL: all */
	enum q_format format;
	bool utc;       /* times of people, too */
	bool terminal;  /* stdout is one: */
	bool colours;   /* then these may be used, */
	unsigned width; /* and lines are no wider; 0: any */
	bool progress;  /* stderr is a terminal */
	struct q_out *out;
	struct q_given *given;
	bool warned;               /* of what a database does not keep */
	bool showing;              /* progress stands on the line */
	int64_t began_ms, said_ms; /* of progress */
	int64_t looking_ns;        /* which flows are looked at, about; 0: none */
};

/* The argument of an option that was given ("" if it takes none), or NULL. */
const char *q_opt(const struct q *, const char *name);
/* The i-th of an option that may be repeated, or NULL. */
const char *q_opt_nth(const struct q *, const char *name, unsigned i);

/* To stderr, behind "ctflow: ". */
__attribute__((format(printf, 2, 3))) void q_say(const struct q *, const char *fmt, ...);
/* The same and how the verb is used; returns Q_USAGE. */
__attribute__((format(printf, 2, 3))) int q_usage(const struct q *, const char *fmt, ...);
/* Says it and returns the exit code that goes with r. */
int q_failed(const struct q *, int r, const struct ctf_err *err);
/* For a failure of SQLite: fills err, returns -EINTR when it was Ctrl-C, else -EIO. */
int q_sql_failed(const struct q_db *, struct ctf_err *err);
/*
 * True after Ctrl-C or SIGTERM.  Loops ask it once a row or so and return
 * -EINTR; main() then finishes the output and exits with 130.
 */
bool q_cancelled(const struct q *);
/* Waits so long, or until q_cancelled(). */
void q_sleep(const struct q *, unsigned ms);
/*
 * Shows that something is going on, once it has taken a second; SQLite calls
 * this by itself.  all 0: q->looking_ns is shown instead.
 */
void q_progress(struct q *, uint64_t done, uint64_t all);
void q_progress_clear(struct q *); /* before something else is written */
void q_progress_end(struct q *);

/* ---- databases (q_open.c) ---------------------------------------------------- */

/* Opens what -d names, else each db= of the configuration. */
int q_dbs_open(struct q *, struct ctf_err *err);
void q_dbs_close(struct q *);
/* One value of the first row of a query: 0, -ENOENT (no row, or NULL), or -EIO. */
int q_db_int(struct q_db *, const char *sql, const char *arg, int64_t *ret_x,
	     struct ctf_err *err);
int q_db_text(struct q_db *, const char *sql, const char *arg, char **ret_text,
	      struct ctf_err *err);
/*
 * Whether anything was stored since the last call; the first time: yes.  Opens a
 * file that took the place of this one.  No statement may be under way.
 */
int q_db_changed(struct q *, struct q_db *, bool *ret_changed, struct ctf_err *err);
/* False if it was opened as one that does not change, and somebody writes to it now. */
bool q_db_at_rest(const struct q_db *);
/* Compiles sql, which sqlite3_mprintf() made and which is freed (NULL: no memory). */
int q_db_prepare(struct q_db *, char *sql, sqlite3_stmt **ret_st, struct ctf_err *err);
/* Whether a table or view of that name is there; a failure is "no". */
bool q_db_has(struct q_db *, const char *name);

/* ---- times (q_time.c) ---------------------------------------------------------- */

/*
 * 2026-01-31[T ]14:32[:15[.123456789]][Z|+01:00], 2026-01-31, 14:32[:15] (today),
 * today, yesterday (with or without a time of day), now, now-1h, now+5m, 90s,
 * 1h30m, 2d (so long ago), @1769870000[.5].  Without a zone: local, or UTC with
 * --utc.  A day or a minute is its begin.
 */
int q_when(const struct q *, const char *text, int64_t *ret_ns, struct ctf_err *err);
/* 90, 90s, 5m, 1h30m, 6h, 2d, 1w, 500ms: a length in ns. */
int q_length(const char *text, int64_t *ret_ns, struct ctf_err *err);
#define Q_TIME_TEXT 40u
/* For people: 2026-01-31 14:32:15[.123] in their zone. */
void q_time_text(const struct q *, int64_t ns, bool fraction, char text[Q_TIME_TEXT]);
/* For machines: 2026-01-31T13:32:15.123456789Z */
void q_time_iso(int64_t ns, char text[Q_TIME_TEXT]);
/* 1d 02:03:04, 02:03:04, 4.5s */
void q_length_text(int64_t ns, char text[Q_TIME_TEXT]);

/* ---- what was asked (q_words.c) --------------------------------------------------- */

struct q_words {
	int64_t since, until;  /* Q_NEVER: open */
	uint64_t limit;        /* 0: none */
	struct ctf_expr *expr; /* NULL: all flows */
	int argc;              /* the words before the first of since, until, limit, where */
	char **argv;
};

enum { Q_W_SINCE = 1, Q_W_UNTIL = 2, Q_W_LIMIT = 4, Q_W_WHERE = 8, Q_W_ALL = 15 };

/*
 * Reads "... since T until T limit N where EXPR"; a word not in `may` is refused.
 * To be freed with q_words_free(), also after a failure.
 */
int q_words(struct q *, int argc, char **argv, unsigned may, struct q_words *ret_words,
	    struct ctf_err *err);
void q_words_free(struct q_words *);
/* The words joined by blanks, parsed as an expression; mistakes have a caret. */
int q_expr(int argc, char **argv, struct ctf_expr **ret_expr, struct ctf_err *err);
/* An address, with a port behind it if `ret_port` is not NULL (-1: none). */
struct q_addr {
	uint8_t ip[16];
	uint8_t family; /* AF_INET or AF_INET6; 0: none */
};
int q_addr_parse(const char *text, struct q_addr *ret_addr, int *ret_port, struct ctf_err *err);

/* ---- output (q_out.c, q_out_table.c) ------------------------------------------------ */

enum q_type {
	Q_TEXT,
	Q_INT,
	Q_BYTES, /* 1.2M in tables */
	Q_TIME,  /* ns; ISO 8601 for machines */
	Q_ADDR,
	Q_PROTO, /* the name in tables, the number for machines */
	Q_DUR,   /* ns; seconds for machines */
	Q_REAL,
};

struct q_col {
	const char *name; /* of the key or column */
	enum q_type type;
	const char *title; /* of a table; NULL: the name */
	unsigned flags;    /* Q_C_* */
};

enum {
	Q_C_WIDE = 1,     /* left out of tables where the terminal is too narrow */
	Q_C_NEVER = 2,    /* not in tables at all */
	Q_C_FRACTION = 4, /* a time that people see with its milliseconds */
};

/*
 * Rows with the same columns: begin, then for each row its cells in order and
 * q_row_end(), then end.  After an end another set of rows may begin.  `cols`
 * is borrowed until the end.  Returns 0 or -ENOMEM.
 */
int q_out_begin(struct q *, const struct q_col *cols, unsigned n);
void q_cell_null(struct q *);
void q_cell_text(struct q *, const char *text); /* NULL: as q_cell_null() */
void q_cell_int(struct q *, int64_t x);         /* also TIME, DUR, BYTES and PROTO */
void q_cell_real(struct q *, double x);
void q_cell_addr(struct q *, const struct q_addr *); /* family 0: as q_cell_null() */
void q_cell_time(struct q *, int64_t ns);            /* Q_NEVER: as q_cell_null() */
/* 0; -EPIPE when nobody reads any more, -EINTR after Ctrl-C, or another -errno. */
int q_row_end(struct q *);
/* Everything written so far is to be seen now. */
int q_out_flush(struct q *);
int q_out_end(struct q *);
/* "tcp"; NULL: it has no name here. */
const char *q_proto_name(int64_t proto);
/* A string of JSON on stdout, for what is written around the rows. */
void q_json_text(const char *);

/* ---- flows (q_flow.c, q_decode.c) ----------------------------------------------------- */

enum { /* bits of q_flow.has */
       Q_H_ID = 1 << 0,
       Q_H_PROTO = 1 << 1,
       Q_H_SPORT = 1 << 2,
       Q_H_DPORT = 1 << 3,
       Q_H_NAT_SPORT = 1 << 4,
       Q_H_NAT_DPORT = 1 << 5,
       Q_H_ICMP = 1 << 6,
       Q_H_PACKETS = 1 << 7,
       Q_H_BYTES = 1 << 8,
       Q_H_RPACKETS = 1 << 9,
       Q_H_RBYTES = 1 << 10,
       Q_H_STATUS = 1 << 11,
       Q_H_TCP_STATE = 1 << 12,
       Q_H_REASON = 1 << 13,
};

struct q_flow {
	const struct q_db *db;
	/* Of a server, as long as that is open; else NULL. */
	const char *exporter, *src_name, *dst_name;
	bool open;     /* it lives: the counters are as of seen_ns */
	bool lost;     /* it lived, and nobody saw its end: seen_ns is the last sighting */
	bool stamped;  /* at_ns is when conntrack dropped it, else when that was received */
	int64_t at_ns; /* of a living flow: seen_ns */
	int64_t seen_ns;
	int64_t start_ns, end_ns; /* first and last packet; Q_NEVER: not known */
	int64_t nsid;             /* -1: the own namespace */
	unsigned has;
	uint32_t id;
	uint8_t proto;
	struct q_addr src, dst;         /* of the original direction */
	struct q_addr nat_src, nat_dst; /* the translated side; family 0: not translated */
	uint16_t sport, dport, nat_sport, nat_dport;
	uint8_t icmp_type, icmp_code;
	int64_t packets, bytes, reply_packets, reply_bytes;
	uint32_t mark, status;
	uint16_t zone;
	uint8_t tcp_state, end_reason;
};

/* When it was last known to be active: end, else at. */
int64_t q_flow_end(const struct q_flow *);

/*
 * The name an address had then, NULL if none is known (q_name.c).  Valid until
 * the next call.
 */
const char *q_name(const struct q_db *, const struct q_addr *, int64_t at_ns);

/* The same of an address of a flow, at its end. */
const char *q_flow_name(const struct q_flow *, const struct q_addr *);
/* The columns of a flow in all formats, and one row of them. */
const struct q_col *q_flow_cols(const struct q *, unsigned *ret_n);
int q_flow_row(struct q *, const struct q_flow *);

/* ---- asking (q_scan.c) ------------------------------------------------------------------ */

struct q_ask {
	int64_t since, until; /* since <= q_flow_end() < until; Q_NEVER: open */
	const struct ctf_expr *expr;
	int64_t longer_ns; /* lasted longer than this; Q_NEVER: any */
	uint64_t limit;    /* 0: none */
	uint64_t longest;  /* others than the longest so many may be left out; 0: none */
	bool newest;       /* backwards in time */
	bool ended, open;  /* which flows; lost ones count as ended */
	/*
	 * For who: flows that had the mapping at some time of [at_from, start_to],
	 * that is at_ns >= at_from and a start <= start_to, or none known.
	 */
	int64_t at_from, start_to; /* Q_NEVER: any */
	/*
	 * Only flows with this address, and this port beside it (-1: any), on one
	 * of their sides: src, dst or the translated ones.
	 */
	struct q_addr addr; /* family 0: any */
	int port;
};

/* All flows that ended. */
#define Q_ASK_ALL \
	{ \
		.since = Q_NEVER, .until = Q_NEVER, .longer_ns = Q_NEVER, .ended = true, \
		.at_from = Q_NEVER, .start_to = Q_NEVER, .port = -1 \
	}

/*
 * Calls row() for each flow that fits, of all databases together in the order of
 * at_ns; row() returns 0, 1 (enough), or -errno.  The flow is valid until it
 * returns.  Returns 0 or -errno.
 */
int q_scan(struct q *, const struct q_ask *, int (*row)(void *arg, const struct q_flow *),
	   void *arg, struct ctf_err *err);

#endif
