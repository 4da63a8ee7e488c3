/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sink's thread: opens the output, delivers frames in order, and after a
 * failure closes it, waits (longer each time) and goes on from the first
 * frame that is not settled.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "handover.h"
#include "priv.h"
#include "sink.h"
#include "spool.h"

#define RECONNECT_MS 1000u
#define DELAY_MAX_MS 60000u
#define DELAY_STOPPING_MS 1000u
#define BUSY_MS 50u
#define SETTLE_MS 100u
#define LOAD_MS 200u
#define TIDY_MS 1000u
#define TIDY_BYTES (16u << 10)

static const struct ctf_plugin *
plugin(const struct sink *s)
{
	return s->inst->plugin;
}

static void
set_state(struct sink *s, enum sink_state state)
{
	pthread_mutex_lock(&s->lock);
	s->state = state;
	pthread_mutex_unlock(&s->lock);
}

/* A configuration mistake, when met at the start; see open() in plugin.h. */
static bool
is_mistake(int err)
{
	return err == EACCES || err == EPERM || err == EROFS || err == ENOENT ||
	       err == ENOTDIR || err == EISDIR || err == ENAMETOOLONG || err == EINVAL;
}

/* A failure is an error, its repetition for the same reason only for debugging. */
static void
say_down(struct sink *s, const struct ctf_err *err)
{
	uint64_t why = ctf_hash(CTF_HASH, err->msg, strlen(err->msg));
	bool again = s->said_down && s->said_why == why;
	enum ctf_level level = again ? CTF_DEBUG : CTF_ERROR;

	if (!s->said_down)
		s->down_since_ms = ctf_mono_ms();
	s->said_why = why;
	pthread_mutex_lock(&s->lock);
	s->why = *err;
	pthread_mutex_unlock(&s->lock);
	ctf_log(&s->ctx, level, "%s; trying again in %llu ms", err->msg,
		(unsigned long long)s->delay_ms);
	s->said_down = true;
}

uint64_t
delay_next(uint64_t delay, uint64_t first)
{
	uint64_t most = first > DELAY_MAX_MS ? first : DELAY_MAX_MS;

	delay = delay ? delay * 2 : first;
	return delay < most ? delay : most;
}

uint64_t
delay_spread(uint64_t delay, uint64_t random)
{
	uint64_t fifth = delay / 5;

	return delay - fifth + random % (2 * fifth + 1);
}

static void
back_off(struct sink *s, const struct ctf_err *err)
{
	uint64_t first = s->inst->out.reconnect;

	s->delay_ms = delay_next(s->delay_ms, first ? first : RECONNECT_MS);
	s->retry_at_ms = ctf_mono_ms() + delay_spread(s->delay_ms, ctf_now() / 64);
	say_down(s, err);
	ctf_count(s->retries, 1);
}

static void
close_output(struct sink *s)
{
	if (plugin(s)->close)
		plugin(s)->close(s->ctx.obj);
	s->fd = -1;
	sink_settle(s); /* what is not needed is not sent again */
	sink_rewind(s);
}

static void
say_up(struct sink *s)
{
	if (s->said_down)
		ctf_log(&s->ctx, CTF_NOTICE, "works again after %llu s",
			(unsigned long long)(ctf_mono_ms() - s->down_since_ms) / 1000);
	s->said_down = false;
}

/* One attempt; returns the errno it failed with, or 0. */
static int
open_output(struct sink *s, struct ctf_err *err)
{
	int failed = 0, fd = -1;

	if (plugin(s)->open)
		fd = plugin(s)->open(s->ctx.obj, &failed, err);
	if (failed)
		return failed;
	s->fd = fd;
	sink_begin_backlog(s);
	s->spare_at_ms = 0;
	set_state(s, SINK_UP);
	if (kept_opened(s))
		eventfd_write(s->poke, 1);
	return 0;
}

