/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_bpf.c - the program that makes the kernel reject unwanted events.
 *
 * A rejected event counts as delivered, so a wrong program loses flows in
 * silence; hence the tests compare it with the evaluator and run it in the
 * kernel.  Attributes lie at changing offsets; the kernel's own search
 * (SKF_AD_NLATTR*) finds them: A = where to search, X = what, and the result,
 * 0 if absent, is in A.  The program is written from its end to its beginning
 * (nfct_bpf_gen.h).
 */
#include "nfct_bpf.h"
#include "nfct_bpf_gen.h"

#include <netinet/in.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define ACCEPT 0xffffffffu /* a smaller number would cut the message */
#define FIRST_ATTR (uint32_t)(sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg))
#define FAMILY_AT (uint32_t)sizeof(struct nlmsghdr)

#define BIT(s) (UINT32_C(1) << (s))
#define ADDRESSES (BIT(CTF_S_SRC) | BIT(CTF_S_DST) | BIT(CTF_S_NAT_SRC) | BIT(CTF_S_NAT_DST))
#define PORTS \
	(BIT(CTF_S_SPORT) | BIT(CTF_S_DPORT) | BIT(CTF_S_NAT_SPORT) | BIT(CTF_S_NAT_DPORT))
#define ICMPS \
	(BIT(CTF_S_ICMP_TYPE) | BIT(CTF_S_ICMP_CODE) | BIT(CTF_S_ICMP6_TYPE) | \
	 BIT(CTF_S_ICMP6_CODE))
#define CARRIED \
	(ADDRESSES | PORTS | ICMPS | BIT(CTF_S_PROTO) | BIT(CTF_S_FAMILY) | BIT(CTF_S_MARK) | \
	 BIT(CTF_S_ZONE) | BIT(CTF_S_STATUS))

const struct ctf_node *
nfct_bpf_cannot(const struct ctf_node *n)
{
	const struct ctf_node *found = n->of & ~CARRIED ? n : NULL;

	for (const struct ctf_node *c = n->child; c && !found; c = c->next)
		found = nfct_bpf_cannot(c);
	return found;
}

/* ---- what is looked at ------------------------------------------------------ */

/* A = where attribute `type` is, looked for from A on, or inside the one at A. */
static void
find(struct bpf_prog *g, int ad, uint32_t type, bpf_place absent)
{
	bpf_jump_if(g, BPF_JEQ, 0, absent, g->n);
	bpf_put_k(g, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + ad));
	bpf_put_k(g, BPF_LDX | BPF_IMM, type);
}

/* X = the attribute at the end of this path of types; tuple 0: on the top level. */
static void
find_path(struct bpf_prog *g, uint32_t tuple, uint32_t nest, uint32_t type, bpf_place absent)
{
	bpf_put_k(g, BPF_MISC | BPF_TAX, 0);
	if (tuple) {
		find(g, SKF_AD_NLATTR_NEST, type, absent);
		if (nest)
			find(g, SKF_AD_NLATTR_NEST, nest, absent);
		type = tuple;
	}
	find(g, SKF_AD_NLATTR, type, absent);
	bpf_put_k(g, BPF_LD | BPF_IMM, FIRST_ATTR);
}

/* Absent: A is 0, as it should be. */
static void
load_or_0(struct bpf_prog *g, uint16_t size, uint32_t tuple, uint32_t type)
{
	bpf_place then = g->n;

	bpf_load(g, size, 0);
	find_path(g, tuple, 0, type, then);
}

/* The zone of the entry, else that of the original direction. */
static void
load_zone(struct bpf_prog *g)
{
	bpf_place then = g->n, other;

	load_or_0(g, BPF_H, CTA_TUPLE_ORIG, CTA_TUPLE_ZONE);
	other = g->n;
	bpf_jump(g, then);
	bpf_load(g, BPF_H, 0);
	find_path(g, 0, 0, CTA_ZONE, other);
}

static void
load_proto(struct bpf_prog *g, uint32_t tuple, bpf_place absent)
{
	bpf_load(g, BPF_B, 0);
	find_path(g, tuple, CTA_TUPLE_PROTO, CTA_PROTO_NUM, absent);
}

/* A protocol without ports may have the attributes: keys of GRE. */
static void
load_port(struct bpf_prog *g, uint32_t tuple, uint32_t type, bpf_place absent)
{
	static const uint8_t with_ports[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE,
					      IPPROTO_SCTP, IPPROTO_DCCP };
	bpf_place found, other = absent;

	bpf_load(g, BPF_H, 0);
	find_path(g, tuple, CTA_TUPLE_PROTO, type, absent);
	found = g->n;
	for (size_t i = 0; i < sizeof(with_ports); i++) {
		bpf_jump_if(g, BPF_JEQ, with_ports[i], found, other);
		other = g->n;
	}
	load_proto(g, tuple, absent);
}

static void
load_icmp(struct bpf_prog *g, uint8_t proto, uint32_t type, bpf_place absent)
{
	bpf_load(g, BPF_B, 0);
	find_path(g, CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, type, absent);
	bpf_jump_if(g, BPF_JEQ, proto, g->n, absent);
	load_proto(g, CTA_TUPLE_ORIG, absent);
}

