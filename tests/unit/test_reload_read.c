/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nothing waits for a configuration that is slow to read, or a filter slow to start. */
#include "reload_help.h"
#include "unit.h"

#define T HEAD "stack=a:FEED,t:TAG,p:PRINT\n" K IN "[k]\n%B\n[p]\n%B\n[t]\n%B\n"

static void
await_reading(struct scene *s)
{
	reload_want(&s->rl);
	for (int i = 0; i < 1000 && !atomic_load(&s->reading); i++)
		turn(s);
	ck_assert(atomic_load(&s->reading));
}

static void
await_kept(struct scene *s, unsigned n)
{
	for (int i = 0; i < 1000 && box_get(&s->box, &s->box.nkept) < n; i++)
		turn(s);
	ck_assert_uint_eq(box_get(&s->box, &s->box.nkept), n);
}

START_TEST(a_slow_read)
{
	struct scene s;

	begin(&s, ONE);
	atomic_store(&s.slow, true);
	s.text = ONE "queue=1M\n";
	await_reading(&s);
	reload_want(&s.rl); /* once more: that one is read afterwards */
	feed(&s, 100);
	await_kept(&s, 100);
	ck_assert_uint_eq(s.dones, 0);
	atomic_store(&s.slow, false);
	for (int i = 0; i < 1000 && s.dones < 2; i++)
		turn(&s);
	ck_assert_uint_eq(s.dones, 2);
	ck_assert_uint_eq(inst(&s.rl.gen->setup, "k")->out.queue, 1 << 20);
	settle(&s);
	feed(&s, 100);
	end(&s);
	ck_assert_uint_eq(s.box.nkept, 200);
}
END_TEST

/* The end comes when it has been fed that many. */
static bool
once_fed(void *arg)
{
	struct scene *s = arg;

	s->box.feed++;
	eventfd_write(s->box.event_fd, 1);
	return s->box.fed >= 150;
}

/* The end does not wait for it, nor do the inputs; it says when it is not done. */
START_TEST(an_end_while_it_is_read)
{
	struct scene s;

	begin(&s, ONE);
	atomic_store(&s.slow, true);
	await_reading(&s);
	feed(&s, 100);
	reload_end(&s.rl, 0, no_hurry, NULL);
	ck_assert(!reload_ended(&s.rl, no_hurry, NULL)); /* it is too late */
	s.rl.end_ms = UINT64_MAX;
	ck_assert(!reload_ended(&s.rl, once_fed, &s)); /* a second signal */
	ck_assert_uint_ge(s.box.fed, 150);
	atomic_store(&s.slow, false);
	end(&s);
	ck_assert_ptr_null(s.rl.reading);
	ck_assert_uint_eq(s.dones, 0);
	ck_assert_uint_eq(s.box.nkept, s.box.fed);
}
END_TEST

/* It is in force once the filter is ready; the one before ends when it likes. */
START_TEST(a_slow_filter)
{
	struct scene s;

	begin(&s, T);
	ck_assert_uint_eq(s.box.tag_starts, 1);
	atomic_store(&s.box.tag_late, true);
	atomic_store(&s.box.tag_stays, true);
	s.text = T "frame=65\n";
	reload_want(&s.rl);
	for (int i = 0; i < 1000 && s.box.tag_starts < 2; i++)
		turn(&s);
	feed(&s, 100);
	await_kept(&s, 2 * 100); /* k and p */
	ck_assert_uint_eq(s.dones, 0);
	atomic_store(&s.box.tag_late, false);
	for (int i = 0; i < 1000 && !s.dones; i++)
		turn(&s);
	ck_assert_uint_eq(s.dones, 1);
	ck_assert_ptr_null(s.why);
	feed(&s, 100);
	await_kept(&s, 2 * 200);
	ck_assert_ptr_nonnull(s.rl.old);
	atomic_store(&s.box.tag_stays, false);
	settle(&s);
	ck_assert_uint_eq(s.box.tag_starts, 2);
	end(&s);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_slow_read);
	tcase_add_test(t, an_end_while_it_is_read);
	tcase_add_test(t, a_slow_filter);
}

int
main(void)
{
	return unit_main("reload_read", add_tests);
}
