/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of an ulogd.conf, as ulogd2 2.0.8 reads it but without its limits.
 *
 * A word is the next run of characters that are no delimiters (blank, tab,
 * CR, and = inside a section, or [ and ] in a header), or "anything but a
 * quote".  In a line the first word is the key, the second the value, and the
 * rest is ignored.  A line whose first word begins with [ ends a section and
 * begins the next.  A line that begins with # (or, indented or not, with # or
 * ;, which ulogd2 takes for an unknown key) is a comment.
 *
 * conf_find() looks for a header like ulogd2, which wants no brackets:
 *   1. the first line that is [name] (whatever follows), or the word name alone;
 *   2. without such a line, the first line whose first word is name and that
 *      goes on with a blank.
 * ulogd2 would take 2 alone; 1 keeps a line "file /x" from hiding [file].
 * Such a line remains an ordinary line of the section it stands in, and the
 * section it begins ends where that one ends.
 */
#ifndef CTF_CONF_H
#define CTF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "diag.h"

struct conf_entry { /* one line that is neither blank nor a comment */
	const char *key;
	const char *value; /* NULL: there is none, the line has no effect */
	const char *rest;  /* what follows the value, "" if nothing */
	unsigned line;
	bool open_quote; /* why there is no value (or no key, ""): a lone quote */
};

struct conf_section {
	const char *name;
	unsigned line; /* of the header */
	const struct conf_entry *entry;
	size_t n; /* entries, in the order of the file */
};

struct conf {
	char *file;
	struct conf_section *section; /* the bracketed ones, in order */
	size_t n_sections;
	struct conf_entry *entry; /* all of them */
	size_t n_entries;
	struct conf_section *bare; /* lines that could be headers without brackets */
	size_t n_bare;
	char *words;
};

/*
 * -errno (and one error in diag) when the file cannot be read.  Contents never
 * fail: what has no effect is a warning.
 */
int conf_load(const char *path, struct conf **ret_conf, struct diag *diag);
/* The same from memory; -ENOMEM only. */
int conf_parse(const char *text, size_t len, const char *file, struct conf **ret_conf,
	       struct diag *diag);
void conf_free(struct conf *);

/* The section of that name that counts, or NULL. */
const struct conf_section *conf_find(const struct conf *, const char *name);
/*
 * The next entry with that key and a value, after prev (NULL: the first), or
 * NULL.  For keys that may be repeated.
 */
const struct conf_entry *conf_next(const struct conf_section *, const char *key,
				   const struct conf_entry *prev);
/* Warns of a line without effect and of text behind the value. */
void conf_warn(const struct conf_entry *, const char *file, struct diag *);
/* True if it can be written as one word, quoted or not. */
bool conf_is_word(const char *text);
/* Writes such a text, quoted where the grammar needs it. */
void conf_print_word(FILE *, const char *text);
/* All bracketed sections; parses back to the same. */
void conf_print(FILE *, const struct conf *);

#endif
