/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who_live.c - the kernel's table, on the gateway itself.
 *
 * What lives now is in no table of flows that ended.  It is the table that the
 * databases are about if the host has not been booted since, and beyond doubt
 * if the daemon that writes one of them runs in this network namespace.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "engine.h"
#include "who.h"

#define DUMP (1u << 16) /* bytes the kernel may answer with at once */

/* ---- whose table it is ------------------------------------------------------------- */

static bool
is_writer(const char *pid)
{
	char path[64], name[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	close(fd);
	return strncmp(name, "ctflowd", 7) == 0;
}

static bool
has_open(const char *pid, const struct stat *file)
{
	char path[64];
	bool found = false;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d)))
		found = fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
			st.st_dev == file->st_dev && st.st_ino == file->st_ino;
	if (d)
		closedir(d);
	return found;
}

static bool
same_namespace(const char *pid)
{
	struct stat mine, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	return stat("/proc/thread-self/ns/net", &mine) == 0 && stat(path, &its) == 0 &&
	       mine.st_dev == its.st_dev && mine.st_ino == its.st_ino;
}

/* The daemon that has one of the files open: 1 it is in this namespace, -1 in another. */
static int
writer_look(const struct q *q)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int found = 0;

	while (d && !found && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !is_writer(e->d_name))
			continue;
		for (const struct q_db *db = q->dbs; db && !found; db = db->next) {
			struct stat st;

			if (stat(db->path, &st) == 0 && has_open(e->d_name, &st))
				found = same_namespace(e->d_name) ? 1 : -1;
		}
	}
	if (d)
		closedir(d);
	return found;
}

/* Whether a database was last written by this host since it was booted. */
static bool
same_boot(struct q *q)
{
	static const char sql[] =
		"SELECT 1 FROM coverage WHERE boot_id = ?1 AND ifnull(netns, '') = ''";
	char boot[CTF_BOOT_ID];
	int64_t one;

	ctf_boot_id(boot);
	for (struct q_db *db = q->dbs; db && boot[0]; db = db->next)
		if (q_db_has(db, "coverage") && q_db_int(db, sql, boot, &one, NULL) == 0)
			return true;
	return false;
}

/* ---- an entry ------------------------------------------------------------------------ */

struct dump {
	struct q *q;
	const struct who_ask *ask;
	struct who_matches *found;
	int64_t at_ns;
	int r;
};

static void
addr_get(const struct nf_conntrack *ct, enum nf_conntrack_attr ip4, enum nf_conntrack_attr ip6,
	 struct q_addr *ret_addr)
{
	bool four = nfct_attr_is_set(ct, ip4);

	if (!four && !nfct_attr_is_set(ct, ip6))
		return;
	ret_addr->family = four ? AF_INET : AF_INET6;
	memcpy(ret_addr->ip, nfct_get_attr(ct, four ? ip4 : ip6), four ? 4 : 16);
}

static void
port_get(const struct nf_conntrack *ct, enum nf_conntrack_attr a, unsigned bit,
	 struct q_flow *f, uint16_t *ret_port)
{
	if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6 || !nfct_attr_is_set(ct, a))
		return;
	*ret_port = ntohs(nfct_get_attr_u16(ct, a));
	f->has |= bit;
}

static bool
translated(const struct q_addr *a, const struct q_addr *b, uint16_t p, uint16_t r)
{
	return memcmp(a, b, sizeof(*a)) != 0 || p != r;
}

/* The reply tuple says what became of a side. */
static void
sides_get(const struct nf_conntrack *ct, struct q_flow *f)
{
	addr_get(ct, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, &f->src);
	addr_get(ct, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, &f->dst);
	addr_get(ct, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, &f->nat_src);
	addr_get(ct, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, &f->nat_dst);
	port_get(ct, ATTR_ORIG_PORT_SRC, Q_H_SPORT, f, &f->sport);
	port_get(ct, ATTR_ORIG_PORT_DST, Q_H_DPORT, f, &f->dport);
	port_get(ct, ATTR_REPL_PORT_DST, Q_H_NAT_SPORT, f, &f->nat_sport);
	port_get(ct, ATTR_REPL_PORT_SRC, Q_H_NAT_DPORT, f, &f->nat_dport);
	if (!translated(&f->src, &f->nat_src, f->sport, f->nat_sport)) {
		f->nat_src.family = 0;
		f->has &= ~(unsigned)Q_H_NAT_SPORT;
	}
	if (!translated(&f->dst, &f->nat_dst, f->dport, f->nat_dport)) {
		f->nat_dst.family = 0;
		f->has &= ~(unsigned)Q_H_NAT_DPORT;
	}
}

