/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics.c: the text, to the byte, and the file, at every moment. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"
#include "rig.h"
#include "unit.h"

static const struct ctf_plugin in_plugin = { .role = CTF_INPUT, .name = "IN" };
static const struct ctf_plugin mark_plugin = { .role = CTF_FILTER, .name = "MARK" };
static struct inst in1 = { .id = (char[]){ "ct1" }, .plugin = &in_plugin };
static struct inst in2 = { .id = (char[]){ "b\"a\\c\nk\xff\xc3\xa4" }, .plugin = &in_plugin };
static struct inst mark = { .id = (char[]){ "m" }, .plugin = &mark_plugin };

static void
number(struct ctf_ctx *ctx, const char *name, enum ctf_metric kind, enum ctf_unit unit,
       const char *help, uint64_t value)
{
	ctf_gauge_set(ctf_metric_new(ctx, name, kind, unit, help), value);
}

static const char written[] =
	"# HELP ctflowd_build_info what runs; the value is always 1\n"
	"# TYPE ctflowd_build_info gauge\n"
	"ctflowd_build_info{version=\"" VERSION "\"} 1\n"
	"# HELP ctflowd_start_time_seconds when it was started, seconds since 1970\n"
	"# TYPE ctflowd_start_time_seconds gauge\n"
	"ctflowd_start_time_seconds 1700000000.123456789\n"
	"# HELP ctflowd_heartbeat_timestamp_seconds when these numbers were taken, "
	"seconds since 1970\n"
	"# TYPE ctflowd_heartbeat_timestamp_seconds gauge\n"
	"ctflowd_heartbeat_timestamp_seconds 1700000001.000000002\n"
	"# HELP ctflowd_heartbeat_interval_seconds how often they are "
	"(metrics_interval=)\n"
	"# TYPE ctflowd_heartbeat_interval_seconds gauge\n"
	"ctflowd_heartbeat_interval_seconds 0.010000000\n"
	"# HELP ctflowd_input_events_total a\\\\b\\n\"c\"\n"
	"# TYPE ctflowd_input_events_total counter\n"
	"ctflowd_input_events_total{input=\"ct1\",plugin=\"IN\"} 3\n"
	"ctflowd_input_events_total{input=\"b\\\"a\\\\c\\nk?\xc3\xa4\",plugin=\"IN\"} "
	"0\n"
	"# HELP ctflowd_input_fill_ratio fill of IN\n"
	"# TYPE ctflowd_input_fill_ratio gauge\n"
	"ctflowd_input_fill_ratio{input=\"ct1\",plugin=\"IN\"} 1.07\n"
	"# HELP ctflowd_input_age_seconds how old\n"
	"# TYPE ctflowd_input_age_seconds gauge\n"
	"ctflowd_input_age_seconds{input=\"ct1\",plugin=\"IN\"} 1.500000001\n"
	"# HELP ctflowd_input_up 1: the input has not failed\n"
	"# TYPE ctflowd_input_up gauge\n"
	"ctflowd_input_up{input=\"ct1\",plugin=\"IN\"} 1\n"
	"ctflowd_input_up{input=\"b\\\"a\\\\c\\nk?\xc3\xa4\",plugin=\"IN\"} 0\n"
	"# HELP ctflowd_input_odd_name_bytes_total odd-name of IN\n"
	"# TYPE ctflowd_input_odd_name_bytes_total counter\n"
	"ctflowd_input_odd_name_bytes_total{input=\"b\\\"a\\\\c\\nk?\xc3\xa4\",plugin="
	"\"IN\"}"
	" 18446744073709551615\n"
	"# HELP ctflowd_filter_events_total events of MARK\n"
	"# TYPE ctflowd_filter_events_total counter\n"
	"ctflowd_filter_events_total{filter=\"m\",plugin=\"MARK\"} 11\n";

START_TEST(text)
{
	struct input a = { .ctx = { .inst = &in1 } }, b = { .ctx = { .inst = &in2 } };
	struct filter f1 = { .ctx = { .inst = &mark } }, f2 = f1;
	struct graph g = { .inputs = &a, .filters = &f1 };
	struct run r = { .graph = &g };
	struct metrics m = { .run = &r, .start_ns = UINT64_C(1700000000123456789), .msec = 10 };
	char *got;

	a.next = &b;
	b.failed = true;
	f1.next = &f2;
	number(&a.ctx, "events", CTF_COUNTER, CTF_UNIT_NONE, "a\\b\n\"c\"", 3);
	number(&a.ctx, "fill", CTF_GAUGE, CTF_UNIT_PERCENT, NULL, 107);
	number(&a.ctx, "age", CTF_GAUGE, CTF_UNIT_SECONDS, "how old", 1500000001);
	number(&b.ctx, "odd-name", CTF_COUNTER, CTF_UNIT_BYTES, NULL, UINT64_MAX);
	number(&b.ctx, "events", CTF_COUNTER, CTF_UNIT_NONE, "a\\b\n\"c\"", 0);
	number(&f1.ctx, "events", CTF_COUNTER, CTF_UNIT_NONE, NULL, 5);
	number(&f2.ctx, "events", CTF_COUNTER, CTF_UNIT_NONE, NULL, 6);
	got = metrics_text(&m, UINT64_C(1700000001000000002));
	ck_assert_str_eq(got, written);
	free(got);
	ctx_free(&a.ctx);
	ctx_free(&b.ctx);
	ctx_free(&f1.ctx);
	ctx_free(&f2.ctx);
}
END_TEST

