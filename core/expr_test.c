/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expr_test.c - one test of an expression: what it looks at, operator, values. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr_parse.h"

#define BIT(subject) (UINT32_C(1) << (subject))

static const char *const kind_name[] = {
	[K_PORT] = "port",   [K_PROTO] = "proto",     [K_FAMILY] = "family",
	[K_MARK] = "mark",   [K_ZONE] = "zone",       [K_STATUS] = "status",
	[K_BYTES] = "bytes", [K_PACKETS] = "packets", [K_DURATION] = "duration",
};

static const char *const sign_name[] = {
	[X_LT] = "<",
	[X_LE] = "<=",
	[X_GT] = ">",
	[X_GE] = ">=",
};

struct made { /* a test on its way */
	struct expr_parser *p;
	struct expr_subject s;
	struct expr_set set;
	FILE *text; /* of the values */
	unsigned n;
	bool net;
};

/* ---- what it looks at --------------------------------------------------------- */

/* first: the subject of the source, plain; those of the destination and of NAT follow. */
static uint32_t
both_sides(enum ctf_subject first, enum expr_dir dir, enum expr_side side)
{
	uint32_t plain = dir == D_SRC ? 1 : dir == D_DST ? 2 : 3;
	uint32_t all = side == S_NAT ? plain << 2 : side == S_ANY ? plain | plain << 2 : plain;

	return all << first;
}

/* sum: the subject of both directions; those of one follow. */
static uint32_t
one_way(enum ctf_subject sum, enum expr_dir dir)
{
	switch (dir) {
	case D_SRC:
		return BIT(sum + 1);
	case D_DST:
		return BIT(sum + 2);
	case D_ONE:
		return BIT(sum + 1) | BIT(sum + 2);
	default:
		return BIT(sum);
	}
}

static uint32_t
bits_of(const struct expr_subject *s, enum expr_dir dir)
{
	switch (s->kind) {
	case K_ADDR:
		return both_sides(CTF_S_SRC, dir, s->side);
	case K_PORT:
		return both_sides(CTF_S_SPORT, dir, s->side);
	case K_BYTES:
		return one_way(CTF_S_BYTES, dir);
	case K_PACKETS:
		return one_way(CTF_S_PACKETS, dir);
	case K_PROTO:
		return BIT(CTF_S_PROTO);
	case K_ICMP:
		return BIT(s->icmp);
	case K_FAMILY:
		return BIT(CTF_S_FAMILY);
	case K_MARK:
		return BIT(CTF_S_MARK);
	case K_ZONE:
		return BIT(CTF_S_ZONE);
	case K_STATUS:
		return BIT(CTF_S_STATUS);
	case K_DURATION:
		return BIT(CTF_S_DURATION);
	}
	return 0;
}

static const char *
name_of(const struct made *m)
{
	switch (m->s.kind) {
	case K_ADDR:
		return m->net ? "net" : "host";
	case K_ICMP:
		return m->s.icmp == CTF_S_ICMP_TYPE    ? "icmp type"
		       : m->s.icmp == CTF_S_ICMP_CODE  ? "icmp code"
		       : m->s.icmp == CTF_S_ICMP6_TYPE ? "icmp6 type"
						       : "icmp6 code";
	default:
		return kind_name[m->s.kind];
	}
}

static const char *
dir_name(const struct made *m, enum expr_dir dir)
{
	bool counts = m->s.kind == K_BYTES || m->s.kind == K_PACKETS;

	return dir == D_SRC             ? "src "
	       : dir == D_DST           ? "dst "
	       : dir == D_ONE && counts ? "src or dst "
					: "";
}

/* ---- values -------------------------------------------------------------------- */

static bool
keep_value(struct made *m, const struct expr_value *v)
{
	if (expr_set_add(&m->set, v) == 0)
		return true;
	m->p->failed = ctf_fail(m->p->err, ENOMEM, "out of memory");
	return false;
}

