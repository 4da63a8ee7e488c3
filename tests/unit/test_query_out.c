/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows as ctflow writes them, byte by byte. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../query/query.h"
#include "unit.h"

static const struct q_col cols[] = {
	{ "text", Q_TEXT, "TEXT" },
	{ "n", Q_INT, "N" },
	{ "size", Q_BYTES, "SIZE" },
	{ "at", Q_TIME, "AT", Q_C_FRACTION },
	{ "addr", Q_ADDR, "ADDRESS" },
	{ "proto", Q_PROTO, "PROTO" },
	{ "took", Q_DUR, "TOOK" },
	{ "real", Q_REAL, "REAL" },
	{ "wide", Q_TEXT, "WIDE", Q_C_WIDE },
	{ "more", Q_INT, "MORE", Q_C_NEVER },
};
#define COLS (sizeof(cols) / sizeof(*cols))

struct row {
	const char *text, *addr, *wide;
	int64_t n, size, at, proto, took;
	double real;
};

static void
put(struct q *q, const struct row *r)
{
	struct q_addr a = { .family = r->addr ? strchr(r->addr, ':') ? AF_INET6 : AF_INET : 0 };

	if (r->addr)
		ck_assert_int_eq(inet_pton(a.family, r->addr, a.ip), 1);
	q_cell_text(q, r->text);
	q_cell_int(q, r->n);
	q_cell_int(q, r->size);
	q_cell_time(q, r->at);
	q_cell_addr(q, &a);
	q_cell_int(q, r->proto);
	q_cell_int(q, r->took);
	q_cell_real(q, r->real);
	q_cell_text(q, r->wide);
	q_cell_null(q);
	ck_assert_int_eq(q_row_end(q), 0);
}

