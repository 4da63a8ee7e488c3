/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_sums.c - flows that a server adds up by key, and by a quarter of an hour where
 * units of time are asked for: in all time zones these begin with one.
 */
#include <errno.h>
#include <sys/socket.h>

#include "ch_engine.h"
#include "sums.h"

#define SERVICES "32768" /* ports from here on are of clients */
#define MINUTE INT64_C(60000000000)

/* As a number that is below 0 where there is none, or an address. */
static const struct {
	const char *sql;
	bool addr;
} keys[SUMS_KEYS] = {
	[SUMS_SRC] = { "src", true },
	[SUMS_DST] = { "dst", true },
	/* one flow is of both, and of one that spoke to itself once */
	[SUMS_HOST] = { "arrayJoin(if(src = dst, [src], [src, dst]))", true },
	[SUMS_NAT_SRC] = { "nat_src", true },
	[SUMS_NAT_DST] = { "nat_dst", true },
	[SUMS_PORT] = { "if(dport > 0 AND dport < " SERVICES ", toInt64(dport), -1)", false },
	[SUMS_SERVICE] = { "if(proto < 0, -1, toInt64(proto) * 65536 + if(dport > 0 AND"
			   " dport < " SERVICES ", toInt64(dport), 0))",
			   false },
	[SUMS_DPORT] = { "toInt64(dport)", false },
	[SUMS_SPORT] = { "toInt64(sport)", false },
	[SUMS_PROTO] = { "toInt64(proto)", false },
	[SUMS_ZONE] = { "toInt64(zone)", false },
	[SUMS_MARK] = { "toInt64(mark)", false },
	[SUMS_FAMILY] = { "toInt64(if(src = toFixedString('', 16), -1, if(substring(src, 1, 12)"
			  " = unhex('00000000000000000000ffff'), 4, 6)))",
			  false },
	[SUMS_ALL] = { "toInt64(0)", false },
};

static const char *const by_sql[TALLY_BY] = {
	[TALLY_BYTES] = "ob + rb",    [TALLY_PACKETS] = "op + rp", [TALLY_FLOWS] = "n",
	[TALLY_ORIG_BYTES] = "ob",    [TALLY_REPLY_BYTES] = "rb",  [TALLY_ORIG_PACKETS] = "op",
	[TALLY_REPLY_PACKETS] = "rp",
};

/* ---- the question ------------------------------------------------------------------------ */

/* What is needed of each flow. */
static void
put_table(struct ch_query *q, const struct sums *s, const struct ch *ch, enum ch_table table)
{
	struct q_ask ask = Q_ASK_ALL;
	int64_t size = s->unit == SUMS_MINUTE ? MINUTE : 15 * MINUTE;

	ask.since = s->words->since;
	ask.until = s->words->until;
	ask.expr = s->words->expr;
	ch_putf(&q->sql, "SELECT %s AS k, ", keys[s->key].sql);
	if (s->unit == SUMS_WHOLE)
		ch_put(&q->sql, "toInt64(0)");
	else
		ch_putf(&q->sql, "intDiv(%s, %lld)", CH_END(table), (long long)size);
	ch_put(&q->sql,
	       " AS slot, greatest(orig_packets, 0) AS a, greatest(orig_bytes, 0) AS b,"
	       " greatest(reply_packets, 0) AS c, greatest(reply_bytes, 0) AS d");
	ch_put(&q->sql, CH_FROM(table));
	ch_put_where(q, ch, table, &ask);
}

/* The server may leave out what is not among the first n, as tally_top() would. */
static void
put_question(struct ch_query *q, const struct sums *s, const struct ch *ch)
{
	ch_putf(&q->sql,
		"SELECT %s, slot, count() AS n, sum(a) AS op, sum(b) AS ob, sum(c) AS rp,"
		" sum(d) AS rb FROM (",
		keys[s->key].addr ? "hex(k)" : "k");
	put_table(q, s, ch, CH_OPEN); /* those that are lost have ended, too */
	ch_put(&q->sql, " UNION ALL ");
	put_table(q, s, ch, CH_FLOWS);
	ch_put(&q->sql, ") GROUP BY k, slot");
	if (s->most && !s->q->dbs->next && s->unit == SUMS_WHOLE) {
		ch_putf(&q->sql, " ORDER BY %s DESC, ", by_sql[s->by]);
		if (keys[s->key].addr)
			ch_put(&q->sql, "k != toFixedString('', 16), substring(k, 1, 12) !="
					" unhex('00000000000000000000ffff'), k");
		else
			ch_put(&q->sql, "k < 0, k");
		ch_putf(&q->sql, " LIMIT %llu", (unsigned long long)s->most);
	}
}

/* ---- the answer -------------------------------------------------------------------------- */

static int
row_add(struct sums *s, struct ch_answer *a, struct ctf_err *err)
{
	int64_t size = s->unit == SUMS_MINUTE ? MINUTE : 15 * MINUTE, next;
	struct tally_sum sum = { (uint64_t)ch_int(a, 2), (uint64_t)ch_int(a, 3),
				 (uint64_t)ch_int(a, 4), (uint64_t)ch_int(a, 5),
				 (uint64_t)ch_int(a, 6) };
	struct q_addr ip = { .family = 0 };
	struct tally_key k;
	int64_t n;

	memset(&k, 0, sizeof(k)); /* it is compared as memory */
	if (keys[s->key].addr) {
		ch_addr(a, 0, &ip);
		k.family = ip.family;
		memcpy(k.ip, ip.ip, sizeof(k.ip));
	} else if (s->key != SUMS_ALL) {
		n = ch_int(a, 0);
		k.has = n >= 0;
		k.n = n >= 0 ? (uint32_t)n : 0;
	}
	if (s->unit != SUMS_WHOLE)
		sums_slot(s->q, s->unit, ch_int(a, 1) * size, &k.slot, &next);
	if (ch_check(a, err) < 0)
		return -EBADMSG;
	return sums_add(s, &k, &sum) < 0 ? ctf_fail(err, ENOMEM, "out of memory") : 0;
}

int
ch_sums(struct sums *s, struct q_db *db, struct ctf_err *err)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	int more, r;

	s->from |= SUMS_BY_FLOWS;
	put_question(&query, s, db->ch);
	r = ch_ask(s->q, db->ch, &query, &a, err);
	while (r == 0 && (more = ch_row(a, 7, err)) != 0)
		r = more < 0 ? more : row_add(s, a, err);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}
