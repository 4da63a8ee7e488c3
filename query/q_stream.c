/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * q_stream.c - the rows of a table that fit, in the order of at_ns.
 *
 * A partition is found in the catalog and read, the whole of it in one read
 * transaction; between two of them another may begin, so that a long question
 * does not make the WAL grow without end.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "scan.h"

#define RENEW_MS 2000 /* how long a read transaction lasts, about */

/* ---- the statement -------------------------------------------------------------------- */

/* (a AND b) or, without a port, a */
static void
endpoint(struct sql *q, const struct q_ask *ask, enum look ip, enum look port)
{
	const uint8_t *b = ask->addr.ip;

	sqlite3_str_appendf(q->s, "(ifnull(%s = ", layout_sql(q->layout, ip));
	if (ask->addr.family == AF_INET6)
		sql_blob(q, b);
	else
		sql_int(q, (int32_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
				     (uint32_t)b[2] << 8 | b[3]));
	if (ask->port >= 0) {
		sqlite3_str_appendf(q->s, " AND (%s) = ", layout_sql(q->layout, port));
		sql_int(q, ask->port);
	}
	sqlite3_str_appendall(q->s, ", 0))");
}

static void
endpoints(struct sql *q, const struct q_ask *ask)
{
	sqlite3_str_appendall(q->s, " AND (");
	endpoint(q, ask, A_NAT_SRC, A_NAT_SPORT);
	sqlite3_str_appendall(q->s, " OR ");
	endpoint(q, ask, A_NAT_DST, A_NAT_DPORT);
	sqlite3_str_appendall(q->s, " OR ");
	endpoint(q, ask, A_SRC, A_SPORT);
	sqlite3_str_appendall(q->s, " OR ");
	endpoint(q, ask, A_DST, A_DPORT);
	sqlite3_str_appendall(q->s, ")");
}

static void
time_test(struct sql *q, const struct q_ask *ask)
{
	const char *end = layout_sql(q->layout, A_END), *at = layout_sql(q->layout, A_AT);

	if (ask->since != Q_NEVER) {
		sqlite3_str_appendf(q->s, " AND ifnull(%s, %s) >= ", end, at);
		sql_int(q, ask->since);
	}
	if (ask->until != Q_NEVER) {
		sqlite3_str_appendf(q->s, " AND ifnull(%s, %s) < ", end, at);
		sql_int(q, ask->until);
	}
	if (ask->longer_ns != Q_NEVER) {
		sqlite3_str_appendf(q->s, " AND ifnull(ifnull(%s, %s) - (%s) > ", end, at,
				    layout_sql(q->layout, A_START));
		sql_int(q, ask->longer_ns);
		sqlite3_str_appendall(q->s, ", 0)");
	}
	if (ask->start_to != Q_NEVER) {
		sqlite3_str_appendf(q->s,
				    " AND ifnull((%s) <= ", layout_sql(q->layout, A_START));
		sql_int(q, ask->start_to);
		sqlite3_str_appendall(q->s, ", 1)");
	}
}

static void
conditions(struct stream *s, struct sql *q)
{
	const struct q_ask *ask = s->ask;

	time_test(q, ask);
	if (s->layout == L_OPEN || s->layout == L_OPEN_2) {
		if (!ask->open)
			sqlite3_str_appendall(q->s, " AND lost_ns IS NOT NULL");
		if (!ask->ended)
			sqlite3_str_appendall(q->s, " AND lost_ns IS NULL");
	}
	if (ask->addr.family)
		endpoints(q, ask);
	if (ask->expr) {
		sqlite3_str_appendall(q->s, " AND ");
		sql_expr(q, ctf_expr_root(ask->expr));
	}
}

/* Else "nothing was found" would say more than is known. */
static void
warn_missing(struct stream *s)
{
	const char *text =
		s->ask->expr ? sql_missing(s->layout, ctf_expr_root(s->ask->expr)) : NULL;

	if (!text || s->q->warned)
		return;
	s->q->warned = true;
	q_say(s->q, "%s: \"%.100s\" asks for what was not kept there (profile=nat)",
	      s->db->path, text);
}

/* For rows of this table between ?1 and ?2. */
static int
compile(struct stream *s, const char *base, struct ctf_err *err)
{
	const char *key = layout_key(s->layout);
	struct sql *q = &s->sql;
	int r;

	warn_missing(s);
	sqlite3_finalize(s->st);
	s->st = NULL;
	free(s->st_base);
	s->st_base = strdup(base);
	sql_free(q);
	*q = (struct sql){ .layout = s->layout, .s = sqlite3_str_new(s->db->db), .first = 3 };
	sqlite3_str_appendall(q->s, "SELECT ");
	layout_columns(q->s, s->layout);
	sqlite3_str_appendf(q->s, " FROM \"%w\" WHERE %s BETWEEN ?1 AND ?2", base, key);
	conditions(s, q);
	sqlite3_str_appendf(q->s, " ORDER BY %s%s", key, s->ask->newest ? " DESC" : "");
	r = q_db_prepare(s->db, sqlite3_str_finish(q->s), &s->st, err);
	q->s = NULL;
	if (r == 0 && (q->failed || !s->st_base))
		return ctf_fail(err, ENOMEM, "out of memory");
	if (r == 0 && sql_bind(q, s->st) != SQLITE_OK)
		return q_sql_failed(s->db, err);
	return r;
}

