/* SPDX-License-Identifier: GPL-2.0-or-later */
/* info.c: what -i, --man and -n -v print; the latter parses to the same again. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "fakes.h"
#include "opt.h"
#include "unit.h"

/* What -n -v prints, to be freed. */
static char *
config_text(const char *conf)
{
	static const char *const also[] = { "plugin", "stack", NULL };
	struct global_conf global = { 0 };
	struct opt_set set = { global_opts, &global, also };
	struct diag diag = { 0 };
	struct setup s;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fakes_setup(&s, conf, NULL, &diag);
	ck_assert_int_eq(
		opt_parse(&set, 1, conf_find(s.conf, "global"), "global", "t.conf", &diag), 0);
	info_config(f, s.conf, &global, &s.plan, &s.graph);
	fclose(f);
	opt_free(&set, 1);
	diag_free(&diag);
	setup_free(&s);
	return text;
}

static const char *const confs[] = {
	"[global]\nstack=a:FEED,k:KEEP\n",
	"[global]\nlogfile=\"/var/log/a b\"\nloglevel=3\nstop_timeout=90\nstate_dir=\"/a b\"\n"
	"stack=a:FEED,t:TAG,p:PRINT\nstack=a:FEED,o:ODD,k:KEEP\n"
	"[a]\nframe=0x10\n[k]\nqueue=2M\ngaps=no\nreconnect=1500ms\noverflow=block\n[p]\nsync="
	"on\n",
	/* idle filter, several inputs, one sink twice */
	"[global]\nstack=a:FEED,t:TAG,k:KEEP\nstack=b:LIVE,k:KEEP\nstack=b:LIVE,s:STREAMS\n",
	/* a refused one is a comment */
	"[global]\nstack=a:FEED,p:PRINT\nstack=a:FEED,k:KEEP\n",
	/* an id that serves two plugins */
	"[global]\nstack=x:FEED,x:TAG,x:PRINT\nstack=x:FEED,y:KEEP\n[x]\nframe=77\nqueue=3M\n",
	/* one that is several sinks */
	"[global]\nstack=a:FEED,t:TAG,k:MANY\nstack=a:FEED,k:MANY\n[k]\nqueue=2M\n",
	"[global]\nplugin=/usr/lib/ulogd/ulogd_output_LOGEMU.so\nstack=a:FEED,k:KEEP\n",
};

START_TEST(parses_to_the_same_again)
{
	char *once = config_text(confs[_i]), *again = config_text(once);
	const char *refused = strstr(once, "# refused");

	if (!refused) {
		ck_assert_str_eq(once, again);
	} else { /* but for what is refused */
		ck_assert_ptr_null(strstr(again, "# refused"));
		ck_assert_str_eq(strstr(once, "# wiring"), strstr(again, "# wiring"));
	}
	free(once);
	free(again);
}
END_TEST

static void
has(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) != NULL, "no \"%s\" in: %s", what, text);
}

START_TEST(options_in_force)
{
	char *text = config_text(confs[1]);

	has(text, "[global]\nlogfile=\"/var/log/a b\"\nloglevel=3\nstate_dir=\"/a b\"\n"
		  "stop_timeout=90\n");
	has(text, "\n[k]\nbox=0\nframe=64\nsync=0\nqueue=2M\noverflow=block\n"
		  "reconnect=1500ms\ngaps=0\ninterim=auto\n");
	has(text, "\n[a]\nbox=0\nframe=16\nsync=0\n\n");
	free(text);
	text = config_text(confs[3]);
	has(text, "\n# refused: stack=a:FEED,p:PRINT\nstack=a:FEED,k:KEEP\n");
	free(text);
}
END_TEST

START_TEST(wiring)
{
	char *text = config_text(confs[2]);

	has(text,
	    "# stack a:FEED,t:TAG,k:KEEP\n#   t:TAG is idle: nobody reads what it writes\n");
	has(text, "#   frames of at most 64 bytes, layout ");
	has(text, "# a:FEED: 2 slots, ");
	has(text, "#    0 ct.id                for k from a:FEED\n");
	has(text, "# b:LIVE: 2 slots, ");
	has(text, "#    0 ct.id                for k s from b:LIVE\n");
	has(text, "# memory ceilings\n");
	has(text, "#   k: queue 67108864 bytes, in delivery 4096, open frames 128\n");
	has(text, "#   s: queue 67108864 bytes, in delivery 4096, open frames 4096\n");
	free(text);
}
END_TEST

/* Ids that are words only between quotes. */
START_TEST(odd_ids)
{
	char *text = config_text("[global]\nstack=\"a:FEED,a b:KEEP\"\nstack=a:FEED,x]y:KEEP\n"
				 "[\"a b\"]\nframe=77\n[\"x]y\"]\nframe=78\n");
	char *again = config_text(text);

	has(text, "\n[\"a b\"]\nbox=0\nframe=77\n");
	has(text, "\n[\"x]y\"]\nbox=0\nframe=78\n");
	ck_assert_str_eq(text, again);
	free(again);
	free(text);
}
END_TEST

START_TEST(one_section_for_two_plugins)
{
	char *text = config_text(confs[4]);
	const char *sec = strstr(text, "\n[x]\n");

	ck_assert_ptr_nonnull(sec);
	ck_assert_ptr_null(strstr(sec + 1, "\n[x]\n"));
	has(text, "\n[x]\nbox=0\nframe=77\nsync=0\nqueue=3M\noverflow=auto\nreconnect=1\n"
		  "gaps=1\ninterim=auto\nspool_dir=\"\"\nspool_max=1G\nspool_sync=1\n"
		  "replay_rate=0\n\n[y]\n");
	free(text);
}
END_TEST

/* ---- -i and --man ---- */

static char *
plugin_text(const char *name)
{
	struct plugin_set *set = plugin_set_new();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fakes_add(set);
	info_plugin(f, plugin_find(set, name, NULL));
	fclose(f);
	plugin_set_free(set);
	return text;
}

START_TEST(a_plugin)
{
	char *text = plugin_text("TAG");

	has(text, "TAG");
	has(text, "filter");
	has(text, "frame");
	has(text, "Fields read:\n  ct.id");
	has(text, "Fields written:\n  print");
	ck_assert_ptr_null(strstr(text, "Options of every output"));
	free(text);
	text = plugin_text("KEEP");
	has(text, "Options of every output:\n  queue");
	has(text, "ct.zone");
	has(text, "(optional)");
	free(text);
}
END_TEST

START_TEST(man)
{
	static const char *const names[] = { "global", "output", "KEEP", "LOGEMU" };
	struct plugin_set *set = plugin_set_new();
	FILE *null = fopen("/dev/null", "w");
	char *text = NULL;
	size_t len;

	fakes_add(set);
	for (unsigned i = 0; i < 4; i++) {
		FILE *f = open_memstream(&text, &len);

		ck_assert_int_eq(info_man(f, set, names[i]), 0);
		fclose(f);
		has(text, ".It Cm ");
		free(text);
	}
	ck_assert_int_eq(info_man(null, set, "NOSUCH"), -ENOENT);
	fclose(null);
	plugin_set_free(set);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, parses_to_the_same_again, 0, COUNT(confs));
	tcase_add_test(t, options_in_force);
	tcase_add_test(t, wiring);
	tcase_add_test(t, odd_ids);
	tcase_add_test(t, one_section_for_two_plugins);
	tcase_add_test(t, a_plugin);
	tcase_add_test(t, man);
}

int
main(void)
{
	return unit_main("info", add_tests);
}
