/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the days of a native table.  A day is a range of at_ns with a base
 * table and index tables of its own, so that it can be dropped; `days` says
 * which there are.  Its rows are divided further, see sqlite3_part.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sqlite3_db.h"

#define DAY INT64_C(86400000000000)
/* The view has an arm for each day: the more there are, the longer they get. */
#define STEP 32 /* after so many, twice as long */
#define MANY 192
#define TOO_MANY 300

#define BASE_KEY \
	"CREATE TABLE \"%w\"(at_ns INTEGER NOT NULL, id INTEGER NOT NULL," \
	" age_ns INTEGER NOT NULL, ns INTEGER NOT NULL, idle INTEGER, proto INTEGER, src,"
#define BASE_END " zone INTEGER, PRIMARY KEY(at_ns, id, age_ns, ns)) WITHOUT ROWID;"
#define BASE_FULL \
	BASE_KEY " dst, sport INTEGER, dport INTEGER, orig_packets INTEGER," \
		 " orig_bytes INTEGER, reply_packets INTEGER, reply_bytes INTEGER," \
		 " status INTEGER, tcp_state INTEGER, end_reason INTEGER, nat_src," \
		 " nat_sport INTEGER, nat_dst, nat_dport INTEGER, mark INTEGER," BASE_END
#define BASE_NAT BASE_KEY " sport INTEGER, nat_src, nat_sport INTEGER," BASE_END
#define INDEX_NAT \
	"CREATE TABLE \"%w_nat\"(run INTEGER NOT NULL, addr NOT NULL, port INTEGER NOT NULL," \
	" at INTEGER NOT NULL, PRIMARY KEY(run, addr, port, at)) WITHOUT ROWID;"
#define INDEX_ADDR(which) \
	"CREATE TABLE \"%w_" which "\"(run INTEGER NOT NULL, addr NOT NULL," \
	" at INTEGER NOT NULL, PRIMARY KEY(run, addr, at)) WITHOUT ROWID;"

/* ---- what the catalog says ---------------------------------------------------- */

static const char day_sql[] =
	"SELECT from_ns, to_ns, base, profile = 'nat' FROM days WHERE view = ?1"
	" AND from_ns <= ?2 AND to_ns > ?2 ORDER BY from_ns DESC LIMIT 1";
static const char part_sql[] =
	"SELECT from_ns, to_ns, ifnull(run, -1), ifnull(shift, 0), state, rows, start_ns, "
	"nostart,"
	" end_ns, last_ns FROM partitions WHERE view = ?1 AND from_ns <= ?2 AND to_ns > ?2"
	" ORDER BY from_ns DESC LIMIT 1";
static const char part_set_sql[] = "UPDATE partitions SET rows = ?3, start_ns = ?4, nostart = "
				   "?5, end_ns = ?6, last_ns = ?7"
				   " WHERE view = ?1 AND from_ns = ?2";

int
sq_days_ready(struct sq_sink *s)
{
	static const struct {
		int which;
		const char *sql;
	} all[] = { { SQ_ST_VERSION, "PRAGMA data_version" },
		    { SQ_ST_KEEPER, "SELECT 1 FROM meta WHERE key = ?1 AND value = ?2" },
		    { SQ_ST_DAY, day_sql },
		    { SQ_ST_PART, part_sql },
		    { SQ_ST_PART_SET, part_set_sql } };
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && rc == SQLITE_OK; i++)
		rc = sq_prepare(s, all[i].which, all[i].sql);
	s->data_version = -1;
	sq_days_forget(s);
	return rc;
}

/* The statements of the day at hand go with it. */
static void
day_forget(struct sq_sink *s)
{
	for (int i = SQ_ST_INSERT; i < SQ_ST_COUNT; i++) {
		sqlite3_finalize(s->st[i]);
		s->st[i] = NULL;
	}
	s->day.known = false;
}

void
sq_days_forget(struct sq_sink *s)
{
	s->part.known = false;
	day_forget(s);
}

