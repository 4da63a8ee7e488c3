/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of problems, so that all those of a configuration are reported at
 * once.  It copies what it is given; its owner prints it with diag_log().
 */
#ifndef CTF_DIAG_H
#define CTF_DIAG_H

#include <stddef.h>
#include <ctflow/plugin.h>

#define DIAG_MAX 1000u /* further problems are counted, but not kept */

struct diag_item {
	enum ctf_level level; /* CTF_WARNING or CTF_ERROR */
	unsigned line;        /* 0: the file as a whole */
	char *file;           /* NULL: no file is meant */
	char *text;
};

struct diag { /* zeroed = empty */
	struct diag_item *item;
	size_t n;
	size_t errors, warnings; /* all of them, kept or not */
};

/* d may be NULL.  file may be NULL, line 0. */
void diag_error(struct diag *d, const char *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void diag_warn(struct diag *d, const char *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The error a plugin callback left; the file and line in err count if set. */
void diag_err(struct diag *d, const struct ctf_err *err);
/* "file:line: text", to be freed; NULL when out of memory. */
char *diag_text(const struct diag_item *);
/* Each as "file:line: text" at its level, through log.c; the list stays. */
void diag_log(const struct diag *d);
/* Leaves an empty list. */
void diag_free(struct diag *d);

#endif
