/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sqcolumn.h - tables of somebody else's, in whatever database: which field
 * fills a column, and what a value becomes in it.  A column takes the field of
 * its name, `_` standing for `.`, as its declared type wants it.
 */
#ifndef CTF_OUTPUT_SQCOLUMN_H
#define CTF_OUTPUT_SQCOLUMN_H

#include "sqlite3_row.h"

enum sq_as { /* how a value is stored, by the declared type */
	     SQ_AS_INT,
	     SQ_AS_HOST, /* the same, addresses in host order */
	     SQ_AS_TEXT,
	     SQ_AS_BLOB,
	     SQ_AS_TIME, /* a type of its own for times; SQLite has none */
};

struct sq_column {
	char *name;
	enum sq_as as;
	int field; /* its place in the layout of the frames at hand, or -1 */
};

enum sq_value_is { SQ_NULL, SQ_NUMBER, SQ_TEXT, SQ_BYTES, SQ_TIME };

struct sq_value {
	enum sq_value_is is;
	uint64_t u;    /* a number; a time in ns */
	const char *p; /* text and bytes: of the cell, or buf */
	uint32_t len;
	char buf[513];
};

/* "orig_ip_saddr" -> "orig.ip.saddr"; false: too long. */
bool sq_key_of(const char *column, char *ret_key, size_t size);
/* False: no memory.  A number for an address of IP2HBIN becomes SQ_AS_HOST. */
bool sq_column_add(struct sq_column **cols, unsigned *n, const char *name, enum sq_as);
void sq_columns_free(struct sq_column *cols, unsigned n);

/*
 * setup(): wants the field of every column.  Those that nobody upstream fills
 * are named in ret_missing, "" if there are none.  Returns 0 or -errno.
 */
int sq_columns_want(struct ctf_ctx *, struct sq_fields *, const struct sq_column *, unsigned n,
		    char *ret_missing, size_t size, struct ctf_err *);
/* setup(): all of ulogd2's keys, as the table could not be read. */
int sq_columns_want_any(struct ctf_ctx *, struct sq_fields *, struct ctf_err *);

/* Finds the column's field; false: these frames have nothing for it. */
bool sq_column_map(struct sq_column *, const struct sq_layout *);
/* What a column that has a field gets. */
void sq_column_value(const struct sq_column *, const struct sq_layout *,
		     const struct sq_cell *cells, struct sq_value *ret_value);

#endif
