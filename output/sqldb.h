/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sqldb.h - what PGSQL and MYSQL share: options, the encoder, and frames into a
 * table or a procedure of a database server.  A frame is one transaction.
 *
 * Together with the rows the number of the frame is stored in a table of ours,
 * before them and only if it is higher than what stands there.  So what was
 * committed though the answer was lost is not stored again, and a session that
 * the server has not given up yet cannot store a frame beside its successor.
 */
#ifndef CTF_OUTPUT_SQLDB_H
#define CTF_OUTPUT_SQLDB_H

#include "buf.h"
#include "past.h"
#include "sqcolumn.h"

#define SQLDB_PROGRESS "ctflowd_progress"
#define SQLDB_ANSWER_MS 60000 /* for each answer of a server */

struct sqldb_table {
	bool known; /* the server has answered */
	unsigned n;
	struct sq_column *cols;
};

struct sqldb_conf {
	const char *host, *db, *user, *pass, *table, *procedure;
	const char *schema, *connstring; /* PGSQL */
	uint64_t port, connect_timeout;
	uint64_t backlog_memcap, backlog_requests, ring_buffer; /* of no effect */
	struct sqldb_table seen;                                /* by probe() */
};

/* The options both have. */
#define SQLDB_PROCEDURE \
	{ \
		.name = "procedure", .type = CTF_OTEXT, \
		.off = offsetof(struct sqldb_conf, procedure), .min = 1, .max = 1000, \
		.doc = "function that is given the columns; INSERT fills the table itself" \
	}
#define SQLDB_PASS(default_) \
	{ \
		.name = "pass", .type = CTF_OSECRET, .off = offsetof(struct sqldb_conf, pass), \
		.max = 1000, .dflt = default_, .doc = "password; it is never shown" \
	}
#define SQLDB_OPTS \
	{ .name = "connect_timeout", \
	  .type = CTF_OMSEC, \
	  .off = offsetof(struct sqldb_conf, connect_timeout), \
	  .max = 600000, \
	  .dflt = "0", \
	  .doc = "how long an attempt to connect may take; 0: 10 s" }, \
		{ .name = "backlog_memcap", \
		  .type = CTF_OSIZE, \
		  .off = offsetof(struct sqldb_conf, backlog_memcap), \
		  .dflt = "0", \
		  .doc = "accepted, without effect: queue and spool_dir hold flows " \
			 "meanwhile" }, \
		{ .name = "backlog_oneshot_requests", \
		  .type = CTF_OUINT, \
		  .off = offsetof(struct sqldb_conf, backlog_requests), \
		  .dflt = "10", \
		  .doc = "accepted, without effect: a frame of flows is one transaction" }, \
	{ \
		.name = "ring_buffer_size", .type = CTF_OUINT, \
		.off = offsetof(struct sqldb_conf, ring_buffer), .dflt = "0", \
		.doc = "accepted, without effect: every output has a thread and a queue" \
	}

enum sqldb_done {
	SQLDB_DONE = 0,
	SQLDB_REFUSED,  /* a row, *ret_bad */
	SQLDB_UNWANTED, /* the whole transaction, at its end */
};

struct sqldb;

/* What differs between servers.  Without mention: 0 or -errno, err filled. */
struct sqldb_way {
	bool keeps; /* the rows before one that is refused are stored */
	int (*connect)(struct sqldb *, struct ctf_err *);
	/* The columns to be filled; -ENOENT: there is no such table. */
	int (*look)(struct sqldb *, struct sqldb_table *ret_table, struct ctf_err *);
	/* Makes our table and row if need be; -EACCES: we may not. */
	int (*progress)(struct sqldb *, struct ctf_err *);
	/* The last frame that was stored of that numbering, 0: it does not say. */
	int (*stored)(struct sqldb *, const char *spool, uint64_t *ret_frame, struct ctf_err *);
	/* Begins a transaction; *ret_fresh: the frame is not there yet. */
	int (*begin)(struct sqldb *, uint64_t frame, bool *ret_fresh, struct ctf_err *);
	/*
	 * Stores rows from..to, those refused before left out, and commits if
	 * that is asked for.  enum sqldb_done or -errno: -EAGAIN, the server has
	 * ended the transaction; else the session is over.
	 */
	int (*rows)(struct sqldb *, unsigned from, unsigned to, bool commit, unsigned *ret_bad,
		    struct ctf_err *);
	int (*rollback)(struct sqldb *, struct ctf_err *);
	int (*fd)(struct sqldb *);
	bool (*alive)(struct sqldb *); /* reads what the server has said */
	void (*close)(struct sqldb *);
};

