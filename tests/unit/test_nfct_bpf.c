/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accept_*_filter: what the options mean, and that the program generated from
 * them means the same: by a plain evaluator, a small interpreter, and the
 * kernel itself (a datagram socket applies a program as netlink does).
 */
#include <check.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "nfct_bpf.h"
#include "unit.h"

static struct sock_filter prog[NFCT_BPF_MAX];

/* ---- a message with one tuple ----------------------------------------------- */

struct flow {
	uint8_t family, proto;
	uint8_t ip[NFCT_DIRS][16];
	bool no_orig, no_ip, no_proto;
};

struct msg {
	size_t len;
	_Alignas(8) uint8_t p[512];
};

static size_t
begin(struct msg *m, uint16_t type)
{
	struct nlattr a = { .nla_type = type };

	memcpy(m->p + m->len, &a, sizeof(a));
	m->len += sizeof(a);
	return m->len - sizeof(a);
}

static void
end(struct msg *m, size_t at)
{
	uint16_t len = (uint16_t)(m->len - at);

	memcpy(m->p + at, &len, sizeof(len));
	m->len = NLA_ALIGN(m->len);
}

static void
put(struct msg *m, uint16_t type, const void *p, size_t n)
{
	size_t at = begin(m, type);

	memcpy(m->p + m->len, p, n);
	m->len += n;
	end(m, at);
}

static void
put_tuple(struct msg *m, uint16_t type, const struct flow *f, int src)
{
	bool v6 = f->family == AF_INET6;
	size_t n = v6 ? 16 : 4;
	size_t tuple = begin(m, type | NLA_F_NESTED), nest;

	if (!f->no_ip) {
		nest = begin(m, CTA_TUPLE_IP | NLA_F_NESTED);
		put(m, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, f->ip[src], n);
		put(m, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, f->ip[!src], n);
		end(m, nest);
	}
	if (!f->no_proto) {
		nest = begin(m, CTA_TUPLE_PROTO | NLA_F_NESTED);
		put(m, CTA_PROTO_NUM, &f->proto, 1);
		put(m, CTA_PROTO_SRC_PORT, "\x12\x34", 2);
		put(m, CTA_PROTO_DST_PORT, "\x00\x35", 2);
		end(m, nest);
	}
	end(m, tuple);
}

static void
make_msg(struct msg *m, const struct flow *f)
{
	struct nlmsghdr h = { .nlmsg_type = 0x102 };
	struct nfgenmsg g = { .nfgen_family = f->family };

	memset(m, 0, sizeof(*m));
	m->len = sizeof(h) + sizeof(g);
	if (!f->no_orig)
		put_tuple(m, CTA_TUPLE_ORIG, f, 0);
	put_tuple(m, CTA_TUPLE_REPLY, f, 1);
	put(m, CTA_ID, "\1\2\3\4", 4);
	h.nlmsg_len = (uint32_t)m->len;
	memcpy(m->p, &h, sizeof(h));
	memcpy(m->p + sizeof(h), &g, sizeof(g));
}

/* ---- three judges ------------------------------------------------------------ */

