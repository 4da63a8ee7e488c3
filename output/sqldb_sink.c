/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqldb_sink.c - PGSQL and MYSQL: frames into the server, each a transaction. */
#include "sqldb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS 10000 /* unless connect_timeout says else */
#define TURN_MS 100
#define CAREFUL 16u                  /* rows at once, after one was refused */
#define SAY_NS UINT64_C(10000000000) /* one line on refused rows in 10 s */

/* ---- session ---------------------------------------------------------------- */

static uint64_t
stored(void *sink, const char *spool)
{
	struct sqldb *s = sink;
	uint64_t frame = 0;

	if (s->way->stored(s, spool, &frame, NULL) < 0)
		s->broken = true; /* its answer may still come */
	return frame;
}

/* What of this run is stored, and what of an earlier one was. */
static int
past_ready(struct sqldb *s, struct ctf_err *err)
{
	int r = s->way->progress(s, err);

	if (r == 0)
		r = s->way->stored(s, s->spool, &s->done, err);
	if (r == 0)
		past_open(s->obj.ctx, &s->past, s->spool, stored, s);
	if (r == 0 && s->broken)
		r = ctf_fail(err, ECONNRESET, "%s: no answer", s->where);
	return r;
}

static int
session_ready(struct sqldb *s, struct ctf_err *err)
{
	const struct sqldb_conf *c = SQLDB_CONF(s);
	int r;

	sqldb_expect(s, c->connect_timeout ? c->connect_timeout : CONNECT_MS);
	r = s->way->connect(s, err);
	if (r < 0)
		return r;
	s->up = true;
	sqldb_expect(s, SQLDB_ANSWER_MS);
	r = s->way->look(s, &s->table, err);
	if (r < 0)
		return r;
	s->progress = true;
	r = past_ready(s, err);
	if (r != -EACCES)
		return r;
	s->progress = false;
	if (!s->said_progress)
		ctf_log(s->obj.ctx, CTF_WARNING,
			"%s: flows whose COMMIT is not answered will be stored again",
			err->msg);
	s->said_progress = true;
	return 0;
}

/* The key names the numbering of the frames, which outlives a hand-over. */
static void
spool_name(struct sqldb *s)
{
	snprintf(s->spool, sizeof(s->spool), "%.60s:%016llx", ctf_name(s->obj.ctx),
		 (unsigned long long)ctf_spool_id(s->obj.ctx));
}

int
sqldb_open(struct sqldb *s, const struct sqldb_way *way, int *ret_err, struct ctf_err *err)
{
	int r;

	s->way = way;
	if (!s->refused) {
		s->refused = ctf_metric_new(s->obj.ctx, "refused", CTF_COUNTER, CTF_UNIT_NONE,
					    "rows the database refused");
		s->repeats = ctf_metric_new(s->obj.ctx, "repeats", CTF_COUNTER, CTF_UNIT_NONE,
					    "flows that were in the database already");
	}
	spool_name(s);
	r = session_ready(s, err);
	if (r < 0) {
		sqldb_close(s);
		*ret_err = -r;
		return -1;
	}
	return way->fd(s);
}

static void
say_refused(struct sqldb *s, bool last)
{
	uint64_t now = ctf_now();

	if (!s->unsaid || (!last && now - s->said_ns < SAY_NS))
		return;
	ctf_log(s->obj.ctx, CTF_ERROR, "table \"%s\" refused %llu flows, lastly: %s",
		SQLDB_CONF(s)->table, (unsigned long long)s->unsaid, s->reason);
	s->said_ns = now;
	s->unsaid = 0;
}

void
sqldb_close(void *sink)
{
	struct sqldb *s = sink;

	say_refused(s, true);
	s->way->close(s);
	sq_layout_free(&s->layout);
	sq_columns_free(s->table.cols, s->table.n);
	s->table = (struct sqldb_table){ .n = 0 };
	free(s->rows);
	s->rows = NULL;
	s->n = s->room = 0;
	s->up = s->broken = false;
}

