/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of names, the first byte its kind: however it is cut into portions it
 * says the same, names are clean, and every address of it is found again.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../filter/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 1000

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static int
parse(struct names_parser *p, enum names_kind kind, struct names_set *set, const char *text,
      size_t n, size_t portion)
{
	int r = 0;

	names_set_init(set, MOST);
	names_parse_begin(p, kind, set);
	for (size_t at = 0; at < n && !r; at += portion)
		r = names_parse(p, text + at, n - at < portion ? n - at : portion);
	return r ? r : names_parse_end(p);
}

static void
check_name(struct names_word w)
{
	for (size_t i = 0; i < w.len; i++) {
		unsigned char c = (unsigned char)w.p[i];

		must(c > ' ' && c != 0x7f && !strchr("\"'\\,=<>&;|`$?^", c), "a clean name");
	}
}

static void
check_table(const struct names_set *in)
{
	const struct names_times times = { 2000000000, 2000000000, 1000000000 };
	struct names_set table, next;

	names_set_init(&table, MOST);
	names_set_init(&next, MOST);
	must(names_merge(&table, &in, 1, NULL, &times) == 0, "memory");
	must(names_merge(&next, &in, 0, &table, &times) == 0, "memory");
	must(next.named == 0 && table.named == in->named, "names gone");
	for (uint32_t i = 0; i < in->n; i++) {
		const struct names_entry *e = &in->at[i];
		struct names_answer a;

		check_name(names_word(in, e));
		if (!e->name_len || e->len != 128 || e->until_ns <= 2000000000)
			continue;
		names_lookup(&table, e->ip, AF_INET6, 2000000000, &a);
		must(a.known && a.name.len == e->name_len &&
			     !memcmp(a.name.p, in->text + e->name, e->name_len),
		     "another name");
	}
	names_set_free(&table);
	names_set_free(&next);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct names_set a, b;
	struct names_parser p, q;
	const char *text = (const char *)data + 1;
	enum names_kind kind;
	int r;

	if (!size--)
		return 0;
	kind = data[0] % NAMES_KINDS;
	r = parse(&p, kind, &a, text, size, size ? size : 1);
	must(r == parse(&q, kind, &b, text, size, 7), "portions");
	must(p.bad == q.bad && p.bad_line == q.bad_line && p.unfinished == q.unfinished &&
		     a.named == b.named && a.n == b.n && a.refused == b.refused,
	     "portions");
	must(a.named <= MOST, "too many");
	check_table(&a);
	names_set_free(&a);
	names_set_free(&b);
	return 0;
}
