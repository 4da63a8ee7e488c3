/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: Kea's lease files.  They are journals: each line is what a lease has
 * become, the last one of an address counts, and what their columns are stands
 * in the first line.
 */
#include <errno.h>

#include "names.h"

#define LIFETIME_NEVER UINT32_MAX
#define STATE_IN_USE 0
#define TYPE_PREFIX 2

static const char *const columns[KEA_COLUMNS] = {
	[KEA_ADDRESS] = "address",         [KEA_EXPIRE] = "expire", [KEA_HOSTNAME] = "hostname",
	[KEA_LIFETIME] = "valid_lifetime", [KEA_STATE] = "state",   [KEA_TYPE] = "lease_type",
	[KEA_PREFIX_LEN] = "prefix_len",
};

/* Takes the next value off; false: there was none. */
static bool
next_value(struct names_word *rest, struct names_word *ret_value)
{
	const char *comma;

	if (!rest->p)
		return false;
	comma = rest->len ? memchr(rest->p, ',', rest->len) : NULL;
	*ret_value =
		(struct names_word){ rest->p, comma ? (size_t)(comma - rest->p) : rest->len };
	if (comma)
		*rest = (struct names_word){ comma + 1, rest->len - ret_value->len - 1 };
	else
		*rest = (struct names_word){ NULL, 0 };
	return true;
}

static int
header(struct names_parser *p, struct names_word line)
{
	struct names_word v;

	for (unsigned c = 0; c < KEA_COLUMNS; c++)
		p->column[c] = -1;
	for (int i = 0; next_value(&line, &v); i++)
		for (unsigned c = 0; c < KEA_COLUMNS; c++)
			if (v.len == strlen(columns[c]) && !memcmp(v.p, columns[c], v.len))
				p->column[c] = i;
	p->header = true;
	for (unsigned c = 0; c <= KEA_HOSTNAME; c++)
		if (p->column[c] < 0) {
			names_bad(p, "the first line does not name Kea's columns");
			return -EBADMSG;
		}
	return 0;
}

static unsigned
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	return (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10) : 16;
}

/* &#x2c stands for a comma; the longest is a DNS name and its escapes. */
static struct names_word
unescape(struct names_word w, char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < w.len && n < size; n++) {
		bool esc = w.len - i >= 5 && !memcmp(w.p + i, "&#x", 3) &&
			   hex(w.p[i + 3]) < 16 && hex(w.p[i + 4]) < 16;

		buf[n] = esc ? (char)(hex(w.p[i + 3]) << 4 | hex(w.p[i + 4])) : w.p[i];
		i += esc ? 5 : 1;
	}
	return (struct names_word){ buf, n };
}

/* The number of a column that may be missing. */
static bool
number(const struct names_word *v, uint64_t absent, uint64_t *ret_x)
{
	*ret_x = absent;
	return !v->len || names_number(*v, ret_x);
}

static int
lease(struct names_parser *p, const struct names_word *v)
{
	char buf[2 * NAMES_LEN];
	struct names_word name = { NULL, 0 };
	uint64_t expire, lifetime, state, type, len;
	struct names_key k;

	if (!names_address(v[KEA_ADDRESS], false, &k) ||
	    !names_number(v[KEA_EXPIRE], &expire) || !number(&v[KEA_LIFETIME], 0, &lifetime) ||
	    !number(&v[KEA_STATE], STATE_IN_USE, &state) || !number(&v[KEA_TYPE], 0, &type) ||
	    !number(&v[KEA_PREFIX_LEN], 128, &len) || len > 128)
		return names_bad(p, "not a lease of Kea's");
	if (type == TYPE_PREFIX)
		names_shorten(&k, (unsigned)len);
	if (state == STATE_IN_USE)
		name = unescape(v[KEA_HOSTNAME], buf, sizeof(buf));
	expire = lifetime == LIFETIME_NEVER || expire >= NAMES_NEVER / 1000000000u
			 ? NAMES_NEVER
			 : expire * 1000000000u;
	return names_say(p, &k, name, expire, false);
}

int
names_kea_line(struct names_parser *p, struct names_word line)
{
	struct names_word v[KEA_COLUMNS] = { 0 }, one;

	while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == ' '))
		line.len--;
	if (!line.len)
		return 0;
	if (!p->header)
		return header(p, line);
	for (int i = 0; next_value(&line, &one); i++)
		for (unsigned c = 0; c < KEA_COLUMNS; c++)
			if (p->column[c] == i)
				v[c] = one;
	return lease(p, v);
}
