/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A frame begun by one process and ended by the next. */
#include <fcntl.h>

#include "stream_inject.h"
#include "unit.h"

/* The process ends, having handed over; another one begins. */
static void
next_process(void)
{
	ck_assert_int_eq(stream_hand_over(&s, NULL), 0);
	stream_close(&s);
	memset(&s, 0, sizeof(s));
	s.obj.conf = &conf;
}

/* Delivers `room` bytes of the lines and hands over; how many frames are done. */
static unsigned
part(size_t room)
{
	unsigned taken;

	memset(&legacy, 0, sizeof(legacy));
	ck_assert_int_eq(open_sink(), 0);
	inject.full = true;
	inject.left = room;
	ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
	inject.full = false;
	next_process();
	return taken;
}

static void
rest(unsigned taken)
{
	unsigned more;

	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
			 CTF_SENT);
	ck_assert_uint_eq(taken + more, FRAMES);
	stream_close(&s);
	memset(&s, 0, sizeof(s));
	s.obj.conf = &conf;
}

START_TEST(every_byte_once)
{
	for (size_t room = 0; room < sizeof(all) - 1; room++) {
		remove(path);
		rest(part(room));
		ck_assert_str_eq(unit_read(path), all);
	}
}
END_TEST

/* Another file gets whole lines. */
START_TEST(rotated_between)
{
	char old[160];

	snprintf(old, sizeof(old), "%s.1", path);
	for (size_t room = 1; room < sizeof(all) - 1; room++) {
		size_t line = room;
		unsigned taken;

		remove(path);
		taken = part(room);
		ck_assert_int_eq(rename(path, old), 0);
		rest(taken);
		while (line && all[line - 1] != '\n')
			line--;
		ck_assert_str_eq(unit_read(path), all + line);
	}
}
END_TEST

/* What was begun is not offered again: its torn line ends. */
START_TEST(dropped_between)
{
	unsigned more;

	part(8); /* "first\nse" */
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, list + 1, 1, &more, &err), CTF_SENT);
	ck_assert_str_eq(unit_read(path), "first\nse\nthird\n");
}
END_TEST

/* A whole pipe of it: what the reader has got when it has read all. */
static void
through_pipe(bool kept)
{
	static char big[200000], got[400001];
	struct ctf_frame f = { .p = (uint8_t *)big, .len = sizeof(big), .number = 5 };
	const struct ctf_frame *one = &f;
	size_t have = 0;
	unsigned taken = 0;
	ssize_t n;
	int fd;

	memset(&legacy, 0, sizeof(legacy));
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i % 100 == 99 ? '\n' : (char)('a' + i / 100 % 26);
	remove(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, &one, 1, &taken, &err), CTF_AGAIN);
	next_process();
	if (!kept) {
		close(legacy.pipe);
		legacy.pipe = 0;
	}
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(legacy.pipe, 0); /* the store has nothing any more */
	for (int i = 0; i < 1000 && !taken; i++) {
		ck_assert_int_ne(stream_deliver(&s, &one, 1, &taken, &err), CTF_RETRY);
		while ((n = read(fd, got + have, sizeof(got) - 1 - have)) > 0)
			have += (size_t)n;
	}
	close(fd);
	ck_assert_uint_eq(taken, 1);
	if (kept) {
		ck_assert_uint_eq(have, sizeof(big));
		ck_assert_mem_eq(got, big, sizeof(big));
	} else { /* maybe another reader: it gets the whole frame */
		ck_assert_uint_gt(have, sizeof(big));
		ck_assert_mem_eq(got + have - sizeof(big), big, sizeof(big));
	}
}

START_TEST(pipe_stays_open)
{
	through_pipe(_i);
}
END_TEST

START_TEST(nonsense)
{
	part(8);
	for (size_t n = 0; n < sizeof(legacy.p); n++) {
		memset(legacy.p, (int)n, sizeof(legacy.p));
		legacy.n = n;
		remove(path);
		rest(0);
		ck_assert_str_eq(unit_read(path), all);
	}
	legacy.n = sizeof(struct begun); /* the right size, an offset beyond the frame */
	memset(legacy.p, 0xff, sizeof(legacy.p));
	legacy.p[0] = BEGUN_VERSION;
	legacy.p[1] = legacy.p[2] = legacy.p[3] = 0;
	remove(path);
	rest(0);
	ck_assert_str_eq(unit_read(path), all);
}
END_TEST

START_TEST(nothing_begun_is_nothing_left)
{
	unsigned taken;

	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_SENT);
	next_process();
	ck_assert(!legacy.there);
	ck_assert_int_eq(legacy.pipe, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_byte_once);
	tcase_add_test(t, rotated_between);
	tcase_add_test(t, dropped_between);
	tcase_add_loop_test(t, pipe_stays_open, 0, 2);
	tcase_add_test(t, nonsense);
	tcase_add_test(t, nothing_begun_is_nothing_left);
}

int
main(void)
{
	return unit_main("stream_hand", add_tests);
}
