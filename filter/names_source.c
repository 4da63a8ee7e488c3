/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: one source: whether its files changed, and reading them.  A file that
 * is being written is left alone until it is quiet, and one that fails, or ends
 * in the middle of a line, takes no name away.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"

#define FILE_MOST (UINT64_C(256) << 20) /* bytes; Kea's journals are large */
#define PATIENCE 10u /* times as long and a file that is never quiet is read */
#define PORTION 65536u

struct look {
	struct names_parts parts;
	uint64_t sign; /* of all there is to see from outside */
	uint64_t same; /* of which files they are */
	uint64_t mtime_ns;
};

static uint64_t
ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

static void
look_at(const struct names_source *s, struct look *l)
{
	*l = (struct look){ .sign = CTF_HASH, .same = CTF_HASH };
	names_parts_find(&l->parts, s->kind, s->path);
	for (unsigned i = 0; i < l->parts.n; i++) {
		const struct names_part *p = &l->parts.at[i];
		const struct stat *st = &p->st;
		uint64_t v[] = { (uint64_t)p->err, i, 0, 0, 0, 0, 0 };

		if (!p->err) {
			v[2] = st->st_dev;
			v[3] = st->st_ino;
			v[4] = (uint64_t)st->st_size;
			v[5] = ns_of(&st->st_mtim);
			v[6] = ns_of(&st->st_ctim);
			if (l->mtime_ns < v[5])
				l->mtime_ns = v[5];
		}
		l->sign = ctf_hash(l->sign, v, sizeof(v));
		l->same = ctf_hash(l->same, v, 4 * sizeof(*v));
	}
}

/* ---- complaints ---------------------------------------------------------------------- */

static void
say(struct names_source *s, const struct ctf_ctx *ctx, enum ctf_level level, const char *text)
{
	uint64_t h = ctf_hash(CTF_HASH, text, strlen(text));

	ctf_log(ctx, s->said == h ? CTF_DEBUG : level, "%s", text);
	s->said = h;
}

static void
say_bad(struct names_source *s, const struct ctf_ctx *ctx, const char *path,
	const struct names_parser *p)
{
	char text[700];

	snprintf(text, sizeof(text), "%.500s:%" PRIu64 ": %s%s", path, p->bad_line, p->why,
		 p->bad > 1 ? ", nor do more lines make sense" : "");
	say(s, ctx, CTF_WARNING, text);
}

