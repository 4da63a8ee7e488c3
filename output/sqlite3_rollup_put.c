/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the sums of a transaction into the tables.  They are shown to SQLite
 * as a virtual table, so that one statement adds all of them to a level: most
 * of them are of flows that others of the minute are like.
 */
#include "sqlite3_rollup.h"

#define SUMS "ctflow_sums"
#define COLUMNS \
	"at, host, proto, port, flows, orig_packets, orig_bytes, reply_packets, reply_bytes"
/* A group that fails is rolled back: FAIL saves SQLite a copy of each page it changes. */
#define PUT \
	"INSERT OR FAIL INTO \"%w_%s_1\"(" COLUMNS ") SELECT " COLUMNS " FROM " SUMS \
	" WHERE true" \
	" ON CONFLICT(at, host, proto, port) DO UPDATE SET flows = flows + excluded.flows," \
	" orig_packets = orig_packets + excluded.orig_packets," \
	" orig_bytes = orig_bytes + excluded.orig_bytes," \
	" reply_packets = reply_packets + excluded.reply_packets," \
	" reply_bytes = reply_bytes + excluded.reply_bytes"

enum { C_AT, C_HOST, C_PROTO, C_PORT, C_SUMS };

/* ---- which ------------------------------------------------------------------ */

static bool
is_empty(const struct sq_sum *sum)
{
	for (unsigned i = 0; i < SQ_P_COUNT; i++)
		if (sum->n[i])
			return false;
	return true;
}

/* Whether the table of this level has taken that row of the finer one already. */
static bool
has_taken(const struct sq_level *l, int64_t ratio, const struct sq_bucket *finer)
{
	return finer->at / ratio < l->next ||
	       (l->done.at >= 0 && sq_bucket_compare(finer, &l->done) <= 0);
}

/* Into the minutes, and wherever these have gone. */
static bool
is_wanted(const struct sq_rollup *r, const struct sq_sum *sum)
{
	struct sq_bucket key = sum->key;

	for (unsigned i = 1; i <= r->to; i++) {
		if (!has_taken(&r->level[i], sq_level_ratio[i], &key))
			return false;
		key.at /= sq_level_ratio[i];
	}
	return key.at >= r->level[r->to].from && !is_empty(sum);
}

/* Stands on a wanted one, or behind them all. */
static void
find(struct sq_rollup *r)
{
	while (r->at < r->n && !is_wanted(r, &r->sums[r->at]))
		r->at++;
}

/* ---- the virtual table -------------------------------------------------------- */

struct vtab {
	sqlite3_vtab base;
	struct sq_rollup *roll;
};

static struct sq_rollup *
roll_of(const sqlite3_vtab_cursor *base)
{
	return ((const struct vtab *)base->pVtab)->roll;
}

static int
sums_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret_vtab,
	     char **ret_err)
{
	struct vtab *v = sqlite3_malloc(sizeof(*v));
	int rc;

	if (!v)
		return SQLITE_NOMEM;
	*v = (struct vtab){ .roll = aux };
	rc = sqlite3_declare_vtab(db, "CREATE TABLE x(" COLUMNS ")");
	if (rc != SQLITE_OK)
		sqlite3_free(v);
	else
		*ret_vtab = &v->base;
	return rc;
}

static int
sums_disconnect(sqlite3_vtab *v)
{
	sqlite3_free(v);
	return SQLITE_OK;
}

static int
sums_best_index(sqlite3_vtab *v, sqlite3_index_info *info)
{
	info->estimatedCost = 1000;
	return SQLITE_OK;
}

static int
sums_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret_cursor)
{
	*ret_cursor = sqlite3_malloc(sizeof(**ret_cursor));
	return *ret_cursor ? SQLITE_OK : SQLITE_NOMEM;
}

static int
sums_close(sqlite3_vtab_cursor *base)
{
	sqlite3_free(base);
	return SQLITE_OK;
}

static int
sums_filter(sqlite3_vtab_cursor *base, int num, const char *str, int argc, sqlite3_value **argv)
{
	roll_of(base)->at = 0;
	find(roll_of(base));
	return SQLITE_OK;
}

static int
sums_next(sqlite3_vtab_cursor *base)
{
	roll_of(base)->at++;
	find(roll_of(base));
	return SQLITE_OK;
}

static int
sums_eof(sqlite3_vtab_cursor *base)
{
	return roll_of(base)->at >= roll_of(base)->n;
}

static int64_t
at_of(const struct sq_rollup *r, int64_t at)
{
	for (unsigned i = 1; i <= r->to; i++)
		at /= sq_level_ratio[i];
	return at;
}

static void
host_show(sqlite3_context *ctx, const struct sq_bucket *b)
{
	if (b->host_len == 4)
		sqlite3_result_int(ctx, sq_host_ipv4(b));
	else if (b->host_len)
		sqlite3_result_blob(ctx, b->host, b->host_len, SQLITE_STATIC);
	else
		sqlite3_result_text(ctx, "", 0, SQLITE_STATIC);
}

static int
sums_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int col)
{
	const struct sq_rollup *r = roll_of(base);
	const struct sq_sum *sum = &r->sums[r->at];

	switch (col) {
	case C_AT:
		sqlite3_result_int64(ctx, at_of(r, sum->key.at));
		break;
	case C_HOST:
		host_show(ctx, &sum->key);
		break;
	case C_PROTO:
		sqlite3_result_int(ctx, sum->key.proto);
		break;
	case C_PORT:
		sqlite3_result_int(ctx, sum->key.port);
		break;
	default:
		sqlite3_result_int64(ctx, sum->n[col - C_SUMS]);
	}
	return SQLITE_OK;
}

static int
sums_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
	*ret_rowid = roll_of(base)->at;
	return SQLITE_OK;
}

static const sqlite3_module sums_module = {
	.xConnect = sums_connect,
	.xBestIndex = sums_best_index,
	.xDisconnect = sums_disconnect,
	.xOpen = sums_open,
	.xClose = sums_close,
	.xFilter = sums_filter,
	.xNext = sums_next,
	.xEof = sums_eof,
	.xColumn = sums_column,
	.xRowid = sums_rowid,
};

/* ---- the statements ------------------------------------------------------------ */

static int
put_prepare(struct sq_sink *s, unsigned level)
{
	char *sql = sqlite3_mprintf(PUT, SQ_CONF(s)->table, sq_level_name[level]);
	int rc = sql ? sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
					  &s->roll->put[level], NULL)
		     : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

int
sq_rollup_put_ready(struct sq_sink *s)
{
	int rc = sqlite3_create_module(s->db, SUMS, &sums_module, s->roll);

	for (unsigned i = 0; i < SQ_LEVELS && rc == SQLITE_OK; i++)
		rc = put_prepare(s, i);
	return rc;
}

int
sq_rollup_put(struct sq_rollup *r)
{
	int rc = SQLITE_OK;

	for (r->to = 0; r->to < SQ_LEVELS && rc == SQLITE_OK; r->to++) {
		r->at = 0;
		find(r);
		if (r->at < r->n)
			rc = sq_run(r->put[r->to]);
	}
	return rc;
}
