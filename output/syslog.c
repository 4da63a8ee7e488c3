/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSLOG: the text of PRINTFLOW to the system's log daemon, a datagram a
 * line, as syslog(3) writes it.  That would block, and lose lines while the
 * daemon is away, so its protocol is spoken here.
 */
#include <ctflow/plugin.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
#include "peer.h"

struct conf {
	struct stream_conf stream; /* file: the socket */
	const char *ident, *format;
	unsigned facility, level;
};

struct syslog {
	struct ctf_obj obj;
	ctf_ref print;
	struct text_stamp stamp;
	struct format format;
};

struct sink {
	struct stream stream;
	struct peer peer; /* of a stream socket */
	bool session;
	struct peer_counters counters;
};

#define OFF(member) offsetof(struct conf, member)

static const struct ctf_opt opts[] = {
	{ "facility", CTF_OENUM, OFF(facility), 0, 0, "LOG_KERN",
	  "LOG_DAEMON|LOG_KERN|LOG_LOCAL0|LOG_LOCAL1|LOG_LOCAL2|LOG_LOCAL3|LOG_LOCAL4|"
	  "LOG_LOCAL5|LOG_LOCAL6|LOG_LOCAL7|LOG_USER",
	  "facility of the lines; LOG_KERN, which only the kernel has, is LOG_DAEMON" },
	{ "level", CTF_OENUM, OFF(level), 0, 0, "LOG_NOTICE",
	  "LOG_EMERG|LOG_ALERT|LOG_CRIT|LOG_ERR|LOG_WARNING|LOG_NOTICE|LOG_INFO|LOG_DEBUG",
	  "level of the lines" },
	{ "ident", CTF_OTEXT, OFF(ident), 1, 48, "ulogd", NULL,
	  "program name in the lines, which filters of the log daemon go by" },
	{ "socket", CTF_OTEXT, OFF(stream.file), 1,
	  sizeof(((struct sockaddr_un *)0)->sun_path) - 1, "/dev/log", NULL,
	  "socket of the log daemon" },
	FORMAT_OPT(OFF(format)),
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "print", CTF_OPTIONAL,
	  offsetof(struct syslog, print) } /* with no format: required */,
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	struct syslog *e = self;
	const struct conf *c = e->obj.conf;

	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, true);
	if (*c->format)
		return format_set(&e->format, e->obj.ctx, "format", c->format, err);
	return ctf_want(e->obj.ctx, "print", &e->print, NULL, err);
}

static void
release(void *self)
{
	struct syslog *e = self;

	format_free(&e->format);
}

static int
priority(const struct conf *c)
{
	static const int facility[] = { LOG_DAEMON, LOG_DAEMON, LOG_LOCAL0, LOG_LOCAL1,
					LOG_LOCAL2, LOG_LOCAL3, LOG_LOCAL4, LOG_LOCAL5,
					LOG_LOCAL6, LOG_LOCAL7, LOG_USER };

	return facility[c->facility] | (int)c->level; /* levels count as in opts */
}

static inline void
stamp(struct syslog *e, uint64_t ns)
{
	const struct conf *c = e->obj.conf;
	char before[16], now[TEXT_TIME] = "", after[80];
	struct tm tm;

	if (text_stamp_fresh(&e->stamp, ns))
		return;
	tm = text_local(ns);
	snprintf(before, sizeof(before), "<%d>", priority(c));
	strftime(now, sizeof(now), "%b %e %H:%M:%S", &tm);
	snprintf(after, sizeof(after), " %s[%d]: ", c->ident, (int)getpid());
	text_stamp_set(&e->stamp, ns, before, now, after);
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct syslog *e = enc;

	if (!format_is_set(&e->format) && !ctf_has(r, e->print))
		return CTF_SKIP;
	stamp(e, r->rx_ns);
	if (format_is_set(&e->format))
		return format_line(&e->format, &e->stamp, r, f);
	return text_line(f, &e->stamp, r->v[e->print].s.p, r->v[e->print].s.len);
}

static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	struct syslog *e = enc;

	stamp(e, g->to_ns);
	return text_gap(f, g, &e->stamp);
}

static int
sink_open(void *self, int *ret_err, struct ctf_err *err)
{
	struct sink *s = self;
	const struct conf *c = s->stream.obj.conf;
	int r;

	if (!s->counters.too_long)
		s->counters.too_long =
			ctf_metric_new(s->stream.obj.ctx, "too_long", CTF_COUNTER,
				       CTF_UNIT_NONE, "lines too long for a datagram");
	r = peer_connect_unix(&s->stream, SOCK_DGRAM, c->stream.file, err);
	s->session = r == -EPROTOTYPE;
	if (s->session)
		r = peer_connect_unix(&s->stream, SOCK_STREAM, c->stream.file, err);
	*ret_err = -r;
	if (r)
		return -1;
	if (!s->session) {
		stream_hand_take(&s->stream);
		return -1;
	}
	peer_begin(&s->peer, &s->stream, 0);
	return s->stream.fd;
}

static enum ctf_sent
idle(void *self, struct ctf_err *err)
{
	struct sink *s = self;

	return peer_idle(&s->peer, &s->stream, err);
}

static enum ctf_sent
deliver(void *self, const struct ctf_frame *const *fr, unsigned n, unsigned *ret_taken,
	struct ctf_err *err)
{
	struct sink *s = self;

	if (s->session)
		return peer_deliver(&s->peer, &s->stream, fr, n, ret_taken, err);
	return peer_datagrams(&s->stream, fr, n, ret_taken, &s->counters, err);
}

static uint64_t
settled(void *self)
{
	struct sink *s = self;

	return s->session ? session_settled(&s->peer.session) : UINT64_MAX;
}

static uint64_t
needed(void *self)
{
	struct sink *s = self;

	return s->session ? session_needed(&s->peer.session) : UINT64_MAX;
}

static void
sink_close(void *self)
{
	struct sink *s = self;

	if (s->session)
		peer_finish(&s->peer, &s->stream);
	else
		stream_close(self);
}

CTF_PLUGIN(syslog) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "SYSLOG",
	.doc = "the text of PRINTFLOW to the system's log daemon",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct syslog),
	.sink_size = sizeof(struct sink),
	.setup = setup,
	.release = release,
	.encode = encode,
	.gap = gap,
	.open = sink_open,
	.deliver = deliver,
	.settled = settled,
	.needed = needed,
	.idle = idle,
	.close = sink_close,
	.hand_over = stream_hand_over,
};
