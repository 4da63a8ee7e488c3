/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that are full, fail or hang; and what a start reads of a backlog. */
#define DIR_NAME "test_spool_disk.d"
#define SPOOL_DIR "test_spool_disk.s"
#include "metrics.h"
#include "spool_rig.h"

#define MANY 300

static struct ctf_gap
gap_sum(const struct box *b, const char *cause)
{
	struct ctf_gap sum = { .count_is = CTF_EXACT };

	for (unsigned i = 0; i < b->ngaps; i++) {
		ck_assert_msg(strstr(cause, b->gaps[i].cause) != NULL, "%s", b->gaps[i].cause);
		sum.count += b->gaps[i].count;
		if (b->gaps[i].count_is > sum.count_is)
			sum.count_is = b->gaps[i].count_is;
	}
	return sum;
}

/* Delivered and lost are n; ids ascend. */
static void
is_complete(struct rig *g, unsigned n, const char *causes)
{
	uint64_t delivered = number_of(g, "delivered"), last = 0;
	struct ctf_gap sum;

	rig_stop(g);
	sum = gap_sum(&g->box, causes);
	ck_assert_uint_eq(delivered + sum.count, n);
	ck_assert_int_eq(sum.count_is, CTF_EXACT);
	for (unsigned i = 0; i < g->box.nkept; i++) {
		ck_assert_uint_gt(g->box.kept[i], last);
		last = g->box.kept[i];
	}
}

/* Nothing is lost while memory has room, and all is when it has not. */
START_TEST(it_fails_for_a_while)
{
	static const int errors[] = { ENOSPC, EIO, EDQUOT, EROFS };
	struct rig g;

	nothing_there();
	box_init(&g.box);
	g.box.backlog = 80;
	begin_away(&g, "queue=1M");
	disk.sync_errno = _i % 2 ? errors[_i / 2] : 0;
	disk.write_errno = _i % 2 ? 0 : errors[_i / 2];
	rig_feed(&g, 20000);
	pump_seal(g.s.graph.inputs);
	for (int i = 0; i < 6000 && !number_of(&g, "spool_errors"); i++)
		usleep(10000);
	ck_assert_uint_gt(number_of(&g, "spool_errors"), 0);
	ck_assert_uint_eq(number_of(&g, "spool_flows"), 0);
	disk.sync_errno = disk.write_errno = 0;
	all_on_disk(&g);
	ck_assert_uint_ge(number_of(&g, "spool_frames"), 300);
	come_back(&g);
	rig_feed(&g, 100);
	deliver_all(&g);
	rig_stop(&g);
	rig_check_kept(&g.box, 20100);
	ck_assert_uint_eq(g.box.ngaps, 0);
}
END_TEST

/* Some are on disk when it begins to fail: EIO spares them, want of room does not. */
START_TEST(it_fails_for_long)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	g.box.backlog = 80;
	begin_away(&g, "");
	for (int i = 0; i < 20; i++) {
		rig_feed(&g, 1000);
		all_on_disk(&g);
	}
	disk.write_errno = _i ? ENOSPC : EIO;
	for (int i = 0; i < 20; i++) {
		rig_feed(&g, 3000);
		usleep(3000);
		ck_assert_uint_le(memory(&g), 64 * 1024 * 5 / 4 + 2048);
	}
	disk.write_errno = 0;
	come_back(&g);
	rig_feed(&g, 3000);
	rig_spin(&g, &g.box.nkept, 100);
	deliver_all(&g);
	if (!_i)
		ck_assert_uint_eq(number_of(&g, "spool_dropped"), 0);
	is_complete(&g, 83000, "queue spool");
	ck_assert_uint_ge(g.box.ngaps, 1);
	if (!_i)
		for (unsigned i = 0; i < 20000 - 64; i++)
			ck_assert_uint_eq(g.box.kept[i], i + 1);
}
END_TEST

/* spool_late_seconds in ms, as who watches it reads it. */
static uint64_t
late_ms(struct rig *g)
{
	static const char name[] =
		"\nctflowd_output_spool_late_seconds{output=\"k\",plugin=\"KEEP\"} ";
	const struct metrics m = { .run = &g->run };
	char *text = metrics_text(&m, ctf_now()), *at = strstr(text, name);
	double late;

	ck_assert_ptr_nonnull(at);
	late = strtod(at + strlen(name), NULL);
	free(text);
	return (uint64_t)(late * 1000);
}

