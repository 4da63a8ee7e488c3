/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ulogd.conf text -> sections and entries that know their lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

#define CONF_MAX_BYTES (64u << 20) /* so that /dev/zero ends, too */

#define BLANKS " \t\r"
#define IN_SECTION BLANKS "="
#define IN_HEADER BLANKS "[]"

enum word { WORD, NO_WORD, OPEN_QUOTE };

struct reader {
	struct conf *conf;
	struct diag *diag;
	char *words; /* the next free byte of conf->words */
	unsigned line;
	bool in_section; /* or after a word that may be a header */
};

static enum word
next_word(const char **line, const char *delims, const char **ret_word, size_t *ret_len)
{
	const char *p = *line + strspn(*line, delims);
	size_t len;

	if (!*p) {
		*line = p;
		return NO_WORD;
	}
	if (*p == '"') {
		len = strcspn(p + 1, "\"");
		if (!p[1 + len]) {
			*line = p;
			return OPEN_QUOTE;
		}
		*ret_word = p + 1;
		*line = p + len + 2;
	} else {
		len = strcspn(p, delims);
		*ret_word = p;
		*line = p + len;
	}
	*ret_len = len;
	return WORD;
}

static const char *
keep(struct reader *r, const char *s, size_t len)
{
	char *copy = r->words;

	memcpy(copy, s, len);
	copy[len] = '\0';
	r->words += len + 1;
	return copy;
}

/* Without the blanks around it. */
static const char *
keep_rest(struct reader *r, const char *s)
{
	size_t len;

	s += strspn(s, BLANKS);
	len = strlen(s);
	while (len && strchr(BLANKS, s[len - 1]))
		len--;
	return keep(r, s, len);
}

static bool
is_comment(const char *s)
{
	return *s == '#' || *s == ';';
}

/* The array has room for one more; full at each power of two. */
static void *
grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return reallocarray(array, n ? 2 * n : 1, size);
}

