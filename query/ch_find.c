/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_find.c - flows of an address at a time, out of a server.
 *
 * Rows are sorted by the address others see, and two tables beside lead to them by
 * source and destination; where clients were led to is looked for by itself.  What
 * comes twice is one to who_matches_tidy().
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ch_engine.h"
#include "who.h"

struct search {
	struct q *q;
	struct q_db *db;
	const struct who_ask *ask;
	struct who_matches *found;
	struct ctf_err *err;
};

/* ---- the question ----------------------------------------------------------------------- */

static void
put_addr(struct ch_text *t, const struct q_addr *a)
{
	uint8_t ip[16] = { [10] = 0xff, [11] = 0xff };

	if (a->family == AF_INET6)
		memcpy(ip, a->ip, 16);
	else
		memcpy(ip + 12, a->ip, 4);
	ch_put_ip(t, ip);
}

/* (addr = X AND port = N) */
static void
put_side(struct ch_text *t, const struct who_ask *a, const char *addr, const char *port)
{
	ch_putf(t, "(%s = ", addr);
	put_addr(t, &a->addr);
	if (a->port >= 0)
		ch_putf(t, " AND %s = %d", port, a->port);
	ch_put(t, ")");
}

/* Some side of the row is the address; who_consider() looks closer. */
static void
put_sides(struct ch_text *t, const struct who_ask *a)
{
	ch_put(t, "(");
	put_side(t, a, "src", "sport");
	ch_put(t, " OR ");
	put_side(t, a, "dst", "dport");
	ch_put(t, " OR ");
	put_side(t, a, "nat_src", "nat_sport");
	ch_put(t, " OR ");
	put_side(t, a, "nat_dst", "nat_dport");
	ch_put(t, ")");
}

/* Of then: ended since, and begun before, if both are told by the clock as it went. */
static void
put_then(struct ch_text *t, const struct search *s)
{
	ch_putf(t, " WHERE at_ns >= %lld AND (start_ns <= %lld OR start_ns > at_ns) AND ",
		(long long)s->ask->from_ns, (long long)s->ask->to_ns);
	ch_put_exporters(t, s->db->ch);
	ch_put(t, " AND ");
}

static void
put_places(struct ch_text *t, const struct search *s, const char *table, const char *side,
	   const char *port)
{
	ch_putf(t, "SELECT outer, outer_port, at_ns FROM %s WHERE at_ns >= %lld AND ", table,
		(long long)s->ask->from_ns);
	if (port) {
		put_side(t, s->ask, side, port);
		return;
	}
	ch_putf(t, "%s = ", side);
	put_addr(t, &s->ask->addr);
}

static void
put_flows(struct ch_text *t, const struct search *s)
{
	ch_put(t, "SELECT ");
	ch_put_columns(t, CH_FLOWS);
	ch_put(t, " FROM flows_raw");
	put_then(t, s);
	put_sides(t, s->ask);
	/* GLOBAL makes nothing of the order of rows, but is what several servers need */
	ch_putf(t, " AND (outer, outer_port, at_ns) %sIN (",
		s->db->ch->spread ? "GLOBAL " : "");
	put_places(t, s, "flows_src", "src", NULL);
	ch_put(t, " UNION ALL ");
	put_places(t, s, "flows_dst", "dst", NULL);
	ch_put(t, " UNION ALL ");
	put_places(t, s, "flows_raw", "outer", "outer_port");
	ch_put(t, ") UNION ALL SELECT ");
	ch_put_columns(t, CH_FLOWS);
	ch_put(t, " FROM flows_raw");
	put_then(t, s);
	put_side(t, s->ask, "nat_dst", "nat_dport");
}

static void
put_open(struct ch_text *t, const struct search *s)
{
	ch_put(t, "SELECT ");
	ch_put_columns(t, CH_OPEN);
	ch_put(t, CH_FROM(CH_OPEN));
	ch_put(t, " WHERE state < 2 AND ");
	ch_put_exporters(t, s->db->ch);
	ch_put(t, " AND ");
	put_sides(t, s->ask);
}

/* ---- the answer --------------------------------------------------------------------------- */

/* "flows_raw exporter=gw1 at_ns=1 ...", as the row came. */
static char *
raw_text(const struct ch_answer *a, enum ch_table table)
{
	static const char *const names[CH_COLUMNS] = {
		"exporter",      "at_ns",       "stamped",      "start_ns",
		"end_ns",        "id",          "nsid",         "proto",
		"src",           "sport",       "dst",          "dport",
		"nat_src",       "nat_sport",   "nat_dst",      "nat_dport",
		"icmp_type",     "icmp_code",   "orig_packets", "orig_bytes",
		"reply_packets", "reply_bytes", "mark",         "zone",
		"status",        "tcp_state",   "end_reason",   "src_name",
		"dst_name",      "state",       "lost_ns"
	};
	struct ch_text t = { .p = NULL };

	ch_put(&t, table == CH_OPEN ? "open_raw" : "flows_raw");
	for (unsigned i = 0; i < CH_COLUMNS; i++) {
		const char *cell = ch_cell(a, i);

		if (cell && *cell)
			ch_putf(&t, " %s=%s", table == CH_OPEN && i == 1 ? "seen_ns" : names[i],
				cell);
	}
	if (t.failed)
		ch_text_free(&t);
	return t.p;
}

static int
row_take(struct search *s, struct ch_answer *a, enum ch_table table)
{
	struct who_match *m;
	int64_t lost = 0;
	struct q_flow f;
	int r = ch_flow(a, s->db, table, &f, &lost, s->err);

	if (r < 0)
		return r;
	m = who_consider(s->ask, &f, f.lost ? lost : INT64_MAX, s->found, &r);
	if (m && !(m->raw = raw_text(a, table)))
		r = -ENOMEM;
	return r < 0 ? ctf_fail(s->err, ENOMEM, "out of memory") : 0;
}

static int
table_ask(struct search *s, enum ch_table table)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	int more, r;

	if (table == CH_OPEN)
		put_open(&query.sql, s);
	else
		put_flows(&query.sql, s);
	r = ch_ask(s->q, s->db->ch, &query, &a, s->err);
	while (r == 0 && (more = ch_row(a, CH_COLUMNS, s->err)) != 0)
		r = more < 0 ? more : row_take(s, a, table);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}

/* What ends meanwhile is in both. */
int
ch_find(struct q *q, struct q_db *db, const struct who_ask *ask, struct who_matches *found,
	struct ctf_err *err)
{
	struct search s = { .q = q, .db = db, .ask = ask, .found = found, .err = err };
	int r = table_ask(&s, CH_OPEN);

	return r == 0 ? table_ask(&s, CH_FLOWS) : r;
}
