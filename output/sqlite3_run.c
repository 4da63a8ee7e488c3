/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the runs of index entries.  Of a range of rows the keys are read
 * into memory, sorted, and appended to the index tables in that order, which
 * costs a twentieth of inserting them row by row; one index after the other, a
 * little at a time.  The catalog names the run of a closed partition before its
 * first entry is written, so that rows that come meanwhile get theirs: then it
 * does not matter whether they are read, too.  A run that was being written
 * when the daemon died is written again; what is there already stays.
 */
#include <stdlib.h>

#include "sqlite3_spare.h"

#define AT_BITS 23 /* then SQLite stores it in three bytes */
#define READ 512u  /* rows between two looks at the clock */
#define CHUNK_MIN 500u
#define CHUNK_FIRST 5000u /* fewer leave more room between them */
#define CHUNK_MAX 10000u

static struct sq_job *
job_of(struct sq_sink *s)
{
	return &s->spare->job;
}

/* ---- a job ---------------------------------------------------------------------- */

/* The keys of one index are through, or the job is. */
static void
keys_drop(struct sq_job *j)
{
	sqlite3_finalize(j->st);
	j->st = NULL;
	sq_keys_free(&j->v4);
	sq_keys_free(&j->v6);
	j->sorted = false;
	j->written = 0;
	j->read_to = j->from;
}

void
sq_run_stop(struct sq_sink *s)
{
	if (!s->spare)
		return;
	keys_drop(job_of(s));
	job_of(s)->on = false;
}

static int
shift_for(int64_t from, int64_t to)
{
	int shift = 0;

	while ((to - from - 1) >> shift >= INT64_C(1) << AT_BITS)
		shift++;
	return shift;
}

/*
 * A number no run of the day has, be it one that was given up.  In the entries of
 * the first two it takes no byte.
 */
static int
run_number(struct sq_sink *s, const struct sq_day *d, int64_t *ret_run)
{
	int64_t most = -1, n = -1;
	int rc = sq_number(
		s->db,
		sqlite3_mprintf("SELECT max(run) FROM partitions WHERE base = %Q", d->base), -1,
		&most);

	for (unsigned i = 0; i < SQ_INDEXES && rc == SQLITE_OK; i++) {
		if (d->nat && sq_indexes[i].full)
			continue;
		rc = sq_number(s->db,
			       sqlite3_mprintf("SELECT max(run) FROM \"%w_%s\"", d->base,
					       sq_indexes[i].name),
			       -1, &n);
		most = n > most ? n : most;
	}
	*ret_run = most + 1;
	return rc;
}

int
sq_run_begin(struct sq_sink *s, const struct sq_day *d, int64_t from, int64_t to, bool joins,
	     int64_t rows)
{
	struct sq_job *j = job_of(s);
	int64_t run = 0;
	int rc = run_number(s, d, &run);

	if (rc != SQLITE_OK)
		return rc;
	j->day = *d;
	j->from = from;
	j->to = to;
	j->run = run;
	j->shift = shift_for(from, to);
	j->joins = joins;
	j->rows = rows;
	j->which = 0;
	keys_drop(j);
	j->chunk = CHUNK_FIRST;
	j->on = true;
	return rc;
}

/* The oldest one that has none. */
static int
closed_begin(struct sq_sink *s)
{
	static const char sql[] =
		"SELECT p.from_ns, p.to_ns, p.base, d.profile = 'nat', ifnull(p.run, -1), "
		"p.shift,"
		" d.from_ns"
		" FROM partitions AS p JOIN days AS d ON d.view = p.view AND d.base = p.base"
		" WHERE p.view = ?1 AND p.state = 'closed' ORDER BY p.from_ns LIMIT 1";
	struct sq_job *j = job_of(s);
	struct sq_day d = { .known = true };
	sqlite3_stmt *st = NULL;
	int64_t from, to, run;
	int shift, rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_text(st, 1, SQ_CONF(s)->table, -1, SQLITE_STATIC);
		rc = sqlite3_step(st);
	}
	if (rc != SQLITE_ROW) {
		sqlite3_finalize(st);
		return rc == SQLITE_DONE ? SQLITE_OK : rc;
	}
	from = sqlite3_column_int64(st, 0);
	to = sqlite3_column_int64(st, 1);
	snprintf(d.base, sizeof(d.base), "%s", (const char *)sqlite3_column_text(st, 2));
	d.nat = sqlite3_column_int(st, 3);
	run = sqlite3_column_int64(st, 4);
	shift = sqlite3_column_int(st, 5);
	d.from = sqlite3_column_int64(st, 6);
	sqlite3_finalize(st);
	rc = sq_run_begin(s, &d, from, to, false, 0);
	if (rc != SQLITE_OK || run < 0)
		goto enter;
	j->run = run; /* it was being written: go on with that one */
	j->shift = shift;
	return rc;
