/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Option tables (struct ctf_opt) -> typed values in conf structs, and back.
 *
 * A section is parsed against several pairs of table and struct at once: the
 * plugin's own options and those the core adds.
 */
#ifndef CTF_OPT_H
#define CTF_OPT_H

#include <stdbool.h>
#include <stdio.h>
#include <ctflow/plugin.h>

#include "conf.h"

struct opt_set {
	const struct ctf_opt *table; /* ends with name NULL; may be NULL */
	void *base;                  /* the struct the offsets point into, zeroed */
	const char *const *also;     /* further known keys, NULL at the end; or NULL:
				    the caller reads them (conf_next()) */
	const char *const *presets;  /* as in struct ctf_plugin; may be NULL */
};

/*
 * Defaults first, then what the section's preset says, then the section (NULL:
 * the defaults alone).  Says all that
 * is wrong.  Returns 0, -EINVAL when there was an error, or -ENOMEM; then the
 * sets hold nothing to free.  name: the section's, for the message that
 * something mandatory is missing.
 */
int opt_parse(const struct opt_set *sets, unsigned n, const struct conf_section *sec,
	      const char *name, const char *file, struct diag *diag);
/* Frees the texts; the structs may be parsed into again. */
void opt_free(const struct opt_set *sets, unsigned n);

/* The line that gave the option, else the section's, else 0. */
unsigned opt_line(const struct conf_section *sec, const char *key);
/* A number, size or time and nothing else: 0, -EINVAL (it is none) or -ERANGE. */
int opt_number(enum ctf_otype, const char *text, uint64_t *ret_x);
/* The entry of the table, or NULL. */
const struct ctf_opt *opt_find(const struct ctf_opt *table, const char *name);
/* The same options in both structs. */
bool opt_equal(const struct ctf_opt *table, const void *a, const void *b);
/* The word among n nearest to key, if near enough to be what was meant; or NULL. */
const char *opt_nearest(const char *key, const char *const *words, size_t n);

static inline bool
opt_is_text(const struct ctf_opt *o)
{
	return o->type == CTF_OTEXT || o->type == CTF_OSECRET;
}

/* What may stand there: "number 1..65535", "auto|set|warn", ... */
void opt_range(char *buf, size_t size, const struct ctf_opt *);
/* "key=value" lines that parse back to the same; a secret becomes a comment. */
void opt_print(FILE *, const struct opt_set *sets, unsigned n);
/* One line per option for -i: name, type, range, default or Mandatory, doc. */
void opt_describe(FILE *, const struct ctf_opt *table);
/* The same as mdoc(7) list items. */
void opt_man(FILE *, const struct ctf_opt *table);

#endif
