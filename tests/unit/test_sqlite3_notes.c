/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 with a schema of its own: what was lost, what was watched. */
#include <stdio.h>

#include "sqlite3_help.h"
#include "unit.h"

START_TEST(gaps)
{
	struct ctf_gap g = { T0, T0 + 5, 17, CTF_EXACT, "overrun", "ct1", -1 };
	struct plug *p = db_plug("flows", "");

	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	g = (struct ctf_gap){ 1, 2, CTF_UNKNOWN, CTF_UNCOUNTED, "queue", "x", 4 };
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	g.count = 3;
	g.count_is = CTF_AT_MOST;
	ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
	flow_put(p, 1);
	deliver_ok(p);
	ck_query("SELECT from_ns, to_ns, cause, count, count_is, nsid, instance, output FROM "
		 "gaps",
		 "1795238256698540123|1795238256698540128|overrun|17|exact||ct1|flows\n"
		 "1|2|queue||unknown|4|x|flows\n1|2|queue|3|at_most|4|x|flows");
	/* Delivered again after a lost connection they are not there twice. */
	plug_close(p);
	plug_rewind(p, 0);
	deliver_ok(p);
	ck_query("SELECT (SELECT count(*) FROM gaps), (SELECT count(*) FROM flows)", "3|1");
	plug_free(p);
}
END_TEST

/* Every cause there is, as the inputs and the core count them. */
START_TEST(gap_counts)
{
	static const struct {
		const char *cause;
		uint64_t count;
		enum ctf_count_is is;
		const char *want;
	} causes[] = {
		{ "overrun", 3, CTF_AT_MOST, "overrun|3|at_most" },
		{ "valve", 4, CTF_EXACT, "valve|4|exact" },
		{ "guard", 0, CTF_EXACT, "guard|0|exact" },
		{ "queue", 6, CTF_EXACT, "queue|6|exact" },
		{ "spool", 7, CTF_EXACT, "spool|7|exact" },
		{ "restart", CTF_UNKNOWN, CTF_UNCOUNTED, "restart||unknown" },
		{ "namespace", CTF_UNKNOWN, CTF_UNCOUNTED, "namespace||unknown" },
		{ "clock", 0, CTF_UNCOUNTED, "clock||unknown" },
		/* A count too big to be one is none. */
		{ "counters", CTF_UNKNOWN, CTF_AT_MOST, "counters||unknown" },
	};
	struct plug *p = db_plug("flows", "");

	for (unsigned i = 0; i < sizeof(causes) / sizeof(*causes); i++) {
		struct ctf_gap g = {
			T0, T0 + 5, causes[i].count, causes[i].is, causes[i].cause, "ct1", -1
		};
		char sql[120];

		ck_assert_int_eq(plug_gap(p, &g), CTF_OK);
		deliver_ok(p);
		snprintf(sql, sizeof(sql),
			 "SELECT cause, count, count_is FROM gaps WHERE cause = '%s'",
			 causes[i].cause);
		ck_query(sql, causes[i].want);
	}
	ck_query("SELECT count(*) FROM gaps", "9");
	plug_free(p);
}
END_TEST

/* As the input reports it, `alive` and `to` seconds after it began. */
static void
alive_put(struct plug *p, struct ctf_coverage *c, unsigned alive, unsigned to)
{
	c->last_alive_ns = c->from_ns + alive * SEC;
	c->to_ns = to ? c->from_ns + to * SEC : 0;
	ck_assert_int_eq(plug_coverage(p, c), CTF_OK);
	deliver_ok(p);
}

static struct ctf_coverage
stretch(uint64_t from)
{
	return (struct ctf_coverage){ .from_ns = from,
				      .exporter = "gw",
				      .instance = "ct1",
				      .boot_id = "boot",
				      .selection = "",
				      .netns = "",
				      .abilities = "",
				      .nsid = -1,
				      .event_mask = CTF_DESTROY,
				      .acct = 1,
				      .timestamp = -1,
				      .events = 2,
				      .clock_synchronised = 1,
				      .clock_error_ns = 1000,
				      .offload = -1,
				      .gro = -1,
				      .reliable = true };
}