enum ctf_sent
sqldb_idle(void *sink, struct ctf_err *err)
{
	struct sqldb *s = sink;

	if (s->way->alive(s))
		return CTF_SENT;
	s->broken = true;
	ctf_fail(err, ECONNRESET, "%s: the server has ended the session", s->where);
	return CTF_RETRY;
}

/* ---- a frame ---------------------------------------------------------------- */

static int
layout_use(struct sqldb *s, const struct ctf_layout *l)
{
	int r;

	if (s->layout.text && s->layout.id == l->id)
		return 0;
	sq_layout_free(&s->layout);
	r = sq_layout_get(&s->layout, l);
	if (r < 0) {
		sq_layout_free(&s->layout);
		return r;
	}
	s->fields = 0;
	for (unsigned i = 0; i < s->table.n; i++) {
		if (sq_column_map(&s->table.cols[i], &s->layout))
			s->fields++;
		else
			ctf_log(s->obj.ctx, CTF_WARNING,
				"column \"%s\" of \"%s\" gets nothing until the next start",
				s->table.cols[i].name, SQLDB_CONF(s)->table);
	}
	return 0;
}

static int
row_add(struct sqldb *s, const struct sq_row *row)
{
	struct sq_cell cells[SQ_FIELDS];
	struct sqldb_row *more;

	if (row->kind != SQ_REC || row->flags & SQ_LIVES)
		return 0;
	if (sq_rec_get(&s->layout, row, cells) < 0)
		return -EBADMSG;
	if (s->n == s->room) {
		more = realloc(s->rows, (s->room + 1024) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->rows = more;
		s->room += 1024;
	}
	s->rows[s->n++] = (struct sqldb_row){ *row, false };
	return 0;
}

/* Lists the rows, all of which are known to be whole then. */
static int
frame_list(struct sqldb *s, const struct ctf_frame *f)
{
	int len, r = layout_use(s, f->layout);
	struct sq_row row;

	s->n = 0;
	for (uint32_t at = 0; at < f->len && r == 0; at += (uint32_t)len) {
		len = sq_row_get(f->p + at, f->len - at, &row);
		if (len < 0)
			return -EBADMSG;
		r = row_add(s, &row);
	}
	return r;
}

static void
refuse(struct sqldb *s, unsigned row, const struct ctf_err *why)
{
	s->rows[row].refused = true;
	snprintf(s->reason, sizeof(s->reason), "%.199s", why->msg);
}

/*
 * The rows, and COMMIT with the last of them.  Where one was refused it goes on
 * with a few at a time, as those before it may have to be sent again.
 */
static int
rows_store(struct sqldb *s, struct ctf_err *err)
{
	unsigned at = 0, chunk = s->n, bad = 0;

	for (;;) {
		unsigned to = chunk < s->n - at ? at + chunk : s->n;
		int r = s->way->rows(s, at, to, to == s->n, &bad, err);

		if (r < 0 || r == SQLDB_UNWANTED)
			return r;
		if (r == SQLDB_REFUSED) {
			refuse(s, bad, err);
			chunk = s->way->keeps ? s->n : CAREFUL;
			at = s->way->keeps ? bad + 1 : at;
			continue;
		}
		if (to == s->n)
			return 0;
		at = to;
		chunk *= 2;
	}
}

static uint64_t
refused_rows(const struct sqldb *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += s->rows[i].refused;
	return n;
}

/* What could not be stored, after the others were. */
static void
frame_account(struct sqldb *s, const struct ctf_frame *f, uint64_t refused)
{
	s->immediate = false;
	if (!refused)
		return;
	ctf_count(s->refused, refused);
	ctf_refused(s->obj.ctx, f, refused);
	s->unsaid += refused;
	say_refused(s, false);
}

static int
rows_commit(struct sqldb *s, const struct ctf_frame *f, struct ctf_err *err)
{
	int r = rows_store(s, err);

	if (r == 0) {
		past_end(s->past, true);
		s->done = f->number;
		frame_account(s, f, refused_rows(s));
	} else { /* who knows whether it was committed */
		s->maybe = f->number;
		s->maybe_refused = refused_rows(s);
	}
	return r;
}

/* The server has the frame, or, where our row is gone, seems to. */
static int
is_stored(struct sqldb *s, const struct ctf_frame *f, struct ctf_err *err)
{
	uint64_t last = 0;
	int r = s->way->rollback(s, err);

	if (r == 0)
		r = s->way->stored(s, s->spool, &last, err);
	if (r == 0 && last < f->number) /* the next session makes it anew */
		r = ctf_fail(err, ESTALE, "%s: our row of " SQLDB_PROGRESS " is gone",
			     s->where);
	return r;
}

static int
frame_store(struct sqldb *s, const struct ctf_frame *f, struct ctf_err *err)
{
	bool fresh = true;
	int r;

	sqldb_expect(s, SQLDB_ANSWER_MS);
	r = s->way->begin(s, f->number, &fresh, err);
	if (r == 0 && !fresh)
		r = is_stored(s, f, err);
	if (r < 0)
		return r;
	past_begin(s->past, f);
	if (fresh)
		return rows_commit(s, f, err);
	past_end(s->past, true);
	ctf_log(s->obj.ctx, CTF_NOTICE, "frame %llu with %u flows was stored already",
		(unsigned long long)f->number, s->n);
	ctf_count(s->repeats, s->n);
	s->done = f->number;
	return 0;
}

static enum ctf_sent
outcome(struct sqldb *s, int r, struct ctf_err *err)
{
	switch (r) {
	case 0:
		return CTF_SENT;
	case SQLDB_UNWANTED: /* by a constraint that is deferred: which row was it? */
		if (s->immediate)
			return CTF_POISON;
		s->immediate = true;
		return CTF_AGAIN;
	case -EAGAIN:
		ctf_log(s->obj.ctx, CTF_INFO, "%s; again", err->msg);
		return CTF_AGAIN;
	case -EINTR:
		s->broken = true;
		return CTF_AGAIN;
	default:
		s->broken = true;
		return CTF_RETRY;
	}
}

static enum ctf_sent
frame_deliver(struct sqldb *s, const struct ctf_frame *f, struct ctf_err *err)
{
	int r;

	if (s->progress && f->number <= s->done) {
		ctf_count(s->repeats, f->flows);
		if (f->number == s->maybe)
			frame_account(s, f, s->maybe_refused);
		s->maybe = 0;
		return CTF_SENT;
	}
	r = frame_list(s, f);
	if (r == -EBADMSG) {
		ctf_fail(err, EBADMSG, "a frame that is none of ours");
		return CTF_POISON;
	}
	if (r < 0)
		return ctf_fail(err, -r, "%s", strerror(-r)), CTF_RETRY;
	return outcome(s, frame_store(s, f, err), err);
}

enum ctf_sent
sqldb_deliver(void *sink, const struct ctf_frame *const *frames, unsigned n,
	      unsigned *ret_taken, struct ctf_err *err)
{
	enum ctf_sent sent = CTF_SENT;
	struct sqldb *s = sink;
	unsigned taken = 0;
	uint64_t until = ctf_mono_ms() + TURN_MS;

	if (s->broken) {
		ctf_fail(err, EINTR, "interrupted: new session");
		return CTF_RETRY;
	}
	/* The core counts what is taken as progress, so not too many at once. */
	while (taken < n && sent == CTF_SENT && ctf_mono_ms() < until) {
		sent = frame_deliver(s, frames[taken], err);
		taken += sent == CTF_SENT;
	}
	*ret_taken = taken;
	return taken && sent == CTF_AGAIN ? CTF_SENT : sent;
}
