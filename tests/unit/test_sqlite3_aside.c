/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: a damaged database is set aside, and nothing undelivered is lost. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sqlite3_help.h"
#include "unit.h"

#define PAGE 8192

static void
overwrite(long at, size_t len, int byte)
{
	int fd = open(db_path(), O_WRONLY);
	char *junk = malloc(len);

	ck_assert_int_ge(fd, 0);
	memset(junk, byte, len);
	ck_assert_int_eq(pwrite(fd, junk, len, at), (ssize_t)len);
	close(fd);
	free(junk);
}

/* How many were set aside; the path of the first. */
static size_t
aside(char *ret_path, size_t size)
{
	glob_t g;
	size_t n;

	snprintf(ret_path, size, "%s.damaged-*Z", db_path());
	ck_assert_int_eq(glob(ret_path, 0, NULL, &g) == 0, 1);
	n = g.gl_pathc;
	snprintf(ret_path, size, "%s", g.gl_pathv[0]);
	globfree(&g);
	return n;
}

static struct plug *
with_rows(unsigned n)
{
	struct plug *p = db_plug("flows", "");

	flows_put(p, 0, n);
	deliver_ok(p);
	plug_close(p);
	return p;
}

/* Only the pages of the rows: it opens, and cannot be written. */
START_TEST(while_storing)
{
	struct plug *p = with_rows(1000);
	struct ctf_err err;
	char path[4096];
	long root = atol(db_query("SELECT rootpage FROM sqlite_master WHERE type = 'table' AND"
				  " name LIKE 'flows\\_________' ESCAPE '\\'"));

	ck_assert_int_gt(root, 1);
	overwrite((root - 1) * PAGE, PAGE, 0xa5);
	flows_put(p, 1000, 1500);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	ck_assert_ptr_nonnull(strstr(err.msg, "malformed"));
	plug_close(p);
	deliver_ok(p);
	ck_query("SELECT count(*), min(id), max(id) FROM flows", "500|1000|1499");
	ck_query("PRAGMA integrity_check", "ok");
	ck_assert_uint_eq(aside(path, sizeof(path)), 1);
	/* Who asks is not told that nobody had what the other one knew. */
	ck_query("SELECT value > 1700000000000000000 FROM meta WHERE key = 'kept_from:flows'",
		 "1");
	plug_free(p);
}
END_TEST

/* All but the first page. */
START_TEST(at_open)
{
	struct plug *p = with_rows(1000);
	char path[4096];

	plug_free(p);
	overwrite(PAGE, 100 * PAGE, 0x5a);
	p = db_plug("flows", "");
	flows_put(p, 2000, 2010);
	deliver_ok(p);
	ck_query("SELECT count(*), min(id) FROM flows", "10|2000");
	ck_assert_uint_eq(aside(path, sizeof(path)), 1);
	plug_free(p);
}
END_TEST

/* As after a power cut, with a WAL that goes along. */
START_TEST(first_page)
{
	struct plug *p = with_rows(10);
	char path[4096], wal[4200];
	FILE *f;

	plug_free(p);
	overwrite(0, PAGE, 0);
	f = fopen(db_beside("-wal"), "w");
	ck_assert_ptr_nonnull(f);
	fputs("what was there", f);
	fclose(f);
	p = db_plug("flows", "");
	flows_put(p, 20, 25);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows", "5");
	ck_assert_uint_eq(aside(path, sizeof(path)), 1);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	ck_assert_int_eq(access(wal, F_OK), 0);
	plug_free(p);
}
END_TEST

/* What is no database of ours is a mistake of the configuration. */
START_TEST(not_ours)
{
	struct ctf_err err = { 0 };
	char text[64] = "", options[4200];
	FILE *f = fopen(db_path(), "w");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 100; i++)
		fputs("a line of a letter\n", f);
	fclose(f);
	snprintf(options, sizeof(options), "db=\"%s\"\ntable=flows\n", db_path());
	ck_assert_int_lt(plug_try(&ctf_plugin_sqlite3, options, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "not a database"));
	f = fopen(db_path(), "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	ck_assert_str_eq(text, "a line of a letter\n");
}
END_TEST

/* Somebody else's table cannot be made again. */
START_TEST(foreign)
{
	struct plug *p;
	struct ctf_err err;
	char pattern[4096];
	glob_t g;

	db_exec("CREATE TABLE mine(orig_ip_saddr TEXT, orig_l4_sport INTEGER);"
		"PRAGMA application_id = 0x6374666c");
	p = db_plug("mine", "");
	flows_put(p, 0, 10);
	deliver_ok(p);
	plug_close(p);
	overwrite(PAGE, PAGE, 0xa5);
	flows_put(p, 10, 20);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	plug_close(p);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	snprintf(pattern, sizeof(pattern), "%s.damaged-*", db_path());
	ck_assert_int_eq(glob(pattern, 0, NULL, &g), GLOB_NOMATCH);
	plug_free(p);
}
END_TEST

/* Deleted under the daemon: what it makes then does not know the time before. */
START_TEST(deleted)
{
	struct plug *p = with_rows(10);
	struct ctf_err err;

	flows_put(p, 10, 20);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM meta WHERE key = 'kept_from:flows'", "0");
	unlink(db_path());
	flows_put(p, 20, 30);
	plug_seal(p);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_RETRY);
	plug_close(p);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows", "10");
	ck_query("SELECT count(*) FROM meta WHERE key = 'kept_from:flows'", "1");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_add_test(t, while_storing);
	tcase_add_test(t, at_open);
	tcase_add_test(t, first_page);
	tcase_add_test(t, not_ours);
	tcase_add_test(t, foreign);
	tcase_add_test(t, deleted);
}

int
main(void)
{
	return unit_main("sqlite3_aside", add_tests);
}
