/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tls_io.c - bytes of a TLS session.
 *
 * OpenSSL never sees the socket: it writes into `out`, which is large enough
 * for what we give it and sent by us.  So its writes cannot be half done, we
 * know each byte of the TCP stream, and no signal is raised.
 */
#include "tls_impl.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define READS_MAX 16      /* a peer that never stops talking must not keep us */
#define BEHIND_MS 100u    /* a FIN comes that soon after close_notify */
#define MESSAGE_MS 10000u /* for the rest of a message of the peer's */

/* ---- the socket -------------------------------------------------------------------- */

static int
out_write(BIO *b, const char *p, size_t n, size_t *ret_n)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*ret_n = n;
	if (t->shut)
		return 1;
	if (n > TLS_OUT - t->to) {
		*ret_n = 0;
		BIO_set_retry_write(b);
		return 0;
	}
	memcpy(t->out + t->to, p, n);
	t->to += (uint32_t)n;
	t->made += n;
	return 1;
}

static int
in_read(BIO *b, char *p, size_t n, size_t *ret_n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t got = recv(t->fd, p, n, MSG_DONTWAIT);

	BIO_clear_retry_flags(b);
	if (got > 0) {
		*ret_n = (size_t)got;
		return 1;
	}
	if (got == 0)
		t->eof = true;
	else if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_read(b);
	else
		t->io_errno = errno == EPIPE ? ECONNRESET : errno;
	return 0;
}

static long
control(BIO *b, int what, long num, void *arg)
{
	const struct tls *t = BIO_get_data(b);

	return what == BIO_CTRL_FLUSH || (what == BIO_CTRL_EOF && t->eof);
}

BIO *
tls_bio(struct tls *t)
{
	BIO *b;

	t->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 127, "socket of a sink");
	if (!t->method || !BIO_meth_set_write_ex(t->method, out_write) ||
	    !BIO_meth_set_read_ex(t->method, in_read) || !BIO_meth_set_ctrl(t->method, control))
		return NULL;
	b = BIO_new(t->method);
	if (!b)
		return NULL;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	return b;
}

int
tls_flush(struct tls *t)
{
	while (t->from < t->to && !t->shut) {
		ssize_t n = send(t->fd, t->out + t->from, t->to - t->from,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR) {
			t->torn = true;
			return errno == EPIPE ? -ECONNRESET : -errno;
		}
		t->from += n > 0 ? (uint32_t)n : 0;
	}
	t->from = t->to = 0;
	return 0;
}

/* ---- how it fails -------------------------------------------------------------------- */

int
tls_fails(struct tls *t, int error, const char *why)
{
	if (!t->failed)
		t->failed = error;
	if (why && !*t->why)
		snprintf(t->why, sizeof(t->why), "%s", why);
	ERR_clear_error();
	return t->failed;
}

int
tls_broken(struct tls *t, int r)
{
	int e = SSL_get_error(t->ssl, r);

	if (e == SSL_ERROR_ZERO_RETURN)
		return tls_fails(t, -EPIPE, "closed by the collector");
	if (*t->why) /* the certificate */
		return tls_fails(t, -EPROTO, NULL);
	if (tls_why_error(t->asked, t->have, t->why))
		return tls_fails(t, -EPROTO, NULL);
	if (t->io_errno)
		return tls_fails(t, -t->io_errno, strerror(t->io_errno));
	if (t->eof && !t->up)
		return tls_fails(t, -ECONNABORTED, "it closed the connection in the handshake");
	if (t->eof)
		return tls_fails(t, -ECONNABORTED,
				 "closed by the collector without TLS's close_notify");
	return tls_fails(t, -EPROTO, tls_why_queue());
}

