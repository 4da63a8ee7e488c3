/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_open.c - CLICKHOUSE: the flows that live, in open_raw.
 *
 * A sighting is a row whose version is its time.  The end of a flow that a sweep may
 * have shown is one as well, newer than all sightings of that flow, so it does not
 * matter which of the two comes first.  Sweeps leave out what is younger than they
 * say; so the ends of young flows need no such row.
 */
#include "clickhouse.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#define SLACK_NS INT64_C(2000000000)
/* How much longer the kernel's answer may have lain in the socket, at most. */
#define DELAY_NS INT64_C(600000000000)
/*
 * Where the kernel tells no start, the next flow may have the id and addresses of one
 * that ended: what is seen so much later is that.
 */
#define NEXT_NS INT64_C(5000000000)
#define KEY "nsid, start_ns, id, proto, src, sport, dst, dport"

static void
put(struct buf *b, const char *text)
{
	buf_puts(b, text);
}

static void
put_table(struct buf *b, const struct ch *s, const char *before, const char *table)
{
	put(b, before);
	put(b, CH_CONF(s)->db);
	put(b, ".");
	put(b, table);
}

static void
put_mine(struct buf *b, const struct ch *s)
{
	put(b, " WHERE exporter = ");
	ch_put_quoted(b, ch_exporter(CH_CONF(s)));
}

static void
put_number(struct buf *b, const char *before, int64_t n)
{
	put(b, before);
	buf_int(b, n);
}

static int
run(struct ch *s, struct buf *sql, struct buf *ret_text, struct ctf_err *err)
{
	int r = sql->failed ? ctf_fail(err, ENOMEM, "out of memory")
			    : ch_run(s, sql->p, ret_text, err);

	buf_free(sql);
	return r;
}

/* The first number of an answer. */
static int
number(struct ch *s, struct buf *sql, int64_t *ret_n, struct ctf_err *err)
{
	struct buf text = { 0 };
	int r = run(s, sql, &text, err);

	if (r == 0)
		*ret_n = strtoll(text.p, NULL, 10);
	buf_free(&text);
	return r;
}

bool
ch_open_may(const struct ch *s, const struct ch_fixed *x)
{
	int64_t start = (int64_t)le64toh((uint64_t)x->start_ns);
	int64_t at = (int64_t)le64toh((uint64_t)x->at_ns);

	/* Two clock readings of the kernel, and the clock may have been set. */
	return !start || at < start || (uint64_t)(at - start + SLACK_NS) >= s->min_age_ns;
}

uint64_t
ch_ended_version(const struct ch_fixed *x)
{
	if (x->start_ns)
		return UINT64_C(1) << 63;
	return le64toh((uint64_t)x->at_ns) + NEXT_NS;
}

/* All that ended since then and is there as living all the same. */
static int
ended_since(struct ch *s, int64_t from, struct ctf_err *err)
{
	struct buf sql = { 0 };

	put_table(&sql, s, "INSERT INTO ", "open_raw (");
	put(&sql, ch_open_columns);
	put(&sql, ",version,state) SELECT ");
	put(&sql, ch_columns);
	put(&sql, ",'' AS source,toUInt8(0) AS delta,if(start_ns = 0,");
	put_number(&sql, "toUInt64(at_ns + ", NEXT_NS);
	put(&sql, "),toUInt64(9223372036854775808)) AS version,toUInt8(2) AS state");
	put_table(&sql, s, " FROM ", "flows_raw");
	put_mine(&sql, s);
	put_number(&sql, " AND at_ns >= ", from);
	/* GLOBAL: the tables may be distributed ones, whoever made them. */
	put(&sql, " AND (" KEY ") GLOBAL IN (SELECT " KEY);
	put_table(&sql, s, " FROM ", "open_raw");
	put_mine(&sql, s);
	put(&sql, " AND state = 0)");
	return run(s, &sql, NULL, err);
}

