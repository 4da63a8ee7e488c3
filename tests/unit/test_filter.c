/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FILTER: which records an expression chooses, and which fields it asks for. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fakes.h"
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_filter;

static struct plug *
filter(const char *expr)
{
	struct plug *p;
	char *options;

	ck_assert_int_gt(asprintf(&options, "expr=\"%s\"\n", expr), 0);
	p = plug_new(&ctf_plugin_filter, options);
	free(options);
	return p;
}

static const struct {
	const char *key, *field;
} keys[] = {
	{ "s", "orig.ip.saddr" },        { "d", "orig.ip.daddr" },
	{ "ns", "reply.ip.daddr" },      { "nd", "reply.ip.saddr" },
	{ "sp", "orig.l4.sport" },       { "dp", "orig.l4.dport" },
	{ "nsp", "reply.l4.dport" },     { "ndp", "reply.l4.sport" },
	{ "proto", "orig.ip.protocol" }, { "type", "icmp.type" },
	{ "code", "icmp.code" },         { "type6", "icmpv6.type" },
	{ "code6", "icmpv6.code" },      { "mark", "ct.mark" },
	{ "zone", "ct.zone" },           { "status", "ct.status" },
	{ "ob", "orig.raw.pktlen" },     { "rb", "reply.raw.pktlen" },
	{ "op", "orig.raw.pktcount" },   { "rp", "reply.raw.pktcount" },
	{ "ms", "flow.duration" },
};

/* "s=10.0.0.1 dp=80"; a ":" makes it IPv6. */
static void
record(struct plug *p, const char *text)
{
	char copy[256], *save, *word;
	int family = strstr(text, "6 ") == text || strchr(text, ':') ? AF_INET6 : AF_INET;

	plug_rec(p, family, CTF_DESTROY, 1);
	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		if (!value) /* the 6 */
			continue;
		*value++ = '\0';
		for (int i = 0; i < COUNT(keys); i++) {
			if (strcmp(keys[i].key, word))
				continue;
			if (i < 4)
				plug_ip(p, keys[i].field, value);
			else
				plug_num(p, keys[i].field, strtoull(value, NULL, 0));
		}
	}
}

