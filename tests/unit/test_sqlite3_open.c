/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3 with a schema of its own: the flows that live, seen by sweeps. */
#include "sqlite3_help.h"
#include "unit.h"

START_TEST(a_life)
{
	struct plug *p = db_plug("flows", "");

	live_put(p, 1, CTF_COUNTERS, T0 + SEC, 5);
	sweep_put(p, 1, 0);
	deliver_ok(p);
	ck_query("SELECT start_ns, seen_ns, start, seen, family, proto, src, sport, dst, dport,"
		 " nat_src, nat_sport, nat_dst, nat_dport, icmp_type, icmp_code, orig_packets,"
		 " orig_bytes, reply_packets, reply_bytes, mark, zone, nsid, id, status,"
		 " tcp_state FROM open_flows",
		 "1795233256698540124|1795238257698540123|2026-11-21T03:54:16.698540Z|"
		 "2026-11-21T05:17:37.698540Z|4|6|10.77.0.1|40001|10.77.0.2|443|203.0.113.9|"
		 "1025|||||5|500|10|15000|7|0||1||3");
	live_put(p, 1, CTF_COUNTERS, T0 + 61 * SEC, 8);
	sweep_put(p, 61, 1);
	deliver_ok(p);
	ck_query("SELECT orig_packets, seen_ns FROM open_flows", "8|1795238317698540123");
	ck_query(BOTH, "0|1|8|800|16|24000");
	end_put(p, 1, T0 + 90 * SEC, 9);
	deliver_ok(p);
	ck_query(BOTH, "1|0|9|900|18|27000");
	ck_query("SELECT end_reason, destroy_ns FROM flows", "3|1795238346698540123");
	plug_free(p);
}
END_TEST

/* `SELECT *` and a UNION with flows depend on the names. */
START_TEST(columns)
{
	struct plug *p = db_plug("nat", "");

	deliver_ok(p);
	ck_query("SELECT group_concat(name, ' ') FROM pragma_table_info('open_nat')",
		 "start_ns seen_ns start seen family proto src sport dst dport nat_src "
		 "nat_sport "
		 "nat_dst nat_dport icmp_type icmp_code orig_packets orig_bytes reply_packets "
		 "reply_bytes mark zone nsid id status tcp_state src_name dst_name");
	plug_free(p);
}
END_TEST

/* DESTROY has what was counted since the last time the counters were set to 0. */
START_TEST(deltas_add_up)
{
	struct plug *p = db_plug("flows", "");

	live_put(p, 1, CTF_COUNTERS, T0 + SEC, 4); /* the start: counters left alone */
	sweep_put(p, 1, 0);
	live_put(p, 1, CTF_DELTA, T0 + 61 * SEC, 5); /* these 4 among them */
	live_put(p, 2, CTF_DELTA, T0 + 61 * SEC, 3);
	sweep_put(p, 61, 1);
	deliver_ok(p);
	ck_query(BOTH, "0|2|8|800|16|24000");
	live_put(p, 1, CTF_DELTA, T0 + 121 * SEC, 7);
	live_put(p, 2, CTF_DELTA, T0 + 121 * SEC, 0);
	sweep_put(p, 121, 61);
	deliver_ok(p);
	ck_query(BOTH, "0|2|15|1500|30|45000");
	end_put(p, 1, T0 + 130 * SEC, 1);
	deliver_ok(p);
	ck_query("SELECT orig_packets, orig_bytes, reply_packets, reply_bytes FROM flows",
		 "13|1300|26|39000");
	/* active_counters=total again: since the last delta. */
	live_put(p, 2, CTF_COUNTERS, T0 + 181 * SEC, 2);
	sweep_put(p, 181, 121);
	deliver_ok(p);
	ck_query("SELECT orig_packets FROM open_flows", "5");
	end_put(p, 2, T0 + 190 * SEC, 4);
	deliver_ok(p);
	ck_query(BOTH, "2|0|20|2000|40|60000");
	plug_free(p);
}
END_TEST

/* Two stacks that end here bring the same record, and the same end. */
START_TEST(twice_is_once)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned i = 0; i < 2; i++)
		live_put(p, 1, CTF_DELTA, T0 + 61 * SEC, 3);
	deliver_ok(p);
	live_put(p, 1, CTF_DELTA, T0 + 61 * SEC, 3);
	sweep_put(p, 61, 0);
	deliver_ok(p);
	for (unsigned i = 0; i < 2; i++)
		end_put(p, 1, T0 + 70 * SEC, 1);
	deliver_ok(p);
	end_put(p, 1, T0 + 70 * SEC, 1);
	deliver_ok(p);
	ck_query(BOTH, "1|0|4|400|8|12000");
	plug_free(p);
}
END_TEST

