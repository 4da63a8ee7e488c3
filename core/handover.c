/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the process before left, taken by whom it is for. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame_io.h"
#include "handover.h"
#include "log.h"
#include "run.h"
#include "sink.h"

#define DRAIN_MS 500u /* a socket nobody wants may be spoken to without end */

struct handover *
handover_new(void)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	pthread_mutex_init(&h->lock, NULL);
	h->inherit_error = notify_inherit(&h->fds);
	h->notify_error = notify_open(&h->notify);
	return h;
}

static void
unmap(struct handover *h)
{
	union {
		const uint8_t *c;
		uint8_t *p;
	} map = { h->map };

	if (h->map)
		munmap(map.p, h->map_len);
	h->map = NULL;
}

void
handover_free(struct handover *h)
{
	if (!h)
		return;
	while (h->left) {
		struct left *l = h->left;

		h->left = l->next;
		free(l);
	}
	unmap(h);
	heritage_free(h);
	notify_fds_free(&h->fds);
	notify_close(&h->notify);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

bool
handover_is_due(const struct handover *h)
{
	return h && h->notify.fd >= 0;
}

void
handover_boot_id(char ret_id[BOOT_ID_LEN + 1])
{
	ctf_boot_id(ret_id);
	if (strlen(ret_id) != BOOT_ID_LEN)
		memset(ret_id, '0', BOOT_ID_LEN);
	ret_id[BOOT_ID_LEN] = '\0';
}

struct handover *
handover_of(const struct ctf_ctx *ctx)
{
	const struct run *r = run_of(ctx);

	return r ? r->handover : NULL;
}

/* ---- descriptors ---- */

/* With the mutex: the first of that name, which is the caller's then; or -1. */
static int
take_fd(struct handover *h, const char *name)
{
	for (unsigned i = 0; i < h->fds.n; i++)
		if (h->fds.v[i].fd >= 0 && strcmp(h->fds.v[i].name, name) == 0) {
			int fd = h->fds.v[i].fd;

			h->fds.v[i].fd = -1;
			return fd;
		}
	return -1;
}

static bool
name_of(const struct ctf_ctx *ctx, const char *name, char ret_name[NOTIFY_NAME])
{
	return notify_name(ret_name, LEGACY_PREFIX, ctx->inst->id, name);
}

int
ctf_inherit_fd(struct ctf_ctx *ctx, const char *name, int *ret_fd)
{
	struct handover *h = handover_of(ctx);
	char full[NOTIFY_NAME];
	int fd = -1;

	if (!h || !name_of(ctx, name, full))
		return -ENOENT;
	pthread_mutex_lock(&h->lock);
	fd = take_fd(h, full);
	pthread_mutex_unlock(&h->lock);
	if (fd < 0)
		return -ENOENT;
	*ret_fd = fd;
	return 0;
}

/* For its successor in this very process. */
static int
keep_here(struct handover *h, const char *full, int fd)
{
	int ret;

	if (fd < 0)
		return 0;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&h->lock);
	ret = notify_fds_add(&h->fds, full, fd);
	pthread_mutex_unlock(&h->lock);
	if (ret)
		close(fd);
	return ret;
}

int
ctf_keep_fd(struct ctf_ctx *ctx, const char *name, int fd)
{
	struct handover *h = handover_of(ctx);
	char full[NOTIFY_NAME];
	int ret;

	if (h && ctx->sink && ctx->sink->heir)
		return name_of(ctx, name, full) ? keep_here(h, full, fd) : -ENAMETOOLONG;
	if (!h || h->notify.fd < 0)
		return -ENOTCONN;
	if (h->frozen)
		return 0;
	if (!name_of(ctx, name, full))
		return -ENAMETOOLONG;
	ret = fd < 0 ? notify_forget(&h->notify, full) : notify_store(&h->notify, full, fd);
	if (ret)
		ctf_log(ctx, CTF_WARNING,
			"the service manager does not keep '%s': %s; a restart loses what "
			"it holds",
			name, strerror(-ret));
	return ret;
}

/* Reads a socket out; how many messages that were. */
static unsigned
drain(int fd)
{
	uint64_t until = ctf_mono_ms() + DRAIN_MS;
	unsigned n = 0;
	char byte;

	for (;;) {
		ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC);

		if (got > 0)
			n++;
		else if (got == 0 || (errno != ENOBUFS && errno != EINTR))
			return n;
		if (ctf_mono_ms() > until)
			return n;
	}
}

/* A descriptor nobody has asked for. */
static void
drop_fd(struct handover *h, struct notify_fd *f)
{
	unsigned n;

	if (strncmp(f->name, LEGACY_PREFIX, strlen(LEGACY_PREFIX)) != 0) {
		log_warnx("started with a descriptor named '%s', which is none of ours: closed",
			  f->name);
	} else {
		n = drain(f->fd);
		notify_forget(&h->notify, f->name);
		log_msg(n ? CTF_ERROR : CTF_NOTICE,
			"'%s' of the process before is wanted by nobody now: closed, with %u "
			"messages queued",
			f->name, n);
	}
	close(f->fd);
	f->fd = -1;
}

/* ---- memory ---- */

int
ctf_inherit_bytes(struct ctf_ctx *ctx, const char *name, const void **ret_p, size_t *ret_n)
{
	struct handover *h = handover_of(ctx);
	const struct old_object *o;
	const struct old_blob *b;

	if (!h)
		return -ENOENT;
	pthread_mutex_lock(&h->lock);
	o = heritage_find(h, ctx->inst, ctx->inst->plugin->role == CTF_OUTPUT);
	b = o ? o->blobs : NULL;
	while (b && strcmp(b->name, name) != 0)
		b = b->next;
	pthread_mutex_unlock(&h->lock);
	if (!b)
		return -ENOENT;
	*ret_p = b->p;
	*ret_n = b->len;
	return 0;
}

