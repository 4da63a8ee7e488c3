/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reload.c and its parts: what goes on, what has a successor, what is refused. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "reload_help.h"
#include "sink.h"
#include "unit.h"

/* Delivered, in any order, each id as often as said. */
static void
check_kept(const struct scene *s, unsigned ids, unsigned times)
{
	unsigned *seen = calloc(ids + 1, sizeof(*seen));

	ck_assert_uint_eq(s->box.nkept, ids * times);
	for (unsigned i = 0; i < s->box.nkept; i++) {
		ck_assert_uint_ge(s->box.kept[i], 1);
		ck_assert_uint_le(s->box.kept[i], ids);
		seen[s->box.kept[i]]++;
	}
	for (unsigned i = 1; i <= ids; i++)
		ck_assert_uint_eq(seen[i], times);
	free(seen);
}

static struct sink *
sink(const struct scene *s, const char *id)
{
	struct sink *x = s->run.graph->sinks;

	while (x && strcmp(x->inst->id, id) != 0)
		x = x->next;
	ck_assert_ptr_nonnull(x);
	return x;
}

START_TEST(what_differs)
{
	struct setup a, b;
	struct diag d = { 0 };
	const char *texts[] = { ONE, ONE "queue=1M\n", ONE "gaps=no\n", ONE "frame=100\n" };
	const char *names[] = { NULL, "queue", "gaps", "frame" };
	struct box box;

	box_init(&box);
	fakes_setup(&a, ONE, &box, &d);
	for (size_t i = 0; i < 4; i++) {
		fakes_setup(&b, texts[i], &box, &d);
		ck_assert_pstr_eq(reload_differs(inst(&a, "k"), inst(&b, "k")), names[i]);
		ck_assert_pstr_eq(reload_sink_differs(inst(&a, "k"), inst(&b, "k")),
				  i == 2 ? NULL : names[i]);
		ck_assert_ptr_null(reload_differs(inst(&a, "a"), inst(&b, "a")));
		setup_free(&b);
	}
	setup_free(&a);
	diag_free(&d);
	box_free(&box);
}
END_TEST

START_TEST(the_same_is_no_change)
{
	struct scene s;
	struct sink *k;

	begin(&s, ONE);
	k = sink(&s, "k");
	reload(&s, "# other words\n" ONE);
	ck_assert_ptr_null(s.why);
	ck_assert_ptr_eq(k, sink(&s, "k"));
	ck_assert_ptr_null(k->gen); /* nothing was moved */
	end(&s);
}
END_TEST

START_TEST(an_output_more_and_one_less)
{
	struct scene s;
	struct sink *k;

	begin(&s, ONE);
	k = sink(&s, "k");
	feed(&s, 10);
	reload(&s, HEAD K "stack=a:FEED,m:KEEP\n" IN "[k]\n%B\n[m]\n%B\n");
	ck_assert_ptr_null(s.why);
	ck_assert_ptr_eq(k, sink(&s, "k"));
	ck_assert_ptr_ne(k->gen, s.rl.gen); /* its options are the old ones */
	settle(&s);
	feed(&s, 10);
	reload(&s, ONE);
	settle(&s);
	ck_assert_ptr_eq(k, sink(&s, "k"));
	feed(&s, 10);
	end(&s);
	ck_assert_uint_eq(s.box.nkept, 30 + 10);
	ck_assert_uint_eq(s.box.starts, 1); /* the input has gone on */
	ck_assert_uint_eq(s.box.opens, 2);
	ck_assert_uint_eq(s.box.ngaps, 0);
}
END_TEST

START_TEST(an_output_changed)
{
	struct scene s;

	begin(&s, ONE);
	for (unsigned i = 0; i < 20; i++) {
		feed(&s, 50);
		reload(&s, i % 2 ? ONE : ONE "frame=100\n");
		ck_assert_ptr_null(s.why);
		feed(&s, 50);
	}
	settle(&s);
	ck_assert_uint_ge(s.box.opens, 2);
	end(&s);
	check_kept(&s, 2000, 1);
	ck_assert_uint_eq(s.box.opens, s.box.closes);
	ck_assert_uint_eq(s.box.ngaps, 0);
}
END_TEST

