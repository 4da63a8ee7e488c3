/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FILTER: lets only the flows pass that an expression chooses. */
#include <ctflow/plugin.h>

struct conf {
	const char *text;
	struct ctf_expr *expr;
};

struct filter {
	struct ctf_obj obj;
	struct ctf_match *match;
};

static const struct ctf_opt opts[] = {
	{ "expr", CTF_OTEXT, offsetof(struct conf, text), 1, 0, NULL, NULL,
	  "flows pass that this chooses: src net 10.0.0.0/8 and not dst port 53" },
	{ NULL },
};

static int
probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct conf *c = conf;

	return ctf_expr_parse(ctx, "expr", c->text, &c->expr, err);
}

static void
unprobe(void *conf)
{
	struct conf *c = conf;

	ctf_expr_free(c->expr);
	c->expr = NULL;
}

static int
setup(void *self, struct ctf_err *err)
{
	struct filter *f = self;
	const struct conf *c = f->obj.conf;

	return ctf_expr_bind(f->obj.ctx, c->expr, &f->match, err);
}

static void
release(void *self)
{
	ctf_match_free(((struct filter *)self)->match);
}

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	return ctf_match(((struct filter *)self)->match, r) ? CTF_PASS : CTF_DROP;
}

CTF_PLUGIN(filter) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "FILTER",
	.doc = "passes the flows an expression chooses",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct filter),
	.probe = probe,
	.unprobe = unprobe,
	.setup = setup,
	.release = release,
	.apply = apply,
};