static int
keeper_look(struct sq_sink *s)
{
	sqlite3_stmt *st = s->st[SQ_ST_KEEPER];
	char key[300];
	int rc;

	snprintf(key, sizeof(key), "keeper:%.256s", SQ_CONF(s)->table);
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, s->spool, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	s->keeper = rc == SQLITE_ROW;
	sqlite3_clear_bindings(st);
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Another process, or output, may have written. */
int
sq_days_begin(struct sq_sink *s)
{
	sqlite3_stmt *st = s->st[SQ_ST_VERSION];
	int rc = sqlite3_step(st);
	int64_t now = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;

	sqlite3_reset(st);
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? SQLITE_ERROR : rc;
	if (now == s->data_version)
		return SQLITE_OK;
	sq_days_forget(s);
	s->data_version = now;
	return keeper_look(s);
}

static void
span_read(sqlite3_stmt *st, struct sq_span *span)
{
	span->rows = sqlite3_column_int64(st, 5);
	span->start_ns = INT64_MAX;
	span->end_ns = INT64_MAX;
	if (sqlite3_column_type(st, 6) != SQLITE_NULL)
		span->start_ns = sqlite3_column_int64(st, 6);
	span->nostart = sqlite3_column_int(st, 7);
	if (sqlite3_column_type(st, 8) != SQLITE_NULL)
		span->end_ns = sqlite3_column_int64(st, 8);
	span->last_ns = sqlite3_column_int64(st, 9);
}

static void
part_read(sqlite3_stmt *st, struct sq_part *p)
{
	const char *state = (const char *)sqlite3_column_text(st, 4);

	p->known = true;
	p->from = sqlite3_column_int64(st, 0);
	p->to = sqlite3_column_int64(st, 1);
	p->run = sqlite3_column_int64(st, 2);
	p->shift = sqlite3_column_int(st, 3);
	p->state = SQ_OPEN;
	while (p->state < SQ_DROPPED && state && strcmp(state, sq_state_name[p->state]) != 0)
		p->state++;
	span_read(st, &p->span);
}

static void
day_read(sqlite3_stmt *st, struct sq_day *d)
{
	const char *base = (const char *)sqlite3_column_text(st, 2);

	d->known = true;
	d->from = sqlite3_column_int64(st, 0);
	d->to = sqlite3_column_int64(st, 1);
	d->nat = sqlite3_column_int(st, 3);
	snprintf(d->base, sizeof(d->base), "%s", base ? base : "");
}

/* Into s->day or s->part; SQLITE_ROW, or SQLITE_DONE: there is none. */
static int
catalog_look(struct sq_sink *s, int which, int64_t at)
{
	sqlite3_stmt *st = s->st[which];
	int rc;

	sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, at);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && which == SQ_ST_DAY)
		day_read(st, &s->day);
	else if (rc == SQLITE_ROW)
		part_read(st, &s->part);
	sqlite3_reset(st);
	return rc;
}

/* ---- a day is made -------------------------------------------------------------- */

static char *
base_name(const char *table, int64_t at, unsigned n)
{
	time_t sec = (time_t)(at / 1000000000);
	char day[32] = "0";
	struct tm tm;

	if (gmtime_r(&sec, &tm))
		strftime(day, sizeof(day), "%Y%m%d", &tm);
	return n < 2 ? sqlite3_mprintf("%s_%s", table, day)
		     : sqlite3_mprintf("%s_%s_%u", table, day, n);
}

/* A name that nobody has, nor those of the indexes. */
static int
base_find(struct sq_sink *s, int64_t at, char *ret_name, size_t size)
{
	int64_t taken = 1;
	char *name = NULL;
	int rc = SQLITE_OK;

	for (unsigned n = 1; taken && rc == SQLITE_OK; n++) {
		sqlite3_free(name);
		name = base_name(SQ_CONF(s)->table, at, n);
		if (!name)
			return SQLITE_NOMEM;
		rc = sq_number(s->db,
			       sqlite3_mprintf("SELECT count(*) FROM sqlite_master WHERE name"
					       " COLLATE NOCASE IN (%Q, %Q||'_nat', %Q||'_src',"
					       " %Q||'_dst')",
					       name, name, name, name),
			       0, &taken);
	}
	if (rc == SQLITE_OK)
		snprintf(ret_name, size, "%s", name);
	sqlite3_free(name);
	return rc;
}

/* What is free around `at`: from the end of the day before to the next one's begin. */
static int
hole_find(struct sq_sink *s, int64_t at, int64_t *ret_from, int64_t *ret_to)
{
	const char *t = SQ_CONF(s)->table;
	int rc = sq_number(s->db,
			   sqlite3_mprintf("SELECT max(to_ns) FROM days WHERE view = %Q AND"
					   " to_ns <= %lld",
					   t, (long long)at),
			   0, ret_from);

	return rc == SQLITE_OK
		       ? sq_number(s->db,
				   sqlite3_mprintf("SELECT min(from_ns) FROM days WHERE view ="
						   " %Q AND from_ns > %lld",
						   t, (long long)at),
				   INT64_MAX, ret_to)
		       : rc;
}

/* n: how many days there are. */
static void
range_choose(int64_t at, int64_t n, int64_t hole_from, int64_t hole_to, struct sq_day *d)
{
	int64_t len = DAY << (n < MANY ? n / STEP : MANY / STEP), from = at - at % len;
	bool all = n >= TOO_MANY || (n >= MANY && hole_to < INT64_MAX);

	/* At last no new holes are left, so that there is an end to their number. */
	d->from = all || n >= MANY || from < hole_from ? hole_from : from;
	d->to = all || INT64_MAX - from < len || from + len > hole_to ? hole_to : from + len;
}

int
sq_base_make(struct sq_sink *s, const char *name)
{
	int64_t is = 0;
	int rc = sq_number(s->db,
			   sqlite3_mprintf("SELECT count(*) FROM sqlite_master WHERE name = %Q"
					   " COLLATE NOCASE",
					   name),
			   0, &is);

	return rc != SQLITE_OK || is ? rc : sq_exec(s->db, sqlite3_mprintf(BASE_FULL, name));
}

