/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XML against a file of ulogd2, and its files: begun, ended, gone on with. */
#include "sample.h"
#include "unit.h"
#include "xml.h"

#include <dirent.h>
#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_xml;

#define NS UINT64_C(1000000000)
#define LOGGED (1795238261 * NS) /* <when> of the sample */
#define HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n"
#define FOOT "</conntrack>\n"

static char dir[] = "/tmp/test_xml.XXXXXX", options[128];
static struct ctf_err err;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(options, sizeof(options), "directory=%s\n", dir);
}

static void
teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* The flows of the sample, in its order. */
static const struct flow {
	int family;
	unsigned proto, sport, dport, state, status;
	uint64_t packets, bytes, reply_packets, reply_bytes;
	uint32_t id;
	uint64_t lasted_ns;
} flows[] = {
	{ AF_INET, 17, 40001, 5300, 0, 2, 1, 58, 1, 88, 2119523216u, NS - 1 },
	{ AF_INET6, 58, 0, 0, 0, 2, 1, 104, 1, 104, 96141057u, NS },
	{ AF_INET, 6, 37481, 8080, 7, 6, 5, 275, 5, 294, 483214612u, 1 },
	{ AF_INET, 1, 0, 0, 0, 2, 1, 84, 1, 84, 3103591726u, 0 },
	{ AF_INET6, 6, 41912, 8080, 7, 6, 5, 375, 5, 394, 3688338564u, 0 },
	{ AF_INET6, 17, 40002, 5300, 0, 2, 1, 78, 1, 108, 775646425u, 0 },
};

static void
tuple(struct plug *p, const struct flow *f, bool reply)
{
	const char *side = reply ? "reply" : "orig",
		   *first = f->family == AF_INET ? "10.77.0.1" : "fd77::1",
		   *second = f->family == AF_INET ? "10.77.0.2" : "fd77::2";
	char name[32];

#define NAME(what) (snprintf(name, sizeof(name), "%s.%s", side, what), name)
	plug_ip(p, NAME("ip.saddr"), reply ? second : first);
	plug_ip(p, NAME("ip.daddr"), reply ? first : second);
	plug_num(p, NAME("ip.protocol"), f->proto);
	if (f->sport) {
		plug_num(p, NAME("l4.sport"), reply ? f->dport : f->sport);
		plug_num(p, NAME("l4.dport"), reply ? f->sport : f->dport);
	}
	plug_num(p, NAME("raw.pktcount"), reply ? f->reply_packets : f->packets);
	plug_num(p, NAME("raw.pktlen"), reply ? f->reply_bytes : f->bytes);
}

static void
feed(struct plug *p, const struct flow *f)
{
	plug_rec(p, f->family, CTF_DESTROY, LOGGED);
	tuple(p, f, false);
	tuple(p, f, true);
	if (f->state)
		plug_num(p, "ct.tcp.state", f->state);
	plug_num(p, "ct.status", f->status);
	plug_num(p, "ct.id", f->id);
	plug_num(p, "flow.start.ns", 1795238256 * NS + 5);
	plug_num(p, "flow.destroy.ns", 1795238256 * NS + 5 + f->lasted_ns);
}

static void
one_flow(struct plug *p, unsigned n)
{
	feed(p, &flows[n]);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	ck_assert_ptr_nonnull(plug_seal(p));
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
}

START_TEST(same_as_ulogd2)
{
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	struct sample *s = sample_read("2.0.8-XML.xml");

	ck_assert_uint_eq(s->n, COUNT(flows) + 3);
	for (unsigned i = 0; i < COUNT(flows); i++) {
		feed(p, &flows[i]);
		ck_assert_str_eq(sample_line(p), s->line[i + 2]);
	}
	ck_assert_uint_eq(plug_layout(p)->len, strlen(HEAD));
	ck_assert_mem_eq(plug_layout(p)->p, HEAD, strlen(HEAD));
	free(s);
	plug_free(p);
}
END_TEST