/* ---- the catalog ------------------------------------------------------------------------ */

#define WHERE_UP "p.to_ns > ?2"
#define WHERE_DOWN "p.from_ns < ?2"

static int
catalog_prepare(struct stream *s, struct ctf_err *err)
{
	bool down = s->ask->newest;
	char *sql = sqlite3_mprintf(
		"SELECT p.from_ns, p.to_ns, ifnull(p.run, 0), ifnull(p.shift, 0),"
		" ifnull(p.rows, 0), p.state = 'indexed' AND p.run IS NOT NULL, d.profile = "
		"'nat', p.base"
		" FROM partitions AS p JOIN days AS d ON d.view = p.view AND d.base = p.base"
		" WHERE p.view = ?1 AND %s"
		" AND ifnull(p.last_ns, 0x7fffffffffffffff) >= ?3 AND ifnull(p.end_ns, ?4) <= "
		"?4"
		" AND (ifnull(p.nostart, 1) OR ifnull(p.start_ns, ?5) <= ?5)"
		" ORDER BY p.from_ns%s LIMIT 1",
		down ? WHERE_DOWN : WHERE_UP, down ? " DESC" : "");
	int r = q_db_prepare(s->db, sql, &s->catalog, err);

	if (r == 0)
		sqlite3_bind_text(s->catalog, 1, s->db->table, -1, SQLITE_STATIC);
	return r;
}

static int64_t
lowest(const struct q_ask *ask)
{
	int64_t since = ask->since == Q_NEVER ? INT64_MIN : ask->since;

	return ask->at_from > since ? ask->at_from : since;
}

static int
part_read(struct stream *s, struct ctf_err *err)
{
	sqlite3_stmt *c = s->catalog;

	free(s->part.base);
	s->part = (struct part){
		.from = sqlite3_column_int64(c, 0),
		.to = sqlite3_column_int64(c, 1),
		.run = sqlite3_column_int64(c, 2),
		.shift = sqlite3_column_int64(c, 3),
		.rows = sqlite3_column_int64(c, 4),
		.indexed = sqlite3_column_int(c, 5),
		.nat = sqlite3_column_int(c, 6),
		.base = strdup((const char *)sqlite3_column_text(c, 7)),
	};
	return s->part.base ? 0 : ctf_fail(err, ENOMEM, "out of memory");
}

/* 1: s->part is the next one, 0: there is none. */
static int
part_next(struct stream *s, struct ctf_err *err)
{
	const struct q_ask *ask = s->ask;
	sqlite3_stmt *c;
	int rc, r = s->catalog ? 0 : catalog_prepare(s, err);

	if (r < 0)
		return r;
	c = s->catalog;
	s->edge = s->pos;
	sqlite3_bind_int64(c, 2, s->pos);
	sqlite3_bind_int64(c, 3, lowest(ask));
	sqlite3_bind_int64(c, 4, ask->until == Q_NEVER ? INT64_MAX : ask->until);
	sqlite3_bind_int64(c, 5, ask->start_to == Q_NEVER ? INT64_MAX : ask->start_to);
	rc = sqlite3_step(c);
	if (rc == SQLITE_ROW) {
		r = part_read(s, err);
		s->pos = ask->newest ? s->part.from : s->part.to;
		s->q->looking_ns = s->part.from;
	} else if (rc != SQLITE_DONE) {
		r = q_sql_failed(s->db, err);
	}
	sqlite3_reset(c);
	return r < 0 ? r : rc == SQLITE_ROW;
}

/*
 * Lets go of what it sees and sees what there is by now, unless another stream
 * of this database stands on a row.  Partitions may have been joined since, so
 * nothing on the other side of `edge` is read again.
 */
