/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PGSQL: flows into a table or a procedure of a PostgreSQL server, as ulogd2
 * fills them.
 */
#include "pgsql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct ctf_opt opts[] = {
	{ .name = "table",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, table),
	  .min = 1,
	  .max = 200,
	  .doc = "table or view whose columns say which fields are stored" },
	SQLDB_PROCEDURE,
	{ .name = "db",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, db),
	  .max = 200,
	  .dflt = "",
	  .doc = "name of the database; it or connstring must be given" },
	{ .name = "user",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, user),
	  .max = 200,
	  .dflt = "",
	  .doc = "whom to log in as; it or connstring must be given" },
	SQLDB_PASS(""),
	{ .name = "host",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, host),
	  .max = 1000,
	  .dflt = "",
	  .doc = "server, or the folder of its socket; empty: libpq's own" },
	{ .name = "port",
	  .type = CTF_OUINT,
	  .off = offsetof(struct sqldb_conf, port),
	  .max = 65535,
	  .dflt = "0",
	  .doc = "port of the server; 0: libpq's own, 5432" },
	{ .name = "schema",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, schema),
	  .min = 1,
	  .max = 100,
	  .dflt = "public",
	  .doc = "schema of the table" },
	{ .name = "connstring",
	  .type = CTF_OSECRET,
	  .off = offsetof(struct sqldb_conf, connstring),
	  .max = 4000,
	  .dflt = "",
	  .doc = "libpq's connection string, before host, port, db, user and pass" },
	SQLDB_OPTS,
	{ .name = NULL },
};

/* ---- the table ----------------------------------------------------------------- */

static enum sq_as
as_of(const char *type, const char *category)
{
	if (strcmp(type, "bytea") == 0)
		return SQ_AS_BLOB;
	return *category == 'N' ? SQ_AS_INT : *category == 'D' ? SQ_AS_TIME : SQ_AS_TEXT;
}

/* A first column whose name begins with _ is the table's own. */
static int
columns_take(struct sqldb_table *t, const PGresult *res)
{
	for (int i = 0; i < PQntuples(res); i++) {
		const char *name = PQgetvalue(res, i, 0);

		if (i == 0 && *name == '_')
			continue;
		if (!sq_column_add(&t->cols, &t->n, name,
				   as_of(PQgetvalue(res, i, 1), PQgetvalue(res, i, 2))))
			return -ENOMEM;
	}
	return t->n > SQ_FIELDS ? -E2BIG : 0;
}

static int
pg_look(struct sqldb *s, struct sqldb_table *ret_table, struct ctf_err *err)
{
	static const char sql[] =
		"SELECT a.attname, t.typname, t.typcategory FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
		" JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
		" WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0"
		" AND NOT a.attisdropped ORDER BY a.attnum";
	const struct sqldb_conf *c = SQLDB_CONF(s);
	const char *values[2] = { c->schema, c->table };
	struct sqldb_table t = { .known = true };
	struct pg *p = (struct pg *)s;
	PGresult *res = NULL;
	struct pg_answer a;
	int r = pg_exec(p, sql, 2, values, &res, &a, err);

	if (r < 0)
		return r;
	r = columns_take(&t, res);
	PQclear(res);
	if (r == 0 && !t.n)
		r = -ENOENT;
	if (r == 0) {
		*ret_table = t;
		return 0;
	}
	sq_columns_free(t.cols, t.n);
	return ctf_fail(err, -r, "%s: table \"%s\" in schema \"%s\": %s", p->db.where, c->table,
			c->schema, r == -ENOENT ? "there is none" : strerror(-r));
}

/* ---- our own table --------------------------------------------------------------- */

static int
own_name(struct pg *p, struct ctf_err *err)
{
	const char *schema = SQLDB_CONF(&p->db)->schema;
	char *name = PQescapeIdentifier(p->conn, schema, strlen(schema));

	if (!name)
		return ctf_fail(err, ENOMEM, "%s: out of memory", p->db.where);
	snprintf(p->own, sizeof(p->own), "%s." SQLDB_PROGRESS, name);
	PQfreemem(name);
	return 0;
}

