/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: from a record to the values of a native row. */
#include <errno.h>
#include <netinet/in.h>

#include "sqlite3_flow.h"

const char *const sq_native_fields[F_COUNT] = {
	[F_SADDR] = "orig.ip.saddr",
	[F_DADDR] = "orig.ip.daddr",
	[F_PROTO] = "orig.ip.protocol",
	[F_START] = "flow.start.ns",
	[F_LAST] = "flow.last.ns",
	[F_STOP] = "flow.destroy.ns",
	[F_SPORT] = "orig.l4.sport",
	[F_DPORT] = "orig.l4.dport",
	[F_RSADDR] = "reply.ip.saddr",
	[F_RDADDR] = "reply.ip.daddr",
	[F_RSPORT] = "reply.l4.sport",
	[F_RDPORT] = "reply.l4.dport",
	[F_BYTES] = "orig.raw.pktlen",
	[F_PACKETS] = "orig.raw.pktcount",
	[F_RBYTES] = "reply.raw.pktlen",
	[F_RPACKETS] = "reply.raw.pktcount",
	[F_ICMP_TYPE] = "icmp.type",
	[F_ICMP_CODE] = "icmp.code",
	[F_ICMP6_TYPE] = "icmpv6.type",
	[F_ICMP6_CODE] = "icmpv6.code",
	[F_MARK] = "ct.mark",
	[F_ZONE] = "ct.zone",
	[F_NSID] = "ct.nsid",
	[F_ID] = "ct.id",
	[F_STATUS] = "ct.status",
	[F_TCP_STATE] = "ct.tcp.state",
	[F_REASON] = "flow.end.reason",
};

struct side { /* one end of a flow, as one direction tells it */
	const struct sq_cell *ip, *port;
};

static const struct sq_cell *
cell(const struct sq_flow *f, int place)
{
	return &f->cells[place < 0 ? (int)SQ_FIELDS : place];
}

static void
set(struct sq_flow *f, enum sq_col col, int64_t v)
{
	f->v[col] = v;
	f->set |= UINT64_C(1) << col;
}

static void
set_cell(struct sq_flow *f, enum sq_col col, const struct sq_cell *c)
{
	if (c->has)
		set(f, col, c->u > INT64_MAX ? INT64_MAX : (int64_t)c->u);
}

static void
set_nonzero(struct sq_flow *f, enum sq_col col, const struct sq_cell *c)
{
	if (c->has && c->u)
		set(f, col, (int64_t)(uint32_t)c->u);
}

static void
set_addr(struct sq_flow *f, enum sq_col col, unsigned n, const struct sq_cell *c)
{
	const uint8_t *p = c->p;

	if (!c->has)
		return;
	if (c->len == 4) {
		set(f, col,
		    (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
			      (uint32_t)p[2] << 8 | p[3]));
		return;
	}
	f->addr[n] = p;
	set(f, col, n);
	f->ip6 |= UINT64_C(1) << col;
}

static void
set_port(struct sq_flow *f, enum sq_col col, const struct sq_cell *c)
{
	if (c->has)
		set(f, col, (int16_t)c->u);
}

/* ---- addresses and ports -------------------------------------------------- */

/* Whether one end of the flow looks different in the reply direction. */
static bool
translated(const struct side *a, const struct side *b)
{
	if (a->ip->has && b->ip->has &&
	    (a->ip->len != b->ip->len || memcmp(a->ip->p, b->ip->p, a->ip->len) != 0))
		return true;
	return a->port->has && b->port->has && a->port->u != b->port->u;
}

static void
set_nat(struct sq_flow *f, const struct side *in, const struct side *out)
{
	set_addr(f, SQ_C_IN, 4, in->ip);
	set_port(f, SQ_C_INPORT, in->port);
	if (!out)
		return;
	set_addr(f, SQ_C_OUT, 5, out->ip);
	set_port(f, SQ_C_OUTPORT, out->port);
}

static bool
is_icmp(const struct sq_cell *proto)
{
	return proto->has && (proto->u == IPPROTO_ICMP || proto->u == IPPROTO_ICMPV6);
}

static void
flow_icmp(struct sq_flow *f, const int *map)
{
	bool v4 = cell(f, map[F_ICMP_TYPE])->has;
	const struct sq_cell *type = cell(f, map[v4 ? F_ICMP_TYPE : F_ICMP6_TYPE]),
			     *code = cell(f, map[v4 ? F_ICMP_CODE : F_ICMP6_CODE]);

	if (type->has)
		set(f, SQ_C_DPORT,
		    (int16_t)((type->u & 255) << 8 | (code->has ? code->u & 255 : 0)));
}

