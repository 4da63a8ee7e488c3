/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool's thread, and what the main thread has to do with it. */
#include "spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "priv.h"
#include "pump.h"
#include "spool_own.h"

#define NEVER UINT64_MAX

static const char cause[] = "spool"; /* known by its address */

/* ---- the list ---- */

struct segment *
spool_first(const struct spool *sp)
{
	struct segment *s = sp->list;

	while (s && !segment_waits(s))
		s = s->next;
	return s;
}

uint64_t
spool_flows(const struct sink *s)
{
	uint64_t sum = 0;

	for (const struct segment *g = s->spool ? s->spool->list : NULL; g; g = g->next)
		if (segment_waits(g))
			sum += g->left;
	return sum;
}

void
spool_now(const struct sink *s, struct spool_now *ret_now)
{
	struct spool_now now = { .flows = spool_flows(s) };
	const struct qframe *f = s->queue.unwritten;
	uint64_t then;

	if (s->spool) {
		then = f ? f->since_ms + s->spool->sync_ms : NEVER;
		now.late_ms = then < ctf_mono_ms() ? ctf_mono_ms() - then : 0;
		now.bytes = s->spool->bytes;
		now.max = s->spool->max;
	}
	for (const struct segment *g = s->spool ? s->spool->list : NULL; g; g = g->next)
		if (segment_waits(g) && g->left && !now.oldest_ns)
			now.oldest_ns = g->from_ns ? g->from_ns : g->to_ns;
	*ret_now = now;
}

void
spool_look(struct spool *sp)
{
	const struct segment *s = spool_first(sp);

	sp->sink->queue.on_disk = s ? s->from : 0;
	ctf_gauge_set(sp->m_bytes, sp->bytes);
	ctf_gauge_set(sp->m_limit, sp->max);
	ctf_gauge_set(sp->m_flows, spool_flows(sp->sink));
}

void
spool_insert(struct spool *sp, struct segment *s)
{
	struct segment **at = &sp->list;

	while (*at && (*at)->first < s->first)
		at = &(*at)->next;
	s->next = *at;
	*at = s;
}

void
spool_remove(struct spool *sp, struct segment *s)
{
	struct segment **at = &sp->list;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	free(s);
}

/* ---- the thread ---- */

/* How long until there is something to write. */
static uint64_t
due_ms(const struct spool *sp)
{
	const struct sink *s = sp->sink;
	const struct queue *q = &s->queue;
	const struct qframe *f = q->unwritten;
	uint64_t now = ctf_mono_ms(), at;

	if (!f)
		return NEVER;
	at = f->since_ms + sp->sync_ms;
	if (q->bytes > q->limit / 4 * 3 || sp->stop)
		at = now;
	if (sp->failing && at < sp->retry_ms)
		at = sp->retry_ms;
	return at > now ? at - now : 0;
}

static void
sleep_for(struct spool *sp, uint64_t ms)
{
	struct sink *s = sp->sink;
	uint64_t at = ctf_mono_ms() + ms;
	struct timespec t = { (time_t)(at / 1000), (long)(at % 1000 * 1000000) };

	sp->sleeping = ms == NEVER;
	sp->urged = false;
	if (ms == NEVER)
		pthread_cond_wait(&sp->cond, &s->lock);
	else
		pthread_cond_timedwait(&sp->cond, &s->lock, &t);
	sp->sleeping = false;
}

/* True: it has tried all it can. */
static bool
is_over(const struct spool *sp)
{
	return sp->stop && (!sp->sink->queue.unwritten || sp->failing);
}

