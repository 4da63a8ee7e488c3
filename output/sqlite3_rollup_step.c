/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: hours made of minutes that are over, and days of hours, some rows
 * of the finer table at a time and in the order of its key.  How far that has
 * come is in `meta` and changes in the same transaction: what comes later for
 * a time before it is added to the coarser table at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3_clock.h"
#include "sqlite3_meta.h"
#include "sqlite3_rollup.h"
#include "sqlite3_spare.h"

#define GRACE_NS INT64_C(300000000000) /* a minute is over that much after its end */
#define STEP_ROWS 2000
#define LOOK_NS INT64_C(60000000000) /* again */

static const int64_t unit_ns[SQ_LEVELS] = { INT64_C(60000000000), INT64_C(3600000000000),
					    INT64_C(86400000000000) };

/* ---- how far it has come ---------------------------------------------------------- */

/* "AT HOST PROTO PORT", the host in hexadecimal or -. */
static void
bucket_parse(const char *text, struct sq_bucket *ret_bucket)
{
	struct sq_bucket b = { .at = -1 };
	char host[40] = "";
	unsigned byte;
	size_t n;
	int proto, port;

	ret_bucket->at = -1;
	if (sscanf(text, "%" SCNd64 " %39s %d %d", &b.at, host, &proto, &port) != 4)
		return;
	n = strcmp(host, "-") == 0 ? 0 : strlen(host) / 2;
	for (size_t i = 0; i < n && i < sizeof(b.host); i++) {
		if (sscanf(host + 2 * i, "%2x", &byte) != 1)
			return;
		b.host[i] = (uint8_t)byte;
	}
	b.host_len = (uint8_t)(n > sizeof(b.host) ? sizeof(b.host) : n);
	b.proto = (int16_t)proto;
	b.port = (int16_t)port;
	*ret_bucket = b;
}

static void
bucket_print(const struct sq_bucket *b, char *ret_text, size_t size)
{
	char host[40] = "-";

	for (size_t i = 0; i < b->host_len; i++)
		snprintf(host + 2 * i, sizeof(host) - 2 * i, "%02x", b->host[i]);
	snprintf(ret_text, size, "%" PRId64 " %s %d %d", b->at, host, b->proto, b->port);
}

static void
level_set(struct sq_level level[SQ_LEVELS], const char *what, size_t len, sqlite3_stmt *st)
{
	const char *name = memchr(what, ':', len), *text;
	size_t n = name ? (size_t)(name - what) : 0;

	for (unsigned i = 0; name && i < SQ_LEVELS; i++) {
		if (strncmp(name + 1, sq_level_name[i], strlen(sq_level_name[i])) != 0)
			continue;
		text = (const char *)sqlite3_column_text(st, 1);
		if (strncmp(what, "rolled", n) == 0)
			level[i].next = sqlite3_column_int64(st, 1);
		else if (strncmp(what, "rollup_from", n) == 0)
			level[i].from = sqlite3_column_int64(st, 1);
		else if (text)
			bucket_parse(text, &level[i].done);
	}
}

