/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sections -> typed options. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nearest.h"
#include "opt.h"

#define PRESET "preset" /* the option that chooses other defaults */

struct value { /* one value on its way into a struct */
	const struct ctf_opt *opt;
	const char *text;
	void *base;
	const char *file; /* where it stands; NULL: in the table */
	unsigned line;
	struct diag *diag;
};

static void *
member(const struct value *v)
{
	return (char *)v->base + v->opt->off;
}

static int
refuse(const struct value *v, const char *why)
{
	char range[256];

	opt_range(range, sizeof(range), v->opt);
	diag_error(v->diag, v->file, v->line, "%s=%.80s: %s (expected: %s)", v->opt->name,
		   v->opt->type == CTF_OSECRET ? "..." : v->text, why, range);
	return -EINVAL;
}

static bool
in_range(const struct ctf_opt *o, uint64_t x)
{
	return x >= o->min && (!o->max || x <= o->max);
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
	{ "KB", UINT64_C(1) << 10 },
	{ "MB", UINT64_C(1) << 20 },
	{ "GB", UINT64_C(1) << 30 },
	{ "TB", UINT64_C(1) << 40 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "TiB", UINT64_C(1) << 40 },
	{ NULL, 1 },
};

static const struct unit msec_units[] = {
	{ "ms", 1 },      { "s", 1000 },    { "sec", 1000 },   { "m", 60000 },
	{ "min", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 1000 },
};

static const struct unit no_units[] = { { NULL, 1 } };

/* The factor of the unit at *end, which moves behind it; or the plain number's. */
static uint64_t
read_unit(enum ctf_otype type, const char **end)
{
	const struct unit *u = type == CTF_OSIZE   ? size_units
			       : type == CTF_OMSEC ? msec_units
						   : no_units;

	while (u->name && strcasecmp(u->name, *end))
		u++;
	if (u->name)
		*end += strlen(*end);
	return u->factor;
}

/*
 * As strtoul(3) with base 0 reads it.  ulogd2 ignores what follows the digits,
 * so that is no error; but it is said, since 10weeks are not 10 s.
 */
static int
read_number(const struct value *v, uint64_t *ret_x)
{
	const char *s = v->text, *end;
	uint64_t x, factor;
	char *stop;

	errno = 0;
	x = strtoull(s, &stop, 0);
	if (stop == s)
		return refuse(v, "not a number");
	end = stop;
	factor = read_unit(v->opt->type, &end);
	if (errno == ERANGE || *s == '-' || __builtin_mul_overflow(x, factor, &x))
		return refuse(v, "out of range");
	if (*end)
		diag_warn(v->diag, v->file, v->line,
			  "%s=%.80s: \"%.60s\" after the number ignored", v->opt->name, s, end);
	*ret_x = x;
	return 0;
}

int
opt_number(enum ctf_otype type, const char *text, uint64_t *ret_x)
{
	const char *end;
	uint64_t x, factor;
	char *stop;

	errno = 0;
	x = strtoull(text, &stop, 0);
	end = stop;
	factor = read_unit(type, &end);
	if (*text < '0' || *text > '9' || *end)
		return -EINVAL;
	if (errno == ERANGE || __builtin_mul_overflow(x, factor, &x))
		return -ERANGE;
	*ret_x = x;
	return 0;
}

static int
set_number(const struct value *v)
{
	uint64_t x;
	int ret = read_number(v, &x);

	if (ret < 0)
		return ret;
	if (!in_range(v->opt, x))
		return refuse(v, "out of range");
	*(uint64_t *)member(v) = x;
	return 0;
}

static int
set_bool(const struct value *v)
{
	static const char *const words[] = { "no", "yes", "off", "on", "false", "true" };
	uint64_t x;
	int ret;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcasecmp(words[i], v->text)) {
			*(bool *)member(v) = i & 1;
			return 0;
		}
	}
	if (!isdigit((unsigned char)*v->text) && *v->text != '-' && *v->text != '+')
		return refuse(v, "neither yes nor no");
	ret = read_number(v, &x); /* in ulogd2 all switches are numbers */
	if (ret == 0)
		*(bool *)member(v) = x != 0;
	return ret;
}

