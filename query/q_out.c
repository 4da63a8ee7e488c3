/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_out.c - rows as JSON, CSV and TSV; those of people are in q_out_table.c. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "out.h"

#define SEC INT64_C(1000000000)

static bool
is_json(const struct q *q)
{
	return q->format == Q_JSON || q->format == Q_NDJSON;
}

/* ---- texts ------------------------------------------------------------------------- */

/* The length of the UTF-8 character at p, 0 if it is none. */
static unsigned
utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned n = *p < 0x80                 ? 1
		     : *p >= 0xc2 && *p < 0xe0 ? 2
		     : *p >= 0xe0 && *p < 0xf0 ? 3
		     : *p >= 0xf0 && *p < 0xf5 ? 4
					       : 0;

	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void
q_json_text(const char *s)
{
	putchar('"');
	while (*s) {
		unsigned n = utf8(s);

		if (n == 0) {
			fputs("\\ufffd", stdout);
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			printf("\\%c", *s);
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			printf("\\u%04x", (unsigned char)*s);
		} else {
			fwrite(s, 1, n, stdout);
		}
		s += n;
	}
	putchar('"');
}

static void
csv_text(const char *s)
{
	if (!*s || s[strcspn(s, "\",\r\n")] || *s == ' ') {
		putchar('"');
		for (; *s; s++) {
			if (*s == '"')
				putchar('"');
			putchar(*s);
		}
		putchar('"');
	} else {
		fputs(s, stdout);
	}
}

static void
tsv_text(const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '\t':
			fputs("\\t", stdout);
			break;
		case '\n':
			fputs("\\n", stdout);
			break;
		case '\r':
			fputs("\\r", stdout);
			break;
		case '\\':
			fputs("\\\\", stdout);
			break;
		default:
			putchar(*s);
		}
}

/* ---- cells of machines -------------------------------------------------------------- */

static void
cell_begin(const struct q_out *o, enum q_format format)
{
	if (format == Q_JSON || format == Q_NDJSON) {
		if (!o->i && format == Q_JSON)
			fputs(o->rows ? ",\n" : "\n", stdout);
		putchar(o->i ? ',' : '{');
		q_json_text(o->cols[o->i].name);
		putchar(':');
	} else if (o->i) {
		putchar(format == Q_CSV ? ',' : '\t');
	}
}

/* A value; text: it is quoted where it must be. */
static void
machine_cell(struct q *q, const char *value, bool text)
{
	struct q_out *o = q->out;

	if (!o->i)
		q_progress_clear(q);
	cell_begin(o, q->format);
	if (!value)
		fputs(is_json(q) ? "null" : "", stdout);
	else if (!text)
		fputs(value, stdout);
	else if (is_json(q))
		q_json_text(value);
	else if (q->format == Q_CSV)
		csv_text(value);
	else
		tsv_text(value);
	o->i++;
}

static void
people_cell(struct q *q, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		q->out->failed = -ENOMEM;
	out_table_cell(q, copy);
}

static void
put(struct q *q, const char *value, bool text)
{
	if (q->format == Q_TABLE)
		people_cell(q, value);
	else
		machine_cell(q, value, text);
}

void
q_cell_null(struct q *q)
{
	put(q, NULL, false);
}

void
q_cell_text(struct q *q, const char *text)
{
	put(q, text, true);
}

void
q_cell_addr(struct q *q, const struct q_addr *a)
{
	char text[CTF_FMT_IP + 1];

	if (!a->family) {
		q_cell_null(q);
		return;
	}
	*ctf_fmt_ip(text, a->ip, a->family) = '\0';
	put(q, text, true);
}

void
q_cell_time(struct q *q, int64_t ns)
{
	char text[Q_TIME_TEXT];

	if (ns == Q_NEVER) {
		q_cell_null(q);
		return;
	}
	if (q->format == Q_TABLE)
		q_time_text(q, ns, q->out->cols[q->out->i].flags & Q_C_FRACTION, text);
	else
		q_time_iso(ns, text);
	put(q, text, true);
}

