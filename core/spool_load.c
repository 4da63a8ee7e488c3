/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's part of a spool: frames back from disk. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "spool_own.h"

struct load {
	struct segment seg; /* as it was */
	struct qframe *first, **end;
	uint64_t number, at, flows; /* behind the last one */
	uint64_t bytes, most;
	bool damaged;
};

static void
load_free(struct load *l)
{
	while (l->first) {
		struct qframe *f = l->first;

		l->first = f->next;
		free(f);
	}
}

static int
load_one(struct spool *sp, struct load *l)
{
	struct block b;
	struct qframe *f;
	int ret = segment_next(&sp->r, &b);

	if (ret <= 0)
		return ret ? ret : -EBADMSG; /* there should have been more */
	if (b.number > l->seg.last)
		return -EBADMSG;
	f = segment_frame(&sp->r, &b, sp->sink->encoders);
	if (!f)
		return -ENOMEM;
	f->written = true;
	f->next = NULL;
	*l->end = f;
	l->end = &f->next;
	l->number = b.number;
	l->at = sp->r.at;
	l->flows += qframe_flows(f);
	l->bytes += f->f.len;
	return 0;
}

/* A group, or less: it ends where others would end. */
static int
read_frames(struct spool *sp, struct load *l)
{
	int ret = segment_seek(&sp->r, &l->seg, l->seg.at, l->seg.from - 1);

	while (!ret && l->number < l->seg.last) {
		ret = load_one(sp, l);
		if (l->bytes >= l->most || (l->number && l->number % GROUP == 0))
			break;
	}
	l->damaged = ret == -EBADMSG || ret == -ENOENT;
	return l->damaged || l->first ? 0 : ret;
}

/* With the mutex: the rest of the segment is lost. */
static void
miss(struct spool *sp, const struct segment *g, uint64_t flows)
{
	struct ctf_gap gap = { sp->read_ns, g->to_ns, flows, g->old ? CTF_AT_MOST : CTF_EXACT,
			       NULL,        NULL,     -1 };
	char name[SEGMENT_NAME];

	if (gap.from_ns > gap.to_ns || !gap.from_ns)
		gap.from_ns = gap.to_ns;
	ctf_count(sp->m_dropped, flows);
	segment_name(g, name);
	ctf_log(&sp->sink->ctx, CTF_ERROR,
		"spool: segment %s is damaged, %llu flows of it are lost", name,
		(unsigned long long)flows);
	if (!flows)
		return;
	sp->missed = (struct spool_missed){ true, gap, g->last, g->old ? sp->upto : g->upto };
	eventfd_write(sp->sink->poke, 1);
}

/* Nothing of it can be read: it may be of use to somebody. */
static void
put_aside(const struct spool *sp, const struct segment *g)
{
	char bad[SEGMENT_BAD];

	if (g->bytes && !segment_put_aside(&sp->dir.owner, g, bad))
		ctf_log(&sp->sink->ctx, CTF_WARNING,
			"spool: the %llu bytes of a segment that cannot be read are called "
			"%s now, and not looked at again",
			(unsigned long long)g->bytes, bad);
}

/* So that it is not met a second time; the file is nobody else's now. */
static void
cut(struct spool *sp, struct load *l)
{
	uint64_t last = l->number ? l->number : l->seg.from - 1;

	if (l->seg.open)
		return;
	if (last < l->seg.first) {
		put_aside(sp, &l->seg);
		return;
	}
	if (segment_cut(&sp->dir.owner, &l->seg, l->at, last,
			l->seg.flows - l->seg.left + l->flows))
		l->seg.open = true; /* it stays as it is */
}

static void
insert(struct spool *sp, struct load *l)
{
	struct qframe *f;

	while ((f = l->first)) {
		l->first = f->next;
		if (f->f.number <= sp->base) {
			sp->upto += qframe_flows(f);
			f->f.upto = sp->upto;
		} else if (f->f.number <= sp->shift_to) {
			f->f.upto += sp->shift;
		}
		if (f->f.last_ns)
			sp->read_ns = f->f.last_ns;
		if (!queue_insert(&sp->sink->queue, f))
			free(f); /* it was in memory still */
	}
}

/* With the mutex. */
static void
take_in(struct spool *sp, struct segment *g, struct load *l)
{
	uint64_t lost;

	insert(sp, l);
	if (l->number) {
		g->from = l->number + 1;
		g->at = l->at;
		g->left -= l->flows < g->left ? l->flows : g->left;
	}
	if (l->damaged || g->from > g->last) {
		lost = g->left;
		if (g->old)
			sp->upto += lost;
		if (lost || l->damaged)
			miss(sp, g, lost);
		if (l->damaged && !l->seg.open) {
			sp->bytes -= g->bytes - l->seg.bytes;
			g->last = l->seg.last;
			g->flows = l->seg.flows;
			g->bytes = l->seg.bytes;
		}
		g->from = g->last + 1;
		g->left = 0;
	}
	spool_look(sp);
	spool_settled(sp->sink); /* it may have had nothing at all */
}

/* Under its new name, say. */
static bool
was_renamed(const struct segment *g, const struct load *l)
{
	return l->damaged && !l->first && g->open != l->seg.open;
}

static uint64_t
room_for(const struct queue *q)
{
	uint64_t most = q->limit / 4;

	return most < SPOOL_LOAD_BYTES ? most : SPOOL_LOAD_BYTES;
}

bool
spool_load(struct sink *s)
{
	struct spool *sp = s->spool;
	struct load l = { .end = NULL };
	struct segment *g;
	int ret;

	if (ctf_mono_ms() < sp->load_at_ms)
		return false;
	pthread_mutex_lock(&s->lock);
	g = spool_first(sp);
	if (g && !g->busy) {
		g->busy = true;
		l.seg = *g;
		l.at = g->at;
		l.most = room_for(&s->queue);
		l.end = &l.first;
	}
	pthread_mutex_unlock(&s->lock);
	if (!l.end)
		return false;
	ret = read_frames(sp, &l);
	pthread_mutex_lock(&s->lock);
	if (was_renamed(g, &l)) {
		l.damaged = false;
		ret = -EAGAIN;
	}
	pthread_mutex_unlock(&s->lock);
	if (l.damaged)
		cut(sp, &l);
	pthread_mutex_lock(&s->lock);
	g->busy = false;
	if (ret == 0)
		take_in(sp, g, &l);
	pthread_mutex_unlock(&s->lock);
	load_free(&l);
	if (ret && ret != -EAGAIN)
		sp->load_at_ms = ctf_mono_ms() + SPOOL_RETRY_MS;
	return ret == 0 || ret == -EAGAIN;
}
