/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OPRINT: a line per key of a flow, key=value, after a line that begins the flow. */
#include <ctflow/plugin.h>
#include <stdio.h>

#include "columns.h"
#include "stream.h"

#define BOUNDARY "===>PACKET BOUNDARY\n"

struct oprint {
	struct ctf_obj obj;
	struct columns columns;
};

static const struct ctf_opt opts[] = {
	STREAM_OPTS("/var/log/ulogd_oprint.log"),
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	struct oprint *e = self;
	const struct stream_conf *c = e->obj.conf;

	ctf_frames(e->obj.ctx, STREAM_FRAME, c->sync);
	return columns_want(&e->columns, e->obj.ctx, true, err);
}

static void
release(void *self)
{
	struct oprint *e = self;

	columns_free(&e->columns);
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct oprint *e = enc;
	char *start = (char *)f->p + f->len, *p = start;

	if (columns_room(&e->columns, r) + sizeof(BOUNDARY) > f->cap - f->len)
		return CTF_FULL;
	p = text_put(p, BOUNDARY, sizeof(BOUNDARY) - 1);
	p = columns_put(p, &e->columns, r, '\n');
	f->len += (uint32_t)(p - start);
	return CTF_OK;
}

static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	char from[TEXT_ISO + 1] = "", to[TEXT_ISO + 1] = "", count[CTF_FMT_NUM + 1] = "?";
	char text[320];
	int n;

	*text_iso(from, g->from_ns) = '\0';
	*text_iso(to, g->to_ns) = '\0';
	if (g->count != CTF_UNKNOWN)
		*ctf_fmt_num(count, g->count) = '\0';
	n = snprintf(text, sizeof(text),
		     BOUNDARY "gap.from=%s\ngap.to=%s\ngap.cause=%.32s\ngap.count=%s\n", from,
		     to, g->cause, count);
	return ctf_frame_put(f, text, (size_t)n) ? CTF_OK : CTF_FULL;
}

CTF_PLUGIN(oprint) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "OPRINT",
	.doc = "all keys of a flow, a line each: key=value",
	.opts = opts,
	.conf_size = sizeof(struct stream_conf),
	.size = sizeof(struct oprint),
	.sink_size = sizeof(struct stream),
	.setup = setup,
	.release = release,
	.encode = encode,
	.gap = gap,
	.open = stream_open,
	.usable = stream_usable,
	.deliver = stream_deliver,
	.reopen = stream_reopen,
	.close = stream_close,
	.hand_over = stream_hand_over,
};
