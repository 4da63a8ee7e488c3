/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of a spool: what an earlier run left.  Names say what lies there;
 * looked into are only a segment that was left open, and one that was delivered
 * in part.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "priv.h"
#include "spool_own.h"

/* ---- segments of earlier runs ---- */

/* Left open, and without a frame that can be read: what is in it may be of use to somebody. */
static int
put_aside(struct spool *sp, const struct segment *g, uint64_t bytes)
{
	char name[SEGMENT_NAME], bad[SEGMENT_BAD];
	int ret;

	if (!bytes) /* it was killed before it had written to it */
		return segment_unlink(&sp->dir.owner, g);
	segment_name(g, name);
	ret = segment_put_aside(&sp->dir.owner, g, bad);
	if (!ret)
		ctf_log(&sp->sink->ctx, CTF_WARNING,
			"spool: no frame of segment %s was written whole, or is of this "
			"output: its %llu bytes are called %s now, and not looked at again",
			name, (unsigned long long)bytes, bad);
	return ret;
}

static int
recover(struct spool *sp, struct segment *g)
{
	char name[SEGMENT_NAME];
	uint64_t torn = 0;
	int ret;

	segment_name(g, name);
	ret = segment_recover(&sp->r, g, &torn);
	if (torn)
		ctf_count(sp->m_torn, 1);
	if (torn && g->bytes)
		ctf_log(&sp->sink->ctx, CTF_WARNING,
			"spool: %llu bytes at the end of segment %s were not written whole: "
			"cut off",
			(unsigned long long)torn, name);
	if (!ret && !g->bytes)
		ret = put_aside(sp, g, torn);
	return ret;
}

/* A complete one that is empty is damaged, which is seen when its turn has come. */
static int
recover_all(struct spool *sp)
{
	int ret = 0;

	for (struct segment *g = sp->list, *next; g && !ret; g = next) {
		next = g->next;
		if (!g->open)
			continue;
		ret = recover(sp, g);
		if (!ret && !g->bytes)
			spool_remove(sp, g);
	}
	return ret;
}

/* Goes behind the frames up to that number. */
static void
skip(struct spool *sp, struct segment *g, uint64_t settled)
{
	uint64_t at = 0, flows = 0, number = 0;
	struct qframe head = { 0 };
	struct block b;
	int ret = segment_seek(&sp->r, g, 0, g->first - 1);

	while (!ret && (ret = segment_next(&sp->r, &b)) == 1 && b.number <= settled) {
		head.f.flows = b.flows;
		head.is_gap = b.is_gap;
		head.gap = b.gap;
		flows += qframe_flows(&head);
		at = sp->r.at;
		number = b.number;
		ret = 0;
	}
	if (!number)
		return;
	g->from = number + 1;
	g->at = at;
	g->left -= flows < g->left ? flows : g->left;
}

static void
say_double(const struct spool *sp, const struct segment *g)
{
	char name[SEGMENT_NAME];

	segment_name(g, name);
	ctf_log(&sp->sink->ctx, CTF_WARNING,
		"spool: segment %s begins with frames that another one has as well: removed",
		name);
}

/* What is left of them, and how much that is. */
static void
look_over(struct spool *sp, uint64_t settled, struct kept_disk *d)
{
	uint64_t above = 0;

	for (struct segment *g = sp->list; g; g = g->next) {
		g->from = g->first;
		g->left = g->flows;
		sp->bytes += g->bytes;
		if (g->to_ns > d->since_ns)
			d->since_ns = g->to_ns;
		if (g->last <= settled || g->first <= above) {
			if (g->last > settled)
				say_double(sp, g);
			g->doomed = true;
			sp->doomed++;
			continue;
		}
		above = g->last;
		if (g->first <= settled)
			skip(sp, g, settled);
		if (d->uncounted >= g->from && d->uncounted <= g->last)
			d->has_uncounted = true;
		d->flows += g->left;
		d->last = g->last;
	}
}

/* ---- the spool ---- */

static void
count(struct spool *sp, struct ctf_ctx *ctx)
{
	sp->m_bytes = ctf_metric_new(ctx, "spool", CTF_GAUGE, CTF_UNIT_BYTES, "bytes on disk");
	sp->m_limit = ctf_metric_new(ctx, "spool_limit", CTF_GAUGE, CTF_UNIT_BYTES,
				     "bytes it may take there (spool_max=)");
	sp->m_flows = ctf_metric_new(ctx, "spool_flows", CTF_GAUGE, CTF_UNIT_NONE,
				     "flows that are on disk alone");
	sp->m_written = ctf_metric_new(ctx, "spool_frames", CTF_COUNTER, CTF_UNIT_NONE,
				       "frames written to disk");
	sp->m_torn = ctf_metric_new(ctx, "spool_torn", CTF_COUNTER, CTF_UNIT_NONE,
				    "frames that an earlier run had not written whole");
	sp->m_dropped = ctf_metric_new(ctx, "spool_dropped", CTF_COUNTER, CTF_UNIT_NONE,
				       "flows on disk dropped for want of room, or damaged");
	sp->m_errors = ctf_metric_new(ctx, "spool_errors", CTF_COUNTER, CTF_UNIT_NONE,
				      "writes to disk that failed");
}

