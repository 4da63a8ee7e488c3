/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of problems found in a configuration. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"
#include "log.h"

static void
item_free(struct diag_item *it)
{
	free(it->file);
	free(it->text);
}

static bool
list_grow(struct diag *d)
{
	struct diag_item *item;

	if (d->n & (d->n - 1)) /* full at each power of two */
		return true;
	item = realloc(d->item, (d->n ? 2 * d->n : 1) * sizeof(*item));
	if (!item)
		return false;
	d->item = item;
	return true;
}

/* Without memory a problem is still counted, so an error is never forgotten. */
__attribute__((format(printf, 5, 0))) static void
diag_add(struct diag *d, enum ctf_level level, const char *file, unsigned line, const char *fmt,
	 va_list ap)
{
	struct diag_item it = { .level = level, .line = line };

	if (!d)
		return;
	if (level == CTF_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (d->n >= DIAG_MAX || !list_grow(d))
		return;
	if (vasprintf(&it.text, fmt, ap) < 0)
		return;
	if (file && !(it.file = strdup(file))) {
		item_free(&it);
		return;
	}
	d->item[d->n++] = it;
}

void
diag_error(struct diag *d, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_add(d, CTF_ERROR, file, line, fmt, ap);
	va_end(ap);
}

void
diag_warn(struct diag *d, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_add(d, CTF_WARNING, file, line, fmt, ap);
	va_end(ap);
}

void
diag_err(struct diag *d, const struct ctf_err *err)
{
	diag_error(d, err->file, err->line, "%s", err->msg);
}

char *
diag_text(const struct diag_item *it)
{
	char *s = NULL;
	int n;

	if (it->file && it->line)
		n = asprintf(&s, "%s:%u: %s", it->file, it->line, it->text);
	else if (it->file)
		n = asprintf(&s, "%s: %s", it->file, it->text);
	else
		n = asprintf(&s, "%s", it->text);
	return n < 0 ? NULL : s;
}

/* A text of several lines becomes several messages. */
static void
log_lines(int level, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, "\n");

		log_msg(level, "%.*s", (int)len, text);
		if (!text[len])
			return;
		text += len + 1;
	}
}

void
diag_log(const struct diag *d)
{
	for (size_t i = 0; i < d->n; i++) {
		char *s = diag_text(&d->item[i]);

		log_lines(d->item[i].level, s ? s : d->item[i].text);
		free(s);
	}
	if (d->errors + d->warnings > d->n)
		log_errorx("%zu more problems not shown", d->errors + d->warnings - d->n);
}

void
diag_free(struct diag *d)
{
	for (size_t i = 0; i < d->n; i++)
		item_free(&d->item[i]);
	free(d->item);
	*d = (struct diag){ 0 };
}
