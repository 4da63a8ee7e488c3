/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a layout says with its templates: types of own elements, flow keys. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipfix_read.h"
#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

#define BASE "oid=7\nhost=\"127.0.0.1\"\n"
#define OWN 32473u

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* All nine elements of RFC 5610 for each of ours. */
START_TEST(test_types)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\n");
	char *text = ipfix_read_layout(p, OWN);

	ck_assert_uint_eq(count(text, "303 303="), 9);
	ck_assert_ptr_nonnull(strstr(
		text, "303 303=1001 346=32473 339=3 344=5 345=0 342=0 343=4294967295 "
		      "341='ctStatus' 340='status bits of the conntrack entry (IPS_*)'\n"));
	ck_assert_ptr_nonnull(strstr(text,
				     "303 303=1010 346=32473 339=4 344=3 345=4 342=0 "
				     "343=18446744073709551615 341='ctEventsLost' 340='"));
	ck_assert_ptr_nonnull(strstr(text,
				     "303 303=1012 346=32473 339=13 344=0 345=0 342=0 343=0 "
				     "341='ctLossCause' 340='"));
	ck_assert_ptr_nonnull(strstr(text, "303 303=4 346=21373 339=3 344=4 345=0 342=0 "
					   "343=4294967295 341='netfilterMark' 340='"));
	ck_assert_ptr_null(strchr(text, '!'));
	free(text);
	plug_free(p);
}
END_TEST

/* They come first; each template and each record has a set of its own. */
START_TEST(test_order)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\n");
	const struct ctf_layout *l = plug_layout(p);
	unsigned at = 0, types = 0;

	ck_assert_uint_eq(get16(l->p), 3);
	ck_assert_uint_eq(get16(l->p + 4), 303);
	for (at = get16(l->p + 2); get16(l->p + at) == 303; at += get16(l->p + at + 2))
		types++;
	ck_assert_uint_eq(types, 9);
	for (; at < l->len; at += get16(l->p + at + 2)) {
		ck_assert_uint_ne(get16(l->p + at), 303);
		ck_assert_uint_le(get16(l->p + at + 2), 240); /* fits the smallest message */
	}
	ck_assert_uint_eq(at, l->len);
	plug_free(p);
}
END_TEST

/* Without an enterprise number there is nothing to tell of. */
START_TEST(test_no_types)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	char *text = ipfix_read_layout(p, 0);

	ck_assert_ptr_null(strstr(text, "303="));
	ck_assert_ptr_null(strchr(text, '!'));
	free(text);
	plug_free(p);
}
END_TEST

/* Bit n - 1 is the n-th element: addresses, ports, zone, protocol. */
static const struct {
	const char *options, *record;
} keys[] = {
	{ "", "304 145=256 173=35776\n" },             /* 6 to 9, 11 and 15 */
	{ "", "304 145=259 173=17856\n" },             /* 6 to 8, 10 and 14 */
	{ "", "304 145=306 173=559\n" },               /* 0 to 3, 5 and 9 */
	{ "pen=32473\n", "304 145=258 173=134080\n" }, /* with the ICMP id, 9 */
	{ "uniflow=yes\n", "304 145=260 173=4848\n" }, /* 4 to 7, 9 and 12 */
	{ "timestamps=ns\n", "304 145=261 173=35776\n" },
};

START_TEST(test_keys)
{
	char options[128], *text;
	struct plug *p;

	snprintf(options, sizeof(options), BASE "%s", keys[_i].options);
	p = plug_new(&ctf_plugin_ipfix, options);
	text = ipfix_read_layout(p, strstr(options, "pen=") ? OWN : 0);
	ck_assert_msg(strstr(text, keys[_i].record), "%s", text);
	ck_assert_uint_eq(count(text, "304 145="), 72);
	free(text);
	plug_free(p);
}
END_TEST

/* Which templates there are. */
static const struct {
	const char *options;
	unsigned present[4], absent[4];
} forms[] = {
	{ "", { 256, 313, 302, 304 }, { 270, 275, 301, 352 } },
	{ "pen=1\n", { 301, 302, 303, 352 }, { 270, 276, 271, 300 } },
	{ "nat_events=yes\n", { 256, 270, 302, 305 }, { 271, 275, 276, 303 } },
	{ "nat_events=destinations\n", { 256, 271, 302, 304 }, { 270, 275, 303, 352 } },
	{ "nat_events=yes\nflows=no\n", { 270, 302, 305, 270 }, { 256, 304, 340, 271 } },
	{ "flow_events=new\n", { 275, 276, 256, 342 }, { 270, 271, 303, 303 } },
	{ "options_interval=0\n", { 256, 302, 261, 262 }, { 304, 305, 300, 303 } },
	{ "zone_names=\"1=red\"\n", { 256, 302, 305, 353 }, { 301, 352, 300, 303 } },
	{ "zone_names=\"1=red\"\noptions_interval=0\n",
	  { 256, 302, 261, 262 },
	  { 304, 305, 353, 303 } },
};

