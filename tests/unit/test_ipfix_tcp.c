/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPFIX over TCP to collectors that behave, and to such that do not. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_keep.h"
#include "ipfix_peer.h"
#include "ipfix_walk.h"
#include "plug.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

/* ---- the exporter ---------------------------------------------------------------- */

static struct plug *
exporter(const struct peer *peer, const char *more)
{
	char options[256];

	snprintf(options, sizeof(options), "oid=7\nhost=\"127.0.0.1\"\nproto=tcp\nport=%u\n%s",
		 peer->port, more);
	return plug_new(&ctf_plugin_ipfix, options);
}

static void
restart(struct plug *p)
{
	uint64_t needed;

	plug_close(p);
	needed = ctf_plugin_ipfix.needed(plug_sink(p));
	plug_rewind(p, needed ? needed - 1 : 0);
}

/* As the core does: a broken session is closed, the next one goes on. */
static void
deliver(struct plug *p)
{
	struct ctf_err err = { 0 };
	unsigned tries = 0;

	while (plug_deliver(p, &err) != CTF_SENT) {
		restart(p);
		ck_assert_msg(++tries < 200, "%s", err.msg);
		sleep_us(10000);
	}
}

/* ... until everything is settled. */
static void
deliver_all(struct plug *p, uint64_t last)
{
	struct ctf_err err;

	for (unsigned i = 0; i < 2000; i++) {
		deliver(p);
		if (ctf_plugin_ipfix.settled(plug_sink(p)) >= last)
			return;
		sleep_us(5000);
		if (ctf_plugin_ipfix.idle(plug_sink(p), &err) != CTF_SENT)
			restart(p);
	}
	ck_abort_msg("never settled");
}

/* Opens the session, with a send queue that is soon full. */
static void
open_small(struct plug *p)
{
	int small = 4096;

	walk_flows(p, 0, 1, -1);
	deliver(p);
	ck_assert_int_eq(setsockopt(((struct ipfix_sink *)plug_sink(p))->fd, SOL_SOCKET,
				    SO_SNDBUF, &small, sizeof(small)),
			 0);
}

static void
walk(struct walk *w, const struct peer_session *s)
{
	*w = (struct walk){ 0 };
	walk_bytes(w, s->bytes, s->len);
}

/* ---- tests -------------------------------------------------------------------------- */

START_TEST(test_session)
{
	struct peer peer = { 0 };
	struct plug *p;
	struct walk w;

	peer_start(&peer, 1);
	p = exporter(&peer, "mtu=600\n");
	walk_flows(p, 0, 100, -1);
	deliver(p);
	walk_flows(p, 100, 110, 3);
	walk_flows(p, 110, 111, -1);
	deliver(p);
	plug_free(p);
	peer_await(&peer, 1);
	walk(&w, &peer.session[0]);
	walk_expect(&w, 0, 111);
	ck_assert_uint_eq(w.rest, 0);
	ck_assert_uint_eq(w.domains, 2);
	ck_assert_uint_eq(w.domain[0].id, 7);
	ck_assert_uint_eq(w.domain[1].id, 11);
	ck_assert_uint_eq(w.domain[0].templates, w.domain[1].templates);
	ck_assert_uint_eq(w.announcements, 2);
	ck_assert_uint_le(w.last_time, ctf_now() / 1000000000);
	ck_assert_uint_ge(w.last_time + 60, ctf_now() / 1000000000);
	walk_free(&w);
	peer_end(&peer);
}
END_TEST

START_TEST(test_always_never)
{
	static const char *const options[] = { "send_template=always\n",
					       "send_template=never\n" };
	static const unsigned announcements[] = { 2, 0 };
	struct peer peer = { 0 };
	struct plug *p;

	if (_i) /* data without templates */
		keep_nothing();
	peer_start(&peer, 1);
	p = exporter(&peer, options[_i]);
	walk_flows(p, 0, 10, -1);
	deliver(p);
	walk_flows(p, 10, 20, -1);
	deliver(p);
	plug_free(p);
	peer_await(&peer, 1);
	if (announcements[_i]) {
		struct walk w;

		walk(&w, &peer.session[0]);
		walk_expect(&w, 0, 20);
		ck_assert_uint_eq(w.announcements, announcements[_i]);
		walk_free(&w);
	} else {
		ck_assert_uint_eq(peer.session[0].len, 2 * (20 + 10 * 79));
	}
	peer_end(&peer);
}
END_TEST

