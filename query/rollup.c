/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollup.c - what the sums by day, hour and minute of a database answer.
 *
 * A range is cut into whole days, what is left of it into whole hours, then
 * minutes, and the rest is added up flow by flow.  `meta` says from which bucket
 * on each table is whole, and up to which it has been made.
 */
#include <errno.h>
#include <sys/socket.h>

#include "sums.h"

#define LEVELS 3

static const struct {
	const char *name;
	int64_t ns;
	unsigned by;
} levels[LEVELS] = {
	{ "day", INT64_C(86400000000000), SUMS_BY_DAY },
	{ "hour", INT64_C(3600000000000), SUMS_BY_HOUR },
	{ "minute", INT64_C(60000000000), SUMS_BY_MINUTE },
};

static const char *
column(enum sums_key key)
{
	switch (key) {
	case SUMS_SRC:
		return "host";
	case SUMS_PORT:
		return "port";
	case SUMS_SERVICE:
		return "proto * 65536 + port";
	case SUMS_PROTO:
		return "proto";
	case SUMS_ALL:
		return "0";
	default:
		return NULL;
	}
}

/* ---- which there are -------------------------------------------------------- */

int
rollup_meta(struct q_db *db, const char *what, int64_t none, int64_t *ret_x,
	    struct ctf_err *err)
{
	char key[300];
	int r;

	snprintf(key, sizeof(key), "%s:%.256s", what, db->table);
	r = q_db_int(db,
		     "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1 COLLATE NOCASE",
		     key, ret_x, err);
	if (r != -ENOENT)
		return r;
	*ret_x = none;
	return 0;
}

static int
bounds(struct q_db *db, struct rollup *ro, struct ctf_err *err)
{
	char what[32];
	int r = 0;

	for (unsigned i = 0; i < LEVELS && r == 0; i++) {
		snprintf(what, sizeof(what), "rollup_from:%s", levels[i].name);
		r = rollup_meta(db, what, 0, &ro->from[i], err);
		snprintf(what, sizeof(what), "rolled:%s", levels[i].name);
		if (r == 0) /* minutes are written at once */
			r = rollup_meta(db, what, i == LEVELS - 1 ? INT64_MAX : 0, &ro->to[i],
					err);
	}
	return r;
}

int
rollup_open(const struct sums *s, struct q_db *db, struct rollup *ret_rollup,
	    struct ctf_err *err)
{
	struct rollup ro = { .is = true };
	int64_t on = 0;
	int r = 0;

	if (s->words->expr || !column(s->key) || db->version < 3 || db->stamped || db->received)
		return 0;
	r = rollup_meta(db, "rollups", 0, &on, err);
	if (r == 0 && on)
		r = bounds(db, &ro, err);
	if (r == 0 && on)
		*ret_rollup = ro;
	return r;
}

/* ---- adding up ---------------------------------------------------------------- */

static void
key_read(enum sums_key key, sqlite3_stmt *st, struct tally_key *k)
{
	int64_t x = sqlite3_column_int64(st, 0);

	if (key == SUMS_SRC && sqlite3_column_type(st, 0) == SQLITE_BLOB &&
	    sqlite3_column_bytes(st, 0) == 16) {
		k->family = AF_INET6;
		memcpy(k->ip, sqlite3_column_blob(st, 0), 16);
	} else if (key == SUMS_SRC && sqlite3_column_type(st, 0) == SQLITE_INTEGER) {
		k->family = AF_INET;
		for (unsigned i = 0; i < 4; i++)
			k->ip[i] = (uint8_t)((uint32_t)x >> (24 - 8 * i));
	} else if (key == SUMS_PORT) {
		k->has = x != 0;
		k->n = (uint16_t)x;
	} else if (key == SUMS_PROTO || key == SUMS_SERVICE) {
		k->has = x >= 0;
		k->n = x >= 0 ? (uint32_t)x : 0;
	}
}

static int
rows_add(struct sums *s, sqlite3_stmt *st)
{
	struct tally_key k;
	struct tally_sum sum;
	int r = 0;

	while (r == 0 && sqlite3_step(st) == SQLITE_ROW) {
		memset(&k, 0, sizeof(k)); /* it is compared as memory */
		k.slot = s->slot;
		key_read(s->key, st, &k);
		sum = (struct tally_sum){ (uint64_t)sqlite3_column_int64(st, 1),
					  (uint64_t)sqlite3_column_int64(st, 2),
					  (uint64_t)sqlite3_column_int64(st, 3),
					  (uint64_t)sqlite3_column_int64(st, 4),
					  (uint64_t)sqlite3_column_int64(st, 5) };
		r = sums_add(s, &k, &sum);
		if (q_cancelled(s->q))
			r = -EINTR;
	}
	return r;
}

/* Buckets from..to of one table. */
static int
table_add(struct sums *s, struct q_db *db, unsigned level, int64_t from, int64_t to,
	  struct ctf_err *err)
{
	const char *col = column(s->key);
	sqlite3_stmt *st = NULL;
	int r = q_db_prepare(
		db,
		sqlite3_mprintf("SELECT %s, sum(flows), sum(orig_packets), sum(orig_bytes),"
				" sum(reply_packets), sum(reply_bytes) FROM \"%w_%s_1\" WHERE"
				" at >= ?1 AND at < ?2 GROUP BY 1",
				col, db->table, levels[level].name),
		&st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, from);
	sqlite3_bind_int64(st, 2, to);
	s->from |= levels[level].by;
	r = rows_add(s, st);
	if (r == 0 && sqlite3_finalize(st) != SQLITE_OK)
		return q_sql_failed(db, err);
	if (r < 0)
		sqlite3_finalize(st);
	return r == -ENOMEM  ? ctf_fail(err, ENOMEM, "out of memory")
	       : r == -EINTR ? ctf_fail(err, EINTR, "interrupted")
			     : r;
}

/* The first bucket that begins at `ns` or later; the one before which `ns` lies. */
static int64_t
bucket_up(int64_t ns, int64_t size)
{
	return ns <= 0 ? 0 : ns / size + (ns % size != 0);
}

/* Level by level; what is left on both sides is the next one's. */
static int
cover(struct sums *s, struct q_db *db, const struct rollup *ro, unsigned level, int64_t from,
      int64_t to, struct ctf_err *err)
{
	int64_t size, a, b;
	int r;

	if (from >= to)
		return 0;
	if (level == LEVELS)
		return sums_flows(s, db, from, to, err);
	size = levels[level].ns;
	a = bucket_up(from, size);
	b = to == INT64_MAX ? INT64_MAX / size : (to < 0 ? 0 : to / size);
	a = a < ro->from[level] ? ro->from[level] : a;
	b = b > ro->to[level] ? ro->to[level] : b;
	if (a >= b)
		return cover(s, db, ro, level + 1, from, to, err);
	r = cover(s, db, ro, level + 1, from, a * size, err);
	if (r == 0)
		r = table_add(s, db, level, a, b, err);
	if (r == 0 && (to != INT64_MAX || b < INT64_MAX / size))
		r = cover(s, db, ro, level + 1, b * size, to, err);
	return r;
}

int
rollup_add(struct sums *s, struct q_db *db, const struct rollup *ro, int64_t from, int64_t to,
	   struct ctf_err *err)
{
	if (!ro->is)
		return sums_flows(s, db, from, to, err);
	return cover(s, db, ro, 0, from < 0 ? 0 : from, to, err);
}