/* What came out; to be freed. */
static char *
written(struct q *q, const struct row *rows, unsigned n)
{
	FILE *f = tmpfile();
	int saved = dup(STDOUT_FILENO);
	char *text;
	long len;

	ck_assert_ptr_nonnull(f);
	fflush(stdout);
	ck_assert_int_ge(dup2(fileno(f), STDOUT_FILENO), 0);
	ck_assert_int_eq(q_out_begin(q, cols, COLS), 0);
	for (unsigned i = 0; i < n; i++)
		put(q, &rows[i]);
	ck_assert_int_eq(q_out_end(q), 0);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	len = lseek(fileno(f), 0, SEEK_END);
	text = calloc(1, (size_t)len + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(pread(fileno(f), text, (size_t)len, 0), len);
	fclose(f);
	return text;
}

static void
ck_written(struct q *q, const struct row *rows, unsigned n, const char *want)
{
	char *text = written(q, rows, n);

	ck_assert_str_eq(text, want);
	free(text);
}

static const struct row odd[] = {
	{ "a \"b\", c\\d\te\nf", "2001:db8::1", "\xc3\xa4\x01\xff", -5, INT64_C(1) << 40,
	  INT64_C(1774785605250000001), 58, 1500000000, 0.5 },
	{ "", NULL, NULL, INT64_MAX, 999, Q_NEVER, 200, 93784 * INT64_C(1000000000), -2 },
};

START_TEST(machines)
{
	struct q q = { .format = Q_JSON };

	ck_written(&q, odd, 2,
		   "[\n{\"text\":\"a \\\"b\\\", c\\\\d\\u0009e\\u000af\",\"n\":-5,"
		   "\"size\":1099511627776,\"at\":\"2026-03-29T12:00:05.250000001Z\","
		   "\"addr\":\"2001:db8::1\",\"proto\":58,\"took\":1.5,\"real\":0.5,"
		   "\"wide\":\"\xc3\xa4\\u0001\\ufffd\",\"more\":null},\n"
		   "{\"text\":\"\",\"n\":9223372036854775807,\"size\":999,\"at\":null,"
		   "\"addr\":null,\"proto\":200,\"took\":93784,\"real\":-2,\"wide\":null,"
		   "\"more\":null}\n]\n");
	ck_written(&q, odd, 0, "[]\n");
	q.format = Q_NDJSON;
	ck_written(&q, odd + 1, 1,
		   "{\"text\":\"\",\"n\":9223372036854775807,\"size\":999,\"at\":null,"
		   "\"addr\":null,\"proto\":200,\"took\":93784,\"real\":-2,\"wide\":null,"
		   "\"more\":null}\n");
	ck_written(&q, odd, 0, "");
	q.format = Q_CSV;
	ck_written(
		&q, odd, 2,
		"text,n,size,at,addr,proto,took,real,wide,more\n"
		"\"a \"\"b\"\", c\\d\te\nf\",-5,1099511627776,2026-03-29T12:00:05.250000001Z,"
		"2001:db8::1,58,1.5,0.5,\xc3\xa4\x01\xff,\n"
		"\"\",9223372036854775807,999,,,200,93784,-2,,\n");
	q.format = Q_TSV;
	ck_written(
		&q, odd, 1,
		"text\tn\tsize\tat\taddr\tproto\ttook\treal\twide\tmore\n"
		"a \"b\", c\\\\d\\te\\nf\t-5\t1099511627776\t2026-03-29T12:00:05.250000001Z\t"
		"2001:db8::1\t58\t1.5\t0.5\t\xc3\xa4\x01\xff\t\n");
}
END_TEST

/* Right or left, no control character, no blanks at the end of a line. */
START_TEST(people)
{
	static const struct row rows[] = {
		{ "a\033[1mb", "10.0.0.1", "x", 5, 1023, INT64_C(1774785605250000001), 6,
		  1500000000, 0.5 },
		{ "longer", NULL, NULL, 12345, 1536, Q_NEVER, 200, 60000000000, 12.345 },
	};
	struct q q = { .format = Q_TABLE, .utc = true };

	ck_written(
		&q, rows, 2,
		"TEXT        N  SIZE  AT                       ADDRESS   PROTO      TOOK   REAL"
		"  WIDE\n"
		"a?[1mb      5  1.0K  2026-03-29 12:00:05.250  10.0.0.1  tcp      1.500s   0.50"
		"  x\n"
		"longer  12345  1.5K  -                        -         200    00:01:00  12.35"
		"  -\n");
	/* what is wide goes when the terminal is not, or when nobody has it */
	q.width = 75;
	ck_written(&q, rows, 1,
		   "TEXT    N  SIZE  AT                       ADDRESS   PROTO    TOOK  REAL\n"
		   "a?[1mb  5  1.0K  2026-03-29 12:00:05.250  10.0.0.1  tcp    1.500s  0.50\n");
	q.width = 0;
	ck_written(&q, rows + 1, 1,
		   "TEXT        N  SIZE  AT  ADDRESS  PROTO      TOOK   REAL\n"
		   "longer  12345  1.5K  -   -        200    00:01:00  12.35\n");
	ck_written(&q, rows, 0, "");
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		int64_t n;
		const char *text;
	} all[] = { { 0, "0" },          { 999, "999" },         { 1000, "1.0K" },
		    { 10188, "9.9K" },   { 10240, "10K" },       { 1022976, "999K" },
		    { 1023999, "1.0M" }, { 5000000000, "4.7G" }, { INT64_MAX, "8.0E" } };
	struct q q = { .format = Q_TABLE };

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct row r = { .size = all[i].n, .at = Q_NEVER };
		char *text = written(&q, &r, 1), *line = strchr(text, '\n') + 1, size[16];

		ck_assert_int_eq(sscanf(line, "- 0 %15s", size), 1);
		ck_assert_str_eq(size, all[i].text);
		free(text);
	}
}
END_TEST

/* The columns stay as wide as the first rows made them. */
START_TEST(many_rows)
{
	static struct row rows[1200];
	struct q q = { .format = Q_TABLE };
	char *text, *p;
	unsigned n = 0;

	for (unsigned i = 0; i < 1200; i++)
		rows[i] = (struct row){ .n = i, .at = Q_NEVER };
	text = written(&q, rows, 1200);
	for (p = strchr(text, '\n') + 1; *p; p = strchr(p, '\n') + 1, n++)
		ck_assert_int_eq(atoi(p + 4), n);
	ck_assert_uint_eq(n, 1200);
	free(text);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, machines);
	tcase_add_test(tc, people);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, many_rows);
}

int
main(void)
{
	return unit_main("query_out", add_tests);
}
