/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions as text: what is understood, how it is printed, what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph.h"
#include "unit.h"

static int
parse(const char *text, struct ctf_expr **ret_expr, struct ctf_err *err)
{
	char id[] = "f";
	struct inst inst = { .id = id, .file = "test.conf" };
	struct ctf_ctx ctx = { .inst = &inst };

	return ctf_expr_parse(&ctx, "expr", text, ret_expr, err);
}

static struct ctf_expr *
good(const char *text)
{
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e = NULL;

	ck_assert_msg(parse(text, &e, &err) == 0, "%s\n%s", text, err.msg);
	return e;
}

/* ---- the standard form ---- */

static const struct {
	const char *text, *print;
} forms[] = {
	{ "src net 10.0.0.0/8 and (dst port 443 or proto udp) and not mark 0x10/0xf0",
	  "src net 10.0.0.0/8 and (dst port 443 or proto udp) and not mark 0x10/0xf0" },
	/* as with pcap-filter(7) */
	{ "tcp", "proto tcp" },
	{ "udp port 53", "proto udp and port 53" },
	{ "not udp port 53", "not (proto udp and port 53)" },
	{ "tcp dst port 80 or 443", "(proto tcp and dst port 80) or dst port 443" },
	{ "host 10.0.0.1 or 10.0.0.2", "host 10.0.0.1 or host 10.0.0.2" },
	{ "not host 10.0.0.1 and 10.0.0.2", "not host 10.0.0.1 and host 10.0.0.2" },
	{ "src or dst net 10.1.2.3/8", "net 10.0.0.0/8" },
	{ "src and dst port 53", "src port 53 and dst port 53" },
	{ "dst and src net 10.0.0.0/8 or tcp",
	  "(src net 10.0.0.0/8 and dst net 10.0.0.0/8) or proto tcp" },
	{ "src 10.0.0.1", "src host 10.0.0.1" },
	{ "10.0.0.1", "host 10.0.0.1" },
	{ "2001:db8::/32 or fe80::1", "net 2001:db8::/32 or host fe80::1" },
	{ "portrange 6000-6008", "port 6000-6008" },
	{ "port (80 or 443)", "port {80, 443}" },
	{ "ip6 and icmp6", "family ipv6 and proto icmp6" },
	{ "ip6 tcp dst port 22", "family ipv6 and proto tcp and dst port 22" },
	{ "ip proto 47", "family ipv4 and proto gre" },
	{ "ip host 10.0.0.1", "family ipv4 and host 10.0.0.1" },
	{ "! tcp && (udp || sctp)", "not proto tcp and (proto udp or proto sctp)" },
	{ "icmp type 8 and icmp code 0 or icmp6 type 128",
	  "(icmp type 8 and icmp code 0) or icmp6 type 128" },
	/* as with nfdump */
	{ "src ip 1.2.3.4 and proto tcp", "src host 1.2.3.4 and proto tcp" },
	{ "ip in [1.2.3.4 5.6.7.8]", "host {1.2.3.4, 5.6.7.8}" },
	{ "dst port in [80 443]", "dst port {80, 443}" },
	{ "src port > 1024 and bytes > 1M", "src port > 1024 and bytes > 1048576" },
	{ "inet6", "family ipv6" },
	/* as with nft */
	{ "ip saddr 10.0.0.0/8 tcp", NULL },
	{ "ip saddr 10.0.0.0/8", "family ipv4 and src net 10.0.0.0/8" },
	{ "tcp dport {22, 80-90, 443}", "proto tcp and dst port {22, 80-90, 443}" },
	/* lists, operators */
	{ "port 80,443", "port {80, 443}" },
	{ "port in {80,443}", "port {80, 443}" },
	{ "port not in {80,443}", "not port {80, 443}" },
	{ "port != 80", "not port 80" },
	{ "port=80", "port 80" },
	{ "host in {10.0.0.1,10.1.0.0/16,::1}", "net {10.0.0.1, 10.1.0.0/16, ::1}" },
	{ "PORT 80 AND Proto TCP", "port 80 and proto tcp" },
	{ "proto 6,17,200", "proto {tcp, udp, 200}" },
	{ "proto 1-6", "proto 1-6" },
	{ "proto ipv6-icmp", "proto icmp6" },
	{ "mark 16", "mark 0x10" },
	{ "mark > 7", "mark > 0x7" },
	{ "mark 1,0x20/0xf0", "mark {0x1, 0x20/0xf0}" },
	{ "zone 5", "zone 5" },
	{ "status assured,seen-reply", "status {assured, seen-reply}" },
	{ "status 0/seen-reply", NULL },
	{ "status 0/2", "status 0x0/0x2" },
	{ "status 0x8/0x8", "status confirmed" },
	{ "family 4", "family ipv4" },
	{ "family ipv6,inet", "family {ipv6, ipv4}" },
	{ "bytes 1K-2K", "bytes 1024-2048" },
	{ "src bytes >= 10 and dst packets < 5", "src bytes >= 10 and dst packets < 5" },
	{ "src or dst bytes > 1K", "src or dst bytes > 1024" },
	{ "duration > 5s or duration <= 10ms", "duration > 5000ms or duration <= 10ms" },
	{ "duration 1-2", "duration 1000ms-2000ms" },
	/* NAT */
	{ "nat", "status {snat, dnat}" },
	{ "tcp and nat", "proto tcp and status {snat, dnat}" },
	{ "nat src 203.0.113.7", "nat src host 203.0.113.7" },
	{ "nat dst net 192.0.2.0/24 or any host 10.0.0.1",
	  "nat dst net 192.0.2.0/24 or any host 10.0.0.1" },
	{ "udp nat src port 40000-40010", "proto udp and nat src port 40000-40010" },
	{ "any port 53", "any port 53" },
	/* shape */
	{ "((tcp))", "proto tcp" },
	{ "not not tcp", "not not proto tcp" },
	{ "tcp or (udp or sctp)", "proto tcp or proto udp or proto sctp" },
	{ "tcp and (udp and port 1)", "proto tcp and proto udp and port 1" },
};

