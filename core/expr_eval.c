/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expr_eval.c - an expression bound to slots: a list of tests, each knowing
 * which is the next one when it holds and when it does not.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "expr.h"
#include "graph.h"

/* The fields behind a subject; two: their sum. */
static const char *const fields[CTF_SUBJECTS][2] = {
	[CTF_S_SRC] = { "orig.ip.saddr" },
	[CTF_S_DST] = { "orig.ip.daddr" },
	[CTF_S_NAT_SRC] = { "reply.ip.daddr" },
	[CTF_S_NAT_DST] = { "reply.ip.saddr" },
	[CTF_S_SPORT] = { "orig.l4.sport" },
	[CTF_S_DPORT] = { "orig.l4.dport" },
	[CTF_S_NAT_SPORT] = { "reply.l4.dport" },
	[CTF_S_NAT_DPORT] = { "reply.l4.sport" },
	[CTF_S_PROTO] = { "orig.ip.protocol" },
	[CTF_S_ICMP_TYPE] = { "icmp.type" },
	[CTF_S_ICMP_CODE] = { "icmp.code" },
	[CTF_S_ICMP6_TYPE] = { "icmpv6.type" },
	[CTF_S_ICMP6_CODE] = { "icmpv6.code" },
	[CTF_S_MARK] = { "ct.mark" },
	[CTF_S_ZONE] = { "ct.zone" },
	[CTF_S_STATUS] = { "ct.status" },
	[CTF_S_BYTES] = { "orig.raw.pktlen", "reply.raw.pktlen" },
	[CTF_S_SRC_BYTES] = { "orig.raw.pktlen" },
	[CTF_S_DST_BYTES] = { "reply.raw.pktlen" },
	[CTF_S_PACKETS] = { "orig.raw.pktcount", "reply.raw.pktcount" },
	[CTF_S_SRC_PACKETS] = { "orig.raw.pktcount" },
	[CTF_S_DST_PACKETS] = { "reply.raw.pktcount" },
	[CTF_S_DURATION] = { "flow.duration" },
};

#define YES UINT32_MAX
#define NO (UINT32_MAX - 1)
#define MOST_FIELDS 4u /* "any host": both ends of both sides */

struct step {
	const struct ctf_set *set;
	uint32_t yes, no; /* the step after it, or YES or NO */
	enum { IS_ADDR, IS_NUMBER, IS_ZERO, IS_SUM, IS_FAMILY } how;
	unsigned n;
	ctf_ref ref[MOST_FIELDS];
};

struct ctf_match {
	uint32_t nsteps;
	struct step step[];
};

/* ---- binding ---------------------------------------------------------------- */

struct binder {
	struct ctf_ctx *ctx;
	struct ctf_err *err;
	struct ctf_match *m;
	ctf_ref known[CTF_SUBJECTS][2];
	bool asked[CTF_SUBJECTS];
};

static int
want(struct binder *b, const struct ctf_node *n, enum ctf_subject s)
{
	if (b->asked[s])
		return 0;
	for (unsigned i = 0; i < 2 && fields[s][i]; i++) {
		int r = ctf_want(b->ctx, fields[s][i], &b->known[s][i], NULL, b->err);

		if (r == -ENOENT)
			return ctf_fail(b->err, ENOENT,
					"\"%.100s\" looks at %s, which no plugin before %s "
					"gives",
					n->text, fields[s][i], ctf_name(b->ctx));
		if (r < 0)
			return r;
	}
	b->asked[s] = true;
	return 0;
}

static int
bind_test(struct binder *b, const struct ctf_node *n, struct step *step)
{
	step->set = n->set;
	for (unsigned s = 0; s < CTF_SUBJECTS; s++) {
		int r;

		if (!(n->of >> s & 1))
			continue;
		r = want(b, n, s);
		if (r < 0)
			return r;
		step->how = s <= CTF_S_NAT_DST                       ? IS_ADDR
			    : s >= CTF_S_MARK && s <= CTF_S_STATUS   ? IS_ZERO
			    : s == CTF_S_FAMILY                      ? IS_FAMILY
			    : s == CTF_S_BYTES || s == CTF_S_PACKETS ? IS_SUM
								     : IS_NUMBER;
		for (unsigned i = 0; i < 2 && fields[s][i]; i++)
			step->ref[step->n++] = b->known[s][i];
	}
	return 0;
}

