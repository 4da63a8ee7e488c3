/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames to files when writes are short or the disk is full, and over rotation. */
#include "stream_inject.h"
#include "unit.h"

START_TEST(short_writes)
{
	unsigned taken;

	for (size_t step = 1; step < 50; step++) {
		remove(path);
		inject.step = step;
		ck_assert_int_eq(open_sink(), 0);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_SENT);
		ck_assert_uint_eq(taken, FRAMES);
		ck_assert_str_eq(unit_read(path), all);
		stream_close(&s);
	}
}
END_TEST

/* The disk is full after each possible number of bytes, then has room again. */
static void
fill_disk(size_t room)
{
	inject.full = true;
	inject.left = room;
}

START_TEST(disk_full)
{
	for (size_t room = 0; room < sizeof(all) - 1; room++) {
		unsigned taken, more;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(room);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		ck_assert_ptr_nonnull(strstr(err.msg, "No space left"));
		ck_assert_ptr_nonnull(strstr(err.msg, path));
		ck_assert_uint_eq(strlen(unit_read(path)), room);
		ck_assert(strncmp(unit_read(path), all, room) == 0);
		stream_close(&s);
		inject.full = false;
		ck_assert_int_eq(open_sink(), 0);
		ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
				 CTF_SENT);
		ck_assert_uint_eq(taken + more, FRAMES);
		ck_assert_str_eq(unit_read(path), all);
		stream_close(&s);
	}
}
END_TEST

/* Another process writes between the two halves of our line: nothing is lost. */
START_TEST(disk_full_other_writer)
{
	for (size_t room = 1; room < sizeof(all) - 1; room++) {
		char *at, want[200];
		unsigned taken, more;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(room);
		inject.other = open(path, O_WRONLY | O_APPEND);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		close(inject.other);
		inject.full = false;
		ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
				 CTF_SENT);
		snprintf(want, sizeof(want), "%s", unit_read(path));
		at = strstr(want, "other\n");
		ck_assert_ptr_nonnull(at);
		memmove(at, at + 6, strlen(at + 6) + 1);
		ck_assert_str_eq(want, all);
		stream_close(&s);
	}
}
END_TEST

/* The frame begun was dropped: the lines after it are whole lines. */
START_TEST(begun_frame_dropped)
{
	for (unsigned other = 0; other < 2; other++) {
		unsigned taken;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(8);
		inject.other = other ? open(path, O_WRONLY | O_APPEND) : 0;
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		ck_assert_uint_eq(taken, 0);
		inject.full = false;
		ck_assert_int_eq(stream_deliver(&s, list + 1, 2, &taken, &err), CTF_SENT);
		ck_assert_str_eq(
			unit_read(path),
			other ? "first\nseother\n\nthird\nfourth\nfifth\nsixth, the last\n"
			      : "first\nse\nthird\nfourth\nfifth\nsixth, the last\n");
		stream_close(&s);
	}
}
END_TEST

START_TEST(rotated_while_full)
{
	char old[160], both[200];

	snprintf(old, sizeof(old), "%s.1", path);
	for (size_t room = 0; room < sizeof(all) - 1; room++) {
		unsigned taken, more;

		remove(path);
		ck_assert_int_eq(open_sink(), 0);
		fill_disk(room);
		ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
		ck_assert_int_eq(rename(path, old), 0);
		inject.full = false;
		ck_assert_int_eq(stream_reopen(&s, &err), 0);
		ck_assert_int_eq(stream_deliver(&s, list + taken, FRAMES - taken, &more, &err),
				 CTF_SENT);
		snprintf(both, sizeof(both), "%s", unit_read(old));
		/* the new file begins with the line the old one has a part of */
		*(strrchr(both, '\n') ? strrchr(both, '\n') + 1 : both) = '\0';
		strcat(both, unit_read(path));
		ck_assert_str_eq(both, all);
		stream_close(&s);
	}
}
END_TEST

START_TEST(reopen_keeps_the_old_file)
{
	char moved[80], at[160];
	unsigned taken;

	ck_assert_int_eq(open_sink(), 0);
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	ck_assert_int_eq(rename(dir, moved), 0);
	ck_assert_int_eq(stream_reopen(&s, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, path));
	ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_SENT);
	ck_assert_int_eq(rename(moved, dir), 0);
	snprintf(at, sizeof(at), "%s/log", dir);
	ck_assert_str_eq(unit_read(at), all);
	ck_assert_int_eq(rename(path, strcat(at, ".1")), 0);
	ck_assert_int_eq(stream_reopen(&s, &err), 0);
	ck_assert_str_eq(unit_read(path), "");
}
END_TEST

/* A crash left half a line: ours are not glued to it. */
START_TEST(torn_tail)
{
	unsigned taken;
	unit_write(path, "whole\nha");
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, list, 1, &taken, &err), CTF_SENT);
	ck_assert_int_eq(stream_deliver(&s, list + 1, 1, &taken, &err), CTF_SENT);
	ck_assert_str_eq(unit_read(path), "whole\nha\nfirst\nsecond line\nthird\n");
}
END_TEST

START_TEST(cannot_open)
{
	uid_t root = geteuid();

	conf.file = dir;
	ck_assert_int_eq(open_sink(), EISDIR);
	ck_assert_ptr_nonnull(strstr(err.msg, "Is a directory"));
	conf.file = "/nonexistent/log";
	ck_assert_int_eq(open_sink(), ENOENT);
	conf.file = path;
	ck_assert_int_eq(open_sink(), 0);
	stream_close(&s);
	ck_assert_int_eq(chmod(path, 0444), 0);
	if (root == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(open_sink(), EACCES);
	ck_assert_int_eq(seteuid(root), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, path));
}
END_TEST

START_TEST(dev_full)
{
	unsigned taken = 9;

	conf.file = "/dev/full";
	ck_assert_int_eq(open_sink(), 0);
	ck_assert_int_eq(stream_deliver(&s, list, FRAMES, &taken, &err), CTF_RETRY);
	ck_assert_uint_eq(taken, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, short_writes);
	tcase_add_test(t, disk_full);
	tcase_add_test(t, disk_full_other_writer);
	tcase_add_test(t, begun_frame_dropped);
	tcase_add_test(t, rotated_while_full);
	tcase_add_test(t, reopen_keeps_the_old_file);
	tcase_add_test(t, torn_tail);
	tcase_add_test(t, cannot_open);
	tcase_add_test(t, dev_full);
}

int
main(void)
{
	return unit_main("stream", add_tests);
}
