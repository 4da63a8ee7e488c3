/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqcolumn.c - see sqcolumn.h. */
#include "sqcolumn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

bool
sq_key_of(const char *column, char *ret_key, size_t size)
{
	size_t n = strlen(column);

	if (n >= size)
		return false;
	for (size_t i = 0; i <= n; i++)
		ret_key[i] = column[i] == '_' ? '.' : column[i];
	return true;
}

/* Of IP2HBIN: orig_ip_hsaddr. */
static bool
is_host(const char *name)
{
	size_t n = strlen(name);

	return n > 7 &&
	       (strcmp(name + n - 7, "_hsaddr") == 0 || strcmp(name + n - 7, "_hdaddr") == 0);
}

bool
sq_column_add(struct sq_column **cols, unsigned *n, const char *name, enum sq_as as)
{
	struct sq_column *more = realloc(*cols, (*n + 1) * sizeof(*more));

	if (!more)
		return false;
	*cols = more;
	if (as == SQ_AS_INT && is_host(name))
		as = SQ_AS_HOST;
	more[*n] = (struct sq_column){ .name = strdup(name), .as = as, .field = -1 };
	if (!more[*n].name)
		return false;
	(*n)++;
	return true;
}

void
sq_columns_free(struct sq_column *cols, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(cols[i].name);
	free(cols);
}

int
sq_columns_want(struct ctf_ctx *ctx, struct sq_fields *fields, const struct sq_column *cols,
		unsigned n, char *ret_missing, size_t size, struct ctf_err *err)
{
	const struct ctf_field *def;
	char key[256];
	size_t used = 0;
	ctf_ref ref;
	int r;

	*ret_missing = '\0';
	for (unsigned i = 0; i < n; i++) {
		const char *name = cols[i].name;

		r = -ENOENT;
		if (sq_key_of(name, key, sizeof(key)))
			r = ctf_want(ctx, key, &ref, &def, NULL);
		if (r == 0)
			r = sq_fields_add(fields, ref, def);
		if (r < 0 && r != -ENOENT)
			return ctf_fail(err, -r, "column \"%s\": %s", name, strerror(-r));
		if (r < 0 && used < size)
			used += (size_t)snprintf(ret_missing + used, size - used, " %s", name);
	}
	return 0;
}

int
sq_columns_want_any(struct ctf_ctx *ctx, struct sq_fields *fields, struct ctf_err *err)
{
	const struct ctf_field *def;
	ctf_ref ref;
	int r;

	for (unsigned i = 0; (r = ctf_want_nth(ctx, i, &ref, &def, err)) > 0; i++) {
		r = sq_fields_add(fields, ref, def);
		if (r < 0)
			return r;
	}
	return r;
}

bool
sq_column_map(struct sq_column *c, const struct sq_layout *l)
{
	char key[256];

	c->field = sq_key_of(c->name, key, sizeof(key)) ? sq_layout_find(l, key) : -1;
	return c->field >= 0;
}

/* ---- values -------------------------------------------------------------------- */

static void
set_number(struct sq_value *v, uint64_t u)
{
	v->is = SQ_NUMBER;
	v->u = u;
}

static void
set_data(struct sq_value *v, enum sq_value_is is, const void *p, size_t len)
{
	v->is = is;
	v->p = p;
	v->len = (uint32_t)len;
}

static void
addr_value(enum sq_as as, const struct sq_cell *c, struct sq_value *v)
{
	if (as == SQ_AS_BLOB) {
		set_data(v, SQ_BYTES, c->p, c->len);
	} else if (as == SQ_AS_TEXT) {
		inet_ntop(c->len == 4 ? AF_INET : AF_INET6, c->p, v->buf, sizeof(v->buf));
		set_data(v, SQ_TEXT, v->buf, strlen(v->buf));
	} else if (c->len == 4 && as == SQ_AS_HOST) {
		set_number(v, c->p[3] | (uint64_t)c->p[2] << 8 | (uint64_t)c->p[1] << 16 |
				      (uint64_t)c->p[0] << 24);
	} else if (c->len == 4) {
		/* ulogd2's number: the bytes on the wire, read as little endian. */
		set_number(v, c->p[0] | (uint64_t)c->p[1] << 8 | (uint64_t)c->p[2] << 16 |
				      (uint64_t)c->p[3] << 24);
	}
}

static void
time_value(enum sq_as as, uint64_t ns, struct sq_value *v)
{
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	set_number(v, ns);
	if (as == SQ_AS_TIME)
		v->is = SQ_TIME;
	if (as != SQ_AS_TEXT || !gmtime_r(&sec, &tm))
		return;
	n = strftime(v->buf, sizeof(v->buf), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(v->buf + n, sizeof(v->buf) - n, ".%06uZ", (unsigned)(ns / 1000 % 1000000));
	set_data(v, SQ_TEXT, v->buf, strlen(v->buf));
}

static void
bytes_value(enum sq_as as, const struct sq_cell *c, struct sq_value *v)
{
	if (as == SQ_AS_BLOB) {
		set_data(v, SQ_BYTES, c->p, c->len);
	} else if (as == SQ_AS_TEXT && c->len <= sizeof(v->buf) / 2) {
		for (unsigned k = 0; k < c->len; k++)
			sprintf(v->buf + 2 * k, "%02x", c->p[k]);
		set_data(v, SQ_TEXT, v->buf, 2 * (size_t)c->len);
	}
}

void
sq_column_value(const struct sq_column *col, const struct sq_layout *l,
		const struct sq_cell *cells, struct sq_value *ret_value)
{
	const struct sq_cell *c = &cells[col->field];

	ret_value->is = SQ_NULL;
	if (!c->has) {
		if (l->zero[col->field])
			set_number(ret_value, 0);
		return;
	}
	switch (l->type[col->field]) {
	case CTF_IP:
		addr_value(col->as, c, ret_value);
		break;
	case CTF_TIME:
		time_value(col->as, c->u, ret_value);
		break;
	case CTF_TEXT:
		set_data(ret_value, SQ_TEXT, c->p, c->len);
		break;
	case CTF_BYTES:
		bytes_value(col->as, c, ret_value);
		break;
	default:
		set_number(ret_value, c->u);
	}
}
