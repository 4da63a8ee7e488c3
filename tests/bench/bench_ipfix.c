/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What encoding a record as IPFIX costs:
 *
 *   make tests/bench/bench_ipfix && tests/bench/bench_ipfix [million records]
 *
 * Three runs each, the best counts; nothing is sent.
 */
#include "ipfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define RECORDS 8u /* different ones, in turn */

static struct ctf_rec *
record(const struct ipfix_refs *refs, bool v6, bool nat, bool icmp)
{
	struct ctf_rec *r = calloc(1, sizeof(*r) + sizeof(*refs) * sizeof(r->v[0]));
	uint8_t a[16] = { 10, 0, 0, 1 }, b[16] = { 192, 0, 2, 1 }, c[16] = { 203, 0, 113, 1 };

	if (!r)
		abort();
	r->family = v6 ? AF_INET6 : AF_INET;
	r->event = CTF_DESTROY;
	ctf_put_ip(r, refs->saddr, a, 16);
	ctf_put_ip(r, refs->daddr, b, 16);
	ctf_put_ip(r, refs->rsaddr, b, 16);
	ctf_put_ip(r, refs->rdaddr, nat ? c : a, 16);
	ctf_put_num(r, refs->proto, icmp ? 1 : 6);
	if (icmp) {
		ctf_put_num(r, v6 ? refs->icmp6_type : refs->icmp_type, 8);
	} else {
		ctf_put_num(r, refs->sport, 40000);
		ctf_put_num(r, refs->dport, 443);
		ctf_put_num(r, refs->rsport, 443);
		ctf_put_num(r, refs->rdport, 40000);
	}
	ctf_put_num(r, refs->bytes, 123456);
	ctf_put_num(r, refs->packets, 99);
	ctf_put_num(r, refs->rbytes, 654321);
	ctf_put_num(r, refs->rpackets, 88);
	ctf_put_num(r, refs->start, UINT64_C(1700000000123456789));
	ctf_put_num(r, refs->last, UINT64_C(1700000000987654321));
	ctf_put_num(r, refs->id, 4000000000u);
	ctf_put_num(r, refs->reason, 3);
	return r;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds for n records into messages of at most cap bytes. */
static double
run(struct ipfix_programs *ps, struct ctf_rec *const *recs, uint32_t cap, size_t n)
{
	struct ctf_frame f = { .p = malloc(cap), .cap = cap };
	double from = seconds();

	for (size_t i = 0; i < n; i++)
		while (ipfix_append(ps, recs[i % RECORDS], &f) == CTF_FULL) {
			ipfix_finish(&f);
			f.len = 0;
		}
	from = seconds() - from;
	free(f.p);
	return from;
}

static void
show(const char *what, struct ipfix_programs *ps, struct ctf_rec *const *recs, uint32_t cap,
     size_t n)
{
	double best = 1e9;

	for (int i = 0; i < 3; i++) {
		double s = run(ps, recs, cap, n);

		best = s < best ? s : best;
	}
	printf("%-28s %6.1f ns/record\n", what, best * 1e9 / (double)n);
}

int
main(int argc, char **argv)
{
	size_t n = (argc > 1 ? strtoul(argv[1], NULL, 10) : 4) * 1000000;
	struct ipfix_programs *ps = calloc(1, sizeof(*ps));
	struct ctf_rec *same[RECORDS], *mixed[RECORDS];

	if (!ps || !n)
		return 1;
	for (size_t i = 0; i < sizeof(ps->refs); i++)
		((ctf_ref *)&ps->refs)[i] = (ctf_ref)i;
	ipfix_programs_make(ps, &(struct ipfix_form){ .own = true, .flows = true });
	for (unsigned i = 0; i < RECORDS; i++) {
		same[i] = record(&ps->refs, false, false, false);
		mixed[i] = record(&ps->refs, i & 1, i & 2, i & 4);
	}
	show("one template, 64 KiB", ps, same, 65535, n);
	show("one template, 512 B", ps, same, 512, n);
	show("template changes, 64 KiB", ps, mixed, 65535, n);
	for (unsigned i = 0; i < RECORDS; i++) {
		free(same[i]);
		free(mixed[i]);
	}
	free(ps);
	return 0;
}
