/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_answer.c - questions to a server, and its answers row by row.
 *
 * They come as JSONCompact, whose end says how many rows there were: an answer
 * that was cut off, or that an error broke off in the middle, has no such end.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ch_json.h"

#define CONNECT_MS 10000u
#define URL_MOST 15000u /* old servers take no more than 16384 bytes */
#define FORMAT " FORMAT JSONCompact"

/* ---- rows --------------------------------------------------------------------------- */

static int
cell_read(struct ch_answer *a, struct ctf_err *err)
{
	int c = json_look(a, err), r;

	if (c < 0)
		return c;
	if (a->columns == CH_CELLS)
		return json_unexpected(a, err);
	a->cell[a->columns] = a->used;
	r = c == '"' ? json_string(a, err) : json_bare(a, err);
	if (r == 0) {
		a->null[a->columns] =
			c != '"' && strcmp(a->row + a->cell[a->columns], "null") == 0;
		a->columns++;
	}
	return r;
}

static int
row_read(struct ch_answer *a, unsigned columns, struct ctf_err *err)
{
	int r = json_expect(a, '[', err);

	a->used = a->columns = 0;
	a->skipped = 0;
	for (unsigned i = 0; i < columns && r == 0; i++) {
		if (i)
			r = json_expect(a, ',', err);
		if (r == 0)
			r = cell_read(a, err);
	}
	if (r == 0)
		r = json_expect(a, ']', err);
	a->rows++;
	return r < 0 ? r : 1;
}

/* Reads "key":value until that of `data`, or to the end, whose count must be right. */
static int
keys_read(struct ch_answer *a, struct ctf_err *err)
{
	bool counted = false;
	int c, r = a->begun ? 0 : json_expect(a, '{', err);

	while (r == 0) {
		a->used = 0;
		r = json_string(a, err);
		if (r == 0)
			r = json_expect(a, ':', err);
		if (r == 0 && strcmp(a->row, "data") == 0 && !a->begun) {
			a->begun = true;
			return json_expect(a, '[', err);
		}
		if (r == 0 && strcmp(a->row, "exception") == 0) {
			a->used = 0;
			r = json_string(a, err);
			return r < 0 ? r : json_server_says(a, a->row, err);
		}
		if (r == 0 && strcmp(a->row, "rows") == 0) {
			a->used = 0;
			r = json_look(a, err) < 0 ? -EIO : json_bare(a, err);
			counted = r == 0 && strtoull(a->row, NULL, 10) == a->rows;
		} else if (r == 0) {
			r = json_skip(a, err);
		}
		c = r == 0 ? json_look(a, err) : r;
		if (c < 0)
			return c;
		if (c != ',' && c != '}')
			return json_unexpected(a, err);
		a->at++;
		if (c == '}')
			break;
	}
	if (r == 0 && (!a->begun || !counted))
		return ctf_fail(err, EIO, "%s: the answer is not whole", a->ch->name);
	return r;
}

/* Behind the last row: the keys that are left, then nothing. */
static int
finish(struct ch_answer *a, struct ctf_err *err)
{
	int c, r = json_look(a, err);

	a->at++;
	if (r >= 0)
		r = json_expect(a, ',', err);
	if (r == 0)
		r = keys_read(a, err);
	if (r < 0)
		return r;
	c = json_look(a, err);
	a->done = c == 0;
	return c <= 0 ? c : json_unexpected(a, err);
}

int
ch_row(struct ch_answer *a, unsigned columns, struct ctf_err *err)
{
	int c, r = 0;

	if (a->done)
		return 0;
	if (!a->begun) {
		r = keys_read(a, err);
		if (r < 0)
			return r;
	}
	c = json_look(a, err);
	if (c < 0)
		return c;
	if (c == ']')
		return finish(a, err);
	if (a->rows) {
		r = json_expect(a, ',', err);
		if (r < 0)
			return r;
	}
	return row_read(a, columns, err);
}

/* ---- cells ---------------------------------------------------------------------------- */

bool
ch_is_null(const struct ch_answer *a, unsigned i)
{
	return a->null[i];
}

const char *
ch_cell(const struct ch_answer *a, unsigned i)
{
	return a->null[i] ? NULL : a->row + a->cell[i];
}

