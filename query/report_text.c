/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: texts and numbers in a page. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "report.h"

#define SECOND INT64_C(1000000000)

/* The length of the character of UTF-8 at p; 0: it is none that a page may have. */
static unsigned
utf8_length(const unsigned char *p)
{
	unsigned n = *p < 0x80                 ? 1
		     : *p >= 0xc2 && *p < 0xe0 ? 2
		     : (*p & 0xf0) == 0xe0     ? 3
		     : *p >= 0xf0 && *p < 0xf5 ? 4
					       : 0;

	if (n == 1)
		return *p >= 0x20 && *p != 0x7f ? 1 : 0;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((n == 3 && ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0))) ||
	    (n == 4 && ((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90))))
		return 0;
	return n;
}

static const char *
entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void
rp_text(FILE *f, const char *text)
{
	for (unsigned n; text && *text; text += n) {
		n = utf8_length((const unsigned char *)text);
		if (n == 0) {
			fputs("\xef\xbf\xbd", f);
			n = 1;
		} else if (entity(*text)) {
			fputs(entity(*text), f);
		} else {
			fwrite(text, 1, n, f);
		}
	}
}

void
rp_human(double x, const char *unit, char text[RP_TEXT])
{
	static const char *const prefix[] = { "", "k", "M", "G", "T", "P", "E" };
	unsigned i = 0;

	for (; x >= 999.5 && i + 1 < sizeof(prefix) / sizeof(*prefix); i++)
		x /= 1000;
	snprintf(text, RP_TEXT, "%.*f %s%s",
		 i == 0 || x >= 99.95 ? 0
		 : x >= 9.995         ? 1
				      : 2,
		 x, prefix[i], unit);
}

void
rp_count(uint64_t x, char text[RP_TEXT])
{
	char plain[24];
	int n = snprintf(plain, sizeof(plain), "%" PRIu64, x);

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*text++ = ',';
		*text++ = plain[i];
	}
	*text = '\0';
}

void
rp_length(int64_t ns, char text[RP_TEXT])
{
	static const struct {
		int64_t s;
		const char *name, *next;
		int64_t part;
	} units[] = { { 86400, "d", "h", 3600 },
		      { 3600, "h", "min", 60 },
		      { 60, "min", "s", 1 } };
	int64_t s = ns / SECOND;

	for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (s < units[i].s)
			continue;
		if (s % units[i].s < units[i].part)
			snprintf(text, RP_TEXT, "%" PRId64 " %s", s / units[i].s,
				 units[i].name);
		else
			snprintf(text, RP_TEXT, "%" PRId64 " %s %" PRId64 " %s", s / units[i].s,
				 units[i].name, s % units[i].s / units[i].part, units[i].next);
		return;
	}
	snprintf(text, RP_TEXT, ns % SECOND ? "%.3g s" : "%.0f s", (double)ns / 1e9);
}

static bool
broken_down(bool utc, int64_t ns, struct tm *ret_tm)
{
	time_t t = (time_t)(ns / SECOND - (ns % SECOND < 0));

	return utc ? gmtime_r(&t, ret_tm) : localtime_r(&t, ret_tm);
}

void
rp_when(const struct rp *r, int64_t ns, bool seconds, char text[RP_TEXT])
{
	struct tm tm;

	if (!broken_down(r->utc, ns, &tm) ||
	    strftime(text, RP_TEXT, seconds ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(text, RP_TEXT, "?");
}

void
rp_time(FILE *f, const struct rp *r, int64_t ns, bool seconds)
{
	char text[RP_TEXT], iso[RP_TEXT];
	struct tm tm;

	rp_when(r, ns, seconds, text);
	if (broken_down(true, ns, &tm) && strftime(iso, sizeof(iso), "%Y-%m-%dT%H:%M:%SZ", &tm))
		fprintf(f, "<time datetime=\"%s\">%s</time>", iso, text);
	else
		fputs(text, f);
}

static void
cell(FILE *f, uint64_t x, bool bytes, bool wide)
{
	char text[RP_TEXT];

	if (bytes)
		rp_human((double)x, "B", text);
	else
		rp_count(x, text);
	fprintf(f, "<td class=\"n%s\"><data value=\"%" PRIu64 "\">%s</data></td>",
		wide ? " wide" : "", x, text);
}

void
rp_cell_bytes(FILE *f, uint64_t x)
{
	cell(f, x, true, false);
}

void
rp_cell_count(FILE *f, uint64_t x)
{
	cell(f, x, false, false);
}

void
rp_cell_wide(FILE *f, uint64_t x, bool bytes)
{
	cell(f, x, bytes, true);
}

double
rp_step(double max, unsigned lines)
{
	double step = pow(10, floor(log10(max > 1 ? max / lines : 1)));
	static const double nice[] = { 1, 2, 5, 10 };

	for (unsigned i = 0; i < sizeof(nice) / sizeof(*nice); i++)
		if (max <= step * nice[i] * lines)
			return step * nice[i];
	return step * 10;
}
