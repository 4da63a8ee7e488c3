/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PRINTFLOW: the flow as one line of text, in ulogd2's format.  Its readers
 * split at blanks, commas and '=', so every blank is part of the format; only
 * ICMP's TYPE and CODE, which ulogd2 exchanges, are put right, and names stand
 * at the end where NAMES is in the stack.
 */
#include <ctflow/plugin.h>
#include <netinet/in.h>

struct side { /* one direction of the flow */
	ctf_ref src, dst, proto, sport, dport, bytes, packets;
};

struct printflow {
	struct ctf_obj obj;
	struct side orig, reply;
	ctf_ref icmp_type, icmp_code, print, src_name, dst_name;
};

#define OFF(member) offsetof(struct printflow, member)

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr.str", CTF_REQUIRED, OFF(orig.src) },
	{ "orig.ip.daddr.str", CTF_REQUIRED, OFF(orig.dst) },
	{ "orig.ip.protocol", CTF_REQUIRED, OFF(orig.proto) },
	{ "orig.l4.sport", CTF_REQUIRED, OFF(orig.sport) },
	{ "orig.l4.dport", CTF_REQUIRED, OFF(orig.dport) },
	{ "orig.raw.pktlen", CTF_REQUIRED, OFF(orig.bytes) },
	{ "orig.raw.pktcount", CTF_REQUIRED, OFF(orig.packets) },
	{ "reply.ip.saddr.str", CTF_REQUIRED, OFF(reply.src) },
	{ "reply.ip.daddr.str", CTF_REQUIRED, OFF(reply.dst) },
	{ "reply.ip.protocol", CTF_REQUIRED, OFF(reply.proto) },
	{ "reply.l4.sport", CTF_REQUIRED, OFF(reply.sport) },
	{ "reply.l4.dport", CTF_REQUIRED, OFF(reply.dport) },
	{ "reply.raw.pktlen", CTF_REQUIRED, OFF(reply.bytes) },
	{ "reply.raw.pktcount", CTF_REQUIRED, OFF(reply.packets) },
	{ "icmp.type", CTF_REQUIRED, OFF(icmp_type) },
	{ "icmp.code", CTF_REQUIRED, OFF(icmp_code) },
	{ "orig.ip.saddr.name", CTF_OPTIONAL, OFF(src_name) },
	{ "orig.ip.daddr.name", CTF_OPTIONAL, OFF(dst_name) },
	{ NULL },
};

static const struct ctf_port writes[] = {
	{ "print", 0, OFF(print) },
	{ NULL },
};

/* All of a line but the addresses: labels, and numbers at their longest. */
#define LINE_MAX_FIXED (2 * (80 + 5 * CTF_FMT_NUM) + 60)

static inline char *
put_lit(char *p, const char *s)
{
	size_t n = strlen(s); /* folded: s is a literal */

	memcpy(p, s, n);
	return p + n;
}

static inline char *
put_text(char *p, const char *label, const struct ctf_rec *r, ctf_ref f)
{
	if (!ctf_has(r, f))
		return p;
	p = put_lit(p, label);
	memcpy(p, r->v[f].s.p, r->v[f].s.len);
	p += r->v[f].s.len;
	*p++ = ' ';
	return p;
}

static inline char *
put_num(char *p, const char *label, uint64_t x)
{
	p = ctf_fmt_num(put_lit(p, label), x);
	*p++ = ' ';
	return p;
}

/* A number the record has not got is left out, label and all. */
static inline char *
put_opt(char *p, const char *label, const struct ctf_rec *r, ctf_ref f)
{
	return ctf_has(r, f) ? put_num(p, label, ctf_num(r, f)) : p;
}

static char *
put_proto(char *p, const struct printflow *f, const struct side *s, const struct ctf_rec *r)
{
	if (!ctf_has(r, s->proto))
		return p;
	switch (ctf_num(r, s->proto)) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		p = put_lit(p,
			    ctf_num(r, s->proto) == IPPROTO_TCP ? "PROTO=TCP " : "PROTO=UDP ");
		p = put_opt(p, "SPT=", r, s->sport);
		return put_opt(p, "DPT=", r, s->dport);
	case IPPROTO_ICMP:
		p = put_lit(p, "PROTO=ICMP ");
		p = put_opt(p, "TYPE=", r, f->icmp_type);
		return put_opt(p, "CODE=", r, f->icmp_code);
	case IPPROTO_ESP:
		return put_lit(p, "PROTO=ESP ");
	case IPPROTO_AH:
		return put_lit(p, "PROTO=AH ");
	default:
		return put_num(p, "PROTO=", ctf_num(r, s->proto));
	}
}

static char *
put_side(char *p, const struct printflow *f, const struct side *s, const struct ctf_rec *r)
{
	p = put_text(p, "SRC=", r, s->src);
	p = put_text(p, "DST=", r, s->dst);
	p = put_proto(p, f, s, r);
	p = put_num(p, "PKTS=", ctf_num_or(r, s->packets, 0));
	return put_num(p, "BYTES=", ctf_num_or(r, s->bytes, 0));
}

static char *
put_line(char *p, const struct printflow *f, const struct ctf_rec *r)
{
	if (r->event == CTF_DESTROY)
		p = put_lit(p, "[DESTROY] ");
	else
		p = put_lit(p, r->event == CTF_NEW ? "[NEW] " : "[UPDATE] ");
	p = put_side(put_lit(p, "ORIG: "), f, &f->orig, r);
	p = put_side(put_lit(p, ", REPLY: "), f, &f->reply, r);
	p = put_text(p, "SNAME=", r, f->src_name);
	p = put_text(p, "DNAME=", r, f->dst_name);
	*p++ = '\n';
	return p;
}

static size_t
text_len(const struct ctf_rec *r, ctf_ref f)
{
	return ctf_has(r, f) ? r->v[f].s.len : 0;
}

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct printflow *f = self;
	size_t room = LINE_MAX_FIXED + text_len(r, f->orig.src) + text_len(r, f->orig.dst) +
		      text_len(r, f->reply.src) + text_len(r, f->reply.dst) +
		      text_len(r, f->src_name) + text_len(r, f->dst_name);
	char *p = ctf_batch_mem(b, room);

	if (p)
		ctf_put_bytes(r, f->print, p, (uint32_t)(put_line(p, f, r) - p));
	return CTF_PASS;
}

CTF_PLUGIN(printflow) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "PRINTFLOW",
	.doc = "the flow as a line of text, for LOGEMU",
	.reads = reads,
	.writes = writes,
	.size = sizeof(struct printflow),
	.pure = true,
	.apply = apply,
};