/* 1.2M */
static void
size_text(int64_t x, char text[Q_TIME_TEXT])
{
	static const char units[] = " KMGTPE";
	double d = (double)x;
	unsigned i = 0;

	while (fabs(d) >= 999.5 && units[i + 1]) {
		d /= 1024;
		i++;
	}
	if (i == 0)
		snprintf(text, Q_TIME_TEXT, "%" PRId64, x);
	else
		snprintf(text, Q_TIME_TEXT, fabs(d) < 9.95 ? "%.1f%c" : "%.0f%c", d, units[i]);
}

/* Seconds, exactly. */
static void
seconds_text(int64_t ns, char text[Q_TIME_TEXT])
{
	uint64_t u = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	int n = snprintf(text, Q_TIME_TEXT, "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "",
			 u / (uint64_t)SEC, u % (uint64_t)SEC);

	while (text[n - 1] == '0')
		text[--n] = '\0';
	if (text[n - 1] == '.')
		text[n - 1] = '\0';
}

const char *
q_proto_name(int64_t proto)
{
	static const struct {
		uint8_t number;
		const char *name;
	} names[] = { { 1, "icmp" },   { 2, "igmp" },   { 6, "tcp" },      { 17, "udp" },
		      { 33, "dccp" },  { 47, "gre" },   { 50, "esp" },     { 51, "ah" },
		      { 58, "icmp6" }, { 132, "sctp" }, { 136, "udplite" } };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].number == proto)
			return names[i].name;
	return NULL;
}

void
q_cell_int(struct q *q, int64_t x)
{
	enum q_type type = q->out->cols[q->out->i].type;
	char text[Q_TIME_TEXT];

	if (type == Q_TIME) {
		q_cell_time(q, x);
		return;
	}
	snprintf(text, sizeof(text), "%" PRId64, x);
	if (type == Q_DUR && q->format == Q_TABLE)
		q_length_text(x, text);
	else if (type == Q_DUR)
		seconds_text(x, text);
	else if (type == Q_BYTES && q->format == Q_TABLE)
		size_text(x, text);
	else if (type == Q_PROTO && q->format == Q_TABLE && q_proto_name(x))
		snprintf(text, sizeof(text), "%s", q_proto_name(x));
	put(q, text, false);
}

void
q_cell_real(struct q *q, double x)
{
	char text[Q_TIME_TEXT];

	if (!isfinite(x)) {
		q_cell_null(q);
		return;
	}
	snprintf(text, sizeof(text), q->format == Q_TABLE ? "%.2f" : "%.17g", x);
	put(q, text, false);
}

/* ---- rows --------------------------------------------------------------------------- */

static void
header(struct q *q)
{
	for (unsigned i = 0; i < q->out->n; i++)
		printf("%s%s", i ? q->format == Q_CSV ? "," : "\t" : "", q->out->cols[i].name);
	putchar('\n');
}

int
q_out_begin(struct q *q, const struct q_col *cols, unsigned n)
{
	struct q_out *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->cols = cols;
	o->n = n;
	q->out = o;
	if (q->format == Q_JSON)
		fputs("[", stdout);
	else if (q->format == Q_CSV || q->format == Q_TSV)
		header(q);
	return 0;
}

static int
state(struct q *q)
{
	if (ferror(stdout) && !q->out->failed)
		q->out->failed = errno ? -errno : -EIO;
	if (q->out->failed)
		return q->out->failed;
	return q_cancelled(q) ? -EINTR : 0;
}

int
q_row_end(struct q *q)
{
	struct q_out *o = q->out;

	if (q->format == Q_TABLE) {
		out_table_row(q);
	} else {
		if (is_json(q))
			putchar('}');
		if (q->format != Q_JSON)
			putchar('\n');
	}
	o->rows++;
	o->i = 0;
	return state(q);
}

int
q_out_flush(struct q *q)
{
	if (q->format == Q_TABLE)
		out_table_flush(q);
	if (fflush(stdout) != 0 && !q->out->failed)
		q->out->failed = -errno;
	return state(q);
}

int
q_out_end(struct q *q)
{
	struct q_out *o = q->out;
	int r;

	if (q->format == Q_TABLE)
		out_table_end(q);
	else if (q->format == Q_JSON)
		fputs(o->rows ? "\n]\n" : "]\n", stdout);
	if (fflush(stdout) != 0 && !o->failed)
		o->failed = -errno;
	r = state(q);
	free(o);
	q->out = NULL;
	return r;
}
