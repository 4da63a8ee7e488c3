/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: who has an address, by hosts files, DHCP leases and lists: the name at
 * the time of the flow's last packet.
 */
#include <ctflow/plugin.h>
#include <errno.h>
#include <sys/stat.h>

#include "names.h"

enum { SRC, DST, ENDS };

struct names {
	struct ctf_obj obj;
	ctf_ref ip[ENDS], name[ENDS], since[ENDS], last;
	struct names_watch *watch;
};

#define CONF(member) offsetof(struct names_conf, member)
#define LIST(kind) CONF(list) + (kind) * sizeof(const char *)
#define OFF(member) offsetof(struct names, member)

static const struct ctf_opt opts[] = {
	{ "file", CTF_OTEXT, LIST(NAMES_FILE), 0, 0, "", NULL,
	  "lists of a line each: ADDRESS NAME or PREFIX/LENGTH NAME; several paths: commas "
	  "between them; of a folder all files" },
	{ "hosts", CTF_OTEXT, LIST(NAMES_HOSTS), 0, 0, "/etc/hosts", NULL,
	  "files as /etc/hosts is one; the first name of a line counts" },
	{ "dnsmasq", CTF_OTEXT, LIST(NAMES_DNSMASQ), 0, 0, "", NULL,
	  "leases of dnsmasq, e.g. /var/lib/misc/dnsmasq.leases" },
	{ "odhcpd", CTF_OTEXT, LIST(NAMES_ODHCPD), 0, 0, "", NULL,
	  "leases of odhcpd, e.g. /tmp/hosts/odhcpd" },
	{ "kea", CTF_OTEXT, LIST(NAMES_KEA), 0, 0, "", NULL,
	  "lease files of Kea, e.g. /var/lib/kea/kea-leases4.csv" },
	{ "reread", CTF_OMSEC, CONF(reread), 50, 3600 * 1000, "1", NULL,
	  "how often files are looked at; what has changed is read" },
	{ "remember", CTF_OMSEC, CONF(remember), 0, UINT64_C(366) * 86400 * 1000, "5d", NULL,
	  "how long names that are gone are known, for flows that ended before" },
	{ "max_names", CTF_OUINT, CONF(most), 1, 5000000, "200000", NULL,
	  "names more than that are not known, which is said" },
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_OPTIONAL, OFF(ip[SRC]) },
	{ "orig.ip.daddr", CTF_OPTIONAL, OFF(ip[DST]) },
	{ "flow.last.ns", CTF_OPTIONAL, OFF(last) },
	{ NULL },
};

static const struct ctf_port writes[] = {
	{ "orig.ip.saddr.name", 0, OFF(name[SRC]) },
	{ "orig.ip.daddr.name", 0, OFF(name[DST]) },
	{ "orig.ip.saddr.name.ns", 0, OFF(since[SRC]) },
	{ "orig.ip.daddr.name.ns", 0, OFF(since[DST]) },
	{ NULL },
};

/* What is there already must be a file, or a folder where that has a meaning. */
static int
check_list(const struct ctf_ctx *ctx, enum names_kind kind, const char *list,
	   struct ctf_err *err)
{
	const char *opt = opts[kind].name;
	struct names_word w;

	while ((w = names_path(&list)).len) {
		char path[4096];
		struct stat st;

		if (w.len >= sizeof(path) - 16)
			return ctf_fail_opt(ctx, err, opt, "%s: a path is too long", opt);
		memcpy(path, w.p, w.len);
		path[w.len] = '\0';
		if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
		    !(names_may_be_folder(kind) && S_ISDIR(st.st_mode)))
			return ctf_fail_opt(ctx, err, opt, "%s: %s is not a regular file", opt,
					    path);
	}
	return 0;
}

static int
probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const struct names_conf *c = conf;
	bool any = false;

	for (unsigned k = 0; k < NAMES_KINDS; k++) {
		const char *list = c->list[k];

		any |= names_path(&list).len > 0;
		if (check_list(ctx, k, c->list[k], err))
			return -EINVAL;
	}
	return any ? 0
		   : ctf_fail_opt(ctx, err, "hosts",
				  "none of file, hosts, dnsmasq, odhcpd, kea names a file");
}

static int
start(void *self, struct ctf_err *err)
{
	struct names *f = self;
	int r = names_watch_start(f->obj.ctx, f->obj.conf, &f->watch);

	return r ? ctf_fail(err, -r, "no thread: %s", strerror(-r)) : 0;
}

static bool
ready(void *self)
{
	struct names *f = self;

	return !f->watch || names_watch_ready(f->watch);
}

static bool
drain(void *self, bool now)
{
	struct names *f = self;

	return !f->watch || names_watch_ends(f->watch);
}

static void
release(void *self)
{
	names_watch_stop(((struct names *)self)->watch);
}

/* It goes on with the names it knows: those of the past are in no file any more. */
static int
reload(void *self, void *other, struct ctf_err *err)
{
	(void)other;
	return ((struct names *)self)->watch ? 0 : -EOPNOTSUPP;
}

/* When the address was in use. */
static uint64_t
time_of(const struct names *f, const struct ctf_rec *r)
{
	return ctf_num_or(r, f->last, r->at_ns ? r->at_ns : r->rx_ns);
}

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct names *f = self;
	const struct names_set *table = f->watch ? names_watch_table(f->watch) : NULL;

	for (unsigned i = 0; table && i < ENDS; i++) {
		struct names_answer a;
		char *p = NULL;

		if (!ctf_has(r, f->ip[i]))
			continue;
		names_lookup(table, r->v[f->ip[i]].ip, r->family, time_of(f, r), &a);
		if (a.known)
			ctf_put_num(r, f->since[i], a.since_ns);
		/* A copy: the table may be another before the batch is through. */
		if (a.name.len)
			p = ctf_batch_mem(b, a.name.len);
		if (p) {
			memcpy(p, a.name.p, a.name.len);
			ctf_put_bytes(r, f->name[i], p, (uint32_t)a.name.len);
		}
	}
	return CTF_PASS;
}

CTF_PLUGIN(names) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "NAMES",
	.doc = "names of addresses, from hosts files, DHCP leases and lists",
	.opts = opts,
	.reads = reads,
	.writes = writes,
	.conf_size = sizeof(struct names_conf),
	.size = sizeof(struct names),
	.pure = true,
	.probe = probe,
	.start = start,
	.ready = ready,
	.drain = drain,
	.release = release,
	.reload = reload,
	.apply = apply,
};
