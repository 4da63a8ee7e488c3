/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gap of a run that died, in outputs that come late or do not want to
 * know; and what the input is told.
 */
#define DIR_NAME "test_kept_late.d"
#include "kept_help.h"

/* Counts, as idles, the frames that came before the first gap. */
static enum ctf_sent
note_order(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	for (unsigned i = 0; i < n; i++) {
		box_keep(b, f[i]);
		b->idles += b->ngaps == 0;
	}
	*ret_taken = n;
	return CTF_SENT;
}

START_TEST(before_what_waited_for_the_output)
{
	struct rig g;

	fresh();
	die_after(with_300_queued);
	box_init(&g.box);
	g.box.open_errno = ECONNREFUSED;
	g.box.fail_opens = 5;
	g.box.deliver = note_order;
	start(&g);
	rig_feed(&g, 500);
	ck_assert_uint_eq(g.box.ngaps, 0);
	rig_spin(&g, &g.box.ngaps, 1);
	ck_assert_uint_ge(g.box.opens, 6);
	rig_stop(&g);
	rig_check_kept(&g.box, 500);
	is_gap(g.box.gaps[0], 300, CTF_AT_MOST);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.idles, 0);
}
END_TEST

START_TEST(not_wanted)
{
	struct rig g;

	fresh();
	die_after(with_300_queued);
	box_init(&g.box);
	rig_start_kept(&g, CONF "gaps=no\n", DIR_NAME, 0);
	rig_feed(&g, 70);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	rig_check_kept(&g.box, 70);
	next_run(7, 0);
}
END_TEST

START_TEST(the_input_knows_how_it_ended)
{
	struct ctf_earlier e;
	struct rig g;

	fresh();
	box_init(&g.box);
	start(&g);
	e = ctf_earlier(&g.s.graph.inputs->ctx);
	ck_assert_int_eq(e.ended, CTF_ENDED_UNKNOWN);
	rig_stop(&g);
	for (int i = 0; i < 2; i++) {
		box_init(&g.box);
		start(&g);
		e = ctf_earlier(&g.s.graph.inputs->ctx);
		ck_assert_int_eq(e.ended, i == 0 ? CTF_ENDED_CLEAN : CTF_ENDED_DIED);
		ck_assert(e.same_boot);
		ck_assert_uint_le(e.last_ns, ctf_now());
		rig_stop(&g);
		die_after(with_300_queued);
	}
	ck_assert_uint_gt(e.last_ns, UINT64_C(1700000000000000000));
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, fresh, fresh);
	tcase_add_test(t, before_what_waited_for_the_output);
	tcase_add_test(t, not_wanted);
	tcase_add_test(t, the_input_knows_how_it_ended);
}

int
main(void)
{
	return unit_main("kept_late", add_tests);
}
