/* SPDX-License-Identifier: GPL-2.0-or-later */
/* history: what a line says, as the plugin is told by the core. */
#include <arpa/inet.h>
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "history.h"

static const struct {
	const char *key, *field;
} keys[H_COUNT] = {
	[H_SRC] = { "src", "orig.ip.saddr" },
	[H_DST] = { "dst", "orig.ip.daddr" },
	[H_RSRC] = { "nat_dst", "reply.ip.saddr" }, /* else dst */
	[H_RDST] = { "nat_src", "reply.ip.daddr" }, /* else src */
	[H_PROTO] = { "proto", "orig.ip.protocol" },
	[H_SPORT] = { "sport", "orig.l4.sport" },
	[H_DPORT] = { "dport", "orig.l4.dport" },
	[H_RSPORT] = { "nat_dport", "reply.l4.sport" }, /* else dport */
	[H_RDPORT] = { "nat_sport", "reply.l4.dport" }, /* else sport */
	[H_START] = { "start", "flow.start.ns" },
	[H_LAST] = { "end", "flow.last.ns" },
	[H_STOP] = { "destroy", "flow.destroy.ns" },
	[H_ID] = { "id", "ct.id" },
	[H_MARK] = { "mark", "ct.mark" },
	[H_ZONE] = { "zone", "ct.zone" },
	[H_NSID] = { "nsid", "ct.nsid" },
	[H_PACKETS] = { "packets", "orig.raw.pktcount" },
	[H_BYTES] = { "bytes", "orig.raw.pktlen" },
	[H_RPACKETS] = { "rpackets", "reply.raw.pktcount" },
	[H_RBYTES] = { "rbytes", "reply.raw.pktlen" },
	[H_STATUS] = { "status", "ct.status" },
	[H_TCP_STATE] = { "tcp_state", "ct.tcp.state" },
	[H_REASON] = { "reason", "flow.end.reason" },
	[H_ICMP_TYPE] = { "icmp_type", "icmp.type" },
	[H_ICMP_CODE] = { "icmp_code", "icmp.code" },
	[H_ICMP6_TYPE] = { "icmp6_type", "icmpv6.type" },
	[H_ICMP6_CODE] = { "icmp6_code", "icmpv6.code" },
	[H_SNAME] = { "src_name", "orig.ip.saddr.name" },
	[H_SNAME_NS] = { "src_name_ns", "orig.ip.saddr.name.ns" },
	[H_DNAME] = { "dst_name", "orig.ip.daddr.name" },
	[H_DNAME_NS] = { "dst_name_ns", "orig.ip.daddr.name.ns" },
};

void
history_slots(struct history *h)
{
	for (unsigned i = 0; i < H_COUNT; i++)
		h->slot[i] = plug_slot(h->plug, keys[i].field);
}

char *
history_word(char **text)
{
	char *p = *text + strspn(*text, " \t\r\n"), *word = p, *out = p;
	bool quoted = false;

	if (!*p)
		return NULL;
	for (; *p && (quoted || !strchr(" \t\r\n", *p)); p++) {
		if (*p == '"')
			quoted = !quoted;
		else
			*out++ = *p;
	}
	*text = *p ? p + 1 : p;
	*out = '\0';
	return word;
}

/* False at the end of the line. */
static bool
pair(const struct history *h, char **text, char **ret_key, char **ret_value)
{
	char *word = history_word(text), *is = word ? strchr(word, '=') : NULL;

	ck_assert_msg(!word || is, "line %u: \"%s\" is not KEY=VALUE", h->line, word);
	if (!word)
		return false;
	*is = '\0';
	*ret_key = word;
	*ret_value = is + 1;
	return true;
}

static uint64_t
number(const struct history *h, const char *key, const char *value)
{
	char *end;
	uint64_t n = strtoull(value, &end, 0);

	ck_assert_msg(end != value && !*end, "line %u: %s=\"%s\" is no number", h->line, key,
		      value);
	return n;
}

