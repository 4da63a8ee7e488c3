/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CLICKHOUSE without a server: statements, servers, passwords, rows, and what notes
 * make of coverage and gaps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clickhouse_note.h"
#include "unit.h"

/* ---- statements ----------------------------------------------------------------- */

static int
collect(void *arg, const char *sql)
{
	buf_puts(arg, sql);
	buf_puts(arg, ";\n\n");
	return 0;
}

static char *
ddl(const char *cluster, unsigned version)
{
	struct ch_dialect d = { "ctflow", cluster, version };
	struct buf b = { 0 };

	ck_assert_int_eq(ch_ddl(&d, collect, &b), 0);
	ck_assert(!b.failed);
	return b.p;
}

/* The document, its comments left out; CTF_WRITE=FILE writes what it has to be. */
START_TEST(document)
{
	const char *src = getenv("srcdir"), *write = getenv("CTF_WRITE");
	char path[4096], *sql = ddl("", 1816), *text;

	if (write)
		unit_write(write, sql);
	snprintf(path, sizeof(path), "%s/etc/clickhouse.sql", src ? src : ".");
	text = strdup(unit_read(path));
	ck_assert_ptr_nonnull(strstr(text, "CREATE"));
	ck_assert_msg(strcmp(strstr(text, "CREATE"), sql) == 0,
		      "CTF_WRITE=FILE writes it anew");
	free(text);
	free(sql);
}
END_TEST

static void
has(const char *sql, const char *words, bool want)
{
	ck_assert_msg((strstr(sql, words) != NULL) == want, "%s: \"%s\" in\n%s",
		      want ? "not there" : "there", words, sql);
}

START_TEST(cluster)
{
	char *sql = ddl("farm", 1816);

	has(sql, "CREATE DATABASE IF NOT EXISTS ctflow ON CLUSTER `farm`;", true);
	has(sql, "CREATE TABLE IF NOT EXISTS ctflow.open_raw_local ON CLUSTER `farm` (outer ",
	    true);
	has(sql,
	    "ENGINE = "
	    "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/ctflow/open_raw',"
	    " '{replica}', version)",
	    true);
	has(sql,
	    "CREATE TABLE IF NOT EXISTS ctflow.flows_raw ON CLUSTER `farm` AS "
	    "ctflow.flows_raw_local ENGINE = Distributed(`farm`, ctflow, flows_raw_local,"
	    " cityHash64(outer, outer_port, at_ns))",
	    true);
	has(sql, "CREATE MATERIALIZED VIEW IF NOT EXISTS ctflow.flows_src_local ON CLUSTER",
	    true);
	has(sql, "outer_port FROM ctflow.flows_raw_local;", true);
	has(sql, "PROJECTION", false);
	free(sql);
}
END_TEST

/* What is a table of its own on old servers is a projection on current ones. */
START_TEST(projections)
{
	char *sql = ddl("", 2508);

	has(sql,
	    "PROJECTION by_src (SELECT src, at_ns, outer, outer_port ORDER BY src, at_ns),"
	    " PROJECTION by_dst (SELECT dst,",
	    true);
	has(sql, "SETTINGS deduplicate_merge_projection_mode = 'rebuild';", true);
	has(sql,
	    "CREATE VIEW IF NOT EXISTS ctflow.flows_dst AS SELECT dst, at_ns, outer, outer_port"
	    " FROM ctflow.flows_raw;",
	    true);
	has(sql, "MATERIALIZED", false);
	free(sql);
}
END_TEST

/* ---- options ---------------------------------------------------------------------- */

