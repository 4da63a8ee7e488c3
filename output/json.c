/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON: one object per flow and line, with the keys and the spacing of
 * ulogd2's.  Addresses appear as text where IP2STR makes it, as there.
 */
#include <ctflow/plugin.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "peer.h"
#include "json_keys.h"
#include "moot.h"
#include "stream.h"
#include "text.h"
#include "transport.h"

enum mode { MODE_FILE, MODE_TCP, MODE_UDP, MODE_UNIX, MODE_STDOUT }; /* as in opts */

struct conf {
	struct stream_conf stream;
	const char *device, *host, *port, *source;
	unsigned mode, keys;
	bool timestamp, eventv1, boolean_label;
	uint64_t resend;
};

struct json { /* the encoder */
	struct ctf_obj obj;
	unsigned n;
	size_t fixed; /* room for a line, but for the texts in it */
	struct json_member m[CTF_SLOTS];
	char before[64]; /* round the time of stamp */
	char after[1600];
	struct text_stamp stamp;
};

struct sink {
	struct stream stream;
	struct peer peer; /* modes tcp and unix */
	struct peer_counters counters;
};

#define OFF(member) offsetof(struct conf, member)

static const struct ctf_opt opts[] = {
	{ "file", CTF_OTEXT, OFF(stream.file), 1, 4095, "/var/log/ulogd.json", NULL,
	  "mode file: what lines are appended to (a file, a FIFO, a terminal); "
	  "mode unix: the socket to connect to" },
	{ "sync", CTF_OBOOL, OFF(stream.sync), 0, 0, "0", NULL,
	  "file and stdout: write after each batch of events, not when 64 KiB are full or "
	  "a second old; sockets always get each batch at once" },
	{ "timestamp", CTF_OBOOL, OFF(timestamp), 0, 0, "1", NULL,
	  "begin with \"timestamp\", the local time the event was received" },
	{ "eventv1", CTF_OBOOL, OFF(eventv1), 0, 0, "0", NULL,
	  "Logstash's event format: begin with \"@version\": 1, call the time \"@timestamp\"" },
	{ "device", CTF_OTEXT, OFF(device), 0, 255, "Netfilter", NULL, "the value of \"dvc\"" },
	{ "boolean_label", CTF_OBOOL, OFF(boolean_label), 0, 0, "0", NULL,
	  "packet records only: raw.label appears as \"action\": \"allowed\" or \"blocked\"; "
	  "flows have no such key" },
	{ "keys", CTF_OENUM, OFF(keys), 0, 0, "dots", "dots|underscores|nested",
	  "how keys are spelled: \"orig.l4.sport\": 1, \"orig_l4_sport\": 1, or "
	  "\"orig\": {\"l4\": {\"sport\": 1}}" },
	{ "mode", CTF_OENUM, OFF(mode), 0, 0, "file", "file|tcp|udp|unix|stdout",
	  "where lines go: see file, host and port" },
	{ "host", CTF_OTEXT, OFF(host), 1, 255, "127.0.0.1", NULL,
	  "modes tcp and udp: name or address to send to" },
	{ "port", CTF_OTEXT, OFF(port), 1, 32, "12345", NULL,
	  "modes tcp and udp: port number or service name" },
	{ "resend", CTF_OSIZE, OFF(resend), 0, UINT64_C(1) << 40, "8M", NULL,
	  "mode tcp: of what the peer had acknowledged, the last bytes that are sent again "
	  "after "
	  "a session that did not end in order; never less than its window" },
	{ "source", CTF_OTEXT, OFF(source), 0, 255, "", NULL,
	  "modes tcp and udp: the own address, %device or address%device to send from" },
	{ NULL },
};

#define FILES (1u << MODE_FILE)
#define STDOUT (1u << MODE_STDOUT)
#define LOCAL (1u << MODE_UNIX)
#define TCP (1u << MODE_TCP)
#define NETWORK (TCP | 1u << MODE_UDP)

static const struct moot of_mode[] = {
	{ "file", FILES | LOCAL, "mode=file or unix" },
	{ "sync", FILES | STDOUT, "mode=file or stdout" },
	{ "host", NETWORK, "mode=tcp or udp" },
	{ "port", NETWORK, "mode=tcp or udp" },
	{ "source", NETWORK, "mode=tcp or udp" },
	{ "resend", TCP, "mode=tcp" },
	{ NULL },
};

