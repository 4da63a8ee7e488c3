/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An outage of an output with a spool, within one run. */
#define DIR_NAME "test_spool.d"
#define SPOOL_DIR "test_spool.s"
#include "spool_rig.h"

#include <sys/eventfd.h>

/* ---- one run ---- */

START_TEST(an_outage)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	begin_away(&g, "");
	for (int i = 0; i < 30; i++) {
		rig_feed(&g, 1000);
		all_on_disk(&g);
		ck_assert_uint_le(memory(&g), 64 * 1024);
	}
	ck_assert_uint_gt(number_of(&g, "spool"), 30000 * 8);
	ck_assert_uint_gt(number_of(&g, "spool_flows"), 20000);
	come_back(&g);
	rig_feed(&g, 500);
	rig_spin(&g, &g.box.nkept, 30400);
	rig_feed(&g, 500);
	deliver_all(&g);
	rig_stop(&g);
	rig_check_kept(&g.box, 31000);
	ck_assert_uint_eq(g.box.ngaps, 0);
}
END_TEST

/* What is delivered at once never meets the disk. */
START_TEST(no_outage)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	begin(&g, "spool_sync=10");
	rig_feed(&g, 2000);
	rig_spin(&g, &g.box.nkept, 1900);
	ck_assert_uint_eq(number_of(&g, "spool_frames"), 0);
	rig_stop(&g);
	rig_check_kept(&g.box, 2000);
}
END_TEST

/* Segments go when what is in them is settled. */
START_TEST(segments_go)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	begin_away(&g, "spool_max=1M");
	for (int i = 0; i < 40; i++) {
		rig_feed(&g, 1000);
		all_on_disk(&g);
	}
	ck_assert_uint_gt(number_of(&g, "spool"), 300000);
	come_back(&g);
	rig_spin(&g, &g.box.nkept, 40000);
	for (int i = 0; i < 6000 && number_of(&g, "spool"); i++)
		usleep(10000);
	ck_assert_uint_eq(number_of(&g, "spool"), 0);
	ck_assert_uint_eq(number_of(&g, "spool_flows"), 0);
	rig_stop(&g);
	rig_check_kept(&g.box, 40000);
}
END_TEST

static enum ctf_sent
safe_ones(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	for (unsigned i = 0; i < n; i++) {
		ck_assert(((const struct qframe *)f[i])->written);
		box_keep(b, f[i]);
	}
	*ret_taken = n;
	return CTF_SENT;
}

START_TEST(written_before_it_is_delivered)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	g.box.deliver = safe_ones;
	begin(&g, "spool_sync=0");
	for (int i = 0; i < 10; i++) {
		rig_feed(&g, 500);
		pump_seal(g.s.graph.inputs);
		run_kick(&g.s.graph);
		rig_spin(&g, &g.box.nkept, 500 * (unsigned)(i + 1));
	}
	ck_assert_uint_ge(number_of(&g, "spool_frames"), 50);
	ck_assert_int_ge(disk.data_syncs, 10);
	rig_stop(&g);
	rig_check_kept(&g.box, 5000);
}
END_TEST

/* A replay waits when all is full, and loses nothing. */
START_TEST(a_replay)
{
	struct rig g;

	nothing_there();
	box_init(&g.box);
	g.box.open_errno = ECONNREFUSED;
	g.box.fail_opens = UINT32_MAX;
	rig_start_kept(&g,
		       "[global]\nstack=a:FEED,k:KEEP\n[a]\n%B\n[k]\n%B\nframe=512\n"
		       "reconnect=10ms\nqueue=64K\nspool_sync=20ms\nspool_max=1M\n"
		       "spool_dir=" SPOOL_DIR "\n",
		       DIR_NAME, 0);
	g.box.feed = 200000;
	eventfd_write(g.box.event_fd, 1);
	for (int i = 0; i < 1000 && number_of(&g, "spool") < 900000; i++)
		loop_once(g.run.loop, 10);
	ck_assert_uint_lt(g.box.fed, 200000);
	come_back(&g);
	for (int i = 0; i < 1000 && number_of(&g, "delivered") < 199936; i++)
		loop_once(g.run.loop, 10);
	deliver_all(&g);
	ck_assert_uint_eq(number_of(&g, "delivered"), 200000);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.ngaps, 0);
	rig_check_kept(&g.box, KEPT);
}
END_TEST

/* ---- when it is full ---- */