START_TEST(servers)
{
	static const struct {
		const char *host;
		unsigned nth;
		int r;
		const char *name;
		unsigned port;
	} cases[] = {
		{ "a", 0, 1, "a", 8123 },
		{ "a, b:99 ,[::1]:7", 1, 1, "b", 99 },
		{ "a, b:99 ,[::1]:7", 2, 1, "::1", 7 },
		{ "a, b:99 ,[::1]:7", 3, 0, NULL, 0 },
		{ "2001:db8::1", 0, 1, "2001:db8::1", 8123 },
		{ "[::1]", 0, 1, "::1", 8123 },
		{ "", 0, -EINVAL, NULL, 0 },
		{ "a,", 1, -EINVAL, NULL, 0 },
		{ "a:0", 0, -EINVAL, NULL, 0 },
		{ "a:65536", 0, -EINVAL, NULL, 0 },
		{ "a:", 0, -EINVAL, NULL, 0 },
		{ "[::1", 0, -EINVAL, NULL, 0 },
		{ "[]:1", 0, -EINVAL, NULL, 0 },
		{ "a/b", 0, -EINVAL, NULL, 0 },
		{ "u@a", 0, -EINVAL, NULL, 0 },
	};

	for (int i = 0; i < COUNT(cases); i++) {
		struct ch_conf c = { .host = cases[i].host };
		struct ch_server s;

		ck_assert_int_eq(ch_server_nth(&c, cases[i].nth, &s), cases[i].r);
		if (cases[i].r <= 0)
			continue;
		ck_assert_str_eq(s.host, cases[i].name);
		ck_assert_uint_eq(s.port, cases[i].port);
	}
}
END_TEST

START_TEST(passwords)
{
	static char path[] = "test_clickhouse.secret";
	char longer[5000], *p = NULL;

	unit_write(path, "a b'\xc3\xa4\r\nsecond\n");
	ck_assert_int_eq(ch_password_read(path, &p), 0);
	ck_assert_str_eq(p, "a b'\xc3\xa4");
	ch_password_forget(&p);
	ck_assert_ptr_null(p);
	unit_write(path, "");
	ck_assert_int_eq(ch_password_read(path, &p), 0);
	ck_assert_str_eq(p, "");
	ch_password_forget(&p);
	unit_write(path, "a\tb\n");
	ck_assert_int_eq(ch_password_read(path, &p), -EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	unit_write(path, longer);
	ck_assert_int_eq(ch_password_read(path, &p), -E2BIG);
	unlink(path);
	ck_assert_int_eq(ch_password_read(path, &p), -ENOENT);
	ck_assert_ptr_null(p);
}
END_TEST

/* ---- rows -------------------------------------------------------------------------- */

START_TEST(whole)
{
	uint8_t row[sizeof(struct ch_fixed) + 300] = { 0 };
	size_t n = sizeof(struct ch_fixed);

	ck_assert_uint_eq(n, 193); /* or the columns are others */
	row[n] = 2;                /* "xx", "", "" */
	ck_assert(ch_row_whole(row, n + 5, false));
	ck_assert(!ch_row_whole(row, n + 4, false));
	ck_assert(!ch_row_whole(row, n + 6, false));
	ck_assert(!ch_row_whole(row, n, false));
	ck_assert(!ch_row_whole(row, 10, false));
	ck_assert(ch_row_whole(row, n + 7, true)); /* and the source, and one byte */
	row[n] = 128 | 4;                          /* 132 bytes, in two */
	row[n + 1] = 1;
	ck_assert(ch_row_whole(row, n + 2 + 132 + 2, false));
	ck_assert(!ch_row_whole(row, n + 1, false));
}
END_TEST

/* ---- notes ------------------------------------------------------------------------- */

#define S UINT64_C(1000000000)

struct rig {
	struct ch s;
	uint8_t bytes[4096];
};

static void
take(struct rig *g, bool (*put)(struct ctf_frame *, const void *), const void *note)
{
	struct ctf_frame f = { .p = g->bytes, .cap = sizeof(g->bytes) };
	struct sq_row row;

	ck_assert(put(&f, note));
	ck_assert_int_gt(sq_row_get(f.p, f.len, &row), 0);
	ck_assert_int_eq(ch_notes_take(&g->s, &row), 0);
}

static bool
put_cover(struct ctf_frame *f, const void *c)
{
	return sq_cover_put(f, c);
}

static bool
put_gap(struct ctf_frame *f, const void *c)
{
	return sq_gap_put(f, c);
}

static void
cover(struct rig *g, uint64_t from, uint64_t alive, uint64_t to, int8_t acct)
{
	take(g, put_cover,
	     &(struct ctf_coverage){ .from_ns = from * S,
				     .last_alive_ns = alive * S,
				     .to_ns = to * S,
				     .instance = "ct1",
				     .boot_id = "b",
				     .nsid = -1,
				     .acct = acct,
				     .timestamp = -1 });
}

static void
gap(struct rig *g, uint64_t from, uint64_t to, const char *cause)
{
	take(g, put_gap,
	     &(struct ctf_gap){ .from_ns = from * S,
				.to_ns = to * S,
				.count = 3,
				.cause = cause,
				.instance = "ct1",
				.nsid = -1 });
}

/* "from-alive-to" of stretches, "from~to cause" of gaps that are, "!" if concluded. */
static const char *
shown(const struct rig *g)
{
	static _Thread_local char text[1000];
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < g->s.notes.nrows && n < sizeof(text) - 100; i++) {
		const struct ch_note *r = &g->s.notes.row[i];

		if (r->gone)
			continue;
		if (r->is_gap)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%llu~%llu%s ",
					      (unsigned long long)(r->n.from_ns / S),
					      (unsigned long long)(r->n.to_ns / S),
					      r->concluded ? "!" : "");
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%llu-%llu-%llu ",
					      (unsigned long long)(r->n.from_ns / S),
					      (unsigned long long)(r->n.alive_ns / S),
					      (unsigned long long)(r->n.to_ns / S));
	}
	return text;
}

