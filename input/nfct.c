/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct.c - NFCT: conntrack's events from the kernel.
 *
 * A DESTROY event is the whole flow record, so there is no table here; the
 * options of ulogd2 that size one are accepted.  read() does as little as can
 * be besides receiving: one clock reading a batch, many messages a call, counters
 * added up at the end.
 */
#include "nfct.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define AT(member) offsetof(struct nfct_conf, member)

static const struct ctf_opt opts[] = {
	{ "event_mask", CTF_OUINT, AT(event_mask), 0, UINT32_MAX, "5", NULL,
	  "events wanted: 1 NEW, 2 UPDATE, 4 DESTROY" },
	{ "hash_enable", CTF_OBOOL, AT(hash_enable), 0, 0, "1", NULL,
	  "1: one record a flow, at its end; 0: a record for each event of event_mask" },
	{ "hash_buckets", CTF_OUINT, AT(hash_buckets), 0, UINT32_MAX, "8192", NULL,
	  "no effect: there is no flow table to size" },
	{ "hash_max_entries", CTF_OUINT, AT(hash_max_entries), 0, UINT32_MAX, "32768", NULL,
	  "no effect: there is no flow table to limit" },
	{ "netlink_socket_buffer_size", CTF_OSIZE, AT(buffer_size), 0, 1u << 30, "0", NULL,
	  "receive buffer; 0: 8M, at most 1/64 of the memory (the kernel doubles it)" },
	{ "netlink_socket_buffer_maxsize", CTF_OSIZE, AT(buffer_maxsize), 0, 1u << 30, "0",
	  NULL, "each overrun doubles the buffer up to this; 0: it does not grow" },
	{ "netlink_resync_timeout", CTF_OMSEC, AT(resync_timeout), 0, 0, "60", NULL,
	  "no effect: there is no flow table to bring up to date; a loss is a gap record" },
	{ "pollinterval", CTF_OMSEC, AT(poll), 0, 0, "0", NULL,
	  "reap_interval, and the end of flows is recorded whatever event_mask says" },
	{ "reap_interval", CTF_OMSEC, AT(reap_interval), 0, 0, "0", NULL,
	  "every so often make the kernel end expired flows at once; 0: it takes up to a "
	  "minute" },
	{ "active_timeout", CTF_OMSEC, AT(active_timeout), 0, 0, "0", NULL,
	  "every so often report flows that have lived as long (see interim); 0: never" },
	{ "active_counters", CTF_OENUM, AT(active_counters), 0, 0, "total",
	  NFCT_ACTIVE_COUNTERS,
	  "such reports count since the flow began, or since the last one: then the kernel's "
	  "counters are set back to 0 each time" },
	{ "flow_end", CTF_OENUM, AT(flow_end), 0, 0, "destroy", CT_FLOW_ENDS,
	  "flow.end.sec and .usec are the end of the conntrack entry, or the last packet" },
	{ "reliable", CTF_OBOOL, AT(reliable), 0, 0, "1", NULL,
	  "the kernel keeps ended flows until we have taken them" },
	{ "reliable_fill", CTF_OUINT, AT(reliable_fill), 1, 100, "90", NULL,
	  "percent of nf_conntrack_max: a table fuller than that because it keeps ended flows "
	  "for us lets go of them; they are a gap" },
	{ "guard_timeout", CTF_OMSEC, AT(guard_timeout), 0, 3600000, "1", NULL,
	  "a second process does the same when ctflowd has not read for that long, or is "
	  "dead; 0: there is none" },
	{ "repeat_memory", CTF_OSIZE, AT(repeat_memory), 0, UINT64_C(1) << 36, "24M", NULL,
	  "ended flows to remember, 24 bytes each, while another reliable listener makes the "
	  "kernel repeat them; at 24M no more than nf_conntrack_max; 0: repeats are kept" },
	{ "select", CTF_OTEXT, AT(select), 0, 0, "", NULL,
	  "hear only of the flows this expression chooses; the kernel judges, so by what "
	  "every message carries: no bytes, packets or duration" },
	{ "accept_src_filter", CTF_OTEXT, AT(accept_src), 0, 0, "", NULL,
	  "original source in one of these: 10.0.0.0/8,2001:db8::/32 (no IPv6 prefix in the "
	  "list: no IPv6 flow; likewise IPv4)" },
	{ "accept_dst_filter", CTF_OTEXT, AT(accept_dst), 0, 0, "", NULL,
	  "original destination, likewise" },
	{ "accept_proto_filter", CTF_OTEXT, AT(accept_proto), 0, 0, "", NULL,
	  "protocol one of these names or numbers: tcp,udp,47" },
	{ "sysctl", CTF_OENUM, AT(sysctl), 0, 0, "auto", NFCT_POLICIES,
	  "nf_conntrack_timestamp, _acct and _events: auto turns the first on and warns" },
	{ "record", CTF_OTEXT, AT(record), 0, 0, "", NULL,
	  "write every message received to this pcap file, begun anew at each start, for "
	  "REPLAY" },
	{ "namespaces", CTF_OTEXT, AT(namespaces), 1, 0, "own", NULL,
	  "own: the network namespace ctflowd runs in; all: also those that have an id there; "
	  "else the path of another, e.g. /run/netns/NAME" },
	{ "network_namespace_path", CTF_OTEXT, AT(netns), 0, 0, "", NULL,
	  "listen in this network namespace (ulogd2's name for namespaces=PATH)" },
	{ NULL },
};