static struct spool *new (struct sink *s)
{
	struct spool *sp = calloc(1, sizeof(*sp));
	pthread_condattr_t attr;

	if (!sp)
		return NULL;
	sp->sink = s;
	sp->dir.meta = sp->dir.owner.dir = sp->w.fd = -1;
	sp->w.owner = &sp->dir.owner;
	segment_reader_init(&sp->r, &sp->dir.owner);
	sp->max = s->inst->out.spool_max;
	sp->segment_max = sp->max / 8 < SEGMENT_MAX ? sp->max / 8 : SEGMENT_MAX;
	sp->sync_ms = s->inst->out.spool_sync;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sp->cond, &attr);
	pthread_condattr_destroy(&attr);
	count(sp, &s->ctx);
	return sp;
}

void
spool_move(struct sink *to, struct sink *from)
{
	struct spool *sp = from->spool;

	if (!sp)
		return;
	from->spool = NULL;
	to->spool = sp;
	sp->sink = to;
	sp->max = to->inst->out.spool_max;
	sp->segment_max = sp->max / 8 < SEGMENT_MAX ? sp->max / 8 : SEGMENT_MAX;
	sp->sync_ms = to->inst->out.spool_sync;
	sp->stop = sp->done = sp->sleeping = sp->urged = sp->failing = false;
	sp->dir.owner.id = to->inst->id;
	sp->dir.owner.plugin = to->inst->plugin->name;
	sp->again = true;
	count(sp, &to->ctx);
	to->queue.durable = sp->sync_ms == 0;
	spool_look(sp);
}

/* Reads what is there, and begins anew. */
static int
begin(struct spool *sp, const struct priv *priv)
{
	struct sink *s = sp->sink;
	struct kept_disk d = { 0 };
	uint64_t settled;
	int ret = spool_dir_list(&sp->dir, priv, &sp->list);

	d.known = sp->dir.known;
	d.since_ns = sp->dir.since_ns;
	d.clean = sp->dir.clean;
	if (!ret)
		ret = spool_dir_begin(&sp->dir, sp->list, kept_number(s));
	if (!ret)
		ret = recover_all(sp);
	if (ret)
		return ret;
	sp->base = spool_base(&sp->dir);
	d.base = sp->base;
	d.id = sp->dir.owner.spool;
	settled = kept_spool_settled(s, &d);
	if (sp->dir.clean && sp->dir.settled > settled)
		settled = sp->dir.settled;
	look_over(sp, settled, &d);
	sp->upto = kept_spool(s, &d);
	s->spool_id = d.id;
	s->queue.durable = sp->sync_ms == 0;
	spool_look(sp);
	if (d.flows)
		ctf_log(&s->ctx, CTF_NOTICE, "spool: goes on with %llu flows in %llu bytes",
			(unsigned long long)d.flows, (unsigned long long)sp->bytes);
	return 0;
}

/* Not the configuration's fault: better without than not at all. */
static bool
can_do_without(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EIO || err == -ENOMEM;
}

int
spool_open(struct sink *s, const struct priv *priv, struct ctf_err *err)
{
	const char *top = s->inst->out.spool_dir;
	struct spool *sp;
	int ret;

	if (!*top)
		return 0;
	sp = new (s);
	if (!sp)
		return ctf_fail(err, ENOMEM, "spool: out of memory");
	s->spool = sp;
	ret = spool_dir_open(&sp->dir, top, s->inst->id, s->inst->plugin->name, priv, err);
	if (!ret && (ret = begin(sp, priv)) != 0)
		ctf_fail(err, -ret, "spool_dir %s: %s", top, strerror(-ret));
	if (ret)
		spool_free(s);
	if (ret && can_do_without(ret)) {
		ctf_log(&s->ctx, CTF_ERROR, "%s: goes on without", err->msg);
		ret = 0;
	}
	return ret;
}

/* ---- leftovers ---- */

struct leftovers {
	const struct graph *graph;
	const char *top;
};

static bool
is_configured(const char *name, void *arg)
{
	const struct leftovers *l = arg;
	char is[SPOOL_DIR_NAME];

	for (const struct sink *s = l->graph->sinks; s; s = s->next) {
		spool_dir_name(s->inst->id, s->inst->plugin->name, is);
		if (strcmp(s->inst->out.spool_dir, l->top) == 0 && strcmp(is, name) == 0)
			return true;
	}
	return false;
}

static void
say_leftover(const char *name, uint64_t bytes, uint64_t flows, void *arg)
{
	const struct leftovers *l = arg;

	log_warnx("%s/%s holds at least %llu flows in %llu bytes, of an output that is not "
		  "configured now",
		  l->top, name, (unsigned long long)flows, (unsigned long long)bytes);
}

void
spool_say_leftovers(const struct graph *g)
{
	for (const struct sink *s = g->sinks; s; s = s->next) {
		struct leftovers l = { g, s->inst->out.spool_dir };
		const struct sink *same = g->sinks;

		while (same != s && strcmp(same->inst->out.spool_dir, l.top) != 0)
			same = same->next;
		if (*l.top && same == s)
			spool_leftovers(l.top, is_configured, say_leftover, &l);
	}
}
