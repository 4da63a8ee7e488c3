/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_sql.c - the dialect of ClickHouse: an expression with the meaning of
 * ctf_match().  Nothing is NULL there: numbers that are not known are -1, times 0,
 * addresses 16 zero bytes; IPv4 is mapped into IPv6.  Values are literals, numbers
 * and hex alone; long lists go along as tables.
 */
#include <sys/socket.h>

#include "ch_sql.h"

#define INLINE 8u   /* ranges of addresses in the text; more go along */
#define NUMBERS 64u /* values of a list of numbers in the text */
#define NONE "toFixedString('', 16)"
#define V4_LO "toFixedString(unhex('00000000000000000000ffff00000000'), 16)"
#define V4_HI "toFixedString(unhex('00000000000000000000ffffffffffff'), 16)"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- what a flow has ---------------------------------------------------------------- */

void
ch_put_columns(struct ch_text *t, enum ch_table table)
{
	ch_putf(t,
		"exporter, %s, stamped, start_ns, end_ns, id, nsid, proto, hex(src), sport,"
		" hex(dst), dport, hex(nat_src), nat_sport, hex(nat_dst), nat_dport,"
		" icmp_type, icmp_code, orig_packets, orig_bytes, reply_packets,"
		" reply_bytes, mark, zone, status, tcp_state, end_reason, src_name,"
		" dst_name, %s",
		CH_AT(table),
		table == CH_FLOWS ? "0 AS state, 0 AS lost_ns" : "state, lost_ns");
}

#define SUM(a, b) "if(" a " < 0, " b ", if(" b " < 0, " a ", " a " + " b "))"
#define NAT(x, none) "if(nat_" x " = " none ", " x ", nat_" x ")"
#define ICMP(proto, x) "if(proto = " proto " AND icmp_type >= 0, " x ", -1)"

static const char *const subjects[CTF_SUBJECTS] = {
	[CTF_S_SRC] = "src",
	[CTF_S_DST] = "dst",
	/* what was not translated is on the other side as it is here */
	[CTF_S_NAT_SRC] = NAT("src", NONE),
	[CTF_S_NAT_DST] = NAT("dst", NONE),
	[CTF_S_SPORT] = "sport",
	[CTF_S_DPORT] = "dport",
	[CTF_S_NAT_SPORT] = NAT("sport", "-1"),
	[CTF_S_NAT_DPORT] = NAT("dport", "-1"),
	[CTF_S_PROTO] = "proto",
	[CTF_S_ICMP_TYPE] = ICMP("1", "icmp_type"),
	[CTF_S_ICMP_CODE] = ICMP("1", "greatest(icmp_code, 0)"),
	[CTF_S_ICMP6_TYPE] = ICMP("58", "icmp_type"),
	[CTF_S_ICMP6_CODE] = ICMP("58", "greatest(icmp_code, 0)"),
	[CTF_S_FAMILY] = "if(src >= " V4_LO " AND src <= " V4_HI ", 4, 6)",
	[CTF_S_MARK] = "mark",
	[CTF_S_ZONE] = "zone",
	[CTF_S_STATUS] = "greatest(status, 0)",
	[CTF_S_BYTES] = SUM("orig_bytes", "reply_bytes"),
	[CTF_S_SRC_BYTES] = "orig_bytes",
	[CTF_S_DST_BYTES] = "reply_bytes",
	[CTF_S_PACKETS] = SUM("orig_packets", "reply_packets"),
	[CTF_S_SRC_PACKETS] = "orig_packets",
	[CTF_S_DST_PACKETS] = "reply_packets",
};

static const char *
subject(enum ch_table table, enum ctf_subject s)
{
	if (s != CTF_S_DURATION)
		return subjects[s];
	/* of what lives: so far */
	return table == CH_FLOWS ? "if(start_ns = 0 OR end_ns = 0, -1,"
				   " intDiv(end_ns - start_ns, 1000000))"
				 : "if(start_ns = 0, -1, intDiv(seen_ns - start_ns, 1000000))";
}

