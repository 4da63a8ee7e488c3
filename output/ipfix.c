/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipfix.c - finished flows as IPFIX (RFC 7011) to a collector, over UDP,
 * TCP or TLS: options, and the encoder.
 *
 * A frame is one message.  An observation domain is a stream: `oid` for the
 * own network namespace, `oid` + 1 + nsid for others.  What depends on the
 * moment and the session, export time and sequence number, is filled in by
 * the sink (ipfix_sink.c).
 */
#include "ipfix.h"
#include "transport.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define UDP_PACKET 512u    /* where nothing is known of the path (RFC 7011 10.3.3) */
#define UDP_MOST 65487u    /* what is left of 65535 with IPv6 */
#define TCP_MESSAGE 65535u /* what the length field can say */

struct encoder {
	struct ctf_obj o;
	struct ipfix_programs programs;
	uint8_t *layout;
	uint32_t layout_len;
	struct ipfix_told told;
	ctf_counter *incomplete;
};

#define CONF(m) offsetof(struct ipfix_conf, m)
#define TLS(m) CONF(tls.m)
#define REF(m) offsetof(struct encoder, programs.refs.m)

static const struct ctf_opt opts[] = {
	{ "oid", CTF_OUINT, CONF(oid), 1, UINT32_MAX, NULL, NULL,
	  "observation domain of the own network namespace; oid + 1 + nsid for others" },
	{ "preset", CTF_OENUM, CONF(preset), 0, 0, "none", "none|nfdump|pmacct",
	  "defaults for a collector" },
	{ "host", CTF_OTEXT, CONF(host), 0, 4095, "", NULL,
	  "collector: name, IPv4 or IPv6 address; or up to 16 of them with commas between, "
	  "each may have a port: \"a, b:4740, [2001:db8::1]:4741\"" },
	{ "port", CTF_OUINT, CONF(port), 0, 65535, "0", NULL,
	  "port of a collector without one; 0 = 4739, with proto=tls 4740" },
	{ "mode", CTF_OENUM, CONF(mode), 0, 0, "all", "all|failover",
	  "several collectors: all flows to each, or to the first that can be reached" },
	{ "source", CTF_OTEXT, CONF(source), 0, 255, "", NULL,
	  "the own address, %device or address%device to send from" },
	{ "proto", CTF_OENUM, CONF(proto), 0, 0, "tcp", "udp|tcp|tls|file",
	  "transport; tls: TLS 1.2 or 1.3 over tcp, never without verifying the collector; "
	  "file: RFC 5655" },
	TLS_OPTIONS(TLS),
	{ "resend", CTF_OSIZE, CONF(resend), 0, UINT64_C(1) << 40, "8M", NULL,
	  "tcp, tls: of what a collector had acknowledged, the last bytes that are sent again "
	  "after a session that did not end in order; never less than its window" },
	{ "file", CTF_OTEXT, CONF(file_path), 0, 4095, "", NULL,
	  "proto=file: what messages are appended to" },
	{ "rotate_size", CTF_OSIZE, CONF(rotate_size), 0, UINT64_C(1) << 50, "0", NULL,
	  "proto=file: another file begins before it gets longer than that; 0 = whatever its "
	  "size" },
	{ "rotate_time", CTF_OMSEC, CONF(rotate_time), 0, UINT64_C(366) * 86400000, "0", NULL,
	  "proto=file: and at each multiple of that time, in UTC; 0 = at no time" },
	{ "mtu", CTF_OUINT, CONF(mtu), 0, 65535, "0", NULL,
	  "udp: largest packet in bytes with its IP header, 0 = 512; less where the path takes "
	  "less; else largest message, 0 = 65535" },
	{ "send_template", CTF_OENUM, CONF(send_template), 0, 0, "once", "once|always|never",
	  "templates: once a session (udp: and every template_refresh), before each group of "
	  "messages, or never" },
	{ "template_refresh", CTF_OMSEC, CONF(refresh), 60000, 86400000, "600", NULL,
	  "udp: templates are sent again after this time" },
	{ "template_refresh_packets", CTF_OUINT, CONF(refresh_packets), 0, UINT32_MAX, "0",
	  NULL, "udp: and after that many messages of a domain; 0 = after the time alone" },
	{ "options_interval", CTF_OMSEC, CONF(options_interval), 0, 86400000, "600", NULL,
	  "statistics of what was exported are sent with the flows at most so often, and at "
	  "the end of a session; 0: none, nor flow keys and names" },
	{ "zone_names", CTF_OTEXT, CONF(zone_names), 0, 4095, "", NULL,
	  "names of conntrack zones, VRFs say, that collectors are told: \"1=red, 2=blue\"" },
	{ "pen", CTF_OUINT, CONF(pen), 0, UINT32_MAX, "0", NULL,
	  "enterprise number for ctStatus 1001, ctTcpState 1004, ctIcmpId 1006, ctEventsLost "
	  "1010, ctLossKind 1011, ctLossCause 1012, ctCoverage 1013, ctEventsLostTotal 1014; "
	  "0 = without" },
	{ "flows", CTF_OBOOL, CONF(flows), 0, 0, "yes", NULL,
	  "a record of each finished flow; no = events alone" },
	{ "nat_events", CTF_OENUM, CONF(nat_events), 0, 0, "no", "no|yes|destinations",
	  "a record when a translated IPv4 flow begins and one when it ends (RFC 8158); with "
	  "where it goes to, or without" },
	{ "flow_events", CTF_OENUM, CONF(flow_events), 0, 0, "no", "no|new|update",
	  "a record when a flow begins; with update also at each change of it, if event_mask "
	  "has those" },
	{ "timestamps", CTF_OENUM, CONF(timestamps), 0, 0, "ms", "ms|ns",
	  "times in milliseconds, or in nanoseconds, which few collectors can read" },
	{ "uniflow", CTF_OBOOL, CONF(uniflow), 0, 0, "no", NULL,
	  "each direction is a record of its own; that of the replies only if there were any" },
	{ NULL },
};

