/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * q_index.c - which parts of a partition can have rows that fit.
 *
 * Every row that fits must meet some test on addresses, or one of several; the
 * run of the index then has an entry for it.  An entry stands for a short time
 * in which there is such a row, so the rows found are looked at again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "scan.h"

#define LEGS 8u
#define PORTS 16u /* ranges of ports that are looked for one by one */
#define SHARE 6   /* more entries than one of so many rows: reading all is faster */

enum { IX_SRC, IX_DST, IX_NAT, IXS };

struct plan {
	struct leg {
		unsigned indexes; /* bits */
		const struct ctf_set *set;
		const struct ctf_set *port; /* of the translated side; NULL: any */
	} leg[LEGS];                        /* each row that fits is found by one of them */
	unsigned n;
	size_t weight; /* about how much it finds; less is better */
};

/* ---- what every row must meet ------------------------------------------------------------- */

static size_t
weight_of(const struct ctf_set *set)
{
	size_t w = set->nnets6;

	for (size_t i = 0; i < set->nspans; i++) {
		size_t n = (size_t)(set->span[i].hi - set->span[i].lo) + 1;

		w = w + n < w ? SIZE_MAX : w + n;
	}
	for (size_t i = 0; i < set->nnets6; i++)
		if (set->net6[i].len < 48)
			w += 1u << 20;
	return w;
}

/* What was not translated is found by the address it had anyway. */
static unsigned
indexes_of(uint32_t of)
{
	unsigned ix = 0;

	if (of & (1u << CTF_S_SRC | 1u << CTF_S_NAT_SRC))
		ix |= 1u << IX_SRC;
	if (of & (1u << CTF_S_DST | 1u << CTF_S_NAT_DST))
		ix |= 1u << IX_DST;
	if (of & (1u << CTF_S_NAT_SRC | 1u << CTF_S_NAT_DST))
		ix |= 1u << IX_NAT;
	return ix;
}

/* There is only the side others see, of all flows; destinations are not kept. */
static unsigned
nat_indexes_of(uint32_t of)
{
	return of & 1u << CTF_S_NAT_SRC && !(of & 1u << CTF_S_SRC) ? 1u << IX_NAT : 0;
}

static bool plan_of(const struct ctf_node *, bool nat, struct plan *ret_plan);

static bool
plan_any(const struct ctf_node *n, bool nat, struct plan *ret_plan)
{
	struct plan all = { .n = 0 }, one;

	for (const struct ctf_node *c = n->child; c; c = c->next) {
		if (!plan_of(c, nat, &one) || all.n + one.n > LEGS)
			return false;
		memcpy(all.leg + all.n, one.leg, one.n * sizeof(one.leg[0]));
		all.n += one.n;
		all.weight += one.weight;
	}
	*ret_plan = all;
	return true;
}

/* The port that must be beside a translated address, if there is one. */
static void
add_port(struct plan *p, const struct ctf_node *test, const struct ctf_node *all)
{
	uint32_t of = test->of == 1u << CTF_S_NAT_SRC   ? 1u << CTF_S_NAT_SPORT
		      : test->of == 1u << CTF_S_NAT_DST ? 1u << CTF_S_NAT_DPORT
							: 0;

	for (const struct ctf_node *c = all->child; c && of; c = c->next)
		if (c->type == CTF_TEST && c->of == of && c->set->nspans <= PORTS) {
			p->leg[0].port = c->set;
			p->weight = 0;
		}
}

static bool
plan_all(const struct ctf_node *n, bool nat, struct plan *ret_plan)
{
	struct plan one;
	bool any = false;

	for (const struct ctf_node *c = n->child; c; c = c->next) {
		if (!plan_of(c, nat, &one))
			continue;
		if (c->type == CTF_TEST)
			add_port(&one, c, n);
		if (!any || one.weight < ret_plan->weight)
			*ret_plan = one;
		any = true;
	}
	return any;
}

/* False: rows that fit can be anywhere.  nat: of a table of profile nat. */
static bool
plan_of(const struct ctf_node *n, bool nat, struct plan *ret_plan)
{
	const uint32_t addrs = (1u << (CTF_S_NAT_DST + 1)) - 1;

	switch (n->type) {
	case CTF_ALL:
		return plan_all(n, nat, ret_plan);
	case CTF_ANY:
		return plan_any(n, nat, ret_plan);
	case CTF_NOT:
		if (n->child->type != CTF_NOT)
			return false;
		return plan_of(n->child->child, nat, ret_plan);
	case CTF_TEST:
		if (n->of & ~addrs)
			return false;
		*ret_plan = (struct plan){ .n = 1, .weight = weight_of(n->set) };
		ret_plan->leg[0].indexes = nat ? nat_indexes_of(n->of) : indexes_of(n->of);
		ret_plan->leg[0].set = n->set;
		return ret_plan->leg[0].indexes != 0;
	}
	return false;
}

