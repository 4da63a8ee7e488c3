/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "handover.h"
#include "pump.h"
#include "run.h"
#include "sink.h"
#include "spool.h"

#define SEAL_MS 900u /* so that a line is in the file within a second */
#define PAUSE_MS 20u
#define BATCHES 32 /* of one input, before the loop is looked at again */
#define FIRST_OPEN_MS 2000u
#define SPARE (4 << 20) /* bytes of free memory that need not go back at once */

static const struct ctf_plugin *
plugin(const struct input *in)
{
	return in->inst->plugin;
}

void
run_kick(struct graph *g)
{
	for (struct sink *s = g->sinks; s; s = s->next)
		sink_kick(s);
}

/* Called after a batch: frames that stay open must not get old. */
static void
arm_seal(struct run *r)
{
	if (r->graph->open_frames && !r->seal_armed) {
		timer_set(r->seal_timer, SEAL_MS, 0);
		r->seal_armed = true;
	}
}

static void
on_seal(void *arg)
{
	struct run *r = arg;

	r->seal_armed = r->graph->open_frames = false;
	for (struct input *in = r->graph->inputs; in; in = in->next)
		pump_seal(in);
	run_kick(r->graph);
}

/* ---- full queues ---- */

/* A live input may wait while its socket is half empty, a replay for ever. */
static bool
may_wait(const struct input *in, const struct sink *s)
{
	if (plugin(in)->backlog)
		return plugin(in)->backlog(in->ctx.obj) < 50;
	return s->inst->out.overflow != OVERFLOW_DROP_OLD;
}

/* Drops where it must; true: the input is to wait. */
static bool
must_pause(const struct input *in)
{
	bool wait = false;

	for (unsigned i = 0; i < in->nstacks; i++) {
		struct sink *s = in->stacks[i]->enc->sink;

		if (in->stacks[i]->dead || !sink_over(s))
			continue;
		if (may_wait(in, s))
			wait = true;
		else
			sink_drop(s);
	}
	return wait;
}

static void
set_paused(struct run *r, struct input *in, bool paused)
{
	if (in->paused == paused || !in->watch)
		return;
	in->paused = paused;
	loop_pause(in->watch, paused);
	for (struct watch *w = in->watches; w; w = w->next)
		loop_pause(w->loop, paused);
	if (paused) {
		run_kick(r->graph);
		timer_set(r->pause_timer, PAUSE_MS, PAUSE_MS);
	}
}

static void
on_pause(void *arg)
{
	struct run *r = arg;
	bool any = false;

	for (struct input *in = r->graph->inputs; in; in = in->next) {
		if (!in->paused)
			continue;
		set_paused(r, in, must_pause(in));
		any |= in->paused;
	}
	if (!any)
		timer_set(r->pause_timer, 0, 0);
}

/* ---- inputs ---- */

static void
unwatch(struct watch **at)
{
	struct watch *w = *at;

	*at = w->next;
	loop_del(w->loop);
	free(w);
}

