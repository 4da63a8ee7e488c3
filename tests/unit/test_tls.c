/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TLS session with a server that is what it should be. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plug.h"
#include "tls.h"
#include "tls_lab.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

#define MUCH 3000000u

struct side { /* ours */
	struct plug *plug;
	struct tls_conf conf;
	struct tls_files *files;
	struct tls *tls;
	int fd;
	char dir[40], ca[60], own[60];
};

static struct ctf_ctx *
ctx(struct side *s)
{
	return ((struct ctf_obj *)plug_sink(s->plug))->ctx;
}

static void
side_make(struct side *s, struct tls_server *server)
{
	static const char options[] = "oid=1\nhost=\"localhost\"\n";
	struct ctf_err err = { 0 };

	*s = (struct side){ .plug = plug_new(&ctf_plugin_ipfix, options) };
	strcpy(s->dir, "/tmp/test_tls.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	snprintf(s->ca, sizeof(s->ca), "%s/ca.pem", s->dir);
	snprintf(s->own, sizeof(s->own), "%s/own.pem", s->dir);
	server->ca = cert_make("an authority", NULL, NULL, -DAY, DAY);
	server->cert = cert_make("a collector", "DNS:localhost", &server->ca, -DAY, DAY);
	cert_write(s->ca, &server->ca, "c");
	s->conf = (struct tls_conf){ s->ca, "", "", "" };
	ck_assert_msg(!tls_files_read(ctx(s), &s->conf, &s->files, &err), "%s", err.msg);
}

static void
side_open(struct side *s, struct tls_server *server, int sndbuf)
{
	struct ctf_err err = { 0 };

	server_start(server);
	s->fd = server_connect(server, sndbuf);
	ck_assert_msg(
		!tls_open(ctx(s), &s->conf, s->files, s->fd, "localhost", 5000, &s->tls, &err),
		"%s", err.msg);
}

static void
side_free(struct side *s, struct tls_server *server)
{
	tls_free(s->tls);
	tls_files_free(s->files);
	plug_free(s->plug);
	unlink(s->ca);
	unlink(s->own);
	rmdir(s->dir);
	cert_free(&server->cert);
	cert_free(&server->ca);
	server_free(server);
}

/* Bytes that tell where they are. */
static uint8_t *
pattern(size_t len)
{
	uint8_t *p = malloc(len);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
	return p;
}

/* In pieces of all sizes; 0 or what ended it. */
static int
send_all(struct side *s, const uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		union {
			const void *c;
			void *p;
		} at = { p + done };
		size_t a = (len - done) % 1001, b = len - done - a;
		struct iovec iov[3] = {
			{ at.p, a },
			{ (uint8_t *)at.p + a, 0 },
			{ (uint8_t *)at.p + a, b },
		};
		ssize_t n = tls_sendv(s->tls, iov, 3);
		int r;

		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (n < 0)
			ck_assert_int_gt(ctf_wait(ctx(s), s->fd, POLLOUT, 5000), 0);
		done += n > 0 ? (size_t)n : 0;
		r = tls_peer(s->tls);
		if (r)
			return r;
	}
	return 0;
}

static void
await_sent(struct side *s)
{
	for (unsigned i = 0; i < 6000 && tls_held(s->tls); i++)
		poll(NULL, 0, 10);
	ck_assert_uint_eq(tls_held(s->tls), 0);
}

/* ---- tests ------------------------------------------------------------------------------ */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/*
 * Every byte arrives, in order, through small buffers and a reader that takes
 * its time; the bytes of the TCP stream are known; and our end is an orderly
 * one whatever the peer has said that nobody asked for.
 */
static void
transfer(struct tls_server *server, int sndbuf)
{
	uint8_t *p = pattern(MUCH);
	struct side s;

	side_make(&s, server);
	side_open(&s, server, sndbuf);
	ck_assert_int_eq(send_all(&s, p, MUCH), 0);
	await_sent(&s);
	ck_assert_int_eq(tls_peer(s.tls), 0);
	ck_assert_int_eq(tls_end(s.tls, 2000), 0);
	close(s.fd);
	server_join(server);
	ck_assert_uint_eq(server->len, MUCH);
	ck_assert_mem_eq(server->bytes, p, MUCH);
	ck_assert_int_eq(server->how, BY_NOTIFY);
	ck_assert_str_eq(server->name, "localhost");
	ck_assert_uint_eq(server->wire, tls_made(s.tls));
	free(p);
	side_free(&s, server);
}

