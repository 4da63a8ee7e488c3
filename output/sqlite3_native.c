/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: rows of the native schema.  The rows of a group are sorted by key
 * and shown to SQLite as a virtual table, so that one INSERT takes them all:
 * binding and stepping a statement per row costs as much as storing it.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "sqlite3_db.h"

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

#define COLUMNS \
	"destroy_ns, id, start_ns, nsid, end_ns, proto, src, dst, sport, dport, orig_packets," \
	" orig_bytes, reply_packets, reply_bytes, mark, zone, status, tcp_state, end_reason," \
	" nat_src, nat_sport, nat_dst, nat_dport, icmp_type, icmp_code"
enum {
	C_DESTROY,
	C_ID,
	C_START,
	C_NSID,
	C_END,
	C_PROTO,
	C_SRC,
	C_DST,
	C_SPORT,
	C_DPORT,
	C_PACKETS,
	C_BYTES,
	C_RPACKETS,
	C_RBYTES,
	C_MARK,
	C_ZONE,
	C_STATUS,
	C_TCP_STATE,
	C_REASON,
	C_NSRC,
	C_NSPORT,
	C_NDST,
	C_NDPORT,
	C_ITYPE,
	C_ICODE,
	C_SEEN, /* these three are of flows that live */
	C_SOURCE,
	C_DELTA,
	C_COUNT
};

#define INSERT "INSERT OR IGNORE INTO \"%w\"(" COLUMNS ") SELECT " COLUMNS " FROM " SQ_ROWS

/* ---- a record as a row of the base table ----------------------------------- */

struct flow {
	uint32_t set, text;       /* bits by column */
	sqlite3_int64 v[C_COUNT]; /* of a text: its place in addr */
	char addr[4][INET6_ADDRSTRLEN];
	struct sq_text source;
	struct sq_cell cells[SQ_FIELDS + 1]; /* the last one is always absent */
};

static void
set(struct flow *f, unsigned col, uint64_t u)
{
	f->v[col] = u > INT64_MAX ? INT64_MAX : (sqlite3_int64)u;
	f->set |= 1u << col;
}

static const struct sq_cell *
cell(const struct flow *f, int place)
{
	return &f->cells[place < 0 ? (int)SQ_FIELDS : place];
}

static void
set_cell(struct flow *f, unsigned col, const struct sq_cell *c)
{
	if (c->has)
		set(f, col, c->u);
}

static void
set_addr(struct flow *f, unsigned col, unsigned n, const struct sq_cell *c)
{
	if (!c->has)
		return;
	if (c->len == 4) {
		set(f, col, (uint32_t)c->p[0] << 24 | c->p[1] << 16 | c->p[2] << 8 | c->p[3]);
		return;
	}
	inet_ntop(AF_INET6, c->p, f->addr[n], sizeof(f->addr[n]));
	f->v[col] = n;
	f->set |= 1u << col;
	f->text |= 1u << col;
}

/* Whether one end of the flow looks different in the reply direction. */
static bool
translated(const struct sq_cell *ip, const struct sq_cell *port, const struct sq_cell *rip,
	   const struct sq_cell *rport)
{
	if (ip->has && rip->has && (ip->len != rip->len || memcmp(ip->p, rip->p, ip->len) != 0))
		return true;
	return port->has && rport->has && port->u != rport->u;
}

static void
flow_nat(struct flow *f, const struct sq_cell *const *c)
{
	if (translated(c[F_SADDR], c[F_SPORT], c[F_RDADDR], c[F_RDPORT])) {
		set_addr(f, C_NSRC, 2, c[F_RDADDR]);
		set_cell(f, C_NSPORT, c[F_RDPORT]);
	}
	if (translated(c[F_DADDR], c[F_DPORT], c[F_RSADDR], c[F_RSPORT])) {
		set_addr(f, C_NDST, 3, c[F_RSADDR]);
		set_cell(f, C_NDPORT, c[F_RSPORT]);
	}
}

/* The parts of the keys. */
static void
flow_key(struct flow *f, const struct sq_row *row, const int *map)
{
	const struct sq_cell *id = cell(f, map[F_ID]), *nsid = cell(f, map[F_NSID]),
			     *start = cell(f, map[F_START]);

	f->set = 1u << C_ID | 1u << C_NSID;
	f->text = 0;
	f->v[C_ID] = id->has ? (sqlite3_int64)id->u : -1;
	f->v[C_NSID] = nsid->has ? (sqlite3_int64)nsid->u : -1;
	set(f, C_DESTROY, row->key);
	set(f, C_START, start->has ? start->u : 0);
}

