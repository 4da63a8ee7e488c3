/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: the sums of one transaction, in memory and into the tables. */
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3_clock.h"
#include "sqlite3_meta.h"
#include "sqlite3_rollup.h"

#define MOST 32768u /* sums; more go into the table at once */

/* ---- the sums of this transaction ------------------------------------------------- */

static uint32_t *
slot_of(const struct sq_rollup *r, const struct sq_bucket *key)
{
	uint64_t h = ctf_hash(CTF_HASH, &key->at, sizeof(key->at));
	unsigned i;

	h = ctf_hash(h, key->host, key->host_len);
	h = ctf_hash(h, &key->proto, sizeof(key->proto));
	h = ctf_hash(h, &key->port, sizeof(key->port));
	h ^= h >> 32;
	for (i = (unsigned)h & (2 * r->room - 1); r->slots[i]; i = (i + 1) & (2 * r->room - 1))
		if (sq_bucket_compare(&r->sums[r->slots[i] - 1].key, key) == 0)
			break;
	return &r->slots[i];
}

static int
grow(struct sq_rollup *r)
{
	unsigned room = r->room ? 2 * r->room : 256;
	uint32_t *slots = calloc(2 * (size_t)room, sizeof(*slots));
	struct sq_sum *sums = slots ? realloc(r->sums, room * sizeof(*sums)) : NULL;

	if (!sums) {
		free(slots);
		return SQLITE_NOMEM;
	}
	free(r->slots);
	r->slots = slots;
	r->sums = sums;
	r->room = room;
	for (unsigned i = 0; i < r->n; i++)
		*slot_of(r, &sums[i].key) = i + 1;
	return SQLITE_OK;
}

/* Numbers of frames may be anything: they wrap. */
static int64_t
plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t
minus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int
add(struct sq_sink *s, const struct sq_bucket *key, const int64_t n[SQ_P_COUNT])
{
	struct sq_rollup *r = s->roll;
	uint32_t *slot;
	int rc = SQLITE_OK;

	if (r->n == MOST)
		rc = sq_rollup_store(s);
	if (rc == SQLITE_OK && r->n == r->room)
		rc = grow(r);
	if (rc != SQLITE_OK)
		return rc;
	slot = slot_of(r, key);
	if (!*slot) {
		r->sums[r->n] = (struct sq_sum){ .key = *key };
		*slot = ++r->n;
	}
	for (unsigned i = 0; i < SQ_P_COUNT; i++)
		r->sums[*slot - 1].n[i] = plus(r->sums[*slot - 1].n[i], n[i]);
	return SQLITE_OK;
}

/* What is new of a flow. */
static int
flow_add(struct sq_sink *s, const struct sq_flow *f, int64_t ns, int64_t flows)
{
	int64_t n[SQ_P_COUNT] = { flows };
	struct sq_bucket key;

	for (unsigned i = 0; i < 4; i++) {
		if (sq_flow_has(f, SQ_C_PACKETS + i))
			n[SQ_P_PACKETS + i] = f->v[SQ_C_PACKETS + i];
		if (f->was_open)
			n[SQ_P_PACKETS + i] = minus(n[SQ_P_PACKETS + i], f->was[i]);
	}
	sq_bucket_of(f, ns, &key);
	return add(s, &key, n);
}

int
sq_rollup_row(struct sq_sink *s, const struct sq_ref *ref, const struct sq_flow *f)
{
	int64_t at = f->v[SQ_C_AT];

	if (!s->roll || ref->flags & SQ_REF_REPEAT)
		return SQLITE_OK;
	if (ref->flags & SQ_REF_LIVES)
		return flow_add(s, f, f->v[SQ_C_SEEN], 0);
	return flow_add(s, f, f->end_ns && f->end_ns < at ? f->end_ns : at, 1);
}

int
sq_rollup_unsee(struct sq_sink *s, const struct sq_flow *f, const int64_t sums[4])
{
	int64_t n[SQ_P_COUNT] = { 0 };
	struct sq_bucket key;

	if (!s->roll)
		return SQLITE_OK;
	for (unsigned i = 0; i < 4; i++)
		n[SQ_P_PACKETS + i] = minus(sums[i], f->was[i]);
	sq_bucket_of(f, f->was_seen_ns, &key);
	return add(s, &key, n);
}

