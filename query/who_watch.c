/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who_watch.c - coverage, gaps and sweeps out of the databases. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "engine.h"
#include "who_watch.h"

/* The last sign of life may be ahead of what is read and stored by so much. */
#define BEHIND_NS (2 * WHO_SEC)
/* With reliable delivery the kernel may bring an end so much later. */
#define RETRY_NS (30 * WHO_SEC)
/* The times of a loss are those of reading, not of the ends themselves. */
#define BLUR_NS WHO_SEC

static void *
grow(void *p, unsigned n, unsigned *room, size_t size)
{
	unsigned more = *room ? *room * 2 : 16;

	if (n < *room)
		return p;
	p = realloc(p, more * size);
	if (p)
		*room = more;
	return p;
}

static char *
column_text(sqlite3_stmt *st, int i)
{
	const char *text = (const char *)sqlite3_column_text(st, i);

	return strdup(text ? text : "");
}

static int64_t
column_or(sqlite3_stmt *st, int i, int64_t absent)
{
	return sqlite3_column_type(st, i) == SQLITE_NULL ? absent : sqlite3_column_int64(st, i);
}

/* Each row of a query, which is freed; fn() returns 0 or -ENOMEM. */
static int
rows_load(struct q_db *db, char *sql,
	  int (*fn)(struct who_watch *, struct q_db *, sqlite3_stmt *), struct who_watch *w,
	  struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = SQLITE_DONE, r = q_db_prepare(db, sql, &st, err);

	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW)
		if (fn(w, db, st) < 0)
			r = ctf_fail(err, ENOMEM, "out of memory");
	if (r == 0 && rc != SQLITE_DONE)
		r = q_sql_failed(db, err);
	sqlite3_finalize(st);
	return r;
}

/* ---- coverage ---------------------------------------------------------------------- */

enum {
	C_FROM,
	C_ALIVE,
	C_TO,
	C_INSTANCE,
	C_EXPORTER,
	C_BOOT,
	C_NETNS,
	C_SELECTION,
	C_NSID,
	C_MASK,
	C_EVENTS,
	C_TIMESTAMP,
	C_SYNCHRONISED,
	C_RELIABLE,
};
/* Version 1 knew no namespaces, and did not look at the clock. */
#define COVERAGE \
	"SELECT from_ns, last_alive_ns, to_ns, instance, exporter, boot_id, %s, selection," \
	" nsid, event_mask, events, timestamp, %s, reliable FROM coverage" \
	" WHERE output = %Q COLLATE NOCASE ORDER BY from_ns"

static void
span_free(struct who_span *s)
{
	free(s->instance);
	free(s->exporter);
	free(s->boot);
	free(s->netns);
	free(s->selection);
}

static int
span_read(struct who_span *s, sqlite3_stmt *st, bool dying)
{
	s->from_ns = sqlite3_column_int64(st, C_FROM);
	s->running = sqlite3_column_type(st, C_TO) == SQLITE_NULL;
	s->upto_ns = sqlite3_column_int64(st, s->running ? C_ALIVE : C_TO);
	s->nsid = column_or(st, C_NSID, -1);
	s->mask = (int)column_or(st, C_MASK, -1);
	s->events = (int)column_or(st, C_EVENTS, -1);
	s->timestamp = (int)column_or(st, C_TIMESTAMP, -1);
	s->synchronised = (int)column_or(st, C_SYNCHRONISED, -1);
	s->reliable = sqlite3_column_int(st, C_RELIABLE);
	s->alive_ns = s->upto_ns;
	if (s->running)
		s->upto_ns -= s->reliable && !dying ? RETRY_NS : BEHIND_NS;
	s->instance = column_text(st, C_INSTANCE);
	s->exporter = column_text(st, C_EXPORTER);
	s->boot = column_text(st, C_BOOT);
	s->netns = column_text(st, C_NETNS);
	s->selection = column_text(st, C_SELECTION);
	return s->instance && s->exporter && s->boot && s->netns && s->selection ? 0 : -ENOMEM;
}

