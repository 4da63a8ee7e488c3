/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LOGEMU: the text of PRINTFLOW as syslog would write it to a file. */
#include <ctflow/plugin.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
#include "stream.h"

struct conf {
	struct stream_conf stream;
	const char *format;
};

struct logemu {
	struct ctf_obj obj;
	ctf_ref print;
	struct format format;
	struct text_stamp stamp;
	char host[80]; /* between the time and the text, blanks included */
};

static const struct ctf_opt opts[] = {
	STREAM_OPTS("/var/log/ulogd_syslogemu.log"),
	FORMAT_OPT(offsetof(struct conf, format)),
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "print", CTF_OPTIONAL,
	  offsetof(struct logemu, print) } /* with no format: required */,
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	struct logemu *e = self;
	const struct conf *c = e->obj.conf;
	char name[65] = "";

	gethostname(name, sizeof(name) - 1);
	name[strcspn(name, ".")] = '\0';
	snprintf(e->host, sizeof(e->host), " %s ", name);
	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, c->stream.sync);
	if (*c->format)
		return format_set(&e->format, e->obj.ctx, "format", c->format, err);
	return ctf_want(e->obj.ctx, "print", &e->print, NULL, err);
}

static void
release(void *self)
{
	struct logemu *e = self;

	format_free(&e->format);
}

static inline void
stamp(struct logemu *e, uint64_t ns)
{
	char now[TEXT_TIME] = "";
	struct tm tm;

	if (text_stamp_fresh(&e->stamp, ns))
		return;
	tm = text_local(ns);
	strftime(now, sizeof(now), "%b %e %H:%M:%S", &tm);
	text_stamp_set(&e->stamp, ns, "", now, e->host);
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct logemu *e = enc;

	if (format_is_set(&e->format))
		return format_line(&e->format, &e->stamp, r, f);
	if (!ctf_has(r, e->print))
		return CTF_SKIP;
	stamp(e, r->rx_ns);
	return text_line(f, &e->stamp, r->v[e->print].s.p, r->v[e->print].s.len);
}

static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	struct logemu *e = enc;

	if (!format_is_set(&e->format))
		stamp(e, g->to_ns);
	return text_gap(f, g, &e->stamp);
}

CTF_PLUGIN(logemu) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "LOGEMU",
	.doc = "lines as in syslog: time, host name, text of PRINTFLOW",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct logemu),
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
