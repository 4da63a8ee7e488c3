/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_time.c - times and lengths of time, read and written. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "query.h"

#define SEC INT64_C(1000000000)
#define DIGITS "0123456789"

/* ---- lengths --------------------------------------------------------------------- */

/* Of NUMBER[.FRACTION]UNIT, in ns; moves *p behind it.  False: it is none. */
static bool
part(const char **p, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = { { "ms", SEC / 1000 },  { "us", 1000 },       { "ns", 1 },
		      { "w", 604800 * SEC }, { "d", 86400 * SEC }, { "h", 3600 * SEC },
		      { "m", 60 * SEC },     { "s", SEC } };
	char *end;
	double x;

	if (!strchr(DIGITS, **p) || !**p)
		return false;
	x = strtod(*p, &end);
	if (memchr(*p, 'x', (size_t)(end - *p)) || memchr(*p, 'e', (size_t)(end - *p)))
		return false;
	for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(end, units[i].name, n) != 0)
			continue;
		x *= (double)units[i].ns;
		if (x >= 9e18)
			return false;
		*p = end + n;
		*ret_ns = (int64_t)(x + 0.5);
		return true;
	}
	return false;
}

/* Parts one after the other; a bare number is of seconds. */
static bool
length(const char *text, int64_t *ret_ns)
{
	size_t n = strspn(text, DIGITS);
	int64_t sum = 0, ns;

	if (n && !text[n]) {
		char *end;

		errno = 0;
		sum = strtoll(text, &end, 10);
		if (errno || __builtin_mul_overflow(sum, SEC, &sum))
			return false;
		*ret_ns = sum;
		return true;
	}
	for (const char *p = text; *p || p == text;)
		if (!part(&p, &ns) || __builtin_add_overflow(sum, ns, &sum))
			return false;
	*ret_ns = sum;
	return true;
}

int
q_length(const char *text, int64_t *ret_ns, struct ctf_err *err)
{
	if (length(text, ret_ns))
		return 0;
	return ctf_fail(err, EINVAL, "\"%.60s\" is no length of time, as 90s, 5m, 1h30m or 2d",
			text);
}

/* ---- reading ------------------------------------------------------------------------ */

struct reading {
	const struct q *q;
	const char *p;
	struct tm tm;
	int64_t ns; /* of the second */
	bool zoned; /* an offset was given */
	long offset;
};

/* Exactly n digits. */
static bool
digits(struct reading *r, unsigned n, int *ret_x)
{
	int x = 0;

	for (unsigned i = 0; i < n; i++, r->p++) {
		if (*r->p < '0' || *r->p > '9')
			return false;
		x = 10 * x + (*r->p - '0');
	}
	*ret_x = x;
	return true;
}

static bool
sign(struct reading *r, char c)
{
	if (*r->p != c)
		return false;
	r->p++;
	return true;
}

static bool
fraction(struct reading *r)
{
	int64_t unit = SEC / 10;
	const char *from = r->p;

	for (; *r->p >= '0' && *r->p <= '9'; r->p++, unit /= 10)
		r->ns += unit * (*r->p - '0');
	return r->p > from;
}

/* 14:32[:15[.5]] */
static bool
clock_time(struct reading *r)
{
	struct tm *t = &r->tm;

	if (!digits(r, 2, &t->tm_hour) || !sign(r, ':') || !digits(r, 2, &t->tm_min))
		return false;
	t->tm_sec = 0;
	if (sign(r, ':') && !digits(r, 2, &t->tm_sec))
		return false;
	if ((*r->p == '.' || *r->p == ',') && (r->p++, !fraction(r)))
		return false;
	return t->tm_hour < 24 + (t->tm_min == 0 && t->tm_sec == 0) && t->tm_min < 60 &&
	       t->tm_sec <= 60;
}

static bool
date(struct reading *r)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct tm *t = &r->tm;
	int y, m, d;
	bool leap;

	if (!digits(r, 4, &y) || !sign(r, '-') || !digits(r, 2, &m) || !sign(r, '-') ||
	    !digits(r, 2, &d) || m < 1 || m > 12 || d < 1 || y < 1970 || y > 2261)
		return false;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (d > days[m - 1] + (m == 2 && leap))
		return false;
	t->tm_year = y - 1900;
	t->tm_mon = m - 1;
	t->tm_mday = d;
	return true;
}

/* Z, +01, +0100, +01:00, UTC; none: local. */
static bool
zone(struct reading *r)
{
	int h, m = 0, by;

	while (*r->p == ' ')
		r->p++;
	if (!*r->p)
		return true;
	r->zoned = true;
	if (!strcasecmp(r->p, "z") || !strcasecmp(r->p, "utc") || !strcasecmp(r->p, "gmt"))
		return true;
	by = *r->p == '-' ? -1 : 1;
	if ((*r->p != '+' && *r->p != '-') || (r->p++, !digits(r, 2, &h)))
		return false;
	if (*r->p && ((sign(r, ':'), 0) || !digits(r, 2, &m) || *r->p))
		return false;
	r->offset = by * (h * 3600L + m * 60L);
	return h < 24 && m < 60;
}

static bool
finish(struct reading *r, int64_t *ret_ns)
{
	int64_t s;

	r->tm.tm_isdst = -1;
	if (r->zoned || r->q->utc)
		s = timegm(&r->tm) - r->offset;
	else
		s = mktime(&r->tm);
	return !__builtin_mul_overflow(s, SEC, &s) && !__builtin_add_overflow(s, r->ns, ret_ns);
}

