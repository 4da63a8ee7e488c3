/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expr_set.c - the values of a test: made from words and files, put in order,
 * and searched by halves, so that lists may be long.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "expr.h"

#define FILE_MAX (UINT64_C(64) << 20) /* bytes; a few million addresses */

/* ---- making one ------------------------------------------------------------ */

/* Room for one more in an array of n elements; false: no memory. */
static bool
more(void *array, size_t n, size_t *room, size_t size)
{
	void *old, *p;

	if (n < *room)
		return true;
	memcpy(&old, array, sizeof(old));
	p = reallocarray(old, *room ? 2 * *room : 8, size);
	if (!p)
		return false;
	memcpy(array, &p, sizeof(p));
	*room = *room ? 2 * *room : 8;
	return true;
}

int
expr_set_add(struct expr_set *s, const struct expr_value *v)
{
	switch (v->type) {
	case V_NUMBERS:
		if (!more(&s->span, s->nspans, &s->room[0], sizeof(*s->span)))
			return -ENOMEM;
		s->span[s->nspans++] = v->span;
		return 0;
	case V_NET6:
		if (!more(&s->net6, s->nnets6, &s->room[1], sizeof(*s->net6)))
			return -ENOMEM;
		s->net6[s->nnets6++] = v->net6;
		return 0;
	case V_MASKED:
		if (!more(&s->masked, s->nmasked, &s->room[2], sizeof(*s->masked)))
			return -ENOMEM;
		s->masked[s->nmasked++] = v->masked;
		return 0;
	}
	return -EINVAL;
}

void
expr_set_free(struct expr_set *s)
{
	free(s->span);
	free(s->net6);
	free(s->masked);
	memset(s, 0, sizeof(*s));
}

/* ---- files ----------------------------------------------------------------- */

/* A file that is not one might never end, or never answer. */
static int
open_list(const char *path, FILE **ret_file, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s is not a regular file", path);
		r = -EINVAL;
	} else if (r == 0 && (uint64_t)st.st_size > FILE_MAX) {
		snprintf(why, size, "%s is larger than %llu MiB", path,
			 (unsigned long long)(FILE_MAX >> 20));
		r = -EINVAL;
	} else if (r < 0 || !(*ret_file = fdopen(fd, "r"))) {
		r = r ? r : -errno;
		snprintf(why, size, "%s: %s", path, strerror(-r));
	}
	if (r < 0 && fd >= 0)
		close(fd);
	return r;
}

static int
add_line(struct expr_set *s, enum expr_kind kind, const char *line, bool *net, char *why,
	 size_t size)
{
	for (const char *p = line;;) {
		struct expr_value v;
		size_t len;
		int r;

		p += strspn(p, " \t\r\n,");
		if (!*p || *p == '#' || *p == ';')
			return 0;
		len = strcspn(p, " \t\r\n,#;");
		r = expr_value(kind, p, len, &v, why, size);
		if (r < 0)
			return r;
		*net |= v.net;
		if (expr_set_add(s, &v) < 0) {
			snprintf(why, size, "out of memory");
			return -ENOMEM;
		}
		p += len;
	}
}

int
expr_set_file(struct expr_set *s, enum expr_kind kind, const char *path, bool *ret_net,
	      char *why, size_t size)
{
	char *line = NULL, what[256];
	size_t room = 0;
	unsigned n = 0;
	FILE *f;
	int r = open_list(path, &f, why, size);

	if (r < 0)
		return r;
	for (ssize_t len; r == 0 && (len = getline(&line, &room, f)) >= 0;) {
		const char *text = line;

		if (n++ == 0 && !strncmp(text, "\xef\xbb\xbf", 3)) /* written by Windows */
			text += 3;
		snprintf(what, sizeof(what), "a NUL byte, this is not text");
		r = strlen(line) != (size_t)len
			    ? -EINVAL
			    : add_line(s, kind, text, ret_net, what, sizeof(what));
		if (r < 0)
			snprintf(why, size, "%s:%u: %s", path, n, what);
	}
	if (r == 0 && ferror(f)) {
		snprintf(why, size, "%s: read error", path);
		r = -EIO;
	}
	free(line);
	fclose(f);
	return r;
}

/* ---- order ----------------------------------------------------------------- */

static int
span_order(const void *a, const void *b)
{
	const struct ctf_span *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* What touches becomes one. */
static size_t
merge_spans(struct ctf_span *s, size_t n)
{
	size_t k = 0;

	if (n == 0)
		return 0;
	qsort(s, n, sizeof(*s), span_order);
	for (size_t i = 1; i < n; i++) {
		if (s[k].hi == UINT64_MAX || s[i].lo <= s[k].hi + 1) {
			if (s[i].hi > s[k].hi)
				s[k].hi = s[i].hi;
		} else {
			s[++k] = s[i];
		}
	}
	return k + 1;
}

/* A prefix comes before those within it. */
static int
net6_order(const void *a, const void *b)
{
	const struct ctf_net6 *x = a, *y = b;
	int c = memcmp(x->ip, y->ip, sizeof(x->ip));

	return c ? c : (int)x->len - (int)y->len;
}

static bool
within(const struct ctf_net6 *net, const uint8_t *ip)
{
	unsigned whole = net->len / 8, rest = net->len % 8;

	return !memcmp(net->ip, ip, whole) &&
	       (!rest || !((net->ip[whole] ^ ip[whole]) >> (8 - rest)));
}

static size_t
merge_nets6(struct ctf_net6 *p, size_t n)
{
	size_t k = 0;

	if (n == 0)
		return 0;
	qsort(p, n, sizeof(*p), net6_order);
	for (size_t i = 1; i < n; i++)
		if (!within(&p[k], p[i].ip))
			p[++k] = p[i];
	return k + 1;
}

static void *
keep(struct ctf_expr *e, const void *p, size_t n)
{
	void *copy = expr_alloc(e, n ? n : 1);

	if (copy && n)
		memcpy(copy, p, n);
	return copy;
}

const struct ctf_set *
expr_set_done(struct expr_set *s, struct ctf_expr *e)
{
	struct ctf_set *set = expr_alloc(e, sizeof(*set));

	if (set) {
		set->nspans = merge_spans(s->span, s->nspans);
		set->nnets6 = merge_nets6(s->net6, s->nnets6);
		set->nmasked = s->nmasked;
		set->span = keep(e, s->span, set->nspans * sizeof(*s->span));
		set->net6 = keep(e, s->net6, set->nnets6 * sizeof(*s->net6));
		set->masked = keep(e, s->masked, set->nmasked * sizeof(*s->masked));
		if (!set->span || !set->net6 || !set->masked)
			set = NULL;
	}
	expr_set_free(s);
	return set;
}

/* ---- searching --------------------------------------------------------------- */

/* Without a branch the processor would guess wrong half of the time. */
bool
expr_in_spans(const struct ctf_set *s, uint64_t x)
{
	const struct ctf_span *at = s->span;

	if (!s->nspans)
		return false;
	for (size_t n = s->nspans, half; n > 1; n -= half) {
		half = n / 2;
		at += at[half].lo <= x ? half : 0;
	}
	return at->lo <= x && x <= at->hi;
}

bool
expr_in_nets6(const struct ctf_set *s, const uint8_t *ip)
{
	const struct ctf_net6 *at = s->net6;

	if (!s->nnets6)
		return false;
	for (size_t n = s->nnets6, half; n > 1; n -= half) {
		half = n / 2;
		at += memcmp(at[half].ip, ip, 16) <= 0 ? half : 0;
	}
	return within(at, ip);
}
