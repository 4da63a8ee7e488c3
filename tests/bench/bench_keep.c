/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SQLITE3's upkeep costs beside the storing:
 *
 *   make tests/bench/bench_keep && tests/bench/bench_keep DB FLOWS [option=value]...
 *
 * Prints a line for each tenth of the flows: how many were stored a second, the
 * CPU time a flow took, its upkeep (indexes, sums, retention) and the copying of
 * both into the file by a thread of its own, the longest delivery, which is a
 * transaction, and the longest call of spare(), in milliseconds, and the
 * megabytes of the file and of its WAL.  Marks: the last tenth is stored
 * as fast as the first one, within a fifth, by its CPU time too, and nothing
 * takes longer than 100 ms.
 *
 * What the machine itself did meanwhile stands beside it: the CPU time of making and
 * encoding a flow, which is the same work all the time and knows nothing of the
 * database, so that a tenth on a slower machine is compared with what that could do; and the longest that one octet took to reach the
 * disk beside the database (in /dev/shm there is none to wait for).
 */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plug.h"

extern const struct ctf_plugin ctf_plugin_sqlite3;

#define ROWS 16000u /* of a delivery */
#define GAP 4000u   /* ns between two ends */
#define SPARE_MS 100u
#define MARK_MS 100.0
#define MARK_SLOWER 1.2

struct cost { /* in ms */
	double wall, cpu;
};

struct tenth {
	struct cost deliver, spare; /* in all */
	double deliver_most, spare_most;
	double copy; /* CPU time of other threads */
	double make; /* and of what is no part of the output */
	double disk; /* the longest flush of the probe */
};

static double
clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Since a moment that was begun with zeros. */
static struct cost
cost_since(struct cost begin)
{
	return (struct cost){ clock_ms(CLOCK_MONOTONIC) - begin.wall,
			      clock_ms(CLOCK_THREAD_CPUTIME_ID) - begin.cpu };
}

