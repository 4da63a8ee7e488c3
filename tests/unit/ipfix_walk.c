/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipfix_walk.h"

#include <check.h>
#include <stdlib.h>

#define RECORD 79u  /* template 256 without own elements */
#define FLOW_ID 64u /* the low half of flowId in it */

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t
get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static unsigned
domain_of(struct walk *w, uint32_t id)
{
	unsigned i;

	for (i = 0; i < w->domains; i++)
		if (w->domain[i].id == id)
			return i;
	ck_assert_uint_lt(i, WALK_DOMAINS);
	w->domain[i].id = id;
	w->domains++;
	return i;
}

static void
add_record(struct walk *w, const uint8_t *p)
{
	if (w->records == w->room) {
		w->room = w->room ? w->room * 2 : 1024;
		w->ids = realloc(w->ids, w->room * sizeof(*w->ids));
		ck_assert_ptr_nonnull(w->ids);
	}
	w->ids[w->records++] = get32(p + FLOW_ID);
}

static void
walk_message(struct walk *w, const uint8_t *p, size_t len)
{
	unsigned d = domain_of(w, get32(p + 12)), data = 0, templates = 0;
	size_t at = 16, n;

	ck_assert_uint_eq(get32(p + 8), w->domain[d].sequence);
	ck_assert_uint_ge(get32(p + 4), w->last_time);
	w->last_time = get32(p + 4);
	for (; at < len; at += n) {
		uint32_t id = get16(p + at);

		ck_assert_uint_ge(len - at, 4);
		n = get16(p + at + 2);
		ck_assert(n > 4 && n <= len - at);
		if (id == 2) {
			templates++;
			continue;
		}
		ck_assert_uint_eq(id, 256);
		ck_assert_uint_gt(w->domain[d].templates, 0);
		ck_assert_uint_eq((n - 4) % RECORD, 0);
		for (size_t i = 4; i < n; i += RECORD, data++)
			add_record(w, p + at + i);
	}
	w->domain[d].templates += templates;
	w->domain[d].sequence += data;
	w->messages += data > 0;
	w->announcements += data == 0;
}

void
walk_bytes(struct walk *w, const uint8_t *bytes, size_t len)
{
	size_t at = 0, n;

	for (; len - at >= 16; at += n) {
		ck_assert_uint_eq(get16(bytes + at), 10);
		n = get16(bytes + at + 2);
		ck_assert_uint_gt(n, 16);
		if (n > len - at)
			break;
		walk_message(w, bytes + at, n);
	}
	w->rest = len - at;
}

void
walk_free(struct walk *w)
{
	free(w->ids);
}
