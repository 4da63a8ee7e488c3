/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the rows of a version before 3 move to their days, the oldest
 * first.  They are made records again and stored as those of today, so that
 * partitions, index runs and sums get them, too; rows and deletion are one
 * transaction.  Not with a profile that would take something from them.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "sqlite3_rollup.h"
#include "sqlite3_spare.h"

#define ROWS 1000 /* of a transaction */
#define ROOM (ROWS * 1024u)

#define OLD_KEY "destroy_ns, id, start_ns, nsid"
static const char rows_sql[] =
	"SELECT " OLD_KEY ", src, dst, nat_src, nat_dst, proto, icmp_type, icmp_code, end_ns,"
	" sport, dport, nat_sport, nat_dport, orig_packets, orig_bytes, reply_packets,"
	" reply_bytes, mark, zone, status, tcp_state, end_reason FROM \"%w\""
	" ORDER BY " OLD_KEY " LIMIT %d";
enum { /* of rows_sql */
       O_DESTROY,
       O_ID,
       O_START,
       O_NSID,
       O_SRC,
       O_DST,
       O_NAT_SRC,
       O_NAT_DST,
       O_PROTO,
       O_ICMP_TYPE,
       O_ICMP_CODE,
       O_PLAIN, /* from here on in the order of `plain` */
};
static const uint8_t plain[] = { F_LAST,    F_SPORT,  F_DPORT,     F_RDPORT, F_RSPORT,
				 F_PACKETS, F_BYTES,  F_RPACKETS,  F_RBYTES, F_MARK,
				 F_ZONE,    F_STATUS, F_TCP_STATE, F_REASON };

static const uint8_t types[F_COUNT] = {
	[F_SADDR] = CTF_IP,      [F_DADDR] = CTF_IP,     [F_PROTO] = CTF_U8,
	[F_START] = CTF_TIME,    [F_LAST] = CTF_TIME,    [F_STOP] = CTF_TIME,
	[F_SPORT] = CTF_U16,     [F_DPORT] = CTF_U16,    [F_RSADDR] = CTF_IP,
	[F_RDADDR] = CTF_IP,     [F_RSPORT] = CTF_U16,   [F_RDPORT] = CTF_U16,
	[F_ICMP_TYPE] = CTF_U8,  [F_ICMP_CODE] = CTF_U8, [F_ICMP6_TYPE] = CTF_U8,
	[F_ICMP6_CODE] = CTF_U8, [F_ZONE] = CTF_U32,     [F_NSID] = CTF_U32,
	[F_ID] = CTF_U32,        [F_BYTES] = CTF_U64,    [F_PACKETS] = CTF_U64,
	[F_RBYTES] = CTF_U64,    [F_RPACKETS] = CTF_U64, [F_MARK] = CTF_U32,
	[F_STATUS] = CTF_U32,    [F_TCP_STATE] = CTF_U8, [F_REASON] = CTF_U8,
};

struct move {
	bool stamped;
	unsigned n;
	sqlite3_int64 key[4]; /* of the last row taken */
	struct ctf_field def[F_COUNT];
	struct sq_fields fields;
	struct ctf_frame frame;
	struct ctf_layout layout;
	uint8_t names[2048];
	union { /* slot n is field n */
		struct ctf_rec rec;
		uint8_t room[sizeof(struct ctf_rec) + F_COUNT * sizeof(union ctf_val)];
	};
};

/* ---- a row becomes a record ------------------------------------------------- */

static void
num(struct move *m, sqlite3_stmt *st, int col, ctf_ref field)
{
	if (sqlite3_column_type(st, col) != SQLITE_NULL)
		ctf_put_num(&m->rec, field, (uint64_t)sqlite3_column_int64(st, col));
}

/* The length of the address in that column, or 0. */
static size_t
addr_get(sqlite3_stmt *st, int col, uint8_t *ret_ip)
{
	const char *text;
	uint32_t ip4;

	switch (sqlite3_column_type(st, col)) {
	case SQLITE_INTEGER:
		ip4 = htonl((uint32_t)sqlite3_column_int64(st, col));
		memcpy(ret_ip, &ip4, 4);
		return 4;
	case SQLITE_TEXT:
		text = (const char *)sqlite3_column_text(st, col);
		return text && inet_pton(AF_INET6, text, ret_ip) == 1 ? 16 : 0;
	default:
		return 0;
	}
}

static bool
addr(struct move *m, sqlite3_stmt *st, int col, ctf_ref field)
{
	uint8_t ip[16];
	size_t len = addr_get(st, col, ip);

	if (!len || len != (m->rec.family == AF_INET6 ? 16u : 4u))
		return false;
	ctf_put_ip(&m->rec, field, ip, len);
	return true;
}

/* What the replies went by: the translated side, else the same as before. */
static void
tuples(struct move *m, sqlite3_stmt *st)
{
	struct ctf_rec *r = &m->rec;

	addr(m, st, O_SRC, F_SADDR);
	addr(m, st, O_DST, F_DADDR);
	if (!addr(m, st, O_NAT_SRC, F_RDADDR)) {
		addr(m, st, O_SRC, F_RDADDR);
		if (ctf_has(r, F_SPORT))
			ctf_put_num(r, F_RDPORT, ctf_num(r, F_SPORT));
	}
	if (!addr(m, st, O_NAT_DST, F_RSADDR)) {
		addr(m, st, O_DST, F_RSADDR);
		if (ctf_has(r, F_DPORT))
			ctf_put_num(r, F_RSPORT, ctf_num(r, F_DPORT));
	}
}

