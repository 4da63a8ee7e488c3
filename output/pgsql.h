/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pgsql.h - PGSQL: what its files share. */
#ifndef CTF_OUTPUT_PGSQL_H
#define CTF_OUTPUT_PGSQL_H

#include <libpq-fe.h>

#include "sqldb.h"

struct pg {
	struct sqldb db;
	PGconn *conn;
	struct buf sql, text; /* the statement of a row; values of one */
	unsigned params;
	char own[300]; /* the name of our table */
};

struct pg_answer {     /* of statements sent together, the sync after them included */
	int failed;    /* the first that did, or -1 */
	char state[6]; /* SQLSTATE of that one */
	uint64_t rows; /* that the last one touched */
	PGresult *res; /* of the last one, if it was to be kept */
};

/* ---- pgsql_conn.c: the session; 0 or -errno ------------------------------------ */

int pg_connect(struct sqldb *, struct ctf_err *);
int pg_fd(struct sqldb *);
bool pg_alive(struct sqldb *);
void pg_close(struct sqldb *);
/* Adds a statement to those to be sent. */
int pg_send(struct pg *, const char *sql, int n, const char *const *values, struct ctf_err *);
/* Sends them and waits; one that fails is no error of this. */
int pg_answers(struct pg *, unsigned n, bool keep, struct pg_answer *, struct ctf_err *);
/* One statement; the result, if asked for, is the caller's. */
int pg_exec(struct pg *, const char *sql, int n, const char *const *values, PGresult **ret_res,
	    struct pg_answer *, struct ctf_err *);
/* After one failed: err says what the server said; -errno. */
int pg_failed(struct pg *, const struct pg_answer *, struct ctf_err *);

/* ---- pgsql_rows.c ------------------------------------------------------------- */

int pg_begin(struct sqldb *, uint64_t frame, bool *ret_fresh, struct ctf_err *);
int pg_rows(struct sqldb *, unsigned from, unsigned to, bool commit, unsigned *ret_bad,
	    struct ctf_err *);
int pg_rollback(struct sqldb *, struct ctf_err *);

#endif
