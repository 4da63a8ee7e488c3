/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions in the dialect of ClickHouse, and where they are asked. */
#include <errno.h>
#include <stdlib.h>

#include "ch_sql.h"
#include "unit.h"

#define IP(last12) "toFixedString(unhex('00000000000000000000ffff" last12 "'), 16)"

/* The SQL of an expression; *q is to be freed. */
static const char *
sql_of(struct ch_query *q, enum ch_table table, const char *text)
{
	struct ctf_expr *expr;
	struct ctf_err err = { .msg = "" };

	*q = (struct ch_query){ .nsets = 0 };
	ck_assert_msg(ctf_expr_parse(NULL, NULL, text, &expr, &err) == 0, "%s", err.msg);
	ch_put_expr(q, table, ctf_expr_root(expr));
	ck_assert(!q->sql.failed);
	ctf_expr_free(expr);
	return q->sql.p;
}

static void
is(const char *expr, const char *want)
{
	struct ch_query q;

	ck_assert_str_eq(sql_of(&q, CH_FLOWS, expr), want);
	ck_assert_uint_eq(q.nsets, 0);
	ch_query_free(&q);
}

static void
has(enum ch_table table, const char *expr, const char *want)
{
	struct ch_query q;
	const char *sql = sql_of(&q, table, expr);

	ck_assert_msg(strstr(sql, want) != NULL, "%s: %s", expr, sql);
	ch_query_free(&q);
}

START_TEST(tests_of_values)
{
	is("src 10.0.0.1", "((0 OR src = " IP("0a000001") "))");
	is("src net 10.0.0.0/24",
	   "((0 OR (src >= " IP("0a000000") " AND src <= " IP("0a0000ff") ")))");
	is("src bytes > 5", "((0 OR ((orig_bytes) >= 6)))");
	is("src bytes < 5", "((0 OR ((orig_bytes) >= 0 AND (orig_bytes) <= 4)))");
	is("tcp and not udp", "(((0 OR (proto) IN (6))) AND (NOT ((0 OR (proto) IN (17)))))");
	is("tcp or udp or icmp", "(((0 OR (proto) IN (6))) OR ((0 OR (proto) IN (17)))"
				 " OR ((0 OR (proto) IN (1))))");
	/* -1 is not known, and has no bits */
	is("mark 1/3", "((0 OR ((mark) >= 0 AND bitAnd(toUInt64(mark), toUInt64(3)) ="
		       " toUInt64(1))))");
	/* what is larger than any number of a flow */
	is("src bytes > 18446744073709551614", "((0))");
	/* what was not translated is on the other side as it is here */
	has(CH_FLOWS, "nat src port 80", "if(nat_sport = -1, sport, nat_sport)");
	has(CH_FLOWS, "duration > 1s", "end_ns - start_ns");
	has(CH_OPEN, "duration > 1s", "seen_ns - start_ns");
}
END_TEST

/* IPv4 and what has no address stand among those of IPv6. */
START_TEST(nets_of_both_families)
{
	struct ch_query q;

	has(CH_FLOWS, "src net ::/0", " AND src != toFixedString('', 16) AND NOT (src >= ");
	ck_assert_ptr_null(strstr(sql_of(&q, CH_FLOWS, "src net fd00::/8"), " AND NOT "));
	ch_query_free(&q);
	is("src ::ffff:10.0.0.1", "((0))");
}
END_TEST

/* ::/0 but for where IPv4 is stored, and no address. */
START_TEST(all_of_ipv6)
{
	char text[512] = "src host in { ::/0, ::/80";
	struct ch_query q;
	size_t n = strlen(text);

	for (unsigned i = 0; i < 9; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ", 10.0.0.%u", 2 * i + 1);
	snprintf(text + n, sizeof(text) - n, " }");
	sql_of(&q, CH_FLOWS, text);
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "\n1\n2\n3\n"));
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "\n00000000000000000000E\n"));
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "\n00000000000000000000FFFE\n"));
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "\n00000000000000000000000000000001\n"));
	ck_assert_ptr_null(strstr(q.sets[0].rows.p, "\n00000000000000000000000000000000\n"));
	ck_assert_ptr_null(strstr(q.sets[0].rows.p, "FFFF\n"));
	ch_query_free(&q);
}
END_TEST