/* Until all entries are there, n is the index of the section's first one. */
static int
add_section(struct reader *r, struct conf_section **array, size_t *n, const char *name)
{
	struct conf_section *s = grow(*array, *n, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*array = s;
	s[(*n)++] = (struct conf_section){
		.name = name,
		.line = r->line,
		.n = r->conf->n_entries,
	};
	return 0;
}

static int
read_header(struct reader *r, const char *line)
{
	const char *word = "";
	size_t len = 0;
	enum word w = next_word(&line, IN_HEADER, &word, &len);

	if (w == WORD) {
		line += strspn(line, IN_HEADER);
		if (*line && !is_comment(line))
			diag_warn(r->diag, r->conf->file, r->line,
				  "text after [%.*s] ignored: \"%.60s\"", (int)len, word, line);
	} else {
		diag_warn(r->diag, r->conf->file, r->line, "section without a name");
	}
	r->in_section = true;
	return add_section(r, &r->conf->section, &r->conf->n_sections, keep(r, word, len));
}

/* A line that may be a header without brackets; its entry has been added. */
static int
read_bare(struct reader *r, const char *line)
{
	const struct conf_entry *e = &r->conf->entry[r->conf->n_entries - 1];
	const char *word;
	size_t len;

	if (next_word(&line, IN_HEADER, &word, &len) != WORD || memchr(word, '=', len))
		return 0;
	if (!e->value && !*e->rest)
		r->in_section = true;
	return add_section(r, &r->conf->bare, &r->conf->n_bare, keep(r, word, len));
}

static int
read_entry(struct reader *r, const char *line)
{
	struct conf *c = r->conf;
	struct conf_entry *e = grow(c->entry, c->n_entries, sizeof(*e));
	const char *word, *p = line;
	size_t len;
	enum word w;

	if (!e)
		return -ENOMEM;
	c->entry = e;
	e += c->n_entries++;
	*e = (struct conf_entry){ .key = "", .line = r->line };
	w = next_word(&p, IN_SECTION, &word, &len);
	if (w == WORD) {
		e->key = keep(r, word, len);
		w = next_word(&p, IN_SECTION, &word, &len);
		if (w == WORD)
			e->value = keep(r, word, len);
	}
	e->open_quote = w == OPEN_QUOTE;
	e->rest = keep_rest(r, p);
	if (e->value && !r->in_section)
		diag_warn(r->diag, c->file, r->line,
			  "\"%.60s\" ignored, it stands before the first section", e->key);
	return read_bare(r, line);
}

/* line: without its newline. */
static int
read_line(struct reader *r, const char *line)
{
	const char *p = line + strspn(line, BLANKS);

	if (!*p || is_comment(p))
		return 0;
	p = line + strspn(line, IN_SECTION);
	if (*p == '"' && strchr(p + 1, '"'))
		p++; /* "[x]" is a header as well, of a section [x] */
	return *p == '[' ? read_header(r, line) : read_entry(r, line);
}

static int
read_text(struct reader *r, char *p, char *end)
{
	int ret = 0;

	if (end - p >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3; /* some editors put a byte order mark there */
	for (; ret == 0 && p < end; p++) {
		char *line = p, *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl : end;
		*p = '\0';
		r->line++;
		if (strlen(line) < (size_t)(p - line))
			diag_warn(r->diag, r->conf->file, r->line,
				  "rest of the line after a NUL byte ignored");
		ret = read_line(r, line);
	}
	return ret;
}

/* An entry begins where n says and ends where the next [section] begins. */
static void
link_sections(struct conf *c, struct conf_section *s, size_t n)
{
	size_t next = 0;

	for (size_t i = 0; i < n; i++) {
		size_t first = s[i].n, end = c->n_entries;

		while (next < c->n_sections && c->section[next].line <= s[i].line)
			next++;
		if (next < c->n_sections)
			end = (size_t)(c->section[next].entry - c->entry);
		s[i].entry = c->entry + first;
		s[i].n = end - first;
	}
}

static int
by_name(const void *va, const void *vb)
{
	const struct conf_section *const *a = va, *const *b = vb;
	int d = strcmp((*a)->name, (*b)->name);

	return d ? d : (*a)->line < (*b)->line ? -1 : 1;
}

static int
warn_repeated(const struct conf *c, struct diag *diag)
{
	const struct conf_section **s, *first;

	if (c->n_sections < 2)
		return 0;
	s = calloc(c->n_sections, sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_sections; i++)
		s[i] = &c->section[i];
	qsort(s, c->n_sections, sizeof(*s), by_name);
	first = s[0];
	for (size_t i = 1; i < c->n_sections; i++) {
		if (strcmp(s[i]->name, first->name))
			first = s[i];
		else
			diag_warn(diag, c->file, s[i]->line,
				  "[%s] ignored, line %u has that section already", s[i]->name,
				  first->line);
	}
	free(s);
	return 0;
}

static void
link_all(struct conf *c)
{
	/* entry is the end of the section before, so it is set for all first. */
	for (size_t i = 0; i < c->n_sections; i++)
		c->section[i].entry = c->entry + c->section[i].n;
	link_sections(c, c->bare, c->n_bare);
	for (size_t i = 0; i < c->n_sections; i++) {
		size_t end = i + 1 < c->n_sections ? c->section[i + 1].n : c->n_entries;

		c->section[i].n = end - c->section[i].n;
	}
}

int
conf_parse(const char *text, size_t len, const char *file, struct conf **ret_conf,
	   struct diag *diag)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct reader r = { .conf = c, .diag = diag };
	char *copy = malloc(len + 1);
	int ret = -ENOMEM;

	if (!c || !copy)
		goto out;
	c->file = strdup(file);
	/*
	 * Of a line at most all characters twice (once as a possible header) and
	 * four NULs are kept; it has at least one character and a newline.
	 */
	c->words = malloc(4 * len + 8);
	c->entry = malloc(sizeof(*c->entry)); /* sections point there even without any */
	if (!c->file || !c->words || !c->entry)
		goto out;
	if (len)
		memcpy(copy, text, len);
	r.words = c->words;
	ret = read_text(&r, copy, copy + len);
	if (ret < 0)
		goto out;
	link_all(c);
	ret = warn_repeated(c, diag);
	if (ret < 0)
		goto out;
	*ret_conf = c;
	c = NULL;
out:
	free(copy);
	conf_free(c);
	return ret;
}

static int
read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, cap = 0;
	char *text = NULL, *more;
	ssize_t n;
	int ret;

	for (;;) {
		if (len == cap) {
			ret = cap > CONF_MAX_BYTES ? -EFBIG : -ENOMEM;
			cap = cap ? 2 * cap : 16384;
			more = ret == -EFBIG ? NULL : realloc(text, cap);
			if (!more)
				goto fail;
			text = more;
		}
		n = read(fd, text + len, cap - len);
		if (n == 0)
			break;
		ret = -errno;
		if (n < 0 && errno != EINTR)
			goto fail;
		len += n > 0 ? (size_t)n : 0;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
fail:
	free(text);
	return ret;
}

int
conf_load(const char *path, struct conf **ret_conf, struct diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), ret;
	char *text = NULL;
	size_t len = 0;

	ret = fd < 0 ? -errno : read_all(fd, &text, &len);
	if (ret == 0)
		ret = conf_parse(text, len, path, ret_conf, diag);
	if (ret < 0)
		diag_error(diag, path, 0, "cannot be read: %s", strerror(-ret));
	free(text);
	if (fd >= 0)
		close(fd);
	return ret;
}

