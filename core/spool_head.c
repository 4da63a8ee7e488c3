/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   0 version (4)   4 spool id (8)   12 the daemon's version, the sink's id,
 *     its plugin: each ends with 0
 */
#include "spool_head.h"

#include <stdio.h>
#include <string.h>

static uint8_t *
put_text(uint8_t *p, const uint8_t *end, const char *s)
{
	return p + snprintf((char *)p, (size_t)(end - p), "%.300s", s) + 1;
}

size_t
spool_head_put(const struct spool_head *h, uint8_t to[SPOOL_HEAD_MAX])
{
	const uint8_t *end = to + SPOOL_HEAD_MAX;
	uint8_t *p = to;

	for (unsigned i = 0; i < 4; i++)
		*p++ = (uint8_t)(SPOOL_VERSION >> 8 * i);
	for (unsigned i = 0; i < 8; i++)
		*p++ = (uint8_t)(h->spool >> 8 * i);
	p = put_text(p, end, VERSION);
	p = put_text(p, end, h->id);
	return (size_t)(put_text(p, end, h->plugin) - to);
}

static const uint8_t *
text(const uint8_t *p, const uint8_t *end, const char **ret_text)
{
	const uint8_t *zero = p ? memchr(p, '\0', (size_t)(end - p)) : NULL;

	if (!zero)
		return NULL;
	*ret_text = (const char *)p;
	return zero + 1;
}

bool
spool_head_get(const uint8_t *p, size_t n, struct spool_head *ret_head)
{
	const uint8_t *end = p + n;
	struct spool_head h = { 0 };
	const char *version;

	if (n < 12 || p[0] != SPOOL_VERSION || p[1] || p[2] || p[3])
		return false;
	for (unsigned i = 0; i < 8; i++)
		h.spool |= (uint64_t)p[4 + i] << 8 * i;
	p = text(p + 12, end, &version);
	p = text(p, end, &h.id);
	if (!text(p, end, &h.plugin))
		return false;
	*ret_head = h;
	return true;
}