START_TEST(stretches)
{
	struct rig g = { .s.since_ns = 100 * S };

	cover(&g, 10, 10, 0, -1);
	cover(&g, 10, 20, 0, 1); /* learned */
	ck_assert_str_eq(shown(&g), "10-20-0 ");
	cover(&g, 10, 30, 0, 0); /* changed */
	ck_assert_str_eq(shown(&g), "10-20-30 30-30-0 ");
	cover(&g, 10, 40, 40, 0);
	cover(&g, 10, 40, 40, 0); /* the same frame again */
	ck_assert_str_eq(shown(&g), "10-20-30 30-40-40 ");
	ch_notes_free(&g.s.notes);
}
END_TEST

START_TEST(left_open)
{
	struct rig g = { .s.since_ns = 100 * S };

	cover(&g, 10, 20, 0, 1);
	cover(&g, 90, 95, 0, 1); /* another run */
	ck_assert_str_eq(shown(&g), "10-20-20 20~90! 90-95-0 ");
	gap(&g, 22, 90, "restart"); /* the daemon knows better */
	ck_assert_str_eq(shown(&g), "10-20-20 90-95-0 22~90 ");
	gap(&g, 22, 90, "restart");
	ck_assert_str_eq(shown(&g), "10-20-20 90-95-0 22~90 ");
	ch_notes_free(&g.s.notes);
}
END_TEST

START_TEST(told_before)
{
	struct rig g = { .s.since_ns = 100 * S };

	cover(&g, 10, 20, 0, 1);
	gap(&g, 21, 90, "overrun"); /* lasted until now, and begins with ours */
	cover(&g, 90, 95, 0, 1);
	ck_assert_str_eq(shown(&g), "10-20-20 21~90 90-95-0 ");
	ch_notes_free(&g.s.notes);
	cover(&g, 10, 20, 0, 1);
	gap(&g, 50, 90, "overrun"); /* began later: ours is what lies before */
	cover(&g, 90, 95, 0, 1);
	ck_assert_str_eq(shown(&g), "10-20-20 50~90 20~50! 90-95-0 ");
	ch_notes_free(&g.s.notes);
	cover(&g, 10, 20, 0, 1);
	cover(&g, 90, 95, 0, 1);
	gap(&g, 50, 90, "overrun"); /* and the other way round */
	ck_assert_str_eq(shown(&g), "10-20-20 20~50! 90-95-0 50~90 ");
	ch_notes_free(&g.s.notes);
}
END_TEST

/* As if the server had taken all, at that time. */
static void
stored(struct rig *g, uint64_t at)
{
	for (unsigned i = 0; i < g->s.notes.nrows; i++) {
		struct ch_note *r = &g->s.notes.row[i];

		if (r->dirty)
			r->version = g->s.notes.version = at;
		r->dirty = false;
	}
	g->s.noted = g->s.notes.version;
	g->s.wrote = g->s.server + 1;
}

