/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_name.c - who had an address at a time, by the table `names`. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "open.h"

#define CACHE 4096u    /* addresses */
#define FRESH_MS 1000u /* the daemon may be adding to it */
#define LONGEST 255u

struct name { /* from..until it is so; len 0: free */
	uint8_t ip[16];
	uint8_t len;
	int64_t from, until;
	uint64_t looked_ms;
	char text[LONGEST + 1]; /* "": none */
};

struct q_names {
	sqlite3_stmt *st;
	struct name cache[CACHE];
};

static const char sql[] =
	"SELECT from_ns, name, (SELECT min(from_ns) FROM names WHERE addr = ?1"
	" AND from_ns > ?2) FROM (SELECT from_ns, name FROM names WHERE addr = ?1"
	" AND from_ns <= ?2 ORDER BY from_ns DESC LIMIT 1) UNION ALL SELECT NULL, NULL,"
	" (SELECT min(from_ns) FROM names WHERE addr = ?1 AND from_ns > ?2) LIMIT 1";

/* No table, no names: that is no failure. */
int
q_names_open(struct q_db *db, struct ctf_err *err)
{
	struct q_names *n;

	if (db->names || !q_db_has(db, "names"))
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return ctf_fail(err, ENOMEM, "out of memory");
	db->names = n;
	return q_db_prepare(db, sqlite3_mprintf("%s", sql), &n->st, err);
}

void
q_names_close(struct q_db *db)
{
	if (db->names)
		sqlite3_finalize(db->names->st);
	free(db->names);
	db->names = NULL;
}

static void
bind_key(sqlite3_stmt *st, const struct q_addr *a, int64_t at)
{
	const uint8_t *p = a->ip;

	if (a->family == AF_INET)
		sqlite3_bind_int64(st, 1,
				   (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
					     (uint32_t)p[2] << 8 | p[3]));
	else
		sqlite3_bind_blob(st, 1, p, 16, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, at);
}

/* A failure is no name: what was asked for is the flow. */
static void
look(sqlite3_stmt *st, const struct q_addr *a, int64_t at, struct name *n)
{
	bind_key(st, a, at);
	n->text[0] = '\0';
	n->from = INT64_MIN;
	n->until = INT64_MAX;
	if (sqlite3_step(st) == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(st, 1);

		if (sqlite3_column_type(st, 0) != SQLITE_NULL)
			n->from = sqlite3_column_int64(st, 0);
		if (sqlite3_column_type(st, 2) != SQLITE_NULL)
			n->until = sqlite3_column_int64(st, 2);
		if (text)
			snprintf(n->text, sizeof(n->text), "%s", (const char *)text);
	}
	sqlite3_reset(st);
}

const char *
q_name(const struct q_db *db, const struct q_addr *a, int64_t at_ns)
{
	uint8_t len = a->family == AF_INET ? 4 : 16;
	uint64_t now = ctf_mono_ms();
	struct name *n;

	if (!db || !db->names || !a->family)
		return NULL;
	n = &db->names->cache[ctf_hash(CTF_HASH, a->ip, len) % CACHE];
	if (n->len != len || memcmp(n->ip, a->ip, len) != 0 || at_ns < n->from ||
	    at_ns >= n->until || now - n->looked_ms >= FRESH_MS) {
		look(db->names->st, a, at_ns, n);
		memcpy(n->ip, a->ip, len);
		n->len = len;
		n->looked_ms = now;
	}
	return n->text[0] ? n->text : NULL;
}
