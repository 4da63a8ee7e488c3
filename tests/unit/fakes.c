/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fakes.h"

struct conf_box {
	uint64_t box, frame;
	bool sync;
};

static const struct ctf_opt box_opts[] = {
	{ "box", CTF_OUINT, offsetof(struct conf_box, box), 0, 0, "0", NULL, "test" },
	{ "frame", CTF_OUINT, offsetof(struct conf_box, frame), 0, 0, "64", NULL, "bytes" },
	{ "sync", CTF_OBOOL, offsetof(struct conf_box, sync), 0, 0, "0", NULL, "sync" },
	{ 0 },
};

struct box *
box_of(const void *obj)
{
	const struct ctf_obj *o = obj;

	return (struct box *)(uintptr_t)((const struct conf_box *)o->conf)->box;
}

/* ---- inputs ---- */

struct feed {
	struct ctf_obj obj;
	ctf_ref id, zone;
};

static const struct ctf_port feed_writes[] = {
	{ "ct.id", 0, offsetof(struct feed, id), NULL },
	{ "ct.zone", 0, offsetof(struct feed, zone), NULL },
	{ 0 },
};

static void
feed_every(void *self)
{
	box_of(self)->everys++;
}

static void
feed_put(struct feed *f, struct box *box, struct ctf_rec *r)
{
	r->family = AF_INET;
	r->event = CTF_DESTROY;
	r->kind = box->kinds ? (uint8_t)(box->fed % CTF_KINDS) : CTF_EVENT;
	r->at_ns = box->at_ns ? box->at_ns[box->fed] : 0;
	r->rx_ns = 1000 + box->fed++;
	ctf_put_num(r, f->id, box->fed);
	ctf_put_num(r, f->zone, box->fed % 100);
}

static int
feed_fill(void *self, struct ctf_batch *b)
{
	struct box *box = box_of(self);
	char byte;

	if (read(box->watch_fd, &byte, 1) != 1)
		return CTF_READ_IDLE;
	feed_put(self, box, ctf_batch_add(b));
	return box->watch_end ? box->watch_end : CTF_READ_MORE;
}

static int
feed_start(void *self, struct ctf_err *err)
{
	struct feed *f = self;
	struct box *b = box_of(self);

	b->starts++;
	b->wanted = ctf_interim_wanted(f->obj.ctx, false);
	b->wanted_all = ctf_interim_wanted(f->obj.ctx, true);
	if (b->watch_fd >= 0)
		ck_assert_int_eq(ctf_watch(f->obj.ctx, b->watch_fd, feed_fill), 0);
	if (b->every_ms)
		ck_assert_int_eq(ctf_every(f->obj.ctx, b->every_ms, feed_every), 0);
	return b->start_errno ? ctf_fail(err, b->start_errno, "told to fail") : 0;
}

static void
feed_stop(void *self)
{
	box_of(self)->stops++;
}

static int
feed_fd(void *self)
{
	return box_of(self)->event_fd;
}

static int
feed_read(void *self, struct ctf_batch *b)
{
	struct box *box = box_of(self);
	struct ctf_rec *r;

	while (box->fed < box->feed) {
		r = ctf_batch_add(b);
		if (!r)
			return CTF_READ_MORE;
		feed_put(self, box, r);
	}
	if (box->feed_end == CTF_READ_IDLE) {
		eventfd_t n;

		eventfd_read(box->event_fd, &n);
	}
	return box->feed_end;
}

static int
live_hand_over(void *self, struct ctf_legacy *to)
{
	return box_hand_over(box_of(self), to);
}

static int
live_start(void *self, struct ctf_err *err)
{
	box_inherit(box_of(self), ((struct ctf_obj *)self)->ctx);
	return feed_start(self, err);
}

static unsigned
live_backlog(void *self)
{
	return box_of(self)->backlog;
}

static bool
live_drain(void *self, bool now)
{
	struct box *b = box_of(self);

	return ++b->drain_calls >= b->drain_until || now;
}