/*
 * What the collectors need, by trial (tests/interop).
 *
 * nfdump 1.7.1: UDP only; counts each record as a flow, so none of flows that
 * live, and each options record as a message that was lost, so none of those.
 * pmacct 1.7.7 does not know reverse elements.
 */
static const char *const presets[] = {
	"",
	"proto=udp port=9995 mtu=1420 interim=none gaps=no options_interval=0",
	"proto=udp port=2100 mtu=1420 interim=none uniflow=yes",
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_REQUIRED, REF(saddr) },
	{ "orig.ip.daddr", CTF_REQUIRED, REF(daddr) },
	{ "orig.ip.protocol", CTF_REQUIRED, REF(proto) },
	{ "orig.l4.sport", CTF_OPTIONAL, REF(sport) },
	{ "orig.l4.dport", CTF_OPTIONAL, REF(dport) },
	{ "reply.ip.saddr", CTF_OPTIONAL, REF(rsaddr) },
	{ "reply.ip.daddr", CTF_OPTIONAL, REF(rdaddr) },
	{ "reply.l4.sport", CTF_OPTIONAL, REF(rsport) },
	{ "reply.l4.dport", CTF_OPTIONAL, REF(rdport) },
	{ "orig.raw.pktlen", CTF_OPTIONAL, REF(bytes) },
	{ "orig.raw.pktcount", CTF_OPTIONAL, REF(packets) },
	{ "reply.raw.pktlen", CTF_OPTIONAL, REF(rbytes) },
	{ "reply.raw.pktcount", CTF_OPTIONAL, REF(rpackets) },
	{ "icmp.type", CTF_OPTIONAL, REF(icmp_type) },
	{ "icmp.code", CTF_OPTIONAL, REF(icmp_code) },
	{ "icmpv6.type", CTF_OPTIONAL, REF(icmp6_type) },
	{ "icmpv6.code", CTF_OPTIONAL, REF(icmp6_code) },
	{ "orig.icmp.id", CTF_OPTIONAL, REF(icmp_id) },
	{ "reply.icmp.id", CTF_OPTIONAL, REF(ricmp_id) },
	{ "ct.mark", CTF_OPTIONAL, REF(mark) },
	{ "ct.id", CTF_OPTIONAL, REF(id) },
	{ "ct.zone", CTF_OPTIONAL, REF(zone) },
	{ "ct.nsid", CTF_OPTIONAL, REF(nsid) },
	{ "flow.start.ns", CTF_OPTIONAL, REF(start) },
	{ "flow.slice.ns", CTF_OPTIONAL, REF(slice) },
	{ "flow.last.ns", CTF_OPTIONAL, REF(last) },
	{ "flow.end.reason", CTF_OPTIONAL, REF(reason) },
	{ NULL },
};

/* Room for a message in such a packet, whatever the address family. */
static uint32_t
udp_room(uint32_t packet)
{
	return packet < IPFIX_MTU_MIN + IPFIX_UDP_HEADERS ? IPFIX_MTU_MIN
	       : packet - IPFIX_UDP_HEADERS > UDP_MOST    ? UDP_MOST
							  : packet - IPFIX_UDP_HEADERS;
}