static void *
writer(void *arg)
{
	struct spool *sp = arg;
	struct sink *s = sp->sink;
	uint64_t ms, settled;
	bool clean;

	pthread_mutex_lock(&s->lock);
	while (!s->go && !sp->stop)
		sleep_for(sp, NEVER);
	pthread_mutex_unlock(&s->lock);
	priv_drop_thread();
	if (sp->again) /* or a crash would look like an end in order */
		spool_dir_go_on(&sp->dir);
	pthread_mutex_lock(&s->lock);
	for (;;) {
		if (spool_clean(sp))
			continue;
		ms = due_ms(sp);
		if (ms == 0)
			spool_write(sp);
		else if (!is_over(sp))
			sleep_for(sp, ms);
		if (is_over(sp) && !spool_clean(sp))
			break;
	}
	clean = !sp->failing;
	settled = s->queue.settled_number > sp->dir.settled ? s->queue.settled_number
							    : sp->dir.settled;
	pthread_mutex_unlock(&s->lock);
	segment_close(&sp->w);
	if (clean)
		spool_dir_end(&sp->dir, settled);
	pthread_mutex_lock(&s->lock);
	sp->done = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int
spool_start(struct sink *s)
{
	int ret;

	if (!s->spool)
		return 0;
	ret = pthread_create(&s->spool->thread, NULL, writer, s->spool);
	s->spool->running = ret == 0;
	return -ret;
}

void
spool_wake(struct sink *s)
{
	if (s->spool)
		pthread_cond_signal(&s->spool->cond);
}

/* It is woken when there is something at all, and once more when that is much. */
void
spool_pushed(struct sink *s)
{
	struct spool *sp = s->spool;
	bool much;

	if (!sp)
		return;
	much = s->queue.bytes > s->queue.limit / 4 * 3 && !sp->urged;
	if (!sp->sleeping && !much)
		return;
	sp->urged |= much;
	sp->sleeping = false;
	pthread_cond_signal(&sp->cond);
}

void
spool_settled(struct sink *s)
{
	const struct segment *first = s->spool ? s->spool->list : NULL;

	if (first && !segment_waits(first) &&
	    (!s->queue.head || s->queue.head->f.number > first->last))
		pthread_cond_signal(&s->spool->cond);
}

void
spool_stop(struct sink *s)
{
	if (!s->spool)
		return;
	pthread_mutex_lock(&s->lock);
	s->spool->stop = true;
	s->spool->retry_ms = 0;
	s->spool->failing = false;
	queue_write_all(&s->queue);
	pthread_cond_signal(&s->spool->cond);
	pthread_mutex_unlock(&s->lock);
}

bool
spool_join(struct sink *s, uint64_t deadline_ms)
{
	struct spool *sp = s->spool;

	if (!sp || !sp->running)
		return true;
	if (!sink_await(s, &sp->done, deadline_ms))
		return false;
	pthread_join(sp->thread, NULL);
	sp->running = false;
	return true;
}

void
spool_free(struct sink *s)
{
	struct spool *sp = s->spool;

	if (!sp)
		return;
	segment_writer_free(&sp->w);
	segment_reader_free(&sp->r);
	spool_list_free(sp->list);
	spool_dir_close(&sp->dir);
	pthread_cond_destroy(&sp->cond);
	free(sp);
	s->spool = NULL;
}

bool
spool_safe(const struct sink *s)
{
	return s->spool && !s->spool->failing;
}

bool
spool_next(const struct sink *s)
{
	const struct queue *q = &s->queue;

	return q->on_disk && (!q->next || q->next->f.number >= q->on_disk);
}

bool
spool_held(const struct sink *s)
{
	return s->spool && s->spool->missed.is;
}

void
spool_forgive(struct sink *s, uint64_t flows)
{
	s->spool->upto += flows;
	s->keep->settled += flows;
}

void
spool_precede(struct sink *s, uint64_t flows)
{
	struct spool *sp = s->spool;

	if (!sp)
		return;
	for (struct segment *g = sp->list; g; g = g->next)
		if (!g->old) {
			sp->shift_to = g->last;
			g->upto += flows;
		}
	sp->shift = flows;
}

/* ---- gaps ---- */

/*
 * With the mutex; the frame of a gap where the lost ones stood.  It stays in
 * memory: on disk it would be the oldest there, and given up in its turn for
 * the next gap, which makes no room.
 */
static void
place_gap(struct sink *s, const struct ctf_gap *g, uint64_t number, uint64_t upto)
{
	struct qframe *f = NULL;

	if (encoder_gap_frame(sink_voice(s), g, &f)) {
		sink_remember(s, g);
		return;
	}
	if (!f)
		return;
	f->f.number = number;
	f->f.upto = upto;
	f->since_ms = ctf_mono_ms();
	f->stays = !s->spool->stop;
	if (!queue_insert(&s->queue, f))
		free(f);
	spool_pushed(s);
	s->dirty = true;
}

void
spool_make_gap(struct sink *s)
{
	struct spool *sp = s->spool;

	if (!sp)
		return;
	pthread_mutex_lock(&s->lock);
	if (sp->missed.is) {
		sp->missed.gap.cause = cause;
		sp->missed.gap.instance = s->inst->id;
		place_gap(s, &sp->missed.gap, sp->missed.number, sp->missed.upto);
		sp->missed.is = false;
		s->dirty = true;
	}
	pthread_mutex_unlock(&s->lock);
}

/* The last frame in memory before that number, if it is a gap that can grow. */
static struct qframe *
gap_before(const struct queue *q, uint64_t number)
{
	struct qframe *last = NULL;

	for (struct qframe *f = q->next; f && f->f.number < number; f = f->next)
		last = f;
	if (!last || !last->is_gap || last->gap.cause != cause || last->begun || last->taken ||
	    last->pinned || last->written)
		return NULL;
	return last;
}

/* What is lost with the segment. */
static struct ctf_gap
gap_of(struct spool *sp, struct segment *g)
{
	struct ctf_gap gap = { g->from_ns, g->to_ns,           g->left, CTF_EXACT,
			       cause,      sp->sink->inst->id, -1 };

	if (sp->read_ns > gap.from_ns)
		gap.from_ns = sp->read_ns;
	if (gap.from_ns > gap.to_ns || !gap.from_ns)
		gap.from_ns = gap.to_ns;
	gap.told = g->told < g->left ? g->told : g->left;
	if (g->old) { /* some of it may have been sent before */
		gap.count_is = CTF_AT_MOST;
		sp->upto += g->left;
		g->upto = sp->upto;
	}
	if (g->uncounted) {
		gap.count_is = CTF_UNCOUNTED;
		gap.count = CTF_UNKNOWN;
	}
	return gap;
}

/* Gives the oldest segment up. */
static void
doom(struct spool *sp, struct segment *g)
{
	struct sink *s = sp->sink;
	struct queue *q = &s->queue;
	struct ctf_gap gap = gap_of(sp, g);
	struct qframe *before = gap_before(q, g->from);

	ctf_count(sp->m_dropped, g->left);
	sp->drop_run += g->left;
	if (before && queue_take(q, before)) {
		before->gap.told =
			before->gap.count_is == CTF_UNCOUNTED ? 0 : before->gap.count;
		sink_merge_gap(&gap, &before->gap);
		free(before);
	}
	g->doomed = true;
	sp->doomed++;
	queue_unwrite(q, g->first, g->last);
	spool_look(sp);
	if (gap.count)
		place_gap(s, &gap, g->last, g->upto);
}

bool
spool_relieve(struct sink *s)
{
	struct spool *sp = s->spool;
	struct queue *q = &s->queue;
	struct segment *oldest;
	uint64_t lost;
	bool enough;

	if (!sp)
		return false;
	pthread_mutex_lock(&s->lock);
	oldest = spool_first(sp);
	enough = sp->doomed || (oldest && oldest->busy);
	if (!enough && sp->failing && sp->full && oldest) {
		doom(sp, oldest);
		enough = true;
	}
	/* A disk that hangs does not make room. */
	enough = enough && q->bytes < q->limit + q->limit / 4;
	pthread_cond_signal(&sp->cond);
	lost = sp->drop_run;
	pthread_mutex_unlock(&s->lock);
	if (lost)
		log_msg_limit(&sp->drop_log, CTF_ERROR,
			      "%s:%s: spool full, the oldest are dropped: %llu flows so far",
			      s->inst->id, s->inst->plugin->name, (unsigned long long)lost);
	return enough;
}