/* A reader that takes a few bytes at a time gets every byte, in order. */
START_TEST(test_slow_reader)
{
	struct peer peer = { .session = { { .chunk = 7001, .pause_us = 200 } } };
	struct plug *p;
	struct walk w;

	peer_start(&peer, 1);
	p = exporter(&peer, "");
	open_small(p);
	walk_flows(p, 1, 20000, -1);
	deliver(p);
	plug_free(p);
	peer_await(&peer, 1);
	walk(&w, &peer.session[0]);
	walk_expect(&w, 0, 20000);
	ck_assert_uint_eq(w.rest, 0);
	walk_free(&w);
	peer_end(&peer);
}
END_TEST

/* After the peer's orderly end nothing is sent twice and nothing is missing. */
START_TEST(test_orderly_end)
{
	struct peer peer = { 0 };
	struct walk a, b;
	struct plug *p;

	peer_start(&peer, 2);
	p = exporter(&peer, "mtu=1000\n");
	walk_flows(p, 0, 50, -1);
	deliver(p);
	sleep_us(50000);
	shutdown(((struct ipfix_sink *)plug_sink(p))->fd, SHUT_WR); /* ends the reader */
	peer_await(&peer, 1);
	walk_flows(p, 50, 90, -1);
	deliver(p);
	plug_free(p);
	peer_await(&peer, 2);
	walk(&a, &peer.session[0]);
	walk(&b, &peer.session[1]);
	walk_expect(&a, 0, 50);
	walk_expect(&b, 50, 90);
	walk_free(&a);
	walk_free(&b);
	peer_end(&peer);
}
END_TEST

/* A closed session is noticed while there is nothing to send. */
START_TEST(test_idle)
{
	struct peer peer = { 0 };
	struct ctf_err err = { 0 };
	struct plug *p;

	peer_start(&peer, 1);
	p = exporter(&peer, "");
	walk_flows(p, 0, 1, -1);
	deliver(p);
	ck_assert_int_eq(ctf_plugin_ipfix.idle(plug_sink(p), &err), CTF_SENT);
	shutdown(((struct ipfix_sink *)plug_sink(p))->fd, SHUT_WR); /* ends the reader */
	peer_await(&peer, 1);
	sleep_us(20000);
	ck_assert_int_eq(ctf_plugin_ipfix.idle(plug_sink(p), &err), CTF_RETRY);
	ck_assert_uint_gt(strlen(err.msg), 0);
	plug_free(p);
	peer_end(&peer);
}
END_TEST

/*
 * Stops reading, then dies.  The next session begins with templates and 0, and
 * so far back that nothing is missing: `resend` before what was acknowledged,
 * or the peer's window if that is more.
 */
static void
die_midway(bool reset, const char *resend, long most)
{
	struct peer peer = { .session = { { .read_max = 200000, .reset = reset } } };
	char options[64];
	struct walk a, b;
	struct plug *p;

	peer_start(&peer, 2);
	snprintf(options, sizeof(options), "mtu=1400\nresend=%s\n", resend);
	p = exporter(&peer, options);
	open_small(p);
	deliver_all(p, walk_flows(p, 1, 12000, -1));
	plug_free(p);
	peer_await(&peer, 2);
	walk(&a, &peer.session[0]);
	walk(&b, &peer.session[1]);
	ck_assert_uint_gt(a.records, 100);
	walk_expect(&a, 0, (unsigned)a.records);
	ck_assert_uint_gt(b.records, 100);
	walk_expect(&b, b.ids[0], 12000);
	ck_assert_uint_eq(b.rest, 0);
	ck_assert_uint_le(b.ids[0], a.records);
	ck_assert_int_le(((long)a.records - (long)b.ids[0]) * 79, most);
	walk_free(&a);
	walk_free(&b);
	peer_end(&peer);
}