static int
renew(struct stream *s, struct ctf_err *err)
{
	int64_t now = (int64_t)ctf_mono_ms();

	if (!s->since_ms)
		s->since_ms = now;
	if (now - s->since_ms < RENEW_MS)
		return 0;
	for (sqlite3_stmt *st = sqlite3_next_stmt(s->db->db, NULL); st;
	     st = sqlite3_next_stmt(s->db->db, st))
		if (sqlite3_stmt_busy(st))
			return 0;
	s->since_ms = now;
	if (sqlite3_exec(s->db->db, "COMMIT; BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return q_sql_failed(s->db, err);
	return 0;
}

/* ---- pieces ------------------------------------------------------------------------------- */

static int
spans_one(struct stream *s, int64_t lo, int64_t hi, struct ctf_err *err)
{
	s->todo.p = malloc(sizeof(*s->todo.p));
	if (!s->todo.p)
		return ctf_fail(err, ENOMEM, "out of memory");
	s->todo.p[0] = (struct span){ lo, hi };
	s->todo.n = 1;
	return 0;
}

static int
piece_of_day(struct stream *s, struct ctf_err *err)
{
	enum layout l = s->part.nat ? L_NAT : L_FULL;
	int r = 0;

	if (!s->st || strcmp(s->st_base, s->part.base) != 0 || s->layout != l) {
		s->layout = l;
		r = compile(s, s->part.base, err);
	}
	if (r == 0 && s->part.indexed)
		r = index_spans(s, &s->todo, err);
	if (r == 0)
		r = spans_one(s, s->part.from, s->part.to - 1, err);
	return r < 0 ? r : 0;
}

/* 1: there is more to read, 0: that was all. */
static int
piece_next(struct stream *s, struct ctf_err *err)
{
	int r;

	free(s->todo.p);
	s->todo = (struct spans){ NULL, 0 };
	s->next = 0;
	if (s->days) {
		r = renew(s, err);
		if (r == 0)
			r = part_next(s, err);
		if (r == 1)
			r = piece_of_day(s, err) < 0 ? -EIO : 1;
		return r;
	}
	if (s->st)
		return 0;
	r = compile(s, s->table, err);
	if (r == 0)
		r = spans_one(s, INT64_MIN, INT64_MAX, err);
	return r < 0 ? r : 1;
}

static void
span_bind(struct stream *s)
{
	size_t i = s->ask->newest ? s->todo.n - 1 - s->next : s->next;
	struct span sp = s->todo.p[i];
	int64_t low = lowest(s->ask);

	s->next++;
	if (s->days && s->ask->newest)
		sp.hi = sp.hi >= s->edge ? s->edge - 1 : sp.hi;
	else if (s->days)
		low = low < s->edge ? s->edge : low;
	sqlite3_reset(s->st);
	sqlite3_bind_int64(s->st, 1, sp.lo < low ? low : sp.lo);
	sqlite3_bind_int64(s->st, 2, sp.hi);
	s->busy = true;
}

static int
stream_next(struct q_stream *head, struct ctf_err *err)
{
	struct stream *s = (struct stream *)head;

	for (;;) {
		int rc, r;

		if (!s->busy && s->next == s->todo.n) {
			r = piece_next(s, err);
			if (r <= 0)
				return r;
			continue;
		}
		if (!s->busy)
			span_bind(s);
		rc = sqlite3_step(s->st);
		if (rc == SQLITE_ROW) {
			layout_decode(s->st, s->layout, s->db, &head->flow);
			return 1;
		}
		s->busy = false;
		if (rc != SQLITE_DONE)
			return q_sql_failed(s->db, err);
		sqlite3_reset(s->st);
	}
}

static void
stream_free(struct q_stream *head)
{
	struct stream *s = (struct stream *)head;

	sqlite3_finalize(s->st);
	sqlite3_finalize(s->catalog);
	sql_free(&s->sql);
	free(s->st_base);
	free(s->part.base);
	free(s->todo.p);
	free(s);
}

/* ---- all of a file ------------------------------------------------------------------------- */

static int
add(struct scan *sc, struct q_db *db, bool days, enum layout l, const char *table)
{
	struct stream *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct stream){
		.head = { .next = stream_next, .free = stream_free },
		.q = sc->q,
		.db = db,
		.ask = sc->ask,
		.days = days,
		.layout = l,
		.table = table,
		.pos = sc->ask->newest ? INT64_MAX : INT64_MIN,
	};
	return scan_add(sc, &s->head);
}

int
q_streams(struct scan *sc, struct q_db *db, struct ctf_err *err)
{
	bool ended = sc->ask->ended;
	int r = 0;

	if (ended && db->stamped)
		r = add(sc, db, false, L_STAMPED, db->stamped);
	if (r == 0 && ended && db->received)
		r = add(sc, db, false, L_RECEIVED, db->received);
	if (r == 0 && ended && db->version >= 3)
		r = add(sc, db, true, L_FULL, NULL);
	if (r == 0 && db->open)
		r = add(sc, db, false, db->open_3 ? L_OPEN : L_OPEN_2, db->open);
	return r < 0 ? ctf_fail(err, ENOMEM, "out of memory") : 0;
}
