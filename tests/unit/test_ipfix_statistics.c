/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was sent, as the exporter says it, and as the collector saw it. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_peer.h"
#include "ipfix_walk.h"
#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

static struct plug *
exporter(const char *proto, unsigned port, const char *more)
{
	char options[256];

	snprintf(options, sizeof(options), "oid=7\nhost=\"127.0.0.1\"\nproto=%s\nport=%u\n%s",
		 proto, port, more);
	return plug_new(&ctf_plugin_ipfix, options);
}

static void
deliver(struct plug *p)
{
	struct ctf_err err;

	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
}

/* What it says of the time before the message that says it. */
static void
expect_told(const struct walk *w, unsigned d, const struct walk_sum *before)
{
	const struct walk_sum *told = &w->domain[d].told, *seen = &w->domain[d].seen_then;

	ck_assert_uint_eq(told->messages, seen->messages + before->messages);
	ck_assert_uint_eq(told->flows, seen->flows + before->flows);
	ck_assert_uint_eq(told->octets, seen->octets + before->octets);
}

static const struct walk_sum nothing;

/* Each domain counts for itself, and on into the next session. */
START_TEST(test_sessions)
{
	struct peer peer = { 0 };
	struct walk w[2] = { { 0 } };
	struct plug *p;

	peer_start(&peer, 2);
	p = exporter("tcp", peer.port, "mtu=600\n");
	for (unsigned i = 0; i < 2; i++) {
		walk_flows(p, 0, 100, -1);
		walk_flows(p, 100, 110, 3);
		deliver(p);
		plug_close(p);
		peer_await(&peer, i + 1);
		walk_bytes(&w[i], peer.session[i].bytes, peer.session[i].len);
		walk_expect(&w[i], 0, 110);
		ck_assert_uint_eq(w[i].statistics, 2);
		ck_assert_uint_eq(w[i].domain[1].id, 11);
		for (unsigned d = 0; d < 2; d++)
			expect_told(&w[i], d, i ? &w[0].domain[d].told : &nothing);
		for (unsigned d = 0; d < 2; d++) { /* the record itself is in none of them */
			w[0].domain[d].told.messages++;
			w[0].domain[d].told.octets += 48;
		}
	}
	ck_assert_uint_eq(w[1].domain[0].told.flows, 200);
	walk_free(&w[0]);
	walk_free(&w[1]);
	plug_free(p);
	peer_end(&peer);
}
END_TEST

/* ---- over UDP ------------------------------------------------------------------ */

struct fixture {
	int fd;
	struct plug *plug;
	struct walk walk;
};

static void
start(struct fixture *x, const char *more)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	*x = (struct fixture){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) };
	ck_assert_int_eq(bind(x->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(getsockname(x->fd, (struct sockaddr *)&at, &size), 0);
	x->plug = exporter("udp", ntohs(at.sin_port), more);
}

static void
receive(struct fixture *x)
{
	uint8_t msg[65536];
	ssize_t n;

	while ((n = recv(x->fd, msg, sizeof(msg), 0)) > 0)
		walk_bytes(&x->walk, msg, (size_t)n);
}

static void
end(struct fixture *x)
{
	plug_free(x->plug);
	receive(x);
	close(x->fd);
	walk_free(&x->walk);
}

/* Every options_interval, with flows; and at the end. */
START_TEST(test_interval)
{
	struct fixture x;
	struct ipfix_sink *s;

	start(&x, "options_interval=90\n");
	s = plug_sink(x.plug);
	walk_flows(x.plug, 0, 50, -1);
	deliver(x.plug);
	receive(&x);
	ck_assert_uint_eq(x.walk.statistics, 0);
	for (unsigned i = 1; i < 4; i++) {
		s->domain[0].told_ms -= 90000;
		walk_flows(x.plug, 50 * i, 50 * i + 50, -1);
		deliver(x.plug);
		receive(&x);
		ck_assert_uint_eq(x.walk.statistics, i);
		expect_told(&x.walk, 0, &nothing);
		ck_assert_uint_eq(x.walk.domain[0].told.flows, 50 * i);
	}
	s->domain[0].told_ms -= 89000;
	walk_flows(x.plug, 200, 201, -1);
	deliver(x.plug);
	receive(&x);
	ck_assert_uint_eq(x.walk.statistics, 3);
	plug_close(x.plug);
	receive(&x);
	ck_assert_uint_eq(x.walk.statistics, 4);
	expect_told(&x.walk, 0, &nothing);
	end(&x);
}
END_TEST

/* Messages sent in parts count as what they were on the wire. */
START_TEST(test_split)
{
	struct fixture x;

	start(&x, "mtu=8000\n");
	walk_flows(x.plug, 0, 1, -1);
	deliver(x.plug);
	((struct ipfix_sink *)plug_sink(x.plug))->limit = 300;
	walk_flows(x.plug, 1, 90, -1);
	deliver(x.plug);
	plug_close(x.plug);
	receive(&x);
	ck_assert_uint_eq(x.walk.statistics, 1);
	ck_assert_uint_eq(x.walk.domain[0].told.flows, 90);
	expect_told(&x.walk, 0, &nothing);
	end(&x);
}
END_TEST

/* What is an options record is no flow. */
START_TEST(test_options_are_no_flows)
{
	struct ctf_gap g = { 1, 1, 3, CTF_EXACT, "overrun", "ct1", -1, 0 };
	struct fixture x;

	start(&x, "");
	walk_flows(x.plug, 0, 5, -1);
	ck_assert_int_eq(plug_gap(x.plug, &g), CTF_OK);
	deliver(x.plug);
	plug_close(x.plug);
	receive(&x);
	ck_assert_uint_eq(x.walk.options, 1);
	ck_assert_uint_eq(x.walk.domain[0].told.flows, 5);
	expect_told(&x.walk, 0, &nothing);
	end(&x);
}
END_TEST

START_TEST(test_none)
{
	static const char *const options[] = { "options_interval=0\n",
					       "send_template=never\n" };
	struct fixture x;

	start(&x, options[_i]);
	walk_flows(x.plug, 0, 5, -1);
	deliver(x.plug);
	if (_i == 0)
		receive(&x);
	plug_close(x.plug);
	if (_i == 0)
		receive(&x);
	ck_assert_uint_eq(x.walk.statistics, 0);
	plug_free(x.plug);
	close(x.fd);
	walk_free(&x.walk);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_sessions);
	tcase_add_test(t, test_interval);
	tcase_add_test(t, test_split);
	tcase_add_test(t, test_options_are_no_flows);
	tcase_add_loop_test(t, test_none, 0, 2);
}

int
main(void)
{
	return unit_main_net(AF_INET, "ipfix_statistics", add_tests);
}
