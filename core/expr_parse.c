/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expr_parse.c - the text of an expression becomes a tree.
 *
 *   or    = and { "or" and }
 *   and   = not { "and" not }
 *   not   = "not" not | "(" or ")" | test | value
 *   test  = [family] [proto] [["nat"|"any"] [direction] kind] [operator] values
 *
 * A bare value takes what the test before it looked at: "port 80 or 443".
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr_parse.h"
#include "opt.h"

#define DEPTH_MAX 64u
#define SHOWN 72 /* bytes of the text in a message */

static const struct word {
	const char *word;
	enum expr_kind kind;
	bool directed; /* takes src and dst */
	enum expr_dir dir;
} kinds[] = {
	{ "proto", K_PROTO },
	{ "host", K_ADDR, true },
	{ "net", K_ADDR, true },
	{ "ip", K_ADDR, true },
	{ "port", K_PORT, true },
	{ "portrange", K_PORT, true },
	{ "saddr", K_ADDR, false, D_SRC },
	{ "daddr", K_ADDR, false, D_DST },
	{ "sport", K_PORT, false, D_SRC },
	{ "dport", K_PORT, false, D_DST },
	{ "bytes", K_BYTES, true },
	{ "packets", K_PACKETS, true },
	{ "mark", K_MARK },
	{ "zone", K_ZONE },
	{ "status", K_STATUS },
	{ "family", K_FAMILY },
	{ "duration", K_DURATION },
};

/* ---- mistakes -------------------------------------------------------------- */

/* The text around `at`, and a caret below it. */
static void
show(char *out, size_t size, const char *text, const char *at)
{
	size_t len = strlen(text), from = 0, n, col = 0;

	if (len > SHOWN && at - text > SHOWN / 2)
		from = (size_t)(at - text) - SHOWN / 2;
	while (from < len && ((unsigned char)text[from] & 0xc0) == 0x80)
		from++;
	n = len - from > SHOWN ? SHOWN : len - from;
	for (const char *p = text + from; p < at; p++)
		col += ((unsigned char)*p & 0xc0) != 0x80; /* UTF-8 */
	n = (size_t)snprintf(out, size, "\n    %s%.*s\n", from ? "..." : "", (int)n,
			     text + from);
	for (char *p = out + 1; *p; p++)
		if (*p == '\t')
			*p = ' ';
	if (n < size)
		snprintf(out + n, size - n, "    %*s^", (int)(col + (from ? 3 : 0)), "");
}

void
expr_fail(struct expr_parser *p, const char *at, const char *fmt, ...)
{
	char why[256], where[3 * SHOWN + 32];
	va_list ap;

	if (p->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	show(where, sizeof(where), p->text, at);
	p->failed = ctf_fail_opt(p->ctx, p->err, p->opt, "%s: %s%s", p->opt, why, where);
}

static struct ctf_node *
no_memory(struct expr_parser *p)
{
	if (!p->failed)
		p->failed = ctf_fail(p->err, ENOMEM, "out of memory");
	return NULL;
}

/* A word that means nothing here; directed: behind src, dst, nat or any. */
static struct ctf_node *
unknown(struct expr_parser *p, bool directed)
{
	static const char *const others[] = { "src", "dst", "nat", "any", "not" };
	const char *words[64], *near, *name;
	const struct expr_token *t = &p->tok;
	char word[64];
	size_t n = 0;

	snprintf(word, sizeof(word), "%.*s", (int)t->len, t->p);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!directed || kinds[i].directed)
			words[n++] = kinds[i].word;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		words[n++] = others[i];
	for (unsigned i = 0; n < 64 && (name = expr_proto_name(i)); i++)
		words[n++] = name;
	near = t->len < sizeof(word) ? opt_nearest(word, words, n) : NULL;
	if (t->sign == X_END)
		expr_fail(p, t->p, "something is missing at the end");
	else if (t->sign != X_WORD)
		expr_fail(p, t->p, "a test is expected before \"%s\"", word);
	else if (near)
		expr_fail(p, t->p, "unknown word \"%s\", is \"%s\" meant?", word, near);
	else
		expr_fail(p, t->p, "unknown word \"%s\"", word);
	return NULL;
}

/* ---- the tree -------------------------------------------------------------- */

struct list {
	struct ctf_node *first, *last;
};

static void
append(struct list *l, struct ctf_node *n)
{
	if (l->last)
		l->last->next = n;
	else
		l->first = n;
	l->last = n;
}

/* One is what it is; several become a node. */
static struct ctf_node *
join(struct expr_parser *p, enum ctf_node_type type, const struct list *l)
{
	struct ctf_node *n;

	if (l->first == l->last && type != CTF_NOT)
		return l->first;
	n = expr_alloc(p->e, sizeof(*n));
	if (!n)
		return no_memory(p);
	n->type = type;
	n->child = l->first;
	return n;
}

