/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_file_open.c - how a file of messages begins and ends.
 *
 * What is at the path when we come is finished: whatever a kill has torn at
 * its end is cut off, and it gets a name with the time of its first message.
 * What is neither empty nor IPFIX is left alone.  The state page knows of a
 * write begun, so that the next run can tell what of it arrived.
 */
#include "ipfix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_LEN 4200u
#define NAMES_MAX 1000u /* of one second */

static const struct ipfix_conf *
conf(const struct ipfix_sink *s)
{
	return s->o.conf;
}

/* ---- the state page --------------------------------------------------------------- */

struct note {
	_Atomic uint64_t seq;
	uint64_t before;   /* ctf_frame.upto of what has arrived */
	uint64_t dev, ino; /* of the file being written */
	uint64_t off;      /* where part[0] begins */
	uint32_t n;
	struct ipfix_part part[IPFIX_FILE_BURST];
};

struct ipfix_written {
	struct note note[2]; /* the one with the higher number counts */
};

static struct note *
newest(struct ipfix_written *w)
{
	return w->note[0].seq > w->note[1].seq ? &w->note[0] : &w->note[1];
}

void
ipfix_file_note(struct ipfix_sink *s, const struct ipfix_part *part, unsigned n, uint64_t upto)
{
	struct ipfix_written *w = s->file.written;
	struct note *last, *next;

	if (!w)
		return;
	last = newest(w);
	next = last == w->note ? w->note + 1 : w->note;
	next->seq = 0; /* dying in the middle leaves the other one */
	atomic_signal_fence(memory_order_seq_cst);
	next->before = upto;
	next->dev = s->file.dev;
	next->ino = s->file.ino;
	next->off = s->file.off;
	next->n = n;
	if (n)
		memcpy(next->part, part, n * sizeof(*part));
	atomic_signal_fence(memory_order_seq_cst);
	next->seq = last->seq + 1;
}

/* What the process before had written when it ended. */
static void
look_back(struct ipfix_sink *s, const struct stat *st)
{
	const struct note *w = newest(s->file.written);
	uint64_t upto = w->before, end = w->off;
	bool ours =
		st->st_dev == w->dev && st->st_ino == w->ino && (uint64_t)st->st_size >= w->off;

	if (!w->seq || w->n > IPFIX_FILE_BURST)
		return;
	for (unsigned i = 0; i < w->n && ours; i++) {
		end += w->part[i].len;
		if (end > (uint64_t)st->st_size)
			break;
		upto = w->part[i].upto;
	}
	s->file.upto = upto;
	ctf_found(s->o.ctx, upto, ours || !w->n);
}

static void
remember(struct ipfix_sink *s, const struct stat *st)
{
	bool kept = false;

	if (s->file.written)
		return;
	s->file.written = ctf_state(s->o.ctx, "file", sizeof(*s->file.written), &kept);
	if (s->file.written && kept)
		look_back(s, st);
}

/* ---- what is there ------------------------------------------------------------------ */

/* Octets of whole messages; *ret_time: Export Time of the first. */
static uint64_t
whole(int fd, uint64_t size, uint32_t *ret_time)
{
	uint8_t head[IPFIX_HEADER];
	uint64_t at = 0;

	while (at + IPFIX_HEADER <= size) {
		uint16_t len;

		if (pread(fd, head, IPFIX_HEADER, (off_t)at) != IPFIX_HEADER)
			break;
		len = ipfix_get16(head + 2);
		if (ipfix_get16(head) != 10 || len < IPFIX_HEADER || at + len > size)
			break;
		if (!at)
			*ret_time = ipfix_get32(head + 4);
		at += len;
	}
	return at;
}

/* Whether it can be the beginning of a message. */
static bool
begins_well(int fd, uint64_t size)
{
	uint8_t version[2] = { 0, 10 };

	return pread(fd, version, size < 2 ? size : 2, 0) >= 0 && ipfix_get16(version) == 10;
}

/* Cuts off what is torn; *ret_size is what remains. */
static int
repair(struct ipfix_sink *s, int fd, uint64_t *ret_size, uint32_t *ret_time,
       struct ctf_err *err)
{
	const char *path = conf(s)->file_path;
	uint64_t size = *ret_size, good = whole(fd, size, ret_time);

