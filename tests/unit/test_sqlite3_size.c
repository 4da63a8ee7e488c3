/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: bytes on disk for a flow, with all its indexes, of traffic as behind
 * a NAT gateway, sums included.  CTFLOW_FLOWS: how many flows, else as
 * many as are quick to make.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "sqlite3_help.h"
#include "unit.h"

#define FLOWS_A_HOST 3000
#define PEERS 4000

static uint64_t
rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * UINT64_C(2685821657736338717) >> 11;
}

static double
share(uint64_t *x)
{
	return (double)rnd(x) / (double)(UINT64_C(1) << 53);
}

/* Mostly small, now and then very large. */
static uint64_t
heavy(uint64_t *x, double scale, double alpha)
{
	return (uint64_t)(scale * pow(1 - share(x), -1 / alpha));
}

static unsigned
flows(void)
{
	const char *text = getenv("CTFLOW_FLOWS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 120000;
}

static void
addresses_put(struct plug *p, uint64_t *x, bool v6)
{
	unsigned host = (unsigned)(flows() / FLOWS_A_HOST * share(x) * share(x));
	unsigned peer = (unsigned)(PEERS * share(x) * share(x) * share(x)) * 2654435761u;
	char src[48], dst[48], outer[48];

	if (v6) {
		snprintf(src, sizeof(src), "2001:db8:77:1:%x:%x:%x:%x", host * 7 & 0xffff,
			 host * 31 & 0xffff, host * 1013 & 0xffff, 0x8000 | host);
		snprintf(dst, sizeof(dst), "2a00:%x:%x:%x::%x", peer >> 16, peer & 0xffff,
			 peer >> 8 & 0xffff, peer >> 4 & 0xffff);
	} else {
		snprintf(src, sizeof(src), "10.77.%u.%u", host >> 8, host & 255);
		snprintf(dst, sizeof(dst), "%u.%u.%u.%u", 1 + (peer >> 24) % 222,
			 peer >> 16 & 255, peer >> 8 & 255, peer & 255);
	}
	snprintf(outer, sizeof(outer), "203.0.113.%u", host % 8);
	plug_ip(p, "orig.ip.saddr", src);
	plug_ip(p, "orig.ip.daddr", dst);
	plug_ip(p, "reply.ip.saddr", dst);
	plug_ip(p, "reply.ip.daddr", v6 ? src : outer);
}

static void
ports_put(struct plug *p, uint64_t *x, bool v6, unsigned proto)
{
	static const unsigned services[] = { 443, 443, 443, 443, 80, 53, 53, 123, 993, 8443 };
	unsigned sport = 32768 + rnd(x) % 28232, dport = services[rnd(x) % COUNT(services)];

	plug_num(p, "orig.ip.protocol", proto);
	if (proto == 1 || proto == 58) {
		plug_num(p, proto == 1 ? "icmp.type" : "icmpv6.type", proto == 1 ? 8 : 128);
		plug_num(p, proto == 1 ? "icmp.code" : "icmpv6.code", 0);
		return;
	}
	plug_num(p, "orig.l4.sport", sport);
	plug_num(p, "orig.l4.dport", dport);
	plug_num(p, "reply.l4.sport", dport);
	plug_num(p, "reply.l4.dport", v6 || share(x) < 0.5 ? sport : 1024 + rnd(x) % 64512);
}

static void
counters_put(struct plug *p, uint64_t *x, unsigned proto)
{
	uint64_t out = proto == 6 ? 4 + heavy(x, 2, 0.9) : heavy(x, 1, 1.3);
	uint64_t in = share(x) < 0.05 ? 0 : proto == 6 ? 4 + heavy(x, 3, 0.8) : out;

	plug_num(p, "orig.raw.pktcount", out);
	plug_num(p, "orig.raw.pktlen", out * (60 + rnd(x) % 200));
	plug_num(p, "reply.raw.pktcount", in);
	plug_num(p, "reply.raw.pktlen", in * (60 + rnd(x) % 1300));
}

static void
times_put(struct plug *p, uint64_t *x, unsigned proto, uint64_t stop)
{
	uint64_t idle = (proto == 6 ? 120 : proto == 17 && share(x) < 0.3 ? 120 : 30) * SEC;
	uint64_t lasted = heavy(x, 2e7, 0.7);

	if (share(x) < 0.2) /* deleted early: the rest is known, but not in whole ms */
		idle = 10 * SEC + rnd(x) % SEC;
	plug_num(p, "flow.destroy.ns", stop);
	plug_num(p, "flow.last.ns", stop - idle);
	plug_num(p, "flow.start.ns", stop - idle - (lasted < 1000 * SEC ? lasted : 1000 * SEC));
}

static void
any_put(struct plug *p, uint64_t *x, uint64_t stop)
{
	double kind = share(x);
	bool v6 = share(x) < 0.15;
	unsigned proto = kind < 0.55 ? 6 : kind < 0.97 ? 17 : v6 ? 58 : 1;

	plug_rec(p, v6 ? AF_INET6 : AF_INET, CTF_DESTROY, stop + 20000);
	addresses_put(p, x, v6);
	ports_put(p, x, v6, proto);
	counters_put(p, x, proto);
	times_put(p, x, proto, stop);
	plug_num(p, "ct.id", rnd(x) & UINT32_MAX);
	plug_num(p, "ct.status", v6 ? 14 : 398);
	plug_num(p, "flow.end.reason", proto == 6 ? 3 : 1);
	if (proto == 6)
		plug_num(p, "ct.tcp.state", 7);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bytes a flow, when all is indexed and in the file. */
static double
fill(const char *options)
{
	struct plug *p = db_plug("flows", options);
	double cpu = 0, upkeep = 0, begin;
	uint64_t x = 88172645463325252u, at = T0 - 20000 * SEC;
	unsigned count = flows();
	struct stat st;

	for (unsigned n = 0; n < count; n++) {
		at += 1 + rnd(&x) % (2 * SEC / 1000);
		any_put(p, &x, n < count - 1 ? at : at + 86400 * SEC);
		if (n % 10000 != 9999 && n < count - 1)
			continue;
		begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
		deliver_ok(p);
		plug_forget(p);
		cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
		begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
		plug_spare(p);
		upkeep += seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
	}
	begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
	while (plug_spare(p) == 0)
		;
	upkeep += seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
	plug_free(p);
	db_query("PRAGMA wal_checkpoint(TRUNCATE)");
	ck_assert_int_eq(stat(db_path(), &st), 0);
	printf("%u flows%s%s: %.2f us a flow, %.2f us for its indexes, %.1f bytes\n", count,
	       *options ? ", " : "", options, cpu / count * 1e6, upkeep / count * 1e6,
	       (double)st.st_size / count);
	fflush(stdout);
	ck_query("SELECT count(*) FROM partitions WHERE state = 'closed'", "0");
	return (double)st.st_size / count;
}

START_TEST(full)
{
	ck_assert_double_le(fill(""), 135);
}
END_TEST

START_TEST(nat)
{
	ck_assert_double_le(fill("profile=nat\n"), 75);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, full);
	tcase_add_test(t, nat);
}

int
main(void)
{
	return unit_main("sqlite3_size", add_tests);
}
