/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a value of a format is written, times above all; see format.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "format.h"

#define NS UINT64_C(1000000000)

static const struct word {
	const char *text;
	enum format_form form;
	bool time;
	unsigned digits;
	uint64_t unit;
} words[] = {
	{ "hex", FORM_HEX, false, 0, 0 },    { "json", FORM_JSON, false, 0, 0 },
	{ "iso", FORM_ISO, true, 0, 0 },     { "iso.ms", FORM_ISO, true, 3, 0 },
	{ "iso.us", FORM_ISO, true, 6, 0 },  { "iso.ns", FORM_ISO, true, 9, 0 },
	{ "s", FORM_SINCE, true, 0, NS },    { "ms", FORM_SINCE, true, 0, 1000000 },
	{ "us", FORM_SINCE, true, 0, 1000 }, { "ns", FORM_SINCE, true, 0, 1 },
};

static bool
is_word(const char *p, size_t n, const char *word)
{
	return n == strlen(word) && strncmp(p, word, n) == 0;
}

static bool
set_word(struct format_spec *s, const char *p, size_t n)
{
	if (is_word(p, n, "local") || is_word(p, n, "utc")) {
		s->time = true;
		s->local = *p == 'l';
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!is_word(p, n, words[i].text) || s->form != FORM_PLAIN)
			continue;
		s->form = words[i].form;
		s->time |= words[i].time;
		s->digits = words[i].digits;
		s->unit = words[i].unit;
		return true;
	}
	return false;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the user's pattern, that is the point */
static size_t
put_pattern(char out[FORMAT_TIME], const char *pattern, const struct tm *tm)
{
	return strftime(out, FORMAT_TIME, pattern, tm);
}
#pragma GCC diagnostic pop

/* strftime(3) tells nothing of a pattern it cannot write but that it wrote nothing. */
static int
set_pattern(struct format_spec *s, const char *p, const char **ret_bad)
{
	struct tm tm = { .tm_mday = 1, .tm_year = 126 };
	char out[FORMAT_TIME];

	*ret_bad = p;
	if (s->form != FORM_PLAIN || put_pattern(out, p, &tm) == 0)
		return -EINVAL;
	s->pattern = strdup(p);
	if (!s->pattern)
		return -ENOMEM;
	s->form = FORM_STRFTIME;
	s->time = true;
	return 0;
}

int
format_spec(struct format_spec *s, const char *how, const char *pattern, const char **ret_bad)
{
	for (;;) {
		size_t n;

		how += strspn(how, " ");
		if (!*how)
			break;
		n = strcspn(how, " ");
		*ret_bad = how;
		if (!set_word(s, how, n))
			return -EINVAL;
		how += n;
	}
	if (pattern)
		return set_pattern(s, pattern, ret_bad);
	if (s->time && s->form == FORM_PLAIN) {
		s->form = FORM_ISO;
		s->digits = 3;
	}
	return 0;
}

static struct tm
broken_down(uint64_t ns, bool local)
{
	time_t sec = (time_t)(ns / NS);
	struct tm tm = { 0 };

	if (local)
		return text_local(ns);
	gmtime_r(&sec, &tm);
	return tm;
}

static char *
put_digits(char *p, uint64_t ns, unsigned digits)
{
	char s[16];

	snprintf(s, sizeof(s), "%09u", (unsigned)(ns % NS));
	return text_put(p, s, digits);
}

/* +01:00 */
static char *
put_offset(char *p, const struct tm *tm)
{
	long min = tm->tm_gmtoff / 60;
	char s[32];
	int n = snprintf(s, sizeof(s), "%c%02ld:%02ld", min < 0 ? '-' : '+', labs(min) / 60,
			 labs(min) % 60);

	return text_put(p, s, (size_t)n);
}

static char *
put_iso(char *p, struct format_spec *s, uint64_t ns, const struct tm *tm)
{
	p = text_put(p, s->text, s->len);
	if (s->digits) {
		*p++ = '.';
		p = put_digits(p, ns, s->digits);
	}
	if (s->local)
		return put_offset(p, tm);
	*p++ = 'Z';
	return p;
}

char *
format_time(char *p, struct format_spec *s, uint64_t ns)
{
	struct tm tm = { 0 };

	if (s->form == FORM_SINCE)
		return ctf_fmt_num(p, ns / s->unit);
	if (s->form == FORM_DIGITS)
		return put_digits(p, ns, s->digits);
	if (!s->len || s->sec != ns / NS || (s->form == FORM_ISO && s->local)) {
		tm = broken_down(ns, s->local);
		s->sec = ns / NS;
		s->len = (uint32_t)put_pattern(
			s->text, s->pattern ? s->pattern : "%Y-%m-%dT%H:%M:%S", &tm);
	}
	if (s->form == FORM_ISO)
		return put_iso(p, s, ns, &tm);
	return text_put(p, s->text, s->len);
}