START_TEST(test_transfer)
{
	struct tls_server server = { .version = versions[_i], .tickets = -1 };

	transfer(&server, 0);
}
END_TEST

START_TEST(test_slow)
{
	struct tls_server server = { .version = versions[_i], .tickets = -1, .pause_us = 300 };

	transfer(&server, 8192);
}
END_TEST

START_TEST(test_chatter)
{
	struct tls_server server = { .version = versions[_i], .tickets = 50, .chatter = true };

	transfer(&server, 0);
}
END_TEST

START_TEST(test_new_keys)
{
	struct tls_server server = { .version = TLS1_3_VERSION,
				     .tickets = 2,
				     .new_keys = true };

	transfer(&server, 8192);
}
END_TEST

/* ---- the peer's end ---------------------------------------------------------------------- */

/* It ends after some bytes; returns what we see, and in *ret_end what tls_end() says. */
static int
see_end(struct tls_server *server, size_t sent, int *ret_end)
{
	uint8_t *p = pattern(sent);
	struct side s;
	int r;

	side_make(&s, server);
	side_open(&s, server, 0);
	r = send_all(&s, p, sent);
	for (unsigned i = 0; i < 300 && !r; i++) {
		poll(NULL, 0, 10);
		r = tls_peer(s.tls);
	}
	ck_assert_uint_gt(strlen(tls_reason(s.tls)), 0);
	*ret_end = tls_end(s.tls, 1000);
	ck_assert_int_lt(tls_sendv(s.tls, &(struct iovec){ p, 1 }, 1), 0);
	close(s.fd);
	server_join(server);
	ck_assert_uint_eq(server->len, server->read_max);
	free(p);
	side_free(&s, server);
	return r;
}

START_TEST(test_end_orderly)
{
	struct tls_server server = { .version = versions[_i], .read_max = 5000 };
	int end;

	ck_assert_int_eq(see_end(&server, 5000, &end), -EPIPE);
	ck_assert_int_eq(end, 0);
}
END_TEST

/* Anybody can send a FIN. */
START_TEST(test_end_fin)
{
	struct tls_server server = { .version = versions[_i],
				     .read_max = 5000,
				     .end = JUST_CLOSE };
	int end;

	ck_assert_int_eq(see_end(&server, 5000, &end), -ECONNABORTED);
	ck_assert_int_lt(end, 0);
}
END_TEST

START_TEST(test_end_reset)
{
	struct tls_server server = { .version = versions[_i], .read_max = 5000, .end = ABORT };
	int end;

	ck_assert_int_eq(see_end(&server, 5000, &end), -ECONNRESET);
	ck_assert_int_lt(end, 0);
}
END_TEST

/* It says goodbye, and has not read all: no orderly end. */
START_TEST(test_end_unread)
{
	struct tls_server server = { .version = versions[_i],
				     .read_max = 5000,
				     .end = NOTIFY_UNREAD };
	int end;

	ck_assert_int_eq(see_end(&server, 200000, &end), -EPIPE);
	ck_assert_int_lt(end, 0);
}
END_TEST

/* Somebody meddles with the stream. */
START_TEST(test_end_garbage)
{
	struct tls_server server = { .version = versions[_i],
				     .read_max = 5000,
				     .end = GARBAGE };
	int end;

	ck_assert_int_eq(see_end(&server, 5000, &end), -EPROTO);
	ck_assert_int_eq(end, -EPROTO);
}
END_TEST

/* It wants to begin anew: no. */
START_TEST(test_renegotiation)
{
	struct tls_server server = { .version = TLS1_2_VERSION,
				     .read_max = 5000,
				     .end = RENEGOTIATE };
	int end;

	ck_assert_int_eq(see_end(&server, 5000, &end), -EPROTO);
	ck_assert_int_lt(end, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, test_transfer, 0, 2);
	tcase_add_loop_test(t, test_slow, 0, 2);
	tcase_add_loop_test(t, test_chatter, 0, 2);
	tcase_add_test(t, test_new_keys);
	tcase_add_loop_test(t, test_end_orderly, 0, 2);
	tcase_add_loop_test(t, test_end_fin, 0, 2);
	tcase_add_loop_test(t, test_end_reset, 0, 2);
	tcase_add_loop_test(t, test_end_unread, 0, 2);
	tcase_add_loop_test(t, test_end_garbage, 0, 2);
	tcase_add_test(t, test_renegotiation);
}

int
main(void)
{
	return unit_main_net(AF_INET, "tls", add_tests);
}
