/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clickhouse_schema.c - CLICKHOUSE: a session: a server whose tables are as they must be. */
#include "clickhouse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what the server has --------------------------------------------------------------- */

static int
version_get(struct ch *s, struct ctf_err *err)
{
	struct buf text = { 0 };
	unsigned major = 0, minor = 0;
	int r = ch_run(s, "SELECT version()", &text, err);

	if (r < 0)
		return r;
	if (sscanf(text.p, "%3u.%2u.", &major, &minor) != 2 || !major)
		r = ctf_fail(err, EPROTO, "%s: not an answer of ClickHouse: %.40s", s->where,
			     text.p);
	s->version = major * 100 + minor;
	buf_free(&text);
	if (r == 0 && s->version < 1816)
		r = ctf_fail(err, EINVAL, "%s: version %u.%u is older than 18.16", s->where,
			     major, minor);
	return r;
}

/* Lines "table\tcolumn\ttype\n" of the database. */
static int
columns_get(struct ch *s, struct buf *ret_text, struct ctf_err *err)
{
	struct buf sql = { 0 };
	int r;

	buf_puts(&sql, "SELECT concat('\\n', table), name, type FROM system.columns WHERE"
		       " database = ");
	ch_put_quoted(&sql, CH_CONF(s)->db);
	buf_puts(&sql, " FORMAT TabSeparatedRaw");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory")
		       : ch_run(s, sql.p, ret_text, err);
	buf_free(&sql);
	return r;
}

static bool
has_table(const char *columns, const char *table)
{
	char key[80];

	snprintf(key, sizeof(key), "\n%s\t", table);
	return strstr(columns, key) != NULL;
}

static bool
is_whole(const char *columns)
{
	static const char *const views[] = { "flows_src",  "flows_dst", "flows",
					     "open_flows", "gaps",      "coverage" };
	bool whole = true;

	for (const struct ch_table *t = ch_tables; t->name; t++)
		whole = whole && has_table(columns, t->name);
	for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++)
		whole = whole && has_table(columns, views[i]);
	return whole;
}

static bool
is_type(const char *has, size_t n, const char *want, size_t m)
{
	static const char low[] = "LowCardinality(";

	if (n > sizeof(low) && memcmp(has, low, sizeof(low) - 1) == 0) {
		has += sizeof(low) - 1;
		n -= sizeof(low);
	}
	return n == m && memcmp(has, want, n) == 0;
}

/* One column "name Type" as it must be. */
static int
column_check(struct ch *s, const char *columns, const char *table, const char *want,
	     struct ctf_err *err)
{
	size_t n = strcspn(want, " "), m = strcspn(want + n + 1, " ,");
	char key[160];
	const char *is;

	snprintf(key, sizeof(key), "\n%s\t%.*s\t", table, (int)n, want);
	is = strstr(columns, key);
	if (!is)
		return ctf_fail(err, EINVAL, "%s: table %s.%s has no column %.*s", s->where,
				CH_CONF(s)->db, table, (int)n, want);
	is += strlen(key);
	if (is_type(is, strcspn(is, "\n"), want + n + 1, m))
		return 0;
	return ctf_fail(err, EINVAL, "%s: column %.*s of %s.%s is %.*s, not %.*s", s->where,
			(int)n, want, CH_CONF(s)->db, table, (int)strcspn(is, "\n"), is, (int)m,
			want + n + 1);
}

static int
table_check(struct ch *s, const char *columns, const struct ch_table *t, struct ctf_err *err)
{
	const char *p = t->columns;
	int r = 0;

	if (!has_table(columns, t->name))
		return ctf_fail(err, ENOENT, "%s: there is no table %s.%s, and create is no",
				s->where, CH_CONF(s)->db, t->name);
	while (p && r == 0) {
		p += strspn(p, ", ");
		r = column_check(s, columns, t->name, p, err);
		p = strchr(p, ',');
	}
	return r;
}

