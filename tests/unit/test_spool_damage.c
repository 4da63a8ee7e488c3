/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments that cannot be read, in whole or in part: nothing of them vanishes unsaid. */
#define DIR_NAME "test_spool_damage.d"
#define SPOOL_DIR "test_spool_damage.s"
#define LOG "test_spool_damage.log"
#include "spool_rig.h"
#include "spool_dir.h"

/* The path of the n-th file whose name ends so, from 0. */
static bool
find(const char *suffix, unsigned n, char path[600])
{
	struct dirent **v;
	int all = scandir(FOLDER, &v, NULL, alphasort);
	bool found = false;

	for (int i = 0; i < all; i++) {
		size_t len = strlen(v[i]->d_name), tail = strlen(suffix);

		if (len > tail && strcmp(v[i]->d_name + len - tail, suffix) == 0 && n-- == 0) {
			snprintf(path, 600, FOLDER "/%.255s", v[i]->d_name);
			found = true;
		}
		free(v[i]);
	}
	free(v);
	return found;
}

static off_t
size_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

static void
log_begin(void)
{
	unlink(LOG);
	ck_assert_int_eq(log_open(LOG), 0);
}

static void
log_has(const char *path, const char *words)
{
	const char *name = strrchr(path, '/') + 1, *p = unit_read(LOG);

	while (p && (p = strstr(p, name)) && strncmp(p + strlen(name), words, strlen(words)))
		p++;
	ck_assert_msg(p, "not said of %s: %s", name, words);
}

static void
stopped_with_many(struct rig *g)
{
	begin_away(g, "spool_max=1M");
	for (int i = 0; i < 40; i++) {
		rig_feed(g, 1000);
		all_on_disk(g);
	}
	rig_stop_in(g, 5000);
}

/* What a run delivers after 40,000 flows; 64 are new. */
static void
run_after(struct rig *g)
{
	log_begin();
	box_init(&g->box);
	begin(g, "spool_max=1M");
	rig_feed(g, 64);
	rig_spin(g, &g->box.nkept, 20000);
	deliver_all(g);
	rig_stop(g);
	log_close();
}

static void
next_has_nothing(void)
{
	struct rig g;

	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, 10);
	deliver_all(&g);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.nkept, 10);
	ck_assert_uint_eq(g.box.ngaps, 0);
}

enum { CUT = 4, EMPTY, GONE, HOWS };

static void
damage(const char *path, int how)
{
	int fd = open(path, O_WRONLY);

	if (how < CUT)
		ck_assert_int_eq(pwrite(fd, "damage", 6, 5000 + 20000 * how), 6);
	if (how == CUT || how == EMPTY)
		ck_assert_int_eq(ftruncate(fd, how == CUT ? 30 : 0), 0);
	if (how == GONE)
		unlink(path);
	close(fd);
}

START_TEST(in_the_middle)
{
	char path[600], bad[600];
	struct rig g;

	nothing_there();
	die_after(stopped_with_many);
	ck_assert(find(".seg", 1, path));
	damage(path, _i);
	run_after(&g);
	ck_assert_uint_eq(g.box.ngaps, 1);
	ck_assert_str_eq(g.box.gaps[0].cause, _i == GONE ? "restart" : "spool");
	ck_assert_uint_gt(g.box.gaps[0].count, 0);
	ck_assert_uint_eq(g.box.nkept + g.box.gaps[0].count, 40064);
	if (_i != GONE)
		log_has(path, " is damaged, ");
	/* none of it could be read, so all of it is there still */
	ck_assert_int_eq(find(".bad", 0, bad), _i == CUT);
	if (_i == CUT) {
		ck_assert_int_eq(size_of(bad), 30);
		log_has(bad, " now, and not looked at again");
	}
	next_has_nothing();
	ck_assert_int_eq(find(".bad", 0, bad), _i == CUT);
	ck_assert(!find(".seg", 0, path));
	unlink(LOG);
}
END_TEST

static void
killed(struct rig *g)
{
	begin_away(g, "");
	rig_feed(g, 20000);
	all_on_disk(g);
}

/* Left open by a run that died, and its head is of nobody: a release to come, say. */
START_TEST(left_open)
{
	char path[600], bad[600];
	struct rig g;
	off_t size;
	int fd;

	nothing_there();
	die_after(killed);
	ck_assert(find(".open", 0, path));
	size = size_of(path);
	ck_assert_int_gt(size, 1000);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "?", 1, 20), 1);
	close(fd);
	log_begin();
	box_init(&g.box);
	begin(&g, "");
	rig_feed(&g, 64);
	rig_spin(&g, &g.box.ngaps, 1);
	deliver_all(&g);
	rig_stop(&g);
	log_close();
	ck_assert_uint_eq(g.box.nkept, 64);
	ck_assert_uint_eq(g.box.gaps[0].count, 20000);
	ck_assert(!find(".open", 0, bad));
	ck_assert(find(".open.bad", 0, bad));
	ck_assert_int_eq(size_of(bad), size);
	log_has(path, " was written whole, or is of this output: its ");
	log_has(bad, " now, and not looked at again");
	unlink(LOG);
}
END_TEST

/* Whatever lies there already, nothing is lost. */
START_TEST(put_aside)
{
	static const char *const names[] = { FOLDER "/0000000000000001.open.bad",
					     FOLDER "/0000000000000001.open.bad1" };
	struct segment *list = NULL, s = { .first = 1, .last = 1, .open = true };
	char bad[SEGMENT_BAD];
	struct spool_dir d;

	nothing_there();
	ck_assert_int_eq(spool_dir_open(&d, SPOOL_DIR, "k", "KEEP", NULL, NULL), 0);
	for (int i = 0; i < COUNT(names); i++) {
		unit_write(FOLDER "/0000000000000001.open", names[i]);
		ck_assert_int_eq(segment_put_aside(&d.owner, &s, bad), 0);
		ck_assert_str_eq(bad, strrchr(names[i], '/') + 1);
	}
	for (int i = 0; i < COUNT(names); i++)
		ck_assert_str_eq(unit_read(names[i]), names[i]);
	ck_assert_int_eq(segment_put_aside(&d.owner, &s, bad), -ENOENT);
	ck_assert_int_eq(spool_dir_list(&d, NULL, &list), 0);
	ck_assert_ptr_null(list);
	spool_dir_close(&d);
}
END_TEST

/* Two that share frames: one of them goes, and that is said. */
START_TEST(twice_the_same)
{
	char path[600], other[600];
	struct rig g;

	nothing_there();
	die_after(stopped_with_many);
	ck_assert(find(".seg", 1, path));
	strcpy(other, path);
	strrchr(other, '/')[16]++; /* it begins with the next frame, says its name */
	ck_assert_int_eq(link(path, other), 0);
	run_after(&g);
	ck_assert_uint_eq(g.box.nkept, 40064);
	log_has(other, " begins with frames that another one has as well: removed");
	ck_assert(!find(".seg", 0, path));
	unlink(LOG);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, nothing_there, nothing_there);
	tcase_add_loop_test(t, in_the_middle, 0, HOWS);
	tcase_add_test(t, left_open);
	tcase_add_test(t, put_aside);
	tcase_add_test(t, twice_the_same);
}

int
main(void)
{
	return unit_main("spool_damage", add_tests);
}
