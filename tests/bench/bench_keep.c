/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SQLITE3's upkeep costs beside the storing:
 *
 *   make tests/bench/bench_keep && tests/bench/bench_keep DB FLOWS [option=value]...
 *
 * Prints a line for each tenth of the flows: how many were stored a second by
 * the sink's thread, the longest delivery and the longest call of spare(), in
 * milliseconds, and the megabytes of the file.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "plug.h"

extern const struct ctf_plugin ctf_plugin_sqlite3;

#define ROWS 16000u /* of a delivery */
#define GAP 4000u   /* ns between two ends */
#define SPARE_MS 100u

struct run {
	struct plug *p;
	const char *db;
	uint64_t begin, made, spare_at_ms;
	double deliver, spare; /* longest, ms */
};

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
flow_put(struct plug *p, uint64_t begin, uint64_t n)
{
	uint64_t stop = begin + n * GAP, r = n * UINT64_C(0x9e3779b97f4a7c15) >> 20;
	char host[32], peer[32];

	snprintf(host, sizeof(host), "10.0.%u.%u", (unsigned)(r % 8), (unsigned)(r / 8 % 250));
	snprintf(peer, sizeof(peer), "198.51.%u.%u", (unsigned)(r / 7 % 250),
		 (unsigned)(r / 11 % 250));
	plug_rec(p, AF_INET, CTF_DESTROY, stop + 1000);
	plug_ip(p, "orig.ip.saddr", host);
	plug_ip(p, "orig.ip.daddr", peer);
	plug_ip(p, "reply.ip.saddr", peer);
	plug_ip(p, "reply.ip.daddr", "203.0.113.9");
	plug_num(p, "orig.ip.protocol", r % 3 ? 6 : 17);
	plug_num(p, "orig.l4.sport", 32768 + r % 28000);
	plug_num(p, "orig.l4.dport", r % 5 ? 443 : r % 2000);
	plug_num(p, "reply.l4.sport", r % 5 ? 443 : r % 2000);
	plug_num(p, "reply.l4.dport", 1024 + r % 60000);
	plug_num(p, "ct.id", (uint32_t)r);
	plug_num(p, "flow.start.ns", stop - r % 100 * 1000000000);
	plug_num(p, "flow.last.ns", stop - 10000000000);
	plug_num(p, "flow.destroy.ns", stop);
	plug_num(p, "orig.raw.pktcount", r % 100);
	plug_num(p, "orig.raw.pktlen", r % 100000);
	plug_num(p, "reply.raw.pktcount", r % 200);
	plug_num(p, "reply.raw.pktlen", r % 300000);
	plug_num(p, "flow.end.reason", 3);
	if (plug_encode(p) != CTF_OK)
		abort();
}

static double
spare_call(struct run *r)
{
	double begin = now_ms(), took;
	int ms = ctf_plugin_sqlite3.spare(plug_sink(r->p));

	took = now_ms() - begin;
	if (took > r->spare)
		r->spare = took;
	r->spare_at_ms = ms < 0 ? 0 : ctf_mono_ms() + (uint64_t)(ms > 0 ? ms : (int)SPARE_MS);
	return took;
}

static double
tenth(struct run *r, uint64_t flows)
{
	double sum = 0, begin, took;
	struct ctf_err err;

	r->deliver = r->spare = 0;
	for (uint64_t n = 0; n < flows; n += ROWS) {
		for (unsigned i = 0; i < ROWS; i++)
			flow_put(r->p, r->begin, r->made++);
		plug_seal(r->p);
		begin = now_ms();
		if (plug_deliver(r->p, &err) != CTF_SENT)
			abort();
		took = now_ms() - begin;
		if (took > r->deliver)
			r->deliver = took;
		sum += took;
		plug_forget(r->p);
		if (ctf_mono_ms() >= r->spare_at_ms)
			sum += spare_call(r);
	}
	return sum;
}

static struct {
	int argc;
	char **argv;
} args;

START_TEST(bench)
{
	struct run r = { .db = args.argv[1], .begin = ctf_now() };
	uint64_t flows = strtoull(args.argv[2], NULL, 10) / 10;
	char options[1000];
	struct stat st;
	double ms;
	int n;

	n = snprintf(options, sizeof(options), "db=\"%s\"\ntable=flows\n", r.db);
	for (int i = 3; i < args.argc && n < (int)sizeof(options); i++)
		n += snprintf(options + n, sizeof(options) - (size_t)n, "%s\n", args.argv[i]);
	r.p = plug_new(&ctf_plugin_sqlite3, options);
	printf("%12s %10s %10s %10s\n", "flows/s", "deliver", "spare", "MB");
	for (int i = 0; i < 10; i++) {
		ms = tenth(&r, flows);
		stat(r.db, &st);
		printf("%12.0f %10.1f %10.1f %10.1f\n", (double)flows * 1e3 / ms, r.deliver,
		       r.spare, (double)st.st_size / 1e6);
		fflush(stdout);
	}
	plug_free(r.p);
}
END_TEST

/* The helpers of the unit tests want to be part of one; here it is the program. */
int
main(int argc, char **argv)
{
	Suite *s = suite_create("bench");
	TCase *t = tcase_create("bench");
	SRunner *r = srunner_create(s);

	args.argc = argc;
	args.argv = argv;
	suite_add_tcase(s, t);
	tcase_add_test(t, bench);
	srunner_set_fork_status(r, CK_NOFORK);
	if (argc > 2)
		srunner_run_all(r, CK_NORMAL);
	srunner_free(r);
	return argc > 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
