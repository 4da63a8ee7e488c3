/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of the user's own making; see format.h. */
#include "format.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PLAIN 64u               /* the most a value takes that is no text, and a separator */
#define MOST (STREAM_FRAME / 2) /* of a frame, so that texts have room as well */

/* ---- made of text --------------------------------------------------------------- */

static int
no_memory(struct ctf_err *err)
{
	return ctf_fail(err, ENOMEM, "out of memory");
}

static struct format_piece *
add(struct format *f, enum format_what what, const char *text, size_t len)
{
	struct format_piece *more = realloc(f->piece, (f->n + 1) * sizeof(*more));

	if (!more)
		return NULL;
	f->piece = more;
	more += f->n;
	*more = (struct format_piece){ .what = what, .ref = CTF_NONE, .len = (uint32_t)len };
	more->text = strndup(text, len);
	if (!more->text)
		return NULL;
	f->n++;
	f->fixed += len + (what == LITERAL ? 1 : PLAIN);
	return more;
}

static bool
ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && strcmp(name + n - e, end) == 0;
}

/* A name that no field has, or that nothing upstream gives. */
static int
no_field(const struct format *f, const char *name, struct ctf_err *err)
{
	const char *near = NULL;

	if (ctf_field_find(name, &near))
		return ctf_fail_opt(f->ctx, err, f->option,
				    "%s: no plugin before this one gives %s%s", f->option, name,
				    ends_in(name, ".str")        ? " (IP2STR does)"
				    : ends_in(name, ".name")     ? " (NAMES does)"
				    : strcmp(name, "print") == 0 ? " (PRINTFLOW does)"
								 : "");
	return ctf_fail_opt(f->ctx, err, f->option,
			    near ? "%s: there is no field %s; %s?" : "%s: there is no field %s",
			    f->option, name, near);
}

static enum format_what
special(const char *name)
{
	return strcmp(name, "time") == 0    ? RECEIVED
	       : strcmp(name, "event") == 0 ? EVENT
	       : strcmp(name, "proto") == 0 ? PROTO
					    : FIELD;
}

static int
bind_field(struct format *f, struct format_piece *p, const char *name, struct ctf_err *err)
{
	const struct ctf_field *field = NULL;
	struct ctf_err why;
	int r;

	p->what = special(name);
	if (p->what == RECEIVED)
		p->type = CTF_TIME;
	if (p->what == RECEIVED || p->what == EVENT)
		return 0;
	if (p->what == PROTO)
		name = "orig.ip.protocol";
	r = ctf_want(f->ctx, name, &p->ref, &field, &why);
	if (r == -ENOENT)
		return no_field(f, name, err);
	if (r) {
		*err = why;
		return r;
	}
	p->type = p->what == PROTO ? CTF_TEXT : field->type;
	p->zero = field->flags & CTF_F_ZERO;
	p->seconds = p->type == CTF_U32 && ends_in(name, ".sec");
	return 0;
}

static int
check_spec(const struct format *f, const struct format_piece *p, const char *name,
	   struct ctf_err *err)
{
	if (p->spec.time && p->type != CTF_TIME && !p->seconds)
		return ctf_fail_opt(f->ctx, err, f->option, "%s: %s is no time", f->option,
				    name);
	if (p->spec.form == FORM_HEX && (p->type == CTF_TEXT || p->type == CTF_IP))
		return ctf_fail_opt(f->ctx, err, f->option, "%s: %s is no number", f->option,
				    name);
	return 0;
}

struct how {                    /* a field is written */
	const char *name, *alt; /* alt: instead of an absent one, or NULL */
	const char *words, *pattern;
};

