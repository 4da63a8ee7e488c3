/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_url.c - clickhouse[s]://[USER@]HOST[:PORT]/DATABASE[?password_file=FILE&ca=FILE&timeout=60]
 *
 * A password is in no command line, where others could read it.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "ch.h"

#define PLAIN "clickhouse://"
#define TLS "clickhouses://"
#define TIMEOUT_MS 300000u
#define SECRET 4096u /* as for the output */

bool
ch_is_url(const char *text)
{
	return strncmp(text, PLAIN, sizeof(PLAIN) - 1) == 0 ||
	       strncmp(text, TLS, sizeof(TLS) - 1) == 0;
}

void
ch_free(struct ch *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->nexporters; i++)
		free(c->exporters[i]);
	for (unsigned i = 0; i < 3; i++) {
		if (c->headers[i])
			explicit_bzero(c->headers[i], strlen(c->headers[i]));
		free(c->headers[i]);
	}
	free(c->exporters);
	tdestroy(c->words, free);
	free(c->name);
	free(c->url);
	free(c->user);
	free(c->ca);
	free(c->password_file);
	if (c->module)
		dlclose(c->module);
	free(c);
}

/* ---- its parts ------------------------------------------------------------------- */

/* n characters with %XX decoded; NULL: they are not well formed. */
static char *
decoded(const char *p, size_t n)
{
	char *text = malloc(n + 1), *to = text;

	for (size_t i = 0; text && i < n; i++) {
		char hex[3] = "";

		if (p[i] != '%') {
			*to++ = p[i];
			continue;
		}
		if (i + 2 < n) {
			hex[0] = p[i + 1];
			hex[1] = p[i + 2];
		}
		if (!isxdigit((unsigned char)hex[0]) || !isxdigit((unsigned char)hex[1]) ||
		    strcmp(hex, "00") == 0) {
			free(text);
			return NULL;
		}
		*to++ = (char)strtoul(hex, NULL, 16);
		i += 2;
	}
	if (text)
		*to = '\0';
	return text;
}

