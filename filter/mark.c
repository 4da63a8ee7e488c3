/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MARK: lets only the flows with a certain connection mark pass. */
#include <ctflow/plugin.h>
#include <inttypes.h>

struct conf {
	uint64_t mark, mask;
};

struct mark {
	struct ctf_obj obj;
	ctf_ref mark;
};

static const struct ctf_opt opts[] = {
	{ "mark", CTF_OUINT, offsetof(struct conf, mark), 0, UINT32_MAX, "0", NULL,
	  "flows pass whose ct.mark, masked by mask, equals this" },
	{ "mask", CTF_OUINT, offsetof(struct conf, mask), 0, UINT32_MAX, "0xffffffff", NULL,
	  "the bits of ct.mark that are compared" },
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "ct.mark", CTF_REQUIRED, offsetof(struct mark, mark) },
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	const struct mark *f = self;
	const struct conf *c = f->obj.conf;

	if (c->mark & ~c->mask)
		ctf_log(f->obj.ctx, CTF_WARNING,
			"mark 0x%" PRIx64 " has bits outside mask 0x%" PRIx64
			": no flow can pass",
			c->mark, c->mask);
	return 0;
}

/* The kernel leaves the mark out when it is 0. */
static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct mark *f = self;
	const struct conf *c = f->obj.conf;

	return (ctf_num_or(r, f->mark, 0) & c->mask) == c->mark ? CTF_PASS : CTF_DROP;
}

CTF_PLUGIN(mark) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "MARK",
	.doc = "passes flows by their connection mark",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct mark),
	.setup = setup,
	.apply = apply,
};
