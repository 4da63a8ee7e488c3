/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments of a spool: reading, and what a dead process has left. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool_head.h"

#define CHUNK (256u * 1024u)

void
segment_reader_init(struct segment_reader *r, const struct segment_owner *o)
{
	*r = (struct segment_reader){ .owner = o, .fd = -1 };
}

static void
shut(struct segment_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->first = 0;
	free(r->buf); /* what a large block took is not kept for ever */
	r->buf = NULL;
	r->cap = r->have = 0;
}

void
segment_reader_free(struct segment_reader *r)
{
	shut(r);
	while (r->layouts) {
		struct stored_layout *l = r->layouts;

		r->layouts = l->next;
		free(l);
	}
}

static int
learn(struct segment_reader *r, uint64_t id, const uint8_t *p, uint32_t len)
{
	struct stored_layout *l = r->layouts;

	while (l && l->layout.id != id)
		l = l->next;
	if (l && l->layout.len == len && (!len || memcmp(l->p, p, len) == 0))
		return 0;
	l = malloc(sizeof(*l) + len);
	if (!l)
		return -ENOMEM;
	if (len)
		memcpy(l->p, p, len);
	l->layout = (struct ctf_layout){ id, len, l->p };
	l->next = r->layouts;
	r->layouts = l;
	return 0;
}

const struct ctf_layout *
segment_layout(const struct segment_reader *r, uint64_t id)
{
	const struct stored_layout *l = r->layouts;

	while (l && l->layout.id != id)
		l = l->next;
	return l ? &l->layout : NULL;
}

struct qframe *
segment_frame(const struct segment_reader *r, const struct block *b, struct encoder *enc)
{
	/* with room for the two texts */
	struct qframe *q = qframe_new(enc, b->len + (b->is_gap ? 2 * (BLOCK_TEXT + 1) : 0));
	char *text;

	if (!q)
		return NULL;
	block_fill(q, b, segment_layout(r, b->layout));
	if (!b->is_gap)
		return q;
	text = (char *)q->data + b->len;
	memcpy(text, b->cause, b->cause_len);
	text[b->cause_len] = '\0';
	q->gap.cause = text;
	text += BLOCK_TEXT + 1;
	memcpy(text, b->instance, b->instance_len);
	text[b->instance_len] = '\0';
	q->gap.instance = text;
	return q;
}

/* ---- bytes ---- */

