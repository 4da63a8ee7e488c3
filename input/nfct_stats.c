/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_stats.c - numbers that are asked for when somebody looks, and not before.
 *
 * All but one are a question or two to the kernel.  The ended flows it still
 * keeps have to be listed to be counted: at most some thousands at a time, the
 * rest when somebody looks again.
 */
#include "nfct.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <libmnl/libmnl.h>

#define CHUNKS 64u /* of some 30 ended flows each */

static const struct {
	uint16_t attr;
	const char *name, *help;
} kinds[NFCT_STATS] = {
	{ CTA_STATS_INVALID, "kernel_invalid", "packets conntrack could make nothing of" },
	{ CTA_STATS_INSERT_FAILED, "kernel_insert_failed",
	  "connections refused because another had their tuple" },
	{ CTA_STATS_DROP, "kernel_drop",
	  "packets dropped: no room in the table, or no memory" },
	{ CTA_STATS_EARLY_DROP, "kernel_early_drop",
	  "connections removed early to make room for others" },
	{ CTA_STATS_ERROR, "kernel_error", "packets conntrack refused, e.g. for ICMP errors" },
	{ CTA_STATS_SEARCH_RESTART, "kernel_search_restart",
	  "lookups begun again because the table changed" },
	{ CTA_STATS_CLASH_RESOLVE, "kernel_clash_resolve",
	  "connections that two packets began at once" },
	{ CTA_STATS_CHAIN_TOOLONG, "kernel_chain_toolong",
	  "connections refused because their bucket was too long" },
};

void
nfct_stats_setup(struct nfct *s)
{
	struct nfct_stats *t = &s->stats;
	struct ctf_ctx *ctx = nfct_ctx(s);

	t->req.fd = -1;
	t->entries = ctf_metric_new(ctx, "table_entries", CTF_GAUGE, CTF_UNIT_NONE,
				    "entries of the table, ended flows not delivered included");
	t->max = ctf_metric_new(ctx, "table_max", CTF_GAUGE, CTF_UNIT_NONE,
				"entries it may have: nf_conntrack_max");
	t->full = ctf_metric_new(ctx, "table_fill", CTF_GAUGE, CTF_UNIT_PERCENT,
				 "table_entries as part of table_max");
	t->dying = ctf_metric_new(ctx, "dying", CTF_GAUGE, CTF_UNIT_NONE,
				  "ended flows the kernel keeps until they are delivered, as "
				  "far as counted");
	t->used = ctf_metric_new(ctx, "buffer_used", CTF_GAUGE, CTF_UNIT_BYTES,
				 "events that wait in the receive buffer, 1280 bytes each");
	t->size = ctf_metric_new(ctx, "buffer_size", CTF_GAUGE, CTF_UNIT_BYTES,
				 "the receive buffer as the kernel accounts it");
	t->fill = ctf_metric_new(ctx, "buffer_fill", CTF_GAUGE, CTF_UNIT_PERCENT,
				 "buffer_used as part of buffer_size");
	t->drops = ctf_metric_new(ctx, "socket_drops", CTF_COUNTER, CTF_UNIT_NONE,
				  "events our socket had no room for; with reliable=1 the "
				  "kernel tries them again");
	t->valve = ctf_metric_new(ctx, "valve_open", CTF_GAUGE, CTF_UNIT_NONE,
				  "1: the kernel keeps no ended flows for us, the table is "
				  "filled to reliable_fill");
	t->guard_wanted = ctf_metric_new(ctx, "guard_wanted", CTF_GAUGE, CTF_UNIT_NONE,
					 "1: a guard process should watch the table");
	t->guard_running = ctf_metric_new(ctx, "guard_running", CTF_GAUGE, CTF_UNIT_NONE,
					  "1: a guard process does");
	for (unsigned i = 0; i < NFCT_STATS; i++)
		t->kernel[i] = ctf_metric_new(ctx, kinds[i].name, CTF_COUNTER, CTF_UNIT_NONE,
					      kinds[i].help);
}

