/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a killed daemon had written to a file of messages: ipfix_file_open.c,
 * compiled in; the core is a few functions here.
 */
#include "../../output/ipfix_file_open.c"

#include <check.h>
#include <stdarg.h>

#include "unit.h"

#define PAGE 4096

static uint64_t page[PAGE / 8], found;
static bool kept;
static int nfound; /* -1: not exactly */
static ctf_counter counter;
static char dir[64], path[128];
static struct ipfix_conf options = { .file_path = path };

void *
ctf_state(struct ctf_ctx *ctx, const char *part, size_t size, bool *ret_kept)
{
	ck_assert_uint_le(size, PAGE);
	*ret_kept = kept;
	return page;
}

void
ctf_found(struct ctf_ctx *ctx, uint64_t upto, bool exact)
{
	found = upto;
	nfound = exact ? 1 : -1;
}

ctf_counter *
ctf_metric_new(struct ctf_ctx *ctx, const char *name, enum ctf_metric kind, enum ctf_unit unit,
	       const char *help)
{
	return &counter;
}

void
ctf_will_remake(struct ctf_ctx *ctx, const char *file)
{
}

int
ctf_own(const struct ctf_ctx *ctx, int fd)
{
	return 0;
}

void
ctf_log(const struct ctf_ctx *ctx, enum ctf_level level, const char *fmt, ...)
{
}

int
ctf_fail(struct ctf_err *err, int errnum, const char *fmt, ...)
{
	return -errnum;
}

uint64_t
ctf_now(void)
{
	return 1;
}

/* A message of that many octets at the end of the file. */
static void
append(int fd, uint16_t len)
{
	uint8_t m[600] = { 0, 10, (uint8_t)(len >> 8), (uint8_t)len };

	ck_assert_int_eq(write(fd, m, len), len);
}

/* What the next run finds. */
static void
look(void)
{
	struct ipfix_sink s = { .o.conf = &options };
	struct ctf_err err = { 0 };

	kept = true;
	nfound = 0;
	ck_assert_int_eq(ipfix_file_open(&s, &err), 0);
	ipfix_file_close(&s);
}

/*
 * Up to flow 100 all had arrived, 300 octets; two messages more of 200 octets
 * to flow 110 and of 300 to flow 130 were under way.
 */
static void
die(uint32_t size)
{
	static const struct ipfix_part part[] = { { 200, 110 }, { 300, 130 } };
	struct ipfix_sink s = { .o.conf = &options };
	struct ctf_err err = { 0 };
	int fd;

	kept = false;
	memset(page, 0, sizeof(page));
	ck_assert_int_eq(ipfix_file_open(&s, &err), 0);
	fd = s.fd;
	append(fd, 300);
	s.file.off = 300;
	ipfix_file_note(&s, NULL, 0, 100);
	ipfix_file_note(&s, part, 2, 100);
	append(fd, 200);
	append(fd, 300);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	close(fd);
}

static const struct {
	uint32_t size;
	uint64_t found;
	int exact;
} cases[] = {
	{ 300, 100, 1 }, { 301, 100, 1 }, { 499, 100, 1 },  { 500, 110, 1 }, { 501, 110, 1 },
	{ 799, 110, 1 }, { 800, 130, 1 }, { 299, 100, -1 }, { 0, 100, -1 },
};

START_TEST(in_a_write)
{
	die(cases[_i].size);
	look();
	ck_assert_uint_eq(found, cases[_i].found);
	ck_assert_int_eq(nfound, cases[_i].exact);
}
END_TEST

/* The path leads elsewhere: at most what was known before. */
START_TEST(another_file)
{
	char other[200];

	die(800);
	snprintf(other, sizeof(other), "%s.moved", path);
	ck_assert_int_eq(rename(path, other), 0);
	look();
	ck_assert_uint_eq(found, 100);
	ck_assert_int_eq(nfound, -1);
}
END_TEST

/* Between two writes, wherever the file is by now. */
START_TEST(between_writes)
{
	struct ipfix_sink s = { .o.conf = &options };
	struct ctf_err err = { 0 };

	memset(page, 0, sizeof(page));
	kept = false;
	ck_assert_int_eq(ipfix_file_open(&s, &err), 0);
	ipfix_file_note(&s, NULL, 0, 77);
	ipfix_file_close(&s);
	ck_assert_int_eq(unlink(path), 0);
	look();
	ck_assert_uint_eq(found, 77);
	ck_assert_int_eq(nfound, 1);
}
END_TEST

/* A page that makes no sense, from a disk gone bad. */
START_TEST(garbage)
{
	memset(page, 0xff, sizeof(page));
	look();
	ck_assert_int_eq(nfound, 0);
	memset(page, 0, sizeof(page));
	look();
	ck_assert_int_eq(nfound, 0);
}
END_TEST

static void
setup(void)
{
	strcpy(dir, "/tmp/test_ipfix_kept.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
}

static void
teardown(void)
{
	char cmd[100];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, in_a_write, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, another_file);
	tcase_add_test(t, between_writes);
	tcase_add_test(t, garbage);
}

int
main(void)
{
	return unit_main("ipfix_file_kept", add_tests);
}
