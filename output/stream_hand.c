/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frame begun by one process and ended by the next.  A pipe stays open in
 * between: its reader must not see an end in the middle of a line.
 */
#include "stream.h"

#include <sys/stat.h>
#include <unistd.h>

#define BEGUN_VERSION 1u

struct begun {
	uint32_t version;
	uint32_t off, len;
	uint32_t torn;
	uint64_t number, last_ns, dev, ino;
};

int
stream_hand_over(void *sink, struct ctf_legacy *to)
{
	struct stream *s = sink;
	struct begun b = { BEGUN_VERSION, s->off,     s->len, s->torn,
			   s->number,     s->last_ns, s->dev, s->ino };

	if (!s->off)
		return 0;
	if (s->kind == STREAM_PIPE)
		ctf_keep_fd(s->obj.ctx, "pipe", s->fd);
	return ctf_leave_bytes(to, "begun", &b, sizeof(b));
}

/* True: the pipe was open all the time. */
static bool
take_pipe(struct stream *s)
{
	struct stat st;
	bool same;
	int fd;

	if (ctf_inherit_fd(s->obj.ctx, "pipe", &fd) < 0)
		return false;
	same = fstat(fd, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
	close(fd);
	ctf_keep_fd(s->obj.ctx, "pipe", -1);
	return same && s->kind == STREAM_PIPE;
}

void
stream_hand_take(struct stream *s)
{
	struct begun b;
	bool open_still;
	const void *p;
	size_t n;

	if (s->looked_back)
		return;
	s->looked_back = true;
	open_still = take_pipe(s);
	if (ctf_inherit_bytes(s->obj.ctx, "begun", &p, &n) < 0 || n != sizeof(b))
		return;
	memcpy(&b, p, n);
	if (b.version != BEGUN_VERSION || b.off >= b.len)
		return;
	s->off = b.off;
	s->len = b.len;
	s->torn = b.torn;
	s->number = b.number;
	s->last_ns = b.last_ns;
	s->fresh =
		b.dev != s->dev || b.ino != s->ino || (s->kind != STREAM_FILE && !open_still);
}