static int
tables_make(struct sq_sink *s, const struct sq_day *d)
{
	const char *b = d->base;
	char *sql = d->nat ? sqlite3_mprintf(BASE_NAT INDEX_NAT, b, b)
			   : sqlite3_mprintf(BASE_FULL INDEX_NAT INDEX_ADDR("src")
						     INDEX_ADDR("dst"),
					     b, b, b, b);

	return sq_exec(s->db, sql);
}

static int
day_enter(struct sq_sink *s, const struct sq_day *d)
{
	const char *t = SQ_CONF(s)->table;
	long long from = d->from, to = d->to;

	return sq_exec(
		s->db,
		sqlite3_mprintf("INSERT INTO days VALUES(%Q, %lld, %lld, %Q, %Q);"
				"INSERT INTO partitions(view, from_ns, to_ns, base, state,"
				" rows, nostart) VALUES(%Q, %lld, %lld, %Q, 'open', 0, 0)",
				t, from, to, d->base, d->nat ? "nat" : "full", t, from, to,
				d->base));
}

static int
day_make(struct sq_sink *s, int64_t at)
{
	struct sq_day d = { .nat = SQ_CONF(s)->profile == SQ_NAT };
	int64_t n = 0, from = 0, to = INT64_MAX;
	int rc = sq_number(
		s->db,
		sqlite3_mprintf("SELECT count(*) FROM days WHERE view = %Q", SQ_CONF(s)->table),
		0, &n);

	if (rc == SQLITE_OK)
		rc = hole_find(s, at, &from, &to);
	if (rc != SQLITE_OK)
		return rc;
	range_choose(at, n, from, to, &d);
	rc = base_find(s, d.from > at - DAY ? at : d.from, d.base, sizeof(d.base));
	if (rc == SQLITE_OK)
		rc = tables_make(s, &d);
	if (rc == SQLITE_OK)
		rc = day_enter(s, &d);
	return rc == SQLITE_OK ? sq_views_make(s->db, SQ_CONF(s)->table, &s->table) : rc;
}

static bool
is_in(int64_t at, int64_t from, int64_t to)
{
	return at >= from && at < to;
}

int
sq_days_find(struct sq_sink *s, int64_t at)
{
	int rc = SQLITE_ROW;

	if (s->part.known && is_in(at, s->part.from, s->part.to))
		return SQLITE_OK;
	s->part.known = false;
	if (!s->day.known || !is_in(at, s->day.from, s->day.to)) {
		day_forget(s);
		rc = catalog_look(s, SQ_ST_DAY, at);
		if (rc == SQLITE_DONE && (rc = day_make(s, at)) == SQLITE_OK)
			rc = catalog_look(s, SQ_ST_DAY, at);
	}
	if (rc == SQLITE_ROW)
		rc = catalog_look(s, SQ_ST_PART, at);
	if (rc == SQLITE_DONE)
		return SQLITE_CORRUPT; /* days without their partitions */
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- another profile -------------------------------------------------------------- */

/* Ends behind its last row, or now: what comes later goes to a new one. */
static int
day_end(struct sq_sink *s, const struct sq_day *d)
{
	const char *t = SQ_CONF(s)->table;
	int64_t now = (int64_t)ctf_now(), last = -1;
	long long to, from = d->from;
	int rc = sq_number(s->db, sqlite3_mprintf("SELECT max(at_ns) FROM \"%w\"", d->base), -1,
			   &last);

	if (rc != SQLITE_OK)
		return rc;
	to = last >= now ? last + 1 : now;
	if (to <= from)
		to = from + 1;
	if (to >= d->to)
		return SQLITE_OK;
	return sq_exec(
		s->db,
		sqlite3_mprintf("UPDATE days SET to_ns = %lld WHERE view = %Q AND"
				" from_ns = %lld; DELETE FROM partitions WHERE view = %Q"
				" AND base = %Q AND from_ns >= %lld; UPDATE partitions SET"
				" to_ns = %lld, state = replace(state, 'open', 'closed')"
				" WHERE view = %Q AND base = %Q AND to_ns > %lld",
				to, t, from, t, d->base, to, to, t, d->base, to));
}

int
sq_days_turn(struct sq_sink *s)
{
	static const char sql[] =
		"SELECT from_ns, to_ns, base, profile = 'nat' FROM days WHERE view = ?1"
		" AND to_ns > ?2 AND profile <> ?3 ORDER BY from_ns";
	struct sq_day d = { 0 };
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 2, (sqlite3_int64)ctf_now());
		sqlite3_bind_text(st, 3, SQ_CONF(s)->profile == SQ_NAT ? "nat" : "full", -1,
				  SQLITE_STATIC);
	}
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		day_read(st, &d);
		rc = day_end(s, &d);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
