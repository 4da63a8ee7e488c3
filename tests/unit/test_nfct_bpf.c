/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Selection in the kernel: for random expressions and messages, the program
 * for the event socket says what the evaluator says of the record.
 */
#include "bpf_judge.h"
#include "ct_random.h"
#include "nfct_plug.h"
#include "unit.h"

/* ---- random messages ------------------------------------------------------------ */

static const char *const ip4[] = { "10.0.0.1",  "10.0.0.2", "10.255.1.1",
				   "192.0.2.7", "0.0.0.0",  "255.255.255.255" };
static const char *const ip6[] = {
	"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1",
	"fe80::1",     "::",          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
};
static const unsigned ports[] = { 0, 53, 80, 443, 1024, 65535 };
static const uint8_t protos[] = { 6, 17, 1, 58, 132, 33, 136, 47, 50, 0, 255 };
static const uint32_t marks[] = { 0, 1, 0x10, 0x2f, 0x80000000, 0xffffffff };
static const unsigned zones[] = { 0, 1, 7, 65535 };

#define ANY_OF(r, a) ((a)[rnd_below((r), COUNT(a))])

static const char *
some_ip(struct rnd *r, int family)
{
	return family == AF_INET ? ANY_OF(r, ip4) : ANY_OF(r, ip6);
}

static void
some_tuple(struct rnd *r, struct msg *m, unsigned type, int family, uint8_t proto)
{
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
	size_t nest = msg_nest(m, type);
	bool l4_first = rnd_one_in(r, 8);
	uint16_t a = (uint16_t)ANY_OF(r, ports), b = (uint16_t)ANY_OF(r, ports);

	if (icmp) /* type and code */
		b = (uint16_t)(rnd_below(r, 9) << 8 | rnd_below(r, 3));
	if (l4_first && !rnd_one_in(r, 20))
		msg_l4(m, proto, a, b);
	if (!rnd_one_in(r, 30))
		msg_ip(m, some_ip(r, family), some_ip(r, family));
	if (!l4_first && !rnd_one_in(r, 30))
		msg_l4(m, proto, a, b);
	if (rnd_one_in(r, 3))
		msg_u16(m, CTA_TUPLE_ZONE, (uint16_t)ANY_OF(r, zones));
	msg_end(m, nest);
}

static void
some_numbers(struct rnd *r, struct msg *m)
{
	if (rnd_one_in(r, 4))
		msg_u16(m, CTA_ZONE, (uint16_t)ANY_OF(r, zones));
	if (!rnd_one_in(r, 4))
		msg_u32(m, CTA_STATUS, (uint32_t)rnd_next(r) & 0x3ff);
	if (!rnd_one_in(r, 3))
		msg_u32(m, CTA_MARK, ANY_OF(r, marks));
	msg_u32(m, CTA_ID, (uint32_t)rnd_next(r));
}

static void
some_message(struct rnd *r, struct msg *m)
{
	int family = rnd_one_in(r, 2) ? AF_INET : AF_INET6;
	uint8_t proto = ANY_OF(r, protos);
	bool early = rnd_one_in(r, 5);

	msg_begin(m, rnd_one_in(r, 2) ? MSG_DESTROY : MSG_NEW, rnd_one_in(r, 2) ? 0x600 : 0, 0,
		  family);
	if (early)
		some_numbers(r, m);
	if (!rnd_one_in(r, 30))
		some_tuple(r, m, CTA_TUPLE_ORIG, family, proto);
	if (!rnd_one_in(r, 30))
		some_tuple(r, m, CTA_TUPLE_REPLY, family,
			   rnd_one_in(r, 20) ? ANY_OF(r, protos) : proto);
	if (!early)
		some_numbers(r, m);
}

/* ---- random expressions ------------------------------------------------------------ */

struct text {
	char p[4096];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void
add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->p + t->len, sizeof(t->p) - t->len, fmt, ap);
	va_end(ap);
	ck_assert_uint_lt(t->len, sizeof(t->p));
}

