/* SPDX-License-Identifier: GPL-2.0-or-later */
/* open.h - between finding databases (q_find.c) and opening them (q_open.c). */
#ifndef CTF_QUERY_OPEN_H
#define CTF_QUERY_OPEN_H

#include "query.h"

/* Opens one table of a file; one that is open already is left as it is. */
int q_db_add(struct q *, const char *path, const char *table, struct ctf_err *err);
/* All tables of a file, or that of --table. */
int q_db_add_file(struct q *, const char *path, struct ctf_err *err);
/* A database of a server. */
int q_db_add_server(struct q *, const char *url, struct ctf_err *err);
/* The statements of q_name(), if there are names. */
int q_names_open(struct q_db *, struct ctf_err *err);
void q_names_close(struct q_db *);
/* The functions that statements of ours call (q_func.c). */
int q_db_functions(sqlite3 *);

#endif
