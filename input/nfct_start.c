/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_start.c - start, the regular tick, the end. */
#include "nfct.h"
#include "nfct_diag.h"
#include "nfct_netns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/sysinfo.h>

#define MS UINT64_C(1000000) /* in ns */
#define QUIET_BEFORE_PROBE (20 * MS)
#define BETWEEN_PROBES (50 * MS)

/* ---- the tick -------------------------------------------------------------- */

/* Nothing is queued, nothing had to be retried: what happened is read. */
static void
say_alive(const struct nfct *s)
{
	struct nfct_mem mem;

	if (nfct_events_mem(s->fd, &mem) == 0 && mem.used == 0 && mem.drops == s->drops)
		ctf_alive(nfct_ctx(s));
}

static void
slow_tick(struct nfct *s)
{
	bool beat = ticker_beat(&s->ticker, NFCT_HEARTBEAT * 1000);

	s->ticks++;
	if (s->record && pcap_writer_flush(s->record) < 0) {
		ctf_log(nfct_ctx(s), CTF_ERROR, "recording to %s ends: write error",
			nfct_conf(s)->record);
		(void)pcap_writer_close(s->record);
		s->record = NULL;
	}
	nfct_count_retries(s, ctf_now());
	nfct_ns_tick(s);
	if (s->mask & CTF_DESTROY && !s->left)
		nfct_repeat_look(s, ctf_now());
	nfct_cover_tick(s, beat);
	nfct_times_look(s, ctf_now());
	if (beat)
		say_alive(s);
}

static void
tick(void *self)
{
	struct nfct *s = self;
	unsigned slow = s->tick_sec * 1000, want, soon;

	nfct_guard_beat(&s->guard, ctf_now(), false);
	nfct_guard_look(s);
	want = nfct_valve_look(s);
	soon = nfct_outage_look(s);
	if (soon)
		want = soon;
	if (ticker_slow(&s->ticker, ctf_mono_ms(), s->every_ms, slow))
		slow_tick(s);
	if (want == 0)
		want = slow;
	if (want != s->every_ms && ctf_every(nfct_ctx(s), want, tick) == 0)
		s->every_ms = want;
}

/* ---- start ----------------------------------------------------------------- */

static uint64_t
default_buffer(void)
{
	struct sysinfo si;
	uint64_t share = sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit / 64 : 0;
	uint64_t most = 8u << 20;

	return share && share < most ? share : most;
}

int
nfct_set_buffer(struct nfct *s)
{
	const struct nfct_conf *c = nfct_conf(s);
	int64_t got;

	s->buffer = c->buffer_size ? c->buffer_size : default_buffer();
	if (c->buffer_maxsize && s->buffer > c->buffer_maxsize)
		s->buffer = c->buffer_maxsize;
	got = nfct_events_buffer(s->fd, s->buffer);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < s->buffer)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"receive buffer is %lld bytes only (net.core.rmem_max; more needs "
			"CAP_NET_ADMIN)",
			(long long)got);
	return 0;
}

static int
open_events(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	int r;

	if (nfct_hand_take(s) == 0) {
		nfct_guard_start(s);
		nfct_guard_greet(s, true);
		r = nfct_hand_renew(s, err);
	} else {
		r = nfct_events_open(c->reliable, s->select.prog, s->select.len, &s->fd, err);
	}
	if (r == 0)
		r = nfct_ns_listen(s, err);
	if (r < 0)
		return r;
	r = nfct_set_buffer(s);
	if (r < 0)
		return ctf_fail(err, -r, "cannot set the receive buffer: %s", strerror(-r));
	if (!s->hand.inherited)
		nfct_guard_start(s);
	r = nfct_events_join(s->fd, s->mask, err);
	if (r == 0 && !s->hand.inherited)
		nfct_guard_greet(s, false);
	return r;
}

/* In the namespace to be listened to: the settings first, then the events. */
static int
start_inside(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	struct nfct_fill fill = { 0 };
	int r = nfct_req_open(&s->req, err);

	if (r == 0)
		r = nfct_req_first(&s->req, &fill, err);
	if (r < 0)
		return r;
	nfct_sysctl_apply(nfct_ctx(s), c->sysctl, s->ns.path, &s->sys);
	nfct_cover_open(s);
	nfct_host_open(s);
	r = open_events(s, err);
	if (r < 0)
		return r;
	s->diag = nfct_diag_open();
	nfct_stats_start(s);
	if (nfct_repeat_start(s, fill.max) < 0)
		return ctf_fail(err, ENOMEM, "no memory");
	r = nfct_sweep_open(s, err);
	if (r == 0 && nfct_times_open(s) < 0)
		return ctf_fail(err, ENOMEM, "no memory");
	return r;
}

static int
start_sockets(struct nfct *s, struct ctf_err *err)
{
	const char *path = s->ns.path;
	int home = -1, r, back;

	if (path[0] && nfct_netns_enter(path, &home) < 0)
		return ctf_fail_opt(
			nfct_ctx(s), err,
			nfct_conf(s)->netns[0] ? "network_namespace_path" : "namespaces",
			"cannot enter network namespace %s: %s%s", path, strerror(errno),
			errno == EPERM ? " (needs CAP_SYS_ADMIN)" : "");
	r = start_inside(s, err);
	if (home < 0)
		return r;
	back = nfct_netns_return(home);
	return back < 0 ? ctf_fail(err, -back, "cannot leave network namespace %s: %s", path,
				   strerror(-back))
			: r;
}