static int
schema_check(struct ch *s, struct ctf_err *err)
{
	struct buf text = { 0 }, sql = { 0 };
	int r;

	buf_puts(&sql, "SELECT max(toUInt32OrZero(value)) FROM ");
	buf_puts(&sql, CH_CONF(s)->db);
	buf_puts(&sql, ".meta WHERE key = 'version'");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory") : ch_run(s, sql.p, &text, err);
	buf_free(&sql);
	if (r == 0 && strtoul(text.p, NULL, 10) > CH_SCHEMA)
		r = ctf_fail(err, EINVAL,
			     "%s: its tables were made by a newer version of ctflowd",
			     s->where);
	buf_free(&text);
	return r;
}

struct making {
	struct ch *s;
	struct ctf_err *err;
};

static int
make_one(void *arg, const char *sql)
{
	const struct making *m = arg;

	return ch_run(m->s, sql, NULL, m->err);
}

static int
tables_check(struct ch *s, const char *columns, bool all, struct ctf_err *err)
{
	int r = 0;

	for (const struct ch_table *t = ch_tables; t->name && r == 0; t++)
		if (all || has_table(columns, t->name))
			r = table_check(s, columns, t, err);
	return r;
}

static int
tables_make(struct ch *s, struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	struct ch_dialect d = { c->db, c->cluster, s->version };

	if (!s->said_making)
		ctf_log(s->obj.ctx, CTF_NOTICE, "%s: making the tables of %s", s->where, c->db);
	s->said_making = true;
	return ch_ddl(&d, make_one, &(struct making){ s, err });
}

/* What is there is looked at before anything is made beside it. */
static int
schema_ready(struct ch *s, struct ctf_err *err)
{
	bool make = CH_CONF(s)->create;
	struct buf columns = { 0 };
	int r = columns_get(s, &columns, err);

	if (r == 0 && has_table(columns.p, "meta"))
		r = schema_check(s, err);
	if (r == 0)
		r = tables_check(s, columns.p, !make, err);
	make = make && r == 0 && !is_whole(columns.p);
	buf_free(&columns);
	if (!make)
		return r;
	r = tables_make(s, err);
	if (r == 0)
		r = columns_get(s, &columns, err);
	if (r == 0)
		r = tables_check(s, columns.p, true, err);
	buf_free(&columns);
	return r;
}

/* ---- a session ------------------------------------------------------------------------- */

static int
server_try(struct ch *s, struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	struct ch_server server;
	int r;

	if (ch_server_nth(c, s->server, &server) <= 0)
		return ctf_fail(err, EINVAL, "host: no server %u", s->server + 1);
	snprintf(s->where, sizeof(s->where), "%s port %u", server.host, server.port);
	r = version_get(s, err);
	return r < 0 ? r : schema_ready(s, err);
}

/*
 * Beginning with the one that worked last, or the next if that has failed us, each
 * once.  A mistake counts if all are.
 */
int
ch_session(struct ch *s, struct ctf_err *err)
{
	unsigned n = ch_servers(CH_CONF(s)), first = s->server;
	struct ctf_err one = { 0 };
	int r = -EINVAL, all = 0;

	ch_password_forget(&s->password);
	if (*CH_CONF(s)->password_file)
		ch_password_read(CH_CONF(s)->password_file, &s->password);
	for (unsigned i = 0; i < n; i++) {
		s->server = (first + i + s->failed) % n;
		r = server_try(s, &one);
		if (r == 0) {
			s->failed = false;
			ctf_count(s->failovers, s->server != first);
			if (s->server != first)
				ctf_log(s->obj.ctx, CTF_NOTICE, "%s takes over", s->where);
			return 0;
		}
		if (r == -EINTR)
			break;
		if (!i)
			*err = one;
		else
			snprintf(err->msg + strlen(err->msg),
				 sizeof(err->msg) - strlen(err->msg), "; %s", one.msg);
		all = !i || all == r ? r : -EHOSTUNREACH;
	}
	s->server = first;
	if (r == -EINTR)
		*err = one;
	return r == -EINTR ? r : all ? all : r;
}
