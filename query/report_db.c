/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: the databases it was made from. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "report.h"

#define PARTS " FROM partitions WHERE view = ?1 COLLATE NOCASE AND rows > 0"

static int
summary(struct q_db *db, struct rp_db *d, struct ctf_err *err)
{
	struct stat st;
	char form[32];
	int e = 0;

	snprintf(form, sizeof(form), "version %d", db->version);
	*d = (struct rp_db){ .path = strdup(db->path),
			     .table = strdup(db->table),
			     .state = strdup(form),
			     .size = stat(db->path, &st) == 0 ? (int64_t)st.st_size : 0,
			     .version = db->version,
			     .rows = -1,
			     .first_ns = INT64_MIN,
			     .last_ns = INT64_MIN };
	if (db->version < 3 || db->stamped || db->received)
		return 0; /* not without reading all of it */
	e = q_db_int(db, "SELECT ifnull(sum(rows), 0)" PARTS, db->table, &d->rows, err);
	if (e == 0)
		e = q_db_int(db, "SELECT min(ifnull(end_ns, from_ns))" PARTS, db->table,
			     &d->first_ns, err);
	if (e == 0)
		e = q_db_int(db, "SELECT max(last_ns)" PARTS, db->table, &d->last_ns, err);
	return e == -ENOENT ? 0 : e;
}

int
rp_databases(struct q *q, struct rp *r, struct ctf_err *err)
{
	size_t n = 0;
	int e = 0;

	for (const struct q_db *db = q->dbs; db; db = db->next)
		n++;
	r->dbs = calloc(n + 1, sizeof(*r->dbs));
	if (!r->dbs)
		return ctf_fail(err, ENOMEM, "out of memory");
	for (struct q_db *db = q->dbs; db && e == 0; db = db->next)
		e = summary(db, &r->dbs[r->ndbs++], err);
	return e;
}
