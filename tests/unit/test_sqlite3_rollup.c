/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: the sums by minute, hour and day against a model, through random
 * histories of sightings, ends, repeats, broken frames and restarts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sqlite3_clock.h"
#include "sqlite3_help.h"
#include "unit.h"

/* ---- the clocks of the plugin ------------------------------------------------ */

static int64_t wall_ns, boot_ns;

void
sq_clock_look(struct sq_clock *ret_clock)
{
	*ret_clock = (struct sq_clock){
		.wall_ns = wall_ns, .boot_ns = boot_ns, .sure = true, .boot = "a"
	};
}

int64_t
sq_boot_ns(void)
{
	return boot_ns;
}

static void
pass(int64_t ns)
{
	wall_ns += ns;
	boot_ns += ns;
}

/* All that may be done now. */
static void
upkeep(struct plug *p)
{
	pass(61 * (int64_t)SEC);
	for (int i = 0; i < 2000; i++)
		if (ctf_plugin_sqlite3.spare(plug_sink(p)) != 0)
			return;
	ck_abort_msg("there is no end to it");
}

/* ---- the model --------------------------------------------------------------- */

#define LIVES 60u
#define HOSTS 5u

static const char *const host_of[HOSTS] = { "10.0.0.1", "203.0.113.7", "10.0.0.2",
					    "2001:db8::1", "2001:db8::2" };
static const struct {
	unsigned proto, dport, service;
} service_of[] = {
	{ 6, 443, 443 }, { 17, 53, 53 }, { 6, 40000, 0 }, { 1, 0, 0 }, { 6, 32767, 32767 }
};

struct life {
	unsigned host, service, id;
	uint64_t start;
	uint64_t counted; /* by the kernel, since it was set to 0 last */
	uint64_t told;    /* of that, in a sighting */
	bool delta;       /* sightings set it to 0 */
};

struct sum {
	uint64_t minute;
	unsigned host, service;
	int64_t flows, packets;
};

struct model {
	struct life lives[LIVES];
	struct sum *sums;
	size_t n;
	unsigned ids;
	int64_t flows, packets; /* all of it */
};

static void
model_add(struct model *m, const struct life *l, uint64_t ns, int64_t flows, uint64_t packets)
{
	uint64_t minute = ns / (60 * SEC);
	unsigned service = service_of[l->service].service;
	size_t i;

	m->flows += flows;
	m->packets += (int64_t)packets;
	for (i = 0; i < m->n; i++)
		if (m->sums[i].minute == minute && m->sums[i].host == l->host &&
		    service_of[m->sums[i].service].service == service &&
		    service_of[m->sums[i].service].proto == service_of[l->service].proto)
			break;
	if (i == m->n) {
		m->sums = realloc(m->sums, ++m->n * sizeof(*m->sums));
		m->sums[i] = (struct sum){ minute, l->host, l->service, 0, 0 };
	}
	m->sums[i].flows += flows;
	m->sums[i].packets += (int64_t)packets;
}

static void
life_begin(struct model *m, struct life *l, uint64_t now)
{
	*l = (struct life){ .host = (unsigned)rand() % HOSTS,
			    .service = (unsigned)rand() % 5,
			    .id = ++m->ids,
			    .start = now - 1000 * SEC - (uint64_t)rand(),
			    .delta = rand() % 2 };
}

/* ---- records ------------------------------------------------------------------- */

static struct ctf_rec *
put(struct plug *p, const struct life *l, int event, uint64_t rx_ns)
{
	bool v6 = l->host >= 3, icmp = service_of[l->service].proto == 1;
	struct ctf_rec *r = plug_rec(p, v6 ? AF_INET6 : AF_INET, event, rx_ns);

	plug_ip(p, "orig.ip.saddr", host_of[l->host]);
	plug_ip(p, "orig.ip.daddr", v6 ? "2001:db8::9" : "198.51.100.1");
	plug_num(p, "orig.ip.protocol", service_of[l->service].proto);
	if (icmp) {
		plug_num(p, "icmp.type", 8);
		plug_num(p, "icmp.code", 0);
	} else {
		plug_num(p, "orig.l4.sport", 1024 + l->id % 60000);
		plug_num(p, "orig.l4.dport", service_of[l->service].dport);
	}
	plug_num(p, "ct.id", l->id);
	plug_num(p, "flow.start.ns", l->start);
	plug_num(p, "orig.raw.pktcount", l->counted);
	plug_num(p, "orig.raw.pktlen", 100 * l->counted);
	plug_num(p, "reply.raw.pktcount", 2 * l->counted);
	plug_num(p, "reply.raw.pktlen", 3000 * l->counted);
	return r;
}

