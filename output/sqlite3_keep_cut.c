/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: deleting, some rows at a time. */
#include <inttypes.h>
#include <stdio.h>

#include "sqlite3_keep.h"
#include "sqlite3_meta.h"
#include "sqlite3_rollup.h"
#include "sqlite3_spare.h"

#define SOME_LEAST 2000 /* a few ms, as a rule */
#define SOME_MOST 40000
#define QUICK_MS 12u
#define SLOW_MS 25u

/* As many as a transaction can take that nobody notices. */
static void
some_adapt(struct sq_keep *k, uint64_t since_ms)
{
	uint64_t took = ctf_mono_ms() - since_ms;

	if (took < QUICK_MS)
		k->some = k->some < SOME_MOST / 3 * 2 ? k->some + k->some / 2 : SOME_MOST;
	else if (took > SLOW_MS && k->some > SOME_LEAST)
		k->some /= 2;
}

/*
 * A row of that query, or NULL: how far a cut goes.  Were it a part of DELETE,
 * SQLite would gather the rows before it deletes the first.
 */
static int
end_find(struct sq_sink *s, char *sql, sqlite3_stmt **ret_end)
{
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW) {
		sqlite3_finalize(st);
		st = NULL;
	}
	*ret_end = st;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Deletes what key <= `end`, that statement ends with; both are freed. */
static int
upto_cut(struct sq_sink *s, char *sql, sqlite3_stmt *end)
{
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;
	int n = sqlite3_column_count(end);

	sqlite3_free(sql);
	for (int i = 0; i < n && rc == SQLITE_OK; i++)
		rc = sqlite3_bind_value(st, i + 1, sqlite3_column_value(end, i));
	sqlite3_finalize(end); /* nothing reads what is deleted */
	if (rc == SQLITE_OK)
		rc = sq_run(st);
	sqlite3_finalize(st);
	return rc;
}

/*
 * Deletes rows from the first one on, in the order of the key of four columns, of
 * which the first is below `below`: about k->some.  *ret_upto: those before that
 * are not all there any more; `below` if none of them is.
 */
static int
front_cut(struct sq_sink *s, struct sq_keep *k, const char *table, const char *key,
	  int64_t below, int64_t *ret_rows, int64_t *ret_upto)
{
	int first = (int)strcspn(key, ",");
	sqlite3_stmt *end;
	int64_t last = below - 1;
	int rc = end_find(s,
			  sqlite3_mprintf("SELECT %s FROM \"%w\" WHERE %.*s < %lld"
					  " ORDER BY %s LIMIT 1 OFFSET %d",
					  key, table, first, key, (long long)below, key,
					  k->some),
			  &end);

	if (rc != SQLITE_OK)
		return rc;
	if (end)
		last = sqlite3_column_int64(end, 0);
	if (end && last + 1 < below) {
		rc = upto_cut(s,
			      sqlite3_mprintf("DELETE FROM \"%w\" WHERE (%s) <= (?, ?, ?, ?)",
					      table, key),
			      end);
	} else {
		sqlite3_finalize(end);
		rc = sq_exec(s->db, sqlite3_mprintf("DELETE FROM \"%w\" WHERE %.*s < %lld",
						    table, first, key, (long long)below));
	}
	if (rc != SQLITE_OK)
		return rc;
	*ret_rows = sqlite3_changes(s->db);
	*ret_upto = last + 1;
	return SQLITE_OK;
}

/* ---- flows -------------------------------------------------------------------- */

/*
 * The oldest day and, of its partitions, the first one that was not emptied
 * before; those before it are one by now, without rows.
 */
struct oldest {
	char base[300];
	int64_t from, to;           /* the day */
	int64_t part_from, part_to; /* part_to 0: all of them are empty */
	int64_t run;
	bool open; /* it is the one that is being filled */
};

static const char oldest_sql[] =
	"SELECT d.base, d.from_ns, d.to_ns, p.from_ns, p.to_ns, ifnull(p.run, -1),"
	" p.state = 'open' AND p.to_ns >= (SELECT max(to_ns) FROM days WHERE view = ?1)"
	" FROM days AS d LEFT JOIN partitions AS p ON p.view = d.view"
	" AND p.base = d.base AND p.state <> 'dropped' WHERE d.view = ?1"
	" ORDER BY d.from_ns, p.from_ns LIMIT 1";

