/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who_find.c - flows of an address at a time, out of a database.
 *
 * What existed at a time ended since: so each partition that has rows from then
 * on is asked, by its runs in the index tables of the day, which also say where
 * in the partition to look.  What has no run yet is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "layout.h"
#include "who.h"

struct part { /* a partition that may have some of them */
	char *base;
	enum layout layout;
	int64_t from_ns, to_ns;
	int64_t run, shift; /* run -1: none */
};

enum run { RUN_NAT, RUN_SRC, RUN_DST, RUNS };

struct search {
	struct q *q;
	struct q_db *db;
	const struct who_ask *ask;
	struct who_matches *found;
	struct part *parts;
	unsigned n, room;
	sqlite3_stmt *run[RUNS]; /* for the index tables of this base: */
	const char *base;
	struct ctf_err *err;
};

/* ---- rows ---------------------------------------------------------------------------- */

/* "flows_20260131 at_ns=1 id=2 ..." of the columns behind those of the layout. */
static char *
raw_text(sqlite3_stmt *st, const char *table)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fputs(table, f);
	for (int i = LOOKS; i < sqlite3_column_count(st); i++) {
		const unsigned char *p = sqlite3_column_blob(st, i);
		int n = sqlite3_column_bytes(st, i);

		if (sqlite3_column_type(st, i) == SQLITE_NULL)
			continue;
		fprintf(f, " %s=", sqlite3_column_name(st, i));
		if (sqlite3_column_type(st, i) != SQLITE_BLOB) {
			fputs((const char *)sqlite3_column_text(st, i), f);
			continue;
		}
		for (int k = 0; k < n; k++)
			fprintf(f, "%02x", p[k]);
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static int
rows_take(struct search *s, sqlite3_stmt *st, enum layout layout, const char *table)
{
	int rc, r = 0;

	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct who_match *m;
		struct q_flow f;
		int64_t gone = INT64_MAX;

		layout_decode(st, layout, s->db, &f);
		if (f.lost)
			gone = sqlite3_column_int64(st, A_LOST);
		m = who_consider(s->ask, &f, gone, s->found, &r);
		if (m && !(m->raw = raw_text(st, table)))
			r = -ENOMEM;
		if (q_cancelled(s->q))
			r = -EINTR;
	}
	if (r == -ENOMEM)
		return ctf_fail(s->err, ENOMEM, "out of memory");
	if (r == 0 && rc != SQLITE_DONE)
		r = q_sql_failed(s->db, s->err);
	return r;
}

/* ---- statements ---------------------------------------------------------------------- */

enum { P_ADDR = 1, P_PORT, P_FROM, P_TO, P_RUN, P_SHIFT, P_BASE, P_SIGNED, P_BEGUN };

