/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several messages with one call: which there are, and how long they were. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nfct_burst.h"
#include "unit.h"

struct lane {
	int to, from;
	struct nfct_burst burst;
};

static void
lane_open(struct lane *l)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fd), 0);
	l->to = fd[0];
	l->from = fd[1];
	memset(&l->burst, 0, sizeof(l->burst));
}

static void
lane_close(struct lane *l)
{
	close(l->to);
	close(l->from);
}

/* len octets, each the number. */
static void
give(const struct lane *l, uint8_t number, size_t len)
{
	uint8_t msg[2 * NFCT_MESSAGE_MAX];

	memset(msg, number, len);
	ck_assert_int_eq(send(l->to, msg, len, 0), len);
}

static void
check_at(const struct lane *l, unsigned i, uint8_t number, size_t len)
{
	size_t got = 0;
	const uint8_t *p = nfct_burst_at(&l->burst, i, &got);

	ck_assert_uint_eq(got, len);
	ck_assert_uint_eq(p[0], number);
	ck_assert_uint_eq(p[(len < NFCT_MESSAGE_MAX ? len : NFCT_MESSAGE_MAX) - 1], number);
}

START_TEST(all_that_wait_come_in_order)
{
	struct lane l;

	lane_open(&l);
	ck_assert_int_eq(nfct_burst_receive(&l.burst, l.from, NFCT_BURST, false), -EAGAIN);
	give(&l, 1, 1);
	give(&l, 2, NFCT_MESSAGE_MAX);
	give(&l, 3, 300);
	ck_assert_int_eq(nfct_burst_receive(&l.burst, l.from, NFCT_BURST, false), 3);
	check_at(&l, 0, 1, 1);
	check_at(&l, 1, 2, NFCT_MESSAGE_MAX);
	check_at(&l, 2, 3, 300);
	ck_assert_int_eq(nfct_burst_receive(&l.burst, l.from, NFCT_BURST, false), -EAGAIN);
	lane_close(&l);
}
END_TEST

/* And the one behind it is whole. */
START_TEST(one_that_is_too_long_says_so)
{
	struct lane l;

	lane_open(&l);
	give(&l, 1, NFCT_MESSAGE_MAX + 1);
	give(&l, 2, 100);
	ck_assert_int_eq(nfct_burst_receive(&l.burst, l.from, NFCT_BURST, false), 2);
	check_at(&l, 0, 1, NFCT_MESSAGE_MAX + 1);
	check_at(&l, 1, 2, 100);
	lane_close(&l);
}
END_TEST

START_TEST(no_more_than_asked_for)
{
	struct lane l;

	lane_open(&l);
	for (unsigned i = 0; i < 8; i++)
		give(&l, (uint8_t)i, 250);
	ck_assert_int_eq(nfct_burst_receive(&l.burst, l.from, 3, true), 3);
	check_at(&l, 2, 2, 250);
	ck_assert_int_eq(nfct_burst_nsid(&l.burst, 2), -1);
	ck_assert_int_eq(nfct_burst_receive(&l.burst, l.from, 10 * NFCT_BURST, true), 5);
	check_at(&l, 0, 3, 250);
	check_at(&l, 4, 7, 250);
	lane_close(&l);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, all_that_wait_come_in_order);
	tcase_add_test(tc, one_that_is_too_long_says_so);
	tcase_add_test(tc, no_more_than_asked_for);
}

int
main(void)
{
	return unit_main("nfct_burst", add_tests);
}
