/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NAMES: what the lines of each kind of file say, and hostile ones. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../../filter/names.h"
#include "unit.h"

/* Parses text in portions of that size; what names_parse_end() says. */
static int
parse(struct names_parser *p, enum names_kind kind, struct names_set *set, const char *text,
      size_t len, size_t portion)
{
	int r = 0;

	names_parse_begin(p, kind, set);
	for (size_t at = 0; at < len && !r; at += portion)
		r = names_parse(p, text + at, len - at < portion ? len - at : portion);
	return r ? r : names_parse_end(p);
}

static void
must_parse(struct names_parser *p, enum names_kind kind, struct names_set *set,
	   const char *text)
{
	names_set_init(set, 1000);
	ck_assert_int_eq(parse(p, kind, set, text, strlen(text), strlen(text) + 1), 0);
}

/* "NAME END", END in seconds or "never"; NULL: it has none. */
static const char *
says(const struct names_set *set, const char *addr)
{
	static __thread char text[400];
	const struct names_entry *e;
	struct names_key k;

	ck_assert(names_address((struct names_word){ addr, strlen(addr) }, true, &k));
	e = names_set_find(set, &k);
	if (!e || !e->name_len)
		return NULL;
	if (e->until_ns == NAMES_NEVER)
		snprintf(text, sizeof(text), "%.*s never", e->name_len, set->text + e->name);
	else
		snprintf(text, sizeof(text), "%.*s %llu", e->name_len, set->text + e->name,
			 (unsigned long long)(e->until_ns / 1000000000));
	return text;
}

static const char hosts[] = "\xef\xbb\xbf"
			    "127.0.0.1\tlocalhost\n"
			    "# a comment\n"
			    "\n"
			    "  10.0.0.5   printer.lan printer # upstairs\r\n"
			    "10.0.0.5 second\n"
			    "fd00::5 nas.lan.\n"
			    "fe80::1%lan0 router\n"
			    "::ffff:10.0.0.6 mapped\n"
			    "10.0.0.300 wrong\n"
			    "10.0.0.0/8 net\n"
			    "10.0.0.7\n"
			    "10.0.0.8 #none\n"
			    "10.0.0.9 last";

START_TEST(hosts_file)
{
	struct names_parser p;
	struct names_set s;

	must_parse(&p, NAMES_HOSTS, &s, hosts);
	ck_assert_str_eq(says(&s, "127.0.0.1"), "localhost never");
	ck_assert_str_eq(says(&s, "10.0.0.5"), "printer.lan never");
	ck_assert_str_eq(says(&s, "fd00::5"), "nas.lan never");
	ck_assert_str_eq(says(&s, "fe80::1"), "router never");
	ck_assert_str_eq(says(&s, "10.0.0.6"), "mapped never");
	ck_assert_str_eq(says(&s, "10.0.0.9"), "last never");
	ck_assert_ptr_null(says(&s, "10.0.0.7"));
	ck_assert_ptr_null(says(&s, "10.0.0.0/8"));
	ck_assert_uint_eq(s.named, 6);
	ck_assert_uint_eq(p.bad, 4);
	ck_assert_uint_eq(p.bad_line, 9);
	ck_assert_str_eq(p.why, "does not begin with an address");
	names_set_free(&s);
}
END_TEST

START_TEST(plain_file)
{
	struct names_parser p;
	struct names_set s;

	must_parse(&p, NAMES_FILE, &s,
		   "172.17.0.2 web\n172.17.9.9/16 containers\nfd00:1::/64 v6\n0.0.0.0/0 all\n"
		   "10.0.0.0/33 x\nfd00::/129 x\n10.0.0.0/ x\n10.0.0.0/8/8 x\n");
	ck_assert_str_eq(says(&s, "172.17.0.2"), "web never");
	ck_assert_str_eq(says(&s, "172.17.0.0/16"), "containers never");
	ck_assert_str_eq(says(&s, "fd00:1::/64"), "v6 never");
	ck_assert_str_eq(says(&s, "0.0.0.0/0"), "all never");
	ck_assert_uint_eq(p.bad, 4);
	ck_assert_uint_eq(p.bad_line, 5);
	names_set_free(&s);
}
END_TEST