static int
probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const struct conf *c = conf;

	say_moot(ctx, of_mode, c->mode);
	return 0;
}

static bool
has_session(const struct conf *c)
{
	return c->mode == MODE_TCP || c->mode == MODE_UNIX;
}

/* The last of equal names wins: an object has each name once. */
static struct json_member *
member_of(struct json *e, const char *name)
{
	for (unsigned i = 0; i < e->n; i++)
		if (strcmp(e->m[i].name, name) == 0)
			return &e->m[i];
	return e->n < CTF_SLOTS ? &e->m[e->n++] : NULL;
}

static void
add_member(struct json *e, ctf_ref ref, const struct ctf_field *field)
{
	const struct conf *c = e->obj.conf;
	bool action = c->boolean_label && strcmp(field->name, "raw.label") == 0;
	const char *name = action ? "action" : field->cim ? field->cim : field->name;
	struct json_member *m;

	if (field->type == CTF_IP || field->type == CTF_BYTES)
		return; /* ulogd2's has no such values */
	m = member_of(e, name);
	if (!m)
		return;
	m->name = name;
	m->ref = ref;
	m->text = field->type == CTF_TEXT;
	m->zero = field->flags & CTF_F_ZERO;
	m->action = action;
}

static int
add_members(struct json *e, struct ctf_err *err)
{
	const struct conf *c = e->obj.conf;
	const struct ctf_field *field;
	ctf_ref ref;
	int r = 1;

	for (unsigned i = 0; r > 0; i++) {
		r = ctf_want_nth(e->obj.ctx, i, &ref, &field, err);
		if (r > 0)
			add_member(e, ref, field);
	}
	if (!r && json_keys_set(e->m, e->n, c->keys) < 0)
		return ctf_fail(err, ENOMEM, "out of memory");
	e->fixed = strlen(e->before) + TEXT_TIME + strlen(e->after) + TEXT_LABEL;
	for (unsigned i = 0; i < e->n; i++)
		e->fixed += e->m[i].label.len + json_keys_room(&e->m[i]) + CTF_FMT_NUM;
	return r;
}

/* What every line begins with, in two parts round the time. */
static void
set_begin(struct json *e)
{
	const struct conf *c = e->obj.conf;
	char *p = e->before;

	p = stpcpy(p, c->eventv1 ? "{\"@version\": 1, " : "{");
	if (c->timestamp)
		stpcpy(p, c->eventv1 ? "\"@timestamp\": \"" : "\"timestamp\": \"");
	p = stpcpy(e->after, c->timestamp ? "\", \"dvc\": \"" : "\"dvc\": \"");
	p = text_json(p, c->device, strlen(c->device));
	stpcpy(p, "\"");
}

static int
setup(void *self, struct ctf_err *err)
{
	struct json *e = self;
	const struct conf *c = e->obj.conf;
	struct sockaddr_un sun;
	bool socket = c->mode != MODE_FILE && c->mode != MODE_STDOUT;

	if (c->mode == MODE_UNIX && strlen(c->stream.file) >= sizeof(sun.sun_path))
		return ctf_fail_opt(e->obj.ctx, err, "file", "longer than %zu characters: %s",
				    sizeof(sun.sun_path) - 1, c->stream.file);
	if ((c->mode == MODE_TCP || c->mode == MODE_UDP) && !transport_port(c->port))
		return ctf_fail_opt(e->obj.ctx, err, "port",
				    "port=%s: neither 1 to 65535 nor the name of a service",
				    c->port);
	if (!transport_source(c->source))
		return ctf_fail_opt(e->obj.ctx, err, "source", TRANSPORT_SOURCE, c->source);
	set_begin(e);
	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, c->stream.sync || socket);
	return add_members(e, err);
}

static void
release(void *self)
{
	struct json *e = self;

	for (unsigned i = 0; i < e->n; i++)
		text_label_free(&e->m[i].label);
}

static void
stamp(struct json *e, uint64_t ns)
{
	const struct conf *c = e->obj.conf;
	char now[TEXT_TIME] = "";
	struct tm tm;

	if (text_stamp_fresh(&e->stamp, ns))
		return;
	tm = text_local(ns);
	if (c->timestamp)
		strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S%z", &tm);
	text_stamp_set(&e->stamp, ns, e->before, now, e->after);
}