int
sq_levels_read(struct sq_sink *s, struct sq_level level[SQ_LEVELS])
{
	sqlite3_stmt *st = s->st[SQ_ST_LEVELS];
	const char *key;
	int rc;

	for (unsigned i = 0; i < SQ_LEVELS; i++)
		level[i] = (struct sq_level){ .done.at = -1 };
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		key = (const char *)sqlite3_column_text(st, 0);
		if (key)
			level_set(level, key, strlen(key), st);
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
level_write(struct sq_sink *s, unsigned i, const struct sq_level *l)
{
	char what[32], done[100] = "";
	int rc;

	if (l->done.at >= 0)
		bucket_print(&l->done, done, sizeof(done));
	snprintf(what, sizeof(what), "rolled:%s", sq_level_name[i]);
	rc = sq_meta_set_num(s, what, l->next);
	snprintf(what, sizeof(what), "rolling:%s", sq_level_name[i]);
	return rc == SQLITE_OK ? sq_meta_set(s, what, done) : rc;
}

/* Should be behind all of them that are at `at`. */
static struct sq_bucket
last_of(int64_t at)
{
	struct sq_bucket b = {
		.at = at, .host_len = 16, .proto = INT16_MAX, .port = INT16_MAX
	};

	memset(b.host, 0xff, sizeof(b.host));
	return b;
}

/* ---- a step ------------------------------------------------------------------------- */

struct roll {
	unsigned level;
	struct sq_level l;
	int64_t limit; /* of what may be made now */
	const char *table, *fine, *name;
	int64_t ratio;
};

#define AFTER "(at, host, proto, port) > (?1, ?2, ?3, ?4)"

/* Binds where to go on. */
static void
after_bind(sqlite3_stmt *st, const struct roll *r)
{
	struct sq_bucket before = last_of(r->l.next * r->ratio - 1);

	sq_bucket_bind(st, 1, r->l.done.at >= 0 ? &r->l.done : &before);
}

/* The first or n-th row of the finer table from there on and before `end`. */
static int
row_look(struct sq_sink *s, const struct roll *r, int64_t end, int nth,
	 struct sq_bucket *ret_bucket)
{
	char *sql = sqlite3_mprintf("SELECT at, host, proto, port FROM \"%w_%s_1\" WHERE " AFTER
				    " AND at < ?5 ORDER BY at, host, proto, port LIMIT 1"
				    " OFFSET ?6",
				    r->table, r->fine);
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK) {
		after_bind(st, r);
		sqlite3_bind_int64(st, 5, end);
		sqlite3_bind_int(st, 6, nth);
		rc = sqlite3_step(st);
	}
	ret_bucket->at = -1;
	if (rc == SQLITE_ROW)
		sq_bucket_read(st, 0, ret_bucket);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

#define COARSEN \
	"INSERT INTO \"%w_%s_1\" SELECT at / %lld, host, proto, port, flows, orig_packets," \
	" orig_bytes, reply_packets, reply_bytes FROM \"%w_%s_1\" WHERE " AFTER \
	" AND (at, host, proto, port) <= (?5, ?6, ?7, ?8) AND at <= ?5" \
	" ON CONFLICT(at, host, proto, port) DO UPDATE SET flows = flows + excluded.flows," \
	" orig_packets = orig_packets + excluded.orig_packets," \
	" orig_bytes = orig_bytes + excluded.orig_bytes," \
	" reply_packets = reply_packets + excluded.reply_packets," \
	" reply_bytes = reply_bytes + excluded.reply_bytes"

static int
rows_coarsen(struct sq_sink *s, const struct roll *r, const struct sq_bucket *to)
{
	char *sql = sqlite3_mprintf(COARSEN, r->table, r->name, (long long)r->ratio, r->table,
				    r->fine);
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK) {
		after_bind(st, r);
		sq_bucket_bind(st, 5, to);
		rc = sqlite3_step(st);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/*
 * Some rows of the hour (day) at hand; with none left it is made, and so are
 * those without any up to the next one that has some.
 */
static int
some_rows(struct sq_sink *s, struct roll *r, bool *ret_more)
{
	int64_t end = (r->l.next + 1) * r->ratio;
	struct sq_bucket first, to;
	int rc = row_look(s, r, r->limit * r->ratio, 0, &first);

	if (rc != SQLITE_OK)
		return rc;
	if (first.at < 0 || first.at >= end) {
		r->l.next = first.at < 0 ? r->limit : first.at / r->ratio;
		r->l.done.at = -1;
		*ret_more = first.at >= 0;
		return SQLITE_OK;
	}
	rc = row_look(s, r, end, STEP_ROWS - 1, &to);
	if (to.at < 0)
		to = last_of(end - 1);
	if (rc == SQLITE_OK)
		rc = rows_coarsen(s, r, &to);
	r->l.done = to;
	*ret_more = true;
	return rc;
}

static int
step_run(struct sq_sink *s, struct roll *r, bool *ret_more)
{
	struct sq_level level[SQ_LEVELS];
	int rc = sq_levels_read(s, level);

	if (rc != SQLITE_OK)
		return rc;
	r->l = level[r->level];
	if (r->level == SQ_DAY && r->limit > level[SQ_HOUR].next / r->ratio)
		r->limit = level[SQ_HOUR].next / r->ratio;
	*ret_more = false;
	if (r->l.next >= r->limit)
		return SQLITE_OK;
	rc = some_rows(s, r, ret_more);
	return rc == SQLITE_OK ? level_write(s, r->level, &r->l) : rc;
}

/* Some rows of one level. */
static int
level_step(struct sq_sink *s, unsigned level, int64_t now, bool *ret_more)
{
	struct roll r = { .level = level,
			  .limit = (now - GRACE_NS) / unit_ns[level],
			  .table = SQ_CONF(s)->table,
			  .fine = sq_level_name[level - 1],
			  .name = sq_level_name[level],
			  .ratio = sq_level_ratio[level] };
	int rc = sq_spare_begin(s);

	if (rc != SQLITE_OK)
		return rc;
	rc = step_run(s, &r, ret_more);
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK)
		sq_spare_rollback(s);
	return rc;
}

int
sq_rollup_step(struct sq_sink *s, int *ret_ms)
{
	int64_t wait = s->has_sums ? s->roll_ns - sq_boot_ns() : 0;
	struct sq_clock clock;
	bool more = false;
	int rc = SQLITE_OK;

	*ret_ms = s->has_sums ? (int)(wait / 1000000) + 1 : -1;
	if (!s->has_sums || wait > 0)
		return SQLITE_OK;
	sq_clock_look(&clock);
	for (unsigned i = SQ_HOUR; i < SQ_LEVELS && rc == SQLITE_OK && !more; i++)
		rc = level_step(s, i, clock.wall_ns, &more);
	s->roll_ns = more ? 0 : clock.boot_ns + LOOK_NS;
	*ret_ms = more ? 0 : (int)(LOOK_NS / 1000000);
	return rc;
}
