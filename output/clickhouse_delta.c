/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_delta.c - CLICKHOUSE: where sweeps set the counters of flows to 0
 * (active_counters=delta), what they took is added up here.  A sighting is stored
 * with the sum so far, and the end of the flow with the sum and its remainder.
 *
 * The sums come from the server when the daemon starts.  A frame that is delivered
 * again changes nothing: a sighting counts if it is newer than what was added.
 */
#include "clickhouse.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#define PAGE 8000
#define KEEP_NS UINT64_C(3600000000000) /* after the end, should its frame come again */

struct key {
	int32_t nsid;
	int64_t id, start_ns;
	int16_t proto;
	uint8_t src[16];
	int32_t sport;
	uint8_t dst[16];
	int32_t dport;
	int16_t icmp_type, icmp_code;
} __attribute__((packed));

struct ch_taken {
	struct ch_taken *next;
	struct key key;
	int64_t sum[4];      /* -1: nothing was told of that counter */
	uint64_t sighted_ns; /* the newest that is in the sum */
	uint64_t ended_ns;   /* 0: it lives */
	uint8_t *end;        /* its row, as it came, NULL: not known */
	uint32_t end_len;
};

struct ch_delta {
	struct ch_taken **slot;
	size_t slots, n;
};

static struct ch_taken **
find(struct ch_delta *d, const struct key *k)
{
	struct ch_taken **f = &d->slot[ctf_hash(CTF_HASH, k, sizeof(*k)) & (d->slots - 1)];

	while (*f && memcmp(&(*f)->key, k, sizeof(*k)) != 0)
		f = &(*f)->next;
	return f;
}

static int
grow(struct ch_delta *d)
{
	struct ch_delta more = { .slots = d->slots ? 2 * d->slots : 1024, .n = d->n };

	if (d->n < d->slots)
		return 0;
	more.slot = calloc(more.slots, sizeof(*more.slot));
	if (!more.slot)
		return -ENOMEM;
	for (size_t i = 0; i < d->slots; i++)
		for (struct ch_taken *f = d->slot[i], *next; f; f = next) {
			struct ch_taken **to = find(&more, &f->key);

			next = f->next;
			f->next = NULL;
			*to = f;
		}
	free(d->slot);
	*d = more;
	return 0;
}

static void
taken_free(struct ch_taken *f)
{
	free(f->end);
	free(f);
}

void
ch_delta_free(struct ch *s)
{
	for (size_t i = 0; s->delta && i < s->delta->slots; i++)
		for (struct ch_taken *f = s->delta->slot[i], *next; f; f = next) {
			next = f->next;
			taken_free(f);
		}
	if (s->delta)
		free(s->delta->slot);
	free(s->delta);
	s->delta = NULL;
}

/* Of that key, made if missing. */
static struct ch_taken *
taken_of(struct ch *s, const struct key *k)
{
	struct ch_taken **f;

	if (!s->delta)
		s->delta = calloc(1, sizeof(*s->delta));
	if (!s->delta || grow(s->delta) < 0) {
		if (s->delta && !s->delta->slots)
			ch_delta_free(s);
		return NULL;
	}
	f = find(s->delta, k);
	if (*f)
		return *f;
	*f = malloc(sizeof(**f));
	if (!*f)
		return NULL;
	**f = (struct ch_taken){ .key = *k, .sum = { -1, -1, -1, -1 } };
	s->delta->n++;
	return *f;
}

static void
key_of(const struct ch_fixed *x, struct key *ret)
{
	*ret = (struct key){ .nsid = x->nsid,
			     .id = x->id,
			     .start_ns = x->start_ns,
			     .proto = x->proto,
			     .sport = x->sport,
			     .dport = x->dport,
			     .icmp_type = x->icmp_type,
			     .icmp_code = x->icmp_code };
	memcpy(ret->src, x->src, 16);
	memcpy(ret->dst, x->dst, 16);
}

void
ch_delta_tidy(struct ch *s, uint64_t now)
{
	for (size_t i = 0; s->delta && i < s->delta->slots; i++)
		for (struct ch_taken **f = &s->delta->slot[i]; *f;) {
			struct ch_taken *old = *f;

			if (!old->ended_ns || old->ended_ns > now ||
			    now - old->ended_ns < KEEP_NS) {
				f = &old->next;
				continue;
			}
			*f = old->next;
			taken_free(old);
			s->delta->n--;
		}
}

/* ---- rows --------------------------------------------------------------------- */

