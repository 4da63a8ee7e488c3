/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql.h - expressions as SQL, and how indexes help with them. */
#ifndef CTF_QUERY_SQL_H
#define CTF_QUERY_SQL_H

#include "layout.h"

struct sql_param {
	enum { P_INT, P_REAL, P_BLOB, P_SET } type;
	int64_t i;
	double d;
	uint8_t blob[16];
	const struct ctf_set *set;
};

struct sql { /* zeroed: empty */
	enum layout layout;
	sqlite3_str *s;
	unsigned first; /* the number of the first parameter */
	struct sql_param *param;
	unsigned n, room;
	bool failed; /* no memory */
};

#define SQL_SET "ctf_set" /* the type of a pointer to a set */

/* Appends the expression, which is 0 or 1 and never NULL. */
void sql_expr(struct sql *, const struct ctf_node *);
/* A test on something such tables do not have; NULL: there is none. */
const char *sql_missing(enum layout, const struct ctf_node *);
/* A parameter of this value; appends "?N". */
void sql_int(struct sql *, int64_t x);
void sql_blob(struct sql *, const uint8_t *ip);
/* Binds all of them; an SQLite code.  The sets are borrowed. */
int sql_bind(const struct sql *, sqlite3_stmt *);
void sql_free(struct sql *);

/* The value is in the set, as ctf_match() sees it. */
bool sql_in_addr(const struct ctf_set *, const uint8_t *ip, unsigned len);
bool sql_in_number(const struct ctf_set *, int64_t x);

/* The n-th range of the addresses of a set, as keys of an index; 0 or -ENOENT. */
struct sql_range {
	bool six;
	int32_t lo, hi;
	uint8_t lo6[16], hi6[16];
};
size_t sql_ranges(const struct ctf_set *);
void sql_range(const struct ctf_set *, size_t i, struct sql_range *ret_range);

#endif