START_TEST(dnsmasq)
{
	struct names_parser p;
	struct names_set s;

	must_parse(&p, NAMES_DNSMASQ, &s,
		   "1795000000 aa:bb:cc:dd:ee:01 192.168.1.10 phone 01:aa:bb:cc:dd:ee:01\n"
		   "0 aa:bb:cc:dd:ee:02 192.168.1.11 tv *\n"
		   "1795000001 06-aa:bb:cc:dd:ee:03 192.168.1.12 * *\n"
		   "43200 aa:bb:cc:dd:ee:04 192.168.1.13 clockless *\n"
		   "duid 00:01:00:01:2a:bb\n"
		   "1795000002 15264 fd00::10 phone 00:01:00:01\n"
		   "1795000003 T15264 fd00::11 phone-tmp 00:01:00:01\n"
		   "nonsense\n"
		   "1795000004 aa:bb:cc:dd:ee:05 192.168.1.14\n"
		   "1795000005 aa:bb:cc:dd:ee:06 192.168.1.15 unfini");
	ck_assert_str_eq(says(&s, "192.168.1.10"), "phone 1795000000");
	ck_assert_str_eq(says(&s, "192.168.1.11"), "tv never");
	ck_assert_str_eq(says(&s, "192.168.1.13"), "clockless never");
	ck_assert_str_eq(says(&s, "fd00::10"), "phone 1795000002");
	ck_assert_str_eq(says(&s, "fd00::11"), "phone-tmp 1795000003");
	ck_assert_uint_eq(s.named, 5);
	ck_assert_uint_eq(p.bad, 2);
	ck_assert_uint_eq(p.bad_line, 8);
	ck_assert(p.unfinished);
	names_set_free(&s);
}
END_TEST

START_TEST(odhcpd)
{
	struct names_parser p;
	struct names_set s;

	must_parse(
		&p, NAMES_ODHCPD, &s,
		"# br-lan 0004f1 1 phone 1795000000 100 128 fd00::100/128 2001:db8::100/128\n"
		"fd00::100\tphone.lan\tphone\n"
		"# br-lan 0004f2 2 router2 1795000001 10 60 2001:db8:0:10::/60\n"
		"# br-lan aabbccddee01 ipv4 laptop -1 c0a80120 32 192.168.1.32/24\n"
		"# br-lan aabbccddee02 ipv4 - 1795000003 c0a80121 32 192.168.1.33/32\n"
		"# br-lan aabbccddee03 ipv4 over 0 c0a80122 32 192.168.1.34/32\n"
		"# br-lan aabbccddee04 ipv4 broken\\x20evil 1795000003 1 32 192.168.1.35/32\n"
		"# only a comment\n"
		"192.168.1.36 static\n");
	ck_assert_str_eq(says(&s, "fd00::100"), "phone 1795000000");
	ck_assert_str_eq(says(&s, "2001:db8::100"), "phone 1795000000");
	ck_assert_str_eq(says(&s, "2001:db8:0:10::/60"), "router2 1795000001");
	ck_assert_str_eq(says(&s, "192.168.1.32"), "laptop never");
	ck_assert_str_eq(says(&s, "192.168.1.36"), "static never");
	ck_assert_uint_eq(s.named, 5);
	ck_assert_uint_eq(p.bad, 0);
	names_set_free(&s);
}
END_TEST

#define KEA4 \
	"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname," \
	"state,user_context,pool_id\n"

START_TEST(kea4)
{
	struct names_parser p;
	struct names_set s;

	must_parse(&p, NAMES_KEA, &s,
		   KEA4 "10.0.0.1,aa:bb,,3600,1795000000,1,0,0,first.lan.,0,,0\n"
			"10.0.0.2,aa:bb,,4294967295,4294967295,1,0,0,forever,0,,0\n"
			"10.0.0.3,aa:bb,,3600,1795000001,1,0,0,gone,0,,0\n"
			"10.0.0.4,aa:bb,,3600,1795000002,1,0,0,a&#x2cb,0,{ \"x\": 1 },0\n"
			"10.0.0.5,aa:bb,,3600,1795000003,1,0,0,declined,1,,0\n"
			"10.0.0.6,aa:bb,,3600,1795000003,1,0,0,,0,,0\n"
			"10.0.0.1,aa:bc,,3600,1795000009,1,0,0,second-longer,0,,0\n"
			"10.0.0.3,aa:bb,,3600,1795000001,1,0,0,gone,2,,0\n"
			"10.0.0.7,aa:bb\n"
			"10.0.0.2,aa:bb,,3600,1795");
	ck_assert_str_eq(says(&s, "10.0.0.1"), "second-longer 1795000009");
	ck_assert_str_eq(says(&s, "10.0.0.2"), "forever never");
	ck_assert_ptr_null(says(&s, "10.0.0.3"));
	ck_assert_str_eq(says(&s, "10.0.0.4"), "a_b 1795000002");
	ck_assert_ptr_null(says(&s, "10.0.0.5"));
	ck_assert_uint_eq(s.named, 3);
	ck_assert_uint_eq(p.bad, 1);
	ck_assert_uint_eq(p.bad_line, 10);
	names_set_free(&s);
}
END_TEST

START_TEST(kea6)
{
	struct names_parser p;
	struct names_set s;

	must_parse(&p, NAMES_KEA, &s,
		   "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,"
		   "prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context\r\n"
		   "2001:db8::1,01:02,4000,1795000000,1,3000,0,1,128,0,0,host6,,0,\r\n"
		   "2001:db8:1::,01:02,4000,1795000001,1,3000,2,1,56,0,0,site,,0,\r\n");
	ck_assert_str_eq(says(&s, "2001:db8::1"), "host6 1795000000");
	ck_assert_str_eq(says(&s, "2001:db8:1::/56"), "site 1795000001");
	ck_assert_uint_eq(p.bad, 0);
	names_set_free(&s);

	names_set_init(&s, 10);
	ck_assert_int_eq(parse(&p, NAMES_KEA, &s, "10.0.0.1 host\n", 14, 14), -EBADMSG);
	ck_assert_str_eq(p.why, "the first line does not name Kea's columns");
	names_set_free(&s);
}
END_TEST

