/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_layout.c - what the columns of each kind of table mean. */
#include <sys/socket.h>

#include "layout.h"

#define IS_ICMP "proto IN (1, 58)"
#define PORT(c) "CASE WHEN " IS_ICMP " THEN NULL ELSE " c " & 65535 END"
#define TOTAL(x) "CASE WHEN sum_" x " IS NULL THEN " x " ELSE sum_" x " + ifnull(" x ", 0) END"

/* Both profiles; in age_ns -1 is no start, and what is below a real one less 1. */
/* clang-format off */
#define BASE_3 \
	[A_AT] = "at_ns", \
	[A_STAMPED] = "1 - (ns & 1)", \
	[A_START] = "CASE WHEN age_ns >= 0 THEN at_ns - age_ns" \
		    " WHEN age_ns < -1 THEN at_ns - age_ns - 1 END", \
	[A_END] = "CASE WHEN idle >= 0 THEN at_ns - idle * 1000000 ELSE at_ns + idle END", \
	[A_ID] = "CASE WHEN ns & 2 THEN NULL ELSE id & 4294967295 END", \
	[A_NSID] = "(ns >> 2) - 1", \
	[A_PROTO] = "proto", \
	[A_SRC] = "src", \
	[A_NAT_SRC] = "nat_src", \
	[A_SPORT] = "sport & 65535", \
	[A_NAT_SPORT] = "nat_sport & 65535", \
	[A_ZONE] = "zone", \
	[A_LOST] = "NULL"
#define MORE \
	[A_TCP_STATE] = "tcp_state", \
	[A_MARK] = "mark", \
	[A_STATUS] = "status"
#define COUNTERS \
	[A_PACKETS] = "orig_packets", \
	[A_BYTES] = "orig_bytes", \
	[A_RPACKETS] = "reply_packets", \
	[A_RBYTES] = "reply_bytes"
/* Addresses are unsigned numbers or text. */
#define OLD \
	[A_START] = "nullif(start_ns, 0)", \
	[A_ID] = "nullif(id, -1)", \
	[A_NSID] = "nsid", \
	[A_PROTO] = "nullif(proto, -1)", \
	[A_SRC] = "ctf_addr(src)", \
	[A_DST] = "ctf_addr(dst)", \
	[A_NAT_SRC] = "ctf_addr(nat_src)", \
	[A_NAT_DST] = "ctf_addr(nat_dst)", \
	[A_SPORT] = "nullif(sport, -1)", \
	[A_DPORT] = "nullif(dport, -1)", \
	[A_NAT_SPORT] = "nat_sport", \
	[A_NAT_DPORT] = "nat_dport", \
	[A_ICMP] = "icmp_type << 8 | ifnull(icmp_code, 0)", \
	[A_ZONE] = "zone"
#define OLD_ENDED \
	OLD, MORE, COUNTERS, \
	[A_AT] = "destroy_ns", \
	[A_END] = "end_ns", \
	[A_REASON] = "end_reason", \
	[A_LOST] = "NULL"
#define LIVES \
	MORE, \
	[A_AT] = "seen_ns", \
	[A_STAMPED] = "0", \
	[A_END] = "NULL", \
	[A_PACKETS] = TOTAL("orig_packets"), \
	[A_BYTES] = TOTAL("orig_bytes"), \
	[A_RPACKETS] = TOTAL("reply_packets"), \
	[A_RBYTES] = TOTAL("reply_bytes"), \
	[A_REASON] = "NULL", \
	[A_LOST] = "lost_ns"

static const char *const table[LAYOUTS][LOOKS] = {
	[L_FULL] = {
		BASE_3, MORE, COUNTERS,
		[A_DST] = "dst",
		[A_NAT_DST] = "nat_dst",
		[A_DPORT] = PORT("dport"),
		[A_NAT_DPORT] = "nat_dport & 65535",
		[A_ICMP] = "CASE WHEN " IS_ICMP " THEN dport & 65535 END",
		[A_REASON] = "end_reason",
	},
	[L_NAT] = { BASE_3 },
	[L_STAMPED] = { OLD_ENDED, [A_STAMPED] = "1" },
	[L_RECEIVED] = { OLD_ENDED, [A_STAMPED] = "0" },
	[L_OPEN] = {
		LIVES,
		[A_START] = "nullif(start_ns, 0)",
		[A_ID] = "nullif(id, -1)",
		[A_NSID] = "nsid",
		[A_PROTO] = "nullif(proto, -1)",
		[A_SRC] = "nullif(src, '')",
		[A_DST] = "nullif(dst, '')",
		[A_NAT_SRC] = "nat_src",
		[A_NAT_DST] = "nat_dst",
		[A_SPORT] = "nullif(sport, 65536) & 65535",
		[A_DPORT] = PORT("nullif(dport, 65536)"),
		[A_NAT_SPORT] = "nat_sport & 65535",
		[A_NAT_DPORT] = "nat_dport & 65535",
		[A_ICMP] = "CASE WHEN " IS_ICMP " THEN nullif(dport, 65536) & 65535 END",
		[A_ZONE] = "zone",
	},
	[L_OPEN_2] = { OLD, LIVES },
};
/* clang-format on */

