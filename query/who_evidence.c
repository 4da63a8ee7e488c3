/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who_evidence.c - a file with all that an answer rests on.
 *
 * Lines of text.  "sha256-flows" is the hash of the lines that begin with
 * "flow ", and "sha256", the last line, of everything before it:
 *   grep '^flow ' FILE | sha256sum;  sed '$d' FILE | sha256sum
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ch.h"
#include "engine.h"
#include "sha256.h"
#include "who_rows.h"

#define FIRST "ctflow evidence 1"
#define LAST "sha256 "
#define FLOWS "sha256-flows "

struct paper {
	FILE *f;
	struct sha256 all, flows;
};

__attribute__((format(printf, 3, 4))) static void
put(struct paper *p, bool flow, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	for (int i = 0; i < n; i++) /* a line is a line, whatever is in it */
		if (text[i] == '\n' || text[i] == '\r')
			text[i] = ' ';
	fprintf(p->f, "%s\n", text);
	sha256_add(&p->all, text, (size_t)n);
	sha256_add(&p->all, "\n", 1);
	if (flow) {
		sha256_add(&p->flows, text, (size_t)n);
		sha256_add(&p->flows, "\n", 1);
	}
	free(text);
}

/* ---- the parts --------------------------------------------------------------------- */

static void
command_put(struct paper *p)
{
	char words[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, words, sizeof(words) - 1);

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i + 1 < n; i++)
		if (!words[i])
			words[i] = ' ';
	words[n > 0 ? n : 0] = '\0';
	put(p, false, "command: %s", words);
}

static void
time_put(struct paper *p, const char *key, int64_t ns)
{
	char text[Q_TIME_TEXT];

	q_time_iso(ns, text);
	put(p, false, "%s: %s", key, text);
}

static void
head_put(struct paper *p, const struct q *q, const struct who_answer *w)
{
	char host[128] = "", text[Q_TIME_TEXT];
	struct stat st;

	(void)gethostname(host, sizeof(host) - 1);
	put(p, false, FIRST);
	command_put(p);
	time_put(p, "made", (int64_t)ctf_now());
	put(p, false, "by: ctflow %s on %s, user %u", PACKAGE_VERSION, host,
	    (unsigned)getuid());
	for (const struct q_db *db = q->dbs; db; db = db->next) {
		if (db->engine->server) {
			put(p, false, "server: %s", db->path);
			for (unsigned i = 0; i < db->ch->nexporters; i++)
				put(p, false, "exporter: %s", db->ch->exporters[i]);
			continue;
		}
		if (stat(db->path, &st) < 0)
			st = (struct stat){ .st_size = 0 };
		q_time_iso((int64_t)st.st_mtim.tv_sec * WHO_SEC + st.st_mtim.tv_nsec, text);
		put(p, false, "database: %s table=%s schema=%d bytes=%lld changed=%s", db->path,
		    db->table, db->version, (long long)st.st_size, text);
	}
	time_put(p, "from", w->ask.from_ns);
	time_put(p, "to", w->ask.to_ns);
}

static void
verdict_put(struct paper *p, const struct who_answer *w)
{
	put(p, false, "verdict: %s%s", who_verdict_words[w->verdict],
	    w->certain ? ", certain" : "");
	for (unsigned i = 0; i < w->cover.n; i++)
		put(p, false, "reason: %s: %s", who_why_word(w->cover.reasons[i].why),
		    w->cover.reasons[i].text);
	if (w->cover.proven_ns != Q_NEVER)
		time_put(p, "proven by a look at the connection table", w->cover.proven_ns);
	put(p, false, "connection table: %s", w->live.read ? "read" : w->live.why);
}

static void
ip_text(const struct q_addr *a, char text[CTF_FMT_IP + 1])
{
	char *end = text;

	if (a->family)
		end = ctf_fmt_ip(text, a->ip, a->family);
	*end = '\0';
}

static void
flow_put(struct paper *p, const struct who_match *m)
{
	char host[CTF_FMT_IP + 1], out[CTF_FMT_IP + 1], from[Q_TIME_TEXT] = "unknown",
							to[Q_TIME_TEXT];
	const struct q_flow *f = &m->f;

	ip_text(&m->host, host);
	ip_text(&m->out, out);
	if (f->start_ns != Q_NEVER)
		q_time_iso(f->start_ns, from);
	q_time_iso(f->at_ns, to);
	put(p, true,
	    "flow host=%s host_port=%d outside=%s outside_port=%d proto=%u start=%s %s=%s "
	    "sure=%s"
	    " | %s",
	    host, m->hport, out, m->oport, f->proto, from,
	    f->open || f->lost ? "seen" : "until", to, m->sure ? "yes" : "no",
	    m->raw ? m->raw : "connection table of the kernel");
}