/* ---- flows -------------------------------------------------------------------- */

static void
value_put(const struct history *h, struct ctf_rec *r, unsigned i, const char *value)
{
	uint8_t ip[16];

	if (i == H_SNAME || i == H_DNAME) {
		if (h->slot[i] != CTF_NONE)
			plug_text(h->plug, keys[i].field, value);
		return;
	}
	if (i > H_RDST) {
		ctf_put_num(r, h->slot[i], number(h, keys[i].key, value));
		return;
	}
	r->family = strchr(value, ':') ? AF_INET6 : AF_INET;
	ck_assert_msg(inet_pton(r->family, value, ip) == 1, "line %u: %s=\"%s\"", h->line,
		      keys[i].key, value);
	ctf_put_ip(r, h->slot[i], ip, r->family == AF_INET ? 4 : 16);
}

/* Nothing was translated that the line does not say so of. */
static void
reply_complete(const struct history *h, struct ctf_rec *r)
{
	static const uint8_t same[][2] = { { H_RSRC, H_DST },
					   { H_RDST, H_SRC },
					   { H_RSPORT, H_DPORT },
					   { H_RDPORT, H_SPORT } };

	for (unsigned i = 0; i < 4; i++) {
		ctf_ref to = h->slot[same[i][0]], from = h->slot[same[i][1]];

		if (to == CTF_NONE || from == CTF_NONE || ctf_has(r, to) || !ctf_has(r, from))
			continue;
		r->v[to] = r->v[from];
		ctf_mark_set(r, to);
	}
}

