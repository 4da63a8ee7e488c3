/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_scan.c - flows of a server, in the order of time.
 *
 * What lives is asked for first: a flow that ends meanwhile is in both tables, not
 * in none.  Each day is a question of its own, so that the server need not sort all
 * at once, nor look at more days than a limit needs.
 */
#include <errno.h>
#include <stdlib.h>

#include "ch_engine.h"

#define DAY INT64_C(86400000000000)

/* ---- a row --------------------------------------------------------------------------- */

enum { /* as ch_put_columns() has them */
       C_EXPORTER,
       C_AT,
       C_STAMPED,
       C_START,
       C_END,
       C_ID,
       C_NSID,
       C_PROTO,
       C_SRC,
       C_SPORT,
       C_DST,
       C_DPORT,
       C_NAT_SRC,
       C_NAT_SPORT,
       C_NAT_DST,
       C_NAT_DPORT,
       C_ICMP_TYPE,
       C_ICMP_CODE,
       C_PACKETS,
       C_BYTES,
       C_RPACKETS,
       C_RBYTES,
       C_MARK,
       C_ZONE,
       C_STATUS,
       C_TCP_STATE,
       C_REASON,
       C_SRC_NAME,
       C_DST_NAME,
       C_STATE,
       C_LOST,
};

/* What is below 0 is not known. */
#define TAKE(column, bit, x, type) \
	do { \
		int64_t v = ch_int(a, column); \
\
		if (v >= 0) { \
			(x) = (type)v; \
			f->has |= (bit); \
		} \
	} while (0)

static void
numbers(struct ch_answer *a, struct q_flow *f)
{
	TAKE(C_ID, Q_H_ID, f->id, uint32_t);
	TAKE(C_PROTO, Q_H_PROTO, f->proto, uint8_t);
	TAKE(C_SPORT, Q_H_SPORT, f->sport, uint16_t);
	TAKE(C_DPORT, Q_H_DPORT, f->dport, uint16_t);
	TAKE(C_NAT_SPORT, Q_H_NAT_SPORT, f->nat_sport, uint16_t);
	TAKE(C_NAT_DPORT, Q_H_NAT_DPORT, f->nat_dport, uint16_t);
	TAKE(C_ICMP_CODE, 0, f->icmp_code, uint8_t);
	TAKE(C_ICMP_TYPE, Q_H_ICMP, f->icmp_type, uint8_t);
	TAKE(C_PACKETS, Q_H_PACKETS, f->packets, int64_t);
	TAKE(C_BYTES, Q_H_BYTES, f->bytes, int64_t);
	TAKE(C_RPACKETS, Q_H_RPACKETS, f->reply_packets, int64_t);
	TAKE(C_RBYTES, Q_H_RBYTES, f->reply_bytes, int64_t);
	TAKE(C_STATUS, Q_H_STATUS, f->status, uint32_t);
	TAKE(C_TCP_STATE, Q_H_TCP_STATE, f->tcp_state, uint8_t);
}

static void
times(struct ch_answer *a, enum ch_table table, struct q_flow *f)
{
	int64_t start = ch_int(a, C_START), end = ch_int(a, C_END);

	f->at_ns = ch_int(a, C_AT);
	f->seen_ns = table == CH_OPEN ? f->at_ns : Q_NEVER;
	f->start_ns = start ? start : Q_NEVER;
	f->end_ns = end && table == CH_FLOWS ? end : Q_NEVER;
	f->stamped = table == CH_FLOWS && ch_int(a, C_STAMPED);
}

static const char *
name(struct ch_answer *a, struct ch *ch, unsigned i, bool *no_memory)
{
	const char *text = ch_cell(a, i), *word;

	if (!text || !*text)
		return NULL;
	word = ch_word(ch, text);
	*no_memory |= !word;
	return word;
}

int
ch_flow(struct ch_answer *a, struct q_db *db, enum ch_table table, struct q_flow *ret_flow,
	int64_t *ret_lost, struct ctf_err *err)
{
	struct q_flow flow = { .db = db }, *f = &flow;
	const char *exporter = ch_cell(a, C_EXPORTER);
	bool no_memory = false;

	f->exporter = ch_word(db->ch, exporter ? exporter : "");
	f->src_name = name(a, db->ch, C_SRC_NAME, &no_memory);
	f->dst_name = name(a, db->ch, C_DST_NAME, &no_memory);
	if (!f->exporter || no_memory)
		return ctf_fail(err, ENOMEM, "out of memory");
	f->lost = table == CH_OPEN && ch_int(a, C_STATE) != 0;
	f->open = table == CH_OPEN && !f->lost;
	times(a, table, f);
	numbers(a, f);
	f->nsid = ch_int(a, C_NSID);
	f->mark = (uint32_t)ch_int(a, C_MARK);
	f->zone = (uint16_t)ch_int(a, C_ZONE);
	if (table == CH_FLOWS)
		TAKE(C_REASON, Q_H_REASON, f->end_reason, uint8_t);
	ch_addr(a, C_SRC, &f->src);
	ch_addr(a, C_DST, &f->dst);
	ch_addr(a, C_NAT_SRC, &f->nat_src);
	ch_addr(a, C_NAT_DST, &f->nat_dst);
	*ret_lost = ch_int(a, C_LOST);
	*ret_flow = flow;
	return ch_check(a, err);
}

/* ---- a table of them -------------------------------------------------------------------- */