int64_t
ch_int(struct ch_answer *a, unsigned i)
{
	const char *text = a->row + a->cell[i];
	char *end;
	int64_t x;

	errno = 0;
	x = strtoll(text, &end, 10);
	if (errno == ERANGE && *text != '-') { /* without sign */
		errno = 0;
		x = (int64_t)strtoull(text, &end, 10);
	}
	if (errno || end == text || *end || (*text != '-' && (*text < '0' || *text > '9')))
		a->bad = true;
	return x;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* hex() of 16 bytes: all zero is none, IPv4 is mapped into IPv6. */
void
ch_addr(struct ch_answer *a, unsigned i, struct q_addr *ret_addr)
{
	static const uint8_t none[16], mapped[12] = { [10] = 0xff, [11] = 0xff };
	const char *text = a->row + a->cell[i];
	struct q_addr ip = { .family = AF_INET6 };

	if (strlen(text) != 32)
		a->bad = true;
	for (unsigned k = 0; k < 16 && !a->bad; k++) {
		int hi = digit(text[2 * k]), lo = digit(text[2 * k + 1]);

		a->bad |= hi < 0 || lo < 0;
		ip.ip[k] = a->bad ? 0 : (uint8_t)(hi << 4 | lo);
	}
	if (a->bad || memcmp(ip.ip, none, 16) == 0) {
		*ret_addr = (struct q_addr){ .family = 0 };
		return;
	}
	if (memcmp(ip.ip, mapped, 12) == 0) {
		memmove(ip.ip, ip.ip + 12, 4);
		memset(ip.ip + 4, 0, 12);
		ip.family = AF_INET;
	}
	*ret_addr = ip;
}

int
ch_check(const struct ch_answer *a, struct ctf_err *err)
{
	return a->bad ? ctf_fail(err, EBADMSG, "%s: a row is not what was asked for",
				 a->ch->name)
		      : 0;
}

/* ---- asking ------------------------------------------------------------------------------ */

static void
put_encoded(struct ch_text *t, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		    (*p >= 'A' && *p <= 'Z') || strchr("-._~(),*'", *p))
			ch_putf(t, "%c", *p);
		else
			ch_putf(t, *p == ' ' ? "+" : "%%%02X", *p);
}

/* With tables the question stands in the URL, and they are the files of a form. */
static int
url_make(struct ch_answer *a, const struct ch_query *query, struct ctf_err *err)
{
	ch_put(&a->url, a->ch->url);
	for (unsigned i = 0; i < query->nsets; i++) {
		ch_putf(&a->url, "&ctf_%u_format=TSV&ctf_%u_structure=", i, i);
		put_encoded(&a->url, query->sets[i].structure);
	}
	if (query->nsets) {
		ch_put(&a->url, "&query=");
		put_encoded(&a->url, query->sql.p);
		if (a->url.n > URL_MOST)
			return ctf_fail(err, E2BIG,
					"%s: the expression is too long for a server beside "
					"lists of so many values",
					a->ch->name);
	}
	return a->url.failed ? ctf_fail(err, ENOMEM, "out of memory") : 0;
}

static int
begin(struct ch_answer *a, const struct ch_query *query, struct ctf_err *err)
{
	static const char *const names[CH_SETS] = {
		"ctf_0",  "ctf_1",  "ctf_2",  "ctf_3",  "ctf_4",  "ctf_5",  "ctf_6",  "ctf_7",
		"ctf_8",  "ctf_9",  "ctf_10", "ctf_11", "ctf_12", "ctf_13", "ctf_14", "ctf_15",
		"ctf_16", "ctf_17", "ctf_18", "ctf_19", "ctf_20", "ctf_21", "ctf_22", "ctf_23",
		"ctf_24", "ctf_25", "ctf_26", "ctf_27", "ctf_28", "ctf_29", "ctf_30", "ctf_31",
	};
	struct http_ask ask = { .headers = (const char *const *)a->ch->headers,
				.ca = a->ch->ca,
				.body = query->sql.p,
				.len = query->sql.n,
				.parts = a->parts,
				.nparts = query->nsets,
				.connect_ms = CONNECT_MS };
	int r = url_make(a, query, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < query->nsets; i++)
		a->parts[i] = (struct http_part){ names[i], query->sets[i].rows.p,
						  query->sets[i].rows.n };
	ask.url = a->url.p;
	a->http = a->ch->http->begin(&ask);
	return a->http ? 0 : ctf_fail(err, ENOMEM, "out of memory");
}

/* Other answers than 200 say what is wrong. */
static int
status_look(struct ch_answer *a, struct ctf_err *err)
{
	int c = json_peek(a, err);
	long status;

	if (c < 0)
		return c;
	status = a->ch->http->status(a->http);
	if (status == 200)
		return c ? 0 : json_unexpected(a, err);
	if (c == 'C')
		return json_unexpected(a, err);
	return ctf_fail(err, EIO, "%s: it answers %ld, as ClickHouse does not", a->ch->name,
			status);
}

int
ch_ask(struct q *q, struct ch *ch, struct ch_query *query, struct ch_answer **ret_answer,
       struct ctf_err *err)
{
	struct ch_answer *a = calloc(1, sizeof(*a));
	bool failed;
	int r = 0;

	ch_put(&query->sql, FORMAT);
	failed = query->sql.failed || !a;
	for (unsigned i = 0; i < query->nsets; i++)
		failed |= query->sets[i].rows.failed;
	if (failed) {
		free(a);
		return ctf_fail(err, ENOMEM, "out of memory");
	}
	a->q = q;
	a->ch = ch;
	if (query->too_many)
		r = ctf_fail(err, E2BIG, "%s: too many long lists in one question", ch->name);
	if (r == 0)
		r = begin(a, query, err);
	if (r == 0)
		r = status_look(a, err);
	if (r < 0)
		ch_answer_free(a);
	else
		*ret_answer = a;
	return r;
}

void
ch_answer_free(struct ch_answer *a)
{
	if (!a)
		return;
	if (a->http)
		a->ch->http->end(a->http);
	ch_text_free(&a->url);
	free(a->row);
	free(a);
}
