/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls_lab.h - certificates made for a test, and a TLS server on a thread. */
#ifndef TLS_LAB_H
#define TLS_LAB_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct cert {
	EVP_PKEY *key;
	X509 *x;
};

#define DAY 86400

/*
 * An authority when there is no name; else for names like "DNS:a,IP:127.0.0.1",
 * "-": none.  Valid from now + from to now + to seconds.  by NULL: by itself.
 */
struct cert cert_make(const char *cn, const char *names, const struct cert *by, long from,
		      long to);
void cert_free(struct cert *);
/* Files of a folder that is removed at the end; what: "c", "k" or both. */
void cert_write(const char *path, const struct cert *, const char *what);

enum behaviour {
	SERVE,
	SPEAK_PLAIN, /* answers, but not in TLS */
	SILENT,      /* reads, and never answers */
	HANG_UP,     /* FIN after the first bytes */
	RESET,       /* RST after them */
	STOP_MIDWAY, /* part of its answer, then nothing */
};

enum how { READING, BY_NOTIFY, BY_FIN, BY_RESET, REFUSED }; /* our side, seen from there */

struct tls_server {
	/* to be filled in */
	struct cert cert, ca; /* ca: of clients */
	bool ask, demand;     /* a client certificate; ask: any will do */
	int version;          /* the only one it speaks; 0: any */
	int tickets;          /* -1: as the library likes */
	enum behaviour behaviour;
	size_t read_max; /* plain bytes, then it ends; */
	int quiet_ms;    /* or when nothing has come for so long: */
	enum { SAY_GOODBYE, JUST_CLOSE, ABORT, NOTIFY_UNREAD, GARBAGE, RENEGOTIATE } end;
	unsigned pause_us; /* before each read */
	bool new_keys;     /* asks for new keys after each read */
	bool chatter;      /* talks after each read */
	int port;          /* 0: made */

	/* what came of it; after server_join() */
	uint8_t *bytes;
	size_t len;
	bool quiet;    /* that was why it ended */
	uint64_t wire; /* bytes of the TCP stream read */
	enum how how;
	char name[64]; /* SNI */
	char subject[128];

	SSL_CTX *ctx;
	int listener;
	pthread_t thread;
};

/* One session. */
void server_start(struct tls_server *);
void server_join(struct tls_server *);
void server_free(struct tls_server *);
/* A socket connected to it, not blocking. */
int server_connect(const struct tls_server *, int sndbuf);

#endif
