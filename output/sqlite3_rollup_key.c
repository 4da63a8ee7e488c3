/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what the sums are kept by. */
#include <netinet/in.h>

#include "sqlite3_rollup.h"

const char *const sq_level_name[SQ_LEVELS] = { "minute", "hour", "day" };
const int64_t sq_level_ratio[SQ_LEVELS] = { 1, 60, 24 };

int32_t
sq_host_ipv4(const struct sq_bucket *b)
{
	return (int32_t)((uint32_t)b->host[0] << 24 | (uint32_t)b->host[1] << 16 |
			 (uint32_t)b->host[2] << 8 | b->host[3]);
}

/* Numbers, then the empty text, then blobs: SQLite's order. */
static int
host_compare(const struct sq_bucket *a, const struct sq_bucket *b)
{
	int x = a->host_len == 4 ? 0 : a->host_len ? 2 : 1;
	int y = b->host_len == 4 ? 0 : b->host_len ? 2 : 1;

	if (x != y)
		return x < y ? -1 : 1;
	if (x == 0)
		return sq_host_ipv4(a) < sq_host_ipv4(b) ? -1
							 : sq_host_ipv4(a) > sq_host_ipv4(b);
	return memcmp(a->host, b->host, a->host_len);
}

int
sq_bucket_compare(const struct sq_bucket *a, const struct sq_bucket *b)
{
	int host;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	host = host_compare(a, b);
	if (host)
		return host;
	return a->proto != b->proto ? a->proto - b->proto : a->port - b->port;
}

void
sq_bucket_bind(sqlite3_stmt *st, int first, const struct sq_bucket *b)
{
	sqlite3_bind_int64(st, first, b->at);
	if (b->host_len == 4)
		sqlite3_bind_int64(st, first + 1, sq_host_ipv4(b));
	else if (b->host_len)
		sqlite3_bind_blob(st, first + 1, b->host, b->host_len, SQLITE_TRANSIENT);
	else
		sqlite3_bind_text(st, first + 1, "", 0, SQLITE_STATIC);
	sqlite3_bind_int(st, first + 2, b->proto);
	sqlite3_bind_int(st, first + 3, b->port);
}

void
sq_host_read(sqlite3_stmt *st, int col, struct sq_bucket *b)
{
	uint32_t u;
	const void *p;
	int len;

	b->host_len = 0;
	if (sqlite3_column_type(st, col) == SQLITE_INTEGER) {
		u = (uint32_t)sqlite3_column_int64(st, col);
		b->host_len = 4;
		for (unsigned i = 0; i < 4; i++)
			b->host[i] = (uint8_t)(u >> (24 - 8 * i));
	} else if (sqlite3_column_type(st, col) == SQLITE_BLOB) {
		p = sqlite3_column_blob(st, col);
		len = sqlite3_column_bytes(st, col);
		b->host_len = (uint8_t)(len > 16 ? 16 : len);
		if (p)
			memcpy(b->host, p, b->host_len);
	}
}

void
sq_bucket_read(sqlite3_stmt *st, int first, struct sq_bucket *ret_bucket)
{
	struct sq_bucket b = { .at = sqlite3_column_int64(st, first) };

	sq_host_read(st, first + 1, &b);
	b.proto = (int16_t)sqlite3_column_int(st, first + 2);
	b.port = (int16_t)sqlite3_column_int(st, first + 3);
	*ret_bucket = b;
}

/* Of ports only those that name a service. */
int16_t
sq_service_of(int64_t proto, int64_t port)
{
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;

	return icmp || port < 0 || port > INT16_MAX ? 0 : (int16_t)port;
}

void
sq_bucket_of(const struct sq_flow *f, int64_t ns, struct sq_bucket *ret_key)
{
	struct sq_bucket b = { .at = ns / SQ_MINUTE_NS, .proto = -1 };

	if (sq_flow_has(f, SQ_C_SRC) && f->ip6 >> SQ_C_SRC & 1) {
		b.host_len = 16;
		memcpy(b.host, f->addr[f->v[SQ_C_SRC]], 16);
	} else if (sq_flow_has(f, SQ_C_SRC)) {
		b.host_len = 4;
		for (unsigned i = 0; i < 4; i++)
			b.host[i] = (uint8_t)((uint64_t)f->v[SQ_C_SRC] >> (24 - 8 * i));
	}
	if (sq_flow_has(f, SQ_C_PROTO))
		b.proto = (int16_t)f->v[SQ_C_PROTO];
	if (sq_flow_has(f, SQ_C_DPORT))
		b.port = sq_service_of(b.proto, f->v[SQ_C_DPORT]);
	*ret_key = b;
}
