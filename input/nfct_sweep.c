/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_sweep.c - dumps of the connection table.
 *
 * One is under way at a time, on a socket of its own, and 32 KiB of it every
 * two milliseconds: so it takes a quarter of a processor at most, the events
 * have their turn, and what it gives does not pile up before the outputs.
 */
#include "nfct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define PACE_MS 2u

/* Hash resizing moves entries to where the dump has been, or has not. */
static unsigned
table_buckets(void)
{
	char text[16] = "";
	int fd = open("/proc/sys/net/netfilter/nf_conntrack_buckets", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return (unsigned)strtoul(text, NULL, 10);
}

/* ---- the end of one ----------------------------------------------------------- */

static void
say_broken(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;

	ctf_count(w->broken, 1);
	if (!w->said)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"a look at the connection table broke off after %llu flows: %s",
			(unsigned long long)w->entries, strerror(-w->error));
	w->said = true;
}

/* Flows conntrack has forgotten how to report, and what lives besides. */
static void
say_census(struct nfct *s)
{
	const struct nfct_sweep *w = &s->sweep;
	int events = s->sys.events_before;

	ctf_count(w->live_at_start, w->entries);
	if (w->entries)
		ctf_log(nfct_ctx(s), CTF_NOTICE, "%llu flows live at the start",
			(unsigned long long)w->entries);
	if (w->old == 0 || s->hand.inherited || (events != 2 && events != 0))
		return;
	ctf_count(s->unreported, w->old);
	ctf_log(nfct_ctx(s), CTF_NOTICE,
		"%llu of them can never report their end, if nothing listened when they "
		"began (nf_conntrack_events was %d)",
		(unsigned long long)w->old, events);
}

static void
lose_counters(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;

	ctf_count(w->counters_lost, w->lost);
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"the counters of up to %llu flows were set back, but not received",
		(unsigned long long)w->lost);
	nfct_report_gap(s, "counters", s->in.slice.at_ns ? s->in.slice.at_ns : s->cover.from_ns,
			w->lost, CTF_AT_MOST);
}

static void
report(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;

	if (w->lost && w->about.delta)
		lose_counters(s);
	ctf_count(w->sweeps, 1);
	ctf_report_sweep(nfct_ctx(s), &w->about);
	if (!w->about.complete)
		return;
	w->complete_ns = w->about.at_ns;
	if (!w->about.delta)
		return;
	s->in.slice = (struct ct_slice){ w->about.at_ns, w->about.at_ns - w->about.min_age_ns };
	if (w->kept)
		*w->kept = s->in.slice;
}

static void
finish(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;

	if (!w->error && w->lost)
		w->error = -ENOBUFS;
	if (!w->error && w->now != NFCT_REAP && table_buckets() != w->buckets)
		w->error = -EAGAIN;
	w->about.complete = w->error == 0;
	if (w->error)
		say_broken(s);
	else
		w->said = false;
	if (w->now == NFCT_CENSUS)
		say_census(s);
	if (w->now == NFCT_SHOW)
		ctf_log(nfct_ctx(s), CTF_NOTICE, "%llu flows of the table shown",
			(unsigned long long)w->records);
	if (w->kinds & (NFCT_SINGLE | 1u << CTF_PRESENCE))
		report(s);
	free(w->buf);
	free(w->answers);
	w->buf = w->answers = NULL;
	w->now = 0;
}

/* ---- the beginning ------------------------------------------------------------ */

/* Which records this one is to give. */
static unsigned
kinds_of(const struct nfct *s, unsigned why)
{
	unsigned wanted = ctf_interim_wanted(nfct_ctx(s), false), kinds = 0;

	if (why == NFCT_SHOW)
		return 1u << CTF_EVENT;
	if (why == NFCT_REAP || !nfct_conf(s)->active_timeout)
		return 0;
	if (wanted & 1u << CTF_INTERIM_COUNTERS)
		kinds |= nfct_conf(s)->active_counters == NFCT_DELTA ? 1u << CTF_DELTA
								     : 1u << CTF_COUNTERS;
	if (wanted & 1u << CTF_INTERIM_PRESENCE && why == NFCT_ACTIVE)
		kinds |= 1u << CTF_PRESENCE;
	return kinds;
}

static int
send_dump(struct nfct_sweep *w)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} req = { .h = { .nlmsg_len = sizeof(req),
			 .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			 .nlmsg_seq = w->dump_seq = ++w->seq },
		  .g = { .version = NFNETLINK_V0 } };

	/*
	 * Expired entries end while the kernel walks the table, before it
	 * looks at the family; and no entry is of this one.
	 */
	if (w->now == NFCT_REAP)
		req.g.nfgen_family = AF_UNIX;
	return send(w->fd, &req, sizeof(req), 0) < 0 ? -errno : 0;
}

