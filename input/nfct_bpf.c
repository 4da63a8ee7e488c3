/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_bpf.c - the program that makes the kernel reject unwanted events.
 *
 * A rejected event counts as delivered, so a wrong program loses flows in
 * silence.  Hence: whatever cannot be judged (a message without the attribute
 * looked for) is accepted, and the tests compare the program with a plain
 * evaluator.  Addresses lie at changing offsets; the kernel's own attribute
 * search (SKF_AD_NLATTR*) finds them: A = where to search, X = what, and the
 * result, 0 if absent, is in A.
 */
#include "nfct_bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define ACCEPT 0xffffffffu /* a smaller number would cut the message */
#define FIRST_ATTR (uint32_t)(sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg))
#define FAMILY_AT (uint32_t)sizeof(struct nlmsghdr)
#define PAYLOAD (uint32_t)sizeof(struct nlattr)
#define TO_PASS UINT32_MAX /* a jump that patch() completes */

enum { M_ORIG, M_IP }; /* scratch memory: where these nests begin */

/* /etc/protocols is missing on small systems; these are what conntrack knows. */
static const struct {
	const char *name;
	uint8_t number;
} known_protos[] = {
	{ "icmp", IPPROTO_ICMP }, { "tcp", IPPROTO_TCP },          { "udp", IPPROTO_UDP },
	{ "dccp", IPPROTO_DCCP }, { "gre", IPPROTO_GRE },          { "esp", IPPROTO_ESP },
	{ "ah", IPPROTO_AH },     { "ipv6-icmp", IPPROTO_ICMPV6 }, { "icmpv6", IPPROTO_ICMPV6 },
	{ "sctp", IPPROTO_SCTP }, { "udplite", IPPROTO_UDPLITE },
};

/* ---- reading the options ------------------------------------------------ */

/* Copies the next word of a comma separated list; false at its end. */
static bool
next_word(const char **pos, char *word, size_t size)
{
	size_t len;

	*pos += strspn(*pos, ", \t");
	len = strcspn(*pos, ", \t");
	if (len == 0)
		return false;
	/* cut words are too long for any address or name: refused later */
	snprintf(word, size, "%.*s", (int)len, *pos);
	*pos += len;
	return true;
}

/* A decimal number of up to three digits, or -1. */
static int
small_number(const char *s)
{
	size_t len = strspn(s, "0123456789");

	return len >= 1 && len <= 3 && s[len] == '\0' ? atoi(s) : -1;
}

