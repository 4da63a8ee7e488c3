/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_row.c - CLICKHOUSE: a record as a row of flows_raw or open_raw, in the
 * bytes the server takes (RowBinary: little endian, strings with their length).
 *
 * What is not known is -1, a time 0, an address 16 zero bytes, a name empty.  IPv4
 * is ::ffff:a.b.c.d.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "clickhouse.h"

#define TEXT_MAX 255u
#define AT_MAX ((uint64_t)INT64_MAX - 1)

static const char *const names[CH_FIELDS] = {
	[CH_SADDR] = "orig.ip.saddr",
	[CH_DADDR] = "orig.ip.daddr",
	[CH_PROTO] = "orig.ip.protocol",
	[CH_START] = "flow.start.ns",
	[CH_LAST] = "flow.last.ns",
	[CH_STOP] = "flow.destroy.ns",
	[CH_SPORT] = "orig.l4.sport",
	[CH_DPORT] = "orig.l4.dport",
	[CH_RSADDR] = "reply.ip.saddr",
	[CH_RDADDR] = "reply.ip.daddr",
	[CH_RSPORT] = "reply.l4.sport",
	[CH_RDPORT] = "reply.l4.dport",
	[CH_ICMP_TYPE] = "icmp.type",
	[CH_ICMP_CODE] = "icmp.code",
	[CH_ICMP6_TYPE] = "icmpv6.type",
	[CH_ICMP6_CODE] = "icmpv6.code",
	[CH_NSID] = "ct.nsid",
	[CH_ID] = "ct.id",
	[CH_PACKETS] = "orig.raw.pktcount",
	[CH_BYTES] = "orig.raw.pktlen",
	[CH_RPACKETS] = "reply.raw.pktcount",
	[CH_RBYTES] = "reply.raw.pktlen",
	[CH_MARK] = "ct.mark",
	[CH_ZONE] = "ct.zone",
	[CH_STATUS] = "ct.status",
	[CH_TCP_STATE] = "ct.tcp.state",
	[CH_REASON] = "flow.end.reason",
	[CH_SRC_NAME] = "orig.ip.saddr.name",
	[CH_DST_NAME] = "orig.ip.daddr.name",
};
#define NEEDED CH_START

#define AFTER_AT \
	"nsid,id,start_ns,end_ns,stamped,proto,src,sport,dst,dport,nat_src,nat_sport," \
	"nat_dst,nat_dport,icmp_type,icmp_code,orig_packets,orig_bytes,reply_packets," \
	"reply_bytes,mark,zone,status,tcp_state,end_reason,exporter,src_name,dst_name"
const char ch_columns[] = "outer,outer_port,at_ns," AFTER_AT;
const char ch_open_columns[] = "outer,outer_port,seen_ns," AFTER_AT ",source,delta";

/* ---- the layout ------------------------------------------------------------------ */

static const char magic[] = "CTCH1 ";

bool
ch_layout_put(struct ctf_frame *f)
{
	return ctf_frame_put(f, magic, sizeof(magic) - 1) &&
	       ctf_frame_put(f, ch_columns, sizeof(ch_columns) - 1) &&
	       ctf_frame_put(f, " ", 1) &&
	       ctf_frame_put(f, ch_open_columns, sizeof(ch_open_columns) - 1);
}

/* There is one so far.  A later version will know what this one wrote. */
int
ch_layout_check(const struct ctf_layout *l)
{
	size_t n = sizeof(magic) - 1, m = sizeof(ch_columns) - 1;
	const uint8_t *p = l->p;

	if (l->len != n + m + sizeof(ch_open_columns) || memcmp(p, magic, n) != 0 ||
	    memcmp(p + n, ch_columns, m) != 0 || p[n + m] != ' ' ||
	    memcmp(p + n + m + 1, ch_open_columns, sizeof(ch_open_columns) - 1) != 0)
		return -EBADMSG;
	return 0;
}

/* ---- setup ------------------------------------------------------------------------- */

int
ch_fields_want(struct ch_enc *e, struct ctf_err *err)
{
	for (unsigned i = 0; i < CH_FIELDS; i++) {
		int r = ctf_want(e->obj.ctx, names[i], &e->ref[i], NULL,
				 i < NEEDED ? err : NULL);

		if (r == -ENOENT && i >= NEEDED)
			e->ref[i] = CTF_NONE;
		else if (r < 0)
			return r;
	}
	return 0;
}

const char *
ch_exporter(const struct ch_conf *c)
{
	return *c->exporter ? c->exporter : c->host_name;
}

/* ---- numbers ------------------------------------------------------------------------ */