START_TEST(coverage)
{
	struct ctf_coverage c = stretch(T0);
	struct plug *p = db_plug("flows", "");

	alive_put(p, &c, 5, 0);
	alive_put(p, &c, 6, 0);
	c.nsid = 2;
	c.netns = "guest";
	alive_put(p, &c, 6, 0);
	c = stretch(T0);
	/* What the kernel can do is found out later, and no change. */
	c.abilities = "stop,portid";
	c.timestamp = c.gro = 1;
	c.offload = 0;
	c.clock_error_ns = 77;
	alive_put(p, &c, 7, 7);
	alive_put(p, &c, 7, 7); /* again: nothing new */
	ck_query("SELECT (last_alive_ns - from_ns) / 1000000000,"
		 " (to_ns - from_ns) / 1000000000, instance, nsid, exporter,"
		 " boot_id, event_mask, acct, timestamp, events, reliable, selection, netns,"
		 " abilities, clock_synchronised, clock_error_ns, offload, gro, output"
		 " FROM coverage",
		 "7|7|ct1||gw|boot|4|1|1|2|1|||stop,portid|1|77|0|1|flows\n"
		 "6||ct1|2|gw|boot|4|1||2|1||guest||1|1000|||flows");
	plug_free(p);
}
END_TEST

/* Each change of something relevant ends a row and begins the next. */
START_TEST(stretches)
{
	struct ctf_coverage c = stretch(T0);
	struct plug *p = db_plug("flows", "");
	unsigned at = 1;

	alive_put(p, &c, at, 0);
	for (unsigned i = 0; i < 11; i++) {
		c.acct = 0;
		c.events = i >= 1 ? 0 : 2;
		c.clock_synchronised = i < 2;
		c.timestamp = i >= 3 ? 0 : -1;
		c.selection = i >= 4 ? "proto udp" : "";
		c.event_mask = i >= 5 ? CTF_NEW | CTF_DESTROY : CTF_DESTROY;
		c.reliable = i < 6;
		c.boot_id = i >= 7 ? "other" : "boot";
		c.netns = i >= 8 ? "/run/netns/x" : "";
		c.abilities = i >= 10 ? "stop" : i >= 9 ? "stop,portid" : "";
		alive_put(p, &c, ++at, 0);
		alive_put(p, &c, ++at, 0);
	}
	at++;
	alive_put(p, &c, at, at);
	/* 3: the timestamps were unknown; 9: so were the abilities. */
	ck_query("SELECT (from_ns - 1795238256698540123) / 1000000000,"
		 " (to_ns - 1795238256698540123) / 1000000000, acct, events,"
		 " clock_synchronised, selection, event_mask, reliable, boot_id, netns,"
		 " abilities FROM coverage",
		 "0|2|1|2|1||4|1|boot||\n2|4|0|2|1||4|1|boot||\n4|6|0|0|1||4|1|boot||\n"
		 "6|10|0|0|0||4|1|boot||\n10|12|0|0|0|proto udp|4|1|boot||\n"
		 "12|14|0|0|0|proto udp|5|1|boot||\n14|16|0|0|0|proto udp|5|0|boot||\n"
		 "16|18|0|0|0|proto udp|5|0|other||\n"
		 "18|22|0|0|0|proto udp|5|0|other|/run/netns/x|stop,portid\n"
		 "22|24|0|0|0|proto udp|5|0|other|/run/netns/x|stop");
	ck_query("SELECT count(*) FROM gaps", "0");
	plug_free(p);
}
END_TEST

#define GAPS \
	"SELECT (from_ns - 1795238256698540123) / 1000000000," \
	" (to_ns - 1795238256698540123) / 1000000000, cause, count, count_is, instance, nsid," \
	" output FROM gaps ORDER BY from_ns"

/* A run that ends without a word, 10 s after T0. */
static void
run_and_die(void)
{
	struct ctf_coverage c = stretch(T0);
	struct plug *p = db_plug("flows", "");

	alive_put(p, &c, 10, 0);
	plug_free(p);
}