/* Delivered and lost add up to n, the lost ones in gaps where they stood. */
static void
adds_up(const struct box *b, uint64_t delivered, unsigned n)
{
	uint64_t lost = 0, last = 0;

	for (unsigned i = 0; i < b->ngaps; i++) {
		lost += b->gaps[i].count;
		ck_assert_uint_le(b->gaps[i].from_ns, b->gaps[i].to_ns);
	}
	for (unsigned i = 0; i < b->nkept; i++) {
		ck_assert_uint_gt(b->kept[i], last);
		last = b->kept[i];
	}
	ck_assert_uint_lt(b->ngaps, 64); /* or some were not kept */
	ck_assert_uint_eq(delivered + lost, n);
}

/* What is lost is in a gap that stands where it stood: the accounts go on without a break. */
static enum ctf_sent
without_a_break(struct box *b, const struct ctf_frame *const *f, unsigned n,
		unsigned *ret_taken)
{
	uint64_t *upto = b->arg;

	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(f[i]->upto - qframe_flows((const struct qframe *)f[i]),
				  *upto);
		*upto = f[i]->upto;
		box_keep(b, f[i]);
	}
	*ret_taken = n;
	return CTF_SENT;
}

START_TEST(the_oldest_are_dropped)
{
	uint64_t delivered, upto = 0;
	struct rig g;

	nothing_there();
	box_init(&g.box);
	g.box.backlog = 80;
	g.box.deliver = without_a_break;
	g.box.arg = &upto;
	begin_away(&g, "spool_max=1M");
	for (int i = 0; i < 200; i++) {
		rig_feed(&g, 1000);
		usleep(2000);
	}
	ck_assert_uint_le(number_of(&g, "spool"), 1 << 20);
	ck_assert_uint_gt(number_of(&g, "spool_dropped"), 10000);
	ck_assert_uint_eq(number_of(&g, "spool_errors"), 0);
	come_back(&g);
	rig_feed(&g, 1000);
	rig_spin(&g, &g.box.nkept, 50000);
	deliver_all(&g);
	delivered = number_of(&g, "delivered");
	/* each once: a gap that lies there is not given up again and again */
	ck_assert_uint_le(number_of(&g, "spool_dropped"), 201000 - delivered);
	ck_assert_uint_ge(number_of(&g, "spool_dropped") + number_of(&g, "dropped"),
			  201000 - delivered);
	rig_stop(&g);
	adds_up(&g.box, delivered, 201000);
	ck_assert_uint_eq(upto, 201000);
	ck_assert_uint_ge(g.box.ngaps, 1);
	for (unsigned i = 0; i < g.box.ngaps; i++)
		ck_assert_int_eq(g.box.gaps[i].count_is, CTF_EXACT);
}
END_TEST

/* ---- replay_rate ---- */

START_TEST(not_flooded)
{
	uint64_t begun;
	struct rig g;

	nothing_there();
	box_init(&g.box);
	begin_away(&g, "replay_rate=10000");
	rig_feed(&g, 6400);
	all_on_disk(&g);
	come_back(&g);
	rig_spin(&g, &g.box.nkept, 1);
	begun = ctf_mono_ms();
	rig_spin(&g, &g.box.nkept, 6400);
	ck_assert_uint_ge(ctf_mono_ms() - begun, 450);
	rig_feed(&g, 100000);
	begun = ctf_mono_ms();
	rig_stop(&g);
	rig_check_kept(&g.box, 65536);
}
END_TEST

START_TEST(another_has_the_folder)
{
	struct spool_lock {
		int fd;
	} l;
	struct flock how = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ready[2], end[2];
	struct rig g;
	char c;
	pid_t pid;

	nothing_there();
	box_init(&g.box);
	begin(&g, "");
	rig_stop(&g);
	ck_assert(pipe(ready) == 0 && pipe(end) == 0);
	pid = fork();
	if (pid == 0) {
		l.fd = open(FOLDER "/spool", O_RDWR);
		fcntl(l.fd, F_SETLK, &how);
		ck_assert_int_eq(write(ready[1], "x", 1), 1);
		close(end[1]);
		_exit((int)read(end[0], &c, 1));
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	box_init(&g.box);
	rig_start_kept(&g, SPOOLED SOON, DIR_NAME, -ENOENT);
	ck_assert_ptr_nonnull(strstr(g.s.graph.sinks->why.msg, "has it"));
	rig_stop(&g);
	close(end[1]);
	waitpid(pid, NULL, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, nothing_there, nothing_there);
	tcase_add_test(t, an_outage);
	tcase_add_test(t, no_outage);
	tcase_add_test(t, segments_go);
	tcase_add_test(t, written_before_it_is_delivered);
	tcase_add_test(t, a_replay);
	tcase_add_test(t, the_oldest_are_dropped);
	tcase_add_test(t, not_flooded);
	tcase_add_test(t, another_has_the_folder);
}

int
main(void)
{
	return unit_main("spool", add_tests);
}
