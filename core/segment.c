/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments of a spool: names, and writing. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "spool_head.h"

/* ---- names ---- */

void
segment_name(const struct segment *s, char ret_name[SEGMENT_NAME])
{
	if (s->open)
		snprintf(ret_name, SEGMENT_NAME, "%016llx.open", (unsigned long long)s->first);
	else
		snprintf(ret_name, SEGMENT_NAME, "%016llx-%016llx-%llx.seg",
			 (unsigned long long)s->first, (unsigned long long)s->last,
			 (unsigned long long)s->flows);
}

bool
segment_parse_name(const char *name, struct segment *ret_segment)
{
	unsigned long long first = 0, last = 0, flows = 0;
	char again[SEGMENT_NAME];
	struct segment s;

	s = (struct segment){ .open = sscanf(name, "%16llx-%16llx-%16llx", &first, &last,
					     &flows) != 3 };
	s.first = first;
	s.last = s.open ? first : last;
	s.flows = s.open ? 0 : flows;
	segment_name(&s, again);
	if (strcmp(name, again) != 0 || s.first == 0 || s.last < s.first ||
	    s.last == UINT64_MAX)
		return false;
	*ret_segment = s;
	return true;
}

int
segment_unlink(const struct segment_owner *o, const struct segment *s)
{
	char name[SEGMENT_NAME];

	segment_name(s, name);
	return unlinkat(o->dir, name, 0) && errno != ENOENT ? -errno : 0;
}

/* ---- the buffer ---- */

static uint8_t *
room(struct segment_writer *w, size_t n)
{
	size_t cap = w->cap ? w->cap : 64 * 1024;
	uint8_t *p;

	while (cap < w->len + n)
		cap *= 2;
	if (cap > w->cap) {
		p = realloc(w->buf, cap);
		if (!p)
			return NULL;
		w->buf = p;
		w->cap = cap;
	}
	p = w->buf + w->len;
	w->len += n;
	return p;
}

static int
put_head(struct segment_writer *w)
{
	struct spool_head h = { w->owner->spool, w->owner->id, w->owner->plugin };
	uint8_t bytes[SPOOL_HEAD_MAX];
	size_t n = spool_head_put(&h, bytes);
	uint8_t *p = room(w, block_bytes_size(SPOOL_HEAD, n));

	if (!p)
		return -ENOMEM;
	block_put_bytes(p, SPOOL_HEAD, bytes, n);
	w->head = true;
	return 0;
}

static bool
has_layout(const struct segment_writer *w, uint64_t id)
{
	for (unsigned i = 0; i < w->nlayouts; i++)
		if (w->layouts[i] == id)
			return true;
	return false;
}

static int
put_layout(struct segment_writer *w, const struct ctf_layout *l)
{
	uint64_t *more;
	uint8_t *p;

	if (has_layout(w, l->id))
		return 0;
	if (w->nlayouts == w->room) {
		more = realloc(w->layouts, (w->room * 2 + 4) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		w->layouts = more;
		w->room = w->room * 2 + 4;
	}
	p = room(w, block_layout_size(l));
	if (!p)
		return -ENOMEM;
	block_put_layout(p, l);
	w->layouts[w->nlayouts++] = l->id;
	return 0;
}

int
segment_put(struct segment_writer *w, const struct qframe *f, uint64_t *ret_at)
{
	size_t before = w->len, n;
	unsigned layouts = w->nlayouts;
	uint8_t *p = NULL;
	int ret;

	n = block_frame_size(f);
	ret = n ? 0 : -EMSGSIZE;
	*ret_at = w->seg->bytes + w->len;
	if (!ret && w->seg->bytes + w->len == 0)
		ret = put_head(w);
	if (!ret)
		ret = put_layout(w, f->f.layout);
	if (!ret && !(p = room(w, n)))
		ret = -ENOMEM;
	if (ret) {
		w->len = before;
		w->nlayouts = layouts;
		return ret;
	}
	block_put_frame(p, f);
	return 0;
}

/* ---- the file ---- */

int
segment_create(struct segment_writer *w, struct segment *s)
{
	char name[SEGMENT_NAME];
	int fd;

	s->open = true;
	segment_name(s, name);
	fd = openat(w->owner->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	w->fd = fd;
	w->seg = s;
	w->nlayouts = 0;
	w->len = 0;
	w->head = false;
	return 0;
}

static int
write_all(int fd, const uint8_t *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t did = pwrite(fd, p, n, (off_t)at);

		if (did < 0 && errno == EINTR)
			continue;
		if (did <= 0)
			return did ? -errno : -EIO;
		p += did;
		n -= (size_t)did;
		at += (uint64_t)did;
	}
	return 0;
}

int
segment_sync(struct segment_writer *w)
{
	int ret = write_all(w->fd, w->buf, w->len, w->seg->bytes);

	if (!ret && fdatasync(w->fd))
		ret = -errno;
	/* The name has to be on disk as well. */
	if (!ret && w->head && fsync(w->owner->dir))
		ret = -errno;
	w->head = false;
	w->len = 0;
	if (ret) {
		/* What a failed sync leaves in the cache is not to be trusted. */
		if (ftruncate(w->fd, (off_t)w->seg->bytes)) {
			/* then it is what a torn write would be */
		}
		segment_close(w);
	}
	return ret;
}

int
segment_close(struct segment_writer *w)
{
	struct segment *s = w->seg;
	char from[SEGMENT_NAME], to[SEGMENT_NAME];
	int ret = 0;

	if (!s)
		return 0;
	w->seg = NULL;
	w->len = 0;
	close(w->fd);
	w->fd = -1;
	if (s->bytes == 0)
		return segment_unlink(w->owner, s);
	segment_name(s, from);
	s->open = false;
	segment_name(s, to);
	if (renameat(w->owner->dir, from, w->owner->dir, to)) {
		ret = -errno;
		s->open = true;
	}
	return ret;
}

void
segment_writer_free(struct segment_writer *w)
{
	free(w->buf);
	free(w->layouts);
	w->buf = NULL;
	w->layouts = NULL;
	w->len = w->cap = 0;
	w->nlayouts = w->room = 0;
}