static uint32_t
count_tests(const struct ctf_node *n)
{
	uint32_t sum = n->type == CTF_TEST;

	for (const struct ctf_node *c = n->child; c; c = c->next)
		sum += count_tests(c);
	return sum;
}

/*
 * Writes the steps of n from *at on; yes and no are where to go from there.
 * The children of a node are written in order, each leading to the next.
 */
static int
place(struct binder *b, const struct ctf_node *n, uint32_t *at, uint32_t yes, uint32_t no)
{
	struct step *step = &b->m->step[*at];

	if (n->type == CTF_TEST) {
		*step = (struct step){ .yes = yes, .no = no };
		++*at;
		return bind_test(b, n, step);
	}
	if (n->type == CTF_NOT)
		return place(b, n->child, at, no, yes);
	for (const struct ctf_node *c = n->child; c; c = c->next) {
		uint32_t after = *at + count_tests(c);
		bool last = !c->next;
		int r = place(b, c, at, n->type == CTF_ALL && !last ? after : yes,
			      n->type == CTF_ANY && !last ? after : no);

		if (r < 0)
			return r;
	}
	return 0;
}

int
ctf_expr_bind(struct ctf_ctx *ctx, const struct ctf_expr *e, struct ctf_match **ret_match,
	      struct ctf_err *err)
{
	struct binder b = { .ctx = ctx, .err = err };
	uint32_t n = count_tests(e->root), at = 0;
	int r;

	b.m = calloc(1, sizeof(*b.m) + n * sizeof(b.m->step[0]));
	if (!b.m)
		return ctf_fail(err, ENOMEM, "out of memory");
	b.m->nsteps = n;
	r = place(&b, e->root, &at, YES, NO);
	if (r < 0) {
		free(b.m);
		return r;
	}
	*ret_match = b.m;
	return 0;
}

void
ctf_match_free(struct ctf_match *m)
{
	free(m);
}

/* ---- judging ------------------------------------------------------------------ */

static bool
fits(const struct ctf_set *s, uint64_t x)
{
	if (expr_in_spans(s, x))
		return true;
	for (size_t i = 0; i < s->nmasked; i++)
		if ((x & s->masked[i].mask) == s->masked[i].value)
			return true;
	return false;
}

static bool
addr_fits(const struct ctf_set *s, const struct ctf_rec *r, ctf_ref f)
{
	const uint8_t *ip = r->v[f].ip;

	if (!ctf_has(r, f))
		return false;
	if (r->family == AF_INET6)
		return expr_in_nets6(s, ip);
	return expr_in_spans(s, (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 |
					(uint32_t)ip[2] << 8 | ip[3]);
}

/* What is there of both directions; nothing: false. */
static bool
sum_fits(const struct step *t, const struct ctf_rec *r)
{
	uint64_t sum;

	if (!ctf_has(r, t->ref[0]) && !ctf_has(r, t->ref[1]))
		return false;
	sum = ctf_num_or(r, t->ref[0], 0);
	if (__builtin_add_overflow(sum, ctf_num_or(r, t->ref[1], 0), &sum))
		sum = UINT64_MAX;
	return fits(t->set, sum);
}

static bool
holds(const struct step *t, const struct ctf_rec *r)
{
	switch (t->how) {
	case IS_ADDR:
		for (unsigned i = 0; i < t->n; i++)
			if (addr_fits(t->set, r, t->ref[i]))
				return true;
		return false;
	case IS_NUMBER:
		for (unsigned i = 0; i < t->n; i++)
			if (ctf_has(r, t->ref[i]) && fits(t->set, ctf_num(r, t->ref[i])))
				return true;
		return false;
	case IS_ZERO:
		return fits(t->set, ctf_num_or(r, t->ref[0], 0));
	case IS_SUM:
		return sum_fits(t, r);
	case IS_FAMILY:
		return fits(t->set, r->family == AF_INET6 ? 6 : 4);
	}
	return false;
}

bool
ctf_match(const struct ctf_match *m, const struct ctf_rec *r)
{
	uint32_t i = 0;

	while (i < m->nsteps)
		i = holds(&m->step[i], r) ? m->step[i].yes : m->step[i].no;
	return i == YES;
}
