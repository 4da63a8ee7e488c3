/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_rows.h - rows of the databases as they are, beside the flows. */
#ifndef CTF_QUERY_WHO_ROWS_H
#define CTF_QUERY_WHO_ROWS_H

#include "who.h"

enum who_rows { WHO_ROWS_COVERAGE, WHO_ROWS_GAPS, WHO_ROWS_SWEEPS, WHO_ROWS_META, WHO_ROWS };
extern const char *const who_rows_names[WHO_ROWS];

/*
 * Calls row() for each row of that kind that the answer rests on; the columns
 * are those of the table.
 */
int who_rows(struct q_db *, const struct who_answer *, enum who_rows,
	     int (*row)(void *arg, struct q_db *, sqlite3_stmt *), void *arg, struct ctf_err *);
/* ,"coverage":[...],"gaps":[...] */
int who_rows_json(struct q *, const struct who_answer *, struct ctf_err *);

#endif
