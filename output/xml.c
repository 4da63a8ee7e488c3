/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XML: a <flow> element per record, in the words of libnetfilter_conntrack,
 * which ulogd2's readers know.  What it does not escape is escaped, and states
 * of SCTP and DCCP have their own names.
 */
#include <ctflow/plugin.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "text.h"
#include "xml.h"

#ifndef IPPROTO_DCCP
#define IPPROTO_DCCP 33
#endif

struct side { /* one direction of the flow */
	ctf_ref src, dst, proto, sport, dport, skey, dkey, bytes, packets, zone;
};

struct xml {
	struct ctf_obj obj;
	struct side orig, reply;
	ctf_ref tcp, sctp, dccp, timeout, mark, secctx, use, id, status, start, stop, helper;
	struct text_stamp when; /* <when>...</when> */
};

#define CONF(member) offsetof(struct xml_conf, member)
#define OFF(member) offsetof(struct xml, member)

static const struct ctf_opt opts[] = {
	{ "directory", CTF_OTEXT, CONF(stream.file), 1, 4095, "/var/log/", NULL,
	  "folder of the files, which are named ulogd-flow-DDMMYYYY-HHMMSS.xml" },
	{ "sync", CTF_OBOOL, CONF(stream.sync), 0, 0, "0", NULL,
	  "write after each batch of events, not when 64 KiB are full or a second old" },
	{ "stdout", CTF_OBOOL, CONF(to_stdout), 0, 0, "0", NULL,
	  "write to the standard output instead" },
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_REQUIRED, OFF(orig.src) },
	{ "orig.ip.daddr", CTF_REQUIRED, OFF(orig.dst) },
	{ "orig.ip.protocol", CTF_REQUIRED, OFF(orig.proto) },
	{ "orig.l4.sport", CTF_OPTIONAL, OFF(orig.sport) },
	{ "orig.l4.dport", CTF_OPTIONAL, OFF(orig.dport) },
	{ "orig.gre.skey", CTF_OPTIONAL, OFF(orig.skey) },
	{ "orig.gre.dkey", CTF_OPTIONAL, OFF(orig.dkey) },
	{ "orig.raw.pktlen", CTF_OPTIONAL, OFF(orig.bytes) },
	{ "orig.raw.pktcount", CTF_OPTIONAL, OFF(orig.packets) },
	{ "ct.zone", CTF_OPTIONAL, OFF(orig.zone) },
	{ "reply.ip.saddr", CTF_OPTIONAL, OFF(reply.src) },
	{ "reply.ip.daddr", CTF_OPTIONAL, OFF(reply.dst) },
	{ "reply.ip.protocol", CTF_OPTIONAL, OFF(reply.proto) },
	{ "reply.l4.sport", CTF_OPTIONAL, OFF(reply.sport) },
	{ "reply.l4.dport", CTF_OPTIONAL, OFF(reply.dport) },
	{ "reply.gre.skey", CTF_OPTIONAL, OFF(reply.skey) },
	{ "reply.gre.dkey", CTF_OPTIONAL, OFF(reply.dkey) },
	{ "reply.raw.pktlen", CTF_OPTIONAL, OFF(reply.bytes) },
	{ "reply.raw.pktcount", CTF_OPTIONAL, OFF(reply.packets) },
	{ "ct.zone.reply", CTF_OPTIONAL, OFF(reply.zone) },
	{ "ct.tcp.state", CTF_OPTIONAL, OFF(tcp) },
	{ "ct.sctp.state", CTF_OPTIONAL, OFF(sctp) },
	{ "ct.dccp.state", CTF_OPTIONAL, OFF(dccp) },
	{ "ct.timeout", CTF_OPTIONAL, OFF(timeout) },
	{ "ct.mark", CTF_OPTIONAL, OFF(mark) },
	{ "ct.secctx", CTF_OPTIONAL, OFF(secctx) },
	{ "ct.use", CTF_OPTIONAL, OFF(use) },
	{ "ct.id", CTF_OPTIONAL, OFF(id) },
	{ "ct.status", CTF_OPTIONAL, OFF(status) },
	{ "ct.helper", CTF_OPTIONAL, OFF(helper) },
	{ "flow.start.ns", CTF_OPTIONAL, OFF(start) },
	{ "flow.destroy.ns", CTF_OPTIONAL, OFF(stop) },
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	struct xml *e = self;
	const struct xml_conf *c = e->obj.conf;

	tzset();
	ctf_frames(e->obj.ctx, STREAM_FRAME, c->stream.sync);
	return 0;
}

/* ---- elements ------------------------------------------------------------------ */

#define FIXED 2048u /* room for a flow but for the texts in it, generously */

static inline char *
put_lit(char *p, const char *s)
{
	size_t n = strlen(s); /* folded: s is a literal */

	memcpy(p, s, n);
	return p + n;
}

