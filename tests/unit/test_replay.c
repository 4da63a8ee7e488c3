/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay.c, wired by the real core to an output that wants every field. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ct_msg.h"
#include "field.h"
#include "graph.h"
#include "log.h"
#include "pcap.h"
#include "unit.h"

#define T0 UINT64_C(1700000000000000000)
#define FIELDS 120

extern const struct ctf_plugin ctf_plugin_replay;

struct hole {
	struct ctf_obj obj;
	ctf_ref ref[FIELDS];
};

static struct ctf_port reads[FIELDS + 1];
static struct ctf_plugin hole;
static struct conf *conf;
static struct plugin_set *set;
static struct plan plan;
static struct graph graph;
static struct input *in;
static char path[] = "/tmp/test_replay.XXXXXX";
static char logfile[64];

static enum ctf_put
encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	return CTF_OK;
}

static void
make_hole(void)
{
	unsigned n = 0;

	for (; ct_ports[n].name; n++)
		reads[n] = (struct ctf_port){ ct_ports[n].name, CTF_REQUIRED,
					      offsetof(struct hole, ref) + n, NULL };
	hole = (struct ctf_plugin){ .abi = CTF_ABI,
				    .role = CTF_OUTPUT,
				    .name = "HOLE",
				    .doc = "nothing",
				    .reads = reads,
				    .size = sizeof(struct hole),
				    .encode = encode };
}

/* 0 or -errno, as what the configuration says. */
static int
build(const char *options)
{
	struct diag diag = { 0 };
	char *text;
	int ret = asprintf(&text, "[global]\nstack=r1:REPLAY,h:HOLE\n[r1]\nfile=\"%s\"\n%s\n",
			   path, options);

	ck_assert_int_gt(ret, 0);
	make_hole();
	set = plugin_set_new();
	ck_assert_int_eq(plugin_add(set, &hole), 0);
	ck_assert_int_eq(plugin_add(set, &ctf_plugin_replay), 0);
	ret = conf_parse(text, strlen(text), "test.conf", &conf, &diag);
	free(text);
	ck_assert_int_eq(ret, 0);
	ret = plan_make(conf, set, &diag, &plan);
	if (!ret)
		ret = graph_build(&plan, &diag, &graph);
	diag_free(&diag);
	in = graph.inputs;
	return ret;
}

static void
start(const char *options)
{
	struct ctf_err err = { 0 };

	ck_assert_int_eq(build(options), 0);
	ck_assert_int_eq(batch_init(&in->batch, in->nslots), 0);
	ck_assert_msg(ctf_plugin_replay.start(in->ctx.obj, &err) == 0, "%s", err.msg);
}

static int
next_batch(void)
{
	batch_reset(&in->batch);
	return ctf_plugin_replay.read(in->ctx.obj, &in->batch);
}

static bool
readable(int ms)
{
	struct pollfd p = { ctf_plugin_replay.fd(in->ctx.obj), POLLIN, 0 };

	return poll(&p, 1, ms) == 1;
}

/* n DESTROY events, gap ns apart, ids ascending, every fifth from namespace 3. */
static void
record(unsigned n, uint64_t gap)
{
	struct pcap_writer *w;
	struct msg m;

	ck_assert_int_eq(pcap_writer_open(path, &w, NULL), 0);
	for (unsigned i = 0; i < n; i++) {
		msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
		msg_u32(&m, CTA_ID, i);
		ck_assert_int_eq(pcap_writer_put(w, T0 + i * gap, i % 5 ? -1 : 3, m.p, m.len),
				 0);
	}
	ck_assert_int_eq(pcap_writer_close(w), 0);
}

static void
setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	snprintf(logfile, sizeof(logfile), "%s.log", path);
	ck_assert_int_eq(log_open(logfile), 0);
}

static void
teardown(void)
{
	if (in) {
		ctf_plugin_replay.stop(in->ctx.obj);
		batch_free(&in->batch);
	}
	graph_free(&graph);
	plan_free(&plan);
	conf_free(conf);
	plugin_set_free(set);
	log_close();
	unlink(logfile);
	unlink(path);
}

