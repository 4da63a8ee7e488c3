/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a sink's queue is safe, and what is not any more; the worker's part. */
#include <sys/eventfd.h>

#include "sink.h"
#include "spool.h"

/* The first frame that a new session may have to begin with. */
static uint64_t
needed_from(const struct sink *s)
{
	const struct ctf_plugin *p = s->inst->plugin;

	return p->needed ? p->needed(s->ctx.obj) : UINT64_MAX;
}

void
sink_settle(struct sink *s)
{
	const struct ctf_plugin *p = s->inst->plugin;
	uint64_t upto = p->settled ? p->settled(s->ctx.obj) : UINT64_MAX;
	uint64_t needed = needed_from(s), recs, left;

	pthread_mutex_lock(&s->lock);
	left = s->queue.frames;
	recs = queue_settle(&s->queue, upto, needed);
	s->progress += left - s->queue.frames;
	if (left != s->queue.frames)
		kept_settled(s);
	spool_settled(s);
	ctf_count(s->delivered, recs); /* who sees it gone sees it counted */
	pthread_mutex_unlock(&s->lock);
}

void
sink_rewind(struct sink *s)
{
	uint64_t needed = needed_from(s);
	struct ctf_gap missed;
	bool window;

	pthread_mutex_lock(&s->lock);
	s->state = SINK_DOWN;
	if (window_missed(&s->queue, needed, &missed)) {
		sink_missed(s, &missed);
		eventfd_write(s->poke, 1);
	}
	window = s->queue.window != NULL;
	ctf_count(s->repeated, queue_rewind(&s->queue));
	if (window)
		kept_settled(s);
	pthread_mutex_unlock(&s->lock);
}
