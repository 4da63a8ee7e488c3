/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_json.h - between the JSON of an answer (ch_json.c) and its rows (ch_answer.c). */
#ifndef CTF_QUERY_CH_JSON_H
#define CTF_QUERY_CH_JSON_H

#include "ch.h"

#define CH_PIECE 16384u
#define CH_CELLS 64u

struct ch_answer {
	struct q *q;
	struct ch *ch;
	struct http *http;
	struct ch_text url;
	struct http_part parts[CH_SETS];
	char buf[CH_PIECE];
	size_t at, n;
	bool ended; /* the server has */
	char *row;  /* texts of the cells, each with its NUL */
	size_t used, room, skipped;
	size_t cell[CH_CELLS];
	bool null[CH_CELLS];
	unsigned columns;
	uint64_t rows;
	bool begun, done, bad;
};

/* The next character: > 0; 0: the end, or -errno. */
int json_peek(struct ch_answer *, struct ctf_err *);
/* The same of those that are no blanks. */
int json_look(struct ch_answer *, struct ctf_err *);
int json_expect(struct ch_answer *, int want, struct ctf_err *);
/* These append to the row: a string without its quotes; a number, null and the like. */
int json_string(struct ch_answer *, struct ctf_err *);
int json_bare(struct ch_answer *, struct ctf_err *);
/* A value of any kind; the row is not touched. */
int json_skip(struct ch_answer *, struct ctf_err *);
/*
 * Something else than was to be expected is there: an error of the server, if its
 * words are, else nonsense.  Returns -errno.
 */
int json_unexpected(struct ch_answer *, struct ctf_err *);
/* What the server said instead of an answer. */
int json_server_says(const struct ch_answer *, const char *text, struct ctf_err *);

#endif