/* ---- filters ---- */

struct filt {
	struct ctf_obj obj;
	ctf_ref id, print;
};

static const struct ctf_port filt_reads[] = {
	{ "ct.id", CTF_REQUIRED, offsetof(struct filt, id), NULL },
	{ 0 },
};
static const struct ctf_port tag_writes[] = {
	{ "print", 0, offsetof(struct filt, print), NULL },
	{ 0 },
};

static enum ctf_verdict
odd_apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	struct filt *f = self;

	return ctf_num_or(r, f->id, 0) % 2 ? CTF_PASS : CTF_DROP;
}

/* Fails, which is said, and changes nothing else. */
static int
tag_start(void *self, struct ctf_err *err)
{
	struct box *box = box_of(self);

	if (box)
		box->tag_starts += box->fed ? 1000 : 1;
	return ctf_fail(err, EIO, "told to fail");
}

static enum ctf_verdict
tag_apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	struct filt *f = self;
	char *text = ctf_batch_mem(b, 32);
	struct box *box = box_of(self);

	if (box)
		box->idles++; /* calls */
	if (!text)
		return CTF_PASS;
	ctf_put_bytes(r, f->print, text,
		      (uint32_t)sprintf(text, "tag %" PRIu64, ctf_num_or(r, f->id, 0)));
	return CTF_PASS;
}

/* ---- outputs: a frame is a row of 8-byte ids, a gap 0 and the gap ---- */

struct keep {
	struct ctf_obj obj;
	ctf_ref id, zone, print;
};

struct keep_sink {
	struct ctf_obj obj;
};

static const struct ctf_port keep_reads[] = {
	{ "ct.id", CTF_REQUIRED, offsetof(struct keep, id), NULL },
	{ "ct.zone", CTF_OPTIONAL, offsetof(struct keep, zone), NULL },
	{ 0 },
};
static const struct ctf_port print_reads[] = {
	{ "print", CTF_REQUIRED, offsetof(struct keep, print), NULL },
	{ 0 },
};

static int
keep_setup(void *enc, struct ctf_err *err)
{
	struct keep *k = enc;
	const struct conf_box *c = k->obj.conf;

	ctf_frames(k->obj.ctx, (uint32_t)c->frame, c->sync);
	return 0;
}

/* A database takes the counters of what lives, unless told otherwise. */
static int
native_setup(void *enc, struct ctf_err *err)
{
	ctf_interim(((struct keep *)enc)->obj.ctx, CTF_INTERIM_COUNTERS);
	return keep_setup(enc, err);
}

static int
events_setup(void *enc, struct ctf_err *err)
{
	ctf_want_events(((struct keep *)enc)->obj.ctx, CTF_NEW);
	return keep_setup(enc, err);
}

static enum ctf_put
keep_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	uint64_t id = ctf_num_or(r, ((struct keep *)enc)->id, 0);

	return ctf_frame_put(f, &id, sizeof(id)) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
print_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct keep *k = enc;
	uint64_t id = 0;

	if (!ctf_has(r, k->print))
		return CTF_SKIP;
	id = strtoull((const char *)r->v[k->print].s.p + 4, NULL, 10) + 1000000;
	return ctf_frame_put(f, &id, sizeof(id)) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
keep_gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	bool ok = ctf_frame_put(f, &(uint64_t){ 0 }, 8) && ctf_frame_put(f, g, GAP_BYTES);

	return ok ? CTF_OK : CTF_SKIP;
}

static enum ctf_put
keep_coverage(void *enc, const struct ctf_coverage *c, struct ctf_frame *f)
{
	uint64_t mark = UINT64_MAX;

	snprintf(box_of(enc)->selection, sizeof(box_of(enc)->selection), "%s", c->selection);
	return ctf_frame_put(f, &mark, sizeof(mark)) ? CTF_OK : CTF_SKIP;
}