/* Reads until it is not MORE; every record must have the id that follows. */
static int
read_all(uint64_t *id)
{
	ctf_ref slot = in->nslots;
	int ret;

	for (ctf_ref i = 0; i < in->nslots; i++)
		if (strcmp(in->slots[i]->name, "ct.id") == 0)
			slot = i;
	ck_assert_uint_lt(slot, in->nslots);
	do {
		ret = next_batch();
		for (unsigned i = 0; i < in->batch.n; i++) {
			const struct ctf_rec *r = batch_rec(&in->batch, i);

			ck_assert_uint_eq(ctf_num_or(r, slot, UINT64_MAX), (*id)++);
			ck_assert_int_eq(r->event, CTF_DESTROY);
		}
	} while (ret == CTF_READ_MORE);
	return ret;
}

START_TEST(all_of_it)
{
	uint64_t id = 0;

	record(1000, 1000);
	start("");
	ck_assert(readable(0));
	ck_assert_int_eq(read_all(&id), CTF_READ_END);
	ck_assert_uint_eq(id, 1000);
	ck_assert_uint_eq(batch_rec(&in->batch, in->batch.n - 1)->rx_ns, T0 + 999 * 1000);
	ck_assert_int_eq(next_batch(), CTF_READ_END);
	ck_assert_uint_eq(in->batch.n, 0);
}
END_TEST

START_TEST(go_on_at_the_end)
{
	uint64_t id = 0;

	record(10, 1000);
	start("stop_at_end=no");
	ck_assert_int_eq(read_all(&id), CTF_READ_IDLE);
	ck_assert_uint_eq(id, 10);
	ck_assert(!readable(20)); /* no busy loop */
}
END_TEST

START_TEST(recorded_speed)
{
	struct timespec a, b;
	unsigned rounds = 0;
	uint64_t id = 0;
	int ret;

	record(5, 50 * 1000 * 1000);
	start("speed=recorded");
	clock_gettime(CLOCK_MONOTONIC, &a);
	do {
		ck_assert(readable(60000));
		ret = read_all(&id);
		rounds++;
	} while (ret == CTF_READ_IDLE);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ck_assert_int_eq(ret, CTF_READ_END);
	ck_assert_uint_eq(id, 5);
	ck_assert_uint_ge(rounds, 4);
	ck_assert_int_ge((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, 199);
}
END_TEST

static void
check_log(const char *want, unsigned lines)
{
	FILE *f = fopen(logfile, "r");
	char line[1024];
	unsigned n = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		ck_assert_msg(strstr(line, want) != NULL, "%s", line);
		n++;
	}
	fclose(f);
	ck_assert_uint_eq(n, lines);
}

/* All before the damage is delivered, then one line and -errno. */
START_TEST(truncated)
{
	uint64_t id = 0;

	record(100, 1000);
	ck_assert_int_eq(truncate(path, 24 + 99 * 60 + 59), 0);
	start("");
	ck_assert_int_eq(read_all(&id), -EBADMSG);
	ck_assert_uint_eq(id, 99);
	check_log("packet 100 at offset 5964", 1);
	ck_assert_int_eq(next_batch(), -EBADMSG);
	check_log("packet 100 at offset 5964", 1);
}
END_TEST

static uint64_t
counter(const char *name)
{
	for (const struct counter *c = in->ctx.counters; c; c = c->next)
		if (strcmp(c->metric.name, name) == 0)
			return atomic_load(&c->value);
	return UINT64_MAX;
}