/* ---- numbers ------------------------------------------------------------------------- */

static void
ranges_put(struct ch_text *t, const char *x, const struct ctf_set *set)
{
	for (size_t i = 0; i < set->nspans; i++) {
		const struct ctf_span *s = &set->span[i];

		/* a number of a flow is never above that */
		if (s->lo == s->hi || s->lo > INT64_MAX)
			continue;
		ch_putf(t, " OR ((%s) >= %llu", x, (unsigned long long)s->lo);
		if (s->hi < INT64_MAX)
			ch_putf(t, " AND (%s) <= %llu", x, (unsigned long long)s->hi);
		ch_put(t, ")");
	}
	for (size_t i = 0; i < set->nmasked; i++)
		ch_putf(t,
			" OR ((%s) >= 0 AND bitAnd(toUInt64(%s), toUInt64(%llu)) ="
			" toUInt64(%llu))",
			x, x, (unsigned long long)set->masked[i].mask,
			(unsigned long long)set->masked[i].value);
}

static void
singles_put(struct ch_query *q, const char *x, const struct ctf_set *set)
{
	struct ch_set *rows = NULL;
	unsigned at, n = 0;

	for (size_t i = 0; i < set->nspans; i++)
		n += set->span[i].lo == set->span[i].hi && set->span[i].lo <= INT64_MAX;
	if (n == 0)
		return;
	if (n > NUMBERS && !(rows = ch_query_set(q, "a Int64", &at)))
		return;
	if (rows)
		ch_putf(&q->sql, " OR toInt64(%s) IN ctf_%u", x, at);
	else
		ch_putf(&q->sql, " OR (%s) IN (", x);
	n = 0;
	for (size_t i = 0; i < set->nspans; i++) {
		if (set->span[i].lo != set->span[i].hi || set->span[i].lo > INT64_MAX)
			continue;
		if (rows)
			ch_putf(&rows->rows, "%llu\n", (unsigned long long)set->span[i].lo);
		else
			ch_putf(&q->sql, "%s%llu", n++ ? ", " : "",
				(unsigned long long)set->span[i].lo);
	}
	if (!rows)
		ch_put(&q->sql, ")");
}

static void
number_test(struct ch_query *q, const char *x, const struct ctf_set *set)
{
	ch_put(&q->sql, "(0");
	singles_put(q, x, set);
	ranges_put(&q->sql, x, set);
	ch_put(&q->sql, ")");
}

/* ---- addresses ------------------------------------------------------------------------- */

struct range { /* as they are stored, both ends included */
	uint8_t lo[16], hi[16];
};

static void
v4(uint8_t *ip, uint32_t x)
{
	memcpy(ip, mapped, 12);
	for (unsigned i = 0; i < 4; i++)
		ip[12 + i] = (uint8_t)(x >> (24 - 8 * i));
}

static void
of_net(const struct ctf_net6 *n, struct range *r)
{
	for (unsigned k = 0; k < 16; k++) {
		unsigned bits = n->len >= 8 * (k + 1) ? 8 : n->len > 8 * k ? n->len - 8 * k : 0;

		r->lo[k] = n->ip[k];
		r->hi[k] = (uint8_t)(n->ip[k] | (0xff >> bits));
	}
}

/* Only what stands for IPv4, or for no address, is stored there. */
static bool
is_foreign(const struct range *r)
{
	static const uint8_t none[16];

	return (memcmp(r->lo, mapped, 12) == 0 && memcmp(r->hi, mapped, 12) == 0) ||
	       memcmp(r->hi, none, 16) == 0;
}

static bool
within(const struct range *r, const uint8_t *ip)
{
	return memcmp(r->lo, ip, 16) <= 0 && memcmp(r->hi, ip, 16) >= 0;
}