uint32_t
ipfix_limit(const struct ipfix_conf *c)
{
	/* with uniflow two records come out of one */
	uint32_t least = c->uniflow ? IPFIX_MTU_MIN + 128 : IPFIX_MTU_MIN, most;

	if (c->proto == IPFIX_UDP)
		most = udp_room(c->mtu ? (uint32_t)c->mtu : UDP_PACKET);
	else
		most = c->mtu ? (uint32_t)c->mtu : TCP_MESSAGE;
	return most < least ? least : most;
}

/* A field nobody upstream produces is simply not there. */
static int
want_if_any(struct encoder *e, const char *name, ctf_ref *ret_ref)
{
	int r = ctf_want(e->o.ctx, name, ret_ref, NULL, NULL);

	return r == -ENOENT ? 0 : r;
}

static struct ipfix_form
form_of(const struct ipfix_conf *c)
{
	return (struct ipfix_form){ .own = c->pen != 0,
				    .ns = c->timestamps == IPFIX_NS,
				    .uniflow = c->uniflow,
				    .flows = c->flows,
				    .options = c->options_interval != 0,
				    .zones = c->zone_names,
				    .nat_events = (uint8_t)c->nat_events,
				    .flow_events = (uint8_t)c->flow_events };
}

static int
check_form(const struct encoder *e, const struct ipfix_conf *c, struct ctf_err *err)
{
	if (c->pen == CTF_PEN_REVERSE)
		return ctf_fail_opt(e->o.ctx, err, "pen",
				    "pen: %u marks reverse elements (RFC 5103), it is nobody's",
				    CTF_PEN_REVERSE);
	if (!c->flows && !c->nat_events && !c->flow_events)
		return ctf_fail_opt(e->o.ctx, err, "flows",
				    "flows = no leaves nothing to send; set nat_events or "
				    "flow_events");
	return ipfix_zones_check(e->o.ctx, c->zone_names, err);
}

/* Fields that not every form has. */
static int
want_more(struct encoder *e, const struct ipfix_conf *c, struct ctf_err *err)
{
	struct ipfix_refs *f = &e->programs.refs;
	bool events = c->nat_events || c->flow_events;
	const struct {
		const char *name;
		ctf_ref *ref;
		bool wanted;
	} more[] = {
		{ "ct.status", &f->status, c->pen || c->uniflow },
		{ "ct.tcp.state", &f->tcp_state, c->pen != 0 },
		{ "ct.netns", &f->netns, c->options_interval != 0 },
		{ "flow.event.ns", &f->event, events },
		{ "flow.destroy.ns", &f->destroy, events },
	};

	for (unsigned i = 0; i < sizeof(more) / sizeof(*more); i++) {
		*more[i].ref = CTF_NONE;
		if (more[i].wanted && want_if_any(e, more[i].name, more[i].ref))
			return ctf_fail(err, E2BIG, "too many fields");
	}
	return 0;
}

static void
want_events(const struct encoder *e, const struct ipfix_conf *c)
{
	unsigned events = 0;

	if (c->nat_events || c->flow_events)
		events |= CTF_NEW;
	if (c->flow_events == IPFIX_EVENTS_MORE)
		events |= CTF_UPDATE;
	ctf_want_events(e->o.ctx, events);
}

static int
check_file(const struct encoder *e, const struct ipfix_conf *c, struct ctf_err *err)
{
	if (!*c->file_path)
		return ctf_fail_opt(e->o.ctx, err, "file",
				    "file: it is missing, with proto=file");
	if (c->send_template == IPFIX_NEVER)
		return ctf_fail_opt(
			e->o.ctx, err, "send_template",
			"send_template=never: a file without templates cannot be read");
	if (c->rotate_time && c->rotate_time < 1000)
		return ctf_fail_opt(e->o.ctx, err, "rotate_time",
				    "rotate_time: a second at least");
	return 0;
}

/* Where it goes and where it comes from. */
static int
check_session(const struct encoder *e, const struct ipfix_conf *c, struct ctf_err *err)
{
	int n;

	if (c->proto == IPFIX_FILE)
		return check_file(e, c, err);
	if (!*c->host)
		return ctf_fail_opt(e->o.ctx, err, "host", "host: the collector is missing");
	n = ipfix_peers(c);
	if (n == -E2BIG)
		return ctf_fail_opt(e->o.ctx, err, "host", "more than %u collectors",
				    IPFIX_PEERS);
	if (n < 0)
		return ctf_fail_opt(e->o.ctx, err, "host",
				    "host=%s: not a list of name, address, name:port or "
				    "[address]:port",
				    c->host);
	if (!transport_source(c->source))
		return ctf_fail_opt(e->o.ctx, err, "source", TRANSPORT_SOURCE, c->source);
	return 0;
}

