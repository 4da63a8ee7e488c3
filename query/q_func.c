/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_func.c - functions of ours that SQL may call. */
#include <arpa/inet.h>

#include "open.h"
#include "sql.h"

/* ---- sets -------------------------------------------------------------------- */

static bool
in_spans(const struct ctf_set *s, uint64_t x)
{
	size_t lo = 0, hi = s->nspans;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->span[mid].hi < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nspans && s->span[lo].lo <= x;
}

static bool
in_net(const struct ctf_net6 *n, const uint8_t *ip)
{
	unsigned bytes = n->len / 8u, bits = n->len % 8u;

	return memcmp(n->ip, ip, bytes) == 0 &&
	       (!bits || (n->ip[bytes] ^ ip[bytes]) >> (8 - bits) == 0);
}

/* They are ascending and apart: the last that begins not behind it. */
static bool
in_nets(const struct ctf_set *s, const uint8_t *ip)
{
	size_t lo = 0, hi = s->nnets6;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(s->net6[mid].ip, ip, 16) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && in_net(&s->net6[lo - 1], ip);
}

bool
sql_in_addr(const struct ctf_set *s, const uint8_t *ip, unsigned len)
{
	if (len == 16)
		return in_nets(s, ip);
	return in_spans(s, (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 |
				   (uint32_t)ip[2] << 8 | ip[3]);
}

bool
sql_in_number(const struct ctf_set *s, int64_t x)
{
	if (in_spans(s, (uint64_t)x))
		return true;
	for (size_t i = 0; i < s->nmasked; i++)
		if (((uint64_t)x & s->masked[i].mask) == s->masked[i].value)
			return true;
	return false;
}

/* ctf_in_addr(x, set), ctf_in(x, set): NULL is in none. */
static void
f_in_addr(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	const struct ctf_set *s = sqlite3_value_pointer(argv[1], SQL_SET);
	int type = sqlite3_value_type(argv[0]);
	bool in = false;

	if (s && type == SQLITE_INTEGER)
		in = in_spans(s, (uint32_t)sqlite3_value_int64(argv[0]));
	else if (s && type == SQLITE_BLOB && sqlite3_value_bytes(argv[0]) == 16)
		in = in_nets(s, sqlite3_value_blob(argv[0]));
	sqlite3_result_int(ctx, in);
}

static void
f_in(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	const struct ctf_set *s = sqlite3_value_pointer(argv[1], SQL_SET);
	int type = sqlite3_value_type(argv[0]);
	bool in = false;

	if (s && type == SQLITE_INTEGER)
		in = sql_in_number(s, sqlite3_value_int64(argv[0]));
	else if (s && type == SQLITE_FLOAT) /* a sum beyond 63 bits */
		in = in_spans(s, UINT64_MAX);
	sqlite3_result_int(ctx, in);
}

/* ---- addresses ------------------------------------------------------------------ */

/* ctf_addr(x): an address of version 1 and 2 as version 3 has it. */
static void
f_addr(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	uint8_t ip[16];

	switch (sqlite3_value_type(argv[0])) {
	case SQLITE_INTEGER:
		sqlite3_result_int(ctx, (int32_t)(uint32_t)sqlite3_value_int64(argv[0]));
		break;
	case SQLITE_TEXT:
		if (inet_pton(AF_INET6, (const char *)sqlite3_value_text(argv[0]), ip) == 1)
			sqlite3_result_blob(ctx, ip, 16, SQLITE_TRANSIENT);
		break;
	default:
		break;
	}
}

/* ctf_ip(x): the text of an address of version 3. */
static void
f_ip(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	char text[CTF_FMT_IP + 1];
	uint8_t ip[4];
	uint32_t x;

	if (sqlite3_value_type(argv[0]) == SQLITE_INTEGER) {
		x = htonl((uint32_t)sqlite3_value_int64(argv[0]));
		memcpy(ip, &x, 4);
		*ctf_fmt_ip(text, ip, AF_INET) = '\0';
	} else if (sqlite3_value_type(argv[0]) == SQLITE_BLOB &&
		   sqlite3_value_bytes(argv[0]) == 16) {
		*ctf_fmt_ip(text, sqlite3_value_blob(argv[0]), AF_INET6) = '\0';
	} else {
		return; /* NULL */
	}
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

int
q_db_functions(sqlite3 *db)
{
	static const struct {
		const char *name;
		int argc;
		void (*f)(sqlite3_context *, int, sqlite3_value **);
	} all[] = { { "ctf_in", 2, f_in },
		    { "ctf_in_addr", 2, f_in_addr },
		    { "ctf_addr", 1, f_addr },
		    { "ctf_ip", 1, f_ip } };
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function(db, all[i].name, all[i].argc,
					     SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, all[i].f,
					     NULL, NULL);
	return rc;
}