	if (good == size)
		return 0;
	if (!good && !begins_well(fd, size))
		return ctf_fail(err, EINVAL, "%s is no IPFIX file: it is left alone", path);
	if (ftruncate(fd, (off_t)good))
		return ctf_fail(err, errno, "cannot mend %s: %s", path, strerror(errno));
	ctf_log(s->o.ctx, CTF_WARNING,
		"%s ended within a message: its last %llu octets are cut off", path,
		(unsigned long long)(size - good));
	*ret_size = good;
	return 0;
}

/* ---- names ---------------------------------------------------------------------------- */

/* flows.ipfix -> flows-20261121T164557Z.ipfix, the n-th of that second. */
static void
name_for(const char *path, uint32_t begun, unsigned n, char name[NAME_MAX_LEN])
{
	const char *base = strrchr(path, '/'), *dot;
	time_t t = (time_t)begun;
	char stamp[32], nth[16] = "";
	struct tm tm;

	base = base ? base + 1 : path;
	dot = strrchr(base, '.');
	if (!dot || dot == base)
		dot = base + strlen(base);
	gmtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	if (n > 1)
		snprintf(nth, sizeof(nth), ".%u", n);
	snprintf(name, NAME_MAX_LEN, "%.*s-%s%s%s", (int)(dot - path), path, stamp, nth, dot);
}

/* Never over another file, also where the file system cannot do that itself. */
static int
rename_new(const char *from, const char *to)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (lstat(to, &st) == 0)
		return -EEXIST;
	return rename(from, to) ? -errno : 0;
}

/* The file at the path gets its name for good. */
static int
finish(struct ipfix_sink *s, int fd, uint32_t begun, struct ctf_err *err)
{
	char name[NAME_MAX_LEN];
	int r = -EEXIST;

	if (fdatasync(fd) && errno != EINVAL)
		ctf_log(s->o.ctx, CTF_WARNING, "%s: %s", conf(s)->file_path, strerror(errno));
	for (unsigned n = 1; n <= NAMES_MAX && r == -EEXIST; n++) {
		name_for(conf(s)->file_path, begun, n, name);
		r = rename_new(conf(s)->file_path, name);
	}
	if (r)
		return ctf_fail(err, -r, "cannot rename %s to %s: %s", conf(s)->file_path, name,
				strerror(-r));
	ctf_log(s->o.ctx, CTF_INFO, "%s is complete", name);
	ctf_count(s->file.finished, 1);
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int
fail_path(const struct ipfix_sink *s, struct ctf_err *err, const char *what)
{
	int e = errno;

	return ctf_fail(err, e, "cannot %s %s: %s", what, conf(s)->file_path, strerror(e));
}

/* Opens what is at the path, made if need be, and makes sure that nobody else writes it. */
static int
open_path(struct ipfix_sink *s, struct stat *ret_st, struct ctf_err *err)
{
	const char *path = conf(s)->file_path;
	int fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644), r = 0;

	if (fd < 0)
		return fail_path(s, err, "open");
	if (fstat(fd, ret_st))
		r = fail_path(s, err, "open");
	else if (!S_ISREG(ret_st->st_mode))
		r = ctf_fail(err, EINVAL, "%s is not a regular file", path);
	else if (flock(fd, LOCK_EX | LOCK_NB))
		r = ctf_fail(err, EBUSY, "%s is being written by another output", path);
	if (!r)
		return fd;
	close(fd);
	return r;
}

/* An empty file at the path: the one there, or else after it got its name. */
static int
open_empty(struct ipfix_sink *s, struct stat *ret_st, struct ctf_err *err)
{
	int fd = open_path(s, ret_st, err), r;
	uint64_t size;
	uint32_t begun = 0;

	if (fd < 0)
		return fd;
	remember(s, ret_st);
	size = (uint64_t)ret_st->st_size;
	r = repair(s, fd, &size, &begun, err);
	if (!r && !size)
		return fd;
	if (!r)
		r = finish(s, fd, begun, err);
	close(fd);
	if (r)
		return r;
	fd = open_path(s, ret_st, err);
	if (fd >= 0 && ret_st->st_size) {
		close(fd);
		return ctf_fail(err, EBUSY, "%s is written by somebody else",
				conf(s)->file_path);
	}
	return fd;
}