static enum ctf_put
keep_sweep(void *enc, const struct ctf_sweep *w, struct ctf_frame *f)
{
	uint64_t mark = UINT64_MAX - 1;

	return ctf_frame_put(f, &mark, sizeof(mark)) ? CTF_OK : CTF_SKIP;
}

static enum ctf_put
keep_preamble(void *enc, struct ctf_frame *f)
{
	const struct conf_box *c = ((struct keep *)enc)->obj.conf;

	return ctf_frame_put(f, &c->frame, sizeof(c->frame)) ? CTF_OK : CTF_FULL;
}

static uint32_t
streams_stream(void *enc, const struct ctf_rec *r)
{
	struct keep *k = enc;

	return (uint32_t)ctf_num_or(r, k->zone, 0);
}

static int
keep_open(void *sink, int *ret_err, struct ctf_err *err)
{
	struct box *b = box_of(sink);
	unsigned ms;

	pthread_mutex_lock(&b->lock);
	ms = b->open_ms;
	b->open_ms = 0;
	ctf_gather(((const struct ctf_obj *)sink)->ctx, b->gather_ms);
	pthread_mutex_unlock(&b->lock);
	usleep(ms * 1000);
	pthread_mutex_lock(&b->lock);
	b->opens++;
	if (b->open && (*ret_err = b->open(b)))
		ctf_fail(err, *ret_err, "told to fail");
	if (b->fail_opens) {
		b->fail_opens--;
		*ret_err = b->open_errno;
		ctf_fail(err, b->open_errno, "told to fail");
	}
	pthread_mutex_unlock(&b->lock);
	return -1;
}

void
box_keep(struct box *b, const struct ctf_frame *f)
{
	uint64_t id;

	b->layout_id = f->layout->id;
	b->nframes++;
	for (uint32_t at = 0; at + 8 <= f->len; at += 8) {
		memcpy(&id, f->p + at, 8);
		if (id == UINT64_MAX) {
			b->ncovers++;
			return;
		}
		if (id == UINT64_MAX - 1) {
			b->nsweeps++;
			b->kept[b->nkept++] = id;
			return;
		}
		if (id == 0 && b->ngaps < 64) {
			memcpy(&b->gaps[b->ngaps++], f->p + 8, GAP_BYTES);
			return;
		}
		if (b->nkept < KEPT) {
			b->kept_frame[b->nkept] = f->number;
			b->kept[b->nkept++] = id;
		}
	}
}

static enum ctf_sent
keep_deliver(void *sink, const struct ctf_frame *const *frames, unsigned n, unsigned *ret_taken,
	     struct ctf_err *err)
{
	struct box *b = box_of(sink);
	struct ctf_obj *o = sink;
	enum ctf_sent r = CTF_SENT;
	bool block;

	pthread_mutex_lock(&b->lock);
	block = b->block;
	pthread_mutex_unlock(&b->lock);
	while (block && ctf_wait(o->ctx, -1, 0, 1000) != -EINTR)
		;
	pthread_mutex_lock(&b->lock);
	if (b->deliver) {
		r = b->deliver(b, frames, n, ret_taken);
		pthread_mutex_unlock(&b->lock);
		return r;
	}
	if (b->answers || block) {
		r = block ? CTF_AGAIN : b->answer;
		b->answers -= !block;
		n = block || b->take == 0 ? 0 : n;
		ctf_fail(err, EIO, "told so");
	}
	if (b->take && n > b->take)
		n = b->take;
	for (unsigned i = 0; i < n; i++)
		box_keep(b, frames[i]);
	*ret_taken = n;
	if (n && b->refuse)
		ctf_refused(o->ctx, frames[0], b->refuse);
	b->refuse = n ? 0 : b->refuse;
	pthread_mutex_unlock(&b->lock);
	return r;
}

static uint64_t
keep_settled(void *sink)
{
	struct box *b = box_of(sink);
	pthread_mutex_lock(&b->lock);
	uint64_t n = b->settled;
	pthread_mutex_unlock(&b->lock);
	return n;
}

