/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main thread's side of a sink: push, kick, drop. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "pump.h"
#include "sink.h"
#include "spool.h"

static const char undeliverable[] = "undeliverable";

/* Of the clock that nobody sets: a wait must not get longer by a clock step. */
static void
cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

struct sink *
sink_new(struct inst *inst)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->inst = inst;
	s->fd = s->kick = s->intr = s->poke = -1;
	if (ctx_init(&s->ctx, inst, inst->plugin->sink_size)) {
		free(s);
		return NULL;
	}
	s->ctx.sink = s;
	if (getrandom(&s->spool_id, sizeof(s->spool_id), 0) != sizeof(s->spool_id))
		s->spool_id = ctf_now();
	s->queue.limit = inst->out.queue;
	pthread_mutex_init(&s->lock, NULL);
	cond_init(&s->cond);
	s->delivered = ctf_metric_new(&s->ctx, "delivered", CTF_COUNTER, CTF_UNIT_NONE,
				      "flows the output has taken");
	s->dropped = ctf_metric_new(&s->ctx, "dropped", CTF_COUNTER, CTF_UNIT_NONE,
				    "flows dropped because the queue was full");
	s->repeated = ctf_metric_new(&s->ctx, "repeated", CTF_COUNTER, CTF_UNIT_NONE,
				     "flows sent in a session that broke, to be sent again");
	s->retries = ctf_metric_new(&s->ctx, "retries", CTF_COUNTER, CTF_UNIT_NONE,
				    "sessions begun again");
	s->poisoned = ctf_metric_new(&s->ctx, "undeliverable", CTF_COUNTER, CTF_UNIT_NONE,
				     "flows the output refuses for good");
	return s;
}

void
sink_free(struct sink *s)
{
	struct own_layout *l;
	struct own_text *t;

	spool_free(s);
	queue_clear(&s->queue);
	while ((l = s->layouts)) {
		s->layouts = l->next;
		free(l);
	}
	while ((t = s->texts)) {
		s->texts = t->next;
		free(t);
	}
	if (s->kick >= 0)
		close(s->kick);
	if (s->intr >= 0)
		close(s->intr);
	if (s->poke >= 0)
		close(s->poke);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->cond);
	ctx_free(&s->ctx);
	free(s->remakes);
	free(s);
}

/* With the mutex. */
static void
put(struct sink *s, struct qframe *f)
{
	f->since_ms = ctf_mono_ms();
	queue_push(&s->queue, f);
	if (s->held) /* it gets its number when it is this one's turn */
		return;
	kept_pushed(s, f);
	spool_pushed(s);
}

static void
push(struct sink *s, struct qframe *f)
{
	if (f->is_gap) /* flows were counted when they were encoded */
		kept_gap(s, f);
	put(s, f);
}

void
sink_push(struct sink *s, struct qframe *f)
{
	pthread_mutex_lock(&s->lock);
	push(s, f);
	pthread_mutex_unlock(&s->lock);
	s->dirty = true;
}

void
sink_poked(void *sink)
{
	struct sink *s = sink;
	eventfd_t n;

	eventfd_read(s->poke, &n);
	s->dirty = true;
	sink_kick(s);
}

uint64_t
sink_oldest(const struct sink *s)
{
	const struct qframe *f = queue_unsettled(&s->queue);
	struct spool_now disk;

	spool_now(s, &disk);
	return disk.oldest_ns ? disk.oldest_ns : f ? f->f.first_ns : 0;
}

void
sink_look(struct sink *s, struct sink_now *ret_now)
{
	struct spool_now disk;

	pthread_mutex_lock(&s->lock);
	spool_now(s, &disk);
	*ret_now = (struct sink_now){ s->state,
				      s->queue.recs - s->queue.again,
				      s->queue.bytes - s->queue.window_bytes,
				      s->queue.limit,
				      s->queue.window_bytes,
				      sink_oldest(s),
				      disk.late_ms };
	pthread_mutex_unlock(&s->lock);
}

void
sink_log_state(struct sink *s)
{
	static const char *const words[] = { "down", "up", "stalled" };
	struct sink_now now;

	sink_look(s, &now);
	ctf_log(&s->ctx, CTF_NOTICE, "output is %s, %llu flows in %llu bytes are queued",
		words[now.state], (unsigned long long)now.recs, (unsigned long long)now.bytes);
}

