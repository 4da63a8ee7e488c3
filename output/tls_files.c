/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tls_files.c - certificates and keys from PEM files into an OpenSSL context.
 *
 * We read the files ourselves: with a limit, without ever waiting for a pipe
 * or a passphrase, and so that what is wrong is told by option and file.
 */
#include "tls_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST (8u << 20) /* the authorities of a system are 0.2 MB */

enum { CA, CERT, KEY, FILES };

static const char *const option[FILES] = { "tls_ca", "tls_cert", "tls_key" };

struct stamp { /* equal: the same file with the same content; all 0: unreadable */
	uint64_t dev, ino, size;
	int64_t changed_s, changed_ns;
};

struct tls_files {
	pthread_mutex_t lock;
	SSL_CTX *ssl;
	struct stamp stamp[FILES];
};

struct pem {
	unsigned which;
	const char *path;
	BIO *bio;
	void *p;
	size_t len;
	bool open_to_all;
};

static const char *
path_of(const struct tls_conf *c, unsigned which)
{
	const char *path[FILES] = { c->ca, c->cert, *c->key ? c->key : c->cert };

	return path[which];
}

static void
take_stamps(const struct tls_conf *c, struct stamp *to)
{
	memset(to, 0, FILES * sizeof(*to));
	for (unsigned i = 0; i < FILES; i++) {
		const char *path = path_of(c, i);
		struct stat st;

		if (!*path || stat(path, &st))
			continue;
		to[i].dev = st.st_dev;
		to[i].ino = st.st_ino;
		to[i].size = (uint64_t)st.st_size;
		to[i].changed_s = st.st_ctim.tv_sec;
		to[i].changed_ns = st.st_ctim.tv_nsec;
	}
}

/* ---- a file -------------------------------------------------------------------- */

static int
wrong(const struct ctf_ctx *ctx, const struct pem *f, const char *why, struct ctf_err *err)
{
	return ctf_fail_opt(ctx, err, option[f->which], "%s: %s: %s", option[f->which], f->path,
			    why);
}

static void
forget(struct pem *f)
{
	BIO_free(f->bio);
	OPENSSL_clear_free(f->p, f->len);
	f->bio = NULL;
	f->p = NULL;
}

/* Reads all of fd; NULL, or what is wrong. */
static const char *
slurp(struct pem *f, int fd)
{
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	f->open_to_all = st.st_mode & S_IROTH;
	f->p = OPENSSL_malloc(FILE_MOST);
	if (!f->p)
		return "no memory";
	while (n > 0 && f->len < FILE_MOST) {
		n = read(fd, (char *)f->p + f->len, FILE_MOST - f->len);
		if (n < 0 && errno != EINTR)
			return strerror(errno);
		f->len += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	if (f->len == FILE_MOST)
		return "too long";
	f->bio = BIO_new_mem_buf(f->p, (int)f->len);
	return f->bio ? NULL : "no memory";
}

static int
get(const struct ctf_ctx *ctx, const struct tls_conf *c, unsigned which, struct pem *f,
    struct ctf_err *err)
{
	const char *why;
	int fd;

	*f = (struct pem){ .which = which, .path = path_of(c, which) };
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	why = fd < 0 ? strerror(errno) : slurp(f, fd);
	if (fd >= 0)
		close(fd);
	if (!why)
		return 0;
	forget(f);
	return wrong(ctx, f, why, err);
}

/* PEM_read_bio_x() returned NULL: because there is no more of that in the file? */
static bool
at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	if (ERR_GET_LIB(e) == ERR_LIB_OSSL_DECODER) /* of keys */
		return ERR_GET_REASON(e) == ERR_R_UNSUPPORTED;
	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* A daemon has nobody to ask. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	bool *asked = arg;

	if (asked)
		*asked = true;
	return -1;
}

static X509 *
next_cert(struct pem *f)
{
	ERR_clear_error();
	return PEM_read_bio_X509(f->bio, NULL, no_passphrase, NULL);
}

/* ---- the three ------------------------------------------------------------------- */

static int
read_authorities(const struct ctf_ctx *ctx, SSL_CTX *ssl, struct pem *f, struct ctf_err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	unsigned n = 0;
	X509 *x;
	int ok;

	for (; (x = next_cert(f)); n++) {
		ok = X509_STORE_add_cert(store, x);
		X509_free(x);
		if (!ok)
			return wrong(ctx, f, tls_why_queue(), err);
	}
	if (!at_end())
		return wrong(ctx, f, tls_why_queue(), err);
	return n ? 0 : wrong(ctx, f, "there is no certificate in it", err);
}

/* One of ours that is too old is refused by the collector, if it cares. */
static void
doubt(const struct ctf_ctx *ctx, const struct pem *f, const X509 *x)
{
	char when[32];

	if (X509_cmp_current_time(X509_get0_notAfter(x)) > 0)
		return;
	tls_why_time(X509_get0_notAfter(x), when);
	ctf_log(ctx, CTF_WARNING, "tls_cert: %s: expired at %s", f->path, when);
}

