/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Typed options -> text: back into a section, for -i and for the manual. */
#include <inttypes.h>
#include <string.h>

#include "opt.h"

static const void *
member(const struct ctf_opt *o, const void *base)
{
	return (const char *)base + o->off;
}

static uint64_t
number(const struct ctf_opt *o, const void *base)
{
	return *(const uint64_t *)member(o, base);
}

static const char *
text(const struct ctf_opt *o, const void *base)
{
	const char *s;

	memcpy(&s, member(o, base), sizeof(s));
	return s ? s : "";
}

/* In the largest unit that leaves no remainder. */
static void
format_number(char *buf, size_t size, enum ctf_otype type, uint64_t x)
{
	static const char units[] = "KMGT";
	char unit[3] = "";

	if (type == CTF_OSIZE) {
		for (const char *u = units; *u && x && x % 1024 == 0; u++, x /= 1024)
			unit[0] = *u;
	} else if (type == CTF_OMSEC) {
		if (x % 1000)
			strcpy(unit, "ms");
		else
			x /= 1000;
	}
	snprintf(buf, size, "%" PRIu64 "%s", x, unit);
}

static const char *
type_name(enum ctf_otype type)
{
	switch (type) {
	case CTF_OBOOL:
		return "yes or no";
	case CTF_OUINT:
		return "number";
	case CTF_OSIZE:
		return "size in bytes, K, M, G or T";
	case CTF_OMSEC:
		return "time in seconds, or with ms, s, m, h or d";
	case CTF_OTEXT:
	case CTF_OSECRET:
		return "text";
	case CTF_OENUM:
		return "choice";
	}
	return "?";
}

void
opt_range(char *buf, size_t size, const struct ctf_opt *o)
{
	const char *type = o->type == CTF_OENUM ? o->choices : type_name(o->type);
	enum ctf_otype as = opt_is_text(o) ? CTF_OUINT : o->type;
	char lo[32], hi[32];

	if ((!o->min && !o->max) || o->type == CTF_OENUM || o->type == CTF_OBOOL) {
		snprintf(buf, size, "%s", type);
		return;
	}
	format_number(lo, sizeof(lo), as, o->min);
	format_number(hi, sizeof(hi), as, o->max);
	if (opt_is_text(o) && o->min == 1 && !o->max)
		snprintf(buf, size, "%s, not empty", type);
	else
		snprintf(buf, size, "%s, %s..%s%s", type, lo, o->max ? hi : "",
			 opt_is_text(o) ? " bytes" : "");
}

static void
print_choice(FILE *f, const char *choices, unsigned i)
{
	size_t len;

	for (; i; i--)
		choices += strcspn(choices, "|") + 1;
	len = strcspn(choices, "|");
	fprintf(f, "%.*s", (int)len, choices);
}

static void
print_value(FILE *f, const struct ctf_opt *o, const void *base)
{
	char buf[32];

	switch (o->type) {
	case CTF_OBOOL:
		fputc(*(const bool *)member(o, base) ? '1' : '0', f);
		break;
	case CTF_OUINT:
	case CTF_OSIZE:
	case CTF_OMSEC:
		format_number(buf, sizeof(buf), o->type, number(o, base));
		fputs(buf, f);
		break;
	case CTF_OTEXT:
		conf_print_word(f, text(o, base));
		break;
	case CTF_OENUM:
		print_choice(f, o->choices, *(const unsigned *)member(o, base));
		break;
	case CTF_OSECRET:
		break; /* it has no line */
	}
}

static bool
in_one_of(const struct opt_set *sets, unsigned n, const char *name)
{
	while (n--)
		if (opt_find(sets[n].table, name))
			return true;
	return false;
}

void
opt_print(FILE *f, const struct opt_set *sets, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (const struct ctf_opt *o = sets[i].table; o && o->name; o++) {
			if (in_one_of(sets, i, o->name))
				continue; /* the same line of the same section */
			if (o->type == CTF_OSECRET) {
				fprintf(f, "#%s= (not shown)\n", o->name);
				continue;
			}
			fprintf(f, "%s=", o->name);
			print_value(f, o, sets[i].base);
			fputc('\n', f);
		}
	}
}

static bool
equal(const struct ctf_opt *o, const void *a, const void *b)
{
	switch (o->type) {
	case CTF_OBOOL:
		return *(const bool *)member(o, a) == *(const bool *)member(o, b);
	case CTF_OUINT:
	case CTF_OSIZE:
	case CTF_OMSEC:
		return number(o, a) == number(o, b);
	case CTF_OTEXT:
	case CTF_OSECRET:
		return !strcmp(text(o, a), text(o, b));
	case CTF_OENUM:
		return *(const unsigned *)member(o, a) == *(const unsigned *)member(o, b);
	}
	return false;
}

bool
opt_equal(const struct ctf_opt *o, const void *a, const void *b)
{
	for (; o && o->name; o++)
		if (!equal(o, a, b))
			return false;
	return true;
}

void
opt_describe(FILE *f, const struct ctf_opt *o)
{
	char range[256];

	for (; o && o->name; o++) {
		opt_range(range, sizeof(range), o);
		fprintf(f, "  %-28s %s; ", o->name, range);
		if (o->dflt) {
			fputs("default ", f);
			conf_print_word(f, o->dflt);
		} else {
			fputs("Mandatory", f);
		}
		fprintf(f, "; %s\n", o->doc ? o->doc : "");
	}
}

/* mdoc(7) takes a backslash, and . or ' at the start of a line, for its own. */
static void
man_text(FILE *f, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", f);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else
			fputc(*s, f);
	}
}

void
opt_man(FILE *f, const struct ctf_opt *o)
{
	char range[256];

	for (; o && o->name; o++) {
		fprintf(f, ".It Cm %s\n", o->name);
		man_text(f, o->doc ? o->doc : "");
		fputs(".\n(", f);
		opt_range(range, sizeof(range), o);
		man_text(f, range);
		fputs("; ", f);
		if (o->dflt) {
			fputs("default ", f);
			man_text(f, *o->dflt ? o->dflt : "empty");
		} else {
			fputs("mandatory", f);
		}
		fputs(")\n", f);
	}
}
