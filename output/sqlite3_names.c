/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: who had an address.  A row of `names` says that from its time on the
 * address has that name ('': none), until the next row of the address.  NAMES
 * gives with each name since when it is so, so that rows may come in any order
 * of their times; what it only assumes, as nothing was known before, does not
 * change what the table knows.
 *
 * Nearly all records say what the table has: those are found in a cache.
 */
#include <stdlib.h>

#include "sqlite3_spare.h"

#define CACHE 16384u      /* addresses */
#define FILTER (1u << 19) /* bits: addresses the table may know */

const char *const sq_name_fields[SQ_N_COUNT] = {
	[SQ_N_SRC] = "orig.ip.saddr.name",
	[SQ_N_SRC_NS] = "orig.ip.saddr.name.ns",
	[SQ_N_DST] = "orig.ip.daddr.name",
	[SQ_N_DST_NS] = "orig.ip.daddr.name.ns",
};

struct known { /* in the cache: of that address, from..until, the name is so */
	uint8_t ip[16];
	uint8_t len; /* of ip; 0: free */
	uint64_t name;
	int64_t from, until;
};

enum { ST_BEFORE, ST_AFTER, ST_PUT, ST_DROP, ST_FROM, ST_COUNT };
#define SOME "1000" /* rows that one cut looks at */

struct sq_names {
	sqlite3_stmt *st[ST_COUNT];
	int map[SQ_N_COUNT]; /* places in the layout, or -1 */
	int64_t began;       /* before that NAMES of this run was not there */
	struct known *cache;
	uint64_t filter[FILTER / 64];
	sqlite3_value *cut_addr; /* how far sq_names_cut() came; NULL: the beginning */
	int64_t cut_from;
};

struct said { /* by a record */
	const uint8_t *ip;
	unsigned len;
	uint64_t hash; /* of the address */
	int64_t at, since;
	bool known; /* since is */
	struct sq_text name;
};

struct entry { /* of the table */
	bool there;
	int64_t from;
	uint64_t name; /* its hash */
};

static uint64_t
name_hash(const void *p, size_t n)
{
	return n ? ctf_hash(CTF_HASH, p, n) : 0;
}

/* ---- the table -------------------------------------------------------------- */

int
sq_names_ready(struct sq_sink *s)
{
	static const char *const sql[ST_COUNT] = {
		[ST_BEFORE] = "SELECT from_ns, name FROM names WHERE addr = ?1 AND"
			      " from_ns <= ?2 ORDER BY from_ns DESC LIMIT 1",
		[ST_AFTER] = "SELECT from_ns, name FROM names WHERE addr = ?1 AND"
			     " from_ns > ?2 ORDER BY from_ns LIMIT 1",
		[ST_PUT] = "INSERT OR REPLACE INTO names VALUES(?1, ?2, ?3)",
		[ST_DROP] = "DELETE FROM names WHERE addr = ?1 AND from_ns = ?2",
		[ST_FROM] = "SELECT addr, from_ns FROM names WHERE (addr, from_ns) >= (?1, ?2)"
			    " ORDER BY addr, from_ns LIMIT " SOME,
	};
	struct sq_names *n = calloc(1, sizeof(*n));
	int rc = SQLITE_OK;

	if (!n)
		return SQLITE_NOMEM;
	s->names = n;
	n->began = (int64_t)s->since;
	for (unsigned i = 0; i < SQ_N_COUNT; i++)
		n->map[i] = -1;
	for (unsigned i = 0; i < ST_COUNT && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &n->st[i],
					NULL);
	return rc == SQLITE_OK && s->layout.text ? sq_names_map(s) : rc;
}

