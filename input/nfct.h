/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct.h - what the parts of the NFCT input share. */
#ifndef NFCT_H
#define NFCT_H

#include <ctflow/plugin.h>
#include "ct_decode.h"
#include "nfct_bpf.h"
#include "nfct_burst.h"
#include "nfct_clock.h"
#include "nfct_cover.h"
#include "nfct_guard.h"
#include "nfct_hand.h"
#include "nfct_host.h"
#include "nfct_ns.h"
#include "nfct_outage.h"
#include "nfct_probe.h"
#include "nfct_repeat.h"
#include "nfct_select.h"
#include "nfct_sock.h"
#include "nfct_stats.h"
#include "nfct_sweep.h"
#include "nfct_sysctl.h"
#include "nfct_times.h"
#include "nfct_valve.h"
#include "pcap.h"
#include "ticker.h"

#define NFCT_SEC UINT64_C(1000000000) /* in ns */
#define NFCT_HEARTBEAT 10u            /* seconds */

struct nfct_conf {
	uint64_t event_mask, hash_buckets, hash_max_entries;
	uint64_t buffer_size, buffer_maxsize;   /* bytes; 0: our choice, no growth */
	uint64_t resync_timeout, poll;          /* ms */
	uint64_t active_timeout, reap_interval; /* ms; 0: never */
	unsigned active_counters, flow_end;
	bool hash_enable, reliable;
	uint64_t reliable_fill; /* percent */
	uint64_t guard_timeout; /* ms */
	uint64_t repeat_memory; /* bytes */
	unsigned sysctl;        /* enum nfct_policy */
	const char *select, *accept_src, *accept_dst, *accept_proto;
	struct ctf_expr *selected; /* what these come to; NULL: everything */
	const char *record, *namespaces, *netns;
};

struct nfct {
	struct ct_input in;

	/* what the options come to */
	unsigned mask;  /* groups to join, as CTF_NEW ... */
	unsigned extra; /* of them, for outputs that asked (CTF_EXTRA) */
	struct nfct_select select;
	ctf_counter *events, *ignored, *malformed, *no_counters, *no_start;
	ctf_counter *lost, *retries, *unreported, *valve_opened, *guard_released;

	/* while started */
	int fd; /* the event socket */
	struct nfct_burst burst;
	struct nfct_req req;
	int diag; /* asks who else listens; below 0: cannot */
	struct pcap_writer *record;
	struct nfct_sysctls sys;
	bool keep;                     /* records borrow from the message */
	ctf_ref counters_at, start_at; /* slots to look for them, or CTF_NONE */
	bool said_counters, said_start, said_full;
	bool left; /* no longer a member of the groups */

	/* loss */
	uint64_t buffer;   /* bytes asked for */
	uint32_t drops;    /* of the kernel's drop counter: accounted for */
	uint64_t read_ns;  /* the last look at the socket */
	uint64_t event_ns; /* the last event */
	uint64_t gap_from; /* an overrun goes on since; 0: none */
	uint64_t calm_ns;  /* up to here nothing had to be retried */
	uint64_t said_ns;  /* the last warning about losses */
	struct nfct_valve valve;
	struct nfct_guard guard;
	struct nfct_outage outage;
	struct nfct_times times;
	struct nfct_hand hand;
	struct nfct_sweep sweep;
	struct nfct_repeat repeat;
	struct nfct_stats stats;

	struct nfct_ns ns;
	struct nfct_cover cover;
	struct nfct_clock clock;
	struct nfct_host host;
	struct nfct_probe probe;

	/* time */
	unsigned ticks, tick_sec;
	unsigned every_ms; /* the timer; shorter than tick_sec while the valve wants it */
	struct ticker ticker;
	bool probing;      /* the dump under way is that of the dying list */
	uint64_t probe_ns; /* the last such dump */
};

static inline const struct nfct_conf *
nfct_conf(const struct nfct *s)
{
	return s->in.obj.conf;
}

static inline struct ctf_ctx *
nfct_ctx(const struct nfct *s)
{
	return s->in.obj.ctx;
}

/* Whether other namespaces are heard; before they are asked for: whether they will be. */
static inline bool
nfct_everywhere(const struct nfct *s)
{
	return s->ns.all && !s->ns.muted;
}

/* Whether the kernel keeps what it could not deliver: the ends of flows alone. */
static inline bool
nfct_keeps(const struct nfct *s)
{
	return nfct_conf(s)->reliable && s->mask & CTF_DESTROY;
}

/* Before anything is read that an end may be worked out from. */
static inline void
nfct_times_look(struct nfct *s, uint64_t now)
{
	/* the clock may have been set back */
	if (__builtin_expect(now - s->times.look_ns >= NFCT_TIMES_LOOK, 0))
		nfct_times_now(s, now);
}

/* nfct_start.c */
int nfct_start(void *self, struct ctf_err *err);
void nfct_stop(void *self);
bool nfct_drain(void *self, bool now);
/* The receive buffer the options ask for; less is said; -errno. */
int nfct_set_buffer(struct nfct *s);
/* How often it looks round. */
void nfct_choose_tick(struct nfct *s);
/* Which fields show what the kernel left out. */
void nfct_choose_checks(struct nfct *s);

/* nfct_reload.c */
void nfct_record_end(struct nfct *s);
int nfct_reload(void *self, void *other, struct ctf_err *err);
void nfct_reloaded(void *self);

/* nfct_loss.c */
/* The socket said that events were lost; says so, and makes room. */
void nfct_overrun(struct nfct *s, uint64_t now);
/* The queue is empty: if there was an overrun it is over, and now a gap. */
void nfct_overrun_end(struct nfct *s);
/* Every now and then: deliveries the kernel has to repeat, or will not. */
void nfct_count_retries(struct nfct *s, uint64_t now);
/* The start, once it listens: the gap since an earlier run died. */
void nfct_downtime(struct nfct *s);
/* The end: whatever the kernel still keeps for us will be lost. */
void nfct_lose_dying(struct nfct *s);
/* What a count of drops says about the number of flows lost. */
enum ctf_count_is nfct_drops_mean(const struct nfct *s);
/* A gap until now. */
void nfct_report_gap(struct nfct *s, const char *cause, uint64_t from, uint64_t count,
		     enum ctf_count_is is);

#endif
