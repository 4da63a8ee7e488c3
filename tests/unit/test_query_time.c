/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times and lengths as ctflow reads and writes them. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "../../query/query.h"
#include "unit.h"

#define SEC INT64_C(1000000000)
/* 2026-03-29 12:00:05 UTC; summer time began in Berlin eleven hours before. */
#define NOW (INT64_C(1774785605) * SEC + 250000000)

static void
zone(const char *tz)
{
	ck_assert_int_eq(setenv("TZ", tz, 1), 0);
	tzset();
}

static const struct {
	const char *text;
	int64_t s, ns;
	bool utc;
} times[] = {
	{ "2026-03-29T10:00:00Z", 1774778400, 0 },
	{ "2026-03-29T10:00:00z", 1774778400, 0 },
	{ "2026-03-29 10:00:00 UTC", 1774778400, 0 },
	{ "2026-03-29T12:00:00+02:00", 1774778400, 0 },
	{ "2026-03-29T12:00:00+0200", 1774778400, 0 },
	{ "2026-03-29T12:00+02", 1774778400, 0 },
	{ "2026-03-29T05:30:00-04:30", 1774778400, 0 },
	{ "2026-03-29T10:00:00.5Z", 1774778400, 500000000 },
	{ "2026-03-29T10:00:00.123456789Z", 1774778400, 123456789 },
	{ "2026-03-29T10:00:00,25Z", 1774778400, 250000000 },
	/* without a zone: local, in which one hour is missing */
	{ "2026-03-29T12:00", 1774778400, 0 },
	{ "2026-03-29 12:00:07", 1774778407, 0 },
	{ "2026-03-29 01:59:59", 1774745999, 0 },
	{ "2026-03-29 03:00", 1774746000, 0 },
	{ "2026-03-29T10:00", 1774778400, 0, true },
	{ "2026-03-29", 1774738800, 0 },
	{ "2026-03-29", 1774742400, 0, true },
	{ "2026-03-29Z", 1774742400, 0 },
	{ "2024-02-29", 1709161200, 0 },
	/* of today, of yesterday */
	{ "today", 1774738800, 0 },
	{ "TODAY", 1774738800, 0 },
	{ "yesterday", 1774652400, 0 },
	{ "yesterday 12:00", 1774695600, 0 },
	{ "yesterdayT12:00:30", 1774695630, 0 },
	{ "tomorrow", 1774821600, 0 },
	{ "14:00", 1774785600, 0 },
	{ "14:00:07.5", 1774785607, 500000000 },
	{ "24:00", 1774821600, 0 },
	{ "14:00Z", 1774792800, 0 },
	/* relative */
	{ "now", 1774785605, 250000000 },
	{ "now-1h", 1774782005, 250000000 },
	{ "now+90s", 1774785695, 250000000 },
	{ "now-1h30m", 1774780205, 250000000 },
	{ "now-10", 1774785595, 250000000 },
	{ "1h", 1774782005, 250000000 },
	{ "250ms", 1774785605, 0 },
	{ "1.5h", 1774780205, 250000000 },
	{ "2d", 1774612805, 250000000 },
	{ "1w", 1774180805, 250000000 },
	/* of Unix */
	{ "@0", 0, 0 },
	{ "@1774778400", 1774778400, 0 },
	{ "@1774778400.000000001", 1774778400, 1 },
};

START_TEST(read_times)
{
	struct q q = { .now_ns = NOW, .utc = times[_i].utc };
	struct ctf_err err = { .msg = "" };
	int64_t ns = 1;

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	ck_assert_msg(q_when(&q, times[_i].text, &ns, &err) == 0, "%s: %s", times[_i].text,
		      err.msg);
	ck_assert_msg(ns == times[_i].s * SEC + times[_i].ns,
		      "%s: %lld.%09lld, not %lld.%09lld", times[_i].text, (long long)(ns / SEC),
		      (long long)(ns % SEC), (long long)times[_i].s, (long long)times[_i].ns);
}
END_TEST