static void
flow_make(struct flow *f, const struct sq_row *row, const int *map)
{
	static const struct {
		uint8_t col, field;
	} plain[] = {
		{ C_END, F_LAST },          { C_PROTO, F_PROTO },
		{ C_SPORT, F_SPORT },       { C_DPORT, F_DPORT },
		{ C_PACKETS, F_PACKETS },   { C_BYTES, F_BYTES },
		{ C_RPACKETS, F_RPACKETS }, { C_RBYTES, F_RBYTES },
		{ C_MARK, F_MARK },         { C_ZONE, F_ZONE },
		{ C_STATUS, F_STATUS },     { C_TCP_STATE, F_TCP_STATE },
		{ C_REASON, F_REASON },     { C_ITYPE, F_ICMP6_TYPE },
		{ C_ITYPE, F_ICMP_TYPE },   { C_ICODE, F_ICMP6_CODE },
		{ C_ICODE, F_ICMP_CODE },
	};
	const struct sq_cell *c[F_COUNT];

	for (unsigned i = 0; i < F_COUNT; i++)
		c[i] = cell(f, map[i]);
	flow_key(f, row, map);
	for (unsigned i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		set_cell(f, plain[i].col, c[plain[i].field]);
	set_addr(f, C_SRC, 0, c[F_SADDR]);
	set_addr(f, C_DST, 1, c[F_DADDR]);
	if (row->flags & SQ_LIVES) {
		set(f, C_SEEN, row->seen_ns);
		set(f, C_DELTA, (row->flags & SQ_DELTA) != 0);
		f->source = row->source;
	}
	flow_nat(f, c);
}

/* ---- the virtual table: s->refs[s->from..s->to) ----------------------------- */

struct vtab {
	sqlite3_vtab base;
	struct sq_sink *sink;
};

struct cursor {
	sqlite3_vtab_cursor base;
	unsigned i;
	struct flow flow;
};

static struct sq_sink *
sink_of(const sqlite3_vtab_cursor *base)
{
	return ((const struct vtab *)base->pVtab)->sink;
}

static int
rows_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret_vtab,
	     char **ret_err)
{
	struct vtab *v = sqlite3_malloc(sizeof(*v));
	int rc;

	if (!v)
		return SQLITE_NOMEM;
	*v = (struct vtab){ .sink = aux };
	rc = sqlite3_declare_vtab(db, "CREATE TABLE x(" COLUMNS ", seen_ns, source, delta)");
	if (rc != SQLITE_OK)
		sqlite3_free(v);
	else
		*ret_vtab = &v->base;
	return rc;
}

static int
rows_disconnect(sqlite3_vtab *v)
{
	sqlite3_free(v);
	return SQLITE_OK;
}

static int
rows_best_index(sqlite3_vtab *v, sqlite3_index_info *info)
{
	info->estimatedCost = 1000;
	return SQLITE_OK;
}

static int
rows_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret_cursor)
{
	struct cursor *c = sqlite3_malloc(sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof(*c));
	*ret_cursor = &c->base;
	return SQLITE_OK;
}

static int
rows_close(sqlite3_vtab_cursor *base)
{
	sqlite3_free(base);
	return SQLITE_OK;
}

/* What the row tells of open_flows. */
static void
row_note(struct sq_sink *s, struct sq_ref *ref, const struct sq_row *row, int64_t start)
{
	if (row->flags & SQ_LIVES) {
		if (s->horizon < start)
			s->horizon = start;
		if (!s->seen_from || s->seen_from > row->seen_ns)
			s->seen_from = row->seen_ns;
	} else if (start <= s->horizon) {
		ref->key |= SQ_LATE;
	}
}

/* Decodes the row the cursor stands on. */
static int
row_load(struct cursor *c)
{
	struct sq_sink *s = sink_of(&c->base);
	struct sq_row row;

	if (c->i >= s->to)
		return SQLITE_OK;
	if (sq_row_get(s->refs[c->i].p, SIZE_MAX, &row) < 0 ||
	    sq_rec_get(&s->layout, &row, c->flow.cells) < 0)
		return SQLITE_FORMAT;
	flow_make(&c->flow, &row, s->map);
	row_note(s, &s->refs[c->i], &row, c->flow.v[C_START]);
	return SQLITE_OK;
}

static int
rows_filter(sqlite3_vtab_cursor *base, int num, const char *str, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)base;

	c->i = sink_of(base)->from;
	return row_load(c);
}

static int
rows_next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;

	c->i++;
	return row_load(c);
}

static int
rows_eof(sqlite3_vtab_cursor *base)
{
	return ((const struct cursor *)base)->i >= sink_of(base)->to;
}