/* ---- setup ----------------------------------------------------------------- */

/*
 * What an output wants besides: with hash_enable the others go on to have one
 * record a flow.  event_mask has the last word.
 */
static void
choose_extra(struct nfct *s)
{
	const struct nfct_conf *c = nfct_conf(s);
	unsigned wanted = ctf_events_wanted(nfct_ctx(s)), missing = wanted & ~s->mask;

	s->extra = missing & (unsigned)c->event_mask;
	s->mask |= s->extra;
	missing &= ~s->extra;
	if (missing)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"an output wants %s events, and event_mask = %u leaves them out: none "
			"will come; add %u",
			missing == CTF_NEW      ? "NEW"
			: missing == CTF_UPDATE ? "UPDATE"
						: "NEW and UPDATE",
			(unsigned)c->event_mask, missing);
}

static int
choose_groups(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	unsigned mask = (unsigned)c->event_mask & (CTF_NEW | CTF_UPDATE | CTF_DESTROY);

	if (c->hash_enable)
		mask &= CTF_DESTROY;
	if (c->poll)
		mask |= CTF_DESTROY;
	if (!mask)
		return ctf_fail_opt(nfct_ctx(s), err, "event_mask",
				    "event_mask %#x with hash_enable %d gives no records; %s",
				    (unsigned)c->event_mask, c->hash_enable,
				    c->hash_enable
					    ? "add 4 (DESTROY) or set hash_enable=0"
					    : "it is 1 (NEW) + 2 (UPDATE) + 4 (DESTROY)");
	s->mask = mask;
	choose_extra(s);
	return 0;
}

static void
make_counters(struct nfct *s)
{
	struct ctf_ctx *ctx = nfct_ctx(s);

	s->events =
		ctf_metric_new(ctx, "events", CTF_COUNTER, CTF_UNIT_NONE, "messages received");
	s->ignored = ctf_metric_new(ctx, "ignored", CTF_COUNTER, CTF_UNIT_NONE,
				    "messages that are no records");
	s->malformed = ctf_metric_new(ctx, "malformed", CTF_COUNTER, CTF_UNIT_NONE,
				      "messages that make no sense");
	s->no_counters =
		ctf_metric_new(ctx, "no_counters", CTF_COUNTER, CTF_UNIT_NONE,
			       "ends without packets and bytes (nf_conntrack_acct was off)");
	s->no_start =
		ctf_metric_new(ctx, "no_start", CTF_COUNTER, CTF_UNIT_NONE,
			       "ends without start and stop (nf_conntrack_timestamp was off)");
	s->lost = ctf_metric_new(ctx, "lost", CTF_COUNTER, CTF_UNIT_NONE,
				 "ended flows known or feared to be lost");
	s->retries = ctf_metric_new(ctx, "retries", CTF_COUNTER, CTF_UNIT_NONE,
				    "deliveries the kernel had to try again");
	s->unreported =
		ctf_metric_new(ctx, "unreported", CTF_COUNTER, CTF_UNIT_NONE,
			       "entries found at the start that cannot report their end");
	s->valve_opened =
		ctf_metric_new(ctx, "valve_opened", CTF_COUNTER, CTF_UNIT_NONE,
			       "times the kernel was told to keep nothing (reliable_fill)");
	s->guard_released = ctf_metric_new(ctx, "guard_released", CTF_COUNTER, CTF_UNIT_NONE,
					   "times the guard had to let go of ended flows");
	nfct_repeat_setup(s);
	nfct_stats_setup(s);
}

