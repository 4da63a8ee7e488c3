/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: rows of the native schema.  The rows of a group are sorted by key
 * and shown to SQLite as a virtual table, so that one INSERT takes all that go
 * to one partition: binding and stepping a statement per row costs as much as
 * storing it.
 */
#include <stdlib.h>

#include "sqlite3_keep.h"
#include "sqlite3_rollup.h"

#define KEY "at_ns, id, age_ns, ns"
#define FULL \
	KEY ", idle, proto, src, dst, sport, dport, orig_packets, orig_bytes, reply_packets," \
	    " reply_bytes, status, tcp_state, end_reason, nat_src, nat_sport, nat_dst," \
	    " nat_dport, mark, zone"
#define SHOWN \
	FULL ", inner, innerport, outer, outerport, start_ns, xid, nsid, seen_ns, source, " \
	     "delta"

/*
 * A row whose key is there already is left alone, and noted: ctflow_repeat()
 * is false.
 */
#define ELSE " FROM " SQ_ROWS " WHERE true" CONFLICT
#define CONFLICT \
	" ON CONFLICT(" KEY ") DO UPDATE SET ns = excluded.ns WHERE " \
	"ctflow_repeat(excluded.ns)"
static const char full_sql[] = "INSERT INTO \"%w\"(" FULL ") SELECT " FULL ELSE;
/* profile=rollup: those a sighting may still come of. */
static const char some_sql[] = "INSERT INTO \"%w\"(" FULL ") SELECT " FULL " FROM " SQ_ROWS
			       " WHERE age_ns >= ?1 OR age_ns < ?2" CONFLICT;
static const char nat_sql[] =
	"INSERT INTO \"%w\"(" KEY ", idle, proto, src, sport, nat_src, nat_sport, zone)"
	" SELECT " KEY ", idle, proto, inner, innerport, outer, outerport, zone" ELSE;

/* ---- the virtual table: s->refs[s->from..s->to) ----------------------------- */

struct vtab {
	sqlite3_vtab base;
	struct sq_sink *sink;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct sq_flow flow;
};

static struct sq_sink *
sink_of(const sqlite3_vtab_cursor *base)
{
	return ((const struct vtab *)base->pVtab)->sink;
}

static int
rows_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret_vtab,
	     char **ret_err)
{
	struct vtab *v = sqlite3_malloc(sizeof(*v));
	int rc;

	if (!v)
		return SQLITE_NOMEM;
	*v = (struct vtab){ .sink = aux };
	rc = sqlite3_declare_vtab(db, "CREATE TABLE x(" SHOWN ")");
	if (rc != SQLITE_OK)
		sqlite3_free(v);
	else
		*ret_vtab = &v->base;
	return rc;
}

static int
rows_disconnect(sqlite3_vtab *v)
{
	sqlite3_free(v);
	return SQLITE_OK;
}

static int
rows_best_index(sqlite3_vtab *v, sqlite3_index_info *info)
{
	info->estimatedCost = 1000;
	return SQLITE_OK;
}

static int
rows_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret_cursor)
{
	struct cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof(*c));
	*ret_cursor = &c->base;
	return SQLITE_OK;
}

static int
rows_close(sqlite3_vtab_cursor *base)
{
	sqlite3_free(base);
	return SQLITE_OK;
}

/* What the row tells of open_flows, and the other way round. */
static int
open_note(struct sq_sink *s, struct sq_ref *ref, struct sq_flow *f)
{
	if (ref->flags & SQ_REF_LIVES) {
		if (s->horizon < f->start_ns)
			s->horizon = f->start_ns;
		if (!s->seen_from || s->seen_from > (uint64_t)f->v[SQ_C_SEEN])
			s->seen_from = (uint64_t)f->v[SQ_C_SEEN];
	} else if (f->start_ns <= s->horizon) {
		ref->flags |= SQ_REF_LATE;
		return sq_open_lived(s, f);
	}
	return SQLITE_OK;
}

/* Decodes the row the cursor stands on. */
static int
row_load(struct cursor *c)
{
	struct sq_sink *s = sink_of(&c->base);
	struct sq_ref *ref;
	struct sq_row row;
	int rc;

	if (s->at >= s->to)
		return SQLITE_OK;
	ref = sq_row_at(s);
	if (sq_flow_get(&s->layout, s->map, ref->p, &row, &c->flow) < 0)
		return SQLITE_FORMAT;
	sq_span_add(&s->shown, &c->flow);
	s->flow = &c->flow;
	rc = open_note(s, ref, &c->flow);
	return rc == SQLITE_OK ? sq_names_row(s, &c->flow) : rc;
}

static int
rows_filter(sqlite3_vtab_cursor *base, int num, const char *str, int argc, sqlite3_value **argv)
{
	struct sq_sink *s = sink_of(base);

	s->at = s->from;
	s->shown = (struct sq_span){ .start_ns = INT64_MAX, .end_ns = INT64_MAX };
	return row_load((struct cursor *)base);
}

static int
rows_next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;
	struct sq_sink *s = sink_of(base);
	int rc = s->storing ? sq_rollup_row(s, sq_row_at(s), &c->flow) : SQLITE_OK;

	s->at++;
	return rc == SQLITE_OK ? row_load(c) : rc;
}

static int
rows_eof(sqlite3_vtab_cursor *base)
{
	const struct sq_sink *s = sink_of(base);

	return s->at >= s->to;
}

static int
rows_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int col)
{
	const struct sq_flow *f = &((const struct cursor *)base)->flow;

	if (!(f->set >> col & 1))
		return SQLITE_OK; /* NULL */
	if (f->ip6 >> col & 1)
		sqlite3_result_blob(ctx, f->addr[f->v[col]], 16, SQLITE_STATIC);
	else if (col == SQ_C_SOURCE)
		sqlite3_result_text(ctx, f->source.p, f->source.len, SQLITE_STATIC);
	else
		sqlite3_result_int64(ctx, f->v[col]);
	return SQLITE_OK;
}