static void
range_put(struct ch_text *t, const char *x, const struct range *r, bool six)
{
	static const uint8_t none[16], first4[16] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(r->lo, r->hi, 16) == 0) {
		ch_putf(t, " OR %s = ", x);
		ch_put_ip(t, r->lo);
		return;
	}
	ch_putf(t, " OR (%s >= ", x);
	ch_put_ip(t, r->lo);
	ch_putf(t, " AND %s <= ", x);
	ch_put_ip(t, r->hi);
	if (six && within(r, none))
		ch_putf(t, " AND %s != " NONE, x);
	if (six && within(r, first4))
		ch_putf(t, " AND NOT (%s >= " V4_LO " AND %s <= " V4_HI ")", x, x);
	ch_put(t, ")");
}

static void
ranges_of_addrs(struct ch_text *t, const char *x, const struct ctf_set *set)
{
	struct range r;

	for (size_t i = 0; i < set->nspans; i++) {
		v4(r.lo, (uint32_t)set->span[i].lo);
		v4(r.hi, (uint32_t)set->span[i].hi);
		range_put(t, x, &r, false);
	}
	for (size_t i = 0; i < set->nnets6; i++) {
		of_net(&set->net6[i], &r);
		if (!is_foreign(&r))
			range_put(t, x, &r, true);
	}
}

/*
 * ---- long lists ---------------------------------------------------------------
 *
 * They go along as prefixes of whole hex digits, of all lengths in one table, and
 * each length that there is is looked for.
 */

#define DIGITS 32u

struct prefixes {
	struct ch_text *rows;
	bool of[DIGITS + 1]; /* so many digits */
};

static void
prefix_put(struct prefixes *p, const uint8_t *ip, unsigned digits)
{
	for (unsigned i = 0; i < digits; i++)
		ch_putf(p->rows, "%X", ip[i / 2] >> (i % 2 ? 0 : 4) & 15);
	ch_put(p->rows, "\n");
	p->of[digits] = true;
}

/* As prefixes of whole digits, and without what is stored among them. */
static void
net_add(struct prefixes *p, const uint8_t *ip, unsigned len, bool six)
{
	static const uint8_t none[16], first4[16] = { [10] = 0xff, [11] = 0xff };
	unsigned digits = (len + 3) / 4, more = digits * 4 - len;
	struct ctf_net6 net = { .len = (uint8_t)len };
	struct range r;
	uint8_t part[16];

	memcpy(net.ip, ip, 16);
	of_net(&net, &r);
	if (six && is_foreign(&r))
		return;
	if (six && more == 0 && (within(&r, none) || within(&r, first4)))
		more = 4;
	if (more == 0) {
		prefix_put(p, ip, digits);
		return;
	}
	digits = (len + more) / 4;
	memcpy(part, ip, 16);
	for (unsigned i = 0; i < 1u << more; i++) {
		unsigned at = (digits - 1) / 2, shift = digits % 2 ? 4 : 0;

		part[at] = (uint8_t)(ip[at] | i << shift);
		net_add(p, part, digits * 4, six);
	}
}

/* A range is at most 62 prefixes. */
static void
span_add(struct prefixes *p, const struct ctf_span *s)
{
	uint64_t lo = s->lo;
	uint8_t ip[16];

	while (lo <= s->hi) {
		unsigned bits = 0; /* behind the prefix */

		while (bits < 32 && !(lo >> bits & 1) &&
		       lo + (UINT64_C(2) << bits) - 1 <= s->hi)
			bits++;
		v4(ip, (uint32_t)lo);
		net_add(p, ip, 128 - bits, false);
		lo += UINT64_C(1) << bits;
	}
}