enter:
	if (rc == SQLITE_OK)
		rc = sq_exec(s->db,
			     sqlite3_mprintf("UPDATE partitions SET run = %lld, shift = %d"
					     " WHERE view = %Q AND from_ns = %lld",
					     (long long)j->run, j->shift, SQ_CONF(s)->table,
					     (long long)from));
	s->part.known = false;
	if (rc != SQLITE_OK)
		sq_run_stop(s);
	return rc;
}

static int
job_begin(struct sq_sink *s)
{
	int rc = sq_spare_begin(s);

	if (rc == SQLITE_OK)
		rc = closed_begin(s);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		sq_run_stop(s);
	return rc;
}

/* ---- reading ---------------------------------------------------------------------- */

static int
read_prepare(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);
	const struct sq_index *x = &sq_indexes[j->which];
	bool two = x->addr[1][0] && !j->day.nat;
	const char *const *one = j->day.nat ? sq_nat_seen : x->addr[0];
	char *sql = sqlite3_mprintf(
		"SELECT at_ns, %s, %s, %s, %s FROM \"%w\" WHERE at_ns >= ?1 AND at_ns < ?2",
		one[0], one[1] ? one[1] : "0", two ? x->addr[1][0] : "NULL",
		two ? x->addr[1][1] : "NULL", j->day.base);
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &j->st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return rc;
}

static int
key_add(struct sq_job *j, int col, uint32_t at)
{
	uint16_t port = (uint16_t)(sqlite3_column_int(j->st, col + 1) + 32768);
	uint32_t ip;
	uint8_t b[4];

	if (sqlite3_column_type(j->st, col) == SQLITE_BLOB &&
	    sqlite3_column_bytes(j->st, col) == 16)
		return sq_keys_add(&j->v6, sqlite3_column_blob(j->st, col), port, at);
	if (sqlite3_column_type(j->st, col) != SQLITE_INTEGER)
		return SQLITE_OK;
	ip = (uint32_t)sqlite3_column_int(j->st, col) ^ 0x80000000;
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(ip >> (24 - 8 * i));
	return sq_keys_add(&j->v4, b, port, at);
}

/* All rows of one at_ns are read at once, so that the next one begins a new one. */
static int
rows_read(struct sq_job *j, uint64_t until_ms)
{
	int64_t at = j->read_to;
	unsigned n = 0;
	int rc;

	while ((rc = sqlite3_step(j->st)) == SQLITE_ROW) {
		int64_t now = sqlite3_column_int64(j->st, 0);
		uint32_t slot = (uint32_t)((now - j->from) >> j->shift);

		if (now != at && n++ % READ == READ - 1 && ctf_mono_ms() >= until_ms) {
			j->read_to = now;
			return SQLITE_OK;
		}
		at = now;
		rc = key_add(j, 1, slot);
		if (rc == SQLITE_OK)
			rc = key_add(j, 3, slot);
		if (rc != SQLITE_OK)
			return rc;
	}
	if (rc == SQLITE_DONE)
		j->read_to = j->to;
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
read_some(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);
	bool ports = sq_indexes[j->which].addr[0][1] != NULL;
	int rc = j->st ? SQLITE_OK : read_prepare(s);

	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(j->st, 1, j->read_to);
		sqlite3_bind_int64(j->st, 2, j->to);
		rc = rows_read(j, ctf_mono_ms() + SQ_SLICE_MS);
		sqlite3_reset(j->st);
	}
	if (rc != SQLITE_OK || j->read_to < j->to)
		return rc;
	sqlite3_finalize(j->st);
	j->st = NULL;
	rc = sq_keys_sort(&j->v4, ports);
	if (rc == SQLITE_OK)
		rc = sq_keys_sort(&j->v6, ports);
	j->sorted = rc == SQLITE_OK;
	return rc;
}

/* ---- writing ---------------------------------------------------------------------- */

static int
write_prepare(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);
	const struct sq_index *x = &sq_indexes[j->which];
	char *sql = sqlite3_mprintf(
		"INSERT OR IGNORE INTO \"%w_%s\"(run, %s) SELECT ?1, %s FROM " SQ_SLICE,
		j->day.base, x->name, x->cols, x->cols);
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &j->st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		sqlite3_bind_int64(j->st, 1, j->run);
	return rc;
}

