/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3's commit_every, in a whole run: what it saves, and what it must not cost. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pump.h"
#include "rig.h"
#include "sqlite3_help.h"
#include "unit.h"

static void
start(struct rig *g, const char *more)
{
	struct diag diag = { 0 };
	char text[600];

	db_exec("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS ids(ct_id INTEGER)");
	box_init(&g->box);
	snprintf(text, sizeof(text),
		 "[global]\nstack=a:FEED,d:SQLITE3\n[a]\nbox=0x%llx\n"
		 "[d]\ndb=\"%s\"\ntable=ids\n%s",
		 (unsigned long long)(uintptr_t)&g->box, db_path(), more);
	g->s = (struct setup){ .plugins = plugin_set_new() };
	fakes_add(g->s.plugins);
	ck_assert_int_eq(plugin_add(g->s.plugins, &ctf_plugin_sqlite3), 0);
	ck_assert_int_eq(conf_parse(text, strlen(text), "t.conf", &g->s.conf, &diag), 0);
	ck_assert_int_eq(plan_make(g->s.conf, g->s.plugins, &diag, &g->s.plan), 0);
	ck_assert_int_eq(graph_build(&g->s.plan, &diag, &g->s.graph), 0);
	diag_free(&diag);
	g->run = (struct run){ .graph = &g->s.graph };
	ck_assert_int_eq(loop_new(&g->run.loop), 0);
	ck_assert_int_eq(run_start(&g->run), 0);
	run_go(&g->run);
}

static unsigned
rows(void)
{
	return (unsigned)atoi(db_query("SELECT count(*) FROM ids"));
}

/* A frame each, a few milliseconds apart. */
static void
feed(struct rig *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig_feed(g, 1);
		pump_seal(g->s.graph.inputs);
		sink_kick(g->s.graph.sinks);
		loop_once(g->run.loop, 5);
	}
}

static void
wait_rows(struct rig *g, unsigned n)
{
	for (int i = 0; i < 500 && rows() < n; i++)
		loop_once(g->run.loop, 10);
	ck_assert_uint_eq(rows(), n);
}

/* Bytes written to the log of the database for 40 frames. */
static long
written(const char *more)
{
	struct stat st = { 0 };
	sqlite3 *db;
	struct rig g;

	start(&g, more);
	/* As long as somebody has it open the log is not removed. */
	ck_assert_int_eq(sqlite3_open(db_path(), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE); SELECT * FROM ids",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	feed(&g, 40);
	wait_rows(&g, 40);
	ck_assert_int_eq(stat(db_beside("-wal"), &st), 0);
	sqlite3_close(db);
	rig_stop(&g);
	db_exec("DELETE FROM ids");
	return (long)st.st_size;
}

START_TEST(fewer_writes)
{
	long each = written(""), gathered = written("commit_every=700ms\n");

	ck_assert_msg(gathered * 5 < each, "%ld bytes, gathered %ld", each, gathered);
}
END_TEST

START_TEST(the_end_commits)
{
	struct rig g;

	start(&g, "commit_every=60\n");
	feed(&g, 30);
	ck_assert_uint_eq(rows(), 0);
	rig_stop(&g);
	ck_assert_uint_eq(rows(), 30);
}
END_TEST

/* Nothing is taken that is not in the database: what waits is still owed. */
START_TEST(what_waits_is_not_settled)
{
	struct sink *s;
	struct rig g;

	start(&g, "commit_every=500ms\n");
	feed(&g, 10);
	s = g.s.graph.sinks;
	pthread_mutex_lock(&s->lock);
	ck_assert_uint_eq(s->queue.settled_number, 0);
	ck_assert_uint_eq(s->queue.frames, 10);
	pthread_mutex_unlock(&s->lock);
	wait_rows(&g, 10);
	rig_stop(&g);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, fewer_writes);
	tcase_add_test(t, the_end_commits);
	tcase_add_test(t, what_waits_is_not_settled);
}

int
main(void)
{
	return unit_main("sqlite3_every", add_tests);
}