#define ELEMENT(p, name, x) put_lit(ctf_fmt_num(put_lit(p, "<" name ">"), x), "</" name ">")
/* If the record has it. */
#define OPTIONAL(p, name, r, f) (ctf_has(r, f) ? ELEMENT(p, name, ctf_num(r, f)) : (p))

/* XML 1.0 has no way to write other control characters. */
static char *
put_text(char *p, const union ctf_val *v)
{
	const char *s = v->s.p;

	for (uint32_t i = 0; i < v->s.len; i++) {
		if (s[i] == '<')
			p = put_lit(p, "&lt;");
		else if (s[i] == '>')
			p = put_lit(p, "&gt;");
		else if (s[i] == '&')
			p = put_lit(p, "&amp;");
		else
			*p++ = (uint8_t)s[i] < 0x20 || (uint8_t)s[i] > 0x7e ? '?' : s[i];
	}
	return p;
}

#define TEXT_MAX 5u /* bytes put_text() makes of one */

static const char *
proto_name(uint64_t proto)
{
	switch (proto) {
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_DCCP:
		return "dccp";
	case IPPROTO_GRE:
		return "gre";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_UDPLITE:
		return "udplite";
	default:
		return "unknown";
	}
}

static char *
put_hex(char *p, uint64_t x)
{
	char s[24];

	return text_put(p, s, (size_t)snprintf(s, sizeof(s), "0x%llx", (unsigned long long)x));
}

static char *
put_layer4(char *p, const struct side *s, const struct ctf_rec *r)
{
	uint64_t proto = ctf_num_or(r, s->proto, 0);
	const char *name = proto_name(proto);

	p = ctf_fmt_num(put_lit(p, "<layer4 protonum=\""), proto);
	p = text_put(put_lit(p, "\" protoname=\""), name, strlen(name));
	p = put_lit(p, "\">");
	p = OPTIONAL(p, "sport", r, s->sport);
	p = OPTIONAL(p, "dport", r, s->dport);
	if (ctf_has(r, s->skey))
		p = put_lit(put_hex(put_lit(p, "<srckey>"), ctf_num(r, s->skey)), "</srckey>");
	if (ctf_has(r, s->dkey))
		p = put_lit(put_hex(put_lit(p, "<dstkey>"), ctf_num(r, s->dkey)), "</dstkey>");
	return put_lit(p, "</layer4>");
}

static char *
put_addr(char *p, const struct ctf_rec *r, ctf_ref f)
{
	return ctf_has(r, f) ? ctf_fmt_ip(p, r->v[f].ip, r->family) : p;
}

static char *
put_side(char *p, const struct side *s, const struct ctf_rec *r, bool counters, bool zone)
{
	p = put_lit(p, r->family == AF_INET6 ? "<layer3 protonum=\"10\" protoname=\"ipv6\">"
					     : "<layer3 protonum=\"2\" protoname=\"ipv4\">");
	p = put_lit(put_addr(put_lit(p, "<src>"), r, s->src), "</src>");
	p = put_lit(put_addr(put_lit(p, "<dst>"), r, s->dst), "</dst>");
	p = put_layer4(put_lit(p, "</layer3>"), s, r);
	if (zone)
		p = OPTIONAL(p, "zone", r, s->zone);
	if (counters) {
		p = ELEMENT(put_lit(p, "<counters>"), "packets", ctf_num_or(r, s->packets, 0));
		p = put_lit(ELEMENT(p, "bytes", ctf_num_or(r, s->bytes, 0)), "</counters>");
	}
	return put_lit(p, "</meta>");
}

static char *
put_state(char *p, const struct xml *e, const struct ctf_rec *r)
{
	static const char *const tcp[] = { "NONE",     "SYN_SENT",   "SYN_RECV", "ESTABLISHED",
					   "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
					   "CLOSE",    "SYN_SENT2" };
	static const char *const sctp[] = { "NONE",           "CLOSED",
					    "COOKIE_WAIT",    "COOKIE_ECHOED",
					    "ESTABLISHED",    "SHUTDOWN_SENT",
					    "SHUTDOWN_RECD",  "SHUTDOWN_ACK_SENT",
					    "HEARTBEAT_SENT", "HEARTBEAT_ACKED" };
	static const char *const dccp[] = { "NONE",   "REQUEST",  "RESPOND", "PARTOPEN",
					    "OPEN",   "CLOSEREQ", "CLOSING", "TIMEWAIT",
					    "IGNORE", "INVALID" };
	const char *const *names = ctf_has(r, e->tcp) ? tcp : ctf_has(r, e->sctp) ? sctp : dccp;
	ctf_ref f = ctf_has(r, e->tcp) ? e->tcp : ctf_has(r, e->sctp) ? e->sctp : e->dccp;
	uint64_t state = ctf_num_or(r, f, 0);
	const char *name = names[state < 10 ? state : 0];

	if (!ctf_has(r, f))
		return p;
	return put_lit(text_put(put_lit(p, "<state>"), name, strlen(name)), "</state>");
}