static int
row_put(void *arg, struct q_db *db, sqlite3_stmt *st)
{
	char *text = NULL;
	struct paper *p = arg;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	for (int i = 0; i < sqlite3_column_count(st); i++)
		if (sqlite3_column_type(st, i) != SQLITE_NULL)
			fprintf(f, " %s=%s", sqlite3_column_name(st, i),
				(const char *)sqlite3_column_text(st, i));
	if (fclose(f) != 0)
		return -ENOMEM;
	put(p, false, "row %s:%s", db->path, text);
	free(text);
	return 0;
}

static int
rows_put(struct paper *p, struct q *q, const struct who_answer *w, struct ctf_err *err)
{
	int r = 0;

	for (int what = 0; what < WHO_ROWS && r == 0; what++) {
		put(p, false, "%s", who_rows_names[what]);
		for (struct q_db *db = q->dbs; db && r == 0; db = db->next)
			r = who_rows(db, w, (enum who_rows)what, row_put, p, err);
	}
	return r == -ENOMEM ? ctf_fail(err, ENOMEM, "out of memory") : r;
}

int
who_evidence(struct q *q, const struct who_answer *w, const char *path, struct ctf_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), r;
	struct paper p = { .f = fd < 0 ? NULL : fdopen(fd, "w") };
	char hash[SHA256_TEXT];

	if (!p.f)
		return ctf_fail(err, errno, "%s: %s", path, strerror(errno));
	sha256_begin(&p.all);
	sha256_begin(&p.flows);
	head_put(&p, q, w);
	verdict_put(&p, w);
	for (unsigned i = 0; i < w->found.n; i++)
		flow_put(&p, &w->found.m[i]);
	sha256_end(&p.flows, hash);
	put(&p, false, FLOWS "%s", hash);
	r = rows_put(&p, q, w, err);
	sha256_end(&p.all, hash);
	fprintf(p.f, LAST "%s\n", hash);
	if (ferror(p.f) && r == 0)
		r = ctf_fail(err, EIO, "%s: cannot be written", path);
	if ((fflush(p.f) != 0 || fsync(fd) < 0) && r == 0)
		r = ctf_fail(err, errno, "%s: %s", path, strerror(errno));
	fclose(p.f);
	if (r < 0)
		unlink(path);
	return r;
}

/* ---- verifying ------------------------------------------------------------------------ */

struct reader {
	struct sha256 all, flows;
	char all_is[SHA256_TEXT], flows_is[SHA256_TEXT];
	bool first, last, flows_ok;
};

static bool
hash_is(const char *line, const char *prefix, const char *hash)
{
	size_t n = strlen(prefix);

	return strncmp(line, prefix, n) == 0 && strncmp(line + n, hash, SHA256_TEXT - 1) == 0 &&
	       strcmp(line + n + SHA256_TEXT - 1, "\n") == 0;
}

static void
line_read(struct reader *v, const char *line, size_t n, bool first)
{
	struct sha256 now;

	if (first)
		v->first = strcmp(line, FIRST "\n") == 0;
	if (strncmp(line, FLOWS, sizeof(FLOWS) - 1) == 0) {
		now = v->flows;
		sha256_end(&now, v->flows_is);
		v->flows_ok = hash_is(line, FLOWS, v->flows_is);
	}
	now = v->all;
	sha256_end(&now, v->all_is);
	v->last = hash_is(line, LAST, v->all_is); /* nothing may follow */
	sha256_add(&v->all, line, n);
	if (strncmp(line, "flow ", 5) == 0)
		sha256_add(&v->flows, line, n);
}

/* 0: unchanged, 1: not. */
int
who_verify(struct q *q, const char *path)
{
	struct reader v = { .first = false };
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool first = true;

	if (!f) {
		q_say(q, "%s: %s", path, strerror(errno));
		return Q_FAILED;
	}
	sha256_begin(&v.all);
	sha256_begin(&v.flows);
	for (; (n = getline(&line, &room, f)) >= 0; first = false)
		line_read(&v, line, (size_t)n, first);
	free(line);
	fclose(f);
	if (!v.first || !v.last || !v.flows_ok) {
		printf("%s: CHANGED, or not a file of this command\n", path);
		return 1;
	}
	printf("%s: unchanged, sha256 %s\n", path, v.all_is);
	return 0;
}