static const struct ctf_rec *
field(const struct ch_enc *e, const struct ctf_rec *r, enum ch_field f, uint64_t *ret_u)
{
	if (!ctf_has(r, e->ref[f]))
		return NULL;
	*ret_u = ctf_num(r, e->ref[f]);
	return r;
}

static int64_t
wide(const struct ch_enc *e, const struct ctf_rec *r, enum ch_field f)
{
	uint64_t u;

	if (!field(e, r, f, &u))
		return (int64_t)htole64((uint64_t)-1);
	return (int64_t)htole64(u > INT64_MAX ? INT64_MAX : u);
}

static int16_t
narrow(const struct ch_enc *e, const struct ctf_rec *r, enum ch_field f)
{
	return (int16_t)htole16((uint16_t)ctf_num_or(r, e->ref[f], UINT16_MAX));
}

static int32_t
port(const struct ch_enc *e, const struct ctf_rec *r, enum ch_field f)
{
	return ctf_has(r, e->ref[f]) ? (int32_t)(ctf_num(r, e->ref[f]) & 0xffff) : -1;
}

static uint64_t
time_of(const struct ch_enc *e, const struct ctf_rec *r, enum ch_field f)
{
	uint64_t u = 0;

	field(e, r, f, &u);
	return u > AT_MAX ? AT_MAX : u;
}

static int32_t
le32(int32_t n)
{
	return (int32_t)htole32((uint32_t)n);
}

static int64_t
le64(uint64_t u)
{
	return (int64_t)htole64(u);
}

/* ---- addresses and ports ------------------------------------------------------------- */

struct side { /* one end of a flow, as one direction tells it */
	uint8_t ip[16];
	bool has;
	int32_t port;
};

static void
side_get(const struct ch_enc *e, const struct ctf_rec *r, enum ch_field ip, enum ch_field p,
	 bool icmp, struct side *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	ret->has = ctf_has(r, e->ref[ip]);
	ret->port = icmp ? -1 : port(e, r, p);
	if (!ret->has) {
		memset(ret->ip, 0, 16);
	} else if (r->family == AF_INET6) {
		memcpy(ret->ip, r->v[e->ref[ip]].ip, 16);
	} else {
		memcpy(ret->ip, mapped, 12);
		memcpy(ret->ip + 12, r->v[e->ref[ip]].ip, 4);
	}
}

static bool
translated(const struct side *a, const struct side *b)
{
	if (a->has && b->has && memcmp(a->ip, b->ip, 16) != 0)
		return true;
	return a->port >= 0 && b->port >= 0 && a->port != b->port;
}

static void
icmp_put(const struct ch_enc *e, const struct ctf_rec *r, struct ch_fixed *x)
{
	bool v4 = ctf_has(r, e->ref[CH_ICMP_TYPE]);
	enum ch_field type = v4 ? CH_ICMP_TYPE : CH_ICMP6_TYPE;
	enum ch_field code = v4 ? CH_ICMP_CODE : CH_ICMP6_CODE;

	if (!ctf_has(r, e->ref[type]))
		return;
	x->icmp_type = (int16_t)htole16((uint16_t)(ctf_num(r, e->ref[type]) & 255));
	x->icmp_code = (int16_t)htole16((uint16_t)(ctf_num_or(r, e->ref[code], 0) & 255));
}

static void
tuple_put(const struct ch_enc *e, const struct ctf_rec *r, struct ch_fixed *x)
{
	static const struct side none = { .port = -1 };
	uint64_t proto = ctf_num_or(r, e->ref[CH_PROTO], 0);
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6, snat, dnat;
	struct side src, dst, rsrc, rdst;

	side_get(e, r, CH_SADDR, CH_SPORT, icmp, &src);
	side_get(e, r, CH_DADDR, CH_DPORT, icmp, &dst);
	side_get(e, r, CH_RSADDR, CH_RSPORT, icmp, &rsrc);
	side_get(e, r, CH_RDADDR, CH_RDPORT, icmp, &rdst);
	snat = translated(&src, &rdst);
	dnat = translated(&dst, &rsrc);
	memcpy(x->src, src.ip, 16);
	x->sport = le32(src.port);
	memcpy(x->dst, dst.ip, 16);
	x->dport = le32(dst.port);
	rdst = snat ? rdst : none;
	rsrc = dnat ? rsrc : none;
	memcpy(x->nat_src, rdst.ip, 16);
	x->nat_sport = le32(rdst.port);
	memcpy(x->nat_dst, rsrc.ip, 16);
	x->nat_dport = le32(rsrc.port);
	src = snat ? rdst : dnat ? dst : src;
	memcpy(x->outer, src.ip, 16);
	x->outer_port = le32(src.port);
	x->icmp_type = x->icmp_code = -1;
	if (icmp)
		icmp_put(e, r, x);
}