void
nfct_choose_tick(struct nfct *s)
{
	s->tick_sec = s->record || s->ns.all || s->mask & CTF_DESTROY ? 1 : NFCT_HEARTBEAT;
}

/* Which slots show, once they are wanted, that the kernel did not say. */
void
nfct_choose_checks(struct nfct *s)
{
	const struct ct_fields *f = &s->in.f;

	s->counters_at = f->orig_packets != CTF_NONE ? f->orig_packets : f->orig_bytes;
	s->start_at = f->start_ns != CTF_NONE ? f->start_ns : f->start_sec;
	s->keep = f->labels != CTF_NONE || f->helper != CTF_NONE || f->secctx != CTF_NONE;
}

static void
say_useless(const struct nfct *s)
{
	const struct nfct_conf *c = nfct_conf(s);

	if (c->hash_buckets != 8192 || c->hash_max_entries != 32768 ||
	    c->resync_timeout != 60000)
		ctf_log(nfct_ctx(s), CTF_NOTICE,
			"hash_buckets, hash_max_entries and netlink_resync_timeout have no "
			"effect: there is no flow table");
	if (c->buffer_maxsize && c->buffer_size > c->buffer_maxsize)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"netlink_socket_buffer_size is above "
			"netlink_socket_buffer_maxsize, which is used");
}

static void
close_all(struct nfct *s)
{
	nfct_guard_end(&s->guard);
	if (s->fd >= 0)
		close(s->fd);
	if (s->diag >= 0)
		close(s->diag);
	s->fd = s->diag = -1;
	nfct_sweep_stop(s);
	nfct_req_close(&s->req);
	nfct_ns_stop(s);
	nfct_repeat_stop(s);
	ct_shapes_free(s->in.shapes);
	s->in.shapes = NULL;
	nfct_stats_stop(s);
	nfct_host_close(s);
	nfct_cover_close(s);
	nfct_times_close(s);
	s->record = NULL;
}

static int
start_recording(struct nfct *s, struct ctf_err *err)
{
	struct ctf_err why;
	int r = pcap_writer_open(nfct_conf(s)->record, &s->record, &why);

	return r < 0 ? ctf_fail_opt(nfct_ctx(s), err, "record", "cannot record to %s", why.msg)
		     : r;
}

int
nfct_start(void *self, struct ctf_err *err)
{
	struct nfct *s = self;
	const struct nfct_conf *c = nfct_conf(s);
	int r;

	nfct_choose_checks(s);
	say_useless(s);
	if (nfct_outage_start(s) < 0)
		return ctf_fail(err, ENOMEM, "no memory");
	r = start_sockets(s, err);
	if (r == 0 && c->record[0])
		r = start_recording(s, err);
	if (r == 0) {
		s->cover.from_ns = s->read_ns = s->calm_ns = ctf_now();
		nfct_valve_init(s);
		nfct_choose_tick(s);
		s->every_ms = s->outage.pending ? NFCT_OUTAGE_MS : s->tick_sec * 1000;
		s->ticker = (struct ticker){ .last = ctf_mono_ms() };
		r = ctf_every(nfct_ctx(s), s->every_ms, tick);
	}
	s->in.shapes = ct_shapes_new();
	ct_prepare(&s->in);
	if (r == 0)
		r = nfct_times_start(s);
	if (r == 0)
		r = nfct_ns_start(s);
	if (r == 0)
		r = nfct_sweep_start(s, err);
	if (r < 0) {
		nfct_record_end(s);
		close_all(s);
		return r;
	}
	nfct_hand_start(s);
	nfct_guard_started(s);
	nfct_downtime(s);
	nfct_cover_start(s);
	return 0;
}

/* ---- the end --------------------------------------------------------------- */

/*
 * Does the kernel keep ended flows for us?  It sends them by itself as we
 * read, so it is asked only when that has come to rest: the answer lists them
 * all.
 */
static bool
dying_is_empty(struct nfct *s)
{
	uint64_t now = ctf_now();
	struct nfct_mem mem;

	if (nfct_events_mem(s->fd, &mem) == 0 && mem.used > 0)
		return false;
	if (!s->probing) {
		if (!nfct_req_step(&s->req, 64) || now - s->event_ns < QUIET_BEFORE_PROBE ||
		    now - s->probe_ns < BETWEEN_PROBES)
			return false;
		s->probe_ns = now;
		if (nfct_req_dying(&s->req) < 0)
			return true; /* no way to know */
		s->probing = true;
	}
	if (!nfct_req_step(&s->req, 64))
		return false;
	s->probing = false;
	return s->req.error || s->req.entries == 0;
}

bool
nfct_drain(void *self, bool now)
{
	struct nfct *s = self;

	nfct_sweep_stop(s);
	if (s->left)
		return true;
	if (!now && nfct_keeps(s) && !dying_is_empty(s))
		return false;
	if (now && nfct_keeps(s))
		nfct_lose_dying(s);
	nfct_events_leave(s->fd, s->mask);
	nfct_valve_end(s);
	s->left = true;
	return true;
}

void
nfct_stop(void *self)
{
	struct nfct *s = self;

	(void)ctf_every(nfct_ctx(s), 0, tick);
	nfct_sweep_stop(s);
	nfct_overrun_end(s);
	nfct_valve_end(s);
	nfct_outage_tell(s);
	nfct_ns_stop(s);
	if (!s->hand.handed)
		nfct_count_retries(s, ctf_now());
	nfct_cover_stop(s);
	nfct_record_end(s);
	nfct_hand_stop(s);
	close_all(s);
	s->left = s->probing = false;
}