static int
load(struct handover *h, int fd, struct ctf_err *err)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return ctf_fail(err, EBADMSG, "not memory, or empty");
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return ctf_fail(err, errno, "%s", strerror(errno));
	/* a guard of an input must not hold on to it */
	madvise(p, (size_t)st.st_size, MADV_DONTFORK);
	h->map = p;
	h->map_len = (size_t)st.st_size;
	return heritage_parse(h, h->map, h->map_len, err);
}

/* Nobody may cut the memory short while it is mapped: that would be SIGBUS. */
static bool
is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && seals & F_SEAL_SHRINK;
}

void
handover_load(struct handover *h)
{
	struct ctf_err err = { 0 };
	int fd;

	if (h->notify_error)
		log_errorx("$NOTIFY_SOCKET is of no use: %s", strerror(-h->notify_error));
	if (h->inherit_error)
		log_errorx("$LISTEN_PID and $LISTEN_FDS make no sense: what the process before "
			   "left is not used");
	fd = take_fd(h, LEGACY_FD);
	if (fd < 0)
		return;
	h->have_memory = true;
	if (!is_sealed(fd))
		ctf_fail(&err, EBADMSG, "not sealed");
	else if (load(h, fd, &err) == 0)
		err.msg[0] = '\0';
	if (err.msg[0]) {
		log_errorx("what the process before left in memory is not used (%s): its "
			   "undelivered flows are lost",
			   err.msg);
		unmap(h);
	}
	close(fd);
}

/* ---- frames ---- */

/* A terminated copy that lives as long as the frames may. */
static const char *
keep_text(struct handover *h, const char *s, size_t n)
{
	struct old_text *t = h->texts;

	while (t && (strlen(t->s) != n || memcmp(t->s, s, n) != 0))
		t = t->next;
	if (t)
		return t->s;
	t = malloc(sizeof(*t) + n + 1);
	if (!t)
		return NULL;
	if (n)
		memcpy(t->s, s, n);
	t->s[n] = '\0';
	t->next = h->texts;
	h->texts = t;
	return t->s;
}

static int
feed_frame(struct handover *h, struct sink *s, const struct block *b)
{
	const char *cause = b->is_gap ? keep_text(h, b->cause, b->cause_len) : "";
	const char *instance = b->is_gap ? keep_text(h, b->instance, b->instance_len) : "";
	struct qframe *q = NULL;

	if (cause && instance)
		q = block_to_frame(b, heritage_layout(h, b->layout), s->encoders, cause,
				   instance);
	if (!q)
		return -ENOMEM;
	kept_inherit(s, q);
	if (s->queue.upto < q->f.upto)
		s->queue.upto = q->f.upto;
	return 0;
}

void
handover_feed(struct handover *h, struct sink *s)
{
	struct old_object *o = h ? heritage_find(h, s->inst, true) : NULL;
	uint64_t lost = 0;
	struct block b;
	int64_t n;

	if (!o || !h->map || o->claimed)
		return;
	o->claimed = true;
	for (size_t at = o->begin; at < o->end; at += (size_t)n) {
		n = block_read(h->map + at, o->end - at, &b);
		if (n <= 0)
			break;
		if (b.type == BLOCK_FRAME && feed_frame(h, s, &b))
			lost += b.recs;
	}
	if (!s->spool)
		s->spool_id = o->spool;
	if (s->queue.last_number < o->last_number)
		s->queue.last_number = o->last_number;
	if (lost)
		ctf_log(&s->ctx, CTF_ERROR, "no memory for %llu flows the process before left",
			(unsigned long long)lost);
	if (o->frames)
		ctf_log(&s->ctx, CTF_NOTICE, "goes on with %llu flows the process before left",
			(unsigned long long)(o->recs - lost));
}

/* Frames for an output that is no more, or is another plugin's now. */
static void
say_orphan(const struct old_object *o)
{
	if (o->is_sink && !o->claimed && o->frames)
		log_errorx("the process before left %llu flows for the output %s:%s, which is "
			   "no longer there: they are lost",
			   (unsigned long long)o->recs, o->id, o->plugin);
}

void
handover_forget(struct handover *h, const struct inst *inst)
{
	struct old_object *o = h ? heritage_find(h, inst, true) : NULL;

	if (!o)
		return;
	pthread_mutex_lock(&h->lock);
	heritage_drop_blobs(o);
	pthread_mutex_unlock(&h->lock);
}

void
handover_freeze(struct handover *h)
{
	if (h)
		h->frozen = true;
}

void
handover_settle(struct handover *h)
{
	if (!h)
		return;
	for (struct old_object *o = h->objects; o; o = o->next) {
		say_orphan(o);
		if (!o->is_sink) /* it is in the memory that goes now */
			heritage_drop_blobs(o);
	}
	pthread_mutex_lock(&h->lock);
	for (unsigned i = 0; i < h->fds.n; i++)
		if (h->fds.v[i].fd >= 0)
			drop_fd(h, &h->fds.v[i]);
	pthread_mutex_unlock(&h->lock);
	unmap(h);
	if (h->have_memory)
		notify_forget(&h->notify, LEGACY_FD);
	h->have_memory = false;
}
