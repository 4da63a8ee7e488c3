/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs that die: what they had read and not delivered is a gap of the next
 * run, once, before anything new.  A run that dies is a child that exits.
 */
#define DIR_NAME "test_kept.d"
#include "kept_help.h"

/* ---- deaths ---- */

START_TEST(what_was_queued_is_a_gap)
{
	fresh();
	die_after(with_300_queued);
	is_gap(next_run(100, 1), 300, CTF_AT_MOST);
	next_run(70, 0);
}
END_TEST

/* Frames that were still open count as well: 512 bytes are 64 records. */
static void
with_30_unsealed(struct rig *g)
{
	start(g);
	rig_feed(g, 30);
}

START_TEST(what_was_in_open_frames_too)
{
	fresh();
	die_after(with_30_unsealed);
	is_gap(next_run(1, 1), 30, CTF_AT_MOST);
}
END_TEST

static void
with_128_of_150_delivered(struct rig *g)
{
	start(g);
	rig_feed(g, 150);
	rig_spin(g, &g->box.nkept, 128);
	rig_counted(g, 128);
}

START_TEST(what_was_delivered_is_not)
{
	fresh();
	die_after(with_128_of_150_delivered);
	is_gap(next_run(10, 1), 22, CTF_AT_MOST);
}
END_TEST

static void
in_the_middle_of_a_batch(struct rig *g)
{
	start(g);
	rig_feed(g, 64);
	rig_spin(g, &g->box.nkept, 64);
	rig_counted(g, 64);
	kept_reading(g->s.graph.inputs);
}

START_TEST(up_to_a_batch_more)
{
	fresh();
	die_after(in_the_middle_of_a_batch);
	is_gap(next_run(10, 1), 64, CTF_AT_MOST);
	next_run(10, 0);
}
END_TEST

START_TEST(in_order_nothing_is_missing)
{
	fresh();
	next_run(200, 0);
	next_run(200, 0);
}
END_TEST

/* ---- one death after another ---- */

static void
with_no_output(struct rig *g)
{
	g->box.open_errno = ECONNREFUSED;
	g->box.fail_opens = UINT32_MAX;
	start(g);
	rig_feed(g, 50);
}

START_TEST(deaths_add_up)
{
	fresh();
	die_after(with_300_queued);
	die_after(with_no_output);
	die_after(with_no_output);
	is_gap(next_run(5, 1), 400, CTF_AT_MOST);
	next_run(5, 0);
}
END_TEST

/* The gap was made and queued, but never written. */
START_TEST(a_gap_not_delivered_comes_again)
{
	fresh();
	die_after(with_300_queued);
	die_after(with_300_queued);
	is_gap(next_run(5, 1), 600, CTF_AT_MOST);
	next_run(5, 0);
}
END_TEST

/* Some frames of a full queue were dropped; the gap for them is queued, too. */
static void
with_a_full_queue(struct rig *g)
{
	g->box.block = true;
	g->box.backlog = 80;
	rig_start_kept(g, CONF "queue=64K\n", DIR_NAME, 0);
	rig_feed(g, 30000);
	ck_assert_uint_gt(g->s.graph.sinks->drop_run, 10000);
}

START_TEST(what_a_full_queue_dropped_too)
{
	fresh();
	die_after(with_a_full_queue);
	is_gap(next_run(5, 1), 30000, CTF_AT_MOST);
}
END_TEST

static void
with_a_counted_gap(struct rig *g)
{
	struct ctf_gap gap = { 1000, 2000, 40, CTF_EXACT, "overrun", "a", -1 };

	with_300_queued(g);
	ctf_report_gap(&g->s.graph.inputs->ctx, &gap);
}

START_TEST(a_gap_of_the_input)
{
	fresh();
	die_after(with_a_counted_gap);
	is_gap(next_run(5, 1), 340, CTF_AT_MOST);
}
END_TEST

static void
with_an_uncounted_gap(struct rig *g)
{
	struct ctf_gap gap = { 1000, 2000, CTF_UNKNOWN, CTF_UNCOUNTED, "overrun", "a", -1 };

	with_300_queued(g);
	ctf_report_gap(&g->s.graph.inputs->ctx, &gap);
}

