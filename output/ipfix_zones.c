/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_zones.c - zone_names: what the zones of conntrack, VRFs say, are called. */
#include "ipfix_template.h"

#include <errno.h>

#define LAST_ZONE 65535u

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* Decimal digits; the number, or LAST_ZONE + 1 of what is none. */
static uint32_t
read_zone(const char **at)
{
	const char *p = *at;
	uint32_t n = 0;

	if (*p < '0' || *p > '9')
		return LAST_ZONE + 1;
	for (; *p >= '0' && *p <= '9'; p++)
		n = n > LAST_ZONE ? n : n * 10 + (uint32_t)(*p - '0');
	*at = p;
	return n;
}

static bool
is_name(const char *p, uint32_t len)
{
	const uint8_t *u = (const uint8_t *)p;

	if (!len || len > IPFIX_ZONE_MOST)
		return false;
	for (uint32_t i = 0, n; i < len; i += n) {
		n = ipfix_char(u + i, len - i);
		if (!n || u[i] < ' ' || u[i] == 0x7f)
			return false;
	}
	return true;
}

int
ipfix_zone_next(const char **at, struct ipfix_zone *ret_zone)
{
	const char *p = skip_blanks(*at), *end;
	struct ipfix_zone z;

	if (!*p)
		return 0;
	z.zone = read_zone(&p);
	p = skip_blanks(p);
	if (z.zone > LAST_ZONE || *p != '=')
		return -EINVAL;
	z.name = p = skip_blanks(p + 1);
	*at = end = p + strcspn(p, ",");
	while (end > p && is_blank(end[-1]))
		end--;
	z.len = (uint32_t)(end - p);
	if (!is_name(z.name, z.len))
		return -EINVAL;
	if (**at && !*skip_blanks(++*at))
		return -EINVAL; /* nothing behind the comma */
	*ret_zone = z;
	return 1;
}

/* By one of the first n of the list. */
static bool
is_named(const char *list, unsigned n, uint32_t zone)
{
	struct ipfix_zone z;

	while (n-- && ipfix_zone_next(&list, &z) > 0)
		if (z.zone == zone)
			return true;
	return false;
}

int
ipfix_zones_check(const struct ctf_ctx *ctx, const char *list, struct ctf_err *err)
{
	const char *at = list, *here = list;
	struct ipfix_zone z;
	unsigned n = 0;
	int r;

	while ((r = ipfix_zone_next(&at, &z)) > 0) {
		if (is_named(list, n++, z.zone))
			return ctf_fail_opt(ctx, err, "zone_names",
					    "zone_names: zone %u has two names", z.zone);
		here = skip_blanks(at);
	}
	if (r < 0 || (*list && !n))
		return ctf_fail_opt(
			ctx, err, "zone_names",
			"zone_names: \"%.40s\" does not begin with a zone from 0 to "
			"%u, \"=\", and a name of at most %u bytes in UTF-8",
			here, LAST_ZONE, IPFIX_ZONE_MOST);
	return 0;
}

uint32_t
ipfix_zone_record(const struct ipfix_zone *z, uint8_t out[IPFIX_ZONE_RECORD])
{
	out[0] = out[1] = 0;
	out[2] = (uint8_t)(z->zone >> 8);
	out[3] = (uint8_t)z->zone;
	out[4] = (uint8_t)z->len;
	memcpy(out + 5, z->name, z->len);
	return 5 + z->len;
}
