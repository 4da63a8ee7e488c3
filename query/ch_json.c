/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_json.c - the JSON of an answer, as it comes. */
#include <errno.h>
#include <stdlib.h>

#include "ch_json.h"

#define ROW (1u << 20)     /* bytes of one */
#define BETWEEN (1u << 20) /* bytes that are no row, before the next one */
#define DEEP 16u
#define WAIT_MS 100u

/* ---- bytes ------------------------------------------------------------------------ */

/* What the server said instead of an answer. */
int
json_server_says(const struct ch_answer *a, const char *text, struct ctf_err *err)
{
	int code = strncmp(text, "Code: ", 6) == 0 ? atoi(text + 6) : 0;
	const char *what = strstr(text, "DB::Exception: ");

	what = what ? what + 15 : text;
	switch (code) {
	case 192: /* unknown user, */
	case 193: /* wrong password, */
	case 194: /* none given, */
	case 516: /* one of these */
		return ctf_fail(err, EACCES, "%s: user or password refused: %.200s",
				a->ch->name, what);
	case 81:
		return ctf_fail(err, ENOENT, "%s: there is no such database", a->ch->name);
	case 60:
		return ctf_fail(err, ENOENT, "%s: no history of ctflowd's making: %.160s",
				a->ch->name, what);
	default:
		return ctf_fail(err, EIO, "%s: the server says: %.300s", a->ch->name,
				*what ? what : "nothing");
	}
}

/* 1: there are bytes, 0: no more, or -errno. */
static int
fill(struct ch_answer *a, struct ctf_err *err)
{
	uint64_t since = ctf_mono_ms();
	char why[HTTP_WHY] = "";

	a->at = a->n = 0;
	while (!a->ended) {
		ssize_t n = a->ch->http->read(a->http, a->buf, sizeof(a->buf), WAIT_MS, why);

		q_progress(a->q, 0, 0);
		if (q_cancelled(a->q))
			return ctf_fail(err, EINTR, "interrupted");
		if (n > 0) {
			a->n = (size_t)n;
			return 1;
		}
		if (n == 0)
			a->ended = true;
		else if (n == -ENOMEM)
			return ctf_fail(err, ENOMEM, "out of memory");
		else if (n != -EAGAIN)
			return ctf_fail(err, EIO, "%s: %s", a->ch->name, why);
		else if (ctf_mono_ms() - since > a->ch->timeout_ms)
			return ctf_fail(err, ETIMEDOUT, "%s: no answer for %u s", a->ch->name,
					a->ch->timeout_ms / 1000);
	}
	return 0;
}

/* The next character: > 0; 0: the end, or -errno. */
int
json_peek(struct ch_answer *a, struct ctf_err *err)
{
	int r;

	while (a->at == a->n) {
		r = fill(a, err);
		if (r <= 0)
			return r;
	}
	return (unsigned char)a->buf[a->at] ? (unsigned char)a->buf[a->at] : 1;
}

/*
 * Something else than was to be expected: an error of the server, if its words
 * are there, else nonsense.
 */
int
json_unexpected(struct ch_answer *a, struct ctf_err *err)
{
	char text[512];
	const char *said;
	size_t n = 0;
	int c;

	while (n < sizeof(text) - 1 && (c = json_peek(a, err)) > 0) {
		text[n++] = c < ' ' ? ' ' : (char)c;
		a->at++;
	}
	text[n] = '\0';
	if (c < 0)
		return c;
	if (strstr(text, "Code: "))
		return json_server_says(a, strstr(text, "Code: "), err);
	if (!n && a->ended && a->used < a->room) { /* it may have broken off within a string */
		a->row[a->used] = '\0';
		said = memmem(a->row, a->used, "Code: ", 6);
		if (said)
			return json_server_says(a, said, err);
	}
	if (!n && a->ended)
		return ctf_fail(err, EIO, "%s: the answer is cut off", a->ch->name);
	return ctf_fail(err, EIO, "%s: not an answer of ClickHouse: \"%.60s\"", a->ch->name,
			text);
}

/* ---- JSON -------------------------------------------------------------------------- */

/* The next character that is no blank; 0: the end, or -errno. */
int
json_look(struct ch_answer *a, struct ctf_err *err)
{
	int c;

	while ((c = json_peek(a, err)) == ' ' || c == '\t' || c == '\n' || c == '\r') {
		a->at++;
		if (++a->skipped > BETWEEN)
			return ctf_fail(err, EIO, "%s: an answer without end", a->ch->name);
	}
	return c;
}