static void
put_seen(struct plug *p, const struct life *l, uint64_t now)
{
	struct ctf_rec *r = put(p, l, CTF_UPDATE, now);

	r->kind = l->delta ? CTF_DELTA : CTF_COUNTERS;
	ck_assert_int_eq(plug_encode(p), CTF_OK);
	r->kind = CTF_EVENT;
}

static void
put_end(struct plug *p, const struct life *l, uint64_t stop, uint64_t last)
{
	put(p, l, CTF_DESTROY, stop + 1000);
	plug_num(p, "flow.destroy.ns", stop);
	if (last)
		plug_num(p, "flow.last.ns", last);
	ck_assert_int_eq(plug_encode(p), CTF_OK);
}

static void
see(struct plug *p, struct model *m, struct life *l, uint64_t now)
{
	put_seen(p, l, now);
	if (rand() % 5 == 0) /* two stacks bring it */
		put_seen(p, l, now);
	model_add(m, l, now, 0, l->counted - l->told);
	l->told = l->delta ? 0 : l->counted;
	if (l->delta)
		l->counted = 0;
}

static void
finish(struct plug *p, struct model *m, struct life *l, uint64_t now)
{
	/* Some come late: ended hours or days ago. */
	uint64_t late = rand() % 8 ? 0 : (uint64_t)(rand() % 50) * 3600 * SEC;
	uint64_t stop = now - late,
		 last = rand() % 4 ? stop - (uint64_t)(rand() % 120) * SEC : 0;

	put_end(p, l, stop, last);
	if (rand() % 5 == 0) /* the kernel repeats itself */
		put_end(p, l, stop, last);
	if (rand() % 7 == 0) {
		deliver_ok(p);
		put_end(p, l, stop, last);
	}
	model_add(m, l, last ? last : stop, 1, l->counted - l->told);
	life_begin(m, l, now);
}

/* The end is read first, and stored, then the sighting of before, then the sweep is over. */
static void
overtake(struct plug *p, struct model *m, struct life *l, uint64_t now)
{
	struct life before = *l;
	bool apart = rand() % 2;

	if (l->delta)
		l->counted = (uint64_t)(rand() % 9); /* since then */
	put_end(p, l, now, 0);
	if (apart)
		deliver_ok(p);
	put_seen(p, &before, now - 10);
	if (l->delta) {
		model_add(m, l, now - 10, 0, before.counted);
		model_add(m, l, now, 1, l->counted);
	} else { /* in one group the sighting is stored first all the same */
		model_add(m, l, now - 10, 0, apart ? 0 : l->counted - l->told);
		model_add(m, l, now, 1, apart ? l->counted - l->told : 0);
	}
	sweep_put(p, (unsigned)((now - T0) / SEC) - 1, 0);
	deliver_ok(p);
	life_begin(m, l, now);
}

/* A frame that means nothing is given up, and what is around it stored once. */
static void
broken(struct plug *p, struct model *m, uint64_t now)
{
	struct life l;
	struct ctf_err err;
	const struct ctf_frame *f;

	life_begin(m, &l, now);
	deliver_ok(p);
	put_end(p, &l, now, 0);
	plug_seal(p);
	put_end(p, &l, now, 0);
	f = plug_seal(p);
	memset(f->p + 16, 0xff, f->len - 16);
	ck_assert_int_eq(plug_deliver(p, &err), CTF_POISON);
	plug_rewind(p, f->number);
	model_add(m, &l, now, 1, 0);
	life_begin(m, &l, now); /* after that one nobody asks for it again */
	put_end(p, &l, now, 0);
	model_add(m, &l, now, 1, 0);
	deliver_ok(p);
}

/* Killed after the commit: what was stored is offered again. */
static void
again(struct plug *p)
{
	plug_close(p);
	plug_rewind(p, 0);
	deliver_ok(p);
}

