/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "packets.h"
#include "setup.h"
#include "split.h"

enum side { FLOWS = 1, PACKETS = 2, BOTH = 3 }; /* 0: nobody names it */

struct text_line {
	char *text; /* with its newline, if it has one */
	unsigned side;
};

struct split {
	const char *file;
	struct setup setup;
	struct diag diag;
	struct text_line *line;
	size_t n, room;
	mode_t mode;
};

/* ---- the stacks ---- */

/* The next "id:PLUGIN" of a stack: its id, and its plugin after the colon. */
static bool
next_member(const char **at, char *ret_id, size_t size, const char **ret_plugin)
{
	size_t len;
	char *colon;

	*at += strspn(*at, ",");
	len = strcspn(*at, ",");
	if (len == 0 || len >= size)
		return false;
	memcpy(ret_id, *at, len);
	ret_id[len] = '\0';
	*at += len;
	colon = strchr(ret_id, ':');
	*ret_plugin = colon ? colon + 1 : "";
	if (colon)
		*colon = '\0';
	return true;
}

/* Of ctflowd, or of a module that the file loads; "" when all are. */
static void
unknown_in(struct split *s, const char *stack, char ret_name[256])
{
	const char *plugin;
	char id[256];

	*ret_name = '\0';
	while (next_member(&stack, id, sizeof(id), &plugin)) {
		struct ctf_err err;

		if (plugin_is_ours(plugin) || plugin_find(s->setup.plugins, plugin, &err))
			continue;
		snprintf(ret_name, 256, "%s", plugin);
		return;
	}
}

static enum side
side_of(struct split *s, const struct stack *st)
{
	char name[256];

	unknown_in(s, st->text, name);
	return st->foreign || *name ? PACKETS : FLOWS;
}

static unsigned
count(struct split *s, enum side side)
{
	unsigned n = 0;

	for (const struct stack *st = s->setup.plan.stacks; st; st = st->next)
		n += !st->of && side_of(s, st) == side;
	return n;
}

/* ---- whose line it is ---- */

static void
mark(struct split *s, size_t line, unsigned side)
{
	if (line && line <= s->n)
		s->line[line - 1].side |= side;
}

/* The number behind a section's last line. */
static size_t
end_of(const struct split *s, const struct conf_section *sec)
{
	const struct conf *c = s->setup.conf;

	for (size_t i = 0; i < c->n_sections; i++)
		if (c->section[i].line > sec->line)
			return c->section[i].line;
	return s->n + 1;
}

static void
mark_sections(struct split *s, const char *stack, unsigned side)
{
	const struct conf_section *sec;
	const char *plugin;
	char id[256];

	while (next_member(&stack, id, sizeof(id), &plugin)) {
		sec = conf_find(s->setup.conf, id);
		for (size_t i = sec ? sec->line : 1, end = sec ? end_of(s, sec) : 0; i < end;
		     i++)
			mark(s, i, side);
	}
}

static void
mark_all(struct split *s)
{
	const struct conf_section *global = conf_find(s->setup.conf, "global");
	const struct conf_entry *e = NULL;

	for (const struct stack *st = s->setup.plan.stacks; st; st = st->next) {
		if (st->of)
			continue;
		mark(s, st->line, side_of(s, st));
		mark_sections(s, st->text, side_of(s, st));
	}
	while (global && (e = conf_next(global, "plugin", e)))
		mark(s, e->line, packets_file(e->value) ? PACKETS : BOTH);
	while (global && (e = conf_next(global, "logfile", e)))
		mark(s, e->line, BOTH);
}

/* ---- the report ---- */

static bool
concerns(const struct split *s, const struct diag_item *d, const struct stack *st)
{
	const char *at = st->text, *plugin;
	char id[256];

	if (d->line == st->line)
		return true;
	while (next_member(&at, id, sizeof(id), &plugin)) {
		const struct conf_section *sec = conf_find(s->setup.conf, id);

		if (sec && d->line >= sec->line && d->line < end_of(s, sec))
			return true;
	}
	return false;
}

static void
print_item(FILE *f, const struct diag_item *d)
{
	char *text = diag_text(d);

	fprintf(f, "    %s\n", text ? text : d->text);
	free(text);
}

/* How many things are said of it; f may be NULL. */
static unsigned
print_items(FILE *f, const struct split *s, const struct stack *st)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->diag.n; i++) {
		if (!concerns(s, &s->diag.item[i], st))
			continue;
		if (f)
			print_item(f, &s->diag.item[i]);
		n++;
	}
	return n;
}

enum fate { AS_BEFORE, DIFFERS, REFUSED };

static void
print_fate(FILE *f, struct split *s, enum fate which, const char *title)
{
	bool any = false;

	for (const struct stack *st = s->setup.plan.stacks; st; st = st->next) {
		if (st->of || side_of(s, st) != FLOWS ||
		    which != (st->bad                    ? REFUSED
			      : print_items(NULL, s, st) ? DIFFERS
							 : AS_BEFORE))
			continue;
		fprintf(f, "%s  %s:%u: %s\n", any ? "" : title, s->file, st->line, st->text);
		print_items(f, s, st);
		any = true;
	}
}