void
sq_names_close(struct sq_sink *s)
{
	if (!s->names)
		return;
	for (unsigned i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(s->names->st[i]);
	sqlite3_value_free(s->names->cut_addr);
	free(s->names->cache);
	free(s->names);
	s->names = NULL;
}

static void
bind_key(sqlite3_stmt *st, const struct said *a, int64_t at)
{
	if (a->len == 4)
		sqlite3_bind_int64(st, 1,
				   (int32_t)((uint32_t)a->ip[0] << 24 |
					     (uint32_t)a->ip[1] << 16 |
					     (uint32_t)a->ip[2] << 8 | a->ip[3]));
	else
		sqlite3_bind_blob(st, 1, a->ip, (int)a->len, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, at);
}

static int
entry_get(sqlite3_stmt *st, const struct said *a, struct entry *ret_e)
{
	int rc;

	bind_key(st, a, a->at);
	rc = sqlite3_step(st);
	ret_e->there = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW) {
		const void *text = sqlite3_column_text(st, 1);

		ret_e->from = sqlite3_column_int64(st, 0);
		ret_e->name = name_hash(text, (size_t)sqlite3_column_bytes(st, 1));
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
entry_put(struct sq_names *n, const struct said *a, int64_t from)
{
	bind_key(n->st[ST_PUT], a, from);
	sqlite3_bind_text(n->st[ST_PUT], 3, a->name.len ? a->name.p : "", a->name.len,
			  SQLITE_STATIC);
	return sq_run(n->st[ST_PUT]);
}

static int
entry_drop(struct sq_names *n, const struct said *a, int64_t from)
{
	bind_key(n->st[ST_DROP], a, from);
	return sq_run(n->st[ST_DROP]);
}

/* ---- what is known of it ------------------------------------------------------- */

/* Whether the table may know the address. */
static bool
may_have(const struct sq_names *n, const struct said *a)
{
	return n->filter[a->hash % FILTER / 64] >> a->hash % 64 & 1;
}

static void
now_has(struct sq_names *n, uint64_t hash)
{
	n->filter[hash % FILTER / 64] |= UINT64_C(1) << hash % 64;
}

static struct known *
cached(const struct sq_names *n, const struct said *a)
{
	return &n->cache[(a->hash >> 20) % CACHE];
}

static bool
is_cached(const struct sq_names *n, const struct said *a)
{
	const struct known *k = cached(n, a);

	return k->len == a->len && memcmp(k->ip, a->ip, a->len) == 0 && k->from <= a->at &&
	       a->at < k->until && k->name == name_hash(a->name.p, a->name.len);
}

static void
cache(struct sq_names *n, const struct said *a, int64_t from, const struct entry *after)
{
	struct known *k = cached(n, a);

	memcpy(k->ip, a->ip, a->len);
	k->len = (uint8_t)a->len;
	k->name = name_hash(a->name.p, a->name.len);
	k->from = from;
	k->until = after->there ? after->from : INT64_MAX;
}

void
sq_names_forget(struct sq_sink *s)
{
	if (s->names && s->names->cache)
		memset(s->names->cache, 0, CACHE * sizeof(*s->names->cache));
}

/* The addresses that earlier runs named; the filter only grows. */
static int
filter_fill(struct sq_sink *s)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "SELECT DISTINCT addr FROM names", -1, &st, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		bool v4 = sqlite3_column_type(st, 0) == SQLITE_INTEGER;
		uint32_t x = v4 ? (uint32_t)sqlite3_column_int64(st, 0) : 0;
		const uint8_t ip[4] = { (uint8_t)(x >> 24), (uint8_t)(x >> 16),
					(uint8_t)(x >> 8), (uint8_t)x };
		const void *p = v4 ? ip : sqlite3_column_blob(st, 0);

		if (p)
			now_has(s->names,
				ctf_hash(CTF_HASH, p,
					 v4 ? 4 : (size_t)sqlite3_column_bytes(st, 0)));
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- records ----------------------------------------------------------------------- */

/* What the record says is not so yet, or the cache does not know. */
static int
tell(struct sq_names *n, const struct said *a)
{
	uint64_t name = name_hash(a->name.p, a->name.len);
	struct entry before, after;
	bool assumed = !a->known || a->since > a->at;
	int64_t from = a->at;
	int rc = entry_get(n->st[ST_BEFORE], a, &before);

	if (rc == SQLITE_OK)
		rc = entry_get(n->st[ST_AFTER], a, &after);
	if (rc != SQLITE_OK)
		return rc;
	if (before.there ? before.name == name : !name) {
		cache(n, a, before.there ? before.from : INT64_MIN, &after);
		return SQLITE_OK;
	}
	if (before.there && assumed)
		return SQLITE_OK; /* the table knows better */
	if (!assumed && !(before.there && a->since <= before.from))
		from = a->since;
	rc = entry_put(n, a, from);
	if (rc == SQLITE_OK && after.there && after.name == name) {
		rc = entry_drop(n, a, after.from);
		after = (struct entry){ .there = true, .from = after.from };
	}
	now_has(n, a->hash);
	cache(n, a, from, &after);
	return rc;
}

static int
side(struct sq_sink *s, const struct sq_flow *f, const struct sq_cell *ip, unsigned field,
     int64_t at)
{
	struct sq_names *n = s->names;
	int place = n->map[field], since = n->map[field + 1];
	struct said a = { .ip = ip->p, .len = ip->len, .at = at };

	if (!ip->has || place < 0 || since < 0)
		return SQLITE_OK;
	if (f->cells[place].has)
		a.name = (struct sq_text){ (const char *)f->cells[place].p,
					   (uint16_t)f->cells[place].len };
	a.hash = ctf_hash(CTF_HASH, a.ip, a.len);
	if (!a.name.len && !may_have(n, &a))
		return SQLITE_OK;
	a.known = f->cells[since].has;
	a.since = a.known && f->cells[since].u <= SQ_AT_MAX ? (int64_t)f->cells[since].u : 0;
	/* Nobody names it any more: so it is since this run began. */
	if (!a.known && at >= n->began) {
		a.known = true;
		a.since = n->began;
	}
	return is_cached(n, &a) ? SQLITE_OK : tell(n, &a);
}

static int64_t
time_of(const struct sq_flow *f)
{
	int64_t at = f->v[SQ_C_AT];

	if (sq_flow_has(f, SQ_C_SEEN))
		return f->v[SQ_C_SEEN];
	return f->end_ns && f->end_ns < at ? f->end_ns : at;
}

/* With profile=nat, and nothing but the destination translated, the source is not stored. */
static bool
keeps_source(const struct sq_sink *s, const struct sq_flow *f)
{
	return SQ_CONF(s)->profile != SQ_NAT || sq_flow_has(f, SQ_C_NSRC) ||
	       !sq_flow_has(f, SQ_C_NDST);
}

int
sq_names_row(struct sq_sink *s, const struct sq_flow *f)
{
	struct sq_names *n = s->names;
	int64_t at;
	int rc = SQLITE_OK;

	if (!n || !n->cache)
		return SQLITE_OK;
	at = time_of(f);
	if (s->map[F_SADDR] >= 0 && keeps_source(s, f))
		rc = side(s, f, &f->cells[s->map[F_SADDR]], SQ_N_SRC, at);
	if (rc == SQLITE_OK && s->map[F_DADDR] >= 0)
		rc = side(s, f, &f->cells[s->map[F_DADDR]], SQ_N_DST, at);
	return rc;
}

/* Without NAMES there is no cache, and no work. */
int
sq_names_map(struct sq_sink *s)
{
	struct sq_names *n = s->names;

	if (!n)
		return SQLITE_OK;
	for (unsigned i = 0; i < SQ_N_COUNT; i++)
		n->map[i] = sq_layout_find(&s->layout, sq_name_fields[i]);
	if (n->map[SQ_N_SRC] < 0 && n->map[SQ_N_DST] < 0) {
		free(n->cache);
		n->cache = NULL;
		return SQLITE_OK;
	}
	if (n->cache)
		return SQLITE_OK;
	n->cache = calloc(CACHE, sizeof(*n->cache));
	return n->cache ? filter_fill(s) : SQLITE_NOMEM;
}

/* ---- what is old ---------------------------------------------------------------------- */

static bool
same_addr(sqlite3_value *a, sqlite3_value *b)
{
	if (!a || sqlite3_value_type(a) != sqlite3_value_type(b))
		return false;
	if (sqlite3_value_type(a) == SQLITE_INTEGER)
		return sqlite3_value_int64(a) == sqlite3_value_int64(b);
	return sqlite3_value_bytes(a) == sqlite3_value_bytes(b) &&
	       memcmp(sqlite3_value_blob(a), sqlite3_value_blob(b),
		      (size_t)sqlite3_value_bytes(a)) == 0;
}

/* The row is the next one of the walk: the one before goes, if this one is old, too. */
static int
cut_one(struct sq_names *n, sqlite3_value *addr, int64_t from, int64_t before)
{
	sqlite3_stmt *st = n->st[ST_DROP];
	int rc = SQLITE_OK;

	if (same_addr(n->cut_addr, addr) && n->cut_from < from && from <= before) {
		sqlite3_bind_value(st, 1, n->cut_addr);
		sqlite3_bind_int64(st, 2, n->cut_from);
		rc = sq_run(st);
	}
	sqlite3_value_free(n->cut_addr);
	n->cut_addr = sqlite3_value_dup(addr);
	n->cut_from = from;
	return n->cut_addr ? rc : SQLITE_NOMEM;
}

static int
cut_some(struct sq_names *n, int64_t before)
{
	sqlite3_stmt *st = n->st[ST_FROM];
	unsigned rows = 0, most = (unsigned)atoi(SOME);
	int rc = SQLITE_OK;

	if (n->cut_addr)
		sqlite3_bind_value(st, 1, n->cut_addr);
	else
		sqlite3_bind_int64(st, 1, INT64_MIN);
	sqlite3_bind_int64(st, 2, n->cut_addr ? n->cut_from : INT64_MIN);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		rows++;
		rc = cut_one(n, sqlite3_column_value(st, 0), sqlite3_column_int64(st, 1),
			     before);
	}
	sqlite3_reset(st);
	if (rc == SQLITE_DONE && rows < most) { /* again from the beginning */
		sqlite3_value_free(n->cut_addr);
		n->cut_addr = NULL;
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
sq_names_cut(struct sq_sink *s, int64_t before_ns)
{
	int rc = sq_spare_begin(s);

	if (rc == SQLITE_OK)
		rc = cut_some(s->names, before_ns);
	return rc == SQLITE_OK ? sq_spare_commit(s) : rc;
}