/* At most; exact where the texts are measured instead of assumed the worst. */
static size_t
room(const struct json *e, const struct ctf_rec *r, bool exact)
{
	size_t sum = e->fixed;

	for (unsigned i = 0; i < e->n; i++) {
		const union ctf_val *v = &r->v[e->m[i].ref];

		if (e->m[i].text && ctf_has(r, e->m[i].ref))
			sum += 2 + (exact ? text_json_len(v->s.p, v->s.len)
					  : (size_t)TEXT_JSON * v->s.len);
	}
	return sum;
}

static inline char *
put_value(char *p, const struct json_member *m, const struct ctf_rec *r)
{
	const union ctf_val *v = &r->v[m->ref];

	if (!ctf_has(r, m->ref)) {
		*p++ = '0';
		return p;
	}
	if (m->action)
		return text_put(p, v->u ? "\"allowed\"" : "\"blocked\"", 9);
	if (!m->text)
		return ctf_fmt_num(p, v->u);
	*p++ = '"';
	p = text_json(p, v->s.p, v->s.len);
	*p++ = '"';
	return p;
}

static char *
put_members(char *p, const struct json *e, const struct ctf_rec *r)
{
	for (unsigned i = 0; i < e->n; i++) {
		const struct json_member *m = &e->m[i];

		if (m->zero || ctf_has(r, m->ref))
			p = put_value(text_label(p, &m->label), m, r);
	}
	return p;
}

static char *
put_nested(char *p, const struct json *e, const struct ctf_rec *r)
{
	const struct json_member *last = NULL;

	for (unsigned i = 0; i < e->n; i++) {
		const struct json_member *m = &e->m[i];

		if (!m->zero && !ctf_has(r, m->ref))
			continue;
		p = put_value(json_keys_open(p, last, m), m, r);
		last = m;
	}
	return json_keys_close(p, last);
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct json *e = enc;
	const struct conf *c = e->obj.conf;
	char *start = (char *)f->p + f->len, *p = start;
	size_t have = f->cap - f->len;

	if (room(e, r, false) > have && room(e, r, true) > have)
		return CTF_FULL;
	stamp(e, r->rx_ns);
	p = text_put(p, e->stamp.s, e->stamp.len);
	p = c->keys == KEYS_NESTED ? put_nested(p, e, r) : put_members(p, e, r);
	*p++ = '}';
	*p++ = '\n';
	f->len += (uint32_t)(p - start);
	return CTF_OK;
}

/* A key of a gap, and its value as JSON wants it. */
static bool
put_gap(struct ctf_frame *f, enum json_keys keys, const char *key, const char *value)
{
	static const char *const begins[] = { ", \"gap.", ", \"gap_", ", \"" };
	bool first = keys == KEYS_NESTED && strcmp(key, "from") == 0;
	const char *begin = first ? ", \"gap\": {\"" : begins[keys];

	return ctf_frame_put(f, begin, strlen(begin)) && ctf_frame_put(f, key, strlen(key)) &&
	       ctf_frame_put(f, "\": ", 3) && ctf_frame_put(f, value, strlen(value));
}

static bool
put_gap_text(struct ctf_frame *f, enum json_keys keys, const char *key, const char *s)
{
	size_t n = strlen(s);

	if (!put_gap(f, keys, key, "\"") || text_json_len(s, n) + 1 > f->cap - f->len)
		return false;
	f->len = (uint32_t)(text_json((char *)f->p + f->len, s, n) - (char *)f->p);
	return ctf_frame_put(f, "\"", 1);
}