static int
span_add(struct who_watch *w, struct q_db *db, sqlite3_stmt *st)
{
	struct who_span *s = grow(w->spans, w->nspans, &w->spans_room, sizeof(*w->spans));

	if (!s)
		return -ENOMEM;
	w->spans = s;
	s += w->nspans++;
	*s = (struct who_span){ .db = db };
	return span_read(s, st, w->dying);
}

static int
spans_load(struct q_db *db, struct who_watch *w, struct ctf_err *err)
{
	char *sql = sqlite3_mprintf(COVERAGE, db->version < 2 ? "NULL" : "netns",
				    db->version < 2 ? "NULL" : "clock_synchronised", db->table);

	return rows_load(db, sql, span_add, w, err);
}

/* ---- losses --------------------------------------------------------------------------- */

static struct who_loss *
loss_add(struct who_watch *w, struct q_db *db, enum who_why why)
{
	struct who_loss *l = grow(w->losses, w->nlosses, &w->losses_room, sizeof(*w->losses));

	if (!l)
		return NULL;
	w->losses = l;
	l += w->nlosses++;
	*l = (struct who_loss){ .db = db, .why = why };
	return l;
}

enum { G_FROM, G_TO, G_CAUSE, G_COUNT, G_IS, G_INSTANCE, G_EXPORTER };
#define GAPS \
	"SELECT min(from_ns, to_ns), max(from_ns, to_ns), cause, count, count_is, instance, " \
	"%s" \
	" FROM gaps WHERE output = %Q COLLATE NOCASE AND max(from_ns, to_ns) >= %lld" \
	" AND cause <> 'counters' AND (cause <> 'clock_step' OR from_ns > to_ns)" \
	" AND (cause = 'clock_step' OR count IS NOT 0)"

static void
gap_text(struct who_loss *l, sqlite3_stmt *st)
{
	const char *cause = (const char *)sqlite3_column_text(st, G_CAUSE);
	const char *is = (const char *)sqlite3_column_text(st, G_IS);
	long long n = sqlite3_column_int64(st, G_COUNT);

	if (sqlite3_column_type(st, G_COUNT) == SQLITE_NULL)
		snprintf(l->text, sizeof(l->text), "cause %s, an unknown number of flows",
			 cause ? cause : "unknown");
	else
		snprintf(l->text, sizeof(l->text), "cause %s, %s%lld flow%s", cause, //
			 is && strcmp(is, "at_most") == 0 ? "at most " : "", n,
			 n == 1 ? "" : "s");
}

static int
loss_read(struct who_watch *w, struct q_db *db, sqlite3_stmt *st)
{
	const char *cause = (const char *)sqlite3_column_text(st, G_CAUSE);
	bool step = cause && strcmp(cause, "clock_step") == 0;
	struct who_loss *l = loss_add(w, db, step ? WHO_STEP : WHO_GAP);

	if (!l)
		return -ENOMEM;
	l->from_ns = sqlite3_column_int64(st, G_FROM) - BLUR_NS;
	l->to_ns = sqlite3_column_int64(st, G_TO) + BLUR_NS;
	if (cause && strcmp(cause, "restart") == 0)
		l->why = WHO_DOWN;
	gap_text(l, st);
	l->instance = column_text(st, G_INSTANCE);
	l->exporter = column_text(st, G_EXPORTER);
	return l->instance && l->exporter ? 0 : -ENOMEM;
}

static int
gaps_load(struct q_db *db, int64_t from, struct who_watch *w, struct ctf_err *err)
{
	char *sql = sqlite3_mprintf(GAPS, db->engine->server ? "exporter" : "NULL", db->table,
				    (long long)(from - BLUR_NS));

	return rows_load(db, sql, loss_read, w, err);
}

