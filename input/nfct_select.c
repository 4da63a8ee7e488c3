/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_select.c - see nfct_select.h. */
#include "nfct.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 1000u /* bytes of a selection in words */

/* The options of ulogd2, and the test each is. */
struct accept {
	const char *option, *test, *value;
	bool prefixes;
};

#define PREFIX "0123456789abcdefABCDEF.:/"
#define PROTOCOL "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-_"
#define SEPARATORS ", \t"

static int
check_word(const struct accept *a, const struct ctf_ctx *ctx, const char *word, int len,
	   struct ctf_err *err)
{
	/* other letters would mean something in a test */
	const char *letters = a->prefixes ? PREFIX : PROTOCOL;

	if (strspn(word, letters) < (size_t)len)
		return ctf_fail_opt(ctx, err, a->option, "%s: '%.*s' is not %s", a->option, len,
				    word,
				    a->prefixes ? "an IPv4 or IPv6 prefix"
						: "a protocol of /etc/protocols or 0-255");
	if (a->prefixes && !memchr(word, '/', (size_t)len))
		return ctf_fail_opt(
			ctx, err, a->option,
			"%s: '%.*s' has no prefix length; for one address write %.*s/%s",
			a->option, len, word, len, word,
			memchr(word, ':', (size_t)len) ? "128" : "32");
	return 0;
}

/* "src net {10.0.0.0/8, ::/0}", or "" for an empty list; NULL: failed. */
static char *
translate(const struct accept *a, const struct ctf_ctx *ctx, struct ctf_err *err)
{
	size_t size = 2 * strlen(a->value) + 64, len = 0;
	char *text = calloc(1, size);

	if (!text)
		ctf_fail(err, ENOMEM, "no memory");
	for (const char *p = a->value; text;) {
		int n;

		p += strspn(p, SEPARATORS);
		n = (int)strcspn(p, SEPARATORS);
		if (n == 0)
			break;
		if (check_word(a, ctx, p, n, err) < 0) {
			free(text);
			return NULL;
		}
		if (len == 0)
			len = (size_t)snprintf(text, size, "%s {", a->test);
		else
			text[len++] = ',';
		memcpy(text + len, p, (size_t)n);
		len += (size_t)n;
		p += n;
	}
	if (text && len)
		text[len] = '}';
	return text;
}

/* c->selected and this one; more is used up. */
static int
add(struct nfct_conf *c, struct ctf_expr *more, struct ctf_err *err)
{
	if (!c->selected) {
		c->selected = more;
		return 0;
	}
	if (ctf_expr_and(c->selected, more) == 0)
		return 0;
	ctf_expr_free(more);
	return ctf_fail(err, ENOMEM, "no memory");
}

static int
add_accept(struct nfct_conf *c, const struct accept *a, const struct ctf_ctx *ctx,
	   struct ctf_err *err)
{
	char *text = translate(a, ctx, err);
	struct ctf_expr *e;
	int r;

	if (!text)
		return -EINVAL;
	r = *text ? ctf_expr_parse(ctx, a->option, text, &e, err) : 0;
	if (r == 0 && *text)
		r = add(c, e, err);
	free(text);
	return r;
}

static int
add_select(struct nfct_conf *c, const struct ctf_ctx *ctx, struct ctf_err *err)
{
	const struct ctf_node *n;
	struct ctf_expr *e;
	int r = ctf_expr_parse(ctx, "select", c->select, &e, err);

	if (r < 0)
		return r;
	n = nfct_bpf_cannot(ctf_expr_root(e));
	if (!n)
		return add(c, e, err);
	r = ctf_fail_opt(
		ctx, err, "select",
		"select: the kernel cannot judge by \"%.100s\", which not every message "
		"about a flow carries; the plugin FILTER can",
		n->text);
	ctf_expr_free(e);
	return r;
}

int
nfct_select_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct nfct_conf *c = conf;
	const struct accept accepts[] = {
		{ "accept_src_filter", "src net", c->accept_src, true },
		{ "accept_dst_filter", "dst net", c->accept_dst, true },
		{ "accept_proto_filter", "proto", c->accept_proto, false },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(accepts) / sizeof(*accepts); i++)
		r = add_accept(c, &accepts[i], ctx, err);
	if (r == 0 && c->select[0])
		r = add_select(c, ctx, err);
	return r;
}

void
nfct_select_unprobe(void *conf)
{
	struct nfct_conf *c = conf;

	ctf_expr_free(c->selected);
	c->selected = NULL;
}

static char *
describe(const struct nfct_select *sel, const struct ctf_expr *e)
{
	const char *text = ctf_expr_text(e);
	bool cut = strlen(text) > TEXT_MAX;
	char *s = NULL;
	int n;

	if (cut || strchr(text, '@'))
		n = asprintf(&s, "%.*s%s [program %016" PRIx64 "]", (int)TEXT_MAX, text,
			     cut ? "..." : "",
			     ctf_hash(CTF_HASH, sel->prog, sel->len * sizeof(*sel->prog)));
	else
		n = asprintf(&s, "%s", text);
	return n < 0 ? NULL : s;
}

int
nfct_select_setup(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	struct nfct_select *sel = &s->select;
	const char *blame = c->select[0]       ? "select"
			    : c->accept_src[0] ? "accept_src_filter"
			    : c->accept_dst[0] ? "accept_dst_filter"
					       : "accept_proto_filter";

	if (!c->selected)
		return 0;
	sel->prog = calloc(NFCT_BPF_MAX, sizeof(*sel->prog));
	if (!sel->prog)
		return ctf_fail(err, ENOMEM, "no memory");
	sel->len = nfct_bpf_compile(ctf_expr_root(c->selected), sel->prog, NFCT_BPF_MAX);
	if (sel->len > NFCT_BPF_MAX)
		return ctf_fail_opt(nfct_ctx(s), err, blame,
				    "%s: too long for the kernel, which takes %u instructions; "
				    "the plugin FILTER has no such limit",
				    blame, NFCT_BPF_MAX);
	sel->text = describe(sel, c->selected);
	if (!sel->text)
		return ctf_fail(err, ENOMEM, "no memory");
	return ctf_expr_bind(nfct_ctx(s), c->selected, &sel->match, err);
}

void
nfct_select_release(struct nfct *s)
{
	free(s->select.prog);
	free(s->select.text);
	ctf_match_free(s->select.match);
}

bool
nfct_selected(const struct nfct *s, const struct ctf_rec *rec)
{
	return !s->select.match || ctf_match(s->select.match, rec);
}

const char *
nfct_selection(const struct nfct *s)
{
	return s->select.text ? s->select.text : "";
}
