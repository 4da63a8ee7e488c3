/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the SQLITE3 tests share: a folder, sample flows, and a look inside. */
#ifndef CTF_TEST_SQLITE3_HELP_H
#define CTF_TEST_SQLITE3_HELP_H

#include <check.h>
#include <sqlite3.h>

#include "plug.h"

extern const struct ctf_plugin ctf_plugin_sqlite3;

#define T0 UINT64_C(1795238256698540123)

const char *db_path(void);
const char *db_beside(const char *suffix); /* "-wal" */

/* An output into `table` of db_path(), with more options. */
struct plug *db_plug(const char *table, const char *more);
/* Encodes a DESTROY of 10.77.0.1:40000+n -> 10.77.0.2:5300 UDP, id n. */
void flow_put(struct plug *, unsigned n);
void flows_put(struct plug *, unsigned from, unsigned to);
void deliver_ok(struct plug *);

/* Runs the statements as the stock shell would; the test ends on an error. */
void db_exec(const char *sql);
/* Rows of the answer, "a|b\nc|d"; NULLs are empty.  Valid until the next call. */
const char *db_query(const char *sql);

/* Each test in a folder of its own. */
void db_fixture(TCase *);

#define ck_query(sql, want) ck_assert_str_eq(db_query(sql), want)

#endif