static int
less(struct sq_sink *s, sqlite3_stmt *st)
{
	struct sq_bucket key = { .at = sqlite3_column_int64(st, 0) / SQ_MINUTE_NS,
				 .proto = -1 };
	int64_t n[SQ_P_COUNT] = { 0 };

	sq_host_read(st, 1, &key);
	if (sqlite3_column_type(st, 2) != SQLITE_NULL)
		key.proto = (int16_t)sqlite3_column_int(st, 2);
	key.port = sq_service_of(key.proto, sqlite3_column_int64(st, 3));
	for (int i = 0; i < 4; i++)
		n[SQ_P_PACKETS + i] = minus(0, sqlite3_column_int64(st, 4 + i));
	return add(s, &key, n);
}

int
sq_rollup_less(struct sq_sink *s, char *sql)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE;

	if (s->roll)
		rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		rc = less(s, st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void
sq_rollup_reset(struct sq_sink *s)
{
	struct sq_rollup *r = s->roll;

	if (!r)
		return;
	r->n = 0;
	if (r->slots)
		memset(r->slots, 0, 2 * (size_t)r->room * sizeof(*r->slots));
}

/*
 * SQL function: the flow at hand is in the table already.  Whether it has been
 * seen again, and the four counters told before.
 */
static void
on_seen(sqlite3_context *ctx, int n, sqlite3_value **arg)
{
	struct sq_sink *s = sqlite3_user_data(ctx);
	bool again = !sqlite3_value_int(arg[0]);

	if (again)
		sq_row_at(s)->flags |= SQ_REF_REPEAT;
	s->flow->was_open = true;
	for (int i = 0; i < 4; i++)
		s->flow->was[i] = sqlite3_value_int64(arg[1 + i]);
	sqlite3_result_int(ctx, !again);
}

/* ---- into the tables ----------------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
	return sq_bucket_compare(&((const struct sq_sum *)a)->key,
				 &((const struct sq_sum *)b)->key);
}

int
sq_rollup_store(struct sq_sink *s)
{
	struct sq_rollup *r = s->roll;
	int rc;

	if (!r || r->n == 0)
		return SQLITE_OK;
	/* Another output may fill the same table: the database knows best. */
	rc = sq_levels_read(s, r->level);
	qsort(r->sums, r->n, sizeof(*r->sums), by_key);
	if (rc == SQLITE_OK)
		rc = sq_rollup_put(r);
	if (rc == SQLITE_OK)
		sq_rollup_reset(s);
	return rc;
}

/* ---- opening ------------------------------------------------------------------------- */

#define SUMS "flows, orig_packets, orig_bytes, reply_packets, reply_bytes"
#define TABLE \
	"CREATE TABLE IF NOT EXISTS \"%w_%s_1\"(at INTEGER NOT NULL, host NOT NULL," \
	" proto INTEGER NOT NULL, port INTEGER NOT NULL, flows INTEGER, orig_packets INTEGER," \
	" orig_bytes INTEGER, reply_packets INTEGER, reply_bytes INTEGER," \
	" PRIMARY KEY(at, host, proto, port)) WITHOUT ROWID;"

static int
view_make(struct sq_sink *s, unsigned level, int seconds)
{
	const char *table = SQ_CONF(s)->table, *name = sq_level_name[level];
	sqlite3_str *sql = sqlite3_str_new(s->db);

	sqlite3_str_appendf(
		sql,
		"CREATE VIEW IF NOT EXISTS \"%w_%s\" AS SELECT at * %d AS at_s,"
		" strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', at * %d, 'unixepoch') AS at, ",
		table, name, seconds, seconds);
	sq_put_addr(sql, "host");
	sqlite3_str_appendf(sql, "nullif(proto, -1) AS proto, port, " SUMS " FROM \"%w_%s_1\"",
			    table, name);
	return sq_exec(s->db, sqlite3_str_finish(sql));
}

static int
tables_make(struct sq_sink *s)
{
	const char *table = SQ_CONF(s)->table;
	int seconds = 60, rc = SQLITE_OK;

	for (unsigned i = 0; i < SQ_LEVELS && rc == SQLITE_OK; i++) {
		seconds *= (int)sq_level_ratio[i];
		rc = sq_exec(s->db, sqlite3_mprintf(TABLE, table, sq_level_name[i]));
		if (rc == SQLITE_OK)
			rc = view_make(s, i, seconds);
	}
	return rc;
}