START_TEST(power_cut)
{
	struct ctf_coverage c = stretch(T0 + 100 * SEC);
	struct plug *p;

	run_and_die();
	p = db_plug("flows", "");
	c.instance = "ct2"; /* was not there before */
	alive_put(p, &c, 0, 0);
	c.instance = "ct1";
	alive_put(p, &c, 0, 0);
	alive_put(p, &c, 10, 0);
	ck_query(GAPS, "10|100|restart||unknown|ct1||flows");
	ck_query("SELECT instance, to_ns - last_alive_ns FROM coverage", "ct1|0\nct2|\nct1|");
	/* Delivered again there is still one. */
	plug_close(p);
	plug_rewind(p, 0);
	deliver_ok(p);
	alive_put(p, &c, 20, 30);
	plug_free(p);
	/* After an end in order there is none. */
	p = db_plug("flows", "");
	c = stretch(T0 + 500 * SEC);
	alive_put(p, &c, 0, 0);
	ck_query("SELECT count(*) FROM gaps", "1");
	plug_free(p);
}
END_TEST

/* The note of an end may be lost; but this run was there all the time. */
START_TEST(no_restart)
{
	uint64_t from = ctf_now() + 3600 * SEC;
	struct ctf_coverage c = stretch(from);
	struct plug *p = db_plug("flows", "");

	alive_put(p, &c, 10, 0);
	c = stretch(from + 100 * SEC);
	alive_put(p, &c, 10, 0);
	ck_query("SELECT (last_alive_ns - from_ns) / 1000000000, to_ns IS NULL FROM coverage",
		 "10|0\n10|1");
	ck_query("SELECT count(*) FROM gaps", "0");
	plug_free(p);
}
END_TEST

/* The daemon tells of the same downtime, before coverage or after it. */
START_TEST(one_gap)
{
	struct ctf_gap told = { T0 + 32 * SEC, T0 + 100 * SEC, 5, CTF_AT_MOST,
				"restart",     "ct1",          -1 };
	struct ctf_coverage c = stretch(T0 + 100 * SEC);
	struct plug *p;

	run_and_die();
	p = db_plug("flows", "");
	ck_assert_int_eq(plug_gap(p, &told), CTF_OK);
	alive_put(p, &c, 0, 0);
	ck_query(GAPS, "32|100|restart|5|at_most|ct1||flows");
	plug_free(p);
	db_exec("DELETE FROM gaps; DELETE FROM coverage");
	run_and_die();
	p = db_plug("flows", "");
	alive_put(p, &c, 0, 0);
	ck_assert_int_eq(plug_gap(p, &told), CTF_OK);
	told.instance = "db1"; /* what the output had not yet delivered is another one */
	ck_assert_int_eq(plug_gap(p, &told), CTF_OK);
	deliver_ok(p);
	ck_query(GAPS, "32|100|restart|5|at_most|ct1||flows\n"
		       "32|100|restart|5|at_most|db1||flows");
	plug_free(p);
}
END_TEST

/* It knows less than we do: the time between is a gap, too. */
START_TEST(part_of_a_gap)
{
	struct ctf_gap told = {
		T0 + 60 * SEC, T0 + 100 * SEC, 5, CTF_EXACT, "guard", "ct1", -1
	};
	struct ctf_coverage c = stretch(T0 + 100 * SEC);
	struct plug *p;

	for (unsigned i = 0; i < 2; i++) {
		db_exec("DROP TABLE IF EXISTS gaps; DROP TABLE IF EXISTS coverage");
		run_and_die();
		p = db_plug("flows", "");
		if (i == 1)
			alive_put(p, &c, 0, 0);
		ck_assert_int_eq(plug_gap(p, &told), CTF_OK);
		alive_put(p, &c, 1, 0);
		ck_query(GAPS, "10|60|restart||unknown|ct1||flows\n"
			       "60|100|guard|5|exact|ct1||flows");
		plug_free(p);
	}
	/* An earlier loss is none of this. */
	db_exec("UPDATE gaps SET from_ns = 1, to_ns = 1795238256698540123; "
		"UPDATE coverage SET to_ns = NULL");
	p = db_plug("flows", "");
	c = stretch(T0 + 200 * SEC);
	alive_put(p, &c, 0, 0);
	ck_query("SELECT count(*) FROM gaps WHERE from_ns > 1", "2");
	plug_free(p);
}
END_TEST