static bool
in_prefix(const struct nfct_prefix *p, const uint8_t *ip)
{
	for (unsigned bit = 0; bit < p->len; bit++)
		if ((p->ip[bit / 8] ^ ip[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool
wanted(const struct nfct_filter *f, const struct flow *w)
{
	if (w->no_orig || (w->no_proto && f->nprotos))
		return true;
	if (f->nprotos && !f->protos[w->proto])
		return false;
	if (w->no_ip || (w->family != AF_INET && w->family != AF_INET6))
		return true;
	for (int dir = 0; dir < NFCT_DIRS; dir++) {
		bool found = false;

		for (unsigned i = 0; i < f->n[dir]; i++)
			found |= f->list[dir][i].family == w->family &&
				 in_prefix(&f->list[dir][i], w->ip[dir]);
		if (f->n[dir] && !found)
			return false;
	}
	return true;
}

static uint16_t
attr_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* nla_find() of the kernel: the offset of the attribute, or 0. */
static uint32_t
find_attr(const struct msg *m, size_t at, size_t stop, uint32_t type)
{
	while (at + 4 <= stop) {
		size_t len = attr_u16(m->p + at);

		if (len < 4 || at + len > stop)
			return 0;
		if ((attr_u16(m->p + at + 2) & NLA_TYPE_MASK) == type)
			return (uint32_t)at;
		at += NLA_ALIGN(len);
	}
	return 0;
}

static uint32_t
find_nested(const struct msg *m, uint32_t at, uint32_t type)
{
	size_t len;

	if (at + 4 > m->len)
		return 0;
	len = attr_u16(m->p + at);
	return at + len > m->len ? 0 : find_attr(m, at + 4, at + len, type);
}

/* -1: beyond the message, which rejects it */
static int64_t
load(const struct msg *m, const struct sock_filter *i, uint32_t x, uint32_t a)
{
	uint32_t at = i->k + (BPF_MODE(i->code) == BPF_IND ? x : 0);
	uint32_t v;

	if (BPF_MODE(i->code) == BPF_ABS && i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR))
		return find_attr(m, a, m->len, x);
	if (BPF_MODE(i->code) == BPF_ABS && i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR_NEST))
		return find_nested(m, a, x);
	if (BPF_SIZE(i->code) == BPF_B)
		return at < m->len ? m->p[at] : -1;
	if (at + 4 > m->len)
		return -1;
	memcpy(&v, m->p + at, sizeof(v));
	return ntohl(v);
}

static bool
interpret(const struct sock_filter *p, unsigned n, const struct msg *m)
{
	uint32_t a = 0, x = 0, mem[16] = { 0 };
	int64_t v;

	for (unsigned pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &p[pc];

		switch (i->code) {
		case BPF_LD | BPF_IMM:
			a = i->k;
			break;
		case BPF_LD | BPF_MEM:
			a = mem[i->k];
			break;
		case BPF_LDX | BPF_IMM:
			x = i->k;
			break;
		case BPF_ST:
			mem[i->k] = a;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			ck_assert(i->k == 0 || i->k == UINT32_MAX);
			return i->k != 0;
		default:
			v = load(m, i, x, a);
			if (v < 0)
				return false;
			a = (uint32_t)v;
		}
	}
	ck_abort_msg("ran off the end");
	return false;
}

static bool
kernel_accepts(const int fd[2], const struct msg *m)
{
	uint8_t back[sizeof(m->p)];
	ssize_t len;

	ck_assert_int_eq(send(fd[0], m->p, m->len, 0), (ssize_t)m->len);
	len = recv(fd[1], back, sizeof(back), MSG_DONTWAIT);
	if (len < 0)
		return false;
	ck_assert_int_eq(len, (ssize_t)m->len);
	ck_assert_mem_eq(back, m->p, m->len);
	return true;
}

/* ---- random questions --------------------------------------------------------- */

static unsigned
below(unsigned n)
{
	return (unsigned)rand() % n;
}

/* Near one of a few addresses, so that prefixes match half the time. */
static void
random_ip(uint8_t family, uint8_t *ip)
{
	unsigned bits = family == AF_INET ? 32 : 128;

	memset(ip, below(2) ? 0x5a : 0xa5, 16);
	for (unsigned flips = below(3); flips--;) {
		unsigned bit = below(bits);

		ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
	if (family == AF_INET)
		memset(ip + 4, 0, 12);
}

static void
random_list(struct nfct_filter *f, int dir, char *text, size_t size)
{
	char why[256], ip[64];
	size_t len = 0;
	uint8_t raw[16];

	text[0] = '\0';
	for (unsigned n = below(5); n--;) {
		uint8_t family = below(2) ? AF_INET : AF_INET6;

		random_ip(family, raw);
		inet_ntop(family, raw, ip, sizeof(ip));
		len += (size_t)snprintf(text + len, size - len, "%s%s/%u", len ? "," : "", ip,
					below(family == AF_INET ? 33 : 129));
	}
	ck_assert_int_eq(nfct_filter_prefixes(f, dir, text, why, sizeof(why)), 0);
}

static void
random_flow(struct flow *w)
{
	static const uint8_t protos[] = { 6, 17, 1, 58, 132, 47, 0, 255 };

	memset(w, 0, sizeof(*w));
	w->family = below(20) == 0 ? AF_UNIX : below(2) ? AF_INET : AF_INET6;
	w->proto = protos[below(sizeof(protos))];
	random_ip(w->family, w->ip[0]);
	random_ip(w->family, w->ip[1]);
	w->no_orig = below(40) == 0;
	w->no_ip = below(40) == 0;
	w->no_proto = below(40) == 0;
}

static void
attach(int fd, int n)
{
	struct sock_fprog bpf = { .len = (unsigned short)n, .filter = prog };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &bpf, sizeof(bpf)), 0);
}

START_TEST(judges_agree)
{
	static const char *const protos[] = { "", "tcp", "tcp,udp", "6,58,255",
					      "icmp ,ipv6-icmp" };
	unsigned accepted = 0, rejected = 0;
	int fd[2];

	srand(4711);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	for (int round = 0; round < 300; round++) {
		struct nfct_filter f = { 0 };
		char src[512], dst[512], why[256];
		int n;

		random_list(&f, NFCT_SRC, src, sizeof(src));
		random_list(&f, NFCT_DST, dst, sizeof(dst));
		ck_assert_int_eq(nfct_filter_protos(&f, protos[below(5)], why, sizeof(why)), 0);
		n = nfct_filter_compile(&f, prog, NFCT_BPF_MAX);
		ck_assert_int_ge(n, 0);
		if (n)
			attach(fd[1], n);
		for (int k = 0; n && k < 100; k++) {
			struct flow w;
			struct msg m;
			bool want;

			random_flow(&w);
			make_msg(&m, &w);
			want = wanted(&f, &w);
			*(want ? &accepted : &rejected) += 1;
			ck_assert_msg(interpret(prog, (unsigned)n, &m) == want,
				      "interpreter, src %s dst %s", src, dst);
			ck_assert_msg(kernel_accepts(fd, &m) == want, "kernel, src %s dst %s",
				      src, dst);
		}
		nfct_filter_free(&f);
	}
	close(fd[0]);
	close(fd[1]);
	ck_assert_uint_gt(accepted, 3000); /* the questions were worth asking */
	ck_assert_uint_gt(rejected, 3000);
}
END_TEST

/* ---- the options --------------------------------------------------------------- */

static const struct {
	const char *text, *why;
} bad_lists[] = {
	{ "10.0.0.1", "'10.0.0.1' has no prefix length; for one address write 10.0.0.1/32" },
	{ "10.0.0.0/8,1::", "'1::' has no prefix length; for one address write 1::/128" },
	{ "10.0.0.0/33", "'33' is not a prefix length for 10.0.0.0" },
	{ "1::/129", "'129' is not a prefix length for 1::" },
	{ "10.0.0/8", "'10.0.0' is not an IPv4 or IPv6 address" },
	{ "10.0.0.0/", "'' is not a prefix length for 10.0.0.0" },
	{ "10.0.0.0/-1", "'-1' is not a prefix length for 10.0.0.0" },
	{ "10.0.0.0/8x", "'8x' is not a prefix length for 10.0.0.0" },
	{ "::/0/0", "'0/0' is not a prefix length for ::" },
	{ "host/24", "'host' is not an IPv4 or IPv6 address" },
};

START_TEST(list_errors)
{
	struct nfct_filter f = { 0 };
	char why[256] = "";

	ck_assert_int_eq(
		nfct_filter_prefixes(&f, NFCT_SRC, bad_lists[_i].text, why, sizeof(why)),
		-EINVAL);
	ck_assert_str_eq(why, bad_lists[_i].why);
	nfct_filter_free(&f);
}
END_TEST

START_TEST(proto_errors)
{
	static const char *const bad[] = { "tcpp", "256", "-1", "6x", "tcp,no such", "1000" };
	struct nfct_filter f = { 0 };
	char why[256] = "";

	ck_assert_int_eq(nfct_filter_protos(&f, bad[_i], why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "is neither a protocol"));
}
END_TEST

START_TEST(lists)
{
	struct nfct_filter f = { 0 };
	char why[256];

	ck_assert_int_eq(nfct_filter_prefixes(&f, NFCT_DST,
					      " 10.0.0.0/8,, 1:2::/64 ,0.0.0.0/0,", why,
					      sizeof(why)),
			 0);
	ck_assert_uint_eq(f.n[NFCT_DST], 3);
	ck_assert_uint_eq(f.list[NFCT_DST][1].family, AF_INET6);
	ck_assert_uint_eq(f.list[NFCT_DST][1].len, 64);
	ck_assert_int_eq(nfct_filter_protos(&f, "tcp,6,udplite,0", why, sizeof(why)), 0);
	ck_assert_uint_eq(f.nprotos, 3);
	ck_assert(f.protos[6] && f.protos[136] && f.protos[0]);
	nfct_filter_free(&f);
	ck_assert_int_eq(nfct_filter_compile(&f, prog, NFCT_BPF_MAX), 0);
}
END_TEST

/* What the kernel lets a socket have for its filter, in bytes. */
static long
optmem_max(void)
{
	FILE *f = fopen("/proc/sys/net/core/optmem_max", "re");
	long v = 0;

	if (f && fscanf(f, "%ld", &v) != 1)
		v = 0;
	if (f)
		fclose(f);
	return v;
}

/* As many prefixes as fit, and one more; the kernel takes the longest program. */
START_TEST(too_long)
{
	struct nfct_filter f = { 0 };
	char why[256];
	int n = 0, longest = 0, fd;

	while ((n = nfct_filter_compile(&f, prog, NFCT_BPF_MAX)) >= 0) {
		longest = n;
		ck_assert_int_eq(nfct_filter_prefixes(&f, NFCT_SRC, "1::2/128,10.0.0.1/32", why,
						      sizeof(why)),
				 0);
	}
	ck_assert_int_eq(n, -E2BIG);
	ck_assert_int_gt(longest, 4000);
	f.n[NFCT_SRC] -= 2;
	ck_assert_int_eq(nfct_filter_compile(&f, prog, NFCT_BPF_MAX), longest);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (optmem_max() > 2 * (long)sizeof(prog))
		attach(fd, longest);
	close(fd);
	nfct_filter_free(&f);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, lists);
	tcase_add_loop_test(t, list_errors, 0, COUNT(bad_lists));
	tcase_add_loop_test(t, proto_errors, 0, 6);
	tcase_add_test(t, too_long);
	tcase_add_test(t, judges_agree);
	tcase_set_timeout(t, 60);
}

int
main(void)
{
	return unit_main("nfct_bpf", add_tests);
}
