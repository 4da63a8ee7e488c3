/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of lines to a file, FIFO, terminal or socket; see stream.h. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHARED_MAX 512u /* a terminal or pipe poll(2) calls writable takes that much */
#define WAIT_MS 1000

static const char *
path_of(const struct stream *s)
{
	return ((const struct stream_conf *)s->obj.conf)->file;
}

static enum stream_kind
kind_of(const struct stat *st, bool ours)
{
	if (S_ISSOCK(st->st_mode))
		return STREAM_SOCKET;
	if (S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode))
		return ours ? STREAM_PIPE : STREAM_SHARED;
	return STREAM_FILE;
}

/*
 * A frame begun goes on where it stopped in the same file, and in the same
 * FIFO or terminal as long as it stayed open: then its reader is the same.
 */
void
stream_use(struct stream *s, int fd, enum stream_kind kind, const char *name)
{
	struct stat st = { 0 };
	bool same;

	s->tail = false;
	fstat(fd, &st);
	same = st.st_dev == s->dev && st.st_ino == s->ino &&
	       (kind == STREAM_FILE || s->kind != STREAM_CLOSED);
	stream_close(s);
	s->fresh |= !same;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->fd = fd;
	s->kind = kind;
	s->name = name;
}

/*
 * A standard stream keeps its description, so that its offset is shared with
 * whoever else writes there.  For pipes and terminals, which have none, one
 * of our own is better: it can be non-blocking without others noticing.
 */
static int
open_std(int std, const char *path, enum stream_kind *ret_kind)
{
	struct stat st;
	int fd;

	if (fstat(std, &st) < 0)
		return -1;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0) {
			*ret_kind = STREAM_PIPE;
			return fd;
		}
	}
	*ret_kind = kind_of(&st, false);
	return fcntl(std, F_DUPFD_CLOEXEC, 3);
}

/* The standard stream that is meant, or 0. */
static int
std_of(const char *path)
{
	if (strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	return strcmp(path, "/dev/stderr") == 0 ? STDERR_FILENO : 0;
}

static int
open_path(const char *path, enum stream_kind *ret_kind)
{
	struct stat st;
	int fd;

	if (std_of(path))
		return open_std(std_of(path), path, ret_kind);
	/* O_NONBLOCK: a FIFO nobody reads is an error, not a wait without end. */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		  0644);
	if (fd < 0)
		return -1;
	*ret_kind = fstat(fd, &st) < 0 ? STREAM_FILE : kind_of(&st, true);
	return fd;
}