/* Seconds the flow has lasted, to its end or until now. */
static char *
put_duration(char *p, const struct xml *e, const struct ctf_rec *r)
{
	uint64_t now = r->rx_ns - r->rx_ns % 1000000000, start, stop;

	if (!ctf_has(r, e->start))
		return p;
	start = ctf_num(r, e->start);
	stop = ctf_num_or(r, e->stop, now);
	return ELEMENT(p, "deltatime", stop > start ? (stop - start) / 1000000000 : 0);
}

static char *
put_independent(char *p, const struct xml *e, const struct ctf_rec *r, bool zone)
{
	uint64_t status = ctf_num_or(r, e->status, IPS_SEEN_REPLY);

	p = put_state(put_lit(p, "<meta direction=\"independent\">"), e, r);
	p = OPTIONAL(p, "timeout", r, e->timeout);
	p = OPTIONAL(p, "mark", r, e->mark);
	if (ctf_has(r, e->secctx))
		p = put_lit(put_text(put_lit(p, "<secctx>"), &r->v[e->secctx]), "</secctx>");
	if (zone)
		p = OPTIONAL(p, "zone", r, e->orig.zone);
	p = OPTIONAL(p, "use", r, e->use);
	p = OPTIONAL(p, "id", r, e->id);
	if (status & IPS_ASSURED)
		p = put_lit(p, "<assured/>");
	if (!(status & IPS_SEEN_REPLY))
		p = put_lit(p, "<unreplied/>");
	return put_lit(put_duration(p, e, r), "</meta>");
}

static void
stamp(struct xml *e, uint64_t ns)
{
	char when[200];
	struct tm tm;

	if (text_stamp_fresh(&e->when, ns))
		return;
	tm = text_local(ns);
	snprintf(when, sizeof(when),
		 "<hour>%d</hour><min>%02d</min><sec>%02d</sec><wday>%d</wday><day>%d</day>"
		 "<month>%d</month><year>%d</year>",
		 tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_wday + 1, tm.tm_mday, tm.tm_mon + 1,
		 tm.tm_year + 1900);
	text_stamp_set(&e->when, ns, "<when>", when, "</when>");
}

static char *
put_flow(char *p, struct xml *e, const struct ctf_rec *r)
{
	bool counters = ctf_has(r, e->orig.packets) && ctf_has(r, e->orig.bytes);
	bool zone = ctf_has(r, e->orig.zone) && ctf_has(r, e->reply.zone) &&
		    ctf_num(r, e->orig.zone) == ctf_num(r, e->reply.zone);

	p = put_lit(p, "<flow><meta direction=\"original\">");
	p = put_side(p, &e->orig, r, counters, !zone);
	p = put_lit(p, "<meta direction=\"reply\">");
	p = put_side(p, &e->reply, r, counters, !zone);
	p = put_independent(p, e, r, zone);
	p = text_put(p, e->when.s, e->when.len);
	if (ctf_has(r, e->helper))
		p = put_lit(put_text(put_lit(p, "<helper>"), &r->v[e->helper]), "</helper>");
	return put_lit(p, "</flow>\n");
}

static size_t
text_room(const struct ctf_rec *r, ctf_ref f)
{
	return ctf_has(r, f) ? (size_t)TEXT_MAX * r->v[f].s.len : 0;
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct xml *e = enc;
	char *start = (char *)f->p + f->len;

	if (FIXED + text_room(r, e->secctx) + text_room(r, e->helper) > f->cap - f->len)
		return CTF_FULL;
	stamp(e, r->rx_ns);
	f->len += (uint32_t)(put_flow(start, e, r) - start);
	return CTF_OK;
}

/* A comment: readers of flows know no such element. */
static enum ctf_put
gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	char from[TEXT_ISO + 1] = "", to[TEXT_ISO + 1] = "", count[CTF_FMT_NUM + 1] = "?";
	char line[256];
	int n;

	*text_iso(from, g->from_ns) = '\0';
	*text_iso(to, g->to_ns) = '\0';
	if (g->count != CTF_UNKNOWN)
		*ctf_fmt_num(count, g->count) = '\0';
	n = snprintf(line, sizeof(line),
		     "<!-- gap from=\"%s\" to=\"%s\" cause=\"%.32s\" count=\"%s\" -->\n", from,
		     to, g->cause, count);
	return ctf_frame_put(f, line, (size_t)n) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
preamble(void *enc, struct ctf_frame *f)
{
	return ctf_frame_put(f, XML_HEAD, sizeof(XML_HEAD) - 1) ? CTF_OK : CTF_FULL;
}

CTF_PLUGIN(xml) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "XML",
	.doc = "flows as elements of XML files",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct xml_conf),
	.size = sizeof(struct xml),
	.sink_size = sizeof(struct xml_sink),
	.setup = setup,
	.encode = encode,
	.gap = gap,
	.preamble = preamble,
	.usable = xml_usable,
	.open = xml_open,
	.deliver = xml_deliver,
	.reopen = xml_reopen,
	.close = xml_close,
	.hand_over = stream_hand_over,
};
