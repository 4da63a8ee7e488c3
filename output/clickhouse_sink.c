/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_sink.c - CLICKHOUSE: frames into the server.  The rows of a day are one
 * POST, which the server takes as a whole or not at all; what it was sent twice has
 * the same key.
 */
#include "clickhouse.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ENDED_STATE 2

/* ---- session --------------------------------------------------------------------- */

/* The server does not remember numbers of frames. */
static uint64_t
stored(void *sink, const char *spool)
{
	return 0;
}

static int
ready(struct ch *s, struct ctf_err *err)
{
	int r;

	if (!s->up && ch_http_begin(&s->http) < 0)
		return ctf_fail(err, ENOMEM, "out of memory");
	s->up = true;
	r = ch_session(s, err);
	if (r == 0)
		r = ch_notes_load(s, err);
	if (r == 0)
		r = ch_open_load(s, err);
	return r;
}

int
ch_open(void *sink, int *ret_err, struct ctf_err *err)
{
	struct ch *s = sink;
	int r;

	if (!s->posts) {
		s->posts = ctf_metric_new(s->obj.ctx, "posts", CTF_COUNTER, CTF_UNIT_NONE,
					  "inserts the server has taken");
		s->failovers = ctf_metric_new(s->obj.ctx, "failovers", CTF_COUNTER,
					      CTF_UNIT_NONE, "changes to another server");
		s->min_age_ns = UINT64_MAX;
		s->since_ns = ctf_now();
	}
	snprintf(s->spool, sizeof(s->spool), "%.60s:%016llx", ctf_name(s->obj.ctx),
		 (unsigned long long)ctf_spool_id(s->obj.ctx));
	r = ready(s, err);
	if (r < 0) {
		ch_close(s);
		*ret_err = -r;
		return -1;
	}
	past_open(s->obj.ctx, &s->past, s->spool, stored, s);
	ctf_gather(s->obj.ctx, CH_CONF(s)->batch_time);
	return -1;
}

void
ch_close(void *sink)
{
	struct ch *s = sink;

	if (s->up)
		ch_http_end(&s->http);
	s->up = false;
	ch_password_forget(&s->password);
	ch_notes_free(&s->notes);
	ch_delta_free(s);
	free(s->refs);
	s->refs = NULL;
	s->n = s->room = 0;
}

/* ---- rows ---------------------------------------------------------------------------- */

struct rows { /* of s->refs, as a body */
	struct ch_body body;
	const struct ch_ref *refs;
	unsigned n, at;
	uint32_t off; /* in that one */
	bool ends;    /* as ends of flows of open_raw */
};

/* What follows the columns of flows_raw in a row of open_raw that says: ended. */
#define TAIL 11
static void
tail_make(const struct ch_ref *ref, uint8_t ret_tail[TAIL])
{
	uint64_t version =
		htole64(ch_ended_version((const struct ch_fixed *)(const void *)ref->p));

	ret_tail[0] = 0; /* no source */
	ret_tail[1] = ref->taken != NULL;
	memcpy(ret_tail + 2, &version, 8);
	ret_tail[10] = ENDED_STATE;
}
#define ENDED_COLUMNS ",version,state"

static uint32_t
row_size(const struct rows *b, const struct ch_ref *ref)
{
	return ref->len + (b->ends ? TAIL : 0);
}

static size_t
rows_read(struct ch_body *body, uint8_t *to, size_t n)
{
	struct rows *b = (struct rows *)body;
	uint8_t end[TAIL];
	size_t done = 0;

	while (done < n && b->at < b->n) {
		const struct ch_ref *ref = &b->refs[b->at];
		bool tail = b->off >= ref->len;
		const uint8_t *from = tail ? end + b->off - ref->len : ref->p + b->off;
		size_t left = (tail ? row_size(b, ref) : ref->len) - b->off;

		if (tail)
			tail_make(ref, end);
		left = left < n - done ? left : n - done;
		memcpy(to + done, from, left);
		done += left;
		b->off += (uint32_t)left;
		if (b->off == row_size(b, ref)) {
			b->off = 0;
			b->at++;
		}
	}
	return done;
}