static bool
take_file(struct made *m, const struct expr_token *t)
{
	char path[1024], why[224];
	int r;

	if (t->len < 2 || t->len > sizeof(path)) {
		expr_fail(m->p, t->p, "the name of a file is expected after @");
		return false;
	}
	snprintf(path, sizeof(path), "%.*s", (int)t->len - 1, t->p + 1);
	r = expr_set_file(&m->set, m->s.kind, path, &m->net, why, sizeof(why));
	if (r < 0) {
		expr_fail(m->p, t->p, "%s", why);
		return false;
	}
	fprintf(m->text, "%s@%s", m->n++ ? ", " : "", path);
	return true;
}

static bool
one_value(struct made *m, const struct expr_token *t, struct expr_value *ret_value)
{
	char why[224];

	if (t->sign != X_WORD) {
		expr_fail(m->p, t->p, "%s is missing here",
			  m->s.kind == K_ADDR ? "an address" : "a value");
		return false;
	}
	if (expr_value(m->s.kind, t->p, t->len, ret_value, why, sizeof(why)) < 0) {
		expr_fail(m->p, t->p, "%s", why);
		return false;
	}
	return true;
}

static bool
take_value(struct made *m)
{
	struct expr_token t = m->p->tok;
	struct expr_value v;
	char text[128];

	if (t.sign == X_WORD && *t.p == '@') {
		if (!take_file(m, &t))
			return false;
	} else {
		if (!one_value(m, &t, &v) || !keep_value(m, &v))
			return false;
		m->net |= v.net;
		expr_value_text(m->s.kind, &v, text, sizeof(text));
		fprintf(m->text, "%s%s", m->n++ ? ", " : "", text);
	}
	m->p->tok = expr_next(t.p + t.len);
	return true;
}

static void
skip(struct expr_parser *p)
{
	p->tok = expr_next(p->tok.p + p->tok.len);
}

/* {80, 443} [80 443] (80 or 443) */
static bool
take_list(struct made *m)
{
	struct expr_parser *p = m->p;
	enum expr_sign end = p->tok.sign == X_LIST ? X_ENDLIST : X_CLOSE;
	const char *open = p->tok.p;

	skip(p);
	for (;;) {
		if (!take_value(m))
			return false;
		if (p->tok.sign == X_COMMA || p->tok.sign == X_OR)
			skip(p);
		else if (p->tok.sign == end)
			break;
		else if (p->tok.sign == X_END) {
			expr_fail(p, open, "this list is not closed");
			return false;
		}
	}
	skip(p);
	return true;
}

static bool
take_values(struct made *m)
{
	struct expr_parser *p = m->p;

	if (p->tok.sign == X_LIST || p->tok.sign == X_OPEN)
		return take_list(m);
	while (take_value(m)) {
		if (p->tok.sign != X_COMMA)
			return true;
		skip(p);
	}
	return false;
}

/* < <= > >= */
static bool
take_compared(struct made *m, const struct expr_token *op)
{
	struct expr_value v;
	char text[128];
	uint64_t x;

	if (m->s.kind == K_ADDR || m->s.kind == K_PROTO || m->s.kind == K_FAMILY ||
	    m->s.kind == K_STATUS) {
		expr_fail(m->p, op->p, "%s has no order, \"%s\" makes no sense", name_of(m),
			  sign_name[op->sign]);
		return false;
	}
	if (!one_value(m, &m->p->tok, &v))
		return false;
	if (v.type != V_NUMBERS || v.span.lo != v.span.hi) {
		expr_fail(m->p, m->p->tok.p, "a single number is expected after \"%s\"",
			  sign_name[op->sign]);
		return false;
	}
	expr_value_text(m->s.kind, &v, text, sizeof(text));
	fprintf(m->text, "%s", text);
	x = v.span.lo;
	v.span.lo = op->sign == X_GT ? x + 1 : op->sign == X_GE ? x : 0;
	v.span.hi = op->sign == X_LT ? x - 1 : op->sign == X_LE ? x : UINT64_MAX;
	skip(m->p);
	/* nothing is below 0 or above the largest number: an empty set */
	if ((op->sign == X_LT && x == 0) || (op->sign == X_GT && x == UINT64_MAX))
		return true;
	return keep_value(m, &v);
}

/* ---- the node ----------------------------------------------------------------- */