static int
read_chain(const struct ctf_ctx *ctx, SSL_CTX *ssl, struct pem *f, struct ctf_err *err)
{
	X509 *x = next_cert(f);
	int ok;

	if (!x)
		return wrong(ctx, f,
			     at_end() ? "there is no certificate in it" : tls_why_queue(), err);
	doubt(ctx, f, x);
	ok = SSL_CTX_use_certificate(ssl, x);
	X509_free(x);
	while (ok && (x = next_cert(f))) {
		ok = SSL_CTX_add1_chain_cert(ssl, x);
		X509_free(x);
	}
	return ok && at_end() ? 0 : wrong(ctx, f, tls_why_queue(), err);
}

static int
read_key(const struct ctf_ctx *ctx, SSL_CTX *ssl, struct pem *f, struct ctf_err *err)
{
	bool encrypted = false;
	EVP_PKEY *key;
	int ok;

	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(f->bio, NULL, no_passphrase, &encrypted);
	if (!key && encrypted)
		return wrong(ctx, f, "the key has a passphrase, and nobody is there to give it",
			     err);
	if (!key)
		return wrong(ctx, f,
			     at_end() ? "there is no private key in it" : tls_why_queue(), err);
	ERR_clear_error();
	ok = SSL_CTX_use_PrivateKey(ssl, key) && SSL_CTX_check_private_key(ssl);
	EVP_PKEY_free(key);
	if (ok && f->open_to_all)
		ctf_log(ctx, CTF_WARNING, "tls_key: %s: everybody can read the private key",
			f->path);
	if (ok)
		return 0;
	ERR_clear_error();
	return wrong(ctx, f, "this is not the key of the certificate tls_cert", err);
}

static int
read_all(const struct ctf_ctx *ctx, const struct tls_conf *c, SSL_CTX *ssl, struct ctf_err *err)
{
	static int (*const into[FILES])(const struct ctf_ctx *, SSL_CTX *, struct pem *,
					struct ctf_err *) = { read_authorities, read_chain,
							      read_key };
	int r = 0;

	if (!*c->ca && !SSL_CTX_set_default_verify_paths(ssl))
		return ctf_fail(err, EIO, "the system's authorities: %s", tls_why_queue());
	if (*c->key && !*c->cert)
		return ctf_fail_opt(ctx, err, "tls_key", "tls_key: a key without tls_cert");
	for (unsigned i = 0; i < FILES && !r; i++) {
		struct pem f;

		if (!*path_of(c, i))
			continue;
		r = get(ctx, c, i, &f, err);
		if (r)
			return r;
		r = into[i](ctx, ssl, &f, err);
		forget(&f);
	}
	return r;
}

/* ---- the context ------------------------------------------------------------------ */

/* No compression, no renegotiation; the ciphers are the system's, none is NULL. */
static SSL_CTX *
new_ctx(void)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

	if (!ssl)
		return NULL;
	if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, tls_verify);
	/* that a ticket comes is all we want to know of it */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, tls_ticket);
	/* what tls_ca names is trusted, be it not the root */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
	return ssl;
}

static int
make(const struct ctf_ctx *ctx, const struct tls_conf *c, SSL_CTX **ret_ssl,
     struct ctf_err *err)
{
	SSL_CTX *ssl;
	int r;

	ERR_clear_error();
	ssl = new_ctx();
	r = ssl ? read_all(ctx, c, ssl, err)
		: ctf_fail(err, ENOMEM, "OpenSSL: %s", tls_why_queue());
	ERR_clear_error();
	if (r)
		SSL_CTX_free(ssl);
	else
		*ret_ssl = ssl;
	return r;
}

int
tls_files_read(const struct ctf_ctx *ctx, const struct tls_conf *c,
	       struct tls_files **ret_files, struct ctf_err *err)
{
	struct tls_files *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return ctf_fail(err, ENOMEM, "no memory");
	take_stamps(c, f->stamp); /* first: a file that changes meanwhile is read again */
	r = make(ctx, c, &f->ssl, err);
	if (r) {
		free(f);
		return r;
	}
	pthread_mutex_init(&f->lock, NULL);
	*ret_files = f;
	return 0;
}

void
tls_files_free(struct tls_files *f)
{
	if (!f)
		return;
	SSL_CTX_free(f->ssl);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* They have changed. */
static void
renew(const struct ctf_ctx *ctx, const struct tls_conf *c, struct tls_files *f)
{
	struct ctf_err err = { 0 };
	SSL_CTX *ssl;

	if (make(ctx, c, &ssl, &err)) {
		ctf_log(ctx, CTF_WARNING, "%s; what was read before is used", err.msg);
		return;
	}
	ctf_log(ctx, CTF_NOTICE, "certificates and keys have changed and were read again");
	SSL_CTX_free(f->ssl);
	f->ssl = ssl;
}

SSL_CTX *
tls_files_now(const struct ctf_ctx *ctx, const struct tls_conf *c, struct tls_files *f)
{
	struct stamp stamp[FILES];
	SSL_CTX *ssl;

	take_stamps(c, stamp);
	pthread_mutex_lock(&f->lock);
	if (memcmp(stamp, f->stamp, sizeof(stamp)) != 0) {
		memcpy(f->stamp, stamp, sizeof(stamp)); /* said once, should it fail */
		renew(ctx, c, f);
	}
	ssl = f->ssl;
	SSL_CTX_up_ref(ssl);
	pthread_mutex_unlock(&f->lock);
	return ssl;
}