static void
turn(struct plug *p, struct model *m)
{
	struct life *l = &m->lives[(unsigned)rand() % LIVES];
	uint64_t now = (uint64_t)wall_ns;

	int what = rand() % 24;

	l->counted += (uint64_t)(rand() % 1000);
	if (what < 10) {
		see(p, m, l, now);
	} else if (what < 20) {
		finish(p, m, l, now);
	} else if (what == 20) {
		overtake(p, m, l, now);
	} else if (what == 21) {
		broken(p, m, now);
	} else {
		deliver_ok(p);
		if (what == 22)
			upkeep(p);
		else
			again(p);
	}
	if (rand() % 6 == 0)
		deliver_ok(p);
	pass(rand() % 1500 * (int64_t)SEC + rand());
}

/* ---- what must hold ---------------------------------------------------------------- */

#define SUMS \
	"sum(flows), sum(orig_packets), sum(orig_bytes), sum(reply_packets), sum(reply_bytes)"

/* The table of minutes is the model, row by row. */
static void
check_minutes(struct model *m)
{
	unsigned used = 0;
	sqlite3_stmt *st;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(db_path(), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db,
					    "SELECT at_s / 60, host, proto, port, flows,"
					    " orig_packets, orig_bytes, reply_packets,"
					    " reply_bytes FROM flows_minute",
					    -1, &st, NULL),
			 SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		uint64_t minute = (uint64_t)sqlite3_column_int64(st, 0);
		const char *host = (const char *)sqlite3_column_text(st, 1);
		unsigned proto = (unsigned)sqlite3_column_int(st, 2),
			 port = (unsigned)sqlite3_column_int(st, 3);
		const struct sum *s = NULL;

		for (size_t i = 0; i < m->n && !s; i++)
			if (m->sums[i].minute == minute &&
			    strcmp(host_of[m->sums[i].host], host) == 0 &&
			    service_of[m->sums[i].service].proto == proto &&
			    service_of[m->sums[i].service].service == port)
				s = &m->sums[i];
		if (!s) {
			ck_assert_int_eq(sqlite3_column_int64(st, 4), 0);
			ck_assert_int_eq(sqlite3_column_int64(st, 5), 0);
			continue;
		}
		used += s->flows || s->packets;
		ck_assert_int_eq(sqlite3_column_int64(st, 4), s->flows);
		ck_assert_int_eq(sqlite3_column_int64(st, 5), s->packets);
		ck_assert_int_eq(sqlite3_column_int64(st, 6), 100 * s->packets);
		ck_assert_int_eq(sqlite3_column_int64(st, 7), 2 * s->packets);
		ck_assert_int_eq(sqlite3_column_int64(st, 8), 3000 * s->packets);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	for (size_t i = 0; i < m->n; i++)
		used -= m->sums[i].flows || m->sums[i].packets;
	ck_assert_uint_eq(used, 0);
}

/* All of it, by what ended and what lives; profile=rollup has no flows. */
static void
check_sums(const struct model *m, bool flows)
{
	char want[200];

	snprintf(want, sizeof(want), "%lld|%lld|%lld|%lld|%lld", (long long)m->flows,
		 (long long)m->packets, (long long)(100 * m->packets),
		 (long long)(2 * m->packets), (long long)(3000 * m->packets));
	ck_query("SELECT " SUMS " FROM flows_minute", want);
	if (flows)
		ck_query("SELECT sum(n), sum(p), sum(b), sum(rp), sum(rb) FROM (SELECT"
			 " end_reason IS NOT 0 AS n, orig_packets p, orig_bytes b, "
			 "reply_packets rp,"
			 " reply_bytes rb FROM flows UNION ALL SELECT 0, orig_packets, "
			 "orig_bytes,"
			 " reply_packets, reply_bytes FROM open_flows)",
			 want);
}

#define KEYS "host, proto, port, " SUMS
#define ROLLED(l) "(SELECT value FROM meta WHERE key = 'rolled:" l ":flows')"

/* Hours that are made hold what their minutes do, and others nothing. */
static void
check_level(const char *fine, const char *coarse, int ratio)
{
	char sql[1000];
	int n;

	n = snprintf(sql, sizeof(sql),
		     "WITH f AS (SELECT at / %d AS a, " KEYS " FROM flows_%s_1 WHERE at / %d <"
		     " " ROLLED("%s") " GROUP BY 1, 2, 3, 4), c AS (SELECT at, " KEYS
				      " FROM flows_%s_1 GROUP BY 1, 2, 3, 4)"
				      " SELECT (SELECT count(*) FROM (SELECT * FROM f EXCEPT "
				      "SELECT * FROM c)),"
				      " (SELECT count(*) FROM (SELECT * FROM c EXCEPT SELECT * "
				      "FROM f))",
		     ratio, fine, ratio, coarse, coarse);
	ck_assert_int_lt(n, (int)sizeof(sql));
	ck_query(sql, "0|0");
}

