/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls_lab.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM (16u << 20)

/* ---- certificates -------------------------------------------------------------------- */

static void
extend(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

struct cert
cert_make(const char *cn, const char *names, const struct cert *by, long from, long to)
{
	struct cert c = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *name = X509_get_subject_name(c.x);
	X509V3_CTX ctx;

	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.x),
				(uint64_t)time(NULL) ^ (uintptr_t)c.x);
	X509_gmtime_adj(X509_getm_notBefore(c.x), from);
	X509_gmtime_adj(X509_getm_notAfter(c.x), to);
	X509_set_pubkey(c.x, c.key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
	X509_set_issuer_name(c.x, by ? X509_get_subject_name(by->x) : name);
	X509V3_set_ctx(&ctx, by ? by->x : c.x, c.x, NULL, NULL, 0);
	extend(c.x, &ctx, NID_subject_key_identifier, "hash");
	extend(c.x, &ctx, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
	if (names && strcmp(names, "-") != 0)
		extend(c.x, &ctx, NID_subject_alt_name, names);
	ck_assert_int_gt(X509_sign(c.x, by ? by->key : c.key, EVP_sha256()), 0);
	return c;
}

void
cert_free(struct cert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->x);
	*c = (struct cert){ 0 };
}

void
cert_write(const char *path, const struct cert *c, const char *what)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	for (; *what; what++)
		if (*what == 'c')
			ck_assert_int_eq(PEM_write_X509(f, c->x), 1);
		else
			ck_assert_int_eq(
				PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

/* ---- the server -------------------------------------------------------------------------- */

static void
pause_for(unsigned us)
{
	struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };

	if (us)
		nanosleep(&t, NULL);
}

