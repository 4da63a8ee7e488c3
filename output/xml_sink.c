/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of XML: a new one at each start and SIGHUP, closed with the end of
 * the document.  One that could not be closed so, for its daemon was killed or
 * the disk full, is gone on with.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "text.h"
#include "xml.h"

#define SAME_SECOND 99u /* files */
#define FOOT_MS 1000    /* for a reader of the standard output to take the end */

static const struct xml_conf *
conf_of(const struct xml_sink *s)
{
	return s->stream.obj.conf;
}

static void
path_set(struct xml_sink *s, char *path, const char *name)
{
	const char *folder = conf_of(s)->stream.file;
	size_t n = strlen(folder);

	snprintf(path, sizeof(s->path[0]), "%s%s%s", folder,
		 n && folder[n - 1] == '/' ? "" : "/", name);
}

/* A name that is not taken. */
static int
name_new(struct xml_sink *s, char name[XML_NAME], char *path, struct ctf_err *err)
{
	struct tm tm = text_local(ctf_now());
	size_t n = strftime(name, XML_NAME, "ulogd-flow-%d%m%Y-%H%M%S", &tm);

	for (unsigned i = 1; i <= SAME_SECOND; i++) {
		snprintf(name + n, XML_NAME - n, i > 1 ? "-%u.xml" : ".xml", i);
		path_set(s, path, name);
		if (access(path, F_OK) < 0)
			return 0;
	}
	return ctf_fail(err, EEXIST, "%s and %u more are there already", path, SAME_SECOND - 1);
}

/* Where the last whole line of the file ends. */
static off_t
lines_end(int fd, off_t size)
{
	char c;

	while (size > 0 && pread(fd, &c, 1, size - 1) == 1 && c != '\n')
		size--;
	return size;
}

/* Takes a torn last line off: what it is part of comes again, elsewhere or below. */
static off_t
cut(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	off_t end = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		end = lines_end(fd, st.st_size);
		if (end != st.st_size && ftruncate(fd, end) < 0)
			end = -1;
	}
	close(fd);
	return end;
}

/* Ends the document in that file; false: it is to be gone on with. */
static bool
finish(const char *path)
{
	static const char all[] = XML_HEAD XML_FOOT;
	off_t end = cut(path);
	int fd = end < 0 ? -1 : open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
	const char *text = end ? XML_FOOT : all;
	size_t len = strlen(text);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, len) == (ssize_t)len;
	close(fd);
	return done;
}

static void
name_keep(struct xml_sink *s, const char *name)
{
	if (s->name)
		snprintf(s->name, XML_NAME, "%s", name);
}

/* An output with the same folder may look for a name at the same moment. */
static int
name_take(struct xml_sink *s, char name[XML_NAME], char *path, struct ctf_err *err)
{
	for (;;) {
		int fd, r = name_new(s, name, path, err);

		if (r)
			return r;
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
		if (fd >= 0 || errno != EEXIST)
			return 0; /* if it cannot be opened, who opens it says why */
	}
}

static int
open_new(struct xml_sink *s, struct ctf_err *err)
{
	char *path = s->path[!s->turn], name[XML_NAME];
	int r = name_take(s, name, path, err);

	if (!r)
		r = stream_open_path(&s->stream, path, err);
	if (r)
		return r;
	s->turn = !s->turn;
	name_keep(s, name);
	return 0;
}

/* The file that was begun and never ended, if it is there: 1, 0 or -errno. */
static int
open_begun(struct xml_sink *s, struct ctf_err *err)
{
	bool first = !s->stream.looked_back;
	char *path = s->path[s->turn];
	struct stat st;
	int r;

	if (!s->name || !memchr(s->name, '\0', XML_NAME) || !*s->name || strchr(s->name, '/'))
		return 0;
	path_set(s, path, s->name);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	r = stream_open_path(&s->stream, path, err);
	if (r)
		return r;
	if (first && !s->stream.off && cut(path) >= 0)
		s->stream.tail = false;
	return 1;
}

int
xml_usable(void *sink, struct ctf_err *err)
{
	struct xml_sink *s = sink;
	char name[XML_NAME];
	int r;

	if (conf_of(s)->to_stdout)
		return 0;
	r = name_new(s, name, s->path[!s->turn], err);
	return r ? r : ctf_may_write(s->path[!s->turn], err);
}

int
xml_open(void *sink, int *ret_err, struct ctf_err *err)
{
	struct xml_sink *s = sink;
	bool kept;
	int r;

	if (conf_of(s)->to_stdout) {
		r = stream_open_path(&s->stream, "/dev/stdout", err);
	} else {
		if (!s->name)
			s->name = ctf_state(s->stream.obj.ctx, "file", XML_NAME, &kept);
		r = open_begun(s, err);
		if (!r)
			r = open_new(s, err);
	}
	*ret_err = r < 0 ? -r : 0;
	return -1; /* nothing to watch */
}

enum ctf_sent
xml_deliver(void *sink, const struct ctf_frame *const *fr, unsigned n, unsigned *ret_taken,
	    struct ctf_err *err)
{
	struct xml_sink *s = sink;
	enum ctf_sent sent = stream_deliver(&s->stream, fr, n, ret_taken, err);

	s->in_document |= *ret_taken > 0;
	return sent;
}

int
xml_reopen(void *sink, struct ctf_err *err)
{
	struct xml_sink *s = sink;
	int r;

	if (conf_of(s)->to_stdout || s->stream.kind == STREAM_CLOSED)
		return 0;
	r = open_new(s, err);
	if (!r && !finish(s->path[!s->turn]))
		ctf_log(s->stream.obj.ctx, CTF_WARNING, "%s is left without its end",
			s->path[!s->turn]);
	return r;
}

static void
finish_stdout(struct xml_sink *s)
{
	static const char foot[] = XML_FOOT;
	const struct stream *st = &s->stream;

	if (s->in_document && !st->torn && st->kind != STREAM_CLOSED &&
	    (ctf_wait(st->obj.ctx, st->fd, POLLOUT, FOOT_MS) <= 0 ||
	     write(st->fd, foot, sizeof(foot) - 1) < 0))
		ctf_log(st->obj.ctx, CTF_WARNING, "the document is left without its end");
	s->in_document = false;
}

void
xml_close(void *sink)
{
	struct xml_sink *s = sink;
	bool open = s->stream.kind != STREAM_CLOSED;

	if (conf_of(s)->to_stdout)
		finish_stdout(s);
	stream_close(s);
	/* A frame begun goes on in the same file. */
	if (open && !conf_of(s)->to_stdout && !s->stream.off && finish(s->path[s->turn]))
		name_keep(s, "");
}