static struct watch **
watch_find(struct input *in, int fd)
{
	struct watch **at = &in->watches;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

void
run_end_input(struct run *r, struct input *in, int err)
{
	in->ended = true;
	set_paused(r, in, false);
	if (in->watch)
		loop_del(in->watch);
	in->watch = NULL;
	while (in->watches)
		unwatch(&in->watches);
	if (err) {
		in->failed = r->failed = true;
		ctf_log(&in->ctx, CTF_INFO, "gives up: %s", strerror(-err));
	}
}

static int
run_fill(struct input *in, int (*fill)(void *, struct ctf_batch *))
{
	uint64_t now = ctf_now();
	int ret;

	batch_reset(&in->batch);
	kept_reading(in);
	ret = fill(in->ctx.obj, &in->batch);
	pump_batch(in, &in->batch);
	kept_read(in, fill == plugin(in)->read, ret == CTF_READ_IDLE ? now : 0);
	return ret;
}

int
run_read_batch(struct input *in)
{
	return run_fill(in, plugin(in)->read);
}

/* Lets fill() give some batches; what it said last. */
static int
service(struct run *r, struct input *in, int (*fill)(void *, struct ctf_batch *))
{
	int ret = CTF_READ_MORE;

	for (int i = 0; i < BATCHES && ret == CTF_READ_MORE && !in->paused; i++) {
		ret = run_fill(in, fill);
		set_paused(r, in, must_pause(in));
	}
	arm_seal(r);
	run_kick(r->graph);
	return ret;
}

static void
on_input(void *arg)
{
	struct input *in = arg;
	struct run *r = in->graph->run;
	int ret = service(r, in, plugin(in)->read);

	if (ret < 0 || ret == CTF_READ_END)
		run_end_input(r, in, ret < 0 ? ret : 0);
}

static void
on_watch(void *arg)
{
	struct watch *w = arg, **at;
	struct input *in = w->input;
	int fd = w->fd, ret = service(in->graph->run, in, w->fill); /* may free w */

	at = watch_find(in, fd);
	if ((ret < 0 || ret == CTF_READ_END) && *at)
		unwatch(at);
}

int
ctf_watch(struct ctf_ctx *ctx, int fd, int (*fill)(void *self, struct ctf_batch *))
{
	struct input *in = ctx->input;
	struct watch **at = watch_find(in, fd), *w = *at;
	int ret;

	if (!fill && w)
		unwatch(at);
	if (w || !fill)
		return w && fill ? -EEXIST : 0;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct watch){ NULL, in, fd, fill, NULL };
	ret = loop_add(in->graph->run->loop, fd, on_watch, w, &w->loop);
	if (ret) {
		free(w);
		return ret;
	}
	*at = w;
	if (in->paused)
		loop_pause(w->loop, true);
	return 0;
}

void
ctf_keep_capability(struct ctf_ctx *ctx, unsigned number)
{
	ctx->input->graph->run->caps |= UINT64_C(1) << (number & 63);
}

static void
on_every(void *arg)
{
	struct input *in = arg;

	if (!in->started)
		return;
	in->every(in->ctx.obj);
	run_kick(in->graph);
}

int
ctf_every(struct ctf_ctx *ctx, uint64_t msec, void (*fn)(void *self))
{
	struct input *in = ctx->input;
	int ret = 0;

	in->every = fn;
	if (!in->timer)
		ret = loop_timer(in->graph->run->loop, on_every, in, &in->timer);
	if (!ret)
		timer_set(in->timer, msec, msec);
	return ret;
}

void
run_stop_input(struct input *in)
{
	run_end_input(in->graph->run, in, 0);
	if (in->timer)
		timer_set(in->timer, 0, 0);
	if (in->started) {
		plugin(in)->stop(in->ctx.obj);
		kept_input_end(in, in->failed   ? CTF_ENDED_DIED
				   : in->handed ? CTF_ENDED_HANDED
						: CTF_ENDED_CLEAN);
	}
	if (in->timer)
		loop_del(in->timer);
	in->timer = NULL;
	in->started = false;
}

static int
try_start(struct run *r, struct input *in, struct ctf_err *err)
{
	int ret = batch_init(&in->batch, in->nslots);

	if (!ret) {
		kept_tell_coverage(in);
		ret = plugin(in)->start(in->ctx.obj, err);
	} else
		ctf_fail(err, ENOMEM, "out of memory");
	if (!ret) {
		in->started = true;
		ret = loop_add(r->loop, plugin(in)->fd(in->ctx.obj), on_input, in, &in->watch);
		if (ret)
			ctf_fail(err, -ret, "cannot poll: %s", strerror(-ret));
	}
	if (ret) {
		run_stop_input(in);
		kept_input_end(in, in->earlier.ended);
		for (unsigned i = 0; i < in->nstacks; i++)
			in->stacks[i]->dead = true;
	}
	return ret;
}

static void
start_input(struct run *r, struct input *in)
{
	struct ctf_err err = { 0 };

	if (try_start(r, in, &err))
		ctf_log(&in->ctx, CTF_ERROR, "%s", err.msg);
}

int
run_start_input(struct run *r, struct input *in, struct ctf_err *err)
{
	if (kept_input_start(in))
		return ctf_fail(err, ENOMEM, "out of memory");
	in->keep->reading = 0;
	in->was_reading = false;
	return try_start(r, in, err);
}

/* ---- start ---- */

struct run *
run_of(const struct ctf_ctx *ctx)
{
	const struct graph *g = ctx->sink    ? ctx->sink->graph
				: ctx->input ? ctx->input->graph
					     : NULL;

	return g ? g->run : NULL;
}