/* A disk that takes for ever: the input goes on, memory stays bounded. */
START_TEST(it_hangs)
{
	uint64_t begun;
	struct rig g;

	nothing_there();
	box_init(&g.box);
	g.box.backlog = 80;
	begin_away(&g, "");
	disk.hang = 1;
	begun = ctf_mono_ms();
	for (int i = 0; i < 50; i++) {
		rig_feed(&g, 1000);
		ck_assert_uint_le(memory(&g), 64 * 1024 * 5 / 4 + 2048);
	}
	ck_assert_uint_lt(ctf_mono_ms() - begun, RIG_LIMIT);
	for (int i = 0; i < 1000 && late_ms(&g) < 200; i++)
		usleep(10000);
	ck_assert_uint_ge(late_ms(&g), 200);
	ck_assert_uint_le(late_ms(&g), ctf_mono_ms() - begun);
	ck_assert_uint_eq(number_of(&g, "spool_errors"), 0);
	disk.hang = 0;
	come_back(&g);
	rig_feed(&g, 100);
	rig_spin(&g, &g.box.nkept, 100);
	deliver_all(&g);
	ck_assert_uint_eq(late_ms(&g), 0);
	ck_assert_uint_gt(number_of(&g, "dropped"), 10000);
	is_complete(&g, 50100, "queue");
}
END_TEST

/* Delivery goes on when spool_sync=0 cannot be had. */
START_TEST(better_sent_than_safe)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	disk.write_errno = ENOSPC;
	begin(&g, "spool_sync=0");
	rig_feed(&g, 3200);
	rig_spin(&g, &g.box.nkept, 3200);
	ck_assert_uint_eq(number_of(&g, "spool_frames"), 0);
	disk.write_errno = 0;
	rig_stop(&g);
	rig_check_kept(&g.box, 3200);
}
END_TEST

/* The folder cannot even be begun: it goes on without. */
START_TEST(without_any)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	disk.write_errno = ENOSPC;
	begin(&g, "");
	disk.write_errno = 0;
	ck_assert_ptr_null(g.s.graph.sinks->spool);
	rig_feed(&g, 300);
	rig_stop(&g);
	rig_check_kept(&g.box, 300);
}
END_TEST

/* ---- the start ---- */

static void
leave_some(struct rig *g)
{
	begin_away(g, "");
	rig_feed(g, 640);
	rig_stop_in(g, 5000);
}

static uint64_t
reads_of_a_start(void)
{
	struct rig g;
	int before = disk.reads;
	uint64_t reads;

	box_init(&g.box);
	begin_away(&g, "spool_max=100G");
	reads = (uint64_t)(disk.reads - before);
	ck_assert_uint_ge(number_of(&g, "spool_flows"), 640);
	rig_stop_in(&g, 10);
	return reads;
}

/* Hundreds of segments of 16 MiB, sparse: nothing of them is read. */
START_TEST(a_large_backlog)
{
	uint64_t few, many;
	char name[200];
	int fd;

	nothing_there();
	die_after(leave_some);
	few = reads_of_a_start();
	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t first = (UINT64_C(1) << 32) + 100000 + i * 1000;

		snprintf(name, sizeof(name), FOLDER "/%016llx-%016llx-%x.seg",
			 (unsigned long long)first, (unsigned long long)first + 999, 50000);
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		ck_assert_int_eq(ftruncate(fd, 16 << 20), 0);
		close(fd);
	}
	many = reads_of_a_start();
	ck_assert_uint_le(many, few);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, nothing_there, nothing_there);
	tcase_add_loop_test(t, it_fails_for_a_while, 0, 8);
	tcase_add_loop_test(t, it_fails_for_long, 0, 2);
	tcase_add_test(t, it_hangs);
	tcase_add_test(t, better_sent_than_safe);
	tcase_add_test(t, without_any);
	tcase_add_test(t, a_large_backlog);
}

int
main(void)
{
	return unit_main("spool_disk", add_tests);
}
