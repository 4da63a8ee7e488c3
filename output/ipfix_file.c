/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix_file.c - messages appended to a file (RFC 5655).
 *
 * A file is a session: it begins with templates and sequence number 0 and has
 * one layout.  It holds whole messages: what a full disk has torn is cut off
 * again, and written when there is room.  Export Time is the time of the first
 * record of the message (RFC 5655 section 7.3.2), never earlier than that of
 * the message before.
 */
#include "ipfix_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAUSE_MS 1000 /* between attempts to write */

struct burst {
	struct iovec iov[2 * IPFIX_FILE_BURST + 1];
	uint8_t head[IPFIX_FILE_BURST][IPFIX_HEADER];
	struct ipfix_part part[IPFIX_FILE_BURST];
	unsigned iovs, frames;
	uint64_t bytes;
	bool templates; /* before the first */
};

static const struct ipfix_conf *
conf(const struct ipfix_sink *s)
{
	return s->o.conf;
}

/* ---- when to begin another file --------------------------------------------------- */

/* What others did to it: removed, emptied (copytruncate), appended to. */
static bool
is_ours(struct ipfix_sink *s)
{
	struct stat st;

	return fstat(s->fd, &st) == 0 && st.st_nlink && (uint64_t)st.st_size == s->file.off;
}

static bool
over(const struct ipfix_sink *s, uint64_t more)
{
	uint64_t size = conf(s)->rotate_size;

	return size && s->file.off + more > size;
}

static bool
time_is_up(const struct ipfix_sink *s)
{
	return s->file.off && s->file.end_ms && ctf_now() / 1000000 >= s->file.end_ms;
}

/* A file that cannot get its name is written on, for a while. */
static enum ctf_sent
rotate(struct ipfix_sink *s)
{
	struct ctf_err err = { 0 };

	if (ctf_mono_ms() < s->file.stuck_ms)
		return CTF_SENT;
	if (ipfix_file_roll(s, &err) == 0)
		return CTF_SENT;
	s->file.stuck_ms = ctf_mono_ms() + 60000;
	ctf_log(s->o.ctx, CTF_ERROR, "%s; the old file is written on", err.msg);
	return s->fd >= 0 ? CTF_SENT : CTF_RETRY;
}

/* The file this frame can go to is open. */
static enum ctf_sent
ready(struct ipfix_sink *s, const struct ctf_frame *f, struct ctf_err *err)
{
	int r = 0;

	if (!is_ours(s)) {
		ctf_log(s->o.ctx, CTF_WARNING, "%s was changed by others: another file begins",
			conf(s)->file_path);
		r = ipfix_file_leave(s, err);
	} else if (s->file.off && s->has_layout && s->layout != f->layout->id) {
		r = ipfix_file_roll(s, err);
	} else if (s->file.off && (over(s, f->len) || time_is_up(s))) {
		return rotate(s);
	}
	return r ? CTF_RETRY : CTF_SENT;
}

/* ---- writing ------------------------------------------------------------------------ */

static void
add(struct burst *b, const void *p, uint32_t len)
{
	union {
		const void *c;
		void *p;
	} base = { p };

	b->iov[b->iovs++] = (struct iovec){ base.p, len };
	b->part[b->frames].len += len;
	b->bytes += len;
}

static void
set_time(struct ipfix_sink *s, const struct ctf_frame *f)
{
	uint64_t at = (f->first_ns ? f->first_ns : ctf_now()) / 1000000000;

	if (at > s->export_time)
		s->export_time = (uint32_t)at;
}

/* The templates before the first frame that needs them. */
static int
begin(struct ipfix_sink *s, const struct ctf_frame *f, struct burst *b)
{
	struct ipfix_domain *d = ipfix_domain(s, f->stream);
	int r = d ? 0 : -ENOMEM;

	s->now_ms = ctf_mono_ms();
	set_time(s, f);
	if (!s->file.off)
		s->file.begun = s->export_time;
	if (!r && ipfix_due(s, d, f->layout)) {
		r = ipfix_announce(s, d, f->layout, UINT16_MAX);
		b->templates = !r;
		if (!r)
			ipfix_stamp_all(s, d);
		if (!r)
			add(b, s->announcement, s->announcement_len);
	}
	s->has_layout = true;
	s->layout = f->layout->id;
	return r;
}