/* What the old one cannot deliver, the new one does. */
START_TEST(a_successor_inherits)
{
	struct scene s;

	begin(&s, ONE);
	feed(&s, 10);
	s.box.answer = CTF_AGAIN;
	s.box.answers = 1000000;
	feed(&s, 500);
	reload(&s, ONE "frame=100\n");
	feed(&s, 20);
	turn(&s);
	ck_assert(sink(&s, "k")->held);
	s.rl.gen->setup.global.stop_timeout = 100;
	settle(&s);
	ck_assert(!sink(&s, "k")->held);
	feed(&s, 20);
	s.box.answers = 0;
	end(&s);
	check_kept(&s, 550, 1);
	ck_assert_uint_eq(s.box.ngaps, 0);
}
END_TEST

/* A second signal makes it hurry. */
START_TEST(two_in_a_row)
{
	struct scene s;

	begin(&s, ONE);
	s.box.answer = CTF_AGAIN;
	s.box.answers = 1000000;
	feed(&s, 500);
	reload(&s, ONE "frame=100\n");
	reload(&s, ONE "frame=200\n");
	s.box.answers = 0;
	settle(&s);
	end(&s);
	check_kept(&s, 500, 1);
}
END_TEST

/* One that is about to end is to be succeeded, and ends before that. */
START_TEST(back_before_it_has_left)
{
	static const char two[] = HEAD K "stack=a:FEED,m:KEEP\n" IN "[k]\n%B\n[m]\n%B\n";
	struct scene s;

	begin(&s, two);
	s.box.answer = CTF_AGAIN;
	s.box.answers = 1000000;
	feed(&s, 100);
	reload(&s, ONE); /* m is left with what it has */
	s.text = HEAD K "stack=a:FEED,m:KEEP\nstack=a:FEED,n:KEEP\n" IN
			"[k]\n%B\n[m]\n%B\n[n]\n%B\n";
	s.box.open_ms = 200;
	reload_want(&s.rl);
	for (int i = 0; i < 1000 && !s.rl.next; i++)
		turn(&s);
	ck_assert_ptr_nonnull(s.rl.next);
	s.box.answers = 0;
	for (int i = 0; i < 1000 && s.rl.next; i++)
		turn(&s);
	ck_assert_ptr_null(s.why);
	settle(&s);
	feed(&s, 100);
	end(&s);
	/* k and m had both hundreds, n the second */
	ck_assert_uint_eq(s.box.nkept, 2 * 200 + 100);
	ck_assert_uint_eq(s.box.ngaps, 0);
}
END_TEST

/* The one that could not be opened at the start has no thread. */
START_TEST(mended)
{
	struct scene s;
	struct diag diag = { 0 };

	s = (struct scene){ .text = HEAD K "stack=a:FEED,m:KEEP\n" IN "[k]\n%B\n[m]\n%B\n" };
	box_init(&s.box);
	s.box.open_errno = ENOENT;
	s.box.fail_opens = 1;
	s.rl = (struct reload){ &s.run, gen_new(), .read = read_text, .done = done, .arg = &s };
	ck_assert_int_eq(fakes_setup(&s.rl.gen->setup, s.text, &s.box, &diag), 0);
	diag_free(&diag);
	s.run = (struct run){ .graph = &s.rl.gen->setup.graph };
	ck_assert_int_eq(loop_new(&s.run.loop), 0);
	ck_assert_int_eq(reload_init(&s.rl), 0);
	ck_assert_int_eq(run_start(&s.run), 0);
	run_go(&s.run);
	feed(&s, 10);
	reload(&s, s.text);
	ck_assert_ptr_null(s.why);
	settle(&s);
	feed(&s, 10);
	end(&s);
	ck_assert_uint_eq(s.box.nkept, 10 + 2 * 10);
}
END_TEST

START_TEST(refused)
{
	static const char *const bad[] = { "", HEAD, HEAD "stack=a:FEED,k:NOSUCH\n" IN,
					   HEAD K "stack=a:FEED,p:PRINT\n" IN "[k]\n%B\n",
					   ONE "frame=many\n" };
	struct scene s;
	struct sink *k;

	begin(&s, ONE);
	k = sink(&s, "k");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		reload(&s, bad[i]);
		ck_assert_ptr_nonnull(s.why);
		ck_assert_ptr_eq(k, sink(&s, "k"));
		feed(&s, 10);
	}
	end(&s);
	check_kept(&s, 50, 1);
}
END_TEST