static int
begin(struct nfct *s, unsigned why)
{
	struct nfct_sweep *w = &s->sweep;
	uint64_t age = why == NFCT_ACTIVE ? nfct_conf(s)->active_timeout * 1000000 : 0;

	w->now = why;
	w->kinds = kinds_of(s, why);
	w->ended = false;
	w->error = 0;
	w->at = w->len = w->entries = w->old = w->records = w->lost = 0;
	memset(w->ring, 0, sizeof(w->ring));
	w->buckets = why == NFCT_REAP ? 0 : table_buckets();
	w->about = (struct ctf_sweep){ .at_ns = ctf_now(),
				       .previous_ns = w->complete_ns,
				       .min_age_ns = age,
				       .delta = nfct_conf(s)->active_counters == NFCT_DELTA,
				       .nsid = -1 };
	w->buf = malloc(NFCT_DUMP_SIZE);
	w->answers = w->kinds & NFCT_SINGLE ? malloc(NFCT_ASK_MAX * NFCT_ANSWER_SIZE) : NULL;
	if (!w->buf || (w->kinds & NFCT_SINGLE && !w->answers))
		return -ENOMEM;
	while (recv(w->fd, w->buf, NFCT_DUMP_SIZE, 0) > 0)
		; /* what one that broke off has left */
	return send_dump(w);
}

/* Rings every so often, and at once if need be; 0: never. */
static void
set_timer(int fd, uint64_t msec, bool at_once)
{
	struct timespec t = { (time_t)(msec / 1000), (long)(msec % 1000) * 1000000 };
	struct itimerspec every = { t, at_once ? (struct timespec){ 0, 1 } : t };

	if (fd >= 0)
		(void)timerfd_settime(fd, 0, &every, NULL);
}

static void
begin_next(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;

	while (w->wanted && !w->now) {
		unsigned why = NFCT_CENSUS;
		int r;

		while (!(w->wanted & why))
			why >>= 1;
		w->wanted &= ~(why | NFCT_REAP); /* each of them reaps */
		r = begin(s, why);
		if (r < 0) {
			nfct_sweep_break(w, r);
			finish(s);
		}
	}
	set_timer(w->pace, w->now ? PACE_MS : 0, true);
}

static void
want(struct nfct *s, unsigned why)
{
	if (s->sweep.fd < 0)
		return;
	s->sweep.wanted |= why;
	begin_next(s);
}

/* ---- timers ------------------------------------------------------------------- */

/* Both ask for it: ulogd2's option, and ours. */
static uint64_t
reap_msec(const struct nfct_conf *c)
{
	return c->poll && (!c->reap_interval || c->poll < c->reap_interval) ? c->poll
									    : c->reap_interval;
}

