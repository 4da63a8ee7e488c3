/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keys=: the same members, spelled three ways. */
#include "json_keys.h"
#include "sample.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_json;

#define NS UINT64_C(1000000000)

static struct plug *
json(const char *keys)
{
	char options[64];

	snprintf(options, sizeof(options), "timestamp=0\nkeys=%s\n", keys);
	return plug_new(&ctf_plugin_json, options);
}

static const char *
line_of(const char *keys)
{
	static char line[1 << 16];
	struct plug *p = json(keys);

	plug_rec(p, AF_INET, CTF_DESTROY, NS);
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "orig.l4.sport", 1);
	plug_num(p, "ct.id", 9);
	plug_num(p, "flow.start.sec", 5);
	plug_text(p, "orig.ip.saddr.str", "10.0.0.1");
	plug_text(p, "reply.ip.saddr.str", "10.0.0.2");
	snprintf(line, sizeof(line), "%s", sample_line(p));
	plug_free(p);
	return line;
}

START_TEST(spelled)
{
	ck_assert_str_eq(
		line_of("dots"),
		"{\"dvc\": \"Netfilter\", \"orig.ip.protocol\": 6, \"orig.l4.sport\": 1, "
		"\"orig.raw.pktlen\": 0, \"orig.raw.pktcount\": 0, "
		"\"reply.raw.pktlen\": 0, \"reply.raw.pktcount\": 0, \"ct.mark\": 0, "
		"\"ct.id\": 9, \"flow.start.sec\": 5, \"oob.protocol\": 0, "
		"\"src_ip\": \"10.0.0.1\", \"reply.ip.saddr.str\": \"10.0.0.2\"}");
	ck_assert_str_eq(
		line_of("underscores"),
		"{\"dvc\": \"Netfilter\", \"orig_ip_protocol\": 6, \"orig_l4_sport\": 1, "
		"\"orig_raw_pktlen\": 0, \"orig_raw_pktcount\": 0, "
		"\"reply_raw_pktlen\": 0, \"reply_raw_pktcount\": 0, \"ct_mark\": 0, "
		"\"ct_id\": 9, \"flow_start_sec\": 5, \"oob_protocol\": 0, "
		"\"src_ip\": \"10.0.0.1\", \"reply_ip_saddr_str\": \"10.0.0.2\"}");
	ck_assert_str_eq(
		line_of("nested"),
		"{\"dvc\": \"Netfilter\", \"orig\": {\"ip\": {\"protocol\": 6}, "
		"\"l4\": {\"sport\": 1}, \"raw\": {\"pktlen\": 0, \"pktcount\": 0}}, "
		"\"reply\": {\"ip\": {\"saddr\": {\"str\": \"10.0.0.2\"}}, "
		"\"raw\": {\"pktlen\": 0, \"pktcount\": 0}}, "
		"\"ct\": {\"mark\": 0, \"id\": 9}, \"flow\": {\"start\": {\"sec\": 5}}, "
		"\"oob\": {\"protocol\": 0}, \"src_ip\": \"10.0.0.1\"}");
}
END_TEST

START_TEST(gaps)
{
	static const char *const keys[] = { "dots", "underscores", "nested" };
	static const char *const want[] = {
		"{\"dvc\": \"Netfilter\", \"gap.from\": \"1970-01-01T00:00:01.000Z\", "
		"\"gap.to\": \"1970-01-01T00:00:02.000Z\", \"gap.cause\": \"queue\", "
		"\"gap.count\": 3, \"gap.count_is\": \"exact\", \"gap.instance\": \"x\"}\n",
		"{\"dvc\": \"Netfilter\", \"gap_from\": \"1970-01-01T00:00:01.000Z\", "
		"\"gap_to\": \"1970-01-01T00:00:02.000Z\", \"gap_cause\": \"queue\", "
		"\"gap_count\": 3, \"gap_count_is\": \"exact\", \"gap_instance\": \"x\"}\n",
		"{\"dvc\": \"Netfilter\", \"gap\": {\"from\": \"1970-01-01T00:00:01.000Z\", "
		"\"to\": \"1970-01-01T00:00:02.000Z\", \"cause\": \"queue\", "
		"\"count\": 3, \"count_is\": \"exact\", \"instance\": \"x\"}}\n",
	};
	const struct ctf_gap g = { .from_ns = NS,
				   .to_ns = 2 * NS,
				   .count = 3,
				   .cause = "queue",
				   .instance = "x",
				   .nsid = -1 };
	struct plug *p = json(keys[_i]);
	const struct ctf_frame *f;

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	f = plug_frame(p, 0);
	ck_assert_uint_eq(f->len, strlen(want[_i]));
	ck_assert_mem_eq(f->p, want[_i], f->len);
	plug_free(p);
}
END_TEST

/* Whatever names plugins invent: each object once, and no key twice in one. */
START_TEST(objects)
{
	static const char *const names[] = { "a.b.c",   "x",   "a.d",  "a.b",
					     "a.b.e.f", "x.y", "a.b.g" };
	struct json_member m[COUNT(names)] = { { NULL } };
	const struct json_member *last = NULL;
	char out[512], *p = out;

	for (unsigned i = 0; i < COUNT(names); i++)
		m[i].name = names[i];
	ck_assert_int_eq(json_keys_set(m, COUNT(names), KEYS_NESTED), 0);
	for (unsigned i = 0; i < COUNT(names); last = &m[i++]) {
		p = json_keys_open(p, last, &m[i]);
		*p++ = '1';
		ck_assert_uint_le((size_t)(p - out), sizeof(out) / 2);
	}
	*json_keys_close(p, last) = '\0';
	ck_assert_str_eq(out,
			 ", \"a\": {\"b.c\": 1, \"d\": 1, \"b\": 1, \"b.e.f\": 1, \"b.g\": 1}, "
			 "\"x\": 1, \"x.y\": 1");
	for (unsigned i = 0; i < COUNT(names); i++)
		text_label_free(&m[i].label);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, spelled);
	tcase_add_loop_test(t, gaps, 0, 3);
	tcase_add_test(t, objects);
}

int
main(void)
{
	return unit_main("json_keys", add_tests);
}
