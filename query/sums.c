/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sums.c - flows added up by key and unit of time. */
#include <errno.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "engine.h"
#include "sums.h"

#define SERVICES 32768 /* ports from here on are of clients */

static const struct {
	const char *name, *title;
	enum q_type type;
} keys[SUMS_KEYS] = {
	[SUMS_SRC] = { "src", "SOURCE", Q_ADDR },
	[SUMS_DST] = { "dst", "DESTINATION", Q_ADDR },
	[SUMS_HOST] = { "host", "HOST", Q_ADDR },
	[SUMS_NAT_SRC] = { "nat_src", "NAT SOURCE", Q_ADDR },
	[SUMS_NAT_DST] = { "nat_dst", "NAT DESTINATION", Q_ADDR },
	[SUMS_PORT] = { "port", "PORT", Q_INT },
	[SUMS_SERVICE] = { "service", "SERVICE", Q_TEXT },
	[SUMS_DPORT] = { "dport", "DST PORT", Q_INT },
	[SUMS_SPORT] = { "sport", "SRC PORT", Q_INT },
	[SUMS_PROTO] = { "proto", "PROTO", Q_PROTO },
	[SUMS_ZONE] = { "zone", "ZONE", Q_INT },
	[SUMS_MARK] = { "mark", "MARK", Q_INT },
	[SUMS_FAMILY] = { "family", "FAMILY", Q_INT },
	[SUMS_ALL] = { "all", "", Q_TEXT },
};

enum sums_key
sums_key_of(const char *name)
{
	enum sums_key k = 0;

	while (k < SUMS_ALL && strcasecmp(keys[k].name, name) != 0)
		k++;
	return k < SUMS_ALL ? k : SUMS_KEYS;
}

struct q_col
sums_key_col(enum sums_key k)
{
	return (struct q_col){ .name = keys[k].name,
			       .type = keys[k].type,
			       .title = keys[k].title };
}

const char *
sums_key_name(enum sums_key k)
{
	return keys[k].name;
}

