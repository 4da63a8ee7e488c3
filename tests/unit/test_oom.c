/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 1st, 2nd, 3rd ... allocation fails until none is left to fail: building
 * a graph and running it end in an error or work, and lose nothing silently.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "manager.h"
#include "rig.h"
#include "unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);

/* Allocations left until one fails; far below 0: none does. */
static atomic_long left = -1000000000;

static bool
fails(void)
{
	return atomic_fetch_sub(&left, 1) == 1;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

/* The n-th allocation from now on fails. */
static void
arm(long n)
{
	atomic_store(&left, n);
}

/* Whether it did. */
static bool
disarm(void)
{
	return atomic_exchange(&left, -1000000000) <= 0;
}

/* ---- building ---- */

static const char wide[] =
	"[global]\nstack=a:FEED,k:KEEP\nstack=a:FEED,o:ODD,t:TAG,p:PRINT\n"
	"stack=a:FEED,u:TAG,q:PRINT\nstack=b:LIVE,k:KEEP\nstack=b:LIVE,s:STREAMS\n"
	"[a]\nbox=0\n[k]\nqueue=1M\nsink=x\n[t]\nframe=100\n";

static int
build(struct setup *s, struct diag *diag)
{
	int ret = conf_parse(wide, sizeof(wide) - 1, "oom.conf", &s->conf, diag);

	if (!ret)
		ret = plan_make(s->conf, s->plugins, diag, &s->plan);
	if (!ret)
		ret = graph_build(&s->plan, diag, &s->graph);
	return ret;
}

/* Returns whether an allocation failed. */
static bool
build_once(long n)
{
	struct setup s = { .plugins = plugin_set_new() };
	struct diag diag = { 0 };
	bool failed;
	int ret;

	fakes_add(s.plugins);
	arm(n);
	ret = build(&s, &diag);
	failed = disarm();
	if (!failed)
		ck_assert_int_eq(ret, 0);
	if (!failed || (!ret && !diag.errors))
		ck_assert_uint_eq(graph_live_stacks(&s.graph), 5);
	if (ret && s.conf) /* for the file itself, conf_load() says so */
		ck_assert_uint_gt(diag.errors, 0);
	diag_log(&diag);
	diag_free(&diag);
	setup_free(&s);
	return failed;
}

START_TEST(building)
{
	long n = 1;

	while (build_once(n))
		n++;
	ck_assert_int_gt(n, 50); /* or the linker did not wrap anything */
}
END_TEST

/* ---- from a file, as the daemon does ---- */

static bool
load_once(const char *path, long n)
{
	struct setup s = { 0 };
	bool failed;
	int code;

	arm(n);
	code = setup_load(&s, path, CTF_FATAL + 1, false);
	if (!code)
		code = s.no_stack || setup_refused(&s);
	failed = disarm();
	if (!failed)
		ck_assert_int_eq(code, 0);
	setup_free(&s);
	return failed;
}

START_TEST(loading)
{
	static const char text[] =
		"[global]\nplugin=/usr/lib/ulogd/ulogd_output_LOGEMU.so\n"
		"stack=r:REPLAY,i:IP2STR,p:PRINTFLOW,l:LOGEMU\nstack=r:REPLAY,i:IP2STR,g:"
		"GPRINT\n"
		"[r]\nfile=oom.pcap\n[l]\nfile=none.txt\n[g]\nfile=none.txt\n";
	long n = 1;

	unit_write("oom.conf", text);
	unit_empty_pcap("oom.pcap");
	while (load_once("oom.conf", n))
		n++;
	unlink("oom.conf");
	unlink("oom.pcap");
	ck_assert_int_gt(n, 50);
}
END_TEST

/* ---- running ---- */

static bool
no_hurry(void *arg)
{
	return false;
}

/* Without the assertions of rig_feed(): they allocate. */
static void
feed(struct rig *g, unsigned n)
{
	g->box.feed += n;
	eventfd_write(g->box.event_fd, 1);
	for (int i = 0; i < 100 && g->box.fed < g->box.feed; i++)
		loop_once(g->run.loop, 10);
}

static void
run_fed(struct rig *g)
{
	if (run_start(&g->run))
		return;
	run_go(&g->run);
	for (int i = 0; i < 4; i++)
		feed(g, 50);
	ctf_report_gap(&g->s.graph.inputs->ctx,
		       &(struct ctf_gap){ 1, 2, 3, CTF_EXACT, "overrun", "a", -1 });
}

static uint64_t
told(const struct box *b)
{
	uint64_t sum = b->nkept;

	for (unsigned i = 0; i < b->ngaps; i++)
		sum += b->gaps[i].count;
	return sum;
}

static bool
run_once(const char *text, long n, bool counted)
{
	struct diag diag = { 0 };
	struct rig *g = calloc(1, sizeof(*g));
	bool failed, ended = true;

	box_init(&g->box);
	ck_assert_int_eq(fakes_setup(&g->s, text, &g->box, &diag), 0);
	diag_free(&diag);
	g->run.graph = &g->s.graph;
	ck_assert_int_eq(loop_new(&g->run.loop), 0);
	arm(n);
	run_fed(g);
	if (g->s.graph.run)
		ended = run_stop(&g->run, 2000, no_hurry, NULL);
	failed = disarm();
	ck_assert(ended);
	if (!failed)
		ck_assert_uint_eq(g->box.feed, 200);
	if (counted && g->box.feed)
		ck_assert_uint_eq(told(&g->box), g->box.fed + 3);
	setup_free(&g->s);
	loop_free(g->run.loop);
	box_free(&g->box);
	free(g);
	return failed;
}

START_TEST(running)
{
	long n = 1;

	while (run_once("[global]\nstack=a:FEED,k:KEEP\n[a]\n%B\n[k]\n%B\nreconnect=10ms\n", n,
			true))
		n++;
	ck_assert_int_gt(n, 30);
	for (n = 1; run_once("[global]\nstack=a:LIVE,t:TAG,p:PRINT\nstack=a:LIVE,s:STREAMS\n"
			     "[a]\n%B\n[t]\n%B\n[p]\n%B\n[s]\n%B\n",
			     n, false);
	     n += 7)
		;
}
END_TEST

/* ---- one process after the other ---- */

static const char live[] = "[global]\nstack=a:LIVE,k:KEEP\n[a]\n%B\n[k]\n%B\n";

/* `fed` flows were read before; the n-th allocation of its start fails. */
static void
process_begin(struct rig *g, unsigned fed, bool stalled, long n)
{
	struct diag diag = { 0 };

	box_init(&g->box);
	g->box.fed = g->box.feed = fed;
	g->box.feed_end = CTF_READ_IDLE;
	g->box.block = stalled;
	ck_assert_int_eq(fakes_setup(&g->s, live, &g->box, &diag), 0);
	diag_free(&diag);
	g->run = (struct run){ .graph = &g->s.graph, .handover = manager_new_process() };
	ck_assert_int_eq(loop_new(&g->run.loop), 0);
	if (n)
		arm(n);
	handover_load(g->run.handover);
	if (run_start(&g->run) == 0)
		run_go(&g->run);
}

/* The n-th allocation of it fails; returns whether one did. */
static bool
process_end(struct rig *g, bool handing, long n)
{
	bool failed, ended = true;

	g->run.handing = handing;
	if (n)
		arm(n);
	if (g->s.graph.run) /* it had been started */
		ended = run_stop(&g->run, handing ? 1 : 2000, no_hurry, NULL);
	failed = n && disarm();
	ck_assert(ended);
	setup_free(&g->s);
	loop_free(g->run.loop);
	handover_free(g->run.handover);
	box_free(&g->box);
	return failed;
}

/* The n-th allocation of the end, or of the start after it, fails. */
static bool
hand_over_once(long n, bool leaving)
{
	static struct rig g;
	bool failed;

	manager_start();
	process_begin(&g, 0, true, 0);
	feed(&g, 40);
	failed = process_end(&g, true, leaving ? n : 0);
	process_begin(&g, 40, false, leaving ? 0 : n);
	failed |= !leaving && disarm();
	process_end(&g, false, 0);
	/* in order and once, as far as there was memory for them */
	for (unsigned i = 1; i < g.box.nkept; i++)
		ck_assert_uint_gt(g.box.kept[i], g.box.kept[i - 1]);
	if (!failed)
		ck_assert_uint_eq(g.box.nkept, 40);
	manager_end();
	return failed;
}

START_TEST(handing_over)
{
	long n;

	for (n = 1; hand_over_once(n, true); n++)
		;
	ck_assert_int_gt(n, 10);
}
END_TEST

START_TEST(taking_over)
{
	long n;

	for (n = 1; hand_over_once(n, false); n++)
		;
	ck_assert_int_gt(n, 15);
}
END_TEST

/* ---- expressions ---- */

/* Returns whether an allocation failed. */
static bool
expression_once(long n)
{
	char id[] = "x";
	struct inst inst = { .id = id, .file = "oom.conf" };
	struct ctf_ctx ctx = { .inst = &inst };
	struct ctf_expr *a = NULL, *b = NULL;
	struct ctf_err err = { .msg = "" };
	bool failed;
	int r;

	arm(n);
	r = ctf_expr_parse(&ctx, "expr",
			   "src and dst net {10.0.0.0/8, 1::/16, 2::} or not (udp port 53,1-9 "
			   "and mark 0x1/0x3,7) or nat or bytes != 5",
			   &a, &err);
	if (r == 0)
		r = ctf_expr_parse(&ctx, "expr", "tcp and host in @/etc/hosts.none", &b, &err);
	if (a && ctf_expr_parse(&ctx, "expr", "proto tcp", &b, &err) == 0 &&
	    ctf_expr_and(a, b) < 0)
		ctf_expr_free(b);
	failed = disarm();
	if (!failed)
		ck_assert_ptr_nonnull(strstr(ctf_expr_text(a), ") and proto tcp"));
	ck_assert_int_lt(r, 0); /* there is no such file */
	ck_assert_int_ne(err.msg[0], '\0');
	ctf_expr_free(a);
	return failed;
}

START_TEST(expressions)
{
	long n = 1;

	while (expression_once(n))
		n++;
	ck_assert_int_gt(n, 30);
}
END_TEST

static void
add_tests(TCase *t)
{
	log_set_level(CTF_FATAL + 1);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, building);
	tcase_add_test(t, loading);
	tcase_add_test(t, running);
	tcase_add_test(t, handing_over);
	tcase_add_test(t, taking_over);
	tcase_add_test(t, expressions);
}

int
main(void)
{
	return unit_main("oom", add_tests);
}
