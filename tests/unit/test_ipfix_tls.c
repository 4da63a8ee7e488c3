/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPFIX over TLS: what is settled, what comes again after which end. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_keep.h"
#include "ipfix_walk.h"
#include "plug.h"
#include "tls_lab.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

static char ca_path[40];
static struct cert ca, collector;

static void
setup(void)
{
	strcpy(ca_path, "/tmp/test_ipfix_tls.XXXXXX");
	close(mkstemp(ca_path));
	ca = cert_make("an authority", NULL, NULL, -DAY, DAY);
	collector = cert_make("a collector", "IP:127.0.0.1", &ca, -DAY, DAY);
	cert_write(ca_path, &ca, "c");
}

static void
teardown(void)
{
	unlink(ca_path);
	cert_free(&ca);
	cert_free(&collector);
}

static struct plug *
exporter(const struct tls_server *server, const char *more)
{
	char options[300];

	snprintf(options, sizeof(options),
		 "oid=7\nhost=\"127.0.0.1\"\nproto=tls\nport=%d\ntls_ca=\"%s\"\n%s",
		 server->port, ca_path, more);
	return plug_new(&ctf_plugin_ipfix, options);
}

/* Until all is settled. */
static void
deliver(struct plug *p, uint64_t last)
{
	struct ctf_err err = { 0 };

	ck_assert_msg(plug_deliver(p, &err) == CTF_SENT, "%s", err.msg);
	for (unsigned i = 0; i < 6000; i++) {
		if (ctf_plugin_ipfix.settled(plug_sink(p)) >= last)
			return;
		poll(NULL, 0, 10);
	}
	ck_abort_msg("never settled");
}

/* Until the peer's end is seen, as the core does; returns what is to be sent again from. */
static uint64_t
see_end(struct plug *p)
{
	struct ctf_err err = { 0 };

	for (unsigned i = 0; i < 6000; i++) {
		if (ctf_plugin_ipfix.idle(plug_sink(p), &err) != CTF_SENT) {
			ck_assert_ptr_nonnull(strstr(err.msg, "lost: "));
			plug_close(p);
			return ctf_plugin_ipfix.needed(plug_sink(p));
		}
		poll(NULL, 0, 10);
	}
	ck_abort_msg("no end");
	return 0;
}

static void
expect(const struct tls_server *server, unsigned from, unsigned to)
{
	struct walk w = { 0 };

	keep_session(server->bytes, server->len, KEEP_WHOLE);
	walk_bytes(&w, server->bytes, server->len);
	walk_expect(&w, from, to);
	ck_assert_uint_eq(w.rest, 0);
	ck_assert_uint_eq(w.announcements, 1);
	walk_free(&w);
}

/* Large and small messages, our own end. */
START_TEST(test_session)
{
	static const char *const more[] = { "", "mtu=300\n" };
	struct tls_server server = { .cert = collector, .tickets = -1 };
	struct plug *p;
	uint64_t last;

	server_start(&server);
	p = exporter(&server, more[_i]);
	last = walk_flows(p, 0, 5000, -1);
	deliver(p, last);
	last = walk_flows(p, 5000, 5010, -1);
	deliver(p, last);
	plug_close(p);
	ck_assert_uint_eq(ctf_plugin_ipfix.needed(plug_sink(p)), last + 1);
	plug_free(p);
	server_join(&server);
	ck_assert_int_eq(server.how, BY_NOTIFY);
	expect(&server, 0, 5010);
	server_free(&server);
}
END_TEST

