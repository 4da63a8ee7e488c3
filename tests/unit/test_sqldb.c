/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What PGSQL and MYSQL share: statements, values and text. */
#include <stdlib.h>

#include "sqldb.h"
#include "unit.h"

START_TEST(procedures)
{
	static const struct {
		const char *text;
		enum sqldb_call call;
		const char *name;
	} cases[] = {
		{ "INSERT", SQLDB_INSERT, "INSERT" },
		{ "insert into x", SQLDB_INSERT, "insert into x" },
		{ "INSERT_CT", SQLDB_SELECT, "INSERT_CT" },
		{ "CALL f", SQLDB_CALL, "f" },
		{ "call  s.f", SQLDB_CALL, "s.f" },
		{ "callme", SQLDB_CALL, "callme" },
		{ "CALL", SQLDB_CALL, "CALL" },
		{ "recall", SQLDB_SELECT, "recall" },
	};
	const char *name;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_int_eq(sqldb_call(cases[i].text, &name), cases[i].call);
		ck_assert_str_eq(name, cases[i].name);
	}
}
END_TEST

START_TEST(utf8)
{
	static const char *const cases[][2] = {
		{ "plain", "plain" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		  "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "a\xff"
		  "b",
		  "a?b" },
		{ "\xc3", "?" },
		{ "\xc0\xaf", "??" },           /* overlong */
		{ "\xed\xa0\x80", "???" },      /* half a pair */
		{ "\xf4\x90\x80\x80", "????" }, /* beyond Unicode */
		{ "\xe2\x82", "??" },
	};
	char text[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		strcpy(text, cases[i][0]);
		sqldb_utf8(text, strlen(text));
		ck_assert_str_eq(text, cases[i][1]);
	}
	memcpy(text, "a\0b", 4);
	sqldb_utf8(text, 3);
	ck_assert_str_eq(text, "a?b");
}
END_TEST

static void
value(const char *column, enum sq_as as, enum ctf_type type, const struct sq_cell *cell,
      struct sq_value *v)
{
	char name[64];
	struct sq_column col = { name, as, 0 };
	struct sqldb s = { .table = { true, 1, &col }, .layout = { .n = 1 } };

	strcpy(name, column);
	s.layout.type[0] = type;
	sqldb_value(&s, 0, cell, v);
}

START_TEST(values)
{
	static const uint8_t ip[4] = { 10, 77, 0, 1 };
	struct sq_cell addr = { true, 4, 0, ip },
		       time = { true, 8, UINT64_C(1500000000), NULL };
	struct sq_cell bin = { true, 4, 0, ip };
	struct sq_value v;

	value("orig_ip_saddr", SQ_AS_INT, CTF_IP, &addr, &v);
	ck_assert_int_eq(v.is, SQ_NUMBER);
	ck_assert_uint_eq(v.u, 16796938); /* as ulogd2 */
	value("orig_ip_saddr", SQ_AS_TEXT, CTF_IP, &addr, &v);
	ck_assert_int_eq(v.is, SQ_TEXT);
	ck_assert_mem_eq(v.p, "10.77.0.1", v.len);
	value("t", SQ_AS_TIME, CTF_TIME, &time, &v);
	ck_assert_int_eq(v.is, SQ_TIME);
	value("t", SQ_AS_TEXT, CTF_TIME, &time, &v);
	ck_assert_mem_eq(v.p, "1970-01-01T00:00:01.500000Z", v.len);
	value("orig_ip_saddr_bin", SQ_AS_BLOB, CTF_BYTES, &bin, &v);
	ck_assert_int_eq(v.is, SQ_BYTES);
	ck_assert_uint_eq(v.len, 4);
	ck_assert_mem_eq(v.p, ip, 4);
	value("orig_ip_saddr_bin", SQ_AS_TEXT, CTF_BYTES, &bin, &v);
	ck_assert_int_eq(v.is, SQ_TEXT);
	ck_assert_mem_eq(v.p, "0a4d0001", v.len);
	value("note", SQ_AS_TEXT, CTF_TEXT, &bin, &v);
	ck_assert_int_eq(v.is, SQ_TEXT);
	bin.has = false;
	value("x_bin", SQ_AS_BLOB, CTF_TEXT, &bin, &v);
	ck_assert_int_eq(v.is, SQ_NULL);
}
END_TEST

START_TEST(texts_grow)
{
	struct buf b = { .len = 0 };

	for (unsigned i = 0; i < 3000; i++) {
		buf_num(&b, 18);
		buf_puts(&b, ",");
		buf_hex(&b, "\x0a\xff", 2);
	}
	ck_assert(!b.failed);
	ck_assert_uint_eq(b.len, 3000 * 7);
	ck_assert_str_eq(b.p + b.len - 7, "18,0aff");
	buf_num(&b, UINT64_MAX);
	buf_int(&b, -1);
	buf_int(&b, INT64_MIN);
	ck_assert_str_eq(b.p + 3000 * 7, "18446744073709551615-1-9223372036854775808");
	buf_free(&b);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, procedures);
	tcase_add_test(t, utf8);
	tcase_add_test(t, values);
	tcase_add_test(t, texts_grow);
}

int
main(void)
{
	return unit_main("sqldb", add_tests);
}
