/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_ns.c - namespaces=all: events with ids, namespaces that come and go. */
#include "nfct.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define PER_CALL 64 /* messages of rtnetlink before the events get their turn */

int
nfct_ns_choose(struct nfct *s, struct ctf_err *err)
{
	const struct nfct_conf *c = nfct_conf(s);
	const char *which = c->namespaces;
	bool word = strcmp(which, "own") == 0 || strcmp(which, "all") == 0;

	s->ns.all = strcmp(which, "all") == 0;
	s->ns.path = word ? c->netns : which;
	s->ns.heard = s->ns.ask = -1;
	if (!word && !strchr(which, '/'))
		return ctf_fail_opt(nfct_ctx(s), err, "namespaces",
				    "namespaces is own, all or a path, not '%s'; did you mean "
				    "/run/netns/%s?",
				    which, which);
	if (!word && c->netns[0] && strcmp(which, c->netns) != 0)
		return ctf_fail_opt(nfct_ctx(s), err, "namespaces",
				    "namespaces is %s but network_namespace_path is %s", which,
				    c->netns);
	return 0;
}

/* ---- one namespace ---------------------------------------------------------- */

static const char *
shown(const struct nfct_ns_known *k, char *text, size_t size)
{
	if (k->name)
		snprintf(text, size, "network namespace %s (id %d)", k->name, k->nsid);
	else
		snprintf(text, size, "network namespace with id %d", k->nsid);
	return text;
}

/* Its flows ended unheard: the kernel sends no events of them. */
void
nfct_ns_say_gone(struct nfct *s, const struct nfct_ns_known *k)
{
	struct ctf_gap gap = { .from_ns = k->heard_ns,
			       .to_ns = ctf_now(),
			       .count = CTF_UNKNOWN,
			       .count_is = CTF_UNCOUNTED,
			       .cause = "namespace",
			       .instance = ctf_name(nfct_ctx(s)),
			       .nsid = k->nsid };
	char text[300];

	ctf_report_gap(nfct_ctx(s), &gap);
	ctf_log(nfct_ctx(s), CTF_NOTICE,
		"%s is gone: the flows that lived there ended without a record",
		shown(k, text, sizeof(text)));
}

static void
forget(struct nfct_ns *ns, struct nfct_ns_known *k)
{
	free(k->name);
	ns->n--;
	memmove(k, k + 1, (size_t)(ns->known + ns->n - k) * sizeof(*k));
}

void
nfct_ns_settle(struct nfct *s)
{
	struct nfct_ns *ns = &s->ns;

	if (!ns->some_gone)
		return;
	ns->some_gone = false;
	for (unsigned i = ns->n; i-- > 0;) {
		if (!ns->known[i].gone)
			continue;
		if (!ns->known[i].own)
			nfct_ns_say_gone(s, &ns->known[i]);
		forget(ns, &ns->known[i]);
	}
	nfct_ns_note(ns);
}

static void
mark_gone(struct nfct_ns *ns, struct nfct_ns_known *k)
{
	k->gone = true;
	ns->some_gone = true;
}

/* Where it cannot be looked at, the first flow without counters tells. */
static void
look_at_settings(struct nfct *s)
{
	for (unsigned i = 0; i < s->ns.n; i++) {
		struct nfct_ns_known *k = &s->ns.known[i];
		char path[400];

		if (k->looked || k->own || !k->name)
			continue;
		snprintf(path, sizeof(path), "%s/%s", k->folder, k->name);
		k->looked = true;
		k->said = nfct_sysctl_say_other(nfct_ctx(s), path) == 0;
	}
}

static void
read_names(struct nfct *s)
{
	char unheard[512] = "";

	s->ns.stale = false;
	nfct_ns_read_names(&s->ns, unheard, sizeof(unheard));
	if (unheard[0] && !s->ns.said_unheard)
		ctf_log(nfct_ctx(s), CTF_NOTICE,
			"not heard, since they have no id here: network namespaces %s; to "
			"change it: ip netns set NAME auto",
			unheard);
	s->ns.said_unheard = true;
	if (nfct_conf(s)->sysctl != NFCT_IGNORE)
		look_at_settings(s);
}

/* ---- they come and go --------------------------------------------------------- */

static void
come(struct nfct *s, int nsid)
{
	struct nfct_ns_known *k = nfct_ns_find(&s->ns, nsid);

	if (k && k->gone)
		nfct_ns_settle(s);
	(void)nfct_ns_get(&s->ns, nsid, ctf_now());
	s->ns.stale = true;
}

