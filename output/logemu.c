/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LOGEMU: the text of PRINTFLOW as syslog would write it to a file. */
#include <ctflow/plugin.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"
#include "text.h"

struct logemu {
	struct ctf_obj obj;
	ctf_ref print;
	struct text_stamp stamp;
	char host[80]; /* between the time and the text, blanks included */
};

static const struct ctf_opt opts[] = {
	STREAM_OPTS("/var/log/ulogd_syslogemu.log"),
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "print", CTF_REQUIRED, offsetof(struct logemu, print) },
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	struct logemu *e = self;
	const struct stream_conf *c = e->obj.conf;
	char name[65] = "";

	gethostname(name, sizeof(name) - 1);
	name[strcspn(name, ".")] = '\0';
	snprintf(e->host, sizeof(e->host), " %s ", name);
	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, c->sync);
	return 0;
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

	if (!ctf_has(r, e->print))
		return CTF_SKIP;
	stamp(e, r->rx_ns);
	return text_line(f, &e->stamp, r->v[e->print].s.p, r->v[e->print].s.len);
}

static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	struct logemu *e = enc;

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
	.conf_size = sizeof(struct stream_conf),
	.size = sizeof(struct logemu),
	.sink_size = sizeof(struct stream),
	.setup = setup,
	.encode = encode,
	.gap = gap,
	.open = stream_open,
	.deliver = stream_deliver,
	.reopen = stream_reopen,
	.close = stream_close,
	.hand_over = stream_hand_over,
};