static void
record(struct move *m, sqlite3_stmt *st)
{
	struct ctf_rec *r = &m->rec;
	bool icmp6 = sqlite3_column_int(st, O_PROTO) == IPPROTO_ICMPV6;
	uint8_t ip[16];

	r->set[0] = r->set[1] = 0;
	r->event = CTF_DESTROY;
	r->kind = CTF_EVENT;
	r->family = addr_get(st, O_SRC, ip) == 16 ? AF_INET6 : AF_INET;
	r->rx_ns = (uint64_t)m->key[0];
	if (m->stamped)
		ctf_put_num(r, F_STOP, r->rx_ns);
	if (m->key[1] >= 0)
		num(m, st, O_ID, F_ID);
	if (m->key[2] > 0)
		num(m, st, O_START, F_START);
	if (m->key[3] >= 0)
		num(m, st, O_NSID, F_NSID);
	num(m, st, O_PROTO, F_PROTO);
	num(m, st, O_ICMP_TYPE, icmp6 ? F_ICMP6_TYPE : F_ICMP_TYPE);
	num(m, st, O_ICMP_CODE, icmp6 ? F_ICMP6_CODE : F_ICMP_CODE);
	for (unsigned i = 0; i < sizeof(plain); i++)
		num(m, st, O_PLAIN + (int)i, plain[i]);
	tuples(m, st);
}

/* ---- some rows -------------------------------------------------------------- */

static int
move_new(bool stamped, struct move **ret_move)
{
	struct move *m = calloc(1, sizeof(*m));

	if (!m)
		return SQLITE_NOMEM;
	m->stamped = stamped;
	m->fields.source = "";
	m->fields.start = F_START;
	m->fields.stop = F_STOP;
	for (unsigned i = 0; i < F_COUNT; i++) {
		m->def[i] = (struct ctf_field){ .name = sq_native_fields[i], .type = types[i] };
		sq_fields_add(&m->fields, (ctf_ref)i, &m->def[i]);
	}
	m->frame = (struct ctf_frame){ .p = m->names, .cap = sizeof(m->names) };
	sq_layout_put(&m->fields, &m->frame);
	m->layout = (struct ctf_layout){ .len = m->frame.len, .p = m->names };
	m->frame = (struct ctf_frame){ .p = malloc(ROOM), .cap = ROOM, .layout = &m->layout };
	*ret_move = m;
	return m->frame.p ? SQLITE_OK : SQLITE_NOMEM;
}

static void
move_free(struct move *m)
{
	if (m)
		free(m->frame.p);
	free(m);
}

static int
rows_take(struct sq_sink *s, struct move *m, const char *base)
{
	char *sql = sqlite3_mprintf(rows_sql, base, ROWS);
	sqlite3_stmt *st = NULL;
	int rc = sql ? sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < 4; i++)
			m->key[i] = sqlite3_column_int64(st, i);
		record(m, st);
		rc = sq_rec_put(&m->fields, &m->rec, &m->frame) ? SQLITE_OK : SQLITE_TOOBIG;
		m->n++;
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
rows_drop(struct sq_sink *s, const struct move *m, const char *base)
{
	return sq_exec(s->db,
		       sqlite3_mprintf("DELETE FROM \"%w\" WHERE (" OLD_KEY ") <="
				       " (%lld, %lld, %lld, %lld)",
				       base, m->key[0], m->key[1], m->key[2], m->key[3]));
}

/* Nothing is left of it. */
static int
base_drop(struct sq_sink *s, bool stamped)
{
	const char *t = SQ_CONF(s)->table, *which = stamped ? "stamped" : "received";
	char **base = stamped ? &s->table.stamped : &s->table.received, *name = *base;
	int rc;

	*base = NULL;
	rc = sq_views_make(s->db, t, &s->table);
	if (rc == SQLITE_OK)
		rc = sq_exec(s->db, sqlite3_mprintf("DROP TABLE \"%w\"; DELETE FROM meta WHERE"
						    " key = '%q:%q'",
						    name, which, t));
	if (rc == SQLITE_OK)
		rc = sq_spare_commit(s);
	if (rc != SQLITE_OK) {
		*base = name;
		return rc;
	}
	free(name);
	if (!s->table.stamped && !s->table.received)
		ctf_log(s->obj.ctx, CTF_NOTICE,
			"%s: table \"%s\": all rows of an older version have been moved",
			SQ_CONF(s)->db, t);
	return SQLITE_OK;
}

static int
rows_move(struct sq_sink *s, struct move *m, const char *base)
{
	int rc = sq_frame_store(s, &m->frame);

	if (rc == SQLITE_OK)
		rc = rows_drop(s, m, base);
	sq_layout_free(&s->layout); /* of frames that are delivered, from now on */
	s->n = 0;
	return rc == SQLITE_OK ? sq_spare_commit(s) : rc;
}

int
sq_old_step(struct sq_sink *s, int *ret_ms)
{
	bool stamped = s->table.stamped != NULL;
	const char *base = stamped ? s->table.stamped : s->table.received;
	struct move *m = NULL;
	int rc;

	*ret_ms = -1;
	if (!base || SQ_CONF(s)->profile != SQ_FULL)
		return SQLITE_OK;
	*ret_ms = 0;
	rc = move_new(stamped, &m);
	if (rc == SQLITE_OK)
		rc = sq_spare_begin(s);
	if (rc == SQLITE_OK)
		rc = rows_take(s, m, base);
	if (rc == SQLITE_OK)
		rc = m->n ? rows_move(s, m, base) : base_drop(s, stamped);
	move_free(m);
	return rc;
}
