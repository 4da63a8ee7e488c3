/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_host.c - a thread that looks at the host, and what is said about it. */
#include "nfct.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/netlink.h>

#define PATIENCE 2u             /* seconds, for one answer */
#define END_MS 2000u            /* for a look to end when the input does */
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
	s->host.asker = NULL;
	s->host.found = unknown;
}

void
nfct_host_open(struct nfct *s)
{
	struct nfct_asker *a = calloc(1, sizeof(*a));

	s->host.since_ns = ctf_now();
	s->host.asker = a;
	if (!a)
		return;
	a->route = open_blocking(NETLINK_ROUTE);
	a->netfilter = open_blocking(NETLINK_NETFILTER);
}

static void
free_asker(struct nfct_asker *a)
{
	if (a->route >= 0)
		close(a->route);
	if (a->netfilter >= 0)
		close(a->netfilter);
	free(a);
}

static void *
look(void *arg)
{
	struct nfct_asker *a = arg;

	a->next.gro = nfct_ask_gro(a->route);
	nfct_ask_flowtables(a->netfilter, &a->next);
	a->next.hooked = nfct_ask_hooks(a->netfilter);
	atomic_store(&a->done, true);
	if (atomic_exchange(&a->left, true))
		free_asker(a);
	return NULL;
}

void
nfct_host_look(struct nfct *s)
{
	struct nfct_host *h = &s->host;

	if (h->running || !h->asker)
		return;
	atomic_store(&h->asker->done, false);
	atomic_store(&h->asker->left, false);
	h->asker->next = unknown;
	h->running = pthread_create(&h->thread, NULL, look, h->asker) == 0;
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

	if (h->running && atomic_load(&h->asker->done)) {
		pthread_join(h->thread, NULL);
		h->running = false;
		news = learn(&h->found.gro, h->asker->next.gro);
		news |= learn(&h->found.offload, h->asker->next.offload);
		(void)learn(&h->found.uncounted, h->asker->next.uncounted);
		(void)learn(&h->found.hooked, h->asker->next.hooked);
		say_uncounted(s);
	}
	if (nfct_conf(s)->sysctl != NFCT_IGNORE)
		say_unhooked(s);
	return news;
}

/* A plugin is unloaded at the end, but not under a thread that is in it. */
static void
stay_loaded(void)
{
	Dl_info self;

	if (dladdr(&unknown, &self) && self.dli_fname)
		(void)dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

static bool
ends_soon(struct nfct_asker *a)
{
	const struct timespec ms = { 0, 1000000 };
	uint64_t limit = ctf_mono_ms() + END_MS;

	while (!atomic_load(&a->done) && ctf_mono_ms() < limit)
		nanosleep(&ms, NULL);
	return atomic_load(&a->done);
}

void
nfct_host_close(struct nfct *s)
{
	struct nfct_host *h = &s->host;

	if (!h->running) {
		if (h->asker)
			free_asker(h->asker);
	} else if (ends_soon(h->asker)) {
		pthread_join(h->thread, NULL);
		free_asker(h->asker);
	} else {
		stay_loaded();
		pthread_detach(h->thread);
		if (atomic_exchange(&h->asker->left, true))
			free_asker(h->asker);
	}
	h->running = false;
	nfct_host_init(s);
}
