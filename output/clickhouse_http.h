/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_http.h - one HTTP(S) request after the other through libcurl, waiting
 * nowhere but where the core can wake it.
 */
#ifndef CTF_OUTPUT_CLICKHOUSE_HTTP_H
#define CTF_OUTPUT_CLICKHOUSE_HTTP_H

#include <curl/curl.h>
#include <ctflow/plugin.h>

#include "buf.h"

struct ch_body { /* what is sent */
	uint64_t len;
	/* The next bytes, at most n; 0: no more. */
	size_t (*read)(struct ch_body *, uint8_t *p, size_t n);
	void (*rewind)(struct ch_body *);
};

struct ch_request {
	const char *url;
	const struct curl_slist *headers;
	struct ch_body *body; /* a POST */
	const char *ca, *cert, *key;
	uint64_t connect_ms, idle_ms; /* limits: until connected; without progress */
};

struct ch_answer {
	long status;     /* of HTTP */
	struct buf text; /* its beginning, with a NUL behind it */
	bool cut;        /* there was more */
};

struct ch_http {
	CURLM *multi;
	CURL *easy;
	int epfd;
	uint64_t timer_ms;          /* libcurl's */
	uint64_t until_ms, last_ms; /* ours: without progress, and at all */
	const struct ch_request *req;
	struct ch_answer *answer;
	char error[CURL_ERROR_SIZE];
};

int ch_http_begin(struct ch_http *);
void ch_http_end(struct ch_http *);
/*
 * 0 when there is an answer, of whatever status; else -errno with *ret_why, "" or a
 * text that lives until the next request: -EINTR, -ETIMEDOUT, ...
 */
int ch_http_do(struct ch_http *, struct ctf_ctx *, const struct ch_request *,
	       struct ch_answer *ret_answer, const char **ret_why);

#endif
