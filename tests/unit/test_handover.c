/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One process after the other, as the core sees it; the test is the manager. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_io.h"
#include "manager.h"
#include "rig.h"
#include "unit.h"

#define STACK "[global]\nstack=a:LIVE,k:KEEP\n[a]\n%B\n[k]\n%B\n"

/* ---- a process ---- */

static struct rig rig;

static void
start(struct handover *h, const char *text, const char *state_dir)
{
	struct diag diag = { 0 };

	handover_load(h);
	ck_assert_int_eq(fakes_setup(&rig.s, text, &rig.box, &diag), 0);
	diag_free(&diag);
	rig.run = (struct run){ .graph = &rig.s.graph, .handover = h };
	ck_assert_int_eq(loop_new(&rig.run.loop), 0);
	if (state_dir)
		ck_assert_ptr_nonnull(rig.run.state = state_open(state_dir, "/t.conf", NULL));
	ck_assert_int_eq(run_start(&rig.run), 0);
	run_go(&rig.run);
}

static void
begin(const char *text, const char *state_dir, unsigned fed)
{
	box_init(&rig.box);
	rig.box.fed = rig.box.feed = fed;
	rig.box.feed_end = CTF_READ_IDLE;
	start(manager_new_process(), text, state_dir);
}

static void
end(bool handing)
{
	struct handover *h = rig.run.handover;

	rig.run.handing = handing;
	rig_stop(&rig);
	handover_free(h);
}

static void
block(bool on)
{
	pthread_mutex_lock(&rig.box.lock);
	rig.box.block = on;
	pthread_mutex_unlock(&rig.box.lock);
}

/* A process that reads n flows of which nothing is delivered. */
static void
stalled(const char *state_dir, unsigned n)
{
	begin(STACK, state_dir, 0);
	block(true);
	rig_feed(&rig, n);
	end(true);
}

static char dir[] = "/tmp/ctl-handover-XXXXXX";

static void
tear_down(void)
{
	manager_end();
}

/* ---- tests ---- */

START_TEST(frames_come_first_and_once)
{
	uint64_t spool;

	begin(STACK, NULL, 0);
	spool = rig.s.graph.sinks->spool_id;
	rig_feed(&rig, 100);
	rig_spin(&rig, &rig.box.nkept, 80);
	block(true);
	rig_feed(&rig, 100);
	end(true);
	ck_assert_int_ge(manager_fd(LEGACY_FD), 0);

	unsigned before = rig.box.nkept;
	uint64_t number = rig.box.kept_frame[before - 1];

	begin(STACK, NULL, 200);
	ck_assert_uint_eq(rig.s.graph.sinks->spool_id, spool);
	ck_assert(manager_has_forgotten(LEGACY_FD)); /* taken */
	rig_feed(&rig, 50);
	end(false);
	ck_assert_uint_eq(rig.box.nkept, 250 - before);
	for (unsigned i = 0; i < rig.box.nkept; i++)
		ck_assert_uint_eq(rig.box.kept[i], before + i + 1);
	ck_assert_uint_gt(rig.box.kept_frame[0], number);
	ck_assert_uint_eq(rig.box.ngaps, 0);
}
END_TEST

START_TEST(what_an_input_leaves)
{
	begin(STACK, NULL, 0);
	ck_assert_uint_eq(rig.box.inherited, 0);
	ck_assert(!rig.box.inherited_fd);
	rig_feed(&rig, 7);
	rig.box.hand_agains = 2;
	end(true);
	ck_assert_uint_eq(rig.box.hands, 3);
	ck_assert_uint_eq(rig.box.stops, 1);
	ck_assert_uint_eq(rig.box.drain_calls, 0);
	ck_assert_int_ge(manager_fd("ctflowd.a.event"), 0); /* there is a barrier behind it */

	begin(STACK, NULL, 0);
	ck_assert_uint_eq(rig.box.inherited, 7);
	ck_assert(rig.box.inherited_fd);
	end(false);
	ck_assert_int_ge(manager_fd("ctflowd.a.event"), 0); /* until it is told */
}
END_TEST

/* All the rest is there, flows too. */
START_TEST(what_is_too_big_is_left_out)
{
	begin(STACK, NULL, 0);
	rig.box.hand_huge = BLOCK_MAX;
	block(true);
	rig_feed(&rig, 40);
	end(true);
	ck_assert_int_ge(manager_fd(LEGACY_FD), 0);
	begin(STACK, NULL, 40);
	ck_assert_uint_eq(rig.box.inherited, 40);
	rig_feed(&rig, 8);
	end(false);
	rig_check_kept(&rig.box, 48);
}
END_TEST

START_TEST(an_input_that_cannot_is_drained)
{
	begin(STACK, NULL, 0);
	rig.box.hand_errno = EPERM;
	rig.box.drain_until = 2;
	rig_feed(&rig, 7);
	end(true);
	ck_assert_uint_eq(rig.box.drain_calls, 2);
	begin(STACK, NULL, 0);
	ck_assert_uint_eq(rig.box.inherited, 0); /* what a failure left is not there */
	end(false);
}
END_TEST