int
ctf_own(const struct ctf_ctx *ctx, int fd)
{
	const struct run *r = run_of(ctx);

	if (!r || !r->priv || !r->priv->known || geteuid() != 0)
		return 0;
	return fchown(fd, r->priv->uid, r->priv->gid) ? -errno : 0;
}

/* The stacks that end in a sink which could not be opened at all. */
static void
bury(struct sink *s)
{
	ctf_log(&s->ctx, CTF_ERROR, "%s", s->why.msg);
	if (s->queue.recs)
		ctf_log(&s->ctx, CTF_ERROR, "%llu flows the process before left are lost",
			(unsigned long long)s->queue.recs);
	for (struct encoder *e = s->encoders; e; e = e->next) {
		e->stack->dead = true;
		log_errorx("stack '%s' is refused", e->stack->text);
	}
}

/* Nothing is opened for stacks whose input does not work. */
static bool
is_fed(const struct sink *s)
{
	for (const struct encoder *e = s->encoders; e; e = e->next)
		if (!e->stack->dead)
			return true;
	return false;
}

int
run_ready_sink(struct run *r, struct sink *s)
{
	int ret = sink_wires(s);

	return ret ? ret : loop_add(r->loop, s->poke, sink_poked, s, &s->watch);
}

static int
start_sink(struct run *r, struct sink *s)
{
	int ret = run_ready_sink(r, s);

	if (!ret)
		handover_feed(r->handover, s);
	if (!ret)
		ret = spool_start(s);
	return ret ? ret : sink_start(s);
}

/* Before anything is given to them: with a spool the numbers are others. */
static void
open_spools(struct run *r)
{
	for (struct sink *s = r->graph->sinks; s; s = s->next)
		if (spool_open(s, r->priv, &s->why))
			bury(s);
	spool_say_leftovers(r->graph);
}

static void
start_sinks(struct run *r)
{
	struct graph *g = r->graph;
	uint64_t deadline;

	for (struct sink *s = g->sinks; s; s = s->next) {
		int ret = is_fed(s) ? start_sink(r, s) : 0;

		if (ret) {
			ctf_fail(&s->why, -ret, "no thread: %s", strerror(-ret));
			bury(s);
		}
	}
	deadline = ctf_mono_ms() + FIRST_OPEN_MS;
	for (struct sink *s = g->sinks; s; s = s->next)
		if (s->running && sink_await_open(s, deadline))
			bury(s);
}

/* An input works as long as one of its stacks does. */
static bool
input_alive(const struct input *in)
{
	if (in->ended)
		return false;
	for (unsigned i = 0; i < in->nstacks; i++)
		if (!in->stacks[i]->dead)
			return true;
	return false;
}

/*
 * Frames are made and freed all the time.  By default the C library gives their
 * memory back and asks for it again; workers give back what is left of them in a
 * quiet moment (worker.c).
 */
static void
keep_memory(void)
{
#if defined(HAVE_MALLOC_TRIM) && !defined(__SANITIZE_ADDRESS__)
	mallopt(M_TRIM_THRESHOLD, SPARE);
#endif
}

int
run_start(struct run *r)
{
	struct graph *g = r->graph;
	int ret = loop_timer(r->loop, on_seal, r, &r->seal_timer);

	if (!ret)
		ret = loop_timer(r->loop, on_pause, r, &r->pause_timer);
	if (ret)
		return ret;
	g->run = r;
	keep_memory();
	ret = kept_start(g);
	if (ret)
		return ret;
	open_spools(r);
	for (struct input *in = g->inputs; in; in = in->next)
		start_input(r, in);
	start_sinks(r);
	for (struct input *in = g->inputs; in; in = in->next)
		if (!input_alive(in))
			run_stop_input(in);
	return graph_live_stacks(g) ? 0 : -ENOENT;
}

void
run_go(struct run *r)
{
	graph_start_filters(r->graph);
	handover_settle(r->handover);
	for (struct sink *s = r->graph->sinks; s; s = s->next)
		if (s->running)
			sink_go(s);
}

bool
run_alive(const struct run *r)
{
	for (const struct input *in = r->graph->inputs; in; in = in->next)
		if (input_alive(in))
			return true;
	return false;
}
