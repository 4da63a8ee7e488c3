/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sqlite3_help.h"

static char dir[64], path[96], name[112], text[16384];

static void
dir_make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/ctflowd-sqlite3-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/flows.db", dir);
}

static void
dir_remove(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

const char *
db_path(void)
{
	return path;
}

const char *
db_beside(const char *suffix)
{
	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return name;
}

struct plug *
db_plug(const char *table, const char *more)
{
	char options[512];

	snprintf(options, sizeof(options), "db=\"%s\"\ntable=\"%s\"\n%s", path, table, more);
	return plug_new(&ctf_plugin_sqlite3, options);
}

void
flow_put(struct plug *p, unsigned n)
{
	uint64_t stop = T0 + n * UINT64_C(1000);

	plug_rec(p, AF_INET, CTF_DESTROY, stop + 50);
	plug_ip(p, "orig.ip.saddr", "10.77.0.1");
	plug_ip(p, "orig.ip.daddr", "10.77.0.2");
	plug_ip(p, "reply.ip.saddr", "10.77.0.2");
	plug_ip(p, "reply.ip.daddr", "10.77.0.1");
	plug_num(p, "orig.ip.protocol", 17);
	plug_num(p, "orig.l4.sport", 40000 + n % 20000);
	plug_num(p, "reply.l4.dport", 40000 + n % 20000);
	plug_num(p, "orig.l4.dport", 5300);
	plug_num(p, "reply.l4.sport", 5300);
	plug_num(p, "ct.id", n);
	plug_num(p, "flow.start.ns", stop - 3000000000);
	plug_num(p, "flow.last.ns", stop - 1000000000);
	plug_num(p, "flow.destroy.ns", stop);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

void
flows_put(struct plug *p, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++)
		flow_put(p, n);
}

#define START(n) (T0 - 5000 * SEC + (n))

static void
flow_begin(struct plug *p, unsigned n, int event, uint64_t rx_ns, unsigned packets)
{
	plug_rec(p, AF_INET, event, rx_ns);
	plug_ip(p, "orig.ip.saddr", "10.77.0.1");
	plug_ip(p, "orig.ip.daddr", "10.77.0.2");
	plug_ip(p, "reply.ip.saddr", "10.77.0.2");
	plug_ip(p, "reply.ip.daddr", "203.0.113.9");
	plug_num(p, "orig.ip.protocol", 6);
	plug_num(p, "orig.l4.sport", 40000 + n % 20000);
	plug_num(p, "orig.l4.dport", 443);
	plug_num(p, "reply.l4.sport", 443);
	plug_num(p, "reply.l4.dport", 1024 + n % 20000);
	plug_num(p, "ct.id", n);
	plug_num(p, "ct.mark", 7);
	plug_num(p, "flow.start.ns", START(n));
	plug_num(p, "orig.raw.pktcount", packets);
	plug_num(p, "orig.raw.pktlen", UINT64_C(100) * packets);
	plug_num(p, "reply.raw.pktcount", 2 * packets);
	plug_num(p, "reply.raw.pktlen", UINT64_C(3000) * packets);
}

void
live_put(struct plug *p, unsigned n, enum ctf_kind kind, uint64_t seen, unsigned packets)
{
	struct ctf_rec *r = plug_rec(p, AF_INET, CTF_UPDATE, seen);

	flow_begin(p, n, CTF_UPDATE, seen, packets);
	r->kind = (uint8_t)kind;
	plug_num(p, "ct.tcp.state", 3);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	r->kind = CTF_EVENT;
}

void
end_put(struct plug *p, unsigned n, uint64_t stop, unsigned packets)
{
	flow_begin(p, n, CTF_DESTROY, stop + 100, packets);
	plug_num(p, "flow.last.ns", stop - SEC);
	plug_num(p, "flow.destroy.ns", stop);
	plug_num(p, "flow.end.reason", 3);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

void
sweep_put(struct plug *p, unsigned at, unsigned previous)
{
	struct ctf_sweep w = { .at_ns = T0 + at * SEC,
			       .previous_ns = previous ? T0 + previous * SEC : 0,
			       .min_age_ns = 60 * SEC,
			       .complete = true,
			       .nsid = -1 };

	ck_assert_int_eq(plug_sweep(p, &w), CTF_OK);
}

void
deliver_ok(struct plug *p)
{
	struct ctf_err err;

	plug_seal(p);
	ck_assert_msg(plug_deliver(p, &err) == CTF_SENT, "%s", err.msg);
	ck_assert_uint_eq(plug_pending(p), 0);
}

unsigned
db_rows_now(void)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	unsigned n = 0;

	if (sqlite3_open_v2(db_path(), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT count(*) FROM flows", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = (unsigned)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static int
take_row(void *arg, int n, char **value, char **column)
{
	size_t used = strlen(text);

	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
					 i      ? "|"
					 : used ? "\n"
						: "",
					 value[i] ? value[i] : "");
	ck_assert_uint_lt(used, sizeof(text));
	return 0;
}

const char *
db_query(const char *sql)
{
	sqlite3 *db = NULL;
	char *err = NULL;
	int rc;

	text[0] = '\0';
	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	rc = sqlite3_exec(db, sql, take_row, NULL, &err);
	ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, err);
	sqlite3_close(db);
	return text;
}

void
db_exec(const char *sql)
{
	sqlite3 *db = NULL;
	char *err = NULL;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &err) == SQLITE_OK, "%s: %s", sql, err);
	sqlite3_close(db);
}

void
db_fixture(TCase *t)
{
	tcase_add_checked_fixture(t, dir_make, dir_remove);
	tcase_set_timeout(t, 20);
}
