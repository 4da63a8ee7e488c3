/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An expression as SQL chooses the flows that ctf_match() chooses: random
 * flows go through FILTER and through SQLITE3 into a database that is asked.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../query/open.h"
#include "sqlite3_help.h"
#include "unit.h"

extern const struct ctf_plugin ctf_plugin_filter;

#define FLOWS 400u
#define EXPRS 150u

static uint64_t
random_below(uint64_t *x, uint64_t n)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (*x >> 11) % n;
}

/* ---- flows ------------------------------------------------------------------- */

static const char *const ip4[] = { "10.0.0.1",   "10.0.0.2",  "10.0.1.1",     "127.255.255.255",
				   "128.0.0.0",  "192.0.2.1", "203.0.113.7",  "255.255.255.255",
				   "10.255.0.1", "0.0.0.0",   "203.0.113.200" };
static const char *const ip6[] = { "::",
				   "2001:db8::1",
				   "2001:db8::2",
				   "2001:db8:1::1",
				   "fe80::1",
				   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
				   "::ffff:10.0.0.1" };
static const unsigned ports[] = { 0, 22, 53, 80, 443, 1024, 32767, 32768, 40000, 65535 };

#define PICK(x, a) (a)[random_below((x), sizeof(a) / sizeof(*(a)))]

static const char *
random_ip(uint64_t *x, int family)
{
	return family == AF_INET ? PICK(x, ip4) : PICK(x, ip6);
}

static void
maybe(struct plug *p, uint64_t *x, const char *field, uint64_t value)
{
	if (random_below(x, 4))
		plug_num(p, field, value);
}

static void
put_tuples(struct plug *p, uint64_t *x, int family)
{
	static const unsigned protos[] = { 6, 6, 17, 17, 1, 47, 132 };
	const char *src = random_ip(x, family), *dst = random_ip(x, family);
	unsigned proto = PICK(x, protos), sport = PICK(x, ports), dport = PICK(x, ports);
	bool snat = !random_below(x, 3), dnat = !random_below(x, 4), six = family == AF_INET6;
	unsigned type = random_below(x, 2) ? 8 : 128, code = (unsigned)random_below(x, 3);

	plug_ip(p, "orig.ip.saddr", src);
	plug_ip(p, "orig.ip.daddr", dst);
	plug_ip(p, "reply.ip.daddr", snat ? random_ip(x, family) : src);
	plug_ip(p, "reply.ip.saddr", dnat ? random_ip(x, family) : dst);
	proto = proto == 1 && six ? 58 : proto;
	plug_num(p, "orig.ip.protocol", proto);
	if (proto == 1 || proto == 58) {
		plug_num(p, six ? "icmpv6.type" : "icmp.type", type);
		plug_num(p, six ? "icmpv6.code" : "icmp.code", code);
	} else if (proto != 47) {
		plug_num(p, "orig.l4.sport", sport);
		plug_num(p, "orig.l4.dport", dport);
		plug_num(p, "reply.l4.dport", snat ? PICK(x, ports) : sport);
		plug_num(p, "reply.l4.sport", dnat ? PICK(x, ports) : dport);
	}
}

/* The same for the same n, whichever plugin it is put into. */
static void
put_flow(struct plug *p, unsigned n, bool lives)
{
	uint64_t x = 0x9e3779b97f4a7c15u * (n + 1), stop = T0 + n * SEC, start, last;
	int family = random_below(&x, 4) ? AF_INET : AF_INET6;
	struct ctf_rec *r;

	stop = lives ? T0 + FLOWS * SEC : stop;
	r = plug_rec(p, family, lives ? CTF_UPDATE : CTF_DESTROY, stop + 5 * !lives);
	r->kind = lives ? CTF_COUNTERS : CTF_EVENT;
	put_tuples(p, &x, family);
	plug_num(p, "ct.id", n);
	maybe(p, &x, "orig.raw.pktcount", random_below(&x, 6));
	maybe(p, &x, "orig.raw.pktlen", random_below(&x, 4000));
	maybe(p, &x, "reply.raw.pktcount", random_below(&x, 6));
	maybe(p, &x, "reply.raw.pktlen", random_below(&x, 3) * (UINT64_C(1) << 40));
	maybe(p, &x, "ct.mark", random_below(&x, 2) ? random_below(&x, 20) : 0xfffffff0u);
	maybe(p, &x, "ct.zone", random_below(&x, 3) * 30000);
	maybe(p, &x, "ct.status", random_below(&x, 1024));
	last = stop - random_below(&x, 3) * 500000000 - random_below(&x, 2);
	start = last - random_below(&x, 4000) * 1000000 - random_below(&x, 1000000);
	if (random_below(&x, 8)) {
		plug_num(p, "flow.start.ns", start);
		plug_num(p, "flow.duration", ((lives ? stop : last) - start) / 1000000);
	}
	plug_num(p, "flow.last.ns", last);
	if (random_below(&x, 5) && !lives)
		plug_num(p, "flow.destroy.ns", stop);
}

