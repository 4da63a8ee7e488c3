/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch.h - a ClickHouse server: what is asked of it, and how its answers are read. */
#ifndef CTF_QUERY_CH_H
#define CTF_QUERY_CH_H

#include "http.h"
#include "query.h"

struct ch {                              /* a database of a server */
	char *name;                      /* clickhouse://HOST:PORT/DATABASE, for messages */
	char *url;                       /* http://HOST:PORT/?database=DATABASE */
	char *user, *ca, *password_file; /* or NULL */
	unsigned timeout_ms;             /* without a byte */
	char *headers[3];                /* who asks; NULL behind the last */
	void *module;
	const struct http_module *http;
	char **exporters; /* all that it knows, or those of --exporter */
	unsigned nexporters;
	bool chosen; /* by --exporter */
	bool spread; /* the rows are on several servers */
	void *words; /* of ch_word() */
};

bool ch_is_url(const char *text);
/* Reads the URL, and the password from its file or the environment. */
int ch_url(const char *text, struct ch **ret_ch, struct ctf_err *err);
void ch_free(struct ch *);
/* The same text, which lasts as long as the server; NULL: no memory. */
const char *ch_word(struct ch *, const char *text);
/* Loads the module that speaks HTTP. */
int ch_module(struct ch *, struct ctf_err *err);

/* ---- text of SQL (ch_text.c) --------------------------------------------------- */

struct ch_text { /* zeroed: empty; what does not fit into memory sets failed */
	char *p;
	size_t n, room;
	bool failed;
};

void ch_put(struct ch_text *, const char *text);
__attribute__((format(printf, 2, 3))) void ch_putf(struct ch_text *, const char *fmt, ...);
/* A string as a literal. */
void ch_put_string(struct ch_text *, const char *text);
/* 16 bytes as a literal of FixedString(16). */
void ch_put_ip(struct ch_text *, const uint8_t *ip);
void ch_text_free(struct ch_text *);

struct ch_set { /* a table that goes along with the question */
	const char *structure;
	struct ch_text rows; /* TSV */
};

#define CH_SETS 32u
struct ch_query { /* zeroed: empty */
	struct ch_text sql;
	struct ch_set sets[CH_SETS]; /* ctf_0, ctf_1 ... */
	unsigned nsets;
	bool too_many; /* of those */
};

/* Begins a table of addresses; NULL: there are too many.  It is called ctf_N. */
struct ch_set *ch_query_set(struct ch_query *, const char *structure, unsigned *ret_n);
void ch_query_free(struct ch_query *);

/* ---- answers (ch_answer.c) ------------------------------------------------------ */

struct ch_answer;
/* Asks; the query must live until ch_answer_free(). */
int ch_ask(struct q *, struct ch *, struct ch_query *, struct ch_answer **ret_answer,
	   struct ctf_err *err);
/* 1: a row of `columns` cells is there, 0: that was all of them, or -errno. */
int ch_row(struct ch_answer *, unsigned columns, struct ctf_err *err);
void ch_answer_free(struct ch_answer *);

/* Cells of the row. */
const char *ch_cell(const struct ch_answer *, unsigned i); /* NULL: that */
bool ch_is_null(const struct ch_answer *, unsigned i);
int64_t ch_int(struct ch_answer *, unsigned i);
void ch_addr(struct ch_answer *, unsigned i, struct q_addr *ret_addr);
/* Whether a cell since ch_row() was not what it should be; -EBADMSG. */
int ch_check(const struct ch_answer *, struct ctf_err *err);

#endif