static int
nfct_setup(void *self, struct ctf_err *err)
{
	struct nfct *s = self;
	int r;

	s->fd = s->req.fd = s->diag = s->clock.fd = s->probe.fd = -1;
	nfct_guard_init(&s->guard);
	s->in.flow_end = nfct_conf(s)->flow_end;
	nfct_times_init(s);
	nfct_host_init(s);
	nfct_cover_init(s);
	r = choose_groups(s, err);
	if (r == 0)
		r = nfct_ns_choose(s, err);
	if (r == 0)
		r = nfct_select_setup(s, err);
	if (r == 0)
		make_counters(s);
	return r < 0 ? r : nfct_sweep_setup(s, err);
}

static void
nfct_release(void *self)
{
	nfct_record_end(self); /* of the configuration before */
	nfct_select_release(self);
}

/* ---- reading --------------------------------------------------------------- */

struct tally { /* of one batch */
	unsigned events, ignored, malformed, no_counters, no_start;
	bool own_no_counters, own_no_start; /* of the namespace listened in */
};

static void
warn_once(struct nfct *s, bool *said, const char *what, const char *name, int value)
{
	if (*said)
		return;
	*said = true;
	if (nfct_conf(s)->sysctl == NFCT_IGNORE)
		return;
	if (value == 1)
		ctf_log(nfct_ctx(s), CTF_INFO, "flows without %s: begun before %s was set",
			what, name);
	else
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"flows without %s: sysctl -w net.netfilter.%s=1 gives it to new ones",
			what, name);
}

static void
add_up(struct nfct *s, const struct tally *t)
{
	if (t->events)
		ctf_count(s->events, t->events);
	if (t->ignored)
		ctf_count(s->ignored, t->ignored);
	if (t->malformed)
		ctf_count(s->malformed, t->malformed);
	if (t->no_counters) {
		ctf_count(s->no_counters, t->no_counters);
		if (t->own_no_counters)
			warn_once(s, &s->said_counters, "packet and byte counters",
				  "nf_conntrack_acct", s->sys.acct);
	}
	if (t->no_start) {
		ctf_count(s->no_start, t->no_start);
		if (t->own_no_start)
			warn_once(s, &s->said_start, "start time", "nf_conntrack_timestamp",
				  s->sys.timestamp);
	}
}

/* A failing disk must not cost events: the recording ends, the input goes on. */
static void
record_message(struct nfct *s, uint64_t now, int nsid, const void *msg, size_t len)
{
	int r = pcap_writer_put(s->record, now, nsid, msg, len);

	if (r == 0)
		return;
	ctf_log(nfct_ctx(s), CTF_ERROR, "recording to %s ends: %s", nfct_conf(s)->record,
		strerror(-r));
	(void)pcap_writer_close(s->record);
	s->record = NULL;
}

/* 1: rec is a record; 0: it is not. */
static int
decode(struct nfct *s, const void *msg, size_t len, uint64_t now, int nsid, struct ctf_rec *rec,
       struct tally *t)
{
	int r = len <= NFCT_MESSAGE_MAX ? ct_decode(&s->in, msg, len, now, nsid, rec)
					: -EMSGSIZE;

	t->events++;
	if (s->record && len <= NFCT_MESSAGE_MAX)
		record_message(s, now, nsid, msg, len);
	if (r <= 0) {
		t->ignored += r == 0;
		t->malformed += r < 0;
		return 0;
	}
	if (s->hand.judge && !nfct_hand_wants(s, rec)) {
		t->ignored++;
		return 0;
	}
	if (rec->event == CTF_DESTROY) {
		if (__builtin_expect(s->probe.learning, 0))
			nfct_probe_learn(s, msg, len);
		if (s->repeat.most && nfct_repeat_is(s, now))
			return 0;
		if (s->counters_at != CTF_NONE && !ctf_has(rec, s->counters_at)) {
			t->no_counters++;
			t->own_no_counters |= nsid < 0;
		}
		if (s->start_at != CTF_NONE && !ctf_has(rec, s->start_at)) {
			t->no_start++;
			t->own_no_start |= nsid < 0;
		}
	}
	if (rec->event & s->extra)
		rec->kind = CTF_EXTRA;
	if (nsid >= 0)
		nfct_ns_name_record(s, rec);
	return 1;
}