/* ---- the file ------------------------------------------------------------------ */

struct place {
	char dir[32], file[64], tmp[64], log[64];
};

static void
place_make(struct place *p)
{
	strcpy(p->dir, "/tmp/metrics-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/d/x.prom", p->dir);
	snprintf(p->tmp, sizeof(p->tmp), "%s/d/x.prom.new", p->dir);
	snprintf(p->log, sizeof(p->log), "%s/log", p->dir);
}

static void
place_folder(const struct place *p, bool there)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/d", p->dir);
	ck_assert_int_eq(there ? mkdir(path, 0755) : rmdir(path), 0);
}

static void
place_remove(struct place *p)
{
	(void)unlink(p->file);
	place_folder(p, false);
	(void)unlink(p->log);
	ck_assert_int_eq(rmdir(p->dir), 0);
}

/* Also what an output says of itself. */
START_TEST(an_output)
{
	struct metrics m = { 0 };
	struct place p;
	struct rig g;
	const char *got;

	place_make(&p);
	place_folder(&p, true);
	box_init(&g.box);
	rig_start(&g, ONE "queue=1M\n", 0);
	rig_feed(&g, 100);
	rig_spin(&g, &g.box.nkept, 100);
	ck_assert_int_eq(metrics_start(&m, &g.run,
				       &(struct global_conf){ .metrics_file = p.file,
							      .metrics_daemon = "",
							      .metrics_interval = 60000 }),
			 0);
	got = unit_read(p.file);
	ck_assert_ptr_nonnull(strstr(
		got, "# TYPE ctflowd_output_records_total counter\n"
		     "ctflowd_output_records_total{output=\"k\",plugin=\"KEEP\"} 100\n"));
	ck_assert_ptr_nonnull(
		strstr(got, "\nctflowd_output_up{output=\"k\",plugin=\"KEEP\"} 1\n"));
	ck_assert_ptr_nonnull(
		strstr(got, "\nctflowd_output_stalled{output=\"k\",plugin=\"KEEP\"} 0\n"));
	ck_assert_ptr_nonnull(strstr(
		got,
		"\nctflowd_output_queue_limit_bytes{output=\"k\",plugin=\"KEEP\"} 1048576\n"));
	ck_assert_ptr_nonnull(strstr(got, "\nctflowd_output_queue_flows{"));
	ck_assert_int_eq(access(p.tmp, F_OK), -1);
	metrics_end(&m);
	rig_stop(&g);
	place_remove(&p);
}
END_TEST

