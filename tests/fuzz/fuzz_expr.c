/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An expression: what is printed must parse back to the same, and what is
 * wrong with another must fit into the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void
walk(const struct ctf_node *n)
{
	const struct ctf_set *s = n->set;

	must((n->type == CTF_TEST) == (n->child == NULL), "children");
	if (n->type == CTF_TEST) {
		must(n->of && !(n->of >> CTF_SUBJECTS) && n->text && s, "a test");
		for (size_t i = 0; i < s->nspans; i++)
			must(s->span[i].lo <= s->span[i].hi &&
				     (!i || s->span[i - 1].hi < s->span[i].lo),
			     "order of spans");
		for (size_t i = 1; i < s->nnets6; i++)
			must(memcmp(s->net6[i - 1].ip, s->net6[i].ip, 16) < 0, "order of nets");
	}
	for (const struct ctf_node *c = n->child; c; c = c->next)
		walk(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char id[] = "f", *text = strndup((const char *)data, size);
	struct inst inst = { .id = id, .file = "fuzz.conf" };
	struct ctf_ctx ctx = { .inst = &inst };
	struct ctf_expr *e, *again;
	struct ctf_err err = { .msg = "" };

	must(text != NULL, "memory");
	if (strchr(text, '@')) { /* files are not the matter here */
		free(text);
		return 0;
	}
	if (ctf_expr_parse(&ctx, "expr", text, &e, &err) < 0) {
		must(strncmp(err.msg, "expr: ", 6) == 0, "the option");
		must(strchr(err.msg, '\n') && strrchr(err.msg, '^') &&
			     !strrchr(err.msg, '^')[1],
		     "the caret");
	} else {
		walk(ctf_expr_root(e));
		if (ctf_expr_parse(&ctx, "expr", ctf_expr_text(e), &again, &err) == 0) {
			must(!strcmp(ctf_expr_text(e), ctf_expr_text(again)), "another text");
			ctf_expr_free(again);
		} else { /* printing adds parentheses */
			must(strstr(err.msg, "nested deeper") != NULL, ctf_expr_text(e));
		}
		ctf_expr_free(e);
	}
	free(text);
	return 0;
}