static struct ctf_node *
leaf(struct made *m, enum expr_dir dir, const struct ctf_set *set, const char *op,
     const char *values)
{
	static const char *const sides[] = { "", "nat ", "any " };
	bool braces = m->n > 1;
	struct ctf_expr *e = m->p->e;
	struct ctf_node *n = expr_alloc(e, sizeof(*n));
	size_t size = strlen(values) + 64;
	char *text = expr_alloc(e, size);

	if (!n || !text)
		return NULL;
	snprintf(text, size, "%s%s%s %s%s%s%s%s", sides[m->s.side], dir_name(m, dir),
		 name_of(m), op, *op ? " " : "", braces ? "{" : "", values, braces ? "}" : "");
	n->type = CTF_TEST;
	n->of = bits_of(&m->s, dir);
	n->set = set;
	n->text = text;
	return n;
}

static struct ctf_node *
finish(struct made *m, const char *op, const char *values)
{
	const struct ctf_set *set = expr_set_done(&m->set, m->p->e);
	struct ctf_node *n = NULL, *src, *dst;

	if (set && m->s.dir != D_BOTH) {
		n = leaf(m, m->s.dir, set, op, values);
	} else if (set) {
		n = expr_alloc(m->p->e, sizeof(*n));
		src = leaf(m, D_SRC, set, op, values);
		dst = leaf(m, D_DST, set, op, values);
		if (!n || !src || !dst)
			n = NULL;
		else {
			n->type = CTF_ALL;
			n->child = src;
			src->next = dst;
		}
	}
	if (!n)
		m->p->failed = ctf_fail(m->p->err, ENOMEM, "out of memory");
	return n;
}

static struct ctf_node *
refuse_not(struct expr_parser *p, struct ctf_node *n)
{
	struct ctf_node *no = n ? expr_alloc(p->e, sizeof(*no)) : NULL;

	if (no) {
		no->type = CTF_NOT;
		no->child = n;
	} else if (n) {
		p->failed = ctf_fail(p->err, ENOMEM, "out of memory");
	}
	return no;
}

/* The operator, if any; "in", "not in" and none are equality. */
static struct expr_token
take_operator(struct expr_parser *p, bool *ret_not)
{
	struct expr_token op = p->tok, next = expr_next(p->tok.p + p->tok.len);

	if (op.sign >= X_EQ && op.sign <= X_GE) {
		skip(p);
	} else if (op.sign == X_NOT && expr_is(&next, "in")) {
		op.sign = X_NE;
		skip(p);
		skip(p);
	} else {
		if (expr_is(&op, "in"))
			skip(p);
		op.sign = X_EQ;
	}
	*ret_not = op.sign == X_NE;
	return op;
}

struct ctf_node *
expr_test(struct expr_parser *p, const struct expr_subject *s)
{
	struct made m = { .p = p, .s = *s };
	struct ctf_node *n = NULL;
	char *values = NULL;
	bool no, order, good;
	size_t len;
	struct expr_token op = take_operator(p, &no);

	m.text = open_memstream(&values, &len);
	if (!m.text) {
		p->failed = ctf_fail(p->err, ENOMEM, "out of memory");
		return NULL;
	}
	order = op.sign >= X_LT && op.sign <= X_GE;
	good = order ? take_compared(&m, &op) : take_values(&m);
	if (fclose(m.text) == 0 && good)
		n = finish(&m, order ? sign_name[op.sign] : "", values);
	else if (good)
		p->failed = ctf_fail(p->err, ENOMEM, "out of memory");
	expr_set_free(&m.set);
	free(values);
	/* a bare value cannot follow an inequality */
	p->last = order ? (struct expr_subject){ .kind = K_ADDR } : *s;
	return no ? refuse_not(p, n) : n;
}

struct ctf_node *
expr_test_fixed(struct expr_parser *p, const struct expr_subject *s, uint64_t number)
{
	struct made m = { .p = p, .s = *s, .n = 1 };
	struct expr_value v = { .type = V_NUMBERS, .span = { number, number } };
	char text[64];

	if (!keep_value(&m, &v))
		return NULL;
	expr_value_text(s->kind, &v, text, sizeof(text));
	p->last = *s;
	return finish(&m, "", text);
}