static int64_t
plus(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* A copy of the row with other counters, of the frames at hand. */
static int
patch(struct ch *s, struct ch_ref *ref, const int64_t counters[4])
{
	uint8_t *copy = malloc(ref->len), **more;
	struct ch_fixed x;

	more = copy ? realloc(s->copies, (s->ncopies + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(copy);
		return -ENOMEM;
	}
	s->copies = more;
	s->copies[s->ncopies++] = copy;
	memcpy(copy, ref->p, ref->len);
	memcpy(&x, copy, sizeof(x));
	for (unsigned i = 0; i < 4; i++)
		x.counters[i] = (int64_t)htole64((uint64_t)counters[i]);
	memcpy(copy, &x, sizeof(x));
	ref->p = copy;
	return 0;
}

static void
counters_get(const struct ch_fixed *x, int64_t ret[4])
{
	for (unsigned i = 0; i < 4; i++)
		ret[i] = (int64_t)le64toh((uint64_t)x->counters[i]);
}

/* The end with its remainder and what sweeps took before. */
static int
end_sum(struct ch *s, struct ch_ref *ref, const struct ch_taken *f)
{
	struct ch_fixed x;
	int64_t total[4];

	memcpy(&x, ref->p, sizeof(x));
	counters_get(&x, total);
	for (unsigned i = 0; i < 4; i++)
		total[i] = plus(f->sum[i], total[i]);
	ref->taken = f;
	return patch(s, ref, total);
}

static int
ended(struct ch *s, struct ch_ref *ref, const struct ch_fixed *x)
{
	struct ch_taken *f;
	struct key k;

	key_of(x, &k);
	f = *find(s->delta, &k);
	if (!f && !ch_open_may(s, x))
		return 0;
	f = f ? f : taken_of(s, &k);
	if (!f)
		return -ENOMEM;
	f->ended_ns = le64toh((uint64_t)x->at_ns);
	if (!f->end) {
		f->end = malloc(ref->len);
		if (!f->end)
			return -ENOMEM;
		memcpy(f->end, ref->p, ref->len);
		f->end_len = ref->len;
	}
	return f->sighted_ns ? end_sum(s, ref, f) : 0;
}

/* Its end may have come before: that row again, with more. */
static int
sighted(struct ch *s, struct ch_ref *ref, const struct ch_fixed *x)
{
	uint64_t seen = le64toh((uint64_t)x->at_ns);
	int64_t taken[4];
	struct ch_taken *f;
	struct key k;
	int r;

	key_of(x, &k);
	f = taken_of(s, &k);
	if (!f)
		return -ENOMEM;
	counters_get(x, taken);
	for (unsigned i = 0; i < 4 && seen > f->sighted_ns; i++)
		f->sum[i] = plus(f->sum[i], taken[i]);
	if (seen > f->sighted_ns)
		f->sighted_ns = seen;
	r = patch(s, ref, f->sum);
	if (r < 0 || !f->end)
		return r;
	r = ch_ref_add(s, f->end, f->end_len, (int32_t)(f->ended_ns / CH_DAY_NS));
	return r == 0 ? end_sum(s, &s->refs[s->n - 1], f) : r;
}

/* In the order the rows came. */
int
ch_delta_take(struct ch *s)
{
	struct ch_fixed x;
	int r = 0;

	for (unsigned i = 0, n = s->n; i < n && r == 0; i++) {
		struct ch_ref ref = s->refs[i];

		if (ref.day == CH_DAY_NOTE || (ref.day != CH_DAY_DELTA && !s->delta))
			continue;
		memcpy(&x, ref.p, sizeof(x));
		if (ref.day == CH_DAY_DELTA)
			r = sighted(s, &ref, &x);
		else if (ref.day >= 0)
			r = ended(s, &ref, &x);
		s->refs[i] = ref;
	}
	return r;
}

/* The row that says it ended keeps what sweeps took: for the next start. */
int
ch_delta_end(struct ch *s, struct ch_ref *ref)
{
	return ref->taken ? patch(s, ref, ref->taken->sum) : 0;
}

void
ch_delta_done(struct ch *s)
{
	for (unsigned i = 0; i < s->ncopies; i++)
		free(s->copies[i]);
	free(s->copies);
	s->copies = NULL;
	s->ncopies = 0;
}

/* ---- at the start ------------------------------------------------------------- */

struct stored { /* a row of the answer */
	struct key key;
	int64_t counters[4], seen_ns;
	uint8_t state;
} __attribute__((packed));

static int
page_take(struct ch *s, const struct buf *text)
{
	struct stored row;

	if (text->len % sizeof(row))
		return -EPROTO;
	for (size_t at = 0; at < text->len; at += sizeof(row)) {
		struct ch_taken *f;

		memcpy(&row, text->p + at, sizeof(row));
		f = taken_of(s, &row.key);
		if (!f)
			return -ENOMEM;
		for (unsigned i = 0; i < 4; i++)
			f->sum[i] = (int64_t)le64toh((uint64_t)row.counters[i]);
		f->sighted_ns = le64toh((uint64_t)row.seen_ns);
		f->ended_ns = row.state == 2 ? f->sighted_ns : 0;
	}
	return 0;
}

static int
page_load(struct ch *s, unsigned at, size_t *ret_rows, struct ctf_err *err)
{
	struct buf sql = { 0 }, text = { 0 };
	int r;

	buf_puts(&sql, "SELECT nsid, id, start_ns, proto, src, sport, dst, dport, icmp_type,"
		       " icmp_code, orig_packets, orig_bytes, reply_packets, reply_bytes,"
		       " seen_ns, state FROM ");
	buf_puts(&sql, CH_CONF(s)->db);
	buf_puts(&sql, ".open_raw FINAL WHERE delta = 1 AND exporter = ");
	ch_put_quoted(&sql, ch_exporter(CH_CONF(s)));
	buf_puts(&sql, " AND (state = 0 OR seen_ns > ");
	buf_num(&sql, ctf_now() - KEEP_NS);
	buf_puts(&sql, ") ORDER BY nsid, start_ns, id, src, sport, dst, dport LIMIT ");
	buf_num(&sql, at);
	buf_puts(&sql, ", ");
	buf_num(&sql, PAGE);
	buf_puts(&sql, " FORMAT RowBinary");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory") : ch_run(s, sql.p, &text, err);
	buf_free(&sql);
	if (r == 0 && page_take(s, &text) < 0)
		r = ctf_fail(err, EPROTO, "%s: not the rows of open_raw", s->where);
	*ret_rows = text.len / sizeof(struct stored);
	buf_free(&text);
	return r;
}

int
ch_delta_load(struct ch *s, struct ctf_err *err)
{
	size_t rows = PAGE;
	int r = 0;

	for (unsigned at = 0; r == 0 && rows == PAGE; at += PAGE)
		r = page_load(s, at, &rows, err);
	return r;
}
