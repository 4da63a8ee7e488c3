/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One outage is one gap: what an output had not delivered when a run died, and
 * what its input lost until the next one read.
 */
#define DIR_NAME "test_kept_outage.d"
#include "kept_help.h"

#define DAY UINT64_C(86400000000000)

static struct input *
in_of(struct rig *g)
{
	return g->s.graph.inputs;
}

static struct ctf_gap
lost(uint64_t count, enum ctf_count_is is)
{
	return (struct ctf_gap){ 1000, ctf_now() + DAY, count, is, "restart", "a", -1 };
}

/* The next run's input does not know yet; n records are there. */
static void
begin(struct rig *g, unsigned n)
{
	box_init(&g->box);
	start(g);
	ctf_outage_begin(&in_of(g)->ctx);
	rig_feed(g, n);
}

static void
end(struct rig *g, unsigned n)
{
	rig_stop(g);
	rig_check_kept(&g->box, n);
}

START_TEST(it_waits_for_the_input)
{
	struct ctf_gap gap = lost(40, _i ? CTF_AT_MOST : CTF_EXACT);
	struct rig g;

	fresh();
	die_after(with_300_queued);
	begin(&g, 9);
	usleep(50000);
	rig_feed(&g, 9);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_eq(g.box.nkept, 0);
	ctf_outage_end(&in_of(&g)->ctx, &gap);
	run_kick(&g.s.graph);
	rig_spin(&g, &g.box.ngaps, 1);
	ck_assert_str_eq(g.box.gaps[0].cause, "restart");
	ck_assert_str_eq(g.box.gaps[0].instance, "a");
	end(&g, 18);
	ck_assert_uint_eq(g.box.ngaps, 1);
	is_gap(g.box.gaps[0], 340, CTF_AT_MOST);
	ck_assert_uint_eq(g.box.gaps[0].from_ns, 1000);
	ck_assert_uint_eq(g.box.gaps[0].to_ns, gap.to_ns);
	next_run(9, 0);
}
END_TEST

static void
stopped_without_output(struct rig *g)
{
	g->box.open_errno = ECONNREFUSED;
	g->box.fail_opens = UINT32_MAX;
	start(g);
	rig_feed(g, 50);
	rig_stop_in(g, 10);
}

START_TEST(exact_as_long_as_both_are)
{
	struct ctf_gap gap = lost(40, _i ? CTF_AT_MOST : CTF_EXACT);
	struct rig g;

	fresh();
	die_after(stopped_without_output);
	begin(&g, 9);
	ctf_outage_end(&in_of(&g)->ctx, &gap);
	end(&g, 9);
	ck_assert_uint_eq(g.box.ngaps, 1);
	is_gap(g.box.gaps[0], 90, gap.count_is);
	next_run(9, 0);
}
END_TEST

START_TEST(nothing_was_lost_after_all)
{
	struct rig g;

	fresh();
	die_after(with_300_queued);
	begin(&g, 9);
	ctf_outage_end(&in_of(&g)->ctx, NULL);
	run_kick(&g.s.graph);
	rig_spin(&g, &g.box.ngaps, 1);
	ck_assert_str_eq(g.box.gaps[0].instance, "k");
	end(&g, 9);
	ck_assert_uint_eq(g.box.ngaps, 1);
	is_gap(g.box.gaps[0], 300, CTF_AT_MOST);
	next_run(9, 0);
}
END_TEST

/* The output had all: the gap is the input's alone, and stands where it was told. */
START_TEST(nothing_was_queued)
{
	struct ctf_gap gap = lost(40, CTF_EXACT);
	struct rig g;

	fresh();
	next_run(5, 0);
	begin(&g, 9);
	rig_spin(&g, &g.box.nkept, 9);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ctf_outage_end(&in_of(&g)->ctx, &gap);
	end(&g, 9);
	ck_assert_uint_eq(g.box.ngaps, 1);
	is_gap(g.box.gaps[0], 40, CTF_EXACT);
	next_run(9, 0);
}
END_TEST

/* A number that is known would be lost in one that is not. */
START_TEST(without_a_count_it_is_another_gap)
{
	struct ctf_gap gap = lost(CTF_UNKNOWN, CTF_UNCOUNTED);
	struct rig g;

	fresh();
	die_after(with_300_queued);
	begin(&g, 9);
	ctf_outage_end(&in_of(&g)->ctx, &gap);
	end(&g, 9);
	ck_assert_uint_eq(g.box.ngaps, 2);
	is_gap(g.box.gaps[0], 300, CTF_AT_MOST);
	is_gap(g.box.gaps[1], CTF_UNKNOWN, CTF_UNCOUNTED);
	next_run(9, 0);
}
END_TEST

/* The whole gap is in the queue, or its input still waits, when that run dies. */
static void
dies_again(struct rig *g)
{
	struct ctf_gap gap = lost(40, CTF_EXACT);

	g->box.block = true;
	start(g);
	ctf_outage_begin(&in_of(g)->ctx);
	rig_feed(g, 7);
	ctf_outage_end(&in_of(g)->ctx, &gap);
	run_kick(&g->s.graph);
}

START_TEST(it_is_not_forgotten)
{
	fresh();
	die_after(with_300_queued);
	die_after(dies_again);
	is_gap(next_run(9, 1), 347, CTF_AT_MOST);
	next_run(9, 0);
}
END_TEST

/* The end comes before the input knows: what it says then is still part of it. */
START_TEST(an_input_that_fails_is_not_waited_for)
{
	struct rig g;

	fresh();
	die_after(with_300_queued);
	begin(&g, 9);
	run_end_input(&g.run, in_of(&g), EIO);
	run_kick(&g.s.graph);
	rig_spin(&g, &g.box.ngaps, 1);
	end(&g, 9);
	is_gap(g.box.gaps[0], 300, CTF_AT_MOST);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, fresh, fresh);
	tcase_add_loop_test(t, it_waits_for_the_input, 0, 2);
	tcase_add_loop_test(t, exact_as_long_as_both_are, 0, 2);
	tcase_add_test(t, nothing_was_lost_after_all);
	tcase_add_test(t, nothing_was_queued);
	tcase_add_test(t, without_a_count_it_is_another_gap);
	tcase_add_test(t, it_is_not_forgotten);
	tcase_add_test(t, an_input_that_fails_is_not_waited_for);
}

int
main(void)
{
	return unit_main("kept_outage", add_tests);
}
