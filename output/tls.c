/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls.c - begins a TLS session: who the peer is, and whether it wants us. */
#include "tls_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define VERDICT_MS 1000u /* besides the time the handshake took */
#define VERDICT_MOST_MS 5000u

int
tls_verify(int ok, X509_STORE_CTX *xs)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(xs, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);

	if (!ok && !*t->why)
		tls_why_doubt(xs, t->name, t->why);
	return ok;
}

/* Only a peer that is content with us gives us a ticket. */
int
tls_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_get_app_data(ssl);

	t->heard = true;
	return 0;
}

static int
asked_for_certificate(SSL *ssl, void *arg)
{
	struct tls *t = arg;

	t->asked = true;
	return 1;
}

/* Whom the certificate must be for; an address is never sent as the name (SNI). */
static bool
name_peer(struct tls *t)
{
	uint8_t ip[16];
	X509_VERIFY_PARAM *want = SSL_get0_param(t->ssl);
	size_t len = strlen(t->name);

	if (len > 1 && t->name[len - 1] == '.') /* of a full name; not part of it */
		t->name[len - 1] = '\0';
	if (strchr(t->name, ':')) /* the zone of an address, neither */
		t->name[strcspn(t->name, "%")] = '\0';
	if (inet_pton(AF_INET, t->name, ip) == 1 || inet_pton(AF_INET6, t->name, ip) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(want, t->name) == 1;
	X509_VERIFY_PARAM_set_hostflags(want, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(want, t->name, 0) == 1 &&
	       SSL_set_tlsext_host_name(t->ssl, t->name) == 1;
}

static int
prepare(struct tls *t, const struct tls_conf *c, struct tls_files *files)
{
	SSL_CTX *ctx = tls_files_now(t->ctx, c, files);
	BIO *b;

	t->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (!t->ssl)
		return -ENOMEM;
	b = tls_bio(t);
	if (!b)
		return -ENOMEM;
	SSL_set_bio(t->ssl, b, b);
	SSL_set_app_data(t->ssl, t);
	SSL_set_cert_cb(t->ssl, asked_for_certificate, t);
	SSL_set_connect_state(t->ssl);
	t->have = SSL_get_certificate(t->ssl) != NULL;
	return name_peer(t) ? 0 : -ENOMEM;
}

static int
shake(struct tls *t, uint64_t end_ms)
{
	int lost = 0, waited = 0, r;

	while (!waited) {
		ERR_clear_error();
		r = SSL_do_handshake(t->ssl);
		if (r != 1 && !tls_waits(t, r)) {
			r = tls_broken(t, r);
			tls_flush(t); /* the alert that tells the peer */
			return r;
		}
		if (lost)
			return tls_fails(t, lost, strerror(-lost));
		lost = tls_flush(t);
		if (lost) /* what the peer has to say about it is read first */
			continue;
		if (r == 1 && t->from == t->to)
			return 0;
		waited = tls_wait(t, r == 1 ? 0 : POLLIN, end_ms);
	}
	return waited;
}

/*
 * In TLS 1.3 our side is done before the peer has looked at our certificate.
 * One that asked for it is given a moment to refuse: until its first ticket
 * shows that it did not, or, for those that give none, time has passed.
 */
static int
await_verdict(struct tls *t, uint64_t took_ms)
{
	uint64_t more = VERDICT_MS + 2 * took_ms;
	uint64_t end = ctf_mono_ms() + (more < VERDICT_MOST_MS ? more : VERDICT_MOST_MS);
	int r = 0;

	if (!t->asked || SSL_version(t->ssl) < TLS1_3_VERSION)
		return 0;
	while (!r && !t->heard) {
		r = tls_peer(t);
		if (!r && !t->heard)
			r = tls_wait(t, POLLIN, end);
	}
	return r == -ETIMEDOUT && !t->failed ? 0 : r;
}

/* What no peer can talk us out of. */
static int
check(struct tls *t)
{
	X509 *x = SSL_get1_peer_certificate(t->ssl);

	X509_free(x);
	if (!x || SSL_get_verify_result(t->ssl) != X509_V_OK)
		return tls_fails(t, -EPROTO, "it has no certificate that is valid");
	if (SSL_get_cipher_bits(t->ssl, NULL) < 112)
		return tls_fails(t, -EPROTO, "it wants a session that is not encrypted well");
	return 0;
}

static void
say_open(const struct tls *t)
{
	X509 *x = SSL_get1_peer_certificate(t->ssl);
	char until[32];

	tls_why_time(X509_get0_notAfter(x), until);
	ctf_log(t->ctx, CTF_INFO, "%s with %s, %s; its certificate is valid until %s",
		SSL_get_version(t->ssl), t->name, SSL_get_cipher_name(t->ssl), until);
	X509_free(x);
}

static int
say_failed(struct tls *t, int r, int timeout_ms, struct ctf_err *err)
{
	const char *why = *t->why ? t->why : strerror(-r);

	if (r == -EINTR)
		return ctf_fail(err, EINTR, "interrupted");
	if (r == -ETIMEDOUT)
		return ctf_fail(
			err, ETIMEDOUT,
			"no TLS with %s: no answer to the handshake within %d s; does it "
			"speak TLS?",
			t->name, (timeout_ms + 999) / 1000);
	return ctf_fail(err, -r, "no TLS with %s: %s", t->name, why);
}

int
tls_open(struct ctf_ctx *ctx, const struct tls_conf *c, struct tls_files *files, int fd,
	 const char *host, int timeout_ms, struct tls **ret_tls, struct ctf_err *err)
{
	uint64_t began = ctf_mono_ms(), now = began;
	struct tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return ctf_fail(err, ENOMEM, "no memory");
	t->ctx = ctx;
	t->fd = fd;
	snprintf(t->name, sizeof(t->name), "%s", *c->name ? c->name : host);
	ERR_clear_error();
	r = prepare(t, c, files);
	if (!r)
		r = shake(t, began + (unsigned)timeout_ms);
	now = ctf_mono_ms();
	t->up = !r;
	if (!r)
		r = check(t);
	if (!r)
		r = await_verdict(t, now - began);
	if (r) {
		r = say_failed(t, r, timeout_ms, err);
		tls_free(t);
		return r;
	}
	say_open(t);
	*ret_tls = t;
	return 0;
}

void
tls_free(struct tls *t)
{
	if (!t)
		return;
	ERR_clear_error();
	SSL_free(t->ssl);
	BIO_meth_free(t->method);
	free(t);
}
