/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctx.c: an object's name, its log lines and counters, whom an error blames. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "graph.h"
#include "unit.h"

static const struct ctf_plugin plugin = { .name = "PLUG" };
static const int conf = 42;

static struct inst inst = { .id = (char[]){ "x1" }, .plugin = &plugin, .file = "some.conf" };

struct object {
	struct ctf_obj obj;
	char rest[100];
};

/* What was logged meanwhile is in ctx.log. */
static void
log_begin(void)
{
	unlink("ctx.log");
	ck_assert_int_eq(log_open("ctx.log"), 0);
	log_set_level(CTF_NOTICE);
}

static void
log_has(const char *text)
{
	const char *all;

	log_close();
	all = unit_read("ctx.log");
	unlink("ctx.log");
	if (text)
		ck_assert_msg(strstr(all, text) != NULL, "not in: %s", all);
	else
		ck_assert_str_eq(all, "");
}

START_TEST(objects_are_zeroed_and_bound)
{
	struct ctf_ctx ctx = { 0 };
	struct object *o;

	inst.conf = (void *)(uintptr_t)&conf;
	ck_assert_int_eq(ctx_init(&ctx, &inst, sizeof(*o)), 0);
	o = ctx.obj;
	ck_assert_ptr_eq(o->obj.ctx, &ctx);
	ck_assert_ptr_eq(o->obj.conf, &conf);
	for (size_t i = 0; i < sizeof(o->rest); i++)
		ck_assert_int_eq(o->rest[i], 0);
	ck_assert_str_eq(ctf_name(&ctx), "x1");
	ctx_free(&ctx);
	ck_assert_ptr_null(ctx.obj);
	/* However small the plugin says it is. */
	ck_assert_int_eq(ctx_init(&ctx, &inst, 0), 0);
	ck_assert_ptr_eq(((struct ctf_obj *)ctx.obj)->ctx, &ctx);
	ctx_free(&ctx);
}
END_TEST

START_TEST(log_lines_are_prefixed)
{
	struct ctf_ctx ctx = { .inst = &inst };

	log_begin();
	ctf_log(&ctx, CTF_INFO, "%s", "below the level");
	log_has(NULL);
	log_begin();
	ctf_log(&ctx, CTF_ERROR, "%d of %s", 3, "them");
	log_has("<7> x1:PLUG: 3 of them\n");
}
END_TEST

START_TEST(counters_are_printed_if_they_count)
{
	struct ctf_ctx ctx = { .inst = &inst };
	ctf_counter *a = ctf_counter_new(&ctx, "first"), *b = ctf_counter_new(&ctx, "second");

	log_begin();
	ctx_log_counters(&ctx);
	log_has(NULL);
	ctf_count(b, 3);
	ctf_count(b, 4);
	log_begin();
	ctx_log_counters(&ctx);
	log_has("x1:PLUG: statistics: second=7\n");
	ctf_count(a, 1);
	log_begin();
	ctx_log_counters(&ctx);
	log_has("x1:PLUG: statistics: first=1 second=7\n");
	ctx_free(&ctx);
}
END_TEST

START_TEST(very_many_counters)
{
	struct ctf_ctx ctx = { .inst = &inst };

	for (int i = 0; i < 200; i++)
		ctf_count(ctf_counter_new(&ctx, "a_counter_with_quite_a_long_name"), 1);
	log_begin();
	ctx_log_counters(&ctx);
	log_has("statistics: a_counter_with_quite_a_long_name=1 a_counter");
	ctx_free(&ctx);
}
END_TEST

START_TEST(errors_blame_the_line_of_the_option)
{
	static const char text[] = "[global]\n[x1]\n# a comment\nfile=a\nsize=3\n";
	struct ctf_ctx ctx = { .inst = &inst };
	struct ctf_err err;
	struct conf *c;

	ck_assert_int_eq(conf_parse(text, sizeof(text) - 1, "some.conf", &c, NULL), 0);
	inst.sec = conf_find(c, "x1");
	ck_assert_int_eq(ctf_fail_opt(&ctx, &err, "size", "%d is too much", 3), -EINVAL);
	ck_assert_str_eq(err.msg, "3 is too much");
	ck_assert_str_eq(err.file, "some.conf");
	ck_assert_uint_eq(err.line, 5);
	/* The section, if it was a default. */
	ck_assert_int_eq(ctf_fail_opt(&ctx, &err, "other", "x"), -EINVAL);
	ck_assert_uint_eq(err.line, 2);
	/* The file, if there is no section. */
	inst.sec = NULL;
	ck_assert_int_eq(ctf_fail_opt(&ctx, &err, "size", "x"), -EINVAL);
	ck_assert_str_eq(err.file, "some.conf");
	ck_assert_uint_eq(err.line, 0);
	ck_assert_int_eq(ctf_fail_opt(&ctx, NULL, "size", "x"), -EINVAL);
	conf_free(c);
}
END_TEST

START_TEST(now_is_in_ns)
{
	uint64_t a = (uint64_t)time(NULL), now = ctf_now();

	ck_assert_uint_ge(now / 1000000000u + 1, a);
	ck_assert_uint_le(now / 1000000000u, a + 10);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, objects_are_zeroed_and_bound);
	tcase_add_test(t, log_lines_are_prefixed);
	tcase_add_test(t, counters_are_printed_if_they_count);
	tcase_add_test(t, very_many_counters);
	tcase_add_test(t, errors_blame_the_line_of_the_option);
	tcase_add_test(t, now_is_in_ns);
}

int
main(void)
{
	return unit_main("ctx", add_tests);
}
