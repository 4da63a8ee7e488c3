/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http.h - between ctflow and its module that speaks HTTP (ch_curl.c), which is
 * loaded when a server is asked, so that ctflow itself does without libcurl.
 */
#ifndef CTF_QUERY_HTTP_H
#define CTF_QUERY_HTTP_H

#include <stddef.h>
#include <sys/types.h>

#define HTTP_ABI 1u
#define HTTP_MODULE "ctflow-clickhouse.so"
#define HTTP_SYMBOL "ctflow_http"

struct http_part { /* a file of a form */
	const char *name, *data;
	size_t len;
};

struct http_ask {
	const char *url;
	const char *const *headers; /* ends with NULL */
	const char *ca;             /* a file of certificates; NULL: the system's */
	const char *body;           /* is posted, */
	size_t len;
	const struct http_part *parts; /* or these */
	unsigned nparts;
	unsigned connect_ms;
};

#define HTTP_WHY 300u
struct http;
struct http_module {
	unsigned abi;
	/* Borrows all of the question until end(); NULL: no memory. */
	struct http *(*begin)(const struct http_ask *);
	/*
	 * Bytes of the answer: > 0 that many, 0 it is complete, -EAGAIN none came
	 * within that time, else -errno with the reason in why[HTTP_WHY].
	 */
	ssize_t (*read)(struct http *, void *buf, size_t size, unsigned wait_ms, char *why);
	/* 200 and the like, once something was read. */
	long (*status)(struct http *);
	void (*end)(struct http *);
};

#endif
