/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_hand.c - from one process to the next without a loss; see nfct_hand.h. */
#include "nfct.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netlink.h>

#define NFCT_LEGACY 1u
#define STORED "events"
#define REPEATS "repeats"
#define NAMESPACES "namespaces"

/* ---- the process before ------------------------------------------------------- */

static void
read_legacy(struct nfct *s)
{
	struct nfct_hand *h = &s->hand;
	const void *p;
	size_t n;

	if (ctf_inherit_bytes(nfct_ctx(s), STORED, &p, &n) < 0 || n != sizeof(h->left))
		return;
	memcpy(&h->left, p, n);
	h->told = h->left.version == NFCT_LEGACY;
}

/* It heard what we are not to hear, or is none of ours: what is queued is lost. */
static void
refuse(struct nfct *s, int fd, const char *why)
{
	uint64_t from = s->hand.told ? s->hand.left.read_ns : ctf_earlier(nfct_ctx(s)).last_ns;
	uint64_t now = ctf_now();
	unsigned n = 0;
	char c;

	while (n < 1u << 20 && recv(fd, &c, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
		n++;
	close(fd);
	ctf_keep_fd(nfct_ctx(s), STORED, -1);
	ctf_log(nfct_ctx(s), CTF_ERROR,
		"the socket of the process before is not used: %s; %u messages in it are lost",
		why, n);
	nfct_report_gap(s, "restart", from ? from : now, CTF_UNKNOWN, CTF_UNCOUNTED);
	s->hand.told = false;
}

int
nfct_hand_take(struct nfct *s)
{
	struct nfct_mem mem;
	bool all = false;
	int fd, r;

	s->hand = (struct nfct_hand){ 0 };
	if (ctf_inherit_fd(nfct_ctx(s), STORED, &fd) < 0)
		return -ENOENT;
	read_legacy(s);
	r = nfct_events_check(fd, s->req.fd, NETLINK_NETFILTER, &all);
	if (r == 0)
		r = nfct_events_mem(fd, &mem);
	if (r < 0) {
		refuse(s, fd,
		       r == -EXDEV ? "it is of another network namespace"
				   : "it is no socket for netfilter's events");
		return -ENOENT;
	}
	if (all && !s->ns.all) {
		refuse(s, fd, "it hears all network namespaces");
		return -ENOENT;
	}
	s->fd = fd;
	s->hand.inherited = s->hand.judge = s->hand.kept = true;
	s->hand.drops = mem.drops;
	return 0;
}

int
nfct_hand_take_ns(struct nfct *s, int *ret_fd)
{
	bool all;
	int fd;

	s->hand.ns_kept = false;
	if (ctf_inherit_fd(nfct_ctx(s), NAMESPACES, &fd) < 0)
		return -ENOENT;
	if (s->hand.inherited && nfct_events_check(fd, s->req.fd, NETLINK_ROUTE, &all) == 0) {
		s->hand.ns_kept = true;
		*ret_fd = fd;
		return 0;
	}
	close(fd);
	ctf_keep_fd(nfct_ctx(s), NAMESPACES, -1);
	return -ENOENT;
}

void
nfct_hand_keep_ns(struct nfct *s, int fd)
{
	s->hand.ns_kept = ctf_keep_fd(nfct_ctx(s), NAMESPACES, fd) == 0;
}

uint64_t
nfct_hand_since(const struct nfct *s, uint64_t now)
{
	uint64_t since = s->hand.told ? s->hand.left.read_ns : ctf_earlier(nfct_ctx(s)).last_ns;

	return s->hand.judge && since && since < now ? since : now;
}

/*
 * The process before asked the kernel to keep nothing, and we have just asked
 * it to: what was dropped by now is lost, and counted as such, so the socket need
 * not say it once more.  An error without a drop is another loss.
 */
static void
count_unkept(struct nfct *s)
{
	struct nfct_mem mem;
	int error;
	socklen_t len = sizeof(error);

	if (nfct_events_mem(s->fd, &mem) < 0)
		return;
	s->hand.drops = mem.drops;
	if (mem.drops != s->hand.left.drops)
		(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

int
nfct_hand_renew(struct nfct *s, struct ctf_err *err)
{
	bool reliable = nfct_conf(s)->reliable;
	int r = nfct_events_set(s->fd, reliable, s->select.prog, s->select.len, s->mask, err);

	if (r == 0 && reliable && s->hand.told && s->hand.left.unkept)
		count_unkept(s);
	return r;
}

/* What it told: until when it read, and what the drop counter was. */
static void
account(struct nfct *s)
{
	const struct nfct_legacy *l = &s->hand.left;
	uint32_t n = s->hand.drops - l->drops;

	s->read_ns = l->read_ns;
	s->calm_ns = l->calm_ns;
	s->event_ns = l->event_ns;
	s->cover.from_ns = l->read_ns; /* nothing was missed: coverage goes on */
	if (!nfct_conf(s)->reliable)
		return; /* the socket will say so itself */
	if (nfct_keeps(s) && !l->unkept) {
		ctf_count(s->retries, n);
	} else if (n) {
		ctf_count(s->lost, n);
		nfct_outage_add(s, l->calm_ns, n,
				l->mask == s->mask ? nfct_drops_mean(s) : CTF_AT_MOST);
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"%u events lost between the process before and this one", n);
	}
	s->drops = s->hand.drops;
}

static void
take_repeats(struct nfct *s)
{
	const void *p;
	size_t n;
	int r;

	if (ctf_inherit_bytes(nfct_ctx(s), REPEATS, &p, &n) < 0)
		return;
	r = nfct_repeat_load(s, p, n);
	if (r < 0)
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"the flows the process before has had are not known (%s): what the "
			"kernel repeats of them is recorded twice",
			strerror(-r));
}

void
nfct_hand_start(struct nfct *s)
{
	struct nfct_hand *h = &s->hand;

	if (h->inherited) {
		s->drops = h->told ? h->left.drops : h->drops;
		s->valve.seen = h->drops;
		if (h->told)
			account(s);
		take_repeats(s);
		ctf_log(nfct_ctx(s), CTF_NOTICE,
			"goes on with the socket of the process before");
	} else {
		h->kept = ctf_keep_fd(nfct_ctx(s), STORED, s->fd) == 0;
	}
	if (h->kept)
		nfct_guard_stored(&s->guard);
}

bool
nfct_hand_wants(const struct nfct *s, const struct ctf_rec *rec)
{
	return rec->event & s->mask && nfct_selected(s, rec);
}

/* ---- the process after ---------------------------------------------------------- */

/* True: what does not fit into the socket from now on is lost. */
static bool
keep_nothing(struct nfct *s)
{
	bool let_go;

	if (!nfct_keeps(s))
		return true;
	if (nfct_guard_handed_over(s)) /* it sees to it that the table does not fill up */
		return false;
	let_go = s->valve.open;
	nfct_valve_end(s);
	nfct_count_retries(s, ctf_now());
	return nfct_events_keep(s->fd, false) == 0 || let_go;
}

/* The ends of flows the kernel may repeat to the next process. */
static int
leave_repeats(const struct nfct *s, struct ctf_legacy *to)
{
	size_t n = nfct_repeat_save(s, NULL, 0);
	void *p = n ? malloc(n) : NULL;
	int r = 0;

	if (n && !p)
		return -ENOMEM;
	if (n)
		r = ctf_leave_bytes(to, REPEATS, p, nfct_repeat_save(s, p, n));
	free(p);
	return r;
}

int
nfct_hand_over(void *self, struct ctf_legacy *to)
{
	struct nfct *s = self;
	struct nfct_legacy l = { .version = NFCT_LEGACY, .mask = s->mask };
	int r;

	if (!s->hand.kept)
		return -ENOTCONN;
	nfct_sweep_stop(s);
	nfct_outage_tell(s);
	nfct_overrun_end(s);
	l.unkept = keep_nothing(s);
	l.drops = s->drops;
	l.read_ns = s->read_ns;
	l.calm_ns = nfct_conf(s)->reliable ? s->calm_ns : s->read_ns;
	l.event_ns = s->event_ns;
	r = ctf_leave_bytes(to, STORED, &l, sizeof(l));
	if (r == 0)
		r = leave_repeats(s, to);
	if (r == 0)
		r = nfct_ns_leave(s, to);
	s->hand.handed = r == 0;
	return r;
}

void
nfct_hand_stop(struct nfct *s)
{
	if (s->hand.kept && !s->hand.handed)
		ctf_keep_fd(nfct_ctx(s), STORED, -1);
	if (s->hand.ns_kept && !s->hand.handed)
		ctf_keep_fd(nfct_ctx(s), NAMESPACES, -1);
	/* our stretch of coverage has ended: the next one begins here */
	if (s->hand.handed)
		nfct_guard_since(&s->guard, ctf_now());
	s->hand = (struct nfct_hand){ 0 };
}