static void
add_addr(struct rnd *r, struct text *t)
{
	bool six = rnd_one_in(r, 2);

	add(t, "%s", some_ip(r, six ? AF_INET6 : AF_INET));
	if (rnd_one_in(r, 2))
		add(t, "/%u", rnd_below(r, six ? 129 : 33));
}

static void
add_number(struct rnd *r, struct text *t, const unsigned *pool, unsigned n)
{
	unsigned a = pool[rnd_below(r, n)], b = pool[rnd_below(r, n)];

	if (rnd_one_in(r, 3))
		add(t, "%u-%u", a < b ? a : b, a < b ? b : a);
	else
		add(t, "%u", a);
}

static void
add_mark(struct rnd *r, struct text *t)
{
	uint32_t value = ANY_OF(r, marks), mask = value | ANY_OF(r, marks);

	if (rnd_one_in(r, 2))
		add(t, "0x%x/0x%x", value, mask);
	else
		add(t, "%u", value);
}

static void
add_value(struct rnd *r, struct text *t, char kind)
{
	static const char *const bits[] = { "assured", "seen-reply", "snat",
					    "dying",   "0/2",        "0x18e" };

	switch (kind) {
	case 'a':
		add_addr(r, t);
		break;
	case 'p':
		add_number(r, t, ports, COUNT(ports));
		break;
	case 'P':
		add(t, "%u", ANY_OF(r, protos));
		break;
	case 'i':
		add(t, "%u", rnd_below(r, 9));
		break;
	case 'm':
		add_mark(r, t);
		break;
	case 'z':
		add_number(r, t, zones, COUNT(zones));
		break;
	case 's':
		add(t, "%s", ANY_OF(r, bits));
		break;
	}
}

static void
add_test(struct rnd *r, struct text *t)
{
	static const struct {
		const char *name;
		char kind;
	} tests[] = {
		{ "host ", 'a' },
		{ "src net ", 'a' },
		{ "dst host ", 'a' },
		{ "nat src ", 'a' },
		{ "nat dst net ", 'a' },
		{ "nat host ", 'a' },
		{ "any host ", 'a' },
		{ "any src net ", 'a' },
		{ "src and dst net ", 'a' },
		{ "port ", 'p' },
		{ "src port ", 'p' },
		{ "dst port ", 'p' },
		{ "nat src port ", 'p' },
		{ "nat dst port ", 'p' },
		{ "any port ", 'p' },
		{ "proto ", 'P' },
		{ "icmp type ", 'i' },
		{ "icmp code ", 'i' },
		{ "icmp6 type ", 'i' },
		{ "icmp6 code ", 'i' },
		{ "mark ", 'm' },
		{ "zone ", 'z' },
		{ "status ", 's' },
		{ "family ipv6", 0 },
		{ "ip", 0 },
		{ "nat", 0 },
		{ "tcp", 0 },
	};
	static const char *const orders[] = { "<", "<=", ">", ">=" };
	unsigned i = rnd_below(r, COUNT(tests));
	unsigned n = rnd_one_in(r, 30) ? 40 : rnd_below(r, 4) + 1;

	add(t, "%s", tests[i].name);
	if (!tests[i].kind)
		return;
	if (strchr("pimz", tests[i].kind) && rnd_one_in(r, 4)) {
		add(t, "%s %u", ANY_OF(r, orders), (unsigned)ANY_OF(r, ports));
		while (tests[i].kind == 'i' && t->p[t->len - 1] > ' ') /* a byte */
			t->len--;
		if (tests[i].kind == 'i')
			add(t, "%u", rnd_below(r, 9));
		return;
	}
	for (unsigned k = 0; k < n; k++) {
		if (k)
			add(t, ",");
		add_value(r, t, tests[i].kind);
	}
}

static void
add_expr(struct rnd *r, struct text *t, unsigned depth)
{
	unsigned what = depth ? rnd_below(r, 5) : 0;

	if (what <= 1) {
		add_test(r, t);
		return;
	}
	if (what == 2) {
		add(t, "not ");
		add_expr(r, t, 0);
		return;
	}
	add(t, rnd_one_in(r, 3) ? "not (" : "(");
	for (unsigned n = rnd_below(r, 3) + 2, k = 0; k < n; k++) {
		if (k)
			add(t, what == 3 ? " and " : " or ");
		add_expr(r, t, depth - 1);
	}
	add(t, ")");
}

