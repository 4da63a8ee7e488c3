/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clickhouse_conn.c - CLICKHOUSE: the servers, and statements to one of them. */
#include "clickhouse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_MAX 4096
/*
 * One block, through to the tables beneath a distributed one before it is answered.  A
 * block that comes again is not left out by the server: what is made of it, by
 * materialized views, may be what was lost.
 */
#define BLOCK "max_insert_block_size=1048576&insert_distributed_sync=1&insert_deduplicate=0"

/* ---- servers ------------------------------------------------------------------ */

static bool
port_take(const char *p, size_t n, uint16_t *ret_port)
{
	unsigned port = 0;

	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)p[i]) || port > 65535)
			return false;
		port = port * 10 + (unsigned)(p[i] - '0');
	}
	*ret_port = (uint16_t)port;
	return n && port && port < 65536;
}

/* "name", "name:port", "[::1]:port", "::1" */
static bool
server_take(const char *p, size_t n, struct ch_server *s)
{
	const char *colon = memchr(p, ':', n), *end = p + n;

	if (n && *p == '[') {
		const char *close = memchr(p, ']', n);

		if (!close || (close + 1 < end &&
			       (close[1] != ':' ||
				!port_take(close + 2, (size_t)(end - close - 2), &s->port))))
			return false;
		p++;
		end = close;
	} else if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
		if (!port_take(colon + 1, (size_t)(end - colon - 1), &s->port))
			return false;
		end = colon;
	}
	if (end <= p || (size_t)(end - p) >= sizeof(s->host))
		return false;
	for (const char *c = p; c < end; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_:", *c))
			return false;
	snprintf(s->host, sizeof(s->host), "%.*s", (int)(end - p), p);
	return true;
}

int
ch_server_nth(const struct ch_conf *c, unsigned i, struct ch_server *ret_server)
{
	struct ch_server s = { .port = (uint16_t)(c->port ? c->port : c->tls ? 8443 : 8123) };
	const char *p = c->host;
	size_t n;

	for (; i; i--) {
		p = strchr(p, ',');
		if (!p)
			return 0;
		p++;
	}
	p += strspn(p, " \t");
	n = strcspn(p, ",");
	while (n && isspace((unsigned char)p[n - 1]))
		n--;
	if (!server_take(p, n, &s))
		return -EINVAL;
	*ret_server = s;
	return 1;
}

unsigned
ch_servers(const struct ch_conf *c)
{
	struct ch_server server;
	unsigned n = 0;

	while (n < CH_SERVERS && ch_server_nth(c, n, &server) > 0)
		n++;
	return n;
}

/* Its first line; what is no header is refused. */
int
ch_password_read(const char *path, char **ret_password)
{
	char text[SECRET_MAX + 2] = "", *copy;
	FILE *f = fopen(path, "re");
	int r = 0;

	if (!f)
		return -errno;
	if (!fgets(text, sizeof(text), f) && ferror(f))
		r = -EIO;
	fclose(f);
	text[strcspn(text, "\r\n")] = '\0';
	for (const char *p = text; *p && r == 0; p++)
		if (iscntrl((unsigned char)*p))
			r = -EINVAL;
	if (strlen(text) > SECRET_MAX)
		r = -E2BIG;
	copy = r == 0 ? strdup(text) : NULL;
	explicit_bzero(text, sizeof(text));
	if (r == 0 && !copy)
		r = -ENOMEM;
	if (r == 0)
		*ret_password = copy;
	return r;
}

void
ch_password_forget(char **password)
{
	if (*password)
		explicit_bzero(*password, strlen(*password));
	free(*password);
	*password = NULL;
}

/* ---- a request ------------------------------------------------------------------- */

void
ch_put_quoted(struct buf *b, const char *text)
{
	buf_puts(b, "'");
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_puts(b, "\\");
		buf_put(b, text, 1);
	}
	buf_puts(b, "'");
}