bool
tls_waits(const struct tls *t, int r)
{
	int e = SSL_get_error(t->ssl, r);

	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

int
tls_wait(struct tls *t, short events, uint64_t end_ms)
{
	uint64_t now = ctf_mono_ms();
	int r;

	if (t->from < t->to)
		events |= POLLOUT;
	r = now < end_ms ? ctf_wait(t->ctx, t->fd, events, (int)(end_ms - now)) : 0;
	return r > 0 ? 0 : r ? r : -ETIMEDOUT;
}

/* ---- what goes out and comes in ------------------------------------------------------ */

struct gather { /* where we are in an iovec */
	const struct iovec *iov;
	size_t n, done;
};

static size_t
gather(struct tls *t, struct gather *g)
{
	size_t len = 0;

	while (g->n && len < TLS_RECORD) {
		size_t left = g->iov->iov_len - g->done, n = TLS_RECORD - len;

		n = n < left ? n : left;
		if (n)
			memcpy(t->record + len, (const uint8_t *)g->iov->iov_base + g->done, n);
		len += n;
		g->done += n;
		if (g->done < g->iov->iov_len)
			continue;
		g->iov++;
		g->n--;
		g->done = 0;
	}
	return len;
}

/* Reads what the peer has sent; returns t->failed. */
static int
hear(struct tls *t)
{
	char waste[4096];
	size_t n;

	/* what OpenSSL has taken from the socket does not wake us again */
	for (unsigned i = 0; (i < READS_MAX || SSL_pending(t->ssl)) && !t->failed; i++) {
		int r;

		ERR_clear_error();
		r = SSL_read_ex(t->ssl, waste, sizeof(waste), &n);
		if (!r && tls_waits(t, r))
			break;
		if (r)
			t->heard = true;
		else
			tls_broken(t, r);
	}
	return t->failed;
}

/* What cannot be sent any more: the peer may have said why.  It was no orderly end. */
static int
lost(struct tls *t, int error)
{
	if (hear(t) == -EPIPE)
		t->failed = error;
	return tls_fails(t, error, strerror(-error));
}

/*
 * OpenSSL writes nothing while it is in the middle of a message it reads (a
 * ticket, say); one that never ends must not keep us.
 */
static int
await_message(struct tls *t)
{
	int r = tls_wait(t, POLLIN, ctf_mono_ms() + MESSAGE_MS);

	if (r == -ETIMEDOUT)
		return tls_fails(t, r, "the collector stopped inside a message of TLS");
	return r ? r : -EAGAIN;
}

ssize_t
tls_sendv(struct tls *t, const struct iovec *iov, size_t n)
{
	struct gather g = { iov, n, 0 };
	size_t taken = 0, len, wrote = 0;
	int r = t->failed ? t->failed : tls_flush(t);

	if (t->failed)
		return r;
	if (r)
		return lost(t, r);
	if (t->to)
		return -EAGAIN;
	t->records = 0;
	for (unsigned i = 0; i < TLS_RECORDS && (len = gather(t, &g)); i++) {
		ERR_clear_error();
		r = SSL_write_ex(t->ssl, t->record, len, &wrote);
		if (!r && !taken)
			return tls_waits(t, r) ? await_message(t) : tls_broken(t, r);
		if (!r)
			break;
		t->plain[t->records] = wrote;
		t->end[t->records++] = t->made;
		taken += wrote;
	}
	r = tls_flush(t);
	if (r) /* what is taken is not given back: the next call fails */
		lost(t, r);
	return (ssize_t)taken;
}

uint64_t
tls_made(const struct tls *t)
{
	return t->made;
}

/* A byte can be read when all of its record is there. */
uint64_t
tls_at(const struct tls *t, size_t behind)
{
	for (unsigned i = t->records; i; i--) {
		if (behind < t->plain[i - 1])
			return t->end[i - 1];
		behind -= t->plain[i - 1];
	}
	return t->made;
}

uint64_t
tls_held(struct tls *t)
{
	if (!t->failed)
		tls_flush(t);
	return t->to - t->from;
}

int
tls_peer(struct tls *t)
{
	int r = hear(t);

	if (!r)
		r = tls_flush(t); /* an answer to new keys */
	if (r && !t->failed)
		r = lost(t, r);
	if (r == -ECONNABORTED && t->ours)
		r = t->failed = -EPIPE;
	return r;
}

const char *
tls_reason(const struct tls *t)
{
	return *t->why ? t->why : strerror(t->failed ? -t->failed : EPROTO);
}

/* 0: the peer has ended in order, and its TCP as well. */
static int
ended(struct tls *t)
{
	char waste[4096];
	ssize_t n = 1;
	int r = tls_peer(t);

	if (t->torn)
		return -ECONNRESET;
	if (r != -EPIPE)
		return r ? r : -EAGAIN;
	for (unsigned i = 0; i < READS_MAX && n > 0; i++)
		n = recv(t->fd, waste, sizeof(waste), MSG_DONTWAIT);
	if (n == 0)
		return 0;
	return n > 0 || errno == EAGAIN || errno == EINTR ? -EAGAIN : -ECONNRESET;
}

static int
await_end(struct tls *t, uint64_t end_ms)
{
	int r;

	while ((r = ended(t)) == -EAGAIN)
		if (tls_wait(t, POLLIN, end_ms))
			return -ETIMEDOUT;
	return r;
}

int
tls_goodbye(struct tls *t, int wait_ms)
{
	uint64_t end = ctf_mono_ms() + (unsigned)wait_ms;
	int r;

	if (t->shut)
		return 0;
	t->ours = !t->failed;
	ERR_clear_error();
	SSL_shutdown(t->ssl);
	while (!(r = tls_flush(t)) && t->from < t->to) {
		r = tls_wait(t, 0, end);
		if (r)
			return r;
	}
	t->shut = true; /* new keys that the peer may yet ask for are of no use */
	if (!r)
		shutdown(t->fd, SHUT_WR);
	return r;
}

int
tls_end(struct tls *t, int wait_ms)
{
	uint64_t now = ctf_mono_ms(), end = now + (unsigned)wait_ms;
	int r;

	if (t->failed && t->failed != -EPIPE)
		return t->failed;
	if (t->failed) { /* to one that has gone altogether a goodbye would bring a reset */
		r = await_end(t, now + BEHIND_MS);
		if (r != -ETIMEDOUT)
			return r;
	}
	r = tls_goodbye(t, wait_ms);
	return r ? r : await_end(t, end);
}