static bool
rang(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

static int
on_active(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;

	if (rang(s->sweep.active))
		want(s, NFCT_ACTIVE);
	return CTF_READ_IDLE;
}

static int
on_reap(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;

	if (rang(s->sweep.reap))
		want(s, NFCT_REAP);
	return CTF_READ_IDLE;
}

static int
on_pace(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;
	struct nfct_sweep *w = &s->sweep;
	int r;

	(void)rang(w->pace);
	if (!w->now)
		return CTF_READ_IDLE;
	if (w->ended) { /* by now its last records are on their way */
		if (w->now != NFCT_REAP)
			set_timer(w->reap, reap_msec(nfct_conf(s)), false);
		finish(s);
		begin_next(s);
		return CTF_READ_IDLE;
	}
	r = nfct_sweep_read(s, b);
	return w->ended ? CTF_READ_MORE : r;
}

static int
start_timer(struct nfct *s, uint64_t msec, int (*ring)(void *, struct ctf_batch *), int *ret_fd)
{
	int r, fd;

	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = ctf_watch(nfct_ctx(s), fd, ring);
	if (r < 0) {
		close(fd);
		return r;
	}
	set_timer(fd, msec, false);
	*ret_fd = fd;
	return 0;
}

/* What a sweep of an earlier run set back counts from there, whatever we do now. */
static void
remember(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;
	bool kept = false;

	w->kept = ctf_state(nfct_ctx(s), "slice", sizeof(*w->kept), &kept);
	if (w->kept && kept && w->kept->at_ns <= ctf_now() &&
	    w->kept->upto_ns <= w->kept->at_ns)
		s->in.slice = *w->kept;
}

/* ---- start and stop ------------------------------------------------------------- */

int
nfct_sweep_setup(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	struct nfct_sweep *w = &s->sweep;

	w->fd = w->ask = w->pace = w->active = w->reap = -1;
	if (c->active_counters == NFCT_DELTA && !c->active_timeout)
		return ctf_fail_opt(nfct_ctx(s), err, "active_counters",
				    "active_counters=delta needs an active_timeout");
	if (c->active_counters == NFCT_DELTA &&
	    ctf_interim_wanted(nfct_ctx(s), true) != 1u << CTF_INTERIM_COUNTERS)
		return ctf_fail_opt(
			nfct_ctx(s), err, "active_counters",
			"active_counters=delta sets counters back to 0, so that the "
			"end of a flow has only the rest: every output must be a "
			"native database or have interim=counters");
	w->sweeps = ctf_metric_new(nfct_ctx(s), "sweeps", CTF_COUNTER, CTF_UNIT_NONE,
				   "complete looks at every flow of the table");
	w->broken = ctf_metric_new(nfct_ctx(s), "sweeps_broken", CTF_COUNTER, CTF_UNIT_NONE,
				   "looks that broke off");
	w->live_at_start = ctf_metric_new(nfct_ctx(s), "live_at_start", CTF_COUNTER,
					  CTF_UNIT_NONE, "flows that lived at the start");
	w->counters_lost =
		ctf_metric_new(nfct_ctx(s), "counters_lost", CTF_COUNTER, CTF_UNIT_NONE,
			       "flows whose counters were zeroed but not received");
	return 0;
}

int
nfct_sweep_open(struct nfct *s, struct ctf_err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	struct nfct_sweep *w = &s->sweep;

	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (w->fd < 0 || bind(w->fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return ctf_fail(err, errno, "no netlink socket: %s", strerror(errno));
	w->bound_ns = ctf_now();
	return nfct_ask_open(s, err);
}

int
nfct_sweep_start(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	struct nfct_sweep *w = &s->sweep;
	int r = start_timer(s, 0, on_pace, &w->pace);

	if (r == 0 && kinds_of(s, NFCT_ACTIVE))
		r = start_timer(s, c->active_timeout, on_active, &w->active);
	if (r == 0 && reap_msec(c))
		r = start_timer(s, reap_msec(c), on_reap, &w->reap);
	if (r < 0)
		return ctf_fail(err, -r, "cannot watch the connection table: %s", strerror(-r));
	w->active_ms = c->active_timeout;
	w->reap_ms = reap_msec(c);
	remember(s);
	if (c->active_counters == NFCT_DELTA) {
		ctf_log(nfct_ctx(s), CTF_NOTICE,
			"active_counters=delta: counters of flows are set back to 0 every "
			"active_timeout; whoever else reads them sees remainders");
	}
	want(s, NFCT_CENSUS);
	return 0;
}

static void
forget(struct nfct *s, int *fd)
{
	if (*fd < 0)
		return;
	(void)ctf_watch(nfct_ctx(s), *fd, NULL);
	close(*fd);
	*fd = -1;
}

void
nfct_sweep_renew(struct nfct *s)
{
	const struct nfct_conf *c = nfct_conf(s);
	struct nfct_sweep *w = &s->sweep;
	bool active = kinds_of(s, NFCT_ACTIVE) != 0;
	int r = 0;

	if (w->active >= 0 ? !active || w->active_ms != c->active_timeout : active) {
		forget(s, &w->active);
		if (active)
			r = start_timer(s, c->active_timeout, on_active, &w->active);
		w->active_ms = c->active_timeout;
	}
	if (r == 0 && w->reap_ms != reap_msec(c)) {
		forget(s, &w->reap);
		w->reap_ms = reap_msec(c);
		if (w->reap_ms)
			r = start_timer(s, w->reap_ms, on_reap, &w->reap);
	}
	if (r < 0)
		ctf_log(nfct_ctx(s), CTF_ERROR, "cannot watch the connection table: %s",
			strerror(-r));
}

void
nfct_sweep_stop(struct nfct *s)
{
	struct nfct_sweep *w = &s->sweep;

	w->wanted = 0;
	if (w->now) {
		nfct_sweep_break(w, -EINTR);
		w->said = true; /* it is no fault */
		finish(s);
	}
	forget(s, &w->fd);
	forget(s, &w->pace);
	forget(s, &w->active);
	forget(s, &w->reap);
	if (w->ask >= 0)
		close(w->ask);
	w->ask = -1;
}

void
nfct_sweep_show(void *self)
{
	struct nfct *s = self;

	if (s->sweep.fd < 0)
		return;
	want(s, NFCT_SHOW);
}