/* Of what stands in a header or in the URL nothing may begin a new line. */
static bool
is_clean(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

static int
user_read(struct ch *c, const char *text, const char **rest, struct ctf_err *err)
{
	size_t n = strcspn(text, "@/?");

	*rest = text;
	if (text[n] != '@')
		return 0;
	if (memchr(text, ':', n))
		return ctf_fail(err, EINVAL,
				"a password does not belong into a command line: name a file "
				"with ?password_file=FILE, or set CLICKHOUSE_PASSWORD");
	c->user = decoded(text, n);
	*rest = text + n + 1;
	if (!c->user || !*c->user || !is_clean(c->user))
		return ctf_fail(err, EINVAL, "%s: no user before \"@\"", text);
	return 0;
}

/* HOST[:PORT] ends at the slash; the default port is made explicit. */
static int
host_read(struct ch *c, const char *text, bool tls, const char **rest, struct ctf_err *err)
{
	size_t n = strcspn(text, "/?"), name = n;
	const char *colon = memchr(text, ':', n);
	unsigned long port = tls ? 8443 : 8123;
	char *end;

	if (*text == '[') { /* IPv6 */
		name = strcspn(text, "]") + 1;
		colon = name < n && text[name] == ':' ? text + name : NULL;
		if (name > n || (name < n && !colon))
			return ctf_fail(err, EINVAL, "%s: not an address", text);
	}
	if (colon) {
		name = (size_t)(colon - text);
		port = strtoul(colon + 1, &end, 10);
		if (!isdigit((unsigned char)colon[1]) || end != text + n || port < 1 ||
		    port > 65535)
			return ctf_fail(err, EINVAL, "%s: not a port", colon + 1);
	}
	for (size_t i = 0; i < name; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-._:[]%", text[i]))
			name = 0;
	if (!name)
		return ctf_fail(err, EINVAL, "\"%.80s\": no host", text);
	*rest = text + n;
	if (asprintf(&c->name, "%s%.*s:%lu/", tls ? TLS : PLAIN, (int)name, text, port) < 0)
		c->name = NULL;
	if (asprintf(&c->url, "%s://%.*s:%lu/", tls ? "https" : "http", (int)name, text, port) <
	    0)
		c->url = NULL;
	return c->name && c->url ? 0 : ctf_fail(err, ENOMEM, "out of memory");
}

/* Appends it; database names in URLs are of plain characters or %XX. */
static int
database_add(struct ch *c, const char *text, size_t n, struct ctf_err *err)
{
	char *name = decoded(text, n), *both;

	if (!name || !*name || !is_clean(name)) {
		free(name);
		return ctf_fail(err, EINVAL, "%s: the database is missing", c->name);
	}
	free(name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-._~%", text[i]))
			return ctf_fail(err, EINVAL,
					"%s: \"%c\" in the name of a database is %%%02X here",
					c->name, text[i], (unsigned char)text[i]);
	if (asprintf(&both, "%s%.*s", c->name, (int)n, text) >= 0) {
		free(c->name);
		c->name = both;
		if (asprintf(&both, "%s?database=%.*s", c->url, (int)n, text) >= 0) {
			free(c->url);
			c->url = both;
			return 0;
		}
	}
	return ctf_fail(err, ENOMEM, "out of memory");
}

static int
parameter(struct ch *c, const char *text, size_t n, struct ctf_err *err)
{
	const char *equal = memchr(text, '=', n);
	size_t key = equal ? (size_t)(equal - text) : n;
	char *value = equal ? decoded(equal + 1, n - key - 1) : NULL;
	int64_t ns;

	if (value && key == 13 && strncmp(text, "password_file", key) == 0) {
		free(c->password_file);
		c->password_file = value;
		return 0;
	}
	if (value && key == 2 && strncmp(text, "ca", key) == 0) {
		free(c->ca);
		c->ca = value;
		return 0;
	}
	if (value && key == 7 && strncmp(text, "timeout", key) == 0 &&
	    q_length(value, &ns, NULL) == 0 && ns >= 1000000 && ns / 1000000 <= 86400000) {
		c->timeout_ms = (unsigned)(ns / 1000000);
		free(value);
		return 0;
	}
	free(value);
	return ctf_fail(err, EINVAL,
			"\"%.*s\": behind \"?\" go password_file=FILE, ca=FILE or timeout=60s",
			(int)n, text);
}

/* ---- who asks ---------------------------------------------------------------------- */

static int
password_read(const struct ch *c, char *text, struct ctf_err *err)
{
	const char *env = getenv("CLICKHOUSE_PASSWORD");
	FILE *f;
	int r = 0;

	*text = '\0';
	if (!c->password_file) {
		if (env && strlen(env) >= SECRET)
			return ctf_fail(err, EINVAL, "CLICKHOUSE_PASSWORD is too long");
		strcpy(text, env ? env : "");
		return 0;
	}
	f = fopen(c->password_file, "re");
	if (!f)
		return ctf_fail(err, errno, "%s: %s", c->password_file, strerror(errno));
	if (!fgets(text, SECRET, f) && ferror(f))
		r = ctf_fail(err, EIO, "%s: cannot be read", c->password_file);
	else if (strlen(text) == SECRET - 1)
		r = ctf_fail(err, EINVAL, "%s: its first line is too long", c->password_file);
	text[strcspn(text, "\r\n")] = '\0';
	fclose(f);
	return r;
}

static int
headers_make(struct ch *c, struct ctf_err *err)
{
	char secret[SECRET];
	int r = password_read(c, secret, err);

	if (r == 0 && !is_clean(secret))
		r = ctf_fail(err, EINVAL, "a password cannot have control characters");
	if (r == 0 && c->user &&
	    asprintf(&c->headers[0], "X-ClickHouse-User: %s", c->user) < 0) {
		c->headers[0] = NULL;
		r = ctf_fail(err, ENOMEM, "out of memory");
	}
	if (r == 0 && *secret &&
	    asprintf(&c->headers[c->user ? 1 : 0], "X-ClickHouse-Key: %s", secret) < 0) {
		c->headers[c->user ? 1 : 0] = NULL;
		r = ctf_fail(err, ENOMEM, "out of memory");
	}
	explicit_bzero(secret, sizeof(secret));
	return r;
}

static int
parse(struct ch *c, const char *text, struct ctf_err *err)
{
	bool tls = strncmp(text, TLS, sizeof(TLS) - 1) == 0;
	const char *rest;
	size_t n;
	int r;

	c->timeout_ms = TIMEOUT_MS;
	r = user_read(c, text + (tls ? sizeof(TLS) : sizeof(PLAIN)) - 1, &rest, err);
	if (r == 0)
		r = host_read(c, rest, tls, &rest, err);
	if (r < 0)
		return r;
	rest += *rest == '/';
	n = strcspn(rest, "?/&");
	r = database_add(c, rest, n, err);
	rest += n;
	if (r == 0 && *rest && *rest != '?')
		r = ctf_fail(err, EINVAL, "%s: \"%s\" is not expected", c->name, rest);
	while (r == 0 && *rest) {
		n = strcspn(++rest, "&");
		r = parameter(c, rest, n, err);
		rest += n;
	}
	return r == 0 ? headers_make(c, err) : r;
}

int
ch_url(const char *text, struct ch **ret_ch, struct ctf_err *err)
{
	struct ch *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return ctf_fail(err, ENOMEM, "out of memory");
	r = parse(c, text, err);
	if (r < 0)
		ch_free(c);
	else
		*ret_ch = c;
	return r;
}

/* ---- the module --------------------------------------------------------------------- */

int
ch_module(struct ch *c, struct ctf_err *err)
{
	const char *path = getenv("CTFLOW_MODULE"); /* tests have it in the build folder */

	c->module = dlopen(path ? path : PKGLIBDIR "/" HTTP_MODULE,
			   RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!c->module)
		return ctf_fail(err, ENOENT,
				"%s: the package ctflowd-clickhouse is needed to ask a server "
				"(%s)",
				c->name, dlerror());
	c->http = dlsym(c->module, HTTP_SYMBOL);
	if (!c->http || c->http->abi != HTTP_ABI)
		return ctf_fail(err, EINVAL, "%s: %s is of another version", c->name,
				path ? path : HTTP_MODULE);
	return 0;
}