/* What version 1 made, with a flow of it. */
static const char version_1[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"INSERT INTO meta VALUES('format', 'ctflowd'), ('version', 1),"
	" ('stamped:flows', 'flows_stamped_1'), ('received:flows', 'flows_received_1');"
	"CREATE TABLE gaps(from_ns INTEGER, to_ns INTEGER, cause TEXT, count INTEGER,"
	" count_is TEXT, nsid INTEGER, instance TEXT, output TEXT);"
	"CREATE TABLE coverage(from_ns INTEGER, last_alive_ns INTEGER, to_ns INTEGER,"
	" instance TEXT, nsid INTEGER, exporter TEXT, boot_id TEXT, event_mask INTEGER,"
	" acct INTEGER, timestamp INTEGER, events INTEGER, reliable INTEGER, selection TEXT,"
	" output TEXT);"
	"INSERT INTO coverage VALUES(1795238256698540123, 1795238266698540123, NULL, 'ct1',"
	" NULL, 'gw', 'boot', 4, 1, 1, 2, 1, '', 'flows');"
	"CREATE TABLE flows_stamped_1(destroy_ns INTEGER NOT NULL, id INTEGER NOT NULL,"
	" start_ns INTEGER NOT NULL, nsid INTEGER NOT NULL, end_ns INTEGER, proto INTEGER,"
	" src, dst, sport INTEGER, dport INTEGER, orig_packets INTEGER, orig_bytes INTEGER,"
	" reply_packets INTEGER, reply_bytes INTEGER, mark INTEGER, zone INTEGER,"
	" status INTEGER, tcp_state INTEGER, end_reason INTEGER, nat_src, nat_sport INTEGER,"
	" nat_dst, nat_dport INTEGER, icmp_type INTEGER, icmp_code INTEGER,"
	" PRIMARY KEY(destroy_ns, id, start_ns, nsid)) WITHOUT ROWID;"
	"CREATE TABLE flows_received_1 AS SELECT * FROM flows_stamped_1;"
	"INSERT INTO flows_stamped_1(destroy_ns, id, start_ns, nsid, orig_packets)"
	" VALUES(5, 1, 2, -1, 3);"
	"CREATE VIEW flows AS SELECT destroy_ns, id, orig_packets FROM flows_stamped_1"
	" UNION ALL SELECT NULL, id, orig_packets FROM flows_received_1;";

START_TEST(version_1_is_kept)
{
	struct ctf_coverage c = stretch(T0 + 100 * SEC);
	struct plug *p;

	db_exec(version_1);
	p = db_plug("flows", "");
	live_put(p, 7, CTF_COUNTERS, T0, 4);
	alive_put(p, &c, 5, 0);
	ck_query("SELECT value FROM meta WHERE key = 'version'", "3");
	ck_query("SELECT id, orig_packets FROM flows", "1|3");
	ck_query("SELECT id, orig_packets FROM open_flows", "7|4");
	ck_query("SELECT boot_id, netns, clock_synchronised, to_ns IS NULL FROM coverage",
		 "boot|||0\nboot||1|1");
	ck_query(GAPS, "10|100|restart||unknown|ct1||flows");
	plug_free(p);
	/* And once only. */
	p = db_plug("flows", "");
	end_put(p, 7, T0 + SEC, 5);
	deliver_ok(p);
	ck_query("SELECT id, orig_packets, end_reason FROM flows", "1|3|\n7|5|3");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, gaps);
	tcase_add_test(t, gap_counts);
	tcase_add_test(t, coverage);
	tcase_add_test(t, stretches);
	tcase_add_test(t, power_cut);
	tcase_add_test(t, no_restart);
	tcase_add_test(t, one_gap);
	tcase_add_test(t, part_of_a_gap);
	tcase_add_test(t, version_1_is_kept);
}

int
main(void)
{
	return unit_main("sqlite3_notes", add_tests);
}