START_TEST(a_gap_without_a_count)
{
	struct rig g;

	fresh();
	die_after(with_an_uncounted_gap);
	die_after(with_an_uncounted_gap);
	box_init(&g.box);
	start(&g);
	rig_feed(&g, 9);
	rig_spin(&g, &g.box.ngaps, 2);
	ck_assert_str_eq(g.box.gaps[0].cause, "restart");
	ck_assert_str_eq(g.box.gaps[0].instance, "k");
	rig_stop(&g);
	rig_check_kept(&g.box, 9);
	ck_assert_uint_eq(g.box.ngaps, 2);
	is_gap(g.box.gaps[0], 600, CTF_AT_MOST);
	is_gap(g.box.gaps[1], CTF_UNKNOWN, CTF_UNCOUNTED);
	next_run(9, 0);
}
END_TEST

static void
with_nothing_but_an_uncounted_gap(struct rig *g)
{
	struct ctf_gap gap = { 1000, 2000, CTF_UNKNOWN, CTF_UNCOUNTED, "overrun", "a", -1 };

	g->box.block = true;
	start(g);
	ctf_report_gap(&g->s.graph.inputs->ctx, &gap);
}

static void
says_what_the_run_before_left(void (*play)(struct rig *), const char *text)
{
	struct rig g;

	fresh();
	die_after(play);
	unlink("test_kept.log");
	ck_assert_int_eq(log_open("test_kept.log"), 0);
	box_init(&g.box);
	start(&g);
	rig_feed(&g, 9);
	rig_spin(&g, &g.box.ngaps, 1);
	rig_stop(&g);
	log_close();
	ck_assert_msg(strstr(unit_read("test_kept.log"), text), "%s",
		      unit_read("test_kept.log"));
	unlink("test_kept.log");
}

START_TEST(the_log_says_what_is_known)
{
	says_what_the_run_before_left(with_nothing_but_an_uncounted_gap,
				      ": the run before this one lost flows, nobody knows how "
				      "many, and could not say so any more\n");
	says_what_the_run_before_left(with_300_queued,
				      " ended with up to 300 flows not delivered\n");
	says_what_the_run_before_left(with_an_uncounted_gap,
				      " ended with up to 300 flows not delivered, and others "
				      "that nobody has counted\n");
}
END_TEST

/* ---- ends in order that leave something ---- */

static void
stopped_without_output(struct rig *g)
{
	with_no_output(g);
	rig_stop_in(g, 10);
}

START_TEST(a_stop_knows_exactly)
{
	fresh();
	die_after(stopped_without_output);
	is_gap(next_run(5, 1), 50, CTF_EXACT);
	next_run(5, 0);
}
END_TEST

static void
stopped_while_blocked(struct rig *g)
{
	with_300_queued(g);
	rig_stop_in(g, 10);
}

START_TEST(unless_a_delivery_was_under_way)
{
	fresh();
	die_after(stopped_while_blocked);
	is_gap(next_run(5, 1), 300, CTF_AT_MOST);
}
END_TEST

static void
with_its_coverage_ended(struct rig *g)
{
	struct ctf_coverage c = { .from_ns = 1, .to_ns = 5, .exporter = "h", .nsid = -1 };

	c.instance = c.boot_id = c.selection = c.netns = c.abilities = "";
	ctf_report_coverage(&g->s.graph.inputs->ctx, &c);
}

static void
stopped_with_all_delivered(struct rig *g)
{
	start(g);
	rig_feed(g, 20);
	with_its_coverage_ended(g);
	rig_stop(g);
}

static void
stopped_with_a_coverage_left(struct rig *g)
{
	with_no_output(g);
	with_its_coverage_ended(g);
	rig_stop_in(g, 10);
}

static void
died_with_a_coverage_left(struct rig *g)
{
	with_no_output(g);
	with_its_coverage_ended(g);
}

/* An output that does not know of the end would call the downtime a loss. */
START_TEST(the_end_of_the_coverage)
{
	static const struct {
		void (*play)(struct rig *);
		unsigned covers;
	} all[] = { { stopped_with_all_delivered, 0 },
		    { stopped_with_a_coverage_left, 1 },
		    { died_with_a_coverage_left, 0 } };
	struct rig g;

	fresh();
	die_after(all[_i].play);
	box_init(&g.box);
	start(&g);
	rig_feed(&g, 5);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ncovers, all[_i].covers);
	rig_check_kept(&g.box, 5);
}
END_TEST