static void
today(struct reading *r)
{
	time_t now = (time_t)(r->q->now_ns / SEC);

	if (r->q->utc)
		gmtime_r(&now, &r->tm);
	else
		localtime_r(&now, &r->tm);
	r->tm.tm_hour = r->tm.tm_min = r->tm.tm_sec = 0;
}

static bool
word(struct reading *r, const char *w)
{
	size_t n = strlen(w);

	if (strncasecmp(r->p, w, n) != 0 || !strchr(" T", r->p[n]))
		return false;
	r->p += n;
	return true;
}

/* A day, a time of day, or both. */
static bool
calendar(struct reading *r, int64_t *ret_ns)
{
	bool day = true;

	today(r);
	if (word(r, "yesterday"))
		r->tm.tm_mday--;
	else if (word(r, "tomorrow"))
		r->tm.tm_mday++;
	else if (r->p[0] && r->p[1] && r->p[2] == ':')
		day = false;
	else if (!word(r, "today") && !date(r))
		return false;
	if (day && *r->p && *r->p != 'Z' && !strchr("T ", *r->p))
		return false;
	if (day && *r->p && *r->p != 'Z') {
		bool must = *r->p++ == 'T';

		if ((must || (*r->p >= '0' && *r->p <= '9')) && !clock_time(r))
			return false;
	} else if (!day && !clock_time(r)) {
		return false;
	}
	return zone(r) && finish(r, ret_ns);
}

/* now, now-1h; 1h: so long ago */
static bool
relative(const struct q *q, const char *text, int64_t *ret_ns)
{
	int64_t ns = 0;

	if (strncasecmp(text, "now", 3) == 0) {
		text += 3;
		if (!*text) {
			*ret_ns = q->now_ns;
			return true;
		}
		if (*text != '-' && *text != '+')
			return false;
		if (!length(text + 1, &ns))
			return false;
		return *text == '-' ? !__builtin_sub_overflow(q->now_ns, ns, ret_ns)
				    : !__builtin_add_overflow(q->now_ns, ns, ret_ns);
	}
	/* a bare number is neither a length nor a time */
	if (!text[strspn(text, DIGITS)] || !length(text, &ns))
		return false;
	return !__builtin_sub_overflow(q->now_ns, ns, ret_ns);
}

/* @SECONDS[.FRACTION] */
static bool
unix_time(const char *text, int64_t *ret_ns)
{
	struct reading r = { .ns = 0 };
	char *end;
	int64_t s;

	if (*text != '@' || !text[1] || !strchr(DIGITS, text[1]))
		return false;
	errno = 0;
	s = strtoll(text + 1, &end, 10);
	r.p = end;
	if (errno || (*r.p == '.' && (r.p++, !fraction(&r))) || *r.p)
		return false;
	return !__builtin_mul_overflow(s, SEC, &s) && !__builtin_add_overflow(s, r.ns, ret_ns);
}

int
q_when(const struct q *q, const char *text, int64_t *ret_ns, struct ctf_err *err)
{
	struct reading r = { .q = q, .p = text };
	int64_t ns;

	if (relative(q, text, &ns) || unix_time(text, &ns) || calendar(&r, &ns)) {
		*ret_ns = ns;
		return 0;
	}
	return ctf_fail(err, EINVAL,
			"\"%.60s\" is no time, as 2026-01-31T14:32:15Z, \"2026-01-31 14:32\", "
			"14:32, yesterday, now-1h, 2h (ago) or @1769870000",
			text);
}

/* ---- writing --------------------------------------------------------------------------- */

static void
split(int64_t ns, time_t *ret_s, int *ret_ns)
{
	int64_t s = ns / SEC, rest = ns % SEC;

	if (rest < 0) {
		rest += SEC;
		s--;
	}
	*ret_s = (time_t)s;
	*ret_ns = (int)rest;
}

void
q_time_text(const struct q *q, int64_t ns, bool with_fraction, char text[Q_TIME_TEXT])
{
	struct tm tm;
	time_t s;
	size_t n;
	int rest;

	split(ns, &s, &rest);
	if (q->utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	n = strftime(text, Q_TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
	if (with_fraction)
		snprintf(text + n, Q_TIME_TEXT - n, ".%03d", rest / 1000000);
}

void
q_time_iso(int64_t ns, char text[Q_TIME_TEXT])
{
	struct tm tm;
	time_t s;
	size_t n;
	int rest;

	split(ns, &s, &rest);
	gmtime_r(&s, &tm);
	n = strftime(text, Q_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, Q_TIME_TEXT - n, ".%09dZ", rest);
}

void
q_length_text(int64_t ns, char text[Q_TIME_TEXT])
{
	const char *minus = ns < 0 ? "-" : "";
	uint64_t u = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, s = u / (uint64_t)SEC;

	if (s < 60)
		snprintf(text, Q_TIME_TEXT, "%s%" PRIu64 ".%03us", minus, s,
			 (unsigned)(u % (uint64_t)SEC / 1000000));
	else if (s < 86400)
		snprintf(text, Q_TIME_TEXT, "%s%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, minus,
			 s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(text, Q_TIME_TEXT,
			 "%s%" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, minus,
			 s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}
