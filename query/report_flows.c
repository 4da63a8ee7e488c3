/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctflow report: what only flows themselves tell: how the NAT pool was used, and
 * which flows lasted longest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "report.h"
#include "sums.h"

#define BINS 288u  /* parts of the time in which flows are at once */
#define POOL 2048u /* addresses told apart: up to 27 KB each */

struct outside {
	struct q_addr addr;
	uint64_t flows;
	uint64_t *ports[3];    /* bits: of TCP, of UDP, of the others */
	int64_t at[BINS + 1u]; /* flows that begin in a part, less those that ended before it */
};

struct walk {
	struct rp *r;
	struct tally tally; /* n of the sums: flows is the number of a pool, and 1 */
	struct outside *pool[POOL];
	size_t n;
	struct q_flow longest[RP_TOP];
	size_t nlongest;
	int64_t step;
};

/* ---- the pool ---------------------------------------------------------------- */

static struct outside *
pool_new(struct walk *w, const struct q_addr *a)
{
	struct outside *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->addr = *a;
	w->pool[w->n++] = o;
	return o;
}

/* *ret_outside NULL: there are too many. */
static int
pool_at(struct walk *w, const struct q_addr *a, struct outside **ret_outside)
{
	struct tally_key k;
	const struct tally_sum *known;
	struct tally_sum *sum;

	memset(&k, 0, sizeof(k)); /* it is compared as memory */
	k.family = a->family;
	memcpy(k.ip, a->ip, a->family == AF_INET6 ? 16 : 4);
	known = tally_find(&w->tally, &k);
	*ret_outside = known ? w->pool[known->flows - 1] : NULL;
	if (known || w->n == POOL)
		return 0;
	sum = tally_at(&w->tally, &k);
	*ret_outside = sum ? pool_new(w, a) : NULL;
	if (!*ret_outside)
		return -ENOMEM;
	sum->flows = w->n;
	return 0;
}

static int
port_put(struct outside *o, const struct q_flow *f)
{
	unsigned i = f->proto == 6 ? 0 : f->proto == 17 ? 1 : 2;

	if (!(f->has & Q_H_NAT_SPORT))
		return 0;
	if (!o->ports[i])
		o->ports[i] = calloc(65536 / 64, sizeof(uint64_t));
	if (!o->ports[i])
		return -ENOMEM;
	o->ports[i][f->nat_sport / 64] |= UINT64_C(1) << f->nat_sport % 64;
	return 0;
}

static unsigned
bin(const struct walk *w, int64_t ns)
{
	int64_t i = ns <= w->r->since_ns ? 0 : (ns - w->r->since_ns) / w->step;

	return i < BINS ? (unsigned)i : BINS - 1;
}

static int
pool_add(struct walk *w, const struct q_flow *f)
{
	int64_t end = q_flow_end(f);
	struct outside *o;
	int r = pool_at(w, &f->nat_src, &o);

	if (r < 0 || !o) {
		w->r->nat_more += !o;
		return r;
	}
	o->flows++;
	o->at[bin(w, f->start_ns == Q_NEVER ? end : f->start_ns)]++;
	if (!f->open)
		o->at[bin(w, end) + 1]--;
	return port_put(o, f);
}

static int
more_flows(const void *a, const void *b)
{
	const struct rp_nat *x = a, *y = b;

	if (x->peak != y->peak)
		return x->peak > y->peak ? -1 : 1;
	if (x->flows != y->flows)
		return x->flows > y->flows ? -1 : 1;
	return strcmp(x->addr ? x->addr : "", y->addr ? y->addr : "");
}

static void
pool_sum(const struct outside *o, struct rp_nat *n)
{
	char text[INET6_ADDRSTRLEN] = "";
	int64_t now = 0, peak = 0;

	inet_ntop(o->addr.family, o->addr.ip, text, sizeof(text));
	for (unsigned i = 0; i < BINS; i++) {
		now += o->at[i];
		peak = now > peak ? now : peak;
	}
	n->addr = strdup(text);
	n->flows = o->flows;
	n->peak = (uint64_t)peak;
	for (unsigned p = 0; p < 3; p++)
		for (unsigned i = 0; o->ports[p] && i < 65536 / 64; i++)
			n->ports += (unsigned)__builtin_popcountll(o->ports[p][i]);
}