/* Flows that should have been seen twice, and were not. */
static int
lost_mark(struct ch *s, const struct sq_swept *w, struct ctf_err *err)
{
	int64_t previous = (int64_t)w->previous_ns;
	struct buf sql = { 0 }, source = { 0 };

	buf_put(&source, w->source.p, w->source.len);
	put_table(&sql, s, "INSERT INTO ", "open_raw (");
	put(&sql, ch_open_columns);
	put(&sql, ",version,state,lost_ns) SELECT ");
	put(&sql, ch_open_columns);
	put_number(&sql, ",version + 1,toUInt8(1),toInt64(", (int64_t)w->at_ns);
	put_table(&sql, s, ") FROM ", "open_raw FINAL");
	put_mine(&sql, s);
	put(&sql, " AND state = 0 AND source = ");
	ch_put_quoted(&sql, source.failed ? "" : source.p);
	put_number(&sql, " AND nsid = ", w->nsid);
	put_number(&sql, " AND seen_ns < ", previous);
	put_number(&sql, " AND start_ns <= ", previous - (int64_t)w->min_age_ns);
	buf_free(&source);
	return run(s, &sql, NULL, err);
}

static int
sweep_store(struct ch *s, const struct sq_swept *w, struct ctf_err *err)
{
	struct buf sql = { 0 }, source = { 0 };

	buf_put(&source, w->source.p, w->source.len);
	put_table(&sql, s, "INSERT INTO ",
		  "sweeps (exporter, output, instance, nsid, at_ns,"
		  " previous_ns, min_age_ns, complete) VALUES (");
	ch_put_quoted(&sql, ch_exporter(CH_CONF(s)));
	put(&sql, ", ");
	ch_put_quoted(&sql, ctf_name(s->obj.ctx));
	put(&sql, ", ");
	ch_put_quoted(&sql, source.failed ? "" : source.p);
	put_number(&sql, ", ", w->nsid);
	put_number(&sql, ", ", (int64_t)w->at_ns);
	put_number(&sql, ", ", (int64_t)w->previous_ns);
	put_number(&sql, ", ", (int64_t)w->min_age_ns);
	put_number(&sql, ", ", w->complete);
	put(&sql, ")");
	buf_free(&source);
	return run(s, &sql, NULL, err);
}

/* A time of a frame less some, whatever the frame says. */
static int64_t
before(uint64_t ns, int64_t some)
{
	return (ns > INT64_MAX ? INT64_MAX : (int64_t)ns) - some;
}

/* Of flows as young as these the ends that came before were not noted. */
int
ch_swept(struct ch *s, const struct sq_swept *w, struct ctf_err *err)
{
	int r = 0;

	if (w->min_age_ns < s->min_age_ns)
		r = ended_since(s, before(w->at_ns, SLACK_NS), err);
	if (r == 0 && w->complete && w->previous_ns)
		r = lost_mark(s, w, err);
	if (r == 0)
		r = sweep_store(s, w, err);
	ch_delta_tidy(s, w->at_ns);
	if (r == 0 && w->min_age_ns < s->min_age_ns)
		s->min_age_ns = w->min_age_ns;
	return r;
}

/*
 * A daemon that died amid a sweep, before its note came, left sightings of flows of
 * which we may have had the ends.
 */
static int
left_over(struct ch *s, struct ctf_err *err)
{
	struct buf sql = { 0 };
	int64_t seen = 0, age = 0;
	int r;

	put_table(&sql, s, "SELECT max(seen_ns) FROM ", "open_raw");
	put_mine(&sql, s);
	put(&sql, " AND state = 0");
	r = number(s, &sql, &seen, err);
	if (r == 0 && seen > 0) {
		put_table(&sql, s, "SELECT min(min_age_ns) FROM ", "sweeps");
		put_mine(&sql, s);
		r = number(s, &sql, &age, err);
		if (r == 0)
			r = ended_since(s, seen - DELAY_NS, err);
		if (r == 0)
			s->min_age_ns = (uint64_t)age;
	}
	s->looked = r == 0;
	return r;
}

/* So that nobody takes what others covered for all there is. */
static int
exporter_note(struct ch *s, struct ctf_err *err)
{
	struct buf sql = { 0 }, key = { 0 };
	int r;

	buf_puts(&key, "exporter:");
	buf_puts(&key, ch_exporter(CH_CONF(s)));
	put_table(&sql, s, "INSERT INTO ", "meta (key, value) VALUES (");
	ch_put_quoted(&sql, key.failed ? "" : key.p);
	put(&sql, ", '1')");
	r = key.failed ? ctf_fail(err, ENOMEM, "out of memory") : run(s, &sql, NULL, err);
	buf_free(&key);
	buf_free(&sql);
	return r;
}

int
ch_open_load(struct ch *s, struct ctf_err *err)
{
	int r = s->looked ? 0 : left_over(s, err);

	if (r == 0)
		r = exporter_note(s, err);
	return r == 0 ? ch_delta_load(s, err) : r;
}
