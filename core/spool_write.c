/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool's thread: frames to disk, and segments from it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "spool_own.h"

#define BLOCK_OVERHEAD 128u /* of a frame on disk, about */

struct batch {
	struct qframe *frame[SPOOL_BATCH];
	struct qframe copy[SPOOL_BATCH]; /* heads: flags may change meanwhile */
	uint64_t at[SPOOL_BATCH];
	unsigned n;
	uint64_t bytes;
};

/* Numbers from there on are in another segment than this one would be. */
static uint64_t
next_segment(const struct spool *sp, uint64_t number)
{
	const struct segment *s = sp->list;

	while (s && s->first < number)
		s = s->next;
	return s ? s->first : UINT64_MAX;
}

/* Frames in their order, with nothing between them that is on disk already. */
static void
pick(struct spool *sp, struct batch *b)
{
	const struct queue *q = &sp->sink->queue;
	uint64_t now = ctf_mono_ms(), most = sp->segment_max, end;
	bool all = sp->stop || q->bytes > q->limit / 2;

	if (most > SPOOL_BATCH_BYTES)
		most = SPOOL_BATCH_BYTES;
	b->n = 0;
	b->bytes = 0;
	end = q->unwritten ? next_segment(sp, q->unwritten->f.number) : 0;
	for (struct qframe *f = q->unwritten;
	     f && !f->written && !f->stays && b->n < SPOOL_BATCH; f = f->next) {
		uint64_t bytes = f->f.len + BLOCK_OVERHEAD;

		if (f->f.number >= end)
			break;
		if (b->n &&
		    (b->bytes + bytes > most || (!all && f->since_ms + sp->sync_ms / 2 > now)))
			break;
		f->pinned = true;
		b->frame[b->n] = f;
		b->copy[b->n] = *f;
		if (f->is_gap && strlen(f->gap.instance) > BLOCK_TEXT)
			b->copy[b->n].gap.instance = "";
		b->n++;
		b->bytes += bytes;
	}
}

/* What follows the last one that was written, and fits, goes where that is. */
static bool
goes_on(const struct spool *sp, const struct batch *b)
{
	const struct segment *s = sp->w.seg;

	return s && !s->doomed && !s->next && b->copy[0].f.number > s->last &&
	       s->bytes + b->bytes <= sp->segment_max;
}

/* A segment to write to, which is in the list; -E2BIG: spool_max is reached. */
static int
prepare(struct spool *sp, const struct batch *b)
{
	struct segment *s;
	int ret;

	if (sp->bytes + b->bytes > sp->max)
		return -E2BIG;
	if (goes_on(sp, b))
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->serial = ++sp->serial;
	s->first = b->copy[0].f.number;
	s->last = s->first - 1;
	s->from = s->first;
	s->from_ns = b->copy[0].f.first_ns;
	s->busy = true; /* nobody else's until it has something */
	pthread_mutex_unlock(&sp->sink->lock);
	segment_close(&sp->w);
	ret = segment_create(&sp->w, s);
	pthread_mutex_lock(&sp->sink->lock);
	if (ret) {
		free(s);
		return ret;
	}
	spool_insert(sp, s);
	return 0;
}

static int
put_all(struct spool *sp, struct batch *b)
{
	struct segment_writer *w = &sp->w;
	size_t len;
	int ret = 0;

	for (unsigned i = 0; i < b->n && !ret; i++)
		ret = segment_put(w, &b->copy[i], &b->at[i]);
	len = w->len;
	if (!ret)
		ret = segment_sync(w);
	else
		segment_close(w);
	b->bytes = len;
	return ret;
}

static void
note_gap(struct segment *s, const struct qframe *f)
{
	if (!f->is_gap)
		return;
	s->told += f->enc ? qframe_flows(f) : 0;
	s->uncounted |= f->gap.count_is == CTF_UNCOUNTED;
}

/* They are there: counted, and out of memory if that is short. */
static void
wrote(struct spool *sp, struct segment *s, struct batch *b)
{
	struct queue *q = &sp->sink->queue;
	const struct ctf_frame *last = &b->copy[b->n - 1].f;
	bool waits = segment_waits(s);
	uint64_t shed = 0;

	s->last = last->number;
	s->upto = last->upto;
	s->to_ns = last->last_ns;
	s->bytes += b->bytes;
	sp->bytes += b->bytes;
	ctf_count(sp->m_written, b->n);
	if (q->on_disk || q->bytes > q->limit / 2)
		shed = queue_shed(q, b->copy[0].f.number, s->last);
	if (!waits) { /* nothing of it was on disk alone */
		s->from = shed ? shed : s->last + 1;
		s->at = s->bytes;
		s->left = 0;
	}
	for (unsigned i = b->n; i-- > 0;) {
		s->flows += qframe_flows(&b->copy[i]);
		note_gap(s, &b->copy[i]);
		if (!shed || b->copy[i].f.number < shed)
			continue;
		s->left += qframe_flows(&b->copy[i]);
		if (!waits)
			s->at = b->at[i];
	}
}