/* Whether the last line of a file is incomplete, as a crash can leave it. */
static bool
ends_torn(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char last = '\n';

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    pread(fd, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

int
stream_open_path(struct stream *s, const char *path, struct ctf_err *err)
{
	enum stream_kind kind = STREAM_FILE;
	int fd = open_path(path, &kind);

	if (fd < 0 && errno == ENXIO)
		return ctf_fail(err, ENXIO, "cannot open %s: nobody reads from it", path);
	if (fd < 0)
		return ctf_fail(err, errno, "cannot open %s: %s", path, strerror(errno));
	if (kind == STREAM_FILE && !std_of(path))
		ctf_will_remake(s->obj.ctx, path);
	/* A standard stream is the caller's file. */
	if (kind == STREAM_FILE && !std_of(path) && ctf_own(s->obj.ctx, fd))
		ctf_log(s->obj.ctx, CTF_WARNING,
			"%s cannot be given to the user of -u: SIGHUP may fail to reopen it",
			path);
	stream_use(s, fd, kind, path);
	s->tail = kind == STREAM_FILE && ends_torn(path);
	stream_kept_open(s);
	stream_hand_take(s);
	return 0;
}

int
stream_open(void *sink, int *ret_err, struct ctf_err *err)
{
	struct stream *s = sink;
	int r = stream_open_path(s, path_of(s), err);

	*ret_err = -r;
	return -1; /* nothing to watch */
}

int
stream_usable(void *sink, struct ctf_err *err)
{
	const char *path = path_of(sink);

	return std_of(path) ? 0 : ctf_may_write(path, err);
}

/* Opens before it closes: what cannot be opened again goes on as it is. */
int
stream_reopen(void *sink, struct ctf_err *err)
{
	struct stream *s = sink;

	return s->kind == STREAM_CLOSED ? 0 : stream_open_path(s, path_of(s), err);
}

void
stream_close(void *sink)
{
	struct stream *s = sink;

	if (s->kind != STREAM_CLOSED)
		close(s->fd);
	s->kind = STREAM_CLOSED;
}

uint32_t
stream_line_start(const struct ctf_frame *f, uint32_t n)
{
	while (n && f->p[n - 1] != '\n')
		n--;
	return n;
}

/* A gap may take the number of what it stands for. */
bool
stream_is_begun(const struct stream *s, const struct ctf_frame *f)
{
	return s->number == f->number && s->last_ns == f->last_ns && s->len == f->len;
}

void
stream_note(struct stream *s, const struct ctf_frame *f, size_t w)
{
	s->off += (uint32_t)w;
	s->number = f->number;
	s->last_ns = f->last_ns;
	s->len = f->len;
	s->torn = s->off && f->p[s->off - 1] != '\n';
}

/* Where to go on, f being the first frame to write. */
static void
begin(struct stream *s, const struct ctf_frame *f)
{
	if (s->off && !stream_is_begun(s, f)) {
		s->heal = s->torn; /* the rest was dropped meanwhile */
		s->off = 0;
	}
	if (s->fresh) {
		/* Another file goes on with a whole line, a peer gets it all. */
		s->off = s->kind == STREAM_FILE ? stream_line_start(f, s->off) : 0;
		s->heal = s->tail;
		s->head = 0;
		s->head_left = 0;
		s->fresh = false;
	}
}

static ssize_t
put_shared(struct stream *s, struct iovec *iov)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	if (iov->iov_len > SHARED_MAX)
		iov->iov_len = SHARED_MAX;
	if (poll(&p, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return writev(s->fd, iov, 1);
}

static struct iovec
head_rest(const struct stream *s, const struct ctf_layout *l)
{
	const uint8_t *p = l->p + l->len - s->head_left;

	return (struct iovec){ (void *)(uintptr_t)p, s->head_left }; /* only read */
}

static ssize_t
put(struct stream *s, const struct ctf_frame *const *fr, unsigned n)
{
	struct iovec iov[STREAM_IOVS + 2];
	struct msghdr msg = { .msg_iov = iov };
	uint32_t off = s->off;
	char newline = '\n';
	unsigned c = 0;

	if (s->heal)
		iov[c++] = (struct iovec){ &newline, 1 };
	if (s->head_left)
		iov[c++] = head_rest(s, fr[0]->layout);
	for (unsigned i = 0; i < n && i < STREAM_IOVS; i++, off = 0)
		iov[c++] = (struct iovec){ fr[i]->p + off, fr[i]->len - off };
	if (s->kind == STREAM_SHARED)
		return put_shared(s, iov);
	if (s->kind != STREAM_SOCKET)
		return writev(s->fd, iov, (int)c);
	msg.msg_iovlen = c;
	return sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What of w bytes is left for frames. */
static size_t
advance_head(struct stream *s, size_t w)
{
	size_t head;

	if (s->heal && w) {
		s->heal = false;
		w--;
	}
	head = w < s->head_left ? w : s->head_left;
	s->head_left -= (uint32_t)head;
	if (head && !s->head_left)
		stream_head_note(s);
	return w - head;
}

/* Notes that w bytes were written; returns how many frames are complete. */
static unsigned
advance(struct stream *s, const struct ctf_frame *const *fr, unsigned n, size_t w)
{
	unsigned done = 0;

	w = advance_head(s, w);
	for (; done < n && w >= fr[done]->len - s->off; done++) {
		w -= fr[done]->len - s->off;
		s->off = 0;
	}
	if (done < n)
		stream_note(s, fr[done], w);
	return done;
}

enum ctf_sent
stream_wait(struct stream *s, struct ctf_err *err)
{
	int r = ctf_wait(s->obj.ctx, s->fd, POLLOUT, WAIT_MS);

	if (r > 0)
		return CTF_SENT;
	if (r < 0 && r != -EINTR) {
		ctf_fail(err, -r, "poll: %s", strerror(-r));
		return CTF_RETRY;
	}
	ctf_fail(err, EAGAIN, "%s: the reader takes nothing", s->name);
	return CTF_AGAIN;
}

static enum ctf_sent
failed(struct stream *s, struct ctf_err *err)
{
	int e = errno;

	if (e == EINTR)
		return CTF_SENT;
	if (e == EAGAIN)
		return stream_wait(s, err);
	ctf_fail(err, e, "cannot write to %s: %s", s->name, strerror(e));
	return CTF_RETRY;
}

enum ctf_sent
stream_deliver(void *sink, const struct ctf_frame *const *fr, unsigned n, unsigned *ret_taken,
	       struct ctf_err *err)
{
	struct stream *s = sink;
	enum ctf_sent ret = CTF_SENT;
	unsigned taken = 0;

	begin(s, fr[0]);
	while (taken < n && ret == CTF_SENT) {
		const struct ctf_frame *const *now = fr + taken;
		unsigned run = stream_head_run(now, n - taken), done;
		ssize_t w;

		stream_head_look(s, now[0]);
		stream_kept_begin(s, now, run);
		w = put(s, now, run);
		done = w < 0 ? 0 : advance(s, now, run, (size_t)w);
		stream_kept_end(s, now, run, done);
		if (w < 0)
			ret = failed(s, err);
		taken += done;
	}
	*ret_taken = taken;
	return ret;
}