static void
prefixes_put(struct ch_query *q, enum ctf_subject s, const char *x, const struct ctf_set *set)
{
	struct prefixes p = { .rows = NULL };
	struct ch_set *rows;
	bool first = true;
	unsigned at;

	rows = ch_query_set(q, "a String", &at);
	if (!rows)
		return;
	p.rows = &rows->rows;
	for (size_t i = 0; i < set->nspans; i++)
		span_add(&p, &set->span[i]);
	for (size_t i = 0; i < set->nnets6; i++)
		net_add(&p, set->net6[i].ip, set->net6[i].len, true);
	for (unsigned n = 0; n <= DIGITS; n++) {
		if (!p.of[n])
			continue;
		if (first)
			ch_putf(&q->sql, " OR substring((hex(%s) AS ctf_x%d), 1, %u) IN ctf_%u",
				x, s, n, at);
		else
			ch_putf(&q->sql, " OR substring(ctf_x%d, 1, %u) IN ctf_%u", s, n, at);
		first = false;
	}
}

static void
addr_test(struct ch_query *q, enum ctf_subject s, const char *x, const struct ctf_set *set)
{
	ch_put(&q->sql, "(0");
	if (set->nspans + set->nnets6 <= INLINE)
		ranges_of_addrs(&q->sql, x, set);
	else
		prefixes_put(q, s, x, set);
	ch_put(&q->sql, ")");
}

/* ---- the tree ------------------------------------------------------------------------------ */

static void
test(struct ch_query *q, enum ch_table table, const struct ctf_node *n)
{
	bool more = false;

	ch_put(&q->sql, "(");
	for (unsigned s = 0; s < CTF_SUBJECTS; s++) {
		if (!(n->of >> s & 1))
			continue;
		ch_put(&q->sql, more ? " OR " : "");
		if (s <= CTF_S_NAT_DST)
			addr_test(q, s, subject(table, s), n->set);
		else
			number_test(q, subject(table, s), n->set);
		more = true;
	}
	ch_put(&q->sql, ")");
}

void
ch_put_expr(struct ch_query *q, enum ch_table table, const struct ctf_node *n)
{
	if (n->type == CTF_TEST) {
		test(q, table, n);
		return;
	}
	ch_put(&q->sql, n->type == CTF_NOT ? "(NOT " : "(");
	for (const struct ctf_node *c = n->child; c; c = c->next) {
		ch_put(&q->sql, c == n->child ? "" : n->type == CTF_ALL ? " AND " : " OR ");
		ch_put_expr(q, table, c);
	}
	ch_put(&q->sql, ")");
}

/* ---- what is asked of a table ---------------------------------------------------------------- */

void
ch_put_exporters(struct ch_text *t, const struct ch *ch)
{
	if (!ch->chosen) {
		ch_put(t, "1");
		return;
	}
	ch_put(t, "exporter IN (");
	for (unsigned i = 0; i < ch->nexporters; i++) {
		ch_put(t, i ? ", " : "");
		ch_put_string(t, ch->exporters[i]);
	}
	ch_put(t, ")");
}

void
ch_put_where(struct ch_query *q, const struct ch *ch, enum ch_table table,
	     const struct q_ask *ask)
{
	struct ch_text *t = &q->sql;

	ch_put(t, " WHERE ");
	ch_put_exporters(t, ch);
	if (table == CH_OPEN)
		ch_putf(t, " AND state %s",
			ask->open && ask->ended ? "< 2" : (ask->open ? "= 0" : "= 1"));
	if (ask->since != Q_NEVER) /* the first leaves days out */
		ch_putf(t, " AND %s >= %lld AND %s >= %lld", CH_AT(table),
			(long long)ask->since, CH_END(table), (long long)ask->since);
	if (ask->until != Q_NEVER)
		ch_putf(t, " AND %s < %lld", CH_END(table), (long long)ask->until);
	if (ask->longer_ns != Q_NEVER)
		ch_putf(t, " AND start_ns != 0 AND %s - start_ns > %lld", CH_END(table),
			(long long)ask->longer_ns);
	if (ask->expr) {
		ch_put(t, " AND ");
		ch_put_expr(q, table, ctf_expr_root(ask->expr));
	}
}