/* ---- expressions ----------------------------------------------------------------- */

static void
put_addr(FILE *f, uint64_t *x)
{
	static const unsigned lens[] = { 0, 1, 7, 8, 9, 24, 25, 31, 32 };

	if (random_below(x, 3)) {
		fputs(PICK(x, ip4), f);
		if (!random_below(x, 3))
			fprintf(f, "/%u", PICK(x, lens));
	} else {
		fputs(PICK(x, ip6), f);
		if (!random_below(x, 3))
			fprintf(f, "/%u", (unsigned)random_below(x, 129));
	}
}

static void
put_values(FILE *f, uint64_t *x, void (*value)(FILE *, uint64_t *))
{
	unsigned n = (unsigned)(random_below(x, 3) ? 1 : 1 + random_below(x, 9));

	fputs(n > 1 ? " {" : " ", f);
	for (unsigned i = 0; i < n; i++) {
		fputs(i ? ", " : "", f);
		value(f, x);
	}
	fputs(n > 1 ? "}" : "", f);
}

static void
put_port(FILE *f, uint64_t *x)
{
	unsigned a = PICK(x, ports), b = PICK(x, ports);

	if (random_below(x, 3) || a > b)
		fprintf(f, "%u", a);
	else
		fprintf(f, "%u-%u", a, b);
}

static void
put_mark(FILE *f, uint64_t *x)
{
	static const char *const marks[] = { "0",     "1",          "3-9", "0x10/0xf0",
					     "0/0x1", "0xfffffff0", "2/3", "0-4294967295" };

	fputs(PICK(x, marks), f);
}

static void
put_status(FILE *f, uint64_t *x)
{
	static const char *const words[] = { "assured", "seen-reply", "snat", "0/2",
					     "0x18/0x38" };

	fputs(PICK(x, words), f);
}

static void
put_compared(FILE *f, uint64_t *x)
{
	static const char *const ops[] = { "<", "<=", ">", ">=", "=", "!=" };
	static const char *const tests[] = { "bytes %s 2000",
					     "bytes %s 1099511627776",
					     "src bytes %s 100",
					     "dst bytes %s 0",
					     "packets %s 4",
					     "src packets %s 0",
					     "dst packets %s 3",
					     "src or dst packets %s 2",
					     "duration %s 1s",
					     "duration %s 3999ms",
					     "duration %s 0",
					     "mark %s 7",
					     "src port %s 1024",
					     "dst port %s 32767",
					     "zone %s 30000",
					     "nat src port %s 32768",
					     "bytes %s 9223372036854775808",
					     "bytes %s 18446744073709551615" };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(f, PICK(x, tests), PICK(x, ops));
#pragma GCC diagnostic pop
}

static void
put_test(FILE *f, uint64_t *x)
{
	static const char *const sides[] = { "", "", "nat ", "any " };
	static const char *const dirs[] = { "", "src ", "dst ", "src or dst ", "src and dst " };
	static const char *const words[] = { "tcp",
					     "udp",
					     "icmp",
					     "nat",
					     "ip6",
					     "family ipv4",
					     "proto {6, 58}",
					     "icmp type 8",
					     "icmp code 1-2",
					     "icmp6 type 128",
					     "icmp6 code {0, 2}",
					     "proto 47-132",
					     "zone {0, 60000}",
					     "ip6 tcp",
					     "proto not in {tcp, udp}" };

	switch (random_below(x, 7)) {
	case 0:
	case 1:
		fprintf(f, "%s%shost", PICK(x, sides), PICK(x, dirs));
		put_values(f, x, put_addr);
		break;
	case 2:
		fprintf(f, "%s%sport", PICK(x, sides), PICK(x, dirs));
		put_values(f, x, put_port);
		break;
	case 3:
		fputs("mark", f);
		put_values(f, x, put_mark);
		break;
	case 4:
		fputs("status", f);
		put_values(f, x, put_status);
		break;
	case 5:
		put_compared(f, x);
		break;
	default:
		fputs(PICK(x, words), f);
	}
}

static void
put_expr(FILE *f, uint64_t *x, unsigned depth)
{
	switch (depth ? random_below(x, 5) : 0) {
	case 0:
		put_test(f, x);
		break;
	case 1:
		fputs("not (", f);
		put_expr(f, x, depth - 1);
		fputc(')', f);
		break;
	default:
		fputc('(', f);
		put_expr(f, x, depth - 1);
		fputs(random_below(x, 2) ? ") and (" : ") or (", f);
		put_expr(f, x, depth - 1);
		fputc(')', f);
	}
}