static int
pool_end(struct walk *w)
{
	struct rp *r = w->r;

	r->nat = calloc(w->n + 1, sizeof(*r->nat));
	if (!r->nat)
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++)
		pool_sum(w->pool[i], &r->nat[i]);
	r->nat_all = w->n;
	qsort(r->nat, w->n, sizeof(*r->nat), more_flows);
	r->nnat = w->n < RP_TOP ? w->n : RP_TOP;
	for (size_t i = r->nnat; i < w->n; i++) {
		free(r->nat[i].addr);
		r->nat[i].addr = NULL;
	}
	r->nat_step_ns = w->step;
	return 0;
}

static void
walk_free(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		for (unsigned p = 0; p < 3; p++)
			free(w->pool[i]->ports[p]);
		free(w->pool[i]);
	}
	tally_free(&w->tally);
}

/* ---- the longest ---------------------------------------------------------------- */

static int64_t
lasted(const struct q_flow *f)
{
	return q_flow_end(f) - f->start_ns;
}

static void
longest_put(struct walk *w, const struct q_flow *f)
{
	size_t i = w->nlongest;

	if (f->start_ns == Q_NEVER ||
	    (i == RP_TOP && lasted(f) <= lasted(&w->longest[RP_TOP - 1])))
		return;
	if (i < RP_TOP)
		w->nlongest++;
	else
		i--;
	for (; i && lasted(&w->longest[i - 1]) < lasted(f); i--)
		w->longest[i] = w->longest[i - 1];
	w->longest[i] = *f;
}

static char *
end_text(const struct q_addr *a, bool has, unsigned port)
{
	char text[INET6_ADDRSTRLEN + 16] = "", addr[INET6_ADDRSTRLEN];

	if (a->family && inet_ntop(a->family, a->ip, addr, sizeof(addr)))
		snprintf(text, sizeof(text), has && a->family == AF_INET6 ? "[%s]" : "%s",
			 addr);
	if (has)
		snprintf(text + strlen(text), 8, ":%u", port & 0xffff);
	return strdup(text);
}

static char *
proto_text(const struct q_flow *f)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", f->proto);
	return strdup(f->proto == 6    ? "tcp"
		      : f->proto == 17 ? "udp"
		      : f->proto == 1  ? "icmp"
		      : f->proto == 58 ? "icmp6"
				       : text);
}

static int
longest_end(struct walk *w)
{
	struct rp *r = w->r;

	r->longest = calloc(w->nlongest + 1, sizeof(*r->longest));
	if (!r->longest)
		return -ENOMEM;
	for (size_t i = 0; i < w->nlongest; i++) {
		const struct q_flow *f = &w->longest[i];
		struct rp_long *l = &r->longest[r->nlongest++];
		const char *name = q_name(f->db, &f->src, q_flow_end(f));

		l->start_ns = f->start_ns;
		l->length_ns = lasted(f);
		l->proto = proto_text(f);
		l->from = end_text(&f->src, f->has & Q_H_SPORT, f->sport);
		l->to = end_text(&f->dst, f->has & Q_H_DPORT, f->dport);
		l->name = name ? strdup(name) : NULL;
		l->bytes = (f->has & Q_H_BYTES ? (uint64_t)f->bytes : 0) +
			   (f->has & Q_H_RBYTES ? (uint64_t)f->reply_bytes : 0);
		l->open = f->open;
	}
	return 0;
}

static int
row(void *arg, const struct q_flow *f)
{
	struct walk *w = arg;

	longest_put(w, f);
	if (f->open)
		sums_of(f, &w->r->alive);
	return f->nat_src.family ? pool_add(w, f) : 0;
}

int
rp_flows(struct q *q, struct rp *r, struct ctf_err *err)
{
	struct q_ask ask = Q_ASK_ALL;
	struct walk w = { .r = r, .step = (r->until_ns - r->since_ns) / BINS + 1 };
	int e;

	ask.since = r->since_ns;
	ask.until = r->until_ns;
	ask.open = true;
	e = q_scan(q, &ask, row, &w, err);
	if (e >= 0)
		e = pool_end(&w);
	if (e == 0)
		e = longest_end(&w);
	walk_free(&w);
	return e == -ENOMEM ? ctf_fail(err, ENOMEM, "out of memory") : e;
}