/* One piece of a field. */
static int
add_piece(struct format *f, const struct how *h, bool follows, struct ctf_err *err)
{
	const char *alt = h->alt ? h->alt : "-", *bad = "";
	struct format_piece *p = add(f, FIELD, alt, strlen(alt));
	int r = p ? bind_field(f, p, h->name, err) : no_memory(err);

	if (r)
		return r;
	p->follows = follows;
	p->quoted = !h->alt;
	r = format_spec(&p->spec, p->type == CTF_TIME && !*h->words ? "utc" : h->words,
			h->pattern, &bad);
	if (r == -ENOMEM)
		return no_memory(err);
	if (r)
		return ctf_fail_opt(f->ctx, err, f->option,
				    "%s: %s cannot be written as %s (iso[.ms|.us|.ns] s ms us "
				    "ns local utc %%..., hex, json)",
				    f->option, h->name, bad);
	f->fixed += p->spec.form == FORM_STRFTIME ? FORMAT_TIME : 0;
	if (f->fixed > MOST)
		return ctf_fail_opt(f->ctx, err, f->option, "%s: is too long", f->option);
	return check_spec(f, p, h->name, err);
}

/* %N, %3N, %6N, %9N: the digits after the second, which strftime(3) has not got. */
static char *
find_digits(char *p, unsigned *ret_digits, size_t *ret_len)
{
	for (p = strchr(p, '%'); p; p = strchr(p + 2, '%')) {
		if (p[1] == 'N' || (p[1] && strchr("369", p[1]) && p[2] == 'N')) {
			*ret_digits = p[1] == 'N' ? 9 : (unsigned)(p[1] - '0');
			*ret_len = p[1] == 'N' ? 2 : 3;
			return p;
		}
		if (!p[1])
			break;
	}
	return NULL;
}

static int
add_digits(struct format *f, struct how h, unsigned digits, bool follows, struct ctf_err *err)
{
	int r;

	h.words = "iso";
	h.pattern = NULL;
	r = add_piece(f, &h, follows, err);
	if (!r) {
		f->piece[f->n - 1].spec.form = FORM_DIGITS;
		f->piece[f->n - 1].spec.digits = digits;
	}
	return r;
}

/* A field in as many pieces as its pattern needs, which is cut up. */
static int
add_field(struct format *f, struct how h, char *pattern, struct ctf_err *err)
{
	bool follows = false;
	unsigned digits;
	size_t len;
	int r = 0;

	do {
		char *at = pattern ? find_digits(pattern, &digits, &len) : NULL;

		if (at)
			*at = '\0';
		h.pattern = pattern;
		if (!pattern || *pattern || !at) {
			r = add_piece(f, &h, follows, err);
			follows = true;
		}
		if (!r && at)
			r = add_digits(f, h, digits, follows, err);
		follows = true;
		pattern = at ? at + len : NULL;
	} while (!r && pattern && *pattern);
	return r;
}

/* NAME[|INSTEAD][:HOW] */
static int
add_reference(struct format *f, const char *text, size_t len, struct ctf_err *err)
{
	char *copy = strndup(text, len), *how, *alt, *pattern;
	int r;

	if (!copy)
		return no_memory(err);
	how = strchr(copy, ':');
	if (how)
		*how++ = '\0';
	pattern = how ? strchr(how, '%') : NULL;
	alt = strchr(copy, '|');
	if (alt)
		*alt++ = '\0';
	if (pattern) {
		char *words = strndup(how, (size_t)(pattern - how));

		r = words ? add_field(f, (struct how){ copy, alt, words, NULL }, pattern, err)
			  : no_memory(err);
		free(words);
	} else {
		r = add_field(f, (struct how){ copy, alt, how ? how : "", NULL }, NULL, err);
	}
	free(copy);
	return r;
}

static int
add_host(struct format *f)
{
	char name[65] = "";

	gethostname(name, sizeof(name) - 1);
	name[strcspn(name, ".")] = '\0';
	return add(f, LITERAL, name, strlen(name)) ? 0 : -ENOMEM;
}

