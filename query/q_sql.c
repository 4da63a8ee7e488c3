/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * q_sql.c - an expression as SQL, with the meaning of ctf_match(): what a flow
 * does not have fits nothing, a test is true or false and never NULL.
 */
#include <stdlib.h>

#include "sql.h"

#define INLINE 4u  /* ranges of a set; a larger one goes to a function */
#define CHAIN 200u /* operands in one row; SQLite's limit is 1000 */

/* ---- parameters --------------------------------------------------------------------- */

static void
param(struct sql *q, const struct sql_param *p)
{
	if (q->n == q->room) {
		unsigned room = q->room ? 2 * q->room : 32;
		struct sql_param *more = realloc(q->param, room * sizeof(*more));

		if (!more) {
			q->failed = true;
			return;
		}
		q->param = more;
		q->room = room;
	}
	sqlite3_str_appendf(q->s, "?%u", q->first + q->n);
	q->param[q->n++] = *p;
}

void
sql_int(struct sql *q, int64_t x)
{
	param(q, &(struct sql_param){ .type = P_INT, .i = x });
}

void
sql_blob(struct sql *q, const uint8_t *ip)
{
	struct sql_param p = { .type = P_BLOB };

	memcpy(p.blob, ip, 16);
	param(q, &p);
}

int
sql_bind(const struct sql *q, sqlite3_stmt *st)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < q->n && rc == SQLITE_OK; i++) {
		const struct sql_param *p = &q->param[i];
		int at = (int)(q->first + i);

		if (p->type == P_INT)
			rc = sqlite3_bind_int64(st, at, p->i);
		else if (p->type == P_BLOB)
			rc = sqlite3_bind_blob(st, at, p->blob, 16, SQLITE_STATIC);
		else
			rc = sqlite3_bind_pointer(st, at, (void *)(uintptr_t)p->set, SQL_SET,
						  NULL);
	}
	return rc;
}

void
sql_free(struct sql *q)
{
	free(q->param);
	q->param = NULL;
	q->n = q->room = 0;
}

/* ---- ranges of addresses ----------------------------------------------------------------- */

/* A span on both sides of 2^31 is two of signed numbers. */
static bool
is_split(const struct ctf_span *s)
{
	return s->lo <= INT32_MAX && s->hi > INT32_MAX;
}

/* Asked for each range of lists of thousands. */
static size_t
split_at(const struct ctf_set *s)
{
	size_t lo = 0, hi = s->nspans;

	/* the first that ends behind it */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->span[mid].hi <= INT32_MAX)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nspans && is_split(&s->span[lo]) ? lo : s->nspans;
}

size_t
sql_ranges(const struct ctf_set *s)
{
	return s->nspans + s->nnets6 + (split_at(s) < s->nspans);
}

void
sql_range(const struct ctf_set *s, size_t i, struct sql_range *ret_range)
{
	struct sql_range r = { .six = i >= s->nspans };
	const struct ctf_net6 *n;

	if (split_at(s) < s->nspans && i == s->nspans + s->nnets6) {
		*ret_range =
			(struct sql_range){ .lo = INT32_MIN,
					    .hi = (int32_t)(uint32_t)s->span[split_at(s)].hi };
		return;
	}
	if (!r.six) {
		r.lo = (int32_t)(uint32_t)s->span[i].lo;
		r.hi = is_split(&s->span[i]) ? INT32_MAX : (int32_t)(uint32_t)s->span[i].hi;
		*ret_range = r;
		return;
	}
	n = &s->net6[i - s->nspans];
	for (unsigned k = 0; k < 16; k++) {
		unsigned bits = n->len >= 8 * (k + 1) ? 8 : n->len > 8 * k ? n->len - 8 * k : 0;

		r.lo6[k] = n->ip[k];
		r.hi6[k] = (uint8_t)(n->ip[k] | (0xff >> bits));
	}
	*ret_range = r;
}

/* ---- tests ------------------------------------------------------------------------------- */

/* A number of a flow is never above this, so that 64 bits without sign fit. */
static void
spans_test(struct sql *q, const char *x, const struct ctf_set *set)
{
	for (size_t i = 0; i < set->nspans; i++) {
		const struct ctf_span *s = &set->span[i];

		sqlite3_str_appendf(q->s, "%s(%s) ", i ? " OR " : "", x);
		if (s->lo == s->hi) {
			sqlite3_str_appendall(q->s, "= ");
			sql_int(q, (int64_t)s->lo);
		} else if (s->hi >= INT64_MAX) {
			sqlite3_str_appendall(q->s, ">= ");
			sql_int(q, (int64_t)s->lo);
		} else {
			sqlite3_str_appendall(q->s, "BETWEEN ");
			sql_int(q, (int64_t)s->lo);
			sqlite3_str_appendall(q->s, " AND ");
			sql_int(q, (int64_t)s->hi);
		}
	}
	for (size_t i = 0; i < set->nmasked; i++) {
		sqlite3_str_appendf(q->s, "%s(%s) & ", i || set->nspans ? " OR " : "", x);
		sql_int(q, (int64_t)set->masked[i].mask);
		sqlite3_str_appendall(q->s, " = ");
		sql_int(q, (int64_t)set->masked[i].value);
	}
}