static void
rest_get(const struct nf_conntrack *ct, struct q_flow *f)
{
	if (nfct_attr_is_set(ct, ATTR_ID)) {
		f->id = nfct_get_attr_u32(ct, ATTR_ID);
		f->has |= Q_H_ID;
	}
	if (nfct_attr_is_set(ct, ATTR_ZONE))
		f->zone = nfct_get_attr_u16(ct, ATTR_ZONE);
	if (nfct_attr_is_set(ct, ATTR_MARK))
		f->mark = nfct_get_attr_u32(ct, ATTR_MARK);
	if (nfct_attr_is_set(ct, ATTR_TIMESTAMP_START))
		f->start_ns = (int64_t)nfct_get_attr_u64(ct, ATTR_TIMESTAMP_START);
	if (nfct_attr_is_set(ct, ATTR_TIMESTAMP_STOP) &&
	    nfct_get_attr_u64(ct, ATTR_TIMESTAMP_STOP)) { /* it is dying */
		f->at_ns = (int64_t)nfct_get_attr_u64(ct, ATTR_TIMESTAMP_STOP);
		f->open = false;
		f->stamped = true;
	}
	if (nfct_attr_is_set(ct, ATTR_STATUS)) {
		f->status = nfct_get_attr_u32(ct, ATTR_STATUS);
		f->has |= Q_H_STATUS;
	}
}

/* Most are of others: then it is not worth taking apart. */
static bool
has_address(const struct nlmsghdr *h, const struct q_addr *a)
{
	return memmem(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h), a->ip,
		      a->family == AF_INET ? 4 : 16);
}

static int
entry_take(struct dump *d, const struct nlmsghdr *h)
{
	struct nf_conntrack *ct = nfct_new();
	struct q_flow f = { .open = true,
			    .at_ns = d->at_ns,
			    .seen_ns = d->at_ns,
			    .start_ns = Q_NEVER,
			    .end_ns = Q_NEVER,
			    .nsid = -1 };
	struct who_match *m;
	int r = 0;

	if (!ct)
		return -ENOMEM;
	if (nfct_nlmsg_parse(h, ct) == 0) {
		f.proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
		f.has = Q_H_PROTO;
		sides_get(ct, &f);
		rest_get(ct, &f);
		m = who_consider(d->ask, &f, INT64_MAX, d->found, &r);
		if (m)
			m->live = true;
	}
	nfct_destroy(ct);
	return r;
}

static int
entry(const struct nlmsghdr *h, void *arg)
{
	struct dump *d = arg;

	if (has_address(h, &d->ask->addr))
		d->r = entry_take(d, h);
	return d->r ? MNL_CB_ERROR : MNL_CB_OK;
}

/* ---- the dump --------------------------------------------------------------------------- */

static int
dump_read(struct mnl_socket *nl, unsigned seq, struct dump *d)
{
	char *buf = malloc(DUMP);
	int r = 1;

	if (!buf)
		return -ENOMEM;
	while (r > 0) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, DUMP);

		r = n < 0 ? -1
			  : mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), entry,
				       d);
		if (r > 0 && q_cancelled(d->q))
			r = d->r = -EINTR;
	}
	free(buf);
	if (r < 0)
		return d->r ? d->r : -errno;
	return 0;
}

static int
dump(struct dump *d, unsigned what)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	char buf[128];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;
	int r = 0;

	if (!nl)
		return -errno;
	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | what);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		r = -errno;
	if (r == 0)
		r = dump_read(nl, 1, d);
	mnl_socket_close(nl);
	return r;
}

static bool
looks_possible(struct q *q, struct who_live *live)
{
	int writer;

	if (q_opt(q, "no-live"))
		snprintf(live->why, sizeof(live->why), "not asked for");
	else if (q_has_server(q))
		snprintf(live->why, sizeof(live->why), "a server was asked, not the gateway");
	else if (!same_boot(q))
		snprintf(
			live->why, sizeof(live->why),
			"this is not the host that wrote the database, or it was booted since");
	else if ((writer = writer_look(q)) < 0)
		snprintf(live->why, sizeof(live->why),
			 "the daemon watches another network namespace");
	else
		live->whole = writer > 0;
	return !live->why[0];
}

int
who_live(struct q *q, const struct who_ask *ask, struct who_matches *found,
	 struct who_live *live, struct ctf_err *err)
{
	struct dump d = { q, ask, found, (int64_t)ctf_now(), 0 };
	unsigned before = found->n;
	int r;

	*live = (struct who_live){ .at_ns = d.at_ns };
	if (!looks_possible(q, live))
		return 0;
	r = dump(&d, IPCTNL_MSG_CT_GET);
	if (r == 0) /* what ended, and waits for the daemon to have room */
		r = dump(&d, IPCTNL_MSG_CT_GET_DYING);
	if (r == -ENOMEM)
		return ctf_fail(err, ENOMEM, "out of memory");
	if (r == -EINTR && q_cancelled(q))
		return r;
	live->read = r == 0;
	if (r < 0) { /* the kernel's answer is not whole */
		found->n = before;
		snprintf(live->why, sizeof(live->why), "%s", strerror(-r));
	}
	return 0;
}
