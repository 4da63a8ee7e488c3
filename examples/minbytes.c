/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MINBYTES: lets only flows of some size pass. */
#include <ctflow/plugin.h>

struct conf {
	uint64_t min;
};

struct minbytes {
	struct ctf_obj obj; /* first: the core fills it in */
	ctf_ref orig, reply;
};

static const struct ctf_opt opts[] = {
	{ "min", CTF_OSIZE, offsetof(struct conf, min), 0, 0, "1K", NULL,
	  "bytes of both directions a flow must have" },
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "orig.raw.pktlen", CTF_REQUIRED, offsetof(struct minbytes, orig) },
	{ "reply.raw.pktlen", CTF_REQUIRED, offsetof(struct minbytes, reply) },
	{ NULL },
};

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct minbytes *f = self;
	const struct conf *c = f->obj.conf;

	if (!ctf_has(r, f->orig)) /* not counted is not small */
		return CTF_PASS;
	return ctf_num(r, f->orig) + ctf_num_or(r, f->reply, 0) >= c->min ? CTF_PASS : CTF_DROP;
}

CTF_PLUGIN(minbytes) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "MINBYTES",
	.doc = "passes flows of at least min bytes",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct minbytes),
	.apply = apply,
};