/* ---- a row ------------------------------------------------------------------------------ */

static void
times_put(const struct ch_enc *e, const struct ctf_rec *r, bool lives, struct ch_fixed *x)
{
	uint64_t at = r->rx_ns > AT_MAX ? AT_MAX : r->rx_ns, end = time_of(e, r, CH_LAST);

	x->stamped = !lives && ctf_has(r, e->ref[CH_STOP]);
	if (x->stamped)
		at = time_of(e, r, CH_STOP);
	x->at_ns = le64(at);
	x->start_ns = le64(time_of(e, r, CH_START));
	x->end_ns = le64(lives ? 0 : end < at ? end : at);
}

static void
rest_put(const struct ch_enc *e, const struct ctf_rec *r, struct ch_fixed *x)
{
	uint64_t u = 0;

	x->nsid = field(e, r, CH_NSID, &u) ? le32((int32_t)(u & INT32_MAX)) : -1;
	x->id = field(e, r, CH_ID, &u) ? le64((uint32_t)u) : -1;
	x->proto = narrow(e, r, CH_PROTO);
	for (unsigned i = 0; i < 4; i++)
		x->counters[i] = wide(e, r, CH_PACKETS + i);
	x->mark = htole32((uint32_t)ctf_num_or(r, e->ref[CH_MARK], 0));
	x->zone = htole16((uint16_t)ctf_num_or(r, e->ref[CH_ZONE], 0));
	x->status = wide(e, r, CH_STATUS);
	x->tcp_state = narrow(e, r, CH_TCP_STATE);
	x->end_reason = narrow(e, r, CH_REASON);
}

/* At most 255 bytes, whose number takes one or two. */
static uint8_t *
text_put(uint8_t *p, const void *text, size_t n)
{
	n = n > TEXT_MAX ? TEXT_MAX : n;
	*p++ = (uint8_t)(n & 127) | (n > 127 ? 128 : 0);
	if (n > 127)
		*p++ = (uint8_t)(n >> 7);
	if (n)
		memcpy(p, text, n);
	return p + n;
}

/* A frame that was damaged and looks whole would be refused for ever. */
bool
ch_row_whole(const uint8_t *p, size_t n, bool lives)
{
	size_t at = sizeof(struct ch_fixed);

	for (unsigned texts = lives ? 4 : 3; texts; texts--) {
		size_t len = at < n ? p[at] & 127 : n;

		if (at + 1 < n && p[at] & 128)
			len |= (size_t)p[++at] << 7;
		at += 1 + len;
	}
	return at + lives == n;
}

static uint8_t *
name_put(uint8_t *p, const struct ctf_rec *r, ctf_ref ref)
{
	if (!ctf_has(r, ref))
		return text_put(p, NULL, 0);
	return text_put(p, r->v[ref].s.p, r->v[ref].s.len);
}

bool
ch_row_put(const struct ch_enc *e, const struct ctf_rec *r, struct ctf_frame *f)
{
	const char *exporter = ch_exporter(e->obj.conf);
	bool lives = r->kind != CTF_EVENT;
	struct sq_row row = { .kind = SQ_REC, .family = r->family };
	uint8_t *start = f->p + f->len, *p = start + SQ_HEAD;
	struct ctf_frame head = *f;
	struct ch_fixed x;

	if (f->cap - f->len < SQ_HEAD + sizeof(x) + 4 * (TEXT_MAX + 2) + 1)
		return false;
	tuple_put(e, r, &x);
	times_put(e, r, lives, &x);
	rest_put(e, r, &x);
	memcpy(p, &x, sizeof(x));
	p = text_put(p + sizeof(x), exporter, strlen(exporter));
	p = name_put(p, r, e->ref[CH_SRC_NAME]);
	p = name_put(p, r, e->ref[CH_DST_NAME]);
	if (lives) {
		p = text_put(p, e->source, strlen(e->source));
		*p++ = r->kind == CTF_DELTA;
	}
	row.flags = (lives ? CH_OPEN : 0) | (r->kind == CTF_DELTA ? CH_DELTA : 0);
	row.key = le64toh((uint64_t)x.at_ns);
	row.len = (uint32_t)(p - start - SQ_HEAD);
	sq_head_put(&head, &row);
	f->len += SQ_HEAD + row.len;
	return true;
}