static void
set_param(struct sql *q, const struct ctf_set *set)
{
	param(q, &(struct sql_param){ .type = P_SET, .set = set });
}

static void
number_test(struct sql *q, const char *x, const struct ctf_set *set)
{
	bool beyond = false;

	for (size_t i = 0; i < set->nspans; i++)
		beyond |= set->span[i].lo > INT64_MAX;
	if (set->nspans + set->nmasked == 0) {
		sqlite3_str_appendall(q->s, "0");
	} else if (set->nspans + set->nmasked <= INLINE && !beyond) {
		spans_test(q, x, set);
	} else {
		sqlite3_str_appendf(q->s, "ctf_in(%s, ", x);
		set_param(q, set);
		sqlite3_str_appendall(q->s, ")");
	}
}

static void
range_test(struct sql *q, const char *x, const struct sql_range *r)
{
	bool one = r->six ? memcmp(r->lo6, r->hi6, 16) == 0 : r->lo == r->hi;

	sqlite3_str_appendf(q->s, one ? "%s = " : "%s BETWEEN ", x);
	if (r->six)
		sql_blob(q, r->lo6);
	else
		sql_int(q, r->lo);
	if (one)
		return;
	sqlite3_str_appendall(q->s, " AND ");
	if (r->six)
		sql_blob(q, r->hi6);
	else
		sql_int(q, r->hi);
}

/* Of values of another family BETWEEN is false: numbers are below all blobs. */
static void
addr_test(struct sql *q, const char *x, const struct ctf_set *set)
{
	size_t n = sql_ranges(set);
	struct sql_range r;

	if (n == 0)
		sqlite3_str_appendall(q->s, "0");
	for (size_t i = 0; n <= INLINE && i < n; i++) {
		sql_range(set, i, &r);
		sqlite3_str_appendall(q->s, i ? " OR " : "");
		range_test(q, x, &r);
	}
	if (n > INLINE) {
		sqlite3_str_appendf(q->s, "ctf_in_addr(%s, ", x);
		set_param(q, set);
		sqlite3_str_appendall(q->s, ")");
	}
}

/* ---- subjects ----------------------------------------------------------------------------- */

static const struct {
	enum look look, other;
} plain[CTF_SUBJECTS] = {
	[CTF_S_SRC] = { A_SRC, LOOKS },
	[CTF_S_DST] = { A_DST, LOOKS },
	/* what was not translated is on the other side as it is here */
	[CTF_S_NAT_SRC] = { A_NAT_SRC, A_SRC },
	[CTF_S_NAT_DST] = { A_NAT_DST, A_DST },
	[CTF_S_SPORT] = { A_SPORT, LOOKS },
	[CTF_S_DPORT] = { A_DPORT, LOOKS },
	[CTF_S_NAT_SPORT] = { A_NAT_SPORT, A_SPORT },
	[CTF_S_NAT_DPORT] = { A_NAT_DPORT, A_DPORT },
	[CTF_S_PROTO] = { A_PROTO, LOOKS },
	[CTF_S_SRC_BYTES] = { A_BYTES, LOOKS },
	[CTF_S_DST_BYTES] = { A_RBYTES, LOOKS },
	[CTF_S_SRC_PACKETS] = { A_PACKETS, LOOKS },
	[CTF_S_DST_PACKETS] = { A_RPACKETS, LOOKS },
	[CTF_S_MARK] = { A_MARK, LOOKS },
	[CTF_S_ZONE] = { A_ZONE, LOOKS },
	[CTF_S_STATUS] = { A_STATUS, LOOKS },
	/* not as plain as they look */
	[CTF_S_ICMP_TYPE] = { A_ICMP, LOOKS },
	[CTF_S_ICMP_CODE] = { A_ICMP, LOOKS },
	[CTF_S_ICMP6_TYPE] = { A_ICMP, LOOKS },
	[CTF_S_ICMP6_CODE] = { A_ICMP, LOOKS },
	[CTF_S_FAMILY] = { A_SRC, LOOKS },
	[CTF_S_BYTES] = { A_BYTES, LOOKS },
	[CTF_S_PACKETS] = { A_PACKETS, LOOKS },
	[CTF_S_DURATION] = { A_START, LOOKS },
};

