/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what is deleted, when, and what is said of it. */
#include <stdlib.h>
#include <time.h>

#include "sqlite3_keep.h"
#include "sqlite3_rollup.h"

#define SOME_FIRST 4000
#define SOME_LEAST 100
#define ROW_BYTES 100 /* with its index entries */
#define LOOK_MS 60000u
#define LOOK_LEAST_MS 200u
#define NS_MS INT64_C(1000000)
#define SAY_NS INT64_C(600000000000)
#define HOUR_NS INT64_C(3600000000000)

struct limits {
	int64_t flows;           /* those that ended before may go; INT64_MIN: none */
	int64_t sums[SQ_LEVELS]; /* minutes, hours, days before; INT64_MIN: none */
	int64_t slack;           /* they may wait that long for others to go with them */
};

/* ---- by age ------------------------------------------------------------------ */

static const int64_t unit_ns[SQ_LEVELS] = { 60 * INT64_C(1000000000), HOUR_NS, 24 * HOUR_NS };

static int64_t
before(int64_t now, uint64_t age_ms)
{
	return age_ms ? now - (int64_t)age_ms * NS_MS : INT64_MIN;
}

static void
limits_of(const struct sq_conf *c, int64_t now, struct limits *ret_limits)
{
	const uint64_t ages[SQ_LEVELS] = { c->keep_minutes, c->keep_hours, c->keep_days };

	ret_limits->flows = before(now, c->keep);
	ret_limits->slack = (int64_t)c->keep * NS_MS / 50;
	if (ret_limits->slack > HOUR_NS)
		ret_limits->slack = HOUR_NS;
	for (unsigned i = 0; i < SQ_LEVELS; i++) {
		int64_t ns = before(now, ages[i]);

		ret_limits->sums[i] = ns == INT64_MIN ? ns : ns / unit_ns[i];
	}
}

/* No flow and no sum is left of that time; INT64_MIN: some are kept for ever. */
static int64_t
all_before(const struct sq_sink *s, const struct limits *l)
{
	int64_t ns = l->flows;

	for (unsigned i = 0; i < SQ_LEVELS && s->has_sums; i++) {
		if (l->sums[i] == INT64_MIN)
			return INT64_MIN;
		if (l->sums[i] * unit_ns[i] < ns)
			ns = l->sums[i] * unit_ns[i];
	}
	return ns;
}

/* ---- by size ----------------------------------------------------------------- */

/* Bytes of the pages that hold something. */
static int
used_bytes(struct sq_sink *s, uint64_t *ret_used)
{
	int64_t pages = 0, unused = 0, size = 0;
	int rc = sq_number(s->db, sqlite3_mprintf("PRAGMA page_count"), 0, &pages);

	if (rc == SQLITE_OK)
		rc = sq_number(s->db, sqlite3_mprintf("PRAGMA freelist_count"), 0, &unused);
	if (rc == SQLITE_OK)
		rc = sq_number(s->db, sqlite3_mprintf("PRAGMA page_size"), 0, &size);
	*ret_used = (uint64_t)((pages - unused) * size);
	return rc;
}

/* Rows that are about as many bytes as there are too many; 0: there are none. */
static int
too_many(struct sq_sink *s, int *ret_rows)
{
	const struct sq_conf *c = SQ_CONF(s);
	uint64_t used = 0, rows;
	int rc = c->max_size ? used_bytes(s, &used) : SQLITE_OK;

	*ret_rows = 0;
	if (rc != SQLITE_OK || !c->max_size || used <= c->max_size)
		return rc;
	rows = (used - c->max_size) / ROW_BYTES + 1;
	*ret_rows = rows < SOME_LEAST ? SOME_LEAST : rows > INT32_MAX ? INT32_MAX : (int)rows;
	return rc;
}

/* ---- what is said --------------------------------------------------------------- */

static void
time_print(int64_t ns, char *ret_text, size_t size)
{
	time_t t = (time_t)(ns / INT64_C(1000000000));
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret_text, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		*ret_text = '\0';
}

static void
say(struct sq_sink *s, struct sq_keep *k, int64_t now)
{
	char from[32], to[32];

	if (k->rows == 0)
		return;
	time_print(k->from_ns, from, sizeof(from));
	time_print(k->to_ns, to, sizeof(to));
	ctf_log(s->obj.ctx, CTF_NOTICE, "%s: deleted %lld flows of \"%s\", %s to %s (%s)",
		SQ_CONF(s)->db, (long long)k->rows, SQ_CONF(s)->table, from, to,
		k->by_size ? "max_size" : "keep");
	k->rows = 0;
	k->by_size = false;
	k->said_ns = now;
}

static void
say_unsure(struct sq_sink *s, struct sq_keep *k, bool sure)
{
	if (!sure && !k->said_unsure)
		ctf_log(s->obj.ctx, CTF_WARNING,
			"%s: the clock is not synchronised: nothing is deleted by age",
			SQ_CONF(s)->db);
	else if (sure && k->said_unsure)
		ctf_log(s->obj.ctx, CTF_NOTICE, "%s: the clock is synchronised",
			SQ_CONF(s)->db);
	k->said_unsure = !sure;
}

/* ---- the step -------------------------------------------------------------------- */

/* Whether some row is so old that it is worth beginning; then all go that may. */
static int
is_due(struct sq_sink *s, const struct limits *l, bool *ret_due)
{
	int64_t first;
	int rc;

	*ret_due = false;
	if (l->flows == INT64_MIN)
		return SQLITE_OK;
	rc = sq_oldest(s, &first);
	*ret_due = rc == SQLITE_OK && first < l->flows - l->slack;
	return rc;
}