/* Which of the choices that is, or -1. */
static int
choice(const struct ctf_opt *o, const char *text)
{
	const char *s = o->choices;
	size_t want = strlen(text);

	for (int i = 0;; i++) {
		size_t len = strcspn(s, "|");

		if (len == want && !strncasecmp(s, text, len))
			return i;
		if (!s[len])
			return -1;
		s += len + 1;
	}
}

static int
set_enum(const struct value *v)
{
	int i = choice(v->opt, v->text);

	if (i < 0)
		return refuse(v, "no such choice");
	*(unsigned *)member(v) = (unsigned)i;
	return 0;
}

static void
free_text(const struct ctf_opt *o, void *base)
{
	void *at = (char *)base + o->off;
	char *old;

	memcpy(&old, at, sizeof(old));
	free(old);
	memset(at, 0, sizeof(old));
}

static int
set_text(const struct value *v)
{
	char *copy;

	if (!in_range(v->opt, strlen(v->text)))
		return refuse(v, *v->text ? "wrong length" : "empty");
	if (!conf_is_word(v->text))
		return refuse(v, "cannot be written in a configuration");
	copy = strdup(v->text);
	if (!copy)
		return -ENOMEM;
	free_text(v->opt, v->base);
	memcpy(member(v), &copy, sizeof(copy));
	return 0;
}

static int
set_value(const struct value *v)
{
	switch (v->opt->type) {
	case CTF_OBOOL:
		return set_bool(v);
	case CTF_OUINT:
	case CTF_OSIZE:
	case CTF_OMSEC:
		return set_number(v);
	case CTF_OTEXT:
	case CTF_OSECRET:
		return set_text(v);
	case CTF_OENUM:
		return set_enum(v);
	}
	return refuse(v, "unknown type");
}

const struct ctf_opt *
opt_find(const struct ctf_opt *o, const char *name)
{
	for (; o && o->name; o++)
		if (!strcmp(o->name, name))
			return o;
	return NULL;
}

unsigned
opt_line(const struct conf_section *sec, const char *key)
{
	const struct conf_entry *e = sec ? conf_next(sec, key, NULL) : NULL;

	return e ? e->line : sec ? sec->line : 0;
}

/* A key nobody asked for; one the caller reads itself is none. */
static void
foreign_key(const struct opt_set *sets, unsigned n, const struct value *v, const char *key)
{
	struct nearest near = nearest_to(key);

	for (unsigned i = 0; i < n; i++) {
		const char *const *also = sets[i].also;

		for (; also && *also; also++) {
			if (!strcmp(*also, key))
				return;
			nearest_consider(&near, *also);
		}
		for (const struct ctf_opt *o = sets[i].table; o && o->name; o++)
			nearest_consider(&near, o->name);
	}
	if (near.word)
		diag_warn(v->diag, v->file, v->line,
			  "unknown key \"%.60s\" ignored, is \"%s\" meant?", key, near.word);
	else
		diag_warn(v->diag, v->file, v->line, "unknown key \"%.60s\" ignored", key);
}

/* The option of that name in any of the sets, as what v is about from now on. */
static bool
find_any(const struct opt_set *sets, unsigned n, const char *key, struct value *v)
{
	v->opt = NULL;
	for (unsigned i = 0; !v->opt && i < n; i++) {
		v->opt = opt_find(sets[i].table, key);
		v->base = sets[i].base;
	}
	return v->opt;
}

static int
parse_entry(const struct opt_set *sets, unsigned n, const struct conf_section *sec,
	    const struct conf_entry *e, struct value *v)
{
	unsigned first;

	v->line = e->line;
	conf_warn(e, v->file, v->diag);
	if (!e->value)
		return 0;
	if (!find_any(sets, n, e->key, v)) {
		foreign_key(sets, n, v, e->key);
		return 0;
	}
	first = opt_line(sec, e->key);
	if (first != e->line) {
		diag_error(v->diag, v->file, e->line,
			   "\"%s\" given again, line %u has it already", e->key, first);
		return -EINVAL;
	}
	v->text = e->value;
	return set_value(v);
}

