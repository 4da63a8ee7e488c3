/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the SQLITE3 tests share: a folder, sample flows, and a look inside. */
#ifndef CTF_TEST_SQLITE3_HELP_H
#define CTF_TEST_SQLITE3_HELP_H

#include <check.h>
#include <sqlite3.h>

#include "plug.h"

extern const struct ctf_plugin ctf_plugin_sqlite3;

#define T0 UINT64_C(1795238256698540123)
#define SEC UINT64_C(1000000000)

/* Every flow exactly once, with all it has counted. */
#define BOTH \
	"SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM open_flows)," \
	" sum(p), sum(b), sum(rp), sum(rb) FROM" \
	" (SELECT orig_packets p, orig_bytes b, reply_packets rp, reply_bytes rb FROM flows" \
	" UNION ALL SELECT orig_packets, orig_bytes, reply_packets, reply_bytes" \
	" FROM open_flows)"

const char *db_path(void);
const char *db_beside(const char *suffix); /* "-wal" */

/* An output into `table` of db_path(), with more options. */
struct plug *db_plug(const char *table, const char *more);
/* Encodes a DESTROY of 10.77.0.1:40000+n -> 10.77.0.2:5300 UDP, id n. */
void flow_put(struct plug *, unsigned n);
void flows_put(struct plug *, unsigned from, unsigned to);

/*
 * Flow n, which began 5000 s before T0: a sweep has seen it, or it has ended.
 * Of `packets`, as big as each other, twice as many came back.
 */
void live_put(struct plug *, unsigned n, enum ctf_kind, uint64_t seen, unsigned packets);
void end_put(struct plug *, unsigned n, uint64_t stop, unsigned packets);
/* A complete sweep of flows of 60 s, begun at T0 + at s; previous 0: none. */
void sweep_put(struct plug *, unsigned at, unsigned previous);

void deliver_ok(struct plug *);

/* Runs the statements as the stock shell would; the test ends on an error. */
void db_exec(const char *sql);
/* Rows of the answer, "a|b\nc|d"; NULLs are empty.  Valid until the next call. */
const char *db_query(const char *sql);

/* How many flows another process has stored by now; 0 also while there is no table. */
unsigned db_rows_now(void);

/* Each test in a folder of its own. */
void db_fixture(TCase *);

#define ck_query(sql, want) ck_assert_str_eq(db_query(sql), want)

#endif
