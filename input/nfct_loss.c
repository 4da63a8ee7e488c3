/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_loss.c - what did not arrive, counted and said.
 *
 * The socket's drop counter grows with each event that found no room.  With
 * reliable delivery the kernel keeps the ends of flows and tries again, so
 * growth only means that it had to; without, or for other events, it means
 * loss.  An overrun makes the kernel refuse everything until the queue is
 * empty, so its gap ends when we have read all.
 */
#include "nfct.h"
#include "nfct_diag.h"

#define QUIET (10 * NFCT_SEC) /* between two warnings about the same thing */

/* Growth of the drop counter since it was last asked for. */
static uint32_t
new_drops(struct nfct *s)
{
	struct nfct_mem mem;
	uint32_t n;

	if (nfct_events_mem(s->fd, &mem) < 0)
		return 0;
	n = mem.drops - s->drops;
	s->drops = mem.drops;
	return n;
}

static bool
may_say(struct nfct *s, uint64_t now)
{
	if (now - s->said_ns < QUIET)
		return false;
	s->said_ns = now;
	return true;
}

/* Doubles the receive buffer, as far as it may grow. */
static void
grow(struct nfct *s)
{
	uint64_t max = nfct_conf(s)->buffer_maxsize;
	uint64_t want = s->buffer * 2 < max ? s->buffer * 2 : max;
	int64_t got;

	if (want <= s->buffer) {
		if (!s->said_full)
			ctf_log(nfct_ctx(s), CTF_WARNING,
				"events do not fit into the receive buffer (%llu bytes), "
				"which may not grow: raise netlink_socket_buffer_maxsize",
				(unsigned long long)s->buffer);
		s->said_full = true;
		return;
	}
	got = nfct_events_buffer(s->fd, want);
	if (got < 0)
		return;
	s->buffer = want;
	ctf_log(nfct_ctx(s), CTF_NOTICE,
		"receive buffer grown to %llu bytes (%lld in the kernel's account)",
		(unsigned long long)want, (long long)got);
}

void
nfct_overrun(struct nfct *s, uint64_t now)
{
	if (s->gap_from)
		nfct_overrun_end(s); /* two in a row: the first one is complete */
	s->gap_from = s->read_ns < now ? s->read_ns : now; /* the clock may be set back */
	grow(s);
}

/*
 * Each drop is one flow if only ends are heard; but another listener with
 * reliable delivery makes the kernel repeat them to everybody, and those of other
 * namespaces are not to be seen.
 */
enum ctf_count_is
nfct_drops_mean(const struct nfct *s)
{
	if (s->mask != CTF_DESTROY || nfct_everywhere(s) || s->repeat.on ||
	    nfct_diag_reliable(s->diag, s->fd) != 0)
		return CTF_AT_MOST;
	return CTF_EXACT;
}

void
nfct_report_gap(struct nfct *s, const char *cause, uint64_t from, uint64_t count,
		enum ctf_count_is is)
{
	struct ctf_gap gap = { .from_ns = from,
			       .to_ns = ctf_now(),
			       .count = count,
			       .count_is = is,
			       .cause = cause,
			       .instance = ctf_name(nfct_ctx(s)),
			       .nsid = -1 };

	ctf_report_gap(nfct_ctx(s), &gap);
}

void
nfct_overrun_end(struct nfct *s)
{
	uint32_t n;

	if (!s->gap_from)
		return;
	n = new_drops(s);
	ctf_count(s->lost, n);
	if (n) /* without a drop the kernel had no memory for the message */
		nfct_report_gap(s, "overrun", s->gap_from, n, nfct_drops_mean(s));
	else
		nfct_report_gap(s, "overrun", s->gap_from, CTF_UNKNOWN, CTF_UNCOUNTED);
	if (may_say(s, ctf_now()))
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"%u events lost: the receive buffer was full (reliable=1 would keep "
			"them)",
			n);
	s->gap_from = 0;
}

void
nfct_count_retries(struct nfct *s, uint64_t now)
{
	uint32_t n;

	if (!nfct_conf(s)->reliable || s->valve.open) /* then they are losses */
		return;
	n = new_drops(s);
	if (n == 0) {
		s->calm_ns = now;
		return;
	}
	if (nfct_keeps(s)) {
		ctf_count(s->retries, n);
	} else { /* a flow's next packet may bring its NEW, if there is one */
		ctf_count(s->lost, n);
		nfct_report_gap(s, "overrun", s->calm_ns, n, CTF_AT_MOST);
		s->calm_ns = now;
		if (may_say(s, now))
			ctf_log(nfct_ctx(s), CTF_WARNING,
				"up to %u events lost: the receive buffer was full", n);
	}
	if (nfct_conf(s)->buffer_maxsize)
		grow(s);
}

/* After a clean stop nobody was meant to listen: coverage tells, not a gap. */
void
nfct_downtime(struct nfct *s)
{
	struct ctf_earlier e = ctf_earlier(nfct_ctx(s));

	/* with its socket came what was queued; or its guard has counted */
	if (s->hand.inherited || s->guard.told || e.last_ns == 0)
		return;
	if (e.ended != CTF_ENDED_DIED && e.ended != CTF_ENDED_HANDED)
		return;
	nfct_outage_add(s, e.last_ns, CTF_UNKNOWN, CTF_UNCOUNTED);
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"the run before this one did not end in order%s: what ended since then is not "
		"known",
		e.same_boot ? "" : " (nor did the machine)");
}

void
nfct_lose_dying(struct nfct *s)
{
	uint64_t begin = ctf_now();
	bool done = false;

	/* an older dump may still be under way: the first round ends it */
	for (int round = 0; round < 2; round++) {
		if (round == 1 && nfct_req_dying(&s->req) < 0)
			return;
		do
			done = nfct_req_step(&s->req, 64);
		while (!done && ctf_now() - begin < NFCT_SEC);
	}
	if (s->req.error || s->req.entries == 0)
		return;
	ctf_count(s->lost, s->req.entries);
	if (done)
		nfct_report_gap(s, "stop", s->calm_ns, s->req.entries, CTF_AT_MOST);
	else
		nfct_report_gap(s, "stop", s->calm_ns, CTF_UNKNOWN, CTF_UNCOUNTED);
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"stopped with %s %llu ended flows not yet delivered by the kernel",
		done ? "up to" : "more than", (unsigned long long)s->req.entries);
}
