/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what the upkeep of a table remembers in `meta`, as "WHAT:TABLE". */
#ifndef CTF_SQLITE3_META_H
#define CTF_SQLITE3_META_H

#include "sqlite3_db.h"

/* Result codes.  Tables differ by more than upper and lower case. */
int sq_meta_set(struct sq_sink *, const char *what, const char *value);
int sq_meta_set_num(struct sq_sink *, const char *what, int64_t value);
/* "" when there is none. */
int sq_meta_get(struct sq_sink *, const char *what, char *ret_text, size_t size);

#endif