START_TEST(test_reset)
{
	die_midway(true, "0", 140000);
	die_midway(true, "150000", 160000);
	die_midway(true, "8M", 200000); /* all of it */
}
END_TEST

START_TEST(test_close_unread)
{
	die_midway(false, "0", 140000);
}
END_TEST

/* Other templates mean another session; so does a message that cannot be ended. */
START_TEST(test_new_session)
{
	struct peer peer = { 0 };
	struct ctf_err err = { 0 };
	struct ipfix_sink *s;
	struct walk w[2];
	struct plug *p;

	peer_start(&peer, 2);
	p = exporter(&peer, "");
	s = plug_sink(p);
	walk_flows(p, 0, 10, -1);
	deliver(p);
	walk_flows(p, 10, 20, -1);
	if (_i) {
		s->begun = 4711;
		s->begun_done = 5;
	} else {
		s->layout ^= 1;
	}
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_uint_gt(strlen(err.msg), 0);
	deliver(p);
	plug_free(p);
	peer_await(&peer, 2);
	for (unsigned i = 0; i < 2; i++) {
		walk(&w[i], &peer.session[i]);
		ck_assert_uint_eq(w[i].announcements, 1);
		walk_free(&w[i]);
	}
	peer_end(&peer);
}
END_TEST

/* A peer that accepts and never reads does not hold up the end of the daemon. */
START_TEST(test_interrupt)
{
	struct peer peer = { 0 };
	struct ctf_err err = { 0 };
	enum ctf_sent r;
	struct plug *p;

	peer_listen(&peer, 0);
	p = exporter(&peer, "");
	open_small(p);
	walk_flows(p, 1, 10000, -1);
	plug_interrupt(p);
	r = plug_deliver(p, &err);
	ck_assert_int_eq(r, CTF_AGAIN);
	ck_assert_uint_gt(plug_pending(p), 0);
	plug_free(p);
	close(peer.fd);
}
END_TEST

/* Nobody listens; later somebody does. */
START_TEST(test_refused)
{
	struct peer peer = { 0 };
	struct ctf_err err = { 0 };
	uint16_t port;
	struct plug *p;
	struct walk w;

	peer_listen(&peer, 0);
	port = peer.port;
	close(peer.fd);
	p = exporter(&peer, "");
	walk_flows(p, 0, 10, -1);
	ck_assert_int_ne(plug_deliver(p, &err), CTF_SENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "127.0.0.1"));
	restart(p);
	peer_listen(&peer, port);
	peer_run(&peer, 1);
	deliver(p);
	plug_free(p);
	peer_await(&peer, 1);
	walk(&w, &peer.session[0]);
	walk_expect(&w, 0, 10);
	walk_free(&w);
	peer_end(&peer);
}
END_TEST

START_TEST(test_no_such_host)
{
	struct plug *p = plug_new(&ctf_plugin_ipfix, "oid=7\nhost=\"no.such.host.invalid\"\n");
	struct ctf_err err = { 0 };
	int error = 0;

	ck_assert_int_eq(ctf_plugin_ipfix.open(plug_sink(p), &error, &err), -1);
	ck_assert_int_eq(error, EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(err.msg, "no.such.host.invalid"));
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_session);
	tcase_add_loop_test(t, test_always_never, 0, 2);
	tcase_add_test(t, test_slow_reader);
	tcase_add_test(t, test_orderly_end);
	tcase_add_test(t, test_idle);
	tcase_add_test(t, test_reset);
	tcase_add_test(t, test_close_unread);
	tcase_add_loop_test(t, test_new_session, 0, 2);
	tcase_add_test(t, test_interrupt);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_no_such_host);
}

int
main(void)
{
	return unit_main_net(AF_INET, "ipfix_tcp", add_tests);
}
