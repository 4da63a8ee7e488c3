/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GPRINT: one line per flow, key=value,key=value,... of all ulogd2's keys. */
#include <ctflow/plugin.h>
#include <time.h>

#include "columns.h"
#include "format.h"
#include "stream.h"

#define STAMP "timestamp="

struct conf {
	struct stream_conf stream;
	const char *format;
	bool timestamp;
};

struct gprint {
	struct ctf_obj obj;
	struct columns columns;
	struct format format;
	struct text_stamp stamp;
};

static const struct ctf_opt opts[] = {
	STREAM_OPTS("/var/log/ulogd_gprint.log"),
	FORMAT_OPT(offsetof(struct conf, format)),
	{ "timestamp", CTF_OBOOL, offsetof(struct conf, timestamp), 0, 0, "0", NULL,
	  "begin each line with timestamp=, the local time the event was received" },
	{ NULL },
};

static int
probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const struct conf *c = conf;

	if (*c->format)
		ctf_doubt_opt(ctx, "timestamp", "it has a meaning without format only");
	return 0;
}

static int
setup(void *self, struct ctf_err *err)
{
	struct gprint *e = self;
	const struct conf *c = e->obj.conf;

	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, c->stream.sync);
	if (*c->format)
		return format_set(&e->format, e->obj.ctx, "format", c->format, err);
	return columns_want(&e->columns, e->obj.ctx, false, err);
}

static void
release(void *self)
{
	struct gprint *e = self;

	columns_free(&e->columns);
	format_free(&e->format);
}

static void
stamp(struct gprint *e, uint64_t ns)
{
	const struct conf *c = e->obj.conf;
	char now[TEXT_TIME] = "";
	struct tm tm;

	if (!c->timestamp || *c->format || text_stamp_fresh(&e->stamp, ns))
		return;
	tm = text_local(ns);
	strftime(now, sizeof(now), "%Y/%m/%d-%H:%M:%S", &tm);
	text_stamp_set(&e->stamp, ns, STAMP, now, ",");
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct gprint *e = enc;
	char *start = (char *)f->p + f->len, *p = start;

	if (format_is_set(&e->format))
		return format_line(&e->format, &e->stamp, r, f);
	if (columns_room(&e->columns, r) + sizeof(STAMP) + TEXT_TIME > f->cap - f->len)
		return CTF_FULL;
	stamp(e, r->rx_ns);
	p = text_put(p, e->stamp.s, e->stamp.len);
	p = columns_put(p, &e->columns, r, ',');
	if (p == start)
		return CTF_SKIP;
	p[-1] = '\n'; /* over the last comma */
	f->len += (uint32_t)(p - start);
	return CTF_OK;
}

static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	struct gprint *e = enc;

	stamp(e, g->to_ns);
	return text_gap(f, g, &e->stamp);
}

CTF_PLUGIN(gprint) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "GPRINT",
	.doc = "all keys of a flow in one line: key=value,key=value",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.probe = probe,
	.size = sizeof(struct gprint),
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
