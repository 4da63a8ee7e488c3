/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipfix_walk.h"

#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

#define RECORD 79u  /* template 256 without own elements */
#define OPTIONS 32u /* a set with one record of template 302, without own elements */
#define STATISTICS 32u
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

static uint64_t
get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

/* A record of template 300 alone in its set. */
static void
read_statistics(struct walk *w, unsigned d, const uint8_t *set, size_t n)
{
	ck_assert_uint_eq(n, STATISTICS);
	ck_assert_uint_eq(get32(set + 4), w->domain[d].id);
	w->domain[d].told =
		(struct walk_sum){ get64(set + 8), get64(set + 16), get64(set + 24) };
	w->domain[d].seen_then = w->domain[d].seen;
	w->statistics++;
}

static void
walk_message(struct walk *w, const uint8_t *p, size_t len)
{
	unsigned d = domain_of(w, get32(p + 12)), data = 0, templates = 0;
	size_t flows = w->records;
	size_t at = 16, n;

	ck_assert_uint_eq(get32(p + 8), w->domain[d].sequence);
	ck_assert_uint_ge(get32(p + 4), w->last_time);
	w->last_time = get32(p + 4);
	for (; at < len; at += n) {
		uint32_t id = get16(p + at);

		if (id >= 384) { /* of a later generation; the walk knows the first */
			w->shift = (id - 256) / 128 * 128;
			id -= w->shift;
		}
		ck_assert_uint_ge(len - at, 4);
		n = get16(p + at + 2);
		ck_assert(n > 4 && n <= len - at);
		if (id == 2 || id == 3) {
			w->announcements +=
				get16(p + at + 4) >= 256 && get16(p + at + 4) % 128 == 0;
			templates++;
			continue;
		}
		if (id == 300) {
			read_statistics(w, d, p + at, n);
			data++;
			continue;
		}
		if (id == 302) {
			ck_assert_uint_eq(n, OPTIONS);
			w->options++;
			data++;
			continue;
		}
		if (id >= 303 && id <= 305) {
			w->others++;
			data++;
			continue;
		}
		ck_assert_uint_eq(id, 256);
		ck_assert_uint_gt(w->domain[d].templates, 0);
		ck_assert_uint_eq((n - 4) % RECORD, 0);
		for (size_t i = 4; i < n; i += RECORD, data++)
			add_record(w, p + at + i);
		w->domain[d].seen.flows += (n - 4) / RECORD;
	}
	w->domain[d].seen.messages++;
	w->domain[d].seen.octets += len;
	w->domain[d].templates += templates;
	w->domain[d].sequence += data;
	w->messages += w->records > flows;
	w->template_messages += templates > 0;
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

void
walk_expect(const struct walk *w, unsigned from, unsigned to)
{
	ck_assert_uint_eq(w->records, to - from);
	for (size_t i = 0; i < w->records; i++)
		ck_assert_uint_eq(w->ids[i], from + i);
}

uint64_t
walk_flows(struct plug *p, unsigned from, unsigned to, int nsid)
{
	for (; from < to; from++) {
		plug_rec(p, AF_INET, CTF_DESTROY, UINT64_C(1700000000000000000) + from);
		plug_ip(p, "orig.ip.saddr", "10.0.0.1");
		plug_ip(p, "orig.ip.daddr", "10.0.0.2");
		plug_num(p, "orig.ip.protocol", 17);
		plug_num(p, "orig.raw.pktlen", 1);
		plug_num(p, "orig.raw.pktcount", 1);
		plug_num(p, "reply.raw.pktlen", 1);
		plug_num(p, "reply.raw.pktcount", 1);
		plug_num(p, "flow.start.ns", UINT64_C(1700000000000000000));
		plug_num(p, "flow.last.ns", UINT64_C(1700000001000000000));
		plug_num(p, "ct.id", from);
		if (nsid >= 0)
			plug_num(p, "ct.nsid", (unsigned)nsid);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	return plug_seal(p)->number;
}