static int
rows_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int col)
{
	const struct flow *f = &((const struct cursor *)base)->flow;

	if (col == C_SOURCE)
		sqlite3_result_text(ctx, f->source.p, f->source.len, SQLITE_TRANSIENT);
	else if (f->text >> col & 1)
		sqlite3_result_text(ctx, f->addr[f->v[col]], -1, SQLITE_TRANSIENT);
	else if (f->set >> col & 1)
		sqlite3_result_int64(ctx, f->v[col]);
	return SQLITE_OK; /* else NULL */
}

static int
rows_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
	*ret_rowid = ((const struct cursor *)base)->i;
	return SQLITE_OK;
}

static const sqlite3_module rows_module = {
	.xConnect = rows_connect,
	.xBestIndex = rows_best_index,
	.xDisconnect = rows_disconnect,
	.xOpen = rows_open,
	.xClose = rows_close,
	.xFilter = rows_filter,
	.xNext = rows_next,
	.xEof = rows_eof,
	.xColumn = rows_column,
	.xRowid = rows_rowid,
};

/* ---- the statements ---------------------------------------------------------- */

static int
insert_prepare(struct sq_sink *s, int which, const char *base)
{
	char *sql = sqlite3_mprintf(INSERT, base);
	int rc = sq_prepare(s, which, sql);

	sqlite3_free(sql);
	return rc;
}

int
sq_native_ready(struct sq_sink *s)
{
	int rc = sqlite3_create_module(s->db, SQ_ROWS, &rows_module, s);

	if (rc == SQLITE_OK)
		rc = insert_prepare(s, SQ_ST_STAMPED, s->table.stamped);
	if (rc == SQLITE_OK)
		rc = insert_prepare(s, SQ_ST_RECEIVED, s->table.received);
	if (rc == SQLITE_OK)
		rc = sq_open_ready(s);
	return rc == SQLITE_OK ? sq_note_ready(s) : rc;
}

void
sq_native_map(struct sq_sink *s)
{
	for (unsigned i = 0; i < F_COUNT; i++)
		s->map[i] = sq_layout_find(&s->layout, sq_native_fields[i]);
}

/* Sightings of one flow keep their order: what it has counted last must win. */
static int
by_key(const void *a, const void *b)
{
	const struct sq_ref *x = a, *y = b;
	struct sq_row p, q;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->key < SQ_LIVING || sq_row_get(x->p, SIZE_MAX, &p) < 0 ||
	    sq_row_get(y->p, SIZE_MAX, &q) < 0)
		return 0;
	return p.seen_ns < q.seen_ns ? -1 : p.seen_ns > q.seen_ns;
}

/* Nearly sequential keys are cheap; flows without a stop go to the end. */
static void
rows_sort(struct sq_sink *s)
{
	for (unsigned i = 1; i < s->n; i++)
		if (s->refs[i - 1].key > s->refs[i].key) {
			qsort(s->refs, s->n, sizeof(*s->refs), by_key);
			return;
		}
}

static int
range_store(struct sq_sink *s, int which, unsigned from, unsigned to)
{
	int rc;

	if (from == to)
		return SQLITE_OK;
	s->from = from;
	s->to = to;
	rc = sq_run(s->st[which]);
	if (rc == SQLITE_OK)
		s->stored += (uint64_t)sqlite3_changes(s->db);
	s->rows += to - from;
	return rc;
}

int
sq_native_key(struct sq_sink *s, const struct sq_ref *ref, struct sq_key *ret_key)
{
	struct sq_row row;
	struct flow f;

	f.cells[SQ_FIELDS].has = false;
	if (sq_row_get(ref->p, SIZE_MAX, &row) < 0 || sq_rec_get(&s->layout, &row, f.cells) < 0)
		return SQLITE_FORMAT;
	flow_key(&f, &row, s->map);
	*ret_key = (struct sq_key){ f.v[C_DESTROY], f.v[C_ID], f.v[C_START], f.v[C_NSID] };
	return SQLITE_OK;
}

static int
ends_store(struct sq_sink *s, bool stamped, unsigned from, unsigned to)
{
	int rc = range_store(s, stamped ? SQ_ST_STAMPED : SQ_ST_RECEIVED, from, to);

	return rc == SQLITE_OK ? sq_open_ended(s, stamped, from, to) : rc;
}

/*
 * What lives first: where both are in this group the end is the later one, in
 * whichever order the two sockets of the input were read.
 */
int
sq_native_store(struct sq_sink *s)
{
	unsigned ends = s->n - s->living;
	int rc = SQLITE_OK;

	rows_sort(s);
	if (s->living) {
		s->from = ends;
		s->to = s->n;
		rc = sq_open_store(s);
	}
	if (rc == SQLITE_OK)
		rc = ends_store(s, true, 0, s->stamped);
	return rc == SQLITE_OK ? ends_store(s, false, s->stamped, ends) : rc;
}