static void
say_kept(struct names_source *s, const struct ctf_ctx *ctx, const char *path, const char *why)
{
	char text[700];

	snprintf(text, sizeof(text), "%.500s: %s%s", path, why,
		 s->set.named ? "; the names it had are kept" : "");
	say(s, ctx, CTF_WARNING, text);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct reading {
	struct names_source *source;
	const struct ctf_ctx *ctx;
	struct names_parser parser;
	char *buf;
	bool complained, unfinished, empty;
};

/* A file that is none might never end, or never answer. */
static int
open_file(const char *path, const char **ret_why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -EINVAL;
	else if ((uint64_t)st.st_size > FILE_MOST)
		r = -EFBIG;
	if (!r)
		return fd;
	*ret_why = r == -EINVAL  ? "not a regular file"
		   : r == -EFBIG ? "larger than 256 MiB"
				 : strerror(-r);
	if (fd >= 0)
		close(fd);
	return r;
}

static int
read_lines(struct reading *rd, int fd, const char **ret_why)
{
	uint64_t sum = 0;
	ssize_t n = 1;
	int r = 0;

	while (!r && sum <= FILE_MOST && (n = read(fd, rd->buf, PORTION)) > 0) {
		sum += (uint64_t)n;
		r = names_parse(&rd->parser, rd->buf, (size_t)n);
	}
	if (n < 0)
		r = -errno;
	if (!r)
		r = names_parse_end(&rd->parser);
	rd->empty &= sum == 0;
	if (r)
		*ret_why = strerror(-r);
	return r;
}

/* 0 or -errno, which was said. */
static int
read_part(struct reading *rd, const char *path)
{
	struct names_parser *p = &rd->parser;
	const char *why = "";
	int fd = open_file(path, &why), r = fd < 0 ? fd : 0;

	names_parse_begin(p, rd->source->kind, p->set);
	if (!r) {
		r = read_lines(rd, fd, &why);
		close(fd);
	}
	rd->unfinished |= p->unfinished;
	if (p->bad)
		say_bad(rd->source, rd->ctx, path, p);
	else if (r)
		say_kept(rd->source, rd->ctx, path, why);
	rd->complained |= p->bad || r;
	return r;
}

static int
read_parts(struct reading *rd, const struct look *l)
{
	int r = 0;

	rd->empty = true;
	for (unsigned i = 0; i < l->parts.n && !r; i++)
		r = read_part(rd, l->parts.at[i].path);
	return r;
}

/* What the file had before and has not now, as it is not whole. */
static int
keep_names(struct names_set *fresh, const struct names_set *old)
{
	for (uint32_t i = 0; i < old->n; i++) {
		const struct names_entry *o = &old->at[i];
		struct names_key k = { .len = o->len };
		struct names_entry *e;
		int r;

		memcpy(k.ip, o->ip, sizeof(k.ip));
		if (!o->name_len || names_set_find(fresh, &k))
			continue;
		r = names_set_get(fresh, &k, &e);
		if (r == -ENOSPC)
			continue;
		if (!r)
			r = names_set_name(fresh, e, names_word(old, o));
		if (r)
			return r;
		e->until_ns = o->until_ns;
	}
	return 0;
}

/* DHCP servers end each line; what they have cut short is not the whole. */
static int
mend(struct reading *rd, struct names_set *fresh)
{
	struct names_source *s = rd->source;
	bool leases = s->kind == NAMES_DNSMASQ || s->kind == NAMES_ODHCPD;
	int r = 0;

	if (!fresh->named && rd->parser.bad && s->set.named)
		return -EBADMSG; /* that was said */
	if (leases && s->set.named && (rd->unfinished || rd->empty)) {
		r = keep_names(fresh, &s->set);
		say_kept(s, rd->ctx, s->path,
			 rd->empty ? "is empty" : "ends in the middle of a line");
		rd->complained = true;
	}
	return r;
}

/* Reads all of it into a new set: 0 or -errno. */
static int
read_all(struct names_source *s, const struct ctf_ctx *ctx, const struct look *l,
	 struct names_set *fresh)
{
	struct reading *rd = calloc(1, sizeof(*rd));
	int r = rd && (rd->buf = malloc(PORTION)) ? 0 : -ENOMEM;

	if (!r) {
		rd->source = s;
		rd->ctx = ctx;
		rd->parser.set = fresh;
		r = read_parts(rd, l);
	}
	if (!r)
		r = mend(rd, fresh);
	if (!r && !rd->complained)
		s->said = 0;
	if (rd)
		free(rd->buf);
	free(rd);
	return r;
}

/* ---- looking ---------------------------------------------------------------------------- */

static bool
is_patient(const struct names_source *s)
{
	return ctf_mono_ms() - s->since_ms < PATIENCE * s->quiet_ns / 1000000;
}

/* It has changed: not yet to be read? */
static bool
must_wait(struct names_source *s, const struct look *l)
{
	uint64_t now = ctf_now();

	if (!s->since_ms)
		s->since_ms = ctf_mono_ms();
	if (!is_patient(s))
		return false;
	if (!l->parts.n) /* it may be on its way */
		return true;
	return s->kind != NAMES_KEA && (l->mtime_ns > now || now - l->mtime_ns < s->quiet_ns);
}

/* Others have written to it while it was read. */
static bool
has_moved(const struct names_source *s, const struct look *l)
{
	struct look after;

	look_at(s, &after);
	names_parts_free(&after.parts);
	return s->kind == NAMES_KEA ? after.same != l->same : after.sign != l->sign;
}

static void
say_more(struct names_source *s, const struct ctf_ctx *ctx)
{
	char text[600];

	snprintf(text, sizeof(text), "%.500s: more than %u files; the others are not read",
		 s->path, NAMES_PARTS);
	say(s, ctx, CTF_WARNING, text);
}

static void
say_missing(struct names_source *s, const struct ctf_ctx *ctx)
{
	char text[600];

	snprintf(text, sizeof(text), "%.500s: %s", s->path,
		 s->set.named ? "is gone, and its names" : "is not there (yet)");
	say(s, ctx, CTF_NOTICE, text);
}

/* It has changed, and that long enough ago. */
static bool
take(struct names_source *s, const struct ctf_ctx *ctx, const struct look *l, bool first)
{
	struct names_set fresh;
	int r = 0;

	names_set_init(&fresh, s->most);
	if (l->parts.n)
		r = read_all(s, ctx, l, &fresh);
	else
		say_missing(s, ctx);
	if (!r && l->parts.more)
		say_more(s, ctx);
	if (!r && !first && l->parts.n && is_patient(s) && has_moved(s, l))
		r = -EAGAIN;
	if (r != -EAGAIN && r != -ENOMEM && r != -EIO) {
		s->sign = l->sign;
		s->since_ms = 0;
	}
	if (r) {
		names_set_free(&fresh);
		return false;
	}
	names_set_free(&s->set);
	s->set = fresh;
	s->mtime_ns = l->parts.n ? l->mtime_ns : ctf_now();
	return true;
}

bool
names_source_look(struct names_source *s, const struct ctf_ctx *ctx, bool first)
{
	struct look l;
	bool taken = false;

	look_at(s, &l);
	if (l.sign == s->sign)
		s->since_ms = 0; /* it is as it was */
	else if (first || !must_wait(s, &l))
		taken = take(s, ctx, &l, first);
	names_parts_free(&l.parts);
	return taken;
}

void
names_source_free(struct names_source *s)
{
	names_set_free(&s->set);
	free(s->path);
}