int
json_expect(struct ch_answer *a, int want, struct ctf_err *err)
{
	int c = json_look(a, err);

	if (c < 0)
		return c;
	if (c != want)
		return json_unexpected(a, err);
	a->at++;
	return 0;
}

/* Appends to the row. */
static int
keep(struct ch_answer *a, int c, struct ctf_err *err)
{
	size_t room = a->room ? 2 * a->room : 1024;
	char *more;

	if (a->used == ROW)
		return ctf_fail(err, EIO, "%s: an answer without end", a->ch->name);
	if (a->used == a->room) {
		more = realloc(a->row, room);
		if (!more)
			return ctf_fail(err, ENOMEM, "out of memory");
		a->row = more;
		a->room = room;
	}
	a->row[a->used++] = (char)c;
	return 0;
}

/* Behind "\u"; what is not ASCII nobody here needs. */
static int
unicode(struct ch_answer *a, struct ctf_err *err)
{
	char hex[5] = "";
	unsigned long x;
	int c;

	for (unsigned i = 0; i < 4; i++, a->at++) {
		c = json_peek(a, err);
		if (c < 0)
			return c;
		if (c == 0 || !strchr("0123456789abcdefABCDEF", c))
			return json_unexpected(a, err);
		hex[i] = (char)c;
	}
	x = strtoul(hex, NULL, 16);
	return keep(a, x && x < 128 ? (int)x : '?', err);
}

static int
escaped(struct ch_answer *a, struct ctf_err *err)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = json_peek(a, err);
	const char *p;

	if (c < 0)
		return c;
	if (c == 'u') {
		a->at++;
		return unicode(a, err);
	}
	p = c ? strchr(from, c) : NULL;
	if (!p)
		return json_unexpected(a, err);
	a->at++;
	return keep(a, to[p - from], err);
}

/* Without its quotes, into the row. */
int
json_string(struct ch_answer *a, struct ctf_err *err)
{
	int c, r = json_expect(a, '"', err);

	while (r == 0) {
		c = json_peek(a, err);
		if (c < 0)
			return c;
		if (c == 0)
			return json_unexpected(a, err);
		a->at++;
		if (c == '"')
			return keep(a, '\0', err);
		r = c == '\\' ? escaped(a, err) : keep(a, c, err);
	}
	return r;
}

/* A number, or null, true, false. */
int
json_bare(struct ch_answer *a, struct ctf_err *err)
{
	static const char fits[] = "+-.0123456789abcdefghijklmnopqrstuvwxyzE";
	size_t before = a->used;
	int c, r = 0;

	while (r == 0 && (c = json_peek(a, err)) > 0 && strchr(fits, c)) {
		r = keep(a, c, err);
		a->at++;
	}
	if (r < 0 || c < 0)
		return r < 0 ? r : c;
	return a->used == before ? json_unexpected(a, err) : keep(a, '\0', err);
}

static int value_skip(struct ch_answer *, unsigned depth, struct ctf_err *);

/* The values of an object or array whose end is that; the row is not touched. */
static int
group_skip(struct ch_answer *a, int end, unsigned depth, struct ctf_err *err)
{
	int c, r = 0;

	a->at++;
	if ((c = json_look(a, err)) == end) {
		a->at++;
		return 0;
	}
	while (r == 0) {
		if (end == '}')
			r = value_skip(a, depth, err);
		if (r == 0 && end == '}')
			r = json_expect(a, ':', err);
		if (r == 0)
			r = value_skip(a, depth, err);
		c = r == 0 ? json_look(a, err) : r;
		if (c < 0)
			return c;
		if (c != end && c != ',')
			return json_unexpected(a, err);
		a->at++;
		if (c == end)
			return 0;
	}
	return r;
}

static int
value_skip(struct ch_answer *a, unsigned depth, struct ctf_err *err)
{
	size_t before = a->used;
	int c = json_look(a, err), r;

	if (c < 0)
		return c;
	if (depth == DEEP)
		return json_unexpected(a, err);
	if (c == '{' || c == '[')
		r = group_skip(a, c == '{' ? '}' : ']', depth + 1, err);
	else
		r = c == '"' ? json_string(a, err) : json_bare(a, err);
	a->skipped += a->used - before;
	a->used = before;
	if (r == 0 && a->skipped > BETWEEN)
		r = ctf_fail(err, EIO, "%s: an answer without end", a->ch->name);
	return r;
}

int
json_skip(struct ch_answer *a, struct ctf_err *err)
{
	return value_skip(a, 0, err);
}