/* Rows before that time may have been deleted. */
static int
kept_load(struct q_db *db, struct who_watch *w, struct ctf_err *err)
{
	char key[300];
	struct who_loss *l;
	int64_t kept;
	int r;

	snprintf(key, sizeof(key), "kept_from:%.256s", db->table);
	r = q_db_int(db, "SELECT value FROM meta WHERE key = ?1 COLLATE NOCASE", key, &kept,
		     err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	l = loss_add(w, db, WHO_DELETED);
	if (!l)
		return ctf_fail(err, ENOMEM, "out of memory");
	l->from_ns = INT64_MIN;
	l->to_ns = kept - 1;
	l->instance = strdup("");
	l->exporter = strdup("");
	return l->instance && l->exporter ? 0 : ctf_fail(err, ENOMEM, "out of memory");
}

static int
by_begin(const void *a, const void *b)
{
	const struct who_span *x = a, *y = b;

	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* What has none is of all. */
static bool
of_exporter(const struct who_loss *l, const struct who_span *s)
{
	return !l->exporter[0] || strcmp(l->exporter, s->exporter) == 0;
}

/* Such a name is the output's own. */
static bool
of_no_input(const struct who_watch *w, const struct who_loss *l)
{
	for (unsigned i = 0; i < w->nspans; i++)
		if (w->spans[i].db == l->db && strcmp(w->spans[i].instance, l->instance) == 0 &&
		    of_exporter(l, &w->spans[i]))
			return false;
	return true;
}

int
who_watch_load(struct q *q, int64_t from, bool dying, struct who_watch *w, struct ctf_err *err)
{
	int r = 0;

	w->dying = dying;
	for (struct q_db *db = q->dbs; db && r == 0; db = db->next) {
		if (!q_db_has(db, "coverage") || !q_db_has(db, "gaps"))
			continue;
		r = spans_load(db, w, err);
		if (r == 0)
			r = gaps_load(db, from, w, err);
		if (r == 0)
			r = kept_load(db, w, err);
	}
	for (unsigned i = 0; i < w->nlosses; i++)
		w->losses[i].all = of_no_input(w, &w->losses[i]);
	if (w->nspans)
		qsort(w->spans, w->nspans, sizeof(*w->spans), by_begin);
	return r;
}

void
who_watch_free(struct who_watch *w)
{
	for (unsigned i = 0; i < w->nspans; i++)
		span_free(&w->spans[i]);
	for (unsigned i = 0; i < w->nlosses; i++) {
		free(w->losses[i].instance);
		free(w->losses[i].exporter);
	}
	free(w->spans);
	free(w->losses);
	*w = (struct who_watch){ .nspans = 0 };
}

bool
who_same_table(const struct who_span *a, const struct who_span *b)
{
	return a->nsid == b->nsid && strcmp(a->exporter, b->exporter) == 0 &&
	       strcmp(a->netns, b->netns) == 0;
}

bool
who_loses(const struct who_loss *l, const struct who_span *s)
{
	return l->db == s->db && of_exporter(l, s) &&
	       (l->all || strcmp(l->instance, s->instance) == 0);
}

/* ---- looks at the whole table ------------------------------------------------------------- */

/* Complete looks of the stream of that span. */
static char *
look_sql(const struct who_span *s, const char *what, const char *when)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);

	sqlite3_str_appendf(sql,
			    "SELECT %s FROM sweeps WHERE output = %Q COLLATE NOCASE"
			    " AND instance = %Q AND nsid = %lld AND complete AND %s",
			    what, s->db->table, s->instance, (long long)s->nsid, when);
	if (s->db->engine->server)
		sqlite3_str_appendf(sql, " AND exporter = %Q", s->exporter);
	return sqlite3_str_finish(sql);
}

static int
look(const struct who_span *s, const char *what, const char *when, int64_t t, int64_t *ret_ns,
     struct ctf_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc, r;

	*ret_ns = Q_NEVER;
	if (!q_db_has(s->db, "sweeps"))
		return 0;
	r = q_db_prepare(s->db, look_sql(s, what, when), &st, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, t);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret_ns = column_or(st, 0, Q_NEVER);
	else
		r = q_sql_failed(s->db, err);
	sqlite3_finalize(st);
	return r;
}

int
who_look_after(const struct who_span *s, int64_t begun, int64_t *ret_at, struct ctf_err *err)
{
	return look(s, "min(at_ns)", "at_ns - min_age_ns >= ?1", begun, ret_at, err);
}

int
who_look_before(const struct who_span *s, int64_t upto, int64_t *ret_begun, struct ctf_err *err)
{
	return look(s, "max(at_ns - min_age_ns)", "at_ns <= ?1", upto, ret_begun, err);
}