/* What ended the receiving: may it go on, is the queue empty, or is all over? */
static int
receive_failed(struct nfct *s, int err, const struct tally *t, uint64_t now)
{
	if (err == ENOBUFS) {
		if (t->events)
			s->read_ns = now;
		nfct_overrun(s, now);
		return CTF_READ_MORE;
	}
	if (err == EINTR)
		return CTF_READ_MORE;
	if (err != EAGAIN) {
		ctf_log(nfct_ctx(s), CTF_ERROR, "event socket: %s", strerror(err));
		return -err;
	}
	s->hand.judge = false; /* what it was set to before is read */
	nfct_overrun_end(s);
	nfct_ns_settle(s);
	return CTF_READ_IDLE;
}

/* Messages the batch can take, whatever is in them. */
static unsigned
room_for(const struct nfct *s, struct ctf_batch *b)
{
	unsigned n = ctf_batch_left(b);

	if (n > NFCT_BURST)
		n = NFCT_BURST;
	while (s->keep && n && !ctf_batch_room(b, (size_t)n * NFCT_MESSAGE_MAX))
		n--;
	return n;
}

/* A copy of the message that lives as long as the batch. */
static const uint8_t *
keep(struct ctf_batch *b, const uint8_t *msg, size_t len)
{
	void *p = ctf_batch_room(b, len);

	memcpy(p, msg, len);
	ctf_batch_keep(b, len);
	return p;
}

/* The messages of a burst; those that are records go to the batch. */
static void
take(struct nfct *s, unsigned n, struct ctf_batch *b, uint64_t now, struct tally *t)
{
	bool many = s->ns.heard >= 0;
	struct ctf_rec *rec = NULL;

	for (unsigned i = 0; i < n; i++) {
		size_t len;
		const uint8_t *msg = nfct_burst_at(&s->burst, i, &len);
		int nsid = many ? nfct_ns_hear(s, nfct_burst_nsid(&s->burst, i), now) : -1;

		if (s->keep && len <= NFCT_MESSAGE_MAX)
			msg = keep(b, msg, len);
		if (!rec)
			rec = ctf_batch_add(b);
		if (decode(s, msg, len, now, nsid, rec, t))
			rec = NULL;
		else
			rec->set[0] = rec->set[1] = 0;
	}
	if (rec)
		ctf_batch_drop(b);
}

/*
 * The messages are the kernel's: others may send to this socket only with
 * CAP_NET_ADMIN, and with that they need not forge events.
 */
static int
read_all(struct nfct *s, struct ctf_batch *b, uint64_t now, struct tally *t)
{
	unsigned most;

	while ((most = room_for(s, b)) > 0) {
		int r = nfct_burst_receive(&s->burst, s->fd, most, s->ns.heard >= 0);

		if (r >= 0)
			take(s, (unsigned)r, b, now, t);
		else if ((r = receive_failed(s, -r, t, now)) != CTF_READ_MORE)
			return r;
	}
	return CTF_READ_MORE;
}

static int
nfct_read(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;
	struct tally t = { 0 };
	uint64_t now = ctf_now();
	int r;

	if (__builtin_expect(s->outage.pending, 0))
		(void)nfct_outage_look(s);
	nfct_times_look(s, now);
	r = read_all(s, b, now, &t);
	nfct_guard_beat(&s->guard, now, r == CTF_READ_IDLE);
	s->read_ns = now;
	if (t.events)
		s->event_ns = now;
	add_up(s, &t);
	return r;
}

static int
nfct_fd(void *self)
{
	return ((struct nfct *)self)->fd;
}

static unsigned
nfct_backlog(void *self)
{
	struct nfct *s = self;
	struct nfct_mem mem;

	if (nfct_events_mem(s->fd, &mem) < 0 || mem.rcvbuf == 0)
		return 0;
	return (unsigned)((uint64_t)mem.used * 100 / mem.rcvbuf);
}

CTF_PLUGIN(nfct) = {
	.abi = CTF_ABI,
	.role = CTF_INPUT,
	.name = "NFCT",
	.doc = "flows of the kernel's connection tracking",
	.opts = opts,
	.writes = ct_ports,
	.conf_size = sizeof(struct nfct_conf),
	.size = sizeof(struct nfct),
	.probe = nfct_select_probe,
	.unprobe = nfct_select_unprobe,
	.setup = nfct_setup,
	.release = nfct_release,
	.start = nfct_start,
	.fd = nfct_fd,
	.read = nfct_read,
	.backlog = nfct_backlog,
	.drain = nfct_drain,
	.stop = nfct_stop,
	.hand_over = nfct_hand_over,
	.dump = nfct_sweep_show,
	.observe = nfct_observe,
	.reload = nfct_reload,
	.reloaded = nfct_reloaded,
};
