/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 with a schema of its own: what was lost, what was watched. */
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

START_TEST(coverage)
{
	struct ctf_coverage c = { .from_ns = T0,
				  .last_alive_ns = T0 + 5,
				  .exporter = "gw",
				  .instance = "ct1",
				  .boot_id = "boot",
				  .selection = "",
				  .nsid = -1,
				  .event_mask = CTF_DESTROY,
				  .acct = 1,
				  .timestamp = -1,
				  .events = 2,
				  .reliable = true };
	struct plug *p = db_plug("flows", "");

	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	c.last_alive_ns = T0 + 6;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	c.nsid = 2;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	c.nsid = -1;
	c.last_alive_ns = c.to_ns = T0 + 7;
	ck_assert_int_eq(plug_coverage(p, &c), CTF_OK);
	deliver_ok(p);
	ck_query("SELECT last_alive_ns - from_ns, to_ns - from_ns, instance, nsid, exporter,"
		 " boot_id, event_mask, acct, timestamp, events, reliable, selection"
		 " FROM coverage",
		 "7|7|ct1||gw|boot|4|1||2|1|\n6||ct1|2|gw|boot|4|1||2|1|");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, gaps);
	tcase_add_test(t, coverage);
}

int
main(void)
{
	return unit_main("sqlite3_notes", add_tests);
}