static int
rows_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
	*ret_rowid = sink_of(base)->at;
	return SQLITE_OK;
}

static const sqlite3_module rows_module = {
	.xConnect = rows_connect,
	.xBestIndex = rows_best_index,
	.xDisconnect = rows_disconnect,
	.xOpen = rows_open,
	.xClose = rows_close,
	.xFilter = rows_filter,
	.xNext = rows_next,
	.xEof = rows_eof,
	.xColumn = rows_column,
	.xRowid = rows_rowid,
};

/* Called for the row the cursor stands on. */
static void
repeat_note(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	struct sq_sink *s = sqlite3_user_data(ctx);

	if (s->at < s->to)
		sq_row_at(s)->flags |= SQ_REF_REPEAT;
	sqlite3_result_int(ctx, 0);
}

/* ---- the statements ---------------------------------------------------------- */

int
sq_native_ready(struct sq_sink *s)
{
	int rc = sqlite3_create_module(s->db, SQ_ROWS, &rows_module, s);

	if (rc == SQLITE_OK)
		rc = sqlite3_create_function(s->db, "ctflow_repeat", 1,
					     SQLITE_UTF8 | SQLITE_DIRECTONLY, s, repeat_note,
					     NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sq_days_ready(s);
	if (rc == SQLITE_OK)
		rc = sq_rollup_ready(s);
	if (rc == SQLITE_OK)
		rc = sq_sums_ready(s);
	if (rc == SQLITE_OK)
		rc = sq_keep_ready(s);
	if (rc == SQLITE_OK)
		rc = sq_open_ready(s);
	if (rc == SQLITE_OK)
		rc = sq_spare_ready(s);
	if (rc == SQLITE_OK)
		rc = sq_names_ready(s);
	return rc == SQLITE_OK ? sq_note_ready(s) : rc;
}

void
sq_native_map(struct sq_sink *s)
{
	for (unsigned i = 0; i < F_COUNT; i++)
		s->map[i] = sq_layout_find(&s->layout, sq_native_fields[i]);
}

/* Ends by their time, then what lives: sightings of one flow keep their order. */
static int
by_key(const void *a, const void *b)
{
	const struct sq_ref *x = a, *y = b;
	unsigned lives = x->flags & SQ_REF_LIVES;
	struct sq_row p, q;

	if (lives != (y->flags & SQ_REF_LIVES))
		return lives ? 1 : -1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (!lives || sq_row_get(x->p, SIZE_MAX, &p) < 0 || sq_row_get(y->p, SIZE_MAX, &q) < 0)
		return 0;
	return p.seen_ns < q.seen_ns ? -1 : p.seen_ns > q.seen_ns;
}

/* Nearly sequential keys are cheap. */
static void
rows_sort(struct sq_sink *s)
{
	for (unsigned i = 1; i < s->n; i++)
		if (by_key(&s->refs[i - 1], &s->refs[i]) > 0) {
			qsort(s->refs, s->n, sizeof(*s->refs), by_key);
			return;
		}
}

/* The statement for the day at hand. */
int
sq_insert_ready(struct sq_sink *s)
{
	char *sql;
	int rc;

	if (s->st[SQ_ST_INSERT])
		return SQLITE_OK;
	sql = sqlite3_mprintf(SQ_CONF(s)->profile == SQ_ROLLUP ? some_sql
			      : s->day.nat                     ? nat_sql
							       : full_sql,
			      s->day.base);
	rc = sq_prepare(s, SQ_ST_INSERT, sql);
	sqlite3_free(sql);
	return rc;
}

/* The rows from..to are all of s->part. */
static int
range_store(struct sq_sink *s, unsigned from, unsigned to)
{
	struct sq_span span;
	int rc = sq_insert_ready(s);

	s->from = from;
	s->to = to;
	s->storing = true;
	if (rc == SQLITE_OK)
		rc = sq_run(s->st[SQ_ST_INSERT]);
	s->storing = false;
	if (rc != SQLITE_OK)
		return rc;
	span = s->shown;
	span.rows = sqlite3_changes(s->db);
	s->stored += (uint64_t)span.rows;
	s->rows += to - from;
	rc = sq_open_ended(s);
	if (rc == SQLITE_OK)
		rc = sq_index_late(s);
	return rc == SQLITE_OK ? sq_part_added(s, &span) : rc;
}

/* Range by range, as partitions and days cut them. */
static int
ends_store(struct sq_sink *s, unsigned ends)
{
	int rc = SQLITE_OK;

	for (unsigned from = 0, to; from < ends && rc == SQLITE_OK; from = to) {
		rc = sq_days_find(s, s->refs[from].key);
		for (to = from + 1; to < ends && s->refs[to].key < s->part.to;)
			to++;
		if (rc == SQLITE_OK)
			rc = range_store(s, from, to);
	}
	return rc;
}

/*
 * What lives first: where both are in this group the end is the later one, in
 * whichever order the two sockets of the input were read.
 */
int
sq_native_store(struct sq_sink *s)
{
	unsigned ends = s->n - s->living;
	int rc = SQLITE_OK;

	rows_sort(s);
	if (s->living) {
		s->from = ends;
		s->to = s->n;
		rc = sq_open_store(s);
	}
	if (rc != SQLITE_OK || !ends)
		return rc;
	return SQ_CONF(s)->profile == SQ_ROLLUP ? sq_sums_store(s, ends) : ends_store(s, ends);
}
