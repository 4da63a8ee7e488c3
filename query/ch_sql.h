/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_sql.h - questions in the SQL of ClickHouse. */
#ifndef CTF_QUERY_CH_SQL_H
#define CTF_QUERY_CH_SQL_H

#include "ch.h"

enum ch_table {
	CH_FLOWS, /* that ended */
	CH_OPEN,  /* that live, and those whose end nobody saw */
};

/* A table with each row once. */
#define CH_FROM(t) ((t) == CH_FLOWS ? " FROM flows_raw FINAL" : " FROM open_raw FINAL")
/* The time by which its rows are sorted, and when a flow was last known to be active. */
#define CH_AT(t) ((t) == CH_FLOWS ? "at_ns" : "seen_ns")
#define CH_END(t) ((t) == CH_FLOWS ? "if(end_ns = 0, at_ns, end_ns)" : "seen_ns")

/* Appends the columns of a flow; ch_flow() reads a row of them. */
#define CH_COLUMNS 31u
void ch_put_columns(struct ch_text *, enum ch_table);
/* Appends " WHERE ..." with all that is asked but the order and the limit. */
void ch_put_where(struct ch_query *, const struct ch *, enum ch_table, const struct q_ask *);
/* "exporter IN (...)", or "1". */
void ch_put_exporters(struct ch_text *, const struct ch *);
/* Appends the expression, which is 0 or 1. */
void ch_put_expr(struct ch_query *, enum ch_table, const struct ctf_node *);

#endif
