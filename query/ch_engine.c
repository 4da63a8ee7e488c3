/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_engine.c - a database of a ClickHouse server, as an engine. */
#include <errno.h>
#include <stdlib.h>

#include "ch_engine.h"
#include "open.h"

#define SCHEMA 1 /* the newest this program understands */
#define TABLE "flows"

/* ---- who feeds it ----------------------------------------------------------------------- */

static int
exporter_add(struct ch *ch, const char *name, struct ctf_err *err)
{
	char **more = realloc(ch->exporters, (ch->nexporters + 1) * sizeof(*more));

	if (!more)
		return ctf_fail(err, ENOMEM, "out of memory");
	ch->exporters = more;
	more[ch->nexporters] = strdup(name);
	if (!more[ch->nexporters])
		return ctf_fail(err, ENOMEM, "out of memory");
	ch->nexporters++;
	return 0;
}

static bool
has_exporter(const struct ch *ch, const char *name)
{
	for (unsigned i = 0; i < ch->nexporters; i++)
		if (strcmp(ch->exporters[i], name) == 0)
			return true;
	return false;
}

/* All that ever sent something, whether they note what they cover or not. */
static int
exporters_load(struct q *q, struct ch *ch, struct ctf_err *err)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	int more, r;

	ch_put(&query.sql,
	       "SELECT exporter FROM (SELECT DISTINCT exporter FROM coverage_raw UNION ALL"
	       " SELECT DISTINCT exporter FROM gaps_raw UNION ALL SELECT DISTINCT exporter"
	       " FROM open_raw UNION ALL SELECT substring(key, 10) AS exporter FROM meta FINAL"
	       " WHERE key LIKE 'exporter:%') GROUP BY exporter ORDER BY exporter");
	r = ch_ask(q, ch, &query, &a, err);
	while (r == 0 && (more = ch_row(a, 1, err)) != 0)
		r = more < 0 ? more : exporter_add(ch, ch_cell(a, 0) ? ch_cell(a, 0) : "", err);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}

/* Those of --exporter take the place of all. */
static int
exporters_choose(const struct q *q, struct ch *ch, struct ctf_err *err)
{
	struct ch all = *ch;
	const char *name;
	char known[160] = "";
	size_t n = 0;
	int r = 0;

	if (!q_opt(q, "exporter"))
		return 0;
	ch->exporters = NULL;
	ch->nexporters = 0;
	ch->chosen = true;
	for (unsigned i = 0; i < all.nexporters && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", i ? ", " : "",
				      all.exporters[i]);
	for (unsigned i = 0; r == 0 && (name = q_opt_nth(q, "exporter", i)); i++) {
		if (!has_exporter(&all, name))
			r = ctf_fail(err, ENOENT,
				     "%s: no exporter \"%.60s\" has sent to it%s%s", ch->name,
				     name, n ? "; there are " : "", known);
		else if (!has_exporter(ch, name))
			r = exporter_add(ch, name, err);
	}
	for (unsigned i = 0; i < all.nexporters; i++)
		free(all.exporters[i]);
	free(all.exporters);
	return r;
}

/* ---- opening --------------------------------------------------------------------------- */

static int
schema_look(struct ch *ch, struct ch_answer *a, struct ctf_err *err)
{
	long long version = 0;
	bool ours = false;
	int r;

	while ((r = ch_row(a, 2, err)) > 0) {
		const char *key = ch_cell(a, 0), *value = ch_cell(a, 1);

		if (key && value && strcmp(key, "format") == 0)
			ours = strcmp(value, "ctflowd") == 0;
		if (key && value && strcmp(key, "version") == 0)
			version = atoll(value);
		if (key && value && strcmp(key, "engine") == 0)
			ch->spread = strcmp(value, "Distributed") == 0;
	}
	if (r < 0)
		return r;
	if (!ours || version < 1)
		return ctf_fail(err, EIO, "%s: no history of ctflowd's making", ch->name);
	if (version > SCHEMA)
		return ctf_fail(err, EIO,
				"%s: made by a newer version of ctflowd (schema %lld, this "
				"ctflow knows %d)",
				ch->name, version, SCHEMA);
	return 0;
}

static int
schema_check(struct q *q, struct ch *ch, struct ctf_err *err)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	int r;

	ch_put(&query.sql, "SELECT key, value FROM meta FINAL UNION ALL SELECT 'engine', engine"
			   " FROM system.tables WHERE database = currentDatabase() AND"
			   " name = 'flows_raw'");
	r = ch_ask(q, ch, &query, &a, err);
	if (r == 0)
		r = schema_look(ch, a, err);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}

static int
connect_to(struct q *q, struct ch *ch, struct ctf_err *err)
{
	int r = ch_module(ch, err);

	if (r == 0)
		r = ch_settings(q, ch, err);
	if (r == 0)
		r = schema_check(q, ch, err);
	if (r == 0)
		r = exporters_load(q, ch, err);
	return r == 0 ? exporters_choose(q, ch, err) : r;
}

static bool
is_open(const struct q *q, const struct ch *ch)
{
	for (const struct q_db *db = q->dbs; db; db = db->next)
		if (db->ch && strcmp(db->ch->name, ch->name) == 0)
			return true;
	return false;
}

static int
db_make(struct q *q, struct ch *ch, struct ctf_err *err)
{
	struct q_db *db = calloc(1, sizeof(*db)), **end = &q->dbs;

	if (!db)
		return ctf_fail(err, ENOMEM, "out of memory");
	db->engine = &q_clickhouse;
	db->version = Q_SCHEMA;
	db->path = strdup(ch->name);
	db->table = strdup(TABLE);
	if (!db->path || !db->table || sqlite3_open(":memory:", &db->db) != SQLITE_OK) {
		sqlite3_close(db->db);
		free(db->path);
		free(db->table);
		free(db);
		return ctf_fail(err, ENOMEM, "out of memory");
	}
	db->ch = ch;
	while (*end)
		end = &(*end)->next;
	*end = db;
	return 0;
}

int
q_db_add_server(struct q *q, const char *url, struct ctf_err *err)
{
	struct ch *ch;
	int r;

	if (!q->verb->server)
		return ctf_fail(
			err, EOPNOTSUPP,
			"ctflow %s is not offered on a server; it reads files of SQLite",
			q->verb->name);
	if (q->table)
		return ctf_fail(err, EINVAL,
				"--table is for files of SQLite: a server has one table in a "
				"database");
	r = ch_url(url, &ch, err);
	if (r < 0)
		return r;
	if (is_open(q, ch)) {
		ch_free(ch);
		return 0;
	}
	r = connect_to(q, ch, err);
	if (r == 0)
		r = db_make(q, ch, err);
	if (r < 0)
		ch_free(ch);
	return r;
}

/* ---- the engine ------------------------------------------------------------------------- */

static int
begin(struct q *q, struct q_db *db, unsigned notes, int64_t about, struct ctf_err *err)
{
	return notes ? ch_notes(q, db, notes, about, err) : 0;
}

static int
end(struct q_db *db, struct ctf_err *err)
{
	return 0;
}

static void
shut(struct q_db *db)
{
	ch_free(db->ch);
	db->ch = NULL;
}

const struct q_engine q_clickhouse = {
	.server = true,
	.begin = begin,
	.end = end,
	.streams = ch_streams,
	.sums = ch_sums,
	.find = ch_find,
	.close = shut,
};
