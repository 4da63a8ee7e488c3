/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expr.c - an expression as a thing: its memory, its text, two made one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr.h"

struct expr_mem {
	struct expr_mem *next;
	max_align_t p[];
};

void *
expr_alloc(struct ctf_expr *e, size_t n)
{
	struct expr_mem *m = calloc(1, sizeof(*m) + n);

	if (!m)
		return NULL;
	m->next = e->mem;
	e->mem = m;
	return m->p;
}

void
ctf_expr_free(struct ctf_expr *e)
{
	struct expr_mem *m;

	if (!e)
		return;
	while ((m = e->mem)) {
		e->mem = m->next;
		free(m);
	}
	free(e->text);
	free(e);
}

const struct ctf_node *
ctf_expr_root(const struct ctf_expr *e)
{
	return e->root;
}

const char *
ctf_expr_text(const struct ctf_expr *e)
{
	return e->text;
}

/* ---- text ------------------------------------------------------------------ */

/* Nested no deeper than the parser lets it be. */
static void
print(FILE *f, const struct ctf_node *n, enum ctf_node_type above)
{
	/* more of them than needed, for those who do not know what binds closer */
	bool close = n->type != above && n->type != CTF_NOT;

	if (n->type == CTF_TEST) {
		fputs(n->text, f);
		return;
	}
	if (n->type == CTF_NOT)
		fputs("not ", f);
	if (close)
		fputc('(', f);
	for (const struct ctf_node *c = n->child; c; c = c->next) {
		print(f, c, n->type);
		if (c->next)
			fputs(n->type == CTF_ALL ? " and " : " or ", f);
	}
	if (close)
		fputc(')', f);
}

char *
expr_print(const struct ctf_node *root)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool bad;

	if (!f)
		return NULL;
	print(f, root, root->type);
	bad = ferror(f);
	if (fclose(f) || bad) {
		free(text);
		return NULL;
	}
	return text;
}

int
ctf_expr_and(struct ctf_expr *a, struct ctf_expr *b)
{
	struct ctf_node *all = expr_alloc(a, sizeof(*all));
	struct ctf_node *left = expr_alloc(a, sizeof(*left));
	struct ctf_node *right = expr_alloc(a, sizeof(*right));
	struct expr_mem **end = &a->mem;
	char *text;

	if (!all || !left || !right)
		return -ENOMEM;
	*left = *a->root;
	*right = *b->root;
	left->next = right;
	*all = (struct ctf_node){ .type = CTF_ALL, .child = left };
	text = expr_print(all);
	if (!text)
		return -ENOMEM;
	free(a->text);
	a->text = text;
	a->root = all;
	while (*end)
		end = &(*end)->next;
	*end = b->mem;
	b->mem = NULL;
	ctf_expr_free(b);
	return 0;
}