/* ---- looking ---------------------------------------------------------------------------------- */

struct finding {
	struct stream *s;
	struct ctf_err *err;
	sqlite3_stmt *st[IXS][2]; /* [1]: with ports */
	int64_t *at;
	size_t n, room, most;
};

/* 0; 1: too many, or -errno. */
static int
keep(struct finding *f, int64_t at)
{
	if (f->n == f->most)
		return 1;
	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 256;
		int64_t *more = realloc(f->at, room * sizeof(*more));

		if (!more)
			return ctf_fail(f->err, ENOMEM, "out of memory");
		f->at = more;
		f->room = room;
	}
	f->at[f->n++] = at;
	return 0;
}

/* The rows of a statement that is bound. */
static int
fetch(struct finding *f, sqlite3_stmt *st)
{
	int rc, r = 0;

	while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		if (rc != SQLITE_ROW)
			r = q_sql_failed(f->s->db, f->err);
		else
			r = keep(f, sqlite3_column_int64(st, 0));
	}
	sqlite3_reset(st);
	return r;
}

/* ?1 run, ?2 and ?3 addresses, ?4 and ?5 ports */
static int
index_prepare(struct finding *f, unsigned ix, bool port)
{
	static const char *const names[] = { "src", "dst", "nat" };

	if (f->st[ix][port])
		return 0;
	return q_db_prepare(f->s->db,
			    sqlite3_mprintf("SELECT at FROM \"%w_%s\" WHERE run = ?1 AND %s",
					    f->s->part.base, names[ix],
					    port ? "addr = ?2 AND port BETWEEN ?4 AND ?5"
						 : "addr BETWEEN ?2 AND ?3"),
			    &f->st[ix][port], f->err);
}

static void
range_bind(sqlite3_stmt *st, const struct part *p, const struct sql_range *r)
{
	sqlite3_bind_int64(st, 1, p->run);
	if (r->six) {
		sqlite3_bind_blob(st, 2, r->lo6, 16, SQLITE_STATIC);
		sqlite3_bind_blob(st, 3, r->hi6, 16, SQLITE_STATIC);
	} else {
		sqlite3_bind_int64(st, 2, r->lo);
		sqlite3_bind_int64(st, 3, r->hi);
	}
}

static int
port_fetch(struct finding *f, sqlite3_stmt *st, int64_t lo, int64_t hi)
{
	sqlite3_bind_int64(st, 4, lo);
	sqlite3_bind_int64(st, 5, hi);
	return fetch(f, st);
}

/* In the index ports above 32767 are negative. */
static int
ports_look(struct finding *f, const struct sql_range *range, const struct ctf_set *port)
{
	sqlite3_stmt *st;
	int r = index_prepare(f, IX_NAT, true);

	if (r < 0)
		return r;
	st = f->st[IX_NAT][true];
	range_bind(st, &f->s->part, range);
	for (size_t i = 0; i < port->nspans && r == 0; i++) {
		int64_t lo = (int64_t)port->span[i].lo, hi = (int64_t)port->span[i].hi;

		hi = hi < 0 || hi > UINT16_MAX ? UINT16_MAX : hi;
		if (lo <= INT16_MAX)
			r = port_fetch(f, st, lo, hi > INT16_MAX ? INT16_MAX : hi);
		if (r == 0 && hi > INT16_MAX)
			r = port_fetch(f, st, (lo > INT16_MAX ? lo : INT16_MAX + 1) - 65536,
				       hi - 65536);
	}
	return r;
}

static bool
is_one(const struct sql_range *r)
{
	return r->six ? memcmp(r->lo6, r->hi6, 16) == 0 : r->lo == r->hi;
}

static int
leg_look(struct finding *f, const struct leg *leg, unsigned ix)
{
	size_t n = sql_ranges(leg->set);
	int r = index_prepare(f, ix, false);

	for (size_t i = 0; i < n && r == 0; i++) {
		struct sql_range range;

		sql_range(leg->set, i, &range);
		if (ix == IX_NAT && leg->port && is_one(&range)) {
			r = ports_look(f, &range, leg->port);
			continue;
		}
		range_bind(f->st[ix][false], &f->s->part, &range);
		r = fetch(f, f->st[ix][false]);
	}
	return r;
}

