/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GPRINT: one line per flow, key=value,key=value,... of all ulogd2's keys. */
#include <ctflow/plugin.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "stream.h"
#include "text.h"

#define STAMP "timestamp="

struct conf {
	struct stream_conf stream;
	bool timestamp;
};

struct column {
	ctf_ref ref;
	enum ctf_type type;
	bool zero;               /* absent is printed as 0 */
	struct text_label label; /* "key=" */
};

struct gprint {
	struct ctf_obj obj;
	unsigned n;
	size_t fixed; /* room for a line, but for the texts in it */
	struct column col[CTF_SLOTS];
	struct text_stamp stamp;
};

static const struct ctf_opt opts[] = {
	{ "file", CTF_OTEXT, offsetof(struct conf, stream.file), 1, 4095,
	  "/var/log/ulogd_gprint.log", NULL,
	  "what lines are appended to: a file, a FIFO, a terminal, /dev/stdout" },
	{ "sync", CTF_OBOOL, offsetof(struct conf, stream.sync), 0, 0, "0", NULL,
	  "write after each batch of events, not when 64 KiB are full or a second old" },
	{ "timestamp", CTF_OBOOL, offsetof(struct conf, timestamp), 0, 0, "0", NULL,
	  "begin each line with timestamp=, the local time the event was received" },
	{ NULL },
};

static int
add_column(struct gprint *e, ctf_ref ref, const struct ctf_field *field)
{
	struct column *c = &e->col[e->n];

	if (e->n == CTF_SLOTS || field->type == CTF_BYTES)
		return 0; /* ulogd2 prints no raw bytes */
	if (text_label_set(&c->label, "", field->name, false, "=") < 0)
		return -ENOMEM;
	c->ref = ref;
	c->type = field->type;
	c->zero = field->flags & CTF_F_ZERO;
	e->fixed += c->label.len + CTF_FMT_IP + 1;
	e->n++;
	return 0;
}

static int
setup(void *self, struct ctf_err *err)
{
	struct gprint *e = self;
	const struct conf *c = e->obj.conf;
	const struct ctf_field *field;
	ctf_ref ref;
	int r = 1;

	e->fixed = sizeof(STAMP) + TEXT_TIME + TEXT_LABEL;
	for (unsigned i = 0; r > 0; i++) {
		r = ctf_want_nth(e->obj.ctx, i, &ref, &field, err);
		if (r > 0 && add_column(e, ref, field) < 0)
			return ctf_fail(err, ENOMEM, "out of memory");
	}
	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, c->stream.sync);
	return r;
}

static void
release(void *self)
{
	struct gprint *e = self;

	for (unsigned i = 0; i < e->n; i++)
		text_label_free(&e->col[i].label);
}

static void
stamp(struct gprint *e, uint64_t ns)
{
	const struct conf *c = e->obj.conf;
	char now[TEXT_TIME] = "";
	struct tm tm;

	if (!c->timestamp || text_stamp_fresh(&e->stamp, ns))
		return;
	tm = text_local(ns);
	strftime(now, sizeof(now), "%Y/%m/%d-%H:%M:%S", &tm);
	text_stamp_set(&e->stamp, ns, STAMP, now, ",");
}

static size_t
room(const struct gprint *e, const struct ctf_rec *r)
{
	size_t sum = e->fixed;

	for (unsigned i = 0; i < e->n; i++)
		if (e->col[i].type == CTF_TEXT && ctf_has(r, e->col[i].ref))
			sum += r->v[e->col[i].ref].s.len;
	return sum;
}

static char *
put_column(char *p, const struct column *c, const struct ctf_rec *r)
{
	const union ctf_val *v = &r->v[c->ref];
	bool has = ctf_has(r, c->ref);

	if (!has && !c->zero)
		return p;
	p = text_label(p, &c->label);
	if (!has)
		*p++ = '0';
	else if (c->type == CTF_TEXT)
		p = text_put(p, v->s.p, v->s.len);
	else if (c->type == CTF_IP)
		p = ctf_fmt_ip(p, v->ip, r->family);
	else
		p = ctf_fmt_num(p, v->u);
	*p++ = ',';
	return p;
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct gprint *e = enc;
	char *start = (char *)f->p + f->len, *p = start;

	if (room(e, r) > f->cap - f->len)
		return CTF_FULL;
	stamp(e, r->rx_ns);
	p = text_put(p, e->stamp.s, e->stamp.len);
	for (unsigned i = 0; i < e->n; i++)
		p = put_column(p, &e->col[i], r);
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
	.size = sizeof(struct gprint),
	.sink_size = sizeof(struct stream),
	.setup = setup,
	.release = release,
	.encode = encode,
	.gap = gap,
	.open = stream_open,
	.deliver = stream_deliver,
	.reopen = stream_reopen,
	.close = stream_close,
	.hand_over = stream_hand_over,
};