/* What the field of a subject is in SQL; to be freed with sqlite3_free(). */
static char *
subject(enum layout l, enum ctf_subject s)
{
	const char *a = layout_sql(l, plain[s].look), *b, *proto = layout_sql(l, A_PROTO);
	enum look x = s == CTF_S_BYTES ? A_BYTES : A_PACKETS;

	switch (s) {
	case CTF_S_ICMP_TYPE:
	case CTF_S_ICMP6_TYPE:
	case CTF_S_ICMP_CODE:
	case CTF_S_ICMP6_CODE:
		return sqlite3_mprintf("CASE WHEN %s = %d THEN (%s) %s 255 END", proto,
				       s == CTF_S_ICMP_TYPE || s == CTF_S_ICMP_CODE ? 1 : 58,
				       layout_sql(l, A_ICMP),
				       s == CTF_S_ICMP_TYPE || s == CTF_S_ICMP6_TYPE ? ">> 8 &"
										     : "&");
	case CTF_S_FAMILY:
		return sqlite3_mprintf("CASE typeof(%s) WHEN 'integer' THEN 4 ELSE 6 END",
				       layout_sql(l, A_SRC));
	case CTF_S_BYTES:
	case CTF_S_PACKETS:
		a = layout_sql(l, x);
		b = layout_sql(l, x == A_BYTES ? A_RBYTES : A_RPACKETS);
		return sqlite3_mprintf("coalesce((%s) + (%s), %s, %s)", a, b, a, b);
	case CTF_S_DURATION:
		/* of what lives: so far */
		x = l == L_OPEN || l == L_OPEN_2 ? A_AT : A_END;
		return sqlite3_mprintf("((%s) - (%s)) / 1000000", layout_sql(l, x),
				       layout_sql(l, A_START));
	case CTF_S_MARK:
	case CTF_S_ZONE:
	case CTF_S_STATUS:
		return sqlite3_mprintf("ifnull(%s, 0)", a);
	default:
		if (plain[s].other == LOOKS)
			return sqlite3_mprintf("%s", a);
		return sqlite3_mprintf("coalesce(%s, %s)", a, layout_sql(l, plain[s].other));
	}
}

const char *
sql_missing(enum layout l, const struct ctf_node *n)
{
	const char *text = NULL;
	bool there = n->type != CTF_TEST;

	for (unsigned s = 0; s < CTF_SUBJECTS; s++)
		there |= (n->of >> s & 1) && strcmp(layout_sql(l, plain[s].look), "NULL") != 0;
	if (!there)
		return n->text;
	for (const struct ctf_node *c = n->child; c && !text; c = c->next)
		text = sql_missing(l, c);
	return text;
}

static void
test(struct sql *q, const struct ctf_node *n)
{
	bool more = false;

	sqlite3_str_appendall(q->s, "ifnull(");
	for (unsigned s = 0; s < CTF_SUBJECTS; s++) {
		char *x;

		if (!(n->of >> s & 1))
			continue;
		x = subject(q->layout, s);
		if (!x) {
			q->failed = true;
			return;
		}
		sqlite3_str_appendall(q->s, more ? " OR " : "");
		if (s <= CTF_S_NAT_DST)
			addr_test(q, x, n->set);
		else
			number_test(q, x, n->set);
		sqlite3_free(x);
		more = true;
	}
	sqlite3_str_appendall(q->s, ", 0)");
}

/* ---- the tree ----------------------------------------------------------------------------- */

static unsigned
depth(const struct ctf_node *n)
{
	unsigned most = 0;

	for (const struct ctf_node *c = n->child; c; c = c->next) {
		unsigned d = depth(c);

		most = d > most ? d : most;
	}
	return n->child ? most + 1 : 0;
}

/*
 * The deepest child comes first, as SQLite's parser has a stack of 100 and
 * keeps what is left of a parenthesis on it.
 */
static void
operands(struct sql *q, const struct ctf_node *n)
{
	const char *op = n->type == CTF_ALL ? " AND " : " OR ";
	const struct ctf_node *deepest = n->child;
	unsigned most = depth(deepest), i = 1;

	for (const struct ctf_node *c = n->child->next; c; c = c->next)
		if (depth(c) > most) {
			most = depth(c);
			deepest = c;
		}
	sqlite3_str_appendall(q->s, "(");
	sql_expr(q, deepest);
	for (const struct ctf_node *c = n->child; c; c = c->next) {
		if (c == deepest)
			continue;
		sqlite3_str_appendall(q->s, i++ % CHAIN ? "" : ")");
		sqlite3_str_appendall(q->s, op);
		sqlite3_str_appendall(q->s, (i - 1) % CHAIN ? "" : "(");
		sql_expr(q, c);
	}
	sqlite3_str_appendall(q->s, ")");
}

void
sql_expr(struct sql *q, const struct ctf_node *n)
{
	switch (n->type) {
	case CTF_TEST:
		test(q, n);
		break;
	case CTF_NOT:
		sqlite3_str_appendall(q->s, "(");
		sql_expr(q, n->child);
		sqlite3_str_appendall(q->s, ") = 0");
		break;
	default:
		operands(q, n);
	}
}
