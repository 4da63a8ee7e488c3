/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live.c - see live.h. */
#include "live.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "batch.h"

/* ---- what the input needs of the core ------------------------------------------ */

uint64_t
ctf_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const char *
ctf_name(const struct ctf_ctx *ctx)
{
	return "ct1";
}

void
ctf_log(const struct ctf_ctx *ctx, enum ctf_level level, const char *fmt, ...)
{
	struct ctf_ctx *c = (struct ctf_ctx *)(uintptr_t)ctx;
	size_t len = strlen(c->log);
	va_list ap;

	len += (size_t)snprintf(c->log + len, sizeof(c->log) - len, "<%d> ", level);
	va_start(ap, fmt);
	if (len < sizeof(c->log))
		len += (size_t)vsnprintf(c->log + len, sizeof(c->log) - len, fmt, ap);
	va_end(ap);
	if (len + 1 < sizeof(c->log))
		strcpy(c->log + len, "\n");
}

int
ctf_fail_opt(const struct ctf_ctx *ctx, struct ctf_err *err, const char *name, const char *fmt,
	     ...)
{
	struct ctf_ctx *c = (struct ctf_ctx *)(uintptr_t)ctx;
	va_list ap;

	snprintf(c->blamed, sizeof(c->blamed), "%s", name);
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

ctf_counter *
ctf_metric_new(struct ctf_ctx *ctx, const char *name, enum ctf_metric kind, enum ctf_unit unit,
	       const char *help)
{
	ck_assert_uint_lt(ctx->ncounters, 64);
	ctx->counter[ctx->ncounters].name = name;
	return &ctx->counter[ctx->ncounters++].value;
}

/* Every field has a slot, in the order of ct_ports. */
int
ctf_want(struct ctf_ctx *ctx, const char *name, ctf_ref *ret_ref,
	 const struct ctf_field **ret_field, struct ctf_err *err)
{
	for (ctf_ref i = 0; ct_ports[i].name; i++) {
		if (strcmp(ct_ports[i].name, name))
			continue;
		*ret_ref = i;
		return 0;
	}
	return -ENOENT;
}

static struct live_part *
find_part(struct ctf_ctx *ctx, const char *name)
{
	struct live_part *p = ctx->part;

	while (p->p && strcmp(p->name, name) != 0)
		p++;
	return p;
}

void *
ctf_state(struct ctf_ctx *ctx, const char *part, size_t size, bool *ret_kept)
{
	struct live_part *p = find_part(ctx, part);
	const void *before = ctf_state_before(ctx, part, size);

	*ret_kept = p->p || before; /* an earlier start of this run, or of another */
	if (p->p)
		return p->p;
	snprintf(p->name, sizeof(p->name), "%s", part);
	p->p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(p->p != MAP_FAILED);
	if (before)
		memcpy(p->p, before, size);
	return p->p;
}

void *
ctf_state_before(struct ctf_ctx *ctx, const char *part, size_t size)
{
	return ctx->before ? find_part((struct ctf_ctx *)(uintptr_t)ctx->before, part)->p
			   : NULL;
}

int
ctf_every(struct ctf_ctx *ctx, uint64_t msec, void (*fn)(void *self))
{
	ctx->tick = fn;
	ctx->tick_msec = msec;
	return 0;
}

int
ctf_watch(struct ctf_ctx *ctx, int fd, int (*fill)(void *self, struct ctf_batch *))
{
	unsigned i = 0;

	while (i < ctx->nwatches && ctx->watch[i].fd != fd)
		i++;
	if (!fill) {
		if (i < ctx->nwatches)
			ctx->watch[i] = ctx->watch[--ctx->nwatches];
		return 0;
	}
	ck_assert_uint_eq(i, ctx->nwatches);
	ck_assert_uint_lt(i, 8);
	ctx->watch[ctx->nwatches++] = (struct live_watch){ fd, fill };
	return 0;
}

void
ctf_keep_capability(struct ctf_ctx *ctx, unsigned number)
{
	ctx->kept |= UINT64_C(1) << number;
}

/* There is neither a process before nor one after. */
int
ctf_keep_fd(struct ctf_ctx *ctx, const char *name, int fd)
{
	return -ENOTCONN;
}

int
ctf_inherit_fd(struct ctf_ctx *ctx, const char *name, int *ret_fd)
{
	return -ENOENT;
}

int
ctf_inherit_bytes(struct ctf_ctx *ctx, const char *name, const void **ret_p, size_t *ret_n)
{
	return -ENOENT;
}

int
ctf_leave_bytes(struct ctf_legacy *to, const char *name, const void *p, size_t n)
{
	return -ENOTCONN;
}

void
ctf_report_gap(struct ctf_ctx *ctx, const struct ctf_gap *gap)
{
	ck_assert_uint_lt(ctx->ngaps, 64);
	ctx->gap[ctx->ngaps++] = *gap;
}

void
ctf_outage_begin(struct ctf_ctx *ctx)
{
	ck_assert(!ctx->outage);
	ctx->outage = true;
}

void
ctf_outage_end(struct ctf_ctx *ctx, const struct ctf_gap *gap)
{
	ck_assert(ctx->outage);
	ctx->outage = false;
	if (gap)
		ctf_report_gap(ctx, gap);
}

struct ctf_earlier
ctf_earlier(const struct ctf_ctx *ctx)
{
	return ctx->earlier;
}

void
ctf_alive(const struct ctf_ctx *ctx)
{
}

void
ctf_report_coverage(struct ctf_ctx *ctx, const struct ctf_coverage *cov)
{
	unsigned i = ctx->ncovs++ % LIVE_COVS;
	struct ctf_coverage *c = &ctx->cov[i];

	*c = *cov;
	c->netns = strcpy(ctx->cov_text[i][0], cov->netns);
	c->abilities = strcpy(ctx->cov_text[i][1], cov->abilities);
	ck_assert_uint_eq(strlen(cov->boot_id), 36);
	ck_assert_uint_gt(strlen(cov->exporter), 0);
	c->exporter = c->boot_id = NULL; /* only lent */
}

void
ctf_report_sweep(struct ctf_ctx *ctx, const struct ctf_sweep *sweep)
{
	ck_assert_uint_lt(ctx->nsweeps, LIVE_SWEEPS);
	ctx->sweep[ctx->nsweeps++] = *sweep;
}

unsigned
ctf_interim_wanted(const struct ctf_ctx *ctx, bool all)
{
	return ctx->interim;
}

unsigned
ctf_events_wanted(const struct ctf_ctx *ctx)
{
	return 0;
}

struct live *live_now;

/* ---- the input ------------------------------------------------------------------ */

static void
bind_fields(struct live *l)
{
	ctf_ref slot = 0;

	for (const struct ctf_port *p = ct_ports; p->name; p++)
		*(ctf_ref *)(void *)((char *)&l->self + p->off) = slot++;
	l->batch = calloc(1, sizeof(*l->batch));
	ck_assert_int_eq(batch_init(l->batch, slot), 0);
	l->stride = l->batch->stride;
}

struct live *
live_new(void)
{
	struct live *l = calloc(1, sizeof(*l));

	live_now = l;
	l->conf = (struct nfct_conf){ .event_mask = 5,
				      .hash_buckets = 8192,
				      .hash_max_entries = 32768,
				      .resync_timeout = 60000,
				      .hash_enable = true,
				      .reliable = true,
				      .reliable_fill = 90,
				      .repeat_memory = 24 << 20,
				      .guard_timeout = 0,
				      .sysctl = NFCT_SET,
				      .select = "",
				      .accept_src = "",
				      .accept_dst = "",
				      .accept_proto = "",
				      .record = "",
				      .namespaces = "own",
				      .netns = "" };
	l->ctx.interim = 1u << CTF_INTERIM_NONE;
	l->self.in.obj.ctx = &l->ctx;
	l->self.in.obj.conf = &l->conf;
	l->self.fd = -1;
	bind_fields(l);
	return l;
}

struct live *
live_enter(void)
{
	ck_assert_int_eq(lab_enter(), 0);
	return live_new();
}

int
live_try(struct live *l)
{
	int r = ctf_plugin_nfct.probe(&l->conf, &l->ctx, &l->err);

	if (r == 0)
		r = ctf_plugin_nfct.setup(&l->self, &l->err);
	return r < 0 ? r : ctf_plugin_nfct.start(&l->self, &l->err);
}

void
live_start(struct live *l)
{
	int r = live_try(l);

	ck_assert_msg(r == 0, "start: %s", l->err.msg);
}

void
live_free(struct live *l)
{
	if (l->self.fd >= 0)
		ctf_plugin_nfct.stop(&l->self);
	ctf_plugin_nfct.release(&l->self);
	ctf_plugin_nfct.unprobe(&l->conf);
	if (live_now == l)
		live_now = NULL;
	batch_free(l->batch);
	free(l->batch);
	free(l->recs);
	free(l);
}

static int
read_batch(struct live *l, int (*fill)(void *, struct ctf_batch *))
{
	int r;

	batch_reset(l->batch);
	r = fill(&l->self, l->batch);
	ck_assert_int_ge(r, 0);
	if (l->batch->n) {
		if (l->n + l->batch->n > l->room) {
			l->room = 2 * (l->n + l->batch->n);
			l->recs = realloc(l->recs, l->room * l->stride);
		}
		memcpy(l->recs + l->n * l->stride, l->batch->recs, l->batch->n * l->stride);
		l->n += l->batch->n;
	}
	return r;
}

void
live_fill(struct live *l, int fd)
{
	for (unsigned i = 0; i < l->ctx.nwatches; i++)
		if (l->ctx.watch[i].fd == fd) { /* which may end this watch */
			int (*fill)(void *, struct ctf_batch *) = l->ctx.watch[i].fill;

			while (read_batch(l, fill) == CTF_READ_MORE)
				;
			return;
		}
}

unsigned
live_read(struct live *l, int msec)
{
	unsigned before = l->n, n, was;
	uint64_t end = ctf_now() + (uint64_t)msec * 1000000;
	struct pollfd p[9];

	for (;;) { /* a fill may change what is watched */
		n = l->ctx.nwatches;
		p[n] = (struct pollfd){ ctf_plugin_nfct.fd(&l->self), POLLIN, 0 };
		for (unsigned i = 0; i < n; i++)
			p[i] = (struct pollfd){ l->ctx.watch[i].fd, POLLIN, 0 };
		was = l->n;
		if (poll(p, n + 1, msec) <= 0)
			return l->n - before;
		if (p[n].revents)
			while (read_batch(l, ctf_plugin_nfct.read) == CTF_READ_MORE)
				;
		for (unsigned i = 0; i < n; i++)
			if (p[i].revents)
				live_fill(l, p[i].fd);
		if (l->n != was)
			end = ctf_now() + (uint64_t)msec * 1000000;
		else if (ctf_now() > end && msec > 0) /* timers only */
			return l->n - before;
	}
}

unsigned
live_read_all(struct live *l, unsigned n)
{
	unsigned before = l->n;
	uint64_t end = ctf_now() + LIVE_LIMIT;

	while (l->n - before < n && ctf_now() < end)
		live_read(l, 20);
	live_read(l, 100);
	return l->n - before;
}

void
live_watches(struct live *l, int msec)
{
	struct pollfd p[8];
	unsigned n = l->ctx.nwatches;

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = l->ctx.watch[i].fd, .events = POLLIN };
	if (poll(p, n, msec) <= 0)
		return;
	for (unsigned i = 0; i < n; i++)
		if (p[i].revents)
			live_fill(l, p[i].fd);
}

const struct ctf_rec *
live_rec(const struct live *l, unsigned i)
{
	return (const struct ctf_rec *)(const void *)(l->recs + i * l->stride);
}

const struct ctf_rec *
live_find(const struct live *l, int event, unsigned dport)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct ctf_rec *r = live_rec(l, i);

		if (r->event == event && ctf_num_or(r, l->self.in.f.orig_dport, 0) == dport)
			return r;
	}
	return NULL;
}

uint64_t
live_count(const struct live *l, const char *counter)
{
	for (unsigned i = 0; i < l->ctx.ncounters; i++)
		if (strcmp(l->ctx.counter[i].name, counter) == 0)
			return l->ctx.counter[i].value;
	ck_abort_msg("no counter %s", counter);
	return 0;
}

bool
live_said(const struct live *l, const char *text)
{
	return strstr(l->ctx.log, text) != NULL;
}