static const char *const no_times[] = {
	"",
	"soon",
	"12",
	"2026",
	"2026-13-01",
	"2026-02-29",
	"2026-02-30",
	"2026-1-1",
	"2026-01-01T",
	"2026-01-01 25:00",
	"12:60",
	"12:00:61",
	"24:01",
	"1:00",
	"now-",
	"now1h",
	"now*2",
	"now-1x",
	"now-h",
	"@",
	"@x",
	"@1.",
	"@1x",
	"yesterdays",
	"2026-01-01X",
	"-1h",
	"12:00+25:00",
	"12:00:00.",
	"12:00 PM",
	"2026-01-01 12:00 CET",
	"1e3s",
	"0x10s",
	"99999999999999999999s",
	"now-9999999999999999999",
	"@99999999999999999999",
	"1969-12-31",
};

START_TEST(refuse_times)
{
	struct q q = { .now_ns = NOW };
	struct ctf_err err = { .msg = "" };
	int64_t ns = 42;

	zone("UTC");
	ck_assert_msg(q_when(&q, no_times[_i], &ns, &err) == -EINVAL, "\"%s\" is %lld",
		      no_times[_i], (long long)ns);
	ck_assert_int_eq(ns, 42);
	ck_assert_ptr_nonnull(strstr(err.msg, "is no time"));
}
END_TEST

START_TEST(write_times)
{
	struct q q = { .now_ns = NOW };
	char text[Q_TIME_TEXT];

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	q_time_text(&q, NOW, false, text);
	ck_assert_str_eq(text, "2026-03-29 14:00:05");
	q_time_text(&q, NOW, true, text);
	ck_assert_str_eq(text, "2026-03-29 14:00:05.250");
	q_time_iso(NOW, text);
	ck_assert_str_eq(text, "2026-03-29T12:00:05.250000000Z");
	q_time_iso(-1, text);
	ck_assert_str_eq(text, "1969-12-31T23:59:59.999999999Z");
	q.utc = true;
	q_time_text(&q, NOW, false, text);
	ck_assert_str_eq(text, "2026-03-29 12:00:05");
}
END_TEST

/* What is written is read as the same. */
START_TEST(round_trip)
{
	struct q q = { .now_ns = NOW };
	uint64_t x = 88172645463325252u;

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (unsigned i = 0; i < 20000; i++) {
		char text[Q_TIME_TEXT];
		int64_t ns, again;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		ns = (int64_t)(x % (UINT64_C(9000000000) * (uint64_t)SEC));
		q_time_iso(ns, text);
		ck_assert_int_eq(q_when(&q, text, &again, NULL), 0);
		ck_assert_int_eq(again, ns);
	}
}
END_TEST

START_TEST(lengths)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = { { "90", 90 * SEC },    { "90s", 90 * SEC },
		     { "5m", 300 * SEC },   { "1h30m", 5400 * SEC },
		     { "6h", 21600 * SEC }, { "2d", 172800 * SEC },
		     { "500ms", SEC / 2 },  { "0", 0 },
		     { "0.5s", SEC / 2 } };
	static const char *const bad[] = {
		"", "h", "5x", "-5s", "5 s", "1h-2m", "9999999999999w"
	};
	int64_t ns;

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		ck_assert_int_eq(q_length(good[i].text, &ns, NULL), 0);
		ck_assert_int_eq(ns, good[i].ns);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(q_length(bad[i], &ns, NULL) == -EINVAL, "\"%s\"", bad[i]);
}
END_TEST

START_TEST(length_texts)
{
	static const struct {
		int64_t ns;
		const char *text;
	} all[] = { { 0, "0.000s" },
		    { 1234567890, "1.234s" },
		    { 59999999999, "59.999s" },
		    { 60 * SEC, "00:01:00" },
		    { 86399 * SEC, "23:59:59" },
		    { 93784 * SEC, "1d 02:03:04" },
		    { -5 * SEC, "-5.000s" } };
	char text[Q_TIME_TEXT];

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		q_length_text(all[i].ns, text);
		ck_assert_str_eq(text, all[i].text);
	}
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, read_times, 0, sizeof(times) / sizeof(*times));
	tcase_add_loop_test(tc, refuse_times, 0, sizeof(no_times) / sizeof(*no_times));
	tcase_add_test(tc, write_times);
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, lengths);
	tcase_add_test(tc, length_texts);
}

int
main(void)
{
	return unit_main("query_time", add_tests);
}