bool
sink_over(struct sink *s)
{
	bool over;

	pthread_mutex_lock(&s->lock);
	over = queue_over(&s->queue);
	pthread_mutex_unlock(&s->lock);
	return over;
}

void
sink_merge_gap(struct ctf_gap *sum, const struct ctf_gap *g)
{
	if (g->from_ns < sum->from_ns)
		sum->from_ns = g->from_ns;
	if (g->to_ns > sum->to_ns)
		sum->to_ns = g->to_ns;
	if (g->count_is > sum->count_is)
		sum->count_is = g->count_is;
	if (g->nsid != sum->nsid)
		sum->nsid = -1;
	sum->told += g->told;
	sum->count = sum->count_is == CTF_UNCOUNTED ? CTF_UNKNOWN : sum->count + g->count;
}

static struct ctf_gap
gap_of(const struct sink *s, const struct qframe *f, const char *cause)
{
	struct ctf_gap g = { f->f.first_ns, f->f.last_ns, f->f.flows, CTF_EXACT,
			     cause,         s->inst->id,  -1 };

	if (f->is_gap) {
		g = f->gap;
		g.cause = cause;
		g.instance = s->inst->id;
		g.told = f->enc && g.count_is != CTF_UNCOUNTED ? g.count : 0;
	}
	if (f->taken && g.count_is == CTF_EXACT) /* in a session that broke: it may be there */
		g.count_is = CTF_AT_MOST;
	return g;
}

void
sink_inherit(struct sink *s, struct sink *from)
{
	struct queue mine = s->queue;
	struct own_layout **l = &s->layouts;
	struct own_text **t = &s->texts;
	struct state_plain **plain = &s->ctx.plain;
	struct qframe *f, *next;

	pthread_mutex_lock(&s->lock);
	while (*l)
		l = &(*l)->next;
	while (*t)
		t = &(*t)->next;
	while (*plain)
		plain = &(*plain)->next;
	*l = from->layouts;
	*t = from->texts;
	*plain = from->ctx.plain;
	from->layouts = NULL;
	from->texts = NULL;
	from->ctx.plain = NULL;
	s->queue = from->queue;
	s->queue.limit = mine.limit;
	from->queue = (struct queue){ 0 };
	s->spool_id = from->spool_id;
	s->left = from->left;
	if (from->lost_enc) {
		from->lost.instance = s->inst->id;
		if (s->lost_enc)
			sink_merge_gap(&s->lost, &from->lost);
		else
			s->lost = from->lost;
		s->lost_enc = sink_voice(s);
	}
	spool_move(s, from);
	s->held = false;
	for (f = mine.head; f; f = next) {
		uint64_t since = f->since_ms;

		next = f->next;
		f->next = NULL;
		put(s, f);
		f->since_ms = since;
	}
	pthread_mutex_unlock(&s->lock);
	s->dirty = true;
}

struct encoder *
sink_voice(struct sink *s)
{
	struct encoder *e = s->encoders;

	while (e->stack->dead && e->next)
		e = e->next;
	return e;
}

/* With the mutex: remembered until there is a frame for it. */
static void
remember(struct sink *s, struct encoder *e, const struct ctf_gap *g)
{
	if (s->lost_enc)
		sink_merge_gap(&s->lost, g);
	else
		s->lost = *g;
	s->lost_enc = e;
	kept_owe(s, g);
}

void
sink_remember(struct sink *s, const struct ctf_gap *g)
{
	remember(s, sink_voice(s), g);
}

void
sink_lost(struct sink *s, const struct qframe *f)
{
	struct ctf_gap g = gap_of(s, f, undeliverable);

	if (!f->is_gap ||
	    strcmp(f->gap.cause, undeliverable) != 0) /* or it would come back for ever */
		remember(s, sink_voice(s), &g);
}

void
sink_missed(struct sink *s, struct ctf_gap *g)
{
	g->cause = "queue";
	g->instance = s->inst->id;
	g->nsid = -1;
	remember(s, sink_voice(s), g);
	log_msg_limit(&s->missed_log, CTF_ERROR,
		      "%s:%s: up to %llu flows that may not have been read cannot be sent "
		      "again: the queue was too small for them",
		      s->inst->id, s->inst->plugin->name, (unsigned long long)g->count);
}