/* ---- what the sink finds ---- */

/* KEEP has no use for box.settled: here it says what is found. */
static int
find(struct box *b)
{
	struct rig *g = b->arg;

	ctf_found(&g->s.graph.sinks->ctx, b->settled, true);
	return 0;
}

static struct ctf_gap
run_finding(uint64_t upto, unsigned ngaps)
{
	struct rig g;

	fresh();
	die_after(with_300_queued);
	box_init(&g.box);
	g.box.open = find;
	g.box.settled = upto;
	g.box.arg = &g;
	start(&g);
	rig_feed(&g, 10);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, ngaps);
	rig_check_kept(&g.box, 10);
	next_run(7, 0);
	return g.box.gaps[0];
}

START_TEST(found_there)
{
	is_gap(run_finding(200, 1), 100, CTF_EXACT);
	is_gap(run_finding(5000, 1), 300, CTF_AT_MOST);
	run_finding(300, 0);
}
END_TEST

/* Found in a run that died before the gap was written: not lost again. */
static void
found_and_died(struct rig *g)
{
	g->box.open = find;
	g->box.settled = 200;
	g->box.arg = g;
	with_300_queued(g);
}

START_TEST(found_once)
{
	fresh();
	die_after(with_300_queued);
	die_after(found_and_died);
	is_gap(next_run(5, 1), 400, CTF_AT_MOST);
}
END_TEST

/* ---- what was delivered and is needed again ---- */

#define NEEDED "[global]\nstack=a:LIVE,k:SETTLE\n[a]\n%B\n[k]\n%B\nframe=512\nreconnect=10ms\n"

static enum ctf_sent
settle_then_break(struct box *b, const struct ctf_frame *const *f, unsigned n,
		  unsigned *ret_taken)
{
	if (b->nkept == 128) {
		b->open_errno = ECONNREFUSED;
		b->fail_opens = UINT32_MAX;
		return CTF_RETRY;
	}
	box_keep(b, f[0]);
	b->settled = f[0]->number;
	*ret_taken = 1;
	return CTF_SENT;
}

static void
with_64_needed_again(struct rig *g)
{
	g->box.window = 1;
	g->box.deliver = settle_then_break;
	rig_start_kept(g, NEEDED, DIR_NAME, 0);
	rig_feed(g, 192);
	rig_spin(g, &g->box.closes, 1);
	rig_broken(g);
}

static struct ctf_gap
next_needed(void)
{
	struct rig g;

	box_init(&g.box);
	g.box.settled = UINT64_MAX;
	rig_start_kept(&g, NEEDED, DIR_NAME, 0);
	rig_feed(&g, 5);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	return g.box.gaps[0];
}

START_TEST(what_a_peer_may_not_have_read)
{
	fresh();
	die_after(with_64_needed_again);
	is_gap(next_needed(), 128, CTF_AT_MOST);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, fresh, fresh);
	tcase_add_test(t, what_was_queued_is_a_gap);
	tcase_add_test(t, what_was_in_open_frames_too);
	tcase_add_test(t, what_was_delivered_is_not);
	tcase_add_test(t, up_to_a_batch_more);
	tcase_add_test(t, in_order_nothing_is_missing);
	tcase_add_test(t, deaths_add_up);
	tcase_add_test(t, a_gap_not_delivered_comes_again);
	tcase_add_test(t, what_a_full_queue_dropped_too);
	tcase_add_test(t, a_gap_of_the_input);
	tcase_add_test(t, a_gap_without_a_count);
	tcase_add_test(t, the_log_says_what_is_known);
	tcase_add_test(t, a_stop_knows_exactly);
	tcase_add_test(t, unless_a_delivery_was_under_way);
	tcase_add_loop_test(t, the_end_of_the_coverage, 0, 3);
	tcase_add_test(t, found_there);
	tcase_add_test(t, found_once);
	tcase_add_test(t, what_a_peer_may_not_have_read);
}

int
main(void)
{
	return unit_main("kept", add_tests);
}