START_TEST(gaps_come_too)
{
	struct ctf_gap gap = { 5, 6, 9, CTF_AT_MOST, "overrun", "a", 3 };

	begin(STACK, NULL, 0);
	block(true);
	rig_feed(&rig, 8);
	ctf_report_gap(&rig.s.graph.inputs->ctx, &gap);
	rig_feed(&rig, 8);
	end(true);
	begin(STACK, NULL, 16);
	rig_feed(&rig, 1);
	end(false);
	rig_check_kept(&rig.box, 17);
	ck_assert_uint_eq(rig.box.ngaps, 1);
	ck_assert_uint_eq(rig.box.gaps[0].count, 9);
}
END_TEST

/* With the page: the frames came back, so nothing is owed. */
START_TEST(the_page_knows)
{
	bool comes_back = _i;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	stalled(dir, 40);
	if (!comes_back) { /* a stop after all: the manager lets go of everything */
		manager_forget(LEGACY_FD);
		manager_forget("ctflowd.a.event");
	}
	begin(STACK, dir, 40);
	ck_assert_int_eq(ctf_earlier(&rig.s.graph.inputs->ctx).ended, CTF_ENDED_HANDED);
	rig_feed(&rig, 8);
	end(false);
	ck_assert_uint_eq(rig.box.ngaps, comes_back ? 0 : 1);
	if (comes_back) {
		rig_check_kept(&rig.box, 48);
	} else {
		ck_assert_uint_eq(rig.box.gaps[0].count, 40);
		ck_assert_uint_eq(rig.box.nkept, 8);
	}
}
END_TEST

/* What waits goes through the spool, which the next process has as well: none twice. */
START_TEST(with_a_spool)
{
	static const char *const queue[] = { "", "queue=64K\nframe=64\n" };
	char text[400] = STACK, path[64];
	unsigned before;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "spool_dir=%s\nspool_sync=50ms\n", dir);
	strcat(text, path);
	strcat(text, queue[_i]);
	begin(text, dir, 0);
	rig_feed(&rig, 100);
	rig_spin(&rig, &rig.box.nkept, 80);
	block(true);
	rig_feed(&rig, 3000);
	usleep(100000);
	rig_feed(&rig, 30);
	end(true);
	before = rig.box.nkept;
	for (unsigned n = 3130; n < 3530; n += 200) {
		box_init(&rig.box);
		rig.box.fed = rig.box.feed = n;
		rig.box.block = n == 3130; /* a second one that delivers nothing */
		start(manager_new_process(), text, dir);
		rig_feed(&rig, 200);
		if (n > 3130)
			rig_spin(&rig, &rig.box.nkept, 3500 - before);
		end(true);
	}
	ck_assert_uint_eq(rig.box.ngaps, 0);
	ck_assert_uint_eq(rig.box.nkept, 3530 - before);
	for (unsigned i = 0; i < rig.box.nkept; i++)
		ck_assert_uint_eq(rig.box.kept[i], before + i + 1);
}
END_TEST

/* All outputs refused: the next start finds everything as it was. */
START_TEST(a_start_that_fails_takes_nothing)
{
	struct handover *h;
	struct diag diag = { 0 };

	stalled(NULL, 40);
	box_init(&rig.box);
	rig.box.feed = rig.box.fed = 40;
	rig.box.open_errno = EACCES;
	rig.box.fail_opens = 1;
	h = manager_new_process();
	handover_load(h);
	ck_assert_int_eq(fakes_setup(&rig.s, STACK, &rig.box, &diag), 0);
	rig.run = (struct run){ .graph = &rig.s.graph, .handover = h };
	ck_assert_int_eq(loop_new(&rig.run.loop), 0);
	ck_assert_int_eq(run_start(&rig.run), -ENOENT);
	handover_freeze(h);
	end(false);
	ck_assert_uint_eq(rig.box.drain_calls, 0);
	ck_assert_int_ge(manager_fd(LEGACY_FD), 0);
	ck_assert_int_ge(manager_fd("ctflowd.a.event"), 0);
	begin(STACK, NULL, 40);
	end(false);
	rig_check_kept(&rig.box, 40);
}
END_TEST

START_TEST(an_output_that_is_no_more)
{
	stalled(NULL, 40);
	begin("[global]\nstack=a:LIVE,z:KEEP\n[a]\n%B\n[z]\n%B\n", NULL, 40);
	rig_feed(&rig, 8);
	end(false);
	ck_assert_uint_eq(rig.box.nkept, 8);
	ck_assert_uint_eq(rig.box.kept[0], 41);
	ck_assert(manager_has_forgotten(LEGACY_FD));
}
END_TEST

