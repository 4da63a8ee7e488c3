/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_host.c - a thread that looks at the host, and what is said about it. */
#include "nfct.h"

#include <errno.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/netlink.h>

#define PATIENCE 2u             /* seconds, for one answer */
#define SILENCE (10 * NFCT_SEC) /* without a single flow: a hint */

static const struct nfct_found unknown = { -1, -1, -1, -1 };

static int
open_blocking(int protocol)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

void
nfct_host_init(struct nfct *s)
{
	s->host.route = s->host.netfilter = -1;
	s->host.found = unknown;
}

void
nfct_host_open(struct nfct *s)
{
	s->host.route = open_blocking(NETLINK_ROUTE);
	s->host.netfilter = open_blocking(NETLINK_NETFILTER);
	s->host.since_ns = ctf_now();
}

static void *
look(void *arg)
{
	struct nfct_host *h = arg;

	h->next.gro = nfct_ask_gro(h->route);
	nfct_ask_flowtables(h->netfilter, &h->next);
	h->next.hooked = nfct_ask_hooks(h->netfilter);
	atomic_store(&h->done, true);
	return NULL;
}

void
nfct_host_look(struct nfct *s)
{
	struct nfct_host *h = &s->host;

	if (h->running)
		return;
	atomic_store(&h->done, false);
	h->next = unknown;
	h->running = pthread_create(&h->thread, NULL, look, h) == 0;
}

/* ---- what is said ----------------------------------------------------------------- */

static void
say_uncounted(struct nfct *s)
{
	if (s->host.found.uncounted != 1 || s->host.said_uncounted)
		return;
	s->host.said_uncounted = true;
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"flow offload without counters: flows have no packets and bytes from when they "
		"are offloaded; to change it: add the word \"counter;\" to the flowtable of "
		"the "
		"nftables rules");
}

/*
 * No hook says it for sure, where the kernel tells; else an empty table and
 * no event for a while are a hint.  Conntrack can also be called by others
 * than its hooks, so the table has the last word.
 */
static void
say_unhooked(struct nfct *s)
{
	struct nfct_host *h = &s->host;
	struct nfct_fill fill;
	bool quiet = ctf_now() - h->since_ns >= SILENCE;

	if (h->said_hooks || s->event_ns || h->found.hooked == 1 ||
	    (h->found.hooked < 0 && !quiet) || s->req.busy || nfct_req_fill(&s->req, &fill) < 0)
		return;
	h->said_hooks = true;
	if (fill.count)
		return;
	ctf_log(nfct_ctx(s), h->found.hooked == 0 ? CTF_WARNING : CTF_NOTICE,
		"%s: it looks at packets only where a rule asks for it, and without one there "
		"are no flows; to change it: %s%s%snft 'table inet ctflowd { chain forward { "
		"type filter hook forward priority 0; ct state new accept; }; }'",
		h->found.hooked == 0 ? "conntrack sees no packets"
				     : "no flow so far, perhaps conntrack sees no packets",
		s->ns.path[0] ? "nsenter --net=" : "", s->ns.path, s->ns.path[0] ? " " : "");
}

/* ---- the tick --------------------------------------------------------------------- */

/* A question that failed leaves what was known. */
static bool
learn(int8_t *known, int8_t next)
{
	if (next < 0 || next == *known)
		return false;
	*known = next;
	return true;
}

bool
nfct_host_tick(struct nfct *s)
{
	struct nfct_host *h = &s->host;
	bool news = false;

	if (h->running && atomic_load(&h->done)) {
		pthread_join(h->thread, NULL);
		h->running = false;
		news = learn(&h->found.gro, h->next.gro);
		news |= learn(&h->found.offload, h->next.offload);
		(void)learn(&h->found.uncounted, h->next.uncounted);
		(void)learn(&h->found.hooked, h->next.hooked);
		say_uncounted(s);
	}
	if (nfct_conf(s)->sysctl != NFCT_IGNORE)
		say_unhooked(s);
	return news;
}

void
nfct_host_close(struct nfct *s)
{
	struct nfct_host *h = &s->host;

	if (h->running)
		pthread_join(h->thread, NULL);
	h->running = false;
	if (h->route >= 0)
		close(h->route);
	if (h->netfilter >= 0)
		close(h->netfilter);
	nfct_host_init(s);
}
