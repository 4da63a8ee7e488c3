/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this process leaves to the next one, in memory that the manager keeps. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frame_io.h"
#include "handover.h"
#include "sink.h"

#define BARRIER_MS 2000

/* ---- what objects leave ---- */

static void
forget_left(struct handover *h, const struct ctf_ctx *ctx)
{
	struct left **at = &h->left;

	while (*at) {
		struct left *l = *at;

		if (l->ctx != ctx) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}

int
ctf_leave_bytes(struct ctf_legacy *to, const char *name, const void *p, size_t n)
{
	struct left *l;

	if (strlen(name) >= sizeof(l->name) - 1)
		return -ENAMETOOLONG;
	l = malloc(sizeof(*l) + n);
	if (!l)
		return -ENOMEM;
	l->ctx = to->ctx;
	l->name[0] = LEGACY_BLOB;
	memcpy(l->name + 1, name, strlen(name) + 1);
	l->len = n;
	if (n)
		memcpy(l->p, p, n);
	pthread_mutex_lock(&to->h->lock);
	l->next = to->h->left;
	to->h->left = l;
	pthread_mutex_unlock(&to->h->lock);
	return 0;
}

int
handover_leave(struct handover *h, struct ctf_ctx *ctx)
{
	struct ctf_legacy to = { h, ctx };
	int ret = ctx->inst->plugin->hand_over(ctx->obj, &to);

	if (ret) {
		pthread_mutex_lock(&h->lock);
		forget_left(h, ctx);
		pthread_mutex_unlock(&h->lock);
	}
	return ret;
}

/* A copy of what was left, as if it had come from a process before. */
static struct old_blob *
to_blob(const struct left *l)
{
	size_t name = strlen(l->name + 1) + 1;
	struct old_blob *b = malloc(sizeof(*b) + l->len + name);

	if (!b)
		return NULL;
	memcpy(b->own, l->p, l->len);
	memcpy(b->own + l->len, l->name + 1, name);
	*b = (struct old_blob){ NULL, (const char *)b->own + l->len, b->own, l->len };
	return b;
}

static struct old_object *
to_object(struct handover *h, const struct inst *inst)
{
	struct old_object *o = heritage_find(h, inst, true);

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->id = strdup(inst->id);
	o->plugin = strdup(inst->plugin->name);
	o->is_sink = o->claimed = true;
	o->next = h->objects;
	h->objects = o;
	if (o->id && o->plugin)
		return o;
	h->objects = o->next;
	free(o->id);
	free(o->plugin);
	free(o);
	return NULL;
}

void
handover_pass(struct handover *h, const struct ctf_ctx *ctx)
{
	struct old_object *o;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	o = to_object(h, ctx->inst);
	for (const struct left *l = o ? h->left : NULL; l; l = l->next) {
		struct old_blob *b = l->ctx == ctx ? to_blob(l) : NULL;

		if (b) {
			b->next = o->blobs;
			o->blobs = b;
		}
	}
	forget_left(h, ctx);
	pthread_mutex_unlock(&h->lock);
}

uint64_t
ctf_spool_id(const struct ctf_ctx *ctx)
{
	return ctx->sink ? ctx->sink->spool_id : 0;
}

/* ---- the memory ---- */

struct writer {
	struct handover *h;
	int fd;
	int error; /* the first; nothing is written after it */
	uint64_t blocks, recs;
	uint64_t *layouts; /* ids of those written */
	size_t nlayouts;
};

/* Room for a block of that size, or NULL. */
static uint8_t *
room(struct writer *w, size_t size)
{
	uint8_t *p = NULL;

	if (!w->error && size == 0)
		w->error = -EMSGSIZE;
	if (!w->error && !(p = malloc(size)))
		w->error = -ENOMEM;
	return p;
}

/* Writes and frees it. */
static void
flush(struct writer *w, uint8_t *p, size_t size)
{
	size_t at = 0;

	while (at < size && !w->error) {
		ssize_t n = write(w->fd, p + at, size - at);

		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			w->error = n ? -errno : -EIO;
	}
	w->blocks += !w->error;
	free(p);
}

static void
write_bytes(struct writer *w, const char *name, const void *bytes, size_t n)
{
	size_t size = block_bytes_size(name, n);
	uint8_t *p = room(w, size);

	if (!p)
		return;
	block_put_bytes(p, name, bytes, n);
	flush(w, p, size);
}

static void
write_layout(struct writer *w, const struct ctf_layout *l)
{
	size_t size = block_layout_size(l);
	uint64_t *more;
	uint8_t *p;

	for (size_t i = 0; i < w->nlayouts; i++)
		if (w->layouts[i] == l->id)
			return;
	more = realloc(w->layouts, (w->nlayouts + 1) * sizeof(*more));
	if (!more) {
		w->error = -ENOMEM;
		return;
	}
	w->layouts = more;
	w->layouts[w->nlayouts++] = l->id;
	p = room(w, size);
	if (!p)
		return;
	block_put_layout(p, l);
	flush(w, p, size);
}

static void
write_frame(struct writer *w, const struct qframe *q)
{
	size_t size = block_frame_size(q);
	uint8_t *p;

	write_layout(w, q->f.layout);
	p = room(w, size);
	if (!p)
		return;
	block_put_frame(p, q);
	flush(w, p, size);
	w->recs += q->f.recs;
}

static void
put_little(uint8_t *p, uint64_t x, unsigned n)
{
	for (; n; n--, x >>= 8)
		*p++ = (uint8_t)x;
}

static void
write_head(struct writer *w)
{
	char boot[BOOT_ID_LEN + 1];
	uint8_t p[4 + BOOT_ID_LEN];

	handover_boot_id(boot);
	put_little(p, LEGACY_VERSION, 4);
	memcpy(p + 4, boot, BOOT_ID_LEN);
	write_bytes(w, LEGACY_HEAD, p, sizeof(p));
}

/* One that is too big is the loss of its object alone. */
static void
write_left(struct writer *w, const struct left *l)
{
	if (block_bytes_size(l->name, l->len))
		write_bytes(w, l->name, l->p, l->len);
	else
		ctf_log(l->ctx, CTF_ERROR,
			"'%s' is too big to be left to the next process (%zu bytes): it does "
			"without",
			l->name + 1, l->len);
}

static void
write_object(struct writer *w, char kind, const struct ctf_ctx *ctx)
{
	const char *id = ctx->inst->id, *plugin = ctx->inst->plugin->name;
	size_t n = strlen(id) + 1, m = strlen(plugin) + 1;
	char *p = malloc(1 + n + m);

	if (!p) {
		w->error = -ENOMEM;
		return;
	}
	p[0] = kind;
	memcpy(p + 1, id, n);
	memcpy(p + 1 + n, plugin, m);
	write_bytes(w, LEGACY_OBJECT, p, 1 + n + m);
	free(p);
	pthread_mutex_lock(&w->h->lock);
	for (const struct left *l = w->h->left; l; l = l->next)
		if (l->ctx == ctx)
			write_left(w, l);
	pthread_mutex_unlock(&w->h->lock);
}

/*
 * Frames are freed as they are written, or a full queue would be there twice.
 * A thread that could not be ended may still look at them.
 */
static void
write_sink(struct writer *w, struct sink *s)
{
	uint8_t spool[16];
	struct qframe *f;

	write_object(w, 'o', &s->ctx);
	pthread_mutex_lock(&s->lock);
	put_little(spool, s->spool_id, 8);
	put_little(spool + 8, s->queue.last_number, 8);
	write_bytes(w, LEGACY_SPOOL, spool, sizeof(spool));
	if (s->running) {
		for (f = queue_unsettled(&s->queue); f; f = f->next)
			if (!f->written)
				write_frame(w, f);
	} else {
		queue_rewind(&s->queue);
		while ((f = queue_drop_next(&s->queue))) {
			if (!f->written) /* the successor has the same disk */
				write_frame(w, f);
			qframe_release(f);
		}
	}
	pthread_mutex_unlock(&s->lock);
}

static void
write_all(struct writer *w, const struct graph *g)
{
	uint8_t end[8];

	write_head(w);
	for (const struct input *in = g->inputs; in; in = in->next)
		write_object(w, 'i', &in->ctx);
	for (struct sink *s = g->sinks; s; s = s->next)
		write_sink(w, s);
	put_little(end, w->blocks, 8);
	write_bytes(w, LEGACY_END, end, sizeof(end));
}

int
handover_write(struct handover *h, const struct graph *g, uint64_t *ret_recs)
{
	struct writer w = { .h = h,
			    .fd = memfd_create("ctflowd", MFD_CLOEXEC | MFD_ALLOW_SEALING) };

	if (w.fd < 0)
		return -errno;
	write_all(&w, g);
	if (!w.error && fcntl(w.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		w.error = -errno;
	if (!w.error)
		w.error = notify_store(&h->notify, LEGACY_FD, w.fd);
	if (!w.error && notify_barrier(&h->notify, BARRIER_MS) == -ETIMEDOUT)
		log_warnx("the service manager is slow: it may not have what was left to it");
	close(w.fd);
	free(w.layouts);
	*ret_recs = w.recs;
	return w.error;
}