static void
gather(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n, struct burst *b)
{
	for (unsigned i = 0; i < n && i < IPFIX_FILE_BURST; i++) {
		const struct ctf_frame *f = frames[i];
		struct ipfix_domain *d = ipfix_domain(s, f->stream);

		if (i && (!d || f->layout->id != s->layout || ipfix_due(s, d, f->layout) ||
			  over(s, b->bytes + f->len)))
			return;
		set_time(s, f);
		ipfix_head(s, d, f->len, ipfix_records(f), ipfix_flows(f), b->head[i]);
		add(b, b->head[i], IPFIX_HEADER);
		add(b, f->p + IPFIX_HEADER, f->len - IPFIX_HEADER);
		b->part[b->frames++].upto = f->upto;
		if (i + 1 < IPFIX_FILE_BURST)
			b->part[b->frames] = (struct ipfix_part){ 0 };
	}
}

/* Takes note of what was written; returns the frames now complete. */
static unsigned
account(struct ipfix_sink *s, const struct ctf_frame *const *frames, const struct burst *b,
	uint64_t wrote)
{
	unsigned done = 0;

	for (; done < b->frames && wrote >= b->part[done].len; done++) {
		wrote -= b->part[done].len;
		s->file.off += b->part[done].len;
		s->file.upto = b->part[done].upto;
		s->settled = frames[done]->number;
	}
	for (unsigned i = done; i < b->frames; i++) {
		struct ipfix_domain *d = ipfix_domain(s, frames[i]->stream);

		ipfix_unhead(d, frames[i]->len, ipfix_records(frames[i]),
			     ipfix_flows(frames[i]));
		if (!i && b->templates)
			ipfix_unstamp_all(s, d);
	}
	return done;
}

/* The disk is full, say: leaves whole messages and waits a moment. */
static enum ctf_sent
cut_back(struct ipfix_sink *s, int error)
{
	if (ftruncate(s->fd, (off_t)s->file.off))
		ctf_log(s->o.ctx, CTF_ERROR, "%s may end within a message: %s",
			conf(s)->file_path, strerror(errno));
	ctf_count(s->file.errors, 1);
	if (!s->file.said)
		ctf_log(s->o.ctx, CTF_ERROR, "cannot write to %s: %s; trying again",
			conf(s)->file_path, strerror(error));
	s->file.said = true;
	ctf_wait(s->o.ctx, -1, 0, PAUSE_MS);
	return CTF_AGAIN;
}

static enum ctf_sent
put(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n,
    unsigned *ret_taken, struct ctf_err *err)
{
	struct burst b = { .iovs = 0 };
	bool first = s->file.off == 0;
	ssize_t wrote;

	if (begin(s, frames[0], &b))
		return ctf_fail(err, ENOMEM, "no memory"), CTF_RETRY;
	gather(s, frames, n, &b);
	ipfix_file_note(s, b.part, b.frames, s->file.upto);
	do
		wrote = pwritev(s->fd, b.iov, (int)b.iovs, (off_t)s->file.off);
	while (wrote < 0 && errno == EINTR);
	*ret_taken = account(s, frames, &b, wrote > 0 ? (uint64_t)wrote : 0);
	if (first && *ret_taken)
		ipfix_file_period(s);
	ipfix_file_note(s, NULL, 0, s->file.upto);
	if (wrote < 0 || (uint64_t)wrote < b.bytes)
		return cut_back(s, wrote < 0 ? errno : ENOSPC);
	if (s->file.said)
		ctf_log(s->o.ctx, CTF_NOTICE, "%s is written again", conf(s)->file_path);
	s->file.said = false;
	return CTF_SENT;
}

enum ctf_sent
ipfix_file_deliver(struct ipfix_sink *s, const struct ctf_frame *const *frames, unsigned n,
		   unsigned *ret_taken, struct ctf_err *err)
{
	enum ctf_sent r = CTF_SENT;
	unsigned taken = 0;

	while (taken < n && r == CTF_SENT) {
		unsigned now = 0;

		r = ready(s, frames[taken], err);
		if (r == CTF_SENT)
			r = put(s, frames + taken, n - taken, &now, err);
		taken += now;
	}
	*ret_taken = taken;
	return taken && r == CTF_AGAIN ? CTF_SENT : r;
}

enum ctf_sent
ipfix_file_idle(struct ipfix_sink *s, struct ctf_err *err)
{
	uint64_t n;
	ssize_t got = read(s->file.timer, &n, sizeof(n));

	if (got < 0 || !time_is_up(s) || rotate(s) == CTF_SENT)
		return CTF_SENT;
	ctf_fail(err, EIO, "no file to write to");
	return CTF_RETRY;
}
