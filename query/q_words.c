/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_words.c - "EXPR since T until T limit N", and single addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "graph.h"
#include "query.h"

/* ---- expressions --------------------------------------------------------------- */

static char *
joined(int argc, char **argv)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (int i = 0; i < argc; i++)
		fprintf(f, "%s%s", i ? " " : "", argv[i]);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int
q_expr(int argc, char **argv, struct ctf_expr **ret_expr, struct ctf_err *err)
{
	char id[] = "ctflow", *text = joined(argc, argv);
	struct inst inst = { .id = id };
	struct ctf_ctx ctx = { .inst = &inst };
	int r = text ? ctf_expr_parse(&ctx, "expression", text, ret_expr, err)
		     : ctf_fail(err, ENOMEM, "out of memory");

	free(text);
	return r;
}

/* ---- words ------------------------------------------------------------------------- */

static unsigned
keyword(const char *word)
{
	static const char *const names[] = { "since", "until", "limit", "where" };

	for (unsigned i = 0; i < 4; i++)
		if (strcasecmp(word, names[i]) == 0)
			return 1u << i;
	return 0;
}

/* "yesterday 12:00" may be two words. */
static int
time_words(struct q *q, int *i, int argc, char **argv, int64_t *ret_ns, struct ctf_err *err)
{
	const char *more = *i + 1 < argc ? argv[*i + 1] : "";
	bool clock = more[0] >= '0' && more[0] <= '9' && more[1] && more[2] == ':';
	int from = *i, r;
	char *text;

	if (clock && !strchr(argv[from], ':'))
		++*i;
	text = joined(*i - from + 1, argv + from);
	if (!text)
		return ctf_fail(err, ENOMEM, "out of memory");
	r = q_when(q, text, ret_ns, err);
	free(text);
	return r;
}

static int
limit_word(const char *word, uint64_t *ret_limit, struct ctf_err *err)
{
	size_t n = strspn(word, "0123456789");

	errno = 0;
	*ret_limit = strtoull(word, NULL, 10);
	if (!n || word[n] || errno || !*ret_limit)
		return ctf_fail(err, EINVAL, "limit \"%.40s\": a number from 1 on is expected",
				word);
	return 0;
}

/* All words up to the next keyword. */
static int
where_words(struct q_words *w, int *i, int argc, char **argv, struct ctf_err *err)
{
	int from = *i;

	while (*i + 1 < argc && !keyword(argv[*i + 1]))
		++*i;
	return q_expr(*i - from + 1, argv + from, &w->expr, err);
}

static int
one_word(struct q *q, struct q_words *w, unsigned key, int *i, int argc, char **argv,
	 struct ctf_err *err)
{
	switch (key) {
	case Q_W_SINCE:
		return time_words(q, i, argc, argv, &w->since, err);
	case Q_W_UNTIL:
		return time_words(q, i, argc, argv, &w->until, err);
	case Q_W_LIMIT:
		return limit_word(argv[*i], &w->limit, err);
	default:
		return where_words(w, i, argc, argv, err);
	}
}

int
q_words(struct q *q, int argc, char **argv, unsigned may, struct q_words *ret_words,
	struct ctf_err *err)
{
	struct q_words *w = ret_words;
	unsigned seen = 0;
	int r = 0;

	*w = (struct q_words){ .since = Q_NEVER, .until = Q_NEVER, .argv = argv };
	while (w->argc < argc && !keyword(argv[w->argc]))
		w->argc++;
	for (int i = w->argc; i < argc && r == 0; i++) {
		const char *word = argv[i];
		unsigned key = keyword(word);

		if (!(key & may))
			return ctf_fail(err, EINVAL, "\"%.60s\" is not expected here", word);
		if (key & seen)
			return ctf_fail(err, EINVAL, "\"%s\" is given twice", word);
		if (++i == argc)
			return ctf_fail(err, EINVAL, "something is missing behind \"%s\"",
					word);
		seen |= key;
		r = one_word(q, w, key, &i, argc, argv, err);
	}
	if (r == 0 && w->since != Q_NEVER && w->until != Q_NEVER && w->since >= w->until)
		return ctf_fail(err, EINVAL, "\"since\" is not before \"until\"");
	return r;
}

void
q_words_free(struct q_words *w)
{
	ctf_expr_free(w->expr);
	w->expr = NULL;
}

/* ---- addresses ------------------------------------------------------------------------ */

static bool
port_of(const char *text, int *ret_port)
{
	size_t n = strspn(text, "0123456789");

	if (!n || n > 5 || text[n] || atoi(text) > UINT16_MAX)
		return false;
	*ret_port = atoi(text);
	return true;
}

/* 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80 */
int
q_addr_parse(const char *text, struct q_addr *ret_addr, int *ret_port, struct ctf_err *err)
{
	char ip[INET6_ADDRSTRLEN + 1];
	const char *p = text, *end, *port = NULL;
	struct q_addr a = { .family = AF_INET6 };
	int n = -1;

	if (*p == '[') {
		end = strchr(++p, ']');
		if (end && end[1] == ':')
			port = end + 2;
		else if (end && end[1])
			end = NULL;
	} else {
		end = strchr(p, ':');
		if (end && !strchr(end + 1, ':'))
			port = end + 1;
		if (!port)
			end = p + strlen(p);
	}
	if (!end || (size_t)(end - p) >= sizeof(ip) || (port && !ret_port))
		return ctf_fail(err, EINVAL, "\"%.60s\" is not an address", text);
	memcpy(ip, p, (size_t)(end - p));
	ip[end - p] = '\0';
	if (!strchr(ip, ':'))
		a.family = AF_INET;
	if (inet_pton(a.family, ip, a.ip) != 1 || (a.family == AF_INET && *text == '['))
		return ctf_fail(err, EINVAL, "\"%.60s\" is not an IPv4 or IPv6 address%s", text,
				ret_port ? ", with a port or without" : "");
	if (port && !port_of(port, &n))
		return ctf_fail(err, EINVAL,
				"\"%.60s\": the port is not a number from 0 to 65535", text);
	*ret_addr = a;
	if (ret_port)
		*ret_port = n;
	return 0;
}
