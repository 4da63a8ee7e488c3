/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NACCT: what nacctd(8) writes, eight columns a flow.  Packets and bytes are
 * those of the replies, as with ulogd2; what the flow has not got is 0.
 */
#include <ctflow/plugin.h>
#include <netinet/in.h>

#include "stream.h"
#include "text.h"

struct nacct {
	struct ctf_obj obj;
	ctf_ref src, dst, proto, sport, dport, bytes, packets;
	ctf_ref icmp_type, icmp_code, icmpv6_type, icmpv6_code, end;
};

#define OFF(member) offsetof(struct nacct, member)

static const struct ctf_opt opts[] = {
	STREAM_OPTS("/var/log/ulogd_nacct.log"),
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr.str", CTF_REQUIRED, OFF(src) },
	{ "orig.ip.daddr.str", CTF_REQUIRED, OFF(dst) },
	{ "orig.ip.protocol", CTF_REQUIRED, OFF(proto) },
	{ "orig.l4.sport", CTF_REQUIRED, OFF(sport) },
	{ "orig.l4.dport", CTF_REQUIRED, OFF(dport) },
	{ "reply.raw.pktlen", CTF_REQUIRED, OFF(bytes) },
	{ "reply.raw.pktcount", CTF_REQUIRED, OFF(packets) },
	{ "icmp.type", CTF_REQUIRED, OFF(icmp_type) },
	{ "icmp.code", CTF_REQUIRED, OFF(icmp_code) },
	{ "icmpv6.type", CTF_OPTIONAL, OFF(icmpv6_type) },
	{ "icmpv6.code", CTF_OPTIONAL, OFF(icmpv6_code) },
	{ "flow.end.sec", CTF_REQUIRED, OFF(end) },
	{ NULL },
};

static int
setup(void *self, struct ctf_err *err)
{
	struct nacct *e = self;
	const struct stream_conf *c = e->obj.conf;

	ctf_frames(e->obj.ctx, STREAM_FRAME, c->sync);
	return 0;
}

static char *
put_num(char *p, const struct ctf_rec *r, ctf_ref f)
{
	p = ctf_fmt_num(p, ctf_num_or(r, f, 0));
	*p++ = '\t';
	return p;
}

static char *
put_addr(char *p, const struct ctf_rec *r, ctf_ref f)
{
	if (ctf_has(r, f))
		p = text_put(p, r->v[f].s.p, r->v[f].s.len);
	*p++ = '\t';
	return p;
}

static size_t
text_len(const struct ctf_rec *r, ctf_ref f)
{
	return ctf_has(r, f) ? r->v[f].s.len : 0;
}

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	const struct nacct *e = enc;
	char *start = (char *)f->p + f->len, *p = start;
	uint64_t proto = ctf_num_or(r, e->proto, 0);
	bool icmp = proto == IPPROTO_ICMP, icmpv6 = proto == IPPROTO_ICMPV6;

	if (6 * (CTF_FMT_NUM + 1) + text_len(r, e->src) + text_len(r, e->dst) + 2 >
	    f->cap - f->len)
		return CTF_FULL;
	p = put_num(p, r, e->end);
	p = put_num(p, r, e->proto);
	p = put_addr(p, r, e->src);
	p = put_num(p, r, icmp ? e->icmp_type : icmpv6 ? e->icmpv6_type : e->sport);
	p = put_addr(p, r, e->dst);
	p = put_num(p, r, icmp ? e->icmp_code : icmpv6 ? e->icmpv6_code : e->dport);
	p = put_num(p, r, e->packets);
	p = put_num(p, r, e->bytes);
	p[-1] = '\n';
	f->len += (uint32_t)(p - start);
	return CTF_OK;
}

CTF_PLUGIN(nacct) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "NACCT",
	.doc = "lines as nacctd writes them: end, protocol, addresses, ports, packets, bytes",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct stream_conf),
	.size = sizeof(struct nacct),
	.sink_size = sizeof(struct stream),
	.setup = setup,
	.encode = encode,
	.open = stream_open,
	.usable = stream_usable,
	.deliver = stream_deliver,
	.reopen = stream_reopen,
	.close = stream_close,
	.hand_over = stream_hand_over,
};