static struct ctf_node *
negate(struct expr_parser *p, struct ctf_node *n)
{
	return n ? join(p, CTF_NOT, &(struct list){ n, n }) : NULL;
}

/* ---- words ----------------------------------------------------------------- */

static void
advance(struct expr_parser *p)
{
	p->tok = expr_next(p->tok.p + p->tok.len);
}

static struct expr_token
peek(const struct expr_parser *p)
{
	return expr_next(p->tok.p + p->tok.len);
}

static bool
is_value(const struct expr_token *t)
{
	return t->sign == X_WORD &&
	       ((*t->p >= '0' && *t->p <= '9') || *t->p == '@' || memchr(t->p, ':', t->len));
}

static const struct word *
kind_of(const struct expr_token *t)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (expr_is(t, kinds[i].word))
			return &kinds[i];
	return NULL;
}

/* "src", "dst", "src or dst", "src and dst"; none: either. */
static void
take_direction(struct expr_parser *p, struct expr_subject *s)
{
	bool src = expr_is(&p->tok, "src"), dst = expr_is(&p->tok, "dst");
	struct expr_token conj, other;

	if (!src && !dst)
		return;
	s->dir = src ? D_SRC : D_DST;
	advance(p);
	conj = p->tok;
	other = peek(p);
	if ((conj.sign != X_AND && conj.sign != X_OR) || !expr_is(&other, src ? "dst" : "src"))
		return;
	/* "src 10.0.0.1 and dst ..." is another thing: there a value comes first */
	s->dir = conj.sign == X_AND ? D_BOTH : D_ONE;
	advance(p);
	advance(p);
}

/* ---- tests ----------------------------------------------------------------- */

static struct ctf_node *
fixed(struct expr_parser *p, enum expr_kind kind, int number)
{
	return expr_test_fixed(p, &(struct expr_subject){ .kind = kind }, (uint64_t)number);
}

/* "nat" alone: something was translated. */
static struct ctf_node *
translated(struct expr_parser *p)
{
	struct expr_parser in = *p;
	struct ctf_node *n;

	in.tok = expr_next("{snat, dnat}");
	n = expr_test(&in, &(struct expr_subject){ .kind = K_STATUS });
	p->failed = in.failed;
	return n;
}

static struct ctf_node *
with_kind(struct expr_parser *p, struct expr_subject *s)
{
	const struct word *k = kind_of(&p->tok);
	bool directed = s->dir != D_EITHER;

	if (!k && is_value(&p->tok)) { /* src 10.0.0.1 */
		s->kind = K_ADDR;
		return expr_test(p, s);
	}
	if (!k)
		return unknown(p, directed || s->side != S_PLAIN);
	if ((directed && !k->directed) ||
	    (s->side != S_PLAIN && k->kind != K_ADDR && k->kind != K_PORT)) {
		expr_fail(p, p->tok.p, "%s has no %s", k->word,
			  s->side == S_NAT   ? "translated side"
			  : s->side == S_ANY ? "two sides"
					     : "direction");
		return NULL;
	}
	s->kind = k->kind;
	if (k->dir != D_EITHER)
		s->dir = k->dir;
	advance(p);
	return expr_test(p, s);
}

static struct ctf_node *
subject_test(struct expr_parser *p)
{
	struct expr_subject s = { .side = S_PLAIN };

	if (expr_is(&p->tok, "nat") || expr_is(&p->tok, "any")) {
		s.side = expr_is(&p->tok, "nat") ? S_NAT : S_ANY;
		advance(p);
		if (s.side == S_NAT && !is_value(&p->tok) && !kind_of(&p->tok) &&
		    !expr_is(&p->tok, "src") && !expr_is(&p->tok, "dst"))
			return translated(p);
	}
	take_direction(p, &s);
	return with_kind(p, &s);
}

/* "ip" is a family, but "ip 10.0.0.1" and "ip in @FILE" an address. */
static bool
is_family(const struct expr_parser *p)
{
	struct expr_token next = peek(p);

	if (expr_family(&p->tok) < 0)
		return false;
	return !expr_is(&p->tok, "ip") ||
	       !(is_value(&next) || next.sign == X_LIST || next.sign == X_EQ ||
		 next.sign == X_NE || expr_is(&next, "in"));
}

/* What may follow "tcp" or "ip6" without "and". */
static bool
goes_on(const struct expr_parser *p, bool after_family)
{
	const struct word *k = kind_of(&p->tok);

	if (k)
		return k->kind == K_ADDR || k->kind == K_PORT ||
		       (after_family && k->kind == K_PROTO);
	return expr_is(&p->tok, "src") || expr_is(&p->tok, "dst") || expr_is(&p->tok, "nat") ||
	       expr_is(&p->tok, "any") || (after_family && expr_proto(&p->tok) >= 0);
}