static void
reset(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

/* Reads what is there of the raw stream, until its end. */
static void
drain(struct tls_server *s, int fd)
{
	ssize_t n;

	while ((n = read(fd, s->bytes, ROOM)) > 0)
		;
	s->how = n ? BY_RESET : BY_FIN;
}

static void
misbehave(struct tls_server *s, int fd)
{
	static const char half[] = { 22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3 };
	static const char plain[] = "220 collector at your service\r\n";

	ck_assert_int_gt(read(fd, s->bytes, 50), 0);
	if (s->behaviour == SPEAK_PLAIN)
		ck_assert_int_eq(write(fd, plain, sizeof(plain)), (ssize_t)sizeof(plain));
	if (s->behaviour == STOP_MIDWAY)
		ck_assert_int_eq(write(fd, half, sizeof(half)), (ssize_t)sizeof(half));
	if (s->behaviour == HANG_UP) {
		while (recv(fd, s->bytes, ROOM, MSG_DONTWAIT) > 0)
			;
	} else if (s->behaviour == RESET) {
		reset(fd);
	} else {
		drain(s, fd);
	}
}

static bool
more(struct tls_server *s, SSL *ssl)
{
	size_t n, want = s->read_max ? s->read_max - s->len : ROOM - s->len;

	pause_for(s->pause_us);
	if (s->quiet_ms && !SSL_has_pending(ssl)) {
		struct pollfd p = { SSL_get_fd(ssl), POLLIN, 0 };

		s->quiet = !poll(&p, 1, s->quiet_ms);
	}
	if (s->quiet || !want || !SSL_read_ex(ssl, s->bytes + s->len, want, &n))
		return false;
	s->len += n;
	if (s->new_keys)
		ck_assert_int_eq(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	if (s->chatter || s->new_keys)
		ck_assert_int_eq(SSL_write(ssl, "chatter", 7), 7);
	return true;
}

/* How our side has ended, when it was not this one. */
static enum how
ending(SSL *ssl, int fd)
{
	char byte;

	switch (SSL_get_error(ssl, 0)) {
	case SSL_ERROR_ZERO_RETURN:
		return read(fd, &byte, 1) == 0 ? BY_NOTIFY : BY_RESET;
	case SSL_ERROR_SSL:
		return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
			       ? BY_FIN
			       : REFUSED;
	}
	return BY_RESET;
}

static void
finish(struct tls_server *s, SSL *ssl, int fd)
{
	static const char garbage[30] = { 23, 3, 3, 0, 25 };

	switch (s->end) {
	case SAY_GOODBYE:
		SSL_shutdown(ssl);
		break;
	case JUST_CLOSE:
		break;
	case ABORT:
		reset(fd);
		break;
	case GARBAGE: /* looks like a record, and is none */
		ck_assert_int_eq(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
		drain(s, fd);
		break;
	case RENEGOTIATE: /* TLS 1.2 */
		SSL_renegotiate(ssl);
		SSL_do_handshake(ssl);
		while (SSL_read(ssl, s->bytes + s->len, 1) > 0)
			;
		break;
	case NOTIFY_UNREAD: /* close() with unread input is a reset */
		SSL_shutdown(ssl);
		pause_for(300000);
		break;
	}
}

static void
serve(struct tls_server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	X509 *x;

	SSL_set_fd(ssl, fd);
	ERR_clear_error();
	if (SSL_accept(ssl) == 1) {
		const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

		x = SSL_get1_peer_certificate(ssl);
		snprintf(s->name, sizeof(s->name), "%s", name ? name : "");
		if (x)
			X509_NAME_oneline(X509_get_subject_name(x), s->subject,
					  sizeof(s->subject));
		X509_free(x);
		while (more(s, ssl))
			;
		if (s->quiet || (s->read_max && s->len == s->read_max))
			finish(s, ssl, fd);
		else
			s->how = ending(ssl, fd);
	} else {
		s->how = REFUSED;
	}
	s->wire = BIO_number_read(SSL_get_rbio(ssl));
	SSL_free(ssl);
}

static void *
run(void *arg)
{
	struct tls_server *s = arg;
	int fd = accept(s->listener, NULL, NULL);

	if (fd < 0)
		return NULL;
	if (s->behaviour == SERVE)
		serve(s, fd);
	else
		misbehave(s, fd);
	close(fd);
	return NULL;
}

static int
accept_any(int ok, X509_STORE_CTX *xs)
{
	return 1;
}

static SSL_CTX *
make_ctx(const struct tls_server *s)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(c, s->version && s->version < TLS1_2_VERSION ? 0 : 1);
	SSL_CTX_set_min_proto_version(c, s->version);
	SSL_CTX_set_max_proto_version(c, s->version);
	ck_assert_int_eq(SSL_CTX_use_certificate(c, s->cert.x), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(c, s->cert.key), 1);
	if (s->tickets >= 0)
		SSL_CTX_set_num_tickets(c, (size_t)s->tickets);
	if (s->ca.x)
		X509_STORE_add_cert(SSL_CTX_get_cert_store(c), s->ca.x);
	if (s->ask)
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER, accept_any);
	if (s->demand)
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return c;
}

void
server_start(struct tls_server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port) };
	socklen_t len = sizeof(a);
	int small = 16384, on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->bytes = malloc(ROOM);
	s->len = 0;
	s->ctx = s->behaviour == SERVE ? make_ctx(s) : NULL;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(s->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(s->listener, 5), 0);
	getsockname(s->listener, (struct sockaddr *)&a, &len);
	s->port = ntohs(a.sin_port);
	ck_assert_int_eq(pthread_create(&s->thread, NULL, run, s), 0);
}

void
server_join(struct tls_server *s)
{
	shutdown(s->listener, SHUT_RDWR); /* should nobody have come */
	pthread_join(s->thread, NULL);
	close(s->listener);
	SSL_CTX_free(s->ctx);
	s->ctx = NULL;
}

void
server_free(struct tls_server *s)
{
	free(s->bytes);
	s->bytes = NULL;
}

int
server_connect(const struct tls_server *s, int sndbuf)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (sndbuf)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}