START_TEST(standard_form)
{
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e = NULL, *again;

	if (!forms[_i].print) {
		ck_assert_int_eq(parse(forms[_i].text, &e, &err), -EINVAL);
		return;
	}
	e = good(forms[_i].text);
	ck_assert_str_eq(ctf_expr_text(e), forms[_i].print);
	again = good(ctf_expr_text(e));
	ck_assert_str_eq(ctf_expr_text(again), ctf_expr_text(e));
	ctf_expr_free(again);
	ctf_expr_free(e);
}
END_TEST

/* ---- mistakes ---- */

static const struct {
	const char *text, *why;
	int column; /* of the caret, from 0 */
} mistakes[] = {
	{ "prot tcp", "unknown word \"prot\", is \"proto\" meant?", 0 },
	{ "tcp and dst prt 443", "unknown word \"prt\", is \"port\" meant?", 12 },
	{ "xyzzy", "unknown word \"xyzzy\"", 0 },
	{ "proto tpc",
	  "\"tpc\" is not a protocol, 0 to 255 or a name of /etc/protocols; is "
	  "\"tcp\" meant?",
	  6 },
	{ "status asured",
	  "\"asured\" is not a status, a word such as assured or seen-reply, "
	  "or NUMBER/MASK; is \"assured\" meant?",
	  7 },
	{ "proto 256",
	  "256 is out of range: expected a protocol, 0 to 255 or a name of "
	  "/etc/protocols",
	  6 },
	{ "port 80 443", "\"and\" or \"or\" is expected here", 8 },
	{ "port 70000",
	  "70000 is out of range: expected a port, 0 to 65535 or a name of "
	  "/etc/services",
	  5 },
	{ "port 10.0.0.1", "\"10.0.0.1\" is not a port, 0 to 65535 or a name of /etc/services",
	  5 },
	{ "port 90-80", "90-80 is the wrong way round", 5 },
	{ "port", "a value is missing here", 4 },
	{ "host", "an address is missing here", 4 },
	{ "host www.example.org", "\"www.example.org\" is not an IPv4 or IPv6 address", 5 },
	{ "net 10.0", "\"10.0\" is not an IPv4 or IPv6 address; write all four numbers", 4 },
	{ "net 10.0.0.0/33", "\"33\" is not a prefix length, 0 to 32", 4 },
	{ "net 1::/129", "\"129\" is not a prefix length, 0 to 128", 4 },
	{ "net 10.0.0.0/", "\"\" is not a prefix length, 0 to 32", 4 },
	{ "host > 10.0.0.1", "host has no order, \">\" makes no sense", 5 },
	{ "proto < 5", "proto has no order, \"<\" makes no sense", 6 },
	{ "mark 0x11/0xf0", "0x11 has bits outside of the mask 0xf0: it can never fit", 5 },
	{ "mark 0x1ffffffff",
	  "0x1ffffffff is out of range: expected a mark, a number of 32 "
	  "bits or NUMBER/MASK",
	  5 },
	{ "zone 1/1", "\"1/1\" is not a zone, 0 to 65535", 5 },
	{ "bytes > 1X", "\"1X\" is not a size, as 4096, 64K or 1M", 8 },
	{ "bytes > -1", "\"-1\" is not a size, as 4096, 64K or 1M", 8 },
	{ "bytes > 99999999999T",
	  "99999999999T is out of range: expected a size, as 4096, 64K or "
	  "1M",
	  8 },
	{ "packets > 1K", "\"1K\" is not a number", 10 },
	{ "duration > 5w", "\"5w\" is not a time, as 10 (seconds), 500ms or 5m", 11 },
	{ "port > 80-90", "a single number is expected after \">\"", 7 },
	{ "family ipv5", "\"ipv5\" is not a family, ipv4 or ipv6; is \"ipv4\" meant?", 7 },
	{ "family 5", "5 is out of range: expected a family, ipv4 or ipv6", 7 },
	{ "src zone 5", "zone has no direction", 4 },
	{ "nat mark 5", "mark has no translated side", 4 },
	{ "any bytes > 5", "bytes has no two sides", 4 },
	{ "any", "something is missing at the end", 3 },
	{ "", "something is missing at the end", 0 },
	{ "tcp and", "something is missing at the end", 7 },
	{ "not", "something is missing at the end", 3 },
	{ "(tcp or udp", "this parenthesis is not closed", 0 },
	{ "tcp and ()", "a test is expected before \")\"", 9 },
	{ "tcp)", "nothing is open that this could close", 3 },
	{ "(tcp udp)", "\"and\", \"or\" or \")\" is expected here", 5 },
	{ "port {80, 443", "this list is not closed", 5 },
	{ "port {}", "a value is missing here", 6 },
	{ "port {80, 443)", "a value is missing here", 13 },
	{ "port 80,", "a value is missing here", 8 },
	{ "tcp & udp", "\"and\" or \"or\" is expected here", 4 },
	{ "or tcp", "a test is expected before \"or\"", 0 },
	{ "host in @", "the name of a file is expected after @", 8 },
	{ "host in @/nosuch/file", "/nosuch/file: No such file or directory", 8 },
	{ "host in @/dev", "/dev is not a regular file", 8 },
	{ "host in @/dev/zero", "/dev/zero is not a regular file", 8 },
	{ "bytes > 5 or 6", "\"6\" is not an IPv4 or IPv6 address; write all four numbers",
	  13 },
};