/* Text up to the next field, or a sign that means something: returns its end. */
static const char *
add_text(struct format *f, const char *p, struct ctf_err *err)
{
	static const char signs[] = "%t\\\"", mean[] = "%\t\\\"";
	size_t n = strcspn(p, "%\\");
	const char *sign;

	if (n)
		return add(f, LITERAL, p, n) ? p + n : (no_memory(err), NULL);
	sign = p[1] ? strchr(signs, p[1]) : NULL;
	if (!sign || (*p == '%') != (p[1] == '%')) {
		ctf_fail_opt(f->ctx, err, f->option,
			     "%s: %.2s is neither %%{field} nor %%%% \\t \\\\ \\\"", f->option,
			     p);
		return NULL;
	}
	return add(f, LITERAL, mean + (sign - signs), 1) ? p + 2 : (no_memory(err), NULL);
}

static int
parse(struct format *f, const char *p, struct ctf_err *err)
{
	int r = 0;

	while (*p && !r) {
		const char *end = strncmp(p, "%{", 2) == 0 ? strchr(p, '}') : NULL;

		if (strncmp(p, "%{host}", 7) == 0) {
			r = add_host(f) ? no_memory(err) : 0;
			p = end + 1;
		} else if (end) {
			r = add_reference(f, p + 2, (size_t)(end - p - 2), err);
			p = end + 1;
		} else if (strncmp(p, "%{", 2) == 0) {
			return ctf_fail_opt(f->ctx, err, f->option, "%s: no } after %.20s",
					    f->option, p);
		} else {
			p = add_text(f, p, err);
			if (!p)
				return -EINVAL;
		}
	}
	return r;
}

int
format_set(struct format *f, struct ctf_ctx *ctx, const char *option, const char *text,
	   struct ctf_err *err)
{
	f->ctx = ctx;
	f->option = option;
	f->fixed = 1;
	tzset();
	return parse(f, text, err);
}

/* ---- columns ---------------------------------------------------------------------- */

static int
add_column(struct format *f, const char *item, size_t len, FILE *header, struct ctf_err *err)
{
	unsigned first = f->n;
	int r;

	if (memchr(item, f->separator, len) || memchr(item, '"', len))
		return ctf_fail_opt(f->ctx, err, f->option, "%s: %.*s has a separator in it",
				    f->option, (int)len, item);
	r = add_reference(f, item, len, err);
	if (r)
		return r;
	f->piece[first].column = first;
	if (first)
		fputc(f->separator, header);
	fprintf(header, "%.*s", (int)strcspn(item, "|:,"), item);
	for (unsigned i = first; i < f->n; i++) {
		struct format_piece *p = &f->piece[i];

		if (p->quoted) /* nobody said what an absent one is: nothing */
			p->len = 0;
		if (p->spec.form == FORM_PLAIN && p->type == CTF_TEXT)
			p->spec.form = FORM_CSV;
	}
	return 0;
}

int
format_set_columns(struct format *f, struct ctf_ctx *ctx, const char *option, const char *list,
		   char separator, char **ret_header, struct ctf_err *err)
{
	char *text = NULL;
	size_t size;
	FILE *header = open_memstream(&text, &size);
	int r = header ? 0 : no_memory(err);

	f->ctx = ctx;
	f->option = option;
	f->separator = separator;
	f->fixed = 1;
	tzset();
	for (const char *p = list; !r && *p; p += *p == ',') {
		size_t n;

		p += strspn(p, " ");
		n = strcspn(p, ",");
		r = add_column(f, p, n, header, err);
		p += n;
	}
	if (header)
		fputc('\n', header);
	if (header && fclose(header) != 0 && !r)
		r = no_memory(err);
	if (r)
		free(text);
	else
		*ret_header = text;
	return r;
}

void
format_free(struct format *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		free(f->piece[i].text);
		free(f->piece[i].spec.pattern);
	}
	free(f->piece);
	f->piece = NULL;
	f->n = 0;
}
