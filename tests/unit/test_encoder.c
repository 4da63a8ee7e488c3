/* SPDX-License-Identifier: GPL-2.0-or-later */
/* encoder.c: what a layout's id depends on, frames as large as was asked for. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "fakes.h"
#include "pump.h"
#include "sink.h"
#include "unit.h"

struct conf_fill {
	uint64_t size, fill;
};

struct enc {
	struct ctf_obj obj;
};

static const struct ctf_opt fill_opts[] = {
	{ "size", CTF_OUINT, offsetof(struct conf_fill, size), 0, 0, "10", NULL, "bytes" },
	{ "fill", CTF_OUINT, offsetof(struct conf_fill, fill), 0, 255, "1", NULL, "of this" },
	{ 0 },
};

static enum ctf_put
fill_preamble(void *enc, struct ctf_frame *f)
{
	const struct conf_fill *c = ((struct enc *)enc)->obj.conf;
	uint8_t byte = (uint8_t)c->fill;

	for (uint64_t i = 0; i < c->size; i++)
		if (!ctf_frame_put(f, &byte, 1))
			return CTF_FULL;
	return CTF_OK;
}

static int
limit_setup(void *enc, struct ctf_err *err)
{
	ctf_frames(((struct enc *)enc)->obj.ctx, 1234, true);
	return 0;
}

static enum ctf_put
no_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	return CTF_SKIP;
}

static enum ctf_sent
no_deliver(void *sink, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken,
	   struct ctf_err *err)
{
	*ret_taken = n;
	return CTF_SENT;
}

static void
no_close(void *sink)
{
}

#define OUT \
	.abi = CTF_ABI, .role = CTF_OUTPUT, .doc = "test", .size = sizeof(struct enc), \
	.sink_size = sizeof(struct ctf_obj), .opts = fill_opts, \
	.conf_size = sizeof(struct conf_fill), .encode = no_encode, .deliver = no_deliver, \
	.close = no_close

static const struct ctf_plugin outs[] = {
	{ OUT, .name = "FILL", .preamble = fill_preamble },
	{ OUT, .name = "FILL2", .preamble = fill_preamble },
	{ OUT, .name = "EMPTY" },
	{ OUT, .name = "EMPTY2", .setup = limit_setup },
};

/* The layout id of that output. */
static uint64_t
id_of(const char *name, const char *options, uint32_t want_len)
{
	struct setup s = { .plugins = plugin_set_new() };
	struct encoder *e;
	char text[256];
	uint64_t id;

	fakes_add(s.plugins);
	for (size_t i = 0; i < COUNT(outs); i++)
		ck_assert_int_eq(plugin_add(s.plugins, &outs[i]), 0);
	snprintf(text, sizeof(text), "[global]\nstack=a:FEED,o:%s\n[o]\n%s", name, options);
	ck_assert_int_eq(conf_parse(text, strlen(text), "t.conf", &s.conf, NULL), 0);
	ck_assert_int_eq(plan_make(s.conf, s.plugins, NULL, &s.plan), 0);
	ck_assert_int_eq(graph_build(&s.plan, NULL, &s.graph), 0);
	e = s.graph.sinks->encoders;
	ck_assert_uint_eq(e->layout->len, want_len);
	id = e->layout->id;
	setup_free(&s);
	return id;
}

START_TEST(the_id_is_stable)
{
	/* FNV-1a of the name and the bytes: a stored spool must find it again. */
	ck_assert_uint_eq(id_of("FILL", "", 10), id_of("FILL", "", 10));
	ck_assert_uint_eq(id_of("FILL", "size=0\n", 0), UINT64_C(0xe79419858c13c508));
}
END_TEST

START_TEST(the_id_changes_with_content_and_name)
{
	uint64_t a = id_of("FILL", "", 10);

	ck_assert_uint_ne(a, id_of("FILL", "fill=2\n", 10));
	ck_assert_uint_ne(a, id_of("FILL", "size=11\n", 11));
	ck_assert_uint_ne(a, id_of("FILL2", "", 10));
	ck_assert_uint_ne(id_of("EMPTY", "", 0), id_of("EMPTY2", "", 0));
}
END_TEST

START_TEST(a_layout_too_large_refuses_the_stack)
{
	struct setup s = { .plugins = plugin_set_new() };
	static const char text[] = "[global]\nstack=a:FEED,o:FILL\n[o]\nsize=300000\n";
	struct diag diag = { 0 };
	char *said;

	fakes_add(s.plugins);
	ck_assert_int_eq(plugin_add(s.plugins, &outs[0]), 0);
	ck_assert_int_eq(conf_parse(text, sizeof(text) - 1, "t.conf", &s.conf, NULL), 0);
	ck_assert_int_eq(plan_make(s.conf, s.plugins, &diag, &s.plan), 0);
	ck_assert_int_eq(graph_build(&s.plan, &diag, &s.graph), -ENOENT);
	ck_assert_uint_ge(diag.n, 1);
	said = diag_text(&diag.item[0]);
	ck_assert_str_eq(said, "t.conf:2: o: its layout cannot be made");
	free(said);
	diag_free(&diag);
	setup_free(&s);
}
END_TEST

START_TEST(frames_as_asked_for)
{
	struct setup s = { .plugins = plugin_set_new() };
	static const char text[] = "[global]\nstack=a:FEED,o:EMPTY2\nstack=a:FEED,p:EMPTY\n";
	struct encoder *e;

	fakes_add(s.plugins);
	for (size_t i = 0; i < COUNT(outs); i++)
		ck_assert_int_eq(plugin_add(s.plugins, &outs[i]), 0);
	ck_assert_int_eq(conf_parse(text, sizeof(text) - 1, "t.conf", &s.conf, NULL), 0);
	ck_assert_int_eq(plan_make(s.conf, s.plugins, NULL, &s.plan), 0);
	ck_assert_int_eq(graph_build(&s.plan, NULL, &s.graph), 0);
	e = s.graph.sinks->encoders;
	ck_assert_uint_eq(e->limit, 1234);
	ck_assert(e->sync);
	e = s.graph.sinks->next->encoders;
	ck_assert_uint_eq(e->limit, FRAME_DEFAULT);
	ck_assert(!e->sync);
	setup_free(&s);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, the_id_is_stable);
	tcase_add_test(t, the_id_changes_with_content_and_name);
	tcase_add_test(t, a_layout_too_large_refuses_the_stack);
	tcase_add_test(t, frames_as_asked_for);
}

int
main(void)
{
	return unit_main("encoder", add_tests);
}