static int
parse_prefix(char *word, struct nfct_prefix *ret, char *why, size_t size)
{
	struct nfct_prefix p = { 0 };
	char *slash = strchr(word, '/');
	int len;

	if (!slash) {
		snprintf(why, size, "'%s' has no prefix length; for one address write %s/%s",
			 word, word, strchr(word, ':') ? "128" : "32");
		return -EINVAL;
	}
	*slash = '\0';
	p.family = strchr(word, ':') ? AF_INET6 : AF_INET;
	len = small_number(slash + 1);
	if (inet_pton(p.family, word, p.ip) != 1) {
		snprintf(why, size, "'%s' is not an IPv4 or IPv6 address", word);
		return -EINVAL;
	}
	if (len < 0 || len > (p.family == AF_INET ? 32 : 128)) {
		snprintf(why, size, "'%s' is not a prefix length for %s", slash + 1, word);
		return -EINVAL;
	}
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

int
nfct_filter_prefixes(struct nfct_filter *f, int dir, const char *text, char *why, size_t len)
{
	char word[64];

	while (next_word(&text, word, sizeof(word))) {
		struct nfct_prefix p;
		struct nfct_prefix *more;
		int r = parse_prefix(word, &p, why, len);

		if (r < 0)
			return r;
		more = realloc(f->list[dir], (f->n[dir] + 1) * sizeof(*more));
		if (!more) {
			snprintf(why, len, "no memory");
			return -ENOMEM;
		}
		more[f->n[dir]++] = p;
		f->list[dir] = more;
	}
	return 0;
}

static int
proto_number(const char *word)
{
	const struct protoent *ent;

	if (word[0] >= '0' && word[0] <= '9') {
		int n = small_number(word);

		return n <= 255 ? n : -1;
	}
	for (size_t i = 0; i < sizeof(known_protos) / sizeof(*known_protos); i++)
		if (strcmp(known_protos[i].name, word) == 0)
			return known_protos[i].number;
	ent = getprotobyname(word);
	return ent && ent->p_proto >= 0 && ent->p_proto <= 255 ? ent->p_proto : -1;
}

int
nfct_filter_protos(struct nfct_filter *f, const char *text, char *why, size_t len)
{
	char word[64];

	while (next_word(&text, word, sizeof(word))) {
		int n = proto_number(word);

		if (n < 0) {
			snprintf(why, len,
				 "'%s' is neither a protocol of /etc/protocols nor 0-255",
				 word);
			return -EINVAL;
		}
		f->nprotos += !f->protos[n];
		f->protos[n] = 1;
	}
	return 0;
}

void
nfct_filter_free(struct nfct_filter *f)
{
	for (int dir = 0; dir < NFCT_DIRS; dir++)
		free(f->list[dir]);
	memset(f, 0, sizeof(*f));
}

/* ---- the program -------------------------------------------------------- */

struct prog {
	struct sock_filter *p;
	unsigned n, max;
};

/* Beyond max it only counts. */
static void
emit(struct prog *g, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (g->n < g->max)
		g->p[g->n] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
	g->n++;
}

static void
emit_ret(struct prog *g, uint32_t k)
{
	emit(g, BPF_RET | BPF_K, 0, 0, k);
}

/* If A equals k the test is passed: go where patch() says. */
static void
emit_pass_if(struct prog *g, uint32_t k)
{
	emit(g, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, k);
	emit(g, BPF_JMP | BPF_JA, 0, 0, TO_PASS);
}

/* Lets all open jumps since `from` end here. */
static void
patch(struct prog *g, unsigned from)
{
	for (unsigned i = from; i < g->n && i < g->max; i++)
		if (g->p[i].code == (BPF_JMP | BPF_JA) && g->p[i].k == TO_PASS)
			g->p[i].k = g->n - i - 1;
}

/* A = where attribute `type` is, looked for from A on, or inside the one at A. */
static void
emit_find(struct prog *g, uint32_t ad, uint32_t type)
{
	emit(g, BPF_LDX | BPF_IMM, 0, 0, type);
	emit(g, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + (int)ad));
	emit(g, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	emit_ret(g, ACCEPT);
}

static void
emit_protos(struct prog *g, const struct nfct_filter *f)
{
	unsigned from = g->n;

	emit_find(g, SKF_AD_NLATTR_NEST, CTA_TUPLE_PROTO);
	emit_find(g, SKF_AD_NLATTR_NEST, CTA_PROTO_NUM);
	emit(g, BPF_MISC | BPF_TAX, 0, 0, 0);
	emit(g, BPF_LD | BPF_B | BPF_IND, 0, 0, PAYLOAD);
	for (unsigned i = 0; i < 256; i++)
		if (f->protos[i])
			emit_pass_if(g, i);
	emit_ret(g, 0);
	patch(g, from);
}

/* The bits of the i-th 32-bit word that a prefix of this length looks at. */
static uint32_t
word_mask(unsigned len, unsigned i)
{
	if (len <= 32 * i)
		return 0;
	return len - 32 * i >= 32 ? UINT32_MAX : ~(UINT32_MAX >> (len - 32 * i));
}

/* X = the attribute with the address. */
static void
emit_prefix(struct prog *g, const struct nfct_prefix *p)
{
	unsigned words = (p->len + 31u) / 32u;

	for (unsigned i = 0; i < words; i++) {
		uint32_t net, mask = word_mask(p->len, i);
		/* a difference skips the rest: 3 a word and the jump at the end */
		uint8_t skip = (uint8_t)(3 * (words - i - 1) + 1);

		memcpy(&net, p->ip + 4 * i, sizeof(net));
		emit(g, BPF_LD | BPF_W | BPF_IND, 0, 0, PAYLOAD + 4 * i);
		emit(g, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
		emit(g, BPF_JMP | BPF_JEQ | BPF_K, 0, skip, ntohl(net) & mask);
	}
	emit(g, BPF_JMP | BPF_JA, 0, 0, TO_PASS);
}

static void
emit_list(struct prog *g, const struct nfct_filter *f, int dir, uint8_t family)
{
	static const uint8_t attr[NFCT_DIRS][2] = { { CTA_IP_V4_SRC, CTA_IP_V6_SRC },
						    { CTA_IP_V4_DST, CTA_IP_V6_DST } };
	unsigned from = g->n;

	emit(g, BPF_LD | BPF_MEM, 0, 0, M_IP);
	emit_find(g, SKF_AD_NLATTR_NEST, attr[dir][family == AF_INET6]);
	emit(g, BPF_MISC | BPF_TAX, 0, 0, 0);
	for (unsigned i = 0; i < f->n[dir]; i++)
		if (f->list[dir][i].family == family)
			emit_prefix(g, &f->list[dir][i]);
	emit_ret(g, 0);
	patch(g, from);
}

static void
emit_family(struct prog *g, const struct nfct_filter *f, uint8_t family)
{
	unsigned other;

	emit(g, BPF_LD | BPF_B | BPF_ABS, 0, 0, FAMILY_AT);
	emit(g, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, family);
	other = g->n;
	emit(g, BPF_JMP | BPF_JA, 0, 0, 0);
	for (int dir = 0; dir < NFCT_DIRS; dir++)
		if (f->n[dir])
			emit_list(g, f, dir, family);
	emit_ret(g, ACCEPT);
	if (other < g->max)
		g->p[other].k = g->n - other - 1;
}

int
nfct_filter_compile(const struct nfct_filter *f, struct sock_filter *prog, unsigned max)
{
	struct prog g = { .p = prog, .max = max };

	if (!f->nprotos && !f->n[NFCT_SRC] && !f->n[NFCT_DST])
		return 0;
	emit(&g, BPF_LD | BPF_IMM, 0, 0, FIRST_ATTR);
	emit_find(&g, SKF_AD_NLATTR, CTA_TUPLE_ORIG);
	emit(&g, BPF_ST, 0, 0, M_ORIG);
	if (f->nprotos)
		emit_protos(&g, f);
	if (f->n[NFCT_SRC] || f->n[NFCT_DST]) {
		emit(&g, BPF_LD | BPF_MEM, 0, 0, M_ORIG);
		emit_find(&g, SKF_AD_NLATTR_NEST, CTA_TUPLE_IP);
		emit(&g, BPF_ST, 0, 0, M_IP);
		emit_family(&g, f, AF_INET);
		emit_family(&g, f, AF_INET6);
	}
	emit_ret(&g, ACCEPT);
	return g.n <= max ? (int)g.n : -E2BIG;
}