static double
others_cpu_ms(void)
{
	return clock_ms(CLOCK_PROCESS_CPUTIME_ID) - clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

static void
cost_add(struct cost *sum, double *most, struct cost c)
{
	sum->wall += c.wall;
	sum->cpu += c.cpu;
	*most = c.wall > *most ? c.wall : *most;
}

/* ---- the disk ------------------------------------------------------------------- */

#define PROBE_MS 20

struct probe {
	pthread_t thread;
	int fd;
	_Atomic(uint64_t) most_us; /* since the last look */
	atomic_bool end;
};

static void *
probe_run(void *arg)
{
	static const struct timespec pause = { 0, PROBE_MS * 1000000 };
	struct probe *d = arg;

	while (!atomic_load(&d->end)) {
		double begin = clock_ms(CLOCK_MONOTONIC);
		uint64_t us;

		if (pwrite(d->fd, "", 1, 0) != 1 || fdatasync(d->fd) < 0)
			abort();
		us = (uint64_t)((clock_ms(CLOCK_MONOTONIC) - begin) * 1e3);
		if (us > atomic_load(&d->most_us))
			atomic_store(&d->most_us, us);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
probe_begin(struct probe *d, const char *db)
{
	char name[1000];

	snprintf(name, sizeof(name), "%s-probe", db);
	d->fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unlink(name);
	if (pthread_create(&d->thread, NULL, probe_run, d) != 0)
		abort();
}

static void
probe_end(struct probe *d)
{
	atomic_store(&d->end, true);
	pthread_join(d->thread, NULL);
	close(d->fd);
}

struct run {
	struct plug *p;
	const char *db;
	uint64_t begin, made, spare_at_ms;
	struct probe probe;
};

/* ---- the flows ------------------------------------------------------------------- */

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

static void
spare_call(struct run *r, struct tenth *t)
{
	struct cost begin = cost_since((struct cost){ 0, 0 });
	int ms = ctf_plugin_sqlite3.spare(plug_sink(r->p));

	cost_add(&t->spare, &t->spare_most, cost_since(begin));
	r->spare_at_ms = ms < 0 ? 0 : ctf_mono_ms() + (uint64_t)(ms > 0 ? ms : (int)SPARE_MS);
}

static struct tenth
tenth(struct run *r, uint64_t flows)
{
	struct tenth t = { .copy = -others_cpu_ms() };
	struct ctf_err err;
	struct cost begin;

	for (uint64_t n = 0; n < flows; n += ROWS) {
		begin = cost_since((struct cost){ 0, 0 });
		for (unsigned i = 0; i < ROWS; i++)
			flow_put(r->p, r->begin, r->made++);
		t.make += cost_since(begin).cpu;
		plug_seal(r->p);
		begin = cost_since((struct cost){ 0, 0 });
		if (plug_deliver(r->p, &err) != CTF_SENT)
			abort();
		cost_add(&t.deliver, &t.deliver_most, cost_since(begin));
		plug_forget(r->p);
		if (ctf_mono_ms() >= r->spare_at_ms)
			spare_call(r, &t);
	}
	t.copy += others_cpu_ms();
	t.disk = (double)atomic_exchange(&r->probe.most_us, 0) / 1e3;
	return t;
}

static double
megabytes(const char *db, const char *suffix)
{
	char name[1000];
	struct stat st = { 0 };

	snprintf(name, sizeof(name), "%s%s", db, suffix);
	stat(name, &st);
	return (double)st.st_size / 1e6;
}

static void
tenth_print(const struct run *r, const struct tenth *t, uint64_t flows)
{
	double n = (double)flows;

	printf("%12.0f %8.2f %8.2f %8.2f %10.1f %10.1f %8.1f %8.1f %8.2f %8.1f\n",
	       n * 1e3 / t->deliver.wall, t->deliver.cpu * 1e3 / n, t->spare.cpu * 1e3 / n,
	       t->copy * 1e3 / n, t->deliver_most, t->spare_most, megabytes(r->db, ""),
	       megabytes(r->db, "-wal"), t->make * 1e3 / n, t->disk);
	fflush(stdout);
}

static void
verdict(const struct tenth *first, const struct tenth *last, double most)
{
	double slower = last->make / first->make;
	double wall = last->deliver.wall / first->deliver.wall / slower,
	       cpu = last->deliver.cpu / first->deliver.cpu / slower;
	bool good = wall <= MARK_SLOWER && cpu <= MARK_SLOWER && most <= MARK_MS;

	printf("the last tenth takes %.2f times as long as the first, %.2f of its CPU, mark"
	       " %.1f, on a machine that took %.2f times as long for the same work; the"
	       " longest step %.1f ms, mark %.0f: %s\n",
	       wall, cpu, MARK_SLOWER, slower, most, MARK_MS, good ? "pass" : "FAIL");
}

static struct {
	int argc;
	char **argv;
} args;

START_TEST(bench)
{
	struct run r = { .db = args.argv[1], .begin = ctf_now() };
	uint64_t flows = strtoull(args.argv[2], NULL, 10) / 10 / ROWS * ROWS;
	char options[1000];
	struct tenth t[10];
	double most = 0;
	int n;

	n = snprintf(options, sizeof(options), "db=\"%s\"\ntable=flows\n", r.db);
	for (int i = 3; i < args.argc && n < (int)sizeof(options); i++)
		n += snprintf(options + n, sizeof(options) - (size_t)n, "%s\n", args.argv[i]);
	r.p = plug_new(&ctf_plugin_sqlite3, options);
	probe_begin(&r.probe, r.db);
	printf("%12s %8s %8s %8s %10s %10s %8s %8s %8s %8s\n", "flows/s", "us CPU", "upkeep",
	       "copying", "deliver ms", "spare ms", "MB", "MB WAL", "making", "disk ms");
	for (int i = 0; i < 10; i++) {
		t[i] = tenth(&r, flows);
		tenth_print(&r, &t[i], flows);
		most = fmax(most, fmax(t[i].deliver_most, t[i].spare_most));
	}
	probe_end(&r.probe);
	verdict(&t[0], &t[9], most);
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