static uint64_t
keep_needed(void *sink)
{
	uint64_t settled = keep_settled(sink), window = box_of(sink)->window;

	return settled < window ? 0 : settled + 1 - window;
}

#define CONF \
	.abi = CTF_ABI, .doc = "test", .opts = box_opts, .conf_size = sizeof(struct conf_box)
#define FEED_CALLS \
	.role = CTF_INPUT, .size = sizeof(struct feed), .writes = feed_writes, .fd = feed_fd, \
	.read = feed_read, .stop = feed_stop
#define FILT .role = CTF_FILTER, .size = sizeof(struct filt), .reads = filt_reads
#define TAGS \
	FILT, .start = tag_start, .ready = box_ready, .drain = box_drain, .apply = tag_apply, \
	      .writes = tag_writes, .pure = true
#define SINK_CALLS \
	.role = CTF_OUTPUT, .size = sizeof(struct keep), \
	.sink_size = sizeof(struct keep_sink), .preamble = keep_preamble, .open = keep_open, \
	.deliver = keep_deliver, .reopen = box_reopen, .close = box_close
#define KEEPS SINK_CALLS, .reads = keep_reads, .encode = keep_encode

static const struct ctf_plugin fakes[] = {
	{ CONF, FEED_CALLS, .name = "FEED", .start = feed_start },
	{ CONF, FEED_CALLS, .name = "LIVE", .start = live_start, .backlog = live_backlog,
	  .drain = live_drain, .hand_over = live_hand_over },
	{ CONF, FILT, .name = "ODD", .apply = odd_apply },
	{ CONF, TAGS, .name = "TAG" },
	{ CONF, TAGS, .name = "TAG2" },
	{ CONF, KEEPS, .name = "KEEP", .setup = keep_setup, .gap = keep_gap,
	  .coverage = keep_coverage, .sweep = keep_sweep },
	{ CONF, KEEPS, .name = "NATIVE", .setup = native_setup },
	{ CONF, KEEPS, .name = "EVENTS", .setup = events_setup },
	{ CONF, KEEPS, .name = "SETTLE", .setup = keep_setup, .gap = keep_gap,
	  .settled = keep_settled, .needed = keep_needed },
	{ CONF, SINK_CALLS, .name = "PRINT", .setup = keep_setup, .reads = print_reads,
	  .encode = print_encode },
	{ CONF, KEEPS, .name = "STREAMS", .setup = keep_setup, .stream = streams_stream },
	{ CONF, .role = CTF_OUTPUT, .size = sizeof(struct keep), .reads = keep_reads,
	  .sink_size = sizeof(struct keep_sink), .name = "MANY", .setup = keep_setup,
	  .encode = keep_encode, .gap = keep_gap, .sinks = box_sinks, .deliver = box_many },
	{ CONF, KEEPS, .name = "PLAIN", .setup = keep_setup },
};

void
fakes_add(struct plugin_set *set)
{
	for (size_t i = 0; i < sizeof(fakes) / sizeof(*fakes); i++)
		ck_assert_int_eq(plugin_add(set, &fakes[i]), 0);
}

/* Replaces %B. */
static char *
expand(const char *text, const struct box *b)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	for (; *text; text++) {
		if (text[0] == '%' && text[1] == 'B') {
			fprintf(f, "box=0x%" PRIxPTR, (uintptr_t)b);
			text++;
		} else {
			fputc(*text, f);
		}
	}
	fclose(f);
	return out;
}

int
fakes_setup(struct setup *s, const char *text, struct box *b, struct diag *diag)
{
	char *full = expand(text, b);
	int ret;

	*s = (struct setup){ .plugins = plugin_set_new() };
	fakes_add(s->plugins);
	ret = conf_parse(full, strlen(full), "test.conf", &s->conf, diag);
	free(full);
	if (!ret)
		ret = plan_make(s->conf, s->plugins, diag, &s->plan);
	if (!ret)
		ret = graph_build(&s->plan, diag, &s->graph);
	s->no_stack = ret != 0;
	return ret;
}