static void
history(unsigned seed, unsigned turns, const char *more)
{
	struct model m = { .n = 0 };
	bool flows = !*more;
	char options[200];
	struct plug *p;

	srand(seed);
	wall_ns = T0 + SEC * 3600;
	boot_ns = SEC;
	snprintf(options, sizeof(options), "keep_minutes=0\nkeep_hours=0\nkeep_days=0\n%s",
		 more);
	p = db_plug("flows", options);
	sweep_put(p, 61, 1); /* from now on it is known that there are any */
	deliver_ok(p);
	for (unsigned i = 0; i < LIVES; i++)
		life_begin(&m, &m.lives[i], (uint64_t)wall_ns);
	for (unsigned i = 1; i <= turns; i++) {
		turn(p, &m);
		if (i % (turns / 4))
			continue;
		deliver_ok(p);
		check_sums(&m, flows);
		check_minutes(&m);
		upkeep(p);
		check_level("minute", "hour", 60);
		check_level("hour", "day", 24);
	}
	ck_query("SELECT count(*) > 20 FROM flows_day", "1");
	plug_free(p);
	free(m.sums);
}

START_TEST(histories)
{
	history((unsigned)_i + 1, 400, "");
}
END_TEST

/* Only the sums, and they are the same. */
START_TEST(sums_alone)
{
	history((unsigned)_i + 101, 400, "profile=rollup\n");
	ck_query("SELECT (SELECT count(*) FROM days), (SELECT count(*) FROM flows),"
		 " (SELECT count(*) > 0 FROM open_flows)",
		 "0|0|1");
}
END_TEST

/* Without sweeps nothing at all is stored of a flow. */
START_TEST(no_flows)
{
	struct plug *p;

	wall_ns = T0;
	boot_ns = SEC;
	p = db_plug("flows", "profile=rollup\n");
	sweep_put(p, 1, 0); /* that of the start */
	deliver_ok(p);
	flows_put(p, 0, 1000);
	deliver_ok(p);
	upkeep(p);
	ck_query("SELECT sum(flows) FROM flows_minute", "1000");
	ck_query("SELECT count(*) FROM flows_ended_1", "0");
	/* With sweeps only of old ones, and not for long. */
	sweep_put(p, 61, 1);
	deliver_ok(p);
	end_put(p, 1, T0 + 70 * SEC, 9);
	flow_put(p, 2000);
	deliver_ok(p);
	ck_query("SELECT count(*) FROM flows_ended_1", "1");
	end_put(p, 2, T0 + 5000 * SEC, 9);
	deliver_ok(p);
	upkeep(p);
	ck_query("SELECT count(*) FROM flows_ended_1", "1");
	plug_free(p);
}
END_TEST

/* What was stored before there were sums is not in them, and readers know. */
START_TEST(sums_begin_late)
{
	struct model m = { .n = 0 };
	struct plug *p;
	struct life l;

	wall_ns = T0;
	boot_ns = SEC;
	p = db_plug("flows", "profile=nat\n");
	flows_put(p, 0, 1000);
	deliver_ok(p);
	plug_free(p);
	p = db_plug("flows", "");
	flows_put(p, 1000, 1010);
	deliver_ok(p);
	ck_query("SELECT key, value FROM meta WHERE key GLOB 'rollup_from*' ORDER BY key",
		 "rollup_from:day:flows|20779\nrollup_from:hour:flows|498678\n"
		 "rollup_from:minute:flows|29920638");
	ck_query("SELECT count(*) FROM flows_minute", "0");
	life_begin(&m, &l, T0);
	put_end(p, &l, T0 + 60 * SEC, 0);
	deliver_ok(p);
	ck_query("SELECT at_s / 60, flows FROM flows_minute", "29920638|1");
	plug_free(p);
}
END_TEST

static void
add_tests(TCase *t)
{
	db_fixture(t);
	tcase_set_timeout(t, 180);
	tcase_add_loop_test(t, histories, 0, 8);
	tcase_add_loop_test(t, sums_alone, 0, 4);
	tcase_add_test(t, no_flows);
	tcase_add_test(t, sums_begin_late);
}

int
main(void)
{
	return unit_main("sqlite3_rollup", add_tests);
}
