/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"
#include "unit.h"

struct seen {
	struct loop *loop;
	struct loop_fd *self, *other;
	int fd;
	unsigned calls;
};

static void
count(void *arg)
{
	struct seen *s = arg;
	eventfd_t n;

	s->calls++;
	eventfd_read(s->fd, &n);
}

static void
tick(void *arg)
{
	struct seen *s = arg;

	s->calls++;
}

static void
kill_both(void *arg)
{
	struct seen *s = arg;

	s->calls++;
	loop_del(s->self);
	loop_del(s->other);
}

START_TEST(readable_paused_deleted)
{
	struct seen s = { .fd = eventfd(0, EFD_NONBLOCK) };
	struct loop *l;

	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(loop_add(l, s.fd, count, &s, &s.self), 0);
	loop_once(l, 0);
	ck_assert_uint_eq(s.calls, 0);
	eventfd_write(s.fd, 1);
	loop_once(l, 1000);
	ck_assert_uint_eq(s.calls, 1);
	eventfd_write(s.fd, 1);
	loop_pause(s.self, true);
	loop_once(l, 0);
	ck_assert_uint_eq(s.calls, 1);
	loop_pause(s.self, false);
	loop_once(l, 1000);
	ck_assert_uint_eq(s.calls, 2);
	eventfd_write(s.fd, 1);
	loop_del(s.self);
	loop_once(l, 0);
	ck_assert_uint_eq(s.calls, 2);
	loop_free(l);
	close(s.fd);
}
END_TEST

START_TEST(a_callback_may_delete_itself_and_others)
{
	struct seen a = { .fd = eventfd(1, EFD_NONBLOCK) },
		    b = { .fd = eventfd(1, EFD_NONBLOCK) };
	struct loop *l;

	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(loop_add(l, a.fd, kill_both, &a, &a.self), 0);
	ck_assert_int_eq(loop_add(l, b.fd, kill_both, &b, &b.self), 0);
	a.other = b.self;
	b.other = a.self;
	loop_once(l, 1000);
	ck_assert_uint_eq(a.calls + b.calls, 1);
	loop_once(l, 0);
	ck_assert_uint_eq(a.calls + b.calls, 1);
	loop_free(l);
	close(a.fd);
	close(b.fd);
}
END_TEST

START_TEST(timers)
{
	struct seen once = { 0 }, often = { 0 };
	struct loop *l;

	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(loop_timer(l, tick, &once, &once.self), 0);
	ck_assert_int_eq(loop_timer(l, tick, &often, &often.self), 0);
	timer_set(once.self, 5, 0);
	timer_set(often.self, 5, 5);
	for (int i = 0; i < 1000 && often.calls < 4; i++)
		loop_once(l, 100);
	ck_assert_uint_eq(once.calls, 1);
	ck_assert_uint_ge(often.calls, 4);
	timer_set(often.self, 0, 0);
	often.calls = 0;
	loop_once(l, 30);
	ck_assert_uint_eq(often.calls, 0);
	loop_free(l);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, readable_paused_deleted);
	tcase_add_test(t, a_callback_may_delete_itself_and_others);
	tcase_add_test(t, timers);
}

int
main(void)
{
	return unit_main("loop", add_tests);
}