static void
flow_tuple(struct sq_flow *f, const int *map)
{
	static const struct sq_cell none;
	bool icmp = is_icmp(cell(f, map[F_PROTO]));
#define PORT(x) (icmp ? &none : cell(f, map[x]))
	struct side src = { cell(f, map[F_SADDR]), PORT(F_SPORT) },
		    dst = { cell(f, map[F_DADDR]), PORT(F_DPORT) },
		    rsrc = { cell(f, map[F_RSADDR]), PORT(F_RSPORT) },
		    rdst = { cell(f, map[F_RDADDR]), PORT(F_RDPORT) };
#undef PORT
	bool snat = translated(&src, &rdst), dnat = translated(&dst, &rsrc);

	set_addr(f, SQ_C_SRC, 0, src.ip);
	set_port(f, SQ_C_SPORT, src.port);
	set_addr(f, SQ_C_DST, 1, dst.ip);
	set_port(f, SQ_C_DPORT, dst.port);
	if (icmp)
		flow_icmp(f, map);
	if (snat) {
		set_addr(f, SQ_C_NSRC, 2, rdst.ip);
		set_port(f, SQ_C_NSPORT, rdst.port);
	}
	if (dnat) {
		set_addr(f, SQ_C_NDST, 3, rsrc.ip);
		set_port(f, SQ_C_NDPORT, rsrc.port);
	}
	if (dnat && !snat)
		set_nat(f, &rsrc, &dst);
	else
		set_nat(f, &src, snat ? &rdst : NULL);
}

/* ---- times ---------------------------------------------------------------- */

static int64_t
time_of(const struct sq_cell *c)
{
	if (!c->has)
		return 0;
	return c->u > SQ_AT_MAX ? SQ_AT_MAX : (int64_t)c->u;
}

/* Whole milliseconds, as they mostly are, are shorter. */
static int64_t
idle_of(int64_t at, int64_t end)
{
	int64_t ns = at > end ? at - end : 0;

	return ns % 1000000 ? -ns : ns / 1000000;
}

static void
flow_times(struct sq_flow *f, const struct sq_row *row, const int *map)
{
	int64_t at = row->key > SQ_AT_MAX ? SQ_AT_MAX : (int64_t)row->key, age = -1;
	const struct sq_cell *id = cell(f, map[F_ID]), *nsid = cell(f, map[F_NSID]);
	int64_t ns = nsid->has ? (int64_t)(nsid->u & INT32_MAX) : -1;

	f->start_ns = time_of(cell(f, map[F_START]));
	f->end_ns = time_of(cell(f, map[F_LAST]));
	if (f->start_ns)
		age = at >= f->start_ns ? at - f->start_ns : at - f->start_ns - 1;
	set(f, SQ_C_AT, at);
	set(f, SQ_C_ID, id->has ? (int32_t)(uint32_t)id->u : 0);
	set(f, SQ_C_AGE, age);
	set(f, SQ_C_NS, (ns + 1) * 4 + 2 * !id->has + !(row->flags & SQ_STAMPED));
	if (f->end_ns)
		set(f, SQ_C_IDLE, idle_of(at, f->end_ns));
	set(f, SQ_C_START, f->start_ns);
	set(f, SQ_C_XID, id->has ? (int64_t)(uint32_t)id->u : -1);
	set(f, SQ_C_NSID, ns);
}

static void
flow_rest(struct sq_flow *f, const int *map)
{
	static const struct {
		uint8_t col, field;
	} plain[] = {
		{ SQ_C_PROTO, F_PROTO },   { SQ_C_PACKETS, F_PACKETS },
		{ SQ_C_BYTES, F_BYTES },   { SQ_C_RPACKETS, F_RPACKETS },
		{ SQ_C_RBYTES, F_RBYTES }, { SQ_C_STATUS, F_STATUS },
		{ SQ_C_REASON, F_REASON }, { SQ_C_TCP_STATE, F_TCP_STATE },
	};

	for (unsigned i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		set_cell(f, plain[i].col, cell(f, map[plain[i].field]));
	set_nonzero(f, SQ_C_MARK, cell(f, map[F_MARK]));
	set_nonzero(f, SQ_C_ZONE, cell(f, map[F_ZONE]));
}

int
sq_flow_get(const struct sq_layout *l, const int *map, const uint8_t *p, struct sq_row *ret_row,
	    struct sq_flow *f)
{
	if (sq_row_get(p, SIZE_MAX, ret_row) < 0 || sq_rec_get(l, ret_row, f->cells) < 0)
		return -EBADMSG;
	f->cells[SQ_FIELDS].has = false;
	f->set = f->ip6 = 0;
	f->was_open = false;
	flow_times(f, ret_row, map);
	flow_tuple(f, map);
	flow_rest(f, map);
	if (ret_row->flags & SQ_LIVES) {
		set(f, SQ_C_SEEN,
		    ret_row->seen_ns > SQ_AT_MAX ? SQ_AT_MAX : (int64_t)ret_row->seen_ns);
		set(f, SQ_C_DELTA, (ret_row->flags & SQ_DELTA) != 0);
		set(f, SQ_C_SOURCE, 0);
		f->source = ret_row->source;
	}
	return 0;
}