/* fd or -errno. */
static int
open_by_name(const struct segment_reader *r, struct segment s, bool open)
{
	char name[SEGMENT_NAME];
	int fd;

	s.open = open;
	segment_name(&s, name);
	fd = openat(r->owner->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
open_segment(struct segment_reader *r, const struct segment *s)
{
	struct stat st;

	shut(r);
	r->fd = open_by_name(r, *s, s->open);
	/* The writer has closed it, and gives it that name at this moment. */
	if (r->fd == -ENOENT && !s->open)
		r->fd = open_by_name(r, *s, true);
	if (r->fd == -ENOENT && !s->open)
		r->fd = open_by_name(r, *s, false);
	if (r->fd < 0)
		return r->fd;
	if (fstat(r->fd, &st) || !S_ISREG(st.st_mode)) {
		shut(r);
		return -EBADMSG;
	}
	r->first = s->first;
	r->serial = s->serial;
	return 0;
}

/* Out of descriptors or memory, say: it is there, and may be read another time. */
static bool
is_passing(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -EINTR ||
	       err == -EAGAIN;
}

/* At least n bytes at r->at, if the segment has them; else what there is. */
static int
fill(struct segment_reader *r, size_t n)
{
	size_t behind = r->base + r->have - r->at, want = n > CHUNK ? n : CHUNK;
	ssize_t got;

	if (behind >= n || r->base + r->have >= r->end)
		return 0;
	if (behind)
		memmove(r->buf, r->buf + (r->at - r->base), behind);
	r->base = r->at;
	r->have = behind;
	if (want > r->end - r->at)
		want = r->end - r->at;
	if (want > r->cap) {
		uint8_t *p = realloc(r->buf, want);

		if (!p)
			return -ENOMEM;
		r->buf = p;
		r->cap = want;
	}
	while (r->have < want) {
		got = pread(r->fd, r->buf + r->have, want - r->have,
			    (off_t)(r->base + r->have));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return is_passing(-errno) ? -errno : -EBADMSG;
		if (got == 0) { /* shorter than it was said to be */
			r->end = r->base + r->have;
			return 0;
		}
		r->have += (size_t)got;
	}
	return 0;
}

static size_t
behind(const struct segment_reader *r)
{
	return r->base + r->have - r->at;
}

/* The block at r->at: its size; 0 at the end of the file. */
static int64_t
next_block(struct segment_reader *r, struct block *b)
{
	int64_t n;
	size_t need;
	int ret = fill(r, BLOCK_PREFIX);

	if (ret)
		return ret;
	n = block_read(r->buf + (r->at - r->base), behind(r), b);
	if (n == -ENODATA && behind(r) >= BLOCK_PREFIX) {
		const uint8_t *p = r->buf + (r->at - r->base) + 8;

		need = BLOCK_PREFIX +
		       (p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24);
		if (need > r->end - r->at)
			return -EBADMSG;
		ret = fill(r, need);
		if (ret)
			return ret;
		n = block_read(r->buf + (r->at - r->base), behind(r), b);
	}
	return n == -ENODATA ? -EBADMSG : n;
}

/* ---- blocks ---- */

static bool
is_ours(const struct segment_reader *r, const struct block *b)
{
	const struct segment_owner *o = r->owner;
	struct spool_head h;

	return b->name_len == strlen(SPOOL_HEAD) &&
	       memcmp(b->name, SPOOL_HEAD, b->name_len) == 0 &&
	       spool_head_get(b->p, b->len, &h) && h.spool == o->spool &&
	       strcmp(h.id, o->id) == 0 && strcmp(h.plugin, o->plugin) == 0;
}

/* What is before the first frame, and between them. */
static int
on_other(struct segment_reader *r, const struct block *b)
{
	if (r->at == 0 && (b->type != BLOCK_BYTES || !is_ours(r, b)))
		return -EBADMSG;
	if (b->type == BLOCK_LAYOUT)
		return learn(r, b->layout, b->p, b->len);
	return 0;
}

int
segment_next(struct segment_reader *r, struct block *ret_block)
{
	for (;;) {
		struct block b;
		int64_t n = next_block(r, &b);
		int ret;

		if (n <= 0)
			return (int)n;
		if (b.type == BLOCK_FRAME && r->at) {
			if (b.number <= r->number || !segment_layout(r, b.layout))
				return -EBADMSG;
			r->number = b.number;
			r->at += (uint64_t)n;
			*ret_block = b;
			return 1;
		}
		ret = on_other(r, &b);
		if (ret)
			return ret;
		r->at += (uint64_t)n;
	}
}

/* From the beginning, for the layouts that are before that place. */
static int
read_up_to(struct segment_reader *r, uint64_t at)
{
	struct block b;
	int ret = 1;

	while (r->at < at && ret == 1)
		ret = segment_next(r, &b);
	if (ret < 0)
		return ret;
	return r->at == at ? 0 : -EBADMSG;
}

int
segment_seek(struct segment_reader *r, const struct segment *s, uint64_t at, uint64_t number)
{
	bool fresh = r->fd < 0 || r->first != s->first || r->serial != s->serial;
	int ret = fresh ? open_segment(r, s) : 0;

	if (ret)
		return is_passing(ret) || ret == -ENOENT ? ret : -EBADMSG;
	r->end = s->bytes;
	if (fresh) {
		r->base = r->at = 0;
		r->number = s->first - 1;
		ret = read_up_to(r, at);
	} else if (at != r->at) {
		if (at < r->base || at > r->base + r->have)
			r->have = 0;
		if (!r->have)
			r->base = at;
		r->at = at;
	}
	if (!ret)
		r->number = number;
	return ret;
}

/* ---- repair ---- */

int
segment_cut(const struct segment_owner *o, struct segment *s, uint64_t at, uint64_t last,
	    uint64_t flows)
{
	char from[SEGMENT_NAME], to[SEGMENT_NAME];
	int fd, ret = 0;

	segment_name(s, from);
	s->open = false;
	s->last = last;
	s->flows = flows;
	segment_name(s, to);
	if (s->bytes != at) {
		fd = openat(o->dir, from, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)at) || fdatasync(fd))
			ret = -errno;
		if (fd >= 0)
			close(fd);
	}
	s->bytes = at;
	if (renameat(o->dir, from, o->dir, to) && !ret)
		ret = -errno;
	return ret;
}

static uint64_t
flows_of(const struct block *b)
{
	if (!b->is_gap)
		return b->flows;
	return b->gap.count_is == CTF_UNCOUNTED ? 0 : b->gap.count;
}

int
segment_recover(struct segment_reader *r, struct segment *s, uint64_t *ret_torn)
{
	uint64_t size = s->bytes, good = 0, last = 0, flows = 0;
	struct block b;
	int ret = segment_seek(r, s, 0, s->first - 1);

	while (!ret && (ret = segment_next(r, &b)) == 1) {
		last = b.number;
		flows += flows_of(&b);
		s->to_ns = b.last_ns;
		good = r->at;
		ret = 0;
	}
	if (ret < 0 && ret != -EBADMSG)
		return ret;
	shut(r);
	*ret_torn = size - good;
	if (good)
		return segment_cut(r->owner, s, good, last, flows);
	s->bytes = 0;
	return 0;
}

int
segment_put_aside(const struct segment_owner *o, const struct segment *s,
		  char ret_name[SEGMENT_BAD])
{
	char from[SEGMENT_NAME];
	int ret = -EEXIST;

	segment_name(s, from);
	for (unsigned i = 0; i < 100 && ret == -EEXIST; i++) {
		snprintf(ret_name, SEGMENT_BAD, i ? "%s.bad%u" : "%s.bad", from, i);
		ret = renameat2(o->dir, from, o->dir, ret_name, RENAME_NOREPLACE) ? -errno : 0;
		if (ret == -EINVAL) /* this file system cannot look first */
			ret = renameat(o->dir, from, o->dir, ret_name) ? -errno : 0;
	}
	return ret;
}
