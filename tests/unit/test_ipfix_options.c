/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was lost and what was watched: libfixbuf reads the options records. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipfix_keep.h"
#include "ipfix_peer.h"
#include "ipfix.h"
#include "ipfix_read.h"
#include "ipfix_walk.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

#define BASE "oid=7\nhost=\"127.0.0.1\"\n"
#define NAMELESS BASE "options_interval=0\n"
#define OWN 32473u
#define T0 UINT64_C(1700000000000000000)

static uint32_t
stream_of(const struct ctf_frame *f)
{
	return (uint32_t)f->p[12] << 24 | (uint32_t)f->p[13] << 16 | (uint32_t)f->p[14] << 8 |
	       f->p[15];
}

static uint64_t
uptime_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
expect(struct plug *p, unsigned n, uint32_t pen, const char *want)
{
	char *text = ipfix_read_frame(p, plug_frame(p, n), pen);

	ck_assert_str_eq(text, want);
	free(text);
}

/* Flows not sent so far, and when the last ones were lost. */
START_TEST(test_gap)
{
	struct ctf_gap g = { T0, T0 + 5000000, 3, CTF_EXACT, "overrun", "ct1", -1 };
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	char want[128];

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	g.count = 4;
	g.count_is = CTF_AT_MOST;
	g.nsid = 2;
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	g.count = CTF_UNKNOWN;
	g.count_is = CTF_UNCOUNTED;
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned lost[] = { 3, 7, 7 };

		snprintf(want, sizeof(want),
			 "302 144=%d 166=%u 323=1700000000000 323=1700000000005\n", getpid(),
			 lost[i]);
		expect(p, i, 0, want);
		ck_assert_uint_eq(stream_of(plug_frame(p, i)), i ? 10 : 7);
		ck_assert_uint_eq(plug_frame(p, i)->stream, i ? 10 : 7);
	}
	plug_free(p);
}
END_TEST

/* A gap that takes in others which were told before. */
START_TEST(test_gap_grows)
{
	struct ctf_gap g = { T0, T0, 30, CTF_EXACT, "queue", "ipfix1", -1 };
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	char want[128];

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	g.count = 50;
	g.told = 30;
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	snprintf(want, sizeof(want), "302 144=%d 166=50 323=1700000000000 323=1700000000000\n",
		 getpid());
	expect(p, 1, 0, want);
	plug_free(p);
}
END_TEST

/* An encoder that follows another one: totals never go back. */
START_TEST(test_gap_follows)
{
	struct ctf_gap g = { T0, T0, 3, CTF_EXACT, "overrun", "ct1", -1 };
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\n"), *q;
	char want[400];

	q = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\n");
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	ck_assert_int_eq(ctf_plugin_ipfix.reload(plug_self(q), plug_self(p), NULL), 0);
	g.from_ns = g.to_ns = T0 + 1000000;
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK); /* it comes to its end, */
	ck_assert_int_eq(ctf_plugin_ipfix.reload(plug_self(q), plug_self(p), NULL), 0);
	ck_assert_int_eq(plug_gap(q, &g), CTF_OK);
	snprintf(want, sizeof(want),
		 "302 144=%d 166=9 323=1700000000001 323=1700000000001 "
		 "32473/1010=3 32473/1011=0 32473/1012='overrun'\n"
		 "301 149=7 143=%d 323=1700000000000 323=1700000000001 32473/1014=9\n",
		 getpid(), getpid());
	expect(q, 0, OWN, want);
	plug_free(p);
	plug_free(q);
}
END_TEST

START_TEST(test_gap_own)
{
	struct ctf_gap g = { T0, T0, CTF_UNKNOWN, CTF_UNCOUNTED, "clock_step", "ct1", -1 };
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\n");
	char want[256];

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	snprintf(want, sizeof(want),
		 "302 144=%d 166=0 323=1700000000000 323=1700000000000 "
		 "32473/1010=18446744073709551615 32473/1011=2 32473/1012='clock_step'\n"
		 "301 149=7 143=%d 323=1700000000000 323=1700000000000 32473/1014=0\n",
		 getpid(), getpid());
	expect(p, 0, OWN, want);
	plug_free(p);
}
END_TEST

