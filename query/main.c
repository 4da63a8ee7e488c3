/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - ctflow: asks the databases that ctflowd keeps. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "given.h"
#include "query.h"

#define VERB(name) extern const struct q_verb q_verb_##name;
#include "verbs.h"
#undef VERB

static const struct q_verb *const verbs[] = {
#define VERB(name) &q_verb_##name,
#include "verbs.h"
#undef VERB
};
#define VERBS (sizeof(verbs) / sizeof(*verbs))

static const struct q_option common[] = {
	{ "db", "FILE", "the database, or clickhouse://HOST/NAME, instead of those configured",
	  'd', true },
	{ "config", "FILE", "the configuration that names the databases", 'c' },
	{ "table", "NAME", "only this table of flows" },
	{ "exporter", "NAME", "of a server only this daemon's; again for more", 0, true },
	{ "output", "FORMAT", "table, json, ndjson, csv or tsv", 'o' },
	{ "utc", NULL, "times of people in UTC, too", 'u' },
	{ "color", "WHEN", "auto, always or never" },
	{ "help", NULL, "this, or the help of a verb", 'h' },
	{ "version", NULL, "which version this is", 'V' },
	{ NULL },
};

/* ---- help ------------------------------------------------------------------- */

static void
options_help(FILE *f, const struct q_option *o)
{
	for (; o && o->name; o++) {
		char text[64];

		snprintf(text, sizeof(text), "%c%c%s --%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
			 o->arg ? "=" : "", o->arg ? o->arg : "");
		fprintf(f, "  %-22s %s\n", text, o->doc);
	}
}

static void
help(FILE *f, const struct q_verb *v)
{
	if (v) {
		fprintf(f, "usage: ctflow %s%s%s\n%s\n", v->name, *v->args ? " " : "", v->args,
			v->doc);
		if (v->options) {
			fputs("\noptions:\n", f);
			options_help(f, v->options);
		}
	} else {
		fputs("usage: ctflow VERB ...\n\n", f);
		for (unsigned i = 0; i < VERBS; i++)
			fprintf(f, "  %-8s %s\n", verbs[i]->name, verbs[i]->doc);
	}
	fputs("\ncommon options:\n", f);
	options_help(f, common);
	fputs("\nctflow(1) has an example for each question.\n", f);
}

/* ---- the command line ----------------------------------------------------------- */

