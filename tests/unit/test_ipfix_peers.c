/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPFIX to several collectors: the list in host=, and failover between them. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_keep.h"
#include "ipfix_peer.h"
#include "ipfix_walk.h"
#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

static struct ctf_err err;

static const struct {
	const char *host, *as; /* "host port" of each; NULL: no list */
} lists[] = {
	{ "collector", "collector 4739;" },
	{ "collector:1", "collector 1;" },
	{ "192.0.2.1", "192.0.2.1 4739;" },
	{ "192.0.2.1:65535", "192.0.2.1 65535;" },
	{ "2001:db8::1", "2001:db8::1 4739;" },
	{ "[2001:db8::1]", "2001:db8::1 4739;" },
	{ "[2001:db8::1]:4740", "2001:db8::1 4740;" },
	{ "fe80::1%eth0", "fe80::1%eth0 4739;" },
	{ "[fe80::1%eth0]:4740", "fe80::1%eth0 4740;" },
	{ "::1", "::1 4739;" },
	{ "a,b:4740,[2001:db8::1]:4741", "a 4739;b 4740;2001:db8::1 4741;" },
	{ "  a ,\tb:4740 ", "a 4739;b 4740;" },
	{ "", NULL },
	{ ",", NULL },
	{ "a,", NULL },
	{ "a,,b", NULL },
	{ "a b", NULL },
	{ "a:0", NULL },
	{ "a:65536", NULL },
	{ "a:", NULL },
	{ "a:x", NULL },
	{ ":4739", NULL },
	{ "[::1", NULL },
	{ "[::1]4739", NULL },
	{ "[::1]:", NULL },
	{ "[]:4739", NULL },
	{ "::1]:4739", NULL },
};

START_TEST(list)
{
	struct ipfix_conf c = { .host = lists[_i].host, .port = 4739 };
	struct ipfix_peer peer;
	char as[1000] = "";
	int n = ipfix_peers(&c);

	if (!lists[_i].as) {
		ck_assert_int_eq(n, -EINVAL);
		return;
	}
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(ipfix_peer_nth(&c, (unsigned)i, &peer), 1);
		sprintf(as + strlen(as), "%s %s;", peer.host, peer.port);
	}
	ck_assert_str_eq(as, lists[_i].as);
	ck_assert_int_eq(ipfix_peer_nth(&c, (unsigned)n, &peer), 0);
}
END_TEST

START_TEST(too_many)
{
	char text[200] = "a";
	struct ipfix_conf c = { .host = text, .port = 1 };

	for (unsigned i = 1; i < IPFIX_PEERS; i++)
		strcat(text, ",a");
	ck_assert_int_eq(ipfix_peers(&c), (int)IPFIX_PEERS);
	ck_assert_uint_eq(ipfix_sinks(&c), IPFIX_PEERS);
	c.mode = IPFIX_MODE_FAILOVER;
	ck_assert_uint_eq(ipfix_sinks(&c), 1);
	strcat(text, ",a");
	ck_assert_int_eq(ipfix_peers(&c), -E2BIG);
	ck_assert_uint_eq(ipfix_sinks(&c), 1);
}
END_TEST

static const struct {
	const char *options, *why;
} wrong[] = {
	{ "oid=1\nhost=\"a,,b\"\n", "not a list" },
	{ "oid=1\nhost=\"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\"\n", "more than 16 collectors" },
	{ "oid=1\nhost=a\nsource=nowhere\n", "neither an address" },
};

START_TEST(refused_options)
{
	ck_assert_int_lt(plug_try(&ctf_plugin_ipfix, wrong[_i].options, &err), 0);
	ck_assert_msg(strstr(err.msg, wrong[_i].why), "%s", err.msg);
}
END_TEST

/* ---- failover --------------------------------------------------------------- */

