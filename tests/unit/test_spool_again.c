/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs that end in an outage, in order or not, and the next ones. */
#define DIR_NAME "test_spool_again.d"
#define SPOOL_DIR "test_spool_again.s"
#include "spool_rig.h"

/* ---- several ---- */

static void
killed_in_an_outage(struct rig *g)
{
	begin_away(g, "");
	rig_feed(g, 20000);
	all_on_disk(g);
	rig_feed(g, 300); /* these are not: nobody turns the loop, and they are young */
}

static struct ctf_gap
next_spooled(unsigned old, unsigned n, unsigned ngaps)
{
	struct rig g;

	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, n);
	rig_spin(&g, &g.box.nkept, old);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, old + n);
	ck_assert_uint_eq(g.box.ngaps, ngaps);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(g.box.kept[old + i], i + 1);
	return g.box.gaps[0];
}

START_TEST(killed)
{
	struct rig g;
	uint64_t lost;

	nothing_there();
	die_after(killed_in_an_outage);
	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, 50);
	rig_spin(&g, &g.box.nkept, 20000);
	deliver_all(&g);
	rig_stop(&g);
	/* What had reached the disk comes, in order, the rest is a gap, then the new. */
	ck_assert_uint_eq(g.box.ngaps, 1);
	lost = g.box.gaps[0].count;
	ck_assert_str_eq(g.box.gaps[0].cause, "restart");
	ck_assert_uint_le(lost, 300);
	ck_assert_uint_ge(lost, 300 % 64);
	ck_assert_uint_eq(g.box.nkept + lost, 20350);
	for (unsigned i = 0; i < g.box.nkept; i++)
		ck_assert_uint_eq(g.box.kept[i],
				  i < g.box.nkept - 50 ? i + 1 : i + 51 - g.box.nkept);
	next_spooled(0, 10, 0);
}
END_TEST

static void
killed_with_nothing_on_disk(struct rig *g)
{
	begin_away(g, "spool_sync=60s");
	rig_feed(g, 300);
}

/* The gap goes to disk before it is delivered, though no flow comes behind it. */
START_TEST(killed_then_quiet)
{
	struct rig g;

	nothing_there();
	die_after(killed_with_nothing_on_disk);
	box_init(&g.box);
	begin_away(&g, "spool_sync=0");
	rig_feed(&g, 50);
	all_on_disk(&g);
	usleep(50000); /* nothing is left to write */
	come_back(&g);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.nkept + g.box.gaps[0].count, 350);
}
END_TEST

static void
stopped_in_an_outage(struct rig *g)
{
	begin_away(g, "");
	rig_feed(g, 5000);
	rig_stop_in(g, 5000);
}

START_TEST(stopped)
{
	nothing_there();
	die_after(stopped_in_an_outage);
	next_spooled(5000, 70, 0);
	next_spooled(0, 10, 0);
}
END_TEST

START_TEST(three_in_a_row)
{
	nothing_there();
	die_after(stopped_in_an_outage);
	die_after(stopped_in_an_outage);
	die_after(stopped_in_an_outage);
	next_spooled(15000, 70, 0);
	next_spooled(0, 10, 0);
}
END_TEST

START_TEST(three_killed)
{
	struct rig g;

	nothing_there();
	die_after(killed_in_an_outage);
	die_after(killed_in_an_outage);
	die_after(killed_in_an_outage);
	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, 50);
	rig_spin(&g, &g.box.nkept, 60000);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_uint_eq(g.box.nkept + g.box.gaps[0].count, 3 * 20300 + 50);
	next_spooled(0, 10, 0);
}
END_TEST

static enum ctf_sent
a_third(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	*ret_taken = 0;
	if (b->nkept > 10000)
		return CTF_AGAIN;
	box_keep(b, f[0]);
	*ret_taken = 1;
	return CTF_SENT;
}

/* A third of the backlog was delivered when it died. */
static void
killed_while_it_catches_up(struct rig *g)
{
	begin_away(g, "");
	g->box.deliver = a_third;
	rig_feed(g, 30000);
	all_on_disk(g);
	come_back(g);
	rig_spin(g, &g->box.nkept, 10000);
	usleep(50000);
}