static const struct q_verb *
verb_find(const char *name)
{
	for (unsigned i = 0; i < VERBS; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static const struct q_option *
option_of(const struct q_verb *v, const char *word, size_t len, char letter)
{
	const struct q_option *tables[] = { common, v ? v->options : NULL };

	for (unsigned t = 0; t < 2; t++)
		for (const struct q_option *o = tables[t]; o && o->name; o++)
			if (word ? strlen(o->name) == len && !strncmp(o->name, word, len)
				 : o->letter && o->letter == letter)
				return o;
	return NULL;
}

struct line { /* the command line being read */
	struct q *q;
	int argc, i;
	char **argv;
	int n; /* words kept so far, in front */
};

static int
take_option(struct line *l, const struct q_option *o, const char *value)
{
	if (!o->arg && value)
		return q_usage(l->q, "--%s takes no value", o->name);
	if (o->arg && !value && l->i + 1 < l->argc)
		value = l->argv[++l->i];
	if (o->arg && !value)
		return q_usage(l->q, "--%s: %s is missing", o->name, o->arg);
	if (!o->many && q_opt(l->q, o->name))
		return q_usage(l->q, "--%s is given twice", o->name);
	return given_add(l->q, o->name, value ? value : "") < 0 ? Q_FAILED : 0;
}

static int
long_option(struct line *l, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct q_option *o = option_of(l->q->verb, word, len, 0);

	if (!o)
		return q_usage(l->q, "unknown option --%.*s", (int)len, word);
	return take_option(l, o, word[len] ? word + len + 1 : NULL);
}

static int
short_options(struct line *l, const char *word)
{
	for (; *word; word++) {
		const struct q_option *o = option_of(l->q->verb, NULL, 0, *word);
		int r;

		if (!o)
			return q_usage(l->q, "unknown option -%c", *word);
		if (o->arg)
			return take_option(l, o, word[1] ? word + 1 : NULL);
		r = take_option(l, o, NULL);
		if (r)
			return r;
	}
	return 0;
}

/* The verb is the first word that is no option, nor belongs to one. */
static int
find_verb(struct line *l)
{
	for (int i = 1; i < l->argc; i++) {
		const char *w = l->argv[i];
		const struct q_option *o;

		if (w[0] != '-' || !w[1]) {
			l->q->verb = verb_find(w);
			if (!l->q->verb)
				return q_usage(l->q, "unknown verb \"%s\"", w);
			return 0;
		}
		o = w[1] == '-' ? option_of(NULL, w + 2, strlen(w + 2), 0)
				: option_of(NULL, NULL, 0, w[strlen(w) - 1]);
		if (o && o->arg)
			i++;
	}
	return 0;
}

/* Leaves the words, the verb first, in argv[0..n). */
static int
read_line(struct line *l)
{
	bool words_only = false;
	int r = find_verb(l);

	for (l->i = 1; l->i < l->argc && r == 0; l->i++) {
		char *w = l->argv[l->i];

		if (words_only || w[0] != '-' || !w[1])
			l->argv[l->n++] = w;
		else if (strcmp(w, "--") == 0)
			words_only = true;
		else
			r = w[1] == '-' ? long_option(l, w + 2) : short_options(l, w + 1);
	}
	return r;
}

/* ---- settings --------------------------------------------------------------------- */

static int
format_set(struct q *q)
{
	static const char *const names[] = { "table", "json", "ndjson", "csv", "tsv" };
	const char *o = q_opt(q, "output");

	for (unsigned i = 0; o && i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(o, names[i]) == 0) {
			q->format = (enum q_format)i;
			return 0;
		}
	return o ? q_usage(q, "-o %s: table, json, ndjson, csv or tsv is expected", o) : 0;
}

static int
terminal_set(struct q *q)
{
	const char *when = q_opt(q, "color"), *term = getenv("TERM");
	struct winsize w;

	q->terminal = isatty(STDOUT_FILENO);
	q->progress = isatty(STDERR_FILENO);
	q->colours = q->terminal && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
	if (when && strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 &&
	    strcmp(when, "never") != 0)
		return q_usage(q, "--color=%s: auto, always or never is expected", when);
	if (when && strcmp(when, "auto") != 0)
		q->colours = strcmp(when, "always") == 0;
	if (q->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
		q->width = w.ws_col;
	return 0;
}

static int
now_set(struct q *q)
{
	const char *text = getenv("CTFLOW_NOW");
	struct ctf_err err = { .msg = "" };

	q->now_ns = (int64_t)ctf_now();
	if (text && q_when(q, text, &q->now_ns, &err) < 0) {
		q_say(q, "CTFLOW_NOW: %s", err.msg);
		return Q_FAILED;
	}
	return 0;
}

static int
settings(struct q *q)
{
	int r = format_set(q);

	if (r == 0 && q_opt(q, "exporter") && !q->verb->server)
		return q_usage(q, "--exporter is for what is asked of a server");
	q->table = q_opt(q, "table");
	q->utc = q_opt(q, "utc") != NULL;
	if (r == 0)
		r = terminal_set(q);
	return r == 0 ? now_set(q) : r;
}

/* ---- running -------------------------------------------------------------------------- */

static int
run(struct q *q, int argc, char **argv)
{
	struct ctf_err err = { .msg = "" };
	int r = q->verb->offline ? 0 : q_dbs_open(q, &err);

	if (r < 0)
		return q_failed(q, r, &err);
	r = q->verb->run(q, argc - 1, argv + 1);
	q_progress_end(q);
	return q_cancelled(q) ? Q_INTERRUPTED : r;
}

int
main(int argc, char **argv)
{
	struct q q = { .format = Q_TABLE };
	struct line l = { .q = &q, .argc = argc, .argv = argv };
	int r;

	setlocale(LC_TIME, "");
	q_signals();
	r = read_line(&l);
	if (r == 0 && q_opt(&q, "help")) {
		help(stdout, q.verb);
	} else if (r == 0 && q_opt(&q, "version")) {
		puts("ctflow " PACKAGE_VERSION);
	} else if (r == 0 && !q.verb) {
		help(stderr, NULL);
		r = Q_USAGE;
	} else if (r == 0) {
		r = settings(&q);
		if (r == 0)
			r = run(&q, l.n, argv);
	}
	q_dbs_close(&q);
	given_free(&q);
	if (fflush(stdout) != 0 && r == 0)
		r = q_out_failed(&q, errno);
	return r;
}
