/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mysql.h - MYSQL: what its files share. */
#ifndef CTF_OUTPUT_MYSQL_H
#define CTF_OUTPUT_MYSQL_H

/* The library's own header has a bool of its own otherwise. */
#include "sqldb.h"

#include <mariadb/mysql.h>

struct my {
	struct sqldb db;
	MYSQL *conn;
	struct buf sql;
	struct buf head; /* "SELECT f(" */
	enum sqldb_call call;
};

/* ---- mysql_conn.c: the session; 0 or -errno ------------------------------------ */

int my_connect(struct sqldb *, struct ctf_err *);
int my_fd(struct sqldb *);
bool my_alive(struct sqldb *);
void my_close(struct sqldb *);
/* Sends statements and waits for the first one's answer; -EPROTO: it failed. */
int my_query(struct my *, const char *sql, size_t n, struct ctf_err *);
/* Of the answer at hand: its rows, NULL if it has none. */
int my_result(struct my *, MYSQL_RES **ret_res, struct ctf_err *);
/* Waits for the next statement's answer: 1, or 0 after the last. */
int my_next(struct my *, struct ctf_err *);
/* One statement without rows, or with: then the result is the caller's. */
int my_exec(struct my *, const char *sql, MYSQL_RES **ret_res, struct ctf_err *);
/* After -EPROTO: -EAGAIN, -EACCES, -ENOENT or -EIO, and err says what the server said. */
int my_failed(struct my *, struct ctf_err *);

/* ---- mysql_rows.c ------------------------------------------------------------- */

int my_begin(struct sqldb *, uint64_t frame, bool *ret_fresh, struct ctf_err *);
int my_rows(struct sqldb *, unsigned from, unsigned to, bool commit, unsigned *ret_bad,
	    struct ctf_err *);
int my_rollback(struct sqldb *, struct ctf_err *);
/* A name, quoted; a text, quoted. */
void my_put_name(struct buf *, const char *name);
void my_put_text(struct my *, const char *text, size_t n);

#endif
