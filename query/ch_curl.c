/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_curl.c - ctflow's module that speaks HTTP: an answer, read piece by piece. */
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define FULL (1u << 20) /* bytes that wait to be read; then the server has to */

struct http {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	curl_mime *form;
	char *data;
	size_t at, n, room; /* data[at..n) is not read yet */
	bool paused, done, no_memory;
	CURLcode code; /* once done */
	char why[CURL_ERROR_SIZE];
};

/* ---- asking ------------------------------------------------------------------ */

static size_t
take(char *p, size_t size, size_t n, void *http)
{
	struct http *h = http;
	char *more;

	n *= size;
	if (h->n > h->at && h->n - h->at + n > FULL) {
		h->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (h->n + n > h->room) {
		more = realloc(h->data, h->n + n);
		if (!more) {
			h->no_memory = true;
			return 0;
		}
		h->data = more;
		h->room = h->n + n;
	}
	memcpy(h->data + h->n, p, n);
	h->n += n;
	return n;
}

static bool
form_make(struct http *h, const struct http_ask *ask)
{
	bool ok = (h->form = curl_mime_init(h->easy)) != NULL;

	for (unsigned i = 0; ok && i < ask->nparts; i++) {
		const struct http_part *p = &ask->parts[i];
		curl_mimepart *part = curl_mime_addpart(h->form);

		ok = part && curl_mime_name(part, p->name) == CURLE_OK &&
		     curl_mime_filename(part, p->name) == CURLE_OK &&
		     curl_mime_data(part, p->data, p->len) == CURLE_OK;
	}
	return ok && curl_easy_setopt(h->easy, CURLOPT_MIMEPOST, h->form) == CURLE_OK;
}

static bool
headers_make(struct http *h, const struct http_ask *ask)
{
	/* "Expect: 100-continue" would cost a second where it is not known */
	struct curl_slist *more = curl_slist_append(NULL, "Expect:");

	for (const char *const *p = ask->headers; more && p && *p; p++) {
		h->headers = more;
		more = curl_slist_append(h->headers, *p);
	}
	h->headers = more ? more : h->headers;
	return more && curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers) == CURLE_OK;
}

static bool
set_up(struct http *h, const struct http_ask *ask)
{
	CURL *e = h->easy;
	bool ok = headers_make(h, ask);

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->why);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)ask->connect_ms);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, h);
	ok = ok && curl_easy_setopt(e, CURLOPT_URL, ask->url) == CURLE_OK;
	if (ask->ca) /* instead of all others */
		ok = ok && curl_easy_setopt(e, CURLOPT_CAINFO, ask->ca) == CURLE_OK &&
		     curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK;
	if (ask->nparts)
		return ok && form_make(h, ask);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->len);
	return ok && curl_easy_setopt(e, CURLOPT_POSTFIELDS, ask->body) == CURLE_OK;
}

static void
end(struct http *h)
{
	if (h->multi && h->easy)
		curl_multi_remove_handle(h->multi, h->easy);
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	curl_mime_free(h->form);
	curl_slist_free_all(h->headers);
	free(h->data);
	free(h);
}

static struct http *
begin(const struct http_ask *ask)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	if (!h->multi || !h->easy || !set_up(h, ask) ||
	    curl_multi_add_handle(h->multi, h->easy) != CURLM_OK) {
		end(h);
		return NULL;
	}
	return h;
}

/* ---- the answer ---------------------------------------------------------------- */

static int
failed(const struct http *h, char *why)
{
	if (h->no_memory || h->code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	snprintf(why, HTTP_WHY, "%s", h->why[0] ? h->why : curl_easy_strerror(h->code));
	return h->code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO;
}

static void
look_done(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)))
		if (m->msg == CURLMSG_DONE) {
			h->done = true;
			h->code = m->data.result;
		}
}

static void
go_on(struct http *h, unsigned wait_ms)
{
	int running;

	h->at = h->n = 0;
	if (h->paused) {
		h->paused = false;
		curl_easy_pause(h->easy, CURLPAUSE_CONT); /* may call take() */
	}
	curl_multi_perform(h->multi, &running);
	look_done(h);
	if (h->n || h->done)
		return;
	curl_multi_poll(h->multi, NULL, 0, (int)wait_ms, NULL);
	curl_multi_perform(h->multi, &running);
	look_done(h);
}

static ssize_t
read_some(struct http *h, void *buf, size_t size, unsigned wait_ms, char *why)
{
	size_t n;

	if (h->at == h->n && !h->done)
		go_on(h, wait_ms);
	n = h->n - h->at < size ? h->n - h->at : size;
	if (n) {
		memcpy(buf, h->data + h->at, n);
		h->at += n;
		return (ssize_t)n;
	}
	if (!h->done)
		return -EAGAIN;
	return h->code == CURLE_OK ? 0 : failed(h, why);
}

static long
status(struct http *h)
{
	long code = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &code);
	return code;
}

extern const struct http_module ctflow_http;
__attribute__((visibility("default"))) const struct http_module ctflow_http = {
	.abi = HTTP_ABI,
	.begin = begin,
	.read = read_some,
	.status = status,
	.end = end,
};
