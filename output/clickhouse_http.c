/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clickhouse_http.c - see clickhouse_http.h. */
#include "clickhouse_http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ANSWER_MAX (1u << 20)
#define SEND_BUFFER (256L << 10)
#define NO_TIMER UINT64_MAX
#define WHOLE 10u /* times as long as without progress */

/* ---- what libcurl calls --------------------------------------------------------- */

static void
progress(struct ch_http *h)
{
	uint64_t until = ctf_mono_ms() + h->req->idle_ms;

	h->until_ms = until < h->last_ms ? until : h->last_ms;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct ch_http *h = arg;
	struct epoll_event ev = { .data.fd = fd };

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(h->epfd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.events =
		(what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(h->epfd, EPOLL_CTL_MOD, fd, &ev) == 0)
		return 0;
	return epoll_ctl(h->epfd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -1;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct ch_http *h = arg;

	h->timer_ms = ms < 0 ? NO_TIMER : ctf_mono_ms() + (uint64_t)ms;
	return 0;
}

static size_t
on_read(char *p, size_t size, size_t n, void *arg)
{
	struct ch_http *h = arg;

	progress(h);
	return h->req->body->read(h->req->body, (uint8_t *)p, size * n);
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct ch_http *h = arg;

	if (offset || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	h->req->body->rewind(h->req->body);
	return CURL_SEEKFUNC_OK;
}

/* What is too long is left out: an error says what it is in its first line. */
static size_t
on_write(char *p, size_t size, size_t n, void *arg)
{
	struct ch_http *h = arg;
	struct buf *b = &h->answer->text;
	size_t len = size * n, room = ANSWER_MAX - b->len;

	progress(h);
	h->answer->cut |= len > room;
	buf_put(b, p, len > room ? room : len);
	/* Somebody who never ends is no database. */
	return b->failed || (h->answer->cut && !room) ? 0 : len;
}

/* ---- a request ------------------------------------------------------------------- */

int
ch_http_begin(struct ch_http *h)
{
	h->epfd = epoll_create1(EPOLL_CLOEXEC);
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	h->timer_ms = NO_TIMER;
	if (h->epfd < 0 || !h->multi || !h->easy) {
		ch_http_end(h);
		return -ENOMEM;
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 2L);
	return 0;
}

void
ch_http_end(struct ch_http *h)
{
	if (h->easy)
		curl_easy_cleanup(h->easy);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	if (h->epfd >= 0)
		close(h->epfd);
	h->easy = NULL;
	h->multi = NULL;
	h->epfd = -1;
}

static void
set_tls(CURL *c, const struct ch_request *req)
{
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (*req->ca) { /* and no other authority */
		curl_easy_setopt(c, CURLOPT_CAINFO, req->ca);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (*req->cert)
		curl_easy_setopt(c, CURLOPT_SSLCERT, req->cert);
	if (*req->key)
		curl_easy_setopt(c, CURLOPT_SSLKEY, req->key);
}

static void
set_ways(CURL *c)
{
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name server that does not answer is not waited for at the end. */
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void
set_request(struct ch_http *h, const struct ch_request *req)
{
	CURL *c = h->easy;

	curl_easy_reset(c);
	set_ways(c);
	set_tls(c, req);
	curl_easy_setopt(c, CURLOPT_URL, req->url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, req->headers);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)req->connect_ms);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body->len);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(c, CURLOPT_READDATA, h);
	curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(c, CURLOPT_SEEKDATA, h);
}

/* Waits until libcurl has something to do; -EINTR, -ETIMEDOUT or 0. */
static int
turn(struct ch_http *h, struct ctf_ctx *ctx)
{
	uint64_t now = ctf_mono_ms(), at = h->until_ms;
	struct epoll_event ev[8];
	int running, n, r;

	if (now >= h->until_ms)
		return -ETIMEDOUT;
	if (h->timer_ms < at)
		at = h->timer_ms;
	r = ctf_wait(ctx, h->epfd, POLLIN, at > now ? (int)(at - now) : 0);
	if (r < 0)
		return r;
	n = r ? epoll_wait(h->epfd, ev, sizeof(ev) / sizeof(*ev), 0) : 0;
	for (int i = 0; i < n; i++) {
		uint32_t e = ev[i].events;
		int mask = (e & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (e & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (e & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		curl_multi_socket_action(h->multi, ev[i].data.fd, mask, &running);
	}
	if (h->timer_ms <= ctf_mono_ms()) {
		h->timer_ms = NO_TIMER;
		curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	return 0;
}

static int
errno_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return -ECONNRESET;
	default: /* certificates, and what is no HTTP */
		return -EPROTO;
	}
}

static int
result(struct ch_http *h, bool *ret_done)
{
	const CURLMsg *m;
	CURLcode code;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		*ret_done = true;
		code = m->data.result;
		if (code == CURLE_WRITE_ERROR) /* we wanted no more */
			snprintf(h->error, sizeof(h->error), "an answer without an end");
		else if (code != CURLE_OK && !h->error[0])
			snprintf(h->error, sizeof(h->error), "%s", curl_easy_strerror(code));
		curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &h->answer->status);
		return errno_of(code);
	}
	return 0;
}

int
ch_http_do(struct ch_http *h, struct ctf_ctx *ctx, const struct ch_request *req,
	   struct ch_answer *ret_answer, const char **ret_why)
{
	bool done = false;
	int r = 0;

	*ret_answer = (struct ch_answer){ 0 };
	h->req = req;
	h->answer = ret_answer;
	h->error[0] = '\0';
	*ret_why = h->error;
	set_request(h, req);
	req->body->rewind(req->body);
	h->last_ms = ctf_mono_ms() + WHOLE * req->idle_ms;
	progress(h);
	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		return -ENOMEM;
	while (r == 0 && !done) {
		r = turn(h, ctx);
		if (r == 0)
			r = result(h, &done);
	}
	if (r == -ETIMEDOUT && !h->error[0])
		snprintf(h->error, sizeof(h->error), "no answer in time");
	curl_multi_remove_handle(h->multi, h->easy); /* unfinished: its connection is closed */
	if (r == 0)
		buf_put(&ret_answer->text, "", 0);
	if (ret_answer->text.failed)
		r = -ENOMEM;
	if (r < 0)
		buf_free(&ret_answer->text);
	return r;
}
