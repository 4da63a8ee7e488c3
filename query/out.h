/* SPDX-License-Identifier: GPL-2.0-or-later */
/* out.h - between the cells (q_out.c) and the table of people (q_out_table.c). */
#ifndef CTF_QUERY_OUT_H
#define CTF_QUERY_OUT_H

#include "query.h"

struct q_out {
	const struct q_col *cols;
	unsigned n, i;   /* columns; the cell that comes next */
	uint64_t rows;   /* written */
	int failed;      /* -errno */
	char **cell;     /* of a table: texts of the rows held back */
	unsigned held;   /* rows */
	unsigned *width; /* of a table's columns, once known; 0: left out */
	bool fixed;      /* they are */
};

/* The text of people for one cell; takes it over. */
void out_table_cell(struct q *, char *text);
void out_table_row(struct q *);
void out_table_flush(struct q *);
void out_table_end(struct q *);

#endif