/* Now and then: what the flows and the sums have left behind. */
static int
notes_by_age(struct sq_sink *s, struct sq_keep *k, const struct limits *l, bool *ret_more)
{
	int64_t now = sq_boot_ns();
	int rc;

	if (k->noted_ns && now - k->noted_ns < HOUR_NS)
		return SQLITE_OK;
	rc = sq_cut_notes(s, k, l->flows, all_before(s, l), ret_more);
	if (rc == SQLITE_OK && !*ret_more)
		k->noted_ns = now;
	return rc;
}

static int
by_age(struct sq_sink *s, struct sq_keep *k, const struct limits *l, bool *ret_more)
{
	int rc = SQLITE_OK;

	*ret_more = false;
	if (k->aging || (rc = is_due(s, l, &k->aging)) != SQLITE_OK || k->aging) {
		if (rc == SQLITE_OK)
			rc = sq_cut_flows(s, k, l->flows, ret_more);
		k->aging = *ret_more;
	}
	for (unsigned i = 0; i < SQ_LEVELS && rc == SQLITE_OK && !*ret_more && s->has_sums; i++)
		if (l->sums[i] != INT64_MIN)
			rc = sq_cut_sums(s, k, i, l->sums[i], ret_more);
	if (rc == SQLITE_OK && !*ret_more && all_before(s, l) != INT64_MIN)
		rc = sq_names_cut(s, all_before(s, l));
	if (rc == SQLITE_OK && !*ret_more)
		rc = notes_by_age(s, k, l, ret_more);
	return rc;
}

/* The oldest flows, and if there are none the finest sums. */
static int
by_size(struct sq_sink *s, struct sq_keep *k, bool *ret_more)
{
	int64_t rows = k->rows;
	int many, some = k->some;
	bool more = false;
	int rc = too_many(s, &many);

	*ret_more = false;
	if (rc != SQLITE_OK || !many)
		return rc;
	k->some = many < some ? many : some;
	rc = sq_cut_flows(s, k, INT64_MAX, ret_more);
	if (many < some)
		k->some = some;
	k->by_size |= k->rows > rows;
	for (unsigned i = 0; i < SQ_LEVELS && rc == SQLITE_OK && !*ret_more && s->has_sums;
	     i++) {
		rc = sq_cut_sums(s, k, i, INT64_MAX, &more);
		*ret_more = more;
	}
	if (rc == SQLITE_OK && !*ret_more && !k->said_small) {
		k->said_small = true;
		ctf_log(s->obj.ctx, CTF_WARNING,
			"%s: larger than max_size with all flows deleted that may be",
			SQ_CONF(s)->db);
	}
	return rc;
}

static int
some_work(struct sq_sink *s, struct sq_keep *k, const struct limits *l, bool *ret_more)
{
	int rc = sq_cut_empty(s, k, ret_more);

	if (rc == SQLITE_OK && !*ret_more && l)
		rc = by_age(s, k, l, ret_more);
	if (rc == SQLITE_OK && !*ret_more)
		rc = by_size(s, k, ret_more);
	return rc == SQLITE_OK && !*ret_more ? sq_sums_tidy(s) : rc;
}

static int64_t
wait_ns(const struct sq_conf *c)
{
	uint64_t ms = c->keep && c->keep / 100 < LOOK_MS ? c->keep / 100 : LOOK_MS;

	if (c->max_size && ms > 1000)
		ms = 1000;
	return NS_MS * (int64_t)(ms < LOOK_LEAST_MS ? LOOK_LEAST_MS : ms);
}

static bool
wants_ages(const struct sq_conf *c)
{
	return c->keep || c->keep_minutes || c->keep_hours || c->keep_days;
}

static int
work(struct sq_sink *s, struct sq_keep *k, bool *ret_more)
{
	struct sq_clock clock;
	struct limits limits;
	int64_t now = -1;
	int rc = SQLITE_OK;

	if (wants_ages(SQ_CONF(s))) {
		sq_clock_look(&clock);
		rc = sq_keep_now(s, &clock, &now);
		say_unsure(s, k, clock.sure || !SQ_CONF(s)->keep);
	}
	if (now >= 0)
		limits_of(SQ_CONF(s), now, &limits);
	return rc == SQLITE_OK ? some_work(s, k, now >= 0 ? &limits : NULL, ret_more) : rc;
}

int
sq_keep_step(struct sq_sink *s, int *ret_ms)
{
	struct sq_keep *k = s->keep;
	int64_t now = sq_boot_ns(), wait = k ? k->next_ns - now : 0;
	bool more = false;
	int rc;

	*ret_ms = k ? (int)(wait / NS_MS) + 1 : -1;
	if (!k || wait > 0)
		return SQLITE_OK;
	rc = work(s, k, &more);
	if (!k->said_ns || now - k->said_ns > SAY_NS)
		say(s, k, now);
	k->next_ns = more ? 0 : now + wait_ns(SQ_CONF(s));
	*ret_ms = more ? 0 : (int)(wait_ns(SQ_CONF(s)) / NS_MS);
	return rc;
}

int
sq_keep_ready(struct sq_sink *s)
{
	if (!s->expired)
		s->expired = ctf_metric_new(s->obj.ctx, "expired", CTF_COUNTER, CTF_UNIT_NONE,
					    "flows deleted because of their age or the size");
	s->keep = calloc(1, sizeof(*s->keep));
	if (!s->keep)
		return SQLITE_NOMEM;
	s->keep->some = SOME_FIRST;
	return SQLITE_OK;
}

void
sq_keep_close(struct sq_sink *s)
{
	if (s->keep)
		say(s, s->keep, 0);
	free(s->keep);
	s->keep = NULL;
}
