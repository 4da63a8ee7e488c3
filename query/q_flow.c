/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_flow.c - a flow as a row of the output. */
#include "engine.h"

/* That of a server is the first. */
static const struct q_col cols[] = {
	{ "exporter", Q_TEXT, "EXPORTER" },
	{ "start", Q_TIME, "START", Q_C_FRACTION },
	{ "end", Q_TIME, "END" },
	{ "at", Q_TIME, NULL, Q_C_NEVER },
	{ "stamped", Q_INT, NULL, Q_C_NEVER },
	{ "state", Q_TEXT, NULL, Q_C_NEVER },
	{ "duration", Q_DUR, "DURATION" },
	{ "proto", Q_PROTO, "PROTO" },
	{ "src", Q_ADDR, "SOURCE" },
	{ "sport", Q_INT, "PORT" },
	{ "src_name", Q_TEXT, "NAME", Q_C_WIDE },
	{ "dst", Q_ADDR, "DESTINATION" },
	{ "dport", Q_INT, "PORT" },
	{ "dst_name", Q_TEXT, "NAME", Q_C_WIDE },
	{ "orig_packets", Q_INT, NULL, Q_C_NEVER },
	{ "orig_bytes", Q_BYTES, "SENT" },
	{ "reply_packets", Q_INT, NULL, Q_C_NEVER },
	{ "reply_bytes", Q_BYTES, "RECEIVED" },
	{ "nat_src", Q_ADDR, "NAT SOURCE", Q_C_WIDE },
	{ "nat_sport", Q_INT, "PORT", Q_C_WIDE },
	{ "nat_dst", Q_ADDR, "NAT DESTINATION", Q_C_WIDE },
	{ "nat_dport", Q_INT, "PORT", Q_C_WIDE },
	{ "icmp_type", Q_INT, "TYPE", Q_C_WIDE },
	{ "icmp_code", Q_INT, "CODE", Q_C_WIDE },
	{ "mark", Q_INT, "MARK", Q_C_WIDE },
	{ "zone", Q_INT, "ZONE", Q_C_WIDE },
	{ "nsid", Q_INT, "NSID", Q_C_WIDE },
	{ "id", Q_INT, NULL, Q_C_NEVER },
	{ "status", Q_INT, NULL, Q_C_NEVER },
	{ "tcp_state", Q_INT, NULL, Q_C_NEVER },
	{ "end_reason", Q_INT, NULL, Q_C_NEVER },
};

const struct q_col *
q_flow_cols(const struct q *q, unsigned *ret_n)
{
	bool server = q_has_server(q);

	*ret_n = sizeof(cols) / sizeof(*cols) - !server;
	return server ? cols : cols + 1;
}

const char *
q_flow_name(const struct q_flow *f, const struct q_addr *a)
{
	if (!f->exporter)
		return q_name(f->db, a, q_flow_end(f));
	return memcmp(a, &f->src, sizeof(*a)) == 0   ? f->src_name
	       : memcmp(a, &f->dst, sizeof(*a)) == 0 ? f->dst_name
						     : NULL;
}

static void
number(struct q *q, const struct q_flow *f, unsigned bit, int64_t x)
{
	if (f->has & bit)
		q_cell_int(q, x);
	else
		q_cell_null(q);
}

/* 0 is what is normal: people need not see it. */
static void
unless_zero(struct q *q, int64_t x)
{
	if (x || q->format != Q_TABLE)
		q_cell_int(q, x);
	else
		q_cell_null(q);
}

static void
times(struct q *q, const struct q_flow *f)
{
	int64_t end = q_flow_end(f);

	q_cell_time(q, f->start_ns);
	/* where it is not known, people see when it was last heard of */
	q_cell_time(q, q->format == Q_TABLE ? end : f->end_ns);
	q_cell_time(q, f->at_ns);
	q_cell_int(q, f->stamped);
	q_cell_text(q, f->open ? "open" : f->lost ? "lost" : "ended");
	if (f->start_ns == Q_NEVER)
		q_cell_null(q);
	else
		q_cell_int(q, end - f->start_ns);
}

int
q_flow_row(struct q *q, const struct q_flow *f)
{
	if (q_has_server(q))
		q_cell_text(q, f->exporter);
	times(q, f);
	number(q, f, Q_H_PROTO, f->proto);
	q_cell_addr(q, &f->src);
	number(q, f, Q_H_SPORT, f->sport);
	q_cell_text(q, q_flow_name(f, &f->src));
	q_cell_addr(q, &f->dst);
	number(q, f, Q_H_DPORT, f->dport);
	q_cell_text(q, q_flow_name(f, &f->dst));
	number(q, f, Q_H_PACKETS, f->packets);
	number(q, f, Q_H_BYTES, f->bytes);
	number(q, f, Q_H_RPACKETS, f->reply_packets);
	number(q, f, Q_H_RBYTES, f->reply_bytes);
	q_cell_addr(q, &f->nat_src);
	number(q, f, Q_H_NAT_SPORT, f->nat_sport);
	q_cell_addr(q, &f->nat_dst);
	number(q, f, Q_H_NAT_DPORT, f->nat_dport);
	number(q, f, Q_H_ICMP, f->icmp_type);
	number(q, f, Q_H_ICMP, f->icmp_code);
	unless_zero(q, f->mark);
	unless_zero(q, f->zone);
	if (f->nsid < 0)
		q_cell_null(q);
	else
		q_cell_int(q, f->nsid);
	number(q, f, Q_H_ID, f->id);
	number(q, f, Q_H_STATUS, f->status);
	number(q, f, Q_H_TCP_STATE, f->tcp_state);
	number(q, f, Q_H_REASON, f->end_reason);
	return q_row_end(q);
}
