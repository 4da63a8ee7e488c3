/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys of JSON; see json_keys.h. */
#include "json_keys.h"

#include <errno.h>
#include <stdlib.h>

/* Bytes of the first n words of a name, without the dot behind them. */
static size_t
words_len(const char *name, unsigned n)
{
	const char *p = name;

	while (n-- && p)
		p = strchr(p == name ? p : p + 1, '.');
	return p ? (size_t)(p - name) : strlen(name);
}

static unsigned
dots(const char *name)
{
	unsigned n = 0;

	for (; *name; name++)
		n += *name == '.';
	return n;
}

/* Objects that both are in. */
static unsigned
common(const struct json_member *a, const struct json_member *b)
{
	unsigned n = 0;

	while (n < a->depth && n < b->depth) {
		size_t x = words_len(a->name, n + 1), y = words_len(b->name, n + 1);

		if (x != y || strncmp(a->name, b->name, x) != 0)
			break;
		n++;
	}
	return n;
}

/* A value and an object cannot have the same key: the rest keeps its dots. */
static unsigned
depth_of(const struct json_member *all, unsigned n, const struct json_member *m)
{
	unsigned depth = dots(m->name);

	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(all[i].name);

		if (strncmp(all[i].name, m->name, len) == 0 && m->name[len] == '.' &&
		    dots(all[i].name) < depth)
			depth = dots(all[i].name);
	}
	return depth;
}

/* Moves the i-th behind the last of those it has most in common with. */
static void
place(struct json_member *m, unsigned i)
{
	struct json_member it = m[i];
	unsigned most = 0, at = i;

	for (unsigned k = 0; k < i; k++) {
		unsigned c = common(&m[k], &it);

		if (c && c >= most) {
			most = c;
			at = k + 1;
		}
	}
	memmove(m + at + 1, m + at, (i - at) * sizeof(*m));
	m[at] = it;
}

static int
set_underscores(struct json_member *m)
{
	char *name = strdup(m->name);
	int r;

	if (!name)
		return -ENOMEM;
	for (char *p = name; (p = strchr(p, '.'));)
		*p = '_';
	r = text_label_set(&m->label, ", \"", name, true, "\": ");
	free(name);
	return r;
}

static int
set_nested(struct json_member *m)
{
	size_t n = words_len(m->name, m->depth);

	return text_label_set(&m->label, "\"", m->name + n + (m->depth ? 1 : 0), true, "\": ");
}

int
json_keys_set(struct json_member *m, unsigned n, enum json_keys keys)
{
	int r = 0;

	for (unsigned i = 0; keys == KEYS_NESTED && i < n; i++)
		m[i].depth = depth_of(m, n, &m[i]);
	for (unsigned i = 0; keys == KEYS_NESTED && i < n; i++)
		place(m, i);
	for (unsigned i = 0; !r && i < n; i++)
		r = keys == KEYS_UNDERSCORES ? set_underscores(&m[i])
		    : keys == KEYS_NESTED
			    ? set_nested(&m[i])
			    : text_label_set(&m[i].label, ", \"", m[i].name, true, "\": ");
	return r;
}

size_t
json_keys_room(const struct json_member *m)
{
	return m->depth ? TEXT_JSON * strlen(m->name) + 8 * (size_t)m->depth + 2 : 2;
}

char *
json_keys_open(char *p, const struct json_member *last, const struct json_member *m)
{
	unsigned n = last ? common(last, m) : 0;

	for (unsigned i = last ? last->depth : 0; i > n; i--)
		*p++ = '}';
	p = text_put(p, ", ", 2);
	for (; n < m->depth; n++) {
		size_t from = words_len(m->name, n), to = words_len(m->name, n + 1);

		from += n ? 1 : 0;
		*p++ = '"';
		p = text_json(p, m->name + from, to - from);
		p = text_put(p, "\": {", 4);
	}
	return text_label(p, &m->label);
}

char *
json_keys_close(char *p, const struct json_member *last)
{
	for (unsigned i = last ? last->depth : 0; i > 0; i--)
		*p++ = '}';
	return p;
}
