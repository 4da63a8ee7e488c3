/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_guard_greet.c - the guard of the daemon before, and what it has counted. */
#include "nfct.h"

#include <errno.h>
#include <signal.h>

#define GREET_MS 500u /* for it to leave */

static bool
is_there(const struct nfct_note *n)
{
	return kill((pid_t)atomic_load(&n->pid), 0) == 0 || errno != ESRCH;
}

/* True: it has left because it was asked to, and its count is complete. */
static bool
see_off(struct nfct_note *n, bool same_socket)
{
	if (atomic_load(&n->gone))
		return false;
	nfct_word_set(&n->leave, same_socket ? NFCT_LEAVE_SAME : NFCT_LEAVE);
	for (unsigned i = 0; i < GREET_MS / 10 && !atomic_load(&n->gone) && is_there(n); i++)
		nfct_word_wait(&n->gone, 0, 10);
	return atomic_load(&n->gone);
}

/* What both have heard was counted there and will be delivered here. */
static bool
heard_nothing(const struct nfct *s)
{
	struct nfct_mem mem;

	return nfct_events_mem(s->fd, &mem) == 0 && mem.used == 0 && mem.drops == 0;
}

/* By its socket: what is queued is not lost, and what did not fit is known. */
static uint64_t
take_back(struct nfct *s, const struct nfct_note *n, bool *exact)
{
	struct nfct_mem before = { 0 }, after = { 0 };

	(void)nfct_events_mem(s->fd, &before);
	if (nfct_keeps(s))
		(void)nfct_events_keep(s->fd, true);
	(void)nfct_events_mem(s->fd, &after);
	*exact &= before.drops == after.drops;
	s->hand.drops = after.drops;
	return (uint32_t)(after.drops - atomic_load(&n->base));
}

static void
say_before(const struct nfct *s, uint64_t lost, enum ctf_count_is is)
{
	if (is == CTF_UNCOUNTED)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"the run before this one did not end in order: what ended since then "
			"is "
			"not known, %llu flows at least",
			(unsigned long long)lost);
	else
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"the run before this one did not end in order: %s%llu flows ended "
			"since "
			"then",
			is == CTF_EXACT ? "" : "up to ", (unsigned long long)lost);
}

/* The core notes it more often. */
static uint64_t
read_upto(struct nfct *s, const struct nfct_note *n)
{
	uint64_t noted = atomic_load(&n->empty_ns), last = ctf_earlier(nfct_ctx(s)).last_ns;

	return noted > last ? noted : last;
}

static void
report_before(struct nfct *s, const struct nfct_note *n, bool counted, bool same_socket)
{
	uint32_t let_go = atomic_load(&n->let_go);
	uint64_t lost = atomic_load(&n->lost), from = atomic_load(&n->from_ns);
	bool exact = atomic_load(&n->exact);
	enum ctf_count_is is = CTF_UNCOUNTED;

	/* a guard that had let go may have died before it could note that */
	if (let_go == NFCT_KEPT && same_socket && (!nfct_keeps(s) || nfct_events_kept(s->fd))) {
		s->guard.since_ns = atomic_load(&n->since_ns);
		return;
	}
	if (let_go < NFCT_BY_VALVE) /* it did not come to that */
		from = read_upto(s, n);
	else if (same_socket)
		lost = take_back(s, n, &exact);
	else if (counted)
		exact = exact && heard_nothing(s);
	if (let_go >= NFCT_BY_VALVE && (same_socket || counted))
		is = exact ? CTF_EXACT : CTF_AT_MOST;
	if (is == CTF_UNCOUNTED)
		nfct_outage_add(s, from, CTF_UNKNOWN, is);
	else if (lost)
		nfct_outage_add(s, from, lost, is);
	else
		s->guard.since_ns = atomic_load(&n->since_ns);
	ctf_count(s->lost, lost);
	say_before(s, lost, is);
}

void
nfct_guard_greet(struct nfct *s, bool same_socket)
{
	struct nfct_note *n = s->guard.before;
	bool counted;

	s->guard.before = NULL;
	if (!n)
		return;
	if (atomic_load(&n->stage) != NFCT_ENDED) {
		counted = see_off(n, same_socket);
		report_before(s, n, counted, same_socket);
		s->guard.told = true;
	}
	/* said; a start that fails before this leaves it to the next one */
	atomic_store(&n->pid, 0);
	atomic_store(&s->guard.copy->pid, 0);
}