static void
first_open(struct sink *s)
{
	struct ctf_err err = { 0 };
	bool waits = s->before;
	int failed = waits ? sink_may_open(s, &err) : open_output(s, &err);

	pthread_mutex_lock(&s->lock);
	s->first_done = true;
	if (failed && is_mistake(failed) && !s->late) {
		s->refused = s->aborted = true;
		s->why = err;
	}
	pthread_cond_broadcast(&s->cond);
	while (!s->go && !s->aborted)
		pthread_cond_wait(&s->cond, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (failed && !s->refused && !waits)
		back_off(s, &err);
}

static void
fail_session(struct sink *s, const struct ctf_err *err)
{
	close_output(s);
	back_off(s, err);
}

/* Waits for a kick, the session's end (watch), or the time; false: for the time. */
static bool
wait_for(struct sink *s, bool watch, int timeout_ms)
{
	struct pollfd p[3] = { { s->kick, POLLIN, 0 },
			       { s->intr, POLLIN, 0 },
			       { watch && plugin(s)->idle ? s->fd : -1, POLLIN | POLLRDHUP,
				 0 } };
	struct ctf_err err = { 0 };
	bool spare = sink_spare_first(s, &timeout_ms);
	eventfd_t n;

	if (poll(p, 3, timeout_ms) <= 0)
		return spare;
	if (p[0].revents)
		eventfd_read(s->kick, &n);
	if (p[2].revents && plugin(s)->idle(s->ctx.obj, &err) != CTF_SENT)
		fail_session(s, &err);
	return true;
}

static bool
was_long(struct sink *s)
{
	bool is;

	pthread_mutex_lock(&s->lock);
	is = s->queue.peak > TIDY_BYTES;
	pthread_mutex_unlock(&s->lock);
	return is;
}

/*
 * Memory that was freed goes back to the system.  Not with AddressSanitizer: it
 * has its own heap, and the C library's, never used before, is set up by
 * whoever calls this first, without a lock: two threads at once would crash.
 */
static void
give_back(void)
{
#if defined(HAVE_MALLOC_TRIM) && !defined(__SANITIZE_ADDRESS__)
	malloc_trim(0);
#endif
}

/*
 * There is nothing to deliver.  The C library keeps the memory a long queue has
 * left behind, unless it is told, in a quiet moment, to give it back.
 */
static void
rest(struct sink *s, bool unsettled)
{
	bool tidy = !unsettled && was_long(s);

	if (wait_for(s, true, unsettled ? (int)SETTLE_MS : tidy ? (int)TIDY_MS : -1) || !tidy)
		return;
	pthread_mutex_lock(&s->lock);
	s->queue.peak = 0;
	pthread_mutex_unlock(&s->lock);
	give_back();
}

static void
do_reopen(struct sink *s)
{
	struct ctf_err err = { 0 };
	bool want;

	pthread_mutex_lock(&s->lock);
	want = s->want_reopen;
	s->want_reopen = false;
	pthread_mutex_unlock(&s->lock);
	if (!want)
		return;
	if (s->state == SINK_DOWN)
		s->retry_at_ms = 0;
	else if (plugin(s)->reopen && plugin(s)->reopen(s->ctx.obj, &err))
		ctf_log(&s->ctx, CTF_ERROR, "%s; the old one is kept", err.msg);
}

static void
retry(struct sink *s)
{
	uint64_t now = ctf_mono_ms(), at = s->retry_at_ms;
	struct ctf_err err = { 0 };

	if (s->draining && at > now + DELAY_STOPPING_MS)
		at = s->retry_at_ms = now + DELAY_STOPPING_MS;
	if (at > now)
		wait_for(s, false, (int)(at - now));
	else if (open_output(s, &err))
		back_off(s, &err);
}

/* The first frame not taken can never be delivered; the main thread makes the gap. */
static void
drop_poison(struct sink *s, const struct ctf_err *err)
{
	struct ctf_frame lost = { 0 };
	struct qframe *f;

	pthread_mutex_lock(&s->lock);
	f = queue_drop_next(&s->queue);
	if (f) {
		sink_lost(s, f);
		ctf_count(s->poisoned, f->counted ? 0 : f->f.recs);
		lost = f->f;
		qframe_release(f);
	}
	s->progress++;
	pthread_mutex_unlock(&s->lock);
	if (!f)
		return;
	eventfd_write(s->poke, 1);
	log_msg_limit(&s->poison_log, CTF_ERROR,
		      "%s:%s: frame %llu with %u flows cannot be delivered: %s", s->inst->id,
		      plugin(s)->name, (unsigned long long)lost.number, lost.recs, err->msg);
}

static void
deliver(struct sink *s, const struct ctf_frame *const *frames, unsigned n)
{
	struct ctf_err err = { 0 };
	unsigned taken = 0;
	enum ctf_sent r = plugin(s)->deliver(s->ctx.obj, frames, n, &taken, &err);

	pthread_mutex_lock(&s->lock);
	queue_taken(&s->queue, taken);
	s->progress += taken;
	sink_count_backlog(s, frames, taken);
	s->state = taken || r == CTF_SENT ? SINK_UP : SINK_STALLED;
	pthread_mutex_unlock(&s->lock);
	sink_settle(s);
	if (taken) {
		s->delay_ms = 0;
		sink_spare_again(s);
		say_up(s);
	}
	if (r == CTF_AGAIN || (r == CTF_SENT && !taken))
		wait_for(s, false, BUSY_MS);
	else if (r == CTF_RETRY)
		fail_session(s, &err);
	else if (r == CTF_POISON)
		drop_poison(s, &err);
}

/* At the end: what it knows of a frame begun, say. */
static void
hand_over(struct sink *s)
{
	bool handing;

	pthread_mutex_lock(&s->lock);
	handing = s->handing;
	pthread_mutex_unlock(&s->lock);
	if (handing && plugin(s)->hand_over)
		handover_leave(handover_of(&s->ctx), &s->ctx);
}

/* Nothing can be delivered just now. */
static void
pass_time(struct sink *s, const struct sink_next *n)
{
	if (n->load) {
		if (!spool_load(s))
			wait_for(s, true, LOAD_MS);
		return;
	}
	if (n->wait_ms > 0)
		wait_for(s, true, n->wait_ms);
	else
		rest(s, n->unsettled);
	if (n->unsettled && s->state != SINK_DOWN)
		sink_settle(s);
}

static void *
worker(void *arg)
{
	const struct ctf_frame *frames[GROUP];
	struct sink *s = arg;
	struct sink_next n;

	first_open(s);
	priv_drop_thread();
	sink_settle_in(s);
	for (;;) {
		sink_spare(s);
		sink_next(s, frames, &n);
		if (n.end)
			break;
		do_reopen(s);
		if (s->state == SINK_DOWN)
			retry(s);
		else if (n.n)
			deliver(s, frames, n.n);
		else
			pass_time(s, &n);
	}
	hand_over(s);
	if (s->state != SINK_DOWN)
		close_output(s);
	pthread_mutex_lock(&s->lock);
	s->done = true;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int
sink_wires(struct sink *s)
{
	s->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->intr = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->kick < 0 || s->intr < 0 || s->poke < 0)
		return -errno;
	return 0;
}

int
sink_start(struct sink *s)
{
	int ret = pthread_create(&s->thread, NULL, worker, s);

	s->running = ret == 0;
	return -ret;
}

bool
sink_await(struct sink *s, const bool *flag, uint64_t deadline_ms)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	while (!*flag && ctf_mono_ms() < deadline_ms) {
		struct timespec t = { (time_t)(deadline_ms / 1000),
				      (long)(deadline_ms % 1000 * 1000000) };

		pthread_cond_timedwait(&s->cond, &s->lock, &t);
	}
	ok = *flag;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

bool
sink_await_open(struct sink *s, uint64_t deadline_ms)
{
	bool refused;

	sink_await(s, &s->first_done, deadline_ms);
	pthread_mutex_lock(&s->lock);
	s->late = !s->first_done;
	refused = s->refused;
	pthread_mutex_unlock(&s->lock);
	return refused;
}

static void
request(struct sink *s, bool *flag)
{
	pthread_mutex_lock(&s->lock);
	*flag = true;
	s->waiting = false;
	spool_wake(s);
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->kick, 1);
}

