/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `select` and accept_*_filter: what the options of NFCT mean and which are refused. */
#include "bpf_judge.h"
#include "nfct_plug.h"
#include "unit.h"

/* ---- what is heard ------------------------------------------------------------------ */

struct flow {
	const char *src, *dst;
	uint8_t proto;
};

static const struct flow four = { "10.1.2.3", "192.0.2.1", 6 };
static const struct flow six = { "2001:db8::1", "fe80::2", 17 };
static const struct flow ping = { "10.9.9.9", "10.1.2.3", 1 };

static const struct {
	const char *options, *selection;
	bool four, six, ping;
} meanings[] = {
	{ "", "", true, true, true },
	{ "accept_src_filter=10.0.0.0/8", "src net 10.0.0.0/8", true, false, true },
	{ "accept_src_filter=10.1.2.3/32", "src host 10.1.2.3", true, false, false },
	{ "accept_src_filter=::/0", "src net ::/0", false, true, false },
	{ "accept_src_filter=0.0.0.0/0", "src net 0.0.0.0/0", true, false, true },
	{ "accept_src_filter=\" 10.1.0.0/16,, 2001:db8::/33 ,\"",
	  "src net {10.1.0.0/16, 2001:db8::/33}", true, true, false },
	{ "accept_src_filter=,", "", true, true, true },
	{ "accept_dst_filter=10.0.0.0/8,fe80::/10", "dst net {10.0.0.0/8, fe80::/10}", false,
	  true, true },
	{ "accept_proto_filter=tcp", "proto tcp", true, false, false },
	{ "accept_proto_filter=6,17", "proto {tcp, udp}", true, true, false },
	{ "accept_proto_filter=\"icmp ,ipv6-icmp\"", "proto {icmp, icmp6}", false, false,
	  true },
	{ "accept_proto_filter=255", "proto 255", false, false, false },
	{ "accept_src_filter=10.0.0.0/8\naccept_proto_filter=icmp\naccept_dst_filter=10.0.0.0/"
	  "8",
	  "src net 10.0.0.0/8 and dst net 10.0.0.0/8 and proto icmp", false, false, true },
	{ "select=\"udp or dst host 192.0.2.1\"", "proto udp or dst host 192.0.2.1", true, true,
	  false },
	{ "select=\"not tcp\"", "not proto tcp", false, true, true },
	/* both must hold */
	{ "select=\"icmp or udp\"\naccept_src_filter=10.0.0.0/8",
	  "src net 10.0.0.0/8 and (proto icmp or proto udp)", false, false, true },
};

static void
check_heard(struct nfct_plug *p, const struct flow *f, bool want)
{
	const struct nfct_select *s = &p->nfct->select;
	struct msg m;

	msg_begin(&m, MSG_DESTROY, 0, 0, strchr(f->src, ':') ? AF_INET6 : AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, f->src, f->dst, f->proto, 1000, 8 << 8);
	msg_tuple(&m, CTA_TUPLE_REPLY, f->dst, f->src, f->proto, 1000, 0);
	if (s->len)
		ck_assert_msg(bpf_accepts(s->prog, s->len, &m) == want, "kernel: %s", f->src);
	ck_assert_msg(nfct_plug_selects(p, m.p, m.len) == want, "evaluator: %s", f->src);
}

START_TEST(meaning)
{
	struct nfct_plug p;

	nfct_plug_new(&p, meanings[_i].options);
	ck_assert_ptr_nonnull(p.nfct);
	ck_assert_uint_eq(p.diag.n, 0);
	ck_assert_str_eq(nfct_selection(p.nfct), meanings[_i].selection);
	ck_assert_int_eq(p.nfct->select.len > 0, meanings[_i].selection[0] != '\0');
	check_heard(&p, &four, meanings[_i].four);
	check_heard(&p, &six, meanings[_i].six);
	check_heard(&p, &ping, meanings[_i].ping);
	nfct_plug_free(&p);
}
END_TEST

/* Without a selection the input asks for nothing itself; with one, for what it needs. */
START_TEST(wants)
{
	struct nfct_plug p;

	nfct_plug_new(&p, "");
	ck_assert_uint_eq(p.graph.inputs->nslots, 0);
	nfct_plug_free(&p);
	nfct_plug_new(&p, "select=\"src port 5 or not src port 7 and udp\"");
	ck_assert_uint_eq(p.graph.inputs->nslots, 2);
	ck_assert_str_eq(p.graph.inputs->slots[0]->name, "orig.l4.sport");
	ck_assert_str_eq(p.graph.inputs->slots[1]->name, "orig.ip.protocol");
	nfct_plug_free(&p);
}
END_TEST