/* What the input lost, by domain and in all; what the output lost is not that. */
START_TEST(test_metering)
{
	static const struct {
		const char *instance;
		unsigned count, told, total;
		uint64_t from, to;
		int nsid;
	} lost[] = {
		{ "ct1", 3, 0, 3, T0, T0 + 5000000, -1 },
		{ "x", 8, 0, 0, T0, T0, -1 },
		{ "ct1", 10, 0, 10, T0 + 9000000, T0 + 9000000, 2 },
		{ "ct2", 30, 3, 30, T0 + 1000000, T0 + 7000000, -1 },
	};
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\n");

	for (unsigned i = 0; i < 4; i++) {
		struct ctf_gap g = {
			lost[i].from, lost[i].to,       lost[i].count, CTF_EXACT,
			"overrun",    lost[i].instance, lost[i].nsid,  lost[i].told
		};
		unsigned long long first = i == 3 ? T0 : g.from_ns;
		char want[128], *text, *at;

		ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
		text = ipfix_read_frame(p, plug_frame(p, i), OWN);
		at = strstr(text, "\n301 ");
		ck_assert_int_eq(at != NULL, lost[i].total > 0);
		snprintf(want, sizeof(want),
			 "\n301 149=%u 143=%d 323=%llu 323=%llu 32473/1014=%u\n",
			 plug_frame(p, i)->stream, getpid(), first / 1000000,
			 (unsigned long long)g.to_ns / 1000000, lost[i].total);
		if (at)
			ck_assert_str_eq(at, want);
		free(text);
	}
	plug_free(p);
}
END_TEST

static struct ctf_coverage
stretch(void)
{
	return (struct ctf_coverage){ .from_ns = T0,
				      .last_alive_ns = T0 + 1000000,
				      .exporter = "gw",
				      .instance = "ct1",
				      .boot_id = "d0a3f1c2-0000-4000-8000-000000000000",
				      .selection = "src net 10.0.0.0/8",
				      .nsid = -1,
				      .event_mask = CTF_DESTROY,
				      .acct = 1,
				      .timestamp = 1,
				      .events = 2,
				      .gro = -1,
				      .clock_synchronised = 1,
				      .reliable = true };
}

#define SAID \
	"'exporter=gw input=ct1 netns=? events=4 acct=1 timestamp=1 ctevents=2 reliable=1 " \
	"gro=-1 offload=0 clock=1 boot=d0a3f1c2 kernel=?'\n"

/* Once for each stretch and once at its end, not at every sign of life. */
START_TEST(test_coverage)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, NAMELESS "pen=32473\n");
	struct ctf_coverage c = stretch();

	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	expect(p, 0, OWN,
	       "352 149=7 323=1700000000000 323=1700000000001 335='src net 10.0.0.0/8' "
	       "32473/1013=" SAID);
	c.last_alive_ns += 1000000000;
	c.clock_error_ns = 5;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_SKIP);
	c.nsid = 0;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	ck_assert_uint_eq(plug_frame(p, 1)->stream, 8);
	c.nsid = -1;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_SKIP);
	c.to_ns = T0 + 2000000000;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	expect(p, 2, OWN,
	       "352 149=7 323=1700000000000 323=1700000002000 335='src net 10.0.0.0/8' "
	       "32473/1013=" SAID);
	c = stretch();
	c.acct = 0;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	plug_free(p);
}
END_TEST

/* A later gap may stand before an earlier one by the time they are sent. */
START_TEST(test_totals_do_not_fall)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	struct ctf_gap g = { T0, T0, 3, CTF_EXACT, "queue", "x", -1 };
	uint64_t most = 0;

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	g.count = 5;
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	ipfix_gap_total(plug_frame(p, 1), &most);
	ck_assert_uint_eq(most, 8);
	ck_assert_uint_eq(ipfix_get32(plug_frame(p, 0)->p + 28), 3);
	ipfix_gap_total(plug_frame(p, 0), &most);
	ck_assert_uint_eq(most, 8);
	ck_assert_uint_eq(ipfix_get32(plug_frame(p, 0)->p + 28), 8);
	walk_flows(p, 0, 3, -1);
	ipfix_gap_total(plug_frame(p, 2), &most); /* is none */
	ck_assert_uint_eq(most, 8);
	plug_free(p);
}
END_TEST

/* Without an enterprise number there are no elements to say it with. */
START_TEST(test_coverage_needs_pen)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, NAMELESS);
	struct ctf_coverage c = stretch();

	ck_assert_int_eq(plug_coverage(p, &c), CTF_SKIP);
	plug_free(p);
}
END_TEST

/* Long texts are cut between characters and fit the smallest message. */
START_TEST(test_long_texts)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, NAMELESS "pen=32473\nproto=udp\n");
	struct ctf_coverage c = stretch();
	char selection[400], *text;
	const struct ctf_frame *f;

	memset(selection, 'x', sizeof(selection));
	selection[399] = '\0';
	memcpy(selection + 179, "\xc3\xa4", 2); /* would be cut in two */
	c.selection = selection;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	f = plug_frame(p, 0);
	ck_assert_uint_le(f->len, 512);
	text = ipfix_read_frame(p, f, OWN);
	selection[179] = '\0';
	ck_assert_ptr_nonnull(strstr(text, selection));
	ck_assert_ptr_nonnull(strstr(text, "xxx' 32473/1013='exporter=gw "));
	free(text);
	plug_free(p);
	p = plug_new(&ctf_plugin_ipfix, NAMELESS "pen=32473\nproto=udp\nmtu=256\n");
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	ck_assert_uint_le(plug_frame(p, 0)->len, 256);
	plug_free(p);
}
END_TEST

