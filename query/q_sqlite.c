/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_sqlite.c - files of SQLite, as an engine. */
#include <errno.h>

#include "scan.h"
#include "sums.h"
#include "who.h"

/* They have their notes at hand. */
static int
begin(struct q *q, struct q_db *db, unsigned notes, int64_t about, struct ctf_err *err)
{
	return sqlite3_exec(db->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : q_sql_failed(db, err);
}

static int
end(struct q_db *db, struct ctf_err *err)
{
	if (!sqlite3_get_autocommit(db->db))
		sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL);
	if (q_db_at_rest(db))
		return 0;
	return ctf_fail(err, EAGAIN, "%s: somebody began to write to it meanwhile; ask again",
			db->path);
}

const struct q_engine q_sqlite = {
	.begin = begin,
	.end = end,
	.streams = q_streams,
	.sums = sums_sqlite,
	.find = who_find,
};

/* ---- all databases ----------------------------------------------------------- */

int
q_dbs_begin(struct q *q, unsigned notes, int64_t about, struct ctf_err *err)
{
	int r = 0;

	for (struct q_db *db = q->dbs; db && r == 0; db = db->next)
		r = db->engine->begin(q, db, notes, about, err);
	return r;
}

int
q_dbs_end(struct q *q, struct ctf_err *err)
{
	int r = 0, e;

	for (struct q_db *db = q->dbs; db; db = db->next) {
		e = db->engine->end(db, r == 0 ? err : NULL);
		r = r < 0 ? r : e;
	}
	return r;
}

bool
q_has_server(const struct q *q)
{
	for (const struct q_db *db = q->dbs; db; db = db->next)
		if (db->engine->server)
			return true;
	return false;
}