void
sink_go(struct sink *s)
{
	request(s, &s->go);
}

void
sink_reopen(struct sink *s)
{
	request(s, &s->want_reopen);
}

void
sink_stop(struct sink *s)
{
	request(s, &s->stopping);
}

void
sink_hand_over(struct sink *s)
{
	pthread_mutex_lock(&s->lock);
	s->handing = true;
	pthread_mutex_unlock(&s->lock);
}

void
sink_abort(struct sink *s)
{
	eventfd_write(s->intr, 1);
	if (plugin(s)->interrupt)
		plugin(s)->interrupt(s->ctx.obj);
	request(s, &s->aborted);
}

bool
sink_join(struct sink *s, uint64_t deadline_ms)
{
	if (!s->running)
		return true;
	if (!sink_await(s, &s->done, deadline_ms))
		return false;
	pthread_join(s->thread, NULL);
	s->running = false;
	return true;
}

int
ctf_wait(struct ctf_ctx *ctx, int fd, short events, int timeout_ms)
{
	struct pollfd p[2] = { { ctx->sink->intr, POLLIN, 0 }, { fd, events, 0 } };
	uint64_t end = ctf_mono_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0), now;
	int n;

	/* The change to the user of -u is a signal to each thread: not our EINTR. */
	while ((n = poll(p, 2, timeout_ms)) < 0 && errno == EINTR) {
		now = ctf_mono_ms();
		if (timeout_ms > 0)
			timeout_ms = now < end ? (int)(end - now) : 0;
	}
	if (n < 0)
		return -errno;
	if (p[0].revents)
		return -EINTR;
	return n ? p[1].revents : 0;
}