/* Who watches, once; the time is when the host was started. */
START_TEST(test_names)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE);
	struct ctf_coverage c = stretch();
	static const struct {
		int nsid;
		const char *netns, *name;
		unsigned domain;
	} names[] = {
		{ -1, "", "gw", 7 },
		{ 0, "blue", "gw/blue", 8 },
		{ 4, "/run/netns/re\xff\xc3\xa4", "gw/re?\xc3\xa4", 12 },
		{ -1, "green", "gw/green", 7 },
	};

	for (unsigned i = 0; i < 4; i++) {
		char want[64];
		char *text, *time;
		uint64_t booted, said;

		c.nsid = names[i].nsid;
		c.netns = names[i].netns;
		ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
		ck_assert_int_eq(plug_coverage(p, &c), CTF_SKIP);
		text = ipfix_read_frame(p, plug_frame(p, i), 0);
		snprintf(want, sizeof(want), "305 149=%u 160=", names[i].domain);
		ck_assert_int_eq(strncmp(text, want, strlen(want)), 0);
		time = text + strlen(want);
		booted = ctf_now() / 1000000 - uptime_ms();
		said = strtoull(time, &time, 10);
		ck_assert_uint_lt(said > booted ? said - booted : booted - said, 10000);
		snprintf(want, sizeof(want), " 300='%s'\n", names[i].name);
		ck_assert_str_eq(time, want);
		free(text);
	}
	c.nsid = 9;
	c.netns = "";
	ck_assert_int_eq(plug_coverage(p, &c), CTF_SKIP);
	plug_free(p);
}
END_TEST

/* Both in one message, each in its set. */
START_TEST(test_name_and_coverage)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, BASE "pen=32473\nproto=udp\nmtu=256\n");
	struct ctf_coverage c = stretch();
	const struct ctf_frame *f;
	char *text;

	c.netns = "a-rather-long-name-of-a-network-namespace-that-will-have-to-be-cut";
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	f = plug_frame(p, 0);
	ck_assert_uint_le(f->len, 256);
	ck_assert_int_eq(memcmp(f->p + 8, "\0\0\0\2", 4), 0);
	text = ipfix_read_frame(p, f, OWN);
	ck_assert_ptr_nonnull(strstr(
		text, "gw/a-rather-long-name-of-a-network-namespace-that-will-have-to-b'"));
	ck_assert_ptr_nonnull(strstr(text, "\n352 149=7 "));
	ck_assert_ptr_null(strchr(text, '!'));
	free(text);
	plug_free(p);
}
END_TEST

/* ---- an options record is a Data Record: the sequence goes on behind it --------- */

static struct plug *
lossy(const char *proto, unsigned port)
{
	struct ctf_gap g = { T0, T0, 3, CTF_EXACT, "overrun", "ct1", -1 };
	struct ctf_err err;
	char options[128];
	struct plug *p;

	snprintf(options, sizeof(options), BASE "port=%u\nproto=%s\n", port, proto);
	p = plug_new(&ctf_plugin_ipfix, options);
	walk_flows(p, 0, 3, -1);
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	walk_flows(p, 3, 5, -1);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	return p;
}

static void
check_walk(struct walk *w)
{
	walk_expect(w, 0, 5);
	ck_assert_uint_eq(w->options, 1);
	ck_assert_uint_eq(w->domain[0].sequence, 6 + w->statistics + w->others);
	walk_free(w);
}

START_TEST(test_sequence_tcp)
{
	struct peer peer = { 0 };
	struct walk w = { 0 };
	struct plug *p;

	peer_start(&peer, 1);
	p = lossy("tcp", peer.port);
	plug_close(p);
	peer_await(&peer, 1);
	walk_bytes(&w, peer.session[0].bytes, peer.session[0].len);
	check_walk(&w);
	plug_free(p);
	peer_end(&peer);
}
END_TEST

START_TEST(test_sequence_udp)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(at);
	struct walk w = { 0 };
	uint8_t msg[2048];
	struct plug *p;
	ssize_t n;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	p = lossy("udp", ntohs(at.sin_port));
	while ((n = keep_recv(fd, msg, sizeof(msg))) > 0)
		walk_bytes(&w, msg, (size_t)n);
	check_walk(&w);
	plug_free(p);
	close(fd);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_gap);
	tcase_add_test(t, test_gap_grows);
	tcase_add_test(t, test_gap_follows);
	tcase_add_test(t, test_gap_own);
	tcase_add_test(t, test_metering);
	tcase_add_test(t, test_coverage);
	tcase_add_test(t, test_totals_do_not_fall);
	tcase_add_test(t, test_names);
	tcase_add_test(t, test_name_and_coverage);
	tcase_add_test(t, test_coverage_needs_pen);
	tcase_add_test(t, test_long_texts);
	tcase_add_test(t, test_sequence_tcp);
	tcase_add_test(t, test_sequence_udp);
}

int
main(void)
{
	return unit_main_net(AF_INET, "ipfix_options", add_tests);
}
