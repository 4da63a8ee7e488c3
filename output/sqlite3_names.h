/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the table `names`, where NAMES is in the stack: who had an address
 * from when on.  A flow's name is the one at its last packet (at_ns where that
 * is not known).
 */
#ifndef CTF_SQLITE3_NAMES_H
#define CTF_SQLITE3_NAMES_H

#include "sqlite3_flow.h"

struct sq_sink;
struct sq_names; /* of a connection */

enum sq_name_field { SQ_N_SRC, SQ_N_SRC_NS, SQ_N_DST, SQ_N_DST_NS, SQ_N_COUNT };
#define SQ_N_SOURCE SQ_N_DST /* so many where no destinations are stored */
extern const char *const sq_name_fields[SQ_N_COUNT];

#define SQ_NAMES_SQL \
	"CREATE TABLE IF NOT EXISTS names(addr NOT NULL, from_ns INTEGER NOT NULL," \
	" name TEXT NOT NULL, PRIMARY KEY(addr, from_ns)) WITHOUT ROWID;"
/* The name that the address x had at the time t, an expression each. */
#define SQ_NAME_OF(x, t) \
	"(SELECT nullif(name, '') FROM names WHERE addr = " x " AND from_ns <= " t \
	" ORDER BY from_ns DESC LIMIT 1)"

/* These return SQLite result codes. */
int sq_names_ready(struct sq_sink *);
void sq_names_close(struct sq_sink *);
int sq_names_map(struct sq_sink *); /* of a new layout */
/* What the record says of names. */
int sq_names_row(struct sq_sink *, const struct sq_flow *);
/*
 * Some of what was over before that time is deleted, in a transaction: each call
 * looks at a thousand rows more.
 */
int sq_names_cut(struct sq_sink *, int64_t before_ns);
/* A transaction was rolled back. */
void sq_names_forget(struct sq_sink *);

#endif
