/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: a slice of the sorted keys of a run, as a virtual table. */
#include "sqlite3_spare.h"

struct run_vtab {
	sqlite3_vtab base;
	struct sq_job *job;
};

struct run_cursor {
	sqlite3_vtab_cursor base;
	unsigned i;
};

static const struct sq_job *
job_at(const sqlite3_vtab_cursor *base)
{
	return ((const struct run_vtab *)base->pVtab)->job;
}

static const uint8_t *
key_at(const struct sq_job *j, unsigned i, unsigned *ret_size)
{
	const struct sq_keys *k = i < j->v4.n ? &j->v4 : &j->v6;

	*ret_size = k->size;
	return k->p + (size_t)(i - (k == &j->v6 ? j->v4.n : 0)) * k->size;
}

static int
run_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret_vtab,
	    char **ret_err)
{
	struct run_vtab *v = sqlite3_malloc(sizeof(*v));
	int rc;

	if (!v)
		return SQLITE_NOMEM;
	*v = (struct run_vtab){ .job = aux };
	rc = sqlite3_declare_vtab(db, "CREATE TABLE x(addr, port, at)");
	if (rc != SQLITE_OK)
		sqlite3_free(v);
	else
		*ret_vtab = &v->base;
	return rc;
}

static int
run_disconnect(sqlite3_vtab *v)
{
	sqlite3_free(v);
	return SQLITE_OK;
}

static int
run_best_index(sqlite3_vtab *v, sqlite3_index_info *info)
{
	info->estimatedCost = 1000;
	return SQLITE_OK;
}

static int
run_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret_cursor)
{
	struct run_cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof(*c));
	*ret_cursor = &c->base;
	return SQLITE_OK;
}

static int
run_close(sqlite3_vtab_cursor *base)
{
	sqlite3_free(base);
	return SQLITE_OK;
}

/* What the cursor stands on. */
static const uint8_t *
key_now(const sqlite3_vtab_cursor *base, unsigned *ret_size)
{
	const struct sq_job *j = job_at(base);
	unsigned i = ((const struct run_cursor *)base)->i;

	return key_at(j, j->written + sq_order(i, j->slice), ret_size);
}

static int
run_filter(sqlite3_vtab_cursor *base, int num, const char *str, int argc, sqlite3_value **argv)
{
	((struct run_cursor *)base)->i = 0;
	return SQLITE_OK;
}

static int
run_eof(sqlite3_vtab_cursor *base)
{
	return ((const struct run_cursor *)base)->i >= job_at(base)->slice;
}

static int
run_next(sqlite3_vtab_cursor *base)
{
	((struct run_cursor *)base)->i++;
	return SQLITE_OK;
}

static uint32_t
number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int
run_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int col)
{
	unsigned size;
	const uint8_t *p = key_now(base, &size);

	if (col == 0 && size == SQ_KEY4)
		sqlite3_result_int(ctx, (int32_t)(number(p) ^ 0x80000000));
	else if (col == 0)
		sqlite3_result_blob(ctx, p, 16, SQLITE_STATIC);
	else if (col == 1)
		sqlite3_result_int(ctx, (p[size - 6] << 8 | p[size - 5]) - 32768);
	else
		sqlite3_result_int64(ctx, number(p + size - 4));
	return SQLITE_OK;
}

static int
run_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
	*ret_rowid = ((const struct run_cursor *)base)->i;
	return SQLITE_OK;
}

static const sqlite3_module run_module = {
	.xConnect = run_connect,
	.xBestIndex = run_best_index,
	.xDisconnect = run_disconnect,
	.xOpen = run_open,
	.xClose = run_close,
	.xFilter = run_filter,
	.xNext = run_next,
	.xEof = run_eof,
	.xColumn = run_column,
	.xRowid = run_rowid,
};

int
sq_slice_ready(struct sq_sink *s)
{
	struct sq_job *j = &s->spare->job;

	j->v4.size = SQ_KEY4;
	j->v6.size = SQ_KEY6;
	return sqlite3_create_module(s->db, SQ_SLICE, &run_module, j);
}