START_TEST(mistake)
{
	char want[512];
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e = NULL;

	snprintf(want, sizeof(want), "expr: %s\n    %s\n    %*s^", mistakes[_i].why,
		 mistakes[_i].text, mistakes[_i].column, "");
	ck_assert_int_eq(parse(mistakes[_i].text, &e, &err), -EINVAL);
	ck_assert_str_eq(err.msg, want);
	ck_assert_str_eq(err.file, "test.conf");
	ck_assert_ptr_null(e);
}
END_TEST

/* The caret is right in a long text, behind tabs and behind other alphabets. */
START_TEST(caret)
{
	char text[2000] = "", *line, *at;
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e;

	for (int i = 0; i < 100; i++)
		strcat(text, "port 80 or ");
	strcat(text, "prot 5 or port 7");
	ck_assert_int_eq(parse(text, &e, &err), -EINVAL);
	line = strchr(err.msg, '\n') + 1;
	at = strchr(line, '\n') + 1;
	ck_assert_int_lt(at - line, 90);
	ck_assert_int_eq(strncmp(line + strcspn(at, "^"), "prot 5", 6), 0);
	ck_assert_int_eq(parse("\tport\t80 or\tprot 5", &e, &err), -EINVAL);
	ck_assert_str_eq(strchr(err.msg, '\n'), "\n     port 80 or prot 5\n                ^");
	ck_assert_int_eq(parse("port \xc3\xa9\xc3\xa9 or", &e, &err), -EINVAL);
	ck_assert_str_eq(strchr(err.msg, '\n'), "\n    port \xc3\xa9\xc3\xa9 or\n         ^");
}
END_TEST