/* One "key=value" of a preset. */
static int
preset_option(const struct opt_set *sets, unsigned n, const char *text, size_t len,
	      struct value *v)
{
	char word[128];
	char *sign;

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	sign = strchr(word, '=');
	if (sign)
		*sign = '\0';
	if (!sign || !find_any(sets, n, word, v)) {
		diag_error(v->diag, v->file, v->line, "preset: there is no option %s", word);
		return -EINVAL;
	}
	v->text = sign + 1;
	return set_value(v);
}

/*
 * The defaults a preset stands for, before anything else of the section.  A
 * wrong name is refused like any other value when its turn comes.
 */
static int
parse_preset(const struct opt_set *sets, unsigned n, const struct opt_set *set,
	     const struct conf_section *sec, struct value *v)
{
	const struct conf_entry *e = sec ? conf_next(sec, PRESET, NULL) : NULL;
	const struct ctf_opt *o = set->presets ? opt_find(set->table, PRESET) : NULL;
	int which = e && e->value && o ? choice(o, e->value) : -1, ret = 0, r;

	if (which < 0)
		return 0;
	v->line = e->line;
	for (const char *p = set->presets[which]; *(p += strspn(p, " ")); p += strcspn(p, " "))
		if ((r = preset_option(sets, n, p, strcspn(p, " "), v)) < 0)
			ret = r;
	return ret;
}

/* What must be given stays zero until the section gives it. */
static int
parse_defaults(const struct opt_set *set, struct diag *diag)
{
	struct value v = { .base = set->base, .diag = diag };
	int ret = 0, r;

	for (v.opt = set->table; ret != -ENOMEM && v.opt && v.opt->name; v.opt++) {
		v.text = v.opt->dflt;
		if (v.text && (r = set_value(&v)) < 0)
			ret = r;
	}
	return ret;
}

static int
check_given(const struct opt_set *set, const struct conf_section *sec, const char *name,
	    const struct value *v)
{
	int ret = 0;

	for (const struct ctf_opt *o = set->table; o && o->name; o++) {
		char range[256];

		if (o->dflt || (sec && conf_next(sec, o->name, NULL)))
			continue;
		opt_range(range, sizeof(range), o);
		diag_error(v->diag, v->file, sec ? sec->line : 0, "[%s] must have %s= (%s)",
			   name, o->name, range);
		ret = -EINVAL;
	}
	return ret;
}

int
opt_parse(const struct opt_set *sets, unsigned n, const struct conf_section *sec,
	  const char *name, const char *file, struct diag *diag)
{
	struct value v = { .file = file, .diag = diag };
	int ret = 0, r;

	for (unsigned i = 0; ret != -ENOMEM && i < n; i++)
		if ((r = parse_defaults(&sets[i], diag)) < 0)
			ret = r;
	for (unsigned i = 0; ret != -ENOMEM && i < n; i++)
		if ((r = parse_preset(sets, n, &sets[i], sec, &v)) < 0)
			ret = r;
	for (size_t i = 0; ret != -ENOMEM && sec && i < sec->n; i++)
		if ((r = parse_entry(sets, n, sec, &sec->entry[i], &v)) < 0)
			ret = r;
	for (unsigned i = 0; ret != -ENOMEM && i < n; i++)
		if ((r = check_given(&sets[i], sec, name, &v)) < 0)
			ret = r;
	if (ret == -ENOMEM)
		diag_error(diag, file, 0, "[%s]: out of memory", name);
	if (ret < 0)
		opt_free(sets, n);
	return ret;
}

void
opt_free(const struct opt_set *sets, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (const struct ctf_opt *o = sets[i].table; o && o->name; o++)
			if (opt_is_text(o))
				free_text(o, sets[i].base);
}