void
sums_service_text(const struct tally_key *k, char *text, size_t size)
{
	const unsigned proto = k->n >> 16, port = k->n & 0xffff;
	const char *name = q_proto_name(proto);
	char number[8];
	int n;

	snprintf(number, sizeof(number), "%u", proto);
	n = snprintf(text, size, "%s", k->has ? name ? name : number : "other");
	if (k->has && port)
		snprintf(text + n, size - (size_t)n, "/%u", port);
	else if (k->has && (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		snprintf(text + n, size - (size_t)n, "/other");
}

/* ---- units of time --------------------------------------------------------- */

int
sums_unit_of(const char *name)
{
	static const char *const units[] = { "", "minute", "hour", "day", "week", "month" };

	for (int i = SUMS_MINUTE; i <= SUMS_MONTH; i++)
		if (strcasecmp(units[i], name) == 0)
			return i;
	return -1;
}

static int64_t
ns_of(const struct q *q, struct tm tm)
{
	tm.tm_isdst = -1;
	return (int64_t)(q->utc ? timegm(&tm) : mktime(&tm)) * 1000000000;
}

void
sums_slot(const struct q *q, enum sums_unit unit, int64_t ns, int64_t *ret_from,
	  int64_t *ret_to)
{
	time_t sec = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
	struct tm tm = { 0 };

	if (q->utc)
		gmtime_r(&sec, &tm);
	else
		localtime_r(&sec, &tm);
	tm.tm_sec = 0;
	tm.tm_min = unit >= SUMS_HOUR ? 0 : tm.tm_min;
	tm.tm_hour = unit >= SUMS_DAY ? 0 : tm.tm_hour;
	if (unit == SUMS_WEEK) /* from Monday on */
		tm.tm_mday -= (tm.tm_wday + 6) % 7;
	if (unit == SUMS_MONTH)
		tm.tm_mday = 1;
	*ret_from = ns_of(q, tm);
	tm.tm_min += unit == SUMS_MINUTE;
	tm.tm_hour += unit == SUMS_HOUR;
	tm.tm_mday += unit == SUMS_DAY ? 1 : unit == SUMS_WEEK ? 7 : 0;
	tm.tm_mon += unit == SUMS_MONTH;
	*ret_to = ns_of(q, tm);
	if (*ret_to <= ns) /* an hour that there is twice */
		*ret_to = *ret_from + INT64_C(7200000000000);
}

/* ---- flows ------------------------------------------------------------------- */

int
sums_add(struct sums *s, const struct tally_key *key, const struct tally_sum *sum)
{
	struct tally_sum *at = tally_at(&s->tally, key);

	if (!at)
		return -ENOMEM;
	tally_plus(at, sum);
	return 0;
}

static void
put_addr(struct tally_key *k, const struct q_addr *a)
{
	k->family = a->family;
	if (a->family)
		memcpy(k->ip, a->ip, a->family == AF_INET6 ? 16 : 4);
}

static void
put_num(struct tally_key *k, bool has, uint32_t n)
{
	k->has = has;
	k->n = has ? n : 0;
}

static void
key_make(enum sums_key key, const struct q_flow *f, struct tally_key *k)
{
	bool service = f->has & Q_H_DPORT && f->dport < SERVICES;

	switch (key) {
	case SUMS_DST:
		put_addr(k, &f->dst);
		break;
	case SUMS_NAT_SRC:
		put_addr(k, &f->nat_src);
		break;
	case SUMS_NAT_DST:
		put_addr(k, &f->nat_dst);
		break;
	case SUMS_PORT: /* as rollups have it: 0 stands for none, and for clients' */
		put_num(k, service && f->dport, f->dport);
		break;
	case SUMS_SERVICE:
		put_num(k, f->has & Q_H_PROTO,
			(uint32_t)f->proto << 16 | (service ? f->dport : 0u));
		break;
	case SUMS_DPORT:
		put_num(k, f->has & Q_H_DPORT, f->dport);
		break;
	case SUMS_SPORT:
		put_num(k, f->has & Q_H_SPORT, f->sport);
		break;
	case SUMS_PROTO:
		put_num(k, f->has & Q_H_PROTO, f->proto);
		break;
	case SUMS_ZONE:
		put_num(k, true, f->zone);
		break;
	case SUMS_MARK:
		put_num(k, true, f->mark);
		break;
	case SUMS_FAMILY:
		put_num(k, f->src.family, f->src.family == AF_INET6 ? 6 : 4);
		break;
	case SUMS_ALL:
		break;
	default:
		put_addr(k, &f->src);
	}
}

static uint64_t
counted(const struct q_flow *f, unsigned has, int64_t n)
{
	return f->has & has ? (uint64_t)n : 0;
}

void
sums_of(const struct q_flow *f, struct tally_sum *to)
{
	tally_plus(to, &(struct tally_sum){ 1, counted(f, Q_H_PACKETS, f->packets),
					    counted(f, Q_H_BYTES, f->bytes),
					    counted(f, Q_H_RPACKETS, f->reply_packets),
					    counted(f, Q_H_RBYTES, f->reply_bytes) });
}

static int
flow_add(void *arg, const struct q_flow *f)
{
	struct tally_sum sum = { 0 };
	struct sums *s = arg;
	struct tally_key k;
	int64_t next;
	int r;

	sums_of(f, &sum);
	memset(&k, 0, sizeof(k)); /* it is compared as memory */
	if (s->unit != SUMS_WHOLE)
		sums_slot(s->q, s->unit, q_flow_end(f), &k.slot, &next);
	key_make(s->key, f, &k);
	r = sums_add(s, &k, &sum);
	if (r == 0 && s->key == SUMS_HOST && memcmp(&f->src, &f->dst, sizeof(f->src)) != 0) {
		memset(k.ip, 0, sizeof(k.ip));
		put_addr(&k, &f->dst);
		r = sums_add(s, &k, &sum);
	}
	return r;
}

/* One database at a time: what its rollups do not answer differs. */
int
sums_flows(struct sums *s, struct q_db *db, int64_t from, int64_t to, struct ctf_err *err)
{
	struct q_db *all = s->q->dbs, *next = db->next;
	struct q_ask ask = Q_ASK_ALL;
	int r;

	if (from >= to)
		return 0;
	ask.since = from;
	ask.until = to == INT64_MAX ? Q_NEVER : to;
	ask.expr = s->words->expr;
	s->from |= SUMS_BY_FLOWS;
	r = sums_gone_look(&s->gone, db, from, to, err);
	if (r < 0)
		return r;
	s->q->dbs = db;
	db->next = NULL;
	r = q_scan(s->q, &ask, flow_add, s, err);
	db->next = next;
	s->q->dbs = all;
	return r == -ENOMEM ? ctf_fail(err, ENOMEM, "out of memory") : r;
}

/* ---- all ------------------------------------------------------------------------ */

static int
units_add(struct sums *s, struct q_db *db, const struct rollup *ro, struct ctf_err *err)
{
	int64_t since = s->words->since, until = s->words->until, begin, end;
	int r = 0;

	if (until == Q_NEVER)
		until = INT64_MAX;
	if (s->unit == SUMS_WHOLE || !ro->is) {
		s->slot = 0;
		return rollup_add(s, db, ro, since, until, err);
	}
	if (since < ro->from[2] * INT64_C(60000000000)) { /* what is older: flow by flow */
		begin = ro->from[2] * INT64_C(60000000000);
		r = sums_flows(s, db, since, begin < until ? begin : until, err);
		since = begin;
	}
	while (r == 0 && since < until && since <= s->q->now_ns) {
		sums_slot(s->q, s->unit, since, &begin, &end);
		s->slot = begin;
		r = rollup_add(s, db, ro, since, end < until ? end : until, err);
		since = end;
		if (q_cancelled(s->q))
			return ctf_fail(err, EINTR, "interrupted");
	}
	/* Of a clock that was ahead. */
	return r == 0 && since < until ? sums_flows(s, db, since, until, err) : r;
}

int
sums_sqlite(struct sums *s, struct q_db *db, struct ctf_err *err)
{
	struct rollup ro = { .is = false };
	int r = rollup_open(s, db, &ro, err);

	return r == 0 ? units_add(s, db, &ro, err) : r;
}

int
sums_collect(struct sums *s, struct ctf_err *err)
{
	int r = 0;

	s->gone = (struct sums_gone){ .deleted = Q_NEVER };
	for (struct q_db *db = s->q->dbs; db && r == 0; db = db->next)
		r = db->engine->sums(s, db, err);
	q_progress_end(s->q);
	return r;
}
