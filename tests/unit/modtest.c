/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter as a stranger would write it: this file and the installed header. */
#include <ctflow/plugin.h>

struct modtest {
	struct ctf_obj obj;
	ctf_ref mark;
};

static const struct ctf_port reads[] = {
	{ "ct.mark", CTF_OPTIONAL, offsetof(struct modtest, mark), NULL },
	{ 0 },
};

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct modtest *m = self;

	return ctf_num_or(r, m->mark, 0) == 7 ? CTF_DROP : CTF_PASS;
}

CTF_PLUGIN(modtest) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "MODTEST",
	.doc = "drops flows marked 7",
	.reads = reads,
	.size = sizeof(struct modtest),
	.apply = apply,
};