struct ch_stream {
	struct q_stream head;
	struct q *q;
	struct q_db *db;
	const struct q_ask *ask;
	enum ch_table table;
	struct ch_query query;
	struct ch_answer *answer; /* being read */
	uint64_t rows;            /* of it */
	int64_t *days;            /* one question each, */
	size_t ndays, day;        /* from this one on */
	bool asked;
};

/* Whether it is one question: few are there, or any of them may be what is asked for. */
static bool
at_once(const struct ch_stream *s)
{
	return s->table == CH_OPEN || s->ask->longest;
}

static int
days_keep(struct ch_stream *s, struct ch_answer *a, struct ctf_err *err)
{
	int64_t *more;
	int r;

	while ((r = ch_row(a, 1, err)) > 0) {
		more = realloc(s->days, (s->ndays + 1) * sizeof(*more));
		if (!more)
			return ctf_fail(err, ENOMEM, "out of memory");
		s->days = more;
		s->days[s->ndays++] = ch_int(a, 0);
	}
	return r < 0 ? r : ch_check(a, err);
}

static int
days_load(struct ch_stream *s, struct ctf_err *err)
{
	struct ch_answer *a = NULL;
	struct ch_query query = { .nsets = 0 };
	int r;

	ch_putf(&query.sql, "SELECT DISTINCT intDiv(at_ns, %lld) AS day FROM flows_raw WHERE ",
		(long long)DAY);
	ch_put_exporters(&query.sql, s->db->ch);
	if (s->ask->since != Q_NEVER)
		ch_putf(&query.sql, " AND at_ns >= %lld", (long long)s->ask->since);
	ch_putf(&query.sql, " ORDER BY day%s", s->ask->newest ? " DESC" : "");
	r = ch_ask(s->q, s->db->ch, &query, &a, err);
	if (r == 0)
		r = days_keep(s, a, err);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}

static void
put_order(struct ch_text *t, const struct ch_stream *s)
{
	const char *down = s->ask->newest ? " DESC" : "";

	ch_putf(t, " ORDER BY %s%s, exporter%s, id%s", CH_AT(s->table), down, down, down);
}

static void
put_question(struct ch_stream *s)
{
	struct ch_text *t = &s->query.sql;
	const struct q_ask *ask = s->ask;

	ch_put(t, ask->longest ? "SELECT * FROM (SELECT " : "SELECT ");
	ch_put_columns(t, s->table);
	ch_put(t, CH_FROM(s->table));
	ch_put_where(&s->query, s->db->ch, s->table, ask);
	if (!at_once(s))
		ch_putf(t, " AND at_ns >= %lld AND at_ns < %lld",
			(long long)(s->days[s->day] * DAY),
			(long long)((s->days[s->day] + 1) * DAY));
	if (ask->longest)
		ch_putf(t, " ORDER BY %s - start_ns DESC, %s LIMIT %llu)", CH_END(s->table),
			CH_AT(s->table), (unsigned long long)ask->longest);
	put_order(t, s);
	if (ask->limit)
		ch_putf(t, " LIMIT %llu", (unsigned long long)ask->limit);
}

/* Asks the next question; 1, 0: there is none, or -errno. */
static int
ask_next(struct ch_stream *s, struct ctf_err *err)
{
	int r = 0;

	ch_answer_free(s->answer);
	s->answer = NULL;
	ch_query_free(&s->query);
	if (!s->asked && !at_once(s))
		r = days_load(s, err);
	if (r < 0 || (at_once(s) ? s->asked : s->day == s->ndays))
		return r;
	if (!at_once(s))
		s->q->looking_ns = s->days[s->day] * DAY;
	s->asked = true;
	s->rows = 0;
	put_question(s);
	s->day++;
	r = ch_ask(s->q, s->db->ch, &s->query, &s->answer, err);
	return r < 0 ? r : 1;
}

static int
stream_next(struct q_stream *head, struct ctf_err *err)
{
	struct ch_stream *s = (struct ch_stream *)head;
	uint64_t most = s->ask->limit ? s->ask->limit : s->ask->longest;
	int64_t lost;
	int r;

	for (;;) {
		r = s->answer ? ch_row(s->answer, CH_COLUMNS, err) : 0;
		if (r < 0)
			return r;
		if (r == 0) {
			r = ask_next(s, err);
			if (r <= 0)
				return r;
			continue;
		}
		if (most && ++s->rows > most)
			return ctf_fail(err, EBADMSG, "%s: more rows than were asked for",
					s->db->path);
		r = ch_flow(s->answer, s->db, s->table, &head->flow, &lost, err);
		return r < 0 ? r : 1;
	}
}

static void
stream_free(struct q_stream *head)
{
	struct ch_stream *s = (struct ch_stream *)head;

	ch_answer_free(s->answer);
	ch_query_free(&s->query);
	free(s->days);
	free(s);
}

static int
add(struct scan *sc, struct q_db *db, enum ch_table table, struct ctf_err *err)
{
	struct ch_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return ctf_fail(err, ENOMEM, "out of memory");
	s->head.next = stream_next;
	s->head.free = stream_free;
	s->q = sc->q;
	s->db = db;
	s->ask = sc->ask;
	s->table = table;
	return scan_add(sc, &s->head) < 0 ? ctf_fail(err, ENOMEM, "out of memory") : 0;
}

int
ch_streams(struct scan *sc, struct q_db *db, struct ctf_err *err)
{
	int r = add(sc, db, CH_OPEN, err);

	return r == 0 && sc->ask->ended ? add(sc, db, CH_FLOWS, err) : r;
}