/* A port where nobody listens. */
static uint16_t
free_port(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static struct plug *
plug_to(const char *proto, uint16_t a, uint16_t b)
{
	char options[300];

	snprintf(options, sizeof(options),
		 "oid=7\nproto=%s\nmode=failover\nhost=\"127.0.0.1:%u, 127.0.0.1:%u\"\n", proto,
		 a, b);
	return plug_new(&ctf_plugin_ipfix, options);
}

static struct ipfix_sink *
sink(struct plug *p)
{
	return plug_sink(p);
}

static void
deliver(struct plug *p, enum ctf_sent want)
{
	enum ctf_sent r = plug_deliver(p, &err);

	ck_assert_msg(r == want, "%d: %s", r, err.msg);
}

/* The flows of a session, from..to-1. */
static void
expect(const struct peer_session *s, unsigned from, unsigned to)
{
	struct walk w = { 0 };

	walk_bytes(&w, s->bytes, s->len);
	walk_expect(&w, from, to);
	walk_free(&w);
}

/* Nobody at the first: the second has all, from the first attempt on. */
START_TEST(first_is_away)
{
	struct peer b = { 0 };
	struct plug *p;

	peer_start(&b, 1);
	p = plug_to("tcp", free_port(SOCK_STREAM), b.port);
	walk_flows(p, 0, 100, -1);
	deliver(p, CTF_SENT);
	ck_assert_uint_eq(sink(p)->peer, 1);
	plug_free(p);
	peer_await(&b, 1);
	expect(&b.session[0], 0, 100);
	peer_end(&b);
}
END_TEST

/*
 * The first takes connections and ends them: the second's turn, at once when
 * the core opens again.  When that one ends it, a minute later, it is the first
 * one's turn again.
 */
START_TEST(turns)
{
	struct peer a = { 0 }, b = { 0 };
	struct plug *p;

	a.session[0].read_max = 100;
	peer_start(&a, 2);
	b.session[0].read_max = 100;
	peer_start(&b, 1);
	p = plug_to("tcp", a.port, b.port);
	walk_flows(p, 0, 10, -1);
	deliver(p, CTF_SENT);
	ck_assert_uint_eq(sink(p)->peer, 0);
	peer_await(&a, 1);
	walk_flows(p, 10, 20, -1);
	deliver(p, CTF_RETRY);
	plug_close(p);
	deliver(p, CTF_SENT);
	ck_assert_uint_eq(sink(p)->peer, 1);
	peer_await(&b, 1);
	sink(p)->peer_failed_ms[0] -= 60000;
	walk_flows(p, 20, 30, -1);
	deliver(p, CTF_RETRY);
	plug_close(p);
	deliver(p, CTF_SENT);
	ck_assert_uint_eq(sink(p)->peer, 0);
	plug_free(p);
	peer_await(&a, 2);
	peer_end(&a);
	peer_end(&b);
}
END_TEST

/* Both failed just now: they are tried all the same. */
START_TEST(all_failed)
{
	uint16_t a = free_port(SOCK_STREAM), port_b;
	struct peer b = { 0 };
	struct plug *p;

	peer_listen(&b, 0);
	port_b = b.port;
	close(b.fd);
	p = plug_to("tcp", a, port_b);
	walk_flows(p, 0, 10, -1);
	deliver(p, CTF_RETRY);
	ck_assert_uint_ne(sink(p)->peer_failed_ms[0], 0);
	ck_assert_uint_ne(sink(p)->peer_failed_ms[1], 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "Connection refused"));
	peer_listen(&b, port_b);
	peer_run(&b, 1);
	deliver(p, CTF_SENT);
	ck_assert_uint_eq(sink(p)->peer, 1);
	plug_free(p);
	peer_await(&b, 1);
	expect(&b.session[0], 0, 10);
	peer_end(&b);
}
END_TEST

/* UDP has no sessions: a refusal is what can be noticed. */
START_TEST(udp_refused)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct walk w = { 0 };
	uint8_t buf[2000];
	struct plug *p;
	ssize_t n;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	p = plug_to("udp", free_port(SOCK_DGRAM), ntohs(at.sin_port));
	walk_flows(p, 0, 20, -1);
	deliver(p, CTF_RETRY);
	ck_assert_uint_eq(*sink(p)->refused, 1);
	plug_close(p);
	deliver(p, CTF_SENT);
	ck_assert_uint_eq(sink(p)->peer, 1);
	while ((n = keep_recv(fd, buf, sizeof(buf))) > 0)
		walk_bytes(&w, buf, (size_t)n);
	ck_assert_uint_gt(w.announcements, 0);
	ck_assert_uint_gt(w.records, 0);
	walk_free(&w);
	plug_free(p);
	close(fd);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, list, 0, sizeof(lists) / sizeof(*lists));
	tcase_add_loop_test(t, refused_options, 0, sizeof(wrong) / sizeof(*wrong));
	tcase_add_test(t, too_many);
	tcase_add_test(t, first_is_away);
	tcase_add_test(t, turns);
	tcase_add_test(t, all_failed);
	tcase_add_test(t, udp_refused);
}

int
main(void)
{
	return unit_main_net(AF_INET, "ipfix_peers", add_tests);
}