/* One transaction; the next one's size is what fits the time. */
static int
write_some(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);
	unsigned left = j->v4.n + j->v6.n - j->written;
	uint64_t begin, took;
	int rc = sq_spare_begin(s);

	if (rc != SQLITE_OK)
		return rc;
	begin = ctf_mono_ms();
	j->slice = left < j->chunk ? left : j->chunk;
	rc = j->st ? SQLITE_OK : write_prepare(s);
	if (rc == SQLITE_OK && j->slice)
		rc = sq_run(j->st);
	if (rc == SQLITE_OK)
		rc = sq_run(s->st[SQ_ST_COMMIT]);
	if (rc != SQLITE_OK)
		return rc;
	j->written += j->slice;
	took = ctf_mono_ms() - begin;
	sq_checkpoint(s); /* nobody waits for it */
	if (took < SQ_SLICE_MS / 2 && j->chunk < CHUNK_MAX)
		j->chunk += j->chunk / 2;
	else if (took > SQ_SLICE_MS && j->chunk > CHUNK_MIN)
		j->chunk /= 2;
	return rc;
}

/* ---- the end ---------------------------------------------------------------------- */

static int
closed_end(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);

	return sq_exec(
		s->db,
		sqlite3_mprintf("UPDATE partitions SET state = 'indexed' WHERE view = %Q"
				" AND from_ns = %lld AND run = %lld AND state = 'closed'",
				SQ_CONF(s)->table, (long long)j->from, (long long)j->run));
}

/*
 * One partition in place of several.  Had somebody else added rows meanwhile,
 * or had some been dropped, they would not be as many as we think.
 */
static int
joined_end(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);
	const char *t = SQ_CONF(s)->table;
	long long from = j->from, to = j->to;
	int64_t rows = -1;
	int rc =
		sq_number(s->db,
			  sqlite3_mprintf("SELECT sum(rows) FROM partitions WHERE view = %Q AND"
					  " from_ns >= %lld AND to_ns <= %lld AND state ="
					  " 'indexed'",
					  t, from, to),
			  -1, &rows);

	if (rc != SQLITE_OK || rows != j->rows)
		return rc;
	return sq_exec(
		s->db,
		sqlite3_mprintf(
			"UPDATE partitions SET to_ns = %lld, run = %lld, shift = %d, (rows,"
			" start_ns, nostart, end_ns, last_ns) = (SELECT sum(q.rows),"
			" min(q.start_ns), max(q.nostart), min(q.end_ns), max(q.last_ns)"
			" FROM partitions AS q WHERE q.view = %Q AND q.from_ns >= %lld"
			" AND q.to_ns <= %lld) WHERE view = %Q AND from_ns = %lld;"
			" DELETE FROM partitions WHERE view = %Q AND from_ns > %lld"
			" AND from_ns < %lld",
			to, (long long)j->run, j->shift, t, from, to, t, from, t, from, to));
}

/* Runs of earlier versions lack what was not translated; an empty address tells. */
static int
whole_mark(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);

	return sq_exec(s->db, sqlite3_mprintf("INSERT OR IGNORE INTO \"%w_nat\""
					      " VALUES(%lld, '', 0, 0)",
					      j->day.base, (long long)j->run));
}

static int
job_end(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);
	int rc = sq_spare_begin(s);

	if (rc != SQLITE_OK)
		return rc;
	rc = j->joins ? joined_end(s) : closed_end(s);
	if (rc == SQLITE_OK && j->day.nat)
		rc = whole_mark(s);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		return rc;
	s->part.known = false;
	if (j->joins && s->spare->tidy_at < j->from)
		s->spare->tidy_at = j->from;
	s->spare->look = true;
	if (s->spare->look_at > j->day.from)
		s->spare->look_at = j->day.from;
	sq_run_stop(s);
	return rc;
}

/* Its keys are all written: the next index, or the end. */
static int
job_next(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);

	keys_drop(j);
	do {
		j->which++;
	} while (j->which < SQ_INDEXES && j->day.nat && sq_indexes[j->which].full);
	return j->which < SQ_INDEXES ? SQLITE_OK : job_end(s);
}

static int
job_some(struct sq_sink *s)
{
	struct sq_job *j = job_of(s);

	if (j->which >= SQ_INDEXES)
		return job_end(s);
	if (!j->sorted)
		return read_some(s);
	if (j->written < j->v4.n + j->v6.n)
		return write_some(s);
	return job_next(s);
}

int
sq_run_step(struct sq_sink *s, int *ret_ms)
{
	struct sq_job *j = job_of(s);
	bool was_on = j->on;
	int64_t some = 0;
	int rc = SQLITE_OK;

	if (was_on) {
		rc = job_some(s);
		if (rc != SQLITE_OK && !sq_is_busy(rc))
			sq_run_stop(s);
	} else {
		rc = sq_number(
			s->db,
			sqlite3_mprintf("SELECT 1 FROM partitions WHERE view = %Q AND state"
					" = 'closed' LIMIT 1",
					SQ_CONF(s)->table),
			0, &some);
		if (rc == SQLITE_OK && some)
			rc = job_begin(s);
	}
	*ret_ms = was_on || j->on ? 0 : -1;
	return rc;
}
