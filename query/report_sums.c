/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow report: traffic over time, top talkers and services. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "report.h"
#include "sums.h"

#define HOUR INT64_C(3600000000000)
#define SLOTS 200u /* of the chart, about */

static enum sums_unit
unit_of(int64_t span)
{
	return span <= 30 * HOUR ? SUMS_MINUTE : span <= 100 * 24 * HOUR ? SUMS_HOUR : SUMS_DAY;
}

/* Slots of some units each, that end where units do. */
static int
cuts(struct q *q, struct rp *r, enum sums_unit unit)
{
	static const int64_t ns[] = {
		[SUMS_MINUTE] = HOUR / 60, [SUMS_HOUR] = HOUR, [SUMS_DAY] = 24 * HOUR
	};
	int64_t every = (r->until_ns - r->since_ns) / (ns[unit] * SLOTS) + 1;
	int64_t at = r->since_ns, from, to;
	size_t room = SLOTS + 2, n = 0;

	r->cuts = calloc(room + 1, sizeof(*r->cuts));
	r->slots = calloc(room + 1, sizeof(*r->slots));
	if (!r->cuts || !r->slots)
		return -ENOMEM;
	while (at < r->until_ns && n < room) {
		r->cuts[n++] = at;
		for (int64_t i = 0; i < every && at < r->until_ns; i++, at = to)
			sums_slot(q, unit, at, &from, &to);
	}
	r->cuts[n] = r->until_ns;
	r->nslots = n;
	return 0;
}

static void
slots_fill(struct rp *r, const struct tally *t)
{
	for (size_t i = 0; i < t->size; i++) {
		const struct tally_entry *e = &t->entries[i];
		size_t lo = 0, hi = r->nslots;

		if (!e->used)
			continue;
		while (hi - lo > 1) {
			size_t mid = (lo + hi) / 2;

			if (e->key.slot >= r->cuts[mid])
				lo = mid;
			else
				hi = mid;
		}
		tally_plus(&r->slots[lo], &e->sum);
		tally_plus(&r->total, &e->sum);
	}
}

static int
collect(struct q *q, const struct rp *r, enum sums_key key, enum sums_unit unit, struct sums *s,
	struct ctf_err *err)
{
	struct q_words w = { .since = r->since_ns, .until = r->until_ns };
	int e;

	*s = (struct sums){ .q = q, .key = key, .unit = unit, .words = &w };
	e = sums_collect(s, err);
	s->words = NULL;
	return e;
}

static int
traffic(struct q *q, struct rp *r, struct ctf_err *err)
{
	enum sums_unit unit = unit_of(r->until_ns - r->since_ns);
	struct sums s;
	int e = collect(q, r, SUMS_ALL, unit, &s, err);

	if (e == 0 && cuts(q, r, unit) < 0)
		e = ctf_fail(err, ENOMEM, "out of memory");
	if (e == 0)
		slots_fill(r, &s.tally);
	if (e == 0 && s.from & ~(unsigned)SUMS_BY_FLOWS) {
		r->from = strdup("From the sums by minute, hour and day.");
		r->flows_from = strdup("the NAT pool and the longest flows are of the flows"
				       " that are still kept one by one");
	} else if (e == 0) {
		r->from = strdup("Added up flow by flow.");
	}
	tally_free(&s.tally);
	return e;
}

static void
key_text(const struct tally_key *k, enum sums_key key, char *text, size_t size)
{
	if (key == SUMS_SERVICE)
		sums_service_text(k, text, size);
	else if (!k->family || !inet_ntop(k->family, k->ip, text, (socklen_t)size))
		snprintf(text, size, "unknown");
}

static const char *
name_of(const struct q *q, const struct rp *r, const struct tally_key *k)
{
	struct q_addr a = { .family = k->family };
	const char *name = NULL;

	memcpy(a.ip, k->ip, sizeof(a.ip));
	for (const struct q_db *db = q->dbs; db && !name && a.family; db = db->next)
		name = q_name(db, &a, r->until_ns - 1);
	return name;
}

static int
ranking(struct q *q, struct rp *r, enum sums_key key, struct rp_rows *rows, struct ctf_err *err)
{
	const struct tally_entry **top = NULL;
	struct sums s;
	size_t n = 0;
	int e = collect(q, r, key, SUMS_WHOLE, &s, err);

	if (e == 0)
		e = tally_top(&s.tally, TALLY_BYTES, RP_TOP, &top, &n);
	if (e == 0 && !(rows->at = calloc(n + 1, sizeof(*rows->at))))
		e = -ENOMEM;
	for (size_t i = 0; e == 0 && i < n; i++) {
		const char *name = name_of(q, r, &top[i]->key);
		struct rp_row *row = &rows->at[rows->n++];
		char text[INET6_ADDRSTRLEN];

		key_text(&top[i]->key, key, text, sizeof(text));
		row->key = strdup(text);
		row->name = name ? strdup(name) : NULL;
		row->sum = top[i]->sum;
	}
	rows->all = s.tally.n;
	free(top);
	tally_free(&s.tally);
	return e == -ENOMEM ? ctf_fail(err, ENOMEM, "out of memory") : e;
}

int
rp_sums(struct q *q, struct rp *r, struct ctf_err *err)
{
	int e = traffic(q, r, err);

	if (e == 0)
		e = ranking(q, r, SUMS_SRC, &r->hosts, err);
	return e < 0 ? e : ranking(q, r, SUMS_SERVICE, &r->services, err);
}
