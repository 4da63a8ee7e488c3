/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clickhouse_conn.c - CLICKHOUSE: servers, statements, and what the server has. */
#include "clickhouse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_MAX 4096
#define BLOCK "&max_insert_block_size=1048576&insert_distributed_sync=1"

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
		if (!isalnum((unsigned char)*c) && !strchr(".-_:%", *c))
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
ch_put_quoted(struct ch_buf *b, const char *text)
{
	ch_buf_puts(b, "'");
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			ch_buf_puts(b, "\\");
		ch_buf_put(b, text, 1);
	}
	ch_buf_puts(b, "'");
}

static int
header_add(struct curl_slist **list, const char *name, const char *value)
{
	struct ch_buf b = { 0 };
	struct curl_slist *more;

	ch_buf_puts(&b, name);
	ch_buf_puts(&b, value);
	more = b.failed ? NULL : curl_slist_append(*list, b.p);
	if (b.p)
		explicit_bzero(b.p, b.len);
	ch_buf_free(&b);
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
url_make(const struct ch *s, const char *query, struct ch_buf *url)
{
	const struct ch_conf *c = CH_CONF(s);
	struct ch_server server;
	bool v6;

	if (ch_server_nth(c, s->server, &server) <= 0)
		return -EINVAL;
	v6 = strchr(server.host, ':') != NULL;
	ch_buf_puts(url, c->tls ? "https://" : "http://");
	ch_buf_puts(url, v6 ? "[" : "");
	ch_buf_puts(url, server.host);
	ch_buf_puts(url, v6 ? "]:" : ":");
	ch_buf_num(url, server.port);
	ch_buf_puts(url, "/");
	if (query) {
		char *escaped = curl_easy_escape(s->http.easy, query, 0);

		ch_buf_puts(url, "?query=");
		ch_buf_puts(url, escaped ? escaped : "");
		url->failed |= !escaped;
		curl_free(escaped);
		ch_buf_puts(url, BLOCK);
		ch_buf_puts(url, s->version >= 2200 ? "&async_insert=0" : "");
	}
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
	return ctf_fail(err, -r, "%s: %s", s->where, *why ? why : strerror(-r));
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
request(struct ch *s, const char *query, struct ch_body *body, struct ch_buf *ret_text,
	struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	struct curl_slist *headers = NULL;
	struct ch_answer a = { 0 };
	struct ch_buf url = { 0 };
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
	ch_buf_free(&url);
	headers_free(headers);
	if (r < 0)
		return failed(s, r, why, err);
	r = judge(s, &a, query != NULL, err);
	if (r == 0 && ret_text)
		*ret_text = a.text;
	else
		ch_buf_free(&a.text);
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
ch_run(struct ch *s, const char *sql, struct ch_buf *ret_text, struct ctf_err *err)
{
	struct text_body t = { { strlen(sql), text_read, text_rewind }, sql, 0 };

	return request(s, NULL, &t.body, ret_text, err);
}

int
ch_insert(struct ch *s, const char *table, const char *columns, struct ch_body *body,
	  struct ctf_err *err)
{
	struct ch_buf sql = { 0 };
	int r;

	ch_buf_puts(&sql, "INSERT INTO ");
	ch_buf_puts(&sql, CH_CONF(s)->db);
	ch_buf_puts(&sql, ".");
	ch_buf_puts(&sql, table);
	ch_buf_puts(&sql, " (");
	ch_buf_puts(&sql, columns);
	ch_buf_puts(&sql, ") FORMAT RowBinary");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory")
		       : request(s, sql.p, body, NULL, err);
	ch_buf_free(&sql);
	if (r == 0)
		ctf_count(s->posts, 1);
	return r;
}

/* ---- what the server has --------------------------------------------------------------- */

static int
version_get(struct ch *s, struct ctf_err *err)
{
	struct ch_buf text = { 0 };
	unsigned major = 0, minor = 0;
	int r = ch_run(s, "SELECT version()", &text, err);

	if (r < 0)
		return r;
	if (sscanf(text.p, "%3u.%2u.", &major, &minor) != 2 || !major)
		r = ctf_fail(err, EPROTO, "%s: not an answer of ClickHouse: %.40s", s->where,
			     text.p);
	s->version = major * 100 + minor;
	ch_buf_free(&text);
	if (r == 0 && s->version < 1816)
		r = ctf_fail(err, EINVAL, "%s: version %u.%u is older than 18.16", s->where,
			     major, minor);
	return r;
}

/* Lines "table\tcolumn\ttype\n" of the database. */
static int
columns_get(struct ch *s, struct ch_buf *ret_text, struct ctf_err *err)
{
	struct ch_buf sql = { 0 };
	int r;

	ch_buf_puts(&sql, "SELECT concat('\\n', table), name, type FROM system.columns WHERE"
			  " database = ");
	ch_put_quoted(&sql, CH_CONF(s)->db);
	ch_buf_puts(&sql, " FORMAT TabSeparatedRaw");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory")
		       : ch_run(s, sql.p, ret_text, err);
	ch_buf_free(&sql);
	return r;
}

static bool
has_table(const char *columns, const char *table)
{
	char key[80];

	snprintf(key, sizeof(key), "\n%s\t", table);
	return strstr(columns, key) != NULL;
}

static bool
is_whole(const char *columns)
{
	static const char *const views[] = { "flows_src",  "flows_dst", "flows",
					     "open_flows", "gaps",      "coverage" };
	bool whole = true;

	for (const struct ch_table *t = ch_tables; t->name; t++)
		whole = whole && has_table(columns, t->name);
	for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++)
		whole = whole && has_table(columns, views[i]);
	return whole;
}

static bool
is_type(const char *has, size_t n, const char *want, size_t m)
{
	static const char low[] = "LowCardinality(";

	if (n > sizeof(low) && memcmp(has, low, sizeof(low) - 1) == 0) {
		has += sizeof(low) - 1;
		n -= sizeof(low);
	}
	return n == m && memcmp(has, want, n) == 0;
}

/* One column "name Type" as it must be. */
static int
column_check(struct ch *s, const char *columns, const char *table, const char *want,
	     struct ctf_err *err)
{
	size_t n = strcspn(want, " "), m = strcspn(want + n + 1, " ,");
	char key[160];
	const char *is;

	snprintf(key, sizeof(key), "\n%s\t%.*s\t", table, (int)n, want);
	is = strstr(columns, key);
	if (!is)
		return ctf_fail(err, EINVAL, "%s: table %s.%s has no column %.*s", s->where,
				CH_CONF(s)->db, table, (int)n, want);
	is += strlen(key);
	if (is_type(is, strcspn(is, "\n"), want + n + 1, m))
		return 0;
	return ctf_fail(err, EINVAL, "%s: column %.*s of %s.%s is %.*s, not %.*s", s->where,
			(int)n, want, CH_CONF(s)->db, table, (int)strcspn(is, "\n"), is, (int)m,
			want + n + 1);
}

static int
table_check(struct ch *s, const char *columns, const struct ch_table *t, struct ctf_err *err)
{
	const char *p = t->columns;
	int r = 0;

	if (!has_table(columns, t->name))
		return ctf_fail(err, ENOENT, "%s: there is no table %s.%s, and create is no",
				s->where, CH_CONF(s)->db, t->name);
	while (p && r == 0) {
		p += strspn(p, ", ");
		r = column_check(s, columns, t->name, p, err);
		p = strchr(p, ',');
	}
	return r;
}

static int
schema_check(struct ch *s, struct ctf_err *err)
{
	struct ch_buf text = { 0 }, sql = { 0 };
	int r;

	ch_buf_puts(&sql, "SELECT max(toUInt32OrZero(value)) FROM ");
	ch_buf_puts(&sql, CH_CONF(s)->db);
	ch_buf_puts(&sql, ".meta WHERE key = 'version'");
	r = sql.failed ? ctf_fail(err, ENOMEM, "out of memory") : ch_run(s, sql.p, &text, err);
	ch_buf_free(&sql);
	if (r == 0 && strtoul(text.p, NULL, 10) > CH_SCHEMA)
		r = ctf_fail(err, EINVAL,
			     "%s: its tables were made by a newer version of ctflowd",
			     s->where);
	ch_buf_free(&text);
	return r;
}

struct making {
	struct ch *s;
	struct ctf_err *err;
};

static int
make_one(void *arg, const char *sql)
{
	const struct making *m = arg;

	return ch_run(m->s, sql, NULL, m->err);
}

static int
schema_ready(struct ch *s, struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	struct ch_dialect d = { c->db, c->cluster, s->version };
	struct ch_buf columns = { 0 };
	int r = columns_get(s, &columns, err);

	if (r == 0 && has_table(columns.p, "meta"))
		r = schema_check(s, err);
	if (r == 0 && c->create && !is_whole(columns.p)) {
		ctf_log(s->obj.ctx, CTF_NOTICE, "%s: making the tables", s->where);
		r = ch_ddl(&d, make_one, &(struct making){ s, err });
		ch_buf_free(&columns);
		if (r == 0)
			r = columns_get(s, &columns, err);
	}
	for (const struct ch_table *t = ch_tables; t->name && r == 0; t++)
		r = table_check(s, columns.p, t, err);
	ch_buf_free(&columns);
	return r;
}

/* ---- a session ------------------------------------------------------------------------- */

static int
server_try(struct ch *s, struct ctf_err *err)
{
	const struct ch_conf *c = CH_CONF(s);
	struct ch_server server;
	int r;

	if (ch_server_nth(c, s->server, &server) <= 0)
		return ctf_fail(err, EINVAL, "host: no server %u", s->server + 1);
	snprintf(s->where, sizeof(s->where), "%s port %u", server.host, server.port);
	r = version_get(s, err);
	return r < 0 ? r : schema_ready(s, err);
}

static unsigned
servers(const struct ch_conf *c)
{
	struct ch_server server;
	unsigned n = 0;

	while (n < CH_SERVERS && ch_server_nth(c, n, &server) > 0)
		n++;
	return n;
}

/* Beginning with the one that worked last, each once.  A mistake counts if all are. */
int
ch_session(struct ch *s, struct ctf_err *err)
{
	unsigned n = servers(CH_CONF(s)), first = s->server;
	struct ctf_err one = { 0 };
	int r = -EINVAL, all = 0;

	ch_password_forget(&s->password);
	if (*CH_CONF(s)->password_file)
		ch_password_read(CH_CONF(s)->password_file, &s->password);
	for (unsigned i = 0; i < n; i++) {
		s->server = (first + i) % n;
		r = server_try(s, &one);
		if (r == 0) {
			ctf_count(s->failovers, s->server != first);
			if (s->server != first)
				ctf_log(s->obj.ctx, CTF_NOTICE, "%s takes over", s->where);
			return 0;
		}
		if (r == -EINTR)
			break;
		if (!i)
			*err = one;
		else
			snprintf(err->msg + strlen(err->msg),
				 sizeof(err->msg) - strlen(err->msg), "; %s", one.msg);
		all = !i || all == r ? r : -EHOSTUNREACH;
	}
	s->server = first;
	if (r == -EINTR)
		*err = one;
	return r == -EINTR ? r : all ? all : r;
}
