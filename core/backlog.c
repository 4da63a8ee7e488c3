/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a sink's worker is to do next: deliver, read from the spool, wait, end.
 * And replay_rate: an output that comes back after an outage is not flooded;
 * and gathering: one that pays for each delivery gets few large ones.
 */
#include "sink.h"
#include "spool.h"

#define BURST_MS 100u /* worth of tokens that may be saved up */

void
sink_begin_backlog(struct sink *s)
{
	struct queue *q = &s->queue;

	pthread_mutex_lock(&s->lock);
	if (q->frames || q->on_disk)
		s->backlog_to = q->last_number;
	pthread_mutex_unlock(&s->lock);
	s->rate_ms = ctf_mono_ms();
	s->tokens = 0;
}

void
sink_count_backlog(struct sink *s, const struct ctf_frame *const *frames, unsigned taken)
{
	if (!s->inst->out.replay_rate)
		return;
	for (unsigned i = 0; i < taken && frames[i]->number <= s->backlog_to; i++)
		s->tokens -= frames[i]->recs;
}

/* Milliseconds until some of the backlog may go. */
static int
rate_wait(struct sink *s)
{
	uint64_t rate = s->inst->out.replay_rate, now = ctf_mono_ms();
	uint64_t more = (now - s->rate_ms) * rate / 1000;
	int64_t most = (int64_t)(rate * BURST_MS / 1000) + 1;

	if (more) {
		s->tokens += (int64_t)more;
		s->rate_ms += more * 1000 / rate;
	}
	if (s->tokens > most) {
		s->tokens = most;
		s->rate_ms = now;
	}
	return s->tokens > 0 ? 0 : (int)((uint64_t)(1 - s->tokens) * 1000 / rate) + 1;
}

/* Of what was claimed only so many as may go. */
static unsigned
limit(struct sink *s, const struct ctf_frame *const *frames, unsigned n)
{
	int64_t left = s->tokens;
	unsigned i = 0;

	for (; i < n && left > 0 && frames[i]->number <= s->backlog_to; i++)
		left -= frames[i]->recs;
	s->queue.claimed = i ? i : n;
	return s->queue.claimed;
}

/*
 * Milliseconds until the oldest frame has waited long enough for others; 0 as
 * well when there are enough of them.
 */
static int
gather_wait(const struct sink *s)
{
	const struct queue *q = &s->queue;
	uint64_t waited;

	if (!s->gather_ms || s->stopping || !q->next || q->next->begun)
		return 0;
	if (q->last_number - q->next->f.number + 1 >= GROUP || q->bytes > q->limit / 2)
		return 0;
	waited = ctf_mono_ms() - q->next->since_ms;
	return waited < s->gather_ms ? (int)(s->gather_ms - waited) : 0;
}

void
ctf_gather(struct ctf_ctx *ctx, uint64_t msec)
{
	ctx->sink->gather_ms = msec < INT32_MAX ? msec : INT32_MAX;
}

/* With the mutex, the output being up. */
static void
look_for_frames(struct sink *s, const struct ctf_frame **frames, struct sink_next *n)
{
	const struct qframe *next = s->queue.next;
	bool disk = spool_next(s), limited;
	uint64_t number = disk ? s->queue.on_disk : next ? next->f.number : UINT64_MAX;

	if (disk && s->stopping && spool_safe(s))
		return; /* it is where it should be */
	limited = s->inst->out.replay_rate && number <= s->backlog_to && !s->stopping;
	if (limited && (n->wait_ms = rate_wait(s)) > 0)
		return;
	n->load = disk;
	if (disk || (n->wait_ms = gather_wait(s)) > 0)
		return;
	n->n = queue_claim(&s->queue, frames);
	if (limited && n->n)
		n->n = limit(s, frames, n->n);
}

/* The end has been asked for, and what is left is on disk, or will be. */
static bool
may_leave(const struct sink *s, bool held)
{
	if (s->queue.frames == 0 && !s->queue.on_disk)
		return !s->lost_enc && !held;
	/* what was sent is awaited, so that it need not come again */
	return spool_safe(s) &&
	       (s->state == SINK_DOWN ||
		(spool_next(s) && queue_unsettled(&s->queue) == s->queue.next));
}

void
sink_next(struct sink *s, const struct ctf_frame **frames, struct sink_next *ret_next)
{
	struct sink_next n = { 0 };
	bool held;

	pthread_mutex_lock(&s->lock);
	/* the main thread makes a gap that is to be first */
	held = (s->left.owing || spool_held(s)) && s->state != SINK_DOWN;
	s->draining = s->stopping;
	n.end = s->aborted || (s->stopping && may_leave(s, held));
	if (!n.end && !held && s->state != SINK_DOWN)
		look_for_frames(s, frames, &n);
	n.unsettled = s->queue.frames > 0;
	/* a back-off ends by itself */
	s->waiting = !n.n && !n.load && s->state != SINK_DOWN;
	pthread_mutex_unlock(&s->lock);
	*ret_next = n;
}