static int
setup(void *self, struct ctf_err *err)
{
	struct encoder *e = self;
	const struct ipfix_conf *c = e->o.conf;
	const struct ipfix_form form = form_of(c);
	int r = check_session(e, c, err);

	if (r == 0)
		r = check_form(e, c, err);
	if (r == 0)
		r = want_more(e, c, err);
	if (r == 0)
		r = ipfix_layout(&form, (uint32_t)c->pen, &e->layout, &e->layout_len, err);
	if (r < 0)
		return r;
	want_events(e, c);
	ipfix_programs_make(&e->programs, &form);
	ipfix_told_init(&e->told, ctf_name(e->o.ctx));
	ctf_frames(e->o.ctx, ipfix_limit(c), false);
	e->incomplete =
		ctf_metric_new(e->o.ctx, "incomplete", CTF_COUNTER, CTF_UNIT_NONE,
			       "flows without addresses or protocol, which are not sent");
	return 0;
}

static void
release(void *self)
{
	struct encoder *e = self;

	free(e->layout);
}

static int
reload(void *self, void *other, struct ctf_err *err)
{
	struct encoder *e = self, *before = other;

	ipfix_told_go_on(&e->told, &before->told);
	return 0;
}

static uint32_t
stream(void *self, const struct ctf_rec *r)
{
	const struct encoder *e = self;
	const struct ipfix_conf *c = e->o.conf;
	ctf_ref nsid = e->programs.refs.nsid;

	return (uint32_t)(ctf_has(r, nsid) ? c->oid + 1 + ctf_num(r, nsid) : c->oid);
}

/* The first of a frame with flows of another namespace. */
static enum ctf_put
begin_named(struct encoder *e, const struct ctf_rec *r, struct ctf_frame *f)
{
	bool told = f->cap >= IPFIX_NAMED_LEAST &&
		    ipfix_tell_netns(&e->told, &r->v[e->programs.refs.netns], f);
	enum ctf_put put = ipfix_append(&e->programs, r, f);

	if (told && put != CTF_OK)
		ipfix_untell_name(&e->told);
	return put;
}

static enum ctf_put
encode(void *self, const struct ctf_rec *r, struct ctf_frame *f)
{
	struct encoder *e = self;
	ctf_ref netns = e->programs.refs.netns;

	if (ipfix_complete(&e->programs, r)) {
		if (__builtin_expect(!f->len && ctf_has(r, netns), 0))
			return begin_named(e, r, f);
		return ipfix_append(&e->programs, r, f);
	}
	ctf_count(e->incomplete, r->event == CTF_DESTROY || r->kind != CTF_EVENT);
	return CTF_SKIP;
}

static enum ctf_put
gap(void *self, const struct ctf_gap *g, struct ctf_frame *f)
{
	struct encoder *e = self;

	return ipfix_gap(&e->told, e->o.conf, g, f);
}

static enum ctf_put
coverage(void *self, const struct ctf_coverage *c, struct ctf_frame *f)
{
	struct encoder *e = self;

	return ipfix_coverage(&e->told, e->o.conf, c, f);
}

static void
seal(void *self, struct ctf_frame *f)
{
	ipfix_finish(f);
}

static enum ctf_put
preamble(void *self, struct ctf_frame *f)
{
	const struct encoder *e = self;

	return ctf_frame_put(f, e->layout, e->layout_len) ? CTF_OK : CTF_FULL;
}

CTF_PLUGIN(ipfix) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "IPFIX",
	.doc = "flows to IPFIX collectors over UDP, TCP or TLS, or to a file",
	.opts = opts,
	.presets = presets,
	.reads = reads,
	.conf_size = sizeof(struct ipfix_conf),
	.size = sizeof(struct encoder),
	.sink_size = sizeof(struct ipfix_sink),
	.sinks = ipfix_sinks,
	.probe = ipfix_probe,
	.unprobe = ipfix_unprobe,
	.setup = setup,
	.release = release,
	.reload = reload,
	.stream = stream,
	.encode = encode,
	.gap = gap,
	.coverage = coverage,
	.seal = seal,
	.preamble = preamble,
	.open = ipfix_open,
	.usable = ipfix_usable,
	.deliver = ipfix_deliver,
	.settled = ipfix_settled,
	.needed = ipfix_needed,
	.idle = ipfix_idle,
	.reopen = ipfix_reopen,
	.close = ipfix_close,
};