/* A stretch does not go on over the time when flows went to another server. */
START_TEST(apart)
{
	struct ch_conf conf = { .cluster = "" };
	struct rig g = { .s = { .obj.conf = &conf, .since_ns = S } };

	cover(&g, 10, 20, 0, 1);
	stored(&g, 20 * S);
	ch_notes_part(&g.s, 2); /* a session with the same one */
	cover(&g, 10, 30, 0, 1);
	ck_assert_str_eq(shown(&g), "10-30-0 ");
	stored(&g, 30 * S);
	g.s.server = 1; /* which has the same tables */
	ch_notes_part(&g.s, 2);
	cover(&g, 10, 40, 0, 1);
	ck_assert_str_eq(shown(&g), "10-40-0 ");
	stored(&g, 40 * S);
	g.s.server = 0; /* has not heard of the last one */
	g.s.notes.version = 30 * S;
	ch_notes_part(&g.s, 2);
	cover(&g, 10, 70, 0, 1);
	cover(&g, 10, 80, 0, 1);
	ck_assert_str_eq(shown(&g), "10-40-40 70-80-0 ");
	cover(&g, 10, 90, 90, 1);
	ck_assert_str_eq(shown(&g), "10-40-40 70-90-90 ");
	ch_notes_free(&g.s.notes);
}
END_TEST

/* Another server that took flows, and no note of it; then back. */
START_TEST(apart_unheard)
{
	struct ch_conf conf = { .cluster = "" };
	struct rig g = { .s = { .obj.conf = &conf, .since_ns = S } };

	cover(&g, 10, 20, 0, 1);
	stored(&g, 20 * S);
	g.s.server = 1;
	g.s.notes.version = 0;
	ch_notes_part(&g.s, 2);
	g.s.wrote = 2;
	g.s.server = 0;
	g.s.notes.version = 20 * S;
	ch_notes_part(&g.s, 2);
	cover(&g, 10, 30, 0, 1);
	ck_assert_str_eq(shown(&g), "10-20-20 30-30-0 ");
	ch_notes_free(&g.s.notes);
}
END_TEST

/* What an earlier run sent to which of several is not known; a cluster shares it. */
START_TEST(apart_before)
{
	struct ch_conf conf = { .cluster = "" };
	struct rig g = { .s = { .obj.conf = &conf, .since_ns = 100 * S } };

	for (int i = 0; i < 3; i++) {
		static const char *const want[] = { "10-30-0 ", "10-30-0 ",
						    "10-20-20 30-30-0 " };

		conf.cluster = i == 1 ? "farm" : "";
		cover(&g, 10, 20, 0, 1);
		stored(&g, 20 * S);
		g.s.wrote = g.s.noted = g.s.part_ns = 0;
		ch_notes_part(&g.s, i ? 2 : 1);
		cover(&g, 10, 30, 0, 1); /* out of the spool */
		ck_assert_str_eq(shown(&g), want[i]);
		ch_notes_free(&g.s.notes);
		g.s.part_ns = 0;
	}
}
END_TEST

/* Many of them do not fill the memory, and what goes on stays. */
START_TEST(pruned)
{
	struct rig g = { .s.since_ns = 100 * S };

	cover(&g, 1, 2, 0, 1);
	for (unsigned i = 0; i < 3000; i++) {
		gap(&g, 10 + 2 * i, 11 + 2 * i, "queue");
		for (unsigned k = 0; k < g.s.notes.nrows; k++)
			g.s.notes.row[k].dirty = false;
	}
	ck_assert_uint_le(g.s.notes.nrows, 1000);
	cover(&g, 1, 9999, 0, 1);
	ck_assert(strncmp(shown(&g), "1-9999-0 ", 9) == 0);
	ch_notes_free(&g.s.notes);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, document);
	tcase_add_test(t, cluster);
	tcase_add_test(t, projections);
	tcase_add_test(t, servers);
	tcase_add_test(t, passwords);
	tcase_add_test(t, whole);
	tcase_add_test(t, stretches);
	tcase_add_test(t, left_open);
	tcase_add_test(t, told_before);
	tcase_add_test(t, apart);
	tcase_add_test(t, apart_unheard);
	tcase_add_test(t, apart_before);
	tcase_add_test(t, pruned);
}

int
main(void)
{
	return unit_main("clickhouse", add_tests);
}