/* Keys that are of the record and not among its fields. */
static bool
about_record(const struct history *h, struct ctf_rec *r, const char *key, const char *value)
{
	static const char *const kinds[] = {
		[CTF_PRESENCE] = "presence", [CTF_COUNTERS] = "counters", [CTF_DELTA] = "delta"
	};

	if (strcmp(key, "at") == 0 || strcmp(key, "rx") == 0) {
		r->rx_ns = r->at_ns = number(h, key, value);
		return true;
	}
	for (unsigned i = CTF_PRESENCE; i <= CTF_DELTA && strcmp(key, "kind") == 0; i++) {
		if (strcmp(value, kinds[i]) == 0) {
			r->kind = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* flow: it ended, rx= was received; seen: it lived at=; kind=counters|delta|presence */
void
history_flow(struct history *h, bool seen, char *text)
{
	struct ctf_rec *r = plug_rec(h->plug, AF_INET, seen ? CTF_UPDATE : CTF_DESTROY, 0);
	char *key, *value;

	r->kind = seen ? CTF_COUNTERS : CTF_EVENT;
	while (pair(h, &text, &key, &value)) {
		unsigned i = 0;

		if (about_record(h, r, key, value))
			continue;
		while (i < H_COUNT && strcmp(keys[i].key, key) != 0)
			i++;
		ck_assert_msg(i < H_COUNT, "line %u: no key \"%s\"", h->line, key);
		value_put(h, r, i, value);
	}
	reply_complete(h, r);
	if (!r->rx_ns)
		r->rx_ns = ctf_num_or(r, h->slot[H_STOP], 0);
	r->at_ns = ctf_num_or(r, h->slot[H_STOP], r->at_ns);
	ck_assert_msg(r->rx_ns != 0, "line %u: neither destroy= nor rx= nor at=", h->line);
	history_encode(h);
}

/* ---- gaps, coverage, sweeps ---------------------------------------------------- */

struct member {
	const char *key;
	size_t off;
	char type; /* q uint64, l int64, i int, u unsigned, b int8, o bool, s text, c count_is */
};

static void
number_set(uint8_t *p, char type, uint64_t n)
{
	if (type == 'q' || type == 'l')
		memcpy(p, &n, 8);
	else if (type == 'i' || type == 'u')
		memcpy(p, &(uint32_t){ (uint32_t)n }, 4);
	else if (type == 'o')
		*(bool *)p = n;
	else
		*p = (uint8_t)n;
}

static void
member_set(const struct history *h, const struct member *m, void *base, const char *value)
{
	static const char *const is[] = { "exact", "at_most", "unknown" };
	uint8_t *p = (uint8_t *)base + m->off;

	if (m->type == 's') {
		*(const char **)p = value;
	} else if (m->type == 'c') {
		enum ctf_count_is n = CTF_EXACT;

		while (n < CTF_UNCOUNTED && strcmp(value, is[n]) != 0)
			n++;
		*(enum ctf_count_is *)p = n;
	} else {
		number_set(p, m->type, number(h, m->key, value));
	}
}

static void
members_read(const struct history *h, const struct member *m, void *base, char *text)
{
	char *key, *value;

	while (pair(h, &text, &key, &value)) {
		const struct member *is = m;

		while (is->key && strcmp(is->key, key) != 0)
			is++;
		ck_assert_msg(is->key, "line %u: no key \"%s\"", h->line, key);
		member_set(h, is, base, value);
	}
}

void
history_gap(struct history *h, char *text)
{
#define G(m, t) \
	{ \
#m, offsetof(struct ctf_gap, m), t \
	}
	static const struct member m[] = { G(from_ns, 'q'),  G(to_ns, 'q'), G(count, 'q'),
					   G(count_is, 'c'), G(cause, 's'), G(instance, 's'),
					   G(nsid, 'i'),     { NULL, 0, 0 } };
	struct ctf_gap g = { .cause = "overrun",
			     .count = CTF_UNKNOWN,
			     .count_is = CTF_UNCOUNTED,
			     .instance = "src",
			     .nsid = -1 };

	members_read(h, m, &g, text);
	ck_assert_int_eq(plug_gap(h->plug, &g), CTF_OK);
}

void
history_coverage(struct history *h, char *text)
{
#define C(m, t) \
	{ \
#m, offsetof(struct ctf_coverage, m), t \
	}
	static const struct member m[] = {
		C(from_ns, 'q'),        C(last_alive_ns, 'q'), C(to_ns, 'q'),
		C(exporter, 's'),       C(instance, 's'),      C(boot_id, 's'),
		C(selection, 's'),      C(netns, 's'),         C(abilities, 's'),
		C(nsid, 'i'),           C(event_mask, 'u'),    C(acct, 'b'),
		C(timestamp, 'b'),      C(events, 'b'),        C(clock_synchronised, 'b'),
		C(clock_error_ns, 'l'), C(offload, 'b'),       C(gro, 'b'),
		C(reliable, 'o'),       { NULL, 0, 0 }
	};
	struct ctf_coverage c = { .exporter = "gateway",
				  .instance = "src",
				  .boot_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
				  .selection = "",
				  .netns = "",
				  .abilities = "",
				  .nsid = -1,
				  .event_mask = CTF_DESTROY,
				  .acct = 1,
				  .timestamp = 1,
				  .events = 1,
				  .clock_synchronised = 1,
				  .clock_error_ns = 1000000 };

	members_read(h, m, &c, text);
	ck_assert_int_eq(plug_coverage(h->plug, &c), CTF_OK);
}

void
history_sweep(struct history *h, char *text)
{
#define S(m, t) \
	{ \
#m, offsetof(struct ctf_sweep, m), t \
	}
	static const struct member m[] = { S(at_ns, 'q'),      S(previous_ns, 'q'),
					   S(min_age_ns, 'q'), S(complete, 'o'),
					   S(delta, 'o'),      S(nsid, 'i'),
					   { NULL, 0, 0 } };
	struct ctf_sweep w = { .complete = true, .nsid = -1 };

	members_read(h, m, &w, text);
	ck_assert_int_eq(plug_sweep(h->plug, &w), CTF_OK);
}