/* What was stored before has not been summed up: the sums begin with the next... */
static int
begin_late(struct sq_sink *s)
{
	int64_t unit = SQ_MINUTE_NS, now;
	struct sq_clock clock;
	char what[32];
	int rc = SQLITE_OK;

	sq_clock_look(&clock);
	now = clock.wall_ns;
	for (unsigned i = 0; i < SQ_LEVELS && rc == SQLITE_OK; i++) {
		unit *= sq_level_ratio[i];
		snprintf(what, sizeof(what), "rollup_from:%s", sq_level_name[i]);
		rc = sq_meta_set_num(s, what, now / unit + 1);
	}
	return rc;
}

static int
begin(struct sq_sink *s)
{
	char text[8];
	int64_t days = 0;
	int rc = sq_meta_get(s, "rollups", text, sizeof(text));

	if (rc != SQLITE_OK || text[0] == '1')
		return rc;
	rc = sq_number(
		s->db,
		sqlite3_mprintf("SELECT count(*) FROM days WHERE view = %Q", SQ_CONF(s)->table),
		0, &days);
	if (rc == SQLITE_OK && (days || s->table.stamped || s->table.received))
		rc = begin_late(s);
	return rc == SQLITE_OK ? sq_meta_set(s, "rollups", "1") : rc;
}

#define WHAT(t) "'" t ":minute:%q', '" t ":hour:%q', '" t ":day:%q'"

static int
levels_prepare(struct sq_sink *s)
{
	const char *t = SQ_CONF(s)->table;
	char *sql = sqlite3_mprintf(
		"SELECT key, value FROM meta WHERE key COLLATE NOCASE IN (" WHAT(
			"rolled") ", " WHAT("rolling") ", " WHAT("rollup_from") ")",
		t, t, t, t, t, t, t, t, t);
	int rc = sq_prepare(s, SQ_ST_LEVELS, sql);

	sqlite3_free(sql);
	return rc;
}

static int
sums_ready(struct sq_sink *s)
{
	int rc = sq_run(s->st[SQ_ST_BEGIN]);

	if (rc == SQLITE_OK)
		rc = tables_make(s);
	if (rc == SQLITE_OK)
		rc = begin(s);
	if (rc == SQLITE_OK)
		rc = sq_run(s->st[SQ_ST_COMMIT]);
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sq_rollup_put_ready(s);
	s->has_sums = rc == SQLITE_OK;
	return rc;
}

/* profile=nat keeps none, but those of another profile are to go when it is time. */
static int
sums_end(struct sq_sink *s)
{
	int64_t n = 0;
	int rc = sq_number(s->db,
			   sqlite3_mprintf("SELECT count(*) FROM sqlite_master WHERE type ="
					   " 'table' AND name = '%q_minute_1'",
					   SQ_CONF(s)->table),
			   0, &n);

	s->has_sums = n > 0;
	return rc == SQLITE_OK ? sq_meta_set(s, "rollups", "0") : rc;
}

int
sq_rollup_ready(struct sq_sink *s)
{
	int rc = sqlite3_create_function(s->db, "ctflow_seen", 5,
					 SQLITE_UTF8 | SQLITE_DIRECTONLY, s, on_seen, NULL,
					 NULL);

	sq_rollup_free(s);
	s->roll_ns = 0;
	if (rc == SQLITE_OK)
		rc = levels_prepare(s);
	if (rc != SQLITE_OK || SQ_CONF(s)->profile == SQ_NAT)
		return rc == SQLITE_OK ? sums_end(s) : rc;
	s->roll = calloc(1, sizeof(*s->roll));
	if (!s->roll || grow(s->roll) != SQLITE_OK)
		return SQLITE_NOMEM;
	return sums_ready(s);
}

void
sq_rollup_free(struct sq_sink *s)
{
	if (!s->roll)
		return;
	for (unsigned i = 0; i < SQ_LEVELS; i++)
		sqlite3_finalize(s->roll->put[i]);
	free(s->roll->slots);
	free(s->roll->sums);
	free(s->roll);
	s->roll = NULL;
}