/* Malformed messages and other ones are counted, not delivered. */
START_TEST(not_events)
{
	static uint8_t large[128 * 1024];
	uint32_t len = sizeof(large);
	struct pcap_writer *w;
	unsigned n = 0;
	struct msg m;
	int ret;

	ck_assert_int_eq(pcap_writer_open(path, &w, NULL), 0);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	msg_put(&m, CTA_ID, "x", 1);
	ck_assert_int_eq(pcap_writer_put(w, 1, -1, m.p, m.len), 0);
	msg_begin(&m, NLMSG_DONE, 0, 0, AF_INET);
	ck_assert_int_eq(pcap_writer_put(w, 1, -1, m.p, m.len), 0);
	memcpy(large, &len, sizeof(len));
	ck_assert_int_eq(pcap_writer_put(w, 1, -1, large, sizeof(large)), 0);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	ck_assert_int_eq(pcap_writer_put(w, 1, -1, m.p, m.len), 0);
	ck_assert_int_eq(pcap_writer_close(w), 0);
	start("");
	while ((ret = next_batch()) == CTF_READ_MORE)
		n += in->batch.n;
	ck_assert_int_eq(ret, CTF_READ_END);
	ck_assert_uint_eq(n + in->batch.n, 1);
	ck_assert_uint_eq(counter("events"), 1);
	ck_assert_uint_eq(counter("malformed"), 2);
	ck_assert_uint_eq(counter("other"), 1);
}
END_TEST

START_TEST(only_these_events)
{
	struct pcap_writer *w;
	struct msg m;

	ck_assert_int_eq(pcap_writer_open(path, &w, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		msg_begin(&m, i == 2 ? MSG_DESTROY : MSG_NEW, i == 0 ? MSG_CREATED : 0, 0,
			  AF_INET);
		ck_assert_int_eq(pcap_writer_put(w, T0, -1, m.p, m.len), 0);
	}
	ck_assert_int_eq(pcap_writer_close(w), 0);
	start("event_mask=5");
	ck_assert_int_eq(next_batch(), CTF_READ_END);
	ck_assert_uint_eq(in->batch.n, 2);
	ck_assert_int_eq(batch_rec(&in->batch, 0)->event, CTF_NEW);
	ck_assert_int_eq(batch_rec(&in->batch, 1)->event, CTF_DESTROY);
	ck_assert_uint_eq(counter("other"), 1);
}
END_TEST

/* The reader's buffer is used again for the next message, the text is not lost. */
START_TEST(text_lives_as_long_as_the_batch)
{
	static const char *const names[] = { "ftp", "sip", "tftp" };
	struct pcap_writer *w;
	struct msg m;
	ctf_ref f = 0;

	ck_assert_int_eq(pcap_writer_open(path, &w, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		size_t nest;

		msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET);
		nest = msg_nest(&m, CTA_HELP);
		msg_put(&m, CTA_HELP_NAME, names[i], strlen(names[i]) + 1);
		msg_end(&m, nest);
		ck_assert_int_eq(pcap_writer_put(w, T0, -1, m.p, m.len), 0);
	}
	ck_assert_int_eq(pcap_writer_close(w), 0);
	start("");
	ck_assert_int_eq(next_batch(), CTF_READ_END);
	ck_assert_uint_eq(in->batch.n, 3);
	while (strcmp(in->slots[f]->name, "ct.helper") != 0)
		f++;
	for (unsigned i = 0; i < 3; i++) {
		const union ctf_val *v = &batch_rec(&in->batch, i)->v[f];

		ck_assert_uint_eq(v->s.len, strlen(names[i]));
		ck_assert_mem_eq(v->s.p, names[i], v->s.len);
	}
}
END_TEST

START_TEST(no_such_file)
{
	unlink(path);
	(void)build("");
	ck_assert_ptr_null(in); /* its only stack is refused */
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_of_it);
	tcase_add_test(t, go_on_at_the_end);
	tcase_add_test(t, recorded_speed);
	tcase_add_test(t, truncated);
	tcase_add_test(t, not_events);
	tcase_add_test(t, only_these_events);
	tcase_add_test(t, text_lives_as_long_as_the_batch);
	tcase_add_test(t, no_such_file);
}

int
main(void)
{
	return unit_main("replay", add_tests);
}