/* 40 single addresses, some that are a range, and one of IPv6. */
START_TEST(long_lists_go_along)
{
	char text[4096] = "src host in { 10.1.0.0, 10.1.0.1, 10.1.0.2, fd00::/20";
	struct ch_query q;
	size_t n = strlen(text);
	const char *sql;

	for (unsigned i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ", 10.0.0.%u", 2 * i + 1);
	snprintf(text + n, sizeof(text) - n, " }");
	sql = sql_of(&q, CH_FLOWS, text);
	ck_assert_uint_eq(q.nsets, 1);
	ck_assert_str_eq(q.sets[0].structure, "a String");
	/* a prefix that ends within a digit is some that do not */
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "00000000000000000000FFFF0A010000\n"
						       "00000000000000000000FFFF0A010001\n"
						       "00000000000000000000FFFF0A010002\n"));
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "00000000000000000000FFFF0A00004F\n"));
	ck_assert_ptr_nonnull(strstr(q.sets[0].rows.p, "\nFD000\n"));
	ck_assert_str_eq(sql, "((0 OR substring((hex(src) AS ctf_x0), 1, 5) IN ctf_0"
			      " OR substring(ctf_x0, 1, 32) IN ctf_0))");
	ch_query_free(&q);
}
END_TEST

START_TEST(no_string_ends_early)
{
	struct ch_text t = { .p = NULL };

	ch_put_string(&t, "gw-1.example");
	ch_put_string(&t, "a'b\\c\n\xc3\xa4`");
	ck_assert_str_eq(t.p, "'gw-1.example''a\\x27b\\x5cc\\x0a\\xc3\\xa4\\x60'");
	ch_text_free(&t);
}
END_TEST

static void
refused(const char *url, const char *why)
{
	struct ctf_err err = { .msg = "" };
	struct ch *ch = NULL;

	ck_assert_int_eq(ch_url(url, &ch, &err), -EINVAL);
	ck_assert_msg(strstr(err.msg, why) != NULL, "%s: %s", url, err.msg);
}

static void
goes_to(const char *url, const char *name, const char *http)
{
	struct ctf_err err = { .msg = "" };
	struct ch *ch = NULL;

	ck_assert_msg(ch_url(url, &ch, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(ch->name, name);
	ck_assert_str_eq(ch->url, http);
	ch_free(ch);
}

START_TEST(urls)
{
	struct ctf_err err = { .msg = "" };
	struct ch *ch;

	unsetenv("CLICKHOUSE_PASSWORD");
	goes_to("clickhouse://db.example/ctflow", "clickhouse://db.example:8123/ctflow",
		"http://db.example:8123/?database=ctflow");
	goes_to("clickhouses://me@[::1]:9443/x?timeout=5s", "clickhouses://[::1]:9443/x",
		"https://[::1]:9443/?database=x");
	goes_to("clickhouses://[::1]/x", "clickhouses://[::1]:8443/x",
		"https://[::1]:8443/?database=x");
	refused("clickhouse://me:secret@h/db", "password");
	refused("clickhouse://h/", "missing");
	refused("clickhouse://h", "missing");
	refused("clickhouse:///db", "no host");
	refused("clickhouse://h:0/db", "not a port");
	refused("clickhouse://h:99999/db", "not a port");
	refused("clickhouse://h:12x/db", "not a port");
	refused("clickhouse://[::1/db", "not an address");
	refused("clickhouse://h\n/db", "no host");
	refused("clickhouse://me%0d%0aX@h/db", "no user");
	refused("clickhouse://h/d%00b", "missing");
	refused("clickhouse://h/db?timeout=0", "timeout");
	refused("clickhouse://h/db?max_threads=1", "password_file");
	refused("clickhouse://h/db&max_threads=1", "not expected");
	setenv("CLICKHOUSE_PASSWORD", "two\nlines", 1);
	refused("clickhouse://h/db", "control characters");
	setenv("CLICKHOUSE_PASSWORD", "o'p\"en", 1);
	ck_assert_int_eq(ch_url("clickhouse://m%40e@h/db", &ch, &err), 0);
	ck_assert_str_eq(ch->headers[0], "X-ClickHouse-User: m@e");
	ck_assert_str_eq(ch->headers[1], "X-ClickHouse-Key: o'p\"en");
	ck_assert_ptr_null(ch->headers[2]);
	ch_free(ch);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, tests_of_values);
	tcase_add_test(t, nets_of_both_families);
	tcase_add_test(t, all_of_ipv6);
	tcase_add_test(t, long_lists_go_along);
	tcase_add_test(t, no_string_ends_early);
	tcase_add_test(t, urls);
}

int
main(void)
{
	return unit_main("query_clickhouse", add_tests);
}
