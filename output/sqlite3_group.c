/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: frames into the database.  A group of frames is one transaction,
 * together with the number of its last frame in `progress`: what is offered
 * again after a broken connection or a crash is not stored again.
 */
#include <errno.h>
#include <stdlib.h>

#include "sqlite3_rollup.h"

static int
ref_add(struct sq_sink *s, const struct sq_row *row, const uint8_t *p)
{
	struct sq_ref *more;

	if (s->n == s->room) {
		more = realloc(s->refs, (s->room + 1024) * sizeof(*more));
		if (!more)
			return SQLITE_NOMEM;
		s->refs = more;
		s->room += 1024;
	}
	s->refs[s->n].key = row->key > SQ_AT_MAX ? SQ_AT_MAX : (int64_t)row->key;
	s->refs[s->n].flags = row->flags & SQ_LIVES ? SQ_REF_LIVES : 0;
	s->living += (row->flags & SQ_LIVES) != 0;
	s->refs[s->n++].p = p;
	return SQLITE_OK;
}

/*
 * A foreign table takes all it is sent; what lives only if it was known to be
 * one when that was asked for.  Ours is for flows that have ended or live.
 */
static bool
is_wanted(const struct sq_sink *s, const struct sq_row *row)
{
	if (row->kind != SQ_REC)
		return false;
	if (s->table.own == SQ_FOREIGN)
		return !(row->flags & SQ_LIVES) || SQ_CONF(s)->seen.own == SQ_FOREIGN;
	return row->flags & (SQ_FINISHED | SQ_LIVES);
}

static int
frame_list(struct sq_sink *s, const struct ctf_frame *f)
{
	struct sq_row row;
	int len, rc = SQLITE_OK;

	for (uint32_t at = 0; at < f->len && rc == SQLITE_OK; at += (uint32_t)len) {
		len = sq_row_get(f->p + at, f->len - at, &row);
		if (len < 0)
			return SQLITE_FORMAT;
		if (is_wanted(s, &row))
			rc = ref_add(s, &row, f->p + at);
	}
	return rc;
}

/* What the frames have for the table; anew whenever either has changed. */
static int
layout_use(struct sq_sink *s, const struct ctf_layout *l)
{
	int r;

	if (s->layout.text && s->layout.id == l->id)
		return SQLITE_OK;
	sq_layout_free(&s->layout);
	r = sq_layout_get(&s->layout, l);
	if (r < 0) {
		sq_layout_free(&s->layout);
		return r == -ENOMEM ? SQLITE_NOMEM : SQLITE_FORMAT;
	}
	if (s->table.own == SQ_FOREIGN)
		return sq_foreign_map(s);
	sq_native_map(s);
	return sq_names_map(s);
}

static bool
is_done(const struct sq_sink *s, const struct ctf_frame *f)
{
	return s->known && f->number <= s->done;
}

/*
 * Lists frames of one layout until a transaction is full; *ret_n says how
 * many, those that need no storing again among them.
 */
static int
group_list(struct sq_sink *s, const struct ctf_frame *const *f, unsigned n, unsigned *ret_n)
{
	const struct ctf_layout *layout = NULL;
	int rc = SQLITE_OK;
	unsigned i;

	s->n = s->living = 0;
	for (i = 0; i < n && s->n < SQ_GROUP && rc == SQLITE_OK; i++) {
		if (is_done(s, f[i]))
			continue;
		if (layout && f[i]->layout->id != layout->id)
			break;
		if (!layout)
			rc = layout_use(s, f[i]->layout);
		layout = f[i]->layout;
		if (rc == SQLITE_OK)
			rc = frame_list(s, f[i]);
	}
	*ret_n = i;
	return rc;
}

/* Gaps and coverage, in the order of the frames. */
static int
notes_store(struct sq_sink *s, const struct ctf_frame *f)
{
	struct sq_row row;
	int rc = SQLITE_OK, len;

	for (uint32_t at = 0; at < f->len && rc == SQLITE_OK; at += (uint32_t)len) {
		len = sq_row_get(f->p + at, f->len - at, &row);
		if (len < 0)
			return SQLITE_FORMAT;
		if (row.kind != SQ_REC)
			rc = sq_note_store(s, &row);
	}
	return rc;
}

static int
progress_store(struct sq_sink *s, uint64_t frame)
{
	sqlite3_stmt *st = s->st[SQ_ST_PROGRESS];

	sqlite3_bind_text(st, 1, s->spool, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)frame);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)ctf_now());
	return sq_run(st);
}

static int
rows_store(struct sq_sink *s, const struct ctf_frame *const *f, unsigned n)
{
	int rc;

	if (s->table.own == SQ_FOREIGN)
		return sq_foreign_store(s);
	rc = sq_days_begin(s);
	if (rc == SQLITE_OK)
		rc = sq_native_store(s);
	for (unsigned i = 0; i < n && rc == SQLITE_OK; i++)
		if (!is_done(s, f[i]))
			rc = notes_store(s, f[i]);
	return rc == SQLITE_OK ? sq_rollup_store(s) : rc;
}

/* A frame that was not delivered; in a transaction of the caller. */
int
sq_frame_store(struct sq_sink *s, const struct ctf_frame *f)
{
	int rc = layout_use(s, f->layout);

	s->n = s->living = 0;
	sq_rollup_reset(s);
	if (rc == SQLITE_OK)
		rc = frame_list(s, f);
	if (rc == SQLITE_OK)
		rc = sq_native_store(s);
	return rc == SQLITE_OK ? sq_rollup_store(s) : rc;
}

