/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A daemon is killed after every byte it wrote: how much arrived is found. */
#include "stream_inject.h"
#include "unit.h"

/* Flows whose line is whole in the first n bytes. */
static uint64_t
whole(size_t n)
{
	uint64_t count = 100;

	for (size_t i = 0; i < n; i++)
		count += all[i] == '\n';
	return count;
}

/* Writes until so many bytes are in the file, and dies. */
static void
die_after(size_t room, size_t step)
{
	pid_t pid = fork();
	unsigned taken;
	int status;

	if (pid == 0) {
		if (open_sink() != 0)
			_exit(1);
		inject.full = inject.die = true;
		inject.left = room;
		inject.step = step;
		stream_deliver(&s, list, FRAMES, &taken, &err);
		_exit(room < sizeof(all) - 1); /* it was to die before */
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void
look(void)
{
	nfound = 0;
	page_kept = true;
	ck_assert_int_eq(open_sink(), 0);
	stream_close(&s);
	s.written = NULL;
	page_kept = false;
}

static void
start_over(const char *before)
{
	memset(page, 0, PAGE);
	unit_write(path, before);
}

START_TEST(killed_after_every_byte)
{
	static const size_t steps[] = { 1, 5, 17, 1000 };

	for (int k = 0; k < COUNT(steps); k++)
		for (size_t room = 0; room < sizeof(all); room++) {
			start_over("before\n");
			die_after(room, steps[k]);
			look();
			ck_assert_int_eq(nfound, 1);
			ck_assert_uint_eq(found, whole(room));
		}
}
END_TEST

/* Between the write and the note of it: the size of the file tells. */
START_TEST(killed_before_it_could_be_noted)
{
	for (size_t n = 0; n < sizeof(all); n++) {
		FILE *f;

		start_over("torn");
		ck_assert_int_eq(open_sink(), 0);
		s.heal = true;
		stream_kept_begin(&s, list, FRAMES);
		stream_close(&s);
		s.heal = false;
		s.written = NULL;
		f = fopen(path, "a");
		ck_assert_ptr_nonnull(f);
		fprintf(f, "\n%.*s", (int)n, all);
		fclose(f);
		look();
		ck_assert_int_eq(nfound, 1);
		ck_assert_uint_eq(found, whole(n));
	}
}
END_TEST

/* A gap stands for many, and records of sweeps are lines that are no flows. */
START_TEST(lines_that_are_not_flows)
{
	frame[1].recs = frame[1].flows = 0;
	frame[1].upto = 152; /* 50 lost */
	frame[2].recs = 3;
	frame[2].flows = 2;
	frame[2].upto = 154;
	for (size_t room = 0; room < sizeof(all); room++) {
		size_t first = frame[0].len, second = first + frame[1].len;

		start_over("");
		die_after(room, 7);
		look();
		ck_assert_int_eq(nfound, 1);
		ck_assert_uint_eq(found, room < first             ? whole(room)
					 : room < second          ? 102
					 : room < sizeof(all) - 1 ? 152
								  : 154);
	}
}
END_TEST

/* Of a flow that has several lines none arrived before all did. */
START_TEST(flows_of_several_lines)
{
	size_t before = frame[0].len + frame[1].len;

	frame[2].recs = frame[2].flows = 1;
	frame[2].upto = 104;
	for (size_t room = 0; room < sizeof(all); room++) {
		start_over("");
		die_after(room, 7);
		look();
		ck_assert_int_eq(nfound, 1);
		ck_assert_uint_eq(found, room < before            ? whole(room)
					 : room < sizeof(all) - 1 ? 103
								  : 104);
	}
}
END_TEST

START_TEST(another_file_tells_nothing)
{
	char old[160];

	snprintf(old, sizeof(old), "%s.1", path);
	start_over("");
	ck_assert_int_eq(open_sink(), 0);
	stream_kept_begin(&s, list, FRAMES);
	stream_close(&s);
	s.written = NULL;
	ck_assert_int_eq(rename(path, old), 0);
	unit_write(path, all);
	look();
	ck_assert_int_eq(nfound, -1);
	ck_assert_uint_eq(found, 100);
	/* cut behind our back */
	ck_assert_int_eq(rename(old, path), 0);
	look();
	ck_assert_int_eq(nfound, 1);
	start_over("long before\n");
	ck_assert_int_eq(open_sink(), 0);
	stream_kept_begin(&s, list, FRAMES);
	stream_close(&s);
	s.written = NULL;
	ck_assert_int_eq(truncate(path, 3), 0);
	look();
	ck_assert_int_eq(nfound, -1);
}
END_TEST

/* What is in the page comes from outside. */
START_TEST(nonsense_in_the_page)
{
	uint64_t rng = 88172645463325252u;

	unit_write(path, all);
	for (int i = 0; i < 20000; i++) {
		struct stat st;

		for (unsigned k = 0; k < PAGE / 8; k++) {
			rng ^= rng << 13;
			rng ^= rng >> 7;
			rng ^= rng << 17;
			page[k] = i % 3 ? rng % 64 : rng;
		}
		ck_assert_int_eq(stat(path, &st), 0);
		((struct stream_written *)page)->note[0].dev = st.st_dev;
		((struct stream_written *)page)->note[0].ino = st.st_ino;
		((struct stream_written *)page)->note[0].seq = UINT64_MAX;
		if (i % 2)
			((struct stream_written *)page)->note[0].n %= STREAM_IOVS + 1;
		look();
	}
}
END_TEST

START_TEST(new_and_nothing_written)
{
	ck_assert_int_eq(open_sink(), 0);
	stream_close(&s);
	ck_assert_int_eq(nfound, 0);
	s.written = NULL;
	look();
	ck_assert_int_eq(nfound, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, killed_after_every_byte);
	tcase_add_test(t, killed_before_it_could_be_noted);
	tcase_add_test(t, lines_that_are_not_flows);
	tcase_add_test(t, flows_of_several_lines);
	tcase_add_test(t, another_file_tells_nothing);
	tcase_add_test(t, nonsense_in_the_page);
	tcase_add_test(t, new_and_nothing_written);
}

int
main(void)
{
	return unit_main("stream_kept", add_tests);
}