static const struct {
	const char *expr, *yes[4], *no[6];
} table[] = {
	{ "src net 10.0.0.0/8 and (dst port 443 or proto udp) and not mark 0x10/0xf0",
	  { "s=10.1.2.3 dp=443", "s=10.1.2.3 proto=17 mark=0x20",
	    "s=10.0.0.0 dp=443 mark=0x1" },
	  { "s=11.0.0.1 dp=443", "s=10.1.2.3 dp=80", "s=10.1.2.3 dp=443 mark=0x11f", "dp=443",
	    "s=a00::1 dp=443" } },
	{ "host 10.0.0.1",
	  { "s=10.0.0.1", "d=10.0.0.1" },
	  { "s=10.0.0.2", "", "ns=10.0.0.1" } },
	{ "not host 10.0.0.1", { "s=10.0.0.2", "", "s=1::2" }, { "d=10.0.0.1" } },
	{ "nat src 10.0.0.1",
	  { "ns=10.0.0.1" },
	  { "s=10.0.0.1", "nd=10.0.0.1", "d=10.0.0.1" } },
	{ "nat dst host 10.0.0.1", { "nd=10.0.0.1" }, { "ns=10.0.0.1", "d=10.0.0.1" } },
	{ "nat host 10.0.0.1", { "nd=10.0.0.1", "ns=10.0.0.1" }, { "s=10.0.0.1" } },
	{ "any host 10.0.0.1",
	  { "s=10.0.0.1", "d=10.0.0.1", "ns=10.0.0.1", "nd=10.0.0.1" },
	  { "s=10.0.0.2 d=10.0.0.3" } },
	{ "any src host 10.0.0.1",
	  { "s=10.0.0.1", "ns=10.0.0.1" },
	  { "d=10.0.0.1", "nd=10.0.0.1" } },
	{ "src and dst net 10.0.0.0/8",
	  { "s=10.0.0.1 d=10.0.0.2" },
	  { "s=10.0.0.1 d=11.0.0.1", "d=10.0.0.1" } },
	{ "net 0.0.0.0/0", { "s=0.0.0.0", "s=255.255.255.255" }, { "s=::1", "" } },
	{ "net ::/0", { "s=::" }, { "s=0.0.0.0", "" } },
	{ "net 2001:db8::/33,fe80::1",
	  { "s=2001:db8:7fff::1", "d=fe80::1" },
	  { "s=2001:db8:8000::", "d=fe80::2", "s=2001:db7:ffff:ffff::" } },
	{ "port 80,1000-2000",
	  { "sp=80", "dp=1000", "dp=2000" },
	  { "sp=81", "dp=999", "dp=2001", "ndp=80", "" } },
	{ "nat port 80", { "nsp=80", "ndp=80" }, { "sp=80", "dp=80" } },
	{ "nat dst port 80", { "ndp=80" }, { "nsp=80", "dp=80" } },
	{ "any dst port 80", { "ndp=80", "dp=80" }, { "nsp=80", "sp=80" } },
	{ "dst port != 80", { "dp=81", "" }, { "dp=80" } },
	{ "src port > 1023", { "sp=1024", "sp=65535" }, { "sp=1023", "dp=2000", "" } },
	{ "dst port < 1", { "dp=0" }, { "dp=1", "" } },
	{ "dst port < 0", { NULL }, { "dp=0", "dp=65535", "" } },
	{ "proto tcp or 17", { "proto=6", "proto=17" }, { "proto=1", "" } },
	{ "icmp type 8", { "type=8" }, { "type=0", "type6=8", "code=8", "" } },
	{ "icmp code 3", { "code=3" }, { "type=3", "code6=3" } },
	{ "icmp6 type 128", { "6 type6=128" }, { "6 code6=128", "type=128" } },
	{ "icmp6 code 3", { "6 code6=3" }, { "code=3" } },
	{ "mark 0", { "", "mark=0" }, { "mark=1" } },
	{ "not mark 1", { "", "mark=3" }, { "mark=1" } },
	{ "mark 1,0x20/0xf0,0x300-0x30f",
	  { "mark=1", "mark=0x12f", "mark=0x308" },
	  { "mark=2", "mark=0x310", "" } },
	{ "mark 0/0xf0", { "", "mark=0xf" }, { "mark=0x10" } },
	{ "mark > 5", { "mark=6", "mark=0xffffffff" }, { "mark=5", "" } },
	{ "zone 0", { "", "zone=0" }, { "zone=7" } },
	{ "zone 7,9", { "zone=7", "zone=9" }, { "zone=8", "" } },
	{ "status assured", { "status=0x18e" }, { "status=0x18a", "" } },
	{ "not status seen-reply", { "", "status=8" }, { "status=2" } },
	{ "nat", { "status=0x198", "status=0x20" }, { "status=0x188", "" } },
	{ "status 0/2", { "", "status=1" }, { "status=2" } },
	{ "family ipv4", { "", "s=1.2.3.4" }, { "6 " } },
	{ "ip6", { "6 ", "s=::1" }, { "" } },
	{ "bytes > 1K", { "ob=1025", "ob=512 rb=513", "rb=2000" }, { "ob=512 rb=512", "" } },
	{ "not bytes > 1K", { "ob=512 rb=512", "" }, { "ob=512 rb=513" } },
	{ "bytes > 10", { "ob=0xffffffffffffffff rb=1" }, { "ob=10 rb=0" } },
	{ "src bytes > 1K", { "ob=1025" }, { "rb=1025", "ob=1024 rb=9999" } },
	{ "dst bytes <= 1K", { "rb=1024" }, { "ob=1", "rb=1025", "" } },
	{ "src or dst bytes > 1K", { "ob=1025", "rb=1025" }, { "ob=1024 rb=1024" } },
	{ "src and dst packets > 1", { "op=2 rp=2" }, { "op=2 rp=1", "op=1 rp=2", "op=2" } },
	{ "packets 3-4", { "op=3", "op=1 rp=3" }, { "op=3 rp=2", "op=2" } },
	{ "packets 0", { "op=0 rp=0" }, { "", "op=1" } },
	{ "duration >= 1500ms", { "ms=1500" }, { "ms=1499", "" } },
	{ "duration < 2m", { "ms=119999", "ms=0" }, { "ms=120000", "" } },
	{ "tcp or udp and port 53", { "proto=6", "proto=17 dp=53" }, { "dp=53", "proto=17" } },
	{ "not (tcp or udp) and mark 1",
	  { "mark=1", "proto=1 mark=1" },
	  { "proto=6 mark=1", "proto=1" } },
	{ "not (tcp and port 80)", { "proto=6", "dp=80", "" }, { "proto=6 dp=80" } },
	{ "not not tcp", { "proto=6" }, { "" } },
};

START_TEST(chooses)
{
	struct plug *p = filter(table[_i].expr);

	for (int i = 0; i < COUNT(table[_i].yes) && table[_i].yes[i]; i++) {
		record(p, table[_i].yes[i]);
		ck_assert_msg(plug_apply(p) == CTF_PASS, "%s drops '%s'", table[_i].expr,
			      table[_i].yes[i]);
	}
	for (int i = 0; i < COUNT(table[_i].no) && table[_i].no[i]; i++) {
		record(p, table[_i].no[i]);
		ck_assert_msg(plug_apply(p) == CTF_DROP, "%s passes '%s'", table[_i].expr,
			      table[_i].no[i]);
	}
	plug_free(p);
}
END_TEST

