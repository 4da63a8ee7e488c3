/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output id that is several sinks: each but the first gets stacks of its
 * own, copies of those that end in the id, as if the configuration had named
 * it.  So they share what pure filters write and nothing else: a sink that is
 * away has its own queue, state and numbers.
 */
#include <errno.h>
#include <stdlib.h>

#include "graph.h"

/* "ct1:NFCT,ipfix1:IPFIX" with another output. */
static char *
text_for(const struct stack *st, const struct inst *out)
{
	const char *last = strrchr(st->text, ',');
	char *text;

	if (asprintf(&text, "%.*s,%s:%s", (int)(last ? last - st->text : 0), st->text, out->id,
		     out->plugin->name) < 0)
		return NULL;
	return text;
}

static int
add_copy(struct stack *st, struct inst *out, struct stack **at)
{
	struct stack *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	copy->own_text = text_for(st, out);
	if (!copy->own_text) {
		free(copy);
		return -ENOMEM;
	}
	copy->of = st;
	copy->text = copy->own_text;
	copy->line = st->line;
	copy->n = st->n;
	memcpy(copy->member, st->member, st->n * sizeof(copy->member[0]));
	copy->member[st->n - 1] = out;
	copy->bad = out->bad;
	copy->next = *at;
	*at = copy;
	return 0;
}

int
plan_several(struct plan *plan, struct stack *st, struct diag *diag)
{
	struct inst *out = st->member[st->n - 1];
	unsigned n = out->plugin->sinks ? out->plugin->sinks(out->conf) : 1;
	struct stack **at = &st->next;

	for (unsigned i = 1; i < n; i++, at = &(*at)->next) {
		struct inst *copy;
		int ret = plan_copy_inst(plan, out, i, &copy);

		if (ret == -EEXIST)
			diag_error(diag, plan->conf->file, st->line,
				   "%s.%u is the name of a collector of %s: it cannot be an id",
				   out->id, i + 1, out->id);
		else if (!ret)
			ret = add_copy(st, copy, at);
		if (ret)
			return ret;
	}
	return 0;
}
