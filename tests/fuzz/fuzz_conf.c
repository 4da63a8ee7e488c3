/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configuration: what is printed must parse back to the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sample {
	bool sync;
	uint64_t n, size, wait;
	const char *file;
	unsigned mode;
};

static const struct ctf_opt opts[] = {
	{ "sync", CTF_OBOOL, offsetof(struct sample, sync), 0, 0, "no", NULL, "" },
	{ "n", CTF_OUINT, offsetof(struct sample, n), 0, 0, "7", NULL, "" },
	{ "size", CTF_OSIZE, offsetof(struct sample, size), 0, 0, "4K", NULL, "" },
	{ "wait", CTF_OMSEC, offsetof(struct sample, wait), 0, 0, "5ms", NULL, "" },
	{ "file", CTF_OTEXT, offsetof(struct sample, file), 0, 0, "a b", NULL, "" },
	{ "mode", CTF_OENUM, offsetof(struct sample, mode), 0, 0, "x", "x|y", "" },
	{ NULL }
};

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static bool
same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void
compare(const struct conf *a, const struct conf *b)
{
	must(a->n_sections == b->n_sections, "number of sections");
	for (size_t i = 0; i < a->n_sections; i++) {
		const struct conf_section *s = &a->section[i], *t = &b->section[i];

		must(same(s->name, t->name), "section name");
		must(s->n == t->n, "number of entries");
		for (size_t k = 0; k < s->n; k++) {
			must(same(s->entry[k].key, t->entry[k].key), "key");
			must(same(s->entry[k].value, t->entry[k].value), "value");
			must(s->entry[k].open_quote == t->entry[k].open_quote, "quote");
		}
	}
}

static void
reparse_section(const char *text, size_t len, const struct sample *want)
{
	struct sample got = { 0 };
	struct opt_set set = { opts, &got };
	struct diag diag = { 0 };
	struct conf *c;

	if (conf_parse(text, len, "p", &c, &diag) < 0)
		return;
	must(opt_parse(&set, 1, conf_find(c, "s"), "s", "p", &diag) == 0, "printed options");
	must(!diag.warnings, "a warning about printed options");
	must(opt_equal(opts, &got, want), "options");
	opt_free(&set, 1);
	conf_free(c);
	diag_free(&diag);
}

static void
try_options(const struct conf_section *s, struct diag *diag)
{
	struct sample v = { 0 };
	struct opt_set set = { opts, &v };
	char *text;
	size_t len;
	FILE *f;

	if (opt_parse(&set, 1, s, "s", "f", diag) < 0)
		return;
	f = open_memstream(&text, &len);
	fputs("[s]\n", f);
	opt_print(f, &set, 1);
	fclose(f);
	reparse_section(text, len, &v);
	opt_free(&set, 1);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag diag = { 0 };
	struct conf *a, *b;
	char *text;
	size_t len;
	FILE *f;

	if (conf_parse((const char *)data, size, "f", &a, &diag) < 0)
		return 0;
	f = open_memstream(&text, &len);
	conf_print(f, a);
	fclose(f);
	if (conf_parse(text, len, "p", &b, &diag) == 0) {
		compare(a, b);
		conf_free(b);
	}
	for (size_t i = 0; i < a->n_sections && i < 16; i++)
		try_options(&a->section[i], &diag);
	for (size_t i = 0; i < a->n_bare && i < 16; i++)
		must(conf_find(a, a->bare[i].name) != NULL, "header without brackets");
	must(diag.errors + diag.warnings >= diag.n, "number of problems");
	free(text);
	conf_free(a);
	diag_free(&diag);
	return 0;
}