static int
legs_look(struct finding *f, const struct plan *plan)
{
	int r = 0;

	for (unsigned i = 0; i < plan->n; i++)
		for (unsigned ix = 0; ix < IXS && r == 0; ix++)
			if (plan->leg[i].indexes >> ix & 1)
				r = leg_look(f, &plan->leg[i], ix);
	return r;
}

/* The address that was asked for, as the only one of a range. */
static void
addr_range(const struct q_addr *a, struct sql_range *r)
{
	*r = (struct sql_range){ .six = a->family == AF_INET6 };
	if (r->six) {
		memcpy(r->lo6, a->ip, 16);
		memcpy(r->hi6, a->ip, 16);
		return;
	}
	r->lo = r->hi = (int32_t)((uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 |
				  (uint32_t)a->ip[2] << 8 | a->ip[3]);
}

static int
endpoint_look(struct finding *f)
{
	const struct q_ask *ask = f->s->ask;
	uint64_t number = (uint64_t)ask->port;
	const struct ctf_span span = { number, number };
	const struct ctf_set port = { .span = &span, .nspans = 1 };
	struct sql_range range;
	int r = 0;

	addr_range(&ask->addr, &range);
	for (unsigned ix = 0; ix < IXS && r == 0; ix++) {
		if (ix == IX_NAT && ask->port >= 0) {
			r = ports_look(f, &range, &port);
			continue;
		}
		r = index_prepare(f, ix, false);
		if (r == 0) {
			range_bind(f->st[ix][false], &f->s->part, &range);
			r = fetch(f, f->st[ix][false]);
		}
	}
	return r;
}

static int
ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Neighbours become one span. */
static int
spans_make(struct finding *f, struct spans *ret_spans)
{
	const struct part *p = &f->s->part;
	struct spans v = { .p = malloc((f->n ? f->n : 1) * sizeof(*v.p)) };

	if (!v.p)
		return ctf_fail(f->err, ENOMEM, "out of memory");
	if (f->n)
		qsort(f->at, f->n, sizeof(*f->at), ascending);
	for (size_t i = 0; i < f->n; i++) {
		int64_t lo = p->from + (int64_t)((uint64_t)f->at[i] << p->shift);
		int64_t hi = lo + (int64_t)((UINT64_C(1) << p->shift) - 1);

		if (v.n && lo <= v.p[v.n - 1].hi + 1)
			v.p[v.n - 1].hi = hi > v.p[v.n - 1].hi ? hi : v.p[v.n - 1].hi;
		else
			v.p[v.n++] = (struct span){ lo, hi };
	}
	*ret_spans = v;
	return 1;
}

/* profile=nat has one index; 0, 1 if an earlier version made this run, or -errno. */
static int
nat_look(struct finding *f)
{
	sqlite3_stmt *st = NULL;
	int rc, r = q_db_prepare(f->s->db,
				 sqlite3_mprintf("SELECT 1 FROM \"%w_nat\" WHERE run = %lld"
						 " AND addr = ''",
						 f->s->part.base, (long long)f->s->part.run),
				 &st, f->err);

	if (r < 0)
		return r;
	rc = sqlite3_step(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = q_sql_failed(f->s->db, f->err);
	sqlite3_finalize(st);
	return r < 0 ? r : rc != SQLITE_ROW;
}

/* 0; 1: no index helps, or -errno. */
static int
look(struct finding *f)
{
	const struct q_ask *ask = f->s->ask;
	bool nat = f->s->part.nat;
	struct plan plan;
	int r = 0;

	if (ask->addr.family)
		return nat ? 1 : endpoint_look(f);
	if (!ask->expr || !plan_of(ctf_expr_root(ask->expr), nat, &plan))
		return 1;
	if (nat)
		r = nat_look(f);
	return r ? r : legs_look(f, &plan);
}

int
index_spans(struct stream *s, struct spans *ret_spans, struct ctf_err *err)
{
	struct finding f = { .s = s, .err = err, .most = (size_t)(s->part.rows / SHARE) + 64 };
	int r = look(&f);

	if (r == 0)
		r = spans_make(&f, ret_spans);
	else if (r > 0)
		r = 0;
	for (unsigned i = 0; i < 2 * IXS; i++)
		sqlite3_finalize(f.st[i / 2][i % 2]);
	free(f.at);
	return r;
}