void
conf_free(struct conf *c)
{
	if (!c)
		return;
	free(c->file);
	free(c->section);
	free(c->entry);
	free(c->bare);
	free(c->words);
	free(c);
}

/* Nothing but the word stands in its line. */
static bool
is_alone(const struct conf_section *bare)
{
	const struct conf_entry *e = bare->entry - 1;

	return !e->value && !*e->rest;
}

const struct conf_section *
conf_find(const struct conf *c, const char *name)
{
	const struct conf_section *found = NULL, *spare = NULL;

	for (size_t i = 0; !found && i < c->n_sections; i++)
		if (!strcmp(c->section[i].name, name))
			found = &c->section[i];
	for (size_t i = 0; i < c->n_bare; i++) {
		const struct conf_section *s = &c->bare[i];

		if (strcmp(s->name, name))
			continue;
		if (is_alone(s) && (!found || s->line < found->line))
			return s;
		if (!spare)
			spare = s;
	}
	return found ? found : spare;
}

const struct conf_entry *
conf_next(const struct conf_section *s, const char *key, const struct conf_entry *prev)
{
	const struct conf_entry *e = prev ? prev + 1 : s->entry;

	for (; e < s->entry + s->n; e++)
		if (e->value && !strcmp(e->key, key))
			return e;
	return NULL;
}

void
conf_warn(const struct conf_entry *e, const char *file, struct diag *diag)
{
	if (e->open_quote)
		diag_warn(diag, file, e->line, "ignored, a quote is not closed: %.60s",
			  e->rest);
	else if (!e->value)
		diag_warn(diag, file, e->line, "\"%.60s\" ignored, no value", e->key);
	else if (*e->rest && !is_comment(e->rest))
		diag_warn(diag, file, e->line,
			  "text after the value of \"%.60s\" ignored: \"%.60s\"", e->key,
			  e->rest);
}

/* A word without quotes around it; = would be no delimiter in a header. */
static bool
is_plain(const char *s)
{
	return *s && *s != '"' && !strpbrk(s, IN_SECTION);
}

bool
conf_is_word(const char *s)
{
	return !strchr(s, '\n') && (!strchr(s, '"') || is_plain(s));
}

void
conf_print_word(FILE *f, const char *s)
{
	/* A word with a quote in it came without quotes around it. */
	if (strchr(s, '"') || (is_plain(s) && !strpbrk(s, "#;[]'")))
		fputs(s, f);
	else
		fprintf(f, "\"%s\"", s);
}

static void
print_entry(FILE *f, const struct conf_entry *e)
{
	if (is_comment(e->key))
		fputc('=', f);
	if (*e->key || !e->open_quote) {
		conf_print_word(f, e->key);
		fputc('=', f);
	}
	if (e->value)
		conf_print_word(f, e->value);
	else if (e->open_quote)
		fputs(e->rest, f);
	fputc('\n', f);
}

void
conf_print(FILE *f, const struct conf *c)
{
	for (size_t i = 0; i < c->n_sections; i++) {
		const struct conf_section *s = &c->section[i];

		fputc('[', f);
		conf_print_word(f, s->name);
		fputs("]\n", f);
		for (size_t k = 0; k < s->n; k++)
			print_entry(f, &s->entry[k]);
	}
}
