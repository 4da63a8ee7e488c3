/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the outputs of text have in common: sync, SIGHUP, gaps. */
#include "sample.h"
#include "unit.h"

#include <unistd.h>

extern const struct ctf_plugin ctf_plugin_logemu, ctf_plugin_gprint, ctf_plugin_json,
	ctf_plugin_oprint, ctf_plugin_nacct;

#define NS UINT64_C(1000000000)

static const struct {
	const struct ctf_plugin *plugin;
	const char *gap; /* with times from 1 s to 2 s */
} outputs[] = {
	{ &ctf_plugin_logemu, "[GAP] FROM=1970-01-01T00:00:01.000Z TO=1970-01-01T00:00:02.000Z "
			      "CAUSE=overrun COUNT=7 \n" },
	{ &ctf_plugin_gprint, "[GAP] FROM=1970-01-01T00:00:01.000Z TO=1970-01-01T00:00:02.000Z "
			      "CAUSE=overrun COUNT=7 \n" },
	{ &ctf_plugin_oprint, "===>PACKET BOUNDARY\ngap.from=1970-01-01T00:00:01.000Z\n"
			      "gap.to=1970-01-01T00:00:02.000Z\ngap.cause=overrun\n"
			      "gap.count=7\n" },
	{ &ctf_plugin_nacct, NULL }, /* its columns have no place for one */
	{ &ctf_plugin_json, "\"gap.from\": \"1970-01-01T00:00:01.000Z\", "
			    "\"gap.to\": \"1970-01-01T00:00:02.000Z\", "
			    "\"gap.cause\": \"overrun\", \"gap.count\": 7, " },
};

static char dir[] = "/tmp/test_text_outputs.XXXXXX", path[64], moved[64], options[128];
static struct ctf_err err;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	snprintf(options, sizeof(options), "file=%s\n", path);
}

static void
teardown(void)
{
	unlink(path);
	unlink(moved);
	rmdir(dir);
}

static void
one_line(struct plug *p, const char *text)
{
	plug_rec(p, AF_INET, CTF_DESTROY, NS);
	plug_text(p, "print", text);
	plug_text(p, "orig.ip.saddr.str", text);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	ck_assert_ptr_nonnull(plug_seal(p));
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
}

static bool
has_sync(const struct ctf_plugin *plugin, const char *opts)
{
	struct plug *p = plug_new(plugin, opts);
	bool sync = plug_sync(p);

	plug_free(p);
	return sync;
}

START_TEST(sync_is_honoured)
{
	ck_assert(!has_sync(outputs[_i].plugin, ""));
	ck_assert(!has_sync(outputs[_i].plugin, "sync=0\n"));
	ck_assert(has_sync(outputs[_i].plugin, "sync=1\n"));
}
END_TEST

START_TEST(sockets_get_each_batch)
{
	ck_assert(has_sync(&ctf_plugin_json, "mode=tcp\n"));
	ck_assert(has_sync(&ctf_plugin_json, "mode=udp\n"));
	ck_assert(has_sync(&ctf_plugin_json, "mode=unix\nfile=/tmp/x\n"));
	ck_assert(!has_sync(&ctf_plugin_json, "mode=stdout\n"));
}
END_TEST

START_TEST(reopened)
{
	struct plug *p = plug_new(outputs[_i].plugin, options);

	one_line(p, "first \n");
	ck_assert_int_eq(rename(path, moved), 0);
	one_line(p, "second \n");
	ck_assert_ptr_nonnull(outputs[_i].plugin->reopen);
	ck_assert_int_eq(outputs[_i].plugin->reopen(plug_sink(p), &err), 0);
	one_line(p, "third \n");
	plug_close(p);
	ck_assert_ptr_nonnull(strstr(unit_read(moved), "first"));
	ck_assert_ptr_nonnull(strstr(unit_read(moved), "second"));
	ck_assert_ptr_null(strstr(unit_read(moved), "third"));
	ck_assert_ptr_nonnull(strstr(unit_read(path), "third"));
	ck_assert_ptr_null(strstr(unit_read(path), "second"));
	plug_free(p);
}
END_TEST

START_TEST(gaps)
{
	const struct ctf_gap gap = { .from_ns = NS,
				     .to_ns = 2 * NS,
				     .count = 7,
				     .cause = "overrun",
				     .instance = "ct1",
				     .nsid = -1 };
	struct plug *p = plug_new(outputs[_i].plugin, options);

	if (!outputs[_i].gap) {
		ck_assert_ptr_null(outputs[_i].plugin->gap);
		plug_free(p);
		return;
	}
	ck_assert_int_eq(plug_gap(p, &gap), CTF_OK);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_SENT);
	plug_close(p);
	ck_assert_ptr_nonnull(strstr(unit_read(path), outputs[_i].gap));
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	setenv("TZ", "UTC", 1);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, sync_is_honoured, 0, COUNT(outputs));
	tcase_add_test(t, sockets_get_each_batch);
	tcase_add_loop_test(t, reopened, 0, COUNT(outputs));
	tcase_add_loop_test(t, gaps, 0, COUNT(outputs));
}

int
main(void)
{
	return unit_main("text_outputs", add_tests);
}