/* What the sample does not have. */
START_TEST(other_elements)
{
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	const char *got;

	plug_rec(p, AF_INET, CTF_NEW, LOGGED);
	plug_num(p, "orig.ip.protocol", 47);
	plug_num(p, "orig.gre.skey", 0x1f);
	plug_num(p, "orig.gre.dkey", 0);
	plug_num(p, "ct.zone", 7);
	plug_num(p, "ct.zone.reply", 7);
	plug_num(p, "ct.mark", 0x80000042);
	plug_num(p, "ct.timeout", 30);
	plug_num(p, "ct.use", 1);
	plug_num(p, "ct.status", 0);
	plug_text(p, "ct.secctx", "a<b>&\"c\x01");
	plug_text(p, "ct.helper", "f<p");
	plug_num(p, "flow.start.ns", LOGGED - 3 * NS + 1);
	got = sample_line(p);
	ck_assert_ptr_nonnull(strstr(got,
				     "<layer4 protonum=\"47\" protoname=\"gre\"><srckey>0x1f"
				     "</srckey><dstkey>0x0</dstkey></layer4></meta>"));
	ck_assert_ptr_null(strstr(got, "counters"));
	ck_assert_ptr_nonnull(strstr(
		got, "<meta direction=\"independent\"><timeout>30</timeout><mark>2147483714"
		     "</mark><secctx>a&lt;b&gt;&amp;\"c?</secctx><zone>7</zone><use>1</use>"
		     "<unreplied/><deltatime>2</deltatime></meta><when>"));
	ck_assert_ptr_nonnull(strstr(got, "</when><helper>f&lt;p</helper></flow>"));
	plug_rec(p, AF_INET, CTF_DESTROY, LOGGED);
	plug_num(p, "orig.ip.protocol", 132);
	plug_num(p, "ct.zone", 3);
	plug_num(p, "ct.sctp.state", 7);
	got = sample_line(p);
	ck_assert_ptr_nonnull(strstr(got, "</layer4><zone>3</zone></meta>"));
	ck_assert_ptr_nonnull(strstr(got, "<meta direction=\"independent\"><state>"
					  "SHUTDOWN_ACK_SENT</state></meta>"));
	plug_free(p);
}
END_TEST

/* The names of the files, sorted; returns how many. */
static int
names(char (*ret_path)[300], int max)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort), found = 0;

	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.' && found < max)
			snprintf(ret_path[found++], 300, "%s/%s", dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return found;
}

static unsigned
count(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)); text++)
		n++;
	return n;
}

/* A whole document with so many flows. */
static void
check_document(const char *path, unsigned n)
{
	const char *text = unit_read(path), *end = text + strlen(text);

	ck_assert_msg(strncmp(text, HEAD, strlen(HEAD)) == 0, "%s: %s", path, text);
	ck_assert_str_eq(end - strlen(FOOT), FOOT);
	ck_assert_uint_eq(count(text, "<?xml"), 1);
	ck_assert_uint_eq(count(text, FOOT), 1);
	ck_assert_uint_eq(count(text, "<flow>"), n);
	ck_assert_uint_eq(count(text, "</flow>\n"), n);
}

START_TEST(files)
{
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	char path[4][300];
	unsigned a, b, year;

	one_flow(p, 0);
	one_flow(p, 1);
	ck_assert_int_eq(names(path, 4), 1);
	ck_assert_int_eq(
		sscanf(path[0] + strlen(dir), "/ulogd-flow-%4u%4u-%6u.xml", &a, &year, &b), 3);
	ck_assert_uint_ge(year, 2026);
	/* twice in a second: no file is begun anew */
	ck_assert_int_eq(ctf_plugin_xml.reopen(plug_sink(p), &err), 0);
	ck_assert_int_eq(ctf_plugin_xml.reopen(plug_sink(p), &err), 0);
	one_flow(p, 2);
	plug_close(p);
	ck_assert_int_eq(names(path, 4), 3);
	for (int i = 0, sum = 0; i < 3; i++) {
		unsigned n = count(unit_read(path[i]), "<flow>");

		check_document(path[i], n);
		sum += (int)n;
		ck_assert(i < 2 || sum == 3);
	}
	plug_free(p);
}
END_TEST