/* icmp type 8 */
static struct ctf_node *
icmp_test(struct expr_parser *p, int proto)
{
	struct expr_token next = peek(p);
	struct expr_subject s = { .kind = K_ICMP };

	if (expr_is(&next, "type"))
		s.icmp = proto == IPPROTO_ICMP ? CTF_S_ICMP_TYPE : CTF_S_ICMP6_TYPE;
	else
		s.icmp = proto == IPPROTO_ICMP ? CTF_S_ICMP_CODE : CTF_S_ICMP6_CODE;
	advance(p);
	advance(p);
	return expr_test(p, &s);
}

static bool
is_icmp_field(const struct expr_parser *p, int proto)
{
	struct expr_token next = peek(p);

	return (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) &&
	       (expr_is(&next, "type") || expr_is(&next, "code"));
}

static struct ctf_node *
test(struct expr_parser *p)
{
	struct list l = { NULL, NULL };
	struct ctf_node *n;
	int proto;

	if (is_family(p)) {
		n = fixed(p, K_FAMILY, expr_family(&p->tok));
		if (!n)
			return NULL;
		append(&l, n);
		advance(p);
		if (!goes_on(p, true))
			return n;
	}
	proto = expr_proto(&p->tok);
	if (proto >= 0 && !is_icmp_field(p, proto)) {
		n = fixed(p, K_PROTO, proto);
		if (!n)
			return NULL;
		append(&l, n);
		advance(p);
		if (!goes_on(p, false))
			return join(p, CTF_ALL, &l);
	}
	n = proto >= 0 && is_icmp_field(p, proto) ? icmp_test(p, proto) : subject_test(p);
	if (!n)
		return NULL;
	append(&l, n);
	return join(p, CTF_ALL, &l);
}

/* ---- and, or, not ------------------------------------------------------------ */

static struct ctf_node *parse_or(struct expr_parser *p);

static struct ctf_node *
parse_group(struct expr_parser *p)
{
	const char *open = p->tok.p;
	struct ctf_node *n;

	advance(p);
	n = parse_or(p);
	if (!n)
		return NULL;
	if (p->tok.sign != X_CLOSE) {
		if (p->tok.sign == X_END)
			expr_fail(p, open, "this parenthesis is not closed");
		else
			expr_fail(p, p->tok.p, "\"and\", \"or\" or \")\" is expected here");
		return NULL;
	}
	advance(p);
	return n;
}

static struct ctf_node *
parse_not(struct expr_parser *p)
{
	struct ctf_node *n;

	if (++p->depth > DEPTH_MAX) {
		expr_fail(p, p->tok.p, "nested deeper than %u", DEPTH_MAX);
		return NULL;
	}
	if (p->tok.sign == X_NOT) {
		advance(p);
		n = negate(p, parse_not(p));
	} else if (p->tok.sign == X_OPEN) {
		n = parse_group(p);
	} else if (is_value(&p->tok)) {
		n = expr_test(p, &p->last);
	} else {
		n = test(p);
	}
	p->depth--;
	return n;
}

static struct ctf_node *
parse_and(struct expr_parser *p)
{
	struct list l = { NULL, NULL };

	for (;;) {
		struct ctf_node *n = parse_not(p);

		if (!n)
			return NULL;
		append(&l, n);
		if (p->tok.sign != X_AND)
			return join(p, CTF_ALL, &l);
		advance(p);
	}
}

static struct ctf_node *
parse_or(struct expr_parser *p)
{
	struct list l = { NULL, NULL };

	for (;;) {
		struct ctf_node *n = parse_and(p);

		if (!n)
			return NULL;
		append(&l, n);
		if (p->tok.sign != X_OR)
			return join(p, CTF_ANY, &l);
		advance(p);
	}
}

static void
check_end(struct expr_parser *p)
{
	if (p->tok.sign == X_END)
		return;
	if (p->tok.sign == X_CLOSE)
		expr_fail(p, p->tok.p, "nothing is open that this could close");
	else
		expr_fail(p, p->tok.p, "\"and\" or \"or\" is expected here");
}

int
ctf_expr_parse(const struct ctf_ctx *ctx, const char *opt, const char *text,
	       struct ctf_expr **ret_expr, struct ctf_err *err)
{
	struct ctf_expr *e = calloc(1, sizeof(*e));
	struct expr_parser p = { .ctx = ctx, .opt = opt, .err = err, .text = text, .e = e };

	if (!e)
		return ctf_fail(err, ENOMEM, "out of memory");
	p.tok = expr_next(text);
	e->root = parse_or(&p);
	if (e->root)
		check_end(&p);
	if (!p.failed && !(e->text = expr_print(e->root)))
		no_memory(&p);
	if (p.failed) {
		ctf_expr_free(e);
		return p.failed;
	}
	*ret_expr = e;
	return 0;
}