static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	static const char *const is[] = {
		[CTF_EXACT] = "exact", [CTF_AT_MOST] = "at_most", [CTF_UNCOUNTED] = "unknown"
	};
	char from[TEXT_ISO + 1] = "", to[TEXT_ISO + 1] = "", count[CTF_FMT_NUM + 1] = "null";
	struct json *e = enc;
	enum json_keys keys = ((const struct conf *)e->obj.conf)->keys;
	uint32_t start = f->len;

	stamp(e, g->to_ns);
	*text_iso(from, g->from_ns) = '\0';
	*text_iso(to, g->to_ns) = '\0';
	if (g->count != CTF_UNKNOWN)
		*ctf_fmt_num(count, g->count) = '\0';
	if (ctf_frame_put(f, e->stamp.s, e->stamp.len) && put_gap_text(f, keys, "from", from) &&
	    put_gap_text(f, keys, "to", to) && put_gap_text(f, keys, "cause", g->cause) &&
	    put_gap(f, keys, "count", count) &&
	    put_gap_text(f, keys, "count_is", is[g->count_is]) &&
	    put_gap_text(f, keys, "instance", g->instance) &&
	    (keys != KEYS_NESTED || ctf_frame_put(f, "}", 1)) && ctf_frame_put(f, "}\n", 2))
		return CTF_OK;
	f->len = start;
	return CTF_FULL;
}

static int
usable(void *self, struct ctf_err *err)
{
	const struct conf *c = ((struct sink *)self)->stream.obj.conf;

	return c->mode == MODE_FILE ? stream_usable(self, err) : 0;
}

static int
sink_open(void *self, int *ret_err, struct ctf_err *err)
{
	struct sink *s = self;
	const struct conf *c = s->stream.obj.conf;
	int r;

	if (c->mode == MODE_UDP && !s->counters.refused) {
		s->counters.too_long =
			ctf_metric_new(s->stream.obj.ctx, "too_long", CTF_COUNTER,
				       CTF_UNIT_NONE, "records too long for a datagram");
		s->counters.refused =
			ctf_metric_new(s->stream.obj.ctx, "refused", CTF_COUNTER, CTF_UNIT_NONE,
				       "records the receiver refused");
	}
	switch (c->mode) {
	case MODE_TCP:
	case MODE_UDP:
		r = peer_connect(&s->stream,
				 &(struct transport_to){ c->host, c->port, c->source,
							 c->mode == MODE_TCP },
				 err);
		break;
	case MODE_UNIX:
		r = peer_connect_unix(&s->stream, SOCK_STREAM, c->stream.file, err);
		break;
	default:
		r = stream_open_path(&s->stream,
				     c->mode == MODE_STDOUT ? "/dev/stdout" : c->stream.file,
				     err);
	}
	*ret_err = -r;
	if (r || !has_session(c))
		return -1;
	peer_begin(&s->peer, &s->stream, c->mode == MODE_TCP ? c->resend : 0);
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
	const struct conf *c = s->stream.obj.conf;

	if (c->mode == MODE_UDP)
		return peer_datagrams(&s->stream, fr, n, ret_taken, &s->counters, err);
	if (has_session(c))
		return peer_deliver(&s->peer, &s->stream, fr, n, ret_taken, err);
	return stream_deliver(&s->stream, fr, n, ret_taken, err);
}

static uint64_t
settled(void *self)
{
	struct sink *s = self;

	return has_session(s->stream.obj.conf) ? session_settled(&s->peer.session) : UINT64_MAX;
}

static uint64_t
needed(void *self)
{
	struct sink *s = self;

	return has_session(s->stream.obj.conf) ? session_needed(&s->peer.session) : UINT64_MAX;
}

static void
sink_close(void *self)
{
	struct sink *s = self;

	if (has_session(s->stream.obj.conf))
		peer_finish(&s->peer, &s->stream);
	else
		stream_close(self);
}

static int
reopen(void *self, struct ctf_err *err)
{
	struct sink *s = self;
	const struct conf *c = s->stream.obj.conf;

	return c->mode == MODE_FILE ? stream_reopen(&s->stream, err) : 0;
}

CTF_PLUGIN(json) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "JSON",
	.doc = "one JSON object per flow, to a file, the standard output or a socket",
	.opts = opts,
	.conf_size = sizeof(struct conf),
	.probe = probe,
	.size = sizeof(struct json),
	.sink_size = sizeof(struct sink),
	.setup = setup,
	.release = release,
	.encode = encode,
	.gap = gap,
	.open = sink_open,
	.usable = usable,
	.deliver = deliver,
	.settled = settled,
	.needed = needed,
	.idle = idle,
	.reopen = reopen,
	.close = sink_close,
	.hand_over = stream_hand_over,
};