static int
header_add(struct curl_slist **list, const char *name, const char *value)
{
	struct buf b = { 0 };
	struct curl_slist *more;

	buf_puts(&b, name);
	buf_puts(&b, value);
	more = b.failed ? NULL : curl_slist_append(*list, b.p);
	if (b.p)
		explicit_bzero(b.p, b.len);
	buf_free(&b);
	if (!more)
		return -ENOMEM;
	*list = more;
	return 0;
}

/* With the rights left after the start the file may be closed to us. */
static const char *
password_of(const struct ch *s)
{
	const char *p = s->password ? s->password : CH_CONF(s)->password;

	return p ? p : "";
}

static int
headers_make(const struct ch *s, struct curl_slist **ret_list)
{
	const struct ch_conf *c = CH_CONF(s);
	int r = header_add(ret_list, "Expect:", "");

	if (r == 0)
		r = header_add(ret_list, "Content-Type: ", "application/octet-stream");
	if (r == 0)
		r = header_add(ret_list, "User-Agent: ", "ctflowd");
	if (r == 0)
		r = header_add(ret_list, "X-ClickHouse-User: ", c->user);
	if (r == 0 && *password_of(s))
		r = header_add(ret_list, "X-ClickHouse-Key: ", password_of(s));
	return r;
}

static void
headers_free(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

static int
url_make(const struct ch *s, const char *query, struct buf *url)
{
	const struct ch_conf *c = CH_CONF(s);
	struct ch_server server;
	bool v6;

	if (ch_server_nth(c, s->server, &server) <= 0)
		return -EINVAL;
	v6 = strchr(server.host, ':') != NULL;
	buf_puts(url, c->tls ? "https://" : "http://");
	buf_puts(url, v6 ? "[" : "");
	buf_puts(url, server.host);
	buf_puts(url, v6 ? "]:" : ":");
	buf_num(url, server.port);
	buf_puts(url, "/");
	if (query) {
		char *escaped = curl_easy_escape(s->http.easy, query, 0);

		buf_puts(url, "?query=");
		buf_puts(url, escaped ? escaped : "");
		url->failed |= !escaped;
		curl_free(escaped);
	}
	/* Statements of ours insert as well. */
	buf_puts(url, query ? "&" BLOCK : "?" BLOCK);
	buf_puts(url, s->version >= 2111 ? "&async_insert=0" : "");
	return url->failed ? -ENOMEM : 0;
}

/* ---- answers ------------------------------------------------------------------------ */

/* ClickHouse's numbers, of errors that are mistakes in some configuration. */
static int
code_errno(unsigned code)
{
	static const struct {
		uint16_t code;
		int error;
	} codes[] = {
		{ 192, EACCES }, { 193, EACCES }, { 194, EACCES }, { 195, EACCES },
		{ 497, EACCES }, { 516, EACCES }, { 60, ENOENT },  { 81, ENOENT },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i].code == code)
			return codes[i].error;
	return EREMOTEIO;
}

/* One line of what the server said, without its tail of versions and traces. */
static void
said(const struct ch_answer *a, char *ret_text, size_t size)
{
	static const char *const tails[] = { ", e.what()", ". Stack trace", " (version ",
					     "Stack trace:" };
	size_t n;

	snprintf(ret_text, size, "%s", a->text.len ? a->text.p : "");
	for (unsigned i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		char *tail = strstr(ret_text, tails[i]);

		if (tail)
			*tail = '\0';
	}
	for (n = 0; ret_text[n]; n++)
		if (!isprint((unsigned char)ret_text[n]))
			ret_text[n] = ' ';
	while (n && ret_text[n - 1] == ' ')
		ret_text[--n] = '\0';
}