/* The unit's umask is for what subscribers do; who collects numbers is another user. */
START_TEST(for_all_to_read)
{
	struct metrics m = { 0 };
	struct stat st;
	struct place p;
	struct rig g;
	mode_t before;

	place_make(&p);
	place_folder(&p, true);
	box_init(&g.box);
	rig_start(&g, ONE, 0);
	before = umask(_i ? 077 : 027);
	ck_assert_int_eq(metrics_start(&m, &g.run,
				       &(struct global_conf){ .metrics_file = p.file,
							      .metrics_daemon = "",
							      .metrics_interval = 60000 }),
			 0);
	umask(before);
	ck_assert_int_eq(stat(p.file, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
	metrics_end(&m);
	rig_stop(&g);
	place_remove(&p);
}
END_TEST

/* A folder that is not there yet: said once, tried again, and said when it works. */
START_TEST(written_later)
{
	struct metrics m = { 0 };
	struct place p;
	struct rig g;
	char *first;

	place_make(&p);
	ck_assert_int_eq(log_open(p.log), 0);
	box_init(&g.box);
	rig_start(&g, ONE, 0);
	ck_assert_int_eq(metrics_start(&m, &g.run,
				       &(struct global_conf){ .metrics_file = p.file,
							      .metrics_daemon = "",
							      .metrics_interval = 20 }),
			 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_once(g.run.loop, 100), 0);
	first = strstr(unit_read(p.log), "cannot be written, will be tried again");
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_null(strstr(first + 1, "cannot be written"));
	place_folder(&p, true);
	for (int i = 0; i < 100 && access(p.file, F_OK); i++)
		ck_assert_int_eq(loop_once(g.run.loop, 100), 0);
	ck_assert_int_eq(access(p.file, F_OK), 0);
	ck_assert_ptr_nonnull(strstr(unit_read(p.log), "x.prom is written again"));
	metrics_end(&m);
	rig_stop(&g);
	log_close();
	place_remove(&p);
}
END_TEST

/* Who may write in the folder cannot make us write elsewhere. */
START_TEST(a_link_in_the_way)
{
	struct metrics m = { 0 };
	char victim[64];
	struct place p;
	struct rig g;

	place_make(&p);
	place_folder(&p, true);
	snprintf(victim, sizeof(victim), "%s/victim", p.dir);
	unit_write(victim, "mine");
	ck_assert_int_eq(symlink(victim, p.tmp), 0);
	box_init(&g.box);
	rig_start(&g, ONE, 0);
	ck_assert_int_eq(metrics_start(&m, &g.run,
				       &(struct global_conf){ .metrics_file = p.file,
							      .metrics_daemon = "",
							      .metrics_interval = 60000 }),
			 0);
	ck_assert_str_eq(unit_read(victim), "mine");
	ck_assert_ptr_nonnull(strstr(unit_read(p.file), "ctflowd_build_info"));
	metrics_end(&m);
	rig_stop(&g);
	unlink(victim);
	place_remove(&p);
}
END_TEST

struct reader {
	const char *path;
	atomic_bool stop;
	unsigned looks, broken;
};

/* Every look sees a whole file, old or new. */
static void *
look(void *arg)
{
	static const char last[] = "lag_seconds{output=\"k\",plugin=\"KEEP\"} 0.000000000\n";
	struct reader *r = arg;
	static char buf[65536];

	while (!r->stop) {
		FILE *f = fopen(r->path, "r");
		size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

		if (f)
			fclose(f);
		buf[n] = '\0';
		r->looks++;
		r->broken += strncmp(buf, "# HELP ctflowd_build_info", 25) != 0 ||
			     n < sizeof(last) || strcmp(buf + n - sizeof(last) + 1, last) != 0;
	}
	return NULL;
}

START_TEST(replaced_as_a_whole)
{
	struct metrics m = { 0 };
	struct reader r = { 0 };
	struct place p;
	pthread_t thread;
	struct rig g;

	place_make(&p);
	place_folder(&p, true);
	box_init(&g.box);
	rig_start(&g, ONE, 0);
	ck_assert_int_eq(metrics_start(&m, &g.run,
				       &(struct global_conf){ .metrics_file = p.file,
							      .metrics_daemon = "",
							      .metrics_interval = 60000 }),
			 0);
	r.path = p.file;
	ck_assert_int_eq(pthread_create(&thread, NULL, look, &r), 0);
	for (int i = 0; i < 1000; i++)
		metrics_write(&m);
	r.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_gt(r.looks, 10);
	ck_assert_uint_eq(r.broken, 0);
	metrics_end(&m);
	rig_stop(&g);
	place_remove(&p);
}
END_TEST

/* Several daemons in one folder: node_exporter wants no two samples to be alike. */
START_TEST(one_of_several)
{
	struct global_conf conf = { .metrics_daemon = "gw\"2", .metrics_interval = 60000 };
	struct global_conf other;
	struct metrics m = { 0 };
	struct place p;
	struct rig g;
	uint64_t began;
	const char *got;

	place_make(&p);
	place_folder(&p, true);
	box_init(&g.box);
	rig_start(&g, ONE, 0);
	conf.metrics_file = p.file;
	other = conf;
	ck_assert(metrics_same(&conf, &other));
	ck_assert_int_eq(metrics_start(&m, &g.run, &conf), 0);
	got = unit_read(p.file);
	ck_assert_ptr_nonnull(strstr(got, "\nctflowd_build_info{version=\"" VERSION
					  "\",daemon=\"gw\\\"2\"} 1\n"));
	ck_assert_ptr_nonnull(
		strstr(got, "\nctflowd_heartbeat_timestamp_seconds{daemon=\"gw\\\"2\"} "));
	ck_assert_ptr_nonnull(strstr(
		got,
		"\nctflowd_output_up{output=\"k\",plugin=\"KEEP\",daemon=\"gw\\\"2\"} 1\n"));
	began = m.start_ns;
	other.metrics_daemon = "";
	ck_assert(!metrics_same(&conf, &other));
	ck_assert_int_eq(metrics_change(&m, &g.run, &other), 0);
	ck_assert_uint_eq(m.start_ns, began);
	got = unit_read(p.file);
	ck_assert_ptr_null(strstr(got, "daemon="));
	metrics_end(&m);
	rig_stop(&g);
	place_remove(&p);
}
END_TEST

START_TEST(off)
{
	struct metrics m = { 0 };
	struct run r = { 0 };

	ck_assert_int_eq(metrics_start(&m, &r,
				       &(struct global_conf){ .metrics_file = "",
							      .metrics_daemon = "",
							      .metrics_interval = 10 }),
			 0);
	ck_assert_ptr_null(m.path);
	metrics_write(&m);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, text);
	tcase_add_test(t, an_output);
	tcase_add_loop_test(t, for_all_to_read, 0, 2);
	tcase_add_test(t, written_later);
	tcase_add_test(t, a_link_in_the_way);
	tcase_add_test(t, replaced_as_a_whole);
	tcase_add_test(t, one_of_several);
	tcase_add_test(t, off);
}

int
main(void)
{
	return unit_main("metrics", add_tests);
}
