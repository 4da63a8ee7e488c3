/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints what is read from a configuration: [global] and the section of each
 * id its stacks name, every entry with its line, then all diagnostics.  Exit
 * status 1: there was an error, or printing and parsing again changes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

static void
dump_section(const struct conf *c, const char *name, struct diag *diag)
{
	const struct conf_section *s = conf_find(c, name);

	if (!s) {
		printf("[%s] is not there\n", name);
		return;
	}
	printf("%u [%s]\n", s->line, s->name);
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_entry *e = &s->entry[i];

		if (e->value)
			printf("%u\t%s = %s\n", e->line, e->key, e->value);
		conf_warn(e, c->file, diag);
	}
}

/* Each id once, in the order in which the stacks name them. */
static void
dump_ids(const struct conf *c, const char *stack, char *seen, size_t size, struct diag *diag)
{
	for (const char *p = stack; *p; p += strcspn(p, ","), p += *p == ',') {
		char id[64], mark[70];

		snprintf(id, sizeof(id), "%.*s", (int)strcspn(p, ":,"), p);
		snprintf(mark, sizeof(mark), ",%s,", id);
		if (strstr(seen, mark))
			continue;
		snprintf(seen + strlen(seen), size - strlen(seen), "%s", mark);
		dump_section(c, id, diag);
	}
}

static void
dump(const struct conf *c, struct diag *diag)
{
	const struct conf_section *g = conf_find(c, "global");
	const struct conf_entry *e = NULL;
	char seen[4096] = "";

	dump_section(c, "global", diag);
	while (g && (e = conf_next(g, "stack", e)))
		dump_ids(c, e->value, seen, sizeof(seen), diag);
}

static char *
printed(const struct conf *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	conf_print(f, c);
	fclose(f);
	return text;
}

static bool
prints_and_parses(const struct conf *c)
{
	char *once = printed(c), *twice;
	struct conf *again;
	bool same;

	if (conf_parse(once, strlen(once), "again", &again, NULL) < 0)
		return false;
	twice = printed(again);
	same = !strcmp(once, twice) && again->n_sections == c->n_sections;
	conf_free(again);
	free(once);
	free(twice);
	return same;
}

int
main(int argc, char **argv)
{
	struct diag diag = { 0 };
	struct conf *c = NULL;
	bool ok;

	if (argc != 2)
		return 2;
	ok = conf_load(argv[1], &c, &diag) == 0;
	if (ok) {
		dump(c, &diag);
		ok = prints_and_parses(c) && diag.errors == 0;
	}
	for (size_t i = 0; i < diag.n; i++) {
		char *text = diag_text(&diag.item[i]);

		printf("%s: %s\n", diag.item[i].level == CTF_ERROR ? "error" : "warning", text);
		free(text);
	}
	conf_free(c);
	diag_free(&diag);
	return !ok;
}