void
sink_lose(struct sink *s, const struct ctf_rec *r, const char *cause)
{
	struct ctf_gap g = { rec_ns(r), rec_ns(r), 1, CTF_EXACT, cause, s->inst->id, -1 };

	pthread_mutex_lock(&s->lock);
	remember(s, sink_voice(s), &g);
	pthread_mutex_unlock(&s->lock);
	s->dirty = true;
}

void
ctf_refused(struct ctf_ctx *ctx, const struct ctf_frame *f, uint64_t flows)
{
	struct sink *s = ctx->sink;
	struct ctf_gap g = { f->first_ns, f->last_ns,  flows, CTF_EXACT,
			     "refused",   s->inst->id, -1 };

	pthread_mutex_lock(&s->lock);
	remember(s, sink_voice(s), &g);
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->poke, 1);
}

void
sink_gap(struct sink *s, const struct ctf_gap *gap)
{
	struct encoder *e = sink_voice(s);
	struct ctf_gap g = *gap;
	struct qframe *f;
	int ret = encoder_gap_frame(e, gap, &f);

	pthread_mutex_lock(&s->lock);
	if (ret) {
		g.cause = "memory"; /* the input's words are not ours to keep */
		g.instance = s->inst->id;
		remember(s, e, &g);
	} else if (f) {
		push(s, f);
	}
	pthread_mutex_unlock(&s->lock);
	s->dirty = true;
}

/* The gap for what was lost elsewhere; without memory for it, another time. */
static void
push_lost(struct sink *s)
{
	struct qframe *gap;

	if (!s->lost_enc || encoder_gap_frame(s->lost_enc, &s->lost, &gap))
		return;
	s->lost_enc = NULL;
	if (gap)
		push(s, gap);
	kept_paid(s);
}

static void
say_room(struct sink *s)
{
	ctf_log(&s->ctx, CTF_NOTICE, "queue has room again, %llu flows were dropped",
		(unsigned long long)s->drop_run);
	s->drop_run = 0;
}

void
sink_kick(struct sink *s)
{
	bool wake, half;

	kept_make_gap(s);
	spool_make_gap(s);
	if (!s->dirty)
		return;
	pthread_mutex_lock(&s->lock);
	push_lost(s);
	s->dirty = s->lost_enc != NULL;
	wake = s->waiting;
	s->waiting = false;
	half = s->queue.bytes - s->queue.window_bytes < s->queue.limit / 2;
	pthread_mutex_unlock(&s->lock);
	if (wake)
		eventfd_write(s->kick, 1);
	if (s->drop_run && half)
		say_room(s);
}

/* Takes the oldest frames out until it fits; what they held goes into sum. */
static struct qframe *
drop_some(struct sink *s, struct ctf_gap *sum, uint64_t *ret_recs, bool *ret_some)
{
	struct qframe *f, *last = NULL;
	uint64_t recs = 0;
	bool some = false;

	while (queue_over(&s->queue) && (f = queue_drop(&s->queue))) {
		struct ctf_gap g = gap_of(s, f, "queue");

		recs += f->f.recs;
		if (!some)
			*sum = g;
		else if (f->f.recs || f->is_gap) /* coverage is not missed */
			sink_merge_gap(sum, &g);
		some |= f->f.recs || f->is_gap;
		free(last);
		last = f;
	}
	*ret_recs = recs;
	*ret_some = some;
	return last;
}

void
sink_drop(struct sink *s)
{
	struct ctf_gap gap;
	struct qframe *last, *mark = NULL;
	uint64_t recs, again;
	bool some;

	if (spool_relieve(s))
		return;
	pthread_mutex_lock(&s->lock);
	again = s->queue.again;
	last = drop_some(s, &gap, &recs, &some);
	if (some && encoder_gap_frame(sink_voice(s), &gap, &mark))
		remember(s, sink_voice(s), &gap);
	if (mark) {
		mark->f.number = last->f.number;
		mark->f.upto = last->f.upto;
		mark->since_ms = last->since_ms;
		queue_insert(&s->queue, mark);
	}
	again -= s->queue.again;
	pthread_mutex_unlock(&s->lock);
	free(last);
	if (!recs)
		return;
	ctf_count(s->dropped, recs - again); /* these were counted as delivered */
	s->drop_run += recs;
	log_msg_limit(&s->drop_log, CTF_ERROR,
		      "%s:%s: queue full, the oldest are dropped: %llu flows so far",
		      s->inst->id, s->inst->plugin->name, (unsigned long long)s->drop_run);
}
