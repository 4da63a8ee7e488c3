/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.c - ctflow report: a page in one file that says what there was. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define DAY INT64_C(86400000000000)

static const struct q_option options[] = {
	{ "html", "FILE", "the page to be written; what is there is replaced" },
	{ NULL },
};

/* Under a name of its own first: who opens the page sees the old one or the new one. */
static int
write_to(int fd, const char *temp, const char *name, const struct rp *r)
{
	mode_t mask = umask(0);
	FILE *f = fdopen(fd, "w");
	bool bad;
	int e;

	umask(mask);
	if (!f) {
		e = errno;
		close(fd);
		return -e;
	}
	rp_page(f, r);
	bad = ferror(f) || fflush(f) != 0 || fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0;
	e = bad ? errno : 0;
	if (fclose(f) != 0 && !bad)
		e = errno;
	if (!e && rename(temp, name) != 0)
		e = errno;
	return -e;
}

static int
replace(const char *path, const struct rp *r, struct ctf_err *err)
{
	char *real = realpath(path, NULL); /* a link stays one */
	const char *name = real ? real : path;
	char *temp = sqlite3_mprintf("%s.XXXXXX", name);
	struct stat st;
	int fd, e;

	if (stat(name, &st) == 0 && !S_ISREG(st.st_mode)) {
		e = ctf_fail(err, EINVAL, "%s: not a regular file", path);
		goto out;
	}
	fd = temp ? mkstemp(temp) : -1;
	e = fd < 0 ? -errno : write_to(fd, temp, name, r);
	if (fd >= 0 && e < 0)
		unlink(temp);
	if (e < 0)
		e = ctf_fail(err, -e, "%s: %s", path, strerror(-e));
out:
	sqlite3_free(temp);
	free(real);
	return e;
}

static int
make(struct q *q, const struct q_words *w, struct rp *r, struct ctf_err *err)
{
	int e;

	r->utc = q->utc;
	r->made_ns = q->now_ns;
	r->until_ns = w->until == Q_NEVER ? q->now_ns : w->until;
	r->since_ns = w->since == Q_NEVER ? r->until_ns - DAY : w->since;
	if (w->argc)
		return ctf_fail(err, EINVAL, "\"%.60s\" is not expected here", w->argv[0]);
	if (r->since_ns >= r->until_ns || r->since_ns < 0)
		return ctf_fail(err, EINVAL, "since has to be before until");
	r->title = strdup("Flow report");
	if (!r->title)
		return ctf_fail(err, ENOMEM, "out of memory");
	e = rp_sums(q, r, err);
	if (e == 0)
		e = rp_flows(q, r, err);
	if (e == 0)
		e = rp_watched(q, r, err);
	return e < 0 ? e : rp_databases(q, r, err);
}

static int
run(struct q *q, int argc, char **argv)
{
	struct ctf_err err = { .msg = "" };
	const char *path = q_opt(q, "html");
	struct q_words w = { .expr = NULL };
	struct rp r = { .title = NULL };
	int e;

	if (!path || !*path)
		return q_usage(q, "--html FILE is missing");
	e = q_words(q, argc, argv, Q_W_SINCE | Q_W_UNTIL, &w, &err);
	if (e == 0)
		e = make(q, &w, &r, &err);
	q_progress_end(q);
	if (e == 0)
		e = replace(path, &r, &err);
	rp_free(&r);
	q_words_free(&w);
	return e < 0 ? q_failed(q, e, &err) : 0;
}

const struct q_verb q_verb_report = {
	.name = "report",
	.args = "--html FILE [since TIME] [until TIME]",
	.doc = "a page with charts: traffic, top talkers, services, NAT pool, gaps",
	.options = options,
	.run = run,
};
