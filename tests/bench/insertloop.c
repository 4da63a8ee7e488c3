/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * insertloop FROM TO: what storing costs at least.  Reads all rows of the base
 * tables of FROM, a database of ours, into memory, makes the same tables in the
 * new file TO and puts the rows there with one prepared INSERT, bound and
 * stepped for each, with the same settings and as many rows in a transaction.
 * Prints the rows and the seconds that took, of the clock and of the CPU.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS 32
#define GROUP 24576u    /* rows of a transaction */
#define CHECKPOINT 1000 /* pages in the WAL */
#define SETTINGS \
	"PRAGMA page_size=8192;PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;" \
	"PRAGMA cache_size=-16000;PRAGMA secure_delete=OFF;PRAGMA journal_size_limit=33554432"

struct value {
	int64_t n;
	uint8_t blob[16];
	uint8_t type;
};

struct rows {
	uint64_t n, room;
	int columns;
	struct value *v;
};

static bool long_wal;

static int
on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	long_wal = pages >= CHECKPOINT;
	return SQLITE_OK;
}

static void
must(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return;
	fprintf(stderr, "insertloop: %s\n", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	exit(EXIT_FAILURE);
}

static sqlite3_stmt *
prepared(sqlite3 *db, char *sql)
{
	sqlite3_stmt *st = NULL;

	must(db, sqlite3_prepare_v2(db, sql, -1, &st, NULL));
	sqlite3_free(sql);
	return st;
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- reading ---------------------------------------------------------------- */

static void
value_read(sqlite3_stmt *st, int i, struct value *v)
{
	v->type = (uint8_t)sqlite3_column_type(st, i);
	if (v->type == SQLITE_INTEGER)
		v->n = sqlite3_column_int64(st, i);
	else if (v->type == SQLITE_BLOB && sqlite3_column_bytes(st, i) == sizeof(v->blob))
		memcpy(v->blob, sqlite3_column_blob(st, i), sizeof(v->blob));
	else if (v->type != SQLITE_NULL)
		exit(EXIT_FAILURE);
}

static void
rows_read(sqlite3 *db, const char *table, struct rows *r)
{
	sqlite3_stmt *st = prepared(db, sqlite3_mprintf("SELECT * FROM \"%w\"", table));

	*r = (struct rows){ .columns = sqlite3_column_count(st) };
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (r->n == r->room) {
			r->room += 1 << 20;
			r->v = realloc(r->v, r->room * (size_t)r->columns * sizeof(*r->v));
			if (!r->v)
				exit(EXIT_FAILURE);
		}
		for (int i = 0; i < r->columns; i++)
			value_read(st, i, &r->v[r->n * (size_t)r->columns + (size_t)i]);
		r->n++;
	}
	must(db, sqlite3_finalize(st));
}

/* ---- storing ------------------------------------------------------------------ */

static sqlite3_stmt *
insert(sqlite3 *db, const char *table, int columns)
{
	sqlite3_str *sql = sqlite3_str_new(db);

	sqlite3_str_appendf(sql, "INSERT INTO \"%w\" VALUES(", table);
	for (int i = 1; i <= columns; i++)
		sqlite3_str_appendf(sql, i > 1 ? ", ?%d" : "?%d", i);
	sqlite3_str_appendall(sql, ")");
	return prepared(db, sqlite3_str_finish(sql));
}

static void
row_store(sqlite3_stmt *st, const struct value *v, int columns)
{
	for (int i = 0; i < columns; i++)
		if (v[i].type == SQLITE_INTEGER)
			sqlite3_bind_int64(st, i + 1, v[i].n);
		else if (v[i].type == SQLITE_BLOB)
			sqlite3_bind_blob(st, i + 1, v[i].blob, sizeof(v[i].blob),
					  SQLITE_STATIC);
		else
			sqlite3_bind_null(st, i + 1);
	must(sqlite3_db_handle(st), sqlite3_step(st));
	sqlite3_reset(st);
}

static void
group_end(sqlite3 *db)
{
	must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
	if (long_wal)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	long_wal = false;
}

static void
rows_store(sqlite3 *db, const char *table, const struct rows *r)
{
	sqlite3_stmt *st = insert(db, table, r->columns);

	for (uint64_t n = 0; n < r->n; n++) {
		if (n % GROUP == 0)
			must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
		row_store(st, &r->v[n * (size_t)r->columns], r->columns);
		if (n % GROUP == GROUP - 1 || n == r->n - 1)
			group_end(db);
	}
	sqlite3_finalize(st);
}

int
main(int argc, char **argv)
{
	double wall = 0, cpu = 0, from_wall, from_cpu;
	sqlite3 *from = NULL, *to = NULL;
	sqlite3_stmt *days;
	struct rows r;
	uint64_t n = 0;

	if (argc != 3)
		return EXIT_FAILURE;
	must(from, sqlite3_open_v2(argv[1], &from, SQLITE_OPEN_READWRITE, NULL));
	must(to, sqlite3_open(argv[2], &to));
	must(to, sqlite3_exec(to, SETTINGS, NULL, NULL, NULL));
	sqlite3_wal_hook(to, on_wal, NULL);
	days = prepared(from, sqlite3_mprintf("SELECT name, sql FROM sqlite_master JOIN days"
					      " ON name = base"));
	while (sqlite3_step(days) == SQLITE_ROW) {
		const char *table = (const char *)sqlite3_column_text(days, 0);

		must(to, sqlite3_exec(to, (const char *)sqlite3_column_text(days, 1), NULL,
				      NULL, NULL));
		rows_read(from, table, &r);
		from_wall = seconds(CLOCK_MONOTONIC);
		from_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
		rows_store(to, table, &r);
		wall += seconds(CLOCK_MONOTONIC) - from_wall;
		cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - from_cpu;
		n += r.n;
		free(r.v);
	}
	sqlite3_finalize(days);
	printf("%llu %.6f %.6f\n", (unsigned long long)n, wall, cpu);
	sqlite3_close(from);
	sqlite3_close(to);
	return EXIT_SUCCESS;
}