static int
oldest_find(struct sq_sink *s, struct oldest *ret_day, bool *ret_some)
{
	sqlite3_stmt *st = NULL;
	const char *base;
	int rc = sqlite3_prepare_v2(s->db, oldest_sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	*ret_some = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW) {
		base = (const char *)sqlite3_column_text(st, 0);
		snprintf(ret_day->base, sizeof(ret_day->base), "%s", base ? base : "");
		ret_day->from = sqlite3_column_int64(st, 1);
		ret_day->to = sqlite3_column_int64(st, 2);
		ret_day->part_from = sqlite3_column_int64(st, 3);
		ret_day->part_to = sqlite3_column_int64(st, 4);
		ret_day->run = sqlite3_column_int64(st, 5);
		ret_day->open = sqlite3_column_int(st, 6);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
sq_oldest(struct sq_sink *s, int64_t *ret_first)
{
	struct oldest d;
	bool some;
	int rc = oldest_find(s, &d, &some);

	*ret_first = INT64_MAX;
	if (rc != SQLITE_OK || !some)
		return rc;
	return sq_number(s->db, sqlite3_mprintf("SELECT min(at_ns) FROM \"%w\"", d.base),
			 d.part_to ? d.part_from : d.from, ret_first);
}

/* Readers learn of it in the very transaction that deletes. */
static int
kept_from_set(struct sq_sink *s, int64_t upto, int64_t *ret_was)
{
	char text[32];
	int64_t was = INT64_MIN;
	int rc = sq_meta_get(s, "kept_from", text, sizeof(text));

	if (rc == SQLITE_OK && (sscanf(text, "%" SCNd64, &was) != 1 || was < upto))
		rc = sq_meta_set_num(s, "kept_from", upto);
	*ret_was = was;
	return rc;
}

/* A partition without rows has no run any more, once its entries are gone. */
static int
part_write(struct sq_sink *s, const struct oldest *d, int64_t rows, bool empty)
{
	if (empty)
		sq_run_stop(s); /* whatever is just being made of it */
	return sq_exec(s->db,
		       sqlite3_mprintf("UPDATE partitions SET rows = max(rows - %lld, 0)%s"
				       " WHERE view = %Q AND from_ns = %lld",
				       (long long)rows, empty ? ", state = 'dropped'" : "",
				       SQ_CONF(s)->table, (long long)d->part_from));
}

static int
flows_cut(struct sq_sink *s, struct sq_keep *k, int64_t below, bool *ret_more)
{
	struct oldest d;
	int64_t rows = 0, upto = 0, was = 0;
	bool some, empty;
	int rc = oldest_find(s, &d, &some);

	*ret_more = false;
	if (rc != SQLITE_OK || !some || !d.part_to || d.part_from >= below)
		return rc;
	below = d.part_to < below ? d.part_to : below;
	rc = front_cut(s, k, d.base, "at_ns, id, age_ns, ns", below, &rows, &upto);
	empty = upto == d.part_to && !d.open;
	*ret_more = upto < below || empty;
	if (rc == SQLITE_OK && (rows || empty))
		rc = kept_from_set(s, upto, &was);
	if (rc == SQLITE_OK && (rows || empty))
		rc = part_write(s, &d, rows, empty);
	if (rc != SQLITE_OK || rows == 0)
		return rc;
	if (k->rows == 0)
		k->from_ns = was > d.part_from ? was : d.part_from;
	k->rows += rows;
	k->to_ns = upto;
	return SQLITE_OK;
}

/* A transaction around one of these. */
static int
cut_end(struct sq_sink *s, struct sq_keep *k, int rc, uint64_t since_ms)
{
	s->part.known = false; /* it may be that one */
	some_adapt(k, since_ms);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		sq_spare_rollback(s);
	return rc;
}

int
sq_cut_flows(struct sq_sink *s, struct sq_keep *k, int64_t below, bool *ret_more)
{
	uint64_t since = ctf_mono_ms();
	struct sq_keep was = *k;
	int rc = sq_spare_begin(s);

	if (rc != SQLITE_OK)
		return rc;
	rc = cut_end(s, k, flows_cut(s, k, below, ret_more), since);
	if (rc == SQLITE_OK)
		ctf_count(s->expired, (uint64_t)(k->rows - was.rows));
	else
		*k = was;
	return rc;
}

/* ---- what is left of them -------------------------------------------------------- */

struct dropped {
	char base[300];
	int64_t from, to, run;
	int64_t day_to;
};

/* One that has entries, or is behind another one, or is all of its day. */
static const char dropped_sql[] =
	"SELECT p.base, p.from_ns, p.to_ns, ifnull(p.run, -1), d.to_ns FROM partitions AS p"
	" JOIN days AS d ON d.view = p.view AND d.base = p.base"
	" WHERE p.view = ?1 AND p.state = 'dropped'"
	" AND (p.run >= 0 OR p.from_ns > d.from_ns OR p.to_ns = d.to_ns)"
	" ORDER BY p.from_ns LIMIT 1";

static int
dropped_find(struct sq_sink *s, struct dropped *ret_part, bool *ret_some)
{
	sqlite3_stmt *st = NULL;
	const char *base;
	int rc = sqlite3_prepare_v2(s->db, dropped_sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	*ret_some = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW) {
		base = (const char *)sqlite3_column_text(st, 0);
		snprintf(ret_part->base, sizeof(ret_part->base), "%s", base ? base : "");
		ret_part->from = sqlite3_column_int64(st, 1);
		ret_part->to = sqlite3_column_int64(st, 2);
		ret_part->run = sqlite3_column_int64(st, 3);
		ret_part->day_to = sqlite3_column_int64(st, 4);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
table_is(struct sq_sink *s, const char *base, const char *suffix, bool *ret_is)
{
	int64_t n = 0;
	int rc = sq_number(s->db,
			   sqlite3_mprintf("SELECT count(*) FROM sqlite_master WHERE type ="
					   " 'table' AND name = '%q_%s'",
					   base, suffix),
			   0, &n);

	*ret_is = n > 0;
	return rc;
}

/* Some entries of the run; *ret_rows: so many. */
static int
entries_cut(struct sq_sink *s, struct sq_keep *k, const struct dropped *p,
	    const struct sq_index *x, int64_t *ret_rows)
{
	const char *marks = strchr(x->cols, ',') == strrchr(x->cols, ',') ? "?, ?" : "?, ?, ?";
	long long run = p->run;
	sqlite3_stmt *end;
	int rc = end_find(s,
			  sqlite3_mprintf("SELECT %s FROM \"%w_%s\" WHERE run = %lld"
					  " ORDER BY %s LIMIT 1 OFFSET %d",
					  x->cols, p->base, x->name, run, x->cols, k->some),
			  &end);

	if (rc != SQLITE_OK)
		return rc;
	if (end)
		rc = upto_cut(s,
			      sqlite3_mprintf("DELETE FROM \"%w_%s\" WHERE run = %lld AND (%s)"
					      " <= (%s)",
					      p->base, x->name, run, x->cols, marks),
			      end);
	else
		rc = sq_exec(s->db, sqlite3_mprintf("DELETE FROM \"%w_%s\" WHERE run = %lld",
						    p->base, x->name, run));
	*ret_rows = rc == SQLITE_OK ? sqlite3_changes(s->db) : 0;
	return rc;
}

static int
run_cut(struct sq_sink *s, struct sq_keep *k, const struct dropped *p)
{
	int64_t rows = 0;
	bool is = false;
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < SQ_INDEXES && rc == SQLITE_OK && rows == 0; i++) {
		rc = table_is(s, p->base, sq_indexes[i].name, &is);
		if (rc == SQLITE_OK && is)
			rc = entries_cut(s, k, p, &sq_indexes[i], &rows);
	}
	if (rc != SQLITE_OK || rows)
		return rc;
	return sq_exec(s->db, sqlite3_mprintf("UPDATE partitions SET run = NULL WHERE view = %Q"
					      " AND from_ns = %lld",
					      SQ_CONF(s)->table, (long long)p->from));
}

/* It becomes part of the one before, which has no rows either. */
static int
part_merge(struct sq_sink *s, const struct dropped *p)
{
	const char *t = SQ_CONF(s)->table;
	long long from = p->from, to = p->to;

	return sq_exec(s->db, sqlite3_mprintf("DELETE FROM partitions WHERE view = %Q"
					      " AND from_ns = %lld; UPDATE partitions SET"
					      " to_ns = %lld WHERE view = %Q AND to_ns = %lld",
					      t, from, to, t, from));
}

/* The tables of a day, and the day; first what came for it since it was emptied. */
static int
day_drop(struct sq_sink *s, struct sq_keep *k, const struct dropped *p)
{
	const char *t = SQ_CONF(s)->table, *b = p->base;
	int64_t rows = 0, upto;
	int rc = front_cut(s, k, b, "at_ns, id, age_ns, ns", p->to, &rows, &upto);

	if (rc != SQLITE_OK || rows)
		return rc;
	for (unsigned i = 0; i < SQ_INDEXES && rc == SQLITE_OK; i++)
		rc = sq_exec(s->db, sqlite3_mprintf("DROP TABLE IF EXISTS \"%w_%s\"", b,
						    sq_indexes[i].name));
	if (rc == SQLITE_OK)
		rc = sq_exec(s->db,
			     sqlite3_mprintf("DROP TABLE IF EXISTS \"%w\";"
					     "DELETE FROM partitions WHERE view = %Q AND"
					     " base = %Q; DELETE FROM days WHERE view = %Q"
					     " AND base = %Q",
					     b, t, b, t, b));
	sq_days_forget(s);
	return rc == SQLITE_OK ? sq_views_make(s->db, t, &s->table) : rc;
}

static int
empty_cut(struct sq_sink *s, struct sq_keep *k, bool *ret_more)
{
	struct dropped p;
	bool some;
	int64_t first = 0;
	int rc = dropped_find(s, &p, &some);

	*ret_more = some;
	if (rc != SQLITE_OK || !some)
		return rc;
	if (p.run >= 0)
		return run_cut(s, k, &p);
	rc = sq_number(s->db,
		       sqlite3_mprintf("SELECT 1 FROM days WHERE view = %Q AND from_ns = %lld",
				       SQ_CONF(s)->table, (long long)p.from),
		       0, &first);
	if (rc != SQLITE_OK)
		return rc;
	return first ? day_drop(s, k, &p) : part_merge(s, &p);
}

int
sq_cut_empty(struct sq_sink *s, struct sq_keep *k, bool *ret_more)
{
	uint64_t since = ctf_mono_ms();
	int rc = sq_spare_begin(s);

	return rc == SQLITE_OK ? cut_end(s, k, empty_cut(s, k, ret_more), since) : rc;
}

/* ---- sums -------------------------------------------------------------------------- */

static int
sums_cut(struct sq_sink *s, struct sq_keep *k, unsigned i, int64_t below, bool *ret_more)
{
	struct sq_level level[SQ_LEVELS];
	int64_t rows = 0, upto = below, first = INT64_MAX;
	char name[300], what[32];
	int rc = sq_levels_read(s, level);

	*ret_more = false;
	/* What has not gone into the next table yet stays. */
	if (i < SQ_DAY) {
		int64_t ratio = sq_level_ratio[i + 1];

		if (below / ratio > level[i + 1].next)
			below = level[i + 1].next * ratio;
		below -= below % ratio;
	}
	snprintf(name, sizeof(name), "%s_%s_1", SQ_CONF(s)->table, sq_level_name[i]);
	if (rc == SQLITE_OK)
		rc = sq_number(s->db, sqlite3_mprintf("SELECT min(at) FROM \"%w\"", name),
			       INT64_MAX, &first);
	if (rc != SQLITE_OK || first >= below)
		return rc;
	rc = front_cut(s, k, name, "at, host, proto, port", below, &rows, &upto);
	*ret_more = upto < below;
	if (rc != SQLITE_OK || upto <= level[i].from)
		return rc;
	snprintf(what, sizeof(what), "rollup_from:%s", sq_level_name[i]);
	return sq_meta_set_num(s, what, upto);
}

int
sq_cut_sums(struct sq_sink *s, struct sq_keep *k, unsigned level, int64_t below, bool *ret_more)
{
	uint64_t since = ctf_mono_ms();
	int rc = sq_spare_begin(s);

	return rc == SQLITE_OK ? cut_end(s, k, sums_cut(s, k, level, below, ret_more), since)
			       : rc;
}
