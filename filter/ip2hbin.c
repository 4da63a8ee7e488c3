/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IP2HBIN: the addresses of a flow once more, under names that tell a database
 * to store the number they are in host order.
 */
#include <ctflow/plugin.h>
#include <sys/socket.h>

#define ADDRS 4

struct ip2hbin {
	struct ctf_obj obj;
	ctf_ref ip[ADDRS], host[ADDRS];
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_OPTIONAL, offsetof(struct ip2hbin, ip[0]) },
	{ "orig.ip.daddr", CTF_OPTIONAL, offsetof(struct ip2hbin, ip[1]) },
	{ "reply.ip.saddr", CTF_OPTIONAL, offsetof(struct ip2hbin, ip[2]) },
	{ "reply.ip.daddr", CTF_OPTIONAL, offsetof(struct ip2hbin, ip[3]) },
	{ NULL },
};

static const struct ctf_port writes[] = {
	{ "orig.ip.hsaddr", 0, offsetof(struct ip2hbin, host[0]) },
	{ "orig.ip.hdaddr", 0, offsetof(struct ip2hbin, host[1]) },
	{ "reply.ip.hsaddr", 0, offsetof(struct ip2hbin, host[2]) },
	{ "reply.ip.hdaddr", 0, offsetof(struct ip2hbin, host[3]) },
	{ NULL },
};

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct ip2hbin *f = self;

	for (unsigned i = 0; i < ADDRS; i++)
		if (ctf_has(r, f->ip[i]))
			ctf_put_ip(r, f->host[i], r->v[f->ip[i]].ip,
				   r->family == AF_INET6 ? 16 : 4);
	return CTF_PASS;
}

CTF_PLUGIN(ip2hbin) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "IP2HBIN",
	.doc = "addresses for databases, as numbers: orig.ip.saddr -> orig.ip.hsaddr",
	.reads = reads,
	.writes = writes,
	.size = sizeof(struct ip2hbin),
	.pure = true,
	.apply = apply,
};