START_TEST(killed_in_the_middle)
{
	struct rig g;

	nothing_there();
	die_after(killed_while_it_catches_up);
	box_init(&g.box);
	begin(&g, "");
	rig_spin(&g, &g.box.nkept, 100);
	rig_feed(&g, 50);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_lt(g.box.nkept, 20050 + 100);
	for (unsigned i = 0; i < g.box.nkept - 50; i++)
		ck_assert_uint_eq(g.box.kept[i], 30000 - (g.box.nkept - 50) + i + 1);
}
END_TEST

/* The page is lost, too: nothing of the disk is, and that it is so is said. */
START_TEST(without_a_page)
{
	uint64_t began = ctf_now(), died;
	struct rig g;

	nothing_there();
	die_after(killed_in_an_outage);
	died = ctf_now();
	fresh();
	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, 50);
	rig_spin(&g, &g.box.nkept, 20000);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_int_eq(g.box.gaps[0].count_is, CTF_UNCOUNTED);
	/* since the disk was written last, of which the file system keeps some ms */
	ck_assert_uint_ge(g.box.gaps[0].from_ns + 20000000, began);
	ck_assert_uint_le(g.box.gaps[0].from_ns, died);
	ck_assert_uint_ge(g.box.gaps[0].to_ns, died);
	ck_assert_uint_le(g.box.gaps[0].to_ns, ctf_now());
	ck_assert_uint_ge(g.box.nkept, 20050);
	for (unsigned i = 0; i < 20000; i++)
		ck_assert_uint_eq(g.box.kept[i], i + 1);
}
END_TEST

static void
stopped_while_it_catches_up(struct rig *g)
{
	begin_away(g, "");
	g->box.deliver = a_third;
	rig_feed(g, 30000);
	all_on_disk(g);
	come_back(g);
	rig_spin(g, &g->box.nkept, 10000);
	rig_stop_in(g, 5000);
}

/* In order, the folder itself knows what was delivered. */
START_TEST(stopped_without_a_page)
{
	struct rig g;

	nothing_there();
	die_after(stopped_while_it_catches_up);
	fresh();
	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, 64);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	ck_assert_uint_lt(g.box.nkept, 20064);
	ck_assert_uint_gt(g.box.kept[0], 10000);
}
END_TEST

/* ---- another configuration ---- */

static unsigned of_512, of_256;

/* Each frame has the layout it was made with: KEEP puts its option there. */
static enum ctf_sent
by_layout(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	uint64_t frame;

	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(f[i]->layout->len, sizeof(frame));
		memcpy(&frame, f[i]->layout->p, sizeof(frame));
		of_512 += frame == 512;
		of_256 += frame == 256;
		ck_assert_int_eq(frame == 512, of_256 == 0);
		box_keep(b, f[i]);
	}
	*ret_taken = n;
	return CTF_SENT;
}

START_TEST(options_changed_meanwhile)
{
	char text[1024];
	struct rig g;

	nothing_there();
	die_after(stopped_in_an_outage);
	box_init(&g.box);
	g.box.deliver = by_layout;
	strcpy(text, SPOOLED SOON "queue=64K\n");
	memcpy(strstr(text, "frame=512"), "frame=256", 9);
	rig_start_kept(&g, text, DIR_NAME, 0);
	rig_feed(&g, 320);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 5320);
	ck_assert_uint_ge(of_512, 5000 / 64);
	ck_assert_uint_eq(of_256, 320 / 32);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, nothing_there, nothing_there);
	tcase_add_test(t, killed);
	tcase_add_test(t, killed_then_quiet);
	tcase_add_test(t, stopped);
	tcase_add_test(t, three_in_a_row);
	tcase_add_test(t, three_killed);
	tcase_add_test(t, killed_in_the_middle);
	tcase_add_test(t, without_a_page);
	tcase_add_test(t, stopped_without_a_page);
	tcase_add_test(t, options_changed_meanwhile);
}

int
main(void)
{
	return unit_main("spool_again", add_tests);
}