static int
refused(const struct ch *s, const struct ch_answer *a, struct ctf_err *err)
{
	const char *code = a->text.len ? strstr(a->text.p, "Code: ") : NULL;
	unsigned number = code ? (unsigned)strtoul(code + 6, NULL, 10) : 0;
	int error = number ? code_errno(number) : EPROTO;
	char text[300];

	if (!number && (a->status == 401 || a->status == 403))
		error = EACCES;
	said(a, text, sizeof(text));
	return ctf_fail(err, error, "%s: HTTP status %ld%s%s", s->where, a->status,
			*text ? ": " : "", text);
}

static int
failed(const struct ch *s, int r, const char *why, struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	/* With TLS 1.3 the server says so too late to be heard. */
	bool bare = r == -ECONNRESET && c->tls && !*c->tls_cert;

	return ctf_fail(err, -r, "%s: %s%s", s->where, *why ? why : strerror(-r),
			bare ? "; it may want a certificate (tls_cert)" : "");
}

/*
 * Rows are in when the answer is an empty 200: an error that came late stands in
 * the text.
 */
static int
judge(const struct ch *s, const struct ch_answer *a, bool rows, struct ctf_err *err)
{
	char text[200];

	if (a->status != 200)
		return refused(s, a, err);
	if (a->cut)
		return ctf_fail(err, EPROTO, "%s: an answer without an end", s->where);
	if (!rows && !strstr(a->text.p, "DB::Exception"))
		return 0;
	if (!a->text.len)
		return 0;
	said(a, text, sizeof(text));
	return ctf_fail(err, EPROTO, "%s: not an answer of ClickHouse: %s", s->where, text);
}

static int
request(struct ch *s, const char *query, struct ch_body *body, struct buf *ret_text,
	struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	struct curl_slist *headers = NULL;
	struct ch_answer a = { 0 };
	struct buf url = { 0 };
	const char *why = "";
	int r = url_make(s, query, &url);

	if (r == 0)
		r = headers_make(s, &headers);
	if (r == 0)
		r = ch_http_do(&s->http, s->obj.ctx,
			       &(struct ch_request){ .url = url.p,
						     .headers = headers,
						     .body = body,
						     .ca = c->tls_ca,
						     .cert = c->tls_cert,
						     .key = c->tls_key,
						     .connect_ms = c->connect_timeout,
						     .idle_ms = c->timeout },
			       &a, &why);
	buf_free(&url);
	headers_free(headers);
	if (r < 0)
		return failed(s, r, why, err);
	r = judge(s, &a, query != NULL, err);
	if (r == 0 && ret_text)
		*ret_text = a.text;
	else
		buf_free(&a.text);
	return r;
}

struct text_body {
	struct ch_body body;
	const char *text;
	size_t at;
};

static size_t
text_read(struct ch_body *body, uint8_t *p, size_t n)
{
	struct text_body *t = (struct text_body *)body;
	size_t left = (size_t)body->len - t->at;

	n = n < left ? n : left;
	memcpy(p, t->text + t->at, n);
	t->at += n;
	return n;
}

static void
text_rewind(struct ch_body *body)
{
	((struct text_body *)body)->at = 0;
}

int
ch_run(struct ch *s, const char *sql, struct buf *ret_text, struct ctf_err *err)
{
	struct text_body t = { { strlen(sql), text_read, text_rewind }, sql, 0 };

	return request(s, NULL, &t.body, ret_text, err);
}

int
ch_insert(struct ch *s, const char *table, const char *columns, struct ch_body *body,
	  struct ctf_err *err)
{
	struct buf sql = { 0 };
	int r;

	buf_puts(&sql, "INSERT INTO ");
	buf_puts(&sql, CH_CONF(s)->db);
	buf_puts(&sql, ".");
	buf_puts(&sql, table);
	buf_puts(&sql, " (");
	buf_puts(&sql, columns);
	buf_puts(&sql, ") FORMAT RowBinary");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory")
		       : request(s, sql.p, body, NULL, err);
	buf_free(&sql);
	if (r == 0) {
		ctf_count(s->posts, 1);
		s->wrote = s->server + 1;
	}
	return r;
}