/* Only a goodbye that is authenticated says that all was read. */
START_TEST(test_ends)
{
	static const struct {
		int end;
		bool again;
	} ends[] = { { SAY_GOODBYE, false }, { JUST_CLOSE, true }, { ABORT, true } };
	struct tls_server server = {
		.cert = collector, .tickets = -1, .quiet_ms = 200, .end = ends[_i].end
	};
	struct tls_server next = { .cert = collector, .tickets = -1 };
	unsigned from = ends[_i].again ? 0 : 50;
	struct plug *p;
	uint64_t last, needed;

	server_start(&server);
	p = exporter(&server, "mtu=1000\n");
	last = walk_flows(p, 0, 50, -1);
	deliver(p, last);
	needed = see_end(p);
	server_join(&server);
	ck_assert_uint_eq(needed, ends[_i].again ? 0 : last + 1);
	next.port = server.port;
	server_start(&next);
	plug_rewind(p, needed ? needed - 1 : 0);
	last = walk_flows(p, 50, 90, -1);
	deliver(p, last);
	plug_free(p);
	server_join(&next);
	expect(&server, 0, 50);
	expect(&next, from, 90);
	server_free(&server);
	server_free(&next);
}
END_TEST

/* The window is one of bytes of the wire, exact to a record. */
START_TEST(test_window)
{
	struct tls_server server = {
		.cert = collector, .tickets = -1, .quiet_ms = 300, .end = JUST_CLOSE
	};
	struct plug *p;
	uint64_t last, needed;
	uint32_t len;

	server_start(&server);
	p = exporter(&server, "mtu=1000\nresend=300K\n");
	last = walk_flows(p, 0, 12000, -1); /* near 1 MB */
	len = plug_frame(p, 1)->len;
	deliver(p, last);
	needed = see_end(p);
	server_join(&server);
	ck_assert_uint_le((last - needed) * len, 307200 + 16384 + len);
	ck_assert_uint_ge((last - needed) * len, 307200 - 16384 - len);
	plug_free(p);
	server_free(&server);
}
END_TEST

START_TEST(test_options)
{
	static const char *const bad[] = { "proto=tcp\ntls_ca=\"/nowhere\"\n",
					   "proto=udp\ntls_cert=\"/nowhere\"\n",
					   "tls_name=\"flows.example\"\n",
					   "proto=tls\ntls_key=\"/nowhere\"\n" };
	struct ipfix_conf c = { .proto = IPFIX_TLS };
	struct ctf_err err = { 0 };
	char options[200];

	snprintf(options, sizeof(options), "oid=1\nhost=localhost\n%s", bad[_i]);
	ck_assert_int_lt(plug_try(&ctf_plugin_ipfix, options, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "tls_"));
	ck_assert_uint_eq(ipfix_port(&c), 4740);
	c.proto = IPFIX_TCP;
	ck_assert_uint_eq(ipfix_port(&c), 4739);
	c.port = 9995;
	ck_assert_uint_eq(ipfix_port(&c), 9995);
}
END_TEST

/* The first of two shows a certificate nobody vouches for: the second has the flows. */
START_TEST(test_failover)
{
	struct cert stranger = cert_make("a collector", "IP:127.0.0.1", NULL, -DAY, DAY);
	struct tls_server first = { .cert = stranger }, server = { .cert = collector };
	char options[300];
	struct plug *p;
	uint64_t last;

	server_start(&first);
	server_start(&server);
	snprintf(options, sizeof(options),
		 "oid=7\nproto=tls\nmode=failover\nhost=\"127.0.0.1:%d, 127.0.0.1:%d\"\n"
		 "tls_ca=\"%s\"\n",
		 first.port, server.port, ca_path);
	p = plug_new(&ctf_plugin_ipfix, options);
	last = walk_flows(p, 0, 100, -1);
	deliver(p, last);
	plug_close(p);
	server_join(&first);
	server_join(&server);
	ck_assert_uint_eq(first.len, 0);
	expect(&server, 0, 100);
	plug_free(p);
	server_free(&first);
	server_free(&server);
	cert_free(&stranger);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_session, 0, 2);
	tcase_add_loop_test(t, test_ends, 0, 3);
	tcase_add_test(t, test_window);
	tcase_add_loop_test(t, test_options, 0, 4);
	tcase_add_test(t, test_failover);
}

int
main(void)
{
	return unit_main_net(AF_INET, "ipfix_tls", add_tests);
}