static void
go(struct nfct *s, int nsid)
{
	/* an id that is not known is one the process before knew */
	struct nfct_ns_known *k = nfct_ns_get(&s->ns, nsid, nfct_hand_since(s, ctf_now()));

	if (k)
		mark_gone(&s->ns, k);
}

struct change {
	struct nfct *s;
	int type;
};

static int
see_attr(const struct nlattr *attr, void *data)
{
	const struct change *c = data;

	if (mnl_attr_get_type(attr) != NETNSA_NSID ||
	    mnl_attr_get_payload_len(attr) != sizeof(int32_t) ||
	    (int)mnl_attr_get_u32(attr) < 0)
		return MNL_CB_OK;
	if (c->type == RTM_NEWNSID)
		come(c->s, (int)mnl_attr_get_u32(attr));
	else
		go(c->s, (int)mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

static int
see_change(const struct nlmsghdr *nlh, void *data)
{
	struct change c = { data, nlh->nlmsg_type };

	if ((c.type != RTM_NEWNSID && c.type != RTM_DELNSID) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtgenmsg))
		return MNL_CB_OK;
	return mnl_attr_parse(nlh, sizeof(struct rtgenmsg), see_attr, &c);
}

static void
still_there(void *arg, int nsid)
{
	struct nfct *s = arg;
	struct nfct_ns_known *k = nsid < 0 ? NULL : nfct_ns_get(&s->ns, nsid, ctf_now());

	if (k)
		k->gone = false;
}

/* Also after messages of rtnetlink were lost: whoever is not listed is gone. */
static int
list_all(struct nfct *s)
{
	struct nfct_ns *ns = &s->ns;
	int r;

	for (unsigned i = 0; i < ns->n; i++)
		ns->known[i].gone = true;
	r = nfct_ns_list(ns, still_there, s);
	for (unsigned i = 0; i < ns->n; i++) {
		ns->known[i].gone &= r == 0;
		ns->some_gone |= ns->known[i].gone;
	}
	if (r < 0)
		ctf_log(nfct_ctx(s), CTF_WARNING, "cannot list the network namespaces: %s",
			strerror(-r));
	ns->stale = true;
	return r;
}

/* Up to `most` messages; 1: maybe more. */
static int
read_changes(struct nfct *s, unsigned most)
{
	char buf[8192] __attribute__((aligned(8)));

	while (most-- > 0) {
		ssize_t len = recv(s->ns.heard, buf, sizeof(buf), MSG_DONTWAIT);

		if (len < 0 && errno == ENOBUFS)
			(void)list_all(s);
		else if (len < 0)
			return 0;
		else
			(void)mnl_cb_run(buf, (size_t)len, 0, 0, see_change, s);
	}
	return 1;
}

/* What a deleted one has sent is either read by now or not yet. */
static void
settle_if_read(struct nfct *s)
{
	struct nfct_mem mem;

	if (s->ns.some_gone && nfct_events_mem(s->fd, &mem) == 0 && mem.used == 0)
		nfct_ns_settle(s);
}

static int
watch_changes(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;
	int more = read_changes(s, PER_CALL);

	if (s->ns.stale) {
		read_names(s);
		nfct_ns_note(&s->ns);
	}
	settle_if_read(s);
	return more ? CTF_READ_MORE : CTF_READ_IDLE;
}

/* ---- events ------------------------------------------------------------------------ */

int
nfct_ns_hear(struct nfct *s, int nsid, uint64_t now)
{
	struct nfct_ns_known *k = nsid < 0 ? NULL : nfct_ns_find(&s->ns, nsid);

	if (nsid < 0)
		return -1;
	if (!k) { /* it came a moment ago: what it is called is known by now */
		(void)read_changes(s, PER_CALL);
		if (!nfct_ns_get(&s->ns, nsid, now))
			return nsid; /* no memory: without its name, then */
		read_names(s);
		k = nfct_ns_find(&s->ns, nsid);
	}
	k->heard_ns = now;
	return k->own ? -1 : nsid;
}

/* Nobody could look at its settings, but here is what they come to. */
static void
say_lacking(struct nfct *s, struct nfct_ns_known *k, const struct ctf_rec *rec)
{
	char text[300];

	if (rec->event != CTF_DESTROY || s->counters_at == CTF_NONE ||
	    ctf_has(rec, s->counters_at))
		return;
	k->said = true;
	ctf_log(nfct_ctx(s), CTF_WARNING,
		"flows without packet and byte counters from the %s: nf_conntrack_acct has to "
		"be 1 there, too: sysctl -w net.netfilter.nf_conntrack_acct=1",
		shown(k, text, sizeof(text)));
}

void
nfct_ns_name_record(struct nfct *s, struct ctf_rec *rec)
{
	struct nfct_ns *ns = &s->ns;
	struct nfct_ns_known *k = ns->last < ns->n ? &ns->known[ns->last] : NULL;

	if (!k)
		return;
	if (k->name)
		ctf_put_bytes(rec, s->in.f.netns, k->name, (uint32_t)strlen(k->name));
	if (!k->said && nfct_conf(s)->sysctl != NFCT_IGNORE)
		say_lacking(s, k, rec);
}

/* ---- start and end ------------------------------------------------------------------- */

/* The group is joined before the first question, so that nothing falls between. */
static int
open_rtnetlink(struct nfct *s)
{
	struct nfct_ns *ns = &s->ns;
	int group = RTNLGRP_NSID;

	ns->ask = nfct_ns_ask_open();
	if (ns->ask < 0)
		return ns->ask;
	if (nfct_hand_take_ns(s, &ns->heard) < 0)
		ns->heard = nfct_ns_ask_open();
	if (ns->heard < 0)
		return ns->heard;
	if (setsockopt(ns->heard, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
	    0)
		return -errno;
	if (!s->hand.ns_kept)
		nfct_hand_keep_ns(s, ns->heard);
	return 0;
}

/*
 * Without the capability the own namespace is better than nothing, as long as
 * it is said.
 */
int
nfct_ns_listen(struct nfct *s, struct ctf_err *err)
{
	char command[320];
	struct nfct_ns *ns = &s->ns;
	int on = 1, r;

	ns->muted = false;
	if (!ns->all)
		return 0;
	ctf_keep_capability(nfct_ctx(s), CAP_NET_BROADCAST);
	if (setsockopt(s->fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0) {
		ns->muted = true;
		ctf_log(nfct_ctx(s), CTF_WARNING,
			"namespaces=all: flows of other network namespaces are not recorded "
			"(%s: needs CAP_NET_BROADCAST); to change it: %s",
			strerror(errno),
			nfct_setcap(command, sizeof(command),
				    "cap_net_admin,cap_net_broadcast"));
		return 0;
	}
	r = open_rtnetlink(s);
	if (r < 0)
		return ctf_fail(err, -r, "no rtnetlink for namespaces=all: %s", strerror(-r));
	nfct_ns_find_own(ns);
	return 0;
}

static void
say_heard(struct nfct *s)
{
	char list[700] = "", text[300];
	size_t len = 0;

	for (unsigned i = 0; i < s->ns.n && len < sizeof(list) - 1; i++)
		if (!s->ns.known[i].own) {
			int n = snprintf(list + len, sizeof(list) - len, "%s%s",
					 len ? ", " : "",
					 shown(&s->ns.known[i], text, sizeof(text)));
			len += n > 0 ? (size_t)n : 0;
		}
	ctf_log(nfct_ctx(s), CTF_INFO, "besides the own network namespace it hears %s",
		list[0] ? list : "none yet");
}

int
nfct_ns_start(struct nfct *s)
{
	bool listed;

	if (!s->ns.all || s->ns.muted)
		return 0;
	s->ns.said_unheard = false;
	listed = list_all(s) == 0;
	read_names(s);
	say_heard(s);
	nfct_ns_recall(s, listed);
	return ctf_watch(nfct_ctx(s), s->ns.heard, watch_changes);
}

void
nfct_ns_stop(struct nfct *s)
{
	struct nfct_ns *ns = &s->ns;

	if (ns->heard >= 0) {
		if (!s->hand.handed) { /* else the next process finds out */
			(void)read_changes(s, UINT32_MAX);
			nfct_ns_settle(s);
			nfct_ns_note(ns);
		}
		(void)ctf_watch(nfct_ctx(s), ns->heard, NULL);
		close(ns->heard);
	}
	if (ns->ask >= 0)
		close(ns->ask);
	ns->heard = ns->ask = -1;
	while (ns->n)
		free(ns->known[--ns->n].name);
	free(ns->known);
	ns->known = NULL;
	ns->left = NULL;
	ns->room = ns->last = 0;
	ns->some_gone = false;
}

void
nfct_ns_tick(struct nfct *s)
{
	if (s->ns.heard < 0)
		return;
	if (s->ns.stale || nfct_ns_names_changed(&s->ns))
		read_names(s);
	settle_if_read(s);
	nfct_ns_note(&s->ns);
}
