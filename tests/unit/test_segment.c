/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of a spool, without queue or thread. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "segment.h"
#include "spool_dir.h"
#include "spool_help.h"
#include "unit.h"

#define DIR_NAME "test_segment.d"
#define CUTS 1000

struct files {
	struct spool_dir dir;
	struct segment_writer w;
	struct segment_reader r;
};

static void
open_files(struct files *f)
{
	struct ctf_err err = { 0 };

	*f = (struct files){ .w = { .fd = -1 } };
	ck_assert_msg(spool_dir_open(&f->dir, DIR_NAME, "out", "KEEP", NULL, &err) == 0, "%s",
		      err.msg);
	f->w.owner = &f->dir.owner;
	segment_reader_init(&f->r, &f->dir.owner);
}

static void
close_files(struct files *f)
{
	segment_writer_free(&f->w);
	segment_reader_free(&f->r);
	spool_dir_close(&f->dir);
}

static void
fresh(struct files *f)
{
	remove_tree(DIR_NAME);
	open_files(f);
	ck_assert_int_eq(spool_dir_begin(&f->dir, NULL, 0), 0);
}

/* Frames first..last, `group` to a sync, layouts changing every 10. */
static void
append(struct files *f, struct segment *s, uint64_t first, uint64_t last, unsigned group)
{
	uint64_t at;

	for (uint64_t n = first; n <= last; n++) {
		struct qframe *q = a_frame(n, (unsigned)(n / 10));

		ck_assert_int_eq(segment_put(&f->w, q, &at), 0);
		s->last = n;
		s->flows += q->f.flows;
		free(q);
		if ((n - first) % group == group - 1 || n == last) {
			size_t len = f->w.len;

			ck_assert_int_eq(segment_sync(&f->w), 0);
			s->bytes += len;
		}
	}
}

static struct segment
write_segment(struct files *f, uint64_t first, uint64_t last, bool end)
{
	static struct segment s;

	s = (struct segment){ .first = first };
	ck_assert_int_eq(segment_create(&f->w, &s), 0);
	append(f, &s, first, last, 7);
	if (end)
		ck_assert_int_eq(segment_close(&f->w), 0);
	return s;
}

/* Reads it from its beginning; returns the number of the last good frame. */
static uint64_t
read_segment(struct files *f, const struct segment *s, int want)
{
	uint64_t number = s->first - 1;
	struct block b;
	int ret = segment_seek(&f->r, s, 0, number);

	ck_assert_int_eq(ret, 0);
	while ((ret = segment_next(&f->r, &b)) == 1) {
		struct qframe *q = segment_frame(&f->r, &b, NULL);

		is_a_frame(&q->f, ++number);
		ck_assert_uint_eq(q->f.layout->id, layout_of((unsigned)(number / 10))->id);
		ck_assert_uint_eq(q->f.layout->len, layout_of((unsigned)(number / 10))->len);
		free(q);
	}
	ck_assert_int_eq(ret, want);
	return number;
}

START_TEST(what_was_written_is_read)
{
	struct segment s, back;
	char name[SEGMENT_NAME];
	struct files f;

	fresh(&f);
	s = write_segment(&f, 1000, 1999, true);
	ck_assert_uint_eq(read_segment(&f, &s, 0), 1999);
	segment_name(&s, name);
	ck_assert(segment_parse_name(name, &back));
	ck_assert_uint_eq(back.first, 1000);
	ck_assert_uint_eq(back.last, 1999);
	ck_assert_uint_eq(back.flows, s.flows);
	ck_assert(!back.open);
	close_files(&f);
}
END_TEST

