/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a killed daemon had written of its last frames; see stream.h. */
#include "stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct part {
	uint32_t len;
	uint32_t flows; /* a line each; 0: they cannot be counted by lines */
	uint64_t upto;
};

struct note {
	_Atomic uint64_t seq;
	uint64_t before;   /* flows known to have arrived */
	uint64_t dev, ino; /* of the file being written; 0: none, or no file */
	int64_t off;       /* where the first byte of part[0] is, or would be */
	uint32_t n;
	struct part part[STREAM_IOVS];
};

struct stream_written {
	struct note note[2]; /* the one with the higher number counts */
};

static struct note *
newest(struct stream_written *w)
{
	return w->note[0].seq > w->note[1].seq ? &w->note[0] : &w->note[1];
}

/* Dying in the middle leaves the other one. */
static void
put_note(struct stream_written *w, const struct note *n)
{
	struct note *last = newest(w), *next = last == w->note ? w->note + 1 : w->note;
	uint64_t seq = last->seq + 1;

	next->seq = 0;
	atomic_signal_fence(memory_order_seq_cst);
	next->before = n->before;
	next->dev = n->dev;
	next->ino = n->ino;
	next->off = n->off;
	next->n = n->n;
	memcpy(next->part, n->part, n->n * sizeof(n->part[0]));
	atomic_signal_fence(memory_order_seq_cst);
	next->seq = seq;
}

static uint64_t
lines_in(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	uint64_t n = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		n++;
		p++;
	}
	return n;
}

/* A flow may have several lines, or none. */
static uint32_t
flows_by_line(const struct ctf_frame *f)
{
	return f->flows == f->recs && lines_in(f->p, f->len) == f->recs ? f->flows : 0;
}

/* ---- while it runs ---- */

static uint64_t
before(const struct stream *s, const struct ctf_frame *f)
{
	uint64_t flows = flows_by_line(f);

	if (s->upto || !flows || f->upto < flows)
		return s->upto;
	return f->upto - flows;
}

void
stream_kept_begin(struct stream *s, const struct ctf_frame *const *fr, unsigned n)
{
	struct note w = { .before = 0 };
	struct stat st;

	if (!s->written)
		return;
	w.before = before(s, fr[0]);
	if (s->kind == STREAM_FILE && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		w.dev = st.st_dev;
		w.ino = st.st_ino;
		w.off = st.st_size + s->heal + s->head_left - s->off;
	}
	for (; w.n < n && w.n < STREAM_IOVS; w.n++)
		w.part[w.n] =
			(struct part){ fr[w.n]->len, flows_by_line(fr[w.n]), fr[w.n]->upto };
	put_note(s->written, &w);
}

void
stream_kept_end(struct stream *s, const struct ctf_frame *const *fr, unsigned n, unsigned done)
{
	struct note w = { .before = 0 };

	if (!s->written)
		return;
	if (done)
		s->upto = fr[done - 1]->upto;
	w.before = s->upto;
	if (done < n && s->off) {
		w.before = before(s, fr[done]);
		if (flows_by_line(fr[done]))
			w.before = fr[done]->upto - fr[done]->flows +
				   lines_in(fr[done]->p, s->off);
	}
	put_note(s->written, &w);
}

/* ---- the next run ---- */

static uint64_t
lines_of(int fd, off_t from, uint64_t len)
{
	uint8_t buf[4096];
	uint64_t n = 0;

	while (len) {
		ssize_t got =
			pread(fd, buf, len < sizeof(buf) ? (size_t)len : sizeof(buf), from);

		if (got <= 0)
			break;
		n += lines_in(buf, (size_t)got);
		from += got;
		len -= (uint64_t)got;
	}
	return n;
}

/* How far the write came, by the size of the file. */
static uint64_t
arrived(const struct note *w, int fd, off_t size)
{
	uint64_t upto = w->before, left = (uint64_t)(size - w->off);
	off_t at = w->off;

	for (unsigned i = 0; i < w->n; i++) {
		const struct part *p = &w->part[i];

		if (left < p->len) {
			if (left && p->flows && p->flows <= p->upto)
				upto = p->upto - p->flows + lines_of(fd, at, left);
			break;
		}
		upto = p->upto;
		left -= p->len;
		at += p->len;
	}
	return upto;
}

static void
look_back(struct stream *s, const char *path)
{
	const struct note *w = newest(s->written);
	int fd;
	struct stat st;

	if (w->seq == 0 || w->n > STREAM_IOVS)
		return;
	if (w->n == 0) { /* nothing was being written */
		ctf_found(s->obj.ctx, w->before, true);
		return;
	}
	/* Opening a FIFO would make us its reader. */
	fd = s->kind != STREAM_FILE ? -1
				    : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == w->dev &&
	    st.st_ino == w->ino && st.st_size >= w->off)
		ctf_found(s->obj.ctx, arrived(w, fd, st.st_size), true);
	else
		ctf_found(s->obj.ctx, w->before, false);
	if (fd >= 0)
		close(fd);
}

void
stream_kept_open(struct stream *s)
{
	bool kept = false;

	if (s->written)
		return;
	s->written = ctf_state(s->obj.ctx, "written", sizeof(*s->written), &kept);
	if (s->written && kept)
		look_back(s, s->name);
}