struct sqldb_row {
	struct sq_row row; /* its frame's */
	bool refused;
};

struct sqldb { /* a sink begins with it */
	struct ctf_obj obj;
	const struct sqldb_way *way;
	char where[200];   /* database "nulog" on localhost: for messages */
	bool probing;      /* before there is a sink: no ctf_wait() */
	uint64_t until_ms; /* of the server's answer */
	bool up, broken;   /* broken: in the middle of something */
	struct sqldb_table table;
	struct sq_layout layout; /* of the frames at hand */
	unsigned fields;         /* columns that have a field */
	char spool[80];          /* our row of the progress table, */
	bool progress;           /* which there is: */
	uint64_t done;           /* the last frame committed */
	uint64_t maybe;          /* the last one whose COMMIT was not answered, 0: none; */
	uint64_t maybe_refused;  /* so many of its rows were refused */
	struct past *past;
	bool said_progress;
	bool immediate; /* constraints are to be checked row by row */
	struct sqldb_row *rows;
	unsigned n, room;
	char reason[200]; /* why a row was refused, */
	uint64_t unsaid;  /* so many since that was */
	uint64_t said_ns; /* logged */
	ctf_counter *refused, *repeats;
};

#define SQLDB_CONF(s) ((const struct sqldb_conf *)(s)->obj.conf)

struct sqldb_enc {
	struct ctf_obj obj;
	struct sq_fields fields;
};

/* ---- sqldb.c: the plugin's callbacks of these names ------------------------- */

int sqldb_probe(const struct sqldb_way *, struct sqldb *, struct sqldb_conf *, struct ctf_ctx *,
		struct ctf_err *);
void sqldb_unprobe(void *conf);
/* For connect(): in a probe that host can be connected to, or 0 as ever. */
int sqldb_find(const struct sqldb *, const char *host, struct ctf_err *);
int sqldb_setup(void *enc, struct ctf_err *);
enum ctf_put sqldb_encode(void *enc, const struct ctf_rec *, struct ctf_frame *);
enum ctf_put sqldb_preamble(void *enc, struct ctf_frame *);

/* ---- sqldb_sink.c ------------------------------------------------------------ */

int sqldb_open(struct sqldb *, const struct sqldb_way *, int *ret_err, struct ctf_err *);
enum ctf_sent sqldb_deliver(void *sink, const struct ctf_frame *const *, unsigned n,
			    unsigned *ret_taken, struct ctf_err *);
enum ctf_sent sqldb_idle(void *sink, struct ctf_err *);
void sqldb_close(void *sink);

/* ---- sqldb_text.c: for the ways ---------------------------------------------- */

/* The server has that long from now on to answer. */
void sqldb_expect(struct sqldb *, uint64_t msec);
/* Revents > 0, -ETIMEDOUT, or -EINTR: the core wants us back. */
int sqldb_wait(struct sqldb *, int fd, short events);
/* "SELECT f(", "CALL f(" or "INSERT INTO t (a,b) VALUES (" and ")". */
enum sqldb_call { SQLDB_SELECT, SQLDB_CALL, SQLDB_INSERT };
enum sqldb_call sqldb_call(const char *procedure, const char **ret_name);
/* Bytes that are no UTF-8 become question marks. */
void sqldb_utf8(char *s, size_t n);
/* What column i of a row gets; cells: its frame's. */
void sqldb_value(const struct sqldb *, unsigned i, const struct sq_cell *cells,
		 struct sq_value *ret_value);

#endif