static void
unpin(struct spool *sp, const struct batch *b, bool written)
{
	struct queue *q = &sp->sink->queue;

	for (unsigned i = 0; i < b->n; i++) {
		b->frame[i]->pinned = false;
		if (b->frame[i]->gone)
			free(b->frame[i]);
		else
			b->frame[i]->written = written;
	}
	q->unwritten = queue_to_write(q->unwritten);
}

static void
failed(struct spool *sp, int err)
{
	bool max = err == -E2BIG; /* as asked for: the disk is well */
	bool room = max || err == -ENOSPC || err == -EDQUOT;

	ctf_count(sp->m_errors, !max);
	if (!sp->said)
		ctf_log(&sp->sink->ctx, CTF_ERROR,
			"spool: %s: flows are kept in memory, and written when that works "
			"again",
			max ? "spool_max is reached" : strerror(-err));
	sp->said = sp->failing = true;
	sp->full = room;
	sp->retry_ms = ctf_mono_ms() + SPOOL_RETRY_MS;
	sp->sink->queue.durable = false; /* better sent than safe */
}

static void
worked(struct spool *sp)
{
	if (sp->said) {
		ctf_log(&sp->sink->ctx, CTF_NOTICE,
			"spool: works again, %llu flows were dropped meanwhile",
			(unsigned long long)sp->drop_run);
		sp->drop_run = 0;
	}
	sp->said = sp->failing = sp->full = false;
	sp->sink->queue.durable = sp->sync_ms == 0;
}

/* The worker may be waiting for that. */
static void
wake_worker(struct sink *s)
{
	if (!s->waiting)
		return;
	s->waiting = false;
	eventfd_write(s->kick, 1);
}

static int
try_write(struct spool *sp, struct batch *b)
{
	struct segment *s;
	int ret = prepare(sp, b);
	bool fresh;

	if (ret) {
		unpin(sp, b, false);
		return ret;
	}
	s = sp->w.seg;
	fresh = s->bytes == 0;
	pthread_mutex_unlock(&sp->sink->lock);
	ret = put_all(sp, b);
	pthread_mutex_lock(&sp->sink->lock);
	if (fresh)
		s->busy = false;
	if (!ret && s->doomed)
		ret = -EAGAIN;
	unpin(sp, b, ret == 0);
	if (!ret)
		wrote(sp, s, b);
	else if (fresh)
		spool_remove(sp, s);
	return ret;
}

void
spool_write(struct spool *sp)
{
	struct batch *b = malloc(sizeof(*b));
	int ret = -ENOMEM;

	if (b) {
		pick(sp, b);
		ret = b->n ? try_write(sp, b) : 0;
	}
	free(b);
	if (ret == -EAGAIN)
		return;
	if (ret)
		failed(sp, ret);
	else
		worked(sp);
	spool_look(sp);
	wake_worker(sp->sink);
}

/* ---- what is not needed ---- */

/* Nothing of it is in the queue, in memory or not. */
static bool
is_done(const struct spool *sp, const struct segment *s)
{
	const struct qframe *head = sp->sink->queue.head;

	if (s->busy || s->from <= s->last)
		return s->doomed && !s->busy;
	return s->doomed || !head || head->f.number > s->last;
}

bool
spool_clean(struct spool *sp)
{
	struct segment *s = sp->list;
	int ret;

	while (s && !is_done(sp, s))
		s = s->next;
	if (!s)
		return false;
	s->busy = true;
	pthread_mutex_unlock(&sp->sink->lock);
	if (s == sp->w.seg)
		segment_close(&sp->w);
	ret = segment_unlink(&sp->dir.owner, s);
	pthread_mutex_lock(&sp->sink->lock);
	if (ret)
		ctf_log(&sp->sink->ctx, CTF_ERROR, "spool: cannot remove a segment: %s",
			strerror(-ret));
	sp->bytes -= s->bytes;
	sp->doomed -= s->doomed;
	sp->retry_ms = 0; /* there may be room now */
	spool_remove(sp, s);
	spool_look(sp);
	return true;
}