START_TEST(descriptors_nobody_wants)
{
	int pair[2], other;
	struct handover *h;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	other = open("/dev/null", O_RDONLY);
	manager_put("ctflowd.gone.events", pair[0]);
	manager_put("http", other);
	box_init(&rig.box);
	rig.box.feed_end = CTF_READ_IDLE;
	h = manager_new_process();
	int ours = h->fds.v[0].fd, theirs = h->fds.v[1].fd;
	start(h, STACK, NULL);
	ck_assert(fcntl(ours, F_GETFD) < 0 || h->fds.v[0].fd < 0);
	ck_assert_int_lt(h->fds.v[1].fd, 0);
	ck_assert_int_ne(theirs, ours);
	end(false);
	ck_assert(manager_has_forgotten("ctflowd.gone.events"));
	ck_assert_int_ge(manager_fd("http"), 0); /* not ours to remove */
	close(pair[1]);
}
END_TEST

/* Its other end is gone, and errno says what it said before. */
START_TEST(a_descriptor_at_its_end)
{
	struct handover *h;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	close(pair[1]);
	manager_put("ctflowd.gone.events", pair[0]);
	h = manager_new_process();
	errno = EINTR;
	handover_settle(h);
	ck_assert_int_lt(h->fds.v[0].fd, 0);
	handover_free(h);
}
END_TEST

/* ---- memory that is none ---- */

static uint8_t *
left_bytes(size_t *ret_n)
{
	static uint8_t p[65536];
	ssize_t n = pread(manager_fd(LEGACY_FD), p, sizeof(p), 0);

	ck_assert_int_gt(n, 0);
	*ret_n = (size_t)n;
	return p;
}

static int
parse(const uint8_t *bytes, size_t n, struct ctf_err *err)
{
	struct handover *h = calloc(1, sizeof(*h));
	uint8_t *exact = malloc(n ? n : 1);
	int ret;

	memcpy(exact, bytes, n);
	ret = heritage_parse(h, exact, n, err);
	if (ret) {
		ck_assert_ptr_null(h->objects);
		ck_assert_ptr_null(h->layouts);
		ck_assert_str_ne(err->msg, "");
	}
	heritage_free(h);
	free(exact);
	free(h);
	return ret;
}

START_TEST(any_bytes)
{
	struct ctf_err err;
	uint8_t *p;
	size_t n;

	stalled(NULL, 20);
	p = left_bytes(&n);
	ck_assert_int_eq(parse(p, n, &err), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(parse(p, i, &err), -EBADMSG);
	for (size_t bit = 0; bit < 8 * n; bit += 3) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(parse(p, n, &err), -EBADMSG);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

static int
memory(const void *p, size_t n, bool sealed)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	if (sealed)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

START_TEST(garbage_is_said_and_passed_over)
{
	static const int devices = 3;
	uint8_t noise[4096];
	int fd;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)rand();
	for (int i = 0; i < 5; i++) {
		fd = i == devices ? open("/dev/zero", O_RDONLY)
		     : i == 4     ? socket(AF_UNIX, SOCK_DGRAM, 0)
				  : memory(noise, i == 2 ? 0 : sizeof(noise), i != 1);
		manager_put(LEGACY_FD, fd);
		begin(STACK, NULL, 0);
		rig_feed(&rig, 8);
		end(false);
		rig_check_kept(&rig.box, 8);
		ck_assert(manager_has_forgotten(LEGACY_FD));
		manager_forget("ctflowd.a.event");
	}
}
END_TEST

START_TEST(nobody_keeps_anything)
{
	struct handover *h;

	unsetenv("NOTIFY_SOCKET");
	h = handover_new();
	ck_assert(!handover_is_due(h));
	box_init(&rig.box);
	rig.box.feed_end = CTF_READ_IDLE;
	start(h, STACK, NULL);
	rig_feed(&rig, 8);
	end(false);
	rig_check_kept(&rig.box, 8);
	ck_assert_uint_eq(manager_count(), 0);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_set_timeout(tc, 60); /* a disk may be slow */
	tcase_add_checked_fixture(tc, manager_start, tear_down);
	tcase_add_test(tc, frames_come_first_and_once);
	tcase_add_test(tc, what_an_input_leaves);
	tcase_add_test(tc, what_is_too_big_is_left_out);
	tcase_add_test(tc, an_input_that_cannot_is_drained);
	tcase_add_test(tc, gaps_come_too);
	tcase_add_loop_test(tc, the_page_knows, 0, 2);
	tcase_add_loop_test(tc, with_a_spool, 0, 2);
	tcase_add_test(tc, a_start_that_fails_takes_nothing);
	tcase_add_test(tc, an_output_that_is_no_more);
	tcase_add_test(tc, descriptors_nobody_wants);
	tcase_add_test(tc, a_descriptor_at_its_end);
	tcase_add_test(tc, any_bytes);
	tcase_add_test(tc, garbage_is_said_and_passed_over);
	tcase_add_test(tc, nobody_keeps_anything);
}

int
main(void)
{
	return unit_main("handover", add_tests);
}
