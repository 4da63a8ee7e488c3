/* SPDX-License-Identifier: GPL-2.0-or-later */
/* given.h - what main.c and q_base.c share: options as given, signals. */
#ifndef CTF_QUERY_GIVEN_H
#define CTF_QUERY_GIVEN_H

struct q;

int given_add(struct q *, const char *name, const char *value); /* borrows; 0, -ENOMEM */
void given_free(struct q *);
/* Ctrl-C and SIGTERM wait until they are asked for with q_cancelled(). */
void q_signals(void);
/* The exit code after stdout failed; says why unless nobody reads it. */
int q_out_failed(struct q *, int errnum);

#endif