/* A field nobody asked for has no place in the record. */
START_TEST(wants)
{
	static const struct {
		const char *expr, *fields;
	} t[] = {
		{ "host 10.0.0.1", " s d " },
		{ "src host 10.0.0.1 and not src net 10.0.0.0/8", " s " },
		{ "any host 10.0.0.1", " s d ns nd " },
		{ "nat src port 5", " nsp " },
		{ "bytes > 5", " ob rb " },
		{ "dst packets > 5", " rp " },
		{ "ip6 tcp", " proto " },
		{ "nat and icmp6 type 5", " status type6 " },
		{ "duration > 5 or mark 1 or zone 1", " ms mark zone " },
	};

	for (int i = 0; i < COUNT(t); i++) {
		struct plug *p = filter(t[i].expr);

		record(p, "s=1.1.1.1 d=1.1.1.1 ns=1.1.1.1 nd=1.1.1.1 sp=1 dp=1 nsp=1 ndp=1 "
			  "proto=1 type=1 code=1 type6=1 code6=1 mark=1 zone=1 status=1 ob=1 "
			  "rb=1 op=1 rp=1 ms=1");
		for (int k = 0; k < COUNT(keys); k++) {
			char word[16];

			snprintf(word, sizeof(word), " %s ", keys[k].key);
			ck_assert_msg(plug_has(p, keys[k].field) ==
					      (strstr(t[i].fields, word) != NULL),
				      "%s: %s", t[i].expr, keys[k].field);
		}
		plug_free(p);
	}
}
END_TEST

/* As the daemon says it: the line of the option, and what is wrong. */
START_TEST(refused)
{
	struct ctf_err err = { .msg = "" };

	ck_assert_int_lt(plug_try(&ctf_plugin_filter, "\nexpr=\"prot tcp\"\n", &err), 0);
	ck_assert_str_eq(err.msg, "test.conf:5: expr: unknown word \"prot\", is \"proto\" "
				  "meant?\n    prot tcp\n    ^");
	ck_assert_int_lt(plug_try(&ctf_plugin_filter, "", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "must have expr="));
}
END_TEST

/* An input that cannot say what the expression wants to know. */
START_TEST(nobody_gives_it)
{
	struct setup s = { 0 };
	struct diag diag = { 0 };
	struct box box;
	bool said = false;

	box_init(&box);
	ck_assert_int_lt(
		fakes_setup(&s,
			    "[global]\nstack=a:FEED,f:FILTER,k:KEEP\n[a]\n%B\n[k]\n%B\n"
			    "[f]\nexpr=\"tcp or mark 7\"\n",
			    &box, &diag),
		0);
	for (size_t i = 0; i < diag.n; i++)
		said |= strstr(diag.item[i].text, "\"proto tcp\" looks at orig.ip.protocol, "
						  "which no plugin before "
						  "f gives") != NULL;
	ck_assert(said);
	diag_free(&diag);
	setup_free(&s);
	box_free(&box);
}
END_TEST

/* A long list from a file says the same as going through it. */
START_TEST(long_list)
{
	enum { N = 20000 };
	static uint32_t net[N];
	static uint8_t len[N];
	char path[] = "/tmp/filter-XXXXXX", expr[64];
	int fd = mkstemp(path), hits = 0;
	FILE *f = fdopen(fd, "w");
	struct plug *p;

	srand(42);
	for (int i = 0; i < N; i++) {
		char ip[64], six[64];

		len[i] = (uint8_t)(16 + rand() % 17);
		net[i] = (uint32_t)rand() << 1 & ~(uint32_t)0 << (32 - len[i]);
		inet_ntop(AF_INET, &(uint32_t){ htonl(net[i]) }, ip, sizeof(ip));
		snprintf(six, sizeof(six), "2001:db8:%x:%x::", net[i] >> 16, net[i] & 0xffff);
		fprintf(f, "%s/%u\n%s/%u\n", ip, len[i], six, 32u + len[i]);
	}
	fclose(f);
	snprintf(expr, sizeof(expr), "src net in @%s", path);
	p = filter(expr);
	unlink(path);
	for (int round = 0; round < 2000; round++) {
		uint32_t x = round % 2 ? net[rand() % N] ^ (uint32_t)(rand() % 65536)
				       : (uint32_t)rand() << 1;
		char text[80];
		bool in = false;

		for (int i = 0; i < N && !in; i++)
			in = ((x ^ net[i]) >> (32 - len[i])) == 0;
		hits += in;
		if (round % 3)
			snprintf(text, sizeof(text), "s=%u.%u.%u.%u", x >> 24, x >> 16 & 255,
				 x >> 8 & 255, x & 255);
		else
			snprintf(text, sizeof(text), "s=2001:db8:%x:%x:9::", x >> 16,
				 x & 0xffff);
		record(p, text);
		ck_assert_msg((plug_apply(p) == CTF_PASS) == in, "%s", text);
	}
	ck_assert_int_gt(hits, 100);
	ck_assert_int_lt(hits, 1800);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, chooses, 0, COUNT(table));
	tcase_add_test(t, wants);
	tcase_add_test(t, refused);
	tcase_add_test(t, nobody_gives_it);
	tcase_add_test(t, long_list);
	tcase_set_timeout(t, 60);
}

int
main(void)
{
	return unit_main("filter", add_tests);
}
