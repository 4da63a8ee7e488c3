/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slow tick every second and a heartbeat every ten, whatever the timer does. */
#include "ticker.h"
#include "unit.h"

struct tally {
	unsigned slow, beats;
	uint64_t beat_ms; /* the first */
};

/* n ticks of a timer set to every_ms, each that late. */
static struct tally
run(unsigned every_ms, unsigned late_ms, unsigned n)
{
	struct ticker t = { .last = 5000 };
	struct tally is = { 0 };

	for (unsigned i = 1; i <= n; i++) {
		uint64_t ms = (uint64_t)i * (every_ms + late_ms);

		if (!ticker_slow(&t, 5000 + ms, every_ms, 1000))
			continue;
		is.slow++;
		if (ticker_beat(&t, 10000) && !is.beats++)
			is.beat_ms = ms;
	}
	return is;
}

START_TEST(in_time)
{
	struct tally is = run(1000, 0, 30);

	ck_assert_uint_eq(is.slow, 30);
	ck_assert_uint_eq(is.beats, 3);
	ck_assert_uint_eq(is.beat_ms, 10000);
	is = run(10, 0, 3000);
	ck_assert_uint_eq(is.slow, 30);
	ck_assert_uint_eq(is.beats, 3);
}
END_TEST

/* A look every 10 ms that takes 50. */
START_TEST(late)
{
	struct tally is = run(10, 40, 600);

	ck_assert_uint_eq(is.slow, 30);
	ck_assert_uint_eq(is.beats, 3);
	ck_assert_uint_eq(is.beat_ms, 10000);
}
END_TEST

/* Stopped for an hour: no hundreds of heartbeats after it. */
START_TEST(very_late)
{
	struct tally is = run(10, 3600000, 1);

	ck_assert_uint_eq(is.slow, 1);
	ck_assert_uint_eq(is.beats, 1);
}
END_TEST

/* Ticks a little early by the clock count as whole ones. */
START_TEST(rounded)
{
	struct ticker t = { .last = 5000 };

	ck_assert(ticker_slow(&t, 5999, 1000, 1000));
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, in_time);
	tcase_add_test(tc, late);
	tcase_add_test(tc, very_late);
	tcase_add_test(tc, rounded);
}

int
main(void)
{
	return unit_main("ticker", add_tests);
}