/* One transaction; after an error nothing of it is left. */
static int
group_store(struct sq_sink *s, const struct ctf_frame *const *f, unsigned n)
{
	uint64_t last = f[n - 1]->number;
	int rc = sq_run(s->st[SQ_ST_BEGIN]);

	if (rc != SQLITE_OK)
		return rc;
	s->rows = s->stored = 0;
	sq_rollup_reset(s);
	rc = rows_store(s, f, n);
	if (rc == SQLITE_OK)
		rc = progress_store(s, last);
	if (rc == SQLITE_OK) {
		past_begin(s->past, f[n - 1]);
		rc = sq_run(s->st[SQ_ST_COMMIT]);
		past_end(s->past, rc == SQLITE_OK);
	}
	if (rc == SQLITE_OK) {
		s->last_ms = ctf_mono_ms();
		s->known = true;
		s->done = last;
		ctf_count(s->repeats, s->rows - s->stored);
		sq_foreign_say(s, false);
	}
	return rc;
}

/*
 * Lists and stores.  A group that met a broken row is tried again as its first
 * frame alone, so that only the frame at fault is given up.
 */
static int
group_try(struct sq_sink *s, const struct ctf_frame *const *f, unsigned n, unsigned *ret_n,
	  struct ctf_err *err)
{
	int rc = group_list(s, f, n, ret_n);

	if (rc == SQLITE_OK && is_done(s, f[*ret_n - 1]))
		return SQLITE_OK; /* all of them */
	if (rc == SQLITE_OK)
		rc = group_store(s, f, *ret_n);
	if (rc == SQLITE_OK)
		return rc;
	if (!sq_is_busy(rc))
		sq_fail(s, err, rc, "cannot store");
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	sq_days_forget(s);
	sq_names_forget(s);
	s->sweeping = false; /* as far as the database knows: it is told again */
	return rc;
}

/* The table was changed under a foreign insert: see what it is now. */
static int
table_follow(struct sq_sink *s)
{
	sqlite3_stmt *st = s->st[SQ_ST_FOREIGN];
	struct sq_table now;
	int rc;

	if (s->table.own != SQ_FOREIGN || !st ||
	    sqlite3_stmt_status(st, SQLITE_STMTSTATUS_REPREPARE, 1) == 0)
		return SQLITE_OK;
	rc = sq_table_look(s->db, SQ_CONF(s)->table, &now);
	if (rc != SQLITE_OK)
		return rc;
	sq_table_free(&s->table);
	s->table = now;
	sq_layout_free(&s->layout);
	return now.own == SQ_FOREIGN ? SQLITE_OK : SQLITE_SCHEMA;
}

static enum ctf_sent
busy(struct sq_sink *s)
{
	if (!s->said_busy)
		ctf_log(s->obj.ctx, CTF_WARNING, "%s: locked by another process, waiting",
			SQ_CONF(s)->db);
	s->said_busy = true;
	return CTF_AGAIN;
}

static enum ctf_sent
outcome(struct sq_sink *s, int rc, bool or_abort)
{
	if (sq_is_busy(rc))
		return (rc & 0xff) == SQLITE_INTERRUPT ? CTF_AGAIN : busy(s);
	if (rc == SQLITE_FORMAT)
		return CTF_POISON;
	/* The table's ON CONFLICT ROLLBACK took the whole group with one row. */
	if ((rc & 0xff) == SQLITE_CONSTRAINT && s->table.own == SQ_FOREIGN) {
		s->or_abort = true;
		return or_abort ? CTF_POISON : CTF_RETRY;
	}
	s->damaged |= sq_is_damage(rc);
	return CTF_RETRY;
}

static enum ctf_sent
group_deliver(struct sq_sink *s, const struct ctf_frame *const *f, unsigned n,
	      unsigned *ret_taken, struct ctf_err *err)
{
	bool or_abort = s->or_abort;
	unsigned took;
	int rc;

	if (s->damaged) { /* as upkeep found */
		ctf_fail(err, EBADMSG, "%s: damaged", SQ_CONF(s)->db);
		return CTF_RETRY;
	}
	if (sq_conn_moved(s)) {
		ctf_fail(err, ENOENT, "%s: the file was moved or deleted", SQ_CONF(s)->db);
		return CTF_RETRY;
	}
	rc = group_try(s, f, n, &took, err);
	if (took > 1 && (rc == SQLITE_FORMAT || (rc & 0xff) == SQLITE_CONSTRAINT))
		rc = group_try(s, f, 1, &took, err);
	if (rc != SQLITE_OK)
		return outcome(s, rc, or_abort);
	if (s->said_busy)
		ctf_log(s->obj.ctx, CTF_NOTICE, "%s: no longer locked", SQ_CONF(s)->db);
	s->said_busy = false;
	*ret_taken = took;
	sq_checkpoint(s);
	rc = table_follow(s);
	if (rc == SQLITE_OK || sq_is_busy(rc))
		return CTF_SENT;
	sq_fail(s, err, rc, "the table was changed");
	return CTF_RETRY;
}

enum ctf_sent
sq_deliver(void *sink, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken,
	   struct ctf_err *err)
{
	struct sq_sink *s = sink;
	uint64_t begin = ctf_mono_ms();
	enum ctf_sent sent = group_deliver(s, f, n, ret_taken, err);

	s->busy_ms += ctf_mono_ms() - begin;
	return sent;
}