static void
rows_rewind(struct ch_body *body)
{
	struct rows *b = (struct rows *)body;

	b->at = b->off = 0;
}

static int
rows_post(struct ch *s, const char *table, const char *columns, const struct ch_ref *refs,
	  unsigned n, bool ends, struct ctf_err *err)
{
	struct rows b = { { 0, rows_read, rows_rewind }, refs, n, 0, 0, ends };

	for (unsigned i = 0; i < n; i++)
		b.body.len += row_size(&b, &refs[i]);
	return n ? ch_insert(s, table, columns, &b.body, err) : 0;
}

/* ---- the frames at hand ------------------------------------------------------------ */

int
ch_ref_add(struct ch *s, const uint8_t *p, uint32_t len, int32_t day)
{
	struct ch_ref *more;

	if (s->n == s->room) {
		more = realloc(s->refs, (2 * s->room + 4096) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->refs = more;
		s->room = 2 * s->room + 4096;
	}
	s->refs[s->n++] = (struct ch_ref){ p, len, day, NULL };
	return 0;
}

static int
row_add(struct ch *s, const struct sq_row *row)
{
	int32_t day = (int32_t)(row->key / CH_DAY_NS);

	if (row->kind == SQ_REC && !ch_row_whole(row->p, row->len, row->flags & CH_OPEN))
		return -EBADMSG;
	if (row->kind != SQ_REC)
		day = CH_DAY_NOTE;
	else if (row->flags & CH_OPEN)
		day = row->flags & CH_DELTA ? CH_DAY_DELTA : CH_DAY_OPEN;
	return ch_ref_add(s, row->p, row->len, day);
}

/* Lists its rows, all of which are known to be whole then. */
static int
frame_list(struct ch *s, const struct ctf_frame *f)
{
	struct sq_row row;
	int len, r = ch_layout_check(f->layout);

	for (uint32_t at = 0; at < f->len && r == 0; at += (uint32_t)len) {
		len = sq_row_get(f->p + at, f->len - at, &row);
		if (len < 0)
			return -EBADMSG;
		r = row_add(s, &row);
	}
	return r;
}

/* In the order they came: sweeps after the rows they are about. */
static int
frame_notes(struct ch *s, const struct ctf_frame *f, struct ctf_err *err)
{
	struct sq_swept sweep;
	struct sq_row row;
	int len, r = 0;

	for (uint32_t at = 0; at < f->len && r == 0; at += (uint32_t)len) {
		len = sq_row_get(f->p + at, f->len - at, &row);
		if (len < 0)
			return -EBADMSG;
		if (row.kind == SQ_REC)
			continue;
		if (row.kind != SQ_SWEEP)
			r = ch_notes_take(s, &row);
		else if (sq_sweep_get(&row, &sweep) < 0)
			r = -EBADMSG;
		else
			r = ch_swept(s, &sweep, err);
	}
	return r;
}

static int
by_day(const void *a, const void *b)
{
	const struct ch_ref *x = a, *y = b;

	return x->day != y->day ? (x->day < y->day ? -1 : 1) : 0;
}

static void
refs_sort(struct ch *s)
{
	for (unsigned i = 1; i < s->n; i++)
		if (s->refs[i - 1].day > s->refs[i].day) {
			qsort(s->refs, s->n, sizeof(*s->refs), by_day);
			return;
		}
}

/* The ends among these whose flows a sweep may have shown: they live no more. */
static int
ends_post(struct ch *s, unsigned from, struct ctf_err *err)
{
	unsigned n = 0;
	struct ch_ref *late;
	char columns[600];
	int r = 0;

	if (s->min_age_ns == UINT64_MAX)
		return 0;
	late = malloc((s->n - from + 1) * sizeof(*late));
	if (!late)
		return ctf_fail(err, ENOMEM, "out of memory");
	for (unsigned i = from; i < s->n; i++)
		if (ch_open_may(s, (const struct ch_fixed *)(const void *)s->refs[i].p))
			late[n++] = s->refs[i];
	for (unsigned i = 0; i < n && r == 0; i++)
		r = ch_delta_end(s, &late[i]);
	/* "seen_ns" in the place of "at_ns", and the source is not told. */
	snprintf(columns, sizeof(columns), "%s" ENDED_COLUMNS, ch_open_columns);
	if (r == 0)
		r = rows_post(s, "open_raw", columns, late, n, true, err);
	free(late);
	return r;
}

static int
flows_post(struct ch *s, unsigned from, struct ctf_err *err)
{
	unsigned most = (unsigned)CH_CONF(s)->batch_rows;
	int r = 0;

	for (unsigned to; from < s->n && r == 0; from = to) {
		for (to = from + 1; to < s->n && to - from < most; to++)
			if (s->refs[to].day != s->refs[from].day)
				break;
		r = rows_post(s, "flows_raw", ch_columns, s->refs + from, to - from, false,
			      err);
	}
	return r;
}

static int
rows_store(struct ch *s, struct ctf_err *err)
{
	unsigned opens = 0, notes;
	int r;

	refs_sort(s);
	while (opens < s->n && s->refs[opens].day <= CH_DAY_OPEN)
		opens++;
	for (notes = opens; notes < s->n && s->refs[notes].day == CH_DAY_NOTE; notes++)
		;
	r = rows_post(s, "open_raw", ch_open_columns, s->refs, opens, false, err);
	if (r == 0)
		r = flows_post(s, notes, err);
	return r == 0 ? ends_post(s, notes, err) : r;
}

/* ---- deliver --------------------------------------------------------------------------- */

/* So many frames at once; at least one. */
static int
frames_list(struct ch *s, const struct ctf_frame *const *frames, unsigned n, unsigned *ret_n)
{
	unsigned i, before;
	int r = 0;

	s->n = 0;
	for (i = 0; i < n && r == 0; i++) {
		if (i && s->n + frames[i]->recs > CH_CONF(s)->batch_rows)
			break;
		before = s->n;
		r = frame_list(s, frames[i]);
		if (r < 0 && i) { /* it comes first the next time */
			s->n = before;
			r = 0;
			break;
		}
	}
	*ret_n = i;
	return r;
}

static int
frames_store(struct ch *s, const struct ctf_frame *const *frames, unsigned n,
	     struct ctf_err *err)
{
	int r;

	past_begin(s->past, frames[n - 1]);
	r = ch_delta_take(s);
	if (r == 0)
		r = rows_store(s, err);
	ch_delta_done(s);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = frame_notes(s, frames[i], err);
	if (r == 0)
		r = ch_notes_post(s, err);
	if (r == 0)
		past_end(s->past, true);
	return r;
}

enum ctf_sent
ch_deliver(void *sink, const struct ctf_frame *const *frames, unsigned n, unsigned *ret_taken,
	   struct ctf_err *err)
{
	struct ch *s = sink;
	unsigned take = 0;
	int r = frames_list(s, frames, n, &take);

	if (r == 0)
		r = frames_store(s, frames, take, err);
	switch (r) {
	case 0:
		*ret_taken = take;
		return CTF_SENT;
	case -EBADMSG:
		ctf_fail(err, EBADMSG, "a frame that is none of ours");
		return CTF_POISON;
	case -ENOMEM:
		ctf_fail(err, ENOMEM, "out of memory");
		return CTF_RETRY;
	case -EINTR: /* what it was sent comes again, with the same keys */
		return CTF_AGAIN;
	default:
		s->failed = true;
		return CTF_RETRY;
	}
}