/* What a file holds is part of the selection; and nobody wants all of a long one. */
START_TEST(in_words)
{
	static const char *const lists[] = { "10.0.0.1\n", "10.0.0.2\n", "# 1\n10.0.0.1" };
	char path[] = "/tmp/select-XXXXXX", options[4096], said[3][256];
	int fd = mkstemp(path);
	struct nfct_plug p;

	ck_assert_int_ge(fd, 0);
	close(fd);
	snprintf(options, sizeof(options), "select=\"host in @%s\"", path);
	for (int i = 0; i < 3; i++) {
		unit_write(path, lists[i]);
		nfct_plug_new(&p, options);
		ck_assert_ptr_nonnull(p.nfct);
		snprintf(said[i], sizeof(said[i]), "%s", nfct_selection(p.nfct));
		nfct_plug_free(&p);
	}
	unlink(path);
	ck_assert_ptr_eq(strstr(said[0], path), said[0] + strlen("host @"));
	ck_assert_ptr_nonnull(strstr(said[0], " [program "));
	ck_assert_str_ne(said[0], said[1]);
	ck_assert_str_eq(said[0], said[2]);
	strcpy(options, "select=\"port 1");
	for (int i = 2; i < 500; i++)
		sprintf(options + strlen(options), ",%d", 2 * i);
	strcat(options, "\"");
	nfct_plug_new(&p, options);
	ck_assert_uint_lt(strlen(nfct_selection(p.nfct)), 1040);
	ck_assert_ptr_nonnull(strstr(nfct_selection(p.nfct), "... [program "));
	nfct_plug_free(&p);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------ */

static const struct {
	const char *options, *why;
} refusals[] = {
	{ "accept_src_filter=10.0.0.1",
	  "4: accept_src_filter: '10.0.0.1' has no prefix length; "
	  "for one address write 10.0.0.1/32" },
	{ "accept_dst_filter=10.0.0.0/8,1::",
	  "4: accept_dst_filter: '1::' has no prefix length; for one address write 1::/128" },
	{ "accept_src_filter=10.0.0.0/33",
	  "4: accept_src_filter: \"33\" is not a prefix length, 0 to 32" },
	{ "accept_src_filter=1::/129",
	  "4: accept_src_filter: \"129\" is not a prefix length, 0 to 128" },
	{ "accept_src_filter=10.0.0/8",
	  "4: accept_src_filter: \"10.0.0\" is not an IPv4 or IPv6 address" },
	{ "accept_src_filter=10.0.0.0/", "4: accept_src_filter: \"\" is not a prefix length" },
	{ "accept_src_filter=10.0.0.0/-1",
	  "4: accept_src_filter: '10.0.0.0/-1' is not an IPv4 or IPv6 prefix" },
	{ "accept_src_filter=::/0/0", "4: accept_src_filter: \"0/0\" is not a prefix length" },
	{ "accept_src_filter=host/24",
	  "4: accept_src_filter: 'host/24' is not an IPv4 or IPv6 prefix" },
	{ "accept_src_filter=\"1.1.1.1/8} or {::/0\"",
	  "4: accept_src_filter: '1.1.1.1/8}' is not an IPv4 or IPv6 prefix" },
	{ "accept_src_filter=@/etc/passwd/1",
	  "4: accept_src_filter: '@/etc/passwd/1' is not an IPv4 or IPv6 prefix" },
	{ "\naccept_proto_filter=tcp,tcpp",
	  "5: accept_proto_filter: \"tcpp\" is not a protocol" },
	{ "accept_proto_filter=256", "4: accept_proto_filter: 256 is out of range" },
	{ "accept_proto_filter=-1", "4: accept_proto_filter: \"-1\" is not a protocol" },
	{ "accept_proto_filter=6x", "4: accept_proto_filter: \"6x\" is not a protocol" },
	{ "accept_proto_filter=tcp)", "4: accept_proto_filter: 'tcp)' is not a protocol" },
	{ "\n\nselect=\"prot tcp\"", "6: select: unknown word \"prot\", is \"proto\" meant?\n"
				     "    prot tcp\n    ^" },
	{ "select=\"tcp and bytes > 1M\"",
	  "4: select: the kernel cannot judge by \"bytes > 1048576\", which not every message "
	  "about a flow carries; the plugin FILTER can" },
	{ "select=\"not (tcp or dst packets < 3)\"",
	  "4: select: the kernel cannot judge by \"dst packets < 3\"" },
	{ "select=\"duration > 5\"",
	  "4: select: the kernel cannot judge by \"duration > 5000ms\"" },
};

START_TEST(refusal)
{
	char want[256], got[1024];
	struct nfct_plug p;

	nfct_plug_new(&p, refusals[_i].options);
	ck_assert_ptr_null(p.nfct);
	snprintf(want, sizeof(want), "test.conf:%s", refusals[_i].why);
	nfct_plug_error(&p, got, sizeof(got));
	got[strlen(want) < sizeof(got) ? strlen(want) : 0] = '\0';
	ck_assert_str_eq(got, want);
	nfct_plug_free(&p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, meaning, 0, COUNT(meanings));
	tcase_add_test(t, wants);
	tcase_add_test(t, in_words);
	tcase_add_loop_test(t, refusal, 0, COUNT(refusals));
}

int
main(void)
{
	return unit_main("nfct_select", add_tests);
}
