/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MYSQL: flows into a table or a function of a MariaDB or MySQL server, as
 * ulogd2 fills them.
 */
#include "mysql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct ctf_opt opts[] = {
	{ .name = "table",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, table),
	  .min = 1,
	  .max = 200,
	  .doc = "table or view whose columns, but the first, say which fields are stored" },
	SQLDB_PROCEDURE,
	{ .name = "db",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, db),
	  .min = 1,
	  .max = 200,
	  .doc = "name of the database" },
	{ .name = "user",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, user),
	  .min = 1,
	  .max = 200,
	  .doc = "whom to log in as" },
	SQLDB_PASS(NULL),
	{ .name = "host",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sqldb_conf, host),
	  .min = 1,
	  .max = 1000,
	  .doc = "server; localhost: by the library's unix socket; or the path of one" },
	{ .name = "port",
	  .type = CTF_OUINT,
	  .off = offsetof(struct sqldb_conf, port),
	  .max = 65535,
	  .dflt = "0",
	  .doc = "port of the server; 0: the library's own, 3306" },
	SQLDB_OPTS,
	{ .name = NULL },
};

/* ---- the table ----------------------------------------------------------------- */

static bool
begins(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strncasecmp(s, *words, strlen(*words)) == 0)
			return true;
	return false;
}

static enum sq_as
as_of(const char *type)
{
	static const char *const times[] = { "datetime", "timestamp", NULL };
	static const char *const bytes[] = { "binary",     "varbinary", "blob", "tinyblob",
					     "mediumblob", "longblob",  NULL };
	static const char *const texts[] = { "char",       "varchar",  "text", "tinytext",
					     "mediumtext", "longtext", "enum", "set",
					     "inet",       "uuid",     "json", NULL };

	return begins(type, times)   ? SQ_AS_TIME
	       : begins(type, bytes) ? SQ_AS_BLOB
	       : begins(type, texts) ? SQ_AS_TEXT
				     : SQ_AS_INT;
}

/* The first column is the table's own. */
static int
columns_take(struct sqldb_table *t, MYSQL_RES *res)
{
	MYSQL_ROW row = res ? mysql_fetch_row(res) : NULL;

	while (row && (row = mysql_fetch_row(res)))
		if (!sq_column_add(&t->cols, &t->n, row[0], as_of(row[1] ? row[1] : "")))
			return -ENOMEM;
	return t->n > SQ_FIELDS ? -E2BIG : t->n ? 0 : -ENOENT;
}

static int
my_look(struct sqldb *s, struct sqldb_table *ret_table, struct ctf_err *err)
{
	const struct sqldb_conf *c = SQLDB_CONF(s);
	struct sqldb_table t = { .known = true };
	struct my *m = (struct my *)s;
	MYSQL_RES *res = NULL;
	int r;

	m->sql.len = 0;
	buf_puts(&m->sql, "SHOW COLUMNS FROM ");
	my_put_name(&m->sql, c->table);
	r = m->sql.failed ? ctf_fail(err, ENOMEM, "%s: out of memory", m->db.where)
			  : my_exec(m, m->sql.p, &res, err);
	if (r < 0)
		return r;
	r = columns_take(&t, res);
	mysql_free_result(res);
	if (r == 0) {
		*ret_table = t;
		return 0;
	}
	sq_columns_free(t.cols, t.n);
	return ctf_fail(err, -r, "%s: table \"%s\": %s", m->db.where, c->table,
			r == -ENOENT ? "it has no second column" : strerror(-r));
}

/* ---- our own table --------------------------------------------------------------- */

static int
progress_exec(struct my *m, const char *before, const char *spool, const char *after,
	      MYSQL_RES **ret_res, struct ctf_err *err)
{
	m->sql.len = 0;
	buf_puts(&m->sql, before);
	my_put_text(m, spool, strlen(spool));
	buf_puts(&m->sql, after);
	if (m->sql.failed)
		return ctf_fail(err, ENOMEM, "%s: out of memory", m->db.where);
	return my_exec(m, m->sql.p, ret_res, err);
}

/*
 * Shows as well that we may update it.  Those of runs long gone go: another daemon
 * may share the database.
 */
static int
progress_begin(struct my *m, struct ctf_err *err)
{
	int r = progress_exec(m, "INSERT INTO " SQLDB_PROGRESS " VALUES (", m->db.spool,
			      ", 0, now()) ON DUPLICATE KEY UPDATE at = now()", NULL, err);

	if (r < 0)
		return r;
	r = progress_exec(m, "DELETE FROM " SQLDB_PROGRESS " WHERE spool <> ", m->db.spool,
			  " AND at < now() - interval 30 day", NULL, err);
	return r == -EACCES ? 0 : r;
}

static int
my_stored(struct sqldb *s, const char *spool, uint64_t *ret_frame, struct ctf_err *err)
{
	struct my *m = (struct my *)s;
	MYSQL_RES *res = NULL;
	MYSQL_ROW row;
	int r = progress_exec(m, "SELECT frame FROM " SQLDB_PROGRESS " WHERE spool = ", spool,
			      "", &res, err);

	if (r < 0)
		return r;
	row = res ? mysql_fetch_row(res) : NULL;
	*ret_frame = row && row[0] ? strtoull(row[0], NULL, 10) : 0;
	mysql_free_result(res);
	return 0;
}

static int
my_progress(struct sqldb *s, struct ctf_err *err)
{
	struct my *m = (struct my *)s;
	int r = progress_begin(m, err);

	if (r == -ENOENT) {
		r = my_exec(m,
			    "CREATE TABLE IF NOT EXISTS " SQLDB_PROGRESS
			    " (spool varchar(100) CHARACTER SET ascii PRIMARY KEY,"
			    " frame bigint unsigned NOT NULL, at datetime NOT NULL)"
			    " ENGINE=InnoDB",
			    NULL, err);
		if (r == 0)
			r = progress_begin(m, err);
	}
	return r;
}

/* ---- the plugin ------------------------------------------------------------------ */

static const struct sqldb_way way = {
	.keeps = true,
	.connect = my_connect,
	.look = my_look,
	.progress = my_progress,
	.stored = my_stored,
	.begin = my_begin,
	.rows = my_rows,
	.rollback = my_rollback,
	.fd = my_fd,
	.alive = my_alive,
	.close = my_close,
};

/* The first connection, which sets the library up, is made here, on one thread. */
static int
mysql_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct my m = { .conn = NULL };

	return sqldb_probe(&way, &m.db, conf, ctx, err);
}

static int
mysql_open(void *sink, int *ret_err, struct ctf_err *err)
{
	return sqldb_open(sink, &way, ret_err, err);
}

CTF_PLUGIN(mysql) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "MYSQL",
	.doc = "flows into a MariaDB or MySQL database: a table, or a function for each flow",
	.opts = opts,
	.conf_size = sizeof(struct sqldb_conf),
	.size = sizeof(struct sqldb_enc),
	.sink_size = sizeof(struct my),
	.probe = mysql_probe,
	.unprobe = sqldb_unprobe,
	.setup = sqldb_setup,
	.encode = sqldb_encode,
	.preamble = sqldb_preamble,
	.open = mysql_open,
	.deliver = sqldb_deliver,
	.idle = sqldb_idle,
	.close = sqldb_close,
};
