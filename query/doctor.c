/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor.c - the verb `doctor`: runs the checks and shows what they found. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name; /* what it does when it takes long */
	void (*run)(struct doctor *);
} checks[] = {
	{ "daemon", dr_check_daemon },
	{ "state", dr_check_state },
	/* whoever opens them as root gives their files to the right owner */
	{ "databases", dr_check_databases },
	{ "configuration", dr_check_conf },
	{ "modules", dr_check_modules },
	{ "settings", dr_check_settings },
	{ "table", dr_check_table },
	{ "timeouts", dr_check_timeouts },
	{ "hooks", dr_check_hooks },
	{ "offload", dr_check_offload },
	{ "notrack", dr_check_notrack },
	{ "listeners", dr_check_listeners },
	{ "buffers", dr_check_buffers },
	{ "clock", dr_check_clock },
	{ "interfaces", dr_check_links },
	{ "spools", dr_check_spools },
};
#define CHECKS (sizeof(checks) / sizeof(*checks))

/* ---- findings ---------------------------------------------------------------------- */

/* Whether a comma-separated list has the word. */
static bool
listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; p && *p; p += strspn(p, ",")) {
		size_t len = strcspn(p, ",");

		if (len == n && strncmp(p, word, n) == 0)
			return true;
		p += len;
	}
	return false;
}

static char *
text_of(struct doctor *d, const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		d->no_memory = true;
		return NULL;
	}
	return text;
}

void
dr_find(struct doctor *d, enum dr_level level, const char *check, const char *fmt, ...)
{
	struct dr_finding *more;
	va_list ap;

	d->skipped = listed(d->skip, check) || listed(d->skip, d->check);
	if (d->skipped)
		return;
	more = realloc(d->found, (d->n + 1) * sizeof(*more));
	if (!more) {
		d->skipped = d->no_memory = true;
		return;
	}
	d->found = more;
	va_start(ap, fmt);
	more[d->n++] = (struct dr_finding){ level, check, text_of(d, fmt, ap), NULL };
	va_end(ap);
}

void
dr_fix(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	if (d->skipped)
		return;
	va_start(ap, fmt);
	d->found[d->n - 1].fix = text_of(d, fmt, ap);
	va_end(ap);
}

void
dr_unread(struct doctor *d, const char *fmt, ...)
{
	char **more = realloc(d->not_read, (d->unread + 1) * sizeof(*more));
	va_list ap;

	if (!more || listed(d->skip, d->check))
		return;
	d->not_read = more;
	va_start(ap, fmt);
	more[d->unread] = text_of(d, fmt, ap);
	va_end(ap);
	if (more[d->unread])
		d->unread++;
}

/* ---- output ------------------------------------------------------------------------- */

static const char *const words[] = { "hint", "note", "warning", "error" };

static void
print_finding(const struct doctor *d, const struct dr_finding *f)
{
	static const char *const colours[] = { "\033[2m", "\033[36m", "\033[33m", "\033[31m" };
	bool c = d->q->colours;

	printf("%s%s%s %s: %s\n", c ? colours[f->level] : "", words[f->level],
	       c ? "\033[0m" : "", f->check, f->what ? f->what : "");
	if (f->fix)
		printf("    %s\n", f->fix);
}

static void
print_people(const struct doctor *d)
{
	unsigned wrong = 0;

	for (enum dr_level level = DR_ERROR;; level--) {
		for (unsigned i = 0; i < d->n; i++)
			if (d->found[i].level == level) {
				wrong += level > DR_HINT;
				print_finding(d, &d->found[i]);
			}
		if (level == DR_HINT)
			break;
	}
	for (unsigned i = 0; i < d->unread; i++)
		printf("not checked: %s\n", d->not_read[i]);
	if (!wrong)
		printf("%u checks, nothing wrong\n", d->checks);
}

static const struct q_col cols[] = {
	{ .name = "level", .type = Q_TEXT },
	{ .name = "check", .type = Q_TEXT },
	{ .name = "what", .type = Q_TEXT },
	{ .name = "command", .type = Q_TEXT },
};

static int
row(struct q *q, const char *level, const char *check, const char *what, const char *fix)
{
	q_cell_text(q, level);
	q_cell_text(q, check);
	q_cell_text(q, what);
	q_cell_text(q, fix);
	return q_row_end(q);
}

static int
print_rows(const struct doctor *d)
{
	struct q *q = d->q;
	int r = q_out_begin(q, cols, sizeof(cols) / sizeof(*cols));

	for (unsigned i = 0; i < d->n && r == 0; i++)
		r = row(q, words[d->found[i].level], d->found[i].check, d->found[i].what,
			d->found[i].fix);
	for (unsigned i = 0; i < d->unread && r == 0; i++)
		r = row(q, "unread", "", d->not_read[i], NULL);
	return r == 0 ? q_out_end(q) : r;
}

static int
code_of(const struct doctor *d)
{
	int code = 0;

	for (unsigned i = 0; i < d->n; i++) {
		if (d->found[i].level == DR_ERROR)
			return 2;
		if (d->found[i].level > DR_HINT)
			code = 1;
	}
	return code;
}

/* ---- all of it ------------------------------------------------------------------------- */

/* NFCT may listen in another namespace: there is where to look. */
static void
enter(struct doctor *d)
{
	for (unsigned i = 0; i < d->conf.n; i++) {
		const struct st_member *m = &d->conf.members[i];
		const char *path = st_is(m, "NFCT") ? st_value(m, "netns", "") : "";
		char word[DR_WORD];
		int fd;

		if (!*path)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0)
			snprintf(d->inside, sizeof(d->inside), "nsenter --net=%.280s ",
				 dr_word(word, path));
		else
			dr_unread(d, "the namespace %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
}

static void
free_all(struct doctor *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		free(d->found[i].what);
		free(d->found[i].fix);
	}
	for (unsigned i = 0; i < d->unread; i++)
		free(d->not_read[i]);
	free(d->not_read);
	free(d->found);
	state_look_close(&d->page);
	st_conf_free(&d->conf);
}

static int
run_all(struct doctor *d)
{
	d->check = "configuration";
	if (dr_load_conf(d))
		enter(d);
	for (unsigned i = 0; i < CHECKS; i++) {
		d->check = checks[i].name;
		if (listed(d->skip, d->check))
			continue;
		if (q_cancelled(d->q))
			return -EINTR;
		checks[i].run(d);
		d->checks++;
	}
	return d->no_memory ? -ENOMEM : 0;
}

static int
run(struct q *q, int argc, char **argv)
{
	struct doctor d = { .q = q, .root = geteuid() == 0, .skip = q_opt(q, "skip") };
	struct ctf_err err = { 0 };
	int r, code;

	if (argc)
		return q_usage(q, "\"%s\" is too much", argv[0]);
	r = run_all(&d);
	if (r == 0 && q->format == Q_TABLE)
		print_people(&d);
	else if (r == 0)
		r = print_rows(&d);
	if (r < 0) {
		ctf_fail(&err, -r, "%s", strerror(-r));
		code = q_failed(q, r, &err);
	} else {
		code = code_of(&d);
	}
	free_all(&d);
	return code;
}

static const struct q_option options[] = {
	{ .name = "skip",
	  .arg = "CHECK,...",
	  .doc = "leave these out: names that stand in the output" },
	{ .name = "user", .arg = "NAME", .doc = "whose rights count, if ctflowd does not run" },
	{ NULL },
};

const struct q_verb q_verb_doctor = {
	.name = "doctor",
	.args = "",
	.doc = "what is wrong with this host's setup, and the commands that mend it",
	.options = options,
	.run = run,
	.offline = true,
};