START_TEST(names_of_others)
{
	static const char *const not [] = { "",
					    "x.open",
					    "0000000000000000.open",
					    "1.open",
					    "0000000000000001.opena",
					    "0000000000000002-0000000000000001-1.seg",
					    "0000000000000001-ffffffffffffffff-1.seg",
					    "0000000000000001-0000000000000002-.seg",
					    "0000000000000001-0000000000000002-01.seg",
					    " 000000000000001.open",
					    "0000000000000001-0000000000000002-1.seg~" };
	struct segment s;

	for (size_t i = 0; i < sizeof(not ) / sizeof(*not ); i++)
		ck_assert_msg(!segment_parse_name(not [i], &s), "%s", not [i]);
	ck_assert(segment_parse_name("0000000000000001-0000000000000002-1f.seg", &s));
	ck_assert_uint_eq(s.flows, 31);
	ck_assert(segment_parse_name("000000000000000a.open", &s));
	ck_assert_uint_eq(s.first, 10);
	ck_assert(s.open);
}
END_TEST

/* ---- a dead run's ---- */

static void
cut_file(const struct files *f, const char *name, off_t size)
{
	int fd = openat(f->dir.owner.dir, name, O_WRONLY);

	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

/* What of 1..n frames a file of that size has whole. */
static uint64_t
whole(struct files *f, const struct segment *s, uint64_t size, uint64_t *ret_bytes)
{
	struct block b;
	uint64_t n = 0;

	*ret_bytes = 0;
	ck_assert_int_eq(segment_seek(&f->r, s, 0, 0), 0);
	while (segment_next(&f->r, &b) == 1 && f->r.at <= size) {
		n = b.number;
		*ret_bytes = f->r.at;
	}
	return n;
}

/* Without what it remembers of files. */
static void
reread(struct files *f)
{
	segment_reader_free(&f->r);
	segment_reader_init(&f->r, &f->dir.owner);
}

START_TEST(cut_anywhere)
{
	struct segment s, list, again;
	struct files f;

	srand(11 + (unsigned)_i);
	for (int i = 0; i < CUTS / 10; i++) {
		uint64_t size, want, bytes, torn = 0;

		fresh(&f);
		s = write_segment(&f, 1, 60, false);
		size = (uint64_t)rand() % (s.bytes + 1);
		want = whole(&f, &s, size, &bytes);
		reread(&f);
		cut_file(&f, "0000000000000001.open", (off_t)size);
		list = (struct segment){ .first = 1, .last = 1, .bytes = size, .open = true };
		ck_assert_int_eq(segment_recover(&f.r, &list, &torn), 0);
		ck_assert_uint_eq(torn, size - bytes);
		ck_assert_uint_eq(list.bytes, bytes);
		if (want) {
			ck_assert_uint_eq(list.last, want);
			ck_assert_uint_eq(read_segment(&f, &list, 0), want);
		}
		/* And it goes on behind it. */
		f.w.seg = NULL;
		close(f.w.fd);
		if (!want)
			ck_assert_int_eq(segment_unlink(&f.dir.owner, &list), 0);
		again = write_segment(&f, want + 1, want + 20, true);
		ck_assert_uint_eq(read_segment(&f, &again, 0), want + 20);
		close_files(&f);
	}
}
END_TEST

/* A byte turned over anywhere: nothing wrong is read, and it ends. */
START_TEST(damaged_anywhere)
{
	char name[SEGMENT_NAME];
	uint8_t byte, bad;
	struct segment s;
	struct files f;
	int fd;

	srand(12);
	fresh(&f);
	s = write_segment(&f, 1, 300, true);
	segment_name(&s, name);
	fd = openat(f.dir.owner.dir, name, O_RDWR);
	for (int i = 0; i < CUTS; i++) {
		off_t at = rand() % (off_t)s.bytes;
		uint64_t last, bytes;

		whole(&f, &s, (uint64_t)at, &bytes);
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		bad = byte ^ (uint8_t)(1 + rand() % 255);
		ck_assert_int_eq(pwrite(fd, &bad, 1, at), 1);
		reread(&f);
		last = read_segment(&f, &s, -EBADMSG);
		ck_assert_uint_le(f.r.at, (uint64_t)at);
		ck_assert_uint_lt(last, 300);
		ck_assert_uint_ge(f.r.at, bytes);
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		reread(&f);
	}
	close(fd);
	close_files(&f);
}
END_TEST

/* The writer has closed it, but the name of a complete one is yet to come. */
START_TEST(about_to_be_renamed)
{
	struct segment s;
	struct files f;

	fresh(&f);
	s = write_segment(&f, 1, 3, false);
	s.open = false;
	ck_assert_uint_eq(read_segment(&f, &s, 0), 3);
	s.open = true;
	f.w.seg->open = true;
	ck_assert_int_eq(segment_close(&f.w), 0);
	close_files(&f);
}
END_TEST

START_TEST(of_another_sink)
{
	struct files f;
	struct segment s;

	fresh(&f);
	s = write_segment(&f, 1, 3, true);
	f.dir.owner.plugin = "OTHER";
	ck_assert_uint_eq(read_segment(&f, &s, -EBADMSG), 0);
	f.dir.owner.plugin = "KEEP";
	f.dir.owner.spool++;
	ck_assert_uint_eq(read_segment(&f, &s, -EBADMSG), 0);
	f.dir.owner.spool--;
	ck_assert_uint_eq(read_segment(&f, &s, 0), 3);
	close_files(&f);
}
END_TEST

START_TEST(a_gap_with_its_texts)
{
	struct segment s = { .first = 5 };
	struct qframe *q = a_frame(5, 0), *back;
	struct files f;
	struct block b;
	uint64_t at;

	fresh(&f);
	q->is_gap = true;
	q->gap = (struct ctf_gap){ 1, 2, 77, CTF_AT_MOST, "overrun", "ct1", 3 };
	ck_assert_int_eq(segment_create(&f.w, &s), 0);
	ck_assert_int_eq(segment_put(&f.w, q, &at), 0);
	at = f.w.len;
	ck_assert_int_eq(segment_sync(&f.w), 0);
	s.bytes = at;
	ck_assert_int_eq(segment_seek(&f.r, &s, 0, 0), 0);
	ck_assert_int_eq(segment_next(&f.r, &b), 1);
	back = segment_frame(&f.r, &b, NULL);
	segment_reader_free(&f.r); /* the texts are the frame's own */
	segment_reader_init(&f.r, &f.dir.owner);
	ck_assert_str_eq(back->gap.cause, "overrun");
	ck_assert_str_eq(back->gap.instance, "ct1");
	ck_assert_uint_eq(back->gap.count, 77);
	ck_assert_int_eq(back->gap.nsid, 3);
	free(back);
	free(q);
	f.w.seg = NULL;
	close(f.w.fd);
	close_files(&f);
}
END_TEST

/* ---- the folder ---- */

START_TEST(epochs)
{
	struct segment far = { .first = UINT64_C(9) << 32 | 5, .last = UINT64_C(9) << 32 | 6 };
	struct files f;
	uint64_t id;

	fresh(&f);
	id = f.dir.owner.spool;
	ck_assert_uint_eq(f.dir.epoch, 1);
	ck_assert(!f.dir.known);
	ck_assert_int_eq(spool_dir_end(&f.dir, 77), 0);
	close_files(&f);
	open_files(&f);
	ck_assert(f.dir.known && f.dir.clean);
	ck_assert_uint_eq(f.dir.settled, 77);
	ck_assert_int_eq(spool_dir_begin(&f.dir, NULL, 0), 0);
	ck_assert_uint_eq(f.dir.epoch, 2);
	ck_assert_uint_eq(f.dir.owner.spool, id);
	ck_assert_uint_eq(spool_base(&f.dir) % GROUP, 0);
	close_files(&f);
	open_files(&f);
	ck_assert(f.dir.known && !f.dir.clean);
	/* Above whatever is known of numbers. */
	ck_assert_int_eq(spool_dir_begin(&f.dir, &far, UINT64_C(7) << 32 | 9), 0);
	ck_assert_uint_eq(f.dir.epoch, 10);
	close_files(&f);
	open_files(&f);
	ck_assert_int_eq(spool_dir_begin(&f.dir, NULL, UINT64_C(20) << 32 | 9), 0);
	ck_assert_uint_eq(f.dir.epoch, 21);
	close_files(&f);
}
END_TEST

START_TEST(a_torn_meta_file)
{
	struct segment *list = NULL;
	struct files f;
	uint64_t id;

	fresh(&f);
	id = f.dir.owner.spool;
	write_segment(&f, spool_base(&f.dir) + 1, spool_base(&f.dir) + 9, true);
	ck_assert_int_eq(spool_dir_end(&f.dir, 77), 0); /* in the other place */
	ck_assert_int_eq(pwrite(f.dir.meta, "x", 1, 512 * (off_t)(f.dir.seq & 1) + 20), 1);
	close_files(&f);
	open_files(&f);
	ck_assert(f.dir.known && !f.dir.clean);
	ck_assert_uint_eq(f.dir.epoch, 1);
	ck_assert_int_eq(ftruncate(f.dir.meta, 0), 0);
	close_files(&f);
	open_files(&f);
	ck_assert(!f.dir.known);
	ck_assert_int_eq(spool_dir_list(&f.dir, NULL, &list), 0);
	ck_assert_int_eq(spool_dir_begin(&f.dir, list, 0), 0);
	ck_assert_uint_eq(f.dir.owner.spool, id);
	ck_assert_uint_eq(f.dir.epoch, 2);
	spool_list_free(list);
	close_files(&f);
}
END_TEST

START_TEST(another_process_has_it)
{
	struct files f;
	int status;
	pid_t pid;

	fresh(&f);
	pid = fork();
	if (pid == 0) {
		struct spool_dir d;
		struct ctf_err err;
		char want[64];

		snprintf(want, sizeof(want), "process %d has it", (int)getppid());
		_exit(spool_dir_open(&d, DIR_NAME, "out", "KEEP", NULL, &err) != -EBUSY ||
		      !strstr(err.msg, want) || !strstr(err.msg, DIR_NAME "/out:KEEP"));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close_files(&f);
}
END_TEST

START_TEST(folder_names)
{
	char name[SPOOL_DIR_NAME], other[SPOOL_DIR_NAME], longest[300];

	spool_dir_name("ipfix1", "IPFIX", name);
	ck_assert_str_eq(name, "ipfix1:IPFIX");
	spool_dir_name("../x", "IPFIX", name);
	ck_assert_str_eq(name, "%2e.%2fx:IPFIX");
	memset(longest, '/', sizeof(longest));
	longest[256] = '\0';
	spool_dir_name(longest, "IPFIX", name);
	longest[255] = '\0';
	spool_dir_name(longest, "IPFIX", other);
	ck_assert_str_ne(name, other);
	ck_assert_uint_lt(strlen(name), 255);
}
END_TEST

static bool
is_mine(const char *name, void *arg)
{
	return strcmp(name, "here:KEEP") == 0;
}

static void
note(const char *name, uint64_t bytes, uint64_t flows, void *arg)
{
	ck_assert_str_eq(name, "out:KEEP");
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_eq(flows, 2 + 3 + 4);
	++*(int *)arg;
}

START_TEST(leftovers)
{
	struct spool_dir empty;
	struct files f;
	int found = 0;

	fresh(&f);
	write_segment(&f, 1, 3, true);
	ck_assert_int_eq(spool_dir_open(&empty, DIR_NAME, "none", "KEEP", NULL, NULL), 0);
	spool_dir_close(&empty);
	close_files(&f);
	spool_leftovers(DIR_NAME, is_mine, note, &found);
	ck_assert_int_eq(found, 1);
	spool_leftovers(DIR_NAME "/nowhere", is_mine, note, &found);
	ck_assert_int_eq(found, 1);
	remove_tree(DIR_NAME);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_was_written_is_read);
	tcase_add_test(t, names_of_others);
	tcase_add_loop_test(t, cut_anywhere, 0, 10);
	tcase_add_test(t, damaged_anywhere);
	tcase_add_test(t, about_to_be_renamed);
	tcase_add_test(t, of_another_sink);
	tcase_add_test(t, a_gap_with_its_texts);
	tcase_add_test(t, epochs);
	tcase_add_test(t, a_torn_meta_file);
	tcase_add_test(t, another_process_has_it);
	tcase_add_test(t, folder_names);
	tcase_add_test(t, leftovers);
}

int
main(void)
{
	return unit_main("segment", add_tests);
}
