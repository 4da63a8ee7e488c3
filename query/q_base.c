/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_base.c - options as given, messages, signals, progress. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "given.h"
#include "query.h"

/* ---- options ------------------------------------------------------------------- */

struct q_given {
	struct q_given *next;
	const char *name, *value;
};

int
given_add(struct q *q, const char *name, const char *value)
{
	struct q_given *g = malloc(sizeof(*g)), **end = &q->given;

	if (!g)
		return -ENOMEM;
	*g = (struct q_given){ .name = name, .value = value };
	while (*end)
		end = &(*end)->next;
	*end = g;
	return 0;
}

void
given_free(struct q *q)
{
	struct q_given *g;

	while ((g = q->given)) {
		q->given = g->next;
		free(g);
	}
}

const char *
q_opt_nth(const struct q *q, const char *name, unsigned i)
{
	for (const struct q_given *g = q->given; g; g = g->next)
		if (strcmp(g->name, name) == 0 && i-- == 0)
			return g->value;
	return NULL;
}

const char *
q_opt(const struct q *q, const char *name)
{
	return q_opt_nth(q, name, 0);
}

/* ---- messages ------------------------------------------------------------------- */

void
q_say(const struct q *q, const char *fmt, ...)
{
	va_list ap;

	fputs(q->showing ? "\r\033[Kctflow: " : "ctflow: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int
q_usage(const struct q *q, const char *fmt, ...)
{
	const struct q_verb *v = q->verb;
	va_list ap;

	fputs("ctflow: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (v)
		fprintf(stderr, "\nusage: ctflow %s%s%s; ctflow %s --help says more\n", v->name,
			*v->args ? " " : "", v->args, v->name);
	else
		fputs("\nctflow --help says what there is\n", stderr);
	return Q_USAGE;
}

int
q_out_failed(struct q *q, int errnum)
{
	if (errnum != EPIPE)
		q_say(q, "writing: %s", strerror(errnum));
	return Q_FAILED;
}

int
q_failed(const struct q *q, int r, const struct ctf_err *err)
{
	if (r == -EPIPE)
		return Q_FAILED;
	if (r == -EINTR && q_cancelled(q))
		return Q_INTERRUPTED;
	q_say(q, "%s", err->msg[0] ? err->msg : strerror(-r));
	return r == -EINVAL ? Q_USAGE : Q_FAILED;
}

int
q_sql_failed(const struct q_db *db, struct ctf_err *err)
{
	int rc = db->db ? sqlite3_errcode(db->db) & 0xff : SQLITE_NOMEM;

	if (rc == SQLITE_INTERRUPT)
		return ctf_fail(err, EINTR, "interrupted");
	if (rc == SQLITE_NOMEM)
		return ctf_fail(err, ENOMEM, "out of memory");
	return ctf_fail(err, EIO, "%s: %s", db->path, sqlite3_errmsg(db->db));
}

/* ---- signals -------------------------------------------------------------------- */

/*
 * They stay blocked and are looked for, so that no line is cut off and nothing
 * has to be kept in a global.
 */
static void
signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

void
q_signals(void)
{
	sigset_t set;

	signal_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool
q_cancelled(const struct q *q)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
}

void
q_sleep(const struct q *q, unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	sigset_t set;
	int sig;

	signal_set(&set);
	sig = sigtimedwait(&set, NULL, &t);
	if (sig > 0) /* it is to be found by q_cancelled() */
		raise(sig);
}

/* ---- progress --------------------------------------------------------------------- */

#define PATIENCE_MS 1000
#define AGAIN_MS 200

void
q_progress(struct q *q, uint64_t done, uint64_t all)
{
	char when[Q_TIME_TEXT];
	int64_t now;

	if (!q->progress)
		return;
	now = (int64_t)ctf_mono_ms();
	if (!q->began_ms)
		q->began_ms = now;
	if (now - q->began_ms < PATIENCE_MS || now - q->said_ms < AGAIN_MS)
		return;
	q->said_ms = now;
	q->showing = true;
	if (all) {
		fprintf(stderr, "\r\033[K%u %%",
			(unsigned)(100.0 * (double)done / (double)all));
	} else if (q->looking_ns) {
		q_time_text(q, q->looking_ns, false, when);
		fprintf(stderr, "\r\033[Klooking at %.16s", when);
	} else {
		fputs("\r\033[Klooking", stderr);
	}
}

void
q_progress_clear(struct q *q)
{
	if (q->showing)
		fputs("\r\033[K", stderr);
	q->showing = false;
}

void
q_progress_end(struct q *q)
{
	q_progress_clear(q);
	q->said_ms = q->began_ms = q->looking_ns = 0;
}
