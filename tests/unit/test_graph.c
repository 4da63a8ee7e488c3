/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.c, graph.c, wire.c: what is shared, what is asked for, what is refused. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "fakes.h"
#include "sink.h"
#include "unit.h"

static bool
said(const struct diag *d, const char *what)
{
	for (size_t i = 0; i < d->n; i++) {
		char *t = diag_text(&d->item[i]);
		bool hit = strstr(t, what) != NULL;

		free(t);
		if (hit)
			return true;
	}
	return false;
}

static unsigned
count_filters(const struct graph *g)
{
	unsigned n = 0;

	for (const struct filter *f = g->filters; f; f = f->next)
		n++;
	return n;
}

static unsigned
count_sinks(const struct graph *g)
{
	unsigned n = 0;

	for (const struct sink *s = g->sinks; s; s = s->next)
		n++;
	return n;
}

static void
build(struct setup *s, const char *text, int want)
{
	struct diag diag = { 0 };

	ck_assert_int_eq(fakes_setup(s, text, NULL, &diag), want);
	ck_assert_uint_eq(diag.errors, 0);
	diag_free(&diag);
}

START_TEST(one_input_many_stacks)
{
	struct setup s;

	build(&s,
	      "[global]\nstack=a:FEED,k1:KEEP\nstack=a:FEED,k2:KEEP\nstack=b:FEED,k1:KEEP\n",
	      0);
	ck_assert_ptr_nonnull(s.graph.inputs->next);
	ck_assert_ptr_null(s.graph.inputs->next->next);
	ck_assert_uint_eq(s.graph.inputs->nstacks, 2);
	ck_assert_uint_eq(count_sinks(&s.graph), 2);
	/* k1 is fed by two encoders */
	ck_assert_ptr_nonnull(s.graph.sinks->encoders->next);
	ck_assert_uint_eq(graph_live_stacks(&s.graph), 3);
	setup_free(&s);
}
END_TEST

START_TEST(equal_pure_filters_are_one)
{
	struct setup s;

	build(&s,
	      "[global]\nstack=a:FEED,t1:TAG,p1:PRINT\nstack=a:FEED,t2:TAG,p2:PRINT\n"
	      "stack=a:FEED,t3:TAG,p3:PRINT\n[t3]\nframe=5\n",
	      0);
	ck_assert_uint_eq(count_filters(&s.graph), 2); /* t3 has other options */
	setup_free(&s);
}
END_TEST

START_TEST(a_dropping_filter_does_not_divide_them)
{
	struct setup s;

	build(&s,
	      "[global]\nstack=a:FEED,t1:TAG,p1:PRINT\nstack=a:FEED,o1:ODD,t2:TAG,p2:PRINT\n",
	      0);
	ck_assert_uint_eq(count_filters(&s.graph), 2); /* TAG and ODD */
	setup_free(&s);
}
END_TEST

START_TEST(demand_runs_backwards)
{
	struct setup s;
	struct stack *st;

	/* Nobody reads print, so TAG is idle and only ct.id and ct.zone have slots. */
	build(&s, "[global]\nstack=a:FEED,t1:TAG,k1:KEEP\n", 0);
	st = s.graph.stacks;
	ck_assert(!st->needed[0]);
	ck_assert_uint_eq(s.graph.inputs->nslots, 2);
	setup_free(&s);

	build(&s, "[global]\nstack=a:FEED,t1:TAG,p1:PRINT\n", 0);
	st = s.graph.stacks;
	ck_assert(st->needed[0]);
	ck_assert_uint_eq(s.graph.inputs->nslots, 2); /* print and ct.id */
	ck_assert_str_eq(s.graph.inputs->slots[0]->name, "print");
	ck_assert_str_eq(s.graph.inputs->slots[1]->name, "ct.id");
	setup_free(&s);
}
END_TEST

START_TEST(nearest_producer_wins)
{
	struct setup s;
	struct stack *st;

	build(&s, "[global]\nstack=a:FEED,t1:TAG,t2:TAG2,p1:PRINT\n", 0);
	st = s.graph.stacks;
	ck_assert(!st->needed[0]); /* TAG's print is hidden by TAG2's */
	ck_assert(st->needed[1]);
	setup_free(&s);
}
END_TEST

