/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an output will have to make anew, and whether it will be able to. */
#include <limits.h>
#include <stdlib.h>

#include "priv.h"
#include "sink.h"

void
ctf_will_remake(struct ctf_ctx *ctx, const char *path)
{
	struct sink *s = ctx->sink;

	if (s->settled_in)
		return;
	free(s->remakes);
	s->remakes = strdup(path);
}

void
sink_settle_in(struct sink *s)
{
	char folder[PATH_MAX];

	s->settled_in = true;
	if (!s->remakes || priv_may_remake(s->remakes, folder, sizeof(folder)))
		return;
	ctf_log(&s->ctx, CTF_WARNING,
		"%s: this user may not make files in %s: once it is moved away or closed, only "
		"a "
		"file that it was given there can be opened",
		s->remakes, folder);
}