static void
addr_bind(sqlite3_stmt *st, const struct q_addr *a)
{
	uint32_t ip;

	if (a->family == AF_INET6) {
		sqlite3_bind_blob(st, P_ADDR, a->ip, 16, SQLITE_STATIC);
		return;
	}
	ip = (uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 | (uint32_t)a->ip[2] << 8 |
	     a->ip[3];
	sqlite3_bind_int64(st, P_ADDR, (int32_t)ip);
}

/* Some side of the row is the address; who_consider() looks closer. */
static void
sides_put(sqlite3_str *s, enum layout l, bool port)
{
	static const enum look side[][2] = { { A_NAT_SRC, A_NAT_SPORT },
					     { A_SRC, A_SPORT },
					     { A_DST, A_DPORT },
					     { A_NAT_DST, A_NAT_DPORT } };

	for (unsigned i = 0; i < 4; i++) {
		sqlite3_str_appendf(s, "%s(%s = ?1", i ? " OR " : "(",
				    layout_sql(l, side[i][0]));
		if (port)
			sqlite3_str_appendf(s, " AND %s = ?2", layout_sql(l, side[i][1]));
		sqlite3_str_appendall(s, ")");
	}
	sqlite3_str_appendall(s, ")");
}

/* ?1 and ?2 are what was asked. */
static int
statement(struct search *s, sqlite3_str *sql, sqlite3_stmt **ret_st)
{
	int r = q_db_prepare(s->db, sqlite3_str_finish(sql), ret_st, s->err);

	if (r == 0) {
		addr_bind(*ret_st, &s->ask->addr);
		sqlite3_bind_int(*ret_st, P_PORT, s->ask->port);
		sqlite3_bind_int(*ret_st, P_SIGNED, (int16_t)s->ask->port);
	}
	return r;
}

static void
part_bind(const struct search *s, sqlite3_stmt *st, const struct part *p)
{
	int64_t from = s->ask->from_ns > p->from_ns ? s->ask->from_ns : p->from_ns;

	sqlite3_bind_int64(st, P_FROM, from);
	sqlite3_bind_int64(st, P_TO, p->to_ns);
	sqlite3_bind_int64(st, P_RUN, p->run);
	sqlite3_bind_int64(st, P_SHIFT, p->shift);
	sqlite3_bind_int64(st, P_BASE, p->from_ns);
	sqlite3_bind_int64(st, P_BEGUN, s->ask->to_ns);
}

/*
 * Most of what ended since began since, too.  That is told by the first columns, and
 * costs half of looking at the addresses; below 0 the start is no reason to exclude it.
 */
#define BEGUN "(b.age_ns < 0 OR b.at_ns - b.age_ns <= ?9) AND "

/* All rows, of a base from then on. */
static int
read_table(struct search *s, const struct part *p, const char *table, enum layout l)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);
	sqlite3_stmt *st = NULL;
	int r;

	sqlite3_str_appendall(sql, "SELECT ");
	layout_columns(sql, l);
	sqlite3_str_appendf(sql, ", b.* FROM \"%w\" AS b WHERE ", table);
	if (p)
		sqlite3_str_appendf(sql, "%s >= ?3 AND %s < ?4 AND ", layout_key(l),
				    layout_key(l));
	if (p && (l == L_FULL || l == L_NAT))
		sqlite3_str_appendall(sql, BEGUN);
	sides_put(sql, l, s->ask->port >= 0);
	r = statement(s, sql, &st);
	if (r == 0 && p)
		part_bind(s, st, p);
	if (r == 0)
		r = rows_take(s, st, l, table);
	sqlite3_finalize(st);
	return r;
}

/* ---- runs -------------------------------------------------------------------------------- */

static void
runs_end(struct search *s)
{
	for (unsigned i = 0; i < RUNS; i++) {
		sqlite3_finalize(s->run[i]);
		s->run[i] = NULL;
	}
	s->base = NULL;
}

static int
run_prepare(struct search *s, const struct part *p, enum run i)
{
	static const char *const names[RUNS] = { "nat", "src", "dst" };
	sqlite3_str *sql = sqlite3_str_new(NULL);

	sqlite3_str_appendall(sql, "SELECT ");
	layout_columns(sql, p->layout);
	sqlite3_str_appendf(
		sql,
		", b.* FROM (SELECT DISTINCT at AS place FROM \"%w_%s\" WHERE run = ?5"
		" AND addr = ?1%s AND at >= (?3 - ?7) >> ?6) CROSS JOIN \"%w\" AS b"
		" WHERE b.at_ns BETWEEN ?7 + (place << ?6) AND ?7 + ((place + 1) << ?6) - 1"
		" AND b.at_ns >= ?3 AND b.at_ns < ?4 AND ",
		p->base, names[i], i == RUN_NAT && s->ask->port >= 0 ? " AND port = ?8" : "",
		p->base);
	sides_put(sql, p->layout, s->ask->port >= 0);
	return statement(s, sql, &s->run[i]);
}

/* Statements are kept as long as the partitions are of the same day. */
static int
read_runs(struct search *s, const struct part *p)
{
	unsigned n = p->layout == L_NAT ? 1 : RUNS;
	int r = 0;

	if (!s->base || strcmp(s->base, p->base) != 0) {
		runs_end(s);
		for (unsigned i = 0; i < n && r == 0; i++)
			r = run_prepare(s, p, (enum run)i);
		s->base = p->base;
	}
	for (unsigned i = 0; i < n && r == 0; i++) {
		sqlite3_reset(s->run[i]);
		part_bind(s, s->run[i], p);
		r = rows_take(s, s->run[i], p->layout, p->base);
	}
	return r;
}

/* ---- partitions ------------------------------------------------------------------------- */