/* ---- do they agree? ---------------------------------------------------------------- */

#define EXPRESSIONS 700
#define MESSAGES 40

START_TEST(agree)
{
	unsigned accepted = 0, rejected = 0, longest = 0;
	struct rnd r = { .state = 20261121 };
	struct kernel k;

	kernel_open(&k);
	for (int round = 0; round < EXPRESSIONS; round++) {
		struct text t = { .len = 0 };
		struct nfct_plug p;
		struct nfct_select *s;
		char why[1024];

		add(&t, "select=\"");
		add_expr(&r, &t, 3);
		add(&t, "\"");
		nfct_plug_new(&p, t.p);
		ck_assert_msg(p.nfct != NULL, "%s\n%s", t.p,
			      nfct_plug_error(&p, why, sizeof(why)));
		s = &p.nfct->select;
		longest = s->len > longest ? s->len : longest;
		kernel_attach(&k, s->prog, s->len);
		for (int i = 0; i < MESSAGES; i++) {
			struct msg m;
			bool want;

			some_message(&r, &m);
			want = nfct_plug_selects(&p, m.p, m.len);
			*(want ? &accepted : &rejected) += 1;
			ck_assert_msg(bpf_accepts(s->prog, s->len, &m) == want,
				      "interpreter, message %d: %s", i, t.p);
			ck_assert_msg(kernel_accepts(&k, &m) == want, "kernel, message %d: %s",
				      i, t.p);
		}
		nfct_plug_free(&p);
	}
	kernel_close(&k);
	ck_assert_uint_gt(accepted, 9000); /* the questions were worth asking */
	ck_assert_uint_gt(rejected, 9000);
	ck_assert_uint_gt(longest, 600); /* more than a conditional jump reaches */
}
END_TEST

/* Whatever else the kernel sends, in any order. */
START_TEST(agree_on_all_attributes)
{
	static const char *const exprs[] = {
		"net 128.0.0.0/1,8000::/1 or not status assured",
		("src port < 30000 and dst port >= 9000 or icmp type < 100 or nat src port < "
		 "9999"),
		"mark 0/3 or zone > 30000 or any net 0.0.0.0/2,2000::/3",
		"not (udp or sctp) and nat dst net 0.0.0.0/1,::/1",
	};
	struct rnd r = { .state = 7 };
	struct kernel k;

	kernel_open(&k);
	for (int e = 0; e < COUNT(exprs); e++) {
		struct nfct_plug p;
		unsigned n[2] = { 0, 0 };
		char text[256];

		snprintf(text, sizeof(text), "select=\"%s\"", exprs[e]);
		nfct_plug_new(&p, text);
		ck_assert_ptr_nonnull(p.nfct);
		kernel_attach(&k, p.nfct->select.prog, p.nfct->select.len);
		for (int i = 0; i < 2000; i++) {
			struct msg m;
			bool want;

			rnd_message(&r, &m);
			want = nfct_plug_selects(&p, m.p, m.len);
			n[want]++;
			ck_assert_msg(kernel_accepts(&k, &m) == want, "%s", exprs[e]);
		}
		ck_assert_uint_gt(n[0], 100);
		ck_assert_uint_gt(n[1], 100);
		nfct_plug_free(&p);
	}
	kernel_close(&k);
}
END_TEST

/* What the decoder will refuse and count must reach it. */
START_TEST(other_families)
{
	struct nfct_plug p;
	struct msg m;

	nfct_plug_new(&p, "select=\"tcp and host 10.0.0.1\"");
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_UNIX);
	ck_assert(bpf_accepts(p.nfct->select.prog, p.nfct->select.len, &m));
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	ck_assert(!bpf_accepts(p.nfct->select.prog, p.nfct->select.len, &m));
	nfct_plug_free(&p);
}
END_TEST