/*
 * Shows as well that we may update it.  Those of runs long gone go: another daemon
 * may share the database.
 */
static int
progress_begin(struct pg *p, struct pg_answer *a, struct ctf_err *err)
{
	const char *values[1] = { p->db.spool };
	char sql[500];
	int r;

	snprintf(sql, sizeof(sql),
		 "INSERT INTO %s(spool, frame, at) VALUES ($1, 0, now())"
		 " ON CONFLICT (spool) DO UPDATE SET at = now()",
		 p->own);
	r = pg_exec(p, sql, 1, values, NULL, a, err);
	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql),
		 "DELETE FROM %s WHERE spool <> $1 AND at < now() - interval '30 days'",
		 p->own);
	r = pg_exec(p, sql, 1, values, NULL, a, err);
	return r == -EACCES ? 0 : r;
}

static int
progress_make(struct pg *p, struct ctf_err *err)
{
	struct pg_answer a;
	char sql[500];

	snprintf(sql, sizeof(sql),
		 "CREATE TABLE IF NOT EXISTS %s (spool text PRIMARY KEY, frame bigint NOT NULL,"
		 " at timestamptz NOT NULL)",
		 p->own);
	return pg_exec(p, sql, 0, NULL, NULL, &a, err);
}

static int
pg_stored(struct sqldb *s, const char *spool, uint64_t *ret_frame, struct ctf_err *err)
{
	struct pg *p = (struct pg *)s;
	const char *values[1] = { spool };
	PGresult *res = NULL;
	struct pg_answer a;
	char sql[400];
	int r;

	snprintf(sql, sizeof(sql), "SELECT frame FROM %s WHERE spool = $1", p->own);
	r = pg_exec(p, sql, 1, values, &res, &a, err);
	if (r < 0)
		return r;
	*ret_frame = PQntuples(res) == 1 ? strtoull(PQgetvalue(res, 0, 0), NULL, 10) : 0;
	PQclear(res);
	return 0;
}

static int
pg_progress(struct sqldb *s, struct ctf_err *err)
{
	struct pg *p = (struct pg *)s;
	struct pg_answer a = { .failed = -1 };
	int r = own_name(p, err);

	if (r == 0)
		r = progress_begin(p, &a, err);
	if (r < 0 && strcmp(a.state, "42P01") == 0) { /* no such table */
		r = progress_make(p, err);
		if (r == 0)
			r = progress_begin(p, &a, err);
	}
	return r;
}

/* ---- the plugin ------------------------------------------------------------------ */

static const struct sqldb_way way = {
	.connect = pg_connect,
	.look = pg_look,
	.progress = pg_progress,
	.stored = pg_stored,
	.begin = pg_begin,
	.rows = pg_rows,
	.rollback = pg_rollback,
	.fd = pg_fd,
	.alive = pg_alive,
	.close = pg_close,
};

static int
pgsql_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const struct sqldb_conf *c = conf;
	struct pg p = { .conn = NULL };

	if (!*c->connstring && (!*c->db || !*c->user))
		return ctf_fail_opt(ctx, err, *c->db ? "user" : "db",
				    "%s is missing, and there is no connstring",
				    *c->db ? "user" : "db");
	return sqldb_probe(&way, &p.db, conf, ctx, err);
}

static int
pgsql_open(void *sink, int *ret_err, struct ctf_err *err)
{
	return sqldb_open(sink, &way, ret_err, err);
}

CTF_PLUGIN(pgsql) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "PGSQL",
	.doc = "flows into a PostgreSQL database: a table, or a function for each flow",
	.opts = opts,
	.conf_size = sizeof(struct sqldb_conf),
	.size = sizeof(struct sqldb_enc),
	.sink_size = sizeof(struct pg),
	.probe = pgsql_probe,
	.unprobe = sqldb_unprobe,
	.setup = sqldb_setup,
	.encode = sqldb_encode,
	.preamble = sqldb_preamble,
	.open = pgsql_open,
	.deliver = sqldb_deliver,
	.idle = sqldb_idle,
	.close = sqldb_close,
};
