/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: bytes on disk for a flow, with all its indexes, of traffic as behind
 * a NAT gateway, sums included.  CTFLOW_FLOWS: how many flows, else as
 * many as are quick to make.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway.h"
#include "sqlite3_help.h"
#include "unit.h"

#define FLOWS_A_HOST 3000

static unsigned
flows(void)
{
	const char *text = getenv("CTFLOW_FLOWS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 120000;
}

static void
tuples_put(struct plug *p, const struct gateway_flow *f)
{
	bool icmp = f->proto == 1 || f->proto == 58;

	plug_ip(p, "orig.ip.saddr", f->src);
	plug_ip(p, "orig.ip.daddr", f->dst);
	plug_ip(p, "reply.ip.saddr", f->dst);
	plug_ip(p, "reply.ip.daddr", f->outer);
	plug_num(p, "orig.ip.protocol", f->proto);
	if (icmp) {
		plug_num(p, f->proto == 1 ? "icmp.type" : "icmpv6.type", f->dport >> 8);
		plug_num(p, f->proto == 1 ? "icmp.code" : "icmpv6.code", f->dport & 255);
		return;
	}
	plug_num(p, "orig.l4.sport", f->sport);
	plug_num(p, "orig.l4.dport", f->dport);
	plug_num(p, "reply.l4.sport", f->dport);
	plug_num(p, "reply.l4.dport", f->outer_port);
}

static void
any_put(struct plug *p, struct gateway *g, uint64_t stop)
{
	struct gateway_flow f;

	gateway_next(g, stop, &f);
	plug_rec(p, f.v6 ? AF_INET6 : AF_INET, CTF_DESTROY, stop + 20000);
	tuples_put(p, &f);
	plug_num(p, "orig.raw.pktcount", f.packets);
	plug_num(p, "orig.raw.pktlen", f.bytes);
	plug_num(p, "reply.raw.pktcount", f.reply_packets);
	plug_num(p, "reply.raw.pktlen", f.reply_bytes);
	plug_num(p, "flow.destroy.ns", f.stop);
	plug_num(p, "flow.last.ns", f.last);
	plug_num(p, "flow.start.ns", f.start);
	plug_num(p, "ct.id", f.id);
	plug_num(p, "ct.status", f.status);
	plug_num(p, "flow.end.reason", f.reason);
	if (f.tcp_state)
		plug_num(p, "ct.tcp.state", f.tcp_state);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

/* Bytes a flow, when all is indexed and in the file. */
static double
fill(const char *options)
{
	struct plug *p = db_plug("flows", options);
	double cpu = 0, upkeep = 0, begin;
	struct gateway g = GATEWAY_BEGIN(flows() / FLOWS_A_HOST);
	uint64_t at = T0 - 20000 * SEC;
	unsigned count = flows();
	struct stat st;

	for (unsigned n = 0; n < count; n++) {
		at += 1 + gateway_any(&g) % (2 * SEC / 1000);
		any_put(p, &g, n < count - 1 ? at : at + 86400 * SEC);
		if (n % 10000 != 9999 && n < count - 1)
			continue;
		begin = unit_seconds(CLOCK_PROCESS_CPUTIME_ID);
		deliver_ok(p);
		plug_forget(p);
		cpu += unit_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
		begin = unit_seconds(CLOCK_PROCESS_CPUTIME_ID);
		plug_spare(p);
		upkeep += unit_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
	}
	begin = unit_seconds(CLOCK_PROCESS_CPUTIME_ID);
	while (plug_spare(p) == 0)
		;
	upkeep += unit_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
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