#define PARTS \
	"SELECT p.base, d.profile, p.from_ns, p.to_ns, p.run, p.shift, p.state FROM " \
	"partitions p" \
	" JOIN days d ON d.view = p.view AND d.base = p.base WHERE p.view = ?1 COLLATE NOCASE" \
	" AND p.to_ns > ?2 AND ifnull(p.last_ns >= ?2 OR p.state = 'open', 1)" \
	" AND (p.start_ns IS NULL OR p.start_ns <= ?3 OR p.nostart OR p.state = 'open')" \
	" GROUP BY p.from_ns ORDER BY p.from_ns"

static int
part_read(struct search *s, sqlite3_stmt *st)
{
	const char *base = (const char *)sqlite3_column_text(st, 0);
	const char *profile = (const char *)sqlite3_column_text(st, 1);
	const char *state = (const char *)sqlite3_column_text(st, 6);
	unsigned room = s->room ? s->room * 2 : 32;
	struct part *p = s->parts;

	if (s->n == s->room) {
		p = realloc(p, room * sizeof(*p));
		if (!p)
			return ctf_fail(s->err, ENOMEM, "out of memory");
		s->parts = p;
		s->room = room;
	}
	p += s->n;
	*p = (struct part){ .base = base ? strdup(base) : NULL,
			    .layout = profile && strcmp(profile, "nat") == 0 ? L_NAT : L_FULL,
			    .from_ns = sqlite3_column_int64(st, 2),
			    .to_ns = sqlite3_column_int64(st, 3),
			    .run = -1,
			    .shift = sqlite3_column_int64(st, 5) };
	if (!p->base)
		return ctf_fail(s->err, ENOMEM, "out of memory");
	s->n++;
	if (sqlite3_column_type(st, 4) != SQLITE_NULL && state && strcmp(state, "indexed") == 0)
		p->run = sqlite3_column_int64(st, 4);
	return 0;
}

static int
parts_load(struct search *s)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE, r;

	if (!q_db_has(s->db, "partitions"))
		return 0;
	r = q_db_prepare(s->db, sqlite3_mprintf("%s", PARTS), &st, s->err);
	if (r < 0)
		return r;
	sqlite3_bind_text(st, 1, s->db->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, s->ask->from_ns);
	sqlite3_bind_int64(st, 3, s->ask->to_ns);
	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		r = part_read(s, st);
	if (r == 0 && rc != SQLITE_DONE)
		r = q_sql_failed(s->db, s->err);
	sqlite3_finalize(st);
	return r;
}

/* In a table of profile nat only what is translated is indexed. */
static bool
has_run(const struct part *p)
{
	return p->run >= 0;
}

static int
parts_read(struct search *s)
{
	unsigned before = s->found->n;
	int r = 0;

	for (unsigned i = 0; i < s->n && r == 0; i++) {
		const struct part *p = &s->parts[i];

		q_progress(s->q, i, s->n);
		r = has_run(p) ? read_runs(s, p) : read_table(s, p, p->base, p->layout);
	}
	for (unsigned i = 0; i < s->n && r == 0; i++) {
		const struct part *p = &s->parts[i];

		if (p->layout != L_NAT || !has_run(p))
			continue;
		if (s->found->n > before) {
			s->found->partly = true;
			break;
		}
		q_progress(s->q, i, s->n);
		r = read_table(s, p, p->base, p->layout);
		before = s->found->n;
	}
	q_progress_end(s->q);
	return r;
}

static int
all_read(struct search *s)
{
	const struct q_db *db = s->db;
	struct part from_then = { .from_ns = INT64_MIN, .to_ns = INT64_MAX };
	int r = parts_load(s);

	if (r == 0)
		r = parts_read(s);
	if (r == 0 && db->stamped)
		r = read_table(s, &from_then, db->stamped, L_STAMPED);
	if (r == 0 && db->received)
		r = read_table(s, &from_then, db->received, L_RECEIVED);
	if (r == 0 && db->open)
		r = read_table(s, NULL, db->open, db->open_3 ? L_OPEN : L_OPEN_2);
	return r;
}

/* A snapshot: what moves from one table to another meanwhile is in one of them. */
int
who_find(struct q *q, struct q_db *db, const struct who_ask *ask, struct who_matches *found,
	 struct ctf_err *err)
{
	struct search s = { .q = q, .db = db, .ask = ask, .found = found, .err = err };
	int r = all_read(&s);

	runs_end(&s);
	for (unsigned i = 0; i < s.n; i++)
		free(s.parts[i].base);
	free(s.parts);
	return r;
}