/* Sighting and end in one transaction, in either order, even in one frame. */
START_TEST(in_one_group)
{
	struct plug *p = db_plug("flows", "");

	live_put(p, 1, CTF_DELTA, T0 + 61 * SEC, 3);
	end_put(p, 1, T0 + 62 * SEC, 1);
	end_put(p, 2, T0 + 62 * SEC, 1);
	live_put(p, 2, CTF_DELTA, T0 + 61 * SEC, 3);
	end_put(p, 3, T0 + 62 * SEC, 5);
	live_put(p, 3, CTF_COUNTERS, T0 + 61 * SEC, 4);
	live_put(p, 4, CTF_DELTA, T0 + 121 * SEC, 2); /* two sweeps at once */
	live_put(p, 4, CTF_COUNTERS, T0 + 61 * SEC, 2);
	deliver_ok(p);
	ck_query(BOTH, "3|1|15|1500|30|45000");
	plug_free(p);
}
END_TEST

/* The one that was seen last counts, wherever it stands in a long group. */
START_TEST(seen_thrice_in_one_group)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned i = 0; i < 3; i++)
		for (unsigned n = 1; n <= 40; n++)
			live_put(p, n, CTF_COUNTERS, T0 + (61 + 60 * i) * SEC, 2 + 3 * i);
	deliver_ok(p);
	ck_query("SELECT count(*), min(orig_packets), max(orig_packets), min(seen_ns) ="
		 " max(seen_ns) FROM open_flows",
		 "40|8|8|1");
	plug_free(p);
}
END_TEST

/* The end was read first, and is stored already when the sighting comes. */
START_TEST(end_overtakes)
{
	struct plug *p = db_plug("flows", "");

	end_put(p, 1, T0 + 61 * SEC + 5, 9);
	end_put(p, 2, T0 + 61 * SEC + 5, 1);
	end_put(p, 3, T0 - 10 * SEC, 1); /* long before */
	deliver_ok(p);
	live_put(p, 1, CTF_COUNTERS, T0 + 61 * SEC + 50, 8);
	live_put(p, 2, CTF_DELTA, T0 + 61 * SEC + 50, 3);
	live_put(p, 4, CTF_DELTA, T0 + 61 * SEC + 50, 2);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM open_flows", "3");
	sweep_put(p, 61, 0);
	deliver_ok(p);
	ck_query(BOTH, "3|1|16|1600|32|48000");
	plug_free(p);
}
END_TEST

/* As before, but the daemon died before the sweep was over. */
START_TEST(end_overtakes_a_crash)
{
	struct plug *p = db_plug("flows", "");

	end_put(p, 1, T0 + 61 * SEC + 5, 9);
	deliver_ok(p);
	live_put(p, 1, CTF_COUNTERS, T0 + 61 * SEC + 50, 8);
	live_put(p, 2, CTF_COUNTERS, T0 + 61 * SEC + 50, 1);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "");
	deliver_ok(p);
	flow_put(p, 7);
	deliver_ok(p);
	ck_query("SELECT (SELECT group_concat(id) FROM flows WHERE id < 7),"
		 " (SELECT group_concat(id) FROM open_flows)",
		 "1|2");
	ck_query("SELECT count(*) FROM meta WHERE key LIKE 'sweeping%'", "0");
	plug_free(p);
}
END_TEST

/* What the run before has seen ends in this one. */
START_TEST(over_a_restart)
{
	struct plug *p = db_plug("flows", "");

	for (unsigned n = 0; n < 3; n++)
		live_put(p, n, CTF_DELTA, T0 + 61 * SEC, 10);
	sweep_put(p, 61, 0);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "");
	end_put(p, 0, T0 + 70 * SEC, 1);
	deliver_ok(p);
	ck_query(BOTH, "1|2|31|3100|62|93000");
	live_put(p, 1, CTF_DELTA, T0 + 121 * SEC, 5);
	sweep_put(p, 121, 0);
	end_put(p, 1, T0 + 130 * SEC, 2);
	deliver_ok(p);
	ck_query(BOTH, "2|1|38|3800|76|114000");
	plug_free(p);
}
END_TEST

/* The connection breaks after each transaction: nothing counts twice. */
START_TEST(delivered_again)
{
	struct plug *p = db_plug("flows", "");

	live_put(p, 1, CTF_DELTA, T0 + 61 * SEC, 3);
	deliver_ok(p);
	sweep_put(p, 61, 0);
	deliver_ok(p);
	plug_close(p);
	plug_rewind(p, 0);
	live_put(p, 1, CTF_DELTA, T0 + 121 * SEC, 4);
	deliver_ok(p);
	ck_query(BOTH, "0|1|7|700|14|21000");
	plug_close(p);
	plug_rewind(p, 0);
	end_put(p, 1, T0 + 130 * SEC, 1);
	deliver_ok(p);
	plug_close(p);
	plug_rewind(p, 0);
	deliver_ok(p);
	ck_query(BOTH, "1|0|8|800|16|24000");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, a_life);
	tcase_add_test(t, columns);
	tcase_add_test(t, deltas_add_up);
	tcase_add_test(t, twice_is_once);
	tcase_add_test(t, in_one_group);
	tcase_add_test(t, seen_thrice_in_one_group);
	tcase_add_test(t, end_overtakes);
	tcase_add_test(t, end_overtakes_a_crash);
	tcase_add_test(t, over_a_restart);
	tcase_add_test(t, delivered_again);
}

int
main(void)
{
	return unit_main("sqlite3_open", add_tests);
}