/* All that belongs to a session. */
static void
forget(struct ipfix_sink *s)
{
	free(s->domain);
	s->domain = NULL;
	s->domains = 0;
	s->has_layout = false;
	s->file.off = s->file.end_ms = 0;
	s->export_time = 0;
}

/* The next file, the one before closed if it is still open. */
static int
next(struct ipfix_sink *s, struct ctf_err *err)
{
	struct stat st = { 0 };
	int fd = open_empty(s, &st, err);

	if (fd < 0)
		return fd;
	ctf_will_remake(s->o.ctx, conf(s)->file_path);
	if (ctf_own(s->o.ctx, fd))
		ctf_log(s->o.ctx, CTF_WARNING,
			"%s cannot be given to the user of -u: rotation may fail",
			conf(s)->file_path);
	if (s->fd >= 0)
		close(s->fd);
	forget(s);
	s->fd = fd;
	s->file.dev = st.st_dev;
	s->file.ino = st.st_ino;
	ipfix_file_note(s, NULL, 0, s->file.upto);
	return 0;
}

int
ipfix_file_leave(struct ipfix_sink *s, struct ctf_err *err)
{
	if (s->fd >= 0) {
		fdatasync(s->fd);
		close(s->fd); /* and its lock: it may be at the path */
	}
	s->fd = -1;
	return next(s, err);
}

/* Without a new name the old file stays open. */
int
ipfix_file_roll(struct ipfix_sink *s, struct ctf_err *err)
{
	int r = finish(s, s->fd, s->file.begun, err);

	if (r)
		return r;
	r = next(s, err);
	if (r) {
		close(s->fd); /* what has its name is complete */
		s->fd = -1;
	}
	return r;
}

void
ipfix_file_period(struct ipfix_sink *s)
{
	uint64_t every = conf(s)->rotate_time, now = ctf_now() / 1000000;
	struct itimerspec t = { 0 };

	if (!every)
		return;
	s->file.end_ms = (now / every + 1) * every;
	t.it_value.tv_sec = (time_t)(s->file.end_ms / 1000);
	t.it_value.tv_nsec = (long)(s->file.end_ms % 1000 * 1000000) + 1;
	timerfd_settime(s->file.timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* ---- callbacks ---------------------------------------------------------------------- */

static void
make_counters(struct ipfix_sink *s)
{
	if (s->file.errors)
		return;
	s->file.errors = ctf_metric_new(s->o.ctx, "write_errors", CTF_COUNTER, CTF_UNIT_NONE,
					"times the file could not be written");
	s->file.finished = ctf_metric_new(s->o.ctx, "files", CTF_COUNTER, CTF_UNIT_NONE,
					  "files completed");
}

int
ipfix_file_open(struct ipfix_sink *s, struct ctf_err *err)
{
	int r;

	make_counters(s);
	s->fd = s->file.timer = -1;
	r = next(s, err);
	if (r || !conf(s)->rotate_time)
		return r;
	s->file.timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->file.timer >= 0)
		return 0;
	r = ctf_fail(err, errno == EINVAL ? ENOMEM : errno, "no timer: %s", strerror(errno));
	close(s->fd);
	return r;
}

int
ipfix_file_reopen(struct ipfix_sink *s, struct ctf_err *err)
{
	struct stat st;

	if (stat(conf(s)->file_path, &st) == 0 && st.st_dev == s->file.dev &&
	    st.st_ino == s->file.ino)
		return 0;
	fdatasync(s->fd);
	return next(s, err);
}

void
ipfix_file_close(struct ipfix_sink *s)
{
	if (s->fd >= 0) {
		fdatasync(s->fd);
		close(s->fd);
	}
	if (s->file.timer >= 0)
		close(s->file.timer);
	s->fd = s->file.timer = -1;
	forget(s);
}