START_TEST(depth)
{
	char text[400] = "";
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e;

	memset(text, '(', 60);
	strcat(text, "tcp");
	memset(text + 63, ')', 60);
	ctf_expr_free(good(text));
	memset(text, '(', 200);
	text[200] = '\0';
	ck_assert_int_eq(parse(text, &e, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "nested deeper than 64"));
}
END_TEST

/* ---- two made one ---- */

START_TEST(both)
{
	struct ctf_expr *a = good("tcp or udp"), *b = good("host in {10.0.0.1, ::1}");

	ck_assert_int_eq(ctf_expr_and(a, b), 0);
	ck_assert_str_eq(ctf_expr_text(a), "(proto tcp or proto udp) and host {10.0.0.1, ::1}");
	ck_assert_int_eq(ctf_expr_and(a, good("mark 1")), 0);
	ck_assert_str_eq(ctf_expr_text(a),
			 "(proto tcp or proto udp) and host {10.0.0.1, ::1} and mark 0x1");
	ctf_expr_free(a);
}
END_TEST

/* ---- files ---- */

static void
in_file(const char *list, const char *want_err)
{
	char path[] = "/tmp/expr-XXXXXX", text[64], want[256], *nl;
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e;
	int fd = mkstemp(path), r;

	ck_assert_int_ge(fd, 0);
	close(fd);
	unit_write(path, list);
	snprintf(text, sizeof(text), "src host in @%s", path);
	r = parse(text, &e, &err);
	unlink(path);
	if (!want_err) {
		ck_assert_msg(r == 0, "%s", err.msg);
		snprintf(want, sizeof(want), "src %s @%s", strchr(list, '/') ? "net" : "host",
			 path);
		ck_assert_str_eq(ctf_expr_text(e), want);
		ctf_expr_free(e);
		return;
	}
	ck_assert_int_eq(r, -EINVAL);
	nl = strchr(err.msg, '\n');
	ck_assert_ptr_nonnull(nl);
	*nl = '\0';
	snprintf(want, sizeof(want), "expr: %s%s", path, want_err);
	ck_assert_str_eq(err.msg, want);
}

START_TEST(files)
{
	in_file("", NULL);
	in_file("# nobody\n\n10.0.0.1\n  10.0.0.2 ::1,1::2 ; and so on\r\n10.0.0.3", NULL);
	in_file("\xef\xbb\xbf"
		"10.0.0.0/8\n2001:db8::/32#x\n",
		NULL);
	in_file("10.0.0.1\n\n10.0.0\n",
		":3: \"10.0.0\" is not an IPv4 or IPv6 address; write all four numbers");
	in_file("10.0.0.1\n10.0.0.0/40", ":2: \"40\" is not a prefix length, 0 to 32");
	in_file("\nlocalhost\n", ":2: \"localhost\" is not an IPv4 or IPv6 address");
}
END_TEST

/* What the tree holds is in order, and what lies within another is gone. */
START_TEST(sets)
{
	struct ctf_expr *e = good("net 10.1.0.0/16,192.0.2.1,10.0.0.0/8,11.0.0.0/8,"
				  "2001:db8:1::/48,2001:db8::/32,::1,::/127");
	const struct ctf_node *n = ctf_expr_root(e);
	const struct ctf_set *s = n->set;

	ck_assert_uint_eq(n->of, 1u << CTF_S_SRC | 1u << CTF_S_DST);
	ck_assert_uint_eq(s->nspans, 2);
	ck_assert_uint_eq(s->span[0].lo, 0x0a000000);
	ck_assert_uint_eq(s->span[0].hi, 0x0bffffff);
	ck_assert_uint_eq(s->span[1].lo, 0xc0000201);
	ck_assert_uint_eq(s->span[1].hi, 0xc0000201);
	ck_assert_uint_eq(s->nnets6, 2);
	ck_assert_uint_eq(s->net6[0].len, 127);
	ck_assert_uint_eq(s->net6[1].len, 32);
	ctf_expr_free(e);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, standard_form, 0, COUNT(forms));
	tcase_add_loop_test(t, mistake, 0, COUNT(mistakes));
	tcase_add_test(t, caret);
	tcase_add_test(t, depth);
	tcase_add_test(t, both);
	tcase_add_test(t, files);
	tcase_add_test(t, sets);
}

int
main(void)
{
	return unit_main("expr", add_tests);
}