/* ---- size -------------------------------------------------------------------------- */

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

static char *
many_addresses(unsigned n)
{
	char *text = calloc(1, 64 + 40 * (size_t)n);
	size_t len = (size_t)sprintf(text, "select=\"src host ");

	for (unsigned i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "%s10.%u.%u.1,2001:db8:%x::%x", i ? "," : "",
				       i >> 8, i & 255, i % 7, i * 3);
	strcpy(text + len, "\"");
	return text;
}

/* Every distance a conditional jump may have, and one more. */
START_TEST(distances)
{
	for (unsigned n = 1; n < 300; n++) {
		char text[4096] = "select=\"dst port ";
		size_t len = strlen(text);
		struct nfct_plug p;

		for (unsigned i = 0; i < n; i++)
			len += (size_t)sprintf(text + len, "%s%u", i ? "," : "", 2 * i + 1);
		strcpy(text + len, n & 1 ? " or tcp\"" : "\"");
		nfct_plug_new(&p, text);
		ck_assert_ptr_nonnull(p.nfct);
		for (unsigned port = 0; port<2 * n + 3; port += port> 9 && port < n ? 7 : 1) {
			struct msg m;

			msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
			msg_tuple(&m, CTA_TUPLE_ORIG, "10.0.0.1", "10.0.0.2", 17, 1,
				  (uint16_t)port);
			ck_assert_msg(bpf_accepts(p.nfct->select.prog, p.nfct->select.len,
						  &m) == (port % 2 && port < 2 * n),
				      "%u ports, port %u", n, port);
		}
		nfct_plug_free(&p);
	}
}
END_TEST

/* As many as fit are right to the last one, and the kernel takes them; one more is refused. */
START_TEST(long_lists)
{
	unsigned fits = 0, more = 4096;
	struct nfct_plug p;
	struct kernel k;
	char *text, why[1024];

	while (more - fits > 1) {
		unsigned n = (fits + more) / 2;

		text = many_addresses(n);
		nfct_plug_new(&p, text);
		*(p.nfct ? &fits : &more) = n;
		nfct_plug_free(&p);
		free(text);
	}
	ck_assert_uint_gt(fits, 900);
	text = many_addresses(more);
	nfct_plug_new(&p, text);
	ck_assert_str_eq(nfct_plug_error(&p, why, sizeof(why)),
			 "test.conf:4: select: too long for the kernel, which takes 4096 "
			 "instructions; the plugin FILTER has no such limit");
	nfct_plug_free(&p);
	free(text);
	text = many_addresses(fits);
	nfct_plug_new(&p, text);
	kernel_open(&k);
	if (optmem_max() > 2 * (long)(NFCT_BPF_MAX * sizeof(struct sock_filter)))
		kernel_attach(&k, p.nfct->select.prog, p.nfct->select.len);
	for (unsigned i = 0; i < 2 * fits; i++) {
		char src[64];
		struct msg m;
		bool six = i % 3 == 0;

		if (six)
			snprintf(src, sizeof(src), "2001:db8:%x::%x", i % 7, i * 3);
		else
			snprintf(src, sizeof(src), "10.%u.%u.1", i >> 8, i & 255);
		msg_begin(&m, MSG_DESTROY, 0, 0, six ? AF_INET6 : AF_INET);
		msg_tuple(&m, CTA_TUPLE_ORIG, src, six ? "::1" : "127.0.0.1", 6, 1, 2);
		ck_assert_msg(bpf_accepts(p.nfct->select.prog, p.nfct->select.len, &m) ==
				      (i < fits),
			      "%s", src);
		ck_assert_int_eq(nfct_plug_selects(&p, m.p, m.len), i < fits);
	}
	kernel_close(&k);
	nfct_plug_free(&p);
	free(text);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, agree);
	tcase_add_test(t, agree_on_all_attributes);
	tcase_add_test(t, other_families);
	tcase_add_test(t, distances);
	tcase_add_test(t, long_lists);
	tcase_set_timeout(t, 120);
}

int
main(void)
{
	return unit_main("nfct_bpf", add_tests);
}