static void
print_left(FILE *f, struct split *s)
{
	char why[256], name[256];
	bool any = false;

	for (const struct stack *st = s->setup.plan.stacks; st; st = st->next) {
		if (st->of || side_of(s, st) != PACKETS)
			continue;
		fprintf(f, "%s  %s:%u: %s\n", any ? "" : "\nfor ulogd2:\n", s->file, st->line,
			st->text);
		unknown_in(s, st->text, name);
		if (packets_in(st->text, why, sizeof(why)))
			fprintf(f, "    %s\n", why);
		else
			fprintf(f, "    ctflowd has no plugin %s\n", name);
		any = true;
	}
}

static void
print_path(FILE *f, const struct split *s, const struct conf_entry *e, const char **title)
{
	if (!e || !e->value || !strchr(e->value, '/') || s->line[e->line - 1].side != BOTH)
		return;
	fprintf(f, "%s  %s:%u: %s=%s\n", *title, s->file, e->line, e->key, e->value);
	*title = "";
}

/* What both daemons would write to. */
static void
print_shared(FILE *f, const struct split *s)
{
	static const char *const keys[] = { "file", "db" };
	const char *title = "\nwritten by both, give one of them another name:\n";
	const struct conf_section *global = conf_find(s->setup.conf, "global");

	print_path(f, s, conf_next(global, "logfile", NULL), &title);
	for (const struct inst *in = s->setup.plan.insts; in; in = in->next)
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
			if (in->plugin->role == CTF_OUTPUT && in->sec && !in->of)
				print_path(f, s, conf_next(in->sec, keys[k], NULL), &title);
}

static void
print_report(FILE *f, struct split *s, const char *dir)
{
	unsigned flows = count(s, FLOWS), packets = count(s, PACKETS);

	fprintf(f, "%s: %u stack%s for %s/ctflowd.conf, %u for %s/ulogd.conf\n", s->file, flows,
		flows == 1 ? "" : "s", dir, packets, dir);
	if (!packets)
		fprintf(f, "No packet is logged: ulogd2 is not needed any more.\n");
	print_fate(f, s, AS_BEFORE, "\nruns as before:\n");
	print_fate(f, s, DIFFERS, "\nruns, but:\n");
	print_fate(f, s, REFUSED, "\nrefused until it is mended:\n");
	print_left(f, s);
	if (flows && packets)
		print_shared(f, s);
}

/* ---- files ---- */

/* Takes the text. */
static int
add_line(struct split *s, char *text)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct text_line *l = reallocarray(s->line, room, sizeof(*l));

		if (!l) {
			free(text);
			return -ENOMEM;
		}
		s->line = l;
		s->room = room;
	}
	s->line[s->n++] = (struct text_line){ text, 0 };
	return 0;
}

static int
read_lines(struct split *s)
{
	FILE *f = fopen(s->file, "re");
	struct stat st;
	int ret = f && fstat(fileno(f), &st) == 0 ? 0 : -errno;

	while (!ret) {
		char *text = NULL;
		size_t room = 0;

		if (getline(&text, &room, f) < 0) {
			free(text);
			break;
		}
		ret = add_line(s, text);
	}
	if (!ret && ferror(f))
		ret = -EIO;
	if (f)
		fclose(f);
	if (ret) {
		errno = -ret;
		log_fatal("%s", s->file);
		return ret;
	}
	s->mode = st.st_mode & 0777;
	return 0;
}

static FILE *
create(const char *dir, const char *name, mode_t mode)
{
	char path[PATH_MAX];
	int fd;
	FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd >= 0)
		f = fdopen(fd, "w");
	if (!f) {
		log_fatal("%s", path);
		if (fd >= 0)
			close(fd);
	}
	return f;
}

static int
finish(FILE *f, const char *dir, const char *name)
{
	bool bad = ferror(f);

	if (fclose(f) || bad) {
		log_fatal("%s/%s", dir, name);
		return -EIO;
	}
	return 0;
}

/* The file of one side; the other's name stands where its lines were. */
static int
write_side(const struct split *s, const char *dir, const char *name, enum side side,
	   const char *other)
{
	FILE *f = create(dir, name, s->mode);

	if (!f)
		return -EIO;
	for (size_t i = 0; i < s->n; i++) {
		const struct text_line *l = &s->line[i];

		if (l->side && !(l->side & side))
			fprintf(f, "# in %s\n", other);
		else
			fprintf(f, "%s%s", l->text, strchr(l->text, '\n') ? "" : "\n");
	}
	return finish(f, dir, name);
}

static int
write_report(struct split *s, const char *dir, FILE *out)
{
	FILE *f = create(dir, "split.txt", 0644);

	if (!f)
		return -EIO;
	print_report(f, s, dir);
	print_report(out, s, dir);
	return finish(f, dir, "split.txt");
}

int
split_conf(const char *file, const char *dir, FILE *out)
{
	struct split s = { .file = file };
	int code = 1;

	if (mkdir(dir, 0755) && errno != EEXIST) {
		log_fatal("%s", dir);
		return 1;
	}
	(void)setup_again(&s.setup, file, &s.diag);
	if (!s.setup.plan.stacks) {
		diag_log(&s.diag);
		log_fatalx("%s: there is no stack to divide", file);
	} else if (!read_lines(&s)) {
		mark_all(&s);
		code = write_side(&s, dir, "ctflowd.conf", FLOWS, "ulogd.conf") ||
		       write_side(&s, dir, "ulogd.conf", PACKETS, "ctflowd.conf") ||
		       write_report(&s, dir, out);
	}
	for (size_t i = 0; i < s.n; i++)
		free(s.line[i].text);
	free(s.line);
	diag_free(&s.diag);
	setup_free(&s.setup);
	return code;
}
