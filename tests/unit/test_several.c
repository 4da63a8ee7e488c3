/* SPDX-License-Identifier: GPL-2.0-or-later */
/* several.c: an output id that is several sinks, each with all flows. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "metrics.h"
#include "rig.h"
#include "unit.h"

#define MANY "[global]\nstack=a:FEED,k:MANY\n[a]\n%B\n[k]\n%B\nsync=1\n"

static struct rig g;

static void
start(const char *text, unsigned sinks, unsigned away)
{
	box_init(&g.box);
	g.box.many = sinks;
	g.box.many_away = away;
	rig_start(&g, text, 0);
}

static struct sink *
nth_sink(unsigned n)
{
	struct sink *s = g.s.graph.sinks;

	while (n-- && s)
		s = s->next;
	return s;
}

static void
got_all(unsigned nth, unsigned n)
{
	ck_assert_uint_eq(g.box.many_n[nth], n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(g.box.many_got[nth][i], i + 1);
}

START_TEST(each_gets_all)
{
	start(MANY, 3, 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(nth_sink(i));
	ck_assert_ptr_null(nth_sink(3));
	ck_assert_str_eq(nth_sink(0)->inst->id, "k");
	ck_assert_str_eq(nth_sink(1)->inst->id, "k.2");
	ck_assert_str_eq(nth_sink(2)->inst->id, "k.3");
	rig_feed(&g, 100);
	rig_stop(&g);
	for (unsigned i = 0; i < 3; i++)
		got_all(i, 100);
}
END_TEST

/* One is away for good: the other has all, and the loss is the first one's alone. */
START_TEST(one_that_is_away)
{
	start("[global]\nstack=a:FEED,k:MANY\n[a]\n%B\n[k]\n%B\nsync=1\nqueue=64K\n"
	      "overflow=drop-old\n",
	      2, 1);
	for (unsigned i = 0; i < 10; i++)
		rig_feed(&g, 100);
	rig_spin(&g, &g.box.many_n[1], 1000);
	ck_assert_uint_eq(*nth_sink(1)->delivered, 1000);
	ck_assert_uint_eq(*nth_sink(1)->dropped, 0);
	ck_assert_uint_eq(*nth_sink(1)->retries, 0);
	ck_assert_uint_eq(*nth_sink(0)->delivered, 0);
	ck_assert_uint_gt(*nth_sink(0)->retries, 0);
	got_all(1, 1000);
	rig_stop_in(&g, 100);
	ck_assert_uint_eq(g.box.many_n[0], 0);
}
END_TEST

START_TEST(each_has_its_own_numbers)
{
	char *text;

	start(MANY, 2, 2);
	rig_feed(&g, 50);
	rig_spin(&g, &g.box.many_n[0], 50);
	/* the sink's thread counts them when the output has returned */
	for (unsigned i = 0; i < 60000 && *nth_sink(0)->delivered < 50; i++)
		usleep(1000);
	text = metrics_text(&(struct metrics){ .run = &g.run }, 1);
	ck_assert_ptr_nonnull(
		strstr(text, "output_delivered_total{output=\"k\",plugin=\"MANY\"} 50"));
	ck_assert_ptr_nonnull(
		strstr(text, "output_delivered_total{output=\"k.2\",plugin=\"MANY\"} 0"));
	free(text);
	rig_stop_in(&g, 100);
}
END_TEST

/* Two stacks that end in it: each of its sinks has two encoders, filters are shared. */
START_TEST(several_stacks)
{
	unsigned filters = 0;

	start("[global]\nstack=a:FEED,t:TAG,k:MANY\nstack=a:FEED,o:ODD,k:MANY\n"
	      "[a]\n%B\n[k]\n%B\nsync=1\n[o]\n%B\n",
	      2, 0);
	ck_assert_ptr_null(nth_sink(2));
	for (unsigned i = 0; i < 2; i++)
		ck_assert_ptr_nonnull(nth_sink(i)->encoders->next);
	for (const struct filter *f = g.s.graph.filters; f; f = f->next)
		filters += strcmp(f->inst->id, "t") == 0;
	ck_assert_uint_eq(filters, 1);
	rig_feed(&g, 10);
	rig_stop(&g);
	ck_assert_uint_eq(g.box.many_n[0], 15);
	ck_assert_uint_eq(g.box.many_n[1], 15);
}
END_TEST

static bool
refused(const char *text, const char *why)
{
	struct diag diag = { 0 };
	struct setup s;
	bool said = false;

	fakes_setup(&s, text, &g.box, &diag);
	for (size_t i = 0; i < diag.n; i++) {
		char *t = diag_text(&diag.item[i]);

		said |= strstr(t, why) != NULL;
		free(t);
	}
	diag_free(&diag);
	setup_free(&s);
	return said;
}

/* Its name is no id of the configuration, whichever comes first. */
START_TEST(names_are_taken)
{
	box_init(&g.box);
	g.box.many = 2;
	ck_assert(refused("[global]\nstack=a:FEED,k:MANY\nstack=a:FEED,k.2:MANY\n[k]\n%B\n",
			  "t.conf:3: k.2 is the name of a collector of k"));
	ck_assert(refused("[global]\nstack=a:FEED,k.2:MANY\nstack=a:FEED,k:MANY\n"
			  "[k]\n%B\n[k.2]\nbox=0\n",
			  "t.conf:3: k.2 is the name of a collector of k"));
	box_free(&g.box);
}
END_TEST

/* What is wrong is said once. */
START_TEST(said_once)
{
	struct diag diag = { 0 };
	unsigned warnings = 0;
	struct setup s;

	box_init(&g.box);
	g.box.many = 3;
	fakes_setup(&s, "[global]\nstack=a:FEED,k:MANY\n[k]\n%B\nquene=1\n", &g.box, &diag);
	for (size_t i = 0; i < diag.n; i++) {
		char *t = diag_text(&diag.item[i]);

		warnings += strstr(t, "quene") != NULL;
		free(t);
	}
	ck_assert_uint_eq(warnings, 1);
	diag_free(&diag);
	setup_free(&s);
	box_free(&g.box);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_test(t, each_gets_all);
	tcase_add_test(t, one_that_is_away);
	tcase_add_test(t, each_has_its_own_numbers);
	tcase_add_test(t, several_stacks);
	tcase_add_test(t, names_are_taken);
	tcase_add_test(t, said_once);
}

int
main(void)
{
	return unit_main("several", add_tests);
}