/* Nothing came: still a document. */
START_TEST(empty)
{
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	char path[2][300];
	int e;

	ck_assert_int_eq(ctf_plugin_xml.open(plug_sink(p), &e, &err), -1);
	ck_assert_int_eq(e, 0);
	ctf_plugin_xml.close(plug_sink(p));
	ck_assert_int_eq(names(path, 2), 1);
	check_document(path[0], 0);
	plug_free(p);
}
END_TEST

/* A folder that is gone: the old file is used on. */
START_TEST(no_folder)
{
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	char path[2][300], away[64];

	ck_assert_int_eq(ctf_plugin_xml.usable(plug_sink(p), &err), 0);
	ck_assert_int_eq(names(path, 2), 0);

	one_flow(p, 0);
	snprintf(away, sizeof(away), "%s.away", dir);
	ck_assert_int_eq(rename(dir, away), 0);
	ck_assert_int_lt(ctf_plugin_xml.usable(plug_sink(p), &err), 0);
	ck_assert_int_lt(ctf_plugin_xml.reopen(plug_sink(p), &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, dir));
	ck_assert_int_eq(rename(away, dir), 0);
	one_flow(p, 1);
	plug_close(p);
	ck_assert_int_eq(names(path, 2), 1);
	check_document(path[0], 2);
	plug_free(p);
}
END_TEST

/* As a daemon that was killed leaves it: without an end, maybe within a line. */
START_TEST(gone_on_with)
{
	static const char *const torn[] = { "", "<flow><meta dir", "<flow>" };
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	struct xml_sink *s = plug_sink(p);
	char path[2][300];

	for (unsigned i = 0; i < COUNT(torn); i++) {
		FILE *f;

		one_flow(p, i);
		stream_close(s);
		plug_close(p);                 /* now without a file to end */
		s->stream.looked_back = false; /* another process has not */
		ck_assert_int_eq(names(path, 2), 1);
		f = fopen(path[0], "a");
		ck_assert_ptr_nonnull(f);
		fputs(torn[i], f);
		fclose(f);
	}
	one_flow(p, 3);
	plug_close(p);
	ck_assert_int_eq(names(path, 2), 1);
	check_document(path[0], 4);
	one_flow(p, 4); /* that one was ended */
	plug_close(p);
	ck_assert_int_eq(names(path, 2), 2);
	ck_assert_uint_eq(
		count(unit_read(path[0]), "<flow>") + count(unit_read(path[1]), "<flow>"), 5);
	plug_free(p);
}
END_TEST

START_TEST(gap)
{
	const struct ctf_gap g = { .from_ns = NS,
				   .to_ns = 2 * NS,
				   .count = 7,
				   .cause = "overrun",
				   .instance = "ct1",
				   .nsid = -1 };
	struct plug *p = plug_new(&ctf_plugin_xml, options);
	char path[2][300];

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	plug_close(p);
	ck_assert_int_eq(names(path, 2), 1);
	ck_assert_str_eq(
		unit_read(path[0]), HEAD
		"<!-- gap from=\"1970-01-01T00:00:01.000Z\" "
		"to=\"1970-01-01T00:00:02.000Z\" cause=\"overrun\" count=\"7\" -->\n" FOOT);
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, same_as_ulogd2);
	tcase_add_test(t, other_elements);
	tcase_add_test(t, files);
	tcase_add_test(t, empty);
	tcase_add_test(t, no_folder);
	tcase_add_test(t, gone_on_with);
	tcase_add_test(t, gap);
}

int
main(void)
{
	return unit_main("xml", add_tests);
}
