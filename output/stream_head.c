/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an output begins with: the layout of its frames as text, a header of
 * columns or the start of a document.  It stands at the start of every file,
 * also when another program has emptied it, and before frames of another
 * layout.
 */
#include "stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
begins_with(const char *path, const struct ctf_layout *l)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char buf[512];
	uint32_t at = 0;

	if (fd < 0)
		return false;
	while (at < l->len) {
		uint32_t n = l->len - at < sizeof(buf) ? l->len - at : (uint32_t)sizeof(buf);

		if (pread(fd, buf, n, at) != (ssize_t)n || memcmp(buf, l->p + at, n) != 0)
			break;
		at += n;
	}
	close(fd);
	return at == l->len;
}

/* Which layout it was that stood last in which file, for whoever comes after us. */
struct stream_header {
	uint64_t dev, ino, id;
};

static struct stream_header *
header(struct stream *s)
{
	bool kept;

	if (!s->header)
		s->header = ctf_state(s->obj.ctx, "header", sizeof(*s->header), &kept);
	return s->header;
}

void
stream_head_note(struct stream *s)
{
	struct stream_header *h = header(s);

	if (!h || !s->head || s->head_left || s->kind != STREAM_FILE)
		return;
	h->id = 0;
	h->dev = s->dev;
	h->ino = s->ino;
	h->id = s->head;
}

/* 0: somebody else may have written there since. */
static uint64_t
remembered(struct stream *s)
{
	const struct stream_header *h = header(s);

	return h && h->dev == s->dev && h->ino == s->ino ? h->id : 0;
}

static bool
is_empty(const struct stream *s)
{
	struct stat st;

	return s->kind == STREAM_FILE && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size == 0;
}

void
stream_head_look(struct stream *s, const struct ctf_frame *f)
{
	const struct ctf_layout *l = f->layout;

	if (!l || !l->len) {
		s->head_left = 0;
		return;
	}
	if (is_empty(s)) {
		s->head = 0;
		s->head_left = 0;
	} else if (s->head_left && s->head != l->id) {
		s->heal = true; /* what was begun stays as it is */
		s->head_left = 0;
	}
	if (s->head == l->id || s->off)
		return;
	if (!s->head && s->kind == STREAM_FILE && !is_empty(s))
		s->head = remembered(s);
	if (s->head == l->id || (!s->head && s->kind == STREAM_FILE && begins_with(s->name, l)))
		s->head_left = 0;
	else
		s->head_left = l->len;
	s->head = l->id;
	stream_head_note(s);
}

unsigned
stream_head_run(const struct ctf_frame *const *fr, unsigned n)
{
	unsigned i = 1;

	while (i < n && fr[i]->layout == fr[0]->layout)
		i++;
	return i;
}