static char *
random_expr(uint64_t *x)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	put_expr(f, x, (unsigned)random_below(x, 4));
	fclose(f);
	return text;
}

/* ---- both ways -------------------------------------------------------------------- */

static void
by_filter(const char *text, bool lives, bool *fits)
{
	struct plug *p;
	char *options;

	ck_assert_int_gt(asprintf(&options, "expr=\"%s\"\n", text), 0);
	p = plug_new(&ctf_plugin_filter, options);
	for (unsigned n = 0; n < FLOWS; n++) {
		put_flow(p, n, lives);
		fits[n] = plug_apply(p) == CTF_PASS;
	}
	plug_free(p);
	free(options);
}

static int
found(void *arg, const struct q_flow *f)
{
	unsigned char *times = arg;

	ck_assert(f->has & Q_H_ID && f->id < FLOWS);
	times[f->id]++;
	return 0;
}

static void
by_query(struct q *q, char *text, bool lives, unsigned char *times)
{
	struct q_ask ask = Q_ASK_ALL;
	struct ctf_err err = { .msg = "" };
	struct ctf_expr *e;

	memset(times, 0, FLOWS);
	ck_assert_msg(q_expr(1, &text, &e, &err) == 0, "%s", err.msg);
	ask.expr = e;
	ask.open = lives;
	ask.ended = !lives;
	ck_assert_msg(q_scan(q, &ask, found, times, &err) == 0, "%s: %s", text, err.msg);
	ctf_expr_free(e);
}

static unsigned
compare(struct q *q, char *text, bool lives)
{
	unsigned char times[FLOWS];
	bool fits[FLOWS];
	unsigned sum = 0;

	by_filter(text, lives, fits);
	by_query(q, text, lives, times);
	for (unsigned n = 0; n < FLOWS; n++) {
		ck_assert_msg(times[n] == fits[n], "%s: flow %u: %d times, not %d", text, n,
			      times[n], fits[n]);
		sum += fits[n];
	}
	return sum;
}

static void
database(struct q *q, bool lives)
{
	struct plug *p = db_plug("flows", "");
	struct ctf_err err = { .msg = "" };

	for (unsigned n = 0; n < FLOWS; n++) {
		put_flow(p, n, lives);
		ck_assert_int_eq(plug_encode(p), CTF_OK);
	}
	deliver_ok(p);
	plug_free(p);
	ck_assert_msg(q_db_add_file(q, db_path(), &err) == 0, "%s", err.msg);
}

START_TEST(random_expressions)
{
	uint64_t x = 0x123456789abcdefu + (uint64_t)_i;
	unsigned all = 0, none = 0;
	struct q q = { .now_ns = 0 };

	database(&q, _i == 2);
	for (unsigned i = 0; i < EXPRS; i++) {
		char *text = random_expr(&x);
		unsigned n = compare(&q, text, _i == 2);

		all += n == FLOWS;
		none += n == 0;
		free(text);
	}
	/* else they say little */
	ck_assert_uint_lt(all + none, EXPRS / 2);
	q_dbs_close(&q);
}
END_TEST

static char *
repeated(const char *first, const char *more, unsigned n, const char *last, const char *close)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	fputs(first, f);
	for (unsigned i = 0; i < n; i++)
		fputs(more, f);
	fputs(last, f);
	for (unsigned i = 0; i < n; i++)
		fputs(close, f);
	fclose(f);
	return text;
}

/* What SQLite's parser would refuse if it were written down as it is. */
START_TEST(large_expressions)
{
	struct q q = { .now_ns = 0 };
	char *texts[] = {
		repeated("port 80", " or port 443", 3000, "", ""),
		repeated("", "not not ", 31, "port 80", ""),
		repeated("", "(tcp or (port 80 and ", 31, "not udp", "))"),
		repeated("", "not (tcp and not (port 80 or ", 15, "udp", "))"),
		repeated("host {10.0.0.1", ", 10.9.0.1, 2001:db8:9::1", 500, "}", ""),
		repeated("any host {10.0.0.1", ", 2001:db8:1::/64, 128.0.0.0/1", 5, "}", ""),
	};

	database(&q, false);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		ck_assert_uint_gt(compare(&q, texts[i], false), 0);
		free(texts[i]);
	}
	q_dbs_close(&q);
}
END_TEST

static void
add_tests(TCase *tc)
{
	db_fixture(tc);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, random_expressions, 0, 3);
	tcase_add_test(tc, large_expressions);
}

int
main(void)
{
	return unit_main("query_expr", add_tests);
}
