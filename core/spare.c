/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of a sink's worker: when the plugin does what has no hurry. */
#include <limits.h>

#include "sink.h"

static bool
may_spare(const struct sink *s)
{
	return s->inst->plugin->spare && s->state == SINK_UP && !s->draining &&
	       s->spare_at_ms < UINT64_MAX;
}

void
sink_spare(struct sink *s)
{
	int ms;

	if (!may_spare(s) || ctf_mono_ms() < s->spare_at_ms)
		return;
	ms = s->inst->plugin->spare(s->ctx.obj);
	s->spare_at_ms = ms < 0 ? UINT64_MAX : ctf_mono_ms() + (unsigned)ms;
}

void
sink_spare_again(struct sink *s)
{
	if (s->spare_at_ms == UINT64_MAX)
		s->spare_at_ms = 0;
}

bool
sink_spare_first(const struct sink *s, int *timeout_ms)
{
	uint64_t now = ctf_mono_ms(), left;

	if (!may_spare(s))
		return false;
	left = s->spare_at_ms > now ? s->spare_at_ms - now : 0;
	if (left > INT_MAX || (*timeout_ms >= 0 && left >= (unsigned)*timeout_ms))
		return false;
	*timeout_ms = (int)left;
	return true;
}

int
sink_may_open(struct sink *s, struct ctf_err *err)
{
	const struct ctf_plugin *p = s->inst->plugin;

	return p->usable ? -p->usable(s->ctx.obj, err) : 0;
}