/* Not the configuration's fault alone: its file cannot be opened. */
START_TEST(an_output_that_cannot_be)
{
	struct scene s;

	begin(&s, ONE);
	s.box.open_errno = EACCES;
	s.box.fail_opens = 1;
	reload(&s, HEAD K "stack=a:FEED,m:KEEP\n" IN "[k]\n%B\n[m]\n%B\n");
	ck_assert_str_eq(s.why, "test.conf:8: m:KEEP: told to fail");
	settle(&s);
	feed(&s, 10);
	reload(&s, HEAD K "stack=a:FEED,m:KEEP\n" IN "[k]\n%B\n[m]\n%B\n");
	ck_assert_ptr_null(s.why);
	feed(&s, 10);
	end(&s);
	ck_assert_uint_eq(s.box.nkept, 10 + 2 * 10);
}
END_TEST

/* An input with other options begins anew, when the one before has been read out. */
START_TEST(an_input_changed)
{
	struct scene s;

	begin(&s, ONE);
	feed(&s, 100);
	reload(&s, HEAD K "[a]\n%B\nframe=65\n[k]\n%B\n");
	settle(&s);
	ck_assert_uint_eq(s.box.starts, 2);
	ck_assert_uint_eq(s.box.stops, 1);
	feed(&s, 100);
	end(&s);
	ck_assert_uint_eq(s.box.nkept, 200);
}
END_TEST

START_TEST(an_input_that_cannot_start)
{
	struct scene s;

	begin(&s, ONE);
	s.box.start_errno = ENODEV;
	reload(&s, HEAD K "stack=b:FEED,k:KEEP\n" IN "[b]\n%B\n[k]\n%B\n");
	ck_assert_ptr_nonnull(s.why);
	settle(&s);
	feed(&s, 10);
	end(&s);
	check_kept(&s, 10, 1);
}
END_TEST

/* What a successor that has to wait drops was given once. */
START_TEST(a_held_queue_overflows)
{
	struct scene s;
	struct sink *k;

	begin(&s, ONE);
	s.box.answer = CTF_AGAIN;
	s.box.answers = 1000000;
	feed(&s, 100);
	reload(&s, ONE "queue=64K\noverflow=drop-old\n");
	k = sink(&s, "k");
	ck_assert(k->held);
	feed(&s, 20000);
	turn(&s);
	ck_assert_uint_gt(*k->dropped, 0);
	ck_assert_uint_eq(k->keep->given, s.box.fed);
	s.box.answers = 0;
	settle(&s);
	ck_assert(!k->held);
	ck_assert_uint_eq(k->keep->given, s.box.fed);
	end(&s);
	ck_assert_uint_gt(s.box.ngaps, 0);
}
END_TEST

/* Numbers go on, whoever counts. */
START_TEST(counters_go_on)
{
	struct scene s;

	begin(&s, ONE);
	feed(&s, 100);
	reload(&s, ONE "frame=100\n");
	settle(&s);
	feed(&s, 100);
	ck_assert_uint_eq(*sink(&s, "k")->encoders->records, 200);
	for (int i = 0; i < 1000 && *sink(&s, "k")->delivered < 200; i++)
		turn(&s);
	ck_assert_uint_eq(*sink(&s, "k")->delivered, 200);
	end(&s);
}
END_TEST

static void
add_tests(TCase *t)
{

	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_differs);
	tcase_add_test(t, the_same_is_no_change);
	tcase_add_test(t, an_output_more_and_one_less);
	tcase_add_test(t, an_output_changed);
	tcase_add_test(t, a_successor_inherits);
	tcase_add_test(t, two_in_a_row);
	tcase_add_test(t, back_before_it_has_left);
	tcase_add_test(t, mended);
	tcase_add_test(t, refused);
	tcase_add_test(t, an_output_that_cannot_be);
	tcase_add_test(t, an_input_changed);
	tcase_add_test(t, an_input_that_cannot_start);
	tcase_add_test(t, a_held_queue_overflows);
	tcase_add_test(t, counters_go_on);
}

int
main(void)
{
	return unit_main("reload", add_tests);
}