START_TEST(a_bad_stack_leaves_no_trace)
{
	struct setup s;
	struct diag diag = { 0 };

	/* PRINT finds no print; the KEEP stack works, and nothing was asked for PRINT. */
	ck_assert_int_eq(fakes_setup(&s,
				     "[global]\nstack=a:FEED,p1:PRINT\nstack=a:FEED,k1:KEEP\n",
				     NULL, &diag),
			 0);
	ck_assert(said(&diag, "test.conf:2: cannot find key `print'"));
	ck_assert(said(&diag, "test.conf:2: stack 'a:FEED,p1:PRINT' is refused"));
	ck_assert_uint_eq(graph_live_stacks(&s.graph), 1);
	ck_assert_uint_eq(s.graph.inputs->nstacks, 1);
	ck_assert_uint_eq(count_sinks(&s.graph), 1);
	ck_assert_uint_eq(s.graph.inputs->nslots, 2);
	diag_free(&diag);
	setup_free(&s);
}
END_TEST

static const struct {
	const char *conf, *says;
} refused[] = {
	{ "[global]\nstack=a:FEED,x:NOSUCH\n",
	  "test.conf:2: can't find requested plugin NOSUCH" },
	{ "[global]\nstack=k:KEEP,a:FEED\n", "first plugin in stack has to be source plugin" },
	{ "[global]\nstack=a:FEED,t:TAG\n", "last plugin in stack has to be output plugin" },
	{ "[global]\nstack=a:FEED,k:KEEP,t:TAG,l:KEEP\n", "only a filter can stand here" },
	{ "[global]\nstack=a:FEED\n", "last plugin in stack has to be output plugin" },
	{ "[global]\nstack=aFEED,k:KEEP\n", "syntax error in stack at `aFEED'" },
	{ "[global]\nstack=,,\n", "empty stack" },
	{ "[global]\nstack=a:FEED,k:KEEP\n[k]\nframe=many\n", "test.conf:4:" },
	{ "[global]\nstack=a:LIVE,k:KEEP\n[k]\noverflow=block\n",
	  "test.conf:4: k: overflow=block" },
	{ "[global]\nstack=a:FEED,k:KEEP\n[k]\nqueue=10\n", "test.conf:4:" },
};

START_TEST(refusals)
{
	struct setup s;
	struct diag diag = { 0 };

	ck_assert_int_ne(fakes_setup(&s, refused[_i].conf, NULL, &diag), 0);
	ck_assert_msg(said(&diag, refused[_i].says), "not said: %s", refused[_i].says);
	ck_assert_uint_eq(graph_live_stacks(&s.graph), 0);
	diag_free(&diag);
	setup_free(&s);
}
END_TEST

START_TEST(block_is_for_replays)
{
	struct setup s;

	build(&s, "[global]\nstack=a:FEED,k:KEEP\n[k]\noverflow=block\n", 0);
	setup_free(&s);
}
END_TEST

START_TEST(all_mistakes_of_a_file_are_said)
{
	struct setup s;
	struct diag diag = { 0 };

	fakes_setup(&s,
		    "[global]\nstack=a:FEED,x:NOPE,y:NADA\nstack=a:FEED,k:KEEP\n"
		    "[k]\nframe=x\nsync=maybe\nframee=3\n",
		    NULL, &diag);
	ck_assert(said(&diag, "NOPE"));
	ck_assert(said(&diag, "NADA"));
	ck_assert(said(&diag, "test.conf:5:"));
	ck_assert(said(&diag, "test.conf:6:"));
	ck_assert(said(&diag, "is \"frame\" meant"));
	diag_free(&diag);
	setup_free(&s);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, one_input_many_stacks);
	tcase_add_test(t, equal_pure_filters_are_one);
	tcase_add_test(t, a_dropping_filter_does_not_divide_them);
	tcase_add_test(t, demand_runs_backwards);
	tcase_add_test(t, nearest_producer_wins);
	tcase_add_test(t, a_bad_stack_leaves_no_trace);
	tcase_add_loop_test(t, refusals, 0, COUNT(refused));
	tcase_add_test(t, block_is_for_replays);
	tcase_add_test(t, all_mistakes_of_a_file_are_said);
}

int
main(void)
{
	return unit_main("graph", add_tests);
}