void
nfct_stats_start(struct nfct *s)
{
	s->stats.drops_seen = 0;
	s->stats.counting = false;
	(void)nfct_req_open(&s->stats.req, NULL);
}

void
nfct_stats_stop(struct nfct *s)
{
	nfct_req_close(&s->stats.req);
	free(s->stats.cpu);
	s->stats.cpu = NULL;
	s->stats.ncpu = 0;
}

/* ---- the kernel's own ---------------------------------------------------------- */

static struct nfct_cpu *
cpu_of(struct nfct_stats *t, unsigned n)
{
	struct nfct_cpu *more;

	if (n < t->ncpu)
		return &t->cpu[n];
	more = realloc(t->cpu, (n + 1) * sizeof(*more));
	if (!more)
		return NULL;
	memset(more + t->ncpu, 0, (n + 1 - t->ncpu) * sizeof(*more));
	t->cpu = more;
	t->ncpu = n + 1;
	return &t->cpu[n];
}

struct report {
	struct nfct_stats *stats;
	struct nfct_cpu *cpu;
};

/* The first time all of it is news, later what has been added. */
static int
read_kind(const struct nlattr *attr, void *data)
{
	struct report *r = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return MNL_CB_OK;
	for (unsigned i = 0; i < NFCT_STATS; i++) {
		uint32_t now = ntohl(mnl_attr_get_u32(attr));

		if (kinds[i].attr != type)
			continue;
		ctf_count(r->stats->kernel[i], now - r->cpu->seen[i]);
		r->cpu->seen[i] = now;
	}
	return MNL_CB_OK;
}

static void
read_cpu(void *arg, const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	struct report r = { .stats = arg };

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return;
	r.cpu = cpu_of(r.stats, ntohs(nfg->res_id));
	if (r.cpu)
		(void)mnl_attr_parse(nlh, sizeof(*nfg), read_kind, &r);
}

/* ---- ours ---------------------------------------------------------------------- */

static void
look_at_socket(struct nfct *s)
{
	struct nfct_stats *t = &s->stats;
	struct nfct_mem mem;

	if (nfct_events_mem(s->fd, &mem) < 0)
		return;
	ctf_gauge_set(t->used, mem.used);
	ctf_gauge_set(t->size, mem.rcvbuf);
	ctf_gauge_set(t->fill, mem.rcvbuf ? (uint64_t)mem.used * 100 / mem.rcvbuf : 0);
	ctf_count(t->drops, mem.drops - t->drops_seen);
	t->drops_seen = mem.drops;
}

static void
look_at_safety(struct nfct *s)
{
	ctf_gauge_set(s->stats.valve, s->valve.open);
	ctf_gauge_set(s->stats.guard_wanted, s->guard.wanted);
	ctf_gauge_set(s->stats.guard_running, s->guard.pid > 0);
}

static void
look_at_table(struct nfct_stats *t)
{
	struct nfct_fill f;

	if (nfct_req_fill(&t->req, &f) < 0)
		return;
	ctf_gauge_set(t->entries, f.count);
	ctf_gauge_set(t->max, f.max);
	ctf_gauge_set(t->full, f.max ? (uint64_t)f.count * 100 / f.max : 0);
}

/* What was counted so far is less than there are, but may be more than last time. */
static void
count_dying(struct nfct_stats *t)
{
	bool done;

	if (!t->counting && nfct_req_dying(&t->req) < 0)
		return;
	done = nfct_req_step(&t->req, CHUNKS);
	t->counting = !done;
	if (done || t->req.entries > atomic_load_explicit(t->dying, memory_order_relaxed))
		ctf_gauge_set(t->dying, t->req.entries);
}

void
nfct_observe(void *self)
{
	struct nfct *s = self;
	struct nfct_stats *t = &s->stats;

	look_at_safety(s);
	look_at_socket(s);
	if (t->req.fd < 0)
		return;
	if (!t->counting) {
		look_at_table(t);
		(void)nfct_req_cpus(&t->req, read_cpu, t);
	}
	count_dying(t);
}