const char *
layout_sql(enum layout l, enum look a)
{
	return table[l][a] ? table[l][a] : "NULL";
}

const char *
layout_key(enum layout l)
{
	switch (l) {
	case L_FULL:
	case L_NAT:
		return "at_ns";
	case L_OPEN:
	case L_OPEN_2:
		return "seen_ns";
	default:
		return "destroy_ns";
	}
}

void
layout_columns(sqlite3_str *s, enum layout l)
{
	for (unsigned a = 0; a < LOOKS; a++)
		sqlite3_str_appendf(s, "%s%s", a ? ", " : "", layout_sql(l, a));
}

/* ---- rows -------------------------------------------------------------------------- */

static bool
has(sqlite3_stmt *st, enum look a)
{
	return sqlite3_column_type(st, (int)a) != SQLITE_NULL;
}

static int64_t
number(sqlite3_stmt *st, enum look a, int64_t absent)
{
	return has(st, a) ? sqlite3_column_int64(st, (int)a) : absent;
}

static void
addr(sqlite3_stmt *st, enum look a, struct q_addr *ret_addr)
{
	const void *p;
	uint32_t ip;

	if (sqlite3_column_type(st, (int)a) == SQLITE_INTEGER) {
		ip = (uint32_t)sqlite3_column_int64(st, (int)a);
		ret_addr->family = AF_INET;
		for (unsigned i = 0; i < 4; i++)
			ret_addr->ip[i] = (uint8_t)(ip >> (24 - 8 * i));
		return;
	}
	if (sqlite3_column_type(st, (int)a) != SQLITE_BLOB)
		return;
	p = sqlite3_column_blob(st, (int)a);
	if (p && sqlite3_column_bytes(st, (int)a) == 16) {
		ret_addr->family = AF_INET6;
		memcpy(ret_addr->ip, p, 16);
	}
}

/* Sets *x if the row has it, and the bit. */
#define TAKE(look, bit, x, type) \
	do { \
		if (has(st, look)) { \
			(x) = (type)sqlite3_column_int64(st, (int)(look)); \
			f->has |= (bit); \
		} \
	} while (0)

static void
ports(sqlite3_stmt *st, struct q_flow *f)
{
	unsigned icmp = 0;

	TAKE(A_SPORT, Q_H_SPORT, f->sport, uint16_t);
	TAKE(A_DPORT, Q_H_DPORT, f->dport, uint16_t);
	TAKE(A_NAT_SPORT, Q_H_NAT_SPORT, f->nat_sport, uint16_t);
	TAKE(A_NAT_DPORT, Q_H_NAT_DPORT, f->nat_dport, uint16_t);
	TAKE(A_ICMP, Q_H_ICMP, icmp, unsigned);
	f->icmp_type = (uint8_t)(icmp >> 8);
	f->icmp_code = (uint8_t)icmp;
}

static void
counters(sqlite3_stmt *st, struct q_flow *f)
{
	TAKE(A_PACKETS, Q_H_PACKETS, f->packets, int64_t);
	TAKE(A_BYTES, Q_H_BYTES, f->bytes, int64_t);
	TAKE(A_RPACKETS, Q_H_RPACKETS, f->reply_packets, int64_t);
	TAKE(A_RBYTES, Q_H_RBYTES, f->reply_bytes, int64_t);
}

void
layout_decode(sqlite3_stmt *st, enum layout l, const struct q_db *db, struct q_flow *f)
{
	bool lives = l == L_OPEN || l == L_OPEN_2;

	*f = (struct q_flow){ .db = db };
	f->lost = lives && has(st, A_LOST);
	f->open = lives && !f->lost;
	f->at_ns = sqlite3_column_int64(st, A_AT);
	f->seen_ns = lives ? f->at_ns : Q_NEVER;
	f->stamped = sqlite3_column_int(st, A_STAMPED);
	f->start_ns = number(st, A_START, Q_NEVER);
	f->end_ns = number(st, A_END, Q_NEVER);
	f->nsid = number(st, A_NSID, -1);
	TAKE(A_ID, Q_H_ID, f->id, uint32_t);
	TAKE(A_PROTO, Q_H_PROTO, f->proto, uint8_t);
	addr(st, A_SRC, &f->src);
	addr(st, A_DST, &f->dst);
	addr(st, A_NAT_SRC, &f->nat_src);
	addr(st, A_NAT_DST, &f->nat_dst);
	ports(st, f);
	counters(st, f);
	f->mark = (uint32_t)number(st, A_MARK, 0);
	f->zone = (uint16_t)number(st, A_ZONE, 0);
	TAKE(A_STATUS, Q_H_STATUS, f->status, uint32_t);
	TAKE(A_TCP_STATE, Q_H_TCP_STATE, f->tcp_state, uint8_t);
	TAKE(A_REASON, Q_H_REASON, f->end_reason, uint8_t);
}

int64_t
q_flow_end(const struct q_flow *f)
{
	return f->end_ns == Q_NEVER ? f->at_ns : f->end_ns;
}