/* What comes out of a name, which must not break a line or hide anything. */
START_TEST(clean_names)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "h\"q,c=e\\b'`$;&<>|x", "h_q_c_e_b________x" },
		{ "a\x1b[31mb\x7f\x01", "a_[31mb__" },
		{ "m\xc3\xbcller-\xe5\xa4\xaa\xf0\x9f\x98\x80", "m\xc3\xbcller-\xe5\xa4\xaa"
								"\xf0\x9f\x98\x80" },
		{ "x\xe2\x80\xaey\xe2\x80\xa8z\xc2\x85\xef\xbb\xbf", "x_y_z__" },
		{ "\xff\xc3(\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80", "__(__________" },
		{ "cut\xe5\xa4", "cut__" },
		{ "dots...", "dots" },
	};

	for (int i = 0; i < COUNT(t); i++) {
		struct names_parser p;
		struct names_set s;
		char line[200], want[200];

		snprintf(line, sizeof(line), "10.0.0.1 %s\n", t[i].in);
		snprintf(want, sizeof(want), "%s never", t[i].out);
		must_parse(&p, NAMES_FILE, &s, line);
		ck_assert_str_eq(says(&s, "10.0.0.1"), want);
		names_set_free(&s);
	}
}
END_TEST

START_TEST(hostile)
{
	static char text[30000];
	struct names_parser p;
	struct names_set s;
	size_t n;

	/* A name that never ends; a NUL; a line longer than is looked at. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "10.0.0.1 ", 9);
	memcpy(text + 20000, "\n10.0.0.2 a\0b\n10.0.0\0 c\n", 24);
	n = 20024;
	names_set_init(&s, 10);
	ck_assert_int_eq(parse(&p, NAMES_HOSTS, &s, text, n, n), 0);
	ck_assert_uint_eq(strlen(says(&s, "10.0.0.1")), NAMES_LEN + strlen(" never"));
	ck_assert_str_eq(says(&s, "10.0.0.2"), "a_b never");
	ck_assert_uint_eq(s.named, 2);
	ck_assert_uint_eq(p.bad_line, 3);
	names_set_free(&s);

	/* A character is not cut in two. */
	n = (size_t)sprintf(text, "10.0.0.1 ") + 0;
	for (int i = 0; i < 127; i++)
		n += (size_t)sprintf(text + n, "\xc3\xbc");
	names_set_init(&s, 10);
	ck_assert_int_eq(parse(&p, NAMES_HOSTS, &s, text, n, 1), 0);
	ck_assert_uint_eq(strlen(says(&s, "10.0.0.1")), 252 + strlen(" never"));
	names_set_free(&s);
}
END_TEST

START_TEST(portions)
{
	for (size_t portion = 1; portion < 40; portion++) {
		struct names_parser p;
		struct names_set s;

		names_set_init(&s, 100);
		ck_assert_int_eq(parse(&p, NAMES_HOSTS, &s, hosts, sizeof(hosts) - 1, portion),
				 0);
		ck_assert_uint_eq(s.named, 6);
		ck_assert_uint_eq(p.bad, 4);
		ck_assert_uint_eq(p.bad_line, 9);
		names_set_free(&s);
	}
}
END_TEST

START_TEST(too_many)
{
	struct names_parser p;
	struct names_set s;
	char line[64];

	names_set_init(&s, 50);
	names_parse_begin(&p, NAMES_FILE, &s);
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(line, sizeof(line), "10.0.%d.%d h%d\n", i / 256, i % 256, i);

		ck_assert_int_eq(names_parse(&p, line, (size_t)n), 0);
	}
	ck_assert_int_eq(names_parse_end(&p), 0);
	ck_assert_uint_eq(s.named, 50);
	ck_assert_uint_eq(s.n, 50);
	ck_assert_uint_eq(s.refused, 950);
	ck_assert_str_eq(says(&s, "10.0.0.49"), "h49 never");
	ck_assert_ptr_null(says(&s, "10.0.0.50"));
	names_set_free(&s);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, hosts_file);
	tcase_add_test(t, plain_file);
	tcase_add_test(t, dnsmasq);
	tcase_add_test(t, odhcpd);
	tcase_add_test(t, kea4);
	tcase_add_test(t, kea6);
	tcase_add_test(t, clean_names);
	tcase_add_test(t, hostile);
	tcase_add_test(t, portions);
	tcase_add_test(t, too_many);
}

int
main(void)
{
	return unit_main("names_parse", add_tests);
}
