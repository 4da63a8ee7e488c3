/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_impl.h - what the files of tls.h share. */
#ifndef CTF_TLS_IMPL_H
#define CTF_TLS_IMPL_H

#include <openssl/ssl.h>

#include "tls.h"

#define TLS_TEXT 400u                                        /* a reason */
#define TLS_RECORD 16384u                                    /* plain bytes of a record */
#define TLS_RECORDS 4u                                       /* in one system call */
#define TLS_OUT (TLS_RECORDS * (TLS_RECORD + 512u) + 65536u) /* and a handshake, new keys */

struct tls {
	struct ctf_ctx *ctx;
	SSL *ssl;
	BIO_METHOD *method;
	int fd, failed;            /* -errno that ended it */
	int io_errno;              /* of the socket */
	bool up;                   /* the handshake is done */
	bool torn;                 /* something could not be sent */
	bool ours;                 /* the end */
	bool shut;                 /* nothing goes out any more */
	bool eof;                  /* FIN */
	bool asked, have;          /* for a certificate of ours; there is one */
	bool heard;                /* something after the handshake */
	uint64_t end[TLS_RECORDS]; /* of the records of the last tls_sendv() */
	size_t plain[TLS_RECORDS]; /* bytes in them */
	unsigned records;
	uint64_t made;      /* bytes put into out */
	uint32_t from, to;  /* of out: not sent yet */
	char name[256];     /* whom we want to talk to */
	char why[TLS_TEXT]; /* it ended, or the certificate is not accepted */
	uint8_t record[TLS_RECORD];
	uint8_t out[TLS_OUT];
};

/* A reference to the context to use now. */
SSL_CTX *tls_files_now(const struct ctf_ctx *, const struct tls_conf *, struct tls_files *);
/* SSL_CTX_set_verify()'s: takes note of the first thing that is wrong. */
int tls_verify(int ok, X509_STORE_CTX *);
/* SSL_CTX_sess_set_new_cb()'s: a ticket has come. */
int tls_ticket(SSL *, SSL_SESSION *);

/* ---- tls_io.c ------------------------------------------------------------------------ */

/* What OpenSSL reads and writes; NULL: no memory. */
BIO *tls_bio(struct tls *);
/* Sends of `out` what can be sent; 0 or -errno, but not -EAGAIN. */
int tls_flush(struct tls *);
/* Until there are those events, or room for what is in `out`: 0, -ETIMEDOUT or -errno. */
int tls_wait(struct tls *, short events, uint64_t end_ms);
/* OpenSSL's operation that returned r only waits. */
bool tls_waits(const struct tls *, int r);
/* ... cannot go on; -errno. */
int tls_broken(struct tls *, int r);
/* It is over, first reason counts; returns that. */
int tls_fails(struct tls *, int error, const char *why);

/* ---- tls_why.c: words -------------------------------------------------------------- */

/* What is wrong with the certificate being verified; name: whom we asked for. */
void tls_why_doubt(X509_STORE_CTX *, const char *name, char text[TLS_TEXT]);
/*
 * What OpenSSL has just failed with; asked: the peer asked for our certificate,
 * have: there is one.  False: nothing that it has words for.
 */
bool tls_why_error(bool asked, bool have, char text[TLS_TEXT]);
/* The first reason in OpenSSL's queue, which is empty then. */
const char *tls_why_queue(void);
/* "2026-01-31 12:00:00 UTC" */
void tls_why_time(const ASN1_TIME *, char text[32]);

#endif