/* A = the number. */
static void
load_subject(struct bpf_prog *g, enum ctf_subject s, bpf_place absent)
{
	switch (s) {
	case CTF_S_SPORT:
		load_port(g, CTA_TUPLE_ORIG, CTA_PROTO_SRC_PORT, absent);
		break;
	case CTF_S_DPORT:
		load_port(g, CTA_TUPLE_ORIG, CTA_PROTO_DST_PORT, absent);
		break;
	case CTF_S_NAT_SPORT:
		load_port(g, CTA_TUPLE_REPLY, CTA_PROTO_DST_PORT, absent);
		break;
	case CTF_S_NAT_DPORT:
		load_port(g, CTA_TUPLE_REPLY, CTA_PROTO_SRC_PORT, absent);
		break;
	case CTF_S_PROTO:
		load_proto(g, CTA_TUPLE_ORIG, absent);
		break;
	case CTF_S_ICMP_TYPE:
		load_icmp(g, IPPROTO_ICMP, CTA_PROTO_ICMP_TYPE, absent);
		break;
	case CTF_S_ICMP_CODE:
		load_icmp(g, IPPROTO_ICMP, CTA_PROTO_ICMP_CODE, absent);
		break;
	case CTF_S_ICMP6_TYPE:
		load_icmp(g, IPPROTO_ICMPV6, CTA_PROTO_ICMPV6_TYPE, absent);
		break;
	case CTF_S_ICMP6_CODE:
		load_icmp(g, IPPROTO_ICMPV6, CTA_PROTO_ICMPV6_CODE, absent);
		break;
	case CTF_S_MARK:
		load_or_0(g, BPF_W, 0, CTA_MARK);
		break;
	case CTF_S_STATUS:
		load_or_0(g, BPF_W, 0, CTA_STATUS);
		break;
	case CTF_S_ZONE:
		load_zone(g);
		break;
	default: /* nfct_bpf_cannot() */
		break;
	}
}

/* ---- tests ---------------------------------------------------------------------- */

static void
judge_address(struct bpf_prog *g, enum ctf_subject s, const struct ctf_set *set, bpf_place yes,
	      bpf_place no)
{
	bool reply = s == CTF_S_NAT_SRC || s == CTF_S_NAT_DST;
	uint32_t tuple = reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG;
	bool src = s == CTF_S_SRC || s == CTF_S_NAT_DST; /* replies go the other way */
	bpf_place four = no, six = no;

	if (set->nnets6) {
		bpf_judge_ip6(g, set, yes, no);
		find_path(g, tuple, CTA_TUPLE_IP, src ? CTA_IP_V6_SRC : CTA_IP_V6_DST, no);
		six = g->n;
	}
	if (set->nspans) {
		bpf_judge_ip4(g, set, yes, no);
		find_path(g, tuple, CTA_TUPLE_IP, src ? CTA_IP_V4_SRC : CTA_IP_V4_DST, no);
		four = g->n;
	}
	bpf_jump_if(g, BPF_JEQ, AF_INET, four, six);
	bpf_put_k(g, BPF_LD | BPF_B | BPF_ABS, FAMILY_AT);
}

static bool
has(const struct ctf_set *set, uint64_t x)
{
	for (size_t i = 0; i < set->nspans; i++)
		if (x >= set->span[i].lo && x <= set->span[i].hi)
			return true;
	return false;
}

static void
judge_subject(struct bpf_prog *g, enum ctf_subject s, const struct ctf_set *set, bpf_place yes,
	      bpf_place no)
{
	if (BIT(s) & ADDRESSES) {
		judge_address(g, s, set, yes, no);
		return;
	}
	if (s == CTF_S_FAMILY) {
		bpf_jump_if(g, BPF_JEQ, AF_INET, has(set, 4) ? yes : no,
			    has(set, 6) ? yes : no);
		bpf_put_k(g, BPF_LD | BPF_B | BPF_ABS, FAMILY_AT);
		return;
	}
	bpf_judge_number(g, set, yes, no);
	load_subject(g, s, no);
}

static void
judge_test(struct bpf_prog *g, const struct ctf_node *n, bpf_place yes, bpf_place no)
{
	for (unsigned s = CTF_SUBJECTS; s-- > 0;) {
		if (!(n->of >> s & 1))
			continue;
		judge_subject(g, s, n->set, yes, no);
		no = g->n;
	}
}

static void judge(struct bpf_prog *g, const struct ctf_node *n, bpf_place yes, bpf_place no);

/* The children from c on: the last of them first. */
static void
judge_children(struct bpf_prog *g, const struct ctf_node *c, enum ctf_node_type type,
	       bpf_place yes, bpf_place no)
{
	unsigned n = 0;

	for (const struct ctf_node *k = c; k; k = k->next)
		n++;
	while (n-- && g->n <= g->max) {
		const struct ctf_node *k = c;

		for (unsigned i = 0; i < n; i++)
			k = k->next;
		judge(g, k, yes, no);
		*(type == CTF_ALL ? &yes : &no) = g->n;
	}
}

static void
judge(struct bpf_prog *g, const struct ctf_node *n, bpf_place yes, bpf_place no)
{
	switch (n->type) {
	case CTF_ALL:
	case CTF_ANY:
		judge_children(g, n->child, n->type, yes, no);
		break;
	case CTF_NOT:
		judge(g, n->child, no, yes);
		break;
	case CTF_TEST:
		judge_test(g, n, yes, no);
		break;
	}
}

unsigned
nfct_bpf_compile(const struct ctf_node *root, struct sock_filter *prog, unsigned max)
{
	struct bpf_prog g = { .p = prog, .max = max };
	bpf_place yes, no, begin;

	no = bpf_put_k(&g, BPF_RET | BPF_K, 0);
	yes = bpf_put_k(&g, BPF_RET | BPF_K, ACCEPT);
	judge(&g, root, yes, no);
	begin = g.n;
	bpf_jump_if(&g, BPF_JEQ, AF_INET6, begin, yes);
	bpf_jump_if(&g, BPF_JEQ, AF_INET, begin, g.n);
	bpf_put_k(&g, BPF_LD | BPF_B | BPF_ABS, FAMILY_AT);
	if (g.n <= max)
		memmove(prog, prog + max - g.n, g.n * sizeof(*prog));
	return g.n;
}