static bool
has_template(const struct ctf_layout *l, unsigned id)
{
	for (unsigned at = 0; at < l->len; at += get16(l->p + at + 2))
		if (get16(l->p + at) < 4 && get16(l->p + at + 4) == id)
			return true;
	return false;
}

START_TEST(test_forms)
{
	char options[128];
	struct plug *p;

	snprintf(options, sizeof(options), BASE "%s", forms[_i].options);
	p = plug_new(&ctf_plugin_ipfix, options);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_msg(has_template(plug_layout(p), forms[_i].present[i]), "%u",
			      forms[_i].present[i]);
		ck_assert_msg(!has_template(plug_layout(p), forms[_i].absent[i]), "%u",
			      forms[_i].absent[i]);
	}
	plug_free(p);
}
END_TEST

/* ---- zones ---- */

#define NAME_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *list, *records;
} zones[] = {
	{ "1=red", "353 234=1 236='red'\n" },
	{ " 7 = a zone ,\t65535=b=c,0=\xc3\xbc ",
	  "353 234=7 236='a zone'\n353 234=65535 236='b=c'\n353 234=0 236='\xc3\xbc'\n" },
	{ "00012=" NAME_64, "353 234=12 236='" NAME_64 "'\n" },
	{ "1=x,2=x", "353 234=1 236='x'\n353 234=2 236='x'\n" },
};

START_TEST(test_zones)
{
	char options[256], *text;
	const char *at;
	struct plug *p;

	snprintf(options, sizeof(options), BASE "zone_names=\"%s\"\n", zones[_i].list);
	p = plug_new(&ctf_plugin_ipfix, options);
	text = ipfix_read_layout(p, 0);
	at = strstr(text, "353 ");
	ck_assert_msg(at && strcmp(at, zones[_i].records) == 0, "%s", text);
	free(text);
	plug_free(p);
}
END_TEST

/* As many as an option can hold. */
START_TEST(test_many_zones)
{
	char options[4500] = BASE "zone_names=\"0=a", *text;
	unsigned n = 1;
	struct plug *p;

	while (strlen(options) < 4090)
		sprintf(options + strlen(options), ",%u=a", n++);
	strcat(options, "\"\n");
	p = plug_new(&ctf_plugin_ipfix, options);
	text = ipfix_read_layout(p, 0);
	ck_assert_uint_gt(n, 600);
	ck_assert_uint_eq(count(text, "353 234="), n);
	free(text);
	plug_free(p);
}
END_TEST

static const struct {
	const char *list, *why;
} no_zones[] = {
	{ " ", "\" \" does not begin with a zone" },
	{ "red", "\"red\" does not begin with a zone" },
	{ "1=red,blue", "\"blue\" does not" },
	{ "1=red, 2:blue, 3=x", "\"2:blue, 3=x\" does not" },
	{ "1=", "\"1=\" does not" },
	{ "1= ,2=b", "\"1= ,2=b\" does not" },
	{ "=red", "\"=red\" does not" },
	{ "-1=red", "\"-1=red\" does not" },
	{ "0x1=red", "\"0x1=red\" does not" },
	{ "65536=red", "\"65536=red\" does not" },
	{ "4294967297=red", "\"4294967297=red\" does not" },
	{ "1=red,", "\"1=red,\" does not" },
	{ ",1=red", "\",1=red\" does not" },
	{ "1=red,,2=b", "\",2=b\" does not" },
	{ "1=\xff", " does not begin" },
	{ "1=\xc3", " does not begin" },
	{ "1=a\tb", " does not begin" },
	{ "1=" NAME_64 "x", " does not begin" },
	{ "1=red, 1=blue", "zone_names: zone 1 has two names" },
	{ "1=red, 2=b, 01=blue", "zone_names: zone 1 has two names" },
};

START_TEST(test_no_zones)
{
	struct ctf_err err = { 0 };
	char options[256];

	snprintf(options, sizeof(options), BASE "zone_names=\"%s\"\n", no_zones[_i].list);
	ck_assert_int_lt(plug_try(&ctf_plugin_ipfix, options, &err), 0);
	ck_assert_msg(strstr(err.msg, no_zones[_i].why), "%s", err.msg);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_types);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_no_types);
	tcase_add_loop_test(t, test_keys, 0, COUNT(keys));
	tcase_add_loop_test(t, test_forms, 0, COUNT(forms));
	tcase_add_loop_test(t, test_zones, 0, COUNT(zones));
	tcase_add_test(t, test_many_zones);
	tcase_add_loop_test(t, test_no_zones, 0, COUNT(no_zones));
}

int
main(void)
{
	return unit_main("ipfix_layout", add_tests);
}
